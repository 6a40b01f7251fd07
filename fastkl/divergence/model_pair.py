"""Two models: the closed form where one is known, the exact sum where both are discrete on a line, else Monte Carlo.

Monte Carlo draws x from p and averages log p(x) - log q(x). With r = q/p its mean is also that of (r - 1) - log r, term by
term >= 0 and much less noisy where p and q are close, provided that r has mean 1 (q puts no mass where p has none) and a finite
variance; the draws decide, so a control variate that would do harm is not used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models import Model

DEFAULT_DRAWS = 100_000

# An exact sum is given up (for Monte Carlo) where the support needs more terms than this.
_MOST_TERMS = 1 << 22
_MOST_TRIED = 1 << 15
_NEGLIGIBLE = 1e-18


def closed_form_divergence(p: Model, q: Model) -> float | None:
    """KL(p || q) from the families' closed forms, or None where none is known."""
    if p.family is None or q.family is None:
        return None
    from fastkl.families import closed_form

    return closed_form.kl(p.family, p.params, q.family, q.params)


def closed_form_entropy(p: Model) -> float | None:
    """Entropy from the family's closed form or the model's own ``entropy`` method, or None."""
    if p.family is not None:
        from fastkl.families import closed_form

        return closed_form.entropy(p.family, p.params)
    own = getattr(p.thing, "entropy", None)
    if not callable(own):
        return None
    value = np.asarray(own(), dtype=np.float64)
    return float(value.reshape(())) if value.size == 1 and np.isfinite(value).all() else None


@dataclass(frozen=True)
class _Grid:
    """The whole numbers that carry all of a discrete distribution but a negligible part, and their log-probabilities."""

    points: FloatArray
    log_p: FloatArray


def _grid(p: Model) -> _Grid | None:
    """The support of a discrete distribution on a line, or None where it cannot be listed."""
    if not p.discrete:
        return None
    known = all(hasattr(p.thing, name) for name in ("support", "sf", "cdf"))
    ends = _support(p.thing) if known else (0.0, 255.0)
    if ends is None or ends[1] - ends[0] > _MOST_TERMS:
        return None
    # A distribution without a known support is tried on 0, 1, 2, ...; one on other points never sums to 1 over them.
    low, high = ends
    while True:
        points = np.arange(low, high + 1.0)
        try:
            log_p = p.log_density(points[:, np.newaxis])
        except ValueError:
            return None
        # Where the support is known, a difference is rounding; else it may be what is still missing.
        if abs(np.exp(log_p).sum() - 1.0) <= (1e-9 if known else 1e-12):
            carried = np.exp(log_p) > 0.0
            return _Grid(points[carried], log_p[carried])
        if known or high >= _MOST_TRIED:
            return None
        high = 4.0 * high


def _support(distribution: Any) -> tuple[float, float] | None:
    """The ends of what carries all of a distribution but a negligible part; None beyond reach."""
    low, high = (float(np.squeeze(end)) for end in distribution.support())
    reach = 64.0
    while (not np.isfinite(high)) or (not np.isfinite(low)):
        if not np.isfinite(high) and float(distribution.sf(reach)) < _NEGLIGIBLE:
            high = reach
        if not np.isfinite(low) and float(distribution.cdf(-reach)) < _NEGLIGIBLE:
            low = -reach
        reach *= 2.0
        if reach > _MOST_TERMS:
            return None
    return low, high


def refuse_mixed(p: Model, q: Model) -> None:
    """A discrete distribution and a density have no common measure to compare them by."""
    if p.discrete_columns != q.discrete_columns:
        raise ValueError(
            "p and q are products of discrete and continuous columns, but not of the same ones; a divergence compares "
            "distributions with the same discrete columns."
        )
    if p.discrete != q.discrete:
        kinds = [f"{model.name} is {'discrete' if model.discrete else 'continuous'}" for model in (p, q)]
        raise ValueError(f"{' and '.join(kinds)}: a divergence compares two discrete distributions or two densities.")


def _common_factors(p: Model, q: Model) -> list[tuple[Model, Model]] | None:
    """The independent parts of two products side by side, or None unless both have the same groups of columns."""
    if p.factors is None or q.factors is None:
        return None
    mine, theirs = dict(p.factors), dict(q.factors)
    return [(part, theirs[columns]) for columns, part in mine.items()] if mine.keys() == theirs.keys() else None


def _sum(parts: list[Estimate], n_draws: int) -> Estimate:
    """The sum of independent estimates."""
    value, error = float(sum(map(float, parts))), float(np.sqrt(sum(part.standard_error**2 for part in parts)))
    if all(part.method == Estimate(0.0, 0.0).method for part in parts):
        return Estimate(value, error)
    reasons = [reason for part in parts for reason in part.diagnostics.get("reasons", [])]
    return Estimate(
        value, error, n_draws, "monte_carlo", {"n_draws": n_draws, "parts": list(map(float, parts)), "reasons": reasons}
    )


def model_divergence(p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """KL(p || q) of two models."""
    refuse_mixed(p, q)
    common = _common_factors(p, q)
    if common is not None:
        return _sum([model_divergence(one, other, n_draws, rng) for one, other in common], n_draws)
    exact = closed_form_divergence(p, q)
    if exact is not None:
        return Estimate(exact, 0.0)
    grid = _grid(p) if q.discrete else None
    if grid is not None:
        log_q = q.log_density(grid.points[:, np.newaxis])
        return Estimate(float(np.exp(grid.log_p) @ (grid.log_p - log_q)), 0.0)
    X = p.draw(n_draws, rng)
    log_p, log_q = p.log_density(X), q.log_density(X)
    impossible = int(np.isneginf(log_q).sum())
    if impossible:
        reason = f"{impossible} of {n_draws} draws from p have density 0 under q, so the divergence is infinite."
        return Estimate(float("inf"), 0.0, n_draws, "monte_carlo", {"reasons": [reason], "impossible_rows": impossible})
    return _monte_carlo(log_p - log_q)


def _monte_carlo(log_ratio: FloatArray) -> Estimate:
    """Mean of log p/q at draws from p, with the control variate r - 1 where the draws show that it is sound and helps."""
    size, plain = len(log_ratio), Mean.of(log_ratio)
    with np.errstate(over="ignore", invalid="ignore"):
        control = np.expm1(-log_ratio)
        helped, drift = Mean.of(control + log_ratio), Mean.of(control)
    # The errors of means that are not finite are nan, and nothing holds of nan.
    sound = abs(drift.value) <= 4.0 * drift.error + 1e-12 and control.max() + 1.0 <= 0.02 * size
    controlled = bool(sound and helped.error < plain.error)
    mean = helped if controlled else plain
    diagnostics = {"n_draws": size, "control_variate": controlled, "sd_per_draw": mean.error * np.sqrt(size)}
    return Estimate(mean.value, mean.error, size, "monte_carlo", diagnostics)


def model_entropy(p: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Entropy of a model."""
    if p.factors is not None:
        return _sum([model_entropy(part, n_draws, rng) for _, part in p.factors], n_draws)
    exact = closed_form_entropy(p)
    if exact is not None:
        return Estimate(exact, 0.0)
    grid = _grid(p)
    if grid is not None:
        return Estimate(float(-np.exp(grid.log_p) @ grid.log_p), 0.0)
    return _mean_of_draws(-p.log_density(p.draw(n_draws, rng)))


def model_cross_entropy(p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Cross-entropy of p relative to q: divergence plus entropy where the latter is exact, so that the identity of the three
    holds for one seed; else a mean over draws from p.
    """
    refuse_mixed(p, q)
    common = _common_factors(p, q)
    if common is not None:
        return _sum([model_cross_entropy(one, other, n_draws, rng) for one, other in common], n_draws)
    entropy = model_entropy(p, n_draws, rng) if _has_exact_entropy(p) else None
    if entropy is None:
        return _mean_of_draws(-q.log_density(p.draw(n_draws, rng)))
    divergence = model_divergence(p, q, n_draws, rng)
    return Estimate(
        float(divergence) + float(entropy),
        divergence.standard_error,
        divergence.n_samples,
        divergence.method,
        dict(divergence.diagnostics),
    )


def _has_exact_entropy(p: Model) -> bool:
    if p.factors is not None:
        return all(_has_exact_entropy(part) for _, part in p.factors)
    return closed_form_entropy(p) is not None or _grid(p) is not None


def model_jensen_shannon(p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Jensen-Shannon divergence of two models by draws from both; a discrete pair on a line exactly."""
    refuse_mixed(p, q)
    grids = (_grid(p), _grid(q)) if p.discrete else (None, None)
    total, variance = 0.0, 0.0
    for first, second, grid in ((p, q, grids[0]), (q, p, grids[1])):
        points = first.draw(n_draws, rng) if grid is None else grid.points[:, np.newaxis]
        log_p, log_q = first.log_density(points), second.log_density(points)
        terms = np.log(2.0) - np.logaddexp(0.0, log_q - log_p)
        total += 0.5 * float(terms.mean() if grid is None else np.exp(grid.log_p) @ terms)
        variance += 0.25 * float(terms.var(ddof=1)) / n_draws if grid is None else 0.0
    if None not in grids:
        return Estimate(total, 0.0)
    return Estimate(total, float(np.sqrt(variance)), n_draws, "monte_carlo", {"n_draws": n_draws})


def _mean_of_draws(values: FloatArray) -> Estimate:
    """Mean over draws with its standard error; infinite values stay infinite."""
    mean = Mean.of(values)
    error = mean.error if np.isfinite(mean.value) else 0.0
    return Estimate(mean.value, error, mean.n_rows, "monte_carlo", {"n_draws": mean.n_rows})
