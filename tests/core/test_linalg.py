"""Block linear algebra against numpy, over dtypes, widths on both sides of the BLAS switch, offsets and weights."""

import itertools

import numpy as np
import pytest
from scipy.linalg import solve_triangular

from fastkl._core import _linalg

WIDTHS = [1, 2, 3, 4, 5, 8, 33, 63, 64, 80]
SIZES = [*itertools.product([1, 31, 32, 4096, 9001], WIDTHS), (31, 511), (31, 512), (4100, 512)]


def sample(n, d, dtype=np.float64, offset=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + offset).astype(dtype)


@pytest.mark.parametrize(("n", "d"), SIZES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_whitened_squares(n, d, dtype):
    X = sample(n, d, dtype, offset=3.0)
    lower = np.linalg.cholesky(np.cov(sample(500, d, seed=1).T).reshape(d, d) + np.eye(d))
    mean = np.linspace(-1.0, 1.0, d)
    expected = (solve_triangular(lower, (X.astype(np.float64) - mean).T, lower=True) ** 2).sum(axis=0)
    one, two = (_linalg.whitened_squares(X, mean, lower, threads) for threads in (1, 2))
    np.testing.assert_allclose(one, expected, rtol=1e-10)
    np.testing.assert_array_equal(one, two)


@pytest.mark.parametrize("d", [1, 2, 3, 4, 5, 7, 8, 9, 40])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_moments(d, weighted, dtype):
    n = 2 * 4096 + 77
    X = sample(n, d, dtype, offset=100.0)
    w = np.random.default_rng(2).uniform(0.0, 2.0, n) if weighted else None
    wide, weights = X.astype(np.float64), np.ones(n) if w is None else w
    weight, mean, scatter = _linalg.moments(X, w, 2)
    expected_mean = np.average(wide, axis=0, weights=weights)
    centred = wide - expected_mean
    np.testing.assert_allclose(weight, weights.sum(), rtol=1e-13)
    np.testing.assert_allclose(mean, expected_mean, rtol=1e-13)
    expected = (centred * weights[:, None]).T @ centred
    np.testing.assert_allclose(scatter, expected, rtol=1e-11, atol=1e-11 * expected.max())
    for other in (_linalg.moments(X, w, 1), _linalg.moments(X, w, 3)):
        assert other[0] == weight
        np.testing.assert_array_equal(other[1], mean)
        np.testing.assert_array_equal(other[2], scatter)
    cut = 1234
    parts = [_linalg.moments(X[s], None if w is None else w[s], 1) for s in (slice(cut), slice(cut, None))]
    merged = _linalg.merge_moments(*parts[0], *parts[1])
    np.testing.assert_allclose(merged[1], mean, rtol=1e-13)
    np.testing.assert_allclose(merged[2], scatter, rtol=1e-11, atol=1e-11 * expected.max())


@pytest.mark.parametrize("n", [1, 2, 15, 16, 17, 511, 512, 513, 1025])
@pytest.mark.parametrize("d", [1, 3, 4, 8])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_few_columns_at_the_edges_of_a_tile(n, d, weighted):
    """Against long doubles, with an offset of 1e8 deviations: 1e-9 is what the rounding of the data themselves leaves."""
    X = sample(n, d, offset=1e8)
    w = np.random.default_rng(1).uniform(0.5, 2.0, n) if weighted else np.ones(n)
    weight, mean, scatter = _linalg.moments(X, w if weighted else None, 2)
    wide, weights = X.astype(np.longdouble), w.astype(np.longdouble)[:, None]
    expected_mean = (weights * wide).sum(axis=0) / weights.sum()
    expected = (weights * (wide - expected_mean)).T @ (wide - expected_mean)
    np.testing.assert_allclose(weight, float(weights.sum()), rtol=1e-14)
    np.testing.assert_allclose(mean, expected_mean.astype(float), rtol=3e-16)
    np.testing.assert_allclose(
        scatter, expected.astype(float), rtol=1e-9, atol=1e-9 * float(np.abs(expected).max()) + 1e-14 * n
    )
    np.testing.assert_array_equal(scatter, scatter.T)


@pytest.mark.parametrize("d", [3, 40])
def test_rows_without_weight_leave_no_trace(d):
    """Not even those whose values would drown all others, or overflow."""
    X = sample(3 * 512 + 5, d, offset=5.0)
    w = np.zeros(len(X))
    w[600:1000] = 1.5
    X[:300], X[-1] = 1e14, -1e308
    for found, expected in zip(
        _linalg.moments(X, w, 1), _linalg.moments(X[600:1000].copy(), w[600:1000].copy(), 1), strict=True
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("d", [3, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_blocks_without_weight_change_no_bit(d, dtype):
    X = sample(2 * 4096 + 9, d, dtype, offset=3.0)
    w = np.random.default_rng(0).uniform(0.0, 2.0, len(X))
    plain = _linalg.moments(X, w, 2)
    for cut in (0, 4096, 8192):
        more, weights = np.insert(X, [cut] * 4096, 1e9, axis=0), np.insert(w, [cut] * 4096, 0.0)
        for found, expected in zip(_linalg.moments(more, weights, 2), plain, strict=True):
            np.testing.assert_array_equal(found, expected)
    nothing = _linalg.moments(X, np.zeros(len(X)), 1)
    assert nothing[0] == 0.0
    for first, second in ((nothing, plain), (plain, nothing)):
        for found, expected in zip(_linalg.merge_moments(*first, *second), plain, strict=True):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("d", [1, 3, 8, 9, 40])
def test_components_are_passes_of_their_own(d):
    X = sample(2 * 4096 + 9, d, offset=3.0)
    weights = np.random.default_rng(0).uniform(-0.5, 2.0, (4, len(X))).clip(0.0)
    weights[2, :4096] = 0.0
    for threads in (1, 2):
        for found, own in zip(_linalg.component_moments(X, weights, threads), weights, strict=True):
            for part, expected in zip(found, _linalg.moments(X, own, 1), strict=True):
                np.testing.assert_array_equal(part, expected)


def test_more_blocks_than_a_wave():
    X = sample(50 * 4096, 2)
    _, mean, scatter = _linalg.moments(X, None, 2)
    np.testing.assert_allclose(mean, X.mean(axis=0), rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(scatter, (X - X.mean(axis=0)).T @ (X - X.mean(axis=0)), rtol=1e-10)


@pytest.mark.parametrize("shapes", [(2, (2, 2), 1, (1, 1)), (2, (2, 2), 2, (2, 1)), (2, (1, 2), 2, (2, 2))])
def test_moments_that_do_not_fit_are_not_merged(shapes):
    arrays = [np.ones(shape) for shape in shapes]
    with pytest.raises(ValueError, match="can't be merged"):
        _linalg.merge_moments(1.0, *arrays[:2], 1.0, *arrays[2:])
