"""The density of some of the columns, where it has a closed form: that of the families that hold it themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastkl.density import DensityMLE
from fastkl.families import Family


def marginal(density: Any, columns: Sequence[int], n_columns: int) -> Any:
    """The density of the chosen columns: the density itself if it has no others; ValueError where there is no closed form."""
    if list(columns) == list(range(n_columns)):
        return density
    family = getattr(density, "family_", None)
    part = family.marginal(density.params_, list(columns)) if isinstance(family, Family) else None
    if part is None:
        what = getattr(family, "name", None) or type(density).__name__
        raise ValueError(
            f"The density of {len(columns)} of {n_columns} columns has no closed form for {what}. Fit a density to those columns "
            "alone to draw it."
        )
    return DensityMLE.from_parameters(part[0], **part[1])
