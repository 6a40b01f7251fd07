"""A density on a line whose logarithm is linear between knots: its probabilities, quantiles, moments and entropy, in closed form.

Both shapes are of this kind: decreasing densities are constant between knots and jump there, log-concave ones have no jumps. A
piece holds its right end, and the first one its left end too. Tails are summed from their own end, on a logarithmic scale, so
that a small one has all digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl.density.shape.exponential import moments

STEEP = 1.0  # rises within a piece above which its share is inverted from the higher end


@dataclass(frozen=True)
class Pieces:
    """The density of one column.

    Parameters
    ----------
    knots : ndarray of shape (k + 1,)
        Ends of the pieces, increasing.
    heights : ndarray of shape (k, 2)
        Log-density at the left and right end of each piece, within it.
    """

    knots: Floats
    heights: Floats

    @cached_property
    def widths(self) -> Floats:
        """Lengths of the pieces (k,)."""
        return np.diff(self.knots)

    @cached_property
    def log_masses(self) -> Floats:
        """Logarithms of the probabilities of the pieces (k,)."""
        left, right = self.heights.T
        (whole,) = moments(np.abs(right - left), 0)
        return np.log(self.widths) + np.maximum(left, right) + np.log(whole)

    def normalised(self) -> Pieces:
        """The same, with its integral 1 to rounding."""
        return Pieces(self.knots, self.heights - np.logaddexp.reduce(self.log_masses))

    def mirrored(self) -> Pieces:
        """The density of minus the variable."""
        return Pieces(-self.knots[::-1], self.heights[::-1, ::-1])

    def _place(self, x: Floats) -> tuple[NDArray[np.intp], Floats]:
        """The piece of every value, and how far into it, from 0 to 1; of the nearest piece outside the support."""
        piece = np.clip(np.searchsorted(self.knots, x, side="left") - 1, 0, len(self.widths) - 1)
        return piece, np.clip((x - self.knots[piece]) / self.widths[piece], 0.0, 1.0)

    def log_density(self, x: Floats) -> Floats:
        """At every value; -inf outside the support."""
        piece, share = self._place(x)
        left, right = self.heights[piece].T
        inside = (x >= self.knots[0]) & (x <= self.knots[-1])
        return np.where(inside, (1.0 - share) * left + share * right, -np.inf)

    def log_cdf(self, x: Floats) -> Floats:
        """Logarithm of the probability of values up to x; that of the mirrored density at -x is of values from x on."""
        before = np.concatenate([[-np.inf], np.logaddexp.accumulate(self.log_masses)])
        piece, share = self._place(x)
        left, right = self.heights[piece].T
        rise = (right - left) * share
        (whole,) = moments(np.abs(rise), 0)
        with np.errstate(divide="ignore"):
            within = np.log(self.widths[piece] * share) + left + np.maximum(rise, 0.0) + np.log(whole)
        logs = np.minimum(np.logaddexp(before[piece], within), 0.0)
        return np.where(x >= self.knots[-1], 0.0, np.where(x <= self.knots[0], -np.inf, logs))

    def quantile(self, q: Floats) -> Floats:
        """The value with this probability below it, to all digits of a small q."""
        masses = np.exp(self.log_masses)
        ends = np.cumsum(masses)
        piece = np.minimum(np.searchsorted(ends, q, side="left"), len(masses) - 1)
        before = np.concatenate([[0.0], ends])[piece]
        share = np.clip((q - before) / masses[piece], 0.0, 1.0)
        rise = self.heights[piece, 1] - self.heights[piece, 0]
        safe = np.where(rise == 0.0, 1.0, rise)
        gentle = np.log1p(share * np.expm1(np.minimum(safe, STEEP))) / np.minimum(safe, STEEP)
        with np.errstate(divide="ignore", over="ignore"):
            steep = 1.0 + np.log(share + (1.0 - share) * np.exp(-np.maximum(safe, STEEP))) / np.maximum(safe, STEEP)
        inside = np.clip(np.where(rise == 0.0, share, np.where(rise > STEEP, steep, gentle)), 0.0, 1.0)
        found = self.knots[piece] + self.widths[piece] * inside
        return np.where(q >= 1.0, self.knots[-1], np.minimum(found, self.knots[-1]))

    def mean_and_variance(self) -> tuple[float, float]:
        """Moments, about the mode and in units of the support: squares of very large or small values are no numbers."""
        left, right = self.heights.T
        whole, first, second = moments(np.abs(right - left), 2)
        # distances from the higher end of each piece, towards its lower one
        centre, span = self.mode(), self.knots[-1] - self.knots[0]
        end = (np.where(right >= left, self.knots[1:], self.knots[:-1]) - centre) / span
        step = np.where(right >= left, -1.0, 1.0) * self.widths / span
        mass = np.exp(np.maximum(left, right) + np.log(self.widths))
        mean = float(np.sum(mass * (end * whole + step * first)))
        about = end - mean
        variance = float(np.sum(mass * (about**2 * whole + 2.0 * about * step * first + step**2 * second)))
        with np.errstate(over="ignore"):
            return float(centre + span * mean), float(span * variance * span)

    def mode(self) -> float:
        """The smallest of the values at which the density is highest."""
        left, right = self.heights.T
        best = int(np.argmax(np.maximum(left, right)))
        return float(self.knots[best] if left[best] >= right[best] else self.knots[best + 1])

    def entropy(self) -> float:
        """Minus the mean log-density, in nats."""
        left, right = self.heights.T
        whole, first = moments(np.abs(right - left), 1)
        high = np.maximum(left, right)
        mass = np.exp(high + np.log(self.widths))
        return float(-np.sum(mass * (high * whole - np.abs(right - left) * first)))
