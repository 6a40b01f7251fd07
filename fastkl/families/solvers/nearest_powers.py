"""Where the sum of powers of distances to the rows is least, for powers of at most 1: at one of the rows.

Between two rows such a sum is concave: its minima are rows, mostly each of them a local one. All rows near the best known
place are looked at: the sum over rows farther away is a power series there (its terms fall by a factor of ``FAR`` each), so that
one pass over the rows serves all of them. Where the best of them lies at the edge of what was looked at, the search goes on
around it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import binom

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.solvers.iterative import n_rows

FAR = 3.0  # times as far as what is looked at
TERMS = 34  # of the power series: 3^-34 is below rounding
LOOKED_AT = 256  # rows at least, where there are so many
PER_ROOT = 2.0  # of the square root of the number of rows
MOST_MOVES = 30
FURTHER = 1.6  # times as far as the edge lies the next place to look around: what was the best is looked at again
MOST_NUMBERS = 1 << 20  # distances at once
MOST_PLACES = 1 << 13


class Near(NamedTuple):
    """What one column has about a place: the rows near it, less that place, with weights, and the series of the others."""

    distances: Floats
    weights: Floats
    series: Floats


def best_rows(rows: AnyRows, columns: list[int], centre: Floats, power: Floats, sample: Rows) -> Floats:
    """The row with the least sum of powers of distances to all rows, near the places given, for some of the columns.

    Parameters
    ----------
    rows, sample : AnyRows, Rows
        All rows, and some of them.
    columns : list of int
        Numbers of the columns.
    centre, power : ndarray of shape (len(columns),)
        Where to begin, and the power of each column, at most 1.
    """
    best = centre.astype(np.float64)
    n = rows.total(n_rows)
    share = max(LOOKED_AT, PER_ROOT * np.sqrt(n)) / n
    moving = list(range(len(columns)))
    for move in range(1, MOST_MOVES + 1):
        of_these = [columns[i] for i in moving]
        reach = np.array([_reach(sample.X[:, columns[i]], best[i], share) for i in moving])
        found = rows.total(_near, of_these, best[moving], reach, power[moving], merge=_joined)
        still = []
        for i, near, far in zip(moving, found, reach, strict=True):
            step, looked = _least(near, power[i], far)
            at_edge = abs(step) > 0.5 * looked
            best[i] += FURTHER * step if at_edge and move < MOST_MOVES else step
            if at_edge:
                still.append(i)
        moving = still
        if not moving:
            break
    return best


def _reach(x: Floats, centre: float, share: float) -> float:
    """Distance within which that share of the values lies; infinite for all of them."""
    held = int(np.ceil(share * len(x)))
    if held >= len(x):
        return np.inf
    distances = np.abs(x.astype(np.float64) - centre)
    reach = float(np.partition(distances, held)[held])
    return reach if reach > 0.0 else float(np.min(distances, where=distances > 0.0, initial=np.inf))


def _near(rows: Rows, columns: list[int], centre: Floats, reach: Floats, power: Floats) -> list[Near]:
    """What a block of rows has of each column."""
    found = []
    for i, j in enumerate(columns):
        d = rows.X[:, j].astype(np.float64) - centre[i]
        w = np.ones(len(d)) if rows.weights is None else rows.weights
        near = np.abs(d) <= FAR * reach[i]
        far, of_far = d[~near], w[~near]
        series, term = np.zeros(TERMS), of_far * np.abs(far) ** power[i]
        for k in range(TERMS):
            series[k] = (-1.0) ** k * binom(power[i], k) * np.sum(term)
            term = term / far
        found.append(Near(d[near], w[near], series))
    return found


def _joined(first: list[Near], second: list[Near]) -> list[Near]:
    return [
        Near(np.append(a.distances, b.distances), np.append(a.weights, b.weights), a.series + b.series)
        for a, b in zip(first, second, strict=True)
    ]


def _least(near: Near, power: float, reach: float) -> tuple[float, float]:
    """The row with the least sum, less the centre, and how far was looked: infinitely where all rows were looked at."""
    places = np.unique(near.distances[np.abs(near.distances) <= reach])
    if not len(places):
        return 0.0, np.inf
    if len(places) > MOST_PLACES:
        places = places[np.argsort(np.abs(places))[:MOST_PLACES]]
        reach = float(np.abs(places[-1]))
    sums = np.empty(len(places))
    at_once = max(MOST_NUMBERS // len(near.distances), 1)
    for first in range(0, len(places), at_once):
        part = places[first : first + at_once]
        sums[first : first + at_once] = np.abs(part[:, None] - near.distances) ** power @ near.weights
    sums += np.polynomial.polynomial.polyval(places, near.series) if np.any(near.series) else 0.0
    return float(places[np.argmin(sums)]), reach
