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
