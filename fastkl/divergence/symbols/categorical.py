"""Symbol counts from labels of any type, or from counts: what every estimate for categorical data starts from.

Labels are compared by value, never by position or by their printed form. Integers stay integers on the way (a detour
over floats would merge neighbours above 2^53), missing labels are an error rather than a symbol, and a joint symbol is
a row of several columns. Weights are numbers of repetitions: an integer weight gives exactly the counts of the repeated
rows.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import _safe_indexing

from fastkl._core.distinct import distinct
from fastkl.divergence.arguments import FloatArray, plain_numbers
from fastkl.divergence.matching import by_position
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.columns import named, refuse_duplicates
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.missing import missing
from fastkl.rows.reading import look, refuse_containers, refuse_dates_and_nested, refuse_sparse, refuse_unread
from fastkl.rows.tables import column_names
from fastkl.rows.weights import read_weights

MOST = 1e15  # of a total: beyond, floats can't tell a number of occurrences from the next one


class Tally(NamedTuple):
    """How often each symbol occurs; symbols without a count are there only if the input declared them."""

    symbols: Sequence[Any]
    counts: FloatArray
    n_samples: int


def tally(x: Any, name: str, counts: bool, sample_weight: ArrayLike | None) -> Tally:
    """Count the symbols of ``x``: labels, or the counts themselves."""
    refuse_sparse(x, name)
    if counts:
        if sample_weight is not None:
            raise ValueError("Weights belong to rows of labels; with counts=True put them into the counts.")
        return _tally_counts(x, name)
    columns, names = _columns(x, name), column_names(x)
    places = [named(j, names or None) for j in range(len(columns))]
    codes, symbols, declared = _encode(columns[0], name, places[0] if len(columns) > 1 else None)
    for j, column in enumerate(columns[1:], start=1):
        other, other_symbols, _ = _encode(column, name, places[j])
        if len(other) != len(codes):
            raise ValueError(f"Column {j} of {name} has {len(other)} rows, column 0 has {len(codes)}.")
        # Both factors are at most the number of rows, so that their product fits into 64 bits.
        pairs, codes = distinct(codes * len(other_symbols) + other)
        left, right = np.divmod(pairs, len(other_symbols))
        rows = [symbols[i] if j > 1 else (symbols[i],) for i in left.tolist()]
        symbols, declared = [(*row, other_symbols[i]) for row, i in zip(rows, right.tolist(), strict=True)], False
    if len(codes) == 0:
        raise DegenerateDataError(f"{name} has no rows: there is nothing to count.")
    refuse_other_rows(x, sample_weight, (name, f"sample_weight of {name}"))
    weights = read_weights(sample_weight, len(codes), f"sample_weight of {name}")
    totals = np.bincount(codes, weights=weights, minlength=len(symbols)).astype(np.float64)
    _refuse_beyond_counting(totals, name)
    if not declared and not totals.all():
        # A row of weight 0 is a row that is not there.
        present = np.flatnonzero(totals)
        symbols, totals = [symbols[i] for i in present.tolist()], totals[present]
    return Tally(symbols, totals, len(codes) if weights is None else int(np.count_nonzero(weights)))


def align(p: Tally, q: Tally, counts: bool, names: tuple[str, str]) -> tuple[list[Any], FloatArray, FloatArray]:
    """The union of the symbols of both samples, and the counts of each over it."""
    if counts:
        if len(p.counts) != len(q.counts):
            raise ValueError(
                f"With counts=True the two arrays align symbol by symbol; {names[0]} has {len(p.counts)} symbols and {names[1]} "
                f"{len(q.counts)}. Give the symbols that one of them lacks a count of 0."
            )
        return list(p.symbols), p.counts, q.counts
    p_width, q_width = (len(t.symbols[0]) if isinstance(t.symbols[0], tuple) else 1 for t in (p, q))
    if p_width != q_width:
        raise ValueError(
            f"{names[0]} has {p_width} columns and {names[1]} has {q_width}; a joint symbol needs the same columns in both."
        )
    union: dict[Any, int] = {}
    where = [np.array([union.setdefault(symbol, len(union)) for symbol in t.symbols]) for t in (p, q)]
    both = np.zeros((2, len(union)))
    for row, places, t in zip(both, where, (p, q), strict=True):
        # Distinct symbols of one sample are distinct here too, so nothing is overwritten.
        row[places] = t.counts
    return list(union), both[0], both[1]


def frequency(counts: FloatArray, r: int) -> float:
    """Number of symbols seen ``r`` times; a fractional count belongs to both neighbouring integers in proportion."""
    return float(np.maximum(0.0, 1.0 - np.abs(counts - r)).sum())


def unseen_mass(counts: FloatArray) -> float:
    """Good-Turing estimate of the probability of all symbols that are not in the sample (doi:10.1093/biomet/40.3-4.237)."""
    return frequency(counts, 1) / float(counts.sum())


def _tally_counts(x: Any, name: str) -> Tally:
    given = plain_numbers(np.asarray(look(by_position(x), name)))
    if given.ndim != 1 or given.dtype.kind not in "buif":
        raise ValueError(
            f"With counts=True {name} must be a one-dimensional array of numbers; found shape {given.shape} and dtype "
            f"{given.dtype}. Counts of joint symbols go in flattened; labels need counts=False."
        )
    totals = given.astype(np.float64)
    wrong = ~(totals >= 0.0) | np.isinf(totals)
    if wrong.any():
        i = int(np.argmax(wrong))
        raise ValueError(f"Entry {i} of {name} is {float(totals[i])!r}; a count is a finite number >= 0.")
    if not totals.any():
        raise DegenerateDataError(f"{name} has no positive count: there is no sample.")
    _refuse_beyond_counting(totals, name)
    return Tally(range(len(totals)), totals, round(float(totals.sum())))


def _refuse_beyond_counting(totals: FloatArray, name: str) -> None:
    """ValueError for positive totals that are no numbers of occurrences."""
    strange = (totals > MOST) | ((totals > 0.0) & (totals < 1.0 / MOST))
    if strange.any():
        raise ValueError(
            f"{name} has a symbol of total {totals[strange][0]:.3g}. A total is a number of occurrences, up to {MOST:g} and, "
            f"where it is not 0, from {1.0 / MOST:g}: multiply counts or weights by a common factor."
        )


def _columns(x: Any, name: str) -> list[Any]:
    refuse_unread(x, name)
    if isinstance(x, Mapping):
        raise TypeError(
            f"{name} is a {type(x).__name__}, and labels one by one are expected: set counts=True for counts by label, or pass "
            f"pandas.DataFrame({name}) for columns by name."
        )
    refuse_containers(x, name)
    names = column_names(x)
    if names is not None:
        refuse_duplicates(names, name)
        return [_safe_indexing(x, j, axis=1) for j in range(len(names))] or [np.empty(0)]
    if _category_codes(x) is not None:
        return [x]
    if np.ma.isMaskedArray(x):
        _reject_masked(np.ma.getmaskarray(x), name)
    if isinstance(x, list | tuple):
        look(x, name)
    elif hasattr(x, "__dlpack__") and not isinstance(x, np.ndarray):
        x = look(x, name)
    array = np.asarray(x)
    if array.dtype.kind in "US" and not isinstance(x, np.ndarray) and not hasattr(x, "dtype"):
        # numpy turns [1, "1"] into two equal strings; as objects they stay what they are.
        array = np.array(x, dtype=object)
    if array.ndim == 1:
        return [array]
    if array.ndim == 2 and array.shape[1] > 0:
        return list(array.T)
    raise ValueError(f"{name} must be one column of labels, or rows of several; found an array of shape {array.shape}.")


def _reject_masked(masked: NDArray[np.bool_], name: str) -> None:
    by_column = masked.T if masked.ndim == 2 else [np.ravel(masked)]
    for j, column in enumerate(by_column):
        _reject_missing(column, name if len(by_column) == 1 else f"{named(j, None)} of {name}")


def _encode(column: Any, name: str, place: str | None) -> tuple[NDArray[np.intp], list[Any], bool]:
    """Codes from 0, what they stand for, and whether the column declares its symbols (pandas categories).

    ``place`` names the column where there are several.
    """
    whose = name if place is None else f"{place} of {name}"
    codes = _category_codes(column)
    if codes is not None:
        _reject_missing(codes < 0, whose)
        refuse_dates_and_nested(place or "column 0", column.dtype, None, name)
        return codes, column.dtype.categories.tolist(), True
    array = np.asarray(column)
    _reject_missing(missing(array), whose)
    refuse_dates_and_nested(place or "column 0", array.dtype, array, name)
    if array.dtype.kind == "O":
        return (*_encode_objects(array, whose), False)
    values, codes = distinct(array)
    return codes, values.tolist(), False


def _category_codes(x: Any) -> NDArray[np.intp] | None:
    """The codes of a pandas series, index or array of categories; None for anything else."""
    codes = getattr(getattr(x, "cat", x), "codes", None)
    if codes is None or not hasattr(getattr(x, "dtype", None), "categories"):
        return None
    return np.asarray(codes, dtype=np.intp)


def _encode_objects(array: NDArray[Any], name: str) -> tuple[NDArray[np.intp], list[Any]]:
    """By equality, in order of appearance: objects of different types cannot be sorted."""
    labels = array.tolist()
    found: dict[Hashable, int] = {}
    try:
        codes = np.array([found.setdefault(label, len(found)) for label in labels], dtype=np.intp)
    except TypeError as error:
        raise ValueError(f"The labels of {name} must be hashable (strings, numbers, ...); {error}.") from None
    return codes, list(found)


def _reject_missing(gone: NDArray[np.bool_], name: str) -> None:
    if gone.any():
        raise ValueError(
            f"Row {int(np.argmax(gone))} of {name} has no label ({int(gone.sum())} rows in all). Drop such rows, or give the "
            "missing ones a label of their own if they are to count as a symbol."
        )
