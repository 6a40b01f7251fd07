"""Who computes a Dask graph, the current client's workers or this process, and how many threads the kernels of a task have.

All tasks of a process together have no more threads than it was given: tasks at a time, times threads of their kernels.
"""

import os
import sys
import time
from collections.abc import Callable, Collection, Sequence
from typing import Any

from fastkl._core._threads import effective_n_threads
from fastkl._core.blas_threads import single_threaded_blas
from fastkl.exceptions import SourceError

LOOK_SECONDS = 0.5  # between two looks whether there are workers
TICK_SECONDS = 0.1  # between two reports of progress
PATIENCE = "60s"  # without any worker; dask.config "fastkl.no-workers-timeout"

Advance = Callable[[Any, Any], None]  # of the key of a task that is done, and its value where it is at hand


def compute(
    graph: Any, name: str, keys: Sequence[Any], watched: Collection[Any] = (), advance: Advance | None = None
) -> list[Any]:
    """The values of some keys in the layer of this name; ``advance`` hears of every watched key that is done."""
    import dask
    from dask.callbacks import Callback
    from dask.delayed import Delayed

    client = current_client()
    # The limit that a kernel sets on BLAS is one for the process: tasks in several threads would restore each other's.
    with single_threaded_blas():
        if client is not None and not in_a_task():
            return _on_workers(client, graph, keys, watched, advance)
        wanted = [Delayed(key, graph, layer=name) for key in keys]
        if advance is None:
            return list(dask.compute(*wanted))
        report = advance

        def done(finished: Any, value: Any, *_: Any) -> None:
            if finished in watched:
                report(finished, value)

        with Callback(posttask=done):
            return list(dask.compute(*wanted))


def current_client() -> Any:
    """The client of dask.distributed that would compute now, or None."""
    if "distributed" not in sys.modules:
        return None
    from dask.base import get_scheduler
    from distributed import Client

    owner = getattr(get_scheduler(), "__self__", None)
    return owner if isinstance(owner, Client) else None


def in_a_task() -> bool:
    """Whether this code runs in a task of a worker itself, which must give its place away while it waits."""
    from distributed import get_worker

    try:
        get_worker()
    except ValueError:
        return False
    return True


def _on_workers(
    client: Any, graph: Any, keys: Sequence[Any], watched: Collection[Any], advance: Advance | None
) -> list[Any]:
    futures = client.get(graph, [*keys, *watched], sync=False)
    try:
        _wait(client, futures[: len(keys)], futures[len(keys) :], advance)
        return list(client.gather(futures[: len(keys)]))
    except BaseException as error:
        client.cancel(futures)
        if type(error).__name__ == "KilledWorker":
            error.add_note(
                "The memory of a worker may be too small for its partitions: make them smaller (rechunk, repartition)."
            )
        raise
    finally:
        for future in futures:
            future.release()


def _wait(client: Any, wanted: list[Any], watched: list[Any], advance: Advance | None) -> None:
    """Return when all that is wanted is done; SourceError once there has been no worker for too long."""
    from dask import config
    from dask.utils import parse_timedelta
    from distributed import wait

    patience = parse_timedelta(config.get("fastkl.no-workers-timeout", PATIENCE))
    alone_since, looked = None, time.monotonic()
    while True:
        if advance is not None:
            for part in [part for part in watched if part.done()]:
                watched.remove(part)
                advance(part.key, None)
        try:
            wait(wanted, timeout=LOOK_SECONDS if advance is None else TICK_SECONDS)
        except TimeoutError:
            pass
        else:
            return
        now = time.monotonic()
        if now - looked < LOOK_SECONDS:
            continue
        looked = now
        alone_since = None if client.nthreads() else (alone_since or now)
        if alone_since is not None and now - alone_since >= patience:
            raise SourceError(
                f"The Dask scheduler at {client.scheduler.address} has had no workers for {patience:g} seconds. Start workers "
                "(dask worker, cluster.scale), or have dask.config 'fastkl.no-workers-timeout' wait longer for them."
            )


# -- threads -------------------------------------------------------------------------------------------------------------------


def tasks_at_a_time() -> int:
    """Tasks that run at a time on all workers, or in this process."""
    import dask.local
    from dask import config
    from dask.base import get_scheduler
    from dask.delayed import Delayed
    from dask.system import CPU_COUNT

    client = current_client()
    if client is not None:
        return max(1, sum(client.nthreads().values()))
    if get_scheduler(cls=Delayed) is dask.local.get_sync:
        return 1
    pool = config.get("pool", None)
    return int(getattr(pool, "_max_workers", None) or config.get("num_workers", None) or CPU_COUNT)


def threads_of_local_tasks(n_tasks: int) -> int | None:
    """Threads for the kernels of each of so many tasks on a scheduler of this process; None where workers decide."""
    import dask.local
    import dask.threaded
    from dask.base import get_scheduler
    from dask.delayed import Delayed

    if current_client() is not None:
        return None
    if get_scheduler(cls=Delayed) not in (dask.local.get_sync, dask.threaded.get):
        return 1  # processes, or a pool of somebody else
    return max(1, int(effective_n_threads(None)) // min(n_tasks, tasks_at_a_time()))


def threads_of_a_task() -> int:
    """Threads for the kernels of one task on a worker.

    A worker was given its own threads, or what ``OMP_NUM_THREADS`` says where that is more.
    """
    try:
        from distributed import get_worker

        busy = int(get_worker().state.nthreads)
    except (ImportError, ValueError):
        return 1
    given = int(effective_n_threads(None)) if "OMP_NUM_THREADS" in os.environ else busy
    return max(1, given // busy)
