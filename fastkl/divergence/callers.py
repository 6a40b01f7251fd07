"""Where a warning points: at the line that called this library."""

from __future__ import annotations

import inspect


def level_of_caller() -> int:
    """The ``stacklevel``, seen from the function that asks, of the first frame that is not of this library."""
    level, frame = 1, inspect.currentframe()
    while frame is not None and (frame := frame.f_back) is not None:
        if not frame.f_globals.get("__name__", "").startswith("fastkl."):
            return level
        level += 1
    return level
