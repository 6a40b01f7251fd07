"""Blocks worked on side by side, their results taken in order.

Each thread reads a block and works on it alone. That needs no barrier at the end of every block, where all threads would wait for
the slowest one, and reading is shared out too. The results, and their order, do not depend on the number of threads.
"""

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from threading import Event
from typing import TypeVar

from fastkl._core.blas_threads import single_threaded_blas

T = TypeVar("T")
WAITING = 3  # tasks in hand for each thread, so that none runs dry while results are merged


def in_order(tasks: Generator[Callable[[], T]], n_threads: int, ended: Event | None = None) -> Generator[T]:
    """The results of the tasks, in their order; an error is raised where its task's result would come.

    Whatever ends the caller's loop, no task is left running; long ones look at ``ended``, which is set then, and stop early.
    """
    pending: deque[Future[T]] = deque()
    with closing(tasks), single_threaded_blas(), ThreadPoolExecutor(n_threads, "fastkl block") as pool:
        try:
            for task in tasks:
                # each in the caller's context, which says (by numpy.errstate) what to do on overflow
                pending.append(pool.submit(copy_context().run, task))
                if len(pending) >= WAITING * n_threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            if ended is not None:
                ended.set()
            for future in pending:
                future.cancel()
