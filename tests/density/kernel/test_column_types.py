"""Tables of mixed columns: values against all pairs written out, digits of statsmodels, labels of all kinds, what is refused."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

import fastkl
from fastkl import KernelDensityMLE
from fastkl.exceptions import DegenerateDataError, RepeatedValuesWarning, SupportError

from .direct import log_label_kernel, mixed_log_densities

rng = np.random.default_rng(0)
N = 240
GROUP, COUNT = rng.choice(3, N, p=[0.5, 0.3, 0.2]), rng.poisson(2.0, N)
X = np.column_stack([rng.normal(size=N) + 2.0 * GROUP, GROUP, rng.normal(size=N) + 0.3 * COUNT, COUNT]).astype(float)
TYPES = {1: "categorical", 3: "ordered"}
TWIN = {1: ("categorical", 3), 3: ("ordered", None)}
WIDTHS = [0.6, 0.2, 0.7, 0.3]
TABLE = pd.DataFrame({"x": X[:, 0], "g": np.array(["a", "b", "c"])[GROUP], "z": X[:, 2], "n": COUNT})
NAMED = {"g": "categorical", "n": "ordered"}
SIZES = ["small", "middle", "large"]
WEIGHTS = rng.uniform(0.5, 2.0, N)


def fitted(**options):
    return KernelDensityMLE(WIDTHS, column_types=TYPES, **options)


# -- values --------------------------------------------------------------------------------------------------------------------


def test_digits_of_statsmodels():
    """KDEMultivariate(var_type="cuo", bw=[.6, .3, .25]) of statsmodels 0.14: log pdf, and the sum of its leave-one-out logs."""
    rows = np.array(
        [[0.3, 2, 5], [-1.04, 1, 2], [0.75, 1, 0], [0.94, 2, 1], [-1.95, 1, 3], [-1.3, 1, 1],
         [0.13, 1, 0], [-0.32, 0, 1], [-0.02, 0, 4], [-0.85, 1, 3], [0.88, 2, 1], [0.78, 0, 1]]
    )  # fmt: skip
    model = KernelDensityMLE([0.6, 0.3, 0.25], column_types=["continuous", "categorical", "ordered"]).fit(rows)
    found = model.score_samples([[0.1, 0, 1], [1.5, 2, 4], [-3.0, 1, 0], [0.0, 2, 9]])
    expected = [-3.0982049430478438, -6.853961191296961, -9.030932377331021, -9.8315254657199]
    np.testing.assert_allclose(found, expected, rtol=1e-11)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov", "tophat", "linear", "cosine"])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_values_are_those_of_all_pairs(kernel, weights):
    model = fitted(kernel=kernel).fit(X, sample_weight=weights)
    queries = np.vstack([X[:60] + np.array([0.3, 0, -0.2, 1]), X[:3] + np.array([30.0, 0, 0, 40])])
    expected = mixed_log_densities(queries, X, WIDTHS, TWIN, kernel, weights)
    np.testing.assert_allclose(model.score_samples(queries), expected, rtol=1e-8)
    own = mixed_log_densities(X, X, WIDTHS, TWIN, kernel, weights, leave_one_out=True)
    np.testing.assert_allclose(model.leave_one_out(), own, rtol=1e-8)


def test_many_rows_go_by_groups_and_keep_the_error():
    big = np.random.default_rng(1)
    group = big.integers(0, 4, 30_000)
    rows = np.column_stack([big.normal(size=30_000) + group, group]).astype(float)
    model = KernelDensityMLE([0.1, 0.05], column_types={1: "categorical"}, error=1e-7).fit(rows)
    queries = np.array([[0.0, 0], [3.0, 1], [9.0, 2], [-20.0, 3]])
    expected = mixed_log_densities(queries, rows, [0.1, 0.05], {1: ("categorical", 4)})
    found = model.score_samples(np.vstack([queries, rows]))
    assert np.all(np.abs(found[:4] - expected) <= 1e-7 + 1e-12 * np.abs(expected))
    threads = clone(model).set_params(n_jobs=2).fit(rows).score_samples(rows[:2000])
    np.testing.assert_array_equal(threads, clone(model).set_params(n_jobs=1).fit(rows).score_samples(rows[:2000]))


def test_labels_with_an_order_and_two_ends_keep_their_mass():
    model = KernelDensityMLE([0.5, 0.4], column_types={1: ("ordered", SIZES)})
    rows = pd.DataFrame({"x": X[:50, 0], "size": np.array(SIZES)[GROUP[:50]]})
    model.fit(rows)
    coded = np.column_stack([X[:50, 0], GROUP[:50]])
    expected = mixed_log_densities(coded, coded, [0.5, 0.4], {1: ("ordered", 3)})
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-9)

    x = np.arange(-8.0, 14.0, 0.05)
    masses = [np.exp(model.score_samples(pd.DataFrame({"x": x, "size": size}))).sum() * 0.05 for size in SIZES]
    assert abs(sum(masses) - 1.0) < 1e-9  # the rule of equal steps is exact to rounding for Gaussians
    last = clone(model).set_params(bandwidth=[0.5, 1.0]).fit(rows)  # the largest bandwidth there is
    assert np.isfinite(last.score_samples(rows)).all()


def test_the_mass_of_all_labels_is_one():
    model = KernelDensityMLE([0.3, 0.4], column_types={0: "categorical", 1: "ordered"}).fit(X[:, [1, 3]])
    cells = np.array([[g, n] for g in range(3) for n in range(-60, 80)], dtype=float)
    assert abs(np.exp(model.score_samples(cells)).sum() - 1.0) < 1e-12
    assert model.discrete_


def test_an_end_of_a_column_of_numbers():
    rows = np.column_stack([np.abs(X[:, 0]), X[:, 1]])
    model = KernelDensityMLE([0.6, 0.2], column_types={1: "categorical"}, boundary="reflect").fit(rows)
    queries = np.array([[0.0, 1], [0.4, 0], [2.0, 2]])
    types = {1: ("categorical", 3)}
    both = [mixed_log_densities(queries * [s, 1], rows, [0.6, 0.2], types) for s in (1.0, -1.0)]
    np.testing.assert_allclose(model.score_samples(queries), np.logaddexp(*both), rtol=1e-9)
    assert model.score_samples([[-0.1, 0.0]])[0] == -np.inf
    with pytest.raises(ValueError, match="has no ends on a line"):
        KernelDensityMLE([0.6, 0.2], column_types={1: "categorical"}, boundary={1: "reflect"}).fit(rows)


def test_adaptive_bandwidths_are_of_the_columns_of_numbers():
    model = fitted(adaptive=True).fit(X)
    local = model.local_bandwidths_
    pilot = fitted().fit(X).score_samples(X)
    np.testing.assert_allclose(local, np.exp(-0.5 * (pilot - pilot.mean())), rtol=1e-8)
    queries = X[:5]
    logs = -0.5 * sum(((queries[:, [j]] - X[:, j]) / (WIDTHS[j] * local)) ** 2 for j in (0, 2)) - 2.0 * np.log(local)
    logs += sum(log_label_kernel(kind, queries[:, j], X[:, j], WIDTHS[j], c) for j, (kind, c) in TWIN.items())
    expected = np.logaddexp.reduce(logs, axis=1) - np.log(N * 2.0 * np.pi * WIDTHS[0] * WIDTHS[2])
    np.testing.assert_allclose(model.score_samples(queries), expected, rtol=1e-8)


def test_slopes_are_those_by_numbers():
    model = fitted().fit(X)
    slopes, step = model.score_gradient(X[:4]), 1e-6
    assert np.isnan(slopes[:, [1, 3]]).all()
    for j in (0, 2):
        up, down = (model.score_samples(X[:4] + sign * step * np.eye(4)[j]) for sign in (1.0, -1.0))
        np.testing.assert_allclose(slopes[:, j], (up - down) / (2 * step), rtol=1e-5, atol=1e-7)


# -- bandwidths of maximum likelihood ------------------------------------------------------------------------------------------


def loo(rows, widths, types, weights=None):
    values = mixed_log_densities(rows, rows, widths, types, weights=weights, leave_one_out=True)
    return np.average(values, weights=weights) * (len(rows) if weights is None else weights.sum())


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_no_other_bandwidths_are_more_likely(weights):
    model = KernelDensityMLE(column_types=TYPES).fit(X, sample_weight=weights)
    at = loo(X, model.bandwidth_, TWIN, weights)
    assert model.converged_
    assert model.loo_log_likelihood_ == pytest.approx(at, rel=1e-9)
    for j in range(4):
        for factor in (0.98, 1.02):
            widths = model.bandwidth_.copy()
            widths[j] = min(widths[j] * factor, 2 / 3) if j == 1 else widths[j] * factor
            assert loo(X, widths, TWIN, weights) <= at + 1e-9
    if model.bandwidth_[1] == 0.0:
        assert loo(X, [model.bandwidth_[0], 1e-4, *model.bandwidth_[2:]], TWIN, weights) <= at


def test_a_column_that_does_not_matter_is_smoothed_out():
    rows = X.copy()
    rows[:, 1] = np.random.default_rng(5).integers(0, 4, N)
    model = KernelDensityMLE(column_types={1: "categorical"}).fit(rows[:, :2])
    types = {1: ("categorical", 4)}
    assert model.bandwidth_[1] > 0.5
    assert model.converged_
    best = max(
        loo(rows[:, :2], [model.bandwidth_[0] * f, w], types) for f in (0.8, 1.0, 1.25) for w in (0.1, 0.4, 0.75)
    )
    assert model.loo_log_likelihood_ >= best - 1e-9


def test_a_column_that_separates_the_rows_has_bandwidth_0():
    centres = np.array([0.0, 50.0, 100.0])
    rows = np.column_stack([X[:, 0] - 2.0 * GROUP + centres[GROUP], GROUP])
    model = KernelDensityMLE(column_types={1: "categorical"}).fit(rows)
    assert model.bandwidth_[1] == 0.0
    assert model.score_samples([[0.0, 1.0]])[0] < -500.0  # nothing of other labels counts, however near


def test_units_and_labels_do_not_matter():
    model = KernelDensityMLE(column_types=TYPES).fit(X)
    other = KernelDensityMLE(column_types=TYPES).fit(X * [1000.0, 1, 1, 1])
    np.testing.assert_allclose(other.bandwidth_, model.bandwidth_ * [1000.0, 1, 1, 1], rtol=1e-6, atol=1e-12)
    named = KernelDensityMLE(column_types=NAMED).fit(TABLE)
    np.testing.assert_allclose(named.bandwidth_, model.bandwidth_, rtol=1e-12)
    np.testing.assert_allclose(named.score_samples(TABLE), model.score_samples(X), rtol=1e-12)


def test_labels_alone():
    model = KernelDensityMLE(column_types=["categorical", "ordered"]).fit(X[:, [1, 3]])
    types = {0: ("categorical", 3), 1: ("ordered", None)}
    at = loo(X[:, [1, 3]], model.bandwidth_, types)
    assert model.loo_log_likelihood_ == pytest.approx(at, rel=1e-12)
    for widths in ([0.1, 0.1], [0.3, 0.05], [0.01, 0.3], model.bandwidth_ * 1.05):
        assert loo(X[:, [1, 3]], widths, types) <= at + 1e-9


def test_closed_form_of_two_labels():
    """Of a rows of one label and b of another: (a log((a - 1)(1 - w) + b w) + b log((b - 1)(1 - w) + a w)), largest at w."""
    a, b = 30, 10
    model = KernelDensityMLE(column_types=["categorical"]).fit([[0.0]] * a + [[1.0]] * b)
    w = np.linspace(0.0, 0.5, 100_001)
    values = a * np.log((a - 1) * (1 - w) + b * w) + b * np.log((b - 1) * (1 - w) + a * w)
    assert abs(model.bandwidth_[0] - w[np.argmax(values)]) < 1e-5
    assert model.loo_log_likelihood_ == pytest.approx(values.max() - (a + b) * np.log(a + b - 1), abs=1e-9)


def test_rows_equal_in_numbers_are_said_to_be():
    rows = np.repeat(X[:40], 2, axis=0)
    with pytest.warns(RepeatedValuesWarning, match="grows without bound"):
        model = KernelDensityMLE(column_types=TYPES).fit(rows)
    assert np.all(model.bandwidth_[[0, 2]] > 0.05)


# -- tables and labels ---------------------------------------------------------------------------------------------------------


def test_a_column_of_rounded_numbers_is_named_beside_labels():
    level = np.arange(40) // 10
    table = pd.DataFrame({"label": ["a"] * 40, "x": level, "y": 100 * level + X[:40, 0]})
    with pytest.warns(RepeatedValuesWarning, match=r"Column 1 \('x'\) has 4 different values"):
        KernelDensityMLE(column_types={"label": "categorical"}).fit(table)


def test_labels_that_were_not_seen_have_density_0():
    model = KernelDensityMLE([0.5, 0.2, 0.5, 0.2], column_types=NAMED).fit(TABLE)
    new = TABLE.iloc[:3].copy()
    new["g"] = ["a", "q", "c"]
    new["n"] = [2, 3, 90]
    scores = model.score_samples(new)
    assert scores[1] == -np.inf
    assert np.isfinite(scores[[0, 2]]).all()  # any whole number may come
    known = KernelDensityMLE(
        [0.5, 0.2, 0.5, 0.2], column_types={"g": ("categorical", ["a", "b", "c", "q"]), "n": "ordered"}
    )
    assert np.isfinite(known.fit(TABLE).score_samples(new)).all()
    new["n"] = [2.5, 3.0, 3.0]
    assert model.score_samples(new)[0] == -np.inf


def test_types_of_pandas_say_labels_and_order():
    sizes = pd.Categorical(np.array(SIZES)[GROUP], categories=[*SIZES, "huge"], ordered=True)
    table = pd.DataFrame({"x": X[:, 0], "size": sizes})
    model = KernelDensityMLE([0.5, 0.3], column_types={"size": "ordered"}).fit(table)
    assert model.categories_[1].tolist() == [*SIZES, "huge"]
    given = KernelDensityMLE([0.5, 0.3], column_types={"size": ("ordered", [*SIZES, "huge"])})
    np.testing.assert_array_equal(
        given.fit(table.astype({"size": str})).score_samples(table), model.score_samples(table)
    )
    drawn = model.sample(500, random_state=0)
    assert isinstance(drawn["size"].dtype, pd.CategoricalDtype) or set(drawn["size"]) <= {*SIZES, "huge"}


def test_draws_have_the_distribution():
    model = KernelDensityMLE(WIDTHS, column_types=NAMED).fit(TABLE)
    drawn = model.sample(40_000, random_state=1)
    assert list(drawn.columns) == list(TABLE.columns)
    assert drawn["n"].dtype == TABLE["n"].dtype
    margin = model.marginal(["g", "n"])
    for label, count in (("a", 0), ("b", 2), ("c", 5)):
        share = np.mean((drawn["g"] == label) & (drawn["n"] == count))
        expected = np.exp(margin.score_samples(pd.DataFrame({"g": [label], "n": [count]}))[0])
        assert abs(share - expected) < 5.0 * np.sqrt(expected / 40_000)
    sizes = KernelDensityMLE([0.4], column_types=[("ordered", SIZES)]).fit(np.array(SIZES)[GROUP][:, None])
    shares = pd.Series(sizes.sample(40_000, random_state=2).ravel()).value_counts(normalize=True)
    for size in SIZES:
        assert abs(shares[size] - np.exp(sizes.score_samples([[size]])[0])) < 0.015


def test_parts_are_sums_of_the_whole():
    model = fitted().fit(X)
    cells = np.array([[x, g, z, n] for x in (0.5,) for z in (0.2,) for g in range(3) for n in range(-50, 60)])
    total = np.logaddexp.reduce(model.score_samples(cells))
    np.testing.assert_allclose(model.marginal([0, 2]).score_samples([[0.5, 0.2]])[0], total, rtol=1e-9)
    margin = model.marginal([3, 0])
    np.testing.assert_allclose(
        margin.score_samples([[1.0, 0.5]]),
        mixed_log_densities(np.array([[1.0, 0.5]]), X[:, [3, 0]], [0.3, 0.6], {0: TWIN[3]}),
    )
    given = model.conditional({1: 2, 2: 0.4})
    whole = model.score_samples([[0.7, 2, 0.4, 1]]) - model.marginal([1, 2]).score_samples([[2, 0.4]])
    np.testing.assert_allclose(given.score_samples([[0.7, 1]]), whole, rtol=1e-9)
    only = model.conditional({1: 1, 3: 2})
    assert only.column_types is None
    assert only.mean().shape == (2,)
    ball = fitted(kernel="epanechnikov").fit(X)
    given = ball.conditional({0: 0.7, 2: 0.4})  # all columns of numbers together
    whole = ball.score_samples([[0.7, 2, 0.4, 1]]) - ball.marginal([0, 2]).score_samples([[0.7, 0.4]])
    np.testing.assert_allclose(given.score_samples([[2, 1]]), whole, rtol=1e-9)
    with pytest.raises(AttributeError, match="products over columns"):
        ball.marginal([0, 1])
    named = KernelDensityMLE(WIDTHS, column_types=NAMED).fit(TABLE)
    np.testing.assert_allclose(named.conditional({"g": "c", "z": 0.4}).score_samples(pd.DataFrame({"x": [0.7], "n": [1]})),
                               model.conditional({1: 2, 2: 0.4}).score_samples([[0.7, 1]]))  # fmt: skip
    with pytest.raises(ValueError, match="density is 0"):
        named.conditional({"g": "q"})


def test_files_copies_grids_and_batches(tmp_path):
    model = KernelDensityMLE(WIDTHS, column_types=NAMED).fit(TABLE)
    model.save(tmp_path / "model")
    again = fastkl.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score_samples(TABLE), model.score_samples(TABLE))
    assert again.sample(5, random_state=0).equals(model.sample(5, random_state=0))
    conditional = model.conditional({"g": "a"})
    conditional.save(tmp_path / "part")
    np.testing.assert_array_equal(
        fastkl.load(tmp_path / "part").score_samples(TABLE[["x", "z", "n"]]),
        conditional.score_samples(TABLE[["x", "z", "n"]]),
    )
    found = GridSearchCV(KernelDensityMLE(column_types=NAMED), {"bandwidth": [WIDTHS, [2.0, 0.5, 2.0, 0.8]]}, cv=3).fit(
        TABLE
    )
    assert found.best_params_["bandwidth"] == WIDTHS
    parts = [TABLE.iloc[:100], TABLE.iloc[100:]]
    in_batches = KernelDensityMLE(WIDTHS, column_types=NAMED).fit_batches(parts)
    np.testing.assert_array_equal(in_batches.score_samples_batches(parts), model.score_samples(TABLE))
    assert float(in_batches.score_batches(parts)) == pytest.approx(model.score(TABLE))
    numbers = fitted().fit(X.astype(np.float32))
    assert numbers.score(X.astype(np.float32)) == pytest.approx(fitted().fit(X).score(X), abs=1e-5)


def test_a_group_of_a_product_and_its_divergence():
    from fastkl import DensityMLE, ProductDensity

    product = ProductDensity([("mixed", fitted(), [0, 1, 2, 3]), ("other", DensityMLE("normal"), [4])])
    rows = np.column_stack([X, X[:, 0] ** 2])
    parts = fitted().fit(X).score_samples(X) + DensityMLE("normal").fit(rows[:, 4:]).score_samples(rows[:, 4:])
    np.testing.assert_allclose(product.fit(rows).score_samples(rows), parts, rtol=1e-12)
    estimate = fastkl.kl_divergence(X, fitted().fit(X), random_state=0)
    assert estimate.method == "draws"


# -- what is refused -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("types", "message"),
    [
        ({"g": "categorial"}, "Did you mean 'categorical'"),
        ({"q": "categorical"}, "has no column 'q'"),
        (["continuous"], "names 1 columns, the table has 4"),
        ({"g": "ordered", "n": "ordered"}, "have no order of their own"),
        ({"n": "ordered"}, r"row 0, column 1 \('g'\) holds '.', which is not a number. Say what the column is"),
        ({"g": ("categorical", ["a", "a", "b"])}, "named once each"),
        ({"g": ("continuous", ["a"])}, "A type is"),
    ],
)
def test_types_that_are_none(types, message):
    with pytest.raises((ValueError, SupportError), match=message):
        KernelDensityMLE(WIDTHS, column_types=types).fit(TABLE)


def test_values_that_are_none_of_the_labels():
    with pytest.raises(SupportError, match="not among its 2 labels"):
        KernelDensityMLE(WIDTHS, column_types={"g": ("categorical", ["a", "b"]), "n": "ordered"}).fit(TABLE)
    rows = X.copy()
    rows[7, 3] = 1.5
    with pytest.raises(SupportError, match="row 7, column 3 holds 1.5, which is no whole number"):
        fitted().fit(rows)
    table = TABLE.copy()
    table.loc[3, "g"] = None
    with pytest.raises(ValueError, match="missing label: row 3"):
        KernelDensityMLE(WIDTHS, column_types=NAMED).fit(table)


def test_bandwidths_and_options_that_do_not_go_with_labels():
    for bandwidth, message in (
        (0.5, "one for each column"),
        ([0.5, 0.7, 0.5, 0.2], "categorical column 1 is a number from 0 to 0.666667"),
        ([0.5, 0.2, 0.5, 1.0], "ordered column 3 is a number from 0 below 1"),
        ([0.0, 0.2, 0.5, 0.2], "above 0; that of column 0"),
        ("silverman", "choose 'likelihood'"),
        ("likelihood_matrix", "choose 'likelihood'"),
    ):
        with pytest.raises(ValueError, match=message):
            KernelDensityMLE(bandwidth, column_types=TYPES).fit(X)
    with pytest.raises(ValueError, match="column_types=None"):
        fitted(bias_reduction="score").fit(X)
    with pytest.raises(DegenerateDataError, match="at least 2 rows"):
        KernelDensityMLE(column_types=TYPES).fit(X[:1])
    with pytest.raises(DegenerateDataError, match=r"Column 2 \('z'\)"):
        KernelDensityMLE(column_types=NAMED).fit(TABLE.assign(z=1.0))
    model = fitted().fit(X)
    with pytest.raises(AttributeError, match="column_types has no cdf"):
        model.cdf(X)
    with pytest.raises(AttributeError, match="no moments"):
        model.mean()


def test_the_kernels_of_labels_are_distributions():
    places = np.arange(4.0)
    for kind, labels, width in (("categorical", 4, 0.3), ("categorical", 4, 0.75), ("ordered", 4, 0.6)):
        assert np.allclose(np.exp(log_label_kernel(kind, places, places, width, labels)).sum(axis=0), 1.0)
