"""Maximum of log-likelihood plus log-prior: closed form where the pair has one, else quasi-Newton and a Newton finish.

The search runs in the unconstrained coordinates of ``coordinates.py``, from the maximum of the likelihood. L-BFGS-B
ends where differences of the objective drown in rounding, about 1e-8 from the maximum; Newton steps on the gradient,
whose own error is at rounding level, bring the rest. ``converged`` rests on the gradient per unit of weight.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import solve
from scipy.optimize import minimize

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Fit, Floats, Params, Rows, Statistics
from fastkl.families.coordinates import chart_at, inside
from fastkl.families.curvature import derivative, hessian
from fastkl.families.priors import Prior, PriorLike

CERTIFICATE = 1e-8  # gradient in nats per unit of weight and coordinate
NEWTON_SIZE = 200  # beyond, second derivatives by differences cost more than they bring


def fit_rows(
    family: Family, prior: PriorLike | None, rows: Rows, tol: float, max_iter: int
) -> tuple[Fit, Statistics, PriorLike | None]:
    """The maximum on rows, the statistics, and the prior with what it took from the data (None where it is flat).

    For a family without sufficient statistics the covariance of the parameters, which needs the rows, is among the
    statistics.
    """
    if prior is not None and family.has_statistics:
        statistics = family.statistics(rows)
        fit, bound = fit_statistics(family, prior, statistics)
        return fit, statistics, bound
    fit, statistics = family.fit(rows, tol, max_iter)
    bound = None if prior is None else _bound(prior, family, fit.params)
    if bound is None:
        return fit, statistics, None

    def gradient(params: Params) -> Params:
        return family.gradient(rows, params)

    held = irregular(family, statistics, fit)
    best = _search(
        family, bound, lambda params: family.log_likelihood(rows, params), gradient, fit, rows.total_weight, held
    )
    names, covariance = posterior_covariance(family, bound, gradient, best.params, held)
    return best, {**statistics, "posterior_names": names, "posterior_covariance": covariance}, bound


def fit_statistics(family: Family, prior: PriorLike | None, statistics: Statistics) -> tuple[Fit, PriorLike | None]:
    """The maximum given sufficient statistics, and the prior with what it took from them."""
    if prior is None:
        return family.solve(statistics), None
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


def _fit_with(family: Family, prior: PriorLike, statistics: Statistics, fit: Fit) -> tuple[Fit, PriorLike | None]:
    bound = _bound(prior, family, fit.params)
    if bound is None:
        if not fit.converged:
            raise ArithmeticError("a flat prior leaves a likelihood without a maximum as it is")
        return fit, None
    closed = bound.solve(family, statistics) if isinstance(bound, Prior) else None
    if closed is not None:
        return Fit(family.shaped_parameters(closed)), bound
    best = _search(
        family,
        bound,
        lambda params: family.statistics_log_likelihood(statistics, params),
        lambda params: family.statistics_gradient(statistics, params),
        fit,
        family.statistics_weight(statistics),
        irregular(family, statistics, fit) if fit.converged else [],
    )
    if not fit.converged and not best.converged:
        raise ArithmeticError("no maximum was reached from a guess")
    return best, bound


def irregular(family: Family, statistics: Statistics, fit: Fit) -> list[str]:
    """Parameters held where the likelihood has its maximum: those on which the support depends, which have no standard error.

    A parameter at an edge of its own range (infinite degrees of freedom) is not among them: a prior moves it.
    """
    known = family.standard_errors(statistics, fit.params)
    free = [name for name in family.parameter_names if name not in family.fixed_parameters()]
    moved = inside(family, fit.params, 1.0)
    return [name for name in free if name not in known and np.array_equal(moved[name], fit.params[name])]


def posterior_covariance(
    family: Family, prior: PriorLike, gradient: Callable[[Params], Params], params: Params, held: list[str]
) -> tuple[list[str], Floats]:
    """Names of the estimated entries, and the inverse of minus the second derivatives of log-likelihood plus log-prior."""
    chart = chart_at(family, params, held=held)
    curvature = hessian(lambda at: _sum(gradient(at), prior.gradient(at)), chart, params)
    jacobian = chart.jacobian(params)
    covariance = jacobian @ np.linalg.inv(-curvature) @ jacobian.T
    return chart.names, covariance


def _bound(prior: PriorLike, family: Family, params: Params) -> PriorLike | None:
    return prior.bind(family, params) if isinstance(prior, Prior) else prior


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
    held: list[str],
) -> Fit:
    """The maximum from a start, in coordinates around it; parameters in ``held`` stay."""
    chart = chart_at(family, inside(family, fit.params, weight), held=held)

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
    u, steps = _newton(lambda at: objective(at)[1], np.asarray(found.x))
    residual = np.abs(objective(u)[1]).max(initial=0.0)
    boundary = {key: text for key, text in fit.boundary.items() if key.split("[")[0] in held}
    converged = bool(residual <= CERTIFICATE and np.isfinite(objective(u)[0]))
    return Fit(chart.back(u), int(found.nit) + steps, converged, boundary)


def _newton(slope: Callable[[Floats], Floats], u: Floats) -> tuple[Floats, int]:
    """Newton steps for as long as they make the gradient smaller."""
    size = np.abs(slope(u)).max(initial=0.0)
    for step in range(8 if len(u) <= NEWTON_SIZE else 0):
        if size == 0.0:
            return u, step
        second = derivative(slope, u)
        try:
            moved = u - solve(0.5 * (second + second.T), slope(u))
        except (np.linalg.LinAlgError, ValueError):
            return u, step
        new = np.abs(slope(moved)).max(initial=0.0)
        if not new < size or not np.isfinite(moved).all():
            return u, step
        u, size = moved, new
    return u, 0
