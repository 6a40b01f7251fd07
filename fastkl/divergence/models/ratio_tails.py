"""Whether a mean over draws can be trusted: the tail of its terms, and what is known of the mean of the density ratio.

The mean of log p/q over draws from p converges as the terms' tails allow. A generalised Pareto distribution fitted to the largest
terms tells (Zhang and Stephens 2009, doi:10.1198/tech.2009.08017; as in Pareto-smoothed importance sampling, Vehtari et al. 2024,
arXiv:1507.02646): from an index of 1/2 on they have no variance, and beyond 0.7 the error says nothing. The mean of q/p over
draws from p is the mass of q where p has any, so at most 1: more means that a density is not normalised, or that draws and
density do not belong together.
"""

from __future__ import annotations

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import is_below_zero

HEAVY_TAIL = 0.7


def doubts_of_draws(log_ratio: FloatArray, drift: Mean | None, value: float, error: float) -> tuple[list[str], float]:
    """Reasons not to trust the mean of log p/q over draws from p, and the tail index of its terms.

    ``drift`` is the mean of q/p - 1 where draws of q have not told what it is: then the terms where q is the larger one have a
    tail of their own. ``value`` and ``error`` are those of the estimate.
    """
    # each side by itself: a ratio with a bound piles up there, which a tail of both together would be mistaken for
    sides = [log_ratio] if drift is None else [log_ratio, -log_ratio]
    tails = [index for index in map(tail_index, sides) if not np.isnan(index)]
    tail = max(tails) if tails else float("nan")
    reasons = []
    if tail > HEAVY_TAIL:
        reasons.append(
            f"The largest of the terms log p/q have a Pareto tail of index {tail:.2f}, beyond {HEAVY_TAIL}: their mean hardly "
            f"converges, and the divergence may be infinite."
        )
    if is_below_zero(value, error):
        reasons.append(
            "The estimate is negative by more than its error, which a divergence can't be: p has mass where hardly any draw "
            "falls."
        )
    if drift is not None and drift.value > 4.0 * drift.error + 1e-9:
        reasons.append(
            f"The mean of q/p over draws from p is {1.0 + drift.value:.3g}, and for densities it can't exceed 1: one of the two "
            "is not normalised, or the draws of p do not belong to its density."
        )
    return reasons, tail


def heavy_terms(terms: FloatArray, what: str = "terms") -> list[str]:
    """Why a mean of terms hardly converges, if it does so."""
    tail = tail_index(terms)
    if not tail > HEAVY_TAIL:
        return []
    return [
        f"The largest of the {what} have a Pareto tail of index {tail:.2f}, beyond {HEAVY_TAIL}: their mean hardly converges, "
        "and it may be infinite."
    ]


def balance(log_r: FloatArray) -> Mean:
    """The mean of 2 (r - 1) / (r + 1) for r = q/p, which draws of p and of q have in common but for its sign."""
    return Mean.of(2.0 * np.tanh(0.5 * log_r))


def doubts_of_halves(of_p: Mean, of_q: Mean) -> list[str]:
    """Why draws of p and of q do not belong to the densities: the means of 2 (q - p) / (q + p), whose sum is 0 if they do."""
    off, error = of_p.value + of_q.value, float(np.hypot(of_p.error, of_q.error))
    if abs(off) <= 4.0 * error + 1e-9:
        return []
    return [
        f"The draws of p and q do not agree with their densities (the mean of 2 (q - p) / (q + p) is {0.5 * off:.3g}, not 0): "
        "one of the two is not normalised, or its draws do not belong to its density."
    ]


def tail_index(values: FloatArray) -> float:
    """Shape of the generalised Pareto distribution of the largest values; below 0 for a bounded tail, nan for few."""
    n = len(values)
    kept = min(n // 5, int(3.0 * np.sqrt(n)))
    if kept < 20:
        return float("nan")
    ordered = np.sort(np.partition(values, n - kept - 1)[n - kept - 1 :])
    excess = ordered[1:] - ordered[0]
    if not np.isfinite(excess[-1]) or excess[-1] <= 0.0:
        return float("nan")
    found, _ = pareto_tail(excess)
    # A weak prior at 1/2 for small samples, as in Vehtari et al.
    return (kept * found + 10.0 * 0.5) / (kept + 10.0)


def pareto_tail(excess: FloatArray) -> tuple[float, float]:
    """Shape and scale of a generalised Pareto distribution of values from 0 on, in order, the last above 0 (Zhang and Stephens).

    The posterior mean of theta = -shape / scale over a grid, then the shape that belongs to it.
    """
    kept = len(excess)
    points = 30 + int(np.sqrt(kept))
    quarter = max(excess[int(kept / 4 + 0.5) - 1], excess[excess > 0.0][0])
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3.0 * quarter)
    shape = np.log1p(-theta[:, np.newaxis] * excess).mean(axis=1)
    likelihood = kept * (np.log(-theta / shape) - shape - 1.0)
    weights = np.exp(likelihood - likelihood.max())
    best = float(weights @ theta / weights.sum())
    found = float(np.log1p(-best * excess).mean())
    return found, -found / best
