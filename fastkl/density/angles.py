"""Angles that seem to be in degrees, or in hours, where a density takes radians."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.rows import AnyRows
from fastkl._core.warned import warn
from fastkl._core.wording import capital
from fastkl.families.base import Family
from fastkl.rows.columns import named
from fastkl.rows.streamed import StreamedRows

_TURN = 2.0 * np.pi
# No period that angles are measured in is longer: days of a year.
_MOST = 366.0
_LOOKED_AT, _FEW = 10_000, 10
# As radians, angles without a direction have a larger n R^2 in one of exp(7) = 1100 samples.
_DIRECTION = 7.0


def warn_of_degrees(family: Family, rows: AnyRows) -> None:
    """Say so where columns that a family takes for angles in radians seem to be in other units."""
    columns = sorted(set(_angles(family, rows.n_columns)))
    if columns and not (isinstance(rows, StreamedRows) and not rows.source.repeatable):
        X = rows.sample(_LOOKED_AT).of_positive_weight().X
        for j in columns:
            warn_of_values_in_degrees(X[:, j], named(j, rows.names))


def warn_of_values_in_degrees(values: NDArray[Any], place: str) -> None:
    """Say so where these seem to be angles in other units than radians.

    Most values are beyond a turn, some beyond two, none beyond the longest period; and they are whole numbers, or have no
    direction as radians, which angles that were unwrapped over several turns keep.
    """
    x = values[:: max(-(-len(values) // _LOOKED_AT), 1)].astype(np.float64)
    size = np.abs(x)
    largest = size.max(initial=0.0)
    if not 2.0 * _TURN < largest <= _MOST or np.mean(size > _TURN) < 0.5:
        return
    length = len(x) * np.abs(np.exp(1j * x).mean()) ** 2
    if np.all(x == np.round(x)) or (len(x) >= _FEW and length < _DIRECTION):
        warn(
            f"{capital(place)} holds angles of up to {largest:.4g}, most of them beyond 2 pi, and they are taken as radians. Of "
            "degrees pass numpy.radians(X); of hours or another period X * 2 * numpy.pi / period."
        )


def _angles(family: Any, d: int) -> Iterable[int]:
    """The columns that a family, or one of those that it is made of, takes for angles."""
    if getattr(family, "periodic", False):
        return range(d)
    if hasattr(family, "layout"):
        return [j for group in family.layout.groups for j in _angles(group.family, d)]
    return [part.columns[i] for part in getattr(family, "parts", ()) for i in _angles(part.family, len(part.columns))]
