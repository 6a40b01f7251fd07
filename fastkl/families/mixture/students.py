"""Components of Student's t distribution on small tables: EM maps of several mixtures at once, in stacked arrays.

Each map is one of ECME (C. Liu, D. Rubin 1995): the degrees of freedom take a step uphill at the present distances, then
locations and scatters follow, these with the divisor that makes the maps quick (X.-L. Meng, D. van Dyk 1997).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.student_degrees import log_constants, log_density_slopes
from fastkl.exceptions import DegenerateDataError
from fastkl.families.mixture.layout import WEIGHTS, Layout
from fastkl.families.mixture.side_by_side import LIGHT_NUMBERS, Places, SideBySide, whitened
from fastkl.families.multivariate_t import MultivariateT
from fastkl.families.student_t import StudentT

LEAST_K, MOST_K = 1e-6, 10.0  # 1 / df on the way, where it is free; the ascents that follow go to the normal limit
NORMAL_K = 1e-12  # as good as the normal limit where it is held there
START_DF = 8.0
FAR = 100.0  # in medians of the distances from the median
LONGEST = 1.0  # step of log df


@dataclass(frozen=True)
class StudentPlaces(Places):
    """Those of t components, with ``k`` = 1 / df (s, k, 1) or (s, k, d)."""

    k: Floats


class StudentMaps(SideBySide):
    """The maps of mixtures whose components are all of one t family."""

    def __init__(self, layout: Layout, rows: Rows, fixed_weights: Floats | None):
        super().__init__(layout, rows, fixed_weights)
        # by medians: rows far out, which these components are for, would make the others look like a collapse
        away = np.abs(self.X - np.median(self.X, axis=0))
        distance = np.median(away, axis=0)
        self.variances = np.where(distance > 0.0, np.minimum(self.variances, distance**2), self.variances)
        with np.errstate(all="ignore"):
            size = np.max(np.where(distance > 0.0, away / distance, 0.0), axis=1)
        self.nearness = (FAR / np.maximum(size, FAR)) ** 2  # what rows far out count for at a start
        self.is_joint = isinstance(layout.groups[0].family, MultivariateT)
        held = {j for group in layout.groups if "df" in group.family.fixed_parameters() for j in group.members}
        self.free = np.array([j not in held for j in range(layout.size)])

    @classmethod
    def of(
        cls, layout: Layout, rows: AnyRows, fixed_weights: Floats | None, most: int = LIGHT_NUMBERS
    ) -> StudentMaps | None:
        """Those of t components, of which no more than the degrees are held fixed, on a small table; None for others.

        A table is small up to ``most`` numbers times components.
        """
        kinds = {type(group.family) for group in layout.groups}
        held = {name for group in layout.groups for name in group.family.fixed_parameters()}
        if len(kinds) > 1 or not kinds <= {StudentT, MultivariateT} or not held <= {"df"}:
            return None
        if not isinstance(rows, Rows) or rows.total_weight * rows.n_columns * layout.size > most:
            return None
        maps = cls(layout, rows, fixed_weights)
        return maps if maps.in_range else None

    def begun(self, shares: Floats) -> Params:
        shares = (shares[self.kept] * self.row_weights[:, None]).T[None]
        df = np.empty((1, self.layout.size, 1 if self.is_joint else self.X.shape[1]))
        for group in self.layout.groups:
            df[:, list(group.members)] = group.family.fixed_parameters().get("df", START_DF)
        moments, bad = self._maximum(
            shares, np.repeat((shares * self.nearness)[..., None], df.shape[2], axis=3), np.maximum(1.0 / df, NORMAL_K)
        )
        if bad.any():
            raise DegenerateDataError("A part of the rows has no spread.")
        narrower = np.where(df > 4.0, 1.0 - 2.0 / df, 0.5)
        scatters = moments.scatters * (narrower[..., None] if self.is_joint else narrower)
        held = [{"df": value[0] if self.is_joint else value} for value in df[0]]
        return self._written(replace(moments, scatters=scatters), 0, held)

    def _read(self, starts: Sequence[Params]) -> StudentPlaces:
        parts = [self.layout.split(start) for start in starts]

        def stacked(name: str) -> Floats:
            return np.array([[own[name] for own in one] for one in parts], dtype=np.float64)

        scales, k = stacked("scale"), np.maximum(1.0 / stacked("df"), NORMAL_K)
        weights, joint = np.array([start[WEIGHTS] for start in starts], dtype=np.float64), self.is_joint
        scatters = scales / np.outer(self.units, self.units) if joint else (scales / self.units) ** 2
        return StudentPlaces(weights, stacked("loc") / self.units, scatters, k[:, :, None] if joint else k)

    def _written(self, places: StudentPlaces, i: int, components: Sequence[Params]) -> Params:
        own = []
        for j, params in enumerate(components):
            scatter, df = places.scatters[i, j], 1.0 / places.k[i, j]
            scale = scatter * np.outer(self.units, self.units) if self.is_joint else np.sqrt(scatter) * self.units
            own.append({**params, "loc": places.locations[i, j] * self.units, "scale": scale})
            if self.free[j]:
                own[j]["df"] = df[0] if self.is_joint else df
        return self.layout.join(own, places.weights[i])

    def _expectation(self, place: StudentPlaces) -> tuple[Floats, Floats, Floats]:
        shift = self.X - place.locations[:, :, None, :]
        if self.is_joint:
            squares, halves = whitened(shift, place.scatters)
        else:
            squares = shift**2 / place.scatters[:, :, None, :]
            halves = 0.5 * np.log(place.scatters).sum(axis=2)
        logs = self._log_densities(squares, place.k) + (np.log(place.weights) - halves)[:, :, None]
        return squares, *self._responsibilities(logs)

    def _columns(self, squares: Floats) -> int:
        """How many columns share a weight."""
        return self.X.shape[1] if squares.shape[3] == 1 else 1

    def _log_densities(self, squares: Floats, k: Floats) -> Floats:
        """Those of every component without the determinant of its scatter, (s, k, n)."""
        d = self._columns(squares)
        rest = 0.5 * (1.0 / k + d)[:, :, None] * np.log1p(k[:, :, None] * squares)
        return np.asarray(log_constants(k, d).sum(axis=2)[:, :, None] - rest.sum(axis=3))

    def _following(
        self, place: StudentPlaces, squares: Floats, shares: Floats
    ) -> tuple[StudentPlaces, NDArray[np.bool_]]:
        d = self._columns(squares)
        k = self._risen(place.k, squares, shares) if self.free.any() else place.k
        return self._maximum(
            shares, shares[..., None] * ((1.0 + d * k)[:, :, None] / (1.0 + k[:, :, None] * squares)), k
        )

    def _maximum(self, shares: Floats, u: Floats, k: Floats) -> tuple[StudentPlaces, NDArray[np.bool_]]:
        """Locations and scatters of rows that weigh ``u``, (s, k, n, 1) or (s, k, n, d)."""
        sums, total = shares.sum(axis=2), u.sum(axis=2)
        if self.is_joint:
            locations = (u[..., 0][:, :, None, :] @ self.X)[:, :, 0] / total
        else:
            locations = np.sum(u * self.X, axis=2) / total
        shift = self.X - locations[:, :, None, :]
        if self.is_joint:
            scatters = (u * shift).swapaxes(2, 3) @ shift / total[..., None]
        else:
            scatters = np.sum(u * shift**2, axis=2) / total
        places = StudentPlaces(self._weights(sums), locations, scatters, k)
        return places, self._without_spread(sums, scatters)

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
