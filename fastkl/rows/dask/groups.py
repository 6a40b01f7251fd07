"""Which partitions one task works on: persisted neighbours that one worker already holds, a few hundred megabytes of them.

A task takes the scheduler some 2 ms and a message each way, whatever there is to compute: more than the sums of a partition of a
few megabytes. What has still to be computed or read stays a task for each partition, as several might not fit into a worker's
memory.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from fastkl.rows.dask.partitions import Partitions
from fastkl.rows.dask.schedulers import current_client, in_a_task

TASK_BYTES = 512 << 20  # of partitions in all tasks of a worker at a time: some may have to come back from its disk


def groups_of(partitions: Partitions, within: int) -> list[list[int]]:
    """The numbers of the partitions of every task: as ``grouped`` makes them of what the scheduler knows now."""
    n, client = len(partitions.keys), current_client()
    alone = [[number] for number in range(n)]
    if client is None or in_a_task():
        return alone
    both = zip(partitions.keys, partitions.weight_keys, strict=True)
    futures = [[_future(partitions.graph, key) for key in pair if key is not None] for pair in both]
    held = [future for several in futures for future in several if future is not None]
    threads = client.nthreads() if held else {}
    if n <= len(threads):
        return alone
    holders = client.who_has(held)
    places = [
        set() if None in several else set.intersection(*(set(holders[future.key]) for future in several))
        for several in futures
    ]
    return grouped(places, _bytes_of(partitions, futures, holders, client), threads, within)


def _bytes_of(partitions: Partitions, futures: list[list[Any]], holders: Any, client: Any) -> list[int]:
    """The bytes of every partition: of an array known here, as float64; of a computed frame the scheduler knows them."""
    if not np.isnan(partitions.lengths).any():
        return [int(rows) * partitions.n_columns * 8 for rows in partitions.lengths]
    sizes = client.nbytes([key for key, workers in holders.items() if workers], summary=False)
    return [sum(sizes.get(future.key, 0) for future in several if future is not None) for several in futures]


def grouped(
    places: Sequence[Collection[str]], n_bytes: Sequence[int], threads: Mapping[str, int], within: int
) -> list[list[int]]:
    """Partitions that lie on the same worker: every thread has a task, and those of all threads take ``TASK_BYTES`` at most.

    Parameters
    ----------
    places : sequence of collection of str
        The workers that hold each partition; none, and it stays alone.
    n_bytes : sequence of int
        Bytes of each partition.
    threads : mapping of str to int
        Threads of each worker.
    within : int
        A group does not reach over a multiple of this, so that its results meet in one merge.

    Returns
    -------
    list of list of int
        Every partition once, ascending in every group and from group to group by the first.
    """
    held: dict[str, list[int]] = {}
    loads: dict[str, int] = {}
    groups: dict[Any, list[int]] = {}
    for number, several in enumerate(places):
        present = [worker for worker in sorted(several) if worker in threads]
        if present:
            worker = min(present, key=lambda name: loads.get(name, 0))
            loads[worker] = loads.get(worker, 0) + n_bytes[number]
            held.setdefault(worker, []).append(number)
        else:
            groups[number] = [number]
    for worker, numbers in held.items():
        size = loads[worker] / (threads[worker] * max(1, math.ceil(loads[worker] / TASK_BYTES)))
        before = 0
        for number in numbers:
            middle = before + n_bytes[number] / 2.0
            groups.setdefault((worker, number // within, int(middle / size) if size else number), []).append(number)
            before += n_bytes[number]
    return sorted(groups.values())


def _future(graph: Any, key: Any) -> Any:
    """The future that a key stands for, or None."""
    from distributed import Future

    node = graph.get(key)
    while hasattr(node, "target"):  # another name of the same
        node = graph.get(node.target)
    return node if isinstance(node, Future) else None
