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

HEAVY_TAIL = 0.7


def doubts_of_draws(log_ratio: FloatArray, drift: Mean, mean: Mean) -> tuple[list[str], float]:
    """Reasons not to trust the mean of log p/q over draws from p, and the tail index of its terms.

    ``drift`` is the mean of q/p - 1, ``mean`` that of the estimate.
    """
    tail = tail_index(np.abs(log_ratio))
    reasons = []
    if tail > HEAVY_TAIL:
        reasons.append(
            f"The largest of the terms log p/q have a Pareto tail of index {tail:.2f}, beyond {HEAVY_TAIL}: their mean hardly "
            f"converges, and the divergence may be infinite."
        )
    if mean.value < -3.0 * mean.error:
        reasons.append(
            "The estimate is negative beyond its error, which no divergence is: p has mass where hardly a draw falls."
        )
    if drift.value > 4.0 * drift.error + 1e-9:
        reasons.append(
            f"The mean of q/p over draws from p is {1.0 + drift.value:.3g}, and it is at most 1 for densities: one of the two is "
            f"not normalised, or the draws of p do not belong to its density."
        )
    return reasons, tail


def tail_index(values: FloatArray) -> float:
    """Shape of the generalised Pareto distribution of the largest of positive values; below 0 for a bounded tail, nan for few.

    Parameters
    ----------
    values : ndarray of shape (n,)
        Positive.
    """
    n = len(values)
    kept = min(n // 5, int(3.0 * np.sqrt(n)))
    if kept < 20:
        return float("nan")
    ordered = np.sort(values)[n - kept - 1 :]
    excess = ordered[1:] - ordered[0]
    if not np.isfinite(excess[-1]) or excess[-1] <= 0.0:
        return float("nan")
    # Zhang and Stephens: posterior mean of theta = -shape / scale over a grid, then the shape that belongs to it.
    points = 30 + int(np.sqrt(kept))
    quarter = max(excess[int(kept / 4 + 0.5) - 1], excess[excess > 0.0][0])
    theta = 1.0 / excess[-1] + (1.0 - np.sqrt(points / (np.arange(1, points + 1) - 0.5))) / (3.0 * quarter)
    shape = np.log1p(-theta[:, np.newaxis] * excess).mean(axis=1)
    likelihood = kept * (np.log(-theta / shape) - shape - 1.0)
    weights = np.exp(likelihood - likelihood.max())
    best = float(weights @ theta / weights.sum())
    found = float(np.log1p(-best * excess).mean())
    # A weak prior at 1/2 for small samples, as in Vehtari et al.
    return (kept * found + 10.0 * 0.5) / (kept + 10.0)
