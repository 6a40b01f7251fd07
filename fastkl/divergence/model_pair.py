"""Two models: the closed form where one is known, the exact sum where both are discrete on a line, else Monte Carlo.

A divergence of models is an `Expectation`: a function whose mean over draws from p is the divergence. What they have in common
(parts of a product, closed forms, sums over a support, draws) stands here once.

Monte Carlo for the Kullback-Leibler divergence averages log p(x) - log q(x) at draws from p. With r = q/p its mean is also that
of (r - 1) - log r, term by term >= 0 and much less noisy where p and q are close, provided that r has mean 1 (q puts no mass
where p has none) and a finite variance; the draws decide, so a control variate that would do harm is not used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import EXACT, Estimate
from fastkl.divergence.models import Model
from fastkl.divergence.supports import listed_support


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
    if not callable(own) or hasattr(p.thing, "score_samples"):
        return None  # the densities of this library ask this function
    value = np.asarray(own(), dtype=np.float64)
    return float(value.reshape(())) if value.size == 1 and np.isfinite(value).all() else None


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


def common_factors(p: Model, q: Model) -> list[tuple[Model, Model]] | None:
    """The independent parts of two products side by side, or None unless both have the same groups of columns."""
    if p.factors is None or q.factors is None:
        return None
    mine, theirs = dict(p.factors), dict(q.factors)
    return [(part, theirs[columns]) for columns, part in mine.items()] if mine.keys() == theirs.keys() else None


def no_closed_form(p: Model, q: Model) -> None:
    """Of a divergence for which no pair of families has one."""


def mean_of_draws(terms: FloatArray) -> Estimate:
    """Mean over draws with its standard error; infinite values stay infinite."""
    mean = Mean.of(terms)
    error = mean.error if np.isfinite(mean.value) else 0.0
    return Estimate(mean.value, error, mean.n_rows, "monte_carlo", {"n_draws": mean.n_rows})


@dataclass(frozen=True)
class Expectation:
    """A divergence of two models, as a mean over draws from the first.

    Parameters
    ----------
    terms : callable
        ``terms(p, q, rows)`` gives the values at rows of p, (n,), whose mean is the divergence.
    closed_form : callable
        ``closed_form(p, q)`` gives the divergence, or None where none is known.
    of_draws : callable
        The estimate from the terms at draws from p; by default their mean.
    additive : bool
        Whether the divergence of two products is the sum of those of their parts.
    """

    terms: Callable[[Model, Model, NDArray[np.float64]], FloatArray]
    closed_form: Callable[[Model, Model], float | None] = no_closed_form
    of_draws: Callable[[FloatArray], Estimate] = mean_of_draws
    additive: bool = True

    def __call__(self, p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
        """The divergence of q from p: exact where it can be, else from draws."""
        refuse_mixed(p, q)
        parts = self._parts(p, q)
        if parts is not None:
            return sum_of_parts([self(one, other, n_draws, rng) for one, other in parts], n_draws)
        exact = self.exact(p, q)
        if exact is not None:
            return Estimate(exact, 0.0)
        return self.of_draws(self.terms(p, q, p.draw(n_draws, rng)))

    def exact(self, p: Model, q: Model) -> float | None:
        """The divergence by closed forms and sums over a support; None where these do not do."""
        parts = self._parts(p, q)
        if parts is not None:
            values = [self.exact(one, other) for one, other in parts]
            return None if None in values else float(sum(value for value in values if value is not None))
        known = self.closed_form(p, q)
        if known is not None:
            return known
        support = listed_support(p) if q.discrete else None
        if support is None:
            return None
        return float(np.exp(support.log_p) @ self.terms(p, q, support.points[:, np.newaxis]))

    def _parts(self, p: Model, q: Model) -> list[tuple[Model, Model]] | None:
        return common_factors(p, q) if self.additive else None


def sum_of_parts(parts: list[Estimate], n_draws: int) -> Estimate:
    """The sum of independent estimates."""
    value, error = float(sum(map(float, parts))), float(np.sqrt(sum(part.standard_error**2 for part in parts)))
    if all(part.method == EXACT for part in parts):
        return Estimate(value, error)
    reasons = [reason for part in parts for reason in part.diagnostics.get("reasons", [])]
    return Estimate(
        value, error, n_draws, "monte_carlo", {"n_draws": n_draws, "parts": list(map(float, parts)), "reasons": reasons}
    )


def _log_ratio_mean(log_ratio: FloatArray) -> Estimate:
    """Mean of log p/q at draws from p, with the control variate r - 1 where the draws show that it is sound and helps."""
    size, impossible = len(log_ratio), int(np.isposinf(log_ratio).sum())
    if impossible:
        reason = f"{impossible} of {size} draws from p have density 0 under q, so the divergence is infinite."
        return Estimate(float("inf"), 0.0, size, "monte_carlo", {"reasons": [reason], "impossible_rows": impossible})
    plain = Mean.of(log_ratio)
    with np.errstate(over="ignore", invalid="ignore"):
        control = np.expm1(-log_ratio)
        helped, drift = Mean.of(control + log_ratio), Mean.of(control)
    # The errors of means that are not finite are nan, and nothing holds of nan.
    sound = abs(drift.value) <= 4.0 * drift.error + 1e-12 and control.max() + 1.0 <= 0.02 * size
    controlled = bool(sound and helped.error < plain.error)
    mean = helped if controlled else plain
    diagnostics = {"n_draws": size, "control_variate": controlled, "sd_per_draw": mean.error * np.sqrt(size)}
    return Estimate(mean.value, mean.error, size, "monte_carlo", diagnostics)


model_divergence = Expectation(
    terms=lambda p, q, rows: p.log_density(rows) - q.log_density(rows),
    closed_form=closed_form_divergence,
    of_draws=_log_ratio_mean,
)
_entropy = Expectation(
    terms=lambda p, _, rows: -p.log_density(rows),
    closed_form=lambda p, _: closed_form_entropy(p),
)
_mixture_divergence = Expectation(  # KL(p || (p + q) / 2)
    terms=lambda p, q, rows: np.log(2.0) - np.logaddexp(0.0, q.log_density(rows) - p.log_density(rows)),
    additive=False,
)


def model_entropy(p: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Entropy of a model."""
    return _entropy(p, p, n_draws, rng)


def model_cross_entropy(p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Cross-entropy of p relative to q: divergence plus entropy where the latter is exact, so that the identity of the three
    holds for one seed; else a mean over draws from p.
    """
    refuse_mixed(p, q)
    parts = common_factors(p, q)
    if parts is not None:
        return sum_of_parts([model_cross_entropy(one, other, n_draws, rng) for one, other in parts], n_draws)
    entropy = _entropy.exact(p, p)
    if entropy is None:
        return mean_of_draws(-q.log_density(p.draw(n_draws, rng)))
    divergence = model_divergence(p, q, n_draws, rng)
    return Estimate(
        float(divergence) + entropy,
        divergence.standard_error,
        divergence.n_samples,
        divergence.method,
        dict(divergence.diagnostics),
    )


def model_jensen_shannon(p: Model, q: Model, n_draws: int, rng: np.random.RandomState) -> Estimate:
    """Jensen-Shannon divergence of two models by draws from both; a discrete pair on a line exactly."""
    halves = [_mixture_divergence(one, other, n_draws, rng) for one, other in ((p, q), (q, p))]
    value = 0.5 * float(halves[0]) + 0.5 * float(halves[1])
    if all(half.method == EXACT for half in halves):
        return Estimate(value, 0.0)
    error = 0.5 * float(np.hypot(halves[0].standard_error, halves[1].standard_error))
    return Estimate(value, error, n_draws, "monte_carlo", {"n_draws": n_draws})
