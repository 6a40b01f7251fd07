"""Parameters that a column asks for and double precision has not: a fit to it would score no row."""

from __future__ import annotations

import numpy as np

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Fit

LEAST_SCALE = 1.0 / np.finfo(np.float64).max  # rows are divided by a scale: the inverse has to be a number


def raise_if_out_of_range(family: Family, fit: Fit) -> None:
    """DegenerateDataError for a scale of a column, estimated and at no boundary, that is no number or has no inverse."""
    if family.joint:
        return
    spaces = family.spaces()
    for name in family.free_names():
        if spaces[name].role not in ("scale", "inverse_scale") or spaces[name].irregular or name in fit.boundary:
            continue
        sizes = np.abs(np.ravel(fit.params[name]))
        bad = ~((sizes > LEAST_SCALE * (1.0 + 1e-12)) & np.isfinite(sizes))
        if bad.any():
            column = int(np.flatnonzero(bad)[0])
            unit = "large" if not sizes[column] < 1.0 else "small"
            raise DegenerateDataError(
                f"The {family.name} {name} of column {column} is {sizes[column]:.6g}: the values are too {unit} for double "
                "precision. Rescale the column, for instance to unit size.",
                column,
            )
