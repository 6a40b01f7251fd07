"""Rows that a query makes anew for every pass: polars ``LazyFrame``, relations of duckdb, whatever else gives an Arrow stream.

Only the wanted columns are asked for, and batches come as the engine makes them, so that memory does not grow with the rows. None
of the engines is imported before an object of it arrives, which shows that its library is there. Batches of all are immutable, so
that several threads may turn them into matrices, and work on these, while the engine goes on.
"""

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from functools import cached_property, partial, reduce
from importlib import import_module
from typing import Any

import numpy as np

from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.batch import Choice, as_batch, chosen
from fastkl.rows.columns import listed, refuse_duplicates
from fastkl.rows.source import Block, SourceInParts, default_rows
from fastkl.rows.sources.read_ahead import read_ahead
from fastkl.rows.weights import Weights

# Bytes read at a time of each column of Parquet, so that a large row group is never in memory whole.
STREAM_BUFFER = 1 << 20
SMALLER = 4  # blocks than those of files: an engine holds several of them while it works ahead


class Query:
    """What gives the rows: names of the columns, and batches of some of them.

    ``repeatable`` says whether it can be asked again, ``nested`` whether also while it gives its rows. Batches are tables that
    ``as_batch`` reads and that have ``slice``.
    """

    repeatable: bool = True
    nested: bool = True
    what: str
    names: list[str]

    def batches(self, columns: list[str], rows: int) -> Generator[Any]:
        """The columns of all rows, ``rows`` at a time as far as the engine listens."""
        raise NotImplementedError


class PolarsQuery(Query):
    """A ``LazyFrame``, collected in batches by the streaming engine, in the order of its rows."""

    what = "The LazyFrame"

    def __init__(self, frame: Any):
        if not hasattr(frame, "collect_batches"):
            raise SourceError("A LazyFrame is read in batches, which needs polars 1.34; or pass frame.collect().")
        self._frame = frame
        self.names = list(frame.collect_schema().names())

    def batches(self, columns: list[str], rows: int) -> Generator[Any]:
        # to select by a text that begins with ^ and ends with $ would be to select by a pattern
        wanted = import_module("polars.selectors").by_name(*columns)
        yield from self._frame.select(wanted).collect_batches(
            chunk_size=rows, maintain_order=True, lazy=True, engine="streaming"
        )


class DuckQuery(Query):
    """A relation of duckdb, executed anew for every pass, with its columns projected."""

    what = "The relation"
    nested = False  # a connection streams one result at a time

    def __init__(self, relation: Any):
        arrow.import_pyarrow("A relation of duckdb")
        self._relation = relation
        self.names = list(relation.columns)

    def batches(self, columns: list[str], rows: int) -> Generator[Any]:
        quoted = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
        wanted = self._relation.project(quoted)
        read = getattr(wanted, "to_arrow_reader", None) or wanted.fetch_arrow_reader
        try:
            with closing(read(rows)) as reader:
                yield from reader
        except Exception as error:
            # duckdb says so when the second query begins, or when either is read on; its versions have different words
            if not any(words in str(error) for words in ("open result", "busy with another", "unfinished result")):
                raise
            raise SourceError(
                "The relation's connection is busy with another query, perhaps the other sample of this call. Give each "
                "source a connection of its own (con.cursor()), or pass relation.to_arrow_table()."
            ) from error


class DatasetQuery(Query):
    """A dataset of pyarrow, scanned anew for every pass.

    As many threads as there are would decode as far ahead as they can, however slow who takes the rows: a gigabyte of memory for
    one of Parquet. One thread, and a buffer for each column, stay as far ahead as they are asked to.
    """

    what = "The dataset"

    def __init__(self, dataset: Any):
        self._dataset = dataset
        self.names = list(dataset.schema.names)

    def batches(self, columns: list[str], rows: int) -> Generator[Any]:
        from pyarrow import dataset as datasets

        options: dict[str, Any] = {"use_threads": False, "batch_readahead": 1, "fragment_readahead": 1}
        if getattr(getattr(self._dataset, "format", None), "default_extname", "") == "parquet":
            options["fragment_scan_options"] = datasets.ParquetFragmentScanOptions(
                pre_buffer=False, use_buffered_stream=True, buffer_size=STREAM_BUFFER
            )
        with closing(self._dataset.scanner(columns=columns, batch_size=rows, **options).to_reader()) as reader:
            yield from reader


class StreamQuery(Query):
    """An object with ``__arrow_c_stream__``: read again if it gives a second stream."""

    what = "The Arrow stream"

    def __init__(self, thing: Any):
        self._open = arrow.import_pyarrow("An Arrow stream").RecordBatchReader.from_stream
        self._thing, self._first = thing, self._open(thing)
        self.names = list(self._first.schema.names)

    @cached_property
    def repeatable(self) -> bool:  # type: ignore[override]  # found out where it is asked: opened streams may begin to read
        """Whether a second stream can be had."""
        try:
            self._open(self._thing).close()
        except Exception:  # of whatever library: a reader that can be read once says so in its own way
            return False
        return True

    def batches(self, columns: list[str], rows: int) -> Generator[Any]:
        first, self._first = self._first, None
        with closing(first or self._again()) as reader:
            absent = [name for name in columns if name not in reader.schema.names]
            if absent:
                raise SourceError(
                    f"The Arrow stream had a column {absent[0]!r} when it was opened; now its columns are "
                    f"{listed(reader.schema.names)}. Every pass needs the same rows: pass an object that gives them."
                )
            for batch in reader:
                yield batch.select(columns)

    def _again(self) -> Any:
        try:
            return self._open(self._thing)
        except Exception as error:  # of whatever library
            raise SourceError("The Arrow stream has been passed over already; it cannot be read again.") from error


def is_query(source: Any) -> bool:
    """Whether this is a ``LazyFrame``, of duckdb, a dataset, or an Arrow stream, and no table and no iterator."""
    library = _library(source)
    if library == "polars" and hasattr(source, "collect_schema") and not hasattr(source, "shape"):
        return True
    if library == "duckdb" or _is_dataset(source):
        return True
    in_memory = hasattr(source, "shape") or hasattr(source, "to_batches") or arrow.is_table(source)
    return hasattr(source, "__arrow_c_stream__") and not in_memory and not isinstance(source, Iterator)


def collected(source: Any, columns: Sequence[str] | None = None) -> Any:
    """A query's rows in memory, as a table: those of the columns that it has, or all."""
    if hasattr(source, "read_all"):  # a reader of Arrow batches
        return source.read_all()
    query = query_of(source)
    wanted = query.names if columns is None else [name for name in query.names if name in columns]
    refuse_duplicates(query.names, query.what, [query.names.index(name) for name in wanted])
    batches = list(query.batches(wanted, default_rows(8 * max(1, len(wanted)))))
    if not batches:
        raise SourceError(f"{query.what} holds no rows.")
    if hasattr(batches[0], "vstack"):  # of polars
        return reduce(lambda first, second: first.vstack(second), batches)
    return arrow.import_pyarrow(query.what).Table.from_batches(batches)


def query_of(source: Any) -> Query:
    """The query behind what ``is_query``."""
    library = _library(source)
    if library == "polars":
        return PolarsQuery(source)
    if library != "duckdb":
        return DatasetQuery(source) if _is_dataset(source) else StreamQuery(source)
    if not hasattr(source, "project"):
        raise TypeError("A source from duckdb is a relation: con.sql(query) rather than con.execute(query).")
    return DuckQuery(source)


def _is_dataset(source: Any) -> bool:
    return _library(source) == "pyarrow" and hasattr(source, "scanner") and hasattr(source, "schema")


def _library(source: Any) -> str:
    return type(source).__module__.split(".")[0].lstrip("_")


class QuerySource(SourceInParts):
    """The rows of a query. Their number is known after the first pass."""

    def __init__(self, query: Query, choice: Choice, weights: Weights | None = None, block_rows: int | None = None):
        self._query, self._choice, self._weights, self._given_rows = query, choice, weights, block_rows
        self.nested = query.nested
        self._resolve()

    @property
    def repeatable(self) -> bool:  # type: ignore[override]
        """Whether a second pass is possible."""
        return self._query.repeatable

    def _resolve(self) -> None:
        names, weight = self._query.names, self._choice.weights
        if weight is not None and weight not in names:
            raise SourceError(
                f"{self._query.what} has no column {weight!r} for the weights; its columns are {listed(names)}."
            )
        self._wanted = [names[j] for j in chosen(self._choice, names, len(names), self._query.what)]
        self._read = self._wanted + ([] if weight is None or weight in self._wanted else [weight])
        self._as_read = Choice(self._wanted, weight, self._choice.labels, exact=self._choice.exact)
        self.names, self.n_columns = self._wanted, len(self._wanted)

    def select(self, columns: Sequence[Any]) -> None:
        if self._choice.columns is None:
            self._choice = replace(self._choice, columns=list(columns))
            self._resolve()

    def parts(self) -> Generator[Callable[[], Block]]:
        """The engine works ahead of what is done with its rows; a matrix is made of the columns where it is needed."""
        row = 0
        with closing(read_ahead(self._pieces())) as pieces:
            for number, piece in enumerate(pieces):
                yield partial(self._block, piece, row, number)
                row += len(piece)
        if row == 0:
            raise SourceError(f"{self._query.what} holds no rows.")
        if self._weights is not None:
            self._weights.check(row)

    def _pieces(self) -> Generator[Any]:
        """Batches, large ones in parts."""
        size = self._given_rows or max(1, default_rows(8 * len(self._wanted)) // SMALLER)
        with closing(self._query.batches(self._read, size)) as batches:
            for batch in batches:
                for start in range(0, len(batch), size):
                    yield batch.slice(start, size)

    def _block(self, piece: Any, row: int, number: int) -> Block:
        batch = as_batch(piece, self._as_read, f"Batch {number}")
        weights = batch.weights if self._weights is None else self._weights.part(row, len(batch.X))
        return Block(np.ascontiguousarray(batch.X), weights, row, number)
