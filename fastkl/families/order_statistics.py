"""Weighted medians by selection: O(n), without sorting the rows.

A sample brackets the middle; one pass counts what lies below the bracket and keeps the few values inside it, which alone are
sorted. Where the bracket misses, which a wide margin makes rare, all values are sorted.
"""

import numpy as np
from numpy.typing import NDArray

from fastkl.families.base import Floats, Rows

SAMPLE = 8192
MARGIN = 5.0  # in standard deviations of a sample median's rank


def medians(rows: Rows) -> Floats:
    """Weighted median of every column, (d,): the middle between both ends where any point of an interval is one."""
    return np.array([median(rows.X[:, j], rows.weights) for j in range(rows.X.shape[1])])


def median(x: NDArray[np.floating], weights: Floats | None = None) -> float:
    """The weighted median: half of the weight lies on either side; NaN if a value is NaN.

    Where the weight splits exactly between two values, the midpoint of the two.
    """
    n = len(x)
    if n > 8 * SAMPLE:
        sample = np.sort(x[:: n // SAMPLE])
        centre, reach = len(sample) // 2, int(MARGIN * 0.5 * np.sqrt(len(sample)))
        if weights is not None:
            order = np.argsort(x[:: n // SAMPLE], kind="stable")
            cumulative = np.cumsum(weights[:: n // SAMPLE][order])
            centre = int(np.searchsorted(cumulative, 0.5 * cumulative[-1]))
            reach *= 4
        low, high = sample[max(0, centre - reach)], sample[min(len(sample) - 1, centre + reach)]
        below, above = x < low, x > high
        inside = np.flatnonzero(~(below | above))
        if weights is None:
            total, under = float(n), float(np.count_nonzero(below))
            over = float(np.count_nonzero(above))
        else:
            total, under = float(np.sum(weights)), float(np.sum(weights[below]))
            over = float(np.sum(weights[above]))
        if max(under, over) < 0.49999 * total and len(inside) < n // 2:
            chosen = x[inside].astype(np.float64)
            return _middle(chosen, None if weights is None else weights[inside], under, total)
    return _middle(x.astype(np.float64), weights, 0.0, float(n) if weights is None else float(np.sum(weights)))


def _middle(x: Floats, weights: Floats | None, under: float, total: float) -> float:
    """The median of the whole, given the values around it and the weight below all of them."""
    if np.isnan(x).any():
        return np.nan
    half = 0.5 * total - under
    if weights is None:
        # the values at ranks ceil(half) and floor(half) + 1, counted from 1: the same one where the total is odd
        first, second = int(np.ceil(half)) - 1, min(int(np.floor(half)), len(x) - 1)
        part = np.partition(x, [first, second])
        return _midpoint(part[first], part[second])
    order = np.argsort(x, kind="stable")
    cumulative = np.cumsum(weights[order])
    slack = 1e-12 * total
    first = min(int(np.searchsorted(cumulative, half - slack)), len(x) - 1)
    tied = abs(cumulative[first] - half) <= slack and first + 1 < len(x)
    return _midpoint(x[order[first]], x[order[first + 1]] if tied else x[order[first]])


def _midpoint(low: float, high: float) -> float:
    return float(low + 0.5 * (high - low))
