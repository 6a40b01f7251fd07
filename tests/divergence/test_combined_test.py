"""The default permutation test: level by counting, units, and alternatives of each kind with known answers."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import permutation_test
from fastkl.divergence._labels import score_labels
from fastkl.divergence.nearest.coordinates import normal_scores
from fastkl.divergence.significance import contrasts, random_labels
from fastkl.divergence.significance.combined_test import _p_values

KINDS = {
    "shift": (lambda r, n: r.normal(size=(n, 2)), lambda r, n: r.normal([0.0, 0.5], 1.0, (n, 2))),
    "scale": (lambda r, n: r.normal(size=(n, 3)), lambda r, n: r.normal(0.0, 1.4, (n, 3))),
    "one column of many": (
        lambda r, n: r.normal(size=(n, 20)),
        lambda r, n: r.normal(size=(n, 20)) * ([2.0] + 19 * [1.0]),
    ),
    "correlation": (lambda r, n: r.normal(size=(n, 2)), lambda r, n: r.normal(size=(n, 2)) @ [[1.0, 0.6], [0.0, 0.8]]),
    "kurtosis": (
        lambda r, n: r.normal(size=(n, 1)),
        lambda r, n: r.normal(0.0, 0.4, (n, 1)) + r.choice([-0.9, 0.9], (n, 1)),
    ),
    "share of zeros": (
        lambda r, n: np.where(r.random((n, 1)) < 0.3, 0.0, r.gamma(2.0, size=(n, 1))),
        lambda r, n: np.where(r.random((n, 1)) < 0.5, 0.0, r.gamma(2.0, size=(n, 1))),
    ),
    "one of four clusters": (lambda r, n: _clusters(r, n, 1.0), lambda r, n: _clusters(r, n, 0.3)),
    "waves": (
        lambda r, n: r.random((n, 1)),
        lambda r, n: (r.integers(0, 4, (n, 1)) + r.beta(4.0, 4.0, (n, 1))) / 4.0,
    ),
    "ring": (lambda r, n: r.normal(size=(n, 2)), lambda r, n: _ring(r, n)),
}


def _ring(r, n):
    angle = r.uniform(0.0, 2.0 * np.pi, n)
    return 1.4 * np.column_stack([np.cos(angle), np.sin(angle)]) + r.normal(0.0, 0.1, (n, 2))


def _clusters(r, n, last):
    which = r.integers(0, 4, n)
    centres = 20.0 * np.array([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    return centres[which] + np.where(which == 3, last, 1.0)[:, np.newaxis] * r.normal(size=(n, 2))


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_difference_is_found_in_any_unit(kind):
    p, q = KINDS[kind]
    found = []
    for seed in range(4):
        r = np.random.default_rng(seed)
        x, y = p(r, 200), q(r, 200)
        result = permutation_test(x, y, n_permutations=999, random_state=seed)
        found.append(result.p_value)
        scale, offset = 10.0 ** np.arange(-3, x.shape[1] - 3), np.arange(x.shape[1])
        moved = permutation_test(scale * x + offset, scale * y + offset, n_permutations=999, random_state=seed)
        if kind != "share of zeros":  # an offset that is no power of two may merge values
            assert moved == result
    assert np.median(found) <= 0.02


def test_a_column_in_other_units_hides_nothing():
    """Income beside age: on the columns as they are neighbours see income alone."""
    r = np.random.default_rng(0)
    x, y = (np.column_stack([r.lognormal(10.0, 0.6, 1000), r.normal(age, 10.0, 1000)]) for age in (40.0, 50.0))
    assert permutation_test(x, y, random_state=0).p_value == 0.0005
    assert permutation_test(x, y, n_neighbors=50, random_state=0).p_value > 0.05


@pytest.mark.parametrize("draw", ["normal", "ties", "constant column"])
def test_p_values_are_uniform_for_equal_distributions(draw):
    r, values = np.random.default_rng(1), []
    for seed in range(150):
        both = r.normal(size=(60, 3))
        if draw == "ties":
            both = np.round(both)
        if draw == "constant column":
            both[:, 1] = 7.0
        values.append(permutation_test(both[:25], both[25:], n_permutations=63, random_state=seed).p_value)
    # p-values are multiples of 1/64; a uniform number below takes the place of the ties.
    jittered = np.array(values) - r.random(150) / 64.0
    assert stats.kstest(jittered, "uniform").pvalue > 1e-3


def test_the_smallest_p_value_and_the_same_numbers_for_any_threads():
    r = np.random.default_rng(2)
    x, y = r.normal(size=(50, 2)), r.normal(9.0, 1.0, (40, 2))
    for draws in (1, 63, 64, 65, 130):
        assert permutation_test(x, y, n_permutations=draws, random_state=1).p_value == 1.0 / (draws + 1.0)
    z = r.normal(size=(60, 2))
    assert permutation_test(x, z, random_state=3, n_jobs=1) == permutation_test(x, z, random_state=3, n_jobs=2)
    assert permutation_test(x, z, random_state=3) == permutation_test(x.astype(np.float64), z, random_state=3)


def test_terms_of_rows_do_not_know_which_sample_they_are_of():
    """Rows in another order have the same terms; clusters, which a random start finds, are right where they are plain."""
    r = np.random.default_rng(6)
    rows = np.column_stack([_clusters(r, 300, 1.0), r.normal(size=300).round(1)])
    scores, order = np.concatenate(normal_scores(rows[:100], rows[100:])), r.permutation(300)
    first, other = contrasts.of_numbers(scores, rows), contrasts.of_numbers(scores[order], rows[order])
    for name in first:
        mine, its = first[name][order], other[name]
        if name == "white":  # up to a rotation
            mine, its = np.square(mine).sum(axis=1), np.square(its).sum(axis=1)
        if "clusters" in name:  # which a random start finds
            continue
        np.testing.assert_allclose(mine, its, atol=1e-12, err_msg=name)
    of_two = contrasts.of_numbers(scores[:, :2], rows[:, :2])
    assert sorted(of_two["clusters"].sum(axis=0)) == sorted(np.unique(rows[:, :2] > 0, axis=0, return_counts=True)[1])
    assert of_two["coarse"].shape[1] == 9
    assert of_two["fine"].shape[1] == 25


def test_p_values_of_parts_are_those_of_chi_squares():
    """The gamma distributions have the upper tails of what they stand for."""
    z = np.random.default_rng(7).normal(size=(3, 20_000))
    for values, exact in (
        (z[:1] ** 2, stats.chi2(1).sf(z[:1] ** 2)),
        (np.square(z).sum(axis=0)[np.newaxis], stats.chi2(3).sf(np.square(z).sum(axis=0))[np.newaxis]),
        (z[:1], stats.norm.sf(z[:1])),
    ):
        found = _p_values(values)
        beyond = exact < 0.05
        assert np.abs(np.log(found[beyond] / exact[beyond])).max() < 1.0
        assert np.median(np.abs(np.log(found[beyond] / exact[beyond]))) < 0.15
    constant = _p_values(np.full((1, 10), 3.0))
    assert np.ptp(constant) == 0.0


def test_all_rows_alike():
    assert permutation_test(np.ones(20), np.ones(30), random_state=0).p_value == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(("n", "m", "d"), [(50, 50, 1), (50, 50, 5), (30, 200, 10), (100, 100, 20)])
def test_level(n, m, d):
    r = np.random.default_rng(4)
    found = [
        permutation_test(r.normal(size=(n, d)), r.normal(size=(m, d)), n_permutations=199, random_state=seed).p_value
        for seed in range(1000)
    ]
    assert 0.03 < np.mean(np.array(found) <= 0.05) < 0.07


def _table(r, n, chance, shift, by_plan=0.0):
    plan = np.where(r.random(n) < chance, "paid", "free")
    age = r.normal(40.0 + shift, 10.0, n) + by_plan * np.where(plan == "paid", 1.0, -1.0)
    return pd.DataFrame({"age": age, "plan": plan, "joined": np.char.mod("2026-01-%02d", r.integers(1, 29, n))})


@pytest.mark.parametrize(
    "difference",
    [{"chance": 0.5, "shift": 0.0}, {"chance": 0.3, "shift": 4.0}, {"chance": 0.3, "shift": 0.0, "by_plan": 6.0}],
)
def test_tables_of_numbers_labels_and_texts_that_are_dates(difference):
    found = []
    for seed in range(3):
        r = np.random.default_rng(seed)
        x, y = _table(r, 300, 0.3, 0.0), _table(r, 200, **difference)
        found.append(permutation_test(x, y, n_permutations=999, random_state=seed).p_value)
    assert np.median(found) <= 0.02


@pytest.mark.parametrize("columns", [["plan"], ["age", "plan"], ["plan", "joined"]])
def test_p_values_of_equal_tables_are_uniform(columns):
    values = []
    for seed in range(60):
        r = np.random.default_rng(seed)
        x, y = _table(r, 40, 0.3, 0.0, 3.0)[columns], _table(r, 30, 0.3, 0.0, 3.0)[columns]
        values.append(permutation_test(x, y, n_permutations=99, random_state=seed).p_value)
    assert stats.binomtest(sum(value <= 0.1 for value in values), 60, 0.1, alternative="greater").pvalue > 1e-3


def test_labels_alone():
    r = np.random.default_rng(0)
    x, y = r.choice(["a", "b", "c"], 300, p=[0.5, 0.3, 0.2]), r.choice(["a", "b", "c"], 300, p=[0.3, 0.3, 0.4])
    assert permutation_test(x, y, n_permutations=199, random_state=0).p_value == 0.005
    with pytest.raises(ValueError, match="labels have no distances"):
        permutation_test(x, y, n_neighbors=5)


def test_a_thread_takes_few_bytes_for_each_row(monkeypatch):
    """Labels are a byte for each row and permutation of a group of 64; as numbers, of all rows at once, they were 512 more."""
    rng, before = np.random.default_rng(0), []

    def watched(*arguments):
        if not before:  # the observed labels: all that is there for the threads together
            tracemalloc.reset_peak()
            before.append(tracemalloc.get_traced_memory()[0])
        return score_labels(*arguments)

    monkeypatch.setattr(random_labels, "score_labels", watched)
    X, Y = rng.normal(size=(30_000, 2)), rng.normal(size=(30_000, 2))
    tracemalloc.start()
    try:
        permutation_test(X, Y, n_permutations=128, random_state=0, n_jobs=1)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (peak - before[0]) / 60_000 < 150.0
