"""ProductDensity: sums over groups, parameters, chunks, files and divergences."""

import pickle

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkl import (
    DensityMLE,
    ProductDensity,
    TransformedDensity,
    compare_densities,
    cross_entropy,
    entropy,
    families,
    kl_divergence,
    load,
)
from tests.density.composed.products import MIXED, NUMBERS, THREE, N, frame, mixed_columns


@parametrize_with_checks(
    [
        ProductDensity([("all", DensityMLE("normal"), slice(None))]),
        ProductDensity([("first", DensityMLE("normal"), [0]), ("rest", DensityMLE("laplace"), slice(1, None))]),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# -- numbers ---------------------------------------------------------------------------------------------------------------


def test_a_generator_goes_on_from_one_bootstrap_to_the_next():
    X = np.random.default_rng(0).gamma(2.0, size=(100, 2))
    model = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("gamma"), [1])]).fit(X)
    generator = np.random.default_rng(1)
    first, second = (model.bootstrap(X, n_resamples=2, random_state=generator)["a"]["shape"] for _ in range(2))
    assert not np.any(first == second)


def test_sum_of_scipys_log_densities():
    table = frame()
    model = clone(MIXED).fit(table)
    distribution = stats.norm(table["height"].mean(), table["height"].std(ddof=0))
    share = table["colour"].value_counts() / N
    turning = model.params_["heading"]
    logs = np.log(table["income"])
    expected = (
        distribution.logpdf(table["height"])
        + stats.poisson(table["visits"].mean()).logpmf(table["visits"])
        + np.log(table["colour"].astype(object).map(share).astype(float))
        + stats.bernoulli(table["smoker"].mean()).logpmf(table["smoker"])
        + stats.vonmises(turning["concentration"][0], turning["loc"][0]).logpdf(table["heading"])
        + stats.lognorm(logs.std(ddof=0), scale=np.exp(logs.mean())).logpdf(table["income"])
    ).to_numpy()
    np.testing.assert_allclose(model.score_samples(table), expected, rtol=1e-11)
    assert model.log_likelihood_ == pytest.approx(expected.sum(), rel=1e-12)
    assert model.score(table) == pytest.approx(expected.mean(), rel=1e-12)
    assert model.n_parameters_ == 1 + 2 + 2 + 1 + 2 + 2
    assert model.bic(table) == pytest.approx(10 * np.log(N) - 2 * expected.sum(), rel=1e-12)
    assert list(model.params_) == ["visits", "body", "labels", "smoker", "heading", "money"]
    parts = model.group_scores(table)
    np.testing.assert_allclose(parts[:, 1], distribution.logpdf(table["height"]), rtol=1e-11)
    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-11)


def test_errors_and_gradients_are_those_of_the_groups():
    model = clone(THREE).fit(NUMBERS)
    alone = DensityMLE("multivariate_normal").fit(NUMBERS[:, [0, 2]])
    np.testing.assert_array_equal(model.standard_errors_["joint"]["mean"], alone.standard_errors_["mean"])
    rate = NUMBERS[:, 1].mean()
    assert model.standard_errors_["counts"]["rate"][0] == pytest.approx(np.sqrt(rate / N), rel=1e-12)
    low, high = model.confidence_intervals(0.9)["counts"]["rate"]
    assert low[0] < rate < high[0]
    rows, weights = NUMBERS[:50], np.arange(50.0)
    slope = model.gradient(rows, weights)["counts"]["rate"][0]
    assert slope == pytest.approx(np.average(rows[:, 1] / rate - 1.0, weights=weights), rel=1e-12)
    assert np.abs(model.gradient(NUMBERS)["joint"]["mean"]).max() < 1e-10


def test_one_group_is_its_density():
    product = ProductDensity([("all", DensityMLE(), slice(None))]).fit(NUMBERS[:, :3])
    np.testing.assert_array_equal(
        product.score_samples(NUMBERS[:, :3]), DensityMLE().fit(NUMBERS[:, :3]).score_samples(NUMBERS[:, :3])
    )


def test_weights_count_as_repeated_rows():
    table, weights = frame(), np.random.default_rng(1).integers(0, 3, N)
    model, repeated = (
        clone(MIXED).fit(table, sample_weight=weights),
        clone(MIXED).fit(table.loc[table.index.repeat(weights)]),
    )
    np.testing.assert_allclose(model.score_samples(table), repeated.score_samples(table), rtol=1e-11)
    many = table.loc[table.index.repeat(weights)]
    assert model.score(table, sample_weight=weights) == pytest.approx(repeated.score(many), rel=1e-12)
    assert float(model.cross_entropy(table, weights)) == pytest.approx(-repeated.score(many), rel=1e-12)


def test_outside_the_support():
    model = clone(THREE).fit(NUMBERS)
    rows = NUMBERS[:4].copy()
    rows[1, 1], rows[2, 3] = -1.0, 0.5
    assert np.isneginf(model.score_samples(rows)).tolist() == [False, True, True, False]
    assert model.score(rows) == -np.inf
    assert np.isfinite(model.score(rows, sample_weight=[1, 0, 0, 1]))


def test_single_precision():
    single = NUMBERS.astype(np.float32)
    double = single.astype(np.float64)
    model, other = clone(THREE).fit(single), clone(THREE).fit(double)
    np.testing.assert_allclose(model.score_samples(single), other.score_samples(double), rtol=1e-12)


def test_parts_from_elsewhere():
    product = ProductDensity(
        [("a", GaussianMixture(2, random_state=0), [0, 1]), ("b", KernelDensity(bandwidth=0.5), [2, 3])]
    ).fit(np.log1p(NUMBERS))
    rows = np.log1p(NUMBERS)
    expected = GaussianMixture(2, random_state=0).fit(rows[:, :2]).score_samples(rows[:, :2]) + KernelDensity(
        bandwidth=0.5
    ).fit(rows[:, 2:]).score_samples(rows[:, 2:])
    np.testing.assert_allclose(product.score_samples(rows), expected, rtol=1e-10)
    assert product.log_likelihood_ == pytest.approx(expected.sum(), rel=1e-10)
    assert product.sample(7, random_state=0).shape == (7, 4)
    assert product.params_ == {}
    assert not hasattr(product, "partial_fit")
    assert not hasattr(product, "merge")
    with pytest.raises(AttributeError, match="n_parameters_"):
        product.aic(rows)


# -- parameters, chunks, files ---------------------------------------------------------------------------------------------


def test_parameters_of_groups():
    model = clone(MIXED)
    assert model.get_params()["money__family"] == "lognormal"
    assert list(model.get_params(deep=False)) == ["groups"]
    model.set_params(money__family="gamma", body=DensityMLE("laplace"))
    assert [density.family for _, density, _ in model.groups][1::4] == ["laplace", "gamma"]
    assert MIXED.get_params()["money__family"] == "lognormal"
    with pytest.raises(ValueError, match="Invalid parameter"):
        model.set_params(nothing=3)
    search = GridSearchCV(
        MIXED, {"money__family": ["gamma", "lognormal", "exponential"], "body__family": ["normal", "laplace"]}, cv=3
    )
    assert search.fit(frame()).best_params_ == {"money__family": "lognormal", "body__family": "normal"}
    html = search.best_estimator_._repr_html_()
    assert "ProductDensity" in html
    assert "money" in html
    copied = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(copied.score_samples(frame()), search.best_estimator_.score_samples(frame()))


def test_weights_are_routed_through_a_grid_search():
    weights = np.random.default_rng(2).integers(1, 4, N)
    folds = [(np.arange(200), np.arange(200, N)), (np.arange(200, N), np.arange(200))]
    of_repeated = np.repeat(np.arange(N), weights)
    repeated = [tuple(np.flatnonzero(np.isin(of_repeated, part)) for part in fold) for fold in folds]
    grid = {"counts__family": ["poisson", "negative_binomial"]}
    with sklearn.config_context(enable_metadata_routing=True):
        model = clone(THREE).set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        weighted = GridSearchCV(model, grid, cv=folds).fit(NUMBERS, sample_weight=weights)
    same = GridSearchCV(clone(THREE), grid, cv=repeated).fit(NUMBERS[of_repeated])
    np.testing.assert_allclose(weighted.cv_results_["mean_test_score"], same.cv_results_["mean_test_score"], rtol=1e-9)
    plain = GridSearchCV(clone(THREE), grid, cv=folds).fit(NUMBERS)
    assert abs(plain.best_score_ - same.best_score_) > 1e-4


def test_chunks_and_merging():
    table = frame()
    whole = clone(MIXED).fit(table)
    parts, halves = clone(MIXED), [clone(MIXED).fit(table.iloc[:150]), clone(MIXED).fit(table.iloc[150:])]
    for low, high in ((0, 1), (1, 30), (30, N)):
        parts.partial_fit(table.iloc[low:high])
    merged = halves[0].merge(halves[1])
    for other in (parts, merged):
        np.testing.assert_allclose(other.score_samples(table), whole.score_samples(table), rtol=1e-11)
        assert other.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    assert float(kl_divergence(halves[1], clone(MIXED).fit(table.iloc[150:]))) == 0.0
    with pytest.raises(ValueError, match="same groups"):
        clone(THREE).fit(NUMBERS).merge(merged)
    with pytest.raises(ValueError, match="merge takes"):
        merged.merge(DensityMLE().fit(NUMBERS[:, :2]))
    begun = clone(MIXED).merge(merged)
    np.testing.assert_array_equal(begun.score_samples(table), merged.score_samples(table))
    assert begun.dtypes_ == merged.dtypes_


@pytest.mark.parametrize("kind", ["arrays", "parquet"])
def test_rows_that_are_not_in_memory(kind, tmp_path):
    table = frame()
    if kind == "parquet":
        pytest.importorskip("pyarrow")
        source = tmp_path / "table.parquet"
        table.assign(colour=table["colour"].astype(str), smoker=table["smoker"].astype(int)).to_parquet(source)
        model, rows = clone(MIXED), table
    else:
        model, rows = clone(THREE), NUMBERS
        source = [rows[:10], rows[10:250], rows[250:]]
    whole, streamed = clone(model).fit(rows), model.fit_batches(source, batch_rows=37)
    assert streamed.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    assert repr(streamed) == repr(whole)
    np.testing.assert_allclose(streamed.score_samples_batches(source), whole.score_samples(rows), rtol=1e-10)
    estimate, expected = streamed.score_batches(source), whole.cross_entropy(rows)
    assert float(estimate) == pytest.approx(-float(expected), rel=1e-12)
    assert estimate.standard_error == pytest.approx(expected.standard_error, rel=1e-9)
    if kind == "parquet":
        assert list(streamed.feature_names_in_) == list(table.columns)
        np.testing.assert_allclose(streamed.score_samples(table), whole.score_samples(table), rtol=1e-10)
    else:
        weighted = clone(THREE).fit_batches(rows, sample_weight=np.arange(float(N)), batch_rows=50)
        direct = clone(THREE).fit(rows, sample_weight=np.arange(float(N)))
        np.testing.assert_allclose(weighted.score_samples(rows), direct.score_samples(rows), rtol=1e-10)


def test_files(tmp_path):
    table = frame()
    chosen = clone(MIXED)
    chosen.groups[3] = ("smoker", DensityMLE("bernoulli"), make_column_selector(dtype_include=bool))
    for model in (clone(MIXED).fit(table), chosen.fit(table)):
        model.save(tmp_path / "model")
        read = load(tmp_path / "model")
        np.testing.assert_array_equal(read.score_samples(table), model.score_samples(table))
        assert read.sample(9, random_state=1).equals(model.sample(9, random_state=1))
        assert read.n_parameters_ == model.n_parameters_
        assert float(kl_divergence(read, model)) == 0.0
        first, second = (density.partial_fit(table.iloc[:50]).log_likelihood_ for density in (read, model))
        assert first == second
    assert chosen.groups[3][2] is not None
    assert read.groups[3][2] == [3]
    assert read.groups[4][2] == slice("heading", "heading")
    assert clone(read).fit(table).log_likelihood_ == pytest.approx(clone(MIXED).fit(table).log_likelihood_)


def test_a_wide_family_object_in_a_group():
    product = ProductDensity(
        [("t", DensityMLE(families.StudentT(df=4)), [0]), ("rest", DensityMLE("normal"), [1, 2, 3])]
    )
    assert product.set_params(t__family__df=5.0).fit(NUMBERS).params_["t"]["df"][0] == 5.0


# -- divergences -----------------------------------------------------------------------------------------------------------


def two_products():
    rows = [
        np.column_stack([mixed_columns(seed)[name].astype(float) for name in ("height", "visits", "smoker")])
        for seed in (0, 1)
    ]
    groups = [("h", DensityMLE("normal"), [0]), ("v", DensityMLE("poisson"), [1]), ("s", DensityMLE("bernoulli"), [2])]
    return rows, [ProductDensity(groups).fit(part) for part in rows]


def test_divergence_of_two_products_is_a_sum_of_closed_forms():
    _, (p, q) = two_products()
    (m, s), (a, b) = ((d.params_["h"]["loc"][0], d.params_["h"]["scale"][0]) for d in (p, q))
    lam, mu = (d.params_["v"]["rate"][0] for d in (p, q))
    x, y = (d.params_["s"]["probability"][0] for d in (p, q))
    expected = (
        np.log(b / s) + (s**2 + (m - a) ** 2) / (2 * b**2) - 0.5
        + lam * np.log(lam / mu) - lam + mu
        + x * np.log(x / y) + (1 - x) * np.log((1 - x) / (1 - y))
    )  # fmt: skip
    estimate = kl_divergence(p, q)
    assert float(estimate) == pytest.approx(expected, rel=1e-12)
    assert estimate.standard_error == 0.0
    assert estimate.method == "exact"
    own = stats.norm(m, s).entropy() + stats.poisson(lam).entropy() + stats.bernoulli(x).entropy()
    assert float(entropy(p)) == pytest.approx(own, rel=1e-9)
    assert float(cross_entropy(p, q)) - float(entropy(p)) == pytest.approx(expected, rel=1e-10)
    assert float(kl_divergence(p, p)) == 0.0


def test_divergence_with_a_group_by_draws():
    rows, _ = two_products()
    groups = [
        ("h", DensityMLE("logistic"), [0]),
        ("v", DensityMLE("poisson"), [1]),
        ("s", DensityMLE("bernoulli"), [2]),
    ]
    p, q = (ProductDensity(groups).fit(part) for part in rows)
    estimate = kl_divergence(p, q, n_draws=100_000, random_state=0)
    parts = [kl_divergence(p.densities_[name], q.densities_[name], n_draws=100_000, random_state=0) for name in "hvs"]
    assert estimate.standard_error == pytest.approx(parts[0].standard_error, rel=0.05)
    assert abs(estimate - sum(map(float, parts))) < 5 * estimate.standard_error
    assert estimate.method == "monte_carlo"
    assert [float(part) for part in parts[1:]] == pytest.approx(estimate.diagnostics["parts"][1:], rel=1e-12)


def test_divergence_of_products_with_other_groups_is_drawn():
    rows, (p, _) = two_products()
    joint = ProductDensity(
        [("sv", DensityMLE("poisson"), [1]), ("s", DensityMLE("bernoulli"), [2]), ("h", DensityMLE("laplace"), [0])]
    )
    q = joint.fit(rows[1])
    pair = ProductDensity([("d", DensityMLE("poisson"), [1, 2]), ("h", DensityMLE("laplace"), [0])]).fit(rows[1])
    assert float(kl_divergence(p, q, random_state=0)) > 0.0
    drawn = kl_divergence(p, pair, random_state=0)
    exact_parts = kl_divergence(p, ProductDensity([("v", DensityMLE("poisson"), [1]), ("s", DensityMLE("poisson"), [2]),
                                                   ("h", DensityMLE("laplace"), [0])]).fit(rows[1]), random_state=1)  # fmt: skip
    assert abs(drawn - exact_parts) < 4 * np.hypot(drawn.standard_error, exact_parts.standard_error)
    continuous = ProductDensity([("all", DensityMLE("normal"), slice(None))]).fit(rows[1])
    with pytest.raises(ValueError, match="not of the same ones"):
        kl_divergence(p, continuous)
    with pytest.raises(ValueError, match="not of the same ones"):
        kl_divergence(DensityMLE().fit(rows[0]), p)


def test_divergence_from_a_sample():
    rows, (p, q) = two_products()
    truth = kl_divergence(p, q)
    big = p.sample(4000, random_state=0)
    estimate = q.kl_divergence(big, random_state=0)
    assert estimate.method == "draws"  # the entropy of mixed rows has no estimate from distances
    assert abs(float(estimate) - float(truth)) < 4 * estimate.standard_error + 0.02
    with pytest.raises(ValueError, match="discrete and continuous columns"):
        kl_divergence(big, q, route="density")
    assert compare_densities({"q": q, "p": p}, rows[0]).best == "p"
    labels = ProductDensity([("c", DensityMLE("categorical"), ["colour"]), ("v", DensityMLE("poisson"), ["visits"])])
    discrete = labels.fit(frame()[["visits", "colour"]])
    assert discrete.discrete_
    found = discrete.kl_divergence(frame()[["visits", "colour"]])
    assert found.method == "plugin"
    counts = frame().groupby(["visits", "colour"], observed=True).size() / N
    expected = -float(entropy_of(counts)) - discrete.score(frame()[["visits", "colour"]])
    assert float(found) == pytest.approx(expected, rel=1e-10)


def entropy_of(shares):
    return -np.sum(shares * np.log(shares))


@pytest.mark.parametrize(
    "make",
    [
        lambda: DensityMLE("normal"),
        lambda: ProductDensity([("a", DensityMLE("normal"), ["x"]), ("b", DensityMLE("lognormal"), ["y"])]),
        lambda: TransformedDensity(FunctionTransformer(np.log, np.exp), DensityMLE("normal")),
    ],
    ids=["family", "product", "transformed"],
)
def test_one_that_has_seen_no_rows_takes_over_those_of_the_other(make):
    """As the start of a sum over parts does; products and transformed densities refused what a family's density does."""
    generator = np.random.default_rng(0)
    tables = [pd.DataFrame(generator.gamma(3.0, size=(n, 2)), columns=["x", "y"]) for n in (30, 50)]
    total = make()
    for table in tables:
        assert total.merge(make().fit(table)) is total
    whole = pd.concat(tables)
    expected = make().fit(whole)
    assert list(total.feature_names_in_) == ["x", "y"]
    np.testing.assert_allclose(total.score_samples(whole), expected.score_samples(whole), rtol=1e-10)
    np.testing.assert_allclose(total.log_likelihood_, expected.log_likelihood_, rtol=1e-12)


def test_an_unfitted_product_takes_over_only_its_own_groups():
    X = np.random.default_rng(0).gamma(3.0, size=(30, 2))
    fitted = ProductDensity([("a", DensityMLE("normal"), [0]), ("b", DensityMLE("normal"), [1])]).fit(X)
    other = ProductDensity([("a", DensityMLE("normal"), [0, 1])])
    with pytest.raises(ValueError, match="same groups"):
        other.merge(fitted)
    chosen = ProductDensity([("a", DensityMLE("normal"), lambda X: [0]), ("b", DensityMLE("normal"), [1])])
    with pytest.raises(ValueError, match="a callable could choose"):
        chosen.merge(fitted)
    assert not hasattr(other, "n_features_in_")
    assert not hasattr(chosen, "n_features_in_")


def test_the_picture_of_many_groups_shows_some():
    X = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 200)), columns=[f"c{j}" for j in range(200)])
    model = ProductDensity([(name, DensityMLE("normal"), [name]) for name in X.columns]).fit(X)
    assert "170 more" in model._repr_html_()
    assert len(model._repr_html_()) < 400_000
    few = ProductDensity([(name, DensityMLE("normal"), [name]) for name in X.columns[:30]]).fit(X.iloc[:, :30])
    assert "more: groups_" not in few._repr_html_()
