"""Stepwise EM: a mixture learnt from rows that come once, through expected statistics in which later rows weigh more.

The expected statistics of the rows so far are kept, each row's at the parameters of its time, which are the poorer the
earlier they are. So a row weighs the more the later it comes: those of the first weight t hold the share (t / T)^c of
all of weight T. That is stochastic approximation with steps c / T (O. Cappe, E. Moulines 2009), written as a sum, so
that the families' own merges serve. There are two such sums: parameters move by a quick one (c = 10), which forgets
its start even where components overlap, and are told by a slow one (c = 1.5) of the same rows at the same parameters:
the averaging (B. Polyak, A. Juditsky 1992) that makes up for the noise of the quick.

Parameters move when the weight has grown by a fixed share, whatever the batches, so that these make no difference. No
unit of rows or weights is looked at.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl.families.mixture.expectation import Components, Expectation
from fastkl.families.mixture.layout import Layout
from fastkl.families.mixture.maximisation import Maximisation, maximise

QUICK, SLOW = 10.0, 1.5
GROWTH = 1.0 / 32.0  # of the weight between two moves of the parameters: a third of what the quick sum knows


@dataclass(frozen=True)
class Sums:
    """Expected statistics of the rows so far, with weights that grow as a power of the weight seen.

    Parameters
    ----------
    weights : ndarray of shape (k,)
        Responsibilities summed over the rows.
    statistics : list of k statistics
        Of the rows under each component's responsibilities.
    """

    weights: Floats
    statistics: list[Statistics]

    @classmethod
    def of(cls, components: Components, rows: Rows) -> Sums:
        """Those of some rows."""
        found = components.expectation(rows)
        return cls(found.weights, [own for own in found.statistics if own is not None])

    def with_more(self, layout: Layout, more: Sums) -> Sums:
        """Those of both sets of rows."""
        statistics = list(self.statistics)
        for group in layout.groups:
            for k in group.members:
                statistics[k] = group.family.merge_statistics(self.statistics[k], more.statistics[k])
        return Sums(self.weights + more.weights, statistics)

    def maximum(self, components: Components, rows: Rows, fixed_weights: Floats | None) -> Maximisation:
        """The parameters that they lead to."""
        found = Expectation(0.0, self.weights, list(self.statistics), [None] * len(self.statistics))
        return maximise(components, found, rows, [None] * components.layout.size, fixed_weights)


@dataclass(frozen=True)
class Stepwise:
    """How far a mixture has come in a stream of rows.

    Parameters
    ----------
    layout : Layout
        Of the mixture; its families have sufficient statistics.
    at : dict of arrays
        The parameters at which rows are taken in.
    begun, seen, moved : float
        Weight of the rows of the start, of all rows, and of those before the parameters last moved.
    quick, slow : Sums
        What the rows say.
    n_moves : int
        How often the parameters have moved.
    """

    layout: Layout
    at: Params
    begun: float
    seen: float
    moved: float
    quick: Sums
    slow: Sums
    n_moves: int = 0

    @classmethod
    def from_start(cls, layout: Layout, params: Params, rows: Rows) -> Stepwise:
        """The stream after its first rows, whose maximum these parameters are."""
        sums = Sums.of(Components(layout, params), rows)
        weight = rows.total_weight
        return cls(layout, params, weight, weight, weight, sums, sums)

    @property
    def is_exact(self) -> bool:
        """Whether a row's part in the sums never changes: there is a single component, and all rows weigh the same."""
        return self.layout.size == 1

    def after(self, rows: Rows, fixed_weights: Floats | None) -> Stepwise:
        """The stream after further rows."""
        ends = self.seen + np.cumsum(np.ones(len(rows.X)) if rows.weights is None else rows.weights)
        here, first = self, 0
        while first < len(ends):
            goal = here.moved * (1.0 + GROWTH)
            stop = min(len(ends), int(np.searchsorted(ends, goal)) + 1)
            here = here._with_rows(rows.part(first, stop), ends[first:stop])
            if ends[stop - 1] >= goal:
                here = here._moved(rows, fixed_weights)
            first = stop
        return here

    def _with_rows(self, rows: Rows, ends: Floats) -> Stepwise:
        components = Components(self.layout, self.at)
        grown = [
            sums.with_more(self.layout, Sums.of(components, replace(rows, weights=self._weights(ends, power))))
            for sums, power in ((self.quick, QUICK), (self.slow, SLOW))
        ]
        return replace(self, seen=float(ends[-1]), quick=grown[0], slow=grown[1])

    def _weights(self, ends: Floats, power: float) -> Floats:
        """What rows add to the power of the weight that is seen, in units of the start's."""
        stations = np.concatenate([[self.seen], ends]) / self.begun
        return np.asarray(self.begun * np.diff(stations ** (1.0 if self.is_exact else power)))

    def _moved(self, rows: Rows, fixed_weights: Floats | None) -> Stepwise:
        best = self.quick.maximum(Components(self.layout, self.at), rows, fixed_weights)
        return replace(self, at=best.params, moved=self.seen, n_moves=self.n_moves + 1)

    def told(self, rows: Rows, fixed_weights: Floats | None) -> Maximisation:
        """The parameters that the stream so far speaks for."""
        return self.slow.maximum(Components(self.layout, self.at), rows, fixed_weights)
