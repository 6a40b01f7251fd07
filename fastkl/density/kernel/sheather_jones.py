"""The bandwidth of Sheather and Jones, "solve the equation": as R's ``bw.SJ`` defines it, with the equation solved to rounding.

The pairs of values are counted by their difference on 1000 bins, as R does; R itself stops at a tolerance of a hundredth of the
largest bandwidth it considers, so that its digits beyond are those of its last step.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from scipy.optimize import brentq

from fastkl._core.array_types import Floats
from fastkl.exceptions import DegenerateDataError

BINS = 1000
FARTHEST = 1000.0  # squared differences in bandwidths whose terms are left out, as in R
WIDEST = 1e100  # bins beyond this many spreads have no pair in reach, whose squared difference stays finite


def sheather_jones(column: Floats, number: int = 0) -> float:
    """The bandwidth of the values of a column of this number.

    S. J. Sheather, M. C. Jones, "A reliable data-based bandwidth selection method for kernel density estimation", JRSS B 53,
    1991, doi:10.1111/j.2517-6161.1991.tb01857.x.
    """
    n = len(column)
    exponent = int(np.frexp(np.abs(column).max())[1])  # so that no square overflows
    column = np.ldexp(column, -exponent)
    width, pairs = binned_pairs(column)
    quartiles = np.quantile(column, [0.25, 0.75])
    spread = min(float(np.std(column, ddof=1)), float(quartiles[1] - quartiles[0]) / 1.349)
    if spread > 0.0:  # is the unit from here on
        width = min(width / spread, WIDEST)
        sixth = -_functional(pairs, 1.23 * n ** (-1.0 / 9.0), n, width, 6)
        fourth = _functional(pairs, 1.24 * n ** (-1.0 / 7.0), n, width, 4)
    if not (spread > 0.0 and np.isfinite(sixth) and sixth > 0.0 and fourth > 0.0):
        raise DegenerateDataError(
            f"Column {number} has no bandwidth of Sheather and Jones: its values are too few or too often repeated. Choose "
            "bandwidth='silverman' or a number.",
            number,
        )
    ratio = 1.357 * (fourth / sixth) ** (1.0 / 7.0)
    constant = 1.0 / (2.0 * sqrt(pi) * n)

    def excess(h: float) -> float:
        return float((constant / _functional(pairs, ratio * h ** (5.0 / 7.0), n, width, 4)) ** 0.2 - h)

    high = 1.144 * n ** (-0.2)
    low = 0.1 * high
    for _ in range(100):
        if excess(low) * excess(high) <= 0.0:
            root = float(brentq(excess, low, high, xtol=1e-13 * high, rtol=1e-13))
            return float(np.ldexp(root * spread, exponent))
        low, high = 0.8 * low, 1.2 * high
    raise DegenerateDataError(
        f"The equation of Sheather and Jones has no solution for column {number}. Choose bandwidth='silverman' or a number.",
        number,
    )


def binned_pairs(column: Floats) -> tuple[float, Floats]:
    """Width of a bin, and the numbers of pairs of values whose bins differ by 0, 1, ..."""
    width = float(np.ptp(column)) * 1.01 / BINS
    bins = np.trunc(column / width).astype(np.int64)
    counts = np.bincount(bins - bins.min()).astype(np.float64)
    size = 2 * len(counts)  # the sums go round: room for all of them
    across = np.rint(np.fft.irfft(np.abs(np.fft.rfft(counts, size)) ** 2, size))[: len(counts)]
    across[0] = 0.5 * np.sum(counts * (counts - 1.0))
    return width, across[:BINS]


def _functional(pairs: Floats, bandwidth: float, n: int, width: float, order: int) -> float:
    """The estimated integral of the density's 4th or 6th derivative times the density, with a Gaussian kernel."""
    square = (np.arange(len(pairs)) * width / bandwidth) ** 2
    square = square[square < FARTHEST]
    if order == 4:
        terms = square**2 - 6.0 * square + 3.0
        at_zero = 3.0
    else:
        terms = square**3 - 15.0 * square**2 + 45.0 * square - 15.0
        at_zero = -15.0
    total = 2.0 * float(np.sum(np.exp(-0.5 * square) * terms * pairs[: len(square)])) + n * at_zero
    return total / (n * (n - 1.0) * bandwidth ** (order + 1) * sqrt(2.0 * pi))
