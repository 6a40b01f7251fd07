r"""The Rényi divergence of two models: the closed form where one is known, a sum where both are discrete on a line, quadrature
where both are densities on one, else draws.

All of them are log T / (alpha - 1) for :math:`T = \int p^\alpha q^{1-\alpha}`, which may be of any size: sums are formed of
logarithms, and an integral of what is left once its size, as found before, is taken off.

From draws T is a mean under the mixture :math:`m = (p + q) / 2`, half of them from each: with s = log q/p

.. math:: T = E_m \frac{p^\alpha q^{1-\alpha}}{m} = E_m \frac{2 e^{(1-\alpha) s}}{1 + e^s} ,

whose terms are at most 2 for alpha < 1. The mean of tanh(s / 2) is 0, and (1 - 2 alpha) times it takes off all that the terms
have of first order in s, so that little noise is left where p and q are near (control variates and importance sampling from a
defensive mixture: T. Hesterberg, doi:10.1080/00401706.1995.10484303).
"""

from __future__ import annotations

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.draws import resolve_draws
from fastkl.divergence.models.far_out import infinite_far_out, underflow_reasons
from fastkl.divergence.models.line_integral import expectation_on_a_line
from fastkl.divergence.models.model import Model
from fastkl.divergence.models.model_pair import common_factors, not_whole, refuse_mixed, same_transformer, sum_of_parts
from fastkl.divergence.models.ratio_tails import HEAVY_TAIL, balance, doubts_of_halves, tail_index
from fastkl.divergence.models.supports import listed_support

# Terms of a sum over whole numbers: so small beside the largest they are left out, and of more than so many there is no sum.
_NEGLIGIBLE, _MOST_TERMS = 40.0, 1 << 22
# Logarithms of T beside which 1 is no size to measure an integral by, and how often that is mended.
_SIZE, _ROUNDS = 5.0, 4
# A logarithm of a term that is still a number, times any density.
_LARGEST = 600.0
# Nats between the largest term from draws and the one that a hundredth of them are beyond, which have no tail to be measured.
_OF_NO_SIZE = 30.0
# T beyond which its terms are nearer to 1 than to 0, and the control variate is of use; errors that T must be away from 0.
_NEAR, _FEWEST_ERRORS = 0.1, 5.0


def model_renyi(p: Model, q: Model, alpha: float, n_draws: int | None, rng: np.random.RandomState) -> Estimate:
    """D_alpha(p || q) for alpha > 0 other than 1."""
    refuse_mixed(p, q)
    parts = common_factors(p, q)
    if parts is not None:
        return sum_of_parts([model_renyi(one, other, alpha, n_draws, rng) for one, other in parts], n_draws)
    inner = same_transformer(p, q)
    if inner is not None:
        return model_renyi(*inner, alpha, n_draws, rng)
    exact = _closed_form(p, q, alpha)
    if exact is None:
        exact = _sum_over_support(p, q, alpha)
    if exact is not None:
        return Estimate(exact, 0.0)
    certain = infinite_far_out(p, q, lambda rows: _log_terms(p, q, alpha, rows)) if alpha > 1.0 else None
    if certain is not None:
        return certain
    integral = _by_quadrature(p, q, alpha) if n_draws is None else None
    return _by_draws(p, q, alpha, resolve_draws(n_draws), rng) if integral is None else integral


def _closed_form(p: Model, q: Model, alpha: float) -> float | None:
    first, second = p.law, q.law
    if first is None or second is None or (None not in (p.n_columns, q.n_columns) and p.n_columns != q.n_columns):
        return None
    from fastkl.families import closed_form

    return closed_form.renyi(*first, *second, alpha)


def _sum_over_support(p: Model, q: Model, alpha: float) -> float | None:
    """Of two discrete distributions on whole numbers, from those that carry p and q as far out as the terms count."""
    supports = [listed_support(p), listed_support(q)] if p.discrete else [None]
    if any(support is None for support in supports):
        return None
    low, high = (int(f(support.points[i] for support in supports if support)) for f, i in ((min, 0), (max, -1)))
    while high - low < _MOST_TERMS:
        points = np.arange(low, high + 1.0)
        terms = _log_terms(p, q, alpha, points[:, np.newaxis])
        largest = terms.max()
        if np.isinf(largest):
            return float(np.inf)
        below, above = terms[0] > largest - _NEGLIGIBLE, terms[-1] > largest - _NEGLIGIBLE
        if not (below or above):
            return max(float((largest + np.log(np.exp(terms - largest).sum())) / (alpha - 1.0)), 0.0)
        reach = high - low + 1
        low, high = low - below * reach, high + above * reach
    # Terms that grow as far as they can be followed have no sum.
    return float("inf") if alpha > 1.0 and largest in (terms[0], terms[-1]) else None


def _log_terms(p: Model, q: Model, alpha: float, rows: FloatArray) -> FloatArray:
    """log of p^alpha q^(1 - alpha), which is 0 where p is, and where q is for alpha < 1, else infinite there."""
    log_p, log_q = p.log_density(rows), q.log_density(rows)
    with np.errstate(invalid="ignore"):
        return np.where(np.isneginf(log_p), -np.inf, alpha * log_p + (1.0 - alpha) * log_q)


def _by_quadrature(p: Model, q: Model, alpha: float) -> Estimate | None:
    """Of two densities of one column; None where quadrature does not reach it."""
    if p.discrete or p.discrete_columns is not None or p.n_columns not in (1, None):
        return None
    size = 0.0
    for _ in range(_ROUNDS):
        off = size

        def terms(rows: FloatArray, off: float = off) -> FloatArray:
            log_ratio = p.log_density(rows) - q.log_density(rows)
            logs = np.where(np.isinf(log_ratio), (alpha - 1.0) * log_ratio, (alpha - 1.0) * log_ratio - off)
            logs = np.where(np.isinf(logs), logs, np.minimum(logs, _LARGEST))
            # less 1, so that near T = 1 an error in the mass of p is none in T
            return np.asarray(np.exp(logs) if off else np.expm1(logs))

        integral = expectation_on_a_line(p, terms, q)
        if integral is None or np.isnan(integral.value):
            return None
        value = integral.value if off else 1.0 + integral.value
        if np.isinf(value):
            return Estimate(float("inf"), 0.0, 0, "quadrature")
        if value > 10.0 * integral.error and abs(np.log(value)) < _SIZE:
            log_value = np.log(value) + off if off else np.log1p(integral.value)
            error = integral.error / value / abs(alpha - 1.0)
            doubts = {"reasons": not_whole(q)}
            return Estimate(float(log_value / (alpha - 1.0)), float(error), 0, "quadrature", doubts)
        size = off + float(np.log(value)) if value > 10.0 * integral.error else _rough_size(p, q, alpha)
    return None


def _rough_size(p: Model, q: Model, alpha: float) -> float:
    """The largest logarithm of p^alpha q^(1 - alpha) on a line from p to q, beside that of p."""
    places = [model.quantiles(np.linspace(0.001, 0.999, 99)) for model in (p, q)]
    if any(place is None for place in places):
        return 1.0
    known = np.concatenate([place for place in places if place is not None])
    rows = np.concatenate([known, np.linspace(known.min(), known.max(), 400)])[:, np.newaxis]
    log_p = p.log_density(rows)
    largest = float(np.max(_log_terms(p, q, alpha, rows)) - log_p.max())
    return largest if np.isfinite(largest) and largest else 1.0


def _by_draws(p: Model, q: Model, alpha: float, n_draws: int, rng: np.random.RandomState) -> Estimate:
    rows = p.draw(n_draws, rng)
    ratios = [q.log_density(rows) - p.log_density(rows)]
    impossible = int(np.isneginf(ratios[0]).sum())
    if impossible and alpha > 1.0:
        reason = f"{impossible} of {n_draws} draws from p have density 0 under q, so the divergence is infinite."
        doubts = underflow_reasons(q, rows[int(np.argmin(ratios[0]))])
        found = {"reasons": [reason, *doubts], "bias_suspected": bool(doubts), "impossible_rows": impossible}
        return Estimate(float("inf"), 0.0, n_draws, "monte_carlo", found)
    tail = _tail_index((1.0 - alpha) * ratios[0]) if alpha > 1.0 else float("nan")
    logs = [(1.0 - alpha) * ratios[0]]
    if q.can_draw:
        rows = q.draw(n_draws, rng)
        ratios.append(q.log_density(rows) - p.log_density(rows))
        logs = [_log_of_mixture(half, alpha) for half in ratios]
    size = max(float(half.max()) for half in logs)
    if np.isneginf(size):
        found = {"n_draws": n_draws, "bias_suspected": True, "reasons": ["No draw falls where both p and q have mass."]}
        return Estimate(float("inf"), float("nan"), n_draws, "monte_carlo", found)
    terms = [np.exp(half - size) for half in logs]
    if q.can_draw and size + np.log(np.mean(terms)) > np.log(_NEAR):
        control = (1.0 - 2.0 * alpha) * np.exp(-size)
        terms = [half - control * np.tanh(0.5 * ratio) for half, ratio in zip(terms, ratios, strict=True)]
    means = [Mean.of(half) for half in terms]
    mean = float(np.mean([one.value for one in means]))
    error = float(np.sqrt(np.sum([one.error**2 for one in means]))) / len(means)
    reasons = doubts_of_halves(*map(balance, ratios)) if q.can_draw else []
    if tail > HEAVY_TAIL:
        size_of_tail = (
            f"a Pareto tail of index {tail:.2f}, beyond {HEAVY_TAIL}" if np.isfinite(tail) else "no common size"
        )
        reasons.append(
            f"The largest of the terms (p/q)^(alpha - 1) have {size_of_tail}: their mean hardly converges, and the divergence "
            "may be infinite."
        )
    if not mean > _FEWEST_ERRORS * error:
        reasons.append(
            "Hardly any draw falls where both p and q have mass: the mean of p^alpha q^(1 - alpha) depends on a few of them."
        )
    diagnostics = {
        "n_draws": n_draws,
        "drawn_from": ["p", "q"][: len(ratios)],
        "tail_index": tail,
        "reasons": reasons,
    }
    if not mean > 0.0:
        return Estimate(float("inf"), float("nan"), n_draws, "monte_carlo", diagnostics)
    value, error = (np.log(mean) + size) / (alpha - 1.0), error / mean / abs(alpha - 1.0)
    return Estimate(float(value), error, n_draws, "monte_carlo", diagnostics)


def _tail_index(logs: FloatArray) -> float:
    """Pareto index of the largest exponentials; infinite where these are of no common size."""
    ordered = np.sort(logs)
    if ordered[-1] - ordered[-max(len(logs) // 100, 1)] > _OF_NO_SIZE:
        return float("inf")
    return tail_index(np.exp(ordered - ordered[-1]))


def _log_of_mixture(s: FloatArray, alpha: float) -> FloatArray:
    """log of 2 exp((1 - alpha) s) / (1 + exp s), where s may be infinite."""
    with np.errstate(invalid="ignore"):
        logs = np.where(s > 0.0, -alpha * s - np.logaddexp(0.0, -s), (1.0 - alpha) * s - np.logaddexp(0.0, s))
    return np.asarray(np.log(2.0) + logs)
