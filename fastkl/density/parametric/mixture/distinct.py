"""Equal rows as one with their weights together, in an order of their own: a search then does not see in what order they came."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastkl._core.rows import Rows

MOST_SORTED = 16384  # of larger tables a search sees some rows only


def distinct_rows(rows: Rows) -> Rows:
    """The different rows in the order of their values, with the sums of their weights: nothing that the likelihood tells apart.

    Rows that are in the table twice and rows of weight 2 are then the same rows, from which the same starts are drawn.
    """
    if len(rows.X) > MOST_SORTED or rows.X.dtype.kind not in "fiub":
        return rows
    keys = rows.X
    if rows.noise is not None and len(rows.noise) == len(rows.X):
        keys = np.concatenate([keys, rows.noise.reshape(len(keys), -1)], axis=1)
    order = np.lexsort(keys.T[::-1])
    before, after = keys[order[:-1]], keys[order[1:]]
    first = np.append(True, np.any((before != after) & ~(np.isnan(before) & np.isnan(after)), axis=1))
    chosen = rows.chosen(order[first])
    if first.all():
        return chosen
    weights = np.ones(len(order)) if rows.weights is None else rows.weights[order]
    return replace(chosen, weights=np.add.reduceat(weights, np.flatnonzero(first)))
