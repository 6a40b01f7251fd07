"""Normal components with their conjugate prior on small tables: EM maps to the maximum of the posterior, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.exceptions import DegenerateDataError
from fastkl.families.mixture.layout import WEIGHTS, Layout
from fastkl.families.mixture.normals import StackedNormals
from fastkl.families.mixture.side_by_side import LIGHT_NUMBERS, Places, SideBySide, whitened
from fastkl.families.normal import Normal
from fastkl.families.priors import NormalInverseWishart, PriorLike


class PosteriorNormalMaps(SideBySide):
    """The maps of mixtures of normal components of one kind, all of which have the same prior, bound to the rows.

    A spherical covariance is one of equal variances, in one unit for all columns.
    """

    def __init__(self, layout: Layout, rows: Rows, fixed_weights: Floats | None, prior: NormalInverseWishart):
        super().__init__(layout, rows, fixed_weights)
        family: Any = layout.groups[0].family
        self.kind = "normal" if isinstance(family, Normal) else family.covariance_type
        if self.kind == "spherical":
            self.X = self.X * (self.units / self.units.max())
            self.variances = np.full(len(self.units), np.var(self.X, axis=0).mean())
            self.units = np.full_like(self.units, self.units.max())
        with np.errstate(all="ignore"):
            squared = np.outer(self.units, self.units) if self.kind == "full" else self.units**2
            self.centre, self.scale = np.asarray(prior.mean) / self.units, np.asarray(prior.scale) / squared
        self.mean_weight, self.df = prior.mean_weight, float(prior.df or 0.0)

    @classmethod
    def of(
        cls, layout: Layout, rows: AnyRows, fixed_weights: Floats | None, priors: Sequence[PriorLike | None]
    ) -> PosteriorNormalMaps | None:
        """Those of components without a parameter that is held, on a small table; None for others."""
        family = layout.groups[0].family
        if not StackedNormals.are_all_of(layout) or family.fixed_parameters() or layout.groups[0].tied is not None:
            return None
        if not isinstance(rows, Rows) or rows.total_weight * rows.n_columns * layout.size > LIGHT_NUMBERS:
            return None
        prior = priors[0]
        if not isinstance(prior, NormalInverseWishart) or any(other is not prior for other in priors):
            return None
        maps = cls(layout, rows, fixed_weights, prior)
        return maps if maps.in_range and np.isfinite(maps.scale).all() and np.isfinite(maps.centre).all() else None

    def begun(self, shares: Floats) -> Params:
        place, bad = self._maximum((shares[self.kept] * self.row_weights[:, None]).T[None])
        if bad.any():
            raise DegenerateDataError("A part of the rows has no spread.")
        return self._written(place, 0, [{}] * self.layout.size)

    def _read(self, starts: Sequence[Params]) -> Places:
        location, spread = ("loc", "scale") if self.kind == "normal" else ("mean", "covariance")
        means = np.array([start[location] for start in starts]) / self.units
        values = np.array([start[spread] for start in starts], dtype=np.float64)
        if self.kind == "full":
            scatters = values / np.outer(self.units, self.units)
        elif self.kind == "spherical":
            scatters = np.broadcast_to(values[..., None], means.shape) / self.units**2
        else:
            scatters = (values / self.units) ** 2 if self.kind == "normal" else values / self.units**2
        return Places(np.array([start[WEIGHTS] for start in starts], dtype=np.float64), means, scatters)

    def _written(self, places: Places, i: int, components: Sequence[Params]) -> Params:
        means, scatters = places.locations[i] * self.units, places.scatters[i]
        found: Params = {WEIGHTS: np.array(places.weights[i])}
        if self.kind == "normal":
            return {**found, "loc": means, "scale": np.sqrt(scatters) * self.units}
        if self.kind == "full":
            return {**found, "mean": means, "covariance": scatters * np.outer(self.units, self.units)}
        variances = scatters * self.units**2
        return {**found, "mean": means, "covariance": variances if self.kind == "diag" else variances[:, 0]}

    def _expectation(self, place: Places) -> tuple[Floats, Floats, Floats]:
        shift = self.X - place.locations[:, :, None, :]
        if self.kind == "full":
            squares, halves = whitened(shift, place.scatters)
        else:
            squares = np.sum(shift**2 / place.scatters[:, :, None, :], axis=3, keepdims=True)
            halves = 0.5 * np.log(place.scatters).sum(axis=2)
        constants = np.log(place.weights) - halves - self.X.shape[1] * HALF_LOG_2PI
        return squares, *self._responsibilities(constants[:, :, None] - 0.5 * squares[..., 0])

    def _following(self, place: Places, squares: Floats, shares: Floats) -> tuple[Places, NDArray[np.bool_]]:
        return self._maximum(shares)

    def _maximum(self, shares: Floats) -> tuple[Places, NDArray[np.bool_]]:
        """The modes given the rows' shares: those of ``NormalInverseWishart.solve``."""
        sums, d, kappa = shares.sum(axis=2), self.X.shape[1], self.mean_weight
        own, weight = shares @ self.X / sums[:, :, None], sums[:, :, None]
        shift = self.X - own[:, :, None, :]
        from_centre, factor = own - self.centre, kappa * weight / (kappa + weight)
        if self.kind == "full":
            total = (shares[..., None] * shift).swapaxes(2, 3) @ shift
            between = factor[..., None] * from_centre[..., :, None] * from_centre[..., None, :]
            scatters = (total + self.scale + between) / (self.df + weight[..., None] + d + 2.0)
        else:
            total = np.sum(shares[..., None] * shift**2, axis=2) + factor * from_centre**2
            if self.kind == "spherical":
                variances = (total.sum(axis=2, keepdims=True) + self.scale[0]) / (self.df + d * (weight + 1.0) + 2.0)
                scatters = np.broadcast_to(variances, total.shape)
            else:
                scatters = (total + self.scale) / (self.df + weight + 3.0)
        means = (kappa * self.centre + weight * own) / (kappa + weight)
        return Places(self._weights(sums), means, scatters), self._without_spread(sums, scatters)

    def _log_priors(self, place: Places) -> Floats:
        """Those of ``NormalInverseWishart.log_density``, in the units of the rows."""
        shift, d = place.locations - self.centre, self.X.shape[1]
        if self.kind == "full":
            squares, halves = whitened(shift[:, :, None, :], place.scatters)
            trace = np.trace(
                np.linalg.solve(place.scatters, np.broadcast_to(self.scale, place.scatters.shape)), 0, 2, 3
            )
            own = trace + self.mean_weight * squares[..., 0, 0]
            own = own + 2.0 * (self.df + d + 2.0) * (halves + np.log(self.units).sum())
        else:
            columns = self.mean_weight * shift**2
            logs = np.log(place.scatters) + 2.0 * np.log(self.units)
            if self.kind == "spherical":
                total = (columns.sum(axis=2) + self.scale[0]) / place.scatters[..., 0]
                own = total + (self.df + d + 2.0) * logs[..., 0]
            else:
                own = ((columns + self.scale) / place.scatters + (self.df + 3.0) * logs).sum(axis=2)
        return np.asarray(-0.5 * own.sum(axis=1))
