"""Rows of P out of the reach of Q: farther from Q than any row of Q is from the rest of it.

Of two samples of one distribution about one row is. Where more are, the tail of P goes on beyond the last row of Q, and what
that adds to the divergence is not in the data.

The search of Q among itself that this asks for is left out for most rows: only those count that are farther from the rows beside
them in the order of the tree than the farthest rows of P are from Q.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray, Sample, Totals
from fastkl.divergence.nearest.neighbors import Slab

# Of the rows of P so many of the farthest are kept, for as many rows of P as Q has.
_KEPT = 100.0
# Rows of Q that are looked at at once, and the part of them from which on a search of all is cheaper.
_BLOCK, _FEW = 65_536, 0.2


class FarthestRows:
    """The rows of P that are farthest from Q; added slab by slab."""

    def __init__(self, p: Totals, q: Totals) -> None:
        self._p, self._q = p, q
        self._most = int(_KEPT * max(1.0, p.n_rows / q.n_rows))
        self._distances: FloatArray = np.empty(0)
        self._masses: FloatArray = np.empty(0)

    def add(self, slab: Slab) -> None:
        """Add the rows of a slab, whose distances to Q are known."""
        distances = np.concatenate([self._distances, slab.across.kth(1)])
        masses = np.concatenate([self._masses, np.ones(slab.n_rows) if slab.weights is None else slab.weights])
        if len(distances) > self._most:
            farthest = np.argpartition(distances, len(distances) - self._most)[-self._most :]
            distances, masses = distances[farthest], masses[farthest]
        self._distances, self._masses = distances, masses

    def unreached(self, q: Sample) -> float:
        """Rows of P out of the reach of Q (their masses), for as many rows of P as Q has; of very many those that were kept."""
        if q.n_rows < 3:
            return 0.0
        least = float(self._distances.min()) if len(self._distances) == self._most else 0.0
        reach = _farthest(q, least)
        beyond = self._masses[self._distances > reach].sum()
        return float(beyond / self._p.weight_sum * q.effective_size)


def _farthest(q: Sample, least: float) -> float:
    """The largest distance of a row of Q to the nearest other one, or ``least`` if that is larger."""
    rows = np.arange(q.n_rows) if q.n_columns == 1 else _maybe_farther(q, least)
    if not len(rows):
        return least
    if len(rows) > _FEW * q.n_rows:
        return max(least, float(q.index.kth_self(1, in_order=True).max()))
    return max(least, float(q.index.query(np.ascontiguousarray(q.X[rows]), 2)[:, 1].max()))


def _maybe_farther(q: Sample, least: float) -> NDArray[np.intp]:
    """Numbers of the rows of Q that are farther than that from the rows before and after them in the order of the tree."""
    found, order = [], q.index.order
    for first in range(0, q.n_rows, _BLOCK):
        positions = order[max(first - 1, 0) : first + _BLOCK + 1]
        steps = np.diff(q.X[positions].astype(np.float64), axis=0)
        with np.errstate(over="ignore"):
            near = np.einsum("ij,ij->i", steps, steps) <= least * least
        ends = (
            [[False]] if first == 0 else [],
            [[False]] if first + _BLOCK >= q.n_rows else [],
        )  # which have one neighbour
        near = np.concatenate([*ends[0], near, *ends[1]]).astype(bool)
        found.append(order[first : first + _BLOCK][~(near[:-1] | near[1:])])
    return np.concatenate(found)
