"""Rows of which some values are unknown, in an order in which a pass takes one factorisation for each group of them."""

from dataclasses import replace

import numpy as np

from fastkl._core.patterns import pattern_order
from fastkl._core.rows import Rows
from fastkl._core.warned import warn
from fastkl.exceptions import MissingValueError
from fastkl.rows.checks import raise_if_not_finite


def grouped(rows: Rows) -> Rows:
    """The rows, marked and put in order, without those of which nothing is known; as they are where all values are known."""
    gaps = np.isnan(rows.X) if rows.X.dtype.kind == "f" else np.zeros(rows.X.shape, dtype=bool)
    if not gaps.any():
        raise_if_not_finite(rows)
        return rows
    raise_if_not_finite(replace(rows, incomplete=True))
    kept = np.flatnonzero(~gaps.all(axis=1))
    order = pattern_order(rows.X[kept])
    kept = kept if order is None else kept[order]
    return replace(
        rows,
        X=rows.X[kept].astype(np.float64, copy=False),
        weights=None if rows.weights is None else rows.weights[kept],
        index=kept if rows.index is None else rows.index[kept],
        incomplete=True,
    )


def marked(rows: Rows) -> Rows:
    """The rows in their own order, marked where some values are unknown; ValueError for an infinity."""
    if rows.X.dtype.kind != "f" or not np.isnan(rows.X).any():
        raise_if_not_finite(rows)
        return rows
    found = replace(rows, incomplete=True)
    raise_if_not_finite(found)
    return found


def count_empty(rows: Rows) -> int:
    """How many rows hold no value at all."""
    return int(np.count_nonzero(np.isnan(rows.X).all(axis=1))) if rows.X.dtype.kind == "f" else 0


def tell_of_empty(n_empty: int, n_rows: float) -> None:
    """Say that some rows are of no use; MissingValueError where all are."""
    if n_empty >= n_rows:
        raise MissingValueError("Every value of every row is missing: there is nothing to fit.")
    what = "1 row holds" if n_empty == 1 else f"{n_empty} rows hold"
    warn(f"{what} no value at all, which says nothing: left out.")
