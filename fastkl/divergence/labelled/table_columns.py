"""Columns of two tables side by side: which are numbers, dates or labels in both, and what is missing.

Dates are compared as days, in UTC where they have a time zone, and spans of time as numbers of days; texts that all are dates in
ISO form are dates too. Numbers in one table and labels in the other are an error: that is a file that was read wrongly (a decimal
comma, a unit in a cell), and no distance between the two means anything. So are dates with a time zone against dates without.

Labels are compared by their text, which depends on their value alone: pandas makes an integer column with a missing value one of
floats, and 2019.0 is the label 2019.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.wording import capital, plural
from fastkl.divergence.arguments import refuse_merged
from fastkl.divergence.matching import given_names, order_of_columns
from fastkl.divergence.models.model import is_model
from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows.columns import listed, named
from fastkl.rows.missing import missing
from fastkl.rows.reading import refuse_containers, refuse_masked, refuse_nested, refuse_sparse
from fastkl.rows.tables import column_names, column_types, column_values, is_table

NUMBER, DATE, LABEL, MIXED = "number", "date", "label", "mixed"
_SPAN = "span"  # of time; a number once both are known to be spans
# "id", "customer_id", "rowIndex"; not "paid"
IDENTIFIER = re.compile(r"(^|[\W_])(?i:id|uid|uuid|guid|key|index|idx|row)$|[a-z](Id|ID|Key|Index)$")
_FEW = 10  # fewer values may all be different by chance
_DIFFERENT = 0.5  # labels of which a larger share is different are names or free text
_BEYOND_CHANCE = 3.5  # standard errors between two shares of missing values
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
        float64 for numbers, dates and spans of time (days), else texts; rows in which the value is missing are there.
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

    @property
    def names_rows(self) -> bool:
        """Whether values of both tables look like names of rows: labels most of which differ, or whole numbers that are all
        different, and called so or in equal steps.
        """
        return self.kind != DATE and all(self._names_rows(self.present(side)) for side in (0, 1))

    @property
    def is_before_or_after(self) -> bool:
        """Whether these are dates of two times, such as two weeks, which are apart whatever else has changed."""
        first, second = self.present(0), self.present(1)
        return self.kind == DATE and bool(first.max() < second.min() or second.max() < first.min())

    @property
    def doubts(self) -> list[str]:
        """What makes all numbers about the column doubtful."""
        if not self.names_rows:
            return []
        different = [f"{len(np.unique(x)):,} different values in {len(x):,} rows" for x in map(self.present, (0, 1))]
        words = "names of rows, or free text" if self.kind == LABEL else "names of rows"
        return [
            f"The values look like {words} ({different[0]} in P, {different[1]} in Q), which differ between any two tables: no "
            "number in this line is evidence of a change, nor is the stability index."
        ]

    def _names_rows(self, values: NDArray[Any]) -> bool:
        if self.kind == LABEL:
            return len(values) >= _FEW and len(np.unique(values)) > _DIFFERENT * len(values)
        if len(values) < _FEW or np.any(values != np.rint(values)) or len(np.unique(values)) < len(values):
            return False
        return bool(IDENTIFIER.search(str(self.name))) or len(np.unique(np.diff(values))) == 1


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
    names_of_both = [first.name for first, _ in both]
    unknown = [label for label in labels if label not in names_of_both]
    if unknown:
        raise SourceError(f"labels names {listed(unknown)}, and the columns are {listed(names_of_both)}.")
    return [_pair(first, second, first.name in labels) for first, second in both]


def gap(kept: tuple[int, int], gone: tuple[int, int]) -> str:
    """How many rows are left out for missing values, and whether those are more in one table than chance makes them."""
    n = [present + lacking for present, lacking in zip(kept, gone, strict=True)]
    shares = [lacking / rows for lacking, rows in zip(gone, n, strict=True)]
    sides = zip(gone, "PQ", shares, strict=True)
    without = " and ".join(
        f"{plural(lacking, 'row')} of {side} ({100.0 * share:.3g} %)" for lacking, side, share in sides
    )
    both = sum(gone) / sum(n)
    noise = np.sqrt(both * (1.0 - both) * (1.0 / n[0] + 1.0 / n[1]))
    more = ": shares that differ by more than chance" if abs(shares[0] - shares[1]) > _BEYOND_CHANCE * noise else ""
    return f"without {without}, where a value is missing{more}"


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


class _Column(NamedTuple):
    """A column of a table: ``zoned`` where its type says that its dates have a time zone, which the values need not show."""

    name: Any
    values: NDArray[Any]
    zoned: bool


class _Side(NamedTuple):
    """A column by its kind, None if all values are missing; whether its dates have a time zone, None if it has none."""

    kind: str | None
    values: NDArray[Any]
    missing: NDArray[np.bool_]
    aware: bool | None = None


def _columns(data: Any, name: str) -> list[_Column]:
    """The columns of a table or a matrix."""
    refuse_sparse(data, name)
    if isinstance(data, np.ma.MaskedArray):
        refuse_masked(data, name)
    if is_table(data) or hasattr(data, "column_names"):
        names, types = column_names(data) or [], column_types(data)
        found = [
            _Column(column, column_values(data, j), getattr(dtype, "tz", getattr(dtype, "time_zone", None)) is not None)
            for j, (column, dtype) in enumerate(zip(names, types, strict=True))
        ]
        for column, dtype in zip(found, types, strict=True):
            refuse_nested(f"column {column.name!r}", dtype, column.values, name)
        if not found or not len(found[0].values):
            raise ValueError(f"{name} is empty: {len(found[0].values) if found else 0} rows, {len(found)} columns.")
        return found
    if is_model(data):
        raise TypeError(f"{name} is a model; tables are compared. Pass draws from it.")
    refuse_containers(data, name)
    array = np.asarray(data)
    array = array[:, np.newaxis] if array.ndim == 1 else array
    if array.ndim != 2 or not array.size:
        raise ValueError(f"{name} is a table, or an array of shape (rows, columns); found shape {array.shape}.")
    return [_Column(j, array[:, j], False) for j in range(array.shape[1])]


def _chosen(name: Any, read: list[_Column], table: str) -> _Column:
    for column in read:
        if column.name == name:
            return column
    raise SourceError(f"{table} has no column {name!r}; it has {listed([column.name for column in read])}.")


def _pair(first: _Column, second: _Column, label: bool) -> ColumnPair:
    name = first.name
    sides = [_settled(column, side, name, label) for column, side in ((first, "p"), (second, "q"))]
    _refuse_other_kinds(name, (first, second), sides)
    kind = next((side.kind for side in sides if side.kind is not None), LABEL)
    values = [side.values if side.kind is not None else _nothing(len(side.values), kind) for side in sides]
    for table, x, side in zip(("p", "q"), values, sides, strict=True):
        if kind != LABEL and np.isinf(x).any():
            row = int(np.argmax(np.isinf(x)))
            raise ValueError(f"{table} holds {x[row]} in row {row}, {_in_words(name)}; finite numbers are expected.")
        if side.missing.all():
            raise ValueError(f"Column {name!r} of {table} has no value that is not missing ({len(x)} rows).")
    gone = (sides[0].missing, sides[1].missing)
    if kind == LABEL:
        values = _texts(values, gone)
    return ColumnPair(name, NUMBER if kind == _SPAN else kind, (values[0], values[1]), gone)


def _refuse_other_kinds(name: Any, columns: tuple[_Column, _Column], sides: list[_Side]) -> None:
    """ColumnTypeError for values of two kinds, and for dates of which only those of one table have a time zone."""
    if sides[0].kind != sides[1].kind and None not in (sides[0].kind, sides[1].kind):
        examples = [
            f"{table} holds {_plural(side.kind)} ({_example(column.values, side.missing)!r})"
            for table, column, side in zip(("p", "q"), columns, sides, strict=True)
        ]
        raise ColumnTypeError(
            f"Column {name!r}: {examples[0]} and {examples[1]}. Give both the same type (a decimal comma or a unit in a cell "
            f"makes a column text), or name the column in labels."
        )
    if {sides[0].aware, sides[1].aware} == {True, False}:
        zoned, naive = ("p", "q") if sides[0].aware else ("q", "p")
        raise ColumnTypeError(
            f"Column {name!r}: the dates of {zoned} have a time zone and those of {naive} have none, so that hours may lie "
            f"between equal ones. Give both a zone (pandas: .dt.tz_localize) or take it off both."
        )


def _nothing(n: int, kind: str) -> NDArray[Any]:
    return np.full(n, None, dtype=object) if kind == LABEL else np.full(n, np.nan)


# -- kinds of values -----------------------------------------------------------------------------------------------------------


def _settled(column: _Column, table: str, name: Any, label: bool) -> _Side:
    """A column of one table by its kind; labels as the objects they are."""
    values, gone = column.values, missing(column.values)
    kind = values.dtype.kind
    if kind == "m" and np.datetime_data(values.dtype)[0] in ("Y", "M", "generic"):
        raise ColumnTypeError(
            f"{capital(_in_words(name))} of {table} holds {values.dtype}, spans of no fixed length. Convert it to days."
        )
    if kind in "mM":
        values = values.astype(f"{'datetime' if kind == 'M' else 'timedelta'}64[us]")
    if not label and kind in "mM":
        return _Side(DATE, _days(values), gone, column.zoned) if kind == "M" else _Side(_SPAN, _days(values), gone)
    if not label and kind in "iuf":
        refuse_merged(values, table, [name])
        return _Side(NUMBER, values.astype(np.float64), gone)
    objects = values.astype(object)
    present = objects[~gone].tolist()
    if not present:
        return _Side(None, objects, gone)
    types = set(map(type, present))
    aware = _have_zone(present, types, column, table, name)
    if not label:
        if all(map(_is_number, types)):
            refuse_merged(np.where(gone, 0, objects), table, [name])
            return _Side(NUMBER, _placed([float(value) for value in present], gone), gone)
        if all(map(_is_span, types)):
            spans = np.array([np.timedelta64(value, "us") for value in present])
            return _Side(_SPAN, _placed(_days(spans), gone), gone)
        if all(map(_is_date, types)) or all(map(_is_iso, present)):
            try:
                days = _days(np.array([_moment(value) for value in present]))
            except ValueError:  # the 31st of February is a label
                return _Side(LABEL, objects, gone, aware)
            return _Side(DATE, _placed(days, gone), gone, bool(aware))
    return _Side(LABEL, objects, gone, aware)


def _placed(numbers: Any, gone: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Numbers at the rows that have one, and NaN at the others."""
    placed = np.full(len(gone), np.nan)
    placed[~gone] = numbers
    return placed


def _have_zone(present: list[Any], types: set[type], column: _Column, table: str, name: Any) -> bool | None:
    """Whether the dates among the values have a time zone; ColumnTypeError where only some have one."""
    dated = {one for one in types if _is_date(one)}
    aware = {
        column.zoned or getattr(value, "tzinfo", None) is not None
        for value in present
        if dated and type(value) in dated
    }
    if len(aware) > 1:
        raise ColumnTypeError(
            f"{capital(_in_words(name))} of {table} holds dates with a time zone and dates without. Give all of them one."
        )
    return aware.pop() if aware else None


def _is_number(kind: type) -> bool:
    not_numbers = (str, bytes, bool, np.bool_, np.datetime64, np.timedelta64)
    return hasattr(kind, "__float__") and not issubclass(kind, not_numbers)


def _is_span(kind: type) -> bool:
    return issubclass(kind, datetime.timedelta | np.timedelta64)


def _is_date(kind: type) -> bool:
    return hasattr(kind, "year") or issubclass(kind, np.datetime64)  # dates of every library and periods have years


def _is_iso(value: Any) -> bool:
    return isinstance(value, str) and _ISO.fullmatch(value) is not None


def _moment(value: Any) -> np.datetime64:
    """A date, in UTC if it has a time zone."""
    if isinstance(value, str):
        value = value.replace(" ", "T")
    elif getattr(value, "tzinfo", None) is not None:
        value = value.astimezone(datetime.UTC).replace(tzinfo=None)
    return np.datetime64(value, "us")


def _days(values: NDArray[Any]) -> NDArray[np.float64]:
    """Days, since 1970 for dates; NaN where they are missing."""
    return np.where(np.isnat(values), np.nan, values.astype(np.int64) / _DAY)


# -- texts of labels -----------------------------------------------------------------------------------------------------------


def _texts(values: list[NDArray[Any]], gone: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> list[NDArray[Any]]:
    """Labels of both tables as texts, None where one is missing; truth values beside numbers are 1 and 0."""
    sides = [x[~lacking].tolist() for x, lacking in zip(values, gone, strict=True)]
    numbers = any(_is_number(kind) for side in sides for kind in set(map(type, side)))
    out = []
    for lacking, present in zip(gone, sides, strict=True):
        texts = np.full(len(lacking), None, dtype=object)
        try:
            known = {value: _text(value, numbers) for value in set(present)}
            texts[~lacking] = [known[value] for value in present]
        except TypeError:  # lists and the like have no place in a set
            texts[~lacking] = [_text(value, numbers) for value in present]
        out.append(texts)
    return out


def _text(value: Any, numbers: bool) -> str:
    """One text for equal numbers, dates or spans of time of whatever type."""
    kind = type(value)
    if issubclass(kind, bool | np.bool_):
        return str(int(value) if numbers else bool(value))
    if issubclass(kind, int | np.integer):
        return str(int(value))
    if _is_number(kind):
        number = float(value)
        if number.is_integer() and value == int(value):
            return str(int(value))
        return str(number if number == value else value)
    try:
        if _is_date(kind):
            return str(_moment(value).item()).removesuffix(" 00:00:00")
        return str(np.timedelta64(value, "us").item()) if _is_span(kind) else str(value)
    except ValueError:  # a year beyond those of numpy
        return str(value)


def _plural(kind: str | None) -> str:
    return {NUMBER: "numbers", DATE: "dates", _SPAN: "spans of time"}.get(str(kind), "labels")


def _example(values: NDArray[Any], gone: NDArray[np.bool_]) -> Any:
    value = values[int(np.argmin(gone))]
    return value.item() if hasattr(value, "item") and values.dtype.kind in "iuf" else str(value)


def _in_words(name: Any) -> str:
    return named(name, None) if isinstance(name, int) else f"column {name!r}"
