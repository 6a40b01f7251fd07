"""Symmetric relatives of the divergence of known probability vectors: Jensen-Shannon and Jeffreys, exact.

Both are sums of terms that are never negative, so that equal arguments give exactly 0 and nearly equal ones keep their digits.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.symbols.discrete import kl_terms
from fastkl.divergence.symbols.probability_rows import Probabilities, of_rows

__all__ = ["discrete_jeffreys", "discrete_jensen_shannon"]


def discrete_jensen_shannon(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Jensen-Shannon divergence of known discrete distributions, in nats: between 0 and log 2.

    Its square root is a metric (Endres and Schindelin 2003), the value of ``scipy.spatial.distance.jensenshannon``.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K), or dict
        Probabilities along the last axis, as in `discrete_kl`.
    logits : bool, default=False
        Whether both are logits.
    temperature : float, default=1.0
        Positive divisor of the logits of both.

    Returns
    -------
    Estimate or ndarray of shape (...)
        For two vectors an exact ``Estimate``, for rows one number each.

    Raises
    ------
    ValueError
        As in `discrete_kl`.

    Notes
    -----
    :math:`\\frac12 KL(p, m) + \\frac12 KL(q, m)` with :math:`m = (p + q) / 2` (Lin 1991, doi:10.1109/18.61115); the metric:
    doi:10.1109/TIT.2003.813506.

    Examples
    --------
    >>> from fastkl import discrete_jensen_shannon
    >>> round(discrete_jensen_shannon([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]), 6)
    0.046613
    >>> round(discrete_jensen_shannon([1.0, 0.0], [0.0, 1.0]).bits, 6)
    1.0
    """
    return of_rows(jensen_shannon_of, pk, qk, logits, temperature)


def discrete_jeffreys(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Jeffreys divergence KL(p, q) + KL(q, p) of known discrete distributions, in nats.

    Of the shares of binned data it is known as the population stability index.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K), or dict
        Probabilities along the last axis, as in `discrete_kl`.
    logits : bool, default=False
        Whether both are logits.
    temperature : float, default=1.0
        Positive divisor of the logits of both.

    Returns
    -------
    Estimate or ndarray of shape (...)
        For two vectors an exact ``Estimate``, for rows one number each; +inf where one is 0 and the other is not.

    Raises
    ------
    ValueError
        As in `discrete_kl`.

    Notes
    -----
    :math:`\\sum_k (p_k - q_k) \\log(p_k / q_k)` (Jeffreys 1946, doi:10.1098/rspa.1946.0056).

    Examples
    --------
    >>> from fastkl import discrete_jeffreys
    >>> round(discrete_jeffreys([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]), 6)
    0.379424
    """
    return of_rows(jeffreys_of, pk, qk, logits, temperature)


def jensen_shannon_of(p: Probabilities, q: Probabilities) -> FloatArray:
    """Of probabilities with their logarithms, along the last axis."""
    mixture = Probabilities(0.5 * (p.p + q.p), np.logaddexp(p.log_p, q.log_p) - np.log(2.0))
    return 0.5 * (kl_terms(p, mixture) + kl_terms(q, mixture)).sum(axis=-1)


def jeffreys_of(p: Probabilities, q: Probabilities) -> FloatArray:
    """Of probabilities with their logarithms, along the last axis."""
    with np.errstate(invalid="ignore"):
        terms = np.where(p.p == q.p, 0.0, (p.p - q.p) * (p.log_p - q.log_p))
    return np.asarray(terms.sum(axis=-1))
