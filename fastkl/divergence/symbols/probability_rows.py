"""Known probabilities, read and checked row by row, and functions of them in parts that fit a cache.

Vectors that are not normalised are an error, because renormalising them in silence hides the mistake that made them so. What is
held beside the input is some rows, or some symbols of a long row, so that a function of two distributions costs next to no memory
(but for logits, whose sum comes first); the place of a wrong number is named as if all were looked at together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.warned import warn
from fastkl.divergence.arguments import FloatArray, plain_numbers
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.matching import by_position, match_labels
from fastkl.exceptions import ProbabilityVectorWarning
from fastkl.rows.reading import look, refuse_sparse

# Numbers that are looked at together.
_BLOCK_NUMBERS = 1 << 15
# Logits whose sum is so near to 1, and none below 0, are none.
_NORMALISED = 1e-3


class Probabilities:
    """Probabilities along the last axis, and their logarithms.

    Parameters
    ----------
    p : ndarray of shape (..., K)
        The probabilities.
    log_p : ndarray of shape (..., K) or None
        Their logarithms, where more is known of these than p says; else they are taken when asked for.
    """

    def __init__(self, p: FloatArray, log_p: FloatArray | None = None) -> None:
        self.p, self.given = p, log_p

    @cached_property
    def log_p(self) -> FloatArray:
        """The logarithms; -inf for 0."""
        if self.given is not None:
            return self.given
        with np.errstate(divide="ignore"):
            return np.log(self.p)

    @cached_property
    def total(self) -> FloatArray:
        """Sums over the symbols."""
        return np.asarray(self.p.sum(axis=-1))

    def at(self, rows: NDArray[np.intp]) -> Probabilities:
        """Some rows; a single vector is the same for all."""
        if self.p.ndim == 1:
            return self
        return Probabilities(self.p[rows], None if self.given is None else self.given[rows])


def exact(values: FloatArray) -> Any:
    """One number as an estimate without error, more as they are."""
    return Estimate(float(values), standard_error=0.0) if np.ndim(values) == 0 else values


RowFunction = Callable[[Probabilities, Probabilities], FloatArray]


def of_rows(function: RowFunction, pk: Any, qk: Any, logits: bool, temperature: float) -> Any:
    """A function of two distributions for every row; what is held beside the input fits a cache.

    A few rows are looked at together, or some symbols of a long row: the function is a sum over symbols.
    """
    pk, qk = match_labels(pk, qk, None if logits else 0.0, ("pk", "qk"))
    p, q = numbers_of(pk, "pk"), numbers_of(qk, "qk")
    if not (p.shape == q.shape or (1 in (p.ndim, q.ndim) and p.shape[-1] == q.shape[-1])):
        raise ValueError(
            f"pk and qk need one shape, or one of them is a single vector as long as the rows of the other; "
            f"found {p.shape} and {q.shape}."
        )
    shape = p.shape[:-1] if p.ndim > 1 else q.shape[:-1]
    if p.shape[-1] > _BLOCK_NUMBERS and not logits:
        _refuse_temperature(temperature)
        pairs = zip(*(_long_rows(one, name, shape) for one, name in ((p, "pk"), (q, "qk"))), strict=True)
        long = np.array([_of_long_rows(function, pair) for pair in pairs]).reshape(shape)
        return exact(long)
    if not shape:
        pair = (read(one, name, logits, temperature) for one, name in ((p, "pk"), (q, "qk")))
        return exact(function(*pair))
    out = np.empty(int(np.prod(shape)))
    step = max(1, _BLOCK_NUMBERS // p.shape[-1])
    single = [read(one, name, logits, temperature) if one.ndim == 1 else None for one, name in ((p, "pk"), (q, "qk"))]
    rows = [one.reshape(-1, one.shape[-1]) for one in (p, q)]
    for first in range(0, len(out), step):
        block = slice(first, first + step)
        parts = [
            known or read(one[block], name, logits, temperature, Place(shape, first))
            for known, one, name in zip(single, rows, ("pk", "qk"), strict=True)
        ]
        out[block] = function(*parts)
    return out.reshape(shape)


class _LongRow(NamedTuple):
    """A row of many probabilities, as it was given."""

    values: NDArray[Any]
    name: str
    where: Place

    def part(self, first: int) -> Probabilities:
        """Some of it from the given symbol on."""
        part = self.values[first : first + _BLOCK_NUMBERS].astype(np.float64)
        return _checked(part, self.name, self.where._replace(symbol=first))


def _long_rows(given: NDArray[Any], name: str, shape: tuple[int, ...]) -> Iterator[_LongRow]:
    """The rows of one argument; of a single vector as many as the other has.

    It is checked anew beside each of them, which costs a little time where to keep what was checked would cost its memory.
    """
    size = int(np.prod(shape))
    if given.ndim == 1:
        return (_LongRow(given, name, Place()) for _ in range(size))
    return (_LongRow(row, name, Place(shape, i)) for i, row in enumerate(given.reshape(size, -1)))


def _of_long_rows(function: RowFunction, pair: tuple[_LongRow, _LongRow]) -> float:
    """The function of two long rows, a sum over parts of them."""
    value, totals = 0.0, np.zeros(2)
    for first in range(0, len(pair[0].values), _BLOCK_NUMBERS):
        parts = [row.part(first) for row in pair]
        value += float(function(parts[0], parts[1]))
        totals += [part.total for part in parts]
    for row, total in zip(pair, totals, strict=True):
        place = row.where.row((0,)) if row.where.shape else ()
        _check_total(float(total), _tolerance(row.values), row.name, place)
    return value


class Place(NamedTuple):
    """Where what is looked at is: the shape of all rows, the number of the first row, and that of the first symbol."""

    shape: tuple[int, ...] = ()
    first: int = 0
    symbol: int = 0

    def row(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """The place of a row among all."""
        if not self.shape or not place:
            return place
        return tuple(int(i) for i in np.unravel_index(self.first + place[0], self.shape))

    def entry(self, place: tuple[int, ...]) -> tuple[int, ...]:
        """The place of an entry among all: of a row with its number, or of a row that is looked at alone."""
        row = place[:-1] or ((0,) if self.shape else ())
        return (*self.row(row), place[-1] + self.symbol)


def numbers_of(values: Any, name: str) -> NDArray[Any]:
    """Rows of real numbers, as they are."""
    refuse_sparse(values, name)
    given = plain_numbers(np.asarray(look(by_position(values), name)))
    if given.ndim == 0 or given.size == 0:
        raise ValueError(f"{name} must be a vector or rows of probabilities; found shape {given.shape}.")
    if given.dtype.kind not in "buif":
        raise ValueError(
            f"{name} must hold real numbers; found dtype {given.dtype}. For labels use categorical_entropy."
        )
    return given


def read(given: NDArray[Any], name: str, logits: bool, temperature: float, where: Place | None = None) -> Probabilities:
    """The probabilities of rows of real numbers, checked."""
    where = where or Place()
    array = given.astype(np.float64)
    if logits:
        return _read_logits(array, name, temperature, where)
    _refuse_temperature(temperature)
    found = _checked(array, name, where)
    total, tolerance = found.total, _tolerance(given)
    wrong = np.abs(total - 1.0) > tolerance
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong)) if total.ndim else ()
        joint = bool(total.ndim > 0 and abs(array.sum() - 1.0) <= tolerance)
        _check_total(float(total[place]), tolerance, name, where.row(place), joint)
    return found


def _refuse_temperature(temperature: float) -> None:
    if temperature != 1.0:
        raise ValueError(f"temperature={temperature!r} divides logits; probabilities have none: set logits=True.")


def _tolerance(given: NDArray[Any]) -> float:
    """How well a sum has to be 1: probabilities computed in single precision sum to 1 only that well."""
    return max(1e-9, 64.0 * float(np.finfo(given.dtype).eps)) if given.dtype.kind == "f" else 1e-9


def _check_total(total: float, tolerance: float, name: str, row: tuple[int, ...], joint: bool = False) -> None:
    if abs(total - 1.0) > tolerance:
        advice = f"All rows together sum to 1: {name}.ravel() is one joint distribution. " if joint else ""
        raise ValueError(
            f"{_row(name, row)} sums to {total!r}; probabilities sum to 1 (within {tolerance:.1e}). {advice}"
            "If the numbers are only proportional to probabilities, divide them by their sum; logits need logits=True; counts of "
            "a sample are for the categorical_ calls, such as fastkl.categorical_entropy(counts, counts=True)."
        )


def _checked(array: FloatArray, name: str, where: Place) -> Probabilities:
    """Numbers that are checked to be probabilities, but for their sum."""
    if not (array.min(initial=0.0) >= 0.0 and array.max(initial=0.0) < np.inf):
        rule = "a probability is a number between 0 and 1 (logits and log-probabilities need logits=True)"
        _reject(~(array >= 0.0) | np.isinf(array), array, name, rule, where)
    return Probabilities(array)


def _read_logits(array: FloatArray, name: str, temperature: Any, where: Place) -> Probabilities:
    if not isinstance(temperature, Real) or not 0.0 < float(temperature) < np.inf:
        raise ValueError(f"temperature must be a positive number; found {temperature!r}.")
    largest = array.max(axis=-1, keepdims=True)
    if not (largest < np.inf).all():  # nan or inf is the largest of its row
        wrong = np.isnan(array) | (array == np.inf)
        _reject(wrong, array, name, "a logit is a finite number, or -inf for probability 0", where)
    empty = largest[..., 0] == -np.inf
    if empty.any():
        place = tuple(int(i[0]) for i in np.nonzero(empty)) if empty.ndim else ()
        raise ValueError(f"{_row(name, where.row(place))} has only logits of -inf, which give no probabilities.")
    _warn_of_no_logits(array, name)
    # In place, and one exponential: p = exp(z) / sum, log p = z - log(sum) for z = (logit - largest) / temperature.
    array -= largest
    if temperature != 1.0:
        array /= float(temperature)
    p = np.exp(array)
    total = p.sum(axis=-1, keepdims=True)
    p /= total
    array -= np.log(total)
    return Probabilities(p, array)


def _warn_of_no_logits(array: FloatArray, name: str) -> None:
    """Say so where probabilities, such as labels of one and zeros, were given as logits beside others that are."""
    rows = array.reshape(-1, array.shape[-1])
    if rows.size <= 2 or not (rows[0].min() >= 0.0 and abs(rows[0].sum() - 1.0) <= _NORMALISED):
        return  # most logits are seen to be none by their first row
    if rows.min() >= 0.0 and (np.abs(rows.sum(axis=-1) - 1.0) <= _NORMALISED).all():
        warn(
            f"{name} holds numbers >= 0 that sum to 1 in every row, taken for logits because of logits=True. If they are "
            f"probabilities, pass their logarithms, np.log({name}), which are logits too.",
            ProbabilityVectorWarning,
        )


def _reject(wrong: NDArray[np.bool_], array: FloatArray, name: str, rule: str, where: Place) -> None:
    if wrong.any():
        place = tuple(int(i[0]) for i in np.nonzero(wrong))
        found = float(array[place])
        raise ValueError(f"{name}[{', '.join(map(str, where.entry(place)))}] is {found!r}; {rule}.")


def _row(name: str, place: tuple[int, ...]) -> str:
    return f"Row {', '.join(map(str, place))} of {name}" if place else name
