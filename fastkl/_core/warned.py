"""Warnings of this library that it keeps to itself, by a context of each thread.

The filters of the ``warnings`` module belong to the whole process, and threads that change them for a while leave them changed.
So nothing here touches them: what would be a warning is asked of a context variable first.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

_Keeping = tuple[type[Warning], list[Warning]]

_kept: ContextVar[tuple[_Keeping, ...]] = ContextVar("kept", default=())
_compared: ContextVar[bool] = ContextVar("compared", default=False)


def warn(message: str, category: type[Warning] = UserWarning) -> None:
    """Warn of the line that called this library, unless a caller keeps such warnings."""
    for kind, said in reversed(_kept.get()):
        if issubclass(category, kind):
            said.append(category(message))
            return
    level, frame = 1, inspect.currentframe()
    while frame is not None and frame.f_globals.get("__name__", "").startswith("fastkl."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


@contextmanager
def warnings_kept(category: type[Warning] = Warning) -> Iterator[list[Warning]]:
    """This library's warnings of a category go to a list."""
    said: list[Warning] = []
    token = _kept.set((*_kept.get(), (category, said)))
    try:
        yield said
    finally:
        _kept.reset(token)


@contextmanager
def warnings_raised() -> Iterator[None]:
    """This library's warnings, and numbers that overflow or are none, are errors."""
    with warnings_kept() as said, np.errstate(divide="raise", over="raise", invalid="raise"):
        yield
    if said:
        raise said[0]


@contextmanager
def names_compared() -> Iterator[None]:
    """Names of columns have been compared: arrays in place of data frames are no reason to warn."""
    token = _compared.set(True)
    try:
        yield
    finally:
        _compared.reset(token)


def are_names_compared() -> bool:
    """Whether a caller has compared them."""
    return _compared.get()
