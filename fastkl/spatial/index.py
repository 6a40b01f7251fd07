"""Exact neighbour distances and closed-ball counts (Euclidean): a sorted line for one column, a kd-tree for more.

Differences are formed directly in float64, so distances are right for any offset of the data. Squares of very large or
very small differences leave the range of float64; where the data allow that at all, such results are found again with
all differences multiplied by a power of two, which is exact. A ball is closed with a relative slack of 1e-12: two distances
that agree to that are equal in every count, and a ball whose radius is a neighbour's distance holds that neighbour.

Queries are either an array or another index: its rows are then searched in its own order, where neighbours follow each
other. A ``span`` of positions in that order restricts them, and the results are those of its positions: so the results of
a large sample need not be held all at once.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl._core._threads import effective_n_threads
from fastkl.spatial._balls import ball
from fastkl.spatial._tree import Tree, magnitudes
from fastkl.spatial.line import Line, Span
from fastkl.spatial.policy import arrangement

Floats = npt.NDArray[np.float64]

# Between these a square neither overflows nor loses digits; values that are zero or above TINY_VALUE keep above SMALL.
SMALL, LARGE = 2.0**-450, 2.0**500
TINY_VALUE = 2.0**-390
MAGNIFY = 2.0**600
MOST_ROWS = 2**31 - 1

# Spans of queries start at a multiple of this, so that they are pieces of work for the threads.
SPAN_STEP = 128


class NeighborIndex:
    """The rows of a reference sample, arranged for exact neighbour searches.

    Parameters
    ----------
    X : ndarray of shape (m, d), float32 or float64, C-contiguous, finite
        The reference sample; not copied if possible, never written to, and not to be changed while the index is in use.
    n_jobs : int or None, default=None
        Threads for building and for every search, which asks anew how many these are. Results do not depend on it.

    Attributes
    ----------
    X : ndarray of shape (m, d)
        The sample.
    order : ndarray of shape (m,)
        Row at each position of the index's own order, in which ``in_order=True`` gives results.
    """

    def __init__(self, X: npt.ArrayLike, *, n_jobs: int | None = None) -> None:
        self.X = _as_rows(X)
        self.n_jobs = n_jobs
        effective_n_threads(n_jobs)  # a number that is none is an error now
        least, most = magnitudes(self.X)
        if np.isnan(most):
            row, column = np.argwhere(~np.isfinite(self.X))[0]
            raise ValueError(f"Neighbours need finite values; row {row}, column {column} is {self.X[row, column]}.")
        self._extreme = self.X.dtype == np.float64 and (least < TINY_VALUE or most > LARGE / 2)
        self._line: Line | None = None
        self._tree: Tree | None = None
        if self.X.shape[1] == 1:
            self._line = Line(self.X, n_jobs)
        else:
            leaf, preselect, together = arrangement(self.X)
            self._tree = Tree(self.X, leaf, preselect, together, n_jobs)

    def __len__(self) -> int:
        return len(self.X)

    def __getstate__(self) -> dict[str, Any]:
        return {"X": self.X, "n_jobs": self.n_jobs}

    def __setstate__(self, state: dict[str, Any]) -> None:
        NeighborIndex.__init__(self, state["X"], n_jobs=state["n_jobs"])

    @property
    def order(self) -> npt.NDArray[Any]:
        if self._line is not None:
            return self._line.order
        assert self._tree is not None
        return self._tree.order

    def query(
        self, Y: "npt.ArrayLike | NeighborIndex", n_neighbors: int, *, in_order: bool = False, span: Span | None = None
    ) -> Floats:
        """Distances from each row of Y (n, d) to its 1st, ..., ``n_neighbors``-th nearest row: (n, n_neighbors).

        ``in_order=True`` leaves results in the order of Y's index (its ``order``), which saves the way back to rows.
        """
        return self._nearest(self._index_of(Y), n_neighbors, False, False, in_order, span)

    def query_self(self, n_neighbors: int, *, in_order: bool = False, span: Span | None = None) -> Floats:
        """The same from each row of X to the *other* rows: left out by its index, not by its distance."""
        return self._nearest(self, n_neighbors, True, False, in_order, span)

    def kth(
        self, Y: "npt.ArrayLike | NeighborIndex", k: int, *, in_order: bool = False, span: Span | None = None
    ) -> Floats:
        """Distance from each row of Y to its k-th nearest row alone: (n,), float64."""
        return self._nearest(self._index_of(Y), k, False, True, in_order, span)

    def kth_self(self, k: int, *, in_order: bool = False, span: Span | None = None) -> Floats:
        """The same from each row of X to the *other* rows."""
        return self._nearest(self, k, True, True, in_order, span)

    def neighbors_self(self, k: int) -> npt.NDArray[np.int32]:
        """Which rows are the k nearest other rows: (n, k) positions in the index's order, for each row in that order.

        Their order is arbitrary, but their set is not: ties at the k-th distance are broken by coordinates and by the order
        of the rows in X alone. Rows whose squared distances leave the range of float64 count as equally far.
        """
        radius = self.kth_self(k, in_order=True)
        if self._line is not None:
            return self._line.listed(k)
        found = np.empty((len(self), k), dtype=np.int32)
        assert self._tree is not None
        self._tree.listed(k, radius, found)
        return found

    def count(
        self,
        Y: "npt.ArrayLike | NeighborIndex",
        radius: npt.ArrayLike,
        *,
        in_order: bool = False,
        span: Span | None = None,
    ) -> npt.NDArray[np.int64]:
        """Number of rows in the closed ball of ``radius[i]`` around ``Y[i]``: (n,), int64. Below 0 it holds none.

        With ``in_order=True`` radius and result are in the order of Y's index.
        """
        return self._ball(self._index_of(Y), radius, None, False, in_order, span)

    def count_self(
        self, radius: npt.ArrayLike, *, in_order: bool = False, span: Span | None = None
    ) -> npt.NDArray[np.int64]:
        """Number of *other* rows in the closed ball of ``radius[i]`` around ``X[i]``: (n,), int64."""
        return self._ball(self, radius, None, True, in_order, span)

    def weight(
        self,
        Y: "npt.ArrayLike | NeighborIndex",
        radius: npt.ArrayLike,
        weights: npt.ArrayLike,
        *,
        in_order: bool = False,
        span: Span | None = None,
    ) -> Floats:
        """Sum of the ``weights`` (m,) of the rows in the closed ball of ``radius[i]`` around ``Y[i]``: (n,), float64.

        ``weights`` are always by row of X, whatever ``in_order`` says of radius and result.
        """
        return self._ball(self._index_of(Y), radius, weights, False, in_order, span)

    def weight_self(
        self, radius: npt.ArrayLike, weights: npt.ArrayLike, *, in_order: bool = False, span: Span | None = None
    ) -> Floats:
        """The same around each ``X[i]`` over the *other* rows; the row's own weight is left out, never subtracted."""
        return self._ball(self, radius, weights, True, in_order, span)

    def _index_of(self, Y: "npt.ArrayLike | NeighborIndex") -> "NeighborIndex":
        index = Y if isinstance(Y, NeighborIndex) else NeighborIndex(Y, n_jobs=self.n_jobs)
        if index.X.shape[1] != self.X.shape[1]:
            raise ValueError(f"The queries have {index.X.shape[1]} columns, the sample has {self.X.shape[1]}.")
        return index

    def _nearest(
        self, queries: "NeighborIndex", k: int, same: bool, only_last: bool, in_order: bool, span: Span | None
    ) -> Floats:
        first, last = queries._resolve(span, in_order)
        most = len(self) - same
        if not 1 <= k <= most:
            raise ValueError(f"{k} nearest rows were asked for; a row of the queries has {most} rows to choose from.")
        if self._line is not None and queries._line is not None:
            return self._line.nearest(queries._line, (first, last), k, same, only_last, in_order)
        tree, other = self._tree, queries._tree
        assert tree is not None
        assert other is not None
        found = np.empty(last - first if only_last else (last - first, k))

        def search(scale: float, positions: npt.NDArray[np.int32] | None, out: Floats) -> None:
            tree.nearest(other, k, same, only_last, in_order, scale, first, last, positions, out.reshape(-1))

        search(1.0, None, found)
        if self._extreme or queries._extreme:
            for scale, wrong in ((MAGNIFY, found < SMALL), (1.0 / MAGNIFY, found > LARGE)):
                again = np.empty_like(found)
                rows: npt.NDArray[np.bool_] = np.atleast_1d(wrong.reshape(len(wrong), -1).any(axis=1))
                search(scale, queries._positions(rows, in_order, first), again)
                found[wrong] = again[wrong]
        return found

    def _ball(
        self, queries: "NeighborIndex", radius: Any, weights: Any, same: bool, in_order: bool, span: Span | None
    ) -> Any:
        first, last = queries._resolve(span, in_order)
        radius = np.ascontiguousarray(np.broadcast_to(np.asarray(radius, dtype=np.float64), last - first))
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=np.float64)
            if weights.shape != (len(self),):
                raise ValueError(
                    f"One weight for each of the {len(self)} rows is needed, not an array of shape {weights.shape}."
                )
        if self._line is not None and queries._line is not None:
            return self._line.ball(queries._line, (first, last), radius, same, in_order, weights)
        tree, other = self._tree, queries._tree
        assert tree is not None
        assert other is not None
        found = np.empty(last - first, dtype=np.int64 if weights is None else np.float64)
        into = (None, found, None) if weights is None else (weights, None, found)

        def search(scale: float, positions: npt.NDArray[np.int32] | None) -> None:
            ball(tree, other, radius, same, in_order, scale, first, last, positions, *into)

        if self._extreme or queries._extreme:
            small, large = radius < SMALL, radius > LARGE
            for scale, chosen in ((MAGNIFY, small), (1.0 / MAGNIFY, large), (1.0, ~(small | large))):
                search(scale, queries._positions(chosen, in_order, first))
        else:
            search(1.0, None)
        return found

    def _positions(self, chosen: npt.NDArray[np.bool_], in_order: bool, first: int) -> npt.NDArray[np.int32]:
        """Positions, ascending, of the chosen results, which start at position ``first``."""
        return (np.flatnonzero(chosen if in_order else chosen[self.order]) + first).astype(np.int32)

    def _resolve(self, span: Span | None, in_order: bool) -> Span:
        """The positions of the queries, checked."""
        if span is None:
            return 0, len(self)
        first, last = span
        if not in_order or first % SPAN_STEP or not 0 <= first < last <= len(self):
            raise ValueError(
                f"A span of positions goes with in_order=True, starts at a multiple of {SPAN_STEP} and holds some of the "
                f"{len(self)} positions; got {span}."
            )
        return first, last


def _as_rows(X: npt.ArrayLike) -> npt.NDArray[np.floating]:
    rows = np.asarray(X)
    if rows.dtype != np.float32:
        rows = rows.astype(np.float64, copy=False)
    if rows.ndim != 2 or not rows.size or len(rows) > MOST_ROWS:
        raise ValueError(
            f"A sample of shape (m, d) with 1 to {MOST_ROWS} rows is needed, not one of shape {rows.shape}."
        )
    return np.require(rows, requirements=["C", "A"])
