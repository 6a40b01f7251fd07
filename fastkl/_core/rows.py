"""Rows as a kernel sees them: validated, in memory or block by block, with what it takes to name one of them in a message.

A fit sees ``AnyRows``: rows in memory, or rows that are read block by block as often as they are passed over. It looks at values
only in functions of one block, handed to ``total``, and on ``sample``, so that the same lines serve both.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats
from fastkl._core.stretches import chosen_rows

T = TypeVar("T")
BLOCK_BYTES = 16 << 20  # values of a block of rows: many against the cost of a call, few against memory
LEAST_ROWS = 32 * BLOCK_ROWS  # of such a block in memory, which costs nothing to cut: work for as many threads


class AnyRows(Protocol):
    """Validated rows to pass over: in memory (``Rows``), or in blocks of ``Rows`` read anew for every pass."""

    @property
    def n_threads(self) -> int:
        """Threads to use."""

    @property
    def names(self) -> Sequence[str] | None:
        """Column names."""

    @property
    def n_columns(self) -> int:
        """Columns of a row."""

    @property
    def total_weight(self) -> float:
        """Sum of the weights: the number of rows without weights."""

    @property
    def incomplete(self) -> bool:
        """Whether NaN stands for a value that is not known."""

    def column(self, column: int) -> str:
        """The column in words."""

    def total(
        self,
        function: Callable[..., T],
        *args: Any,
        merge: Callable[[T, T], T] = operator.add,
        block_rows: int | None = None,
    ) -> T:
        """``function(block, *args)`` of all blocks, each a ``Rows``, merged in their order: one pass.

        All that is passed can be pickled, and so can what the function returns: blocks may be summed in other processes. What
        the function raises is raised for the first block for which it does. A function that holds many numbers for each row asks
        for blocks of at most ``block_rows`` rows (in whole blocks of a kernel); else a block has some 16 MB of values.
        """

    def sample(self, size: int) -> "Rows":
        """Rows in memory, one of each stretch, ``size`` of them up to four times as many; all rows where these are not more.

        A repeated call gives the same rows and is no further pass.
        """


@dataclass(frozen=True)
class Rows:
    """Validated rows in memory, with what it takes to sum over them and to name one of them in a message.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        float32 or float64, C-contiguous; labels of any kind for families of labels.
    weights : ndarray of shape (n,) or None
        float64 weights of at least 0; None stands for ones. Rows of weight 0 count as absent, whatever values they hold.
    n_threads : int
        Threads to use.
    names : sequence of str or None
        Column names.
    index : ndarray of shape (n,) or None
        Numbers of these rows in the caller's data, less ``first_row``, where rows were left out.
    first_row : int
        Number of the first row in the caller's data, where these rows are a block of them.
    batch : int or None
        Number of that block.
    incomplete : bool
        Whether NaN stands for a value that is not known.
    numbers : sequence of int or None
        Numbers of these columns in the caller's data, where there are others.
    noise : ndarray of shape (n, d, d), (1, d, d) or (n, d), or None
        Covariances of the noise with which each row was measured, that of all rows, or variances; None for none.
    """

    X: NDArray[Any]
    weights: Floats | None = None
    _: KW_ONLY
    n_threads: int = 1
    names: Sequence[str] | None = None
    index: NDArray[np.intp] | None = None
    first_row: int = 0
    batch: int | None = None
    incomplete: bool = False
    numbers: Sequence[int] | None = None
    noise: Floats | None = None

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return int(self.X.shape[1])

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights: the number of rows without weights."""
        return float(len(self.X) if self.weights is None else np.sum(self.weights))

    def column(self, column: int) -> str:
        """The column in words."""
        number = column if self.numbers is None else self.numbers[column]
        return f"column {number}" if self.names is None else f"column {number} ({self.names[column]!r})"

    def weighted_sum(self, values: Floats) -> float:
        """The sum of one value for each row, times the weights."""
        return float(np.sum(values) if self.weights is None else self.weights @ values)

    def row(self, row: int) -> str:
        """The row in words, counted from 0 in the caller's data."""
        number = self.first_row + (row if self.index is None else int(self.index[row]))
        return f"row {number}" if self.batch is None else f"row {number} (batch {self.batch})"

    def place(self, row: int, column: int) -> str:
        """The place of a value in words."""
        return f"{self.row(row)}, {self.column(column)}"

    def component_weights(self, weights: Floats) -> Floats:
        """Weights (n, k) of k components times the rows' own, each component's side by side: (k, n)."""
        of_components = np.ascontiguousarray(weights.T, dtype=np.float64)
        return of_components if self.weights is None else of_components * self.weights

    def components(self, weights: Floats) -> "list[Rows]":
        """The rows once for each of k components, whose weights (n, k) are multiplied by the rows' own."""
        return [replace(self, weights=own) for own in self.component_weights(weights)]

    def part(self, first: int, stop: int) -> "Rows":
        """The rows from number ``first`` up to ``stop``, which is not among them; nothing is copied."""
        weights = None if self.weights is None else self.weights[first:stop]
        index, first_row = None, self.first_row + first
        if self.index is not None:
            index, first_row = self.index[first:stop], self.first_row
        noise = self._noise_of(slice(first, stop))
        return replace(self, X=self.X[first:stop], weights=weights, index=index, first_row=first_row, noise=noise)

    def _noise_of(self, chosen: Any) -> Floats | None:
        """That of some of the rows."""
        if self.noise is None or (self.noise.ndim == 3 and len(self.noise) == 1):
            return self.noise
        return self.noise[chosen]

    def total(
        self,
        function: Callable[..., T],
        *args: Any,
        merge: Callable[[T, T], T] = operator.add,
        block_rows: int | None = None,
    ) -> T:
        """As for all rows to pass over; how they are cut does not depend on the number of threads, which work within a block."""
        if block_rows is None and len(self.X) <= LEAST_ROWS:
            return function(self, *args)
        most = block_rows or max(LEAST_ROWS, BLOCK_BYTES // max(1, self.n_columns * self.X.itemsize))
        step = BLOCK_ROWS * max(1, most // BLOCK_ROWS)
        result = function(self if len(self.X) <= step else self.part(0, step), *args)
        for first in range(step, len(self.X), step):
            result = merge(result, function(self.part(first, first + step), *args))
        return result

    def sample(self, size: int) -> "Rows":
        """One of every k rows, with k the number of rows over ``size``; the rows themselves if k is below 4."""
        length = len(self.X) // size
        return self if length < 4 else self.chosen(chosen_rows(length, 0, len(self.X)))

    def of_positive_weight(self) -> "Rows":
        """Without the rows of weight 0, which are as good as absent; they keep their numbers in messages."""
        if self.weights is None or np.min(self.weights, initial=np.inf) > 0.0:
            return self
        kept = np.flatnonzero(self.weights)
        if len(kept) == len(self.weights):
            return self
        return self.chosen(kept)

    def chosen(self, rows: NDArray[np.intp]) -> "Rows":
        """A copy of some of the rows, which keep their numbers in messages."""
        index = rows if self.index is None else self.index[rows]
        weights = None if self.weights is None else self.weights[rows]
        X, noise = np.ascontiguousarray(self.X[rows]), self._noise_of(rows)
        return replace(self, X=X, weights=weights, index=index, noise=noise)
