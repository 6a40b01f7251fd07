"""Symmetric relatives of the divergence of two categorical variables, from labels or counts: Jensen-Shannon and Jeffreys.

Both are 0 for equal distributions, where relative frequencies alone are off by the same amount in every sample: too high by about
the number of symbols over the number of rows. That is taken off: logarithms of frequencies are digammas of counts, as in Zhang's
entropy, and what unseen symbols add to the entropies of both samples and of their mixture is estimated.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.directions import of_both_directions
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.symbols.categorical import frequency, unseen_mass
from fastkl.divergence.symbols.categorical_entropy import unseen_tail
from fastkl.divergence.symbols.categorical_kl import CountPair, categorical_kl, much_unseen, read_pair
from fastkl.divergence.symbols.discrete_relatives import jensen_shannon_of
from fastkl.divergence.symbols.probability_rows import Probabilities

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

    The two distributions have the same weight whatever the sizes of the samples; symbols that occur in one sample only are no
    problem. Its square root is a metric.

    Parameters
    ----------
    p, q : array_like of shape (n,) or (n, d), (m,) or (m, d), or data frames
        Labels or, with ``counts=True``, counts, as in `categorical_kl`.
    method : {"corrected", "plugin"}, default="corrected"
        ``"plugin"`` is the divergence of the relative frequencies, never negative, too high on average; ``"corrected"``
        subtracts its bias, including that from symbols seen in one sample or in none.
    counts : bool, default=False
        Whether ``p`` and ``q`` hold counts (or are dicts of them by label, such as a Counter).
    sample_weight_p, sample_weight_q : array_like of shape (n,) and (m,), default=None
        Number of times each row counts.

    Returns
    -------
    Estimate
        With its standard error; ``diagnostics["bias"]`` is what the relative frequencies are too high by, as estimated.
        ``"coverage_p"``, ``"coverage_q"`` (Good-Turing), ``"n_symbols"``, ``"bias_suspected"`` and ``"reasons"`` as in
        `categorical_kl`.

    Raises
    ------
    DegenerateDataError
        A sample is empty.
    ValueError
        Labels that are missing, counts that are negative.

    Notes
    -----
    With counts :math:`X_k, Y_k` of sums :math:`n, m` and :math:`N = n + m` the divergence is :math:`\frac12 \sum \frac{X_k}n
    [\psi(X_k) - \psi(n)] + \frac12 \sum \frac{Y_k}m [\psi(Y_k) - \psi(m)]` less the mean of :math:`\psi(X_k + Y_k) - \log N +
    \log v`, where :math:`v = \frac{N f}{2 n} + \frac{N (1 - f)}{2 m}` (1 for samples of one size) and f is the share of the first
    sample in the other rows with the symbol; the curvature of :math:`\log v` and the fixed sizes of the samples are corrected by
    their leading terms. What unseen symbols add is that of Chao, Wang and Jost (`categorical_entropy`) for the mixture less the
    mean of those for both samples. The squared standard error is :math:`\frac1{4n} Var_p[\log \frac{2p}{p + q}] + \frac1{4m}
    Var_q[\log \frac{2q}{p + q}]`, at least the second order, :math:`\frac{K - 1}{32} (\frac1n + \frac1m)^2`, plus that of a
    half of what unseen symbols add. Lin 1991, doi:10.1109/18.61115.

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
    plain = float(jensen_shannon_of(Probabilities(a), Probabilities(b)))
    unseen = _unseen_part(pair)
    bias = plain - (_digamma_sums(pair) + unseen)
    variance = 0.25 * (_spread(a, b) / pair.n + _spread(b, a) / pair.m)
    symbols = float(np.count_nonzero(a + b))
    least = (symbols - 1.0) / 32.0 * (1.0 / pair.n + 1.0 / pair.m) ** 2
    extrapolated = 0.5 * unseen if method == "corrected" else 0.0
    error = float(np.sqrt(max(variance, least) + extrapolated**2))
    reasons = much_unseen(pair)
    if method == "plugin" and bias > error:
        reasons.append(
            f"The relative frequencies are too high by about {bias:.2g}, more than the standard error; "
            'method="corrected" corrects this.'
        )
    diagnostics = {
        "bias": bias,
        "coverage_p": 1.0 - unseen_mass(pair.x),
        "coverage_q": 1.0 - unseen_mass(pair.y),
        "n_symbols": len(pair.symbols),
        "reasons": reasons,
    }
    return Estimate(plain - bias if method == "corrected" else plain, error, pair.n_samples, method, diagnostics)


def _digamma_sums(pair: CountPair) -> float:
    """The estimate by digammas of counts, without what unseen symbols add."""
    seen = pair.x + pair.y > 0.0
    x, y, n, m = pair.x[seen], pair.y[seen], pair.n, pair.m
    both = x + y
    log_mixture = 0.0
    for count, size, own in ((x, n, 1.0), (y, m, 0.0)):
        # by the rows other than the one that asks
        rest = both - 1.0
        f = np.where(rest > 0.0, np.clip((x - own) / np.where(rest > 0.0, rest, 1.0), 0.0, 1.0), n / (n + m))
        v = 0.5 * (n + m) * (f / n + (1.0 - f) / m)
        slope = 0.5 * (n + m) * (1.0 / n - 1.0 / m) / v
        curvature = 0.5 * slope**2 * f * (1.0 - f) / np.maximum(rest - 1.0, 1.0)
        log_mixture += 0.5 * float(count @ (digamma(both) - np.log(n + m) + np.log(v) + curvature)) / size
    # samples of fixed sizes leave fewer other rows, and less spread, than counts that are Poisson's
    mixture = 0.5 * (x / n + y / m)
    fixed = 0.25 * float(((x / n) ** 2 / mixture).sum() * _rest(n) + ((y / m) ** 2 / mixture).sum() * _rest(m))
    return 0.5 * (_own_part(x, n) + _own_part(y, m)) - log_mixture - fixed


def _own_part(count: FloatArray, size: float) -> float:
    """Minus Zhang's entropy."""
    positive = count[count > 0.0]
    return float(positive @ (digamma(positive) - digamma(size))) / size


def _rest(size: float) -> float:
    return float(np.log(size) - digamma(size))


def _unseen_part(pair: CountPair) -> float:
    """What symbols that were not seen add: to the entropy of the mixture, less the mean of those of both samples."""
    both = pair.x + pair.y
    single = np.maximum(0.0, 1.0 - np.abs(both - 1.0))
    share = 0.5 * float(single @ pair.x / pair.n + single @ pair.y / pair.m)
    mixed = unseen_tail(share, frequency(both, 1), frequency(both, 2), pair.n + pair.m)
    own = [
        unseen_tail(frequency(count, 1) / size, frequency(count, 1), frequency(count, 2), size)
        for count, size in ((pair.x, pair.n), (pair.y, pair.m))
    ]
    return mixed - 0.5 * sum(own)


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
        Whether ``p`` and ``q`` hold counts (or are dicts of them by label, such as a Counter).
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
    reasons = of_both_directions(forward.reasons, backward.reasons)
    diagnostics = {
        "forward": float(forward),
        "backward": float(backward),
        "n_symbols": len(pair.symbols),
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
