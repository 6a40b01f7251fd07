"""Objects that travel between processes as one string of bytes, arrays included.

A sender that takes arrays out of a pickle and sends them side by side (protocol 5; Dask does) gives them back at any address, and
compiled code may read an 8-byte number at a multiple of 8 only. Arrays within a string of bytes are where a memory allocator puts
them.
"""

from __future__ import annotations

import pickle
from typing import Any

try:
    from cloudpickle import dumps  # which Dask has, and which takes functions of a notebook along
except ImportError:
    from pickle import dumps


class InBand:
    """What such objects inherit: they are their attributes and nothing else."""

    def __reduce__(self) -> Any:
        return _restored, (type(self), dumps(vars(self)))


def _restored(kind: type, data: bytes) -> Any:
    found: Any = object.__new__(kind)
    vars(found).update(pickle.loads(data))
    return found
