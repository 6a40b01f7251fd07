"""Which arrangement a sample gets: the only place with numbers found by measurement.

Measured with ``benchmarks/peers_neighbors.py`` on standard normal samples and on the digits of scikit-learn, cores with
512-bit registers. An arrangement only changes the speed, never a result.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import cdist

# A sample of so few rows and so many columns fits one leaf: boxes rule out nothing there.
MOST_ROWS_OF_ONE_LEAF = 1024
LEAST_COLUMNS_OF_ONE_LEAF = 24
# Boxes rule out little from here on, so what is done once for each leaf should be done less often, and for more queries. No
# power of two: columns of a leaf would then compete for the same sets of the cache.
LEAST_COLUMNS_OF_LARGE_LEAVES = 12


class Arrangement(NamedTuple):
    """The tree of a sample.

    Rows in a leaf (a multiple of 32, at most 1024 with preselection), whether distances are preselected in float32, and
    whether several blocks of queries walk it together (with preselection).
    """

    leaf: int
    preselect: bool = False
    together: bool = False


def arrangement(X: npt.NDArray[Any]) -> Arrangement:
    """The tree for the sample X of two or more columns (one column is a sorted line)."""
    n_rows, n_columns = X.shape
    if n_columns <= 3:
        return Arrangement(leaf=32)
    if n_columns == 4:
        return Arrangement(leaf=64)
    if n_columns <= 7:
        return Arrangement(leaf=96)
    if n_columns >= LEAST_COLUMNS_OF_ONE_LEAF and n_rows <= MOST_ROWS_OF_ONE_LEAF and _is_compact(X):
        return Arrangement(leaf=-(-n_rows // 32) * 32, preselect=True, together=True)
    if n_columns >= LEAST_COLUMNS_OF_LARGE_LEAVES:
        return Arrangement(leaf=224, preselect=True, together=True)
    return Arrangement(leaf=128, preselect=True)


def _is_compact(X: npt.NDArray[Any]) -> bool:
    """Whether float32 coordinates from one centre tell neighbours apart: not with far outliers, nor in tight clusters.

    Compares the rounding bound of the preselection, for the corners of the sample's box, with the median squared distance
    of a few rows to the nearest of each other.
    """
    few = X[:: max(1, len(X) // 24)][:24].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        between = cdist(few, few, "sqeuclidean")
        np.fill_diagonal(between, np.inf)
        width = X.max(axis=0).astype(np.float64) - X.min(axis=0)
        bound = 2.0**-24 * (X.shape[1] + 8) * np.square(width).sum()
    return bool(bound < 0.02 * np.median(between.min(axis=1)))


# A kernel sum leaves out tiles of 128 references by their boxes, which takes an order in which near rows follow each other.
# Boxes of many columns rule out nothing, and few rows are summed sooner than ordered.
MOST_COLUMNS_IN_ORDER = 12
LEAST_ROWS_IN_ORDER = 256


def orders_kernel_sums(n_rows: int, n_columns: int) -> bool:
    """Whether rows are brought into an order for a kernel sum."""
    return n_rows >= LEAST_ROWS_IN_ORDER and n_columns <= MOST_COLUMNS_IN_ORDER


LEAST_TERMS_OF_THREADS = 1 << 18  # of a kernel sum: fewer are added sooner than threads have met


def kernel_threads(n_references: int, n_queries: int, n_threads: int) -> int:
    """How many threads add the terms of a kernel sum."""
    return n_threads if n_references * n_queries >= LEAST_TERMS_OF_THREADS else 1


# A grid for Gaussian sums (``grid_sums``): seconds, in units of those of one term of the full sum on the same threads.
MOST_COLUMNS_OF_GRID, LEAST_ERROR_OF_GRID = 3, 1e-12
SHARE_OF_TERMS = 0.3  # that tiles leave of a sum
POINT, NODE_OF_WINDOW, TAP = 85.0, 0.17, 0.17
NODES, NODES_OF_ROW, FEW_NODES = 1 << 25, 24, 1 << 23  # at most: 256 MB, and some times the references but for 64 MB


def may_use_grid(n_columns: int, error: float) -> bool:
    """Whether there is a grid for so many columns and such an error."""
    return n_columns <= MOST_COLUMNS_OF_GRID and error >= LEAST_ERROR_OF_GRID


def grid_may_pay(n_references: int, n_queries: int) -> bool:
    """Whether a grid could take less time than tiles do, if it had no nodes."""
    return (n_references + n_queries) * POINT < SHARE_OF_TERMS * float(n_references) * float(n_queries)


def most_nodes(n_references: int) -> float:
    """How many nodes a grid may have."""
    return float(min(NODES, max(FEW_NODES, NODES_OF_ROW * n_references)))


def grid_pays(n_references: int, n_queries: int, n_nodes: float, length: int, reach: int, n_columns: int) -> bool:
    """Whether a grid takes less time than tiles do."""
    windows = (n_references + n_queries) * (POINT + NODE_OF_WINDOW * float(length) ** n_columns)
    return windows + TAP * n_nodes * reach * n_columns < SHARE_OF_TERMS * float(n_references) * float(n_queries)
