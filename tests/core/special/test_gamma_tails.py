"""Both tails of the gamma distribution against 40-digit arithmetic, on a logarithmic scale."""

import mpmath as mp
import numpy as np
import pytest

from fastkl._core.special.gamma_tails import QUADRATURE_FROM, SERIES_TO, log_gamma_tails

SHAPES = (1e-12, 1e-3, 0.05, 0.5, 0.999, 1.0, 1.2, 3.7, 9.99, 10.0, 25.0, 400.0, 1e4, 1e6, 1e9, 1e12)


def points(a):
    """About the mean by standard deviations, by factors, and on both sides of every switch."""
    spread = np.sqrt(a)
    z = np.array([-40.0, -10.0, -3.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 3.0, 10.0, 40.0, 300.0])
    found = np.concatenate([a + z * spread, a * 10.0 ** np.array([-30.0, -3.0, -0.5, 0.5, 2.0]), [1e-300, 1e-3, 0.3]])
    found = np.concatenate([found, [SERIES_TO, np.nextafter(SERIES_TO, 2.0), a, np.nextafter(a, 2 * a), 20.0]])
    return np.unique(found[found > 0.0])


def reference(a, x):
    """log P and log Q: the smaller tail by the series, the fraction, or quadrature in log x."""
    with mp.workdps(40):
        a, x = mp.mpf(a), mp.mpf(x)
        if a <= 1000:
            p = mp.gammainc(a, 0, x, regularized=True)
            q = mp.gammainc(a, x, mp.inf, regularized=True)
        else:
            p, q = by_quadrature(a, x)
        return float(mp.log(p) if p < q else mp.log1p(-q)), float(mp.log(q) if q < p else mp.log1p(-p))


def by_quadrature(a, x):
    """The integral of exp(a u - exp(u)) from log x away from the mode, in pieces of one standard deviation of its local size."""
    sign = 1 if x > a else -1
    lead = a * mp.log(x) - x - mp.loggamma(a)
    size = 1 / (mp.sqrt(a) + abs(x - a))

    def integrand(t):
        return mp.exp(a * sign * t - x * mp.expm1(sign * t))

    with mp.workdps(25):
        small = mp.exp(lead) * mp.quad(integrand, [k * size for k in (0, 4, 16, 64)], method="gauss-legendre")
    return (1 - small, small) if sign > 0 else (small, 1 - small)


@pytest.mark.parametrize("a", SHAPES)
def test_against_high_precision(a):
    x = points(a)
    want = np.array([reference(a, v) for v in x.tolist()]).T
    np.testing.assert_allclose(log_gamma_tails(a, x), want, rtol=1e-12, atol=1e-300)


def test_distance_to_the_mean():
    """x is a quotient: what rounding it takes away of x - a is given apart."""
    a, unit, value = 1e9, 0.3, 0.3 * (1e9 + 2e4)
    with mp.workdps(60):
        exact = mp.mpf(value) / mp.mpf(unit)
        _, q = by_quadrature(mp.mpf(a), exact)
        gap = float(exact - a)
    np.testing.assert_allclose(log_gamma_tails(a, value / unit, gap)[1], float(mp.log(q)), rtol=1e-13)


def test_ends_and_shapes():
    lower, upper = log_gamma_tails([[1e-3], [2.0], [50.0]], [-1.0, 0.0, np.inf, np.nan])
    assert lower.shape == upper.shape == (3, 4)
    np.testing.assert_array_equal(lower, [[-np.inf, -np.inf, 0.0, np.nan]] * 3)
    np.testing.assert_array_equal(upper, [[0.0, 0.0, -np.inf, np.nan]] * 3)
    assert QUADRATURE_FROM > SERIES_TO
