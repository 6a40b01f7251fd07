"""The profile likelihood of a generalized normal distribution: over its shape, with the best location and scale for each.

With distances in units of the largest, r, a mean power A of them and a = 1 / shape the profile is, per unit of weight,

    -log 2 - log Gamma(1 + a) - a - log r - a log(shape A)

where nothing overflows, whatever the shape. Its slope by log shape is that at the location held there, since the location is the
best one; maxima in the shape are where it passes through 0. Their neighbourhoods come from a look at few rows over a grid of
shapes: the likelihood may have several maxima, and one without end at shape 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.special import digamma, gammaln

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.solvers.nearest_powers import best_rows
from fastkl.families.solvers.roots import uphill

LEAST, LARGEST, GRID_STEP = 0.05, 1e6, 0.3  # shapes that are looked at; steps of the logarithm between the first of them
GRID = np.exp(np.arange(np.log(LEAST), np.log(1000.0), GRID_STEP))
LOOK_ROWS, PLACES = 1024, 160  # for the first look
FIRST_STEP = 4.0  # of a search, in standard errors of a normal distribution's parameters
PRECISE = 1e-9  # nats that may be left to gain in all, whatever tol


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
    tol : float
        What may be left to gain, in nats per unit of weight.
    """

    rows: AnyRows
    sample: Rows
    low: Floats
    high: Floats
    sums: Callable[[Rows, Params], Floats]
    fixed: Params
    tol: float
    passes: int = field(default=0, init=False)

    @property
    def enough(self) -> float:
        """Nats that may be left."""
        weight = self.rows.total_weight
        return max(min(self.tol * weight, PRECISE), 1e-15 * weight)

    def reach(self, loc: Floats) -> Floats:
        """The largest distance from loc in every column; 1 where all rows are there."""
        largest = np.maximum(self.high - loc, loc - self.low)
        return np.where(largest > 0.0, largest, 1.0)

    def _sums(self, shape: Floats, loc: Floats) -> Floats:
        self.passes += 1
        return self.rows.total(self.sums, {"shape": shape, "loc": loc, "scale": self.reach(loc)})

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

    def slope(self, shape: Floats, loc: Floats) -> Floats:
        """Its derivative by log shape."""
        weight, powers, logs, _ = self._sums(shape, loc)
        a = 1.0 / shape
        if "scale" not in self.fixed:
            return np.asarray(weight * (a * digamma(1.0 + a) + a * np.log(shape * powers / weight) - logs / powers))
        distance = np.log(self.reach(loc) / self.fixed["scale"])
        return np.asarray(
            weight * a * digamma(1.0 + a) - shape * np.exp(shape * distance) * (logs + powers * distance)
        )

    def slope_of_loc(self, shape: Floats, loc: Floats) -> Floats:
        """The derivative by loc, in nats per unit of the column."""
        weight, powers, _, slopes = self._sums(shape, loc)
        reach = self.reach(loc)
        if "scale" not in self.fixed:
            return np.asarray(weight * slopes / powers / reach)
        return np.asarray(shape * np.exp(shape * np.log(reach / self.fixed["scale"])) * slopes / reach)

    def locate(self, shape: Floats, start: Floats) -> Floats:
        """The best location for these shapes: the only one from shape 1 on, one near the start below."""
        if "loc" in self.fixed:
            return self.fixed["loc"]
        loc, convex = np.clip(start, self.low, self.high), shape > 1.0
        if convex.any():
            step = FIRST_STEP * (self.high - self.low) / np.sqrt(self.rows.total_weight)
            even = np.where(convex, shape, 2.0)

            def slope(at: Floats) -> Floats:
                return np.where(convex, self.slope_of_loc(even, at), 0.0)

            loc = uphill(slope, loc, step, self.low, self.high, self.enough)
        if not convex.all():
            cusps = np.flatnonzero(~convex)
            loc[cusps] = best_rows(self.rows, list(cusps), loc[cusps], shape[cusps], self.sample)
        return loc

    def climb(self, shape: Floats, loc: Floats, step: float) -> tuple[Floats, Floats]:
        """Shape and location of the maximum uphill of a start; the shape ``LEAST`` or ``LARGEST`` where there is none."""
        if "shape" in self.fixed:
            return shape, self.locate(shape, loc)

        def slope(log_shape: Floats) -> Floats:
            nonlocal loc
            loc = self.locate(np.exp(log_shape), loc)
            return self.slope(np.exp(log_shape), loc)

        low, high = np.full_like(shape, np.log(LEAST)), np.full_like(shape, np.log(LARGEST))
        found = np.exp(uphill(slope, np.log(shape), np.full_like(shape, step), low, high, self.enough))
        return found, self.locate(found, loc)

    def uniform(self) -> tuple[Params, Floats]:
        """The uniform distribution of infinite shape that is best, and its log-likelihood."""
        loc = self.fixed.get("loc", self.low + 0.5 * (self.high - self.low))
        reach = np.maximum(self.high - loc, loc - self.low)
        scale = self.fixed.get("scale", reach)
        value = np.where(reach <= scale, -self.rows.total_weight * np.log(2.0 * scale), -np.inf)
        return {"shape": np.full_like(loc, np.inf), "loc": loc, "scale": scale}, value


def best_scale(shape: Floats, mean_power: Floats, reach: Floats) -> Floats:
    """The scale with the highest likelihood, given the mean power of distances in units of ``reach``."""
    return np.asarray(reach * np.exp(np.log(shape * mean_power) / shape))


def profile_value(shape: Floats, mean_power: Floats, reach: Floats | float, scale: Floats | None) -> Floats:
    """Log-likelihood per unit of weight, at the best scale or at the one that is held."""
    a = 1.0 / shape
    best = reach * np.exp(a * np.log(shape * mean_power)) if scale is None else scale
    mean = a if scale is None else mean_power * np.exp(shape * np.log(reach / scale))
    return np.asarray(-np.log(2.0) - gammaln(1.0 + a) - mean - np.log(best))


def first_look(
    x: Floats, weights: Floats | None, shapes: Floats, loc: float | None, scale: float | None
) -> tuple[list[tuple[float, float]], float]:
    """Shapes, with locations, about which a column of few rows has maxima, the highest first; and the value at the least shape."""
    places = np.array([loc]) if loc is not None else _places(x)
    middle = 0.5 * (x.min() + x.max())
    reach = max(float(np.max(np.abs(places - middle))) + float(np.max(np.abs(x - middle))), np.finfo(float).tiny)
    logs = np.log(np.abs(x[:, None] - places) / reach)
    values = np.empty((len(shapes), len(places)))
    for i, shape in enumerate(shapes):
        mean = np.average(np.exp(shape * logs), axis=0, weights=weights)
        held = None if scale is None else np.full(len(places), scale)
        values[i] = profile_value(np.full(len(places), shape), mean, reach, held)
    values = np.where(np.isnan(values), -np.inf, values)
    if len(shapes) == 1:
        best = np.argsort(-values[0])[:: max(len(places) // 8, 1)][:3]
        return [(float(shapes[0]), float(places[k])) for k in best], -np.inf
    ridge, place = values.max(axis=1), values.argmax(axis=1)
    inner = np.flatnonzero((ridge[1:-1] >= ridge[:-2]) & (ridge[1:-1] >= ridge[2:])) + 1
    inner = inner[np.argsort(-ridge[inner], kind="stable")]
    return [(float(shapes[i]), float(places[place[i]])) for i in inner], float(ridge[0])


def _places(x: Floats) -> Floats:
    """Rows at even ranks, and the middles between them: where the location may be."""
    rows = np.unique(x)
    if len(rows) > PLACES:
        rows = rows[np.linspace(0, len(rows) - 1, PLACES).astype(np.intp)]
    return np.concatenate([rows, 0.5 * (rows[1:] + rows[:-1]), [0.5 * (rows[0] + rows[-1])]])
