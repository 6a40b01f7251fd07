"""The density of some of the columns, where it is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def marginal(density: Any, columns: Sequence[int], n_columns: int) -> Any:
    """The density of the chosen columns: the density itself if it has no others; ValueError where it is not known."""
    if list(columns) == list(range(n_columns)):
        return density
    what = getattr(getattr(density, "family_", None), "name", None) or type(density).__name__
    part = getattr(density, "marginal", None)
    try:
        if part is not None:
            return part(list(columns))
    except AttributeError as error:
        reason = str(error)
    else:
        reason = f"It has no closed form for {what}."
    raise ValueError(
        f"The density of {len(columns)} of {n_columns} columns has no closed form for {what}. Fit a density to those columns "
        f"alone to draw it. ({reason})"
    )
