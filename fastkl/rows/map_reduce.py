"""Passes over rows that somebody else's engine holds: a pure map of a batch to a small part, and parts to one result.

Rows are cut into blocks whose borders follow from the number of the row alone, never from the batches. A block that lies in one
batch is summed there; sums of neighbouring blocks 2k and 2k + 1 are merged wherever they meet, and theirs again. Which numbers
are added, and in which order, is therefore the same for every way to split the rows: the result is the same bit for bit. Of a
block that lies in several batches the rows themselves travel, once: later passes find them where they were put together.

The first pass counts the rows of every batch, so that each knows its place afterwards.
"""

import hashlib
import itertools
import os
import pickle
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice
from fastkl.rows.columns import all_named
from fastkl.rows.in_band import InBand
from fastkl.rows.opening import open_source
from fastkl.rows.source import Block, chosen_of_block
from fastkl.rows.sources.queries import is_query
from fastkl.rows.travelling import travelling
from fastkl.rows.weights import joined_rows

# Values of a block: half a megabyte, which is what may travel of it, and enough to outweigh the cost of a call.
VALUES = 1 << 16
FEWEST_ROWS, MOST_ROWS = 256, 1 << 15

Node = tuple[int, int]  # 2**level blocks from number index * 2**level on
Stamp = tuple[bytes, int]  # which job a pass is of, and the how manieth of it: sums of two jobs may look alike


def block_rows(n_columns: int) -> int:
    """Rows of a block, a power of two."""
    most = max(1, VALUES // max(1, n_columns))
    return min(MOST_ROWS, max(FEWEST_ROWS, 1 << (most.bit_length() - 1)))


class Piece(NamedTuple):
    """Rows that are less than a block: number of the first one, values, weights."""

    first_row: int
    X: NDArray[Any]
    weights: NDArray[Any] | None


@dataclass(frozen=True, eq=False)
class Part(InBand):
    """What the map gives for a batch: a few sums and what identifies the batch, or what went wrong.

    ``bytes(part)`` is the part to send where an engine takes bytes; ``reduce`` takes either.
    """

    key: Any
    lengths: tuple[int, int] = (0, 0)  # rows, rows of positive weight
    stamp: Stamp | None = None  # that of the pass
    names: Sequence[str] | None = None
    n_columns: int | None = None
    value: Any = None
    failure: Exception | None = None

    def __bytes__(self) -> bytes:
        return pickle.dumps(self, protocol=5)


@dataclass(frozen=True, eq=False)
class Places:
    """Where the batches are, by what identifies them; several places where batches hold the same."""

    n_rows: int
    n_columns: int
    rows: dict[Any, list[int]]  # before each batch
    positive: dict[Any, list[int]]  # of them, those of positive weight
    lengths: dict[Any, tuple[int, int]]

    def of(self, key: Any, blocks: Iterable[Block]) -> Iterator[tuple[int, int, Iterable[Block]]]:
        """For each place of a batch: rows before it, those of positive weight, and the batch's blocks."""
        if key not in self.rows:
            what = f"Batch number {key}" if isinstance(key, int) else "A batch"
            raise SourceError(
                f"{what} was not there in the first pass. Every pass takes the same batches, as they were."
            )
        looked = list(blocks) if len(self.rows[key]) > 1 else blocks
        for first, before in zip(self.rows[key], self.positive[key], strict=True):
            yield first, before, looked

    def check(self, key: Any, n_rows: int) -> None:
        """SourceError unless the batch has as many rows as in the first pass."""
        if n_rows != self.lengths[key][0]:
            raise SourceError(
                f"A batch had {self.lengths[key][0]} rows in the first pass and has {n_rows} in this one."
            )


# -- what is done with a batch -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Count:
    """The first pass: how many rows there are, and of which columns."""

    def of_batch(self, key: Any, blocks: Iterable[Block]) -> Part:
        """Rows of a batch, those of positive weight, and the number of columns."""
        n, positive, width = 0, 0, None
        for block in blocks:
            n += len(block.X)
            positive += block.n_positive
            width = block.X.shape[1]
        return Part(key, (n, positive), n_columns=width)


@dataclass(frozen=True, eq=False)
class Sum:
    """``function(block)``, merged over the blocks of the rows; ``edges`` says whether rows of cut blocks are wanted."""

    function: Callable[[Block], Any]
    merge: Callable[[Any, Any], Any]
    places: Places
    edges: bool

    def of_batch(self, key: Any, blocks: Iterable[Block]) -> Part:
        """Sums over the whole blocks that lie in the batch, and the rows beside them."""
        nodes: dict[Node, Any] = {}
        kept: list[Piece] = []
        n, step = 0, block_rows(self.places.n_columns)
        for first, _, looked in self.places.of(key, blocks):
            n = 0
            for piece, number in _cut(looked, first, step, self.places.n_rows):
                n += len(piece.X)
                if number is not None:
                    add(nodes, (0, number), self._of_piece(piece), self.merge)
                elif self.edges:
                    kept.append(_copied(piece))
        self.places.check(key, n)
        return Part(key, (n, 0), value=(nodes, kept))

    def _of_piece(self, piece: Piece) -> Any:
        return self.function(Block(piece.X, piece.weights, piece.first_row, None))

    def of_pieces(self, pieces: Sequence[Piece]) -> dict[Node, Any]:
        """Sums over the blocks that no batch held whole."""
        nodes: dict[Node, Any] = {}
        step = block_rows(self.places.n_columns)
        for piece in pieces:
            add(nodes, (0, piece.first_row // step), self._of_piece(piece), self.merge)
        return nodes


@dataclass(frozen=True, eq=False)
class Sample:
    """One row of positive weight of each stretch of ``length``."""

    length: int
    places: Places

    def of_batch(self, key: Any, blocks: Iterable[Block]) -> Part:
        """Those rows of a batch, with weights and numbers."""
        kept: list[tuple[Piece, NDArray[np.intp]]] = []
        n = 0
        for first, before, looked in self.places.of(key, blocks):
            n = 0
            for block in looked:
                at, _, before = chosen_of_block(self.length, before, block)
                weights = None if block.weights is None else np.asarray(block.weights)[at]
                kept.append((Piece(first + n, block.X[at], weights), first + n + at))
                n += len(block.X)
        self.places.check(key, n)
        return Part(key, (n, 0), value=kept)


@dataclass(frozen=True, eq=False)
class Pass(InBand):
    """The map of one pass: pure, and it can be pickled, as can what it returns."""

    work: Any
    choice: Choice = field(default_factory=Choice)
    stamp: Stamp | None = None

    def __call__(self, batch: Any, number: int | None = None) -> Part:
        """The part of a batch: rows as ``fit_batches`` takes them (an array, a table, a path, …), or an iterator over such.

        Parameters
        ----------
        batch : object
            Rows that follow one another; ``(X, weights)`` for rows with weights of their own.
        number : int, default=None
            The batch's place in the order of the rows, the same in every pass. None tells batches apart by what they hold, and
            takes the order of the parts in the first ``reduce``.

        Returns
        -------
        Part
            What ``reduce`` takes. What goes wrong is in it, and ``reduce`` raises it.
        """
        key: Any = number
        names: Sequence[str] | None = None
        try:
            if number is not None and (isinstance(number, bool) or not isinstance(number, int | np.integer)):
                raise ValueError(f"number is the place of the batch among all, a whole number, not {number!r}.")
            key = None if number is None else int(number)
            blocks, names, lasting = self._opened(batch, key)
            if key is None and isinstance(batch, str | os.PathLike):
                key = os.fspath(batch)
            elif key is None:
                # all of them are told apart by what they hold before any is summed
                blocks = [block if lasting else block.kept() for block in blocks if len(block.X)]
                key = fingerprint(blocks)
            with single_threaded_blas():  # who maps several batches at a time has a thread for each
                return replace(self.work.of_batch(key, blocks), names=names, stamp=self.stamp)
        except Exception as error:
            return Part(key, stamp=self.stamp, names=names, failure=travelling(error))

    def _opened(self, batch: Any, key: Any) -> tuple[Iterable[Block], Sequence[str] | None, bool]:
        """The blocks of a batch, the names of its columns, and whether the blocks stay valid for good."""
        if isinstance(batch, Iterator):
            batch = _from_first(batch)
            if batch is None:
                return [], None, True
        elif isinstance(batch, tuple):
            batch = [batch]
        if key is None and (callable(batch) or isinstance(batch, Iterator) or is_query(batch)):
            raise SourceError(
                f"A {type(batch).__name__} is told apart from others by its number: job.map(batch, number), the same in every "
                "pass."
            )
        choice = self.choice
        source = open_source(batch, choice.columns, choice.weights, None, choice.labels, choice.known)
        source.learn_columns()
        expected = getattr(getattr(self.work, "places", None), "n_columns", source.n_columns)
        if source.n_columns != expected:
            raise SourceError(f"A batch has {source.n_columns} columns, those of the first pass have {expected}.")
        return source.blocks(), source.names, source.lasting


# -- small steps ---------------------------------------------------------------------------------------------------------------


def add(nodes: dict[Node, Any], node: Node, value: Any, merge: Callable[[Any, Any], Any]) -> None:
    """A sum more; neighbours that make a pair are merged, and what comes of it in turn."""
    level, index = node
    while (level, index ^ 1) in nodes:
        other = nodes.pop((level, index ^ 1))
        value = merge(value, other) if index % 2 == 0 else merge(other, value)
        level, index = level + 1, index // 2
    nodes[level, index] = value


def total(nodes: dict[Node, Any], merge: Callable[[Any, Any], Any]) -> Any:
    """What is left, merged in the order of the rows."""
    result, empty = None, True
    for _, value in sorted(nodes.items(), key=lambda item: item[0][1] << item[0][0]):
        result, empty = (value, False) if empty else (merge(result, value), False)
    return result


def joined(pieces: Sequence[Piece], step: int) -> list[Piece]:
    """Pieces of the same block put together, in the order of the rows."""
    found: dict[int, list[Piece]] = {}
    for piece in sorted(pieces, key=lambda piece: piece.first_row):
        found.setdefault(piece.first_row // step, []).append(piece)
    return [concatenated(several) for several in found.values()]


def concatenated(pieces: Sequence[Piece]) -> Piece:
    """Pieces in the order of their rows as one."""
    if len(pieces) == 1:
        return pieces[0]
    X, weights = joined_rows([(piece.X, piece.weights) for piece in pieces])
    return Piece(pieces[0].first_row, X, weights)


def fingerprint(blocks: Sequence[Block]) -> bytes:
    """What tells batches apart: a hash of values and weights."""
    found = hashlib.sha1(usedforsecurity=False)
    for block in blocks:
        found.update(f"{block.X.shape} {block.X.dtype}".encode())
        found.update(pickle.dumps(block.X.tolist()) if block.X.dtype.hasobject else block.X.view(np.uint8).data)
        if block.weights is not None:
            found.update(np.ascontiguousarray(block.weights, dtype=np.float64).tobytes())
    return found.digest()


def order_of(parts: Sequence[Part]) -> list[Part]:
    """The parts of the first pass in the order of the rows; SourceError where numbers are given to some only, or twice."""
    numbers = [part.key for part in parts if isinstance(part.key, int)]
    if not numbers:
        return list(parts)
    if len(numbers) < len(parts):
        raise SourceError("Some batches have a number and others have none: give job.map(batch, number) one for each.")
    twice = (
        sorted({number for number in numbers if numbers.count(number) > 1}) if len(set(numbers)) < len(numbers) else []
    )
    if twice:
        raise SourceError(
            f"Several batches have the number {twice[0]}: numbers are the places of the batches among all."
        )
    return sorted(parts, key=lambda part: part.key)


def places_of(parts: Sequence[Part]) -> Places:
    """The places of the batches, whose parts of the first pass are in order; SourceError where columns differ."""
    rows: dict[Any, list[int]] = {}
    positive: dict[Any, list[int]] = {}
    before = [0, 0]
    for part in parts:
        rows.setdefault(part.key, []).append(before[0])
        positive.setdefault(part.key, []).append(before[1])
        before = [before[0] + part.lengths[0], before[1] + part.lengths[1]]
    filled = [part for part in parts if part.lengths[0]]
    if not filled:
        raise SourceError("The batches hold no rows.")
    for number, part in enumerate(filled):
        if part.n_columns != filled[0].n_columns:
            raise SourceError(f"Batch {number} has {part.n_columns} columns, the first has {filled[0].n_columns}.")
        if part.names != filled[0].names:
            here, there = (all_named(one.names) for one in (part, filled[0]))
            raise SourceError(
                f"Batch {number} has {here}, the first has {there}. Choose columns=[...] by name if only their order differs."
            )
    width = filled[0].n_columns or 0
    return Places(before[0], width, rows, positive, {part.key: part.lengths for part in parts})


def _cut(blocks: Iterable[Block], first: int, step: int, n_rows: int) -> Iterator[tuple[Piece, int | None]]:
    """Whole blocks with their numbers, and pieces of others; the last block of all is whole at any length."""
    row = first
    held: list[Piece] = []
    for block in blocks:
        done = 0
        while done < len(block.X):
            size = min(len(block.X) - done, step - row % step)
            own = slice(done, done + size)
            held.append(Piece(row, block.X[own], None if block.weights is None else np.asarray(block.weights)[own]))
            row, done = row + size, done + size
            if row % step == 0 or row == n_rows:
                piece, held = concatenated(held), []
                yield piece, None if piece.first_row % step else piece.first_row // step
        # the values of a block need not be valid once the next one is asked for
        held = [_copied(piece) for piece in held]
    if held:
        yield concatenated(held), None


def _copied(piece: Piece) -> Piece:
    return Piece(piece.first_row, piece.X.copy(), None if piece.weights is None else piece.weights.copy())


def _from_first(batches: Iterator[Any]) -> Iterator[Any] | None:
    """The iterator, unless it is at its end already."""
    for first in batches:
        return itertools.chain([first], batches)
    return None
