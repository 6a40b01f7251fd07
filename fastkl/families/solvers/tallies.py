"""Tallies of whole numbers: the distinct values of a column and the weight of each, sorted; they merge."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats

# A column is counted into bins where its range is at most this multiple of its length, and sorted otherwise.
BINS_PER_ROW = 4


def tallies(column: NDArray[Any], weights: Floats | None) -> tuple[Floats, Floats]:
    """Distinct whole numbers >= 0 of a column, sorted, and their weights."""
    if len(column) == 0:
        return np.empty(0), np.empty(0)
    top = float(column.max())
    if top <= BINS_PER_ROW * len(column) + 1000:
        bins = np.bincount(column.astype(np.intp), weights=weights)
        values = np.flatnonzero(bins)
        return values.astype(np.float64), bins[values].astype(np.float64)
    values, inverse = np.unique(column, return_inverse=True)
    return values.astype(np.float64), np.bincount(inverse, weights=weights).astype(np.float64)


def merged_tallies(
    values: Floats, weights: Floats, other_values: Floats, other_weights: Floats
) -> tuple[Floats, Floats]:
    """Tallies of both sets of rows together."""
    union, inverse = np.unique(np.concatenate([values, other_values]), return_inverse=True)
    total = np.bincount(inverse, weights=np.concatenate([weights, other_weights]))
    return union, total.astype(np.float64)
