"""Both tails of the von Mises distribution on a logarithmic scale, over the turn around its direction.

The tail from an angle t in (0, pi) is an integral of exp(k (cos s - 1)) from t to pi. Relative to its value at t the integrand is
exp(-2 k sin(u / 2) sin(t + u / 2)) at s = t + u: positive, entire, and without a difference of cosines, so that one
Gauss-Legendre rule over the stretch that counts has 15 digits for any concentration.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import i0e

from fastkl._core.array_types import Floats
from fastkl._core.special.log_probabilities import log_complement
from fastkl._core.special.tail_integrals import DEPTH, tail_integral

_PI_REST = 1.2246467991473532e-16  # pi less its double
_LOG_2PI = np.log(2.0 * np.pi)


def log_von_mises_tails(angle: ArrayLike, concentration: ArrayLike) -> tuple[Floats, Floats]:
    """log P(-pi < T <= angle) and log P(angle < T < pi), elementwise, for T about direction 0 and an angle in [-pi, pi].

    The concentration is at least 0 and finite; beyond the turn the tails are those at its ends.
    """
    angle, k = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (angle, concentration)))
    start = np.minimum(np.abs(angle), np.pi)
    direct = _log_tail(start, k)
    direct = np.where(start == np.pi, -np.inf, np.minimum(direct, -np.log(2.0)))
    other = log_complement(direct)
    return np.where(angle < 0.0, direct, other), np.where(angle < 0.0, other, direct)


def _log_tail(start: Floats, k: Floats) -> Floats:
    """log P(T > start) for a start in [0, pi]."""
    rest = (np.pi - start) + _PI_REST
    half_square = np.sin(0.5 * start) ** 2
    with np.errstate(divide="ignore"):
        # where the exponent has fallen by DEPTH: sin^2(end / 2) = sin^2(start / 2) + depth, if there is such an end
        depth = 0.5 * DEPTH / k
        end = 2.0 * np.arcsin(np.sqrt(np.minimum(half_square + depth, 1.0)))
        reach = 2.0 * np.arcsin(np.minimum(depth / np.sin(0.5 * (start + end)), 1.0))
    length = np.where(half_square + depth >= 1.0, rest, np.minimum(reach, rest))

    def integrand(u: Floats) -> Floats:
        value: Floats = np.exp(-2.0 * k * np.sin(0.5 * u) * np.sin(start + 0.5 * u))
        return value

    return np.log(tail_integral(integrand, length)) - 2.0 * k * half_square - _LOG_2PI - np.log(i0e(k))
