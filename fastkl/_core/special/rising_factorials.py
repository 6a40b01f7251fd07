"""Rising factorials a (a + 1) ... (a + x - 1) beside the powers a^x, for whole x: what counts with a random rate add to others.

Each function is a sum over i = 1, ..., x - 1 of positive terms, 0 for x <= 1, given here in closed form with all digits for large
a, where the terms are of order i / a: as logarithms and digammas they would be differences of numbers of size log a.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from fastkl._core.array_types import Floats
from fastkl._core.special._gamma_functions import log_excess, stirling_error, trigamma
from fastkl._core.special.gamma_differences import digamma_rise, trigamma_rise

_FROM = 16.0


def _split(a: ArrayLike, x: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """a and x of one shape, and a below and above the seam, so that neither formula sees what it can't."""
    a, x = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(x, dtype=np.float64))
    return a, x, np.minimum(a, _FROM), np.clip(a, _FROM, 1e300)


def log_rise(a: ArrayLike, x: ArrayLike) -> Floats:
    """log Gamma(a + x) - log Gamma(a) - x log a, the sum of log(1 + i / a)."""
    a, x, small, large = _split(a, x)
    direct = gammaln(small + x) - gammaln(small) - x * np.log(small)
    top = large + x
    series = top * log_excess(-x / top, large / top) - 0.5 * np.log1p(x / large)
    series += stirling_error(top) - stirling_error(large)
    return np.where(x <= 1.0, 0.0, np.where(a < _FROM, direct, series))


def lost_share(a: ArrayLike, x: ArrayLike) -> Floats:
    """x - a (psi(a + x) - psi(a)), the sum of i / (a + i)."""
    a, x, small, large = _split(a, x)
    direct = x - small * (digamma(small + x) - digamma(small))
    ratio = x / large
    series = large * (log_excess(ratio, 1.0 + ratio) - digamma_rise(large, x))
    return np.where(x <= 1.0, 0.0, np.where(a < _FROM, direct, series))


def lost_share_slope(a: ArrayLike, x: ArrayLike, share: Floats | None = None) -> Floats:
    """Minus the derivative of that, which may be given, by log a: the sum of a i / (a + i)^2."""
    a, x, small, large = _split(a, x)
    share = lost_share(a, x) if share is None else share
    direct = x - share - small * small * (trigamma(small) - trigamma(small + x))
    series = x * (x / (large + x)) + large * large * trigamma_rise(large, x) - share
    return np.where(x <= 1.0, 0.0, np.where(a < _FROM, direct, series))
