"""Which columns something is true of, in words for sentences about a fit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def listed_columns(mask: NDArray[np.bool_]) -> str:
    """``"0, 2"``: the columns of a mask."""
    return ", ".join(map(str, np.flatnonzero(mask)))


def in_columns(mask: NDArray[np.bool_]) -> str:
    """``" in column 0, 2"``; nothing where it is true of all of them."""
    return "" if mask.all() else f" in column {listed_columns(mask)}"
