"""Kernel sums over a fixed set of references: arranged once, evaluated at any rows, or at the references without themselves.

Coordinates are in units of the bandwidth. ``error`` bounds the difference of every logarithm from that of the full sum: tiles of
references that are too far away to matter are left out, by bounds that add up (see ``fk_kernel_sums.h``); 0 adds every term.
Neither the number of threads nor that of other queries in the same call changes a result by more than that.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl.spatial._kernel_sums import PROFILES, Tiles
from fastkl.spatial.index import NeighborIndex
from fastkl.spatial.policy import orders_kernel_sums

Floats = npt.NDArray[np.float64]

FIRST_MOMENTS, SECOND_MOMENTS = 1, 2
# Queries arranged and summed at a time: many against the cost of arranging them, few against memory.
QUERIES = 1 << 18
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
        self.order = near_order(points, n_threads) if order is None and error > 0.0 else order
        self._points = points if self.order is None else np.ascontiguousarray(points[self.order])
        weights, narrow = (
            values if values is None or self.order is None else values[self.order] for values in (weights, narrow)
        )
        self._tiles = Tiles(self._points, weights, narrow)

    def log_sums(self, queries: Floats) -> Floats:
        """log sum_j w_j k(|x - y_j|) of every query (n, d): (n,). Queries that are not finite are infinitely far: -inf."""
        return self._at(queries, 0)[0]

    def slopes(self, queries: Floats) -> tuple[Floats, Floats]:
        """These logarithms, and their gradient by the coordinates of the query: (n,) and (n, d)."""
        sums, moments = self._at(queries, FIRST_MOMENTS)
        assert moments is not None
        return sums, moments

    def leave_one_out(self, moments: bool = False) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, each without itself, and their slopes by the logarithms of the bandwidths.

        The slopes, (m, d), are those of the logarithm of the sum of k, without the factor 1 / h of a density.
        """
        found = self._tiles.sums(
            self._points, self.kernel, SECOND_MOMENTS if moments else 0, True, self.error, self.n_threads
        )
        return tuple(_at_rows(values, self.order) for values in found)  # type: ignore[return-value]

    def _at(self, queries: Floats, moments: int) -> tuple[Floats, Floats | None]:
        n, d = queries.shape
        sums, of_moments = np.empty(n), np.zeros((n, d)) if moments else None
        for first in range(0, n, QUERIES):
            some = queries[first : first + QUERIES]
            with np.errstate(invalid="ignore"):
                near = np.all(np.abs(some) < FAR, axis=1)
            rows: Any = slice(first, first + len(some))
            if not near.all():
                sums[rows] = -np.inf
                rows, some = first + np.flatnonzero(near), some[near]
                if not len(some):
                    continue
            order = near_order(some, self.n_threads) if self.error > 0.0 else None
            ordered = np.ascontiguousarray(some if order is None else some[order])
            found = self._tiles.sums(ordered, self.kernel, moments, False, self.error, self.n_threads)
            sums[rows] = _at_rows(found[0], order)
            if of_moments is not None:
                of_moments[rows] = _at_rows(found[1], order)
        return sums, of_moments


def near_order(points: Floats, n_threads: int) -> npt.NDArray[np.intp] | None:
    """An order of rows in which near ones follow each other; None where none pays."""
    if not orders_kernel_sums(*points.shape):
        return None
    if points.shape[1] == 1:
        return np.argsort(points[:, 0], kind="stable")
    return np.asarray(NeighborIndex(points, n_jobs=n_threads).order, dtype=np.intp)


def _at_rows(values: Floats | None, order: npt.NDArray[np.intp] | None) -> Floats | None:
    """Results in an order back at their rows."""
    if values is None or order is None:
        return values
    out = np.empty_like(values)
    out[order] = values
    return out
