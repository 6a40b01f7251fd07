"""Two models: the closed form where one is known, the exact sum where both are discrete on a line, quadrature where both are
densities on one, else Monte Carlo.

A divergence of models is an `Expectation`: a function whose mean over draws from p is the divergence. What they have in common
(parts of a product, closed forms, sums over a support, draws) stands here once.

What is made of the draws for the Kullback-Leibler divergence stands in ``ratio_draws``.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import EXACT, Estimate, doubted, moved
from fastkl.divergence.models import foreign_models
from fastkl.divergence.models.draws import resolve_draws
from fastkl.divergence.models.far_out import infinite_far_out, underflow_reasons
from fastkl.divergence.models.line_integral import Integral, expectation_on_a_line
from fastkl.divergence.models.mixture_bounds import with_bounds
from fastkl.divergence.models.model import Model
from fastkl.divergence.models.ratio_draws import log_ratio_mean
from fastkl.divergence.models.ratio_tails import doubts_of_halves, heavy_terms
from fastkl.divergence.models.scipy_families import known_entropy
from fastkl.divergence.models.supports import listed_support

# What the mass of a density of another library may be off by; it moves a divergence by as much.
_NOT_WHOLE = 1e-3


def closed_form_divergence(p: Model, q: Model) -> float | None:
    """KL(p || q) from the families' closed forms, or None where none is known."""
    first, second = p.law, q.law
    if first is None or second is None:
        return foreign_models.closed_form(p.thing, q.thing)
    from fastkl.families import closed_form

    if None not in (p.n_columns, q.n_columns) and p.n_columns != q.n_columns:
        return None  # which the log-densities refuse
    return closed_form.kl(*first, *second)


def closed_form_entropy(p: Model) -> float | None:
    """Entropy from the family's closed form or what the model knows of its own, or None."""
    law = p.law
    if law is not None:
        family, params = law
        known = family.entropy(params)
        if known is not None or p.family is not None:
            return known
    return known_entropy(p.thing)


def same_transformer(p: Model, q: Model) -> tuple[Model, Model] | None:
    """The densities behind one and the same transformer; None unless both models have it."""
    first, second = p.behind_a_transformer, q.behind_a_transformer
    if first is None or second is None:
        return None
    one, other = first[0], second[0]
    same = one is other or (type(one) is type(other) and pickle.dumps(one) == pickle.dumps(other))
    return (first[1], second[1]) if same else None


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


def mean_of_draws(terms: FloatArray, _: Callable[[], FloatArray | None]) -> Estimate:
    """Mean over draws from p with its standard error; infinite values stay infinite."""
    mean = Mean.of(terms)
    if not np.isfinite(mean.value):
        return Estimate(mean.value, 0.0, mean.n_rows, "monte_carlo", {"n_draws": mean.n_rows})
    reasons = heavy_terms(terms)
    diagnostics = {"n_draws": mean.n_rows, "reasons": reasons}
    return Estimate(mean.value, mean.error, mean.n_rows, "monte_carlo", diagnostics)


def _of_half(terms: FloatArray, at_draws: Callable[[], FloatArray | None]) -> Estimate:
    """The mean of log 2 - log(1 + r), with that of 2 (r - 1) / (r + 1), which tells whether draws are of their density."""
    found = mean_of_draws(terms, at_draws)
    return doubted(found, found.reasons, more={"balance": Mean.of(2.0 - 2.0 * np.exp(terms))})


def _part_missing(model: Model, mass: float) -> str:
    """Why not to trust what is made of a density that was not found as a whole."""
    return (
        f"The density of {model.name} integrates to {mass:.9g} over the region that was searched, not to 1: it has parts that "
        "draws hardly reach, or it is not normalised."
    )


def not_whole(q: Model) -> list[str]:
    """Why not to trust log-densities of a q from elsewhere, of which nobody knows that they are those of a distribution."""
    if q.family is not None or type(q.thing).__module__.startswith("scipy."):
        return []
    found = expectation_on_a_line(q, lambda rows: np.zeros(len(rows)))
    off = found is not None and np.isnan(found.value) and abs(found.mass - 1.0) > _NOT_WHOLE
    return [_part_missing(q, found.mass)] if found is not None and off else []


def _cut_short(p: Model, rows: NDArray[np.float64]) -> list[str]:
    """Why not to trust draws from a pole at an end of the support, more of which are rounded to it than the error allows for."""
    rounded = p.n_at_ends(rows)
    if rounded <= 0.3 * np.sqrt(len(rows)):
        return []
    return [
        f"{rounded} of {len(rows)} draws from p are rounded to an end of its support, where its density is infinite: they lie "
        "closer to it than floating-point numbers resolve, and their terms are wrong."
    ]


def _with_reasons(estimate: Estimate, reasons: list[str]) -> Estimate:
    """An estimate with more reasons not to trust it."""
    return doubted(estimate, [*estimate.reasons, *reasons]) if reasons else estimate


@dataclass(frozen=True)
class Expectation:
    """A divergence of two models, as a mean over draws from the first.

    Parameters
    ----------
    terms : callable
        ``terms(p, q, rows)`` gives the values at rows of p, (n,), whose mean is the divergence.
    closed_form : callable
        ``closed_form(p, q)`` gives the divergence, or None where none is known, as of all pairs by default.
    with_bounds : callable
        An estimate from draws with bounds among its diagnostics, where some are known; by default none.
    of_draws : callable
        ``of_draws(terms, at_draws_of_q)``: the estimate from the terms at draws from p, and a function that gives those at
        draws from q (None where it cannot be drawn); by default the mean of the former.
    additive : bool
        Whether the divergence of two products is the sum of those of their parts.
    invariant : bool
        Whether a common bijection of both variables leaves it as it is.
    limits : tuple of two float
        Between which it lies for any two distributions.
    """

    terms: Callable[[Model, Model, NDArray[np.float64]], FloatArray]
    closed_form: Callable[[Model, Model], float | None] = lambda p, q: None
    with_bounds: Callable[[Estimate, Model, Model], Estimate] = lambda estimate, p, q: estimate
    of_draws: Callable[[FloatArray, Callable[[], FloatArray | None]], Estimate] = mean_of_draws
    additive: bool = True
    invariant: bool = True
    limits: tuple[float, float] = (-np.inf, np.inf)

    def __call__(self, p: Model, q: Model, n_draws: int | None, rng: np.random.RandomState) -> Estimate:
        """The divergence of q from p: exact, by quadrature on a line unless a number of draws is asked for, or from draws."""
        refuse_mixed(p, q)
        parts = self._parts(p, q)
        if parts is not None:
            return sum_of_parts([self(one, other, n_draws, rng) for one, other in parts], n_draws)
        inner = same_transformer(p, q) if self.invariant else None
        if inner is not None:
            return self(*inner, n_draws, rng)
        exact = self.exact(p, q)
        if exact is not None:
            return Estimate(exact, 0.0)
        if p is not q and np.isinf(self.limits[1]):
            certain = infinite_far_out(p, q, lambda rows: self._log_terms(p, q, rows))
            if certain is not None:
                return certain
        integral = self._integral(p, q) if n_draws is None else None
        if integral is not None and not np.isnan(integral.value):
            found = Estimate(integral.value, integral.error, 0, "quadrature")
            return _with_reasons(found, not_whole(q) + self._impossible(found))
        n_draws = resolve_draws(n_draws)

        def at_draws_of_q() -> FloatArray | None:
            return self.terms(p, q, q.draw(n_draws, rng)) if q.can_draw else None

        rows = p.draw(n_draws, rng)
        terms = self.terms(p, q, rows)
        estimate = self.with_bounds(self.of_draws(terms, at_draws_of_q), p, q)
        reasons = _cut_short(p, rows) + ([] if integral is None else [_part_missing(p, integral.mass)])
        if np.isfinite(self.limits[1]):  # of others the draws themselves say so
            reasons += self._impossible(estimate)
        if np.isposinf(estimate):
            reasons += underflow_reasons(q, rows[int(np.argmax(terms))])
        return _with_reasons(estimate, reasons)

    def _log_terms(self, p: Model, q: Model, rows: NDArray[np.float64]) -> FloatArray:
        """Logarithms of p times the terms, in size."""
        return np.asarray(p.log_density(rows) + np.log(np.abs(self.terms(p, q, rows))))

    def _impossible(self, found: Estimate) -> list[str]:
        """Why not to trust an estimate that is out of the range by more than its error."""
        low, high = self.limits
        chance = 3.0 * found.standard_error + 1e-12
        if low - chance <= found <= high + chance:
            return []
        end = f"below {low:g}" if found < low else f"above {high:.4g}"
        return [
            f"The estimate {float(found):.3g} is {end}, which is impossible: one of the two densities is not normalised."
        ]

    def _integral(self, p: Model, q: Model) -> Integral | None:
        """By quadrature, for densities of one column."""
        if p.discrete or p.discrete_columns is not None or p.n_columns not in (1, None):
            return None
        return expectation_on_a_line(p, lambda rows: self.terms(p, q, rows), None if p is q else q)

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


def sum_of_parts(parts: list[Estimate], n_draws: int | None) -> Estimate:
    """The sum of independent estimates."""
    n_draws = resolve_draws(n_draws)
    value, error = float(sum(map(float, parts))), float(np.sqrt(sum(part.standard_error**2 for part in parts)))
    if all(part.method == EXACT for part in parts):
        return Estimate(value, error)
    diagnostics: dict[str, Any] = {
        "parts": list(map(float, parts)),
        "reasons": [reason for part in parts for reason in part.diagnostics["reasons"]],
        "bias_suspected": any(part.diagnostics["bias_suspected"] for part in parts),
    }
    if not any(part.method == "monte_carlo" for part in parts):
        return Estimate(value, error, 0, "quadrature", diagnostics)
    diagnostics["n_draws"] = n_draws
    return Estimate(value, error, n_draws, "monte_carlo", diagnostics)


model_divergence = Expectation(
    terms=lambda p, q, rows: p.log_density(rows) - q.log_density(rows),
    closed_form=closed_form_divergence,
    with_bounds=with_bounds,
    of_draws=log_ratio_mean,
    limits=(0.0, np.inf),
)
_entropy = Expectation(
    terms=lambda p, _, rows: -p.log_density(rows),
    closed_form=lambda p, _: closed_form_entropy(p),
    invariant=False,
)
_mixture_divergence = Expectation(  # KL(p || (p + q) / 2)
    terms=lambda p, q, rows: np.log(2.0) - np.logaddexp(0.0, q.log_density(rows) - p.log_density(rows)),
    of_draws=_of_half,
    additive=False,
    limits=(0.0, float(np.log(2.0))),
)
_cross_entropy = Expectation(terms=lambda p, q, rows: -q.log_density(rows), invariant=False)


def model_entropy(p: Model, n_draws: int | None, rng: np.random.RandomState) -> Estimate:
    """Entropy of a model."""
    return _entropy(p, p, n_draws, rng)


def model_cross_entropy(p: Model, q: Model, n_draws: int | None, rng: np.random.RandomState) -> Estimate:
    """Cross-entropy of p relative to q: divergence plus entropy where the latter is exact, so that the identity of the three
    holds for one seed; else a mean over draws from p.
    """
    refuse_mixed(p, q)
    parts = common_factors(p, q)
    if parts is not None:
        return sum_of_parts([model_cross_entropy(one, other, n_draws, rng) for one, other in parts], n_draws)
    entropy = _entropy.exact(p, p)
    if entropy is None:
        return _cross_entropy(p, q, n_draws, rng)
    return moved(model_divergence(p, q, n_draws, rng), entropy)


def model_jensen_shannon(p: Model, q: Model, n_draws: int | None, rng: np.random.RandomState) -> Estimate:
    """Jensen-Shannon divergence of two models by draws from both; a discrete pair on a line exactly."""
    halves = [_mixture_divergence(one, other, n_draws, rng) for one, other in ((p, q), (q, p))]
    value = 0.5 * float(halves[0]) + 0.5 * float(halves[1])
    if all(half.method == EXACT for half in halves):
        return Estimate(value, 0.0)
    error = 0.5 * float(np.hypot(halves[0].standard_error, halves[1].standard_error))
    reasons = list(dict.fromkeys(reason for half in halves for reason in half.diagnostics["reasons"]))
    balances = [half.diagnostics["balance"] for half in halves if "balance" in half.diagnostics]
    if len(balances) == 2:
        reasons += doubts_of_halves(balances[0], replace(balances[1], centre=-balances[1].centre))
    diagnostics: dict[str, Any] = {"reasons": reasons}
    if not any(half.method == "monte_carlo" for half in halves):
        return Estimate(value, error, 0, "quadrature", diagnostics)
    diagnostics["n_draws"] = draws = resolve_draws(n_draws)
    return Estimate(value, error, draws, "monte_carlo", diagnostics)
