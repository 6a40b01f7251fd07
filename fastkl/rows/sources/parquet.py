"""Parquet: a file, a folder of files, or files by pattern. Only the chosen columns are read, a part of a row group at a time.

All footers are read first: they hold the number of rows and the types of the columns, so that a file that does not fit
the others is an error before any work is done.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from fastkl._core.whole_numbers import EXACT
from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.batch import Choice, chosen
from fastkl.rows.columns import column_number
from fastkl.rows.source import Block, SourceInParts, default_rows
from fastkl.rows.sources.queries import STREAM_BUFFER
from fastkl.rows.sources.read_ahead import read_ahead
from fastkl.rows.weights import Weights

_DAY = 86_400e6  # microseconds


class ParquetSource(SourceInParts):
    """The rows of Parquet files, one after the other in the order given."""

    def __init__(
        self, paths: Sequence[Path], choice: Choice, weights: Weights | None = None, block_rows: int | None = None
    ):
        self._paths = list(paths)
        self._choice, self._weights, self._given_rows = choice, weights, block_rows
        self._schemas: list[Any] = []
        self.n_rows = 0
        self.codes: dict[str, str] = {}
        for path in self._paths:
            with opened(path) as file:
                self._schemas.append(_without_index(file.schema_arrow))
                self.n_rows += file.metadata.num_rows
                self.codes |= _inexact(file.metadata)
        self._resolve()

    def _resolve(self) -> None:
        """The chosen columns by name, the same in all files, and the type of the matrix that holds them."""
        first = list(self._schemas[0].names)
        self._wanted = [first[j] for j in chosen(self._choice, first, len(first), str(self._paths[0]))]
        dtypes = []
        for path, schema in zip(self._paths, self._schemas, strict=True):
            kinds = [
                schema.field(column_number(name, schema.names, len(schema), str(path))).type for name in self._wanted
            ]
            dtypes.append(arrow.matrix_type(kinds, self._wanted, self._choice.labels, str(path)))
            if self._choice.weights is not None:
                column = column_number(self._choice.weights, schema.names, len(schema), str(path))
                arrow.number_type(schema.field(column).type, self._choice.weights, str(path))
            elif self._choice.of(first) is None and len(schema.names) != len(first):
                extra = [name for name in schema.names if name not in first]
                raise SourceError(
                    f"{path} has columns that {self._paths[0]} has not: {', '.join(extra)}; choose columns=[...]."
                )
        common = (
            dtypes[0] if len(set(dtypes)) == 1 else np.dtype(object) if self._choice.labels else np.dtype(np.float64)
        )
        self._dtype = common
        self.names, self.n_columns = self._wanted, len(self._wanted)

    def select(self, columns: Sequence[Any]) -> None:
        if self._choice.columns is None:
            self._choice = replace(self._choice, columns=list(columns))
            self._resolve()

    def parts(self) -> Generator[Callable[[], Block]]:
        """Files are decoded ahead of what is done with their rows; a matrix is made of the columns where it is needed."""
        with closing(read_ahead(self._batches())) as batches:
            for number, (batch, row, path) in enumerate(batches):
                yield partial(self._block, batch, row, number, path)

    def _batches(self) -> Generator[tuple[Any, int, Path]]:
        size = self._given_rows or default_rows(self._dtype.itemsize * len(self._wanted))
        weight, row = self._choice.weights, 0
        read = self._wanted + ([] if weight is None or weight in self._wanted else [weight])
        for path in self._paths:
            with opened(path) as file:
                try:
                    for batch in file.iter_batches(size, columns=read, use_threads=self.n_threads > 1):
                        if len(batch):
                            yield batch, row, path
                            row += len(batch)
                except OSError as error:
                    raise SourceError(f"{path} is damaged after row {row} of the source: {error}") from error

    def _block(self, batch: Any, row: int, number: int, path: Path) -> Block:
        columns = [batch.column(batch.schema.names.index(name)) for name in self._wanted]
        X = arrow.fill(columns, self._wanted, self._choice.labels, self._dtype, str(path), row)
        weight = self._choice.weights
        weights = None if weight is None else arrow.weight_column(batch, weight, str(path))
        if self._weights is not None:
            weights = self._weights.part(row, len(X))
        return Block(X, weights, row, number)


def opened(path: Path) -> Any:
    """A Parquet file; SourceError for a file that is none."""
    arrow.import_pyarrow("Reading Parquet")
    import pyarrow.parquet

    try:
        return pyarrow.parquet.ParquetFile(path, buffer_size=STREAM_BUFFER, pre_buffer=False)
    except (OSError, ValueError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise SourceError(f"{path} is not a Parquet file, or it is damaged: {error}") from error


def names_in(path: Path) -> list[str]:
    """Names of the columns of a Parquet file, whatever they hold."""
    with opened(path) as file:
        return list(_without_index(file.schema_arrow).names)


class DatesAsText:
    """Batches of some columns of Parquet files, again and again: dates as text (of UTC), spans of time as days."""

    def __init__(self, paths: Sequence[Path], columns: Sequence[str]):
        self._paths, self._columns = list(paths), list(columns)
        self.codes: dict[str, str] = {}
        for path in self._paths:
            with opened(path) as file:
                self.codes |= _inexact(file.metadata)

    def __iter__(self) -> Iterator[Any]:
        for path in self._paths:
            with opened(path) as file:
                for batch in file.iter_batches(columns=self._columns):
                    yield _without_dates(batch)


def _without_dates(batch: Any) -> Any:
    pyarrow = arrow.import_pyarrow("Reading Parquet")
    columns = []
    for column in batch.columns:
        if pyarrow.types.is_duration(column.type):
            column = column.cast(pyarrow.duration("us"), safe=False).cast(pyarrow.int64()).cast(pyarrow.float64())
            column = pyarrow.compute.divide(column, _DAY)
        elif pyarrow.types.is_temporal(column.type):
            if getattr(column.type, "tz", None) is not None:
                column = column.cast(pyarrow.timestamp(column.type.unit))
            column = column.cast(pyarrow.string())
        columns.append(column)
    return pyarrow.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _without_index(schema: Any) -> Any:
    """The schema without the columns in which pandas stores an index that has no name."""
    for name in [name for name in schema.names if name.startswith("__index_level_")]:
        schema = schema.remove(schema.get_field_index(name))
    return schema


def _inexact(metadata: Any) -> dict[str, str]:
    """Columns with whole numbers so large that neighbours are one floating-point number, each with one of them."""
    columns = [metadata.schema.column(j) for j in range(metadata.num_columns)]
    found: dict[str, str] = {}
    for j, column in enumerate(columns):
        if column.physical_type != "INT64":
            continue
        for group in range(metadata.num_row_groups):
            known = metadata.row_group(group).column(j).statistics
            ends = (known.min, known.max) if known is not None and known.has_min_max else ()  # of dates these are dates
            beyond = [value for value in ends if isinstance(value, int) and abs(value) >= EXACT]
            if beyond:
                found[column.path] = str(beyond[-1])
    return found


def parquet_files(folder: Path) -> list[Path]:
    """All Parquet files in a folder and the folders in it, by name; those that start with a dot or underscore are left out."""
    found = sorted(
        path
        for ending in ("parquet", "pq")
        for path in folder.rglob(f"*.{ending}")
        if not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
    )
    if not found:
        raise SourceError(f"The folder {folder} holds no Parquet files (*.parquet, *.pq).")
    return found
