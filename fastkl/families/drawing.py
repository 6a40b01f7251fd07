"""Draws of a family as its distribution has them: numbers of its support, whatever its arithmetic does at the ends.

Where much of a distribution lies beyond the smallest or the largest number (a gamma distribution of shape 0.001 has half of its
mass below 1e-301), a sampler ends at 0 or at infinity. Neither belongs to the support: it would be outside under the very
distribution that it is drawn from. The nearest number that does belong to it is the draw to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Params
from fastkl.families.base import Family

LARGEST = float(np.finfo(np.float64).max)


def draws(family: Family, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
    """Rows drawn from a distribution, (n_samples, d); the nearest number of the support for what was rounded out of it."""
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        rows = family.sample(params, n_samples, generator)
    if rows.dtype != np.float64:
        return rows
    low, high, _ = getattr(family, "support", (-np.inf, np.inf, False))
    return np.clip(rows, max(low, -LARGEST), min(high, LARGEST))
