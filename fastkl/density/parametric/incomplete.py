"""Fits of one normal distribution to rows of which some values are unknown, and what is put in their place.

The likelihood is that of what is known of every row. Its maximum is reached as that of a mixture of one component: each
map sums the expected moments of complete rows, and quasi-Newton steps take it further.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.iterations import read_as
from fastkl._core.rows import AnyRows, Rows
from fastkl.density.angles import warn_of_degrees
from fastkl.density.base import BaseDensity
from fastkl.density.validation import as_generator, read_rows
from fastkl.divergence.options import one_seed
from fastkl.exceptions import DegenerateDataError, MissingValueError
from fastkl.families.base import Family, Fit
from fastkl.families.gradient_sums import all_added, gradients_at
from fastkl.families.incomplete import (
    GroupedSums,
    completed,
    information_sums,
    observed_information,
    sums_or_rows,
)
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ascent import Ascent
from fastkl.families.mixture.climb import Climb
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.priors import Prior, PriorLike
from fastkl.families.product.fitting import fit_rows
from fastkl.families.solvers.coordinates import Chart, chart_at
from fastkl.families.solvers.curvature import derivative, hessian
from fastkl.rows.incomplete import count_empty, grouped, marked, tell_of_empty

INFORMATION = 3e10  # products that the observed information may take
FILL_TOL, FILL_MAPS = 1e-6, 30  # of the fit whose conditional means stand in where rows are parted for a start


def refit_with_missing(family: Family, rows: Any, fit: Callable[[Any], None]) -> None:
    """``fit(rows)``, and once more where values turn out to be missing, which the family takes.

    Rows of which nothing is known are left out, and a warning says how many these are; another tells angles not in radians.
    """
    streamed = not isinstance(rows, Rows)
    try:
        fit(rows)
        warn_of_degrees(family, rows)
        return
    except MissingValueError:
        if not family.takes_missing or (streamed and not rows.source.repeatable):
            raise
    n_empty = rows.total(count_empty)
    if n_empty:
        tell_of_empty(n_empty, rows.total_weight if streamed else len(rows.X))
    fit(rows.with_missing_values() if streamed else grouped(rows))


def raise_if_incomplete(*densities: Any) -> None:
    """ValueError where a fit saw missing values: its statistics do not add up with others."""
    if any("incomplete" in getattr(density, "statistics_", {}) for density in densities):
        raise ValueError("Statistics of rows with missing values do not add up: fit all rows at once.")


def fit_any_rows(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None
) -> tuple[Fit, Statistics]:
    """The maximum of one family on rows that may be incomplete, as ``fit_rows`` gives it; from ``start``, if given.

    The statistics of incomplete rows do not add up: they are the weight, a mark, and the curvature at the maximum.
    """
    if not rows.incomplete:
        return fit_rows(family, prior, rows, tol, max_iter, start)
    if getattr(family, "shrinkage", None) is not None:
        raise ValueError("shrinkage is for complete rows: with missing values use a prior (prior='default').")
    with single_threaded_blas():  # small matrices only wait for further threads
        return _fit_incomplete(family, prior, rows, tol, max_iter, start)


def _fit_incomplete(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None
) -> tuple[Fit, Statistics]:
    rows = sums_or_rows(rows)
    begin = starting_parameters(family, rows) if start is None else start
    bound = prior
    if isinstance(prior, Prior):
        without = _climb(family, rows, None, tol, max_iter, begin)
        begin = begin if without.collapsed is not None else _params(family, without)
        bound = prior.bind(family, begin)
    climb = _climb(family, rows, bound, tol, max_iter, begin)
    if climb.collapsed is not None:
        raise DegenerateDataError(str(climb.collapsed)) from climb.collapsed
    params = _params(family, climb)
    statistics: Statistics = {"weight": np.float64(rows.total_weight), "incomplete": np.float64(1.0)}
    curvature = _curvature(family, params, rows, bound)
    if curvature is not None:
        statistics["curvature"] = curvature
    boundary = {name.replace("[0]", "", 1): text for name, text in climb.boundary.items()}
    return Fit(params, climb.n_maps, climb.converged, boundary, climb.log_likelihood, bound), statistics


def _climb(family: Family, rows: AnyRows, prior: PriorLike | None, tol: float, max_iter: int, begin: Params) -> Climb:
    mixture = Mixture([family])
    start = mixture.layout.join([begin], np.ones(1))
    with read_as(lambda params: mixture.split(params)[0]):
        return Ascent(mixture, mixture.layout, rows, [prior], np.ones(1)).run(start, tol, max_iter)


def _params(family: Family, climb: Climb) -> Params:
    return Mixture([family]).split(climb.params)[0]


def starting_parameters(family: Family, rows: AnyRows) -> Params:
    """Means and variances of what is known of each column; DegenerateDataError for a column without two different values."""
    weight, mean, squares = rows.total(_column_moments, merge=_merged_moments)
    if np.any(weight == 0.0):
        column = int(np.argmin(weight))
        raise DegenerateDataError(f"Column {column} holds no value at all: leave it out.", column)
    d, total = len(mean), float(rows.total_weight)
    scatter = squares / weight * total
    full = getattr(family, "covariance_type", "full") == "full"
    statistics: Statistics = {"weight": np.float64(total), "mean": mean, "scatter": scatter}
    if full:
        statistics |= {"scatter": np.diag(scatter), "n_rows": np.float64(d + 1)}  # a diagonal matrix is never singular
    return family.solve(statistics).params


def _column_moments(rows: Rows | GroupedSums) -> tuple[Floats, Floats, Floats]:
    """Weight, mean, and squares about it, of what is known of each column."""
    sums, d = GroupedSums.of(rows), rows.n_columns
    weights = sums.records[:, :1] * sums.known
    weight = weights.sum(axis=0)
    means = sums.records[:, 1 : 1 + d]
    origin = means[np.argmax(sums.known, axis=0), np.arange(d)]
    mean = origin + np.sum(weights * (means - origin), axis=0) / np.where(weight > 0.0, weight, 1.0)
    within = np.sum(sums.records[:, 1 + d :: d + 1], axis=0)
    return weight, mean, within + np.sum(weights * (means - mean) ** 2, axis=0)


def _merged_moments(
    first: tuple[Floats, Floats, Floats], second: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    weight = first[0] + second[0]
    share = second[0] / np.where(weight > 0.0, weight, 1.0)
    shift = second[1] - first[1]
    return weight, first[1] + share * shift, first[2] + second[2] + first[0] * share * shift**2


def filled_for_starts(rows: Rows) -> Rows:
    """The rows with conditional means under one normal distribution where values are unknown, for whatever parts rows."""
    if not rows.incomplete:
        return rows
    family, sums = MultivariateNormal(), sums_or_rows(rows)
    begin = starting_parameters(family, sums)
    climb = _climb(family, sums, None, FILL_TOL, FILL_MAPS, begin)
    params = begin if climb.collapsed is not None else _params(family, climb)
    return replace(rows, X=completed(rows.X, params["mean"], params["covariance"]), incomplete=False)


# -- observed information --------------------------------------------------------------------------------------------------


def _curvature(family: Any, params: Params, rows: AnyRows, prior: PriorLike | None) -> Floats | None:
    """Minus the second derivatives by the coordinates, (1, q, q): exact without a prior, else differences of gradients.

    None where they would take longer than the fit is worth.
    """
    d = rows.n_columns
    if rows.total_weight * float(d) ** 4 > INFORMATION:
        return None
    chart = chart_at(family, params)
    if prior is None:
        sums = rows.total(information_sums, *family.moments(params), merge=_sums_added)
        slopes = _slopes(family, chart, params)
        information = observed_information(*sums)
        return np.asarray(slopes.T @ information @ slopes)[None]

    def gradients(places: list[Params]) -> list[Params]:
        found = rows.total(gradients_at, family, places, merge=all_added)
        return [_with_prior(prior, slope, at) for slope, at in zip(found, places, strict=True)]

    return -hessian(gradients, chart, params)


def _with_prior(prior: PriorLike, gradient: Params, at: Params) -> Params:
    by_prior = prior.gradient(at)
    return {name: value + by_prior.get(name, 0.0) for name, value in gradient.items()}


def _slopes(family: Any, chart: Chart, params: Params) -> Floats:
    """Derivatives of the mean and of all entries of the covariance by the coordinates, (d + d^2, q)."""

    def moments(u: Floats) -> Floats:
        mean, covariance = family.moments(chart.back(u))
        return np.concatenate([mean, np.ravel(covariance)])

    return derivative(moments, chart.to(params))


def _sums_added(
    first: tuple[Floats, Floats, Floats], second: tuple[Floats, Floats, Floats]
) -> tuple[Floats, Floats, Floats]:
    return first[0] + second[0], first[1] + second[1], first[2] + second[2]


# -- in their place --------------------------------------------------------------------------------------------------------


class ImputingMembers(BaseDensity):
    """The member of normal densities that fills in what is missing."""

    family_: Any
    params_: Params

    def impute(self, X: ArrayLike, random_state: Any = None, *, rng: Any = None) -> Floats:
        """Rows with their missing values (NaN) filled in, given what is known of each.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        random_state : int, RandomState, Generator or None, default=None
            None fills in the conditional mean, which is the best guess of each value, though too even: the rows then
            spread less than rows of the density. With a number or generator it is a draw from the conditional
            distribution; several of these show what the missing values leave open (multiple imputation).
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        ndarray of shape (n, d)
            float64; values that are known are as they were.

        Raises
        ------
        MissingValueError
            If the family is not normal.
        TypeError
            If the family is not normal and nothing is missing.

        References
        ----------
        D. B. Rubin, "Inference and missing data", Biometrika 63, 1976, doi:10.1093/biomet/63.3.581: the fit and the
        draws are right where values are missing for reasons that what is known explains.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters(mean=[0.0, 1.0], covariance=[[1.0, 0.5], [0.5, 1.0]])
        >>> model.impute([[2.0, np.nan], [np.nan, np.nan]])
        array([[2., 2.],
               [0., 1.]])
        """
        self._check_fitted()
        rows = read_rows(self, X, labels=self.family_.labels)
        rows = marked(rows) if self.family_.takes_missing else rows
        random_state = one_seed(random_state, rng)
        generator = None if random_state is None else as_generator(random_state)
        if not rows.incomplete:
            if not self.family_.takes_missing:
                raise TypeError(
                    f"impute is for normal densities; the {self.family_.name} family takes no missing values."
                )
            return np.array(rows.X, dtype=np.float64)
        return self._imputed(rows, generator)

    def _imputed(self, rows: Rows, generator: np.random.Generator | None) -> Floats:
        mean, covariance = self.family_.moments(self.params_)
        return completed(rows.X, mean, covariance, generator)
