"""Coordinates in which columns that are next to combinations of one another are not.

Squared distances lose the digits that the scale's condition takes, and a search ends before the maximum. The family is the same
under linear maps, so that the search may go on where the scale is near the unit matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from fastkl._core.array_types import Floats, Params
from fastkl.families.multivariate_t.degeneracy import Frame

OBLIQUE = 1e-5  # variance of a column, as a share of it, that those before it leave


@dataclass(frozen=True)
class Upright:
    """x = centre + lower z.

    Parameters
    ----------
    centre : ndarray of shape (d,)
        What becomes 0.
    lower : ndarray of shape (d, d)
        Root of what becomes the unit matrix.
    """

    centre: Floats
    lower: Floats

    @property
    def log_size(self) -> float:
        """Logarithm of what a unit of volume of the new coordinates is in the old ones."""
        return float(np.sum(np.log(np.diag(self.lower))))

    def rows(self, X: NDArray[np.floating]) -> Floats:
        """Rows (n, d), or one (d,), in the new coordinates."""
        return np.ascontiguousarray(solve_triangular(self.lower, (X - self.centre).T, lower=True).T)

    def to(self, params: Params) -> Params:
        """Parameters, some or all, in the new coordinates."""
        moved = dict(params)
        if "loc" in params:
            moved["loc"] = self.rows(params["loc"])
        if "scale" in params:
            half = solve_triangular(self.lower, params["scale"], lower=True)
            moved["scale"] = _symmetric(solve_triangular(self.lower, half.T, lower=True))
        return moved

    def back(self, params: Params) -> Params:
        """All parameters in the old coordinates."""
        loc, scale = self.centre + self.lower @ params["loc"], self.lower @ params["scale"] @ self.lower.T
        return {**params, "loc": loc, "scale": _symmetric(scale)}


def oblique_root(frame: Frame) -> Floats | None:
    """The root of the robust scatter where a column is next to a combination of those before it; None where none is."""
    lower = np.asarray(np.linalg.cholesky(frame.scatter), dtype=np.float64)
    left = np.diag(lower) ** 2 / np.diag(frame.scatter)
    return lower if np.min(left) < OBLIQUE else None


def _symmetric(matrix: Floats) -> Floats:
    return np.asarray(0.5 * (matrix + matrix.T))
