"""Files of rows as tables in memory: columns by name or number, each of numbers or of text, without missing values.

The files are read by ``fastkl.rows``; here is what a person at a terminal needs beside that. Rows and columns count from 0, and
rows do not include the header.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows import Source, open_source
from fastkl.rows.columns import column_number
from fastkl.rows.csv import MISSING
from fastkl.rows.missing import missing
from fastkl.rows.npy_file import NpyFile
from fastkl.rows.reading import first_not_finite

Column = NDArray[Any]


@dataclass(frozen=True)
class Table:
    """Columns in memory: float64 where every value is a number, else objects (text)."""

    path: str
    names: list[str]
    columns: list[Column]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return len(self.columns[0])

    def is_text(self, j: int) -> bool:
        """Whether a column holds anything but numbers."""
        return self.columns[j].dtype == object


# -- columns -------------------------------------------------------------------------------------------------------------------


def rows_of(path: str) -> Any:
    """What ``open_source`` takes for a file: its path, or for a vector in NPY format the array as one column."""
    if Path(path).suffix.lower() == ".npy" and Path(path).is_file():
        try:
            NpyFile(path, 1)
        except SourceError:
            return path
        return np.load(path, mmap_mode="r")[:, np.newaxis]
    return path


def names_of(path: str) -> tuple[list[str], bool]:
    """The names of the columns, and whether they have names; else these are their numbers."""
    source = open_source(rows_of(path), labels=True)
    source.learn_columns()
    if source.names is not None:
        return list(source.names), True
    return [str(j) for j in range(source.n_columns or 0)], False


def chosen(path: str, names: Sequence[str], wanted: str | None, option: str = "--columns") -> list[int]:
    """Numbers of the columns that a comma-separated option names (by name, else by number); all without it."""
    if wanted is None:
        return list(range(len(names)))
    parts = [part.strip() for part in wanted.split(",")]
    keys = [int(part) if part.isdigit() and part not in names else part for part in parts]
    found = [column_number(key, names, len(names), f"{option}: {path}") for key in keys]
    if len(set(found)) != len(found):
        raise ValueError(f"{option} names a column twice: {wanted}")
    return found


def listed(names: Sequence[str], most: int = 8) -> str:
    """``"a, b, c, ... (12 in all)"``."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# -- values --------------------------------------------------------------------------------------------------------------------


def read_table(
    path: str, columns: str | None = None, *, without: Sequence[int] = (), keep_missing: bool = False
) -> Table:
    """All rows of the chosen columns: float64 where every value is a number, text elsewhere.

    ValueError for missing values, or with ``keep_missing`` NaN and None in their places.
    """
    known, named = names_of(path)
    picked = [j for j in chosen(path, known, columns) if j not in without]
    if not picked:
        raise ValueError(f"{path} has no column left to use; it has {listed(known)}")
    names = [known[j] for j in picked]
    wanted: list[Any] = list(names) if named else list(picked)
    rows = rows_of(path)
    try:
        parts = _copied(open_source(rows, wanted))
    except SourceError:  # it may be that some columns hold text
        parts = _copied(open_source(rows, wanted, labels=True))
    if not sum(map(len, parts)):
        raise ValueError(f"{path} has no rows")
    settled = [_settled(path, name, [part[:, j] for part in parts], keep_missing) for j, name in enumerate(names)]
    return Table(path, names, settled)


def _copied(source: Source) -> list[NDArray[Any]]:
    """The matrices of all blocks."""
    # a generator, which can be closed; its type says iterator only
    with closing(source.passing()) as blocks:  # type: ignore[type-var]
        return [block.X.copy() for block in blocks]


def _settled(path: str, name: str, parts: list[Column], keep_missing: bool) -> Column:
    """One column out of its parts: numbers if all of them are, else text."""
    if all(part.dtype.kind in "fiub" for part in parts):
        numbers = np.concatenate(parts).astype(np.float64)
        _refuse_missing(path, name, numbers, keep_missing)
        return numbers
    values = np.concatenate([part.astype(object) for part in parts])
    numbers = _as_numbers(values)
    blank = np.array([isinstance(value, str) and not value.strip() for value in values])
    gone = missing(values) | blank
    unknown = np.array([isinstance(value, str) and value.strip() in MISSING for value in values])
    bad = np.isnan(numbers) & ~gone & ~unknown
    text = np.mean(bad) >= 0.5
    if not text:
        gone |= unknown  # NA among numbers is a missing one, among labels it is a label
    if gone.any() and not keep_missing:
        _missing_error(path, name, int(np.argmax(gone)))
    if text:
        return np.array([None if lost else str(value) for value, lost in zip(values, gone, strict=True)], dtype=object)
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{path}: row {row}, column {name!r} holds {values[row]!r}, which is not a number")
    _refuse_missing(path, name, numbers, keep_missing)
    return numbers


def _as_numbers(values: Column) -> NDArray[np.float64]:
    """float64, NaN for what is not a number."""
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values.tolist()):
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            continue
    return out


def _refuse_missing(path: str, name: str, numbers: Column, keep_missing: bool) -> None:
    place = first_not_finite(numbers[~np.isnan(numbers)] if keep_missing else numbers)
    if place is None:
        return
    row = place[0]
    if np.isnan(numbers[row]):
        _missing_error(path, name, row)
    raise ValueError(f"{path}: row {row}, column {name!r} holds {numbers[row]}; finite numbers are needed")


def _missing_error(path: str, name: str, row: int) -> None:
    raise ValueError(
        f"{path}: row {row}, column {name!r} is missing (empty or NaN); remove such rows, fill them, or leave the column out "
        "with --columns"
    )
