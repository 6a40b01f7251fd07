"""CSV files: the delimiter and whether there is a header are seen from the first line; pandas reads where it is installed.

A first line of numbers alone is a row, not a header, and the columns are then named by their numbers.
"""

import csv
import gzip
import itertools
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_DELIMITERS = ",;\t"
# What stands for a missing value, as pandas has it too.
_MISSING = {"", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "<NA>", "#N/A"}


class CsvSource:
    """A table as text, perhaps compressed by gzip."""

    def __init__(self, path: str) -> None:
        self.path = path
        with self._open() as file:
            try:
                first = next((line for line in file if line.strip()), "")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path} is not text in UTF-8: {error}") from error
            except OSError as error:
                raise ValueError(f"{path} can't be read: {error}") from error
        if not first:
            raise ValueError(f"{path} is empty")
        self.delimiter = max(_DELIMITERS, key=first.count)
        fields = [field.strip() for field in next(csv.reader([first], delimiter=self.delimiter))]
        self.has_header = not all(_is_number(field) for field in fields)
        self.names = _unique(fields) if self.has_header else [str(j) for j in range(len(fields))]

    def _open(self) -> Any:
        if self.path.lower().endswith(".gz"):
            return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
        return open(self.path, encoding="utf-8-sig", newline="")

    def blocks(self, columns: Sequence[int], rows: int) -> Iterator[list[NDArray[Any]]]:
        """The chosen columns of at most ``rows`` rows at a time: numbers, or objects where a value is not one."""
        try:
            import pandas as pd
        except ImportError:
            yield from self._plain_blocks(columns, rows)
            return
        reader = pd.read_csv(
            self.path,
            sep=self.delimiter,
            header=0 if self.has_header else None,
            names=list(
                range(len(self.names))
            ),  # all: with usecols, rows with too many values would be cut off in silence
            index_col=False,
            chunksize=rows,
            skipinitialspace=True,
            encoding="utf-8-sig",
            low_memory=False,  # it guesses types within a block
            **({} if _is_exact(pd.__version__) else {"float_precision": "round_trip"}),
        )
        with reader:
            while (frame := self._next_frame(reader)) is not None:
                found = [frame[j].to_numpy() for j in columns]
                yield [column if column.dtype.kind in "fiub" else column.astype(object) for column in found]

    def _next_frame(self, reader: Any) -> Any:
        """The next block as pandas reads it, None at the end."""
        import pandas as pd

        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            try:
                return next(reader, None)
            except pd.errors.ParserWarning as error:
                raise ValueError(f"{self.path}: rows have more values than the {len(self.names)} columns") from error
            except (pd.errors.ParserError, UnicodeDecodeError) as error:
                raise ValueError(f"{self.path} can't be read: {error}") from error

    def _plain_blocks(self, columns: Sequence[int], rows: int) -> Iterator[list[NDArray[Any]]]:
        with self._open() as file:
            lines = (line for line in csv.reader(file, delimiter=self.delimiter, skipinitialspace=True) if line)
            number = itertools.count(-1 if self.has_header else 0)
            checked = (self._whole(line, next(number)) for line in lines)
            if self.has_header:
                next(checked, None)
            while block := list(itertools.islice(checked, rows)):
                yield [_column([line[j] for line in block]) for j in columns]

    def _whole(self, line: list[str], row: int) -> list[str]:
        if len(line) != len(self.names):
            raise ValueError(f"{self.path}: row {row} has {len(line)} values for {len(self.names)} columns")
        return line


def _column(values: list[str]) -> NDArray[Any]:
    """float64 if every value is a number or missing, else the values themselves."""
    read = [float("nan") if value.strip() in _MISSING else value for value in values]
    try:
        return np.array([float(value) for value in read])
    except ValueError:
        return np.array(read, dtype=object)


def _is_exact(version: str) -> bool:
    """Whether pandas reads numbers exactly by default; before, the last digit could be wrong."""
    return tuple(int(part) for part in version.split(".")[:2]) >= (3, 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _unique(names: list[str]) -> list[str]:
    """Names that differ: a repeated or empty one gets the number of its column."""
    seen: set[str] = set()
    out = []
    for j, name in enumerate(names):
        fresh = name if name and name not in seen else f"{name or 'column'}.{j}"
        seen.add(fresh)
        out.append(fresh)
    return out
