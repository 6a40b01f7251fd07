"""Which arrangement a sample gets: the only place with numbers found by measurement.

Measured with ``benchmarks/peers_neighbors.py`` on standard normal samples, one core with 512-bit registers.
"""

from typing import NamedTuple


class Arrangement(NamedTuple):
    """Rows in a leaf (a multiple of 32, at most 1024 with preselection) and whether distances are preselected in float32."""

    leaf: int
    preselect: bool


def arrangement(n_rows: int, n_columns: int) -> Arrangement:
    """The tree for this number of columns (two or more; one column is a sorted line)."""
    if n_columns <= 3:
        return Arrangement(leaf=32, preselect=False)
    if n_columns == 4:
        return Arrangement(leaf=64, preselect=False)
    if n_columns <= 7:
        return Arrangement(leaf=96, preselect=False)
    if n_columns >= 24 and n_rows <= 1024:
        # Boxes rule out nothing here: one leaf, so that each query meets all rows and selects among them once.
        return Arrangement(leaf=-(-n_rows // 32) * 32, preselect=True)
    return Arrangement(leaf=128, preselect=True)
