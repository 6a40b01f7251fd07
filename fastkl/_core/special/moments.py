"""Pieces of variances that a plain formula would lose to cancellation: E X^2 - (E X)^2 of distributions with a narrow peak."""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln, polygamma

from fastkl._core.array_types import Floats

# Below this share of z steps are summed as a series, above it the difference of logarithms loses no more than two digits.
_SMALL_STEP = 0.1
_TERMS = 8
# (tan t - t) / t^3 in powers of t^2: its error is below 1e-15 up to _SMALL_ANGLE
_TANGENT = (
    1 / 3,
    2 / 15,
    17 / 315,
    62 / 2835,
    1382 / 155925,
    21844 / 6081075,
    929569 / 638512875,
    6404582 / 10854718875,
)
_SMALL_ANGLE = 0.15


def gamma_spread(z: ArrayLike, step: ArrayLike) -> Floats:
    """log Gamma(z + h) - 2 log Gamma(z) + log Gamma(z - h) for 0 <= h < z, elementwise: log(E X^2 / (E X)^2) of a gamma power.

    A second difference: 2 sum over even n of psi^(n-1)(z) h^n / n!, whose terms shrink as (h / z)^2.
    """
    z, h = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(step, dtype=np.float64))
    small = h < _SMALL_STEP * z
    near, by = np.where(small, z, 1.0), np.where(small, h, 0.0)
    total, factor = np.zeros(z.shape), np.ones(z.shape)
    for n in range(2, 2 * _TERMS + 1, 2):
        factor = factor * by * by / (n * (n - 1))
        total = total + 2.0 * factor * polygamma(n - 1, near)
    with np.errstate(invalid="ignore", over="ignore"):
        plain = gammaln(z + h) - 2.0 * gammaln(z) + gammaln(z - h)
    return np.where(small, total, plain)


def log_gamma_rise(z: ArrayLike, step: ArrayLike) -> Floats:
    """log Gamma(z + h) - log Gamma(z) for z > 0, h >= 0, elementwise: about the middle, a series in odd powers of the step."""
    z, h = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(step, dtype=np.float64))
    small = h < 2.0 * _SMALL_STEP * z
    half = np.where(small, 0.5 * h, 0.0)
    middle = np.where(small, z, 1.0) + half
    total, factor = 2.0 * half * digamma(middle), half
    for n in range(2, 2 * _TERMS + 1, 2):
        factor = factor * half * half / (n * (n + 1))
        total = total + 2.0 * factor * polygamma(n, middle)
    return np.where(small, total, gammaln(z + h) - gammaln(z))


def tangent_excess(t: ArrayLike) -> Floats:
    """tan(t) - t for 0 <= t < pi / 2, with all digits of a small one."""
    t = np.asarray(t, dtype=np.float64)
    small = np.minimum(t, _SMALL_ANGLE)
    series = small**3 * np.polynomial.Polynomial(_TANGENT)(small * small)
    return np.where(t <= _SMALL_ANGLE, series, np.tan(t) - t)
