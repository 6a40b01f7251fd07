"""Columns are matched by name and probabilities by label; what looks like a call meant for something else says so."""

import warnings
from collections import Counter
from decimal import Decimal

import numpy as np
import pytest

import fastkl
from fastkl import (
    ColumnOrderWarning,
    DensityMLE,
    KLDivergence,
    ProbabilityVectorWarning,
    SourceError,
    categorical_entropy,
    categorical_kl,
    compare_tables,
    cross_entropy,
    discrete_cross_entropy,
    discrete_entropy,
    discrete_jensen_shannon,
    discrete_kl,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
    kl_divergence_sweep,
    kl_from_log_probs,
    mutual_information,
    pairwise_divergence,
    permutation_test,
    population_stability_index,
)

pd = pytest.importorskip("pandas")


def sweep(p, q):
    return kl_divergence_sweep(p, q, [5])[5]


def p_value(p, q):
    return permutation_test(p, q, n_permutations=99, random_state=0).p_value


def batches(p, q):
    return kl_divergence_batches([p[:50], p[50:]] if hasattr(p, "iloc") else p, q)


def labels(p, q):
    return categorical_kl(p.round() if hasattr(p, "round") else p, q.round(), unseen="smooth")


CALLS = [kl_divergence, jensen_shannon, jeffreys, cross_entropy, sweep, p_value, batches, labels]


def table(seed):
    rng = np.random.default_rng(seed)
    return pd.DataFrame({"a": rng.normal(0, 1, 200), "b": rng.normal(5, 1, 200)})


@pytest.mark.parametrize("call", CALLS)
def test_columns_in_other_order_are_the_same_columns(call):
    p, q = table(0), table(1)
    with pytest.warns(ColumnOrderWarning, match="'a', 'b'"):
        found = call(p, q[["b", "a"]])
    assert float(found) == float(call(p, q))


@pytest.mark.parametrize("call", CALLS)
def test_other_columns_are_refused_and_named(call):
    with pytest.raises(SourceError, match="p lacks 'y' and q lacks 'b'"):
        call(table(0), table(1).rename(columns={"b": "y"}))


@pytest.mark.parametrize("call", CALLS)
def test_a_column_named_twice_is_refused(call):
    q = table(1)
    with pytest.raises(SourceError, match=r"q has two columns named 'a', columns 0 and 1|named 'a', columns 0 and 1"):
        call(table(0), q.set_axis(["a", "a"], axis=1))


def test_arrays_and_numbered_columns_go_by_position():
    p, q = table(0), table(1)
    expected = float(kl_divergence(p, q))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(kl_divergence(p, q.to_numpy())) == expected
        assert float(kl_divergence(p, pd.DataFrame(q.to_numpy()))) == expected
        assert float(kl_divergence(p["a"], q["b"])) > 1.0  # two series are two samples, whatever their names


@pytest.mark.parametrize("call", CALLS)
def test_columns_that_numbers_name_are_matched_too(call):
    p, q = table(0).set_axis([0, 1], axis=1), table(1).set_axis([0, 1], axis=1)
    for names in ([0, 1], [1, 0]):  # whichever of the two only counts
        with pytest.warns(ColumnOrderWarning, match="0, 1|1, 0"):
            found = call(p[names], q[names[::-1]])
        assert float(found) == float(call(p[names], q[names]))
    with pytest.raises(SourceError, match="different columns"):
        call(p, q.set_axis([1, 2], axis=1))


@pytest.mark.parametrize("library", ["polars", "pyarrow"])
def test_tables_of_other_libraries(library):
    module = pytest.importorskip(library)
    make = module.table if library == "pyarrow" else module.DataFrame
    p, q = table(0), table(1)
    columns = {name: q[name].to_numpy() for name in ("b", "a")}
    with pytest.warns(ColumnOrderWarning):
        assert float(kl_divergence(p, make(columns))) == float(kl_divergence(p, q))


def test_probabilities_are_matched_by_label():
    p = pd.Series(list("aaaaaabbbc")).value_counts(normalize=True)
    q = pd.Series(list("ccccccbbba")).value_counts(normalize=True)
    assert discrete_kl(p, q) == pytest.approx(0.5 * np.log(6.0), rel=1e-14)  # .6 log 6 + .1 log(1/6)
    assert discrete_cross_entropy(p, q) == pytest.approx(-0.6 * np.log(0.1) - 0.3 * np.log(0.3) - 0.1 * np.log(0.6))
    lacking = pd.Series(list("aab")).value_counts(normalize=True)
    assert discrete_kl(lacking, p) == pytest.approx(2 / 3 * np.log(2 / 1.8) + 1 / 3 * np.log(1 / 0.9))
    assert discrete_kl(p, lacking) == np.inf
    with pytest.raises(SourceError, match="different labels"):
        discrete_kl(p, q.rename(index=dict(zip("abc", "xyz", strict=True))))
    with pytest.raises(SourceError, match="different labels"):
        discrete_kl(np.log(p), np.log(lacking), logits=True)
    with pytest.raises(SourceError, match="'a' twice"):
        discrete_kl(pd.Series([0.5, 0.5], index=["a", "a"]), p)


@pytest.mark.parametrize("values", [(0, 1), (0.0, 1.0), (False, True)])
def test_labels_that_are_numbers_are_labels(values):
    # three in four are the first value, and one in four: in both counts the more frequent value comes first
    p, q = (pd.Series(np.repeat(values, times)).value_counts() for times in ([75, 25], [25, 75]))
    divergence = 0.5 * np.log(3.0)
    assert discrete_kl(p / 100, q / 100) == pytest.approx(divergence, rel=1e-14)
    assert discrete_kl(q / 100, p / 100) == pytest.approx(divergence, rel=1e-14)
    assert float(categorical_kl(p, q, "plugin", counts=True)) == pytest.approx(divergence, rel=1e-14)
    assert float(population_stability_index(p, q, counts=True)) == pytest.approx(2 * divergence, rel=1e-14)
    classes = pd.DataFrame([[0.2, 0.8], [0.5, 0.5]], columns=list(values))
    assert (discrete_kl(classes, classes.iloc[:, ::-1]) == 0.0).all()


@pytest.mark.parametrize("absent", [np.nan, None])
def test_counts_of_missing_values_are_those_of_one_symbol(absent):
    p, q = (
        pd.Series(values, dtype=object).value_counts(normalize=True, dropna=False)
        for values in ([1, 1, absent, 2], [1, np.nan, np.nan, 2])
    )
    assert discrete_kl(p, q) == pytest.approx(0.5 * np.log(2.0) - 0.25 * np.log(2.0), rel=1e-14)


def test_rows_of_probabilities_are_matched_by_column_and_row():
    rows = np.random.default_rng(0).dirichlet([1.0, 2.0, 3.0], 4)
    p = pd.DataFrame(rows, columns=list("abc"), index=list("wxyz"))
    q = pd.DataFrame(rows[::-1], columns=list("abc"), index=list("wxyz"))
    assert (discrete_kl(p, q[["c", "a", "b"]]) == discrete_kl(rows, rows[::-1])).all()
    assert (discrete_kl(p, q.loc[list("yxwz")]) == discrete_kl(rows, rows[::-1])).all()
    assert (discrete_kl(p, pd.Series([0.2, 0.3, 0.5], index=list("cab"))) == discrete_kl(rows, [0.3, 0.5, 0.2])).all()


def test_counts_are_matched_by_label():
    p, q = pd.Series({"a": 6, "b": 3, "c": 1}), pd.Series({"c": 6, "a": 1, "b": 3, "d": 2})
    assert float(categorical_kl(p, q, counts=True)) == float(categorical_kl([6, 3, 1, 0], [1, 3, 6, 2], counts=True))


def test_rows_that_belong_together_are_not_mixed():
    rng = np.random.default_rng(0)
    x = pd.Series(rng.normal(size=200))
    y = 0.8 * x + 0.6 * rng.normal(size=200)
    labels = (x > 0.0).map({True: "a", False: "b"})
    for call in (
        lambda other: mutual_information(x, other),
        lambda other: mutual_information(x, y, sample_weight=other.abs()),
        lambda other: kl_from_log_probs(-x.abs(), -other.abs()),
        lambda other: kl_from_log_probs(-x.abs(), -y.abs(), sample_weight=other.abs()),
        lambda other: kl_divergence(x.to_frame("a"), y.to_frame("a"), sample_weight_p=other.abs()),
        lambda other: categorical_kl(labels, labels, sample_weight_q=other.abs()),
        lambda other: entropy(x, sample_weight_p=other.abs()),
    ):
        expected = float(call(y))
        with pytest.raises(SourceError, match="same index in different order: row 0 is 0 in one and 199 in the other"):
            call(y.iloc[::-1])
        assert float(call(y.set_axis(range(5, 205)))) == expected  # another index says nothing of the order


@pytest.mark.filterwarnings("ignore:.* of the matrix to doubt")
def test_every_call_for_samples_says_that_it_was_given_probabilities():
    p, q = [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]
    for call, name in (
        (jensen_shannon, "discrete_jensen_shannon"),
        (jeffreys, "discrete_jeffreys"),
        (permutation_test, "discrete_kl"),
        (lambda p, q: kl_divergence_sweep(p, q, 1), "discrete_kl"),
        (population_stability_index, "discrete_jeffreys"),
        (lambda p, q: pairwise_divergence([p, q, [1, 0, 0]]), "rows of one array"),
        (lambda p, q: pairwise_divergence({"before": pd.Series(p), "after": pd.Series(q)}), "rows of one array"),
        (lambda p, q: kl_divergence([0, 1, 0], q), "discrete_kl"),
    ):
        with pytest.warns(ProbabilityVectorWarning, match=name):
            call(p, q)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kl_divergence([0, 1, 0], [1, 0, 0])
        warnings.filterwarnings("ignore", ".* of the matrix to doubt")  # three rows are few
        pairwise_divergence([p, [0.2, 0.3, 0.7]])


def test_the_stability_index_is_of_one_variable():
    x, y = pd.DataFrame({"age": [1.0, 2.0, 3.0]}), pd.DataFrame({"income": [1.0, 2.0, 3.0]})
    with pytest.raises(SourceError, match="reference lacks 'income' and current lacks 'age'"):
        population_stability_index(x, y)


@pytest.mark.parametrize("kind", [list, np.array, pd.Series])
def test_probabilities_in_place_of_samples_draw_a_warning(kind):
    p, q = kind([0.1, 0.6, 0.3]), kind([0.2, 0.3, 0.5])
    for call in (kl_divergence, jensen_shannon, jeffreys):
        with pytest.warns(ProbabilityVectorWarning, match="discrete_kl"):
            call(p, q)
    with pytest.warns(ProbabilityVectorWarning, match="discrete_cross_entropy"):
        cross_entropy(p, q)
    with pytest.warns(ProbabilityVectorWarning, match="discrete_entropy"):
        entropy(p)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kl_divergence(kind([0.1, 0.6, 0.3]), kind([0.2, 0.3, 0.6]))


def test_logarithms_of_probabilities_in_place_of_samples_draw_a_warning():
    """A policy's log-probabilities are no sample; numbers below 0 that are no such logarithms are."""
    p, q = np.log([0.1, 0.6, 0.3]), np.log([0.2, 0.3, 0.5])
    with pytest.warns(ProbabilityVectorWarning, match="logarithms of numbers that sum to 1.*discrete_kl.*logits=True"):
        kl_divergence(p, q)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kl_divergence(p - 0.1, q)
        kl_divergence(-np.arange(1.0, 30.0), -np.sqrt(np.arange(2.0, 31.0)))


@pytest.mark.parametrize("kind", [dict, Counter])
def test_numbers_by_label_name_the_calls_that_take_them(kind):
    with pytest.raises(
        TypeError, match=f"p is a {kind.__name__} with a number for each label.*discrete_kl.*counts=True"
    ):
        kl_divergence(kind({"a": 3, "b": 2}), kind({"a": 1, "b": 5}))
    with pytest.raises(TypeError, match="not an array or a table of rows"):
        kl_divergence({"a": [1.0, 2.0]}, {"a": [1.0, 3.0]})


def test_histograms_in_place_of_samples_draw_a_warning():
    """Counts and heights of the same bins have the same sum and rise and fall together; samples of counts do not."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=500), rng.normal(0.3, 1.0, size=500)
    for density in (False, True):
        p, q = (np.histogram(values, 20, (-4.0, 4.0), density=density)[0] for values in (x, y))
        with pytest.warns(
            ProbabilityVectorWarning, match=r"20 numbers >= 0 .* counts for fastkl.categorical_kl\(counts=True\)"
        ):
            kl_divergence(p, q)
        with pytest.warns(
            ProbabilityVectorWarning, match="fastkl.discrete_jeffreys, or give their counts with counts=True"
        ):
            population_stability_index(p, q)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ProbabilityVectorWarning)
        for _ in range(200):
            p, q = rng.poisson(25.0, size=(2, 20))
            kl_divergence(p, q)
            kl_divergence(p, rng.permutation(p))


def test_calls_that_were_meant_otherwise_are_refused():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    for keywords in ({"route": "draws"}, {"n_draws": 100}):
        with pytest.raises(ValueError, match="p and q are both samples"):
            kl_divergence(x, y, **keywords)
    with pytest.raises(TypeError, match="class DensityMLE"):
        kl_divergence(x, fastkl.DensityMLE)
    with pytest.raises(ValueError, match="one row, or one column"):
        kl_divergence_batches([x, x], [y])


def test_identifiers_are_not_merged():
    identifiers = 2**53 + np.arange(200)
    with pytest.raises(ValueError, match=r"9007199254740993 in row 1, column 0, and 9007199254740992 elsewhere"):
        entropy(identifiers)
    assert np.isfinite(entropy(2**53 + 2 * np.arange(200)))  # which float64 keeps apart


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_identifiers_beside_decimals_are_not_merged(library):
    module = pytest.importorskip(library)
    columns = {"x": np.arange(200.0), "id": 2**53 + np.arange(200)}
    table = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    even = columns | {"id": 2**53 + 2 * np.arange(200)}
    apart = module.table(even) if library == "pyarrow" else module.DataFrame(even)
    calls = [entropy, lambda t: kl_divergence(t, apart), lambda t: permutation_test(apart, t, n_permutations=9)]
    calls += [lambda t: kl_divergence_batches([t], [apart]), lambda t: compare_tables(t, apart, n_permutations=9)]
    calls += [lambda t: compare_tables(apart, t, n_permutations=9)]
    for call in calls:
        with pytest.raises(
            ValueError, match="holds 9007199254740993 in row 1, column 1 .*9007199254740992|column 0 .'id'"
        ):
            call(table)
    assert compare_tables(table, apart, labels=["id"], n_permutations=9).columns[1].kind == "label"
    with pytest.raises(ValueError, match="Q holds 9007199254740993 in row 1"):
        KLDivergence().fit(table)


@pytest.mark.parametrize("kind", [int, Decimal])
def test_whole_numbers_of_python_are_not_merged(kind):
    with pytest.raises(ValueError, match="holds 100000000000000000001 in row 1, column 0"):
        entropy([kind(10**20 + i) for i in range(50)])


def test_decimals_are_numbers():
    x = np.random.default_rng(0).normal(size=50).round(6)
    decimals = pd.DataFrame({"a": [Decimal(f"{value:.6f}") for value in x]})
    assert entropy(decimals) == entropy(x)


def test_a_generator_seeds_draws():
    from scipy.stats import norm

    x = np.random.default_rng(0).normal(size=50)
    values = [float(kl_divergence(norm(), x, random_state=np.random.default_rng(seed))) for seed in (1, 1, 2)]
    assert values[0] == values[1] != values[2]


def test_dicts_are_matched_by_their_keys():
    p, q = {"a": 0.5, "b": 0.3, "c": 0.2}, {"c": 0.6, "a": 0.3, "b": 0.1}
    by_position = [0.5, 0.3, 0.2], [0.3, 0.1, 0.6]
    assert discrete_kl(p, q) == discrete_kl(*by_position)
    assert discrete_entropy(p) == discrete_entropy(by_position[0])
    assert discrete_jensen_shannon({"a": 1.0, "b": 0.0}, {"b": 1.0}) == pytest.approx(np.log(2.0))
    with pytest.raises(SourceError, match="different labels"):
        discrete_kl({"a": 1.0}, {"b": 1.0}, logits=True)
    x, y = list("aabbbbc"), list("cbbaa")
    assert categorical_kl(Counter(x), Counter(y), counts=True) == categorical_kl(x, y)
    assert categorical_entropy(Counter(x), counts=True) == categorical_entropy(x)
    with pytest.raises(TypeError, match="p is a Counter, and labels one by one are expected: set counts=True"):
        categorical_kl(Counter(x), Counter(y))


@pytest.mark.parametrize("call", [kl_divergence, permutation_test, compare_tables, discrete_kl])
@pytest.mark.parametrize("given", [{"a": [0.5, 0.5]}, {0.5, 0.25}, iter([0.5, 0.5])], ids=["dict", "set", "iterator"])
def test_what_is_no_array_is_named(call, given):
    with pytest.raises(TypeError, match="pass pandas.DataFrame"):
        call(given, [0.5, 0.5])


def test_rows_of_other_lengths_and_single_numbers_are_named():
    with pytest.raises(ValueError, match="p: row 0 has length 1, row 1 has length 2"):
        kl_divergence([[1.0], [2.0, 3.0]], [[1.0], [2.0]])
    with pytest.raises(ValueError, match="X: row 0 has length 2, row 2 has length 1"):
        DensityMLE("normal").fit([[1.0, 2.0], (2.0, 3.0), [3.0]])
    with pytest.raises(ValueError, match="p is neither a sample nor a model"):
        kl_divergence(np.array(3.0), np.array(2.0))


def test_the_stability_index_calls_its_arguments_by_their_names():
    table = pd.DataFrame({"l": ["a", "b"], "k": ["c", "d"]})
    with pytest.raises(SourceError, match="reference lacks 'z' and current lacks 'k'"):
        population_stability_index(table, table.rename(columns={"k": "z"}))
    with pytest.raises(ValueError, match="reference has 2 columns and current has 1"):
        population_stability_index(table.to_numpy(), table[["l"]].to_numpy())
    with pytest.raises(ValueError, match="reference has 2 symbols and current 3"):
        population_stability_index([1, 2], [1, 2, 3], counts=True)
