"""Symmetric relatives of the divergence of two categorical variables, from labels or counts: Jensen-Shannon and Jeffreys.

Both are 0 for equal distributions, where relative frequencies alone are off by the same amount in every sample: too high by about
the number of symbols over the number of rows. That is subtracted.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.categorical_kl import CountPair, categorical_kl, frequencies, read_pair
from fastkl.divergence.discrete_relatives import jensen_shannon_of
from fastkl.divergence.estimate import Estimate

__all__ = ["categorical_jeffreys", "categorical_jensen_shannon"]


def categorical_jensen_shannon(
    p: Any,
    q: Any,
    method: str = "corrected",
    *,
    counts: bool = False,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
) -> Estimate:
    r"""Jensen-Shannon divergence of two categorical variables from a sample of each, in nats.

    The two distributions have the same weight whatever the sizes of the samples; a symbol that one sample lacks is no difficulty.
    Its square root is a metric.

    Parameters
    ----------
    p, q : array_like of shape (n,) or (n, d), (m,) or (m, d), or data frames
        Labels or, with ``counts=True``, counts, as in `categorical_kl`.
    method : {"corrected", "plugin"}, default="corrected"
        ``"plugin"`` is the divergence of the relative frequencies, never negative, too high on average; ``"corrected"`` takes its
        leading bias off.
    counts : bool, default=False
        Whether ``p`` and ``q`` hold counts.
    sample_weight_p, sample_weight_q : array_like of shape (n,) and (m,), default=None
        Number of times each row counts.

    Returns
    -------
    Estimate
        With its standard error; ``diagnostics["bias"]`` is the leading bias of the relative frequencies.

    Raises
    ------
    DegenerateDataError
        A sample is empty.
    ValueError
        Labels that are missing, counts that are negative.

    Notes
    -----
    Of the relative frequencies the bias is :math:`\sum_k [\frac{q_k (1 - p_k)}{4 n (p_k + q_k)} + \frac{p_k (1 - q_k)}{4 m (p_k +
    q_k)}]` in the first order, over the symbols that were seen in both for each term; for equal distributions
    :math:`\frac{K - 1}8 (\frac1n + \frac1m)`. The squared standard error is :math:`\frac1{4n} Var_p[\log \frac{2p}{p + q}] +
    \frac1{4m} Var_q[\log \frac{2q}{p + q}]`, at least the second order, :math:`\frac{K - 1}{32} (\frac1n + \frac1m)^2`. Lin 1991,
    doi:10.1109/18.61115.

    Examples
    --------
    >>> from fastkl import categorical_jensen_shannon
    >>> round(categorical_jensen_shannon(["a"] * 50, ["b"] * 40), 6)
    0.693147
    >>> round(categorical_jensen_shannon([10, 60, 30], [20, 30, 50], "plugin", counts=True), 6)
    0.046613
    """
    if method not in ("corrected", "plugin"):
        raise ValueError(f"method={method!r} is unknown; choose one of 'corrected', 'plugin'.")
    pair = read_pair(p, q, counts, sample_weight_p, sample_weight_q)
    a, b = pair.x / pair.n, pair.y / pair.m
    value = float(jensen_shannon_of(frequencies(a), frequencies(b)))
    seen = (a > 0.0) & (b > 0.0)
    s, t = a[seen], b[seen]
    bias = 0.25 * float((t * (1.0 - s) / (s + t)).sum() / pair.n + (s * (1.0 - t) / (s + t)).sum() / pair.m)
    variance = 0.25 * (_spread(a, b) / pair.n + _spread(b, a) / pair.m)
    symbols = float(np.count_nonzero(a + b))
    least = (symbols - 1.0) / 32.0 * (1.0 / pair.n + 1.0 / pair.m) ** 2
    diagnostics = {"bias": bias, "n_symbols": len(pair.symbols)}
    found = value - bias if method == "corrected" else value
    return Estimate(found, float(np.sqrt(max(variance, least))), pair.n_samples, method, diagnostics)


def _spread(a: FloatArray, b: FloatArray) -> float:
    """Variance of log 2a/(a + b) under a."""
    present = a > 0.0
    terms, share = np.log(2.0 * a[present] / (a + b)[present]), a[present]
    return float(share @ (terms - share @ terms) ** 2)


def categorical_jeffreys(
    p: Any,
    q: Any,
    method: str = "zhang_grabchak",
    unseen: str = "inf",
    *,
    counts: bool = False,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
) -> Estimate:
    r"""Jeffreys divergence KL(P to Q) + KL(Q to P) of two categorical variables from a sample of each, in nats.

    Parameters
    ----------
    p, q : array_like of shape (n,) or (n, d), (m,) or (m, d), or data frames
        Labels or, with ``counts=True``, counts, as in `categorical_kl`.
    method : {"zhang_grabchak", "plugin"}, default="zhang_grabchak"
        As in `categorical_kl`.
    unseen : {"inf", "estimate", "smooth", "raise"}, default="inf"
        What to do when a sample lacks a symbol of the other, as in `categorical_kl`.
    counts : bool, default=False
        Whether ``p`` and ``q`` hold counts.
    sample_weight_p, sample_weight_q : array_like of shape (n,) and (m,), default=None
        Number of times each row counts.

    Returns
    -------
    Estimate
        ``diagnostics["forward"]`` and ``["backward"]`` hold both divergences.

    Raises
    ------
    SupportError, DegenerateDataError, ValueError
        As in `categorical_kl`.

    See Also
    --------
    population_stability_index : The same of relative frequencies, of binned numbers too.

    Notes
    -----
    The sum of both estimates of `categorical_kl`. The squared standard error is :math:`\frac1n Var_p[\log \frac pq - \frac qp] +
    \frac1m Var_q[\log \frac qp - \frac pq]`, at least the second order, :math:`2 (K - 1) (\frac1n + \frac1m)^2`. Jeffreys 1946,
    doi:10.1098/rspa.1946.0056.

    Examples
    --------
    >>> from fastkl import categorical_jeffreys
    >>> round(categorical_jeffreys([10, 60, 30], [20, 30, 50], "plugin", counts=True), 6)
    0.379424
    """
    both = [
        categorical_kl(one, other, method, unseen, counts=counts, sample_weight_p=v, sample_weight_q=w)
        for one, other, v, w in ((p, q, sample_weight_p, sample_weight_q), (q, p, sample_weight_q, sample_weight_p))
    ]
    forward, backward = both
    pair = read_pair(p, q, counts, sample_weight_p, sample_weight_q)
    value = float(forward) + float(backward)
    error = jeffreys_error(pair) if np.isfinite(value) else float("nan")
    back = [_other_way_round(reason) for reason in backward.diagnostics["reasons"]]
    reasons = list(dict.fromkeys([*forward.diagnostics["reasons"], *back]))
    diagnostics = {
        "forward": float(forward),
        "backward": float(backward),
        "n_symbols": len(pair.symbols),
        "bias_suspected": bool(reasons),
        "reasons": reasons,
    }
    return Estimate(value, error, forward.n_samples, method, diagnostics)


def jeffreys_error(pair: CountPair) -> float:
    """Standard error of the Jeffreys divergence of relative frequencies (with 1/2 more per symbol where one is unseen)."""
    x, y = pair.x, pair.y
    if ((x > 0.0) != (y > 0.0)).any():
        x, y = x + 0.5, y + 0.5
    kept = (x > 0.0) & (y > 0.0)
    a, b = x[kept] / x.sum(), y[kept] / y.sum()
    variance = 0.0
    for one, other, size in ((a, b, pair.n), (b, a, pair.m)):
        influence = np.log(one / other) - other / one
        variance += float(one @ (influence - one @ influence) ** 2) / size
    least = 2.0 * (len(a) - 1.0) * (1.0 / pair.n + 1.0 / pair.m) ** 2
    return float(np.sqrt(max(variance, least)))


def _other_way_round(reason: str) -> str:
    """A sentence about the divergence of P from Q, as one about that of Q from P."""
    swapped = {"P": "Q", "Q": "P"}
    return " ".join(
        swapped.get(word.rstrip("."), word.rstrip(".")) + word[len(word.rstrip(".")) :] for word in reason.split(" ")
    )
