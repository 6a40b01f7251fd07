"""Doubts that single columns raise: values rounded in one sample alone, and units so far apart that one column hides another.

Both are seen in a few rows spread over the samples, whose columns are sorted once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import Totals
from fastkl.divergence.estimate import OfBoth
from fastkl.divergence.nearest.neighbors import Pair

ROUNDING = "rounding"  # the subject of such a doubt
# A column is rounded in one sample if at least this part of its values is repeated, and in the other at most that part.
_REPEATED, _SINGLE = 0.5, 0.02
_LOOKED_AT = 2000
# Balls of so many steps do not see them.
_STEPS = 3.0
# Beside a column so much wider .35 of a divergence of .5 is seen (normal samples of 1000 rows).
_WIDER = 20.0


def column_reasons(pair: Pair, radius: float) -> list[str]:
    """The reasons to doubt a comparison of rows as they are.

    ``radius`` is a usual distance between neighbours: beside a large one steps of rounded values do not matter.
    """
    both = [_looked_at(sample) for sample in (pair.p, pair.q)]
    reasons = unit_reasons(both)
    different = [1 + np.count_nonzero(X[1:] != X[:-1], axis=0) for X in both]
    for rounded, exact, names in ((0, 1, ("p", "q")), (1, 0, ("q", "p"))):
        repeated = different[rounded] < len(both[rounded])
        for j in np.flatnonzero(repeated & (different[exact] >= (1.0 - _SINGLE) * len(both[exact]))):
            values = both[rounded][:, j]
            if _is_grid_beside(values, both[exact][:, j]) and radius < _STEPS * _step(values):
                said = (
                    f"Column {j}: the values of {names[0]} are repeated and those of {names[1]} are not, so {names[0]} seems to "
                    f"be rounded and {names[1]} is not: at small distances the estimate measures the rounding. Round both alike."
                )
                reasons.append(OfBoth(said, ROUNDING))
    return reasons


def units_of(pair: Pair) -> list[str]:
    """The reason to doubt distances between the rows of a pair alone."""
    return unit_reasons([_looked_at(sample) for sample in (pair.p, pair.q)])


def unit_reasons(samples: list[NDArray[Any]]) -> list[str]:
    """The reason to doubt distances among columns whose quartile ranges differ much; sorted columns of each sample are given."""
    with np.errstate(over="ignore"):
        widths = np.max([X[3 * len(X) // 4] - X[len(X) // 4] for X in samples], axis=0)
        if len(widths) < 2 or not widths.min() > 0.0 or widths.max() <= _WIDER * widths.min():
            return []
        wide, narrow = int(widths.argmax()), int(widths.argmin())
        times = widths[wide] / widths[narrow]
    return [
        f"The quartile range of column {wide} is {times:.2g} times that of column {narrow}: distances are nearly those in "
        f"column {wide} alone, and column {narrow} hardly counts. Scale the columns alike, or keep the default method and "
        "coordinates, which do not depend on units."
    ]


def _looked_at(sample: Totals) -> NDArray[Any]:
    """Sorted columns of rows spread over a sample, few enough to be sorted at no cost: (b, d)."""
    return np.sort(sample.rows_throughout(-(-sample.n_rows // _LOOKED_AT)), axis=0)


def _step(ordered: NDArray[Any]) -> float:
    """The least distance between different values."""
    gaps = np.diff(ordered)
    return float(gaps[gaps > 0.0].min())


def _is_grid_beside(rounded: NDArray[Any], exact: NDArray[Any]) -> bool:
    """Whether the first values, in order, are those of a grid, and the second ones, hardly any of which is repeated, are not."""
    if len(rounded) < 10 or len(exact) < 10:
        return False
    known, counts = np.unique(rounded, return_counts=True)
    # A few values alone are atoms, not a grid.
    if len(known) < 3 or float(counts[counts > 1].sum()) < _REPEATED * len(rounded):
        return False
    place = np.minimum(np.searchsorted(known, exact), len(known) - 1)
    return float(np.mean(known[place] == exact)) <= _SINGLE
