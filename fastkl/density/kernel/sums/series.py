r"""Sums of wide Gaussian kernels over columns that all end at both sides, or go around, by the Fourier series of their images.

A Gaussian and its images between two ends, R apart, are

.. math:: \sum_{images} e^{-z^2 / 2} = \sqrt{2 \pi} \, s \, \Big( 1 + 2 \sum_{k \ge 1} e^{-k^2 \pi^2 s^2 / 2}
   \cos(k \pi u) \cos(k \pi v) \Big), \qquad s = h / R ,

for rows and references a share u and v of the way from the lower end; around a circle the same with :math:`2 \pi` for :math:`\pi`
and :math:`\cos(2 \pi k (u - v))`. From bandwidths of a third of R on a few terms are exact to rounding, where images would be
needed by the thousand in three columns. The sum over references is a table of their means of products of cosines, as large as the
terms of all columns are many; the work is linear in rows and references. No digits are lost that matter: ``of`` takes the series
only where the smallest value of the kernel is so much above rounding that the wanted error is kept.
"""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.ends import Mirrors

# Logarithm of a kernel's smallest value, in units of its largest, down to which the series is taken.
LOWEST_SHARE = -10.0
ROUNDED = 5e-15  # error of a sum in units of its largest value
WIDE = 0.25  # of the distance of the ends
LOST = 1e-18  # size of the first term that is left out
MOST_TERMS = 4096  # of all columns together
ROWS = 512  # at a time, so that their terms are a few megabytes


class SeriesSums:
    """Sums over references by the series.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        References, in the coordinates in which ends are known, as all rows are.
    weights : ndarray of shape (m,) or None
        Their weights.
    mirrors : Mirrors
        Two ends, or the period, of every column.
    widths : ndarray of shape (d,)
        Bandwidths.
    """

    def __init__(self, points: Floats, weights: Floats | None, mirrors: Mirrors, widths: Floats):
        self._low, self._size = mirrors.low, mirrors.high - mirrors.low
        self._places, self._weights = self._placed(points), np.ones(len(points)) if weights is None else weights
        shares, places = widths / self._size, self._places
        self._columns = [Series.of(*each) for each in zip(shares, mirrors.circular, strict=True)]
        self._table: Floats = np.zeros([len(column.height) for column in self._columns])
        for first in range(0, len(places), ROWS):
            parts = self._parts(places[first : first + ROWS])
            own = products_of([self._weights[first : first + ROWS, np.newaxis], *parts])
            self._table += own.sum(axis=0).reshape(self._table.shape)
        for j, column in enumerate(self._columns):
            self._table *= _along(column.height, j, len(self._columns))

    @classmethod
    def of(cls, points: Floats, weights: Floats | None, mirrors: Mirrors, widths: Floats, error: float) -> Self | None:
        """The sums; None where the series is not exact to ``error``, or too long."""
        size = mirrors.high - mirrors.low
        if error <= 0.0 or not np.all(np.isfinite(size)):
            return None
        share = widths / size
        least = -0.5 * float(np.sum((np.where(mirrors.circular, 0.5, 1.0) / share) ** 2))
        if least < max(LOWEST_SHARE, np.log(ROUNDED / error)):
            return None
        if n_terms(mirrors, widths, np.ones(len(widths), dtype=np.bool_)) > MOST_TERMS:
            return None
        return cls(points, weights, mirrors, widths)

    def log_sums(self, rows: Floats) -> Floats:
        """log sum_j w_j k of rows (n, d): (n,)."""
        return self._logs(self._sums(self._placed(rows), [self._table])[0])

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the slopes of the sum of k by the logarithms of the bandwidths (n, d)."""
        sums, *rises = self._sums(self._placed(rows), [self._table, *self._risen()])
        return self._logs(sums), 1.0 + np.stack(rises, axis=1) / sums[:, np.newaxis]

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the gradients by the rows (n, d)."""
        places = self._placed(rows)
        sums = self._sums(places, [self._table])[0]
        rises = [self._sums(places, [self._table], j)[0] for j in range(len(self._columns))]
        return self._logs(sums), np.stack(rises, axis=1) / sums[:, np.newaxis] / self._size

    def leave_one_out(self, moments: bool, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, or at rows in their stead, each without itself, and slopes as of ``moments``."""
        there = self._places if rows is None else self._placed(rows)
        sums, *rises = self._sums(there, [self._table, *(self._risen() if moments else [])])
        yours = self._parts(self._places)
        parts = zip(self._columns, yours if rows is None else self._parts(there), yours, strict=True)
        pairs = [(mine * yours) @ np.stack([c.height, c.height * c.rises], axis=1) for c, mine, yours in parts]
        own = self._weights * np.prod([pair[:, 0] for pair in pairs], axis=0)
        sums = np.maximum(sums - own, 0.0)
        if not moments:
            return self._logs(sums), None
        with np.errstate(divide="ignore", invalid="ignore"):
            left = [rise - own * pair[:, 1] / pair[:, 0] for rise, pair in zip(rises, pairs, strict=True)]
            return self._logs(sums), 1.0 + np.stack(left, axis=1) / sums[:, np.newaxis]

    def _placed(self, rows: Floats) -> Floats:
        """Rows as shares of the way from the lower to the higher end."""
        return np.asarray((rows - self._low) / self._size)

    def _logs(self, sums: Floats) -> Floats:
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(sums))

    def _parts(self, places: Floats, slope_of: int | None = None) -> list[Floats]:
        """The terms of every column at places."""
        return [
            column.slopes(places[:, j]) if j == slope_of else column.values(places[:, j])
            for j, column in enumerate(self._columns)
        ]

    def _risen(self) -> list[Floats]:
        """The table's slopes by the logarithm of each bandwidth, but for the factor of all terms."""
        return [self._table * _along(column.rises, j, len(self._columns)) for j, column in enumerate(self._columns)]

    def _sums(self, places: Floats, tables: list[Floats], slope_of: int | None = None) -> list[Floats]:
        """The series with the coefficients of each table; every row by itself, whatever rows there are beside it."""
        found = [np.empty(len(places)) for _ in tables]
        for first in range(0, len(places), ROWS):
            terms = products_of(self._parts(places[first : first + ROWS], slope_of))
            for out, table in zip(found, tables, strict=True):
                out[first : first + ROWS] = (terms * table.ravel()).sum(axis=1)
        return found


class Series:
    """Terms of one column: cosines between two ends, cosines and sines around a circle."""

    def __init__(self, height: Floats, rises: Floats, frequencies: Floats, n_cosines: int):
        # of the terms (T,), and the slopes of their logarithms by that of the bandwidth, less 1
        self.height, self.rises = height, rises
        self._frequencies, self._n_cosines = frequencies, n_cosines

    @classmethod
    def of(cls, width: float, circular: bool) -> Self:
        """Those of a bandwidth in units of the distance of the ends."""
        n_terms = _n_terms(width, circular)
        n_cosines = (n_terms + 1) // 2 if circular else n_terms
        k = np.arange(n_cosines, dtype=np.float64)
        if circular:
            k = np.concatenate([k, k[1:]])
        frequencies = (2.0 if circular else 1.0) * np.pi * k
        squares = (frequencies * width) ** 2
        height = np.sqrt(2.0 * np.pi) * width * np.where(k == 0.0, 1.0, 2.0) * np.exp(-0.5 * squares)
        return cls(height, -squares, frequencies, n_cosines)

    def values(self, places: Floats) -> Floats:
        """The terms at places (n,): (n, T)."""
        angles = places[:, np.newaxis] * self._frequencies
        return np.concatenate([np.cos(angles[:, : self._n_cosines]), np.sin(angles[:, self._n_cosines :])], axis=1)

    def slopes(self, places: Floats) -> Floats:
        """Their slopes."""
        angles = places[:, np.newaxis] * self._frequencies
        turned = [-np.sin(angles[:, : self._n_cosines]), np.cos(angles[:, self._n_cosines :])]
        return np.asarray(np.concatenate(turned, axis=1) * self._frequencies)


def wide_columns(mirrors: Mirrors, widths: Floats, least: float = WIDE) -> npt.NDArray[np.bool_]:
    """Columns (d,) that end at both sides, or go around, with bandwidths of at least so much of the way between.

    From ``WIDE`` on the series keeps 12 digits of a kernel's smallest value.
    """
    size = np.where(np.isfinite(mirrors.low) & np.isfinite(mirrors.high), mirrors.high - mirrors.low, np.inf)
    return np.asarray(widths >= least * size)


def n_terms(mirrors: Mirrors, widths: Floats, chosen: npt.NDArray[np.bool_]) -> float:
    """How many terms the series of the chosen columns have together."""
    share = (widths / (mirrors.high - mirrors.low))[chosen]
    return float(np.prod([float(_n_terms(*each)) for each in zip(share, mirrors.circular[chosen], strict=True)]))


def _n_terms(width: float, circular: bool) -> int:
    """How many terms are not lost in rounding."""
    last = int(np.sqrt(-2.0 * np.log(LOST)) / (np.pi * width * (2.0 if circular else 1.0)))
    return 2 * last + 1 if circular else last + 1


def products_of(parts: list[Floats]) -> Floats:
    """All products of one term of each part, row by row: (n, product of their numbers)."""
    found, *others = parts
    for part in others:
        found = (found[:, :, np.newaxis] * part[:, np.newaxis, :]).reshape(len(part), -1)
    return found


def _along(values: Floats, axis: int, n_axes: int) -> Floats:
    """Values along one axis of a table."""
    return values.reshape([-1 if j == axis else 1 for j in range(n_axes)])
