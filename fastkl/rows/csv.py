"""CSV files, read a few megabytes at a time. A first line of numbers is a row; any other holds the names of the columns."""

import csv
import gzip
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.columns import Choice, chosen, column_number
from fastkl.rows.read_ahead import read_ahead
from fastkl.rows.source import Block, Source
from fastkl.rows.weights import Weights

TEXT_BYTES = 8 << 20
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]


class CsvSource(Source):
    """The rows of a CSV file (``.csv``) or one with tabs (``.tsv``), plain or compressed by gzip (``.gz``)."""

    def __init__(self, path: Path, choice: Choice, weights: Weights | None = None, block_rows: int | None = None):
        self._arrow = arrow.import_pyarrow("Reading CSV")
        self._path, self._choice, self._weights, self._block_rows = path, choice, weights, block_rows
        self._delimiter = "\t" if ".tsv" in path.suffixes[-2:] else ","
        opener: Any = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", newline="", encoding="utf-8-sig") as stream:
            first = next(csv.reader(stream, delimiter=self._delimiter), None)
        if not first:
            raise SourceError(f"{path} is empty.")
        self._headless = all(map(_is_number, first))
        self._names = [f"f{j}" for j in range(len(first))] if self._headless else first
        self._resolve()

    def _resolve(self) -> None:
        place = str(self._path)
        names = None if self._headless else self._names
        if names is None and self._choice.weights is not None:
            raise SourceError(
                f"{place} starts with a row of numbers in place of names, so that {self._choice.weights!r} names no weights."
            )
        self._wanted = [self._names[j] for j in chosen(self._choice, names, len(self._names), place)]
        if self._choice.weights is not None:
            column_number(self._choice.weights, names, 0, place)
        self.names, self.n_columns = None if self._headless else self._wanted, len(self._wanted)

    def select(self, columns: Sequence[Any]) -> None:
        if self._choice.columns is None and not self._headless:
            self._choice = Choice(list(columns), self._choice.weights, self._choice.labels)
            self._resolve()

    def blocks(self) -> Iterator[Block]:
        return read_ahead(self._converted())

    def _batches(self) -> Iterator[Any]:
        from pyarrow import csv as arrow_csv

        numbers = [] if self._choice.labels else list(self._wanted)
        numbers += [self._choice.weights] if self._choice.weights is not None else []
        read = list(dict.fromkeys([*self._wanted, *numbers]))
        try:
            with arrow_csv.open_csv(
                self._path,
                arrow_csv.ReadOptions(
                    use_threads=False, block_size=TEXT_BYTES, column_names=self._names if self._headless else None
                ),
                arrow_csv.ParseOptions(delimiter=self._delimiter),
                arrow_csv.ConvertOptions(
                    column_types={name: self._arrow.float64() for name in numbers},
                    include_columns=read,
                    null_values=[""] if self._choice.labels else MISSING,  # NA may be a label
                    strings_can_be_null=True,
                ),
            ) as reader:
                yield from reader
        except (self._arrow.ArrowInvalid, self._arrow.ArrowKeyError) as error:
            raise SourceError(f"{self._path} does not read as a table: {error}") from error

    def _converted(self) -> Iterator[Block]:
        number, row = 0, 0
        for batch in self._batches():
            columns = [batch.column(batch.schema.names.index(name)) for name in self._wanted]
            dtype = arrow.matrix_type([c.type for c in columns], self._wanted, self._choice.labels, str(self._path))
            X = arrow.fill(columns, self._choice.labels, dtype)
            weights = None if self._choice.weights is None else arrow.weight_column(batch, self._choice.weights, "")
            size = self._block_rows or max(1, len(X))
            for start in range(0, len(X), size):
                part = X[start : start + size]
                given = None if weights is None else weights[start : start + size]
                if self._weights is not None:
                    given = self._weights.part(row, len(part))
                yield Block(np.ascontiguousarray(part), given, row, number)
                number, row = number + 1, row + len(part)
        if self._weights is not None:
            self._weights.check(row)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip() in MISSING
    return True
