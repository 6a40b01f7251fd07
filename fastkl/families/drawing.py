"""Draws of a family as its distribution has them: numbers of its support, whatever its arithmetic does at the ends.

Where much of a distribution lies beyond the smallest or the largest number (a gamma distribution of shape 0.001 has half of its
mass below 1e-301), a sampler ends at 0 or at infinity. Neither belongs to the support: it would be outside under the very
distribution that it is drawn from. The nearest number that does belong to it is the draw to rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Params
from fastkl.families.base import Family

LARGEST = float(np.finfo(np.float64).max)
AT_ONCE = 1 << 20  # values; Ctrl-C is heard between two blocks, and they need no memory beside the rows


def draws(family: Family, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
    """Rows drawn from a distribution, (n_samples, d); the nearest number of the support for what was rounded out of it."""
    at_once = max(1, AT_ONCE // max(1, family.n_columns(params)))
    rows = _block(family, params, min(n_samples, at_once), generator)
    if n_samples <= at_once:
        return rows
    first, rows = rows, np.empty((n_samples, *rows.shape[1:]), dtype=rows.dtype)
    rows[:at_once] = first
    for start in range(at_once, n_samples, at_once):
        block = _block(family, params, min(at_once, n_samples - start), generator)
        rows = rows.astype(np.result_type(rows, block), copy=False)
        rows[start : start + len(block)] = block
    return rows


def _block(family: Family, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
    """Draws that are made at once."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        rows = family.sample(params, n_samples, generator)
    if rows.dtype != np.float64:
        return rows
    low, high, _ = getattr(family, "support", (-np.inf, np.inf, False))
    return np.clip(rows, max(low, -LARGEST), min(high, LARGEST))


def turn_of(families: Sequence[Family], params: Sequence[Params]) -> tuple[float, float] | None:
    """Between which angles draws of a family of angles lie, or of a mixture with a background; None for what is not of angles.

    A background, such as a uniform one, is on the turn about 0 or on the one from 0.
    """
    of_angles = [getattr(family, "periodic", False) for family in families]
    if not any(of_angles):
        return None
    ends = []
    for family, own, angles in zip(families, params, of_angles, strict=True):
        ask = getattr(family, "quantile", None)
        if not angles and ask is None:
            return None
        ends += [] if angles or ask is None else [ask(np.full(1, level), own) for level in (0.0, 1.0)]
    for low, high in ((-np.pi, np.pi), (0.0, 2.0 * np.pi)):
        if all(low - 1e-9 <= np.min(end) and np.max(end) <= high + 1e-9 for end in ends):
            return low, high
    return None


def within_turn(rows: NDArray[Any], low: Any, high: Any) -> NDArray[Any]:
    """The same angles, within a turn that begins at ``low``; those that are in it stay as they are."""
    return np.where((rows >= low) & (rows <= high), rows, low + (rows - low) % (high - low))


def around(rows: NDArray[Any], turn: tuple[float, float] | None) -> NDArray[Any]:
    """Draws of all components of a mixture of angles within one turn; others as they are."""
    return rows if turn is None else within_turn(rows, *turn)
