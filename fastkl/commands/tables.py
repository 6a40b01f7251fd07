"""Files of rows, read block by block: CSV, Parquet and NPY, with errors that name file, row and column.

Every reader offers the names of its columns and blocks of some of them. What a value is (a number, a label, missing) is decided
here, once for all of them. Rows and columns count from 0, and rows do not include the header.
"""

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fastkl.commands.csv_source import CsvSource

BLOCK_ROWS = 1 << 17
ENDINGS = {".csv": "csv", ".tsv": "csv", ".txt": "csv", ".parquet": "parquet", ".pq": "parquet", ".npy": "npy"}
Column = NDArray[Any]


class Source(Protocol):
    """A file of rows."""

    names: list[str]

    def blocks(self, columns: Sequence[int], rows: int) -> Iterator[list[Column]]:
        """The chosen columns of at most ``rows`` rows at a time, as numbers where they are stored so, else as objects."""


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


def open_source(path: str) -> Source:
    """The reader for a file, by the ending of its name; ValueError or OSError for what cannot be read."""
    file = Path(path)
    plain = file.with_suffix("") if file.suffix.lower() == ".gz" else file
    kind = ENDINGS.get(plain.suffix.lower())
    if not file.exists():
        raise FileNotFoundError(f"there is no file {path}")
    if file.is_dir():
        raise IsADirectoryError(f"{path} is a folder, not a file of rows")
    if kind is None or (plain is not file and kind != "csv"):
        raise ValueError(
            f"{path} has an ending that is not known; CSV (.csv, .tsv, .txt, also .gz), Parquet (.parquet) and NPY (.npy) are "
            "read"
        )
    if file.stat().st_size == 0:
        raise ValueError(f"{path} is empty")
    if kind == "csv":
        return CsvSource(path)
    return ParquetSource(path) if kind == "parquet" else NpySource(path)


class NpySource:
    """An array in NumPy's format, mapped into memory; its columns are named by their numbers."""

    def __init__(self, path: str) -> None:
        self.path = path
        try:
            array = np.lib.format.open_memmap(path, mode="r")
        except ValueError as error:
            raise ValueError(f"{path} is not an array that can be read: {error}") from error
        if array.ndim not in (1, 2) or array.dtype.names is not None:
            raise ValueError(f"{path} holds an array of shape {array.shape}; rows and columns are expected")
        if len(array) == 0:
            raise ValueError(f"{path} has no rows")
        self.array = array.reshape(len(array), -1)
        self.names = [str(j) for j in range(self.array.shape[1])]

    def blocks(self, columns: Sequence[int], rows: int) -> Iterator[list[Column]]:
        """The chosen columns of at most ``rows`` rows at a time."""
        for start in range(0, len(self.array), rows):
            block = self.array[start : start + rows]
            yield [block[:, j] if block.dtype.kind in "fiub" else block[:, j].astype(object) for j in columns]


class ParquetSource:
    """A Parquet file, read by pyarrow."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as file:
            # pandas stores an index without a name as a column of its own
            self.names = [name for name in file.schema_arrow.names if not name.startswith("__index_level_")]

    def _open(self) -> Any:
        try:
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ImportError(f"reading {self.path} needs pyarrow: pip install 'fastkl[files]'") from error
        try:
            return pq.ParquetFile(self.path)
        except ValueError as error:
            raise ValueError(f"{self.path} is not a Parquet file that can be read: {error}") from error

    def blocks(self, columns: Sequence[int], rows: int) -> Iterator[list[Column]]:
        """The chosen columns of at most ``rows`` rows at a time."""
        names = [self.names[j] for j in columns]
        with self._open() as file:
            for batch in file.iter_batches(batch_size=rows, columns=names):
                found = [batch.column(name).to_numpy(zero_copy_only=False) for name in names]
                yield [column if column.dtype.kind in "fiub" else column.astype(object) for column in found]


# -- columns -------------------------------------------------------------------------------------------------------------------


def chosen(path: str, names: Sequence[str], wanted: str | None, option: str = "--columns") -> list[int]:
    """Numbers of the columns that a comma-separated option names (by name, else by number); all without it."""
    if wanted is None:
        return list(range(len(names)))
    found = []
    for one in (part.strip() for part in wanted.split(",")):
        if one in names:
            found.append(list(names).index(one))
        elif one.isdigit() and int(one) < len(names):
            found.append(int(one))
        else:
            near = difflib.get_close_matches(one, names, n=1)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{option}: {path} has no column {one!r}{hint}; it has {listed(names)}")
    if len(set(found)) != len(found):
        raise ValueError(f"{option} names a column twice: {wanted}")
    return found


def listed(names: Sequence[str], most: int = 8) -> str:
    """``"a, b, c, ... (12 in all)"``."""
    more = f", ... ({len(names)} in all)" if len(names) > most else ""
    return ", ".join(names[:most]) + more


# -- values --------------------------------------------------------------------------------------------------------------------


def read_table(path: str, columns: str | None = None, *, without: Sequence[int] = ()) -> Table:
    """All rows of the chosen columns: float64 where every value is a number, text elsewhere; ValueError for missing values."""
    source = open_source(path)
    picked = [j for j in chosen(path, source.names, columns) if j not in without]
    if not picked:
        raise ValueError(f"{path} has no column left to use; it has {listed(source.names)}")
    names = [source.names[j] for j in picked]
    parts: list[list[Column]] = [[] for _ in picked]
    n_rows = 0
    for block in source.blocks(picked, BLOCK_ROWS):
        for part, column in zip(parts, block, strict=True):
            part.append(column)
        n_rows += len(block[0])
    if n_rows == 0:
        raise ValueError(f"{path} has no rows")
    return Table(path, names, [_settled(path, name, part) for name, part in zip(names, parts, strict=True)])


def _settled(path: str, name: str, parts: list[Column]) -> Column:
    """One column out of its parts: numbers if all of them are, else text."""
    if all(part.dtype != object for part in parts):
        numbers = np.concatenate(parts).astype(np.float64)
        _refuse_missing(path, name, numbers, 0)
        return numbers
    values = np.concatenate([part.astype(object) for part in parts])
    numbers = as_numbers(values)
    missing = np.array([is_missing(value) for value in values])
    bad = np.isnan(numbers) & ~missing
    if missing.any():
        _missing_error(path, name, int(np.argmax(missing)))
    if not bad.any():
        return numbers
    if np.mean(bad) < 0.5:
        row = int(np.argmax(bad))
        raise ValueError(f"{path}: row {row}, column {name!r} holds {values[row]!r}, which is not a number")
    return np.array([str(value) for value in values], dtype=object)


def numeric_blocks(path: str, columns: Sequence[int], source: Source, rows: int) -> Iterator[NDArray[Any]]:
    """Blocks (n, d) of numbers, float32 where all columns are; ValueError naming the first value that is not a finite number."""
    names, first = [source.names[j] for j in columns], 0
    for block in source.blocks(columns, rows):
        settled = []
        for name, column in zip(names, block, strict=True):
            numbers = as_numbers(column) if column.dtype == object else column
            if column.dtype == object:
                _refuse_text(path, name, column, numbers, first)
            _refuse_missing(path, name, numbers, first)
            settled.append(numbers)
        single = all(column.dtype == np.float32 for column in settled)
        yield np.column_stack(settled).astype(np.float32 if single else np.float64, copy=False)
        first += len(settled[0])


def text_blocks(path: str, columns: Sequence[int], source: Source, rows: int) -> Iterator[NDArray[Any]]:
    """Blocks (n, d) of labels as they are stored; ValueError naming the first missing one."""
    names, first = [source.names[j] for j in columns], 0
    for block in source.blocks(columns, rows):
        for name, column in zip(names, block, strict=True):
            missing = np.array([is_missing(value) for value in column.tolist()])
            if missing.any():
                _missing_error(path, name, first + int(np.argmax(missing)))
        yield np.column_stack([column.astype(object) for column in block])
        first += len(block[0])


def as_numbers(values: Column) -> NDArray[np.float64]:
    """float64, NaN for what is not a number."""
    out = np.full(len(values), np.nan)
    for i, value in enumerate(values.tolist()):
        try:
            out[i] = float(value)
        except (TypeError, ValueError):
            continue
    return out


def is_missing(value: Any) -> bool:
    """None, NaN, NaT, NA or an empty text; the missing values of tables are those that do not equal themselves."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    same = value == value
    return not isinstance(same, bool | np.bool_) or not bool(same)


def _refuse_text(path: str, name: str, column: Column, numbers: NDArray[np.float64], first: int) -> None:
    for row, (value, number) in enumerate(zip(column.tolist(), numbers.tolist(), strict=True)):
        if number != number and not is_missing(value):
            raise ValueError(f"{path}: row {first + row}, column {name!r} holds {value!r}, which is not a number")


def _refuse_missing(path: str, name: str, numbers: Column, first: int) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(numbers.sum()) or np.isfinite(numbers).all():  # an infinite sum of finite numbers is rare
            return
    row = int(np.argmax(~np.isfinite(numbers)))
    if np.isnan(numbers[row]):
        _missing_error(path, name, first + row)
    raise ValueError(f"{path}: row {first + row}, column {name!r} holds {numbers[row]}; finite numbers are needed")


def _missing_error(path: str, name: str, row: int) -> None:
    raise ValueError(
        f"{path}: row {row}, column {name!r} is missing (empty or NaN); remove such rows, fill them, or leave the column out "
        "with --columns"
    )
