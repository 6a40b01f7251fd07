"""Exact entropy, cross-entropy and Kullback-Leibler divergence of known probability vectors.

Nothing is estimated and nothing is repaired here: vectors that are not normalised are an error, because renormalising
them in silence hides the mistake that made them so. The divergence is summed from terms p log(p/q) - p + q, each of
which is never negative: the result is never negative either, is exactly 0 for identical arguments, and keeps its
relative precision for arguments that are almost equal, where the difference of cross-entropy and entropy would have
lost it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.special.gamma_functions import log_excess
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import match_labels
from fastkl.rows.reading import look

__all__ = ["discrete_cross_entropy", "discrete_entropy", "discrete_kl"]


# Numbers of rows that are looked at together.
_BLOCK_NUMBERS = 1 << 15
# A divergence that is larger than this has 12 digits whatever cancels in its terms.
_LARGE = 0.05


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
    vector = _read(_numbers(pk, "pk"), "pk", logits, temperature)
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
    return of_rows(lambda p, q: _expected_surprisal(p.p, q.log_p), pk, qk, logits, temperature)


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
    with np.errstate(invalid="ignore", over="ignore"):
        terms = np.asarray(p.log_p - q.log_p)
        terms *= p.p
        plain = np.asarray(terms.sum(axis=-1) + (q.p.sum(axis=-1) - p.p.sum(axis=-1)))
    again = np.flatnonzero(~(plain > _LARGE) | np.isinf(plain))  # also where 0 log 0 is nan
    if len(again) and plain.ndim == 0:
        return np.asarray(kl_terms(p, q).sum(axis=-1))
    if len(again):
        some = [one if one.p.ndim == 1 else Probabilities(one.p[again], one.log_p[again]) for one in (p, q)]
        plain[again] = kl_terms(*some).sum(axis=-1)
    return plain


def _expected_surprisal(p: FloatArray, log_q: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        # The last summand turns -0.0 into 0.0.
        surprisal: FloatArray = -np.where(p > 0.0, p * log_q, 0.0).sum(axis=-1) + 0.0
    return surprisal


def _exact(values: FloatArray) -> Any:
    return Estimate(float(values), standard_error=0.0) if np.ndim(values) == 0 else values


RowFunction = Callable[[Probabilities, Probabilities], FloatArray]


def of_rows(function: RowFunction, pk: Any, qk: Any, logits: bool, temperature: float) -> Any:
    """A function of two distributions for every row, a few rows at a time: what is held beside the input fits a cache."""
    pk, qk = match_labels(pk, qk, None if logits else 0.0, ("pk", "qk"))
    p, q = _numbers(pk, "pk"), _numbers(qk, "qk")
    if not (p.shape == q.shape or (1 in (p.ndim, q.ndim) and p.shape[-1] == q.shape[-1])):
        raise ValueError(
            f"pk and qk need one shape, or one of them is a single vector as long as the rows of the other; "
            f"found {p.shape} and {q.shape}."
        )
    shape = p.shape[:-1] if p.ndim > 1 else q.shape[:-1]
    if not shape:
        pair = (_read(one, name, logits, temperature) for one, name in ((p, "pk"), (q, "qk")))
        return _exact(function(*pair))
    out = np.empty(int(np.prod(shape)))
    step = max(1, _BLOCK_NUMBERS // p.shape[-1])
    single = [_read(one, name, logits, temperature) if one.ndim == 1 else None for one, name in ((p, "pk"), (q, "qk"))]
    rows = [one.reshape(-1, one.shape[-1]) for one in (p, q)]
    for first in range(0, len(out), step):
        block = slice(first, first + step)
        parts = [
            known or _read(one[block], name, logits, temperature, Place(shape, first))
            for known, one, name in zip(single, rows, ("pk", "qk"), strict=True)
        ]
        out[block] = function(*parts)
    return out.reshape(shape)


class Place(NamedTuple):
    """Where rows that are looked at together are: the shape of all rows, and the number of the first."""

    shape: tuple[int, ...] = ()
    first: int = 0

    def row(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """The place of a row, or of an entry, among all."""
        if not self.shape or not place:
            return place
        return (*(int(i) for i in np.unravel_index(self.first + place[0], self.shape)), *place[1:])


def _numbers(values: Any, name: str) -> NDArray[Any]:
    """Rows of real numbers, as they are."""
    given = np.asarray(look(values, name))
    if given.ndim == 0 or given.size == 0:
        raise ValueError(f"{name} must be a vector or rows of probabilities; found shape {given.shape}.")
    if given.dtype.kind not in "buif":
        raise ValueError(
            f"{name} must hold real numbers; found dtype {given.dtype}. For labels use categorical_entropy."
        )
    return given


def _read(
    given: NDArray[Any], name: str, logits: bool, temperature: float, where: Place | None = None
) -> Probabilities:
    where = where or Place()
    array = given.astype(np.float64)
    if logits:
        return _read_logits(array, name, temperature, where)
    if temperature != 1.0:
        raise ValueError(f"temperature={temperature!r} divides logits; probabilities have none: set logits=True.")
    if not (array.min(initial=0.0) >= 0.0 and array.max(initial=0.0) < np.inf):
        _reject(~(array >= 0.0) | np.isinf(array), array, name, "a probability is a number between 0 and 1", where)
    # Probabilities computed in single precision sum to 1 only that well.
    tolerance = 1e-9
    if given.dtype.kind == "f":
        tolerance = max(tolerance, 64.0 * float(np.finfo(given.dtype).eps))
    total = array.sum(axis=-1)
    wrong = np.abs(total - 1.0) > tolerance
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong)) if total.ndim else ()
        raise ValueError(
            f"{_row(name, where.row(place))} sums to {float(total[place])!r}; probabilities sum to 1 (within {tolerance:.1e}). "
            "If the numbers are only proportional to probabilities, divide them by their sum; logits need logits=True."
        )
    with np.errstate(divide="ignore"):
        return Probabilities(array, np.log(array))


def _read_logits(array: FloatArray, name: str, temperature: float, where: Place) -> Probabilities:
    if not (np.isfinite(temperature) and temperature > 0.0):
        raise ValueError(f"temperature must be a positive number; found {temperature!r}.")
    largest = array.max(axis=-1, keepdims=True)
    if not (largest < np.inf).all():  # nan or inf is the largest of its row
        wrong = np.isnan(array) | (array == np.inf)
        _reject(wrong, array, name, "a logit is a finite number, or -inf for probability 0", where)
    empty = largest[..., 0] == -np.inf
    if empty.any():
        place = tuple(int(i[0]) for i in np.nonzero(empty)) if empty.ndim else ()
        raise ValueError(f"{_row(name, where.row(place))} has only logits of -inf, which give no probabilities.")
    # In place, and one exponential: p = exp(z) / sum, log p = z - log(sum) for z = (logit - largest) / temperature.
    array -= largest
    if temperature != 1.0:
        array /= temperature
    p = np.exp(array)
    total = p.sum(axis=-1, keepdims=True)
    p /= total
    array -= np.log(total)
    return Probabilities(p, array)


def _reject(wrong: NDArray[np.bool_], array: FloatArray, name: str, rule: str, where: Place) -> None:
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong))
        found = float(array[place])
        raise ValueError(f"{name}[{', '.join(map(str, where.row(place)))}] is {found!r}; {rule}.")


def _row(name: str, place: tuple[int, ...]) -> str:
    return f"Row {', '.join(map(str, place))} of {name}" if place else name
