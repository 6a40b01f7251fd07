"""Bounds of the divergence between mixtures from the closed forms of their components: a check of what draws give.

With D the divergences between components, weights a of p and b of q, for any split of the weights into f (rows sum to a)
and g (columns sum to b) the divergence is at most sum f log(f / g) + sum f D, by convexity; f and g take turns at being the
best. From below Jensen's inequality bounds the mean of log q under a component by the log of their overlap, and the
variational bound that of log p.

References
----------
J. R. Hershey, P. A. Olsen, "Approximating the Kullback Leibler divergence between Gaussian mixture models", ICASSP 2007,
doi:10.1109/ICASSP.2007.366913; J.-L. Durrieu, J.-P. Thiran, F. Kelly, "Lower and upper bounds for approximation of the
Kullback-Leibler divergence between Gaussian mixture models", ICASSP 2012, doi:10.1109/ICASSP.2012.6289001.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logsumexp

from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate, doubted
from fastkl.divergence.models.model import Model

TURNS, MOST_PAIRS = 100, 20_000
ERRORS = 5.0  # of an estimate from draws, beyond which it contradicts a bound

Components = list[tuple[Any, Any]]


def components_of(model: Model) -> tuple[FloatArray, Components] | None:
    """Weights, families and parameters of a mixture; a single distribution is one component, None for a model of no family."""
    law = model.law
    if law is None:
        return None
    family, params = law
    if not hasattr(family, "component_families"):
        return np.ones(1), [(family, params)]
    pairs = list(zip(family.component_families, family.split(params), strict=True))
    weights = np.asarray(params["weights"], dtype=np.float64)
    return weights[weights > 0.0], [pair for pair, weight in zip(pairs, weights, strict=True) if weight > 0.0]


def mixture_bounds(p: Model, q: Model) -> dict[str, float] | None:
    """``"lower_bound"`` and ``"upper_bound"`` of KL(p || q), and the variational approximation between; None where unknown."""
    first, second = components_of(p), components_of(q)
    if first is None or second is None or max(len(first[0]), len(second[0])) == 1:
        return None
    (a, ours), (b, theirs) = first, second
    if len(a) * max(len(a), len(b)) > MOST_PAIRS:
        return None
    across, within = _divergences(ours, theirs), _divergences(ours, ours)
    if across is None or within is None:
        return None
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        own = logsumexp(np.log(a) - within, axis=1)  # of the mean of log p under each component, less minus its entropy
        upper = _upper(a, b, across)
        lower = max(0.0, _lower(a, b, own, ours, theirs))
        between = float(a @ (own - logsumexp(np.log(b) - across, axis=1)))
    return {"lower_bound": lower, "upper_bound": upper, "variational_approximation": between}


def _divergences(ours: Components, theirs: Components) -> FloatArray | None:
    from fastkl.families import closed_form  # which brings in all families

    found = [[closed_form.kl(*one, *other) for other in theirs] for one in ours]
    if any(value is None for row in found for value in row):
        return None
    return np.array(found, dtype=np.float64)


def _upper(a: FloatArray, b: FloatArray, across: FloatArray) -> float:
    log_a, log_b = np.log(a)[:, None], np.log(b)[None, :]
    log_g = log_a + log_b
    best = np.inf
    for _ in range(TURNS):
        log_f = log_g - across
        log_f += log_a - logsumexp(log_f, axis=1, keepdims=True)
        if np.isnan(log_f).any():
            return float("inf")  # a component that no component of q covers
        f = np.exp(log_f)
        value = float(np.sum(np.where(f > 0.0, f * (log_f - log_g + across), 0.0)))
        if not value < best * (1.0 - 1e-12):
            break
        best = value
        log_g = log_f + log_b - logsumexp(log_f, axis=0, keepdims=True)
    return best


def _lower(a: FloatArray, b: FloatArray, own: FloatArray, ours: Components, theirs: Components) -> float:
    """0 where the overlaps of components are not known: they are for normal ones."""
    if not all(family.gaussian for family, _ in (*ours, *theirs)):
        return 0.0
    entropies = np.array([family.entropy(params) for family, params in ours])
    overlaps = np.array([[_log_overlap(one, other) for other in theirs] for one in ours])
    return float(a @ (own - entropies - logsumexp(np.log(b) + overlaps, axis=1)))


def _log_overlap(one: tuple[Any, Any], other: tuple[Any, Any]) -> float:
    """The log of the integral of the product of two normal densities."""
    (mean, spread), (mean_too, spread_too) = (family.moments(params) for family, params in (one, other))
    shift = np.asarray(mean) - np.asarray(mean_too)
    total = _matrix(spread) + _matrix(spread_too)
    unit = np.sqrt(np.diag(total))
    lower = np.linalg.cholesky(total / np.outer(unit, unit))
    whitened = np.linalg.solve(lower, shift / unit)
    return float(-0.5 * whitened @ whitened - np.sum(np.log(np.diag(lower) * unit)) - len(shift) * HALF_LOG_2PI)


def _matrix(spread: Any) -> FloatArray:
    value: FloatArray = np.asarray(spread, dtype=np.float64)
    return np.diag(value) if value.ndim == 1 else value


def with_bounds(estimate: Estimate, p: Model, q: Model) -> Estimate:
    """An estimate from draws with the bounds beside it, where they are known; one that contradicts them says so."""
    bounds = mixture_bounds(p, q)
    if bounds is None:
        return estimate
    reasons, slack = list(estimate.diagnostics["reasons"]), ERRORS * estimate.standard_error + 1e-12
    if not bounds["lower_bound"] - slack <= float(estimate) <= bounds["upper_bound"] + slack:
        reasons.append(
            f"The mean over draws lies outside the bounds {bounds['lower_bound']:.6g} to {bounds['upper_bound']:.6g} that the "
            "components give: the draws hardly reach the region that determines the divergence. Raise n_draws."
        )
    return doubted(estimate, reasons, bounds)
