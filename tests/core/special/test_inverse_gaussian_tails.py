"""Both tails of the inverse Gaussian distribution against their two error functions in 80-digit arithmetic."""

import mpmath
import numpy as np
import pytest

from fastkl._core.special.inverse_gaussian_tails import log_inverse_gaussian_tails

FACTORS = (1e-9, 1e-3, 0.1, 0.5, 1.0, 1.5, 3.0, 30.0, 1e3, 1e9)
SPREADS = (-40.0, -8.0, -1.0, 1e-3, 1.0, 8.0, 40.0)


def exact_tails(x, mean, shape):
    x, mean, shape = (mpmath.mpf(float(v)) for v in (x, mean, shape))
    z = mpmath.sqrt(shape / (2 * x))
    alpha, second = z * (x / mean - 1), mpmath.exp(2 * shape / mean) * mpmath.erfc(z * (x / mean + 1))
    lower, upper = (mpmath.erfc(-alpha) + second) / 2, (mpmath.erfc(alpha) - second) / 2
    small = lower < upper
    return (
        mpmath.log(lower) if small else mpmath.log1p(-upper),
        mpmath.log1p(-lower) if small else mpmath.log(upper),
    )


@pytest.mark.parametrize("mean", [0.01, 1.0, 300.0])
@pytest.mark.parametrize("ratio", [1e-9, 1e-3, 0.4, 0.6, 20.0, 1e4, 1e9])
def test_both_tails(mean, ratio):
    shape = mean * ratio
    x = np.array([mean * f for f in FACTORS] + [mean + k * np.sqrt(mean**3 / shape) for k in SPREADS])
    # beyond, the smaller tail is below exp(-3000), which no number knows
    x = x[(x > 0.0) & (0.5 * shape * (x - mean) ** 2 / (mean**2 * np.where(x > 0.0, x, 1.0)) < 3000.0)]
    with mpmath.workdps(80):
        exact = np.array([exact_tails(v, mean, shape) for v in x], dtype=np.float64)
    for found, wanted in zip(log_inverse_gaussian_tails(x, mean, shape), exact.T, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


def test_ends():
    lower, upper = log_inverse_gaussian_tails([-1.0, 0.0, np.inf, np.nan], 2.0, 3.0)
    np.testing.assert_array_equal(lower, [-np.inf, -np.inf, 0.0, np.nan])
    np.testing.assert_array_equal(upper, [0.0, 0.0, -np.inf, np.nan])
