"""Exact entropy, cross-entropy and Kullback-Leibler divergence of known probability vectors.

Nothing is estimated and nothing is repaired here: vectors that are not normalised are an error, because renormalising
them in silence hides the mistake that made them so. The divergence is summed from terms p log(p/q) - p + q, each of
which is never negative: the result is never negative either, is exactly 0 for identical arguments, and keeps its
relative precision for arguments that are almost equal, where the difference of cross-entropy and entropy would have
lost it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_softmax

from fastkl._core.special.gamma_functions import log_excess
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import match_labels
from fastkl.rows.reading import look

__all__ = ["discrete_cross_entropy", "discrete_entropy", "discrete_kl"]


class Probabilities(NamedTuple):
    """Probabilities and their logarithms, along the last axis."""

    p: FloatArray
    log_p: FloatArray


def discrete_entropy(pk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Entropy of known discrete distributions, in nats.

    Parameters
    ----------
    pk : array_like of shape (K,) or (..., K)
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
    vector = _read(pk, "pk", logits, temperature)
    return _exact(_expected_surprisal(vector.p, vector.log_p))


def discrete_cross_entropy(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Cross-entropy of known discrete distributions: expected surprisal under ``qk`` when ``pk`` is true, in nats.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K)
        Probabilities along the last axis, summing to 1; with ``logits=True`` unnormalised log-probabilities. Both have
        one shape, or one of them is a single vector that is compared with every row of the other. Symbols are matched by
        the index of pandas series and the column names of tables where both have such (a symbol that one of them lacks has
        probability 0 there), else by position.
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
    p, q = _read_pair(pk, qk, logits, temperature)
    return _exact(_expected_surprisal(p.p, q.log_p))


def discrete_kl(pk: ArrayLike, qk: ArrayLike, *, logits: bool = False, temperature: float = 1.0) -> Any:
    """Kullback-Leibler divergence KL(pk to qk) of known discrete distributions, in nats.

    Parameters
    ----------
    pk, qk : array_like of shape (K,) or (..., K)
        Probabilities along the last axis, summing to 1; with ``logits=True`` unnormalised log-probabilities. Both have
        one shape, or one of them is a single vector that is compared with every row of the other. Symbols are matched by
        the index of pandas series and the column names of tables where both have such (a symbol that one of them lacks has
        probability 0 there), else by position.
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
    p, q = _read_pair(pk, qk, logits, temperature)
    return _exact(kl_terms(p, q).sum(axis=-1))


def kl_terms(p: Probabilities, q: Probabilities) -> FloatArray:
    """The terms p log(p/q) - p + q, each >= 0 and 0 only where p = q."""
    positive = p.p > 0.0
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        terms = np.where(positive, p.p * (p.log_p - q.log_p) - p.p + q.p, q.p)
        change = (q.p - p.p) / p.p
    close = positive & (np.abs(change) < 0.25)
    near: FloatArray = np.where(close, change, 0.0)
    return np.where(close, p.p * log_excess(near), terms)


def _expected_surprisal(p: FloatArray, log_q: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        # The last summand turns -0.0 into 0.0.
        surprisal: FloatArray = -np.where(p > 0.0, p * log_q, 0.0).sum(axis=-1) + 0.0
    return surprisal


def _exact(values: FloatArray) -> Any:
    return Estimate(float(values), standard_error=0.0) if np.ndim(values) == 0 else values


def _read_pair(pk: ArrayLike, qk: ArrayLike, logits: bool, temperature: float) -> tuple[Probabilities, Probabilities]:
    pk, qk = match_labels(pk, qk, None if logits else 0.0, ("pk", "qk"))
    p, q = _read(pk, "pk", logits, temperature), _read(qk, "qk", logits, temperature)
    fits = p.p.shape == q.p.shape or (1 in (p.p.ndim, q.p.ndim) and p.p.shape[-1] == q.p.shape[-1])
    if not fits:
        raise ValueError(
            f"pk and qk need one shape, or one of them is a single vector as long as the rows of the other; "
            f"found {p.p.shape} and {q.p.shape}."
        )
    return p, q


def _read(values: ArrayLike, name: str, logits: bool, temperature: float) -> Probabilities:
    given = np.asarray(look(values, name))
    if given.ndim == 0 or given.size == 0:
        raise ValueError(f"{name} must be a vector or rows of probabilities; found shape {given.shape}.")
    if given.dtype.kind not in "buif":
        raise ValueError(
            f"{name} must hold real numbers; found dtype {given.dtype}. For labels use categorical_entropy."
        )
    array = given.astype(np.float64)
    if logits:
        return _read_logits(array, name, temperature)
    if temperature != 1.0:
        raise ValueError(f"temperature={temperature!r} divides logits; probabilities have none: set logits=True.")
    _reject(~(array >= 0.0) | np.isinf(array), array, name, "a probability is a number between 0 and 1")
    # Probabilities computed in single precision sum to 1 only that well.
    tolerance = 1e-9
    if given.dtype.kind == "f":
        tolerance = max(tolerance, 64.0 * float(np.finfo(given.dtype).eps))
    total = array.sum(axis=-1)
    wrong = np.abs(total - 1.0) > tolerance
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong)) if total.ndim else ()
        raise ValueError(
            f"{_row(name, place)} sums to {float(total[place])!r}; probabilities sum to 1 (within {tolerance:.1e}). "
            "If the numbers are only proportional to probabilities, divide them by their sum; logits need logits=True."
        )
    with np.errstate(divide="ignore"):
        return Probabilities(array, np.log(array))


def _read_logits(array: FloatArray, name: str, temperature: float) -> Probabilities:
    if not (np.isfinite(temperature) and temperature > 0.0):
        raise ValueError(f"temperature must be a positive number; found {temperature!r}.")
    _reject(np.isnan(array) | (array == np.inf), array, name, "a logit is a finite number, or -inf for probability 0")
    empty = (array == -np.inf).all(axis=-1)
    if empty.any():
        place = tuple(int(i[0]) for i in np.nonzero(empty)) if empty.ndim else ()
        raise ValueError(f"{_row(name, place)} has only logits of -inf, which give no probabilities.")
    log_p: FloatArray = np.asarray(log_softmax(array / temperature, axis=-1))
    return Probabilities(np.exp(log_p), log_p)


def _reject(wrong: NDArray[np.bool_], array: FloatArray, name: str, rule: str) -> None:
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong))
        raise ValueError(f"{name}[{', '.join(map(str, place))}] is {float(array[place])!r}; {rule}.")


def _row(name: str, place: tuple[int, ...]) -> str:
    return f"Row {', '.join(map(str, place))} of {name}" if place else name
