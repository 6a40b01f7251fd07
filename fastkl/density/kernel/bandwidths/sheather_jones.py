"""The bandwidth of Sheather and Jones, "solve the equation": as R's ``bw.SJ`` defines it, with the equation solved to rounding.

The pairs of values are counted by their difference on 1000 bins, as R does; R itself stops at a tolerance of a hundredth of the
largest bandwidth it considers, so that its digits beyond are those of its last step. Where a few values far out make such bins
too wide for the others, finer ones take their place; R's ``nb`` does that by hand.
"""

from __future__ import annotations

from math import pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.fft import next_fast_len
from scipy.optimize import brentq

from fastkl._core.array_types import Floats
from fastkl.exceptions import DegenerateDataError

BINS = 1000
COARSE, FINE = (
    0.05,
    0.01,
)  # bins wider than the first, in bandwidths, move the answer by up to a tenth; they become the second
MOST = 1 << 20  # bins of values without a gap
GAP = 100.0  # spreads between values that are out of each other's reach at any bandwidth that is looked at
FARTHEST = 1000.0  # squared differences in bandwidths whose terms are left out, as in R
WIDEST = 1e100  # bins beyond this many spreads have no pair in reach, whose squared difference stays finite


def sheather_jones(column: Floats, number: int = 0) -> float:
    """The bandwidth of the values of a column of this number.

    S. J. Sheather, M. C. Jones, "A reliable data-based bandwidth selection method for kernel density estimation", JRSS B 53,
    1991, doi:10.1111/j.2517-6161.1991.tb01857.x.
    """
    exponent = int(np.frexp(np.abs(column).max())[1])  # so that no square overflows
    column = np.ldexp(column, -exponent)
    quartiles = np.quantile(column, [0.25, 0.75])
    spread = min(float(np.std(column, ddof=1)), float(quartiles[1] - quartiles[0]) / 1.349)
    width, pairs = binned_pairs(column)
    root = _solution(pairs, width, spread, len(column), number)
    if width > COARSE * root:
        values = np.sort(column)
        runs = np.split(values, np.flatnonzero(np.diff(values) > GAP * spread) + 1)
        narrowest = max(float(run[-1] - run[0]) for run in runs) / MOST
        while width > max(COARSE * root, narrowest):
            width = max(FINE * root, narrowest)
            root = _solution(_pairs_of_runs(runs, width), width, spread, len(column), number)
    return float(np.ldexp(root, exponent))


def _solution(pairs: Floats, width: float, spread: float, n: int, number: int) -> float:
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
            return float(brentq(excess, low, high, xtol=1e-13 * high, rtol=1e-13)) * spread
        low, high = 0.8 * low, 1.2 * high
    raise DegenerateDataError(
        f"The equation of Sheather and Jones has no solution for column {number}. Choose bandwidth='silverman' or a number.",
        number,
    )


def binned_pairs(column: Floats) -> tuple[float, Floats]:
    """Width of one of R's bins, and the numbers of pairs of values whose bins differ by 0, 1, ..."""
    width = float(np.ptp(column)) * 1.01 / BINS
    return width, _pairs(np.trunc(column / width).astype(np.int64))[:BINS]


def _pairs_of_runs(runs: list[Floats], width: float) -> Floats:
    """Numbers of pairs by the difference of their bins, of pairs in one run of values only."""
    pairs = np.zeros(1 + int(max((run[-1] - run[0]) / width for run in runs)))
    for run in runs:
        found = _pairs(np.trunc((run - run[0]) / width).astype(np.int64))
        pairs[: len(found)] += found
    return pairs


def _pairs(bins: NDArray[np.int64]) -> Floats:
    counts = np.bincount(bins - bins.min()).astype(np.float64)
    size = next_fast_len(2 * len(counts), real=True)  # the sums go round: room for all of them
    across = np.rint(np.fft.irfft(np.abs(np.fft.rfft(counts, size)) ** 2, size))[: len(counts)]
    across[0] = 0.5 * np.sum(counts * (counts - 1.0))
    return across


def _functional(pairs: Floats, bandwidth: float, n: int, width: float, order: int) -> float:
    """The estimated integral of the density's 4th or 6th derivative times the density, with a Gaussian kernel."""
    within = int(min(len(pairs), sqrt(FARTHEST) * bandwidth / width + 2.0))
    square = (np.arange(within) * width / bandwidth) ** 2
    square = square[square < FARTHEST]
    if order == 4:
        terms = square**2 - 6.0 * square + 3.0
        at_zero = 3.0
    else:
        terms = square**3 - 15.0 * square**2 + 45.0 * square - 15.0
        at_zero = -15.0
    total = 2.0 * float(np.sum(np.exp(-0.5 * square) * terms * pairs[: len(square)])) + n * at_zero
    return total / (n * (n - 1.0) * bandwidth ** (order + 1) * sqrt(2.0 * pi))
