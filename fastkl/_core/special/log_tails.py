"""Logarithms of tail probabilities without cancellation: of 1 - exp(-w), of x / s near 1.

Each keeps its relative digits where the logarithm is large (far out) and where it is next to 0 (where the other tail is tiny).
"""

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats

_LOG_2 = np.log(2.0)


def log_one_minus_exp(w: ArrayLike, log_w: ArrayLike) -> Floats:
    """log(1 - exp(-w)) for w >= 0, given log w too, which may be known where w underflows; -inf at w = 0."""
    w, log_w = np.broadcast_arrays(np.asarray(w, dtype=np.float64), np.asarray(log_w, dtype=np.float64))
    small = w < _LOG_2
    near = np.where(small & (w > 0.0), w, 1.0)
    ratio = np.where(w > 0.0, np.log(-np.expm1(-near) / near), 0.0)
    return np.where(small, log_w + ratio, np.log1p(-np.exp(-np.where(small, 1.0, w))))


def log_complement(log_p: ArrayLike) -> Floats:
    """log(1 - p) from log p <= 0: -inf at 0, and -p where p is small."""
    log_p = np.asarray(log_p, dtype=np.float64)
    with np.errstate(divide="ignore", under="ignore"):
        near = np.log(-np.expm1(np.maximum(log_p, -_LOG_2)))
        far = np.log1p(-np.exp(np.minimum(log_p, -_LOG_2)))
    return np.where(log_p > -_LOG_2, near, far)


def log_ratio(x: ArrayLike, s: ArrayLike) -> Floats:
    """log(x / s) for x >= 0 and s > 0 with full relative accuracy, x next to s included; -inf at x = 0.

    Rounding x / s would cost a power of it with exponent k a relative k roundings.
    """
    x, s = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(s, dtype=np.float64))
    with np.errstate(divide="ignore", over="ignore", under="ignore", invalid="ignore"):
        ratio = x / s
        near = (ratio >= 0.5) & (ratio <= 2.0)  # where x - s is exact
        far = np.where((ratio > 1e-300) & (ratio < np.inf), np.log(ratio), np.log(x) - np.log(s))
        return np.where(near, np.log1p(np.where(near, x - s, 0.0) / s), far)
