"""Rows of weight 0 take no part in a fit, and a fit needs others."""

from __future__ import annotations

from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError


def rows_of_weight(rows: AnyRows) -> AnyRows:
    """Rows to fit, without those of weight 0, as rows that are read block by block are already."""
    if not isinstance(rows, Rows):
        return rows
    kept = rows.of_positive_weight()
    raise_if_weightless(float(len(kept.X)))
    return kept


def raise_if_weightless(weight: float) -> None:
    """DegenerateDataError where all rows have weight 0."""
    if weight == 0.0:
        raise DegenerateDataError("All rows have weight 0, or there are none: there is nothing to fit.")
