"""One BLAS thread while our own threads call it."""

from contextlib import AbstractContextManager
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@cache
def _controller() -> ThreadpoolController:
    # Looking through the loaded libraries takes milliseconds, so it is done once, and not at import.
    return ThreadpoolController()


def single_threaded_blas() -> AbstractContextManager[Any]:
    """Context in which BLAS runs on one thread."""
    limited: AbstractContextManager[Any] = _controller().limit(limits=1, user_api="blas")
    return limited
