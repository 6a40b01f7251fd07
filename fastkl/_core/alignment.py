"""Arrays at addresses where compiled code may read them: an 8-byte number at a multiple of 8.

Arrays made by numpy are. Views of records or of a file's bytes, and arrays that came from another process, need not be.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def aligned(value: Any) -> Any:
    """The same with a copy of every array that is not aligned, in dictionaries, lists and tuples as well."""
    if isinstance(value, np.ndarray):
        return value if value.flags.aligned else value.copy()
    if type(value) is dict:
        return {key: aligned(part) for key, part in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(aligned, value))
    return value
