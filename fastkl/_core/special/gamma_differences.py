"""Differences of the gamma function's logarithm, of the digamma function and of its derivative, with all digits for large a.

Writing psi(a) = log a - L(a), L(a) = 1 / (2 a) + 1 / (12 a^2) - 1 / (120 a^4) + ... (Abramowitz and Stegun 6.3.18), the leading
terms of L(a) - L(a + h) are multiples of 1 / a - 1 / (a + h) = h / (a (a + h)), which is exact; below 16 the functions
themselves are used.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from fastkl._core.array_types import Floats
from fastkl._core.special._gamma_functions import log_minus_digamma, stirling_error, trigamma_curvature
from fastkl._core.special.gamma_functions import trigamma

_FROM = 16.0


def digamma_rise(a: ArrayLike, h: ArrayLike) -> Floats:
    """psi(a + h) - psi(a) - log(1 + h / a) = L(a) - L(a + h), at least 0 for h >= 0; 0 for infinite a."""
    a, h = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(h, dtype=np.float64))
    far = a >= _FROM
    if far.all():
        return _digamma_series(a, h)
    small = np.minimum(a, _FROM)
    direct = np.asarray(digamma(small + h) - digamma(small) - np.log1p(h / small), dtype=np.float64)
    return np.where(far, _digamma_series(np.maximum(a, _FROM), h), direct) if far.any() else direct


def _digamma_series(a: Floats, h: Floats) -> Floats:
    p, q = 1.0 / a, 1.0 / (a + h)
    return h * p * q * (0.5 + (p + q) / 12.0) + (_tail(p * p) - _tail(q * q))


def _tail(z: Floats) -> Floats:
    """L(a) - 1 / (2 a) - 1 / (12 a^2) as a series in z = a^-2."""
    coefficients = (0.0, 0.0, -1 / 120, 1 / 252, -1 / 240, 1 / 132, -691 / 32760, 1 / 12, -3617 / 8160)
    return np.asarray(np.polynomial.polynomial.polyval(z, coefficients), dtype=np.float64)


def trigamma_rise(a: ArrayLike, h: ArrayLike) -> Floats:
    """The derivative of ``digamma_rise`` by a: psi'(a + h) - psi'(a) + h / (a (a + h)), at most 0 for h >= 0."""
    a, h = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(h, dtype=np.float64))
    far = a >= _FROM
    if far.all():
        return _trigamma_series(a, h)
    small = np.minimum(a, _FROM)
    direct: Floats = trigamma(small + h) - trigamma(small) + h / (small * (small + h))
    return np.where(far, _trigamma_series(np.maximum(a, _FROM), h), direct) if far.any() else direct


def _trigamma_series(a: Floats, h: Floats) -> Floats:
    # L'(a) = -1 / (2 a^2) - 1 / (6 a^3) + 1 / (30 a^5) - ...
    p, q = 1.0 / a, 1.0 / (a + h)
    lead: Floats = h * p * q * (0.5 * (p + q) + (p * p + p * q + q * q) / 6.0)
    return -lead + _slope_tail(p) - _slope_tail(q)


def _slope_tail(p: Floats) -> Floats:
    """L'(a) + 1 / (2 a^2) + 1 / (6 a^3) as a series in p = 1 / a."""
    coefficients = (1 / 30, -1 / 42, 1 / 30, -5 / 66, 691 / 2730, -7 / 6, 3617 / 510)
    return p**5 * np.polynomial.polynomial.polyval(p * p, coefficients)


def log_gamma_excess(a: ArrayLike, b: ArrayLike) -> Floats:
    """log Gamma(b) - log Gamma(a) - (b - a) psi(a), less what Gamma(x) ~ (x / e)^x gives for it, b log(b / a) - (b - a).

    It is the integral of (b - x) (psi'(x) - 1 / x) from a to b, which is nowhere negative: near to each other it is summed so.
    """
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    h = b - a
    near = np.abs(h) <= 0.5 * a
    step = np.where(near, h, 0.0)
    points, weights = np.polynomial.legendre.leggauss(16)
    along = 0.5 * (points + 1.0)
    x = np.asarray(a)[..., np.newaxis] + step[..., np.newaxis] * along
    # (b - x) dx / x^2, in units of the step over x, so that nothing overflows.
    relative = step[..., np.newaxis] / x
    integral = 0.5 * (relative**2 * (1.0 - along) * trigamma_curvature(x)) @ weights
    with np.errstate(all="ignore"):
        direct = h * log_minus_digamma(a) - 0.5 * np.log(b / a) + stirling_error(b) - stirling_error(a)
    return np.where(near, integral, direct)
