"""The driver of univariate kernels: what a kernel does not have is an error, not a crash."""

import numpy as np
import pytest

from fastkl.families._kernels import column_kernel

X = np.ones((3, 1))
REAL_LINE = (-np.inf, np.inf, False)


def test_a_kernel_without_the_operation():
    with pytest.raises(TypeError, match="laplace has no sufficient statistics"):
        column_kernel("laplace").statistics(X, None, REAL_LINE, 1)
    with pytest.raises(TypeError, match="normal has no sums"):
        column_kernel("normal").sums(X, None, np.zeros((1, 3)), REAL_LINE, 1)
    with pytest.raises(LookupError, match="no compiled kernel named 'nothing'"):
        column_kernel("nothing")


@pytest.mark.parametrize(("first", "second"), [((2, 3), (1, 3)), ((1, 3), (2, 3)), ((1, 2), (1, 3)), ((1, 3), (1, 2))])
def test_records_that_do_not_fit_are_not_merged(first, second):
    with pytest.raises(ValueError, match="can't be merged"):
        column_kernel("normal").merge(np.ones(first), np.ones(second))


@pytest.mark.parametrize("columns", [1, 2, 40])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_of_weight_zero_are_not_seen(columns, dtype):
    """Whole blocks of them change no bit; single ones neither count nor lie outside the support."""
    kernel, positive = column_kernel("gamma"), (1e-300, 1e300, False)
    rng = np.random.default_rng(0)
    X, w = rng.gamma(2.0, size=(9000, columns)).astype(dtype), rng.uniform(0.1, 2.0, 9000)
    plain, *_ = kernel.statistics(X, w, positive, 2)
    for cut in (0, 4096, 8192):
        more, weights = np.insert(X, [cut] * 4096, -1.0, axis=0), np.insert(w, [cut] * 4096, 0.0)
        found, row, _ = kernel.statistics(more, weights, positive, 2)
        assert row == -1
        np.testing.assert_array_equal(found, plain)
    w[rng.random(9000) < 0.3] = 0.0
    X[(w == 0.0) & (rng.random(9000) < 0.5)] = -1.0
    found, row, _ = kernel.statistics(X, w, positive, 2)
    assert row == -1
    np.testing.assert_allclose(found, kernel.statistics(X[w > 0.0], w[w > 0.0], positive, 1)[0], rtol=1e-13)
    last = np.flatnonzero(w)[-5]
    X[last, -1] = -1.0
    assert kernel.statistics(X, w, positive, 2)[1:] == (last, columns - 1)


@pytest.mark.parametrize("n", [3, 511, 512, 4096, 9000])
def test_odd_and_even_medians(n):
    from fastkl import DensityMLE

    x = np.random.default_rng(n).normal(size=(n, 2))
    np.testing.assert_allclose(DensityMLE("laplace").fit(x).params_["loc"], np.median(x, axis=0), rtol=1e-15)


@pytest.mark.parametrize("shape", [0.05, 2.0, 499.0, 501.0, 1e6])
def test_gamma_statistics_on_both_sides_of_the_switch(shape):
    """Without weights mantissas are multiplied, with weights logarithms are summed: the same to rounding."""
    from fastkl import DensityMLE

    x = np.random.default_rng(1).gamma(shape, size=(10_000, 1))
    x = np.maximum(x, 1e-300)
    plain, weighted = DensityMLE("gamma").fit(x), DensityMLE("gamma").fit(x, sample_weight=np.full(10_000, 2.0))
    np.testing.assert_allclose(plain.params_["shape"], weighted.params_["shape"], rtol=2e-12)
