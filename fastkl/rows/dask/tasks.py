"""What the tasks of a Dask pass do: a partition to blocks, blocks to one small partial result, partial results to one.

These functions run where the rows are. What they return is small, whatever the partition holds; what goes wrong in a partition is
returned as well, so that the first failure in the order of the rows is reported, whichever task came upon one first.
"""

import os
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.arrow import import_pyarrow
from fastkl.rows.batch import Choice, as_batch
from fastkl.rows.dask.schedulers import threads_of_a_task
from fastkl.rows.in_band import InBand
from fastkl.rows.output import LOG_DENSITY
from fastkl.rows.source import Block, chosen_of_block
from fastkl.rows.travelling import travelling


@dataclass(frozen=True, eq=False)
class Work(InBand):
    """What is done with every partition of a pass.

    Parameters
    ----------
    function : callable
        Takes a Block.
    merge : callable
        Puts two results together.
    choice : Choice
        What is wanted of a partition.
    block_rows : int
        Rows of a block: the last one of a partition may be shorter.
    n_threads : int or None
        Threads for the function; None finds it out on the worker.
    """

    function: Callable[[Block], Any]
    merge: Callable[[Any, Any], Any]
    choice: Choice
    block_rows: int
    n_threads: int | None


@dataclass(frozen=True, eq=False)
class PartitionResult(InBand):
    """The result of consecutive partitions.

    Parameters
    ----------
    number : int
        The first of these partitions.
    value : object
        What the function gave, merged; of no meaning where no partition had rows.
    lengths : tuple of (int, int)
        Rows, and rows of positive weight, of every partition.
    failure : Exception or None
        The first that the function raised.
    """

    number: int
    value: Any
    lengths: tuple[tuple[int, int], ...]
    failure: Exception | None = None

    def __sizeof__(self) -> int:
        """Bytes with all that is in it: by them Dask decides which worker merges."""
        return object.__sizeof__(self) + bytes_of(self.value) + 128 * len(self.lengths)

    @property
    def empty(self) -> bool:
        """Whether there are no rows in it."""
        return not any(rows for rows, _ in self.lengths)


# -- tasks ---------------------------------------------------------------------------------------------------------------------


def sum_partition(number: int, first_row: int | None, work: Work, chunk: Any, weights: Any) -> PartitionResult:
    """The partial result of one partition."""
    value, lengths = None, (0, 0)
    try:
        for block in blocks_of(number, first_row, work, chunk, weights):
            part = work.function(block)
            value = part if lengths[0] == 0 else work.merge(value, part)
            lengths = (lengths[0] + len(block.X), lengths[1] + block.n_positive)
    except Exception as error:
        return PartitionResult(number, None, (lengths,), placed(error, number, first_row))
    return PartitionResult(number, value, (lengths,))


def several(
    task: Callable[..., PartitionResult],
    numbers: Sequence[int],
    first_rows: Sequence[int | None],
    work: Work,
    chunks: Sequence[Any],
    weights: Sequence[Any],
) -> list[PartitionResult]:
    """The partial result of each of several partitions, by a task for one."""
    own = zip(numbers, first_rows, chunks, weights, strict=True)
    return [task(number, first_row, work, chunk, its_weights) for number, first_row, chunk, its_weights in own]


def merge_parts(merge: Callable[[Any, Any], Any], lists: Sequence[Sequence[PartitionResult]]) -> list[PartitionResult]:
    """The parts of neighbouring partitions as one, merged in the order of the rows, wherever they were."""
    parts = sorted((part for group in lists for part in group), key=attrgetter("number"))
    lengths = tuple(length for part in parts for length in part.lengths)
    failure = next((part.failure for part in parts if part.failure is not None), None)
    if failure is not None:
        return [PartitionResult(parts[0].number, None, lengths, failure)]
    value, empty = None, True
    for part in parts:
        if not part.empty:
            value = part.value if empty else merge(value, part.value)
            empty = False
    return [PartitionResult(parts[0].number, value, lengths)]


def map_partition(number: int, first_row: int | None, work: Work, chunk: Any, weights: None) -> NDArray[Any]:
    """What the function gives for every row of a partition, (n,)."""
    try:
        values = [work.function(block) for block in blocks_of(number, first_row, work, chunk, None)]
    except Exception as error:
        raise placed(error, number, first_row) from None
    return np.concatenate(values) if values else np.empty(0)


def write_partition(
    folder: str, number: int, first_row: int | None, work: Work, chunk: Any, weights: None
) -> PartitionResult:
    """The same, as a Parquet file in a folder; a task that is repeated writes the same file once more."""
    final = Path(folder, f"part-{number:06d}.parquet")
    written = final.with_name(f"{final.name}.{uuid.uuid4().hex}")
    length = 0
    try:
        values = map_partition(number, first_row, work, chunk, weights)
        length = len(values)
        if not final.parent.is_dir():
            raise SourceError(
                f"This worker sees no folder {folder}: out as a folder has to be one that all workers share. A file "
                "(out='scores.npy' or 'scores.parquet') is written by the calling process alone."
            )
        pyarrow = import_pyarrow("Writing Parquet")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pydict({LOG_DENSITY: values}), written)
        os.replace(written, final)
    except Exception as error:
        written.unlink(missing_ok=True)
        return PartitionResult(number, None, ((length, length),), error)
    return PartitionResult(number, None, ((length, length),))


def sample_partition(
    length: int, seen: Sequence[int], number: int, first_row: int, work: Work, chunk: Any, weights: Any
) -> PartitionResult:
    """Rows, weights and numbers of a row of positive weight of each stretch; ``seen[number]`` of them come before."""
    before, lengths, kept = seen[number], (0, 0), []
    try:
        for block in blocks_of(number, first_row, work, chunk, weights):
            at, _, before = chosen_of_block(length, before, block)
            lengths = (lengths[0] + len(block.X), before - seen[number])
            kept.append((block.X[at], None if block.weights is None else block.weights[at], block.first_row + at))
    except Exception as error:
        return PartitionResult(number, None, (lengths,), placed(error, number, first_row))
    return PartitionResult(number, kept, (lengths,))


def fetch_partition(number: int, first_row: int, work: Work, chunk: Any, weights: Any) -> list[Block]:
    """The blocks of a partition themselves."""
    try:
        return list(blocks_of(number, first_row, work, chunk, weights))
    except Exception as error:
        raise placed(error, number, first_row) from None


# -- a partition to blocks -----------------------------------------------------------------------------------------------------


def blocks_of(number: int, first_row: int | None, work: Work, chunk: Any, weights: Any) -> Generator[Block]:
    """Blocks of fixed length of one partition; only one at a time is converted."""
    n_threads = threads_of_a_task() if work.n_threads is None else work.n_threads
    own = None if weights is None else aligned_weights(weights, chunk)
    whole = sliced(chunk)
    for first in range(0, len(chunk), work.block_rows):
        part = slice(first, first + work.block_rows)
        start = (first_row or 0) + first
        batch = as_batch(whole[part], work.choice, f"The block from row {start} on")
        given = batch.weights if own is None else np.asarray(own[part])
        yield Block(np.ascontiguousarray(batch.X), given, start, number, n_threads=n_threads)


def sliced(chunk: Any) -> Any:
    """What slices of the rows of a chunk, an array or a data frame, are taken from."""
    return chunk.iloc if hasattr(chunk, "iloc") else chunk


def aligned_weights(weights: Any, chunk: Any) -> Any:
    """Weights of a partition, one for each of its rows and in their order."""
    if len(weights) != len(chunk):
        raise SourceError(f"It has {len(chunk)} rows and {len(weights)} weights: both need the same partitions.")
    index, other = getattr(chunk, "index", None), getattr(weights, "index", None)
    if index is not None and other is not None and not index.equals(other):
        raise SourceError("Its rows and its weights have different indices: take the weights from the same data frame.")
    return weights.to_numpy(dtype=np.float64, na_value=np.nan) if hasattr(weights, "to_numpy") else weights


def bytes_of(value: Any) -> int:
    """About how many bytes travel with a value."""
    if isinstance(value, np.ndarray):
        return int(value.nbytes)
    if isinstance(value, dict):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    return sum(map(bytes_of, vars(value).values())) if hasattr(value, "__dict__") else 8


# -- failures ------------------------------------------------------------------------------------------------------------------


def placed(error: Exception, number: int, first_row: int | None) -> Exception:
    """The error, with the partition in its message, in a form that can travel."""
    counted = "" if first_row is not None else " (rows counted from its start)"
    where = f"Partition {number} of the Dask collection{counted}"
    if isinstance(error, ValueError | TypeError) and len(error.args) == 1:
        error.args = (f"{where}: {error}",)
    else:
        error.add_note(where)
    return travelling(error, f"{where}: ")
