"""Sums of every column that more than one family asks for, by the kernel that forms them and nothing else, and counts.

The kernel of the exponential distribution sums weights and means, that of the normal distribution adds the deviation from the
mean: another family that needs just these names them here, and not the distribution whose kernel it borrows.
"""

from __future__ import annotations

import numpy as np

from fastkl._core._columns import ColumnKernel
from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.families._kernels import column_kernel

Support = tuple[float, float, bool]
ALL_NUMBERS: Support = (-float("inf"), float("inf"), False)


def kernel_of_means() -> ColumnKernel:
    """The kernel whose record is the weight and the mean of a column."""
    return column_kernel("exponential")


def kernel_of_moments() -> ColumnKernel:
    """The kernel whose record is weight, mean, and the root of the sum of squares about it."""
    return column_kernel("normal")


def column_means(rows: Rows) -> Floats:
    """Weight and mean of every column, (d, 2)."""
    return kernel_of_means().statistics(rows.X, rows.weights, ALL_NUMBERS, rows.n_threads)[0]


def merged_means(first: Floats, second: Floats) -> Floats:
    """Those of both sets of rows together."""
    return kernel_of_means().merge(first, second)


def column_moments(rows: Rows) -> Floats:
    """Weight, mean and root of the sum of squares about it of every column, (d, 3)."""
    return kernel_of_moments().statistics(rows.X, rows.weights, ALL_NUMBERS, rows.n_threads)[0]


def merged_moments(first: Floats, second: Floats) -> Floats:
    """Those of both sets of rows together."""
    return kernel_of_moments().merge(first, second)


def count_zeros(rows: Rows, column: int) -> int:
    """Rows that are 0 in a column."""
    return int(np.count_nonzero(rows.X[:, column] == 0.0))
