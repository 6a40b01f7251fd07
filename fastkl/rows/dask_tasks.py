"""What the tasks of a Dask pass do: a partition to blocks, blocks to one small partial result, partial results to one.

These functions run where the rows are. What they return is small, whatever the partition holds; what goes wrong in a partition is
returned as well, so that the first failure in the order of the rows is reported, whichever task came upon one first.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.dask_schedulers import threads_of_a_task
from fastkl.rows.source import Block


@dataclass(frozen=True, eq=False)
class Work:
    """What is done with every partition of a pass.

    Parameters
    ----------
    function : callable
        Takes a Block.
    merge : callable
        Puts two results together.
    columns : sequence or None
        Names of the columns of a data frame; None for an array.
    weight_column : object
        Name of the column that holds the weights, or None.
    block_rows : int
        Rows of a block: the last one of a partition may be shorter.
    n_threads : int or None
        Threads for the function; None finds it out on the worker.
    """

    function: Callable[[Block], Any]
    merge: Callable[[Any, Any], Any]
    columns: Sequence[Any] | None
    weight_column: Any
    block_rows: int
    n_threads: int | None


@dataclass(frozen=True, eq=False)
class Part:
    """The result of consecutive partitions.

    Parameters
    ----------
    value : object
        What the function gave, merged; of no meaning where no partition had rows.
    lengths : tuple of (int, int)
        Rows, and rows of positive weight, of every partition.
    failure : Exception or None
        The first that the function raised.
    """

    value: Any
    lengths: tuple[tuple[int, int], ...]
    failure: Exception | None = None

    @property
    def empty(self) -> bool:
        """Whether there are no rows in it."""
        return not any(rows for rows, _ in self.lengths)


# -- tasks ---------------------------------------------------------------------------------------------------------------------


def sum_partition(number: int, first_row: int | None, work: Work, chunk: Any, weights: Any) -> Part:
    """The partial result of one partition."""
    value, lengths = None, (0, 0)
    try:
        for block in blocks_of(number, first_row, work, chunk, weights):
            part = work.function(block)
            value = part if lengths[0] == 0 else work.merge(value, part)
            positive = len(block.X) if block.weights is None else int(np.count_nonzero(block.weights))
            lengths = (lengths[0] + len(block.X), lengths[1] + positive)
    except Exception as error:
        return Part(None, (lengths,), placed(error, number, first_row))
    return Part(value, (lengths,))


def merge_parts(merge: Callable[[Any, Any], Any], parts: Sequence[Part]) -> Part:
    """The parts of neighbouring partitions, from left to right."""
    lengths = tuple(length for part in parts for length in part.lengths)
    failure = next((part.failure for part in parts if part.failure is not None), None)
    if failure is not None:
        return Part(None, lengths, failure)
    value, empty = None, True
    for part in parts:
        if not part.empty:
            value = part.value if empty else merge(value, part.value)
            empty = False
    return Part(value, lengths)


def map_partition(number: int, first_row: int | None, work: Work, chunk: Any, weights: None) -> NDArray[Any]:
    """What the function gives for every row of a partition, (n,)."""
    try:
        values = [work.function(block) for block in blocks_of(number, first_row, work, chunk, None)]
    except Exception as error:
        raise placed(error, number, first_row) from None
    return np.concatenate(values) if values else np.empty(0)


def write_partition(path: str, number: int, first_row: int, work: Work, chunk: Any, weights: None) -> Part:
    """The same, written to its place in a ``.npy`` file that is there already; a repetition writes the same once more."""
    length, out = 0, None
    try:
        for block in blocks_of(number, first_row, work, chunk, None):
            values = work.function(block)
            out = _opened(path) if out is None else out
            out[block.first_row : block.first_row + len(values)] = values
            length += len(values)
        if out is not None:
            out.flush()
    except Exception as error:
        return Part(None, ((length, length),), placed(error, number, first_row))
    return Part(None, ((length, length),))


def sample_partition(
    step: int, seen: Sequence[int], number: int, first_row: int, work: Work, chunk: Any, weights: Any
) -> Part:
    """Rows, weights and numbers of every ``step``-th row of positive weight; ``seen[number]`` of them come before."""
    before, lengths, kept = seen[number], (0, 0), []
    try:
        for block in blocks_of(number, first_row, work, chunk, weights):
            positive = np.arange(len(block.X)) if block.weights is None else np.flatnonzero(block.weights)
            at = positive[-before % step :: step]
            before += len(positive)
            lengths = (lengths[0] + len(block.X), lengths[1] + len(positive))
            kept.append((block.X[at], None if block.weights is None else block.weights[at], block.first_row + at))
    except Exception as error:
        return Part(None, (lengths,), placed(error, number, first_row))
    return Part(kept, (lengths,))


def fetch_partition(number: int, first_row: int, work: Work, chunk: Any, weights: Any) -> list[Block]:
    """The blocks of a partition themselves."""
    try:
        return list(blocks_of(number, first_row, work, chunk, weights))
    except Exception as error:
        raise placed(error, number, first_row) from None


def _opened(path: str) -> Any:
    try:
        return np.lib.format.open_memmap(path, mode="r+")
    except FileNotFoundError as error:
        raise SourceError(
            f"A Dask worker cannot see {path}: out= needs a folder that all workers share. Without out= the log-densities are a "
            "lazy Dask array, which to_zarr or to_npy_stack write where you like."
        ) from error


# -- a partition to blocks -----------------------------------------------------------------------------------------------------


def blocks_of(number: int, first_row: int | None, work: Work, chunk: Any, weights: Any) -> Iterator[Block]:
    """Blocks of fixed length of one partition; only one at a time is converted."""
    n_threads = threads_of_a_task() if work.n_threads is None else work.n_threads
    n_rows = len(chunk)
    if work.weight_column is not None:
        weights = chunk[work.weight_column]
    if weights is not None:
        weights = checked_weights(weights, chunk)
    dtype = None if work.columns is None else number_type(chunk[list(work.columns)].dtypes)
    for first in range(0, n_rows, work.block_rows):
        part = slice(first, first + work.block_rows)
        X = chunk_rows(chunk[part]) if work.columns is None else frame_rows(chunk.iloc[part], work.columns, dtype)
        own = None if weights is None else np.ascontiguousarray(weights[part], dtype=np.float64)
        yield Block(X, own, (first_row or 0) + first, number, n_threads=n_threads)


def chunk_rows(chunk: Any) -> NDArray[Any]:
    """Rows of a chunk of a Dask array as a plain array."""
    if isinstance(chunk, np.ma.MaskedArray) and np.ma.is_masked(chunk):
        raise SourceError("The chunk has masked values. Fill them, or drop their rows.")
    if type(chunk) is not np.ndarray and not isinstance(chunk, np.ndarray):
        raise SourceError(
            f"The chunks of the Dask array are of type {type(chunk).__name__}. Turn them into plain arrays, for instance with "
            "map_blocks(lambda chunk: chunk.toarray()) for sparse ones."
        )
    return np.ascontiguousarray(chunk)


def number_type(dtypes: Any) -> np.dtype[Any] | None:
    """The type that holds the numbers of all columns, None if a column holds something else."""
    kinds = [getattr(dtype, "numpy_dtype", dtype) for dtype in dtypes]
    if not all(isinstance(kind, np.dtype) and kind.kind in "fiub" for kind in kinds):
        return None
    common = np.result_type(*kinds)
    return common if common in (np.float32, np.float64) else np.dtype(np.float64)


def frame_rows(frame: Any, columns: Sequence[Any], dtype: np.dtype[Any] | None) -> NDArray[Any]:
    """Columns of a data frame as an array of numbers, missing ones as NaN; of objects where dtype is None."""
    frame = frame[list(columns)]
    if dtype is None:
        return np.ascontiguousarray(frame.to_numpy(dtype=object))
    return np.ascontiguousarray(frame.to_numpy(dtype=dtype, na_value=np.nan))


def checked_weights(weights: Any, chunk: Any) -> Any:
    """Weights of a partition, one for each of its rows and in their order."""
    if len(weights) != len(chunk):
        raise SourceError(f"It has {len(chunk)} rows and {len(weights)} weights. Both need the same partitions.")
    index, other = getattr(chunk, "index", None), getattr(weights, "index", None)
    if index is not None and other is not None and not index.equals(other):
        raise SourceError("Its rows and weights have different indices. Take the weights from the same data frame.")
    if hasattr(weights, "to_numpy"):
        return weights.to_numpy(dtype=np.float64, na_value=np.nan)
    return weights


# -- failures ------------------------------------------------------------------------------------------------------


def placed(error: Exception, number: int, first_row: int | None) -> Exception:
    """The error, with the partition in its message, in a form that can travel."""
    counted = "" if first_row is not None else " (rows counted from its start)"
    where = f"Partition {number} of the Dask collection{counted}"
    if isinstance(error, ValueError | TypeError) and len(error.args) == 1:
        error.args = (f"{where}: {error}",)
    else:
        error.add_note(where)
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{where}: {type(error).__name__}: {error}")
    return error
