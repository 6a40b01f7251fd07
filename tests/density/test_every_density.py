"""What every density offers beside its log-density: each member is there, and right, for every kind of density.

A product is compared with its groups fitted alone (block diagonal where they share nothing) and with the sandwich written out; a
density behind a transformer with the same density fitted to the images; gradients with differences of the log-likelihood.
"""

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import block_diag
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import (
    DensityMLE,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    families,
)
from fastkl._core.rows import Rows
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import row_scores

RNG = np.random.default_rng(3)
N = 300
BASE = RNG.gamma(2.0, size=(N, 1))
# The columns depend on each other.
X = np.hstack([BASE, BASE * RNG.lognormal(sigma=0.3, size=(N, 1)), RNG.poisson(BASE)])
WEIGHTS = RNG.integers(0, 4, N).astype(float)
WEIGHTS[:10] *= 0.5

GROUPS = [("sizes", DensityMLE("gamma"), [0, 1]), ("counts", DensityMLE("poisson"), [2])]
PRODUCT = ProductDensity(GROUPS)
NESTED = ProductDensity([("pair", ProductDensity(GROUPS[:1]), [0, 1]), ("counts", DensityMLE("poisson"), [2])])
LOGS = TransformedDensity(FunctionTransformer(np.log), DensityMLE())
SCALED = TransformedDensity(StandardScaler(), DensityMLE("logistic"))
MIXED = ProductDensity([("logs", LOGS, [0, 1]), ("counts", DensityMLE("poisson", prior="default"), [2])])
DENSITIES = {
    "mle": (DensityMLE("gamma"), X[:, :2]),
    "mle_joint": (DensityMLE(families.MultivariateNormal(mean=[2.0, 2.0])), X[:, :2]),
    "mle_prior": (DensityMLE("weibull", prior="default"), X[:, :2]),
    "factors": (FactorAnalysisMLE(), X),
    "principal_components": (FactorAnalysisMLE(2, noise="isotropic"), X),
    "mixture": (MixtureMLE(2, random_state=0, n_init=1), X[:, :2]),
    "mixture_of_two_families": (MixtureMLE(2, family=["gamma", "lognormal"], random_state=0, n_init=1), X[:, :1]),
    "mixture_with_prior": (MixtureMLE(2, prior="default", random_state=0, n_init=1), X[:, :2]),
    "product": (PRODUCT, X),
    "nested_product": (NESTED, X),
    "transformed": (LOGS, X[:, :2]),
    "scaled": (SCALED, X[:, :2]),
    "identity": (TransformedDensity(None, DensityMLE("gamma")), X[:, :2]),
    "product_of_transformed": (MIXED, X),
    "transformed_product": (TransformedDensity(None, ProductDensity(GROUPS[:1])), X[:, :2]),
}


@pytest.fixture(params=DENSITIES, scope="module")
def fitted(request):
    density, rows = DENSITIES[request.param]
    return density.fit(rows, sample_weight=WEIGHTS), rows


def leaves(params, prefix=()):
    """Arrays of a dict of dicts, with the path to each."""
    for name, value in params.items():
        if isinstance(value, dict):
            yield from leaves(value, (*prefix, name))
        else:
            yield (*prefix, name), value


def mirrored(index, shape):
    """The entry on the other side of the diagonal of a matrix, maybe one of several stacked; the entry itself elsewhere."""
    square = len(shape) > 1 and shape[-1] == shape[-2]
    return (*index[:-2], index[-1], index[-2]) if square else index


def same(found, expected, **tolerances):
    """Dicts of dicts of arrays, or of pairs of arrays."""
    found, expected = dict(leaves(found)), dict(leaves(expected))
    assert list(found) == list(expected)
    for path, value in expected.items():
        np.testing.assert_allclose(found[path], value, err_msg=str(path), **tolerances)


def diagonal_of(covariance, names, params):
    """Roots of the diagonal by the path of each parameter and the entry."""
    found = {}
    for name, variance in zip(names, np.diag(covariance), strict=True):
        head, _, entry = name.partition("[")
        index = tuple(int(i) for i in entry.rstrip("]").split(",")) if entry else ()
        found[(*head.split("__"), *index)] = np.sqrt(variance)
    return found


FREE = {
    "kernels": (KernelDensityMLE("scott"), X[:, :1]),
    "kernels_of_two_columns": (KernelDensityMLE("scott"), X[:, :2]),
    "epanechnikov_kernels": (KernelDensityMLE("scott", kernel="epanechnikov"), X[:, :2]),
    "kernels_within_an_end": (KernelDensityMLE("scott", boundary={0: "reflect"}), X[:, :2]),
    "kernels_of_a_circle": (KernelDensityMLE(0.5, kernel="von_mises"), X[:, :1]),
    "kernel_matrix": (KernelDensityMLE([[0.3, 0.1], [0.1, 0.3]]), X[:, :2]),
    "shape": (ShapeConstrainedMLE(), X[:, :2]),
    "transformed_kernels": (TransformedDensity(StandardScaler(), KernelDensityMLE("scott")), X[:, :2]),
    "transformed_kernels_of_one_column": (TransformedDensity(StandardScaler(), KernelDensityMLE("scott")), X[:, :1]),
    "transformed_joint": (TransformedDensity(StandardScaler(), DensityMLE()), X[:, :2]),
    "rotated": (TransformedDensity(PCA(), DensityMLE("normal")), X[:, :2]),
    "product_with_a_joint_group": (ProductDensity([("a", DensityMLE(), [0, 1]), ("b", LOGS, [2])]), X[:, [0, 1, 0]]),
    "foreign": (TransformedDensity(None, KernelDensity()), X[:, :2]),
}


# -- each member, by itself ------------------------------------------------------------------------------------------------


def test_gradients_are_slopes(fitted):
    """Every entry of the gradient against differences of the mean log-likelihood, by moving the parameters themselves."""
    density, rows = fitted
    inside = rows[:40]
    weights = WEIGHTS[:40]
    gradient = density.gradient(inside, weights)
    mean, again = density.score_and_gradient(inside, weights)
    assert mean == pytest.approx(density.score(inside, sample_weight=weights), rel=1e-13)
    same(again, gradient, rtol=1e-11, atol=1e-13)
    assert [path for path, _ in leaves(gradient)] == [path for path, _ in leaves(density.params_)]
    for path, value in leaves(gradient):
        params = density.params_
        for name in path[:-1]:
            params = params[name]
        at = np.array(params[path[-1]], dtype=float)
        slope = np.array(value, dtype=float)
        for index in np.ndindex(at.shape):
            step = np.zeros(at.shape)
            step[index] += 0.5
            step[mirrored(index, at.shape)] += 0.5  # a symmetric step of a matrix; the same entry twice elsewhere
            if path[-1] == "weights":
                step -= at  # along the simplex, as the gradient is
            size = 1e-5 * max(abs(at[index]), 1e-2)
            means = []
            for sign in (1.0, -1.0):
                params[path[-1]] = at + sign * size * step
                means.append(density.score(inside, sample_weight=weights))
            params[path[-1]] = at[()]
            assert np.sum(slope * step) == pytest.approx((means[0] - means[1]) / (2.0 * size), rel=2e-6, abs=2e-7), path


def test_standard_errors_are_the_diagonal(fitted):
    density, rows = fitted
    names, covariance = density.param_names_, density.covariance_of_params_
    assert covariance.shape == (len(names),) * 2
    robust = density.robust_covariance(rows, WEIGHTS)
    for matrix, errors in (
        (covariance, density.standard_errors_),
        (robust, density.robust_standard_errors(rows, WEIGHTS)),
    ):
        np.testing.assert_allclose(matrix, matrix.T, rtol=1e-8, atol=1e-12)
        roots = diagonal_of(matrix, names, density.params_)
        for path, value in leaves(errors):
            for index in np.ndindex(np.shape(value)):
                entry = roots.get((*path, *index), roots.get((*path, *mirrored(index, np.shape(value)))))
                assert np.asarray(value)[index] == pytest.approx(entry, rel=1e-9)


def test_intervals(fitted):
    density, rows = fitted
    wide, narrow = density.confidence_intervals(0.99), density.confidence_intervals(0.5)
    robust = density.confidence_intervals(0.9, robust=True, X=rows, sample_weight=WEIGHTS)
    params = dict(leaves(density.params_))
    for intervals in (wide, narrow, robust):
        assert [path for path, _ in leaves(intervals)] == [path for path, _ in leaves(density.standard_errors_)]
        for path, (low, high) in leaves(intervals):
            assert np.all(low < params[path])
            assert np.all(high > params[path])
    for path, (low, _) in leaves(wide):
        assert np.all(low < dict(leaves(narrow))[path][0])


def test_criteria(fitted):
    density, rows = fitted
    total, p = density.log_likelihood(rows, WEIGHTS), density.n_parameters_
    assert total == pytest.approx(density.log_likelihood_, rel=1e-12)
    assert density.aic(rows, WEIGHTS) == pytest.approx(2.0 * p - 2.0 * total, rel=1e-13)
    assert density.bic(rows, WEIGHTS) == pytest.approx(p * np.log(WEIGHTS.sum()) - 2.0 * total, rel=1e-13)
    whole = np.repeat(rows, 2 * WEIGHTS.astype(int), axis=0)
    assert density.tic(whole) == pytest.approx(density.tic(rows, 2 * WEIGHTS.astype(int)), rel=1e-11)


def test_bootstrap(fitted):
    """Shapes and seeds; a refit is the fit to rows with the random weights."""
    density, rows = fitted
    draws = density.bootstrap(rows, WEIGHTS, n_resamples=6, random_state=0)
    same(density.bootstrap(rows, WEIGHTS, n_resamples=3, random_state=0), {**take(draws, 3)})
    params = dict(leaves(density.params_))
    for path, values in leaves(draws):
        assert values.shape == (6, *np.shape(params[path]))
        assert np.ptp(values, axis=0).max() > 0.0
    interval = density.confidence_intervals(
        0.8, "bootstrap", X=rows, sample_weight=WEIGHTS, n_resamples=19, random_state=0
    )
    assert [path for path, _ in leaves(interval)] == [path for path, _ in leaves(draws)]


@pytest.mark.parametrize("name", [*DENSITIES, *FREE])
def test_goodness_of_fit_asks_columns_where_each_has_a_distribution_function_and_else_the_rows(name):
    density, rows = (DENSITIES | FREE)[name]
    rows = rows[:60]
    model = clone(density).fit(rows)
    if getattr(model, "_is_discrete", bool)():
        with pytest.raises(ValueError, match="statistics of continuous distributions"):
            model.goodness_of_fit(rows, statistic="ks")
        return
    shapes = []
    for which in ("cdf", "sf"):
        try:
            shapes.append(getattr(model, which)(rows).shape)
        except AttributeError:
            shapes.append(None)
    by_column = shapes == [rows.shape] * 2
    assert model._by_column() == by_column
    report = model.goodness_of_fit(rows, n_bootstrap=2, random_state=1)
    joint = (isinstance(model, MixtureMLE) and rows.shape[1] > 1) or not by_column
    assert list(report) == (["energy", "kl"] if joint else ["ks", "cvm", "ad"])
    assert (report.n_bootstrap, report.n_failed) == (2, 0)
    if by_column:
        assert model.goodness_of_fit(rows, statistic="ks", n_bootstrap=0)["ks"].shape == (rows.shape[1],)
    else:
        with pytest.raises(AttributeError, match="describes the row as a whole"):
            model.goodness_of_fit(rows, statistic="ks")


def take(params, count):
    return {name: take(value, count) if isinstance(value, dict) else value[:count] for name, value in params.items()}


# -- products against their groups -----------------------------------------------------------------------------------------


def test_a_product_is_its_groups():
    product = PRODUCT.fit(X, sample_weight=WEIGHTS)
    alone = {
        name: DensityMLE(density.family).fit(X[:, numbers], sample_weight=WEIGHTS) for name, density, numbers in GROUPS
    }
    rows = {name: X[:, numbers] for name, _, numbers in GROUPS}
    same(product.params_, {name: model.params_ for name, model in alone.items()}, rtol=0)
    same(product.standard_errors_, {name: model.standard_errors_ for name, model in alone.items()}, rtol=0)
    np.testing.assert_array_equal(
        product.covariance_of_params_, block_diag(*(model.covariance_of_params_ for model in alone.values()))
    )
    assert product.param_names_ == [f"{name}__{entry}" for name, model in alone.items() for entry in model.param_names_]
    same(
        product.robust_standard_errors(X, WEIGHTS),
        {name: model.robust_standard_errors(rows[name], WEIGHTS) for name, model in alone.items()},
        rtol=1e-12,
    )
    expected = {name: model.confidence_intervals(0.9) for name, model in alone.items()}
    same(product.confidence_intervals(0.9), expected, rtol=0)
    assert product.tic(X, WEIGHTS) == pytest.approx(
        sum(model.tic(rows[name], WEIGHTS) for name, model in alone.items()), rel=1e-12
    )
    draws = {name: model.bootstrap(rows[name], WEIGHTS, n_resamples=4, random_state=5) for name, model in alone.items()}
    same(product.bootstrap(X, WEIGHTS, n_resamples=4, random_state=5), draws, rtol=0)


def test_the_sandwich_of_a_product_sees_that_groups_depend_on_each_other():
    """Independent gamma and Poisson groups of columns that are not: the influences of all rows, written out.

    Of a Poisson mean the influence is (x - mean) / n; of gamma parameters the inverse information times the score.
    """
    product = PRODUCT.fit(X, sample_weight=WEIGHTS)
    kept = WEIGHTS > 0.0
    gamma = DensityMLE("gamma").fit(X[:, :2], sample_weight=WEIGHTS)
    chart = chart_at(gamma.family_, gamma.params_)
    scores = np.concatenate([s for s, _ in row_scores(gamma.family_, Rows(X[kept, :2].copy()), gamma.params_, chart)])
    by_entry = scores @ np.linalg.inv(chart.jacobian(gamma.params_))
    counts = (X[kept, 2:] - np.average(X[:, 2], weights=WEIGHTS)) / WEIGHTS.sum()
    influence = np.hstack([by_entry @ gamma.covariance_of_params_, counts]) * WEIGHTS[kept, None]
    found = product.robust_covariance(X, WEIGHTS)
    np.testing.assert_allclose(found, influence.T @ influence, rtol=1e-9, atol=1e-15)
    assert np.abs(found[-1, :-1]).max() > 0.1 * found[-1, -1]


def test_robust_errors_that_groups_kept():
    groups = [(name, DensityMLE(density.family, robust_errors=True), numbers) for name, density, numbers in GROUPS]
    product = ProductDensity(groups).fit(X)
    same(product.robust_standard_errors_, product.robust_standard_errors(X), rtol=1e-12)
    with pytest.raises(AttributeError, match=r"robust_covariance\(X\)"):
        _ = product.robust_covariance_of_params_


def test_groups_without_parameters():
    known = DensityMLE.from_parameters("poisson", rate=2.0)
    product = ProductDensity(GROUPS).fit(X)
    product.groups_[1] = ("counts", known, [2])
    assert list(product.standard_errors_) == ["sizes"]
    assert all(name.startswith("sizes__") for name in product.param_names_)
    assert list(product.gradient(X)) == ["sizes", "counts"]
    assert product.robust_covariance(X).shape == (4, 4)


# -- behind a transformer --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("density", [DensityMLE("gamma"), DensityMLE(), ProductDensity(GROUPS[:1])], ids=repr)
def test_behind_the_identity_a_density_is_itself(density):
    rows = X[:, :2]
    inner = density.fit(rows, sample_weight=WEIGHTS)
    model = TransformedDensity(None, density).fit(rows, sample_weight=WEIGHTS)
    assert model.param_names_ == inner.param_names_
    np.testing.assert_array_equal(model.covariance_of_params_, inner.covariance_of_params_)
    np.testing.assert_array_equal(model.robust_covariance(rows, WEIGHTS), inner.robust_covariance(rows, WEIGHTS))
    assert model.tic(rows, WEIGHTS) == pytest.approx(inner.tic(rows, WEIGHTS), rel=1e-13)
    assert model.n_parameters_ == inner.n_parameters_
    for name in ("params_", "standard_errors_"):
        same(getattr(model, name), getattr(inner, name), rtol=0)
    same(model.gradient(rows, WEIGHTS), inner.gradient(rows, WEIGHTS), rtol=0)
    options = {"n_resamples": 3, "random_state": 0}
    same(model.bootstrap(rows, WEIGHTS, **options), inner.bootstrap(rows, WEIGHTS, **options), rtol=0)


def test_behind_a_transformer_the_parameters_are_those_of_the_images():
    rows = X[:, :2]
    logs = DensityMLE().fit(np.log(rows), sample_weight=WEIGHTS)
    model = LOGS.fit(rows, sample_weight=WEIGHTS)
    same(model.params_, logs.params_, rtol=1e-13)
    np.testing.assert_allclose(model.robust_covariance(rows, WEIGHTS), logs.robust_covariance(np.log(rows), WEIGHTS))
    shift = 2.0 * np.sum(WEIGHTS[:, None] * np.log(rows))
    assert model.tic(rows, WEIGHTS) == pytest.approx(logs.tic(np.log(rows), WEIGHTS) + shift, rel=1e-12)
    lognormal = DensityMLE("lognormal").fit(rows)
    alone = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(rows)
    assert alone.tic(rows) == pytest.approx(lognormal.tic(rows), rel=1e-12)  # the same model, written in two ways
    np.testing.assert_allclose(alone.standard_errors_["loc"], lognormal.standard_errors_["meanlog"], rtol=1e-12)


def test_what_a_transformer_learnt_counts_in_criteria_and_is_held_fixed():
    """A scaler before Laplace distributions of fixed location and scale: two learnt numbers a column and nothing else."""
    family = families.Normal(loc=0.0, scale=1.0)
    model = TransformedDensity(StandardScaler(), DensityMLE(family)).fit(X[:, :2])
    assert model.n_parameters_ == 4
    assert model.standard_errors_ == {}
    assert model.tic(X[:, :2]) == pytest.approx(8.0 - 2.0 * model.log_likelihood_, rel=1e-13)


def test_slopes_outside_the_domain():
    model = LOGS.fit(X[:, :2])
    bad = X[:5, :2].copy()
    bad[3, 1] = -1.0
    for call in (model.gradient, model.score_and_gradient, model.robust_covariance, model.tic):
        with pytest.raises(ValueError, match="row 3, column 1 holds -1"):
            call(bad)
    assert np.isfinite(model.score_and_gradient(bad, [1, 1, 1, 0, 1])[0])


def test_divergences_take_no_parameters_of_the_images_for_those_of_the_rows():
    """A density behind a transformer has the covariance of the images among its parameters; rows are not whitened by it."""
    from fastkl.divergence.models.model import Model

    model = TransformedDensity(FunctionTransformer(np.log), DensityMLE()).fit(X[:, :2])
    found = Model(model, "q").covariance(2)
    np.testing.assert_allclose(found, np.cov(model.sample(100_000, random_state=0).T), rtol=0.5)
    assert found[0, 0] > 1.5 * model.params_["covariance"][0, 0]


MERGED = {
    "mle": DensityMLE("normal"),
    "joint": DensityMLE(),
    "product": ProductDensity([("x", DensityMLE("normal"), [0]), ("y", DensityMLE("gamma"), [1])]),
    "transformed": TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")),
}


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("in_batches", [False, True])
def test_merging_columns_of_other_names_is_refused_as_further_rows_are(name, in_batches):
    table = pd.DataFrame(X[:, :2], columns=["a", "b"])
    others = {"in the same order": table[["b", "a"]], "": table.rename(columns={"b": "c"})}

    def fitted(rows):
        model = clone(MERGED[name])
        return model.fit_batches([rows]) if in_batches and hasattr(model, "fit_batches") else model.fit(rows)

    for words, rows in others.items():
        refusals = []
        for more in (lambda model, rows: model.partial_fit(rows), lambda model, rows: model.merge(fitted(rows))):
            model = fitted(table)
            before = model.params_
            with pytest.raises(ValueError, match="The feature names should match those that were passed") as refused:
                more(model, rows)
            assert words in str(refused.value)
            same(model.params_, before, rtol=0.0)
            refusals.append(refused.type)
        assert refusals[0] is refusals[1]
    merged = fitted(table[:100]).merge(fitted(table[100:]))
    same(merged.params_, fitted(table).params_, rtol=1e-10)
    fitted(table).merge(clone(MERGED[name]).fit(X[:, :2]))  # columns without names are taken as they come
