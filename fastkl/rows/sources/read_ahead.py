"""Reading ahead: a thread reads the next block while the caller works on the present one.

Files are read, and columns of files decoded, without the lock that Python code holds, so that both go on at the same time.
Whatever ends the caller's loop (an error, an interrupt, a break) ends the thread: it is never left behind with an open file.
"""

from collections.abc import Generator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def read_ahead(items: Generator[T]) -> Generator[T]:
    """The same items, each read before it is asked for.

    An item must stay valid until two further ones have been made: one is in the caller's hands, one is being made.
    """
    with closing(items), ThreadPoolExecutor(1, "fastkl read-ahead") as pool:
        ahead: Future[Any] = pool.submit(next, items, _END)
        while (item := ahead.result()) is not _END:
            ahead = pool.submit(next, items, _END)
            yield item
