"""Maximum of log-likelihood plus log-prior: closed form where the pair has one, else quasi-Newton and a Newton finish.

The search runs in the unconstrained coordinates of ``coordinates.py``, from the maximum of the likelihood. L-BFGS-B
ends where differences of the objective drown in rounding, about 1e-8 from the maximum; Newton steps on the gradient,
whose own error is at rounding level, bring the rest. ``converged`` rests on the gradient per unit of weight.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import AnyRows, Family, Fit, Floats, Params, Statistics
from fastkl.families.coordinates import Chart, chart_at, inside
from fastkl.families.curvature import hessian, jacobian
from fastkl.families.priors import Prior, PriorLike

CERTIFICATE = 1e-8  # gradient in nats per unit of weight and coordinate
NEWTON_SIZE = 200  # beyond, second derivatives by differences cost more than they bring


def fit_rows(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int
) -> tuple[Fit, Statistics]:
    """The maximum on rows, with the prior that took part (None where it is flat), and the statistics.

    For a family without sufficient statistics the curvature of the posterior, which needs the rows, is among the statistics.
    """
    if prior is not None and family.has_statistics:
        statistics = rows.total(family.statistics, merge=family.merge_statistics)
        return fit_statistics(family, prior, statistics), statistics
    fit, statistics = family.fit(rows, tol, max_iter)
    bound = None if prior is None else _bound(prior, family, fit.params)
    if bound is None:
        return fit, statistics

    def gradient(params: Params) -> Params:
        return rows.total(family.gradient, params, merge=_sum)

    def log_likelihood(params: Params) -> float:
        return rows.total(family.log_likelihood, params)

    best = _search(family, bound, log_likelihood, gradient, fit, rows.total_weight)
    return best, {**statistics, "curvature": posterior_curvature(family, bound, gradient, best.params)}


def fit_statistics(family: Family, prior: PriorLike | None, statistics: Statistics) -> Fit:
    """The maximum given sufficient statistics, with the prior that took part (None where it is flat)."""
    if prior is None:
        return family.solve(statistics)
    without: DegenerateDataError | None = None
    try:
        fit = family.solve(statistics)
    except DegenerateDataError as error:
        without, fit = error, Fit(family.starting_parameters(statistics), converged=False)
    try:
        return _fit_with(family.learned(statistics), prior, statistics, fit)
    except (ValueError, ArithmeticError):
        if without is not None:
            raise without from None  # the prior does not make up for what the data lack
        raise


def _fit_with(family: Family, prior: PriorLike, statistics: Statistics, fit: Fit) -> Fit:
    bound = _bound(prior, family, fit.params)
    if bound is None:
        if not fit.converged:
            raise ArithmeticError("a flat prior leaves a likelihood without a maximum as it is")
        return fit
    closed = bound.solve(family, statistics) if isinstance(bound, Prior) else None
    if closed is not None:
        return Fit(family.shaped_parameters(closed), prior=bound)
    best = _search(
        family,
        bound,
        lambda params: family.statistics_log_likelihood(statistics, params),
        lambda params: family.statistics_gradient(statistics, params),
        fit,
        family.statistics_weight(statistics),
    )
    if not fit.converged and not best.converged:
        raise ArithmeticError("no maximum was reached from a guess")
    return best


def posterior_curvature(
    family: Family, prior: PriorLike, gradient: Callable[[Params], Params], params: Params
) -> Floats:
    """Minus the second derivatives of log-likelihood plus log-prior by the coordinates, (1, q, q) or one matrix per column."""
    chart = chart_at(family, params)
    columns = _independent_columns(family, prior, chart)
    return -hessian(lambda at: _sum(gradient(at), prior.gradient(at)), chart, params, columns)


def posterior_covariance(family: Family, params: Params, curvature: Floats) -> tuple[list[str], Floats]:
    """Names of the estimated entries, and their covariance."""
    chart = chart_at(family, params)
    inverse = np.linalg.inv(curvature)
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
    variances = np.diagonal(np.linalg.inv(curvature), axis1=1, axis2=2).T.ravel()
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


def _search(
    family: Family,
    prior: PriorLike,
    log_likelihood: Callable[[Params], float],
    gradient: Callable[[Params], Params],
    fit: Fit,
    weight: float,
) -> Fit:
    """The maximum from a start, in coordinates around it."""
    chart = chart_at(family, inside(family, fit.params, weight))

    def objective(u: Floats) -> tuple[float, Floats]:
        with np.errstate(all="ignore"):
            params = chart.back(u)
            try:
                value = log_likelihood(params) + float(prior.log_density(params))
                slope = chart.pull(params, _sum(gradient(params), prior.gradient(params)))
            except np.linalg.LinAlgError:
                return np.inf, np.zeros_like(u)
        if not np.isfinite(value) or not np.isfinite(slope).all():
            return np.inf, np.zeros_like(u)
        return -value / weight, -slope / weight

    start = chart.to(chart.held)
    if not np.isfinite(objective(start)[0]):
        raise ValueError(
            f"{prior!r} has log-density {prior.log_density(chart.held)} at the maximum of the likelihood, from which the search "
            "starts; a prior has to be positive there."
        )
    minimise: Any = minimize
    options = {"maxiter": 2000, "maxfun": 20000, "ftol": 0.0, "gtol": 1e-12}
    found = minimise(objective, start, jac=True, method="L-BFGS-B", options=options)
    columns = _independent_columns(family, prior, chart)
    u, steps = _newton(lambda at: objective(at)[1], np.asarray(found.x), columns)
    residual = np.abs(objective(u)[1]).max(initial=0.0)
    boundary = {key: text for key, text in fit.boundary.items() if key in chart.held_names}
    converged = bool(residual <= CERTIFICATE and np.isfinite(objective(u)[0]))
    return Fit(chart.back(u), int(found.nit) + steps, converged, boundary, prior=prior)


def _newton(slope: Callable[[Floats], Floats], u: Floats, columns: int | None) -> tuple[Floats, int]:
    """Newton steps for as long as they make the gradient smaller."""
    size = np.abs(slope(u)).max(initial=0.0)
    for step in range(8 if len(u) <= NEWTON_SIZE * (columns or 1) else 0):
        if size == 0.0:
            return u, step
        second = jacobian(slope, u, columns)
        downhill = slope(u).reshape(-1, len(second)).T if columns else slope(u)[None]
        try:
            step_back = np.linalg.solve(0.5 * (second + second.swapaxes(1, 2)), downhill[:, :, None])[:, :, 0]
        except np.linalg.LinAlgError:
            return u, step
        moved = u - step_back.T.ravel()
        new = np.abs(slope(moved)).max(initial=0.0)
        if not new < size or not np.isfinite(moved).all():
            return u, step
        u, size = moved, new
    return u, 0
