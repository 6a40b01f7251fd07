"""How far to shrink a covariance towards a multiple of the identity: Ledoit-Wolf and oracle approximating shrinkage.

With S the covariance (divisor n), mu its mean variance, the shrunk covariance is (1 - s) S + s mu I. Ledoit-Wolf needs
fourth moments of the rows; they are taken about the mean, block by block, and can be moved to another mean and merged,
so that chunks of rows give what all rows together give.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows

METHODS = ("ledoit_wolf", "oas")


def check_shrinkage(shrinkage: Any) -> None:
    """ValueError unless it is None, a method's name, or a number from 0 to 1."""
    if shrinkage is None or (isinstance(shrinkage, str) and shrinkage in METHODS):
        return
    if isinstance(shrinkage, str) or not 0.0 <= float(shrinkage) <= 1.0:
        raise ValueError(f"shrinkage is {', '.join(map(repr, METHODS))} or a number from 0 to 1, not {shrinkage!r}.")


def unit_of(covariance: Floats) -> float:
    """A power of two near the standard deviation of the columns, in which fourth powers are numbers; 0 if nothing varies."""
    variance = float(np.trace(covariance)) / len(covariance)
    return float(2.0 ** np.round(0.5 * np.log2(variance))) if variance > 0.0 else 0.0


def fourth_moments(rows: Rows, mean: Floats, unit: float) -> dict[str, Any]:
    """Weighted sums of |y|^2 y and |y|^4 over the rows, with y = (x - mean) / unit."""
    third, fourth = np.zeros(len(mean)), 0.0
    for start in range(0, len(rows.X) if unit else 0, BLOCK_ROWS):
        y = (rows.X[start : start + BLOCK_ROWS] - mean) / unit
        squares = np.einsum("ij,ij->i", y, y)
        weighted = squares if rows.weights is None else squares * rows.weights[start : start + BLOCK_ROWS]
        third += weighted @ y
        fourth += float(weighted @ squares)
    return {"unit": np.float64(unit), "third": third, "fourth": np.float64(fourth)}


def moved_moments(statistics: dict[str, Any], mean: Floats, unit: float) -> tuple[Floats, float]:
    """The same sums about another mean, in another unit."""
    if not unit:
        return np.zeros(len(mean)), 0.0
    factor = statistics["unit"] / unit
    own_third, own_fourth = statistics["third"] * factor**3, float(statistics["fourth"] * factor**4)
    step = (statistics["mean"] - mean) / unit
    weight, scatter = statistics["weight"], statistics["scatter"] / unit / unit
    length, spread = float(step @ step), float(np.trace(scatter))
    third = own_third + 2.0 * scatter @ step + (spread + weight * length) * step
    fourth = (
        own_fourth
        + 4.0 * float(own_third @ step)
        + 4.0 * float(step @ scatter @ step)
        + 2.0 * length * spread
        + weight * length**2
    )
    return third, fourth


def merged_moments(first: dict[str, Any], second: dict[str, Any], mean: Floats, unit: float) -> dict[str, Any]:
    """Sums over the rows of both, about their common mean."""
    (third, fourth), (third_more, fourth_more) = (moved_moments(own, mean, unit) for own in (first, second))
    return {"unit": np.float64(unit), "third": third + third_more, "fourth": np.float64(fourth + fourth_more)}


def coefficient(shrinkage: Any, covariance: Floats, weight: float, fourth: float = 0.0) -> float:
    """The shrinkage: a number as it is, or by method from S, the weight, and the sum of |x - mean|^4 (in ``unit_of(S)``).

    O. Ledoit, M. Wolf, "A well-conditioned estimator for large-dimensional covariance matrices", 2004,
    doi:10.1016/S0047-259X(03)00096-4; Y. Chen, A. Wiesel, Y. C. Eldar, A. O. Hero, "Shrinkage algorithms for MMSE
    covariance estimation", 2010, doi:10.1109/TSP.2010.2053029.
    """
    if not isinstance(shrinkage, str):
        return float(shrinkage)
    d = len(covariance)
    mu = np.trace(covariance) / d
    if d == 1 or mu == 0.0:
        return 0.0
    squares = float(np.sum((covariance / mu) ** 2))
    if shrinkage == "oas":
        alpha = squares / d**2
        excess = (weight + 1.0) * (alpha - 1.0 / d)
        return 1.0 if excess <= 0.0 else float(min((alpha + 1.0) / excess, 1.0))
    distance = squares - d
    noise = (fourth / (weight * (mu / unit_of(covariance) ** 2) ** 2) - squares) / weight
    return 0.0 if noise <= 0.0 or distance <= 0.0 else float(min(noise / distance, 1.0))


def shrunk(covariance: Floats, amount: float) -> Floats:
    """(1 - s) S + s mu I."""
    d = len(covariance)
    return (1.0 - amount) * covariance + amount * np.trace(covariance) / d * np.eye(d)
