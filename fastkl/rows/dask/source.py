"""Rows of a Dask array or data frame: a pass is one graph of tasks, in which only partial results travel.

Every partition is a task, or two where it has to be read first: the function on its blocks, merged from the first block to the
last. (Persisted neighbours on one worker share a task, which gives the result of each.) The partial results of ``FAN_IN``
neighbouring partitions are merged by one task, and theirs again, up to one result. Which partial results meet, and in which
order, follows from the partitions alone; so a pass gives the same whatever the number of workers, their order of finishing, and
whether a task was repeated because its worker was lost.

A pass costs about max(reading, computing / cores) + depth * latency, with depth = 1 + log(partitions) / log(``FAN_IN``).
"""

import operator
import os
import shutil
import uuid
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.dask import tasks
from fastkl.rows.dask.groups import groups_of
from fastkl.rows.dask.partitions import open_partitions
from fastkl.rows.dask.schedulers import compute, current_client, tasks_at_a_time, threads_of_local_tasks
from fastkl.rows.dask.tasks import PartitionResult, Work
from fastkl.rows.progress import SILENCE
from fastkl.rows.source import Block, Source, no_result, unchanged

T = TypeVar("T")

FAN_IN = 16  # partial results that one task merges
IN_MEMORY_BYTES = 64 << 20  # of a block: larger than where blocks are read, as rows of a task are there already
EMBEDDED_BYTES = 8192  # a larger function is sent once to every worker, not once with every task


class DaskSource(Source):
    """Rows of a Dask collection, partition by partition.

    Parameters
    ----------
    collection : dask.array.Array of shape (n, d) or dask.dataframe.DataFrame
        Nothing is computed. Chunks of columns are joined; the number of rows of a partition need not be known. Unless the
        collection is persisted, every pass computes it anew.
    columns : sequence, default=None
        Names (data frame) or numbers of the columns to take, in this order.
    weights : dask array or series, array-like of shape (n,), or name of a column, default=None
        One for each row, in the same partitions; one in memory needs known chunk sizes.
    block_rows : int, default=None
        Rows that are worked on at a time in a task; by default some 64 MiB of numbers.
    labels : bool, default=False
        Whether to leave values as they are.
    exact : bool, default=False
        Whether to refuse whole numbers of which neighbours are one float64.

    Raises
    ------
    SourceError
        Not two-dimensional, no rows, unknown columns, weights that don't fit.
    """

    lazy = True

    def __init__(
        self,
        collection: Any,
        columns: Sequence[Any] | None = None,
        weights: Any = None,
        block_rows: int | None = None,
        labels: bool = False,
        exact: bool = False,
    ):
        self._given, self._weights, self._labels, self._exact = collection, weights, labels, exact
        self._block_rows = block_rows
        self._open(columns)

    def _open(self, columns: Sequence[Any] | None) -> None:
        opened = open_partitions(self._given, columns, self._weights, self._labels)
        opened = replace(opened, choice=replace(opened.choice, exact=self._exact))
        self._opened, self._lengths = opened, opened.known_lengths()
        self.names, self.n_columns = opened.names, opened.n_columns
        self.n_rows = None if np.isnan(opened.lengths).any() else int(sum(opened.lengths))
        self._numbers_only = opened.numbers_only or self._labels
        self._groups: list[list[int]] | None = None  # which partitions a task works on

    def select(self, columns: Sequence[Any]) -> None:
        """Read only these columns from now on, in this order; the columns of an array have no names, and stay."""
        if self.names is not None and list(columns) != self.names:
            self._open(columns)

    # -- passes ------------------------------------------------------------------------------------------------------------

    def sum(self, function: Callable[[Block], T], merge: Callable[[T, T], T]) -> T:
        """``function(block)`` of all blocks, merged in their order; both arguments can be pickled.

        What is raised is the first failure in the order of the rows, with the partition in its message.
        """
        return self._pass(tasks.sum_partition, self._work(function, merge), self._opened.weight_keys)

    def values(self, function: Callable[[Block], NDArray[Any]]) -> Any:
        """``function(block)``, one number for each row, as a lazy Dask array in the partitions of the rows."""
        import dask.array as da

        name = f"fastkl-map-{uuid.uuid4().hex}"
        work = replace(self._work(function, first_of), n_threads=None)  # who will compute it is not known yet
        layer = self._partition_tasks(name, work)
        return da.Array(self._graph(name, layer), name, chunks=(self._rows_of_partitions(),), dtype=np.float64)

    def map(self, function: Callable[[Block], NDArray[Any]], write: Callable[[Block, NDArray[Any]], None]) -> None:
        """Hand ``function(block)``, one number for each row, to ``write`` here, in order; the rows stay where they are.

        The blocks that ``write`` is given are whole partitions, without their values.
        """
        self._check_first_partition()
        first, several = 0, max(FAN_IN, 2 * tasks_at_a_time())
        self.progress.begin(self.n_rows)
        for start in range(0, len(self._opened.keys), several):
            name = f"fastkl-map-{uuid.uuid4().hex}"
            layer = self._partition_tasks(name, self._work(function, first_of))
            keys = [(name, number) for number in range(len(self._opened.keys))[start : start + several]]
            for number, values in enumerate(compute(self._graph(name, layer), name, keys), start):
                write(Block(np.empty((len(values), 0)), None, first, number), values)
                first += len(values)
                self.progress.advance(len(values))
        self.n_rows = first

    def write_folder(self, function: Callable[[Block], NDArray[Any]], path: Any) -> Path:
        """Write ``function(block)``, one number for each row, as a folder of Parquet files, one for each partition.

        Every worker writes its own; the folder appears under its name when it is complete.
        """
        target = Path(path).absolute()
        if target.exists():
            raise FileExistsError(f"out is {target}, which exists; give the name of a new folder.")
        unfinished = target.with_name(f"{target.name}.{uuid.uuid4().hex}.partial")
        unfinished.mkdir()
        try:
            task = partial(tasks.write_partition, str(unfinished))
            self._pass(task, self._work(function, first_of), [None] * len(self._opened.keys))
            for found in unfinished.iterdir():
                if found.suffix != ".parquet":
                    found.unlink()  # of a worker that was lost while it wrote
            os.replace(unfinished, target)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        return Path(path)

    def blocks(self) -> Generator[Block]:
        """One pass over the rows *here*: the partitions come to this process, one at a time. ``sum`` moves no rows."""
        first = 0
        for number, (key, weight_key) in enumerate(zip(self._opened.keys, self._opened.weight_keys, strict=True)):
            name = f"fastkl-fetch-{uuid.uuid4().hex}"
            task = partial(tasks.fetch_partition, number, first)
            layer = {name: (task, self._work(unchanged, first_of), key, weight_key)}
            for block in compute(self._graph(name, layer), name, [name])[0]:
                yield block
                first += len(block.X)
        self.n_rows = first

    def sample(self, size: int) -> Block:
        """Rows of positive weight, one of each stretch, ``size`` of them up to four times as many; all where these are not more.

        Every partition gives its share, so that no more than those rows travel. Where the number of rows is not known,
        they are counted first.
        """
        lengths = self.count()
        seen = np.cumsum([0, *(positive for _, positive in lengths)]).tolist()
        length = seen[-1] // size if seen[-1] >= 4 * size else 1
        task = partial(tasks.sample_partition, length, seen)
        X, weights, index = zip(
            *self._pass(task, self._work(unchanged, operator.add), self._opened.weight_keys), strict=True
        )
        whole = None if weights[0] is None else np.concatenate(weights)
        return Block(np.ascontiguousarray(np.concatenate(X)), whole, 0, 0, index=np.concatenate(index))

    def count(self) -> tuple[tuple[int, int], ...]:
        """Rows, and rows of positive weight, of every partition; where they are not known yet, this is a pass."""
        if self._lengths is None:
            self.sum(no_result, first_of)
        assert self._lengths is not None
        return self._lengths

    def _check_first_partition(self) -> None:
        """Where types leave open whether columns hold numbers, the first partition decides, before all are computed in vain."""
        if self._numbers_only:
            return
        name = f"fastkl-look-{uuid.uuid4().hex}"
        task = partial(tasks.sum_partition, 0, 0)
        layer = {name: (task, self._work(no_result, first_of), self._opened.keys[0], self._opened.weight_keys[0])}
        part: PartitionResult = compute(self._graph(name, layer), name, [name])[0]
        if part.failure is not None:
            raise part.failure
        self._numbers_only = True

    # -- graphs ------------------------------------------------------------------------------------------------------------

    def _work(self, function: Callable[[Block], Any], merge: Callable[[Any, Any], Any]) -> Work:
        # a multiple of 4096 rows, so that the kernels' own blocks are full
        rows = self._block_rows or max(1, IN_MEMORY_BYTES // (8 * 4096 * (self.n_columns or 1))) * 4096
        n_threads = threads_of_local_tasks(len(self._opened.keys))
        return Work(function, merge, self._opened.choice, rows, n_threads)

    def _group_tasks(
        self, name: str, task: Callable[..., Any], work: Work, weight_keys: list[Any], groups: list[list[int]]
    ) -> dict[Any, Any]:
        """For every group of partitions a task that gives the list of what ``task`` gives for each of them."""
        given, layer = self._given_to_tasks(name, work)
        keys, firsts = self._opened.keys, self._first_rows()
        for group in groups:
            several = partial(tasks.several, task, group, [firsts[number] for number in group])
            of_group = [keys[number] for number in group], [weight_keys[number] for number in group]
            layer[name, group[0]] = (several, given, *of_group)
        return layer

    def _partition_tasks(self, name: str, work: Work) -> dict[Any, Any]:
        """For every partition a task that gives what the function gives for each of its rows."""
        given, layer = self._given_to_tasks(name, work)
        for number, (key, first) in enumerate(zip(self._opened.keys, self._first_rows(), strict=True)):
            layer[name, number] = (partial(tasks.map_partition, number, first), given, key, None)
        return layer

    def _given_to_tasks(self, name: str, work: Work) -> tuple[Any, dict[Any, Any]]:
        """What a task is given as its work, itself or its key, and the layer to begin with."""
        if current_client() is not None and len(pickled(work)) > EMBEDDED_BYTES:
            return f"{name}-work", {f"{name}-work": work}
        return work, {}

    def _first_rows(self) -> list[int | None]:
        """The number of the first row of every partition, where it is known."""
        rows = self._rows_of_partitions()
        return [None] * len(rows) if np.isnan(rows).any() else np.cumsum([0, *map(int, rows[:-1])]).tolist()

    def _rows_of_partitions(self) -> tuple[float, ...]:
        """Rows of every partition, NaN where they are not known."""
        return self._opened.lengths if self._lengths is None else tuple(rows for rows, _ in self._lengths)

    def _graph(self, name: str, layer: dict[Any, Any]) -> Any:
        from dask.highlevelgraph import HighLevelGraph

        below = self._opened.graph
        return HighLevelGraph({**below.layers, name: layer}, {**below.dependencies, name: {*below.layers}})

    def _pass(self, task: Callable[..., Any], work: Work, weight_keys: list[Any]) -> Any:
        """The tasks of all partitions, and a tree of merges above them; the value at its root."""
        self._check_first_partition()
        if self._groups is None:
            self._groups = groups_of(self._opened, FAN_IN)
        name = f"fastkl-sum-{uuid.uuid4().hex}"
        layer = self._group_tasks(name, task, work, weight_keys, self._groups)
        merge = partial(tasks.merge_parts, work.merge)
        leaves = {(name, group[0]): group for group in self._groups}
        below: list[list[Any]] = [list(keys) for _, keys in groupby(leaves, key=lambda key: key[1] // FAN_IN)]
        level = 0
        while len(below) > 1:
            level += 1
            keys = [(name, level, number) for number in range(len(below))]
            layer.update({key: (merge, merged) for key, merged in zip(keys, below, strict=True)})
            below = [keys[first : first + FAN_IN] for first in range(0, len(keys), FAN_IN)]
        last = self._reported(self._graph(name, layer), name, below[0], leaves)
        (part,) = merge(last)  # the last few are merged here
        if part.failure is not None:
            raise part.failure
        return self._learned(part)

    def _reported(
        self, graph: Any, name: str, keys: list[Any], leaves: dict[Any, list[int]]
    ) -> list[list[PartitionResult]]:
        """The values of the keys; ``progress`` hears of the leaves, tasks on some partitions each, that are done."""
        if self.progress is SILENCE:
            return compute(graph, name, keys)
        reported = 0

        def advance(key: Any, parts: list[PartitionResult] | None) -> None:
            nonlocal reported
            rows = sum(part.lengths[0][0] for part in parts or [])
            if parts is None and self._lengths is not None:
                rows = sum(self._lengths[number][0] for number in leaves[key])
            reported += rows
            self.progress.advance(rows)

        self.progress.begin(self.n_rows)
        found: list[list[PartitionResult]] = compute(graph, name, keys, leaves, advance)
        self.progress.advance(sum(rows for parts in found for part in parts for rows, _ in part.lengths) - reported)
        return found

    def _learned(self, part: PartitionResult) -> Any:
        """The value of a pass; what it shows of the partitions is remembered, and has to be the same in every pass."""
        if part.empty:
            raise SourceError("The Dask collection holds no rows: all its partitions are empty.")
        if self._lengths is None:
            self._lengths = part.lengths
            self.n_rows = sum(rows for rows, _ in part.lengths)
        for number, ((before, _), (now, _)) in enumerate(zip(self._lengths, part.lengths, strict=True)):
            if now != before:
                raise SourceError(
                    f"Partition {number} of the Dask collection had {before} rows in an earlier pass and {now} in this one: the "
                    "collection gives other rows every time it is computed. Persist it, or take out what is random in it."
                )
        return part.value


# -- small functions -----------------------------------------------------------------------------------------------------------


def pickled(work: Work) -> bytes:
    """The work as it travels."""
    import cloudpickle

    return cloudpickle.dumps(work)


def first_of(first: Any, second: Any) -> Any:
    """A merge that has nothing to merge."""
    return first
