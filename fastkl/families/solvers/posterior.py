"""Maximum of log-likelihood plus log-prior: closed form where the pair has one, else quasi-Newton and a Newton finish.

The search runs in the unconstrained coordinates of ``coordinates.py``, from the maximum of the likelihood. L-BFGS-B
ends where differences of the objective drown in rounding, about 1e-8 from the maximum; Newton steps on the gradient,
whose own error is at rounding level, bring the rest; of many coordinates those of Newton and Krylov, from a few dozen gradients
in place of all second derivatives. ``converged`` rests on the gradient per unit of weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import NoConvergence, minimize, newton_krylov

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.iterations import is_heard, is_stopped, report
from fastkl._core.rows import AnyRows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Fit
from fastkl.families.gradient_sums import all_added, both_added, gradients_at
from fastkl.families.in_range import raise_if_out_of_range
from fastkl.families.matrices import inverses
from fastkl.families.priors import Prior, PriorLike
from fastkl.families.solvers.coordinates import Chart, chart_at, inside
from fastkl.families.solvers.curvature import hessian, information_of_scores, jacobian
from fastkl.families.solvers.kinks import at_kinks

CERTIFICATE = 1e-8  # gradient in nats per unit of weight and coordinate
SETTLED = 1e-14  # the same where rounding is all that is left of it
NEWTON_STEPS = 8
NEWTON_SIZE = 200  # beyond, second derivatives by differences cost more than they bring
CERTIFICATE_OF_MANY, KRYLOV_STEPS = 1e-11, 10  # what steps of many coordinates go on to, and at most how many
STEEPEST = 10  # coordinates along which a search that found no maximum looks whether there is one
BEYOND = 512.0  # the logarithm of a parameter is not changed by so much: twice as much is out of the range of numbers
REMEDY = "Give a prior that falls towards every boundary, or leave out columns of one value."
ROUNDING = 1e-13  # relative gain of a step below which line searches only wander: Newton steps on the gradient go on from there


@dataclass(frozen=True)
class Likelihood:
    """A log-likelihood by what is asked of it: its value with its gradient at one place, and its gradients at several."""

    both: Callable[[Params], tuple[float, Params]]
    gradients: Callable[[list[Params]], list[Params]]


def fit_rows(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None
) -> tuple[Fit, Statistics]:
    """The maximum on rows, with the prior that took part (None where it is flat), and the statistics; from ``start``, if given.

    For a family without sufficient statistics the curvature of the posterior, which needs the rows, is among the statistics, and
    the log-likelihood is given.
    """
    fit, statistics = _fitted(family, prior, rows, tol, max_iter, start)
    raise_if_out_of_range(family, fit)
    return fit, statistics


def _fitted(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None
) -> tuple[Fit, Statistics]:
    if prior is not None and family.has_statistics:
        statistics = rows.total(family.statistics, merge=family.merge_statistics)
        return _fitted_to(family, prior, statistics, start), statistics
    fit, statistics = family.fit(rows, tol, max_iter, start)
    bound = None if prior is None else _bound(prior, family, fit.params)
    if bound is None:
        return fit, statistics

    likelihood = _likelihood_of_rows(family, rows)
    best = _search(family, bound, likelihood, _begun(family, fit, start), rows.total_weight)
    best = at_kinks(
        family,
        rows,
        best,
        lambda held, begin: _search(held, bound, likelihood, begin, rows.total_weight),
        lambda at: _sum(likelihood.gradients([at])[0], bound.gradient(at)),
    )
    return best, {**statistics, "curvature": _curvature(family, bound, likelihood, best.params, rows)}


def fit_statistics(family: Family, prior: PriorLike | None, statistics: Statistics, start: Params | None = None) -> Fit:
    """The maximum given sufficient statistics, with the prior that took part (None where it is flat); from ``start`` if given."""
    fit = _fitted_to(family, prior, statistics, start)
    raise_if_out_of_range(family, fit)
    return fit


def _fitted_to(family: Family, prior: PriorLike | None, statistics: Statistics, start: Params | None) -> Fit:
    if prior is None:
        return family.solve(statistics) if start is None else family.solve_from(statistics, start)
    without: DegenerateDataError | None = None
    try:
        fit = family.solve(statistics)
    except DegenerateDataError as error:
        without, fit = error, Fit(family.starting_parameters(statistics), converged=False)
    try:
        return _fit_with(family.learned(statistics), prior, statistics, fit, start)
    except (ValueError, ArithmeticError):
        if without is not None:
            raise without from None  # the prior does not make up for what the data lack
        raise


def _begun(family: Family, fit: Fit, start: Params | None) -> Fit:
    """The place from which the search for the posterior's maximum begins: the start, where there is one."""
    if start is None:
        return fit
    return replace(fit, params=family.check_parameters({**start, **family.fixed_parameters()}))


def _fit_with(family: Family, prior: PriorLike, statistics: Statistics, fit: Fit, start: Params | None = None) -> Fit:
    bound = _bound(prior, family, fit.params)
    if bound is None:
        if not fit.converged:
            raise ArithmeticError("a flat prior leaves a likelihood without a maximum as it is")
        return fit
    closed = bound.solve(family, statistics) if isinstance(bound, Prior) else None
    if closed is not None:
        return Fit(family.shaped_parameters(closed), prior=bound)
    likelihood = _likelihood_of_statistics(family, statistics)
    best = _search(family, bound, likelihood, _begun(family, fit, start), family.statistics_weight(statistics))
    if not fit.converged and not best.converged:
        raise ArithmeticError("no maximum was reached from a guess")
    return best


def posterior_curvature(
    family: Family, prior: PriorLike, gradient: Callable[[Params], Params], params: Params
) -> Floats:
    """Minus the second derivatives of log-likelihood plus log-prior by the coordinates, (1, q, q) or one matrix per column."""
    likelihood = Likelihood(lambda at: (np.nan, gradient(at)), lambda places: [gradient(at) for at in places])
    return _curvature(family, prior, likelihood, params)


def _curvature(
    family: Family, prior: PriorLike, likelihood: Likelihood, params: Params, rows: AnyRows | None = None
) -> Floats:
    chart = chart_at(family, params)
    columns = _independent_columns(family, prior, chart)
    if rows is not None and not family.smooth:
        return information_of_scores(family, rows, params, chart, gradients_of(prior, params), columns)

    def gradients(places: list[Params]) -> list[Params]:
        return [_sum(slope, prior.gradient(at)) for slope, at in zip(likelihood.gradients(places), places, strict=True)]

    return -hessian(gradients, chart, params, columns)


def gradients_of(prior: PriorLike, params: Params) -> Callable[[list[Params]], list[Params]]:
    """The gradients of the log-prior at several places, with all parameters in them."""
    nothing = {name: np.zeros_like(value) for name, value in params.items()}
    return lambda places: [_sum(nothing, prior.gradient(at)) for at in places]


def posterior_covariance(family: Family, params: Params, curvature: Floats) -> tuple[list[str], Floats]:
    """Names of the estimated entries, and their covariance."""
    chart = chart_at(family, params)
    inverse = inverses(curvature)
    if len(curvature) == 1:
        covariance = inverse[0]
    else:
        columns, p, _ = curvature.shape
        full, at = np.zeros((p, columns, p, columns)), np.arange(columns)
        full[:, at, :, at] = inverse
        covariance = full.reshape(p * columns, p * columns)
    slopes = chart.jacobian(params)
    return chart.names, slopes @ covariance @ slopes.T


def posterior_errors(family: Family, params: Params, curvature: Floats) -> Params:
    """Standard errors, shaped like the estimated parameters; many columns need no matrix of all of them."""
    chart = chart_at(family, params)
    if len(curvature) == 1:
        return chart.fill(np.sqrt(np.diag(posterior_covariance(family, params, curvature)[1])))
    slopes = chart.pull(params, {name: np.ones_like(value) for name, value in params.items()})
    variances = np.diagonal(inverses(curvature), axis1=1, axis2=2).T.ravel()
    return chart.fill(slopes * np.sqrt(variances))


def _bound(prior: PriorLike, family: Family, params: Params) -> PriorLike | None:
    return prior.bind(family, params) if isinstance(prior, Prior) else prior


def _independent_columns(family: Family, prior: PriorLike, chart: Chart) -> int | None:
    """Number of columns if neither family nor prior ties them together, so that their curvatures can be had all at once."""
    return chart.columns if isinstance(prior, Prior) and not family.joint else None


def _sum(first: Params, second: Params) -> Params:
    unknown = [name for name in second if name not in first]
    if unknown:
        raise ValueError(f"The prior's gradient names {', '.join(unknown)}; the parameters are {', '.join(first)}.")
    return {name: value + second.get(name, 0.0) for name, value in first.items()}


def _likelihood_of_statistics(family: Family, statistics: Statistics) -> Likelihood:
    def gradient(at: Params) -> Params:
        return family.statistics_gradient(statistics, at)

    def both(at: Params) -> tuple[float, Params]:
        return family.statistics_log_likelihood(statistics, at), gradient(at)

    return Likelihood(both, lambda places: [gradient(at) for at in places])


def _likelihood_of_rows(family: Family, rows: AnyRows) -> Likelihood:
    """One pass over the rows for each call."""
    return Likelihood(
        lambda at: rows.total(family.log_likelihood_and_gradient, at, merge=both_added),
        lambda places: rows.total(gradients_at, family, places, merge=all_added),
    )


def _search(family: Family, prior: PriorLike, likelihood: Likelihood, fit: Fit, weight: float) -> Fit:
    """The maximum from a start, in coordinates around it."""
    chart = chart_at(family, inside(family, fit.params, weight))
    objective = Objective(chart, prior, likelihood, weight)
    start = chart.to(chart.held)
    if not np.isfinite(objective(start)[0]):
        raise ValueError(
            f"{prior!r} has log-density {prior.log_density(chart.held)} at the maximum of the likelihood, from which the search "
            "starts; a prior has to be positive there."
        )
    minimise: Any = minimize
    columns = _independent_columns(family, prior, chart)
    ftol = ROUNDING if _takes_newton(chart.size, columns) else 0.0
    options = {"maxiter": 2000, "maxfun": 20000, "ftol": ftol, "gtol": 1e-12}

    def reached(u: Floats) -> None:
        if report(lambda: chart.back(u)):
            raise StopIteration

    found = minimise(
        objective, start, jac=True, method="L-BFGS-B", options=options, callback=reached if is_heard() else None
    )
    u, steps = _newton(objective, np.asarray(found.x), columns)
    value, slope = objective(u)
    if not np.isfinite(value):
        raise DegenerateDataError(
            f"With {prior!r} the search for a maximum ended where log-likelihood plus log-prior is no finite number, as it does "
            f"where they rise without bound. {REMEDY}"
        )
    boundary = {key: text for key, text in fit.boundary.items() if key in chart.held_names}
    log_likelihood = objective.log_likelihood
    converged = bool(np.abs(slope).max(initial=0.0) <= CERTIFICATE and np.isfinite(log_likelihood))
    endless = None if converged or is_stopped() else _endless(objective, u)
    if endless is not None:
        raise DegenerateDataError(
            f"With {prior!r} there is no maximum: log-likelihood plus log-prior rise for ever along "
            f"{chart.name_of(endless)}. {REMEDY}"
        )
    return Fit(chart.back(u), int(found.nit) + steps, converged, boundary, log_likelihood, prior)


def _endless(objective: Objective, u: Floats) -> int | None:
    """The coordinate, one of the steepest, by which the objective falls for ever; None if there is none."""
    slope = objective(u)[1]
    for coordinate in np.argsort(-np.abs(slope))[:STEEPEST]:
        downhill = np.zeros_like(u)
        downhill[coordinate] = -np.sign(slope[coordinate])
        if _falls_for_ever(objective, u, downhill):
            return int(coordinate)
    return None


def _falls_for_ever(objective: Objective, u: Floats, downhill: Floats) -> bool:
    """Whether the objective falls with every step, each twice as long, up to where numbers end."""
    value = objective(u)[0]
    for length in 2.0 ** np.arange(60):
        ahead = objective(u + length * downhill)[0]
        if not ahead < value:
            return bool(ahead == np.inf and length >= BEYOND)
        value = ahead
    return True


def _takes_newton(size: int, columns: int | None) -> bool:
    """Whether so many coordinates, of so many independent columns, allow for second derivatives."""
    return size <= NEWTON_SIZE * (columns or 1)


class Objective:
    """Minus log-likelihood plus log-prior, per unit of weight, by the coordinates; what it was last asked for costs no pass.

    ``log_likelihood`` is the total where it was last asked.
    """

    def __init__(self, chart: Chart, prior: PriorLike, likelihood: Likelihood, weight: float):
        self.chart, self.prior, self.likelihood, self.weight = chart, prior, likelihood, weight
        self.last: tuple[Floats, tuple[float, Floats]] | None = None
        self.log_likelihood = -np.inf

    def __call__(self, u: Floats) -> tuple[float, Floats]:
        """Value and slope; infinite where one of them is not finite."""
        if self.last is None or not np.array_equal(u, self.last[0]):
            self.last = np.array(u), self._at(u)
        return self.last[1]

    def _at(self, u: Floats) -> tuple[float, Floats]:
        with np.errstate(all="ignore"):
            params = self.chart.back(u)
            self.log_likelihood = -np.inf
            try:
                self.log_likelihood, gradient = self.likelihood.both(params)
                value = self.log_likelihood + float(self.prior.log_density(params))
                slope = self.chart.pull(params, _sum(gradient, self.prior.gradient(params)))
            except np.linalg.LinAlgError:
                return np.inf, np.zeros_like(u)
        if not np.isfinite(value) or not np.isfinite(slope).all():
            return np.inf, np.zeros_like(u)
        return -value / self.weight, -slope / self.weight

    def slopes(self, places: list[Floats]) -> list[Floats]:
        """Slopes at several places, from one pass."""
        with np.errstate(all="ignore"):
            moved = [self.chart.back(u) for u in places]
            gradients = self.likelihood.gradients(moved)
            pairs = zip(moved, gradients, strict=True)
            return [self.chart.pull(at, _sum(slope, self.prior.gradient(at))) / -self.weight for at, slope in pairs]


def _newton(objective: Objective, u: Floats, columns: int | None) -> tuple[Floats, int]:
    """Newton steps for as long as they make the gradient smaller."""
    slope = objective(u)[1]
    size = np.abs(slope).max(initial=0.0)
    if not _takes_newton(len(u), columns):
        return _newton_krylov(objective, u, size), 0
    for step in range(0 if is_stopped() else NEWTON_STEPS):
        if size <= SETTLED:
            return u, step
        try:
            second = jacobian(objective.slopes, u, columns)
            downhill = slope.reshape(-1, len(second)).T if columns else slope[None]
            step_back = np.linalg.solve(0.5 * (second + second.swapaxes(1, 2)), downhill[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return u, step
        moved = u - step_back.T.ravel()
        if not np.isfinite(moved).all():
            return u, step
        ahead = objective(moved)[1]
        new = np.abs(ahead).max(initial=0.0)
        if not new < size:
            return u, step
        u, slope, size = moved, ahead, new
    return u, 0 if is_stopped() else NEWTON_STEPS


def _newton_krylov(objective: Objective, u: Floats, size: float) -> Floats:
    """Where the gradient is smaller, by steps whose equations are solved along few directions (of many coordinates)."""
    if size <= CERTIFICATE_OF_MANY or is_stopped():
        return u
    try:
        with np.errstate(all="ignore"):
            moved: Floats = newton_krylov(
                lambda at: objective(at)[1], u, maxiter=KRYLOV_STEPS, f_tol=CERTIFICATE_OF_MANY
            )
    except NoConvergence as ended:
        moved = np.asarray(ended.args[0])
    except (ValueError, np.linalg.LinAlgError):  # the gradient is not finite on the way
        return u
    return moved if np.abs(objective(moved)[1]).max() < size else u
