"""The uncertainty of a fit of one family: from its statistics, its parameters and a prior, and from rows where they are given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from scipy.special import ndtr, ndtri

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.density.inference import Inference
from fastkl.density.parametric.profile import profile_intervals
from fastkl.exceptions import DegenerateDataError, first_sentence
from fastkl.families.base import Family
from fastkl.families.priors import PriorLike
from fastkl.families.solvers.coordinates import Chart, chart_at
from fastkl.families.solvers.curvature import hessian, row_scores, score_products
from fastkl.families.solvers.kinks import information_across_kinks
from fastkl.families.solvers.posterior import gradients_of, posterior_covariance, posterior_curvature, posterior_errors
from fastkl.rows.checks import raise_if_not_finite, require_finite

KEPT = "score_products"  # the name among the statistics of what a fit with robust_errors=True has summed


@dataclass(frozen=True)
class FitInference(Inference):
    """The uncertainty of the parameters of one family.

    Parameters
    ----------
    family : Family
        As it was fitted.
    params : dict of arrays
        The maximum.
    statistics : dict of arrays
        The statistics behind it.
    prior : prior or None
        What took part in it.
    read : callable
        ``read(X, sample_weight)`` gives validated rows.
    refit : callable
        ``refit(rows)`` gives the parameters of the maximum on other rows.
    """

    family: Family
    params: Params
    statistics: Statistics
    prior: PriorLike | None
    read: Callable[[Any, Any], Rows]
    refit: Callable[[Rows], Params]

    def names(self) -> list[str]:
        return self._names

    @cached_property
    def _names(self) -> list[str]:
        if self._is_closed:
            return self.family.estimated_entries(self.params)
        return chart_at(self.family, self.params).names

    @property
    def _is_closed(self) -> bool:
        """Whether the family knows its information from its statistics: there is no prior, and no value was missing."""
        return self.prior is None and "incomplete" not in self.statistics

    def covariance(self) -> Floats:
        return self._covariance_from(self.statistics)

    def standard_errors(self) -> Params:
        if self._is_closed:
            return self.family.standard_errors(self.statistics, self.params)
        return posterior_errors(self.family, self.params, self._curvature(self.statistics))

    def _covariance_from(self, statistics: Statistics) -> Floats:
        """That of the estimated entries, from observed information."""
        if self._is_closed:
            return self.family.covariance_of_params(statistics, self.params)[1]
        return posterior_covariance(self.family, self.params, self._curvature(statistics))[1]

    def _curvature(self, statistics: Statistics) -> Floats:
        """By the coordinates: that of the posterior, or of a likelihood of incomplete rows."""
        if "curvature" in statistics:
            return np.asarray(statistics["curvature"])
        if "incomplete" in statistics:
            raise AttributeError(
                "The fit did not form the observed information, which takes long for so many incomplete rows. Fit to some of "
                "them, or fewer columns."
            )
        family, prior = self.family, self.prior
        assert prior is not None
        return posterior_curvature(family, prior, lambda at: family.statistics_gradient(statistics, at), self.params)

    # -- by the coordinates of the parameters ------------------------------------------------------------------------------

    @cached_property
    def _chart(self) -> Chart:
        return chart_at(self.family, self.params, self.names())

    def _inverse_information(self, covariance: Floats) -> Floats:
        """In the coordinates, from the covariance of the entries: NaN where that is beyond the range of numbers."""
        position = {name: i for i, name in enumerate(self.names())}
        order = [position[name] for name in self._chart.names]
        if not self._chart.size:
            return np.zeros((0, 0))
        # entries and coordinates in units of the derivatives, or the entries of the smaller units count as rounding
        full = self._chart.jacobian(self.params)
        of_entries = _largest(full, axis=1)
        scaled = full / of_entries[:, None]
        of_coordinates = _largest(scaled, axis=0)
        back = np.linalg.pinv(scaled / of_coordinates) / of_coordinates[:, None]
        covariance = covariance[np.ix_(order, order)]
        beyond = ~(np.isfinite(variances := np.diag(covariance)) & (variances > np.finfo(np.float64).tiny))
        beyond &= np.any(full != 0.0, axis=1)  # what no coordinate moves, a share of 0, has the variance 0
        with np.errstate(over="ignore", invalid="ignore"):
            covariance = covariance / of_entries[:, None] / of_entries
        covariance[beyond] = np.nan
        with np.errstate(invalid="ignore"):
            inverse: Floats = back @ covariance @ back.T
        return inverse

    def influence(self) -> Floats:
        position = {name: i for i, name in enumerate(self._chart.names)}
        order = [position[name] for name in self.names()]
        full: Floats = self._chart.jacobian(self.params) @ self._inverse_information(self.covariance())
        return full[order]

    def scores(self, X: Any, sample_weight: Any) -> Iterator[tuple[Floats, Floats]]:
        return self._scores(self.read(X, sample_weight))

    def _scores(self, rows: Rows) -> Iterator[tuple[Floats, Floats]]:
        with require_finite(rows):
            across = self._across_kinks(rows)
            for scores, weights in row_scores(self.family, rows, self.params, self._chart):
                if not np.isfinite(scores).all():
                    raise_if_not_finite(rows)
                yield scores if across is None else scores @ across.T, weights

    def kept_products(self) -> Floats | None:
        return self.statistics.get(KEPT)

    def products_to_keep(self, rows: AnyRows) -> Floats:
        """The sum of w^2 s s^T over rows in memory or not: one pass."""
        products = score_products(self.family, rows, self.params, self._chart, squared=True)
        across = self._across_kinks(rows)
        return products if across is None else across @ products @ across.T

    def _across_kinks(self, rows: AnyRows) -> Floats | None:
        """What makes of a score one that ``influence`` takes rightly; None where it does without.

        A likelihood with a kink at every row has the information that the family expects, not an observed one: right while the
        family is. The sandwich form asks for that of the rows.
        """
        if self.family.smooth or self.family.joint or not self._chart.size:
            return None
        information = information_across_kinks(self.family, rows, self.params, self._chart)
        if self.prior is not None:
            information -= hessian(gradients_of(self.prior, self.params), self._chart, self.params)[0]
        with np.errstate(all="ignore"):
            known = np.isfinite(information).all() and np.linalg.eigvalsh(information)[0] > 0.0
        # the inverse information that ``influence`` multiplies by, exchanged for that of the rows
        if not known:
            return None
        return np.asarray(np.linalg.inv(information @ self._inverse_information(self.covariance())), dtype=np.float64)

    def effective_parameters(self, X: Any, sample_weight: Any) -> float:
        rows, family, statistics = self.read(X, sample_weight), self.family, self.statistics
        with require_finite(rows):
            if family.has_statistics and not rows.incomplete and "incomplete" not in statistics:
                statistics = rows.total(family.statistics, merge=family.merge_statistics)
            inverse = self._inverse_information(self._covariance_from(statistics))
            products = score_products(family, rows, self.params, self._chart, squared=False)
            across = self._across_kinks(rows)
        return float(np.sum((inverse if across is None else inverse @ across) * products))

    # -- in the shape of the parameters ------------------------------------------------------------------------------------

    def shaped(self, entries: Floats) -> Params:
        values = dict(zip(self.names(), entries, strict=True))
        return self._chart.fill(np.array([values[name] for name in self._chart.names]))

    def intervals(self, errors: Params, z: float) -> dict[str, Any]:
        spaces = self.family.spaces()
        return {name: spaces[name].interval(self.params[name], z * error) for name, error in errors.items()}

    def profile_intervals(self, X: Any, sample_weight: Any, level: float) -> dict[str, Any]:
        if self.prior is not None:
            raise ValueError(
                "method='profile' is of the likelihood alone, and this fit has a prior. Take 'wald' or 'bootstrap'."
            )
        rows, errors = self.read(X, sample_weight), self.standard_errors()
        return profile_intervals(self.family, self.params, errors, rows, level)

    def refits(self, X: Any, sample_weight: Any, n_resamples: int, generator: np.random.Generator) -> Params:
        rows = self.read(X, sample_weight)
        draws: dict[str, list[Any]] = {name: [] for name in self.standard_errors()}
        for number in range(n_resamples):
            weights = generator.standard_exponential(len(rows.X))
            weights *= len(weights) / weights.sum()
            if rows.weights is not None:
                weights *= rows.weights
            with require_finite(rows), _in_resample(number, n_resamples):
                params = self.refit(replace(rows, weights=weights))
            for name, values in draws.items():
                values.append(params[name])
        return {name: np.stack(values) for name, values in draws.items()}

    def refitted_intervals(self, refits: Params, level: float) -> dict[str, Any]:
        return {name: bias_corrected_interval(draws, self.params[name], level) for name, draws in refits.items()}


def _largest(values: Floats, axis: int) -> Floats:
    """The largest size along an axis, 1 where all are 0."""
    size: Floats = np.max(np.abs(values), axis=axis)
    return np.where(size > 0.0, size, 1.0)


@contextmanager
def _in_resample(number: int, n_resamples: int) -> Iterator[None]:
    """A likelihood without a maximum is one of random weights, of which the advice for rows would be wrong."""
    try:
        yield
    except DegenerateDataError as error:
        raise DegenerateDataError(
            f"The rows have no bootstrap of this density: under the random weights of resample {number} of {n_resamples} its "
            f"likelihood has no maximum. {first_sentence(error)} Take intervals by method='wald', or hold a parameter fixed.",
            error.column,
        ) from error


def bias_corrected_interval(draws: Floats, value: Any, level: float) -> tuple[Any, Any]:
    """Quantiles of refits, moved by twice the distance of the estimate from their median, on the scale of normal quantiles."""
    below = np.mean(draws < value, axis=0) + 0.5 * np.mean(draws == value, axis=0)
    half = ndtri(0.5 + 0.5 * level)
    columns = draws.reshape(len(draws), -1).T
    ends = []
    for z in (-half, half):
        ranks = np.ravel(ndtr(2.0 * ndtri(below) + z))
        found = [np.quantile(column, p, method="inverted_cdf") for column, p in zip(columns, ranks, strict=True)]
        ends.append(np.array(found).reshape(draws.shape[1:])[()])
    return ends[0], ends[1]
