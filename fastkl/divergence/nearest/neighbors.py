"""Searches from rows of p: among the other rows of p, and among the rows of q.

The rows of p are taken in slabs, so that what is held beside the trees is a few numbers for each row of a slab. A slab does
each search once and keeps the distances: every estimator, every number of neighbours up to the largest one asked for, the
standard error and the diagnostics come from the same searches.

Two distances are equal when they agree to 1e-12 relative. No distance is ever replaced, no noise added: a distance of 0 where
a logarithm is due is an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray, Sample, Totals
from fastkl.exceptions import DegenerateDataError
from fastkl.spatial import RELATIVE_SLACK, distances_by_number, within

# A slab's distances and what is made of them take about so many numbers (4 MB), which stay in the cache.
_SLAB_NUMBERS = 1 << 19
_NUMBERS_PER_ROW = 20
_SLAB_STEP = 128
# Rows in a ball beyond which its last one is found by counting, and how often the radius is halved: to 1e-15 of it.
_MANY = 500
_HALVINGS = 50


class Search(Protocol):
    """Exact searches from the rows of a slab among the rows of a sample; results are in the order of the slab.

    Attributes
    ----------
    same : bool
        Whether the slab's rows belong to that sample: each is then left out of its own neighbours.
    keeps_table : bool
        Whether distances to all of the first neighbours are worth keeping: not on a line, where each k is as cheap alone.
    """

    same: bool
    keeps_table: bool

    def nearest(self, k: int) -> FloatArray:
        """Distances to the first k neighbours: (b, k)."""
        ...

    def kth(self, k: int) -> FloatArray:
        """Distance to the k-th: (b,)."""
        ...

    def count(self, radius: FloatArray) -> NDArray[np.int64]:
        """Number of rows in each closed ball: (b,). A ball of negative radius is empty."""
        ...

    def mass(self, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights and of squared weights in each closed ball: (b,) each."""
        ...

    def last_within(self, radius: FloatArray, rows: NDArray[np.intp], counts: FloatArray | None) -> FloatArray:
        """Distance to the last row in the closed ball around each of the given rows (positions in the slab).

        ``counts`` (b,) are the numbers of rows in the balls, where they are known.
        """
        ...

    def first_row(self, chosen: NDArray[np.bool_]) -> int:
        """Least number in p of the chosen rows of the slab."""
        ...


class TreeSearch:
    """Searches in memory: from a span of the rows of one sample, in the order of its index, among those of a sample."""

    def __init__(self, around: Sample, span: tuple[int, int], among: Sample, same: bool) -> None:
        self.around = around
        self.span = span
        self.among = among
        self.same = same
        self.keeps_table = around.n_columns > 1

    @cached_property
    def _where(self) -> dict[str, Any]:
        return {"in_order": True, "span": self.span}

    def nearest(self, k: int) -> FloatArray:
        """Distances to the first k neighbours: (b, k)."""
        index = self.among.index
        return index.query_self(k, **self._where) if self.same else index.query(self.around.index, k, **self._where)

    def kth(self, k: int) -> FloatArray:
        """Distance to the k-th: (b,)."""
        index = self.among.index
        return index.kth_self(k, **self._where) if self.same else index.kth(self.around.index, k, **self._where)

    def count(self, radius: FloatArray) -> NDArray[np.int64]:
        """Number of rows in each closed ball: (b,)."""
        index = self.among.index
        if self.same:
            return index.count_self(radius, **self._where)
        return index.count(self.around.index, radius, **self._where)

    def mass(self, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights and of squared weights in each closed ball: (b,) each."""
        return self._mass(radius, self.among.weights), self._mass(radius, self.among.squares)

    def _mass(self, radius: FloatArray, weights: FloatArray | None) -> FloatArray:
        index = self.among.index
        assert weights is not None
        if self.same:
            return index.weight_self(radius, weights, **self._where)
        return index.weight(self.around.index, radius, weights, **self._where)

    def last_within(self, radius: FloatArray, rows: NDArray[np.intp], counts: FloatArray | None) -> FloatArray:
        """Distance to the last row in the closed ball around each of the given rows."""
        number = (self.count(radius) if counts is None else counts)[rows].astype(np.int64)
        last, few = np.empty(len(rows)), number < _MANY
        where = self.around.index.order[slice(*self.span)][rows[few]]
        last[few] = distances_by_number(self.among.index, self.around.X[where], number[few] + self.same)
        if not few.all():
            last[~few] = self._halved(radius, rows[~few], number[~few])
        return last

    def _halved(self, radius: FloatArray, rows: NDArray[np.intp], number: NDArray[np.int64]) -> FloatArray:
        """The same where a ball holds many rows: the least radius that still holds them, by halving.

        A list of all neighbours would take a time that grows with the square of their number; a count does not.
        """
        high = radius[rows]
        low = np.zeros(len(rows))
        for _ in range(_HALVINGS):
            middle = 0.5 * (low + high)
            asked = np.full(len(radius), -1.0)
            asked[rows] = middle
            holds = self.count(asked)[rows] == number
            low, high = np.where(holds, low, middle), np.where(holds, middle, high)
        return high * (1.0 + RELATIVE_SLACK)  # a ball reaches that much beyond its radius

    def first_row(self, chosen: NDArray[np.bool_]) -> int:
        """Least number in p of the chosen rows of the slab."""
        return int(self.around.index.order[slice(*self.span)][chosen].min())


class Neighbors:
    """Distances from the rows of a slab and counts in balls around them; each searched once.

    Parameters
    ----------
    search : Search
        Where to look.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self.reach = 0
        self._distances: FloatArray | None = None
        self._single: dict[int, FloatArray] = {}

    def search(self, k: int) -> None:
        """Make all k up to this known by one search."""
        if k <= self.reach:
            return
        if self._search.keeps_table:
            self._distances = self._search.nearest(k)
        self.reach = k

    def kth(self, k: int) -> FloatArray:
        """Distance to the k-th neighbour: (b,)."""
        if k not in self._single:
            table = self._distances
            if table is not None and table.shape[1] >= k:
                self._single[k] = np.ascontiguousarray(table[:, k - 1])  # once: beside others it is read slowly
            else:
                self._single[k] = self._search.kth(k)
        return self._single[k]

    def positive_kth(self, k: int) -> FloatArray:
        """The same, or the error that says why the logarithm of such a distance does not exist."""
        distances = self.kth(k)
        zero = distances == 0.0
        if zero.any():
            raise DegenerateDataError(
                f"The distance from row {self._search.first_row(zero)} of p to its neighbour number {k} in "
                f"{'p' if self._search.same else 'q'} is 0 (so it is in {int(zero.sum())} of the {len(distances)} rows looked "
                f"at): repeated or rounded values, or a column of labels, have no density at that scale. "
                f'Use method="common_radius" for a divergence of such samples, or the discrete calls '
                f"(fastkl.categorical_kl, fastkl.categorical_entropy) if the values are symbols or counts; for an entropy leave "
                f"out rows that share one value, as zeros of an amount do, and count them on their own. That of a column rounded "
                f"to steps of h is near categorical_entropy(x) + log(h)."
            )
        return distances

    def count(self, radius: FloatArray) -> FloatArray:
        """Number of rows in each closed ball: (b,), as float64."""
        if self._distances is None:
            return self._search.count(radius).astype(np.float64)
        count, asked = np.empty(len(radius)), np.empty(len(radius))
        if within(self._distances, radius, count, asked):
            # A ball of negative radius is empty, so what is known is not counted again.
            beyond = asked >= 0.0
            count[beyond] = self._search.count(asked)[beyond]
        return count

    def mass(self, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights and of squared weights in each closed ball: (b,) each."""
        return self._search.mass(radius)

    def last_within(self, radius: FloatArray, k: int, counts: FloatArray | None) -> FloatArray:
        """Distance to the last row in each closed ball, which holds at least k, and ``counts`` where these are known: (b,)."""
        kth = self.kth(k)
        last = np.minimum(kth, radius)
        rows = np.flatnonzero(kth < radius * (1.0 - RELATIVE_SLACK))
        if len(rows):
            last[rows] = self._search.last_within(radius, rows, counts)
        return last


@dataclass(frozen=True)
class Slab:
    """Some rows of p with their neighbours; all values are in one order.

    Attributes
    ----------
    p, q : Totals
        The samples as a whole.
    n_rows : int
        b, the rows of this slab.
    weights : ndarray of shape (b,) or None
        Weights of these rows of p.
    own, across : Neighbors
        Among the other rows of p, and among the rows of q.
    """

    p: Totals
    q: Totals
    n_rows: int
    weights: FloatArray | None
    own: Neighbors
    across: Neighbors

    def search(self, k: int) -> None:
        """Make all k up to this known, as far as the samples have so many rows."""
        self.own.search(min(k, self.p.n_rows - 1))
        self.across.search(min(k, self.q.n_rows))


class Pair(Protocol):
    """A sample of p and a sample of q, wherever their rows are."""

    @property
    def p(self) -> Totals:
        """The sample whose rows look for neighbours."""
        ...

    @property
    def q(self) -> Totals:
        """The reference sample."""
        ...

    def slabs(self, reach: int) -> Iterator[Slab]:
        """All rows of p, in slabs with the neighbours up to ``reach`` known (0 for none)."""
        ...

    def repeats_in_q(self) -> int:
        """Rows of q that are equal to another row of q."""
        ...


class SamplePair:
    """A sample of p and a sample of q in memory.

    Parameters
    ----------
    p, q : Sample
        Same columns, same dtype.
    """

    def __init__(self, p: Sample, q: Sample) -> None:
        self.p = p
        self.q = q

    def slabs(self, reach: int) -> Iterator[Slab]:
        """All rows of p, in slabs with the neighbours up to ``reach`` known (0 for none)."""
        rows = _SLAB_NUMBERS // (2 * reach + _NUMBERS_PER_ROW) // _SLAB_STEP * _SLAB_STEP
        if self.p.weighted or self.q.weighted:
            rows *= 4  # each call adds up the weights of the whole tree, and keeps no distances
        rows = max(rows, _SLAB_STEP)
        for first in range(0, self.p.n_rows, rows):
            slab = self._slab((first, min(first + rows, self.p.n_rows)))
            slab.search(reach)
            yield slab
            del slab  # before the next one is searched

    def slabs_with_rows(self) -> Iterator[tuple[NDArray[np.intp], Slab]]:
        """The slabs, each with the numbers of its rows in p."""
        first = 0
        for slab in self.slabs(0):
            rows = self.p.index.order[first : first + slab.n_rows]
            first += slab.n_rows
            yield rows, slab

    def whole(self) -> Slab:
        """All rows of p in one slab."""
        return self._slab((0, self.p.n_rows))

    def by_row(self, values: FloatArray) -> FloatArray:
        """Values of the whole slab by row of p."""
        out = np.empty_like(values)
        out[self.p.index.order] = values
        return out

    def _slab(self, span: tuple[int, int]) -> Slab:
        p, q = self.p, self.q
        weights = None if p.weights is None else p.weights[p.index.order[slice(*span)]]
        own, across = Neighbors(TreeSearch(p, span, p, True)), Neighbors(TreeSearch(p, span, q, False))
        return Slab(p, q, span[1] - span[0], weights, own, across)

    def repeats_in_q(self) -> int:
        """Rows of q that are equal to another row of q."""
        if self.q.n_rows < 2:
            return 0
        return sum(int(np.sum(slab.own.kth(1) == 0.0)) for slab in self.reversed().slabs(0))

    def reversed(self) -> SamplePair:
        """The pair (q, p), which shares the trees."""
        return SamplePair(self.q, self.p)
