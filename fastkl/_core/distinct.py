"""The distinct values of an array, sorted, and the code of every value: block by block.

``distinct`` gives what ``numpy.unique`` gives, but no call sorts more than a block, so that Ctrl-C comes back at once, and what
is sorted fits into a cache. Only the distinct values of the blocks are sorted together in the end.
"""

from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

H = TypeVar("H", bound=Hashable)

BLOCK = 1 << 19  # values that are sorted in hundredths of a second
SORTABLE = "biufSU"  # kinds of values of which searchsorted finds what unique has sorted


def distinct(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.intp]]:
    """Sorted values without repeats, and for each of ``values`` (n,) its place among them.

    TypeError for objects that can't be sorted. Values that are NaN are for the caller to refuse.
    """
    if len(values) <= BLOCK or values.dtype.kind not in SORTABLE:
        found, codes = np.unique(values, return_inverse=True)
        return found, codes.reshape(-1)
    own, codes = [], np.empty(len(values), dtype=np.intp)
    for start in range(0, len(values), BLOCK):
        found, codes[start : start + BLOCK] = np.unique(values[start : start + BLOCK], return_inverse=True)
        own.append(found)
    every = np.unique(np.concatenate(own))
    for k, found in enumerate(own):
        block = slice(k * BLOCK, (k + 1) * BLOCK)
        codes[block] = np.searchsorted(every, found)[codes[block]]
    return every, codes


def coded(values: Sequence[H]) -> tuple[list[H], NDArray[np.intp]]:
    """Distinct values of any kind in the order of their first occurrence, and for each of ``values`` its place among them."""
    places = {value: place for place, value in enumerate(dict.fromkeys(values))}
    return list(places), np.array([places[value] for value in values], dtype=np.intp)
