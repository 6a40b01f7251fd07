"""Places on the way to a maximum in coordinates of the parameters, and the quasi-Newton steps between them.

A map goes from u to u + f, and its statistics give the gradient at u; both make the step (``quasi_newton``). Entries at an edge
of their range have no coordinates: they go with the maps, and where one comes to an edge the coordinates are laid anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family
from fastkl.families.mixture.expectation import Expectation
from fastkl.families.mixture.maximisation import Maximisation
from fastkl.families.mixture.quasi_newton import Correction, Pair
from fastkl.families.solvers.coordinates import Chart, chart_at


@dataclass(frozen=True)
class Place:
    """Parameters, and what one map says of them."""

    params: Params
    found: Expectation
    objective: float
    gradient: Params  # of the objective
    best: Maximisation

    @property
    def following(self) -> Params:
        """Where the map leads."""
        return self.best.params


class Steps:
    """Places in coordinates, and the steps between them."""

    def __init__(self, family: Family, place: Place):
        self.family, self.correction, self.spaces = family, Correction(), family.spaces()
        self.with_edges = [name for name, space in self.spaces.items() if space.has_edges]
        self._chart_at(place)

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return self.chart.size

    def _chart_at(self, place: Place) -> None:
        # entries at an edge of their range have no coordinates; they go with the maps
        self.edges = self._edges(place)
        self.correction.clear()
        entries = None  # all, which saves naming them
        if any(map(any, self.edges)):
            there = set(self.family.estimated_entries(place.params))
            entries = [entry for entry in self.family.estimated_entries(place.following) if entry in there]
        self.chart: Chart = chart_at(self.family, place.following, entries)
        self.names = [block.name for block in self.chart.blocks]
        self.u, self.step, self.gradient = self._at(place)

    def _edges(self, place: Place) -> list[bytes]:
        """Which entries sit at an edge of their range before and after the map."""
        return [
            self.spaces[name].at_edge(params[name]).tobytes()
            for name in self.with_edges
            for params in (place.params, place.following)
        ]

    def _at(self, place: Place) -> tuple[Floats, Floats, Floats]:
        """Coordinates, the step of the map, and the gradient."""
        u = self.chart.to(place.params)
        return u, self.chart.to(place.following) - u, self.chart.pull(place.params, place.gradient)

    def learn(self, place: Place) -> None:
        """Take in the pair of the present place and another."""
        if self._edges(place) == self.edges:
            u, step, gradient = self._at(place)
            self.correction.add(Pair(u - self.u, step - self.step, gradient - self.gradient))

    def move(self, place: Place) -> bool:
        """Go to another place; False where coordinates had to be laid anew."""
        if self._edges(place) != self.edges:
            self._chart_at(place)
            return False
        here = self._at(place)
        if not (np.isfinite(here[0]).all() and np.isfinite(here[1]).all()):  # a probability has come to 0
            self._chart_at(place)
            return False
        self.correction.add(Pair(here[0] - self.u, here[1] - self.step, here[2] - self.gradient))
        self.u, self.step, self.gradient = here
        return True

    def newton(self) -> Floats | None:
        """The quasi-Newton step; None where the pairs so far give none that leads uphill."""
        ahead: Floats = self.step - self.correction.times(self.gradient)
        if len(self.correction) and np.isfinite(ahead).all() and float(ahead @ self.gradient) > 0.0:
            return ahead
        self.correction.clear()
        return None

    def place(self, place: Place, step: Floats) -> Params:
        """Parameters a step away; what has no coordinates is as the last map had it."""
        there = self.chart.back(self.u + step)
        return {name: there[name] if name in self.names else value for name, value in place.following.items()}

    def still(self, place: Place) -> bool:
        """Whether the map did not move at all, or but for roundings that no coordinate shows, which may come and go for ever."""
        if self.size and not self.step.any() and self.settled(place):
            return True
        return all(np.array_equal(value, place.following[name]) for name, value in place.params.items())

    def settled(self, place: Place) -> bool:
        """Whether what has no coordinates, such as the ends of a support, no longer moves."""
        others: list[tuple[Any, Any]] = [
            (value, place.following[name]) for name, value in place.params.items() if name not in self.names
        ]
        return all(np.allclose(value, new, rtol=1e-12, atol=0.0) for value, new in others)
