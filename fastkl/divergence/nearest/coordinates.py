"""Coordinates in which two samples are compared: as given, scaled by a common spread, or pooled normal scores.

A divergence does not change under a common bijection of both samples, but what is near to what does. *Normal scores* replace
every column by the normal quantiles of its ranks among the rows of both samples together: units, offsets and skewness are gone,
and what is left is how the two samples differ. Ties keep their mean rank, so atoms stay atoms.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fastkl._core._threads import effective_n_threads
from fastkl._core._vector_math import interpolated
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.rows.in_order import in_order

COORDINATES = ("normal_scores", "scaled")
# Ranks are at least so far from 0 and 1.
_LEAST = 1e-15
# Spreads from the middle beyond which values are not told apart, so that sums of their fourth powers are finite.
_FARTHEST = 1e60
# Standard deviations between the values that interpolated scores go through.
_CELL = 0.01
# Rows of both samples whose columns are worth a thread each.
_WORTH_THREADS = 100_000


def free_of_units(pair: SamplePair, coordinates: str | None) -> SamplePair:
    """Both samples in the coordinates asked for; scaled by default."""
    return in_coordinates(pair, "scaled" if coordinates == "auto" else coordinates)


def in_coordinates(pair: SamplePair, coordinates: str | None) -> SamplePair:
    """Both samples in the coordinates asked for; None and "auto" for those they have."""
    if coordinates in (None, "auto"):
        return pair
    if coordinates not in COORDINATES:
        known = ", ".join(map(repr, COORDINATES))
        raise ValueError(f"coordinates={coordinates!r} is unknown; expected one of 'auto', {known} or None.")
    if coordinates == "scaled":
        return scaled_pair(pair)[0]
    return _with_rows(pair, *normal_scores(pair.p.X, pair.q.X))


def scaled_pair(pair: SamplePair) -> tuple[SamplePair, FloatArray]:
    """Both samples with columns over their quartile range in both together, and these ranges."""
    X, Y = pair.p.X, pair.q.X
    middle, spread = centre_and_spread(np.concatenate([X, Y]).astype(np.float64))
    return _with_rows(pair, *over_spread(X, Y, middle, spread)), spread


def _with_rows(pair: SamplePair, X: FloatArray, Y: FloatArray) -> SamplePair:
    """The same samples with other values in their rows."""
    return SamplePair(Sample(X, pair.p.weights, pair.p.n_jobs), Sample(Y, pair.q.weights, pair.q.n_jobs))


def normal_scores(
    X: NDArray[Any], Y: NDArray[Any], masses: FloatArray | None = None, n_jobs: int | None = 1
) -> tuple[FloatArray, FloatArray]:
    """Normal quantiles of the ranks that the values of each column have among both samples, (n, d) and (m, d).

    ``masses`` (n + m,) are those of the rows of X and then of Y, by which ranks go; None for ones.
    """
    n, size = len(X), len(X) + len(Y)
    scores = np.empty((size, X.shape[1]))
    of_ranks = ndtri((np.arange(size) + 0.5) / size) if masses is None else None  # where no values are equal

    def score(j: int) -> None:
        column = np.concatenate([X[:, j], Y[:, j]])
        # sums of masses go by the order of equals
        order = np.argsort(column, kind=None if masses is None else "stable")
        ordered = column[order]
        changes = ordered[1:] != ordered[:-1]
        if of_ranks is not None and changes.all():
            scores[order, j] = of_ranks
            return
        # Equal values share the mean of their ranks.
        start = np.flatnonzero(np.concatenate([[True], changes]))
        count = np.diff(np.append(start, size))
        if masses is None:
            rank = (start + 0.5 * count) / size
        else:
            mass = np.add.reduceat(masses[order], start)
            below = np.cumsum(mass)
            # A mass that is nothing beside the others has a score all the same.
            rank = np.clip((below - 0.5 * mass) / below[-1], _LEAST, 1.0 - _LEAST)
        scores[order, j] = np.repeat(ndtri(rank), count)

    columns = range(X.shape[1])
    if size < _WORTH_THREADS:
        for j in columns:
            score(j)
    else:
        for _ in in_order((partial(score, j) for j in columns), effective_n_threads(n_jobs)):
            pass
    return np.ascontiguousarray(scores[:n]), np.ascontiguousarray(scores[n:])


def interpolated_scores(
    X: NDArray[Any],
    Y: NDArray[Any],
    some: tuple[NDArray[Any], NDArray[Any]],
    masses: FloatArray | None,
    n_jobs: int | None,
) -> tuple[FloatArray, FloatArray]:
    """The same to a hundredth of a standard deviation: of ``some`` rows of both and their masses, the others between these.

    A column's map is still one to one and in order, and is linear between some hundred of its values; to sort all of many rows
    would take most of the time of the searches among them.
    """
    of_some = np.concatenate(normal_scores(*some, masses))
    out = np.empty(X.shape), np.empty(Y.shape)

    def score(j: int) -> None:
        ranks = Ranks.of(np.concatenate([rows[:, j] for rows in some]).astype(np.float64), of_some[:, j]).thinned()
        low, high = min(X[:, j].min(), Y[:, j].min()), max(X[:, j].max(), Y[:, j].max())
        ranks = ranks.reaching(low, high, len(X) + len(Y))
        for rows, scores in zip((X, Y), out, strict=True):
            scores[:, j] = ranks.scores(rows[:, j])

    for _ in in_order((partial(score, j) for j in range(X.shape[1])), effective_n_threads(n_jobs)):
        pass
    return out


class Ranks(NamedTuple):
    """Values of a column in order, and their normal scores, by which other values of the column have scores too."""

    values: FloatArray
    at: FloatArray

    @classmethod
    def of(cls, column: FloatArray, scores: FloatArray | None = None) -> Ranks:
        """Of a column (n,), whose normal scores are known or those of ranks without masses."""
        values, first, counts = np.unique(np.asarray(column, np.float64), return_index=True, return_counts=True)
        if scores is not None:
            return cls(values, scores[first])
        return cls(values, np.asarray(ndtri((np.cumsum(counts) - 0.5 * counts) / len(column))))

    def thinned(self) -> Ranks:
        """The same to a hundredth of a standard deviation, in some hundred values, on both sides of every jump."""
        cell = np.floor(self.at / _CELL)
        changes = cell[1:] != cell[:-1]
        kept = np.concatenate([[True], changes]) | np.concatenate([changes, [True]])
        return Ranks(self.values[kept], self.at[kept])

    def reaching(self, low: float, high: float, size: int) -> Ranks:
        """The same for a column of so many rows, which goes from ``low`` to ``high``: no value is beyond the ends."""
        end = float(ndtri(0.5 / size))
        values, at = self.values, self.at
        if low < values[0]:
            values, at = np.append(low, values), np.append(min(end, at[0] - _CELL), at)
        if high > values[-1]:
            values, at = np.append(values, high), np.append(at, max(-end, at[-1] + _CELL))
        return Ranks(values, at)

    def scores(self, column: FloatArray) -> FloatArray:
        """Normal scores of other values, by interpolation; those beyond the ends have that of the end."""
        found = interpolated(column.astype(np.float64, copy=False), self.values, self.at)
        steep = ~np.isfinite(found)  # between values whose distance is no normal number
        if steep.any():
            found[steep] = self.at[np.searchsorted(self.values, column[steep]).clip(max=len(self.at) - 1)]
        return found


def scaled(X: NDArray[Any], Y: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Columns over their quartile range in both samples together (over their spread, where half of the values are equal)."""
    return over_spread(X, Y, *centre_and_spread(np.concatenate([X, Y]).astype(np.float64)))


def over_spread(
    X: NDArray[Any], Y: NDArray[Any], middle: FloatArray, spread: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Columns of both samples from their middle in units of their spread."""
    return measured(X, middle, spread), measured(Y, middle, spread)


def measured(X: NDArray[Any], middle: FloatArray, spread: FloatArray) -> FloatArray:
    """Columns from their middle in units of their spread, beside which no value is endlessly far."""
    with np.errstate(over="ignore"):
        z = (X.astype(np.float64) - middle) / spread
    return np.ascontiguousarray(np.clip(z, -_FARTHEST, _FARTHEST, out=z))


def centre_and_spread(Z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and quartile range of every column, or its standard deviation where that is 0; 1 for a constant column."""
    low, middle, high = np.quantile(Z, [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    same = spread == 0.0
    if same.any():
        largest = np.abs(Z[:, same]).max(axis=0, initial=0.0)
        largest[largest == 0.0] = 1.0
        spread[same] = (Z[:, same] / largest).std(axis=0) * largest  # whose squares are no larger than 1
    return middle, np.where(spread > 0.0, spread, 1.0)
