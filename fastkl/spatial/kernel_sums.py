"""Kernel sums over a fixed set of references: arranged once, evaluated at any rows, or at the references without themselves.

Coordinates are in units of the bandwidth. ``error`` bounds the difference of every logarithm from that of the full sum; 0 adds
every term. Two ways keep it, and the policy says which is taken: tiles of references, those left out that are too far away to
matter (``fk_kernel_sums.h``), and for many Gaussian sums in few columns a grid, with tiles for the queries that it cannot serve.
Neither the number of threads nor that of other queries in the same call changes a result by more than that.
"""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl._core._threads import effective_n_threads
from fastkl.spatial._kernel_sums import PROFILES, Tiles
from fastkl.spatial.grid_sums import Grid, Plan, plan
from fastkl.spatial.index import NeighborIndex
from fastkl.spatial.policy import (
    grid_may_pay,
    grid_pays,
    kernel_threads,
    may_use_grid,
    most_nodes,
    orders_kernel_sums,
)

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

FIRST_MOMENTS, SECOND_MOMENTS = 1, 2
# Queries arranged and summed at a time: many against the cost of arranging them, few against memory.
QUERIES = 1 << 17
# Beyond this a square leaves the range of float64: the logarithm of the sum is below -1e300 there.
FAR = 1e150


class KernelSums:
    """Weighted references of one kernel.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        References in units of the bandwidth, float64 and finite.
    weights : ndarray of shape (m,) or None
        Weights above 0; None stands for ones.
    kernel : str
        One of ``PROFILES``: k(r) is 1 at the centre for all of them.
    error : float
        Bound on the error of a logarithm.
    n_threads : int
        Threads; the result is the same for any number.
    narrow : ndarray of shape (m,) or None
        Factors of the squared distances to each reference: 1 / s**2 for one whose bandwidth is s times that of the others.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        *,
        error: float,
        n_threads: int,
        narrow: Floats | None = None,
        order: npt.NDArray[np.intp] | None = None,
    ) -> None:
        self.kernel = PROFILES.index(kernel)
        self.error = error
        self.n_threads = n_threads
        self.points, self.weights, self.narrow, self._known_order = points, weights, narrow, order
        self._grid: Grid | None = None
        self._may_use_grid = kernel == "gaussian" and narrow is None and may_use_grid(points.shape[1], error)

    def expect(self, n_queries: int) -> None:
        """Prepare for so many queries, which may then come in several calls."""
        self._uses_grid(n_queries)

    def log_sums(self, queries: Floats, ordered: bool = False) -> Floats:
        """log sum_j w_j k(|x - y_j|) of every query (n, d): (n,). Queries that are not finite are infinitely far: -inf.

        Where near queries already follow each other (``ordered``) they are not arranged.
        """
        return self._at(queries, 0, ordered)[0]

    def slopes(self, queries: Floats) -> tuple[Floats, Floats]:
        """These logarithms, and their gradient by the coordinates of the query: (n,) and (n, d)."""
        sums, moments = self._at(queries, FIRST_MOMENTS)
        assert moments is not None
        return sums, moments

    def moments(self, queries: Floats, ordered: bool = False) -> tuple[Floats, Floats]:
        """These logarithms, and their slopes by the logarithms of the bandwidths, without the factor 1 / h of a density."""
        sums, moments = self._at(queries, SECOND_MOMENTS, ordered)
        assert moments is not None
        return sums, moments

    def leave_one_out(
        self, moments: bool = False, queries: Floats | None = None, which: Places | None = None
    ) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, each without itself, and their slopes by the logarithms of the bandwidths.

        The slopes, (m, d), are those of the logarithm of the sum of k, without the factor 1 / h of a density. ``queries`` are
        other places, one for each reference, which is the one that is left out there; ``which`` are the references that are
        meant where these are not all.
        """
        which = np.arange(len(self.points)) if which is None else which
        own_points = self.points if len(which) == len(self.points) else self.points[which]
        queries = own_points if queries is None else queries
        n, d = queries.shape
        sums, of_moments = np.empty(n), np.zeros((n, d)) if moments else None
        kind, left = SECOND_MOMENTS if moments else 0, np.arange(n)
        if self._uses_grid(n):
            apart = (queries - own_points) ** 2
            own = np.exp(-0.5 * np.sum(apart, axis=1))
            own *= 1.0 if self.weights is None else self.weights[which]
            left = left[~self._by_grid(queries, sums, of_moments, kind, own, apart)]
        if len(left):
            position = np.empty(len(self.points), dtype=np.intp)
            position[self._order] = np.arange(len(self.points))
            places = position[which[left]]
            near = np.argsort(places, kind="stable")
            left, places = left[near], places[near]
            found = self._tiles.sums(
                np.ascontiguousarray(queries[left]), self.kernel, kind, places, self.error, self._threads(len(left))
            )
            _put(sums, of_moments, left, found)
        return sums, of_moments

    def _threads(self, n_queries: int) -> int:
        return kernel_threads(len(self.points), n_queries, effective_n_threads(self.n_threads))

    @cached_property
    def _order(self) -> Places:
        """The rows in the order in which tiles hold them."""
        order = self._known_order
        if order is None and self.error > 0.0:
            order = near_order(self.points, self.n_threads)
        return np.arange(len(self.points)) if order is None else order

    @cached_property
    def _tiles(self) -> Tiles:
        """The references in tiles, arranged when they are first needed."""
        return Tiles(self.points, self.weights, self.narrow, self._order)

    @cached_property
    def _plan(self) -> Plan | None:
        """Of a grid, if there is one for these references."""
        if not self._may_use_grid:
            return None
        return plan(self.points, self.weights, self.error, most_nodes(len(self.points)))

    def _uses_grid(self, n_queries: int) -> bool:
        """Whether queries go by the grid, which is made when it pays for the first time."""
        m, d = self.points.shape
        if self._grid is None and grid_may_pay(m, n_queries):
            plan = self._plan
            if plan is not None and grid_pays(m, n_queries, plan.n_nodes, plan.length, plan.reach, d):
                self._grid = Grid(plan, self.points, self.weights, self.n_threads)
        return self._grid is not None

    def _by_grid(
        self,
        queries: Floats,
        sums: Floats,
        of_moments: Floats | None,
        moments: int,
        own: Floats | None,
        apart: Floats | None = None,
    ) -> npt.NDArray[np.bool_]:
        """Sums and moments of the queries for which the grid holds the error, without a term of their own; says which.

        ``apart`` (n, d) are the squared distances to the references of these terms.
        """
        assert self._grid is not None
        done = self._grid.serves(queries)
        found, derivatives, sure = self._grid.at(queries[done], moments)
        without = found
        if own is not None:
            # what is left has to hold the error of the sum with that term
            without = found - own[done]
            sure = without - own[done] >= 2.0 * self._grid.plan.tail / self.error
        done[done] = sure
        found, without = found[sure], without[sure]
        ratios = None
        if derivatives is not None:
            of_terms = derivatives[sure] + (found[:, np.newaxis] if moments == SECOND_MOMENTS else 0.0)
            if own is not None and apart is not None:
                of_terms -= own[done, np.newaxis] * apart[done]
            ratios = of_terms / without[:, np.newaxis]
        _put(sums, of_moments, done, (np.log(without), ratios))
        return done

    def _at(self, queries: Floats, moments: int, ordered: bool = False) -> tuple[Floats, Floats | None]:
        n, d = queries.shape
        sums, of_moments = np.full(n, -np.inf), np.zeros((n, d)) if moments else None
        use_grid = self._uses_grid(n)
        for first in range(0, n, QUERIES):
            rows = slice(first, first + QUERIES)
            part = None if of_moments is None else of_moments[rows]
            self._slice(queries[rows], sums[rows], part, moments, use_grid, ordered)
        return sums, of_moments

    def _slice(
        self, queries: Floats, sums: Floats, of_moments: Floats | None, moments: int, use_grid: bool, ordered: bool
    ) -> None:
        """Some queries, into arrays of their own size."""
        with np.errstate(invalid="ignore"):
            left = np.all(np.abs(queries) < FAR, axis=1)
        if use_grid:
            left &= ~self._by_grid(queries, sums, of_moments, moments, None)
        rows = np.flatnonzero(left)
        if len(rows):
            some = queries if len(rows) == len(queries) else queries[rows]
            order = near_order(some, self.n_threads) if self.error > 0.0 and not ordered else None
            if order is not None:
                rows, some = rows[order], some[order]
            queries_in_order = np.ascontiguousarray(some)
            found = self._tiles.sums(queries_in_order, self.kernel, moments, None, self.error, self._threads(len(rows)))
            _put(sums, of_moments, rows, found)


def _put(sums: Floats, of_moments: Floats | None, rows: Any, found: tuple[Floats, Floats | None]) -> None:
    """Results at their rows."""
    sums[rows] = found[0]
    if of_moments is not None:
        of_moments[rows] = found[1]


def near_order(points: Floats, n_threads: int) -> npt.NDArray[np.intp] | None:
    """An order of rows in which near ones follow each other; None where none pays."""
    if not orders_kernel_sums(*points.shape):
        return None
    if points.shape[1] == 1:
        return np.argsort(points[:, 0], kind="stable")
    return np.asarray(NeighborIndex(points, n_jobs=n_threads).order, dtype=np.intp)
