"""What the columns of a table hold: numbers or labels, and which of them are names of rows, dates or constants.

A column of an array of floats that are all whole may be an identifier, or numbers of rows; in a table the dtype decides.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.validation import validate_data

from fastkl._core.wording import capital
from fastkl.density.composed.product import ProductDensity
from fastkl.divergence.labelled.table_columns import IDENTIFIER
from fastkl.rows.columns import named, refuse_duplicates
from fastkl.rows.missing import missing
from fastkl.rows.sources.csv_dialect import other_separator
from fastkl.rows.tables import column_names, column_values, is_table

# A column of labels names its rows where at least this share of its values is different, of as many rows at least.
_DIFFERENT, _FEW = 0.5, 10
# Values that are looked at to tell dates from other texts.
_LOOKED_AT = 1000
# Numbers as people and spreadsheets write them, with groups of three digits, and with a currency before them or a unit behind.
_WRITTEN = re.compile(
    r"(?P<before>[$€£¥₹]?)\s*[-+−]?(\d{1,3}(?P<apart>[,'’ \u00a0\u202f])\d{3}((?P=apart)\d{3})*|"
    r"(?P<points>\d{1,3}(\.\d{3})+(?=,\d))|\d+|(?=[.,]))([.,]\d+)?\s*(?P<behind>[^\W\d_]{1,4}|[%‰$€£¥₹]|°[CF]?|)"
)
_THOUSANDS = re.compile(r"\d{1,3}(,\d{3})+(?!\d)")
_TIME = re.compile(r"\s*\d{1,3}:[0-5]\d(:[0-5]\d(\.\d+)?)?(\s?[AaPp][Mm])?\s*")
# Whole numbers from here on are not told apart as floating-point numbers.
_EXACT = 2**53
_DATE = re.compile(r"\s*(\d{4}[-/.]\d{1,2}[-/.]\d{1,2}|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4})([T ].*)?$")


@dataclass(frozen=True)
class Column:
    """One column: its key (a name, else a number), its place in words, and booleans, integers, floats or objects (labels)."""

    key: Any
    place: str
    values: NDArray[Any]

    @property
    def labels(self) -> bool:
        """Whether it holds labels."""
        return self.values.dtype.kind == "O"

    @property
    def numbers(self) -> NDArray[np.float64]:
        """The values as one contiguous column of numbers, (n,)."""
        return np.ascontiguousarray(self.values, dtype=np.float64)


def table_columns(X: Any) -> tuple[list[NDArray[Any]], list[Any] | None]:
    """Every column as an array of its own, and the names where there are some."""
    probe = ProductDensity([])
    if is_table(X):
        refuse_duplicates(column_names(X) or [], "X")
    else:
        array = np.asarray(validate_data(probe, X, dtype=None, ensure_all_finite=False))
        columns = [array[:, j] for j in range(array.shape[1])]
        if array.dtype.kind in "fO":
            # A float array of mixed columns has no dtypes to go by.
            columns = [_whole_as_integers(column) for column in columns]
        return columns, None
    validate_data(probe, X, skip_check_array=True)
    if hasattr(X, "iloc"):
        columns = [_of_pandas(X.iloc[:, j]) for j in range(X.shape[1])]
    else:
        columns = [column_values(X, j) for j in range(X.shape[1])]
    if not columns or not len(columns[0]):
        raise ValueError(f"A proposal needs rows; the table has shape {X.shape}.")
    names = getattr(probe, "feature_names_in_", None)
    return columns, None if names is None else [str(name) for name in names]


def _of_pandas(column: Any) -> NDArray[Any]:
    if str(column.dtype) != "category":
        return np.asarray(column.to_numpy())
    # Categories are labels even where they are written as numbers.
    labels = [None if code < 0 else str(column.cat.categories[code]) for code in column.cat.codes]
    return np.array(labels, dtype=object)


def _whole_as_integers(column: NDArray[Any]) -> NDArray[Any]:
    try:
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        return column
    whole = np.isfinite(numbers).all() and (numbers == np.rint(numbers)).all() and np.abs(numbers).max() < 2.0**53
    return numbers.astype(np.int64) if whole else numbers


def numbers_or_labels(column: NDArray[Any], place: str, index: NDArray[np.intp]) -> NDArray[Any]:
    """Booleans, integers, floats, or objects; an error for what is missing or neither, which calls the rows by the index."""
    if column.dtype.kind in "cV":
        raise TypeError(
            f"{capital(place)} holds {column.dtype}, neither numbers nor labels: convert it to one of these."
        )
    if column.dtype.kind == "O":
        gone = missing(column)
        if gone.any():
            raise ValueError(
                f"Row {index[np.argmax(gone)]}, {place} is missing; remove the row, or impute the value before."
            )
        column = _of_objects(column)
    if column.dtype.kind == "f" and not np.isfinite(column).all():
        row = int(np.argmin(np.isfinite(column)))
        raise ValueError(
            f"Row {index[row]}, {place} holds {column[row]!s}; remove the row, or impute the value before."
        )
    return column.astype(object) if column.dtype.kind in "USTa" else column


def _of_objects(column: NDArray[Any]) -> NDArray[Any]:
    """Booleans and numbers among Python's objects, the decimals of data bases too, as arrays of such; others as they are."""
    kinds = {type(value) for value in column.tolist()}
    if kinds <= {bool, np.bool_}:
        return column.astype(bool)
    if all(issubclass(kind, int | np.integer) for kind in kinds):
        try:
            return column.astype(np.int64)
        except OverflowError:
            return column.astype(np.float64)
    return column.astype(np.float64) if all(issubclass(kind, Real | Decimal) for kind in kinds) else column


def raise_if_missing(columns: Sequence[NDArray[Any]], names: Sequence[Any] | None) -> None:
    """ValueError that counts the missing values of every column that has some."""
    counts = {named(j, names): int(missing(column).sum()) for j, column in enumerate(columns)}
    found = [f"{place} ({count:,})" for place, count in counts.items() if count]
    if found:
        more = f", and {len(found) - 8} more columns" if len(found) > 8 else ""
        raise ValueError(
            f"Values are missing among {len(columns[0]):,} rows: {', '.join(found[:8])}{more}. Remove such rows "
            "(X.dropna() of pandas), fill the values, or leave the columns out."
        )


# -- columns that no family should be fitted to ---------------------------------------------------------------------------------


def reason_to_leave_out(column: Column, alone: bool) -> str | None:
    """Why a column says nothing about a distribution: constant, names of the rows, or dates; None if it may.

    ``alone`` is for the only column of a table, whose numbers are taken for numbers.
    """
    values, n = column.values, len(column.values)
    first = values[0]
    if all(value == first for value in values[:2]) and bool(np.all(values == first)):
        return f"constant: {first!s} in every row"
    if column.labels:
        texts = [str(value) for value in values.tolist()]
        separator = other_separator(column.key, texts) if alone else None
        if separator is not None:
            return (
                f"looks like several columns: the separator may be {separator!r} (commas, semicolons and tabs are read)"
            )
        return reason_of_texts(texts)
    if values.dtype.kind not in "iu" or alone:
        return None
    different = len(np.unique(values)) == n
    if n >= _FEW and different and len(np.unique(np.diff(values.astype(np.float64)))) == 1:
        return "looks like numbers of the rows: whole, each one the same step after the one before"
    if n >= _FEW and different and int(values.max()) >= _EXACT:
        return "looks like an identifier: whole numbers of 16 digits or more that are all different"
    if n > 1 and different and isinstance(column.key, str) and IDENTIFIER.search(column.key):
        return "looks like an identifier: by its name, and by whole numbers that are all different"
    if n >= _FEW and _dates_as_numbers(values):
        return "looks like dates, written as whole numbers such as 20240131"
    return None


def reason_of_texts(texts: list[str]) -> str | None:
    """Why texts are no labels: dates, times, numbers that are written as text, names of rows; None if they may be."""
    looked_at = texts[:: max(1, len(texts) // _LOOKED_AT)]
    if all(_DATE.match(text) for text in looked_at):
        return f"looks like dates: {texts[0]!r}"
    if all(_TIME.fullmatch(text) for text in looked_at):
        return f"looks like times of day or durations, such as {texts[0]!r}: write them as numbers, of hours or seconds"
    different = len(set(texts))
    if len(texts) >= _FEW and (many := different > _DIFFERENT * len(texts)) | (different > _FEW):
        written = _written_numbers(texts)
        if written is not None:
            return f"looks like numbers with {written}, such as {texts[0]!r}: write them as plain numbers"
        if many:
            return f"looks like an identifier or free text: {different:,} different values in {len(texts):,} rows"
    return None


def _written_numbers(texts: list[str]) -> str | None:
    """What makes texts of the numbers that a column holds; None where it holds others."""
    bare = [text.strip() for text in texts]
    found = [match for match in map(_WRITTEN.fullmatch, bare) if match]
    # Letters that are not the same behind every number are parts of a name: 12a, 12b.
    if len(found) < len(bare) or len({match["behind"] for match in found if match["behind"].isalpha()}) > 1:
        return None
    if any(match["behind"].isalpha() for match in found) and not all(match["behind"] for match in found):
        return None
    with_comma = [text for text in bare if "," in text]
    grouped = bool(with_comma) and all(map(_THOUSANDS.search, with_comma))
    either = grouped and all(text.count(",") == 1 and "." not in text for text in with_comma)  # 1,234 may be both
    beside = sorted({match[side] for match in found for side in ("before", "behind")} - {"", "%"})
    marks = {
        "a % sign": any("%" in text for text in bare),
        f"{' and '.join(map(repr, beside))} beside them": bool(beside),
        "a minus sign that is no hyphen (U+2212)": any("−" in text for text in bare),
        "thousands separators": (grouped and not either)
        or any(match["points"] or match["apart"] not in (None, ",") for match in found),
        "thousands separators or a decimal comma": either,
        "a decimal comma": bool(with_comma) and not grouped,
    }
    return " and ".join(mark for mark, seen in marks.items() if seen) or None


def _dates_as_numbers(values: NDArray[Any]) -> bool:
    """Whether all are eight digits of a year from 1900 to 2100, a month and a day."""
    if values.min() < 19000101 or values.max() > 21001231:
        return False
    month, day = values // 100 % 100, values % 100
    return bool(np.all((month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)))
