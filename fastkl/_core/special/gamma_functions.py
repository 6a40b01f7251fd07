"""Differences of gamma-function terms that cancel when taken literally, for large arguments by their asymptotic series.

``log_minus_digamma`` (log a - psi(a), about 1 / (2 a)), ``stirling_error`` (what Stirling's formula lacks of log Gamma(a), about
1 / (12 a)), ``trigamma``, ``trigamma_curvature`` (a^2 (psi'(a) - 1 / a)) and ``log_excess`` (u - log(1 + u)) are compiled,
and so are the solvers of the gamma and the beta distribution: see ``fk_gamma_functions.h``.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma, gammaln, polygamma

from fastkl._core.array_types import Floats
from fastkl._core.special._gamma_functions import (
    beta_shapes,
    gamma_shapes,
    log_excess,
    log_minus_digamma,
    stirling_error,
    trigamma,
    trigamma_curvature,
)

__all__ = [
    "HALF_LOG_2PI",
    "beta_shapes",
    "gamma_shapes",
    "half_step",
    "log_excess",
    "log_minus_digamma",
    "stirling_error",
    "trigamma",
    "trigamma_curvature",
]

HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)  # the constant of Stirling's formula and of the normal density
_LARGE = 16.0
# (2^-2k - 1) B_2k / (k (2k - 1)) for k = 1, 2, ...: the coefficients of a^(1 - 2k) in log(Gamma(a + 1/2) / (Gamma(a) sqrt(a)))
_HALF_STEP = (-1 / 8, 1 / 192, -1 / 640, 17 / 14336, -31 / 18432, 691 / 180224, -5461 / 425984)


def half_step(a: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """log Gamma(a + 1/2) - log Gamma(a) - log(a) / 2, about -1 / (8 a), and its first two derivatives by log a; 0 at a = inf."""
    a = np.asarray(a, dtype=np.float64)
    inverse, small = 1.0 / np.maximum(a, _LARGE), np.minimum(a, _LARGE)
    powers = np.arange(1, 2 * len(_HALF_STEP), 2)
    series = [
        inverse * np.polynomial.polynomial.polyval(inverse**2, (-powers) ** k * np.array(_HALF_STEP)) for k in range(3)
    ]
    slope = digamma(small + 0.5) - digamma(small)
    curvature = polygamma(1, small + 0.5) - polygamma(1, small)
    direct = [
        gammaln(small + 0.5) - gammaln(small) - 0.5 * np.log(small),
        small * slope - 0.5,
        small * slope + small * small * curvature,
    ]
    values = [np.where(a >= _LARGE, far, near) for far, near in zip(series, direct, strict=True)]
    return values[0], values[1], values[2]
