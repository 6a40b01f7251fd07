"""Components of Student's t distribution on small tables: EM maps of several mixtures at once, in stacked arrays.

The maps of a search are many and short, and on few rows the arrays of one of them are so small that calls take most of the
time. Each map is one of ECME (C. Liu, D. Rubin 1995): the degrees of freedom take a step uphill at the present distances, then
locations and scatters follow, these with the divisor that makes the maps quick (X.-L. Meng, D. van Dyk 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.student_degrees import log_constants, log_density_slopes
from fastkl.exceptions import DegenerateDataError
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.layout import WEIGHTS, Layout
from fastkl.families.mixture.normals import EPS, NO_ROWS
from fastkl.families.multivariate_t import MultivariateT
from fastkl.families.student_t import StudentT

LIGHT_NUMBERS = 1 << 16  # in a table times components, up to which plain maps cost next to nothing
TINY = float(np.finfo(np.float64).tiny)
LEAST_K, MOST_K = 1e-6, 10.0  # 1 / df on the way, where it is free; the ascents that follow go to the normal limit
NORMAL_K = 1e-12  # as good as the normal limit where it is held there
START_DF = 8.0
LONGEST = 1.0  # step of log df
SINGULAR = 1e4 * EPS  # pivots of a correlation matrix, and variances of a component in those of all rows


@dataclass(frozen=True)
class Places:
    """Parameters of several mixtures: weights (s, k), locations (s, k, d), and with ``k`` = 1 / df (s, k, 1) or (s, k, d).

    Scatters are matrices (s, k, d, d), or variances by column (s, k, d), whose columns are independent.
    """

    weights: Floats
    locations: Floats
    scatters: Floats
    k: Floats

    def __getitem__(self, chosen: Any) -> Places:
        return Places(*(getattr(self, one.name)[chosen] for one in fields(self)))


class StudentMaps:
    """The maps of mixtures of t components on rows in memory.

    Parameters
    ----------
    layout : Layout
        Of the mixture, all of whose components are of one t family.
    rows : Rows
        All of them.
    fixed_weights : ndarray of shape (k,) or None
        Held fixed where given.
    """

    def __init__(self, layout: Layout, rows: Rows, fixed_weights: Floats | None):
        self.layout, self.fixed_weights = layout, fixed_weights
        self.is_joint = isinstance(layout.groups[0].family, MultivariateT)
        X, weights = np.asarray(rows.X, dtype=np.float64), rows.weights
        self.kept = np.full(len(X), True) if weights is None else weights > 0.0
        X = X[self.kept]
        self.row_weights = np.ones(len(X)) if weights is None else weights[self.kept]
        with np.errstate(over="ignore"):
            # powers of two, which change no digit: squares stay in the range of numbers
            self.units = 2.0 ** np.floor(np.log2(np.maximum(np.ptp(X, axis=0), TINY)))
        self.X = X / self.units
        self.variances = np.var(self.X, axis=0)
        held = {j for group in layout.groups if "df" in group.family.fixed_parameters() for j in group.members}
        self.free = np.array([j not in held for j in range(layout.size)])

    @classmethod
    def of(cls, layout: Layout, rows: AnyRows, fixed_weights: Floats | None) -> StudentMaps | None:
        """Those of t components, of which no more than the degrees are held fixed, on a small table; None for others."""
        kinds = {type(group.family) for group in layout.groups}
        held = {name for group in layout.groups for name in group.family.fixed_parameters()}
        if len(kinds) > 1 or not kinds <= {StudentT, MultivariateT} or not held <= {"df"}:
            return None
        if not isinstance(rows, Rows) or rows.total_weight * rows.n_columns * layout.size > LIGHT_NUMBERS:
            return None
        maps = cls(layout, rows, fixed_weights)
        with np.errstate(all="ignore"):
            squared = maps.units**2
        return maps if np.all((squared > 0.0) & np.isfinite(squared)) else None

    def begun(self, shares: Floats) -> Params:
        """A start with the moments of the rows under given shares, (n, k).

        DegenerateDataError where a part of the rows has no spread.
        """
        shares = (shares[self.kept] * self.row_weights[:, None]).T[None]
        df = np.empty((1, self.layout.size, 1 if self.is_joint else self.X.shape[1]))
        for group in self.layout.groups:
            df[:, list(group.members)] = group.family.fixed_parameters().get("df", START_DF)
        moments, bad = self._maximum(
            shares, np.repeat(shares[..., None], df.shape[2], axis=3), np.maximum(1.0 / df, NORMAL_K)
        )
        if bad.any():
            raise DegenerateDataError("A part of the rows has no spread.")
        narrower = np.where(df > 4.0, 1.0 - 2.0 / df, 0.5)
        scatters = moments.scatters * (narrower[..., None] if self.is_joint else narrower)
        held = [{"df": value[0] if self.is_joint else value} for value in df[0]]
        return self._written(replace(moments, scatters=scatters), 0, held)

    def run(self, starts: Sequence[Params], least: float, most: int) -> list[Climb]:
        """Maps from each start, while they gain more than ``least``, at most so many."""
        climbs, place = [Climb(start) for start in starts], self._read(starts)
        at, last, ends = np.arange(len(starts)), np.full(len(starts), -np.inf), place
        with np.errstate(all="ignore"):
            for turn in range(most):
                if not len(at):
                    break
                squares, total, shares = self._expectation(place)
                gain = total - last
                rises, goes_on = gain >= 0.0, (gain > least) & (turn < most - 1)
                sums = shares.sum(axis=2)
                ends = _put(ends, at[rises], place[rises])
                for i in np.flatnonzero(rises):
                    climb = climbs[at[i]]
                    climb.trace.append(float(total[i]))
                    climb.log_likelihood = climb.objective = climb.trace[-1]
                    climb.n_maps, climb.sums = climb.n_maps + 1, sums[i]
                at, last = at[goes_on], total[goes_on]
                place, bad = self._following(place[goes_on], squares[goes_on], shares[goes_on])
                for i in np.flatnonzero(bad.any(axis=1)):
                    climbs[at[i]].collapsed = CollapsedError(
                        int(np.argmax(bad[i])), "its scale is that of a few equal rows"
                    )
                alive = ~bad.any(axis=1)
                at, last, place = at[alive], last[alive], place[alive]
        for j, climb in enumerate(climbs):
            climb.params = self._written(ends, j, self.layout.split(climb.params))
        return climbs

    def _read(self, starts: Sequence[Params]) -> Places:
        parts = [self.layout.split(start) for start in starts]

        def stacked(name: str) -> Floats:
            return np.array([[own[name] for own in one] for one in parts], dtype=np.float64)

        scales, k = stacked("scale"), np.maximum(1.0 / stacked("df"), NORMAL_K)
        weights, joint = np.array([start[WEIGHTS] for start in starts], dtype=np.float64), self.is_joint
        scatters = scales / np.outer(self.units, self.units) if joint else (scales / self.units) ** 2
        return Places(weights, stacked("loc") / self.units, scatters, k[:, :, None] if joint else k)

    def _written(self, places: Places, i: int, components: Sequence[Params]) -> Params:
        """The parameters of a place; degrees that are held are those of ``components``."""
        own = []
        for j, params in enumerate(components):
            scatter, df = places.scatters[i, j], 1.0 / places.k[i, j]
            scale = scatter * np.outer(self.units, self.units) if self.is_joint else np.sqrt(scatter) * self.units
            own.append({**params, "loc": places.locations[i, j] * self.units, "scale": scale})
            if self.free[j]:
                own[j]["df"] = df[0] if self.is_joint else df
        return self.layout.join(own, places.weights[i])

    def _expectation(self, place: Places) -> tuple[Floats, Floats, Floats]:
        """Squared distances (s, k, n, 1) or (s, k, n, d), log-likelihoods (s,), weighted responsibilities (s, k, n)."""
        shift = self.X - place.locations[:, :, None, :]
        if self.is_joint:
            lower = np.linalg.cholesky(place.scatters)
            squares = np.sum((shift @ np.linalg.inv(lower).swapaxes(2, 3)) ** 2, axis=3, keepdims=True)
            halves = np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)
        else:
            squares = shift**2 / place.scatters[:, :, None, :]
            halves = 0.5 * np.log(place.scatters).sum(axis=2)
        logs = self._log_densities(squares, place.k) + (np.log(place.weights) - halves)[:, :, None]
        top = logs.max(axis=1, keepdims=True)
        shares = np.exp(logs - top)
        sums = shares.sum(axis=1, keepdims=True)
        total = (np.log(sums) + top)[:, 0] @ self.row_weights - self.row_weights.sum() * np.log(self.units).sum()
        return squares, total, shares * (self.row_weights / sums)

    def _columns(self, squares: Floats) -> int:
        """How many columns share a weight."""
        return self.X.shape[1] if squares.shape[3] == 1 else 1

    def _log_densities(self, squares: Floats, k: Floats) -> Floats:
        """Those of every component without the determinant of its scatter, (s, k, n)."""
        d = self._columns(squares)
        rest = 0.5 * (1.0 / k + d)[:, :, None] * np.log1p(k[:, :, None] * squares)
        return np.asarray(log_constants(k, d).sum(axis=2)[:, :, None] - rest.sum(axis=3))

    def _following(self, place: Places, squares: Floats, shares: Floats) -> tuple[Places, NDArray[np.bool_]]:
        """Where a map leads, and the components (s, k) that have no maximum there, which are as they were."""
        d = self._columns(squares)
        k = self._risen(place.k, squares, shares) if self.free.any() else place.k
        return self._maximum(
            shares, shares[..., None] * ((1.0 + d * k)[:, :, None] / (1.0 + k[:, :, None] * squares)), k
        )

    def _maximum(self, shares: Floats, u: Floats, k: Floats) -> tuple[Places, NDArray[np.bool_]]:
        """Locations and scatters of rows that weigh ``u``, (s, k, n, 1) or (s, k, n, d)."""
        sums, total = shares.sum(axis=2), u.sum(axis=2)
        if self.is_joint:
            locations = (u[..., 0][:, :, None, :] @ self.X)[:, :, 0] / total
        else:
            locations = np.sum(u * self.X, axis=2) / total
        shift = self.X - locations[:, :, None, :]
        if self.is_joint:
            scatters = (u * shift).swapaxes(2, 3) @ shift / total[..., None]
            variances = np.diagonal(scatters, axis1=2, axis2=3)
        else:
            scatters = variances = np.sum(u * shift**2, axis=2) / total
        bad = ~np.all(variances > SINGULAR * self.variances, axis=2) | (
            sums <= NO_ROWS * sums.sum(axis=1, keepdims=True)
        )
        if self.is_joint:
            bad |= _singular(scatters, variances)
        weights = sums / sums.sum(axis=1, keepdims=True)
        if self.fixed_weights is not None:
            weights = np.broadcast_to(self.fixed_weights, weights.shape)
        return Places(weights, locations, scatters, k), bad

    def _risen(self, k: Floats, squares: Floats, shares: Floats) -> Floats:
        """1 / df after a step uphill at these distances, where that raises the likelihood of the component's rows."""
        d, free = self._columns(squares), np.flatnonzero(self.free)
        own, at, share = k[:, free], squares[:, free], shares[:, free][..., None]
        slopes = own[:, :, None] * log_density_slopes(at, own[:, :, None], d)
        step = np.sum(share * slopes, axis=2) / np.sum(share * slopes**2, axis=2)
        new = np.clip(own * np.exp(np.clip(step, -LONGEST, LONGEST)), LEAST_K, MOST_K)
        gain = (new - own) * 0.0
        for sign, value in ((1.0, new), (-1.0, own)):
            rest = 0.5 * (1.0 / value + d)[:, :, None] * np.log1p(value[:, :, None] * at)
            gain += sign * np.sum(share * (log_constants(value, d)[:, :, None] - rest), axis=2)
        found = k.copy()
        found[:, free] = np.where(gain > 0.0, new, own)
        return found


def _put(places: Places, at: NDArray[np.intp], new: Places) -> Places:
    """These with some replaced."""
    changed = {one.name: np.array(getattr(places, one.name)) for one in fields(places)}
    for name, value in changed.items():
        value[at] = getattr(new, name)
    return replace(places, **changed)


def _singular(scatters: Floats, variances: Floats) -> NDArray[np.bool_]:
    """Which matrices are singular to rounding."""
    roots = np.sqrt(variances)
    correlation = scatters / (roots[..., :, None] * roots[..., None, :])
    least = np.full(variances.shape[:2], np.nan)
    finite = np.isfinite(correlation).all(axis=(2, 3))
    least[finite] = np.linalg.eigvalsh(correlation[finite])[..., 0]
    return ~(least > SINGULAR)
