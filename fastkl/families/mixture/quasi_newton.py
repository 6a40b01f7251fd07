"""Quasi-Newton steps from EM maps: the map's own step is the preconditioner, pairs of places correct it.

Near a maximum an EM map moves by f = -C^-1 g, with g the gradient and C the curvature that rows and components would
have together. What is missing to Newton's step is a symmetric S with S g ~ f less the step: it begins at 0 and takes
a rank-two correction from each pair of places, kept as vectors.

References
----------
M. Jamshidian, R. I. Jennrich, "Acceleration of the EM algorithm by using quasi-Newton methods", JRSS B 59, 1997,
doi:10.1111/1467-9868.00083: the method QN2.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastkl._core.array_types import Floats

PAIRS = 20


class Pair(NamedTuple):
    """Differences between two places: of coordinates, of the steps of their EM maps, of gradients."""

    move: Floats
    step: Floats
    gradient: Floats


class Correction:
    """The matrix S, from the last pairs."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._terms: list[tuple[Floats, Floats, float, float]] = []

    def __len__(self) -> int:
        return len(self._terms)

    def clear(self) -> None:
        """Begin anew."""
        self.pairs, self._terms = [], []

    def times(self, gradient: Floats) -> Floats:
        """S times a vector."""
        total = np.zeros_like(gradient)
        for move, other, slope, factor in self._terms:
            along = float(move @ gradient)
            total += factor * along * move - (other * along + move * float(other @ gradient)) / slope
        return total

    def add(self, pair: Pair) -> None:
        """Take in a pair; one along which the curvature is not that of a maximum says nothing."""
        if not float(pair.gradient @ pair.move) < 0.0 or not np.isfinite(pair.step).all():
            return
        self.pairs.append(pair)
        if len(self.pairs) <= PAIRS:
            self._extend(pair)
            return
        self.pairs, self._terms = self.pairs[-PAIRS:], []
        for kept in self.pairs:
            self._extend(kept)

    def _extend(self, pair: Pair) -> None:
        slope = float(pair.gradient @ pair.move)
        other = self.times(pair.gradient) - pair.step
        self._terms.append((pair.move, other, slope, (1.0 + float(pair.gradient @ other) / slope) / slope))
