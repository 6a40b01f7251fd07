"""The profile likelihood of a generalized normal distribution: over its shape, with the best location and scale for each.

With distances in units of the largest, r, a mean power A of them and a = 1 / shape the profile is, per unit of weight,

    -log 2 - log Gamma(1 + a) - a - log r - a log(shape A)

where nothing overflows, whatever the shape. Its slope by log shape is that at the location held there, since the location is the
best one; maxima in the shape are where it passes through 0. The likelihood may have several, and one without end at shape 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.solvers.iterative import n_rows
from fastkl.families.solvers.nearest_powers import best_rows
from fastkl.families.solvers.roots import uphill

LEAST, LARGEST = 0.05, 1e6  # shapes that are looked at
MOST_UNEVEN = 100.0  # mean weight, as a power of 2
FIRST_STEP = 2e-3  # of the search for a location, in units of the range
RESOLUTION, RESOLUTION_OF_LOC = 1e-13, 1e-15  # of log shape, and of a location in units of the range
IRREGULAR = 0.5  # up to this shape the information about loc is infinite
COARSE, NEAR = 1e-3, 0.02  # resolution before Newton's method is tried; first steps that say a start is near
CONVEX = 1.02  # shapes from which slopes by loc are smooth enough for it
MOST_TURNS, BEYOND = 20, 1.5
MOST_NEWTON, LONGEST, SETTLED, ROUNDING = 16, 0.5, 1e-12, 1e-13


@dataclass
class PowerProfile:
    """The profile of rows, of all columns at once.

    Parameters
    ----------
    rows, sample : AnyRows, Rows
        All rows, and some of them.
    low, high : ndarray of shape (d,)
        Least and largest value of every column.
    sums : callable
        ``sums(block, params)``: weight, sum |z|^shape, sum |z|^shape log |z|, sum sign(z) |z|^(shape - 1), (4, d).
    fixed : dict
        Parameters held fixed.
    """

    rows: AnyRows
    sample: Rows
    low: Floats
    high: Floats
    sums: Callable[[Rows, Params], Floats]
    fixed: Params
    n_iter: int = field(default=0, init=False)
    _located: tuple[Floats | float, Floats | float] = field(default=(np.nan, np.nan), init=False)

    @cached_property
    def factor(self) -> float:
        """A power of 2 for the weights: powers of distances times very small or large ones would lose their digits."""
        size = self.rows.total_weight / self.rows.total(n_rows)
        return 1.0 if 2.0**-MOST_UNEVEN < size < 2.0**MOST_UNEVEN else float(2.0 ** -np.round(np.log2(size)))

    @property
    def weight(self) -> float:
        """Sum of the weights times that."""
        return self.rows.total_weight * self.factor

    @property
    def middle(self) -> Floats:
        """Of the range of every column."""
        return self.low + 0.5 * (self.high - self.low)

    def reach(self, loc: Floats) -> Floats:
        """The largest distance from loc in every column; 1 where all rows are there."""
        largest = np.maximum(self.high - loc, loc - self.low)
        return np.where(largest > 0.0, largest, 1.0)

    def _sums(self, shape: Floats, loc: Floats) -> Floats:
        params = {"shape": shape, "loc": loc, "scale": self.reach(loc)}
        return self.rows.total(_weighted, self.sums, params, self.factor)

    def scale(self, shape: Floats, loc: Floats) -> Floats:
        """The best scale."""
        if "scale" in self.fixed:
            return self.fixed["scale"]
        weight, powers, _, _ = self._sums(shape, loc)
        return best_scale(shape, powers / weight, self.reach(loc))

    def value(self, shape: Floats, loc: Floats) -> Floats:
        """Log-likelihood at the best scale."""
        weight, powers, _, _ = self._sums(shape, loc)
        return weight * profile_value(shape, powers / weight, self.reach(loc), self.fixed.get("scale"))

    def slope(self, shape: Floats, loc: Floats, sums: Floats | None = None) -> Floats:
        """Its derivative by log shape."""
        weight, powers, logs, _ = self._sums(shape, loc) if sums is None else sums
        return weight * profile_slope(
            shape, powers / weight, logs / weight, self.reach(loc), self.fixed.get("scale")
        )  # fmt: skip

    def slope_of_loc(self, shape: Floats, loc: Floats, sums: Floats | None = None) -> Floats:
        """The derivative by loc, in nats per unit of the column."""
        weight, powers, _, slopes = self._sums(shape, loc) if sums is None else sums
        reach = self.reach(loc)
        if "scale" not in self.fixed:
            return np.asarray(weight * slopes / powers / reach)
        return np.asarray(shape * np.exp(shape * np.log(reach / self.fixed["scale"])) * slopes / reach)

    def locate(self, shape: Floats, start: Floats, resolution: float) -> Floats:
        """The best location for these shapes: the only one from shape 1 on, one near the start below."""
        if "loc" in self.fixed:
            return self.fixed["loc"]
        loc, convex = np.clip(start, self.low, self.high), shape > 1.0
        if convex.any():
            extent = self.high - self.low
            even = np.where(convex, shape, 2.0)

            def slope(at: Floats) -> Floats:
                return np.where(convex, self.slope_of_loc(even, at), 0.0)

            loc = uphill(slope, loc, FIRST_STEP * extent, self.low, self.high, resolution * extent)
        if not convex.all():
            # columns whose search has ended come again with the same shape
            known = (shape == self._located[0]) & (loc == self._located[1])
            cusps = np.flatnonzero(~convex & ~known)
            if len(cusps):
                loc[cusps] = best_rows(self.rows, list(cusps), loc[cusps], shape[cusps], self.sample)
            self._located = (np.array(shape), np.where(convex, np.nan, loc))
        return loc

    def climb(self, shape: Floats, loc: Floats, step: float) -> tuple[Floats, Floats]:
        """Shape and location of the maximum uphill of a start; the shape ``LEAST`` or ``LARGEST`` where there is none.

        A start with small steps is near a maximum.
        """
        loc = self.fixed.get("loc", np.clip(loc, self.low, self.high))
        settled = np.zeros(len(shape), dtype=bool)
        if "shape" not in self.fixed and step > NEAR:
            shape, loc = self._along_the_ridge(shape, loc, step, COARSE, ~settled)
        for polish in (self._newton, self._in_turn):
            new_shape, new_loc, done = polish(shape, loc)
            done &= ~settled
            shape, loc, settled = np.where(done, new_shape, shape), np.where(done, new_loc, loc), settled | done
            if settled.all():
                return shape, loc
        if "shape" in self.fixed:
            new_shape, new_loc = shape, self.locate(shape, loc, RESOLUTION_OF_LOC)
        else:
            new_shape, new_loc = self._along_the_ridge(shape, loc, COARSE, RESOLUTION, ~settled)
        return np.where(settled, shape, new_shape), np.where(settled, loc, new_loc)

    def _in_turn(self, shape: Floats, loc: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """The shape with the location held, and the best location for it, until that stays: where it is one of the rows."""
        cusps, settled = shape <= CONVEX, np.zeros(len(shape), dtype=bool)
        if "shape" in self.fixed or not cusps.any():
            return shape, loc, settled
        low, high = np.full_like(shape, np.log(LEAST)), np.full_like(shape, np.log(LARGEST))
        resolutions = np.full_like(shape, RESOLUTION)
        for _ in range(MOST_TURNS):
            self.n_iter += 1
            held = loc

            def slope(log_shape: Floats, at: Floats = held) -> Floats:
                return self.slope(np.exp(log_shape), at)

            begin = np.log(shape)
            rise = slope(begin)
            # past the maximum, if the rows have about the information that is expected
            steps = np.clip(BEYOND * np.abs(rise) / self._information_of_shape(shape), RESOLUTION, NEAR)
            shape = np.exp(uphill(slope, begin, steps, low, high, resolutions, rise))
            loc = self.locate(shape, held, RESOLUTION_OF_LOC)
            settled = cusps & (loc == held)
            if np.all(settled == cusps):
                break
        return shape, loc, settled

    def _along_the_ridge(
        self, shape: Floats, loc: Floats, step: float, resolution: float, active: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """A search in the shape, with the best location at every step, that needs no second derivative; of some columns."""

        def slope(log_shape: Floats) -> Floats:
            nonlocal loc
            self.n_iter += 1
            loc = self.locate(np.exp(log_shape), loc, resolution * RESOLUTION_OF_LOC / RESOLUTION)
            return np.where(active, self.slope(np.exp(log_shape), loc), 0.0)

        low, high = np.full_like(shape, np.log(LEAST)), np.full_like(shape, np.log(LARGEST))
        steps, resolutions = np.full_like(shape, step), np.full_like(shape, resolution)
        found = np.exp(uphill(slope, np.log(shape), steps, low, high, resolutions))
        return found, self.locate(found, loc, resolution * RESOLUTION_OF_LOC / RESOLUTION)

    def _newton(self, shape: Floats, loc: Floats) -> tuple[Floats, Floats, NDArray[np.bool_]]:
        """Quasi-Newton steps from the expected information in log shape and location, and where they have converged.

        Broyden's updates (1965, doi:10.1090/S0025-5718-1965-0198670-6) learn what the rows have instead, a pass for a step.
        Where the shape comes near 1, below which the slope by loc has jumps, they are given up.
        """
        start, active = (shape, loc), shape > CONVEX
        converged = np.zeros(len(shape), dtype=bool)
        if not active.any():
            return shape, loc, converged
        unit = self.scale(np.where(active, shape, 2.0), loc)
        free = np.array([name not in self.fixed for name in ("shape", "loc")])
        gradient = self._gradient(np.where(active, shape, 2.0), loc, unit) * free
        inverse = self._inverse_information(np.where(active, shape, 2.0), unit) * (free[:, None] & free)
        for _ in range(MOST_NEWTON):
            self.n_iter += 1
            step = np.einsum("dij,dj->di", inverse, gradient)
            converged |= active & np.all(np.abs(step) <= SETTLED, axis=1)
            active &= ~converged & np.all(np.abs(step) <= LONGEST, axis=1)
            if not active.any():
                break
            step = np.where(active[:, None], step, 0.0)
            shape, loc = shape * np.exp(step[:, 0]), np.clip(loc + unit * step[:, 1], self.low, self.high)
            active &= (shape > CONVEX) & (shape < LARGEST)
            new = self._gradient(np.where(active, shape, 2.0), loc, unit) * free
            moved = np.einsum("dij,dj->di", inverse, gradient - new)
            along = np.einsum("di,di->d", step, moved)
            row = np.einsum("di,dij->dj", step, inverse)
            change = (step - moved)[:, :, None] * row[:, None, :] / np.where(along == 0.0, np.inf, along)[:, None, None]
            inverse, gradient = inverse + np.where(active[:, None, None], change, 0.0), new
        before = self.value(np.where(converged, start[0], 2.0), start[1])
        converged &= self.value(np.where(converged, shape, 2.0), loc) >= before - ROUNDING * np.abs(before)
        return np.where(converged, shape, start[0]), np.where(converged, loc, start[1]), converged

    def _gradient(self, shape: Floats, loc: Floats, unit: Floats) -> Floats:
        """Slopes by log shape and by loc in its unit, (d, 2)."""
        sums = self._sums(shape, loc)
        return np.stack([self.slope(shape, loc, sums), unit * self.slope_of_loc(shape, loc, sums)], axis=1)

    def _inverse_information(self, shape: Floats, unit: Floats) -> Floats:
        """The inverse of the expected information about both, with the best scale or the one held: (d, 2, 2)."""
        inverse, scale = np.zeros((len(shape), 2, 2)), self.fixed.get("scale", unit)
        of_loc = self.weight * expected_information(shape)[:, 1, 1]
        inverse[:, 0, 0], inverse[:, 1, 1] = 1.0 / self._information_of_shape(shape), (scale / unit) ** 2 / of_loc
        return inverse

    def _information_of_shape(self, shape: Floats) -> Floats:
        """The expected information about log shape, with the best scale or the one held."""
        expected = expected_information(shape)
        of_shape = expected[:, 0, 0]
        if "scale" not in self.fixed:
            of_shape = of_shape - expected[:, 0, 2] ** 2 / expected[:, 2, 2]
        return np.asarray(self.weight * of_shape)

    def uniform(self) -> tuple[Params, Floats]:
        """The uniform distribution of infinite shape that is best, and its log-likelihood."""
        loc = self.fixed.get("loc", self.middle)
        reach = np.maximum(self.high - loc, loc - self.low)
        scale = self.fixed.get("scale", reach)
        value = np.where(reach <= scale, -self.weight * np.log(2.0 * scale), -np.inf)
        return {"shape": np.full_like(loc, np.inf), "loc": loc, "scale": scale}, value


def expected_information(shape: Floats) -> Floats:
    """Expected information of a row about shape, loc and scale in their units, (d, 3, 3); none about loc up to shape 1/2."""
    a = 1.0 / shape
    information = np.zeros((len(shape), 3, 3))
    with np.errstate(all="ignore"):
        information[:, 0, 0] = (
            a * (a + 1.0) * (digamma(a + 2.0) ** 2 + polygamma(1, a + 2.0)) - (a * digamma(a + 1.0)) ** 2
        )
        information[:, 0, 2] = information[:, 2, 0] = -1.0 - digamma(a + 1.0)
        information[:, 1, 1] = np.where(shape > IRREGULAR, shape * np.exp(gammaln(2.0 - a) - gammaln(1.0 + a)), 0.0)
        information[:, 2, 2] = shape
    return np.where(np.isfinite(information), information, 0.0)


def _weighted(rows: Rows, sums: Callable[[Rows, Params], Floats], params: Params, factor: float) -> Floats:
    """The sums of a block with its weights times the factor."""
    if factor != 1.0 and rows.weights is not None:
        rows = replace(rows, weights=rows.weights * factor)
    return sums(rows, params)


def best_scale(shape: Floats, mean_power: Floats, reach: Floats) -> Floats:
    """The scale with the highest likelihood, given the mean power of distances in units of ``reach``."""
    return np.asarray(reach * np.exp(np.log(shape * mean_power) / shape))


def profile_value(shape: Floats, mean_power: Floats, reach: Floats | float, scale: Floats | None) -> Floats:
    """Log-likelihood per unit of weight, at the best scale or at the one that is held."""
    a = 1.0 / shape
    best = reach * np.exp(a * np.log(shape * mean_power)) if scale is None else scale
    mean = a if scale is None else mean_power * np.exp(shape * np.log(reach / scale))
    return np.asarray(-np.log(2.0) - gammaln(1.0 + a) - mean - np.log(best))


def profile_slope(
    shape: Floats, mean_power: Floats, mean_log: Floats, reach: Floats | float, scale: Floats | None
) -> Floats:
    """Its derivative by log shape; ``mean_log`` is the mean of powers times logarithms."""
    a = 1.0 / shape
    if scale is None:
        return np.asarray(a * digamma(1.0 + a) + a * np.log(shape * mean_power) - mean_log / mean_power)
    distance = np.log(reach / scale)
    return np.asarray(a * digamma(1.0 + a) - shape * np.exp(shape * distance) * (mean_log + mean_power * distance))
