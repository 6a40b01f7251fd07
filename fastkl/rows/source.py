"""A source of rows: blocks in order, what to sum over them, and what to write for each.

A sum is ``function(block)`` for every block, merged in block order, so that its result does not depend on who reads ahead or how
many threads take part. Blocks of a source are the same in every pass.

Blocks come from generators: ``closing`` ends a pass that is left early, and lets go of its files.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core.rows import BLOCK_BYTES
from fastkl._core.stretches import chosen_rows, still_chosen
from fastkl.exceptions import SourceError
from fastkl.rows.batch import ALL, Choice, as_batch
from fastkl.rows.in_order import in_order
from fastkl.rows.progress import SILENCE, Progress
from fastkl.rows.weights import Weights

T = TypeVar("T")
WIDE_ROWS, WIDE_BYTES = 2048, 32 << 20


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a source.

    Parameters
    ----------
    X : ndarray of shape (b, d)
        The rows, C-contiguous; valid while the function that they are handed to runs.
    weights : ndarray of shape (b,) or None
        Their weights as found; None stands for ones.
    first_row : int
        Number of the first row in the source, from 0.
    number : int or None
        Number of the block in the source, from 0; None where blocks are nothing that the user knows of.
    index : ndarray of shape (b,) or None
        Numbers of the rows less ``first_row``, where they do not follow each other (a sample).
    n_threads : int or None
        Threads for what is done with it, where the source has to say: a Dask worker has several tasks at a time.
    """

    X: NDArray[Any]
    weights: NDArray[Any] | None
    first_row: int
    number: int | None
    index: NDArray[np.intp] | None = None
    n_threads: int | None = None

    def kept(self) -> Block:
        """The same rows in memory of their own, valid for good."""
        return replace(self, X=self.X.copy(), weights=None if self.weights is None else self.weights.copy())

    @property
    def n_positive(self) -> int:
        """Number of rows of positive weight."""
        return len(self.X) if self.weights is None else int(np.count_nonzero(self.weights))

    def without_values(self) -> Block:
        """The same rows by their places alone, which take no memory while results wait to be merged."""
        return replace(self, X=np.broadcast_to(np.zeros((), dtype=self.X.dtype), self.X.shape), weights=None)


class Source(ABC):
    """Rows that can be read block by block; a subclass says how.

    A subclass sets ``names``, ``n_columns`` and ``n_rows`` where they are known, and is to call ``learn_columns`` where they are
    only known from the first rows.
    """

    repeatable: bool = True  # whether a second pass is possible
    nested: bool = True  # whether also while another pass goes on
    lazy: bool = False  # whether results can stay with the rows: a lazy collection, a folder that workers write
    names: Sequence[str] | None = None
    n_columns: int | None = None
    n_rows: int | None = None  # where it is known before a pass
    decimal: str = "."  # the mark of numbers that are given as text
    guess: str = ""  # what the first line of a text file was taken for, "row" or "names", where it may be the other
    # columns of a file whose whole numbers may be codes, each with one of them
    codes: Mapping[str, str] = MappingProxyType({})
    progress: Progress = SILENCE  # who hears of it
    independent: bool = True  # whether a block stays valid while further ones are read
    lasting: bool = False  # whether all blocks of a pass stay valid for good, as views of what is in memory anyway do
    n_threads: int = 1  # blocks worked on at the same time, where they are independent

    @abstractmethod
    def blocks(self) -> Generator[Block]:
        """One pass over the rows."""

    def learn_columns(self) -> None:
        """Look at the first rows where ``n_columns`` and ``names`` are not known before; this is no pass."""
        if self.n_columns is None:
            with closing(self.blocks()) as blocks:
                self.n_columns = next(iter(blocks)).X.shape[1]

    def select(self, columns: Sequence[Any]) -> None:
        """Read only these columns from now on, in this order, unless the user has chosen some; for sources with names."""
        raise NotImplementedError

    def sum(self, function: Callable[[Block], T], merge: Callable[[T, T], T]) -> T:
        """``function(block)`` of all blocks, merged in their order; both arguments can be pickled."""
        total: T | None = None
        for _, part in self._results(function):
            total = part if total is None else merge(total, part)
        if total is None:
            raise SourceError("The source holds no rows.")
        return total

    def map(self, function: Callable[[Block], NDArray[Any]], write: Callable[[Block, NDArray[Any]], None]) -> None:
        """Hand ``function(block)`` of every block, in order, to ``write``, for which the block's values are no longer valid."""
        for block, values in self._results(function):
            write(block, values)

    def passing(self) -> Generator[Block]:
        """One pass over the blocks, in this thread."""
        for block, _ in self._with_progress(_in_this_thread(self.blocks(), no_result)):
            yield block

    def parts(self) -> Generator[Callable[[], Block]]:
        """The blocks of a pass as functions that read them, called once each in any thread."""
        with closing(self.blocks()) as blocks:
            for block in blocks:
                yield partial(unchanged, block)

    def _tasks(self, function: Callable[[Block], T]) -> Generator[Callable[[], tuple[Block, T]]]:
        with closing(self.parts()) as parts:
            for part in parts:
                yield partial(_read_and_run, part, function)

    def _results(self, function: Callable[[Block], T]) -> Generator[tuple[Block, T]]:
        if self.n_threads > 1 and self.independent:
            return self._with_progress(in_order(self._tasks(function), self.n_threads))
        return self._with_progress(_in_this_thread(self.blocks(), function))

    def _with_progress(self, results: Generator[tuple[Block, T]]) -> Generator[tuple[Block, T]]:
        """One pass that reports to ``progress`` the rows that are done, and makes sure that all passes have the same rows."""
        done = 0
        self.progress.begin(self.n_rows)
        with closing(results):
            for block, result in results:
                yield block, result
                done += len(block.X)
                self.progress.advance(len(block.X))
        if self.n_rows is not None and done != self.n_rows:
            raise SourceError(
                f"This pass over the source found {done} rows, {self.n_rows} were expected: the source has changed, or its "
                "iter() does not start anew. Pass a source that gives the same rows every time."
            )
        self.n_rows = done

    def values(self, function: Callable[[Block], NDArray[Any]]) -> Any:
        """``function(block)`` of all blocks as a lazy collection, where the source is ``lazy``."""
        raise NotImplementedError

    def write_folder(self, function: Callable[[Block], NDArray[Any]], path: Any) -> Path:
        """``function(block)`` of all blocks as a folder of files, written where the rows are, where the source is ``lazy``."""
        raise NotImplementedError

    def sample(self, size: int) -> Block:
        """Rows of positive weight, one of each stretch, ``size`` of them up to four times as many; all where these are not more.

        One pass. Where the number of rows is not known before, the stretches double whenever there are too many.
        """
        length, seen = 1, 0
        values: list[NDArray[Any]] = []
        weights: list[NDArray[Any]] = []
        numbers: list[NDArray[np.intp]] = []
        places: list[NDArray[np.intp]] = []  # among rows of positive weight
        for block in self.passing():
            if block.first_row == 0 and block.weights is None and self.n_rows is not None and self.n_rows >= 4 * size:
                length = self.n_rows // size
            at, chosen, seen = chosen_of_block(length, seen, block)
            places.append(chosen)
            values.append(block.X[at].copy())
            numbers.append(block.first_row + at)
            if block.weights is not None:
                weights.append(block.weights[at].astype(np.float64))
            while sum(map(len, values)) > 4 * size:
                length *= 2
                stay = still_chosen(length, np.concatenate(places))
                values, weights, numbers, places = (_thinned(own, stay) for own in (values, weights, numbers, places))
        if not values:
            raise SourceError("The source holds no rows.")
        X = np.ascontiguousarray(np.concatenate(values))
        return Block(X, np.concatenate(weights) if weights else None, 0, 0, np.concatenate(numbers))


class SourceInParts(Source):
    """A source whose reading is best shared out: it gives ``parts()``, and its blocks are what these read, in their order."""

    @abstractmethod
    def parts(self) -> Generator[Callable[[], Block]]:
        """The blocks of a pass as functions that read them, called once each in any thread."""

    def blocks(self) -> Generator[Block]:
        with closing(self.parts()) as parts:
            for part in parts:
                yield part()


def unchanged(block: Block) -> Block:
    """The block as it is."""
    return block


def no_result(block: Block) -> None:
    """For a pass in which only the blocks matter, or their number."""


def _read_and_run(part: Callable[[], Block], function: Callable[[Block], T]) -> tuple[Block, T]:
    block = part()
    return block.without_values(), function(block)


def _in_this_thread(blocks: Generator[Block], function: Callable[[Block], T]) -> Generator[tuple[Block, T]]:
    """The results one after the other."""
    with closing(blocks):
        for block in blocks:
            yield block, function(block)


def chosen_of_block(length: int, before: int, block: Block) -> tuple[NDArray[np.intp], NDArray[np.intp], int]:
    """The rows of a block that stand for a stretch, their numbers among rows of positive weight, and the number of these so far.

    ``before`` of them are in earlier blocks.
    """
    if block.weights is None:
        chosen = chosen_rows(length, before, before + len(block.X))
        return chosen - before, chosen, before + len(block.X)
    positive = np.flatnonzero(block.weights)
    chosen = chosen_rows(length, before, before + len(positive))
    return positive[chosen - before], chosen, before + len(positive)


def _thinned(parts: list[NDArray[Any]], stay: NDArray[np.bool_]) -> list[NDArray[Any]]:
    """Those of all entries that stay."""
    return [np.concatenate(parts)[stay]] if parts else []


class ArraySource(Source):
    """Rows of an array in memory (or memory-mapped), in blocks of ``block_rows``, brought to the form of a block one by one."""

    lasting = True

    def __init__(self, X: Any, weights: Any = None, block_rows: int | None = None, choice: Choice = ALL):
        if hasattr(X, "toarray"):
            raise SourceError("The source is a sparse matrix; pass a dense array, for example X.toarray().")
        self.X, self.choice = X, choice
        self.weights = weights if weights is None or isinstance(weights, Weights) else Weights(weights)
        self.n_rows, self.n_columns = len(X), as_batch(X[:0], choice, "The array").X.shape[1]
        self.block_rows = block_rows or default_rows(X.shape[1] * getattr(X.dtype, "itemsize", 8))

    def blocks(self) -> Generator[Block]:
        for number, first in enumerate(range(0, len(self.X), self.block_rows)):
            batch = as_batch(self.X[first : first + self.block_rows], self.choice, f"Block {number} of the array")
            weights = None if self.weights is None else self.weights.part(first, len(batch.X))
            yield Block(np.ascontiguousarray(batch.X), weights, first, number)


def default_rows(row_bytes: int) -> int:
    """Rows of a block: a few megabytes, or more where the columns are so many that their sums would cost more than the rows."""
    row_bytes = max(1, row_bytes)
    return max(1, BLOCK_BYTES // row_bytes, min(WIDE_ROWS, WIDE_BYTES // row_bytes))
