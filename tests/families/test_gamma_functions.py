"""Gamma-function differences against 50-digit arithmetic."""

import mpmath
import numpy as np
import pytest

from fastkl.families import gamma_functions

POINTS = np.concatenate([10.0 ** np.random.default_rng(0).uniform(-3, 10, 200), [1.0, 2.0, 15.999, 16.0, 16.001]])


@pytest.mark.parametrize("points", [POINTS, POINTS[:10]], ids=["many", "few"])
def test_trigamma(points):
    with mpmath.workdps(50):
        exact = [float(mpmath.psi(1, mpmath.mpf(a))) for a in points.tolist()]
    np.testing.assert_allclose(gamma_functions.trigamma(points), exact, rtol=1e-12)


def test_log_minus_digamma_and_stirling_error():
    with mpmath.workdps(50):
        half_log = mpmath.log(2 * mpmath.pi) / 2
        a = [mpmath.mpf(v) for v in POINTS.tolist()]
        difference = [float(mpmath.log(v) - mpmath.digamma(v)) for v in a]
        error = [float(mpmath.loggamma(v) - ((v - 0.5) * mpmath.log(v) - v + half_log)) for v in a]
    np.testing.assert_allclose(gamma_functions.log_minus_digamma(POINTS), difference, rtol=3e-14)
    np.testing.assert_allclose(gamma_functions.stirling_error(POINTS), error, rtol=1e-12, atol=2e-15)
