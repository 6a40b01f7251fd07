"""Gaussian sums by way of a grid, for many references and many queries in one to three columns.

``plan`` chooses step, window and reach from the error alone, so that the relative error of a sum is at most ``error`` / 2 but for
pairs that are further apart than a distance R in some column (``fk_grid_sums.h``). What these add is at most the total weight
times exp(-R^2 / 2), for all of them together; ``Grid.at`` says for which queries that is at most ``error`` / 2 of the sum, too.
The others take another way.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, exp, log, pi, sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import ndtri

from fastkl.spatial._grid_sums import LONGEST, Nodes

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int32]

# Of the variance that spreading and gathering take each: more nodes in a window, or more nodes in all. Windows are as long as
# those of the first share, rounded up to what registers hold, and the share is the largest that they have room for.
SHARES = tuple(0.1 + 0.005 * k for k in range(21))
LEAST_SUM = 1e-3  # in weights of a reference: smaller sums may be left to another way
BEYOND = 1.0  # bandwidths around the references in which queries are served
PLANES, LINE_NODES = 32, 4096  # of the first column that a thread works on at a time
SLABS = 2  # of them, or three, whose references are arranged at a time, against memory
TRIMS = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)  # shares of the rows beyond a column's box, where a box of all is too large


@dataclass(frozen=True)
class Plan:
    """Measures of a grid, in bandwidths.

    Parameters
    ----------
    share : float
        Of the variance that spreading and gathering take each.
    step : float
        Distance of nodes.
    length : int
        Nodes of a window.
    reach : int
        Nodes of the convolution on each side.
    distance : float
        Pairs so far apart in a column are not counted on.
    tail : float
        What they add to a sum at most.
    error : float
        The bound on the error of a logarithm.
    low, high : ndarray of shape (d,)
        The box of the references that are spread.
    serves : pair of ndarrays of shape (d,)
        The box of the queries that can be served.
    """

    share: float
    step: float
    length: int
    reach: int
    distance: float
    tail: float
    error: float
    low: Floats
    high: Floats
    serves: tuple[Floats, Floats]

    @property
    def shape(self) -> tuple[int, ...]:
        """Nodes of each column."""
        width = np.maximum(self.serves[1], self.high) - self.origin
        return tuple(int(n) for n in np.ceil(width / self.step) + self.length + 1)

    @property
    def origin(self) -> Floats:
        """The first node."""
        return np.minimum(self.serves[0], self.low) - self.step * self.length

    @property
    def n_nodes(self) -> float:
        """Nodes in all."""
        return float(np.prod(np.array(self.shape, dtype=np.float64)))

    def places(self, points: Floats) -> Places:
        """The node at which the window of a point begins, for every column: (n, d)."""
        first = np.floor((points - self.origin) / self.step) - (self.length // 2 - 1)
        return np.asarray(first, dtype=np.int32)


def plan(points: Floats, weights: Floats | None, error: float, most_nodes: float) -> Plan | None:
    """A grid of at most so many nodes for these references; None where there is none."""
    n, d = points.shape
    total, largest = (float(n), 1.0) if weights is None else (float(weights.sum()), float(weights.max()))
    # a share for two rules, two windows and a convolution in each column; as much again is left for their products
    part = 0.5 * error / (10.0 * d)
    quantile = -float(ndtri(part))
    distance = sqrt(2.0 * log(2.0 * total / (error * LEAST_SUM * largest)))

    def window(share: float) -> tuple[float, int]:
        step = pi * sqrt(2.0 * share * (1.0 - 2.0 * share) / (1.0 - share) / log(2.0 / part))
        half = share * distance + quantile * sqrt(share * (1.0 - share))
        return step, 4 * ceil((2.0 * half / step + 2.0) / 4.0)

    share = max(share for share in SHARES if window(share)[1] <= window(SHARES[0])[1])
    step, length = window(share)
    middle = 1.0 - 2.0 * share
    reach = ceil((middle * distance + quantile * sqrt(middle * (1.0 - middle))) / step)
    if length > LONGEST:
        return None
    tail = total * exp(-0.5 * distance**2)

    def of_box(low: Floats, high: Floats, trimmed: tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]) -> Plan:
        first = np.where(trimmed[0], low + distance, low - BEYOND)
        last = np.where(trimmed[1], high - distance, high + BEYOND)
        return Plan(share, step, length, reach, distance, tail, error, low, high, (first, last))

    none = np.zeros(d, dtype=bool)
    low, high = points.min(axis=0), points.max(axis=0)
    found = of_box(low, high, (none, none))
    for trim in TRIMS:
        if found.n_nodes <= most_nodes:
            return found
        ends = np.quantile(points, [trim, 1.0 - trim], axis=0)
        found = of_box(ends[0], ends[1], (ends[0] > low, ends[1] < high))
        if np.any(found.serves[0] >= found.serves[1]):
            return None
    return found if found.n_nodes <= most_nodes else None


class Grid:
    """References on a grid.

    Parameters
    ----------
    plan : Plan
        Its measures.
    points : ndarray of shape (m, d)
        References in bandwidths.
    weights : ndarray of shape (m,) or None
        Their weights.
    n_threads : int
        Threads; the result is the same for any number.
    """

    def __init__(self, plan: Plan, points: Floats, weights: Floats | None, n_threads: int):
        self.plan = plan
        inside = np.all((points >= plan.low) & (points <= plan.high), axis=1)
        if not inside.all():
            points, weights = points[inside], None if weights is None else weights[inside]
        first = plan.places(points)
        order = self._order(first)
        middle = 1.0 - 2.0 * plan.share
        taps = np.exp(-0.5 / middle * (plan.step * np.arange(plan.reach + 1)) ** 2)
        self._nodes = Nodes(plan.shape, plan.origin.tolist(), plan.step, plan.share, plan.length, taps, n_threads)
        slab = LINE_NODES if points.shape[1] == 1 else PLANES
        edges = np.arange(0, plan.shape[0] + slab, slab).clip(max=plan.shape[0])
        column = first[order, 0]
        begin, end = np.searchsorted(column, edges[:-1] - plan.length + 1), np.searchsorted(column, edges[1:])
        for slabs in np.array_split(np.arange(len(begin)), max(1, len(begin) // SLABS)):
            own = order[begin[slabs[0]] : end[slabs[-1]]]
            if len(own):
                self._nodes.spread(
                    np.ascontiguousarray(points[own]),
                    first[own],
                    None if weights is None else weights[own],
                    edges[slabs[0] : slabs[-1] + 2],
                    begin[slabs] - begin[slabs[0]],
                    end[slabs] - begin[slabs[0]],
                )
        self._nodes.convolve()
        self._factor = (plan.step**2 / (2.0 * pi * plan.share * sqrt(middle))) ** points.shape[1]

    def _order(self, first: Places) -> npt.NDArray[np.intp]:
        """By the first column's nodes, then the second's: near windows follow each other."""
        key = first[:, 0].astype(np.int64)
        if first.shape[1] > 1:
            key = key * self.plan.shape[1] + first[:, 1]
        return np.argsort(key, kind="stable")

    def serves(self, queries: Floats) -> npt.NDArray[np.bool_]:
        """Which queries (n, d) have their window on the grid and nothing that was left out near them."""
        low, high = self.plan.serves
        return np.all((queries >= low) & (queries <= high), axis=1)

    def at(self, queries: Floats, order: int) -> tuple[Floats, Floats | None, npt.NDArray[np.bool_]]:
        """Sums (n,) at queries that are served, their derivatives (n, d) of the order 1 or 2, and which sums hold the error."""
        first = self.plan.places(queries)
        near = self._order(first)
        found, derivatives = self._nodes.gather(np.ascontiguousarray(queries[near]), first[near], order)
        sums = np.empty_like(found)
        sums[near] = found * self._factor
        of_queries = None
        if derivatives is not None:
            of_queries = np.empty_like(derivatives)
            of_queries[near] = derivatives * self._factor
        return sums, of_queries, sums >= 2.0 * self.plan.tail / self.plan.error
