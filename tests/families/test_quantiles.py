"""Quantiles by search against closed forms: both tails, any unit, ends of the support, and counts at their steps."""

import numpy as np
import pytest
from scipy.special import gamma

from fastkl import DensityMLE
from fastkl.families.quantiles import continuous_quantile, count_quantile

P = np.array([1e-300, 1e-17, 0.1, 0.5, 0.9, 1.0 - 1e-12])[:, None]


def log_cdf(x, params):
    """Of an exponential distribution."""
    with np.errstate(divide="ignore"):
        return np.log(-np.expm1(-np.maximum(x, 0.0) / params["scale"]))


def log_sf(x, params):
    return -np.maximum(x, 0.0) / params["scale"]


@pytest.mark.parametrize("upper", [False, True])
def test_exponential(upper):
    """-scale log(1 - p) below, -scale log p above, for units from 1e-150 to 1e150."""
    params = {"scale": np.array([1e-150, 1.0, 1e150])}
    found = continuous_quantile(log_cdf, log_sf, P, params, upper, (0.0, np.inf))
    expected = -params["scale"] * (np.log(P) if upper else np.log1p(-P))
    # the logarithm of the smaller tail has a relative rounding error, which x takes over times that logarithm
    rounding = 4e-16 * (1.0 - np.log(np.minimum(P, 1.0 - P)))
    np.testing.assert_array_less(np.abs(found - expected), rounding * expected + 1e-320)


def test_ends_and_what_is_no_probability():
    params = {"scale": np.array([2.0])}
    found = continuous_quantile(log_cdf, log_sf, [0.0, 1.0, -0.1, 1.1, np.nan], params, False, (0.0, np.inf))
    np.testing.assert_array_equal(found, [0.0, np.inf, np.nan, np.nan, np.nan])
    found = continuous_quantile(log_cdf, log_sf, [0.0, 1.0], params, True, (0.0, np.inf))
    np.testing.assert_array_equal(found, [np.inf, 0.0])


def test_counts_at_their_steps():
    """Geometric from 1: P(X <= k) = 1 - 2^-k, exactly; each step belongs to its left end, the next number to the next count."""
    p = 1.0 - 0.5 ** np.arange(1.0, 40.0)
    above = np.nextafter(p, 1.0)

    for start in (np.nan, -5.0, 1.0, 20.0, 1e9):
        guess = np.full(p.shape, start)
        for share, count in ((p, np.arange(1.0, 40.0)), (above, np.arange(2.0, 41.0))):
            found = count_quantile(lambda k, rows, share=share: 1.0 - 0.5**k >= share[rows], guess, 1.0)
            np.testing.assert_array_equal(found, count)
    assert count_quantile(lambda k, rows: k < 0.0, np.array([np.nan]), 0.0)[0] == np.inf
    for start in (0.0, 1e12, 1e13):
        assert count_quantile(lambda k, rows: k >= 1e12 + 7.0, np.array([start]), 0.0)[0] == 1e12 + 7.0


def test_a_quantile_beyond_the_largest_number_is_infinite():
    """The largest number itself is none: it is exceeded 1e200 times as often."""
    student = DensityMLE.from_parameters("student_t", df=0.11, loc=0.0, scale=2.0)
    np.testing.assert_array_equal(student.quantile([1e-250]), [[-np.inf]])
    np.testing.assert_array_equal(student.quantile([1e-250], upper=True), [[np.inf]])
    inverse = DensityMLE.from_parameters("inverse_gamma", shape=0.05, scale=36.0)
    np.testing.assert_array_equal(inverse.quantile([1e-221], upper=True), [[np.inf]])
    # one that is a number stays: far out P(X > x) is (36 / x)^0.05 / Gamma(1.05)
    expected = 36.0 * (gamma(1.05) * 1e-14) ** -20.0
    np.testing.assert_allclose(inverse.quantile([1e-14], upper=True), [[expected]], rtol=1e-9)
