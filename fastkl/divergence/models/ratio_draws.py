r"""The mean of log p/q under p from draws: of both models where both can be drawn, else of p alone.

With r = q/p the divergence is the integral of :math:`p \, ((r - 1) - \log r)`, whose terms are at least 0. Under the mixture
:math:`m = (p + q) / 2`, half of its draws from each, the term of a row is

.. math:: \frac{p}{m} \, ((r - 1) - \log r) = \frac{2 \, (r - 1 - \log r)}{1 + r} ,

which is at most 2 where q is the larger one, however large r is: so it has a variance wherever the mean of log p/q has, and the
control variate r - 1 needs no condition (importance sampling from a defensive mixture: T. Hesterberg,
doi:10.1080/00401706.1995.10484303). The two halves also weigh each other: the mean of :math:`2 (r - 1) / (r + 1)`, between -2
and 2, is 0 for densities and their draws.

From draws of p alone the mean of r - 1 - log r is that of log p/q too, and much less noisy where p and q are close, provided that
r has mean 1 (q puts no mass where p has none) and a finite variance; the draws decide.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.ratio_tails import balance, doubts_of_draws, doubts_of_halves

LOWEST = -700.0  # of log p/q: beyond it the terms have reached their limits


def log_ratio_mean(log_ratio: FloatArray, at_draws_of_q: Callable[[], FloatArray | None]) -> Estimate:
    """The mean under p of log p/q, from this at n draws from p, and at as many from q (None where q cannot be drawn)."""
    size, impossible = len(log_ratio), int(np.isposinf(log_ratio).sum())
    if impossible:
        reason = f"{impossible} of {size} draws from p have density 0 under q, so the divergence is infinite."
        return Estimate(float("inf"), 0.0, size, "monte_carlo", {"reasons": [reason], "impossible_rows": impossible})
    there = at_draws_of_q()
    halves = None if there is None else (log_ratio, there)
    unbalanced = [] if halves is None else doubts_of_halves(*(balance(-half) for half in halves))
    if halves is not None and not unbalanced:
        means = [Mean.of(_terms(half)) for half in halves]
        value = 0.5 * (means[0].value + means[1].value)
        error = 0.5 * float(np.hypot(means[0].error, means[1].error))
        drift, controlled, drawn = None, True, ["p", "q"]
    else:
        mean, drift, controlled = _of_one(log_ratio)
        value, error, drawn = mean.value, mean.error, ["p"]
    reasons, tail = doubts_of_draws(log_ratio, drift, value, error)
    reasons += [f"{said} The estimate is by draws from p alone." for said in unbalanced]
    diagnostics = {
        "n_draws": size,
        "drawn_from": drawn,
        "control_variate": controlled,
        "sd_per_draw": error * np.sqrt(size),
        "tail_index": tail,
        "reasons": reasons,
    }
    return Estimate(value, error, size, "monte_carlo", diagnostics)


def _terms(log_ratio: FloatArray) -> FloatArray:
    """2 (r - 1 - log r) / (1 + r) for log r = -log_ratio."""
    bounded = np.maximum(log_ratio, LOWEST)
    ratio = np.exp(-bounded)
    return np.asarray(2.0 * (np.expm1(-bounded) + bounded) / (1.0 + ratio))


def _of_one(log_ratio: FloatArray) -> tuple[Mean, Mean, bool]:
    """The mean by draws of p alone, that of r - 1, and whether the latter was taken for a control variate."""
    plain = Mean.of(log_ratio)
    with np.errstate(over="ignore", invalid="ignore"):
        control = np.expm1(-log_ratio)
        helped, drift = Mean.of(control + log_ratio), Mean.of(control)
    # The errors of means that are not finite are nan, and nothing holds of nan.
    sound = abs(drift.value) <= 4.0 * drift.error + 1e-12 and control.max() + 1.0 <= 0.02 * len(log_ratio)
    controlled = bool(sound and helped.error < plain.error)
    return (helped if controlled else plain), drift, controlled
