"""Exact neighbours among more rows than fit into memory: shards of them are indexed one after the other, results merged.

The nearest of all rows are the nearest of those that were nearest in each shard; numbers and weights in a closed ball are sums
over the shards; the last row in a ball is the last of each shard's last. So nothing is approximated, and what is held is one
shard with its index beside the queries and their results.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl.spatial.index import Floats, NeighborIndex

# Searches by number take so many distances at a time.
_GROUP_NUMBERS = 1 << 22

# Lists are merged for so many queries at a time.
_MERGED_ROWS = 1 << 13

Shard = tuple[npt.NDArray[Any], Floats | None]


class ShardedIndex:
    """The rows of a reference sample, in shards that are read anew for each search.

    A sample of one shard is indexed once and kept. All results are in the order of the queries' index.

    Parameters
    ----------
    shards : callable
        Without arguments; gives the shards, each a pair of rows (m, d) and their weights (m,) or None. The same ones in each
        pass. A shard is done with when the next one is asked for.
    n_jobs : int or None, default=None
        Threads.
    """

    def __init__(self, shards: Callable[[], Iterable[Shard]], *, n_jobs: int | None = None) -> None:
        self._shards = shards
        self._n_jobs = n_jobs
        self._only: tuple[NeighborIndex, Floats | None] | None = None

    def query(self, queries: NeighborIndex, n_neighbors: int, *, own: int | None = None) -> Floats:
        """Distances to the 1st, ..., ``n_neighbors``-th nearest row: (n, n_neighbors); inf where there are fewer rows.

        ``own`` is the number of the shard whose rows the queries are, if they are: each is then left out of its own neighbours,
        by its position.
        """
        best = np.full((len(queries), n_neighbors), np.inf)
        for index, _, same in self._visit(queries, own):
            k = min(n_neighbors, len(index) - same)
            if k < 1:
                continue
            found = index.query_self(k, in_order=True) if same else index.query(queries, k, in_order=True)
            _merge(best, found)
        return best

    def count(self, queries: NeighborIndex, radius: Floats, *, own: int | None = None) -> npt.NDArray[np.int64]:
        """Number of rows in the closed ball of ``radius[i]`` around each query: (n,). Below 0 it holds none."""
        total = np.zeros(len(queries), dtype=np.int64)
        for index, _, same in self._visit(queries, own):
            total += _count(index, queries, radius, same)
        return total

    def weight(self, queries: NeighborIndex, radius: Floats, *, own: int | None = None) -> tuple[Floats, Floats]:
        """Sums of the weights and of their squares over the rows in each closed ball: (n,) each."""
        sums = np.zeros((2, len(queries)))
        for index, weights, same in self._visit(queries, own):
            masses = np.ones(len(index)) if weights is None else weights
            for total, values in zip(sums, (masses, masses**2), strict=True):
                total += (
                    index.weight_self(radius, values, in_order=True)
                    if same
                    else index.weight(queries, radius, values, in_order=True)
                )
        return sums[0], sums[1]

    def last_within(
        self, queries: NeighborIndex, radius: Floats, chosen: npt.NDArray[np.intp], *, own: int | None = None
    ) -> Floats:
        """Distance to the last row in the closed ball around each query at the chosen positions; 0 where the ball is empty."""
        X = queries.X[queries.order[chosen]]
        some = np.full(len(queries), -1.0)
        some[chosen] = radius[chosen]
        last = np.zeros(len(chosen))
        for index, _, same in self._visit(queries, own):
            counts = _count(index, queries, some, same)[chosen]
            filled = np.flatnonzero(counts)
            if len(filled):
                last[filled] = np.maximum(last[filled], distances_by_number(index, X[filled], counts[filled] + same))
        return last

    def _visit(self, queries: NeighborIndex, own: int | None) -> Iterator[tuple[NeighborIndex, Floats | None, bool]]:
        """The index and weights of each shard in turn, and whether its rows are the queries."""
        if self._only is not None:
            index, weights = self._only
            yield queries if own == 0 else index, weights, own == 0
            return
        only: tuple[NeighborIndex, Floats | None] | None = None
        for number, (X, weights) in enumerate(self._shards()):
            index = queries if number == own else NeighborIndex(X, n_jobs=self._n_jobs)
            only = (index, weights) if number == 0 else None
            yield index, weights, number == own
            del index, X  # before the next shard is read
        self._only = only


def _merge(best: Floats, found: Floats) -> None:
    """Put what is nearer into the ascending lists, a group of rows at a time."""
    nearer = np.flatnonzero(found[:, 0] < best[:, -1])
    for start in range(0, len(nearer), _MERGED_ROWS):
        rows = nearer[start : start + _MERGED_ROWS]
        both = np.concatenate([best[rows], found[rows]], axis=1)
        both.sort(axis=1)
        best[rows] = both[:, : best.shape[1]]


def _count(index: NeighborIndex, queries: NeighborIndex, radius: Floats, same: bool) -> npt.NDArray[np.int64]:
    return index.count_self(radius, in_order=True) if same else index.count(queries, radius, in_order=True)


def distances_by_number(index: NeighborIndex, X: npt.NDArray[Any], numbers: npt.NDArray[np.int64]) -> Floats:
    """Distance from each row of X to its ``numbers[i]``-th nearest row of the index; equal rows are neighbours like others."""
    last = np.empty(len(X))
    rows = np.argsort(numbers, kind="stable")
    while len(rows):
        # Searched with the number of the group's last row, so groups of similar numbers waste little.
        size = max(1, int(_GROUP_NUMBERS // numbers[rows[0]]))
        group = rows[: min(size, np.searchsorted(numbers[rows], 2 * numbers[rows[0]], side="right"))]
        found = index.query(np.ascontiguousarray(X[group]), int(numbers[group].max()))
        last[group] = found[np.arange(len(group)), numbers[group] - 1]
        rows = rows[len(group) :]
    return last
