"""Whether rows satisfy an equation: a plane, a simplex, a sphere. Such rows have no density, and their entropy is -inf.

A nearest-neighbour estimate does not notice: it gives a number, which falls as rows are added. So the usual equations are
looked for first: those of first and second degree between all columns, to the digits that the values have.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.nearest.coordinates import centre_and_spread
from fastkl.exceptions import DegenerateDataError

__all__ = ["LOOKED_AT", "refuse_surfaces"]

# Rows that are looked at: an equation that so many rows drawn evenly satisfy is that of nearly all.
LOOKED_AT = 2000
# Equations of second degree are looked for in up to so many columns.
_MOST_COLUMNS = 12
# What is left of a term that follows from others, beside the rounding of the values.
_LEFT = {np.dtype(np.float64): 1e-10, np.dtype(np.float32): 1e-5}


def refuse_surfaces(X: NDArray[Any]) -> None:
    """DegenerateDataError for rows (n, d) on a plane or on a surface of second degree, naming the columns of its equation."""
    n, d = X.shape
    looked_at = X[:: -(-n // LOOKED_AT)]
    for among, in_words in ((X, "only"), (looked_at, f"in nearly all rows (all {len(looked_at)} that were looked at)")):
        constant = np.flatnonzero(among.min(axis=0) == among.max(axis=0))
        if len(constant):
            j = int(constant[0])
            raise DegenerateDataError(
                f"Column {j} has one value {in_words}, {float(among[0, j])!r}: no density, and an entropy of -inf. Leave the "
                "column out.",
                j,
            )
    rows = looked_at.astype(np.float64)
    middle, spread = centre_and_spread(rows)
    z = (rows - middle) / spread
    left = _LEFT[X.dtype]
    columns: list[tuple[int, ...]] = [(j,) for j in range(d)]
    found = _equation([np.ones(len(z)), *z.T], left)
    if found is not None:
        last, others = columns[found[-1] - 1][0], sorted(columns[i - 1][0] for i in found[:-1] if i)
        raise DegenerateDataError(
            f"Column {last} is a linear function of {_named(others)}: the rows lie in a plane and have no density, and their "
            f"entropy is -inf. Leave the column out.",
            last,
        )
    if d > _MOST_COLUMNS or len(z) <= d:
        return
    first, second = np.triu_indices(d)
    columns += list(zip(first.tolist(), second.tolist(), strict=True))

    def terms(rows: FloatArray) -> list[FloatArray]:
        return [np.ones(len(rows)), *rows.T, *(rows[:, first] * rows[:, second]).T]

    # Columns that are nearly alike have squares that are more so: the search is among their differences.
    if _equation(terms(z @ np.linalg.inv(np.linalg.qr(z, mode="r")) * np.sqrt(len(z))), left) is not None:
        found = _equation(terms(z), left)
        which = list(range(d)) if found is None else sorted({j for i in found if i for j in columns[i - 1]})
        if len(which) == 1:
            raise DegenerateDataError(
                f"Column {which[0]} has two values only: such rows have no density, and an entropy of -inf as one. Leave the "
                f"column out, or take it as labels (fastkl.categorical_entropy).",
                which[0],
            )
        raise DegenerateDataError(
            f"The rows satisfy an equation of second degree in {_named(which)} (as points on a sphere do): they lie on a surface "
            f"and have no density, and their entropy is -inf. Leave a column out, or use coordinates on the surface."
        )


def _equation(terms: Sequence[FloatArray], left: float) -> list[int] | None:
    """Numbers of terms of which some sum is 0 in every row, the last being the first that follows from others; None if none."""
    design = np.column_stack(terms)
    if len(design) < 2 * design.shape[1]:
        return None
    # An equation holds whatever its rows are multiplied by: so no row far out outweighs the others.
    design /= np.linalg.norm(design, axis=1, keepdims=True)
    size = np.linalg.norm(design, axis=0)
    triangle: FloatArray = np.asarray(np.linalg.qr(design / size, mode="r"))
    follows = np.flatnonzero(np.abs(np.diag(triangle)) < left)
    if not len(follows):
        return None
    last = int(follows[0])
    share = np.linalg.solve(triangle[:last, :last], triangle[:last, last]) if last else np.empty(0)
    return [*np.flatnonzero(np.abs(share) > 1e-6 * np.abs(share).max(initial=0.0)).tolist(), last]


def _named(columns: list[int]) -> str:
    if not columns:
        return "a constant"
    return f"column{'s' if len(columns) > 1 else ''} {', '.join(map(str, columns))}"
