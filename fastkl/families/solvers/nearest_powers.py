"""Where the sum of powers of distances to the rows is least, for powers of at most 1: at one of the rows.

Between two rows such a sum is concave: its minima are rows, mostly each of them a local one. All rows near the best known
place are looked at: the sum over rows farther away is a power series there (its terms fall by a factor of ``FAR`` each), so that
one pass over the rows serves all of them. What is near falls into parts, each with rows that are near and rows that are far.
Where the best of them lies at the edge of what was looked at, some of the rows of a wider stretch are looked at, then again all
near the best of these.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import binom

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.solvers.iterative import n_rows

FAR = 3.0  # times as far as what is looked at
TERMS = 34  # of the power series: 3^-34 is below rounding
FARTHER = (4, 2, 1)  # as powers of ``FAR``: from there on a series with so many times fewer terms does
LOOKED_AT = 256  # rows at least, where there are so many
PER_ROOT = 2.0  # of the square root of the number of rows
MOST_MOVES = 30
WIDER = 8.0  # times as many rows are in the stretch that is looked at next,
SEEN = 32  # and so many of them are looked at
FURTHER = 1.6  # times as far as the edge lies the next place to look around: what was the best is looked at again
MOST_PLACES = 1 << 13
BLOCK = 1 << 15  # rows at once: their numbers stay in the cache
MOST_NUMBERS = 1 << 14  # distances at once, likewise
FEW, PARTS = 1 << 18, 4  # distances that are summed one by one; more of them fall into parts
LEAST_REACH = float(np.finfo(np.float64).tiny)


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
    moving, width = list(range(len(columns))), np.ones(len(columns))
    for move in range(1, MOST_MOVES + 1):
        of_these = [columns[i] for i in moving]
        reach = np.array([_reach(sample.X[:, columns[i]], best[i], share * width[i]) for i in moving])
        found = rows.total(_near, of_these, best[moving], reach, power[moving], merge=_joined, block_rows=BLOCK)
        still = []
        for i, near, far in zip(moving, found, reach, strict=True):
            step, looked = _least(near, power[i], far, MOST_PLACES if width[i] == 1.0 else SEEN)
            at_edge = abs(step) > 0.5 * looked
            best[i] += FURTHER * step if at_edge and move < MOST_MOVES else step
            if at_edge or width[i] > 1.0:
                still.append(i)
            width[i] = WIDER * width[i] if at_edge and move < MOST_MOVES - 1 else 1.0
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
    found, w = [], np.ones(len(rows.X)) if rows.weights is None else rows.weights
    for i, j in enumerate(columns):
        d = rows.X[:, j].astype(np.float64) - centre[i]
        near, series = _far(d, w, reach[i], power[i])
        found.append(Near(d[near], w[near], series))
    return found


def _far(d: Floats, w: Floats, reach: float, power: float) -> tuple[NDArray[np.intp], Floats]:
    """Numbers of the distances up to ``FAR`` times the reach, and the series of the others in the place over the reach."""
    left, series = np.arange(len(d)), np.zeros(TERMS)
    for divisor in FARTHER:
        size = np.abs(d)
        near = size <= FAR**divisor * reach
        if near.all():
            continue
        with np.errstate(divide="ignore", invalid="ignore"):
            term, ratio = np.where(near, 0.0, w * size**power), np.where(near, 0.0, reach / d)
        for k in range(-(-TERMS // divisor)):
            series[k] += np.add.reduce(term)
            term *= ratio
        kept = np.flatnonzero(near)
        left, d, w = left[kept], d[kept], w[kept]
    order = np.arange(TERMS)
    return left, (-1.0) ** order * binom(power, order) * series


def _joined(first: list[Near], second: list[Near]) -> list[Near]:
    return [
        Near(np.append(a.distances, b.distances), np.append(a.weights, b.weights), a.series + b.series)
        for a, b in zip(first, second, strict=True)
    ]


def _least(near: Near, power: float, reach: float, most: int) -> tuple[float, float]:
    """The row with the least sum, less the centre, and how far was looked: infinitely where all rows were looked at.

    At most so many are looked at: of a wide stretch some, at even ranks, else those that are next to the centre.
    """
    looked, places = reach, np.unique(near.distances[np.abs(near.distances) <= reach])
    if not len(places):
        return 0.0, np.inf
    if len(places) > most == MOST_PLACES:
        looked = float(np.partition(np.abs(places), most)[most])
        places = places[np.abs(places) <= looked]
    elif len(places) > most:
        places = places[np.linspace(0, len(places) - 1, most).astype(np.intp)]
    sums = _sums(places, near.distances, near.weights, power)
    if np.any(near.series):
        sums += _at(near.series, places / reach)
    return float(places[np.argmin(sums)]), looked


def _sums(places: Floats, distances: Floats, weights: Floats, power: float) -> Floats:
    """Sums of powers of the distances from increasing places."""
    if len(places) <= SEEN or len(places) * len(distances) <= FEW:
        at_once = range(0, len(places), max(MOST_NUMBERS // len(distances), 1))
        parts = [places[first : first + at_once.step, None] for first in at_once]
        return np.concatenate([np.abs(part - distances) ** power @ weights for part in parts])
    sums = []
    for part in np.array_split(places, PARTS):
        middle, reach = 0.5 * (part[0] + part[-1]), max(0.5 * (part[-1] - part[0]), LEAST_REACH)
        near, series = _far(distances - middle, weights, reach, power)
        sums.append(_sums(part, distances[near], weights[near], power) + _at(series, (part - middle) / reach))
    return np.concatenate(sums)


def _at(series: Floats, place: Floats) -> Floats:
    """The value of a power series."""
    return np.asarray(np.polynomial.polynomial.polyval(place, series))
