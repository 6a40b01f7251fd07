"""Differences of gamma-function terms that cancel when taken literally, for large arguments by their asymptotic series.

The series are those of Abramowitz and Stegun 6.1.41 and 6.3.18; from 16 on the first term left out is below 1e-17 of the value.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln

from fastkl.families.base import Floats

_LARGE = 16.0
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
# B_2k / (2k (2k - 1)) and B_2k / (2k) for k = 1, 2, ...
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400)
_DIGAMMA = (1 / 12, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)


def stirling_error(a: ArrayLike) -> Floats:
    """log Gamma(a) - ((a - 1/2) log a - a + log(2 pi) / 2), about 1 / (12 a)."""
    a = np.asarray(a, dtype=np.float64)
    large = np.maximum(a, _LARGE)
    series = np.polynomial.polynomial.polyval(large**-2.0, _STIRLING) / large
    small = np.minimum(a, _LARGE)
    direct = gammaln(small) - ((small - 0.5) * np.log(small) - small + _HALF_LOG_2PI)
    error: Floats = np.where(a >= _LARGE, series, direct)
    return error


def log_minus_digamma(a: ArrayLike) -> Floats:
    """log a - psi(a) > 0, about 1 / (2 a)."""
    a = np.asarray(a, dtype=np.float64)
    large = np.maximum(a, _LARGE)
    series = 0.5 / large + np.polynomial.polynomial.polyval(large**-2.0, _DIGAMMA) / large**2
    small = np.minimum(a, _LARGE)
    difference: Floats = np.where(a >= _LARGE, series, np.log(small) - digamma(small))
    return difference
