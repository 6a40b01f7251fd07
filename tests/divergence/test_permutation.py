"""The permutation test: exact p-values against all assignments of the labels, uniform under equal distributions."""

from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from scipy.special import digamma

from fastkl import DensityMLE, FactorAnalysisMLE, vuong_test
from fastkl.divergence import permutation_test, subsampling_interval
from fastkl.divergence._labels import LANES, draw_labels, score_labels


def slow_statistic(X, from_p, k):
    """The statistic by its definition; no ties in distance."""
    distances = np.sqrt(((X[:, np.newaxis] - X[np.newaxis]) ** 2).sum(axis=2))
    np.fill_diagonal(distances, np.inf)
    neighbors = np.argsort(distances, axis=1)[:, :k]
    same = (from_p[neighbors] == from_p[:, np.newaxis]).sum(axis=1)
    scores = digamma(same + 1.0) - digamma(k - same + 1.0)
    return scores[from_p].mean() + scores[~from_p].mean()


@pytest.mark.parametrize(("d", "k"), [(1, 3), (2, 5), (9, 30), (3, 300)])
def test_the_statistic_is_its_definition(d, k):
    rng = np.random.default_rng(d)
    x, y = rng.normal(size=(190, d)), rng.normal(0.5, 1.2, (150, d))
    expected = slow_statistic(np.concatenate([x, y]), np.arange(340) < 190, k)
    for scale in (1.0, 1e300, 1e-250):
        result = permutation_test(scale * x, scale * y, n_neighbors=k, n_permutations=5, random_state=0)
        assert result.statistic == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_p_values_are_those_of_all_assignments(shift):
    """126 assignments; with B random ones the p-value is (1 + b) / (1 + B) where b is binomial about the exact share."""
    rng = np.random.default_rng(3)
    X = np.concatenate([rng.normal(size=(5, 2)), rng.normal(shift, 1.0, (4, 2))])
    every = []
    for chosen in combinations(range(9), 5):
        from_p = np.isin(np.arange(9), chosen)
        every.append(slow_statistic(X, from_p, 3))
    share = np.mean(np.array(every) >= slow_statistic(X, np.arange(9) < 5, 3) - 1e-12)
    draws = 20_000
    result = permutation_test(X[:5], X[5:], n_neighbors=3, n_permutations=draws, random_state=7)
    as_large = result.p_value * (draws + 1) - 1.0
    assert as_large == pytest.approx(round(as_large), abs=1e-6)
    assert abs(as_large - draws * share) < 4.0 * np.sqrt(draws * share * (1.0 - share))


def test_the_smallest_p_value_counts_the_observed_labels():
    x, y = np.arange(30.0), 1000.0 + np.arange(40.0)
    for draws in (1, 63, 64, 65, 200):
        assert permutation_test(x, y, n_permutations=draws, random_state=1).p_value == 1.0 / (draws + 1.0)


def test_random_labels_are_subsets_of_the_right_size_and_all_equally_likely():
    """Sets of 3 out of 7 rows, by the number of neighbours on a ring that are in the set together."""
    n, n_p, groups = 7, 3, 300
    seeds = np.random.default_rng(0).integers(0, 2**63, (groups, LANES)).astype(np.uint64)
    ring = ((np.arange(n)[:, np.newaxis] + np.arange(1, 3)) % n).astype(np.int32)
    drawn = [draw_labels(own, n, n_p) for own in seeds]
    sizes = np.array([score_labels(labels, ring, np.ones(3)) for labels in drawn])
    np.testing.assert_array_equal(sizes[:, 0], n_p)
    np.testing.assert_array_equal(sizes[:, 1], n_p - n)
    # How many of the 35 sets hold how many pairs of neighbours on the ring.
    sums = np.array([score_labels(labels, ring, np.array([0.0, 1.0, 2.0]))[0] for labels in drawn]).ravel()
    exact = [sum((i + step) % n in chosen for i in chosen for step in (1, 2)) for chosen in combinations(range(n), n_p)]
    values, counts = np.unique(exact, return_counts=True)
    observed = np.array([np.sum(sums == v) for v in values])
    assert observed.sum() == groups * LANES
    assert stats.chisquare(observed, counts / counts.sum() * groups * LANES).pvalue > 1e-3


def test_more_neighbours_than_a_byte_holds():
    n, k = 700, 600
    neighbors = ((np.arange(n)[:, np.newaxis] + np.arange(1, k + 1)) % n).astype(np.int32)
    labels = np.zeros((n, LANES), dtype=np.uint8)
    labels[:, 0] = 1
    labels[:650, 1] = 1
    in_p, in_q = score_labels(labels, neighbors, np.arange(k + 1.0))
    counts = labels[neighbors, 1].sum(axis=1, dtype=np.int64)
    assert in_p[:2].tolist() == [n * k, counts[:650].sum()]
    assert in_q[:2].tolist() == [0.0, -counts[650:].sum()]


def test_threads_do_not_change_the_result():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(3000, 3)), rng.normal(size=(2000, 3))
    results = [permutation_test(x, y, n_permutations=300, random_state=4, n_jobs=jobs) for jobs in (1, 2)]
    assert results[0] == results[1]


def test_weights_are_refused_with_the_way_out():
    x, y = np.arange(20.0), np.arange(30.0)
    with pytest.raises(ValueError, match=r"sample_weight_q: .*not exchangeable.*Thin the sample"):
        permutation_test(x, y, sample_weight_q=np.ones(30))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["smooth", "tied", "unequal", "wide"])
def test_p_values_are_uniform_under_equal_laws(kind):
    """400 tests at 99 permutations: p-values lie on 1/100, ..., 1, all equally likely where the statistic has no ties."""
    n, m, d = {"smooth": (80, 80, 2), "tied": (80, 60, 1), "unequal": (150, 25, 3), "wide": (60, 60, 12)}[kind]
    values = []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(n, d)), rng.normal(size=(m, d))
        if kind == "tied":
            x, y = x.round(1), y.round(1)
        values.append(permutation_test(x, y, n_permutations=99, random_state=seed).p_value)
    values = np.array(values)
    assert stats.kstest(values - 0.005, "uniform").pvalue > 1e-3
    for level in (0.05, 0.2):  # valid: never too often below a level
        assert stats.binomtest(int(np.sum(values <= level)), 400, level, alternative="greater").pvalue > 1e-3


def test_subsampling_has_no_units():
    rng = np.random.default_rng(0)
    x, y = rng.normal(0.0, 1.0, (300, 2)), rng.normal(1.0, 1.0, (300, 2))
    found, moved = (subsampling_interval(x * u, y * u, n_subsamples=20, random_state=0) for u in ([1, 1], [1, 1e6]))
    assert moved == pytest.approx(found, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "least"), [(1, 1, "0.5"), (1, 18, "0.053"), (2, 3, "0.1")])
def test_too_few_rows_for_a_small_p_value_are_said(n, m, least):
    rng = np.random.default_rng(n)
    with pytest.warns(UserWarning, match=f"no p-value below {least} is possible"):
        permutation_test(rng.normal(size=(n, 3)), rng.normal(9.0, 1.0, (m, 3)), n_permutations=99, random_state=0)


def test_labels_none_of_which_comes_twice_are_said():
    p, q = ([f"{value}" for value in values] for values in np.random.default_rng(0).normal(size=(2, 30)))
    with pytest.warns(UserWarning, match="No label comes twice"):
        assert permutation_test(p, q, random_state=0).p_value == 1.0


@pytest.mark.filterwarnings("error")
def test_rows_of_labels_none_of_which_comes_twice_are_not():
    p, q = ([[f"{i}", side] for i in range(i, i + 30)] for i, side in ((0, "a"), (30, "b")))
    assert permutation_test(p, q, random_state=0).p_value < 0.01
    permutation_test([[1.0]], np.arange(20.0)[:, np.newaxis], random_state=0)  # 21 assignments


def test_many_rows_of_labels_alone():
    """Their neighbours, most of them equal rows, took minutes; what tells them apart is their frequencies."""
    rng = np.random.default_rng(8)
    p, q, other = (
        rng.choice(list("abc"), 6000, p=shares) for shares in ([0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.46, 0.32, 0.22])
    )
    assert permutation_test(p, q, n_permutations=199, random_state=0).p_value > 0.05
    assert permutation_test(p, other, n_permutations=199, random_state=0).p_value < 0.02


def test_the_p_value_goes_by_both_names():
    rng = np.random.default_rng(0)
    found = permutation_test(rng.normal(size=50), rng.normal(size=50), n_permutations=99, random_state=0)
    assert found.pvalue == found.p_value
    X = rng.gamma(2.0, size=(100, 1))
    compared = vuong_test(DensityMLE("gamma").fit(X), DensityMLE("normal").fit(X), X)
    assert compared.pvalue == compared.p_value
    test = FactorAnalysisMLE(1).fit(rng.normal(size=(200, 4))).test_n_components()
    assert test.p_value == test.pvalue
