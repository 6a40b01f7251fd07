"""Jensen-Shannon, Jeffreys and the stability index of labels, counts and bins: other routes, expectations, policies."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from fastkl import (
    DegenerateDataError,
    SourceError,
    SupportError,
    categorical_cross_entropy,
    categorical_entropy,
    categorical_jeffreys,
    categorical_jensen_shannon,
    categorical_kl,
    population_stability_index,
)

X, Y = np.array([40, 35, 20, 5]), np.array([30, 30, 25, 15])


def jeffreys(a, b):
    return float((rel_entr(a, b) + rel_entr(b, a)).sum())


def labels(counts):
    return np.repeat(list("abcd"), counts)


# --- Jensen-Shannon -----------------------------------------------------------------------------------------------------------


def test_plug_in_is_that_of_scipy():
    expected = jensenshannon(X / X.sum(), Y / Y.sum()) ** 2
    for p, q, counts in ((X, Y, True), (labels(X), labels(Y), False)):
        assert categorical_jensen_shannon(p, q, "plugin", counts=counts) == pytest.approx(expected, abs=1e-14)
    assert categorical_jensen_shannon(["a"] * 7, ["b"] * 3, "plugin").bits == pytest.approx(1.0, abs=1e-14)


def test_correction_against_a_simulation():
    """Means over samples of distributions whose divergence is known."""
    rng, p, q = np.random.default_rng(0), np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    for a, b in ((p, q), (p, p)):
        truth = jensenshannon(a, b) ** 2
        found = [
            categorical_jensen_shannon(rng.multinomial(60, a), rng.multinomial(90, b), counts=True) for _ in range(2000)
        ]
        spread = np.std(found)
        assert abs(np.mean(found) - truth) < 4 * spread / math.sqrt(2000) + 3e-4
        plain = truth + np.mean([e.diagnostics["bias"] for e in found])
        assert plain - truth > 8 * spread / math.sqrt(2000) or truth > 0
        assert 0.85 < np.mean([e.standard_error for e in found]) / spread < (1.2 if a is not b else 1.6)
    assert np.mean([e.diagnostics["bias"] for e in found]) == pytest.approx(2 / 8 * (1 / 60 + 1 / 90), rel=0.05)


def zipf(k):
    shares = 1.0 / np.arange(1, k + 1)
    return shares / shares.sum()


@pytest.mark.parametrize("k", [10, 100, 1000])
@pytest.mark.parametrize("sizes", [(100, 100), (1000, 1000), (10_000, 10_000), (1000, 3000), (3000, 20_000)])
def test_many_symbols_are_off_by_their_error_or_flagged(k, sizes):
    rng = np.random.default_rng(k)
    uniform, falling = np.full(k, 1.0 / k), zipf(k)
    for p, q in ((uniform, uniform), (falling, falling), (falling, falling[::-1]), (uniform, falling)):
        truth = jensenshannon(p, q) ** 2
        found = [
            categorical_jensen_shannon(rng.multinomial(sizes[0], p), rng.multinomial(sizes[1], q), counts=True)
            for _ in range(60)
        ]
        silent = [e for e in found if not e.diagnostics["bias_suspected"]]
        assert sum(abs(e - truth) > 3.0 * e.standard_error for e in silent) <= 3
        if min(sizes) >= 10 * k:
            assert len(silent) == 60
            assert abs(np.mean(found) - truth) < 0.6 * np.mean([e.standard_error for e in found])
        if min(sizes) <= k >= 100:
            assert not silent


def test_labels_that_hardly_repeat_are_said():
    rng = np.random.default_rng(0)
    found = categorical_jensen_shannon(rng.integers(1000, size=1000), rng.integers(1000, size=1000))
    assert abs(found) < 0.08  # 0.176 by the relative frequencies of shared labels
    there = categorical_kl(rng.integers(1000, size=1000), rng.integers(1000, size=1000))
    assert [r for r in found.diagnostics["reasons"] if "Good-Turing" in r]
    assert [r for r in there.diagnostics["reasons"] if "Good-Turing" in r]
    assert found.diagnostics["coverage_p"] == pytest.approx(1.0 - np.exp(-1.0), abs=0.05)
    plain = categorical_jensen_shannon([3, 2, 1, 2, 1, 1, 2], [1, 2, 3, 1, 2, 2, 1], "plugin", counts=True)
    assert any("corrected" in r for r in plain.diagnostics["reasons"])


UNIFORM = np.random.default_rng(5).multinomial(5000, np.full(200, 0.005), size=2)


@pytest.mark.parametrize(
    ("call", "flag"),
    [
        (lambda p, q: categorical_kl(p, q, counts=True), False),
        (lambda p, q: categorical_kl(p, q, "plugin", counts=True), True),
        (lambda p, q: categorical_kl(p, q, unseen="smooth", counts=True), True),
        (lambda p, q: categorical_cross_entropy(p, q, counts=True), False),
        (lambda p, q: categorical_cross_entropy(p, q, "plugin", counts=True), True),
        (lambda p, q: categorical_jensen_shannon(p, q, counts=True), False),
        (lambda p, q: categorical_jensen_shannon(p, q, "plugin", counts=True), True),
        (lambda p, q: categorical_jeffreys(p, q, counts=True), False),
        (lambda p, q: categorical_jeffreys(p, q, "plugin", counts=True), True),
        (lambda p, q: population_stability_index(p, q, counts=True), True),
        (lambda p, q: categorical_entropy(p, counts=True), False),
        (lambda p, q: categorical_entropy(p, "plugin", counts=True), True),
        (lambda p, q: categorical_entropy(p, "chao_shen", counts=True), True),
        (lambda p, q: categorical_entropy(p, "grassberger", counts=True), False),
    ],
)
def test_a_bias_beyond_the_error_is_said(call, flag):
    """Equal distributions of 200 symbols, 25 rows each: intervals without the correction held the truth in no sample."""
    assert call(*UNIFORM).bias_suspected == flag
    few = call([3000, 2000], [2900, 2100])  # where nothing has to be corrected
    assert not few.bias_suspected


def test_separated_samples_are_one_bit_apart():
    for x, y in (([50, 0], [0, 40]), ([30, 20, 0, 0], [0, 0, 25, 60]), ([9, 8, 7, 0], [0, 0, 0, 3])):
        found = categorical_jensen_shannon(x, y, counts=True)
        assert found == pytest.approx(math.log(2.0), abs=1e-12)
        assert found.standard_error > 0.0


def test_weights_are_repetitions_and_indexes_are_matched():
    w, v = np.array([2, 1, 3, 1]), np.array([1, 4, 1, 2])
    p, q = np.array(list("abca")), np.array(list("bbcd"))
    for call in (categorical_jensen_shannon, lambda *a, **k: categorical_jeffreys(*a, unseen="estimate", **k)):
        weighted = call(p, q, sample_weight_p=w, sample_weight_q=v)
        assert weighted == pytest.approx(call(np.repeat(p, w), np.repeat(q, v)), abs=1e-13)
    first, second = pd.Series({"u": 4, "v": 6}), pd.Series({"v": 5, "w": 5})
    expected = jensenshannon([0.4, 0.6, 0.0], [0.0, 0.5, 0.5]) ** 2
    assert categorical_jensen_shannon(first, second, "plugin", counts=True) == pytest.approx(expected, abs=1e-14)


# --- Jeffreys -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["plugin", "zhang_grabchak"])
def test_jeffreys_is_the_sum_of_both_directions(method):
    found = categorical_jeffreys(X, Y, method, counts=True)
    there, back = categorical_kl(X, Y, method, counts=True), categorical_kl(Y, X, method, counts=True)
    assert found == pytest.approx(there + back, abs=1e-14)
    assert (found.diagnostics["forward"], found.diagnostics["backward"]) == (there, back)
    if method == "plugin":
        assert found == pytest.approx(jeffreys(X / X.sum(), Y / Y.sum()), abs=1e-14)


def test_error_of_jeffreys_against_a_simulation():
    rng, p, q = np.random.default_rng(1), np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.3, 0.4])
    for a, b in ((p, q), (p, p)):
        found = [
            categorical_jeffreys(rng.multinomial(300, a), rng.multinomial(400, b), counts=True) for _ in range(1000)
        ]
        assert abs(np.mean(found) - jeffreys(a, b)) < 4 * np.std(found) / math.sqrt(1000) + 1e-3
        assert 0.85 < np.mean([e.standard_error for e in found]) / np.std(found) < (1.2 if a is not b else 1.7)


def test_unseen_symbols_of_either_side_are_named_the_right_way_round():
    found = categorical_jeffreys(list("aabc"), list("abbd"))
    assert found == math.inf
    assert any("P has 1 symbol without a count in Q ('c')" in r for r in found.diagnostics["reasons"])
    assert any("Q has 1 symbol without a count in P ('d')" in r for r in found.diagnostics["reasons"])
    assert math.isfinite(categorical_jeffreys(list("aabc"), list("abbd"), unseen="smooth"))
    with pytest.raises(SupportError):
        categorical_jeffreys(list("aabc"), list("abbd"), unseen="raise")


# --- the population stability index -------------------------------------------------------------------------------------------


def test_index_of_counts_and_labels():
    expected = jeffreys(X / X.sum(), Y / Y.sum())
    assert population_stability_index(X, Y, counts=True) == pytest.approx(expected, abs=1e-14)
    found = population_stability_index(labels(X), labels(Y))
    assert found == pytest.approx(expected, abs=1e-14)
    assert found.diagnostics["contributions"].sum() == pytest.approx(expected, abs=1e-14)
    assert population_stability_index(labels(X), labels(X)) == 0.0
    codes = np.repeat([3, 1, 2, 7], X), np.repeat([3, 1, 2, 7], Y)
    assert population_stability_index(*codes, bins="categories") == pytest.approx(expected, abs=1e-14)


def test_quantile_bins_are_those_of_pandas():
    rng = np.random.default_rng(2)
    reference, current = rng.normal(size=500), rng.normal(0.3, 1.2, size=400)
    cut, edges = pd.qcut(reference, 10, retbins=True)
    e = pd.Series(cut).value_counts(normalize=True, sort=False).to_numpy()
    edges[0], edges[-1] = -np.inf, np.inf
    a = pd.Series(pd.cut(current, edges)).value_counts(normalize=True, sort=False).to_numpy()
    found = population_stability_index(reference, current)
    assert found == pytest.approx(jeffreys(e, a), abs=1e-13)
    assert found.diagnostics["shares"].shape == (2, 10)
    assert found.diagnostics["bins"][0].startswith("(-inf, ")
    assert population_stability_index(pd.Series(reference), pd.Series(current)) == found
    scaled = population_stability_index(1e6 * reference - 5.0, 1e6 * current - 5.0)
    assert scaled == pytest.approx(found, abs=1e-13)


@pytest.mark.parametrize("bins", ["auto", 4, 7])
def test_whole_weights_of_the_reference_are_repeated_rows(bins):
    rng = np.random.default_rng(5)
    reference, current = rng.normal(size=200), rng.normal(0.2, 1.0, 150)
    w, v = rng.integers(0, 6, 200) * (reference > -0.5) + (reference <= -0.5), rng.integers(1, 3, 150)
    options = {"bins": bins, "unseen": "smooth"}
    found = population_stability_index(
        reference, current, sample_weight_reference=w, sample_weight_current=v, **options
    )
    repeated = population_stability_index(np.repeat(reference, w), np.repeat(current, v), **options)
    np.testing.assert_allclose(found.diagnostics["edges"], repeated.diagnostics["edges"], rtol=1e-13, atol=1e-15)
    assert found == pytest.approx(repeated, abs=1e-13)
    np.testing.assert_allclose(found.diagnostics["shares"][0], repeated.diagnostics["shares"][0], atol=1e-14)
    levels = np.arange(1, 5) / 5
    expected = np.quantile(np.repeat(reference, w), levels)
    index = population_stability_index(reference, current, bins=5, unseen="smooth", sample_weight_reference=w)
    np.testing.assert_allclose(index.diagnostics["edges"], expected, rtol=1e-13, atol=1e-15)
    with pytest.raises(ValueError, match="sample_weight of reference"):
        population_stability_index(reference, current, sample_weight_reference=w[:-1])


def test_cut_points_and_ties():
    reference, current = [0, 1, 2, 3, 4, 5, 6, 7], [1, 2, 2, 5, 9, 9, -1, 0]
    found = population_stability_index(reference, current, bins=[2, 5])  # up to 2, up to 5, beyond
    assert found.diagnostics["shares"].tolist() == [[3 / 8, 3 / 8, 2 / 8], [5 / 8, 1 / 8, 2 / 8]]
    assert found == pytest.approx(jeffreys(*found.diagnostics["shares"]), abs=1e-14)
    heavy = np.array([0.0] * 90 + list(range(1, 11)))
    assert len(population_stability_index(heavy, heavy + 0.0).diagnostics["bins"]) == 2  # nine deciles are 0


def test_empty_bins_by_policy():
    reference, current = np.arange(100.0), np.arange(30.0)
    found = population_stability_index(reference, current)
    assert found == math.inf
    assert "(29.7, 39.6]" in found.diagnostics["reasons"][0]
    smooth = population_stability_index(reference, current, unseen="smooth")
    e, a = (np.full(10, 10.5) / 105, np.array([10.5] * 3 + [0.5] * 7) / 35)
    assert smooth == pytest.approx(jeffreys(e, a), abs=1e-13)
    assert smooth.diagnostics["bias_suspected"]
    with pytest.raises(SupportError, match="fewer bins"):
        population_stability_index(reference, current, unseen="raise")


def test_ends_that_are_infinite_are_no_cut_points_and_edges_of_a_histogram_are_told():
    rng = np.random.default_rng(0)
    reference, current = rng.normal(size=1000), rng.normal(0.1, 1.0, size=1000)
    cuts = [-1.0, 0.0, 1.0]
    ends = population_stability_index(reference, current, bins=[-np.inf, *cuts, np.inf])
    assert ends == population_stability_index(reference, current, bins=cuts)
    edges = np.quantile(
        reference, np.linspace(0.0, 1.0, 11)
    )  # nothing of the current sample is at most the least value
    found = population_stability_index(reference, np.clip(current, -2.0, 2.0), bins=edges)
    assert found == math.inf
    assert "If bins are the edges of a histogram, leave the first and the last out" in found.reasons[0]
    assert "unseen='smooth' make it a number" in found.reasons[0]
    assert population_stability_index(reference, np.clip(current, -2.0, 2.0), bins=edges[1:-1]) < 0.1
    with pytest.raises(ValueError, match="rising order"):
        population_stability_index(reference, current, bins=[-np.inf, np.inf])


def test_index_of_equal_distributions_is_about_what_is_expected():
    rng = np.random.default_rng(3)
    found = [population_stability_index(rng.normal(size=800), rng.normal(size=900)) for _ in range(300)]
    # The bins are those of the reference, whose shares are exact.
    expected = 9 * (1 / 900 + 1 / 800)
    assert found[0].diagnostics["expected_if_equal"] == pytest.approx(expected)
    assert 0.8 < np.mean(found) / expected < 1.2


def test_wrong_calls():
    with pytest.raises(ValueError, match="rising order"):
        population_stability_index([1.0, 2.0], [1.0, 2.0], bins=[3, 2])
    with pytest.raises(ValueError, match="bins='many'"):
        population_stability_index([1.0, 2.0], [1.0, 2.0], bins="many")
    with pytest.raises(ValueError, match="one variable"):
        population_stability_index(np.zeros((5, 2)), np.zeros((5, 2)))
    with pytest.raises(ValueError, match="current"):
        population_stability_index([1.0, 2.0], [1.0, math.nan])
    with pytest.raises(ValueError, match="unseen"):
        population_stability_index([1.0], [1.0], unseen="estimate")
    with pytest.raises(ValueError, match="corrected"):
        categorical_jensen_shannon(["a"], ["b"], "zhang")
    with pytest.raises((DegenerateDataError, ValueError)):
        categorical_jensen_shannon([], ["b"])
    frame = pd.DataFrame({"a": ["u"], "b": ["v"]})
    with pytest.raises(SourceError):
        categorical_jensen_shannon(frame, frame.rename(columns={"b": "c"}))


@pytest.mark.parametrize(
    "call", [categorical_kl, categorical_cross_entropy, categorical_jeffreys, categorical_jensen_shannon]
)
def test_one_symbol_is_no_certainty(call):
    found = call(["a"] * 50, ["a"] * 20)
    assert found.diagnostics["bias_suspected"]
    assert found.diagnostics["reasons"] == [
        "Only one symbol was seen: others may have a probability up to 0.15 in one of the two, which the standard error does "
        "not include."
    ]
    assert "Only one" not in str(call(["a"] * 50, ["a", "b"] * 20).diagnostics["reasons"])


def test_the_index_of_a_table_of_numbers_and_labels_is_refused():
    """Each row would be a symbol of its own, and the index infinite."""
    table = pd.DataFrame({"age": np.arange(20.0), "plan": ["free", "paid"] * 10, "paid": ["yes", "no"] * 10})
    with pytest.raises(ValueError, match=r"3 columns, labels and numbers \(column 0 \('age'\)\).*compare_tables"):
        population_stability_index(table, table)
    assert population_stability_index(table[["plan", "paid"]], table[["plan", "paid"]]) == 0.0
