"""Files of rows as tables in memory: columns by name or number, each of numbers or of text, without missing values.

The files are read by ``fastkl.rows``; here is what a person at a terminal needs beside that. Rows and columns count from 0, and
rows do not include the header.
"""

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from fastkl.commands.layout import remark
from fastkl.commands.standard_input import shown
from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows import Source, open_source
from fastkl.rows.columns import column_number
from fastkl.rows.missing import missing
from fastkl.rows.npy_file import NpyFile
from fastkl.rows.opening import parquet_at
from fastkl.rows.sources.csv_dialect import MISSING, Dialect
from fastkl.rows.sources.parquet import DatesAsText, names_in

Column = NDArray[Any]
_LIMIT = re.compile(r"[<>≤≥]=?\s*[\d.,]+")  # of detection, or of a study


@dataclass(frozen=True)
class Table:
    """Columns in memory: float64 where every value is a number, else objects (text)."""

    path: str
    names: list[str]
    columns: list[Column]
    n_dropped: int = 0  # rows with missing values that are not in the columns
    named: bool = True  # whether the file names its columns; else names are their numbers
    codes: Mapping[str, str] = field(default_factory=dict)  # columns of numbers that may be codes, each with one

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
    files = parquet_at(path)
    if files:  # with columns that are none of rows, which can be left out
        return names_in(files[0]), True
    source = open_source(rows_of(path), labels=True)
    source.learn_columns()
    if source.names is not None:
        return list(source.names), True
    return [str(j) for j in range(source.n_columns or 0)], False


def remark_guess(path: str, source: Source) -> None:
    """Say what the first line was taken for, where it may be the other."""
    if source.guess == "row":
        remark(f"{shown(path)}: the first line, of numbers only, was taken as data; --header yes takes it as names")
    elif source.guess == "names":
        remark(f"{shown(path)}: the first line, with a number in it, was taken as names; --header no takes it as data")


def remark_codes(table: Table, advice: str, labels: Sequence[str] = ()) -> None:
    """Say which columns were taken for numbers, and are written like codes; ``labels`` are those that the user calls such."""
    for name, code in table.codes.items():
        if name in table.names and name not in labels and not table.is_text(table.names.index(name)):
            remark(
                f"{shown(table.path)}: column {name!r} was taken for numbers, and holds {code!r}. If these are codes (of places, "
                f"articles, accounts) or the digits behind a decimal comma, {advice}"
            )


def chosen(path: str, names: Sequence[str], wanted: str | Sequence[int] | None, option: str = "--columns") -> list[int]:
    """Numbers of the columns that a comma-separated option names (by name, else by number); all without it.

    A name with a comma in it stands in quotes, as in the files, or alone.
    """
    if wanted is None:
        return list(range(len(names)))
    if not isinstance(wanted, str):
        return list(wanted)
    try:
        given = [wanted] if wanted in names else next(csv.reader([wanted], skipinitialspace=True), []) or [""]
    except csv.Error as error:
        raise ValueError(f"{option}: {wanted!r:.80} is no list of columns: {error}") from error
    parts = [part if part in names else part.strip() for part in given]
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
    path: str,
    columns: str | Sequence[int] | None = None,
    *,
    last: int | None = None,
    drop_missing: bool = False,
    keep_missing: bool = False,
) -> Table:
    """All rows of the chosen columns: float64 where every value is a number, text elsewhere.

    Parameters
    ----------
    path : str
        The file.
    columns : str, sequence of int or None
        Names or numbers of columns, with commas between them, or their numbers; None takes all.
    last : int or None
        A column that is taken as the last one, whether it is among the others or not.
    drop_missing : bool
        Leave rows with missing values out, and count them in the table; ValueError for such a row without.
    keep_missing : bool
        Leave NaN, among labels None, where values are missing.
    """
    known, named = names_of(path)
    picked = [j for j in chosen(path, known, columns) if j != last]
    if not picked:
        raise ValueError(f"{path} has no column left to use; it has {listed(known)}")
    if last is not None:
        picked.append(last)
    names = [known[j] for j in picked]
    wanted: list[Any] = list(names) if named else list(picked)
    source, parts, codes = _read(path, wanted)
    remark_guess(path, source)
    number = Dialect(";", source.decimal).number
    if not sum(map(len, parts)):
        raise ValueError(f"{path} has no rows")
    settled = [_settled(path, name, [part[:, j] for part in parts], number) for j, name in enumerate(names)]
    empty = [name for name, (_, own), j in zip(names, settled, picked, strict=True) if own.all() and j != last]
    if (
        empty and columns is None and not keep_missing and len(empty) < len(names)
    ):  # as behind commas at the ends of lines
        remark(f"{shown(path)}: {listed(list(map(repr, empty)))} left out, where no row has a value")
        settled = [one for name, one in zip(names, settled, strict=True) if name not in empty]
        names = [name for name in names if name not in empty]
    if keep_missing:
        return Table(path, names, [_with_gaps(values, own) for values, own in settled], 0, named, codes)
    gone = np.any([own for _, own in settled], axis=0)
    if not gone.any():
        return Table(path, names, [values for values, _ in settled], 0, named, codes)
    if not drop_missing:
        _raise_missing(path, names, [own for _, own in settled])
    if gone.all():
        raise ValueError(f"{path}: a value is missing in every row")
    return Table(path, names, [values[~gone] for values, _ in settled], int(gone.sum()), named, codes)


def with_exact_labels(table: Table, labels: Sequence[str]) -> Table:
    """The table with whole numbers to the last digit in columns that are labels, where floating-point numbers lost some."""
    columns = list(table.columns)
    for name in set(labels) & set(table.codes) & set(table.names):
        j = table.names.index(name)
        if not table.is_text(j):
            wanted: list[Any] = [name] if table.named else [int(name)]
            values = np.concatenate(
                [part[:, 0] for part in _copied(open_source(rows_of(table.path), wanted, labels=True))]
            )
            whole = [
                None if np.isnan(near) else _exact(value, near) for value, near in zip(values, columns[j], strict=True)
            ]
            columns[j] = np.array(whole, dtype=object)
    return replace(table, columns=columns)


def _exact(value: Any, near: float) -> int | float:
    """A whole number as it is written; another one as it was read."""
    return int(value) if near.is_integer() and str(value).strip().lstrip("+-").isdecimal() else float(near)


def _read(path: str, wanted: list[Any]) -> tuple[Source, list[NDArray[Any]], Mapping[str, str]]:
    """The columns as numbers if they are, else as labels, dates among them as text; and what may be codes."""
    rows = rows_of(path)
    try:
        source = open_source(rows, wanted)
        return source, _copied(source), source.codes
    except SourceError:
        try:
            source = open_source(rows, wanted, labels=True)
            return source, _copied(source), source.codes
        except ColumnTypeError:
            files = parquet_at(path)
            if not files:
                raise
            dated = DatesAsText(files, wanted)
            source = open_source(dated, wanted, labels=True)
            try:
                return source, _copied(source), dated.codes
            except SourceError as error:  # there is more than dates
                raise SourceError(f"{path}: {error}") from error


def _copied(source: Source) -> list[NDArray[Any]]:
    """The matrices of all blocks."""
    with closing(source.passing()) as blocks:
        return [block.X.copy() for block in blocks]


def _settled(
    path: str, name: str, parts: list[Column], number: Callable[[str], float]
) -> tuple[Column, NDArray[np.bool_]]:
    """One column out of its parts, numbers if all of them are, else text; and where it is missing."""
    if all(part.dtype.kind in "fiub" for part in parts):
        numbers = np.concatenate(parts).astype(np.float64)
        return _finite(path, name, numbers)
    values = np.concatenate([part.astype(object) for part in parts])
    numbers = _as_numbers(values, number)
    blank = np.array([isinstance(value, str) and not value.strip() for value in values])
    gone = missing(values) | blank
    unknown = np.array([isinstance(value, str) and value.strip() in MISSING for value in values])
    bad = np.isnan(numbers) & ~gone & ~unknown
    # of the values that are there: NA among numbers is a missing one, among labels it is a label
    if bad.any() and np.mean(bad[~gone & ~unknown]) >= 0.5:
        return np.array([str(value) for value in values], dtype=object), gone
    if bad.any():
        row = int(np.argmax(bad))
        place = f"row {row}, column {name!r}"
        more = f" (no numbers stand there in {int(bad.sum()):,} of {len(bad):,} rows)" if bad.sum() > 1 else ""
        advice = "which is not a number; correct it, or leave it empty"
        if _LIMIT.fullmatch(values[row].strip()):
            advice = (
                "a limit and not a value: rows that are only known to lie below or above one (censored) are not fitted here, and "
                "to leave them out, or to put a number there, moves the fit"
            )
        raise ValueError(f"{path}: {place} holds {values[row]!r}, {advice}{more}")
    return _finite(path, name, numbers)


def _with_gaps(values: Column, gone: NDArray[np.bool_]) -> Column:
    """The column with NaN or None where it is missing."""
    if values.dtype == object:
        values = values.copy()
        values[gone] = None
    return values


def _as_numbers(values: Column, number: Callable[[str], float]) -> NDArray[np.float64]:
    """float64, NaN for what is not a number."""
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values.tolist()):
        try:
            out[i] = number(value) if isinstance(value, str) else float(value)
        except (TypeError, ValueError):
            continue
    return out


def _finite(path: str, name: str, numbers: Column) -> tuple[Column, NDArray[np.bool_]]:
    """Numbers and where they are missing; ValueError for an infinite one."""
    gone = np.isnan(numbers)
    infinite = ~np.isfinite(numbers) & ~gone
    if infinite.any():
        row = int(np.argmax(infinite))
        raise ValueError(f"{path}: row {row}, column {name!r} holds {numbers[row]}; finite numbers are needed")
    return numbers, gone


def _raise_missing(path: str, names: Sequence[str], gone: Sequence[NDArray[np.bool_]]) -> NoReturn:
    counts = [f"{name!r} {int(own.sum()):,}" for name, own in zip(names, gone, strict=True) if own.any()]
    name, first = next((name, int(np.argmax(own))) for name, own in zip(names, gone, strict=True) if own.any())
    raise ValueError(
        f"{path}: row {first}, column {name!r} is missing (empty or NaN); missing values by column, of {len(gone[0]):,} rows: "
        f"{listed(counts)}. Remove such rows (fastkl fit: --drop-missing), fill them, or leave columns out with --columns"
    )
