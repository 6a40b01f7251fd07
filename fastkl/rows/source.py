"""A source of rows: blocks in order, what to sum over them, and what to write for each.

A sum is ``function(block)`` for every block, merged in block order, so that its result does not depend on who reads ahead or how
many threads take part. Blocks of a source are the same in every pass.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")


@dataclass(frozen=True)
class Block:
    """Consecutive rows of a source.

    Parameters
    ----------
    X : ndarray of shape (b, d)
        The rows, C-contiguous; valid until the next block is asked for.
    weights : ndarray of shape (b,) or None
        Their weights as found; None stands for ones.
    first_row : int
        Number of the first row in the source, from 0.
    number : int
        Number of the block in the source, from 0.
    index : ndarray of shape (b,) or None
        Numbers of the rows less ``first_row``, where they do not follow each other (a sample).
    n_threads : int or None
        Threads for what is done with it, where the source has to say: a Dask worker has several tasks at a time.
    """

    X: NDArray[Any]
    weights: NDArray[Any] | None
    first_row: int
    number: int
    index: NDArray[np.intp] | None = None
    n_threads: int | None = None


class Source(ABC):
    """Rows that can be read block by block; a subclass says how."""

    repeatable: ClassVar[bool] = True  # whether a second pass is possible
    names: Sequence[str] | None = None
    n_columns: int | None = None
    n_rows: int | None = None  # where it is known before a pass
    progress: Any = None  # who hears of it

    @abstractmethod
    def blocks(self) -> Iterator[Block]:
        """One pass over the rows."""

    def sum(self, function: Callable[[Block], T], merge: Callable[[T, T], T]) -> T:
        """``function(block)`` of all blocks, merged in their order; both arguments can be pickled."""
        total: T | None = None
        for block in self.blocks():
            part = function(block)
            total = part if total is None else merge(total, part)
        if total is None:
            raise ValueError("The source holds no rows.")
        return total

    def map(self, function: Callable[[Block], NDArray[Any]], write: Callable[[Block, NDArray[Any]], None]) -> None:
        """Hand ``function(block)`` of every block, in order, to ``write``."""
        for block in self.blocks():
            write(block, function(block))

    def sample(self, size: int) -> Block:
        """About ``size`` rows, evenly spaced, with their weights: what an iteration starts from."""
        raise NotImplementedError


class ArraySource(Source):
    """Rows of an array in memory (or memory-mapped), in blocks of ``block_rows``."""

    def __init__(self, X: NDArray[Any], weights: NDArray[Any] | None = None, block_rows: int = 65536):
        self.X, self.weights, self.block_rows = X, weights, block_rows
        self.n_rows = len(X)

    def blocks(self) -> Iterator[Block]:
        for number, first in enumerate(range(0, len(self.X), self.block_rows)):
            part = slice(first, first + self.block_rows)
            weights = None if self.weights is None else self.weights[part]
            yield Block(np.ascontiguousarray(self.X[part]), weights, first, number)
