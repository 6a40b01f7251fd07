"""Columns of two tables side by side: which are numbers, dates or labels in both, and what is missing.

Dates are compared as days; texts that all are dates in ISO form are dates too. Numbers in one table and labels in the other are
an error: that is a file that was read wrongly (a decimal comma, a unit in a cell), and no distance between the two means
anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.matching import given_names, order_of_columns
from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows.columns import listed, named
from fastkl.rows.missing import missing
from fastkl.rows.reading import is_date_type, refuse_masked, refuse_sparse
from fastkl.rows.tables import column_names, column_types, column_values, is_table

NUMBER, DATE, LABEL = "number", "date", "label"
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}([ T]\d{2}:\d{2}(:\d{2}(\.\d+)?)?)?")
_DAY = np.timedelta64(1, "D") / np.timedelta64(1, "us")


@dataclass(frozen=True)
class ColumnPair:
    """A column of both tables.

    Attributes
    ----------
    name : hashable
        Its name, or its number where there are no names.
    kind : {"number", "date", "label"}
        Of the values in both.
    values : pair of ndarray of shape (n,), (m,)
        float64 for numbers and dates (days), else objects; rows in which the value is missing are there.
    missing : pair of ndarray of bool
        Where the value is missing.
    """

    name: Any
    kind: str
    values: tuple[NDArray[Any], NDArray[Any]]
    missing: tuple[NDArray[np.bool_], NDArray[np.bool_]]

    def present(self, side: int) -> NDArray[Any]:
        """The values of one table that are not missing."""
        return self.values[side][~self.missing[side]]


def paired_columns(p: Any, q: Any, columns: list[Any] | None, labels: list[Any]) -> list[ColumnPair]:
    """The columns of two tables, matched by name (by position where there are none), with their kinds."""
    read = [_columns(data, name) for data, name in ((p, "p"), (q, "q"))]
    names = [given_names(data, name) for data, name in ((p, "p"), (q, "q"))]
    if columns is None:
        order = order_of_columns(names[0], names[1])
        second = read[1] if order is None else [read[1][j] for j in order]
        if len(read[0]) != len(second):
            raise ValueError(f"p has {len(read[0])} columns and q has {len(second)}; they must have the same columns.")
        both = list(zip(read[0], second, strict=True))
    else:
        both = [(_chosen(column, read[0], "p"), _chosen(column, read[1], "q")) for column in columns]
    if not both:
        raise SourceError("There are no columns to compare: columns is empty.")
    unknown = [label for label in labels if label not in [first[0] for first, _ in both]]
    if unknown:
        raise SourceError(
            f"labels names {listed(unknown)}, and the columns are {listed([first[0] for first, _ in both])}."
        )
    return [_pair(first[0], first[1], second[1], first[0] in labels) for first, second in both]


def refuse_missing(pairs: list[ColumnPair], advice: str) -> None:
    """ValueError that counts the missing values of every column."""
    counts = [
        f"{int(gone.sum())} of {len(gone)} in column {pair.name!r} of {side}"
        for pair in pairs
        for side, gone in zip(("p", "q"), pair.missing, strict=True)
        if gone.any()
    ]
    if counts:
        raise ValueError(f"There are missing values: {', '.join(counts)}. {advice}")


def _columns(data: Any, name: str) -> list[tuple[Any, NDArray[Any]]]:
    """Names and values of the columns of a table or a matrix."""
    refuse_sparse(data, name)
    if isinstance(data, np.ma.MaskedArray):
        refuse_masked(data, name)
    if is_table(data) or hasattr(data, "column_names"):
        names, types = column_names(data) or [], column_types(data)
        found = []
        for j, (column, dtype) in enumerate(zip(names, types, strict=True)):
            values = column_values(data, j)
            if "bool" in str(dtype).lower():
                values = np.array([value if value is None else str(value) for value in values.tolist()], dtype=object)
            found.append((column, values.astype("datetime64[us]") if _are_dates(dtype, values) else values))
        if not found or not len(found[0][1]):
            raise ValueError(f"{name} is empty: {len(found[0][1]) if found else 0} rows, {len(found)} columns.")
        return found
    array = np.asarray(data)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} is a table, or an array of shape (rows, columns); found shape {array.shape}.")
    return [(j, array[:, j]) for j in range(array.shape[1])]


def _are_dates(dtype: Any, values: NDArray[Any]) -> bool:
    return values.dtype.kind == "M" or (is_date_type(dtype) and values.dtype.kind == "O")


def _chosen(column: Any, read: list[tuple[Any, NDArray[Any]]], name: str) -> tuple[Any, NDArray[Any]]:
    for known, values in read:
        if known == column:
            return known, values
    raise SourceError(f"{name} has no column {column!r}; it has {listed([known for known, _ in read])}.")


def _pair(name: Any, first: NDArray[Any], second: NDArray[Any], label: bool) -> ColumnPair:
    sides = [_settled(values, label) for values in (first, second)]
    kinds = [kind for kind, _, _ in sides]
    if kinds[0] != kinds[1] and None not in kinds:
        examples = [
            f"{side} holds {_plural(kind)} ({_example(raw, gone)!r})"
            for side, kind, raw, (_, _, gone) in zip(("p", "q"), kinds, (first, second), sides, strict=True)
        ]
        raise ColumnTypeError(
            f"Column {name!r}: {examples[0]} and {examples[1]}. Give both the same type (a decimal comma or a unit in a cell "
            f"makes a column text), or name the column in labels."
        )
    kind = next((kind for kind in kinds if kind is not None), LABEL)
    values = [side[1] if side[0] is not None else _nothing(len(side[1]), kind) for side in sides]
    for side, x, (_, _, gone) in zip(("p", "q"), values, sides, strict=True):
        if kind != LABEL and np.isinf(x).any():
            row = int(np.argmax(np.isinf(x)))
            raise ValueError(f"{side} holds {x[row]} in row {row}, {_in_words(name)}; finite numbers are expected.")
        if gone.all():
            raise ValueError(f"Column {name!r} of {side} has no value that is not missing ({len(gone)} rows).")
    return ColumnPair(name, kind, (values[0], values[1]), (sides[0][2], sides[1][2]))


def _nothing(n: int, kind: str) -> NDArray[Any]:
    return np.full(n, None, dtype=object) if kind == LABEL else np.full(n, np.nan)


def _settled(values: NDArray[Any], label: bool) -> tuple[str | None, NDArray[Any], NDArray[np.bool_]]:
    """Kind (None if all values are missing), values and where they are missing."""
    if values.dtype.kind == "b":
        values = values.astype(str).astype(object)
    if values.dtype.kind in "US":
        values = values.astype(object)
    gone = missing(values)
    if values.dtype.kind == "M" and not label:
        return DATE, _days(values), gone
    if values.dtype.kind in "iuf" and not label:
        return NUMBER, values.astype(np.float64), gone
    objects = values.astype(object)
    present = objects[~gone].tolist()
    if not present:
        return None, objects, gone
    if not label and all(hasattr(v, "__float__") and not isinstance(v, (str, bytes, bool)) for v in present):
        numbers = np.full(len(objects), np.nan)
        numbers[~gone] = [float(v) for v in present]
        return NUMBER, numbers, gone
    if not label and (all(hasattr(v, "isoformat") for v in present) or all(_is_iso(v) for v in present)):
        dates = np.full(len(objects), "NaT", dtype="datetime64[us]")
        try:
            dates[~gone] = [np.datetime64(v.replace(" ", "T") if isinstance(v, str) else v, "us") for v in present]
        except ValueError:  # the 31st of February is a label
            return LABEL, objects, gone
        return DATE, _days(dates), gone
    return (
        LABEL,
        np.array([v if g else str(v) for v, g in zip(objects.tolist(), gone, strict=True)], dtype=object),
        gone,
    )


def _is_iso(value: Any) -> bool:
    return isinstance(value, str) and _ISO.fullmatch(value) is not None


def _days(dates: NDArray[Any]) -> NDArray[np.float64]:
    """Days since 1970; NaN for a missing date."""
    microseconds = dates.astype("datetime64[us]")
    days = microseconds.astype(np.int64) / _DAY
    return np.where(np.isnat(microseconds), np.nan, days)


def _plural(kind: str | None) -> str:
    return {NUMBER: "numbers", DATE: "dates"}.get(str(kind), "labels")


def _example(values: NDArray[Any], gone: NDArray[np.bool_]) -> Any:
    value = values[int(np.argmin(gone))]
    return value.item() if hasattr(value, "item") and values.dtype.kind in "iuf" else str(value)


def _in_words(name: Any) -> str:
    return named(name, None) if isinstance(name, int) else f"column {name!r}"
