"""Batches that somebody else makes: a list of arrays or tables, any object that can be iterated, a data frame in memory."""

from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Batch, Choice, as_batch
from fastkl.rows.columns import all_named
from fastkl.rows.reading import look
from fastkl.rows.source import Block, Source, default_rows
from fastkl.rows.weights import Weights


class IterableSource(Source):
    """Batches in the order in which they come; ``(X, weights)`` pairs carry weights along.

    ``batches`` is iterated anew for every pass; if it is a function, it is called for every pass. An iterator (a generator, a
    reader) can be passed over once.
    """

    def __init__(
        self,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        choice: Choice,
        weights: Weights | None = None,
        block_rows: int | None = None,
    ):
        self._batches, self._choice, self._weights, self._block_rows = batches, choice, weights, block_rows
        self.independent = False  # the producer of the batches may reuse their memory
        self.lasting = isinstance(batches, list | tuple)
        self.repeatable = not isinstance(batches, Iterator)
        self._begun: tuple[Any, Iterator[Any]] | None = None
        self._used = False

    def learn_columns(self) -> None:
        if self.n_columns is not None:
            return
        first, rest = self._begin()
        batch = self._batch(first, 0)
        self.names, self.n_columns = batch.names, batch.X.shape[1]
        self._begun = (first, rest)

    def select(self, columns: Any) -> None:
        self.learn_columns()
        if self.names is not None and self._choice.columns is None:
            self._choice = replace(self._choice, columns=list(columns))
            self.names = self.n_columns = None
            self.learn_columns()

    def blocks(self) -> Generator[Block]:
        self.learn_columns()
        first, rest = self._begun if self._begun is not None else self._begin()
        self._begun, row, number, item = None, 0, 0, first
        while True:
            batch = self._batch(item, number)
            self._check_columns(batch, number)
            for block in self._pieces(batch, row, number):
                yield block
                row += len(block.X)
            number += 1
            try:
                item = next(rest)
            except StopIteration:
                break
        if self._weights is not None:
            self._weights.check(row)

    def _begin(self) -> tuple[Any, Iterator[Any]]:
        """The first batch, and the iterator of the rest."""
        if self._begun is not None:
            return self._begun
        if self._used and not self.repeatable:
            raise SourceError("The source is an iterator and has been passed over already; it cannot be read again.")
        self._used = True
        rest = iter(self._batches() if callable(self._batches) else self._batches)
        try:
            return next(rest), rest
        except StopIteration:
            raise SourceError("The source holds no batches.") from None

    def _batch(self, item: Any, number: int) -> Batch:
        place, choice, weights = f"Batch {number}", self._choice, None
        if _is_pair(item):
            item, weights = item
            if self._weights is not None or choice.weights is not None:
                raise SourceError(
                    f"{place} brings weights of its own, and sample_weight is given too; pass one of them."
                )
        batch = as_batch(item, choice, place)
        if weights is None:
            return batch
        weights = np.asarray(look(weights, f"{place}, weights"))
        if weights.shape != (len(batch.X),) or weights.dtype.kind not in "fiub":
            raise SourceError(
                f"{place} has {len(batch.X)} rows and weights of shape {weights.shape} and type {weights.dtype}; one number for "
                "each row is needed."
            )
        return Batch(batch.X, batch.names, weights)

    def _check_columns(self, batch: Batch, number: int) -> None:
        if batch.X.shape[1] != self.n_columns:
            raise SourceError(
                f"Batch {number} has {batch.X.shape[1]} columns, the batches before have {self.n_columns}."
            )
        if batch.names != self.names:
            raise SourceError(
                f"Batch {number} has {all_named(batch.names)}, the batches before have {all_named(self.names)}. Choose "
                "columns=[...] by name if only their order differs."
            )

    def _pieces(self, batch: Batch, first_row: int, number: int) -> Generator[Block]:
        """A large batch in several blocks; they share its number."""
        n = len(batch.X)
        size = self._block_rows or default_rows(batch.X.shape[1] * batch.X.dtype.itemsize)
        for start in range(0, n, size):
            X = np.ascontiguousarray(batch.X[start : start + size])
            weights = None if batch.weights is None else batch.weights[start : start + size]
            if self._weights is not None:
                weights = self._weights.part(first_row + start, len(X))
            yield Block(X, weights, first_row + start, number)


class FrameSource(Source):
    """A data frame in memory, converted block by block."""

    lasting = True

    def __init__(self, frame: Any, choice: Choice, weights: Weights | None = None, block_rows: int | None = None):
        self._frame, self._choice, self._weights = frame, choice, weights
        self.n_rows = len(frame)
        self._block_rows = block_rows
        self._learn()

    def _learn(self) -> None:
        empty = as_batch(self._rows(0, 0), self._choice, "The data frame")
        self.names, self.n_columns = empty.names, empty.X.shape[1]

    def _rows(self, start: int, stop: int) -> Any:
        return self._frame.iloc[start:stop] if hasattr(self._frame, "iloc") else self._frame[start:stop]

    def select(self, columns: Any) -> None:
        if self.names is not None and self._choice.columns is None:
            self._choice = replace(self._choice, columns=list(columns))
            self._learn()

    def blocks(self) -> Generator[Block]:
        size = self._block_rows or default_rows(8 * (self.n_columns or 1))
        for number, first in enumerate(range(0, len(self._frame), size)):
            batch = as_batch(self._rows(first, first + size), self._choice, f"Block {number} of the data frame")
            weights = batch.weights if self._weights is None else self._weights.part(first, len(batch.X))
            yield Block(np.ascontiguousarray(batch.X), weights, first, number)


def _is_pair(item: Any) -> bool:
    """Whether this is rows and their weights: a pair, or, as loaders of torch have it, a list of a matrix and a vector."""
    if isinstance(item, tuple):
        return len(item) == 2 and np.ndim(item[0]) != 0
    return isinstance(item, list) and [getattr(part, "ndim", None) for part in item] == [2, 1]
