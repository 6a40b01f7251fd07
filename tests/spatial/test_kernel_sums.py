"""Kernel sums by tiles and by a grid against sums over all pairs: the error holds at every query, also far out and alone."""

import numpy as np
import pytest
from scipy.special import logsumexp

from fastkl.spatial import kernel_sums
from fastkl.spatial.grid_sums import Grid, plan
from fastkl.spatial.kernel_sums import KernelSums

RNG = np.random.default_rng(2)


def direct(queries, points, weights, moments=0):
    """log of sum_j w_j exp(-|x - y|^2 / 2) in slices, and the mean first or second moments about the query."""
    logs, means = [], []
    for some in np.array_split(queries, max(1, len(queries) // 100)):
        apart = points[None] - some[:, None]
        terms = -0.5 * np.sum(apart**2, axis=2)
        total = logsumexp(terms, b=weights, axis=1)
        logs.append(total)
        share = np.exp(terms - total[:, None]) * (1.0 if weights is None else weights)
        means.append(np.einsum("ij,ijk->ik", share, apart**moments))
    return np.concatenate(logs), np.concatenate(means)


def hard_sample(d, m):
    """A bulk, a tight cluster, rows far out and two that are alone; weights over four decades."""
    rows = np.concatenate(
        [RNG.normal(0, 4, (m, d)), RNG.normal(9, 0.05, (m // 4, d)), RNG.standard_t(2, (m // 20, d)) * 8]
    )
    rows = np.concatenate([rows, np.full((1, d), 60.0), np.full((1, d), -75.0)])
    return rows, 10.0 ** RNG.uniform(-4, 0, len(rows))


@pytest.fixture
def always_a_grid(monkeypatch):
    monkeypatch.setattr(kernel_sums, "grid_may_pay", lambda *sizes: True)
    monkeypatch.setattr(kernel_sums, "grid_pays", lambda *sizes: True)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-9, 1e-11])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_the_error_holds_everywhere(always_a_grid, d, error, weighted):
    points, weights = hard_sample(d, {1: 2000, 2: 1500, 3: 800}[d])
    weights = weights if weighted else None
    far = np.concatenate([RNG.normal(0, 30, (60, d)), np.full((1, d), 500.0), points[-2:], points[-2:] + 5.0])
    queries = np.concatenate([points[::20], far])
    sums = KernelSums(points, weights, "gaussian", error=error, n_threads=2)
    found = sums.log_sums(queries)
    assert sums._grid is not None
    expected, first = direct(queries, points, weights, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=error)
    logs, slopes = sums.slopes(queries)
    np.testing.assert_array_equal(logs, found)
    np.testing.assert_allclose(slopes, first, rtol=1e-7, atol=100 * error)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("error", [0.0, 1e-13, 1e-11, 1e-9, 1e-4])
@pytest.mark.parametrize("d", [1, 5, 10])
def test_the_error_holds_by_tiles(d, error, weighted):
    """Without an error every term is added, to rounding; with one, what is left out stays within it."""
    points, weights = hard_sample(d, 1500)
    weights = weights if weighted else None
    far = np.concatenate([RNG.normal(0, 30, (40, d)), np.full((1, d), 500.0), points[-2:], points[-2:] + 5.0])
    queries = np.concatenate([points[::40], far])
    sums = KernelSums(points, weights, "gaussian", error=error, n_threads=1)
    found, slopes = sums.slopes(queries)
    assert sums._grid is None
    expected, first = direct(queries, points, weights, 1)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=max(error, 1e-14))
    np.testing.assert_allclose(slopes, first, rtol=1e-7, atol=100 * error + 1e-12)


@pytest.mark.parametrize("d", [1, 2])
def test_leave_one_out_at_other_places_by_a_grid(always_a_grid, d):
    """What a reference adds to the sum and to the slopes at another place is left out of both."""
    points, weights = hard_sample(d, 800)
    moved = points + RNG.normal(0.0, 0.7, points.shape)
    sums = KernelSums(points, weights, "gaussian", error=1e-9, n_threads=1)
    logs, slopes = sums.leave_one_out(moments=True, queries=moved)
    assert sums._grid is not None
    apart = moved[:, None, :] - points
    terms = weights * np.exp(-0.5 * np.sum(apart**2, axis=2))
    np.fill_diagonal(terms, 0.0)
    near = terms.sum(axis=1) > 1e-250
    np.testing.assert_allclose(logs[near], np.log(terms.sum(axis=1)[near]), rtol=1e-12, atol=2e-9)
    expected = np.einsum("ij,ijk->ik", terms, apart**2)[near] / terms.sum(axis=1)[near, None]
    np.testing.assert_allclose(slopes[near], expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_leave_one_out_by_a_grid(always_a_grid, d):
    """Rows that are alone are summed without themselves to all digits: by subtraction nothing would be left of them."""
    points, weights = hard_sample(d, {1: 1200, 2: 700, 3: 300}[d])
    logs, moments = KernelSums(points, weights, "gaussian", error=1e-9, n_threads=1).leave_one_out(True)
    for i in [*range(0, len(points), 37), len(points) - 1, len(points) - 2]:
        rest = np.delete(points, i, axis=0)
        expected, second = direct(points[[i]], rest, np.delete(weights, i), 2)
        assert logs[i] == pytest.approx(expected[0], rel=1e-13, abs=1e-9)
        np.testing.assert_allclose(moments[i], second[0], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_grids_cut_from_heavy_tails(d):
    """A box of all rows would have too many nodes: the bulk has one, and queries near its ends do not go by it."""
    points = RNG.standard_t(2.0, (3000, d)) * {1: 3.0, 2: 3.0, 3: 2.0}[d]
    most = {1: 200, 2: 100_000, 3: 3_000_000}[d]
    found = plan(points, None, 1e-6, most)
    assert found is not None
    assert found.n_nodes <= most
    grid = Grid(found, points, None, 2)
    served = grid.serves(points)
    assert 0.2 < served.mean() < 1.0
    sums, _, sure = grid.at(points[served], 0)
    expected, _ = direct(points[served], points, None)
    np.testing.assert_allclose(np.log(sums[sure]), expected[sure], rtol=0, atol=1e-6)
    assert sure.mean() > 0.9


def test_no_grid():
    wide = np.concatenate([RNG.normal(size=(50, 3)), RNG.normal(size=(50, 3)) * 1e7])
    assert plan(wide, None, 1e-6, 1e6) is None
    assert KernelSums(wide, None, "gaussian", error=0.0, n_threads=1)._plan is None
    assert KernelSums(wide, None, "exponential", error=1e-3, n_threads=1)._plan is None


@pytest.mark.parametrize("d", [1, 2, 3])
def test_threads_change_no_bit(always_a_grid, d):
    points, weights = hard_sample(d, 3000)
    queries = RNG.normal(0, 5, (3000, d))
    one, two = (KernelSums(points, weights, "gaussian", error=1e-6, n_threads=n) for n in (1, 2))
    np.testing.assert_array_equal(one.log_sums(queries), two.log_sums(queries))
    for first, second in zip(one.leave_one_out(True), two.leave_one_out(True), strict=True):
        np.testing.assert_array_equal(first, second)


def test_references_narrower_than_others():
    """Each with a bandwidth of its own: factors of squared distances, and weights that go with them."""
    points = RNG.normal(0, 3, (900, 2))
    width = RNG.uniform(0.3, 3.0, 900)
    queries = RNG.normal(0, 6, (50, 2))
    found = KernelSums(points, width**-2.0, "gaussian", error=1e-9, n_threads=2, narrow=width**-2.0).log_sums(queries)
    square = np.sum((queries[:, None] - points[None]) ** 2, axis=2) / width**2
    expected = logsumexp(-0.5 * square, b=width**-2.0, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-14, atol=1e-9)


def test_the_policy_takes_a_grid_for_many_rows_only():
    few, many = RNG.normal(size=(300, 2)), RNG.normal(size=(20_000, 2)) * 8.0
    small = KernelSums(few, None, "gaussian", error=1e-9, n_threads=1)
    small.log_sums(few)
    assert small._grid is None
    large = KernelSums(many, None, "gaussian", error=1e-9, n_threads=2)
    found = large.log_sums(many)
    assert large._grid is not None
    np.testing.assert_allclose(found[::400], direct(many[::400], many, None)[0], rtol=0, atol=1e-9)


@pytest.mark.parametrize("n", [130, 200])
def test_tiles_that_are_not_full(n):
    """The rows that fill up the last tile have the bandwidth of the row that they repeat, or its term would seem the largest."""
    points, narrow = np.linspace(-0.1, 0.1, n)[:, None], np.full(n, 10.0)
    queries = np.array([[1.0], [15.0], [-30.0], [200.0]])
    found = KernelSums(points, None, "gaussian", error=1e-9, n_threads=1, narrow=narrow).log_sums(queries)
    terms = -5.0 * (queries - points.T) ** 2
    np.testing.assert_allclose(found, np.logaddexp.reduce(terms, axis=1), rtol=1e-9)
