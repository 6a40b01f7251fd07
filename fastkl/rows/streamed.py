"""Rows of a source as a family sees them: every block validated, weight 0 left out, places named by their row in the source."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass, is_dataclass, replace
from functools import partial
from typing import Any, NamedTuple, TypeVar

import numpy as np

from fastkl._core.rows import Rows
from fastkl.exceptions import SourceError
from fastkl.rows.checks import raise_if_missing, raise_if_not_finite, require_finite
from fastkl.rows.columns import named
from fastkl.rows.incomplete import grouped
from fastkl.rows.source import Block, Source
from fastkl.rows.weights import joined_rows, no_weight, read_weights

T = TypeVar("T")

# Values that are sooner looked at one by one than summed with numpy's warnings off.
_FEW = 4096


@dataclass(frozen=True)
class BlockReader:
    """From a block to rows that a family can sum; it can be pickled.

    Parameters
    ----------
    n_columns : int
        Columns of a row.
    names : sequence of str or None
        Their names.
    n_threads : int
        Threads to use.
    labels : bool
        Whether values are labels.
    incomplete : bool
        Whether values may be missing.
    """

    n_columns: int
    names: Sequence[str] | None
    n_threads: int
    labels: bool = False
    incomplete: bool = False

    def rows(self, block: Block) -> Rows | None:
        """Rows of positive weight; None if there are none."""
        if block.X.ndim != 2 or block.X.shape[1] != self.n_columns:
            raise SourceError(
                f"Batch {block.number} has shape {block.X.shape}; {self.n_columns} columns were expected."
            )
        rows = Rows(
            block.X if block.X.flags.aligned else block.X.copy(),
            n_threads=block.n_threads or self.n_threads,  # a Dask worker has several tasks at a time
            names=self.names,
            index=block.index,
            first_row=block.first_row,
            batch=block.number,
        )
        weights = read_weights(block.weights, len(block.X), row=rows.row, all_zero=True)
        if self.labels:
            raise_if_missing(rows)
        rows = replace(rows, weights=weights).of_positive_weight()
        if self.incomplete:
            rows = grouped(rows)
        return rows if len(rows.X) else None


class Subtotal(NamedTuple):
    """What a function gave on the rows so far, how many rows of positive weight these are, and what they weigh."""

    value: Any
    n_rows: int
    weight: float


class StreamedRows:
    """Rows to pass over as often as needed (``AnyRows``), read from a source in every pass.

    Parameters
    ----------
    source : Source
        Where the rows are.
    n_columns : int
        Columns of a row.
    names : sequence of str or None
        Their names.
    n_threads : int
        Threads to use.
    labels : bool
        Whether values are labels.
    """

    def __init__(
        self, source: Source, n_columns: int, names: Sequence[str] | None, n_threads: int, labels: bool = False
    ):
        self.source, self.names, self.n_threads, self.n_columns = source, names, n_threads, n_columns
        # blocks side by side take one thread each; one after the other they take all
        source.n_threads = n_threads if source.independent else 1
        self.reader = BlockReader(n_columns, names, 1 if source.independent else n_threads, labels)
        self._weight: float | None = None
        self._samples: dict[int, Rows] = {}

    @property
    def incomplete(self) -> bool:
        """Whether values may be missing."""
        return self.reader.incomplete

    def with_missing_values(self) -> StreamedRows:
        """The same rows, of which some values are unknown."""
        found = StreamedRows(self.source, self.n_columns, self.names, self.n_threads, self.reader.labels)
        found.reader = replace(self.reader, incomplete=True)
        return found

    @property
    def total_weight(self) -> float:
        """Sum of the weights: the number of rows without weights. A pass of its own if there has been none."""
        if self._weight is None:
            self.total(_no_sum)
        assert self._weight is not None
        return self._weight

    def column(self, column: int) -> str:
        """The column in words."""
        return named(column, self.names)

    def total(
        self,
        function: Callable[..., T],
        *args: Any,
        merge: Callable[[T, T], T] = operator.add,
        block_rows: int | None = None,
    ) -> T:
        """``function(block, *args)`` of all blocks, merged in their order: one pass."""
        on_block = partial(_on_block, self.reader, partial(_within, function, args, merge, block_rows))
        part = self.source.sum(on_block, partial(_merged, merge))
        if part.n_rows == 0:
            raise no_weight()
        self._weight = part.weight
        return part.value

    def blocks(self) -> Iterator[Rows]:
        """The rows of every block, in this process: one pass."""
        read = found = False
        for block in self.source.passing():
            read, rows = True, self.reader.rows(block)
            if rows is not None:
                found = True
                yield rows
        if not found:
            raise no_weight() if read else SourceError("The source holds no rows.")

    def in_memory(self) -> Rows:
        """All rows of positive weight, for what learns from rows as they are: one pass."""
        # a block's memory may be used again for the next one; a block has rows of positive weight alone
        blocks = [block if self.source.lasting else kept(block) for block in self.blocks()]
        values, weights = joined_rows([(block.X, block.weights) for block in blocks])
        return Rows(np.ascontiguousarray(values), weights, n_threads=self.n_threads, names=self.names)

    def sample(self, size: int) -> Rows:
        """Rows in memory, one of each stretch; a repeated call is no further pass."""
        if size not in self._samples:
            rows = self.reader.rows(self.source.sample(size))
            if rows is None:
                raise no_weight()
            self._samples[size] = replace(rows, batch=None)
        return self._samples[size]


def kept(rows: Rows) -> Rows:
    """The same rows in memory of their own."""
    return replace(rows, X=rows.X.copy(), weights=copy(rows.weights))


def _no_sum(rows: Rows) -> float:
    return 0.0


def _within(
    function: Callable[..., T], args: tuple[Any, ...], merge: Callable[[T, T], T], block_rows: int | None, rows: Rows
) -> T:
    """On the rows of a block: cut in turn where it is large, or the function wants few rows at a time."""
    return rows.total(function, *args, merge=merge, block_rows=block_rows)


def _on_block(reader: BlockReader, function: Callable[[Rows], Any], block: Block) -> Subtotal:
    rows = reader.rows(block)
    if rows is None:
        return Subtotal(None, 0, 0.0)
    with require_finite(rows):
        value = function(rows)
    if not is_finite(value):
        raise_if_not_finite(rows)
    return Subtotal(value, len(rows.X), rows.total_weight)


def _merged(merge: Callable[[Any, Any], Any], first: Subtotal, second: Subtotal) -> Subtotal:
    if first.n_rows == 0 or second.n_rows == 0:
        return first if second.n_rows == 0 else second
    return Subtotal(merge(first.value, second.value), first.n_rows + second.n_rows, first.weight + second.weight)


def is_finite(value: Any) -> bool:
    """Whether all floats in a result are finite: numbers, arrays, and what holds them. Never False for finite sums in range."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f":
            return True
        if value.size <= _FEW:
            return bool(np.isfinite(value).all())
        with np.errstate(all="ignore"):
            return bool(np.isfinite(value.sum()))
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(is_finite, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    if is_dataclass(value) and not isinstance(value, type):
        return all(map(is_finite, vars(value).values()))
    return True
