"""Reading ahead: a thread reads the next blocks while the caller works on the present one.

Files are read, and columns of files decoded, without the lock that Python code holds, so that both go on at the same time.
Whatever ends the caller's loop (an error, an interrupt, a break) ends the thread: it is never left behind with an open file.
"""

import queue
import threading
from collections.abc import Generator
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


def read_ahead(items: Generator[T]) -> Generator[T]:
    """The same items, each read before it is asked for.

    An item must stay valid until three further ones have been made: one is in the caller's hands, one waits, one is being made.
    """
    ready: queue.Queue[Any] = queue.Queue(maxsize=1)
    stop = threading.Event()

    def put(item: Any) -> bool:
        while not stop.is_set():
            try:
                ready.put(item, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def read() -> None:
        try:
            for item in items:
                if not put((item, None)):
                    return
            put((_END, None))
        except BaseException as error:  # it is the caller's to handle
            put((_END, error))
        finally:
            close = getattr(items, "close", None)
            if close is not None:
                close()

    thread = threading.Thread(target=read, name="fastkl read-ahead", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join()
