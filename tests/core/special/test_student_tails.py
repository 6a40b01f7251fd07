"""Tails of Student's t distribution against 40-digit arithmetic, on a logarithmic scale."""

import mpmath as mp
import numpy as np
import pytest
from scipy.special import log_ndtr

from fastkl._core.special.student_tails import FAR, log_student_sf

DEGREES = (1e-6, 1e-3, 0.1, 0.7, 1.0, 2.5, 4.0, 9.9, 20.0, 21.0, 100.0, 1e3, 1e4, 1e6, 1e9, 1e12, 1e15)
NEAR = (1e-300, 1e-20, 1e-3, 0.5, 1.0 - 1e-12, 1.0, 1.3, 2.0, 5.0, 10.0, 30.0, 40.0)
OUT = (100.0, 1e4, 1e8, 1e30, 1e99)


def reference(df, t):
    """log P(T > t): by the incomplete beta function, for large df by quadrature in pieces of the local size of the tail."""
    with mp.workdps(40):
        v, s = mp.mpf(df), abs(mp.mpf(t))
        if df < 1e4:
            tail = mp.betainc(v / 2, 0.5, 0, v / (v + s * s), regularized=True) / 2
        else:
            density = mp.exp(
                mp.loggamma((v + 1) / 2)
                - mp.loggamma(v / 2)
                - mp.log(mp.pi * v) / 2
                - (v + 1) / 2 * mp.log1p(s * s / v)
            )
            size = 1 / (1 + (v + 1) * s / (v + s * s))

            def relative(k):
                return mp.exp(-(v + 1) / 2 * mp.log1p(k * size * (2 * s + k * size) / (v + s * s)))

            tail = density * size * mp.quad(relative, [0, 4, 16, 64, 256], method="gauss-legendre")
        return float(mp.log(tail) if t > 0 else mp.log1p(-tail))


@pytest.mark.parametrize("df", DEGREES)
def test_against_high_precision(df):
    t = np.array(NEAR + OUT if df < 1e4 else (*NEAR, 1000.0))
    t = np.concatenate([-t, t])
    want = np.array([reference(df, v) for v in t.tolist()])
    np.testing.assert_allclose(log_student_sf(df, t), want, rtol=1e-12, atol=1e-300)


def test_limits():
    """Beyond any square there is a power of t; infinite df is the normal distribution; half of the mass lies on either side."""
    t = np.array([1e150, 1e200, 1e300])
    with mp.workdps(40):
        constant = mp.log(mp.sqrt(mp.mpf(2.5)) ** 2.5 / (2.5 * mp.beta(1.25, 0.5)))
        want = [float(constant - 2.5 * mp.log(mp.mpf(v))) for v in t.tolist()]
    np.testing.assert_allclose(log_student_sf(2.5, t), want, rtol=1e-14)
    np.testing.assert_allclose(log_student_sf(2.5, FAR * (1.0 + 1e-15)), log_student_sf(2.5, FAR), rtol=1e-14)
    z = np.array([-50.0, -1.0, 0.0, 3.0, 40.0, -np.inf, np.inf, np.nan])
    for df in (np.inf, 1e40):
        np.testing.assert_array_equal(log_student_sf(df, z), log_ndtr(-z))
    np.testing.assert_allclose(log_student_sf(1e29, z), log_ndtr(-z), rtol=1e-12)
    for df in (1e-3, 3.0, 1e12):
        np.testing.assert_array_equal(log_student_sf(df, [-np.inf, np.inf, np.nan]), [0.0, -np.inf, np.nan])
        np.testing.assert_allclose(log_student_sf(df, 0.0), -np.log(2.0), rtol=1e-15)
