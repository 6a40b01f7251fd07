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
    """The matrix S, from the last pairs: sum over pairs of factor m m' - (m o' + o m') / slope."""

    def __init__(self) -> None:
        self.pairs: list[Pair] = []
        self._moves = self._others = np.empty((PAIRS, 0))
        self._slopes, self._factors = np.empty(PAIRS), np.empty(PAIRS)

    def __len__(self) -> int:
        return len(self.pairs)

    def clear(self) -> None:
        """Begin anew."""
        self.pairs = []

    def times(self, gradient: Floats) -> Floats:
        """S times a vector."""
        return self._times(gradient, len(self.pairs))

    def _times(self, gradient: Floats, count: int) -> Floats:
        """The same with the first pairs alone."""
        if count == 0:
            return np.zeros_like(gradient)
        moves, others = self._moves[:count], self._others[:count]
        along = moves @ gradient
        by_slope = along / self._slopes[:count]
        total: Floats = (self._factors[:count] * along - (others @ gradient) / self._slopes[:count]) @ moves
        total -= by_slope @ others
        return total

    def add(self, pair: Pair) -> None:
        """Take in a pair; one along which the curvature is not that of a maximum says nothing."""
        if not float(pair.gradient @ pair.move) < 0.0 or not np.isfinite(pair.step).all():
            return
        if not self.pairs:
            self._moves, self._others = np.empty((2, PAIRS, len(pair.move)))
        self.pairs.append(pair)
        if len(self.pairs) <= PAIRS:
            self._extend(len(self.pairs) - 1)
            return
        self.pairs = self.pairs[-PAIRS:]
        for i in range(PAIRS):
            self._extend(i)

    def _extend(self, i: int) -> None:
        """The terms of pair i, from those of the pairs before it."""
        move, step, gradient = self.pairs[i]
        slope = float(gradient @ move)
        other = self._times(gradient, i) - step
        self._moves[i], self._others[i], self._slopes[i] = move, other, slope
        self._factors[i] = (1.0 + float(gradient @ other) / slope) / slope
