"""Normal components of one kind, all at once: passes over the rows and maxima in stacked arrays.

Full covariances go by their Cholesky factors, diagonal and spherical ones (and columns of ``normal``) by standard
deviations. Nothing is squared that could leave the range of numbers: deviations are summed in units of the components' own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.exceptions import DegenerateDataError
from fastkl.families._normals import DiagonalNormals, Normals
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.layout import WEIGHTS, Group, Layout
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.normal import Normal

EPS = float(np.finfo(np.float64).eps)
NO_ROWS = 1e-12  # share of all rows
SINGULAR = 10.0 * EPS  # pivot of a correlation matrix, by column: singular for its family
CONSTANT = 4.0 * EPS  # deviation in units of the mean's size: what rounding leaves of a column of equal values
LOST = 1e-6  # share of the sum of squares about the old mean that is about the new one: below, it is summed anew


@dataclass(frozen=True)
class Moments:
    """Weights, means and spreads of the rows under each component's responsibilities, and their log-likelihood.

    Spreads are scatter matrices (k, d, d), or the roots of sums of squares by column (k, d).
    """

    log_likelihood: float
    weights: Floats
    means: Floats
    spreads: Floats
    n_rows: int


@dataclass(frozen=True)
class StackedNormals:
    """The components: their weights (k,), means (k, d), and Cholesky factors (k, d, d) or standard deviations (k, d).

    ``covariance`` is the parameter of that name, where it is known already.
    """

    group: Group
    weights: Floats
    means: Floats
    spreads: Floats
    covariance: Floats | None = None

    @staticmethod
    def are_all_of(layout: Layout) -> bool:
        """Whether all components of a mixture are normal and of one kind."""
        return len(layout.groups) == 1 and type(layout.groups[0].family) in (Normal, MultivariateNormal)

    @classmethod
    def of(cls, layout: Layout, params: Params) -> StackedNormals | None:
        """The components of a mixture at its parameters; None unless all are normal and of one kind."""
        if not cls.are_all_of(layout):
            return None
        group = layout.groups[0]
        family: Any = group.family
        if isinstance(family, Normal):
            return cls(group, params[WEIGHTS], params["loc"], params["scale"])
        means, covariance = params["mean"], params["covariance"]
        if family.covariance_type == "full":
            lowers = np.linalg.cholesky(covariance)
            if group.tied is not None:
                lowers = np.broadcast_to(lowers, (layout.size, *lowers.shape))
            return cls(group, params[WEIGHTS], means, lowers, covariance)
        deviations = np.sqrt(covariance)
        if family.covariance_type == "spherical":
            deviations = np.broadcast_to(deviations[:, None], means.shape)
        return cls(group, params[WEIGHTS], means, deviations)

    @property
    def params(self) -> Params:
        """The parameters of the mixture."""
        family: Any = self.group.family
        if isinstance(family, Normal):
            return {WEIGHTS: self.weights, "loc": self.means, "scale": self.spreads}
        covariance = self.covariance
        if covariance is None:
            covariance = np.square(self.spreads if family.covariance_type == "diag" else self.spreads[:, 0])
        return {WEIGHTS: self.weights, "mean": self.means, "covariance": covariance}

    @property
    def is_full(self) -> bool:
        """Whether the covariances are full."""
        return self.spreads.ndim == 3

    @cached_property
    def _compiled(self) -> Any:
        """The compiled passes at these parameters."""
        return self._compile()

    def _compile(self) -> Any:
        with np.errstate(divide="ignore"):
            constants = np.log(self.weights) - self.means.shape[1] * HALF_LOG_2PI
            if self.is_full:
                halves = np.log(np.diagonal(self.spreads, axis1=1, axis2=2)).sum(axis=1)
                return Normals(constants - halves, self.means, self.spreads)
            return DiagonalNormals(constants - np.log(self.spreads).sum(axis=1), self.means, 1.0 / self.spreads)

    def __getstate__(self) -> dict[str, Any]:
        # without the compiled form, which stays in its process
        return {name: value for name, value in vars(self).items() if name != "_compiled"}

    def evidence(self, rows: Rows) -> Floats:
        """The log-density of every row under the mixture, (n,)."""
        found: Floats = self._compiled.evidence(rows.X, rows.n_threads)
        return found

    def moments(self, rows: Rows) -> Moments:
        """One pass over a block of rows."""
        if self.is_full:
            total, records = self._compiled.expectation(rows.X, rows.weights, rows.n_threads)
            return self.of_records(total, records, len(rows.X))
        total, records = self._compiled.expectation(rows.X, rows.weights, self.means, rows.n_threads)
        means, squares = self._about_new(records, self.means)
        if np.any(squares < LOST * records[:, 1 + self.means.shape[1] :]):
            _, records = self._compiled.expectation(rows.X, rows.weights, means, rows.n_threads)
            means, squares = self._about_new(records, means)
        return Moments(float(total), records[:, 0], means, self.spreads * np.sqrt(squares), len(rows.X))

    def of_records(self, total: float, records: Floats, n_rows: int) -> Moments:
        """Those of a compiled pass, whose sums are about the components' own means where columns are independent."""
        d = self.means.shape[1]
        if self.is_full:
            scatter = records[:, 1 + d :].reshape(-1, d, d)
            return Moments(float(total), records[:, 0], records[:, 1 : 1 + d], scatter, n_rows)
        means, squares = self._about_new(records, self.means)
        return Moments(float(total), records[:, 0], means, self.spreads * np.sqrt(squares), n_rows)

    def climbed(
        self, rows: Rows, fixed_weights: Floats | None, least: float, most: int, goal: float = 0.0
    ) -> tuple[list[float], Floats, bool, StackedNormals, float]:
        """Maps one after the other on a small table, while they gain more than ``least``, at most so many.

        They go on to the maximum where it is near: until what is left to gain is at most ``goal``. Returns the
        log-likelihoods on the way, the sums of a pass at its end, whether a component was not regular there, the end, and what
        is left to gain there, infinity where that is not known.
        """
        family: Any = self.group.family
        joint = (
            self.group.tied is not None if self.is_full else getattr(family, "covariance_type", "diag") == "spherical"
        )
        # compiled components move with the maps: those of the other passes stay
        trace, records, irregular, place, left = self._compile().maps(
            rows.X, rows.weights, fixed_weights, joint, least, most, goal
        )
        at = self
        if place is not None:
            weights, means, spreads, *covariances = place
            covariance = None if not covariances else covariances[0] if self.group.tied is None else covariances[0][0]
            at = StackedNormals(self.group, weights, means, spreads, covariance)
        return trace, records, irregular, at, left

    def _about_new(self, records: Floats, centres: Floats) -> tuple[Floats, Floats]:
        """Means, and sums of squares about them in units of the variances."""
        d, weights = self.means.shape[1], records[:, :1]
        shifts = records[:, 1 : 1 + d] / np.where(weights > 0.0, weights, 1.0)
        squares = records[:, 1 + d :] - weights * shifts**2
        return centres + self.spreads * shifts, np.maximum(squares, 0.0)

    def statistics(self, found: Moments) -> list[Statistics]:
        """The same as the family's own statistics of each component."""
        parts = zip(found.weights, found.means, found.spreads, strict=True)
        if self.is_full:
            # a responsibility is above 0, so that every row counts
            n_rows = np.float64(found.n_rows)
            return [{"weight": w, "mean": mean, "scatter": spread, "n_rows": n_rows} for w, mean, spread in parts]
        if isinstance(self.group.family, Normal):
            return [{"weight": np.full(len(mean), w), "mean": mean, "deviation": root} for w, mean, root in parts]
        return [{"weight": w, "mean": mean, "scatter": root**2} for w, mean, root in parts]

    def following(self, found: Moments, fixed_weights: Floats | None = None) -> StackedNormals:
        """The maximum of the expected log-likelihood; CollapsedError where a component has none."""
        sums = found.weights
        total = np.sum(sums)
        lost = np.flatnonzero(sums <= NO_ROWS * total)
        if len(lost):
            raise CollapsedError(int(lost[0]), "no row is left for it")
        weights = sums / total if fixed_weights is None else fixed_weights
        if self.is_full:
            return StackedNormals(self.group, weights, found.means, *self._full(found))
        return StackedNormals(self.group, weights, found.means, self._deviations(found))

    def _full(self, found: Moments) -> tuple[Floats, Floats]:
        """Cholesky factors of the covariances, and the parameter."""
        scatter, sums = found.spreads, found.weights
        if self.group.tied is None:
            covariances = scatter / sums[:, None, None]
        else:
            covariances = np.sum(scatter, axis=0, keepdims=True) / np.sum(sums)
        roots = np.sqrt(np.diagonal(covariances, axis1=1, axis2=2))
        try:
            lowers = np.linalg.cholesky(covariances / (roots[:, :, None] * roots[:, None, :]))
            pivots = np.diagonal(lowers, axis1=1, axis2=2).min() ** 2
        except np.linalg.LinAlgError:
            pivots = 0.0
        if not pivots > SINGULAR * roots.shape[1]:
            self._solve_one_by_one(found)  # the family says which, and why
            lowers = np.linalg.cholesky(covariances) / roots[:, :, None]
        spreads = np.broadcast_to(roots[:, :, None] * lowers, scatter.shape)
        return spreads, covariances if self.group.tied is None else covariances[0]

    def _deviations(self, found: Moments) -> Floats:
        roots = np.where(self._is_constant(found), 0.0, found.spreads) / np.sqrt(found.weights)[:, None]
        if getattr(self.group.family, "covariance_type", "diag") == "spherical":
            roots = np.broadcast_to(np.sqrt(np.mean(roots**2, axis=1))[:, None], roots.shape)
        if not np.all(roots > 0.0):
            self._solve_one_by_one(found)
        return roots

    def _is_constant(self, found: Moments) -> Any:
        return found.spreads <= CONSTANT * np.abs(found.means) * np.sqrt(found.weights)[:, None]

    def _solve_one_by_one(self, found: Moments) -> None:
        """Let the family say which component has no maximum."""
        family: Any = self.group.family
        if not self.is_full:
            found = Moments(
                found.log_likelihood, found.weights, found.means,
                np.where(self._is_constant(found), 0.0, found.spreads), found.n_rows,
            )  # fmt: skip
        statistics = self.statistics(found)
        if self.group.tied is not None:
            pooled = {
                "weight": np.sum(found.weights),
                "mean": found.means[0] * 0.0,
                "scatter": found.spreads.sum(axis=0),
            }
            statistics = [{**pooled, "n_rows": np.float64(found.n_rows)}]
        for k, own in zip(self.group.members, statistics, strict=False):
            try:
                family.solve(own)
            except DegenerateDataError as error:
                raise CollapsedError(k, str(error)) from error
            except np.linalg.LinAlgError:
                raise CollapsedError(k, "its matrix is singular to rounding") from None

    def slopes(self, found: Moments) -> Params:
        """The gradient of the log-likelihood by the parameters of the components (Fisher's identity)."""
        sums, shifts = found.weights, found.means - self.means
        if not self.is_full:
            return self._slopes_by_column(found, shifts / self.spreads)
        inverse = np.linalg.inv(self.spreads)
        precisions = inverse.swapaxes(1, 2) @ inverse
        scatter = found.spreads + sums[:, None, None] * shifts[:, :, None] * shifts[:, None, :]
        halves = 0.5 * (precisions @ scatter @ precisions - sums[:, None, None] * precisions)
        halves = 0.5 * (halves + halves.swapaxes(1, 2))
        means = sums[:, None] * (precisions @ shifts[:, :, None])[:, :, 0]
        return {"mean": means, "covariance": halves if self.group.tied is None else halves.sum(axis=0)}

    def _slopes_by_column(self, found: Moments, shifts: Floats) -> Params:
        """The same from shifts in units of the standard deviations."""
        sums = found.weights[:, None]
        excess = (found.spreads / self.spreads) ** 2 + sums * shifts**2 - sums
        means = sums * shifts / self.spreads
        if isinstance(self.group.family, Normal):
            return {"loc": means, "scale": excess / self.spreads}
        family: Any = self.group.family
        by_variance = 0.5 * excess / self.spreads**2
        return {
            "mean": means,
            "covariance": by_variance if family.covariance_type == "diag" else by_variance.sum(axis=1),
        }


def moments_of(rows: Rows, components: StackedNormals) -> Moments:
    """Those of a block of rows."""
    return components.moments(rows)


def merged_moments(first: Moments, second: Moments) -> Moments:
    """Those of two blocks of rows together."""
    weights = first.weights + second.weights
    share = second.weights / np.where(weights > 0.0, weights, 1.0)
    shifts = second.means - first.means
    shifts[second.weights == 0.0] = 0.0
    means = np.where(first.weights[:, None] > 0.0, first.means + share[:, None] * shifts, second.means)
    between = np.where(second.weights > 0.0, first.weights * share, 0.0)
    if first.spreads.ndim == 3:
        spreads = first.spreads + second.spreads + between[:, None, None] * shifts[:, :, None] * shifts[:, None, :]
    else:
        spreads = np.hypot(np.hypot(first.spreads, second.spreads), np.sqrt(between)[:, None] * shifts)
    total = first.log_likelihood + second.log_likelihood
    return Moments(total, weights, means, spreads, first.n_rows + second.n_rows)
