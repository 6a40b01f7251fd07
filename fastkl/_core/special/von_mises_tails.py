"""Both tails of the von Mises distribution on a logarithmic scale, over the turn around its direction.

The tail from an angle t in (0, pi) is an integral of exp(k (cos s - 1)) from t to pi. Relative to its value at t the integrand is
exp(-2 k sin(u / 2) sin(t + u / 2)) at s = t + u: positive, entire, and without a difference of cosines, so that one
Gauss-Legendre rule over the stretch that counts has 15 digits for any concentration.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i0e

from fastkl._core.array_types import Floats
from fastkl._core.special.exact import exact_sum
from fastkl._core.special.log_tails import log_complement
from fastkl._core.special.tail_integrals import DEPTH, tail_integral

_PI_REST = 1.2246467991473532e-16  # pi less its double
_LOG_2PI = np.log(2.0 * np.pi)
# 2 pi in three parts, the first two of 33 bits: products with up to a million turns are exact
_TURN = (6.2831853069365025, 2.4308402025215864e-10, 8.089064995183803e-21)


def log_von_mises_tails(x: ArrayLike, loc: ArrayLike, concentration: ArrayLike) -> tuple[Floats, Floats]:
    """log P(loc - pi < X <= x) and log P(x < X < loc + pi), elementwise, x being any of the angles x + 2 pi k.

    The concentration is at least 0 and finite. An x that rounding has moved past an end of the turn counts as that end, and so
    does an infinite one.
    """
    x, loc, k = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, loc, concentration)))
    with np.errstate(invalid="ignore"):
        away, lost = exact_sum(x, -loc)
        away, lost = np.where(np.isinf(x), np.copysign(np.pi, x), away), np.where(np.isinf(x), 0.0, lost)
        rounding = 2.0 * (np.spacing(np.abs(x)) + np.spacing(np.abs(loc)) + np.spacing(np.pi))
        turns = np.where(np.abs(away) <= np.pi + rounding, 0.0, np.rint(away / (2.0 * np.pi)))
        for part in _TURN:
            away = away - turns * part
        below = away + lost < 0.0
        start, lost = np.where(below, -away, away), np.where(below, -lost, lost)
        rest = np.maximum((np.pi - start) + (_PI_REST - lost), 0.0)
    rest = np.where(np.isinf(x), 0.0, rest)
    direct = np.minimum(_log_tail(np.clip(start, 0.0, np.pi), rest, k), -np.log(2.0))
    other = log_complement(direct)
    return np.where(below, direct, other), np.where(below, other, direct)


def _log_tail(start: Floats, rest: Floats, k: Floats) -> Floats:
    """log P(T > start) for T about direction 0, from a start in [0, pi] that leaves a rest of pi - start."""
    half_square = np.sin(0.5 * start) ** 2
    with np.errstate(divide="ignore"):
        # where the exponent has fallen by DEPTH: sin^2(end / 2) = sin^2(start / 2) + depth, if there is such an end
        depth = 0.5 * DEPTH / k
        end = 2.0 * np.arcsin(np.sqrt(np.minimum(half_square + depth, 1.0)))
        reach = 2.0 * np.arcsin(np.minimum(depth / np.sin(0.5 * (start + end)), 1.0))
    length = np.where(half_square + depth >= 1.0, rest, np.minimum(reach, rest))

    def integrand(u: Floats) -> Floats:
        return np.exp(-2.0 * k * np.sin(0.5 * u) * np.sin(start + 0.5 * u))

    with np.errstate(divide="ignore"):
        return np.log(tail_integral(integrand, length)) - 2.0 * k * half_square - _LOG_2PI - np.log(i0e(k))


def turn_ends(loc: Floats) -> tuple[Floats, Floats]:
    """loc - pi and loc + pi, rounded away from loc."""
    low, below = exact_sum(*_plus(loc, -np.pi, -_PI_REST))
    high, above = exact_sum(*_plus(loc, np.pi, _PI_REST))
    return np.where(below < 0.0, np.nextafter(low, -np.inf), low), np.where(
        above > 0.0, np.nextafter(high, np.inf), high
    )


def _plus(loc: Floats, half_turn: float, rest: float) -> tuple[Floats, Floats]:
    """loc + half_turn + rest as a rounded sum and what it lacks."""
    total, lost = exact_sum(loc, np.full_like(loc, half_turn))
    return total, lost + rest
