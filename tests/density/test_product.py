"""ProductDensity: sums over groups, columns of every kind, tables, chunks, files, divergences, and proposals."""

import pickle

import numpy as np
import pytest
import sklearn
from scipy import stats
from sklearn.base import clone
from sklearn.compose import make_column_selector
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkl import (
    DensityMLE,
    ProductDensity,
    compare_densities,
    cross_entropy,
    entropy,
    families,
    kl_divergence,
    load,
    make_product_density,
)
from fastkl.density.columns import column_numbers
from fastkl.density.product_proposal import COUNTS, POSITIVE, REAL
from fastkl.exceptions import DegenerateDataError, SupportError

N = 400


def mixed_columns(seed, n=N):
    rng = np.random.default_rng(seed)
    return {
        "height": rng.normal(170.0, 8.0, n),
        "visits": rng.poisson(3.0, n),
        "colour": rng.choice(["red", "green", "blue"], n, p=[0.5, 0.3, 0.2]),
        "smoker": rng.random(n) < 0.3,
        "heading": rng.vonmises(0.5, 2.0, n),
        "income": rng.lognormal(10.0, 0.5, n),
    }


def frame(seed=0, n=N):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(mixed_columns(seed, n))
    return table.assign(colour=table["colour"].astype("category"))


MIXED = ProductDensity(
    [
        ("visits", DensityMLE("poisson"), ["visits"]),
        ("body", DensityMLE("normal"), "height"),
        ("labels", DensityMLE("categorical"), ["colour"]),
        ("smoker", DensityMLE("bernoulli"), [3]),
        ("heading", DensityMLE("von_mises"), slice("heading", "heading")),
        ("money", DensityMLE("lognormal"), [-1]),
    ]
)
NUMBERS = np.column_stack([mixed_columns(3)[name].astype(float) for name in ("height", "visits", "income", "smoker")])
THREE = ProductDensity(
    [
        ("counts", DensityMLE("poisson"), [1]),
        ("joint", DensityMLE("multivariate_normal"), [0, 2]),
        ("bit", DensityMLE("bernoulli"), slice(3, None)),
    ]
)


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


def test_sum_of_scipys_log_densities():
    table = frame()
    model = clone(MIXED).fit(table)
    law = stats.norm(table["height"].mean(), table["height"].std(ddof=0))
    share = table["colour"].value_counts() / N
    turning = model.params_["heading"]
    logs = np.log(table["income"])
    expected = (
        law.logpdf(table["height"])
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
    np.testing.assert_allclose(parts[:, 1], law.logpdf(table["height"]), rtol=1e-11)
    np.testing.assert_allclose(parts.sum(axis=1), expected, rtol=1e-11)


def test_errors_and_gradients_are_those_of_the_groups():
    model = clone(THREE).fit(NUMBERS)
    alone = DensityMLE("multivariate_normal").fit(NUMBERS[:, [0, 2]])
    for name in ("standard_errors_", "robust_standard_errors_"):
        np.testing.assert_array_equal(getattr(model, name)["joint"]["mean"], getattr(alone, name)["mean"])
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


# -- columns ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "expected"),
    [
        ("b", [1]),
        (["c", "a"], [2, 0]),
        (2, [2]),
        (-1, [3]),
        ([0, -2], [0, 2]),
        (np.array([1, 3]), [1, 3]),
        (slice(1, 3), [1, 2]),
        (slice("b", "d"), [1, 2, 3]),
        (slice("c", None), [2, 3]),
        (slice(None, "b"), [0, 1]),
        ([True, False, False, True], [0, 3]),
        (np.array([False, True, False, False]), [1]),
        (lambda X: ["d"], [3]),
        (slice(None), [0, 1, 2, 3]),
    ],
)
def test_column_numbers(columns, expected):
    assert column_numbers(columns, None, list("abcd"), 4) == expected


@pytest.mark.parametrize(
    ("columns", "names", "error", "message"),
    [
        ("height", ["heigth", "b"], ValueError, "no column 'height'. Did you mean 'heigth'"),
        (["z"], ["a", "b"], ValueError, "columns are: a, b"),
        ("a", None, ValueError, "without names"),
        (2, None, ValueError, "no column 2.* from 0 to 1"),
        (-3, None, ValueError, "no column -3"),
        ([True], None, ValueError, "mask of 1"),
        ([1.0], None, TypeError, "not by 1.0"),
        ([True, 1, 0], None, TypeError, "not by True"),
    ],
)
def test_wrong_columns(columns, names, error, message):
    with pytest.raises(error, match=message):
        column_numbers(columns, None, names, 2)


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([("a", DensityMLE(), [0, 1])], r"No group claims columns 2, 3"),
        ([("a", DensityMLE(), [0, 1]), ("b", DensityMLE(), [1, 2, 3])], "'a' and 'b' both claim column 1;"),
        ([("a", DensityMLE(), [0, 0, 1, 2, 3])], "'a' and 'a' both claim column 0"),
        ([("a", DensityMLE(), slice(None)), ("b", DensityMLE(), [])], r"Group 'b': columns=\[\] selects none"),
        ([("a", DensityMLE(), [0, 7])], "Group 'a': There is no column 7"),
        ([("a", DensityMLE(), slice(None)), ("a", DensityMLE(), [])], "unique"),
        ([("a__b", DensityMLE(), slice(None))], "must not contain __"),
        ([("groups", DensityMLE(), slice(None))], "conflict"),
        ([], "list of"),
        ([("a", DensityMLE())], "list of"),
        (None, "list of"),
    ],
)
def test_wrong_groups(groups, message):
    with pytest.raises(ValueError, match=message):
        ProductDensity(groups).fit(NUMBERS)


def test_a_part_that_is_no_density():
    with pytest.raises(TypeError, match="Group 'a': its density is a density such as"):
        ProductDensity([("a", 3, slice(None))]).fit(NUMBERS)
    with pytest.raises(ValueError, match=r"Group 'b' \(columns 1, 2, 3.* takes no sample_weight"):
        ProductDensity([("a", DensityMLE(), [0]), ("b", GaussianMixture(), [1, 2, 3])]).fit(
            NUMBERS, sample_weight=np.ones(N)
        )


def test_messages_name_group_and_column_and_nothing_is_changed():
    table = frame()
    model = clone(MIXED).fit(table)
    before = pickle.dumps(vars(model))
    cases = [
        (
            table.assign(visits=-1),
            SupportError,
            r"Group 'visits' \(column 'visits'\): .*row 0, column 0 \('visits'\) holds -1",
        ),
        (
            table.assign(height=2.0),
            DegenerateDataError,
            r"Group 'body' \(column 'height'\): Column 0 \('height'\) is constant",
        ),
        (table.assign(height=np.nan), ValueError, r"Group 'body'.*contains NaN: row 0, column 0 \('height'\)"),
        (table.assign(height="tall"), ValueError, r"Group 'body'.*Row 0, column 0 \('height'\) holds 'tall'"),
        (table.assign(colour=None), ValueError, r"Group 'labels'.*row 0, column 0 \('colour'\) holds"),
        (table.drop(columns="income"), ValueError, "both claim column 4"),
        (table.iloc[:0], ValueError, "0 sample"),
    ]
    for bad, error, message in cases:
        with pytest.raises(error, match=message):
            model.fit(bad)
        assert pickle.dumps(vars(model)) == before
    with pytest.raises(SupportError, match="Group 'visits'"):
        model.partial_fit(table.assign(visits=-1))
    assert pickle.dumps(vars(model)) == before
    rows = NUMBERS.copy()
    rows[5, 1] = 0.5
    with pytest.raises(
        SupportError, match=r"Group 'counts' \(column 1, counted from 0 in what follows\).*row 5, column 0"
    ):
        clone(THREE).fit(rows)
    with pytest.raises(ValueError, match="feature names"):
        model.score(table[table.columns[::-1]])


# -- tables ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries(library):
    table, module = frame(), pytest.importorskip(library)
    columns = {name: values.tolist() for name, values in mixed_columns(0).items()}
    other = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    here, there = clone(MIXED).fit(table), clone(MIXED).fit(other)
    np.testing.assert_allclose(there.score_samples(other), here.score_samples(table), rtol=1e-12)
    np.testing.assert_allclose(here.score_samples(other), here.score_samples(table), rtol=1e-12)
    drawn = there.sample(20, random_state=0)
    assert isinstance(drawn, np.ndarray)
    assert drawn.dtype == object
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        assert np.isfinite(there.score_samples(drawn)).all()


def test_columns_by_type():
    table = frame()
    model = ProductDensity(
        [
            ("labels", DensityMLE("categorical"), make_column_selector(dtype_include="category")),
            ("bits", DensityMLE("bernoulli"), make_column_selector(dtype_include=bool)),
            ("counts", DensityMLE("poisson"), make_column_selector(dtype_include="int")),
            ("numbers", DensityMLE("normal"), make_column_selector(dtype_include="float")),
        ]
    ).fit(table)
    assert [numbers for _, _, numbers in model.groups_] == [[2], [3], [1], [0, 4, 5]]
    assert list(model.densities_["numbers"].feature_names_in_) == ["height", "heading", "income"]


def test_draws_are_a_table_like_the_fitted_one():
    table = frame()
    model = clone(MIXED).fit(table)
    drawn = model.sample(3000, random_state=0)
    assert list(drawn.columns) == list(table.columns)
    assert drawn.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    assert drawn.equals(model.sample(3000, random_state=0))
    assert np.isfinite(model.score_samples(drawn)).all()
    again = clone(model).fit(drawn)
    assert float(kl_divergence(model, again)) < 0.01
    estimate = model.cross_entropy(drawn)
    assert abs(float(estimate) - float(entropy(model))) < 4 * estimate.standard_error
    numbers = clone(THREE).fit(NUMBERS).sample(5, random_state=np.random.default_rng(0))
    assert numbers.dtype == np.float64
    assert numbers.shape == (5, 4)


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
    with pytest.raises(ValueError, match="no rows yet"):
        clone(MIXED).merge(merged)


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
    estimate = kl_divergence(p, q, random_state=0)
    parts = [kl_divergence(p.densities_[name], q.densities_[name], random_state=0) for name in "hvs"]
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


# -- proposals -------------------------------------------------------------------------------------------------------------


def test_proposal_for_a_table():
    table = frame()
    model = make_product_density(table, angles=["heading"])
    assert {name: density.family for name, density, _ in model.groups} == {
        "height": "normal",
        "visits": "poisson",
        "colour": "categorical",
        "smoker": "bernoulli",
        "heading": "von_mises",
        "income": "lognormal",
    }
    assert not hasattr(model, "groups_")
    assert np.isfinite(model.fit(table).score(table))
    polars = pytest.importorskip("polars")
    other = make_product_density(
        polars.DataFrame({k: v.tolist() for k, v in mixed_columns(0).items()}), angles="heading"
    )
    assert repr(other) == repr(make_product_density(table, angles="heading"))


@pytest.mark.parametrize(
    ("draw", "family"),
    [
        (lambda rng: rng.normal(size=2000), "normal"),
        (lambda rng: rng.standard_t(3, size=2000), "student_t"),
        (lambda rng: rng.laplace(size=2000), "laplace"),
        (lambda rng: rng.logistic(size=2000), "logistic"),
        (lambda rng: rng.gamma(2.0, size=2000), "gamma"),
        (lambda rng: rng.weibull(3.0, size=2000), "weibull"),
        (lambda rng: rng.lognormal(size=2000), "lognormal"),
        (lambda rng: rng.beta(0.5, 0.5, size=2000), "beta"),
        (lambda rng: rng.poisson(4.0, size=2000), "poisson"),
        (lambda rng: rng.negative_binomial(2, 0.3, size=2000), "negative_binomial"),
        (lambda rng: rng.poisson(4.0, size=2000) * (rng.random(2000) < 0.6), "zero_inflated_poisson"),
        (lambda rng: rng.integers(0, 2, size=2000), "bernoulli"),
        (lambda rng: rng.binomial(200, 0.5, size=2000) - 100, "normal"),
    ],
)
def test_proposal_finds_the_family(draw, family):
    values = draw(np.random.default_rng(0))[:, np.newaxis]
    assert make_product_density(values).groups[0][1].family == family


@pytest.mark.parametrize("criterion", ["aic", "bic"])
def test_no_candidate_has_a_lower_criterion(criterion):
    for values in NUMBERS.T[:3, :, np.newaxis]:
        chosen = make_product_density(values, criterion=criterion).groups[0][1].family
        candidates = COUNTS if chosen in COUNTS else REAL + POSITIVE
        found = {name: getattr(DensityMLE(name).fit(values), criterion)(values) for name in candidates}
        assert chosen == min(found, key=found.get)


def test_proposal_reads_weights():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(5, 1, 500), rng.lognormal(0, 1, 500)])[:, np.newaxis]
    values = np.abs(values)
    for half, family in ((slice(0, 500), "normal"), (slice(500, 1000), "lognormal")):
        weights = np.zeros(1000)
        weights[half] = 1.0
        assert make_product_density(values, sample_weight=weights).groups[0][1].family == family


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"height": 3.0}, DegenerateDataError, r"Column 0 \('height'\) is constant: 3.0"),
        ({"colour": "red"}, DegenerateDataError, r"Column 2 \('colour'\) is constant: red"),
        ({"height": np.nan}, ValueError, r"Row 0, column 0 \('height'\) holds nan"),
        ({"colour": None}, ValueError, r"Row 0, column 2 \('colour'\) is missing"),
        ({"height": np.datetime64("2020-01-01")}, TypeError, r"Column 0 \('height'\) holds datetime64"),
    ],
)
def test_proposal_refuses(change, error, message):
    with pytest.raises(error, match=message):
        make_product_density(frame().assign(**change), angles="heading")


def test_proposal_goes_by_types():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {
            "code": pd.Categorical(rng.integers(1, 4, N)),
            "nullable": pd.array(rng.poisson(3.0, N), dtype="Int64"),
            "whole": np.rint(rng.normal(70.0, 10.0, N)),
            "flag": pd.array(rng.random(N) < 0.5, dtype="boolean"),
            "text": pd.array(rng.choice(["a", "b"], N), dtype="string"),
        }
    )
    model = make_product_density(table)
    found = [density.family for _, density, _ in model.groups]
    assert found[:2] == ["categorical", "poisson"]
    assert found[2] in REAL + POSITIVE
    assert found[3:] == ["bernoulli", "categorical"]
    model.fit(table)
    drawn = model.sample(50, random_state=0)
    assert drawn.dtypes.astype(str).tolist() == table.dtypes.astype(str).tolist()
    assert np.isfinite(model.score_samples(drawn)).all()
    with pytest.raises(ValueError, match=r"Row 3, column 0 \('code'\) is missing"):
        make_product_density(table.assign(code=table["code"].where(np.arange(N) != 3)))
    with pytest.raises(TypeError, match=r"\('text'\) holds dates"):
        make_product_density(table.assign(text=np.array([pd.Timestamp("2020-01-01").date()] * N, dtype=object)))


def test_proposal_checks_its_options():
    with pytest.raises(ValueError, match="criterion"):
        make_product_density(NUMBERS, criterion="score")
    with pytest.raises(ValueError, match="no column 'x'"):
        make_product_density(frame(), angles="x")
    with pytest.raises(ValueError, match="0 sample|needs rows"):
        make_product_density(frame().iloc[:0])


def test_proposal_names():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame(NUMBERS[:, :3], columns=["a__b", "groups", "a_b"])
    model = make_product_density(table)
    assert [name for name, _, _ in model.groups] == ["a_b", "groups_", "a_b_2"]
    assert np.isfinite(model.fit(table).score(table))
    numbered = pd.DataFrame({0: NUMBERS[:, 0], 1: NUMBERS[:, 1]})
    assert [name for name, _, _ in make_product_density(numbered).fit(numbered).groups] == ["x0", "x1"]
    objects = np.array([["a", 1.5, 3], ["b", 2.5, 4], ["a", 0.5, 9]] * 9, dtype=object)
    mixed = make_product_density(objects)
    assert [density.family for _, density, _ in mixed.groups][0::2] == ["categorical", "poisson"]
    assert np.isfinite(mixed.fit(objects).score(objects))


def test_a_wide_family_object_in_a_group():
    product = ProductDensity(
        [("t", DensityMLE(families.StudentT(df=4)), [0]), ("rest", DensityMLE("normal"), [1, 2, 3])]
    )
    assert product.set_params(t__family__df=5.0).fit(NUMBERS).params_["t"]["df"][0] == 5.0
