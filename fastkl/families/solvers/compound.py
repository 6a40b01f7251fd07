"""The likelihood of counts whose shares are random: rows of a Dirichlet-multinomial distribution, from tallies.

With shares p, concentration c and F(a, x) = log Gamma(a + x) - log Gamma(a) - x log a, the log-likelihood of rows x with totals
N is that of the multinomial distribution, plus the sum of F(c p_j, x_j) over rows and columns, less that of F(c, N). These sums
need no more than how often each count occurs in its column. Steps are taken in relative steps of the shares, whose sum weighted
by p is 0, and in log c; E and Q are the sums of i / (a + i) and of a i / (a + i)^2 over i < x (``rising_factorials``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl._core.special.rising_factorials import log_rise, lost_share, lost_share_slope

MAX_STEPS = 200
ENOUGH = 1e-13
ANOTHER = 3.0  # a concentration to start from beside that of moments
LARGEST, SMALLEST = 1e15, 1e-15


@dataclass(frozen=True)
class Tally:
    """Distinct counts above 0 and the weight of each."""

    counts: Floats
    weights: Floats

    @cached_property
    def total(self) -> float:
        """The weighted sum of the counts."""
        return float(self.weights @ self.counts)

    def rise(self, a: float) -> float:
        """The sum of F."""
        return float(self.weights @ log_rise(a, self.counts))

    def sums(self, a: float) -> tuple[float, float]:
        """E and Q."""
        share = lost_share(a, self.counts)
        return float(self.weights @ share), float(self.weights @ lost_share_slope(a, self.counts, share))

    @cached_property
    def pairs(self) -> float:
        """The weighted sum of x (x - 1): E is half of it over a for large a."""
        return float(self.weights @ (self.counts * (self.counts - 1.0)))


@dataclass(frozen=True)
class Slopes:
    """First and second derivatives at one place: by relative steps of the shares (d,), by log c, and mixed (d,)."""

    shares: Floats
    curved: Floats
    mixed: Floats
    size: float
    size_curved: float

    def step(self, p: Floats, free_shares: bool, free_size: bool) -> tuple[Floats, float]:
        """Newton's step: relative in the shares, and in log c; uphill along log c where the likelihood is not concave."""
        zero = np.zeros_like(p)
        if free_shares:
            weight = float(np.sum(p * p / self.curved))
            of_gradient = (self.shares - p * (float(np.sum(p * self.shares / self.curved)) / weight)) / self.curved
            of_size = (self.mixed - p * (float(np.sum(p * self.mixed / self.curved)) / weight)) / self.curved
        else:
            of_gradient = of_size = zero
        if not free_size:
            return of_gradient, 0.0
        slope = self.size + float(self.mixed @ of_gradient)
        curvature = self.size_curved + float(self.mixed @ of_size)
        size = float(np.clip(-slope / curvature, -2.0, 2.0)) if curvature < 0.0 else float(np.sign(slope))
        return of_gradient + size * of_size, size


@dataclass(frozen=True)
class CompoundCounts:
    """The likelihood of columns with counts above 0, from their tallies and that of the rows' totals."""

    parts: Sequence[Tally]
    totals: Tally

    def value(self, p: Floats, c: float) -> float:
        """The log-likelihood, but for the multinomial coefficients: -inf where a share is 0 that occurs."""
        sums = np.array([part.total for part in self.parts])
        with np.errstate(divide="ignore"):
            multinomial = float(np.sum(np.where(sums > 0.0, sums * np.log(p), 0.0)))
        return multinomial + self.excess(p, c)

    def excess(self, p: Floats, c: float) -> float:
        """By what it is above the multinomial one at the same shares."""
        if np.isinf(c):
            return 0.0
        rises = [part.rise(c * share) for part, share in zip(self.parts, p, strict=True) if share > 0.0]
        return float(np.sum(rises)) - self.totals.rise(c)

    def slopes(self, p: Floats, c: float) -> Slopes:
        """Derivatives at shares and a concentration, which may be infinite."""
        sums = np.array([part.total for part in self.parts])
        if np.isinf(c):
            return Slopes(sums, sums, np.zeros_like(p), 0.0, 0.0)
        lost, mixed = np.array([part.sums(c * share) for part, share in zip(self.parts, p, strict=True)]).T
        of_totals, mixed_totals = self.totals.sums(c)
        return Slopes(
            sums - lost,
            np.maximum(sums - lost - mixed, 1e-300),
            mixed,
            of_totals - float(np.sum(lost)),
            float(np.sum(mixed)) - mixed_totals,
        )

    def slope_at_limit(self, p: Floats) -> float:
        """The slope by 1 / c at c = infinity."""
        pairs = np.array([part.pairs for part in self.parts])
        return 0.5 * (float(np.sum(pairs / p)) - self.totals.pairs)

    def highest(self, p: Floats | None, c: float | None, start: tuple[Floats, float] | None) -> CompoundMaximum:
        """The maximum, with shares or concentration held where given; an infinite concentration is one.

        The likelihood has one maximum in c at given shares (B. Levin and J. Reeds 1977), and one in the shares at given c.
        """
        sums = np.array([part.total for part in self.parts])
        shares = sums / sums.sum() if p is None else p
        if c is not None:
            return self._climb(shares, c, p is None, False)
        limit = CompoundMaximum(shares, np.inf, self.value(shares, np.inf), 1, True)
        begins = [start] if start is not None and 0.0 < start[1] < np.inf else self._starts(shares)
        found = [self._climb(at, size, p is None, True) for at, size in begins]
        best = max(found, key=lambda one: (one.converged, one.value))
        rising = self.slope_at_limit(shares) > 0.0
        at_limit = best.concentration >= LARGEST or (not rising and not best.value > limit.value)
        return limit if at_limit else best

    def _starts(self, shares: Floats) -> list[tuple[Floats, float]]:
        """The concentration by the excess of pairs over what the multinomial distribution has of them, and others."""
        pairs, of_totals = float(np.sum([part.pairs for part in self.parts])), self.totals.pairs
        same = float(np.sum(shares * shares))
        # pairs of like outcomes are a share (1 + c sum p^2) / (1 + c) of all pairs
        alike = pairs / of_totals if of_totals > 0.0 else same
        by_moments = (1.0 - alike) / (alike - same) if same < alike < 1.0 else 1e3
        return [(shares, size) for size in (float(np.clip(by_moments, 1e-6, 1e12)), ANOTHER)]

    def _climb(self, p: Floats, c: float, free_shares: bool, free_size: bool) -> CompoundMaximum:
        """Newton's method from there, uphill but for rounding, until the step, or what it gains, is rounding."""
        value, before = self.value(p, c), np.inf
        for step in range(1, MAX_STEPS + 1):
            at = self.slopes(p, c)
            relative, size = at.step(p, free_shares, free_size)
            length = max(float(np.max(np.abs(relative), initial=0.0)), abs(size))
            gain = float(np.sum(at.shares * relative)) + at.size * size
            if not np.isfinite([length, value]).all():  # beyond the range of numbers there is no step to halve
                return CompoundMaximum(p, c, value, step, False)
            if length <= ENOUGH or (length >= before and abs(gain) <= ENOUGH * (1.0 + abs(value))):
                return CompoundMaximum(p, c, value, step, True)
            before = length
            factor, rounding = min(1.0, 0.8 / max(float(np.max(-relative, initial=0.0)), 1e-300)), 1e-15 * abs(value)
            while True:
                new_p = p * (1.0 + factor * relative)
                new_p, new_c = new_p / new_p.sum(), c * float(np.exp(factor * size))
                new = self.value(new_p, new_c)
                if new >= value - rounding or factor * length <= ENOUGH:
                    break
                factor *= 0.25
            if not new >= value - rounding:
                return CompoundMaximum(p, c, value, step, abs(gain) <= 1e-9)
            p, c, value = new_p, new_c, new
            if free_size and not SMALLEST < c < LARGEST:
                return CompoundMaximum(p, c, value, step, False)
        return CompoundMaximum(p, c, value, MAX_STEPS, False)

    def covariance(self, p: Floats, c: float, free_shares: bool, free_size: bool) -> Floats:
        """Covariance by relative steps of the shares and of c, (d + 1, d + 1): that of the observed information."""
        at, d = self.slopes(p, c), len(p)
        inverse, full = np.zeros((d + 1, d + 1)), np.zeros((d + 1, d + 1))
        full[np.arange(d), np.arange(d)] = at.curved
        full[:d, d] = full[d, :d] = -at.mixed
        full[d, d] = -at.size_curved
        directions = np.zeros((d + 1, 0))
        if free_shares:
            directions = np.pad(orthogonal_to(p), ((0, 1), (0, 0)))
        if free_size:
            directions = np.column_stack([directions, np.eye(d + 1)[:, d]])
        if directions.shape[1]:
            inner = directions.T @ full @ directions
            inverse = directions @ np.linalg.pinv(inner, hermitian=True) @ directions.T
        return inverse


@dataclass(frozen=True)
class CompoundMaximum:
    """Shares, concentration, and the value there."""

    shares: Floats
    concentration: float
    value: float
    n_iter: int
    converged: bool


def orthogonal_to(p: Floats) -> NDArray[np.float64]:
    """A basis (d, d - 1) of the steps s with sum p s = 0: a Householder reflection without its first column."""
    direction = p / np.linalg.norm(p)
    mirror = direction.copy()
    mirror[0] += 1.0
    reflected: Floats = np.eye(len(p)) - np.outer(mirror, mirror) / mirror[0]
    return reflected[:, 1:]
