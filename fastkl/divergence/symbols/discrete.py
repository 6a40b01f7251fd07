"""Exact entropy, cross-entropy and Kullback-Leibler divergence of known probability vectors.

Nothing is estimated and nothing is repaired here: vectors that are not normalised are an error, because renormalising
them in silence hides the mistake that made them so. The divergence is summed from terms p log(p/q) - p + q, each of
which is never negative: the result is never negative either, is exactly 0 for identical arguments, and keeps its
relative precision for arguments that are almost equal, where the difference of cross-entropy and entropy would have
lost it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl._core.special.gamma_functions import log_excess
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.symbols.probability_rows import Probabilities, exact, numbers_of, of_rows, read

__all__ = ["discrete_cross_entropy", "discrete_entropy", "discrete_kl"]

# A divergence that is larger than this, for each unit of probability that is summed over, has 12 digits whatever cancels.
_LARGE = 0.05


@knows_other_keywords
def discrete_entropy(pk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Entropy of known discrete distributions, in nats.

    Parameters
    ----------
    pk : array_like of shape (K,) or (..., K), or dict
        Probabilities along the last axis, summing to 1; with ``logits=True`` unnormalised log-probabilities.
    logits : bool, default=False
        Whether the numbers are logits: probabilities are then ``softmax(pk / temperature)``. A logit of -inf is
        probability 0.
    temperature : float, default=1.0
        Positive divisor of the logits.

    Returns
    -------
    Estimate or ndarray of shape (...)
        For one vector an exact ``Estimate`` (it behaves as a float), for rows one number each. Divide by ``log(2)`` for
        bits.

    Raises
    ------
    ValueError
        A row does not sum to 1, or an entry is negative or not a number.

    See Also
    --------
    categorical_entropy : The same from observed labels or counts, where the distribution is unknown.

    Notes
    -----
    :math:`H(p) = -\\sum_k p_k \\log p_k` with :math:`0 \\log 0 = 0` (Shannon 1948,
    doi:10.1002/j.1538-7305.1948.tb01338.x).

    Examples
    --------
    >>> from fastkl import discrete_entropy
    >>> round(discrete_entropy([0.5, 0.5]), 6)
    0.693147
    >>> discrete_entropy([[0.5, 0.5], [1.0, 0.0]]).round(6)
    array([0.693147, 0.      ])
    """
    vector = read(numbers_of(pk, "pk"), "pk", logits, temperature)
    return exact(_expected_surprisal(vector.p, vector.log_p))


@knows_other_keywords
def discrete_cross_entropy(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Cross-entropy of known discrete distributions: expected surprisal under ``qk`` when ``pk`` is true, in nats.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K), or dict
        Probabilities along the last axis, summing to 1; with ``logits=True`` unnormalised log-probabilities. Both have
        one shape, or one of them is a single vector that is compared with every row of the other. Symbols are matched by
        the keys of dicts, the index of pandas series and the column names of tables where both have such (a symbol that
        one of them lacks has probability 0 there), else by position.
    logits : bool, default=False
        Whether both are logits.
    temperature : float, default=1.0
        Positive divisor of the logits of both.

    Returns
    -------
    Estimate or ndarray of shape (...)
        For two vectors an exact ``Estimate``, for rows one number each; +inf where ``qk`` is 0 and ``pk`` is not.

    Raises
    ------
    ValueError
        A row does not sum to 1, an entry is negative or not a number, or the shapes do not fit.

    Notes
    -----
    :math:`H(p, q) = -\\sum_k p_k \\log q_k = KL(p, q) + H(p)`. With one-hot rows for ``pk`` its mean over the rows is
    the log loss of a classifier with predicted probabilities ``qk``.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import discrete_cross_entropy
    >>> round(discrete_cross_entropy([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]), 6)
    1.091272

    The log loss of labels 1, 0, 1 for predicted probabilities of (class 0, class 1):

    >>> predicted = np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    >>> float(discrete_cross_entropy(np.eye(2)[[1, 0, 1]], predicted).mean().round(6))
    0.228393
    """
    return of_rows(lambda p, q: _expected_surprisal(p.p, q.log_p), pk, qk, logits, temperature)


@knows_other_keywords
def discrete_kl(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Kullback-Leibler divergence KL(pk to qk) of known discrete distributions, in nats.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K), or dict
        Probabilities along the last axis, summing to 1; with ``logits=True`` unnormalised log-probabilities. Both have
        one shape, or one of them is a single vector that is compared with every row of the other. Symbols are matched by
        the keys of dicts, the index of pandas series and the column names of tables where both have such (a symbol that
        one of them lacks has probability 0 there), else by position.
    logits : bool, default=False
        Whether both are logits, as in knowledge distillation.
    temperature : float, default=1.0
        Positive divisor of the logits of both.

    Returns
    -------
    Estimate or ndarray of shape (...)
        For two vectors an exact ``Estimate``, for rows one number each. Never negative, exactly 0 for identical
        arguments, +inf where ``qk`` is 0 and ``pk`` is not.

    Raises
    ------
    ValueError
        A row does not sum to 1, an entry is negative or not a number, or the shapes do not fit.

    See Also
    --------
    categorical_kl : The same from observed labels or counts, where the distributions are unknown.

    Notes
    -----
    :math:`KL(p, q) = \\sum_k [p_k \\log(p_k / q_k) - p_k + q_k]`, which is the usual sum for normalised arguments
    (Kullback and Leibler 1951, doi:10.1214/aoms/1177729694). The order of the arguments matters.

    Examples
    --------
    >>> from fastkl import discrete_kl
    >>> round(discrete_kl([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]), 6)
    0.193326
    >>> round(discrete_kl([0.2, 0.3, 0.5], [0.1, 0.6, 0.3]), 6)
    0.186098
    >>> round(discrete_kl([2.0, 1.0, 0.0], [1.0, 1.0, 1.0], logits=True, temperature=2.0), 6)
    0.078421
    """
    return of_rows(_divergences, pk, qk, logits, temperature)


def kl_terms(p: Probabilities, q: Probabilities) -> FloatArray:
    """The terms p log(p/q) - p + q, each >= 0 and 0 only where p = q."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        terms = np.asarray(p.log_p - q.log_p)
        terms *= p.p
        gap = np.asarray(q.p - p.p)
        terms += gap
        absent = p.p == 0.0
        if absent.any():
            terms = np.where(absent, q.p, terms)
        close = np.abs(gap) < 0.25 * p.p
        if close.any():
            # Where the two are near, what is left of the difference is formed without it.
            near, change = np.broadcast_to(p.p, terms.shape)[close], gap[close]
            terms[close] = near * log_excess(change / near)
    return terms


def _divergences(p: Probabilities, q: Probabilities) -> FloatArray:
    """Sums of the terms: as they are where the sum is large beside their rounding, else each without cancellation."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        terms = np.log(p.p / q.p) if p.given is None and q.given is None else np.asarray(p.log_p - q.log_p)
        terms *= p.p
        plain = np.asarray(terms.sum(axis=-1) + (q.total - p.total))
    # Of a part of a row beside its own share; also where 0 log 0 is nan.
    again = np.flatnonzero(~(plain > _LARGE * p.total) | np.isinf(plain))
    if len(again) and plain.ndim == 0:
        return np.asarray(kl_terms(p, q).sum(axis=-1))
    if len(again):
        plain[again] = kl_terms(p.at(again), q.at(again)).sum(axis=-1)
    return plain


def _expected_surprisal(p: FloatArray, log_q: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        # The last summand turns -0.0 into 0.0.
        surprisal: FloatArray = -np.where(p > 0.0, p * log_q, 0.0).sum(axis=-1) + 0.0
    return surprisal
