"""Tails of Student's t distribution on a logarithmic scale, from those of the beta distribution.

P(|T| > t) is I_x(df / 2, 1 / 2) at x = df / (df + t^2). Its complement y = t^2 / (df + t^2) and the distance of x to the mean
of that beta distribution are given beside x, so that nothing is lost where x is next to 1: for large df, and near t = 0.
"""

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import log_ndtr, stdtr

from fastkl._core.array_types import Floats
from fastkl._core.special.beta_tails import log_beta_tails

# Beyond this the tail is t^-df times a constant to double precision, which also serves where the square of t overflows.
FAR = 1e100
# Beyond it the distribution is the normal one to double precision wherever its density is more than 0.
NORMAL_FROM = 1e30
# where scipy's function is right to 5e-13
PLAIN_DF = 1e3
PLAIN_T = 1e100
SMALLEST_TAIL = 1e-100
_LOG_2 = np.log(2.0)


def log_student_sf(df: ArrayLike, t: ArrayLike) -> Floats:
    """log P(T > t), elementwise; df may be infinite, which is the normal distribution.

    The relative error is below 1e-12 for df from 1e-6 to 1e15 (tests/core/special/test_student_tails.py).
    """
    df, t = np.broadcast_arrays(np.asarray(df, dtype=np.float64), np.asarray(t, dtype=np.float64))
    degrees = np.minimum(df, NORMAL_FROM)
    size = np.minimum(np.abs(t), FAR)
    square = size * size
    total = degrees + square
    x, y = degrees / total, square / total
    outside, inside = log_beta_tails(0.5 * degrees, 0.5, x, y, 0.5 * x * (1.0 - size) * (1.0 + size))
    beyond = np.where(np.abs(t) > FAR, degrees * np.log(np.maximum(np.abs(t), FAR) / FAR), 0.0)
    tail = outside - beyond - _LOG_2
    with np.errstate(over="ignore"):
        own = np.where(t > 0.0, tail, np.log1p(-np.exp(np.minimum(tail, -_LOG_2))))
    return np.where(df >= NORMAL_FROM, log_ndtr(-t), own)


def plain_student_sf(df: ArrayLike, t: ArrayLike) -> Floats:
    """P(T > t) by scipy where it is right to 5e-13, for df up to 10^3 and tails down to 1e-100; NaN elsewhere."""
    df, t = np.broadcast_arrays(np.asarray(df, dtype=np.float64), np.asarray(t, dtype=np.float64))
    fits = (df <= PLAIN_DF) & (np.abs(t) <= PLAIN_T)
    tail = stdtr(np.where(fits, df, np.nan), -np.abs(t))
    return np.where(tail >= SMALLEST_TAIL, np.where(t > 0.0, tail, 1.0 - tail), np.nan)
