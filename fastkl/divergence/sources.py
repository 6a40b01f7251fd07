"""Samples that are read in blocks: checked and summed up in a first pass, then read shard by shard.

A source is an array, a memory map, a file that ``rows`` opens, or anything that can be iterated over again and again and gives
blocks of rows. It is never held as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.whole_numbers import EXACT
from fastkl.divergence.arguments import FloatArray, Totals, as_matrix
from fastkl.divergence.matching import given_names, only_counted
from fastkl.divergence.models.model import is_model
from fastkl.divergence.nearest.coordinates import centre_and_spread, measured
from fastkl.divergence.nearest.neighbors import Neighbors, Slab
from fastkl.exceptions import SourceError
from fastkl.rows import open_source
from fastkl.rows.columns import refuse_duplicates
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.reading import INEXACT, look, refuse_sparse
from fastkl.rows.sources.queries import is_query
from fastkl.rows.tables import is_table
from fastkl.rows.weights import read_weights
from fastkl.spatial import NeighborIndex, ShardedIndex

# Rows of an array that are looked at together.
_BLOCK_ROWS = 1 << 16
_UNKNOWN = object()
# Rows of all samples of which the spread of the columns is taken.
_SCALE_ROWS = 1_000_000


def read_blocks(source: Any) -> Iterator[tuple[Any, Any]]:
    """One pass over a source: rows and weights (None for none) of each block."""
    if hasattr(source, "blocks"):
        for block in source.blocks():
            yield block.X, block.weights
    elif hasattr(source, "shape"):
        for first in range(0, len(source), _BLOCK_ROWS):
            yield source[first : first + _BLOCK_ROWS], None
    else:
        for block in source:
            yield block, None


def checked_source(data: Any, name: str, columns: Sequence[Any] | None = None, weights: Any = None) -> tuple[Any, Any]:
    """The source as `read_blocks` takes it, and the weights that stand apart from it.

    An error for what can be read only once, or is no sample at all.
    """
    refuse_sparse(data, name)
    refuse_other_rows(data, weights, (name, f"sample_weight of {name}"))
    if is_model(data):
        raise TypeError(f"{name} is a model; blocks of rows are expected. Use fastkl.kl_divergence for models.")
    if columns is not None or isinstance(weights, (str, os.PathLike)) or _is_opened_by_rows(data):
        data, weights = open_source(data, columns, weights, exact=True), None
    if not getattr(data, "repeatable", True) or (hasattr(data, "__next__") and iter(data) is data):
        raise TypeError(
            f"{name} can be read only once (a generator or another iterator), but its rows are read several times. Pass a list "
            f"of blocks, an array, a memory map, a file, or an object whose __iter__ starts anew."
        )
    if hasattr(data, "blocks") or (isinstance(data, np.ndarray) and data.ndim > 0):
        return data, weights
    if is_table(data):
        return [data], weights
    if hasattr(data, "__array__") or (
        isinstance(data, (list, tuple)) and not any(getattr(row, "shape", ()) for row in data)
    ):
        return as_matrix(data, name), weights
    if not hasattr(data, "__iter__"):
        raise TypeError(f"{name} is no sample: expected an array or blocks of rows; got {type(data).__name__}.")
    return data, weights


def _is_opened_by_rows(data: Any) -> bool:
    """Whether this is a path, a Dask collection, an Arrow dataset, a query, or a function that gives blocks."""
    lazy = type(data).__module__.split(".")[0] in {"dask", "dask_expr"} or is_query(data)
    return isinstance(data, (str, os.PathLike)) or lazy or hasattr(data, "to_batches") or callable(data)


class SourceSample(Totals):
    """A sample that is read in blocks; the first pass, when it is made, checks all rows and adds up the weights.

    Parameters
    ----------
    source : array or iterable of blocks
        As `checked_source` gives it.
    name : str
        For messages.
    sample_weight : array-like of shape (n,) or None
        Weights, unless the blocks bring their own.
    shard_rows : int
        Rows that are indexed together.
    n_jobs : int or None
        Threads.

    Attributes
    ----------
    names : list or None
        Names of the columns, where the blocks are tables.
    order : list of int or None
        In which order the columns are read; None for the order they have.
    scale : tuple of two ndarray of shape (d,), or None
        Middle and spread that the columns of its shards are measured by; None for columns as they are.
    """

    def __init__(self, source: Any, name: str, sample_weight: Any, shard_rows: int, n_jobs: int | None) -> None:
        self.name = name
        self.n_jobs = n_jobs
        self.shard_rows = shard_rows
        self._source = source
        self.names: Any = _UNKNOWN
        self.order: list[int] | None = None
        self.scale: tuple[FloatArray, FloatArray] | None = None
        weights = look(sample_weight, f"sample_weight of {name}")
        self._weights = None if weights is None else np.asarray(weights, dtype=np.float64)
        self.index = ShardedIndex(lambda: ((X, weights) for X, weights, _ in self.shards()), n_jobs=n_jobs)
        if self._weights is not None and self._weights.ndim != 1:
            raise ValueError(
                f"sample_weight of {name} has shape {self._weights.shape}; expected one weight for each row."
            )
        self._first_pass()
        self._refuse_inexact_integers()

    def _refuse_inexact_integers(self) -> None:
        """ValueError for a column of a file whose whole numbers, as floats, are one number with their neighbours."""
        for column, value in getattr(self._source, "codes", {}).items():
            if abs(int(value)) >= EXACT and (self.names is None or column in self.names):
                raise ValueError(f"{self.name}, column {column!r} holds {value}: {INEXACT}")

    def _first_pass(self) -> None:
        rows, columns, narrow, least, most, total, squares = 0, 0, True, np.inf, 0.0, 0.0, 0.0
        kept = 0
        for X, weights, first in self._blocks():
            if columns and X.shape[1] != columns:
                raise ValueError(
                    f"The block of {self.name} that starts at row {first} has {X.shape[1]} columns; those before have {columns}."
                )
            columns, rows = X.shape[1], first + len(X)
            narrow = narrow and X.dtype == np.float32
            positive = np.ones(len(X)) if weights is None else weights[weights > 0.0]
            if len(positive):
                # Sums are of weights relative to the largest so far, so that squares stay in range.
                largest = max(most, float(positive.max()))
                old, relative = most / largest, positive / largest
                total = total * old + float(relative.sum())
                squares = squares * old**2 + float(np.square(relative).sum())
                least, most, kept = min(least, float(positive.min())), largest, kept + len(positive)
        if self._weights is not None and self._weights.shape != (rows,):
            read_weights(self._weights, rows, f"sample_weight of {self.name}")
        if rows == 0:
            raise ValueError(f"{self.name} is empty: its blocks hold no row.")
        if kept == 0:
            raise ValueError(f"The weights of {self.name} are zero in every row: no row has any weight.")
        if kept >= self.shard_rows and not getattr(self._source, "nested", True):
            raise SourceError(
                f"{self.name} is a relation of duckdb, which gives its rows to one pass at a time, but shards of its {kept} rows "
                f"are read side by side: it needs shard_rows={kept + 1} or more, if that fits into memory. Or write it to "
                "Parquet and pass the path."
            )
        self.rows_read, self.n_rows, self.n_columns, self.weighted = rows, kept, columns, least < most
        self.weight_sum, self.square_sum = (total, squares) if self.weighted else (float(kept), float(kept))
        self.dtype: type = np.float32 if narrow else np.float64
        self._largest = most

    def _blocks(self) -> Iterator[tuple[NDArray[Any], FloatArray | None, int]]:
        """One pass: rows, weights and the number of the first row of each block."""
        first = 0
        for number, (block, weights) in enumerate(read_blocks(self._source)):
            if hasattr(block, "__len__") and len(block) == 0:
                continue
            where = f"block {number} (from row {first} on) of {self.name}"
            if not hasattr(self._source, "shape") and np.ndim(block) == 1:
                raise ValueError(
                    f"{where} has one dimension: one row, or one column? Blocks have rows and columns; reshape a block of one "
                    f"column with .reshape(-1, 1)."
                )
            X = as_matrix(block, where)
            self._learn_names(given_names(block, where) or getattr(self._source, "names", None), where)
            if self.order is not None:
                X = np.ascontiguousarray(X[:, self.order])
            last = first + len(X)
            if self._weights is not None:
                if last > len(self._weights):
                    raise ValueError(
                        f"sample_weight of {self.name} has {len(self._weights)} entries; the blocks up to number {number} "
                        f"hold {last} rows."
                    )
                weights = self._weights[first:last]
            yield X, read_weights(weights, len(X), f"sample_weight of {where}", all_zero=True), first
            first = last

    def _learn_names(self, names: Sequence[Any] | None, where: str) -> None:
        """Keep the names of the columns, which are the same in every block."""
        found = None if names is None else list(names)
        if found is not None and self.names is _UNKNOWN:
            refuse_duplicates(found, where)  # of a file; a table has none any more
        if self.names is _UNKNOWN or (self.names is None and found is not None and only_counted(found)):
            self.names = found
        elif self.names != found and not (found is None and only_counted(self.names)):
            raise ValueError(f"{where} has the columns {found}, the blocks before have {self.names}.")

    def shards(self) -> Iterator[tuple[NDArray[Any], FloatArray | None, NDArray[np.int64]]]:
        """One pass: rows of positive weight, weights relative to the largest, and row numbers, ``shard_rows`` at a time."""
        parts: list[tuple[NDArray[Any], FloatArray | None, NDArray[np.int64]]] = []
        held = read = 0
        for X, weights, first in self._blocks():
            read = first + len(X)
            numbers = np.arange(first, read)
            if weights is not None and not weights.all():
                chosen = weights > 0.0
                X, weights, numbers = X[chosen], weights[chosen], numbers[chosen]
            weights = weights / self._largest if self.weighted and weights is not None else None
            if self.weighted and weights is None:
                weights = np.full(len(X), 1.0 / self._largest)
            start = 0
            while start < len(X):
                part = slice(start, start + self.shard_rows - held)
                rows: NDArray[Any] = X[part].astype(self.dtype)
                if self.scale is not None:
                    rows = measured(rows, *self.scale)
                parts.append((rows, None if weights is None else weights[part], numbers[part]))
                held, start = held + len(parts[-1][0]), part.stop
                if held == self.shard_rows:
                    yield _joined(parts)
                    parts, held = [], 0
        if read != self.rows_read:
            raise ValueError(
                f"{self.name} gave {self.rows_read} rows when it was read first and {read} rows now; a source must give the "
                f"same blocks each time."
            )
        if parts:
            yield _joined(parts)

    def rows_throughout(self, step: int) -> NDArray[Any]:
        """Every ``step``-th row; one pass."""
        passed, chosen = 0, []
        for X, _, _ in self.shards():
            chosen.append(X[-passed % step :: step])
            passed += len(X)
        return np.concatenate(chosen)


def common_scale(samples: Sequence[SourceSample]) -> tuple[FloatArray, FloatArray]:
    """Median and quartile range of each column in all samples together, of at most a million rows, evenly spaced.

    They do not depend on blocks or shards, and move with the columns as these are multiplied and shifted.
    """
    step = -(-sum(sample.n_rows for sample in samples) // _SCALE_ROWS)
    return centre_and_spread(np.concatenate([sample.rows_throughout(step).astype(np.float64) for sample in samples]))


def _joined(
    parts: list[tuple[NDArray[Any], FloatArray | None, NDArray[np.int64]]],
) -> tuple[NDArray[Any], FloatArray | None, NDArray[np.int64]]:
    """Parts of a shard as one; copies, so that a source may use its memory again."""
    X = np.ascontiguousarray(np.concatenate([part[0] for part in parts]))
    weights = [part[1] for part in parts if part[1] is not None]
    return X, np.concatenate(weights) if weights else None, np.concatenate([part[2] for part in parts])


class ShardSearch:
    """Searches from the rows of one shard of p among all shards of a sample."""

    keeps_table = True

    def __init__(
        self, queries: NeighborIndex, numbers: NDArray[np.int64], among: SourceSample, own: int | None
    ) -> None:
        self.queries = queries
        self.numbers = numbers
        self.among = among
        self.own = own
        self.same = own is not None

    def nearest(self, k: int) -> FloatArray:
        """Distances to the first k neighbours: (b, k)."""
        return self.among.index.query(self.queries, k, own=self.own)

    def kth(self, k: int) -> FloatArray:
        """Distance to the k-th: (b,)."""
        return np.ascontiguousarray(self.nearest(k)[:, -1])

    def count(self, radius: FloatArray) -> NDArray[np.int64]:
        """Number of rows in each closed ball: (b,)."""
        return self.among.index.count(self.queries, radius, own=self.own)

    def mass(self, radius: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Sums of weights and of squared weights in each closed ball: (b,) each."""
        return self.among.index.weight(self.queries, radius, own=self.own)

    def last_within(self, radius: FloatArray, rows: NDArray[np.intp], counts: FloatArray | None) -> FloatArray:
        """Distance to the last row in the closed ball around each of the given rows; each shard has its own counts."""
        return self.among.index.last_within(self.queries, radius, rows, own=self.own)

    def first_row(self, chosen: NDArray[np.bool_]) -> int:
        """Least number in p of the chosen rows of the slab."""
        return int(self.numbers[self.queries.order][chosen].min())


class SourcePair:
    """A sample of p and a sample of q that are read in blocks.

    Parameters
    ----------
    p, q : SourceSample
        Same columns, same dtype.
    """

    def __init__(self, p: SourceSample, q: SourceSample) -> None:
        self.p = p
        self.q = q

    def slabs(self, reach: int) -> Iterator[Slab]:
        """All rows of p, one slab for each shard, with the neighbours up to ``reach`` known (0 for none)."""
        for number, (X, weights, rows) in enumerate(self.p.shards()):
            queries = NeighborIndex(X, n_jobs=self.p.n_jobs)
            slab = Slab(
                self.p,
                self.q,
                len(X),
                None if weights is None else weights[queries.order],
                Neighbors(ShardSearch(queries, rows, self.p, number)),
                Neighbors(ShardSearch(queries, rows, self.q, None)),
            )
            slab.search(reach)
            yield slab
            del slab, queries, X  # before the next one is read

    def repeats_in_q(self) -> int:
        """Rows of q that are equal to another row of q."""
        if self.q.n_rows < 2:
            return 0
        return sum(int(np.sum(slab.own.kth(1) == 0.0)) for slab in SourcePair(self.q, self.q).slabs(0))
