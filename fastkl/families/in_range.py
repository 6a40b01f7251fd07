"""Parameters that a column asks for and double precision has not: a fit to it would score no row."""

from __future__ import annotations

from functools import cache
from math import inf

import numpy as np

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Fit

# Rows are divided by a scale: the inverse has to be a number.
LEAST_SCALE = (1.0 + 1e-12) / float(np.finfo(np.float64).max)


def raise_if_out_of_range(family: Family, fit: Fit) -> None:
    """DegenerateDataError for a scale of a column, estimated and at no boundary, that is no number or has no inverse."""
    if family.joint:
        return
    for name in _scales(type(family)):  # type: ignore[arg-type]  # a class can be hashed, whatever its objects can
        sizes = np.ravel(fit.params[name]).tolist()  # of few columns: quicker than arrays
        column = next((j for j, size in enumerate(sizes) if not LEAST_SCALE < abs(size) < inf), None)
        if column is None or name in fit.boundary or name not in family.free_names():
            continue
        unit = "small" if abs(sizes[column]) < 1.0 else "large"
        raise DegenerateDataError(
            f"The {family.name} {name} of column {column} is {sizes[column]:.6g}: the values are too {unit} for double "
            "precision. Rescale the column, for instance to unit size.",
            column,
        )


@cache
def _scales(kind: type[Family]) -> tuple[str, ...]:
    """The parameters of a family by which rows are divided."""
    return tuple(
        name
        for name, space in kind.parameters.items()
        if space.role in ("scale", "inverse_scale") and not space.irregular
    )
