"""Entropy under the prior of Nemenman, Shafee and Bialek: a mixture of symmetric Dirichlet priors, nearly flat in the
entropy.

One integral over the concentration beta of the Dirichlet remains. It is taken in u = log beta, where the integrand is
smooth and falls off exponentially on both sides, so that the trapezoidal rule converges geometrically; its logarithm is
formed without differences of large numbers (rising factorials by Stirling's series, the prior density by its expansion
for large beta), and the grid is narrowed until it resolves the peak. No root finding, no underflow, no dependence on
the size of the counts.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.special import digamma, gammaln, polygamma

from fastkl._core.special.gamma_functions import stirling_error
from fastkl.divergence.arguments import FloatArray

_GRID = 513
# Below exp(-60) of the peak nothing is lost in double precision, with room for the width of the tails.
_DEPTH = 60.0


class PosteriorEntropy(NamedTuple):
    """Posterior mean and standard deviation of the entropy, in nats."""

    mean: float
    standard_deviation: float


def nsb_entropy(counts: FloatArray, times: FloatArray, n_symbols: float) -> PosteriorEntropy:
    """Posterior of the entropy for an alphabet of known size, from distinct positive counts and how many symbols have each.

    Nemenman, Shafee and Bialek 2001, arXiv:physics/0108025. The moments given beta are those of Wolpert and Wolf 1995
    (doi:10.1103/PhysRevE.52.6841), with the variance rearranged so that nothing cancels.
    """
    if n_symbols <= 1.0:
        return PosteriorEntropy(0.0, 0.0)
    low, high = -np.log(n_symbols) - 100.0, np.log(counts @ times) + 100.0
    # The true peak is wider than exp(-_DEPTH) suggests by far; three rounds take a range of 300 down to any width above 1e-6.
    for _ in range(4):
        u = np.linspace(low, high, _GRID)
        log_weight = _log_prior(u, n_symbols) + _log_evidence(u, counts, times, n_symbols)
        kept = np.flatnonzero(log_weight > log_weight.max() - _DEPTH)
        if 2 * len(kept) > _GRID:
            break
        low, high = u[max(kept[0] - 1, 0)], u[min(kept[-1] + 1, _GRID - 1)]
    weight = np.exp(log_weight - log_weight.max())
    weight /= weight.sum()
    mean, variance = _moments(np.exp(u), counts, times, n_symbols)
    overall = float(weight @ mean)
    spread = float(weight @ (variance + (mean - overall) ** 2))
    return PosteriorEntropy(overall, float(np.sqrt(spread)))


def _log_prior(u: FloatArray, n_symbols: float) -> FloatArray:
    """log of d xi / du, xi(beta) = digamma(K beta + 1) - digamma(beta + 1) being the prior mean of the entropy."""
    beta = np.exp(u)
    slope = np.empty_like(beta)
    large = beta > 100.0
    small = beta[~large]
    slope[~large] = n_symbols * polygamma(1, n_symbols * small + 1.0) - polygamma(1, small + 1.0)
    # For large beta the two trigammas agree in their leading digits: the difference of their expansions, without 1/beta.
    inverse, shrink = 1.0 / beta[large], 1.0 / n_symbols
    slope[large] = inverse**2 * (
        (1.0 - shrink) / 2.0
        - inverse * (1.0 - shrink**2) / 6.0
        + inverse**3 * (1.0 - shrink**4) / 30.0
        - inverse**5 * (1.0 - shrink**6) / 42.0
    )
    return np.log(slope) + u


def _log_evidence(u: FloatArray, counts: FloatArray, times: FloatArray, n_symbols: float) -> FloatArray:
    beta = np.exp(u)
    total = float(counts @ times)
    evidence: FloatArray = -_log_rising(n_symbols * beta, total)
    for count, many in zip(counts.tolist(), times.tolist(), strict=True):
        evidence += many * _log_rising(beta, count)
    return evidence


def _log_rising(x: FloatArray, step: float) -> FloatArray:
    """log Gamma(x + step) - log Gamma(x), for step > 0, without cancellation where x is large."""
    rising = np.empty_like(x)
    large = x > 40.0
    rising[~large] = gammaln(x[~large] + step) - gammaln(x[~large])
    big = x[large]
    rising[large] = (
        (big - 0.5) * np.log1p(step / big)
        - step
        + step * np.log(big + step)
        + stirling_error(big + step)
        - stirling_error(big)
    )
    return rising


def _moments(
    beta: FloatArray, counts: FloatArray, times: FloatArray, n_symbols: float
) -> tuple[FloatArray, FloatArray]:
    """Mean and variance of the entropy given each beta.

    With a_i = c_i + beta, A = sum a_i and weights w_i = a_i / A: the mean is digamma(A + 1) - E_w digamma(a + 1), and
    the variance [Var_w digamma(a + 1) + E_w (a + 1) trigamma(a + 1)] / (A + 1) - trigamma(A + 1).
    """
    whole = n_symbols * beta + float(counts @ times)
    unseen = n_symbols - float(times.sum())
    first, second, curved = np.zeros_like(beta), np.zeros_like(beta), np.zeros_like(beta)
    # Centred at the digamma of the mean concentration, so that the variance over symbols is a sum of squares.
    centre = digamma(whole / n_symbols + 1.0)
    for count, many in zip([*counts.tolist(), 0.0], [*times.tolist(), unseen], strict=True):
        a = count + beta
        w = many * a / whole
        level = digamma(a + 1.0) - centre
        first += w * level
        second += w * level * level
        curved += w * (a + 1.0) * polygamma(1, a + 1.0)
    mean = digamma(whole + 1.0) - centre - first
    variance = (second - first * first + curved) / (whole + 1.0) - polygamma(1, whole + 1.0)
    return mean, np.maximum(variance, 0.0)
