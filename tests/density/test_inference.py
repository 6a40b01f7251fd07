"""Standard errors, the sandwich, intervals, bootstrap and criteria against exact values, scipy's densities and simulation."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.base import clone

from fastkl import DensityMLE, families, load
from fastkl._core.rows import Rows
from fastkl.density.parametric import mle
from fastkl.density.validation import read_rows
from fastkl.families.priors import NormalPrior
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import derivative, row_scores
from fastkl.families.solvers.posterior import posterior_covariance
from fastkl.families.spaces import Direction
from fastkl.families.spaces.blocks import Matrix
from tests.families.discovered import density_of, examples

RNG = np.random.default_rng(21)
SKEWED = RNG.exponential(size=(4000, 1))


@pytest.fixture(params=examples())
def distribution(request):
    return density_of(request.param)


# -- scores and coordinates ------------------------------------------------------------------------------------------------


def test_scores_are_slopes_of_the_log_density(distribution):
    """Analytic scores of every row against differences of the log-density along the coordinates; Laplace has a kink at loc."""
    X = distribution.sample(200, random_state=0)
    X = X if distribution.family_.labels else np.ascontiguousarray(X, dtype=np.float64)
    rows, params, family = Rows(X), distribution.params_, distribution.family_
    if family.name == "laplace":
        rows = Rows(X[np.all(np.abs(X - params["loc"]) > 0.01 * params["scale"], axis=1)])
    chart = chart_at(family, params)
    if not chart.size:
        return
    scores = np.concatenate([block for block, _ in row_scores(family, rows, params, chart)])
    expected = derivative(lambda u: family.log_density(rows, chart.back(u)), chart.to(params))
    np.testing.assert_allclose(scores, expected, rtol=1e-8, atol=1e-8)
    total = chart.pull(params, family.gradient(rows, params))
    np.testing.assert_allclose(scores.sum(axis=0), total, rtol=1e-8, atol=1e-7)


def test_coordinates_lead_back(distribution):
    """Parameters to coordinates and back; the Jacobian against differences."""
    params, family = distribution.params_, distribution.family_
    chart = chart_at(family, params)
    back = chart.back(chart.to(params))
    for name, value in params.items():
        np.testing.assert_allclose(back[name], value, rtol=1e-12, atol=1e-14)
    if not chart.size:
        return

    def entries(u):
        filled = chart.back(u)
        values = []
        for block in chart.blocks:
            value = np.asarray(filled[block.name])
            values.append(value[np.triu_indices(len(value))] if isinstance(block, Matrix) else value.ravel())
        return np.concatenate(values)

    assert len(chart.names) == len(entries(chart.to(params)))
    np.testing.assert_allclose(chart.jacobian(params), derivative(entries, chart.to(params)), rtol=1e-8, atol=1e-9)


def test_coordinates_of_a_direction():
    """A family of directions would move along the sphere."""

    class Pole(families.Family):
        name = "pole"
        parameters = {"direction": Direction()}

    direction = np.array([0.6, 0.0, 0.8])
    chart = chart_at(Pole(), {"direction": direction})
    u = np.array([0.3, -0.2])
    moved = chart.back(u)["direction"]
    assert np.linalg.norm(moved) == pytest.approx(1.0, rel=1e-15)
    np.testing.assert_allclose(chart.to({"direction": moved}), u, rtol=1e-13)
    expected = derivative(lambda u: chart.back(u)["direction"], u)
    np.testing.assert_allclose(chart.jacobian({"direction": moved}), expected, atol=1e-10)
    slope = np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(chart.pull({"direction": moved}, {"direction": slope}), slope @ expected, atol=1e-9)


@pytest.mark.parametrize("prior", [None, "default"])
def test_names_need_no_covariance(distribution, prior):
    """They are those that come with it, of whichever entries are inside their range."""
    model = DensityMLE(clone(distribution.family_), prior=prior).fit(distribution.sample(60, random_state=0))
    if model.prior_ is None:
        names = model.family_.covariance_of_params(model.statistics_, model.params_)[0]
    else:
        curvature = model.inference_._curvature(model.statistics_)
        names = posterior_covariance(model.family_, model.params_, curvature)[0]
    assert model.param_names_ == names


# -- observed information and sandwich -------------------------------------------------------------------------------------


def sandwich(log_density, X, weights, theta):
    """A^-1 B A^-1 by differences of a log-density given as a function of rows and a parameter vector."""
    p, step = len(theta), 1e-4 * np.abs(theta)
    unit = np.eye(p) * step

    def score(at):
        return np.stack(
            [(log_density(X, at + e) - log_density(X, at - e)) / (2 * s) for e, s in zip(unit, step, strict=True)], 1
        )

    hessian = np.stack(
        [(weights @ (score(theta + e) - score(theta - e))) / (2 * s) for e, s in zip(unit, step, strict=True)]
    )
    bread = np.linalg.inv(-0.5 * (hessian + hessian.T))
    scores = score(theta) * weights[:, None]
    return bread @ (scores.T @ scores) @ bread


REFERENCES = [
    ("gamma", lambda x, t: stats.gamma.logpdf(x, t[0], scale=t[1])),
    ("weibull", lambda x, t: stats.weibull_min.logpdf(x, t[0], scale=t[1])),
    ("normal", lambda x, t: stats.norm.logpdf(x, t[0], t[1])),
    ("student_t", lambda x, t: stats.t.logpdf(x, t[0], t[1], t[2])),
    ("lognormal", lambda x, t: stats.norm.logpdf(np.log(x), t[0], t[1]) - np.log(x)),
    ("exponential", lambda x, t: stats.expon.logpdf(x, scale=t[0])),
    ("inverse_gaussian", lambda x, t: stats.invgauss.logpdf(x, t[0] / t[1], scale=t[1])),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("family", "log_density"), REFERENCES)
def test_sandwich_against_scipy(family, log_density, weighted):
    X = np.random.default_rng(1).weibull(0.8, size=(500, 1)) + (0.0 if family != "inverse_gaussian" else 0.2)
    weights = np.random.default_rng(2).uniform(0.2, 3.0, 500) if weighted else np.ones(500)
    model = DensityMLE(family).fit(X, sample_weight=weights if weighted else None)
    theta = np.array([value[0] for value in model.params_.values()])
    expected = sandwich(lambda x, t: log_density(x[:, 0], t), X, weights, theta)
    given = (X, weights if weighted else None)
    np.testing.assert_allclose(model.robust_covariance(*given), expected, rtol=2e-4, atol=1e-5 * np.abs(expected).max())
    errors = np.concatenate([np.ravel(v) for v in model.robust_standard_errors(*given).values()])
    np.testing.assert_allclose(errors, np.sqrt(np.diag(expected)), rtol=2e-4)


def test_normal_fitted_to_exponential_data():
    """Mean 1 with error 1/sqrt(n); the variance of Exp(1) data has error sqrt(8/n), where normal theory has sqrt(2/n)."""
    model = DensityMLE("normal").fit(SKEWED)
    n, x = len(SKEWED), SKEWED[:, 0]
    errors = model.robust_standard_errors(SKEWED)
    # exactly: the sandwich is the empirical covariance of the influences x - mean and ((x - mean)^2 - var) / (2 sd)
    np.testing.assert_allclose(errors["loc"], x.std() / np.sqrt(n), rtol=1e-12)
    influence = ((x - x.mean()) ** 2 - x.var()) / (2 * x.std())
    np.testing.assert_allclose(errors["scale"], influence.std() / np.sqrt(n), rtol=1e-12)
    # and by the distribution
    np.testing.assert_allclose(errors["loc"] * np.sqrt(n), 1.0, atol=0.1)
    np.testing.assert_allclose(errors["scale"] * np.sqrt(n), np.sqrt(2.0), atol=0.35)
    np.testing.assert_allclose(model.standard_errors_["scale"] * np.sqrt(n), np.sqrt(0.5), atol=0.1)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_sandwich_of_a_covariance(covariance_type):
    """Mean and covariance are means of x and of products of deviations: the sandwich is their empirical covariance."""
    X = np.random.default_rng(3).exponential(size=(300, 3)) @ np.array(
        [[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 1.0]]
    )
    model = DensityMLE(families.MultivariateNormal(covariance_type)).fit(X)
    y = X - X.mean(0)
    if covariance_type == "full":
        i, j = np.triu_indices(3)
        products = y[:, i] * y[:, j]
    else:
        products = y**2 if covariance_type == "diag" else (y**2).mean(axis=1, keepdims=True)
    influence = np.concatenate([y, products - products.mean(0)], axis=1)
    expected = influence.T @ influence / 300**2
    got = model.robust_covariance(X)
    if covariance_type == "spherical":
        np.testing.assert_allclose(np.diag(got)[3], expected[3, 3], rtol=1e-10)
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("unit", [1e17, 1e50, 1e140, 1e-17, 1e-50, 1e-140])
@pytest.mark.parametrize("family", ["gamma", "student_t", "weibull", "loglogistic"])
def test_sandwich_in_any_unit(family, unit):
    """A parameter beside one of another order of size counted as rounding: from 1e16 on its error was 0."""
    X = np.random.default_rng(3).gamma(2.0, size=(200, 1))
    expected = DensityMLE(family).fit(X).robust_standard_errors(X)
    found = DensityMLE(family).fit(X * unit).robust_standard_errors(X * unit)
    for name, error in expected.items():
        with_unit = name in ("loc", "scale")
        np.testing.assert_allclose(found[name], error * unit if with_unit else error, rtol=1e-6)


def test_sandwich_in_a_unit_whose_variances_are_no_numbers():
    X = 1e-200 * np.random.default_rng(3).gamma(2.0, size=(200, 1))
    assert np.isnan(DensityMLE("gamma").fit(X).robust_standard_errors(X)["scale"]).all()


def test_sandwich_of_columns_in_different_units():
    X = np.random.default_rng(3).normal(size=(100, 3))
    units = np.array([1e40, 1e-40, 1.0])
    expected = DensityMLE("multivariate_normal").fit(X).robust_standard_errors(X)
    found = DensityMLE("multivariate_normal").fit(X * units).robust_standard_errors(X * units)
    np.testing.assert_allclose(found["mean"], expected["mean"] * units, rtol=1e-9)
    np.testing.assert_allclose(found["covariance"], expected["covariance"] * np.outer(units, units), rtol=1e-9)


def test_sandwich_of_a_categorical_law():
    """Frequencies with weights: sum of w^2 (e - p)(e - p)^T / W^2."""
    labels = np.array([["a"], ["b"], ["b"], ["c"], ["a"], ["b"]])
    weights = np.array([0.5, 1.0, 2.0, 0.3, 1.2, 0.7])
    model = DensityMLE("categorical").fit(labels, sample_weight=weights)
    e = (labels == ["a", "b", "c"]).astype(float) - model.params_["probabilities"]
    expected = (e * weights[:, None]).T @ (e * weights[:, None]) / weights.sum() ** 2
    np.testing.assert_allclose(model.robust_covariance(labels, weights), expected, rtol=1e-12, atol=1e-15)
    plain = DensityMLE("categorical").fit(labels)
    np.testing.assert_allclose(
        plain.robust_standard_errors(labels)["probabilities"], plain.standard_errors_["probabilities"], rtol=1e-12
    )


def test_weights():
    """Integer weights repeat rows in the observed information; the sandwich takes rows as units, whatever the weights' size."""
    X, weights = SKEWED[:200], np.random.default_rng(4).integers(0, 4, 200)
    weighted = DensityMLE("gamma").fit(X, sample_weight=weights)
    repeated = DensityMLE("gamma").fit(np.repeat(X, weights, axis=0))
    for name, error in repeated.standard_errors_.items():
        np.testing.assert_allclose(weighted.standard_errors_[name], error, rtol=1e-11)
    assert weighted.tic(X, weights) == pytest.approx(repeated.tic(np.repeat(X, weights, axis=0)), rel=1e-12)
    ten = DensityMLE("gamma").fit(X, sample_weight=10.0 * weights)
    for name, error in weighted.robust_standard_errors(X, weights).items():
        np.testing.assert_allclose(ten.robust_standard_errors(X, 10.0 * weights)[name], error, rtol=1e-9)
    kept = weights > 0
    np.testing.assert_allclose(
        weighted.robust_covariance(X[kept], weights[kept]), weighted.robust_covariance(X, weights), rtol=1e-12
    )


def test_importance_weights_are_covered_by_the_sandwich():
    """Rows of Exp(1) weighted to Exp(1/2): the mean's error is sqrt(sum w^2 (x - mean)^2) / sum w."""
    w = np.exp(0.5 * SKEWED[:, 0]) * 0.5
    model = DensityMLE("exponential").fit(SKEWED, sample_weight=w)
    mean = np.average(SKEWED[:, 0], weights=w)
    expected = np.sqrt(np.sum((w * (SKEWED[:, 0] - mean)) ** 2)) / w.sum()
    np.testing.assert_allclose(model.robust_standard_errors(SKEWED, w)["scale"], expected, rtol=1e-12)


def test_boundary_and_fixed_parameters_have_no_entry():
    X = np.c_[np.random.default_rng(5).uniform(-1, 1, 200), np.random.default_rng(6).standard_t(2, 200)]
    model = DensityMLE("student_t").fit(X)
    assert np.isinf(model.params_["df"][0])
    for errors in (model.standard_errors_, model.robust_standard_errors(X)):
        assert np.isnan(errors["df"][0])
        assert np.isfinite(errors["df"][1])
        assert np.isfinite(errors["loc"]).all()
    normal = DensityMLE("normal").fit(X[:, :1])
    np.testing.assert_allclose(
        model.robust_standard_errors(X)["loc"][0], normal.robust_standard_errors(X[:, :1])["loc"][0], rtol=1e-6
    )
    assert set(DensityMLE("student_t").fit(X[:, :1]).robust_standard_errors(X[:, :1])) == {"loc", "scale"}
    assert set(DensityMLE(families.Gamma(shape=2.0)).fit(SKEWED).robust_standard_errors(SKEWED)) == {"scale"}
    assert set(DensityMLE(families.Gamma(shape=2.0)).fit(SKEWED).confidence_intervals()) == {"scale"}
    assert DensityMLE("uniform").fit(X).robust_standard_errors(X) == {}
    assert DensityMLE("uniform").fit(X).confidence_intervals() == {}
    pareto = DensityMLE("pareto").fit(SKEWED + 1.0)
    assert set(pareto.confidence_intervals(robust=True, X=SKEWED + 1.0)) == {"shape"}


def test_shares_at_the_boundary():
    """A column of one label, a label that no row has, a column of zeros: no figures of theirs, and the others keep their own."""
    one, other = np.array([["a", "x"], ["a", "y"], ["a", "x"]]), np.array([["x"], ["y"], ["x"]])
    model, alone = DensityMLE("categorical").fit(one), DensityMLE("categorical").fit(other)
    assert "column 0 holds 'a' alone" in model.boundary_["probabilities"]
    for errors, expected in (
        (model.standard_errors_, alone.standard_errors_),
        (model.robust_standard_errors(one), alone.robust_standard_errors(other)),
    ):
        assert np.isnan(errors["probabilities"][0]).all()
        np.testing.assert_allclose(errors["probabilities"][1], expected["probabilities"][0], rtol=1e-12)
    assert model.tic(one) == pytest.approx(alone.tic(other), rel=1e-12)
    declared = DensityMLE(families.Categorical(categories=["x", "y", "z"])).fit(other)
    assert "column 0 holds no 'z'" in declared.boundary_["probabilities"]
    np.testing.assert_array_equal(
        np.isnan(declared.robust_standard_errors(other)["probabilities"]), [[False, False, True]]
    )
    assert DensityMLE("categorical").fit(one[:, :1]).standard_errors_ == {}
    counts = np.array([[3, 0, 1], [5, 0, 2], [1, 0, 1]])
    for family in ("multinomial", "dirichlet_multinomial"):
        model, alone = DensityMLE(family).fit(counts), DensityMLE(family).fit(counts[:, [0, 2]])
        found = model.robust_standard_errors(counts)["probabilities"]
        np.testing.assert_array_equal(np.isnan(found), [False, True, False])
        np.testing.assert_allclose(
            found[[0, 2]], alone.robust_standard_errors(counts[:, [0, 2]])["probabilities"], rtol=1e-9
        )


def test_sandwich_with_a_prior():
    """Known scale, NormalPrior: A = n + 1/sd^2, B = the sum of squared deviations from the maximum."""
    X = SKEWED[:50]
    model = DensityMLE(families.Normal(scale=1.0), prior=NormalPrior(0.0, 0.5)).fit(X)
    loc = X.sum() / 54.0
    np.testing.assert_allclose(model.params_["loc"], loc, rtol=1e-12)
    expected = np.sqrt(np.sum((X - loc) ** 2)) / 54.0
    np.testing.assert_allclose(model.robust_standard_errors(X)["loc"], expected, rtol=1e-8)


# -- the rows of the fit ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [np.array, pd.DataFrame, lambda x: x.tolist()], ids=["array", "frame", "list"])
@pytest.mark.parametrize("robust_errors", [False, True])
def test_a_fitted_density_keeps_no_rows(read, robust_errors, monkeypatch):
    """Neither the rows of the caller nor what was read from them stay alive."""
    held = []

    def watched(*args, **options):
        rows = read_rows(*args, **options)
        held.append(weakref.ref(rows.X))
        return rows

    monkeypatch.setattr(mle, "read_rows", watched)
    X = read(SKEWED.copy())
    model = DensityMLE("gamma", robust_errors=robust_errors).fit(X)
    del X
    gc.collect()
    assert held[0]() is None
    assert model.score(SKEWED) == pytest.approx(model.log_likelihood_ / len(SKEWED), rel=1e-12)


def test_robust_errors_of_a_fit(tmp_path):
    """One more pass of the fit keeps the sum that the sandwich needs, in pickles and files too."""
    weights = np.random.default_rng(2).uniform(0.2, 3.0, len(SKEWED))
    for family in ("gamma", "weibull"):
        model = DensityMLE(family, robust_errors=True).fit(SKEWED, sample_weight=weights)
        model.save(tmp_path / "model")
        for other in (model, pickle.loads(pickle.dumps(model)), copy.deepcopy(model), load(tmp_path / "model")):
            np.testing.assert_allclose(
                other.robust_covariance_of_params_, model.robust_covariance(SKEWED, weights), rtol=1e-12
            )
            for name, error in model.robust_standard_errors(SKEWED, weights).items():
                np.testing.assert_allclose(other.robust_standard_errors_[name], error, rtol=1e-12)
            interval = other.confidence_intervals(robust=True)["scale"]
            np.testing.assert_allclose(
                interval, other.confidence_intervals(robust=True, X=SKEWED, sample_weight=weights)["scale"]
            )
    assert len(pickle.dumps(model)) < 5000
    assert not DensityMLE("gamma", robust_errors=True).fit(SKEWED).partial_fit(SKEWED).statistics_.keys() & {
        "score_products"
    }


def test_robust_errors_need_rows():
    fitted = DensityMLE("gamma").fit(SKEWED)
    for call in (
        lambda: fitted.robust_standard_errors_,
        lambda: fitted.robust_covariance_of_params_,
        lambda: fitted.confidence_intervals(robust=True),
        lambda: DensityMLE("gamma", robust_errors=True).partial_fit(SKEWED).robust_standard_errors_,
    ):
        with pytest.raises(AttributeError, match=r"robust_covariance\(X\).*robust_errors=True"):
            call()
    for call in (fitted.robust_covariance, fitted.robust_standard_errors):
        with pytest.raises(ValueError, match="rows of the fit"):
            call(None)
    with pytest.raises(ValueError, match="method='bootstrap' refits the rows"):
        fitted.confidence_intervals(method="bootstrap")
    with pytest.raises(ValueError, match="NaN: row 1, column 0"):
        fitted.robust_covariance([[1.0], [np.nan]])
    known = DensityMLE.from_parameters("gamma", shape=2.0, scale=1.0)
    for call in (
        lambda: known.standard_errors_,
        lambda: known.robust_standard_errors(SKEWED),
        lambda: known.tic(SKEWED),
        known.confidence_intervals,
        lambda: known.bootstrap(SKEWED),
    ):
        with pytest.raises(AttributeError, match="known parameters"):
            call()
