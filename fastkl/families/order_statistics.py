"""Weighted medians by selection: O(n), without sorting the rows.

Without weights by numpy's selection. With weights a sample brackets the middle; one pass counts what lies below the bracket and
keeps the few values inside it, which alone are sorted. Where the bracket misses, which a wide margin makes rare, all are sorted.
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
    if weights is None:
        return _plain_median(x.astype(np.float64))
    total = float(np.sum(weights))
    if n > 8 * SAMPLE:
        order = np.argsort(x[:: n // SAMPLE], kind="stable")
        sample = x[:: n // SAMPLE][order]
        cumulative = np.cumsum(weights[:: n // SAMPLE][order])
        centre = int(np.searchsorted(cumulative, 0.5 * cumulative[-1]))
        reach = int(MARGIN * 2.0 * np.sqrt(len(sample)))
        low, high = sample[max(0, centre - reach)], sample[min(len(sample) - 1, centre + reach)]
        below, above = x < low, x > high
        inside = np.flatnonzero(~(below | above))
        under, over = float(np.sum(weights[below])), float(np.sum(weights[above]))
        if max(under, over) < 0.49999 * total and len(inside) < n // 2:
            return _middle(x[inside].astype(np.float64), weights[inside], under, total)
    return _middle(x.astype(np.float64), weights, 0.0, total)


def _plain_median(x: Floats) -> float:
    """The median without weights; reorders x. One selection: the other middle value of an even number is the largest below."""
    half = len(x) // 2
    x.partition(half)
    if np.isnan(x[half:].max()):  # NaN goes to the end
        return np.nan
    return float(x[half]) if len(x) % 2 else _midpoint(x[:half].max(), x[half])


def _middle(x: Floats, weights: Floats, under: float, total: float) -> float:
    """The weighted median of the whole, given the values around it and the weight below all of them."""
    if np.isnan(x).any():
        return np.nan
    half = 0.5 * total - under
    order = np.argsort(x, kind="stable")
    cumulative = np.cumsum(weights[order])
    slack = 1e-12 * total
    first = min(int(np.searchsorted(cumulative, half - slack)), len(x) - 1)
    tied = abs(cumulative[first] - half) <= slack and first + 1 < len(x)
    return _midpoint(x[order[first]], x[order[first + 1]] if tied else x[order[first]])


def _midpoint(low: float, high: float) -> float:
    return float(low + 0.5 * (high - low))
