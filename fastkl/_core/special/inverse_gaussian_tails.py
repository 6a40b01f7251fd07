"""Both tails of the inverse Gaussian distribution on a logarithmic scale.

With z = sqrt(shape / x), alpha = z (x / mean - 1) / sqrt(2) and beta = z (x / mean + 1) / sqrt(2) the tails are

    P(X <= x) = (erfc(-alpha) + e^c erfc(beta)) / 2,    P(X > x) = (erfc(alpha) - e^c erfc(beta)) / 2,    c = 2 shape / mean,

where the exponential overflows and the second difference cancels. As c - beta^2 = -alpha^2, both terms have the common factor
exp(-alpha^2) once they are written by erfcx(u) = exp(u^2) erfc(u), and the difference that is left is an integral of positive
terms (see ``_difference``).
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import erf, erfc, erfcx

from fastkl._core.array_types import Floats
from fastkl._core.special.log_tails import log_complement
from fastkl._core.special.tail_integrals import DEPTH, tail_integral

_LOG_2 = np.log(2.0)


def log_inverse_gaussian_tails(x: ArrayLike, mean: ArrayLike, shape: ArrayLike) -> tuple[Floats, Floats]:
    """log P(X <= x) and log P(X > x), elementwise, for positive and finite mean and shape."""
    x, mean, shape = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, mean, shape)))
    inside = (x > 0.0) & (x < np.inf)
    at = np.where(inside, x, mean)
    with np.errstate(over="ignore"):
        z, away = np.sqrt(0.5 * shape / at), (at - mean) / mean
        alpha, beta = z * np.abs(away), z * (away + 2.0)
        fall = -0.5 * shape * away * (away / at) - _LOG_2
    below = away <= 0.0
    with np.errstate(divide="ignore"):
        direct = fall + np.log(np.where(below, erfcx(alpha) + erfcx(beta), _difference(alpha, 2.0 * z)))
    other = log_complement(np.minimum(direct, 0.0))
    # below a mean much larger than the shape lies nearly all of the mass: there what is above is no complement
    above = below & (shape < 0.5 * mean) & (direct > -_LOG_2)
    c = np.where(above, 2.0 * shape / mean, 0.0)
    rest = erf(beta) + erf(alpha) - np.expm1(c) * erfc(beta)
    other = np.where(above, np.log(0.5 * np.where(above, rest, 1.0)), other)
    direct = np.where(above, log_complement(np.minimum(other, 0.0)), direct)
    outside = np.where(x <= 0.0, -np.inf, np.where(x == np.inf, 0.0, np.nan))
    lower = np.where(inside, np.where(below, direct, other), outside)
    return lower, np.where(inside, np.where(below, other, direct), log_complement(outside))


def _difference(alpha: Floats, gap: Floats) -> Floats:
    """erfcx(alpha) - erfcx(alpha + gap) for both at least 0.

    Where the two are close, as 2 / sqrt(pi) times the integral of exp(-s^2 - 2 alpha s) (1 - exp(-2 gap s)) over s > 0.
    """
    first, second = erfcx(alpha), erfcx(alpha + gap)
    difference = np.asarray(first - second)
    close = np.flatnonzero(second > 0.5 * first)
    if len(close):
        a, apart = alpha.reshape(-1)[close], gap.reshape(-1)[close]

        def integrand(s: Floats) -> Floats:
            return np.exp(-s * (s + 2.0 * a)) * -np.expm1(-2.0 * apart * s)

        length = DEPTH / (a + np.sqrt(a * a + DEPTH))
        difference.reshape(-1)[close] = 2.0 / np.sqrt(np.pi) * tail_integral(integrand, length)
    return difference
