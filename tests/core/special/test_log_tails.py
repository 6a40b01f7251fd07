"""Logarithms of tail probabilities against 50-digit arithmetic: far out, next to 0, and on both sides of every switch."""

import mpmath as mp
import numpy as np

from fastkl._core.special.log_tails import log_one_minus_exp, log_ratio


def exact(function, values):
    with mp.workdps(400):
        return np.array([float(function(mp.mpf(float(v)))) for v in values])


def test_log_one_minus_exp():
    half = np.log(2.0)
    w = np.array([1e-300, 1e-20, 1e-8, 0.3, half, np.nextafter(half, 0.0), np.nextafter(half, 1.0), 1.0, 40.0, 690.0])
    np.testing.assert_allclose(log_one_minus_exp(w, np.log(w)), exact(lambda v: mp.log1p(-mp.exp(-v)), w), rtol=1e-15)
    # w underflows, its logarithm does not
    np.testing.assert_array_equal(log_one_minus_exp(0.0, [-1e5, -np.inf]), [-1e5, -np.inf])
    np.testing.assert_array_equal(log_one_minus_exp([np.inf, np.nan], [np.inf, np.nan]), [0.0, np.nan])


def test_log_ratio():
    s = 0.7
    x = s * np.concatenate(
        [1.0 + np.array([-1e-15, -1e-9, -0.4, 1e-15, 1e-9, 0.4, 0.9]), [0.5, 0.49, 2.0, 2.1, 1e-300, 1e300]]
    )
    np.testing.assert_allclose(log_ratio(x, s), exact(lambda v: mp.log(v / mp.mpf(s)), x), rtol=3e-16)
    # quotients that leave the range of numbers
    wide = log_ratio([5e-324, 1e-310, 1e300, 0.0, np.inf, np.nan, 3.0], [1e300, 0.5, 1e-300, 1.0, 1.0, 1.0, 3.0])
    with mp.workdps(50):
        first = [float(mp.log(mp.mpf(a) / mp.mpf(b))) for a, b in ((5e-324, 1e300), (1e-310, 0.5), (1e300, 1e-300))]
    np.testing.assert_allclose(wide, [*first, -np.inf, np.inf, np.nan, 0.0], rtol=1e-15)
