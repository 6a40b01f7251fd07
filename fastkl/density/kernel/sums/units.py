"""Units of the bandwidth: rows about a centre, divided by bandwidths or by the root of a bandwidth matrix.

The centre is the median of the references, so that neither an offset of the data nor an outlier costs digits of the others.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl.spatial.kernel_sums import FAR


def median_of(references: Floats) -> Floats:
    """The centre (d,)."""
    return np.median(references, axis=0).astype(np.float64)


class Units:
    """From rows to units of a bandwidth, and back.

    Parameters
    ----------
    bandwidth : float or ndarray of shape (d,) or (d, d)
        As ``bandwidth_``.
    centre : ndarray of shape (d,)
        What is subtracted first.
    """

    def __init__(self, bandwidth: Any, centre: Floats):
        self.centre, d = centre, len(centre)
        own = np.asarray(bandwidth, dtype=np.float64)
        self._root = np.linalg.cholesky(own) if own.ndim == 2 else None
        self._widths = np.diag(self._root) if self._root is not None else np.broadcast_to(own, d)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return len(self.centre)

    @property
    def widths(self) -> Floats | None:
        """The bandwidths of the columns (d,); None for a matrix."""
        return self._widths if self._root is None else None

    @property
    def log_volume(self) -> float:
        """Logarithm of the volume of a unit cube."""
        return float(np.sum(np.log(self._widths)))

    @property
    def covariance(self) -> Floats:
        """The bandwidths as a matrix; infinite where their squares leave the range of numbers."""
        with np.errstate(over="ignore"):
            return np.diag(self._widths**2) if self._root is None else self._root @ self._root.T

    def of_queries(self, X: Floats) -> Floats:
        """Rows in units; what leaves the range of numbers is infinitely far."""
        return self.in_units(self.about(X), in_place=True)

    def about(self, X: Floats) -> Floats:
        """Rows about the centre, as new numbers."""
        with np.errstate(over="ignore", invalid="ignore"):
            about: Floats = np.subtract(X, self.centre, dtype=np.float64)
        return about

    def in_units(self, about: Floats, in_place: bool = False) -> Floats:
        """Rows about the centre in units."""
        with np.errstate(over="ignore", invalid="ignore"):
            if self._root is None:
                return np.divide(about, self._widths, out=about if in_place else None)
            return _substituted(self._root, about)

    def of_references(self, X: Floats) -> Floats:
        """The same; ValueError where the square of a distance would leave the range of numbers."""
        points = self.of_queries(X)
        _raise_if_far(np.max(np.abs(points)))
        return points

    def raise_if_far(self, X: Floats) -> None:
        """That ValueError, without the rows in units."""
        if self._root is not None:
            self.of_references(X)
            return
        with np.errstate(over="ignore", invalid="ignore"):
            _raise_if_far(np.max(np.maximum(X.max(axis=0) - self.centre, self.centre - X.min(axis=0)) / self._widths))

    def scaled(self, u: Floats) -> Floats:
        """Differences in units as differences of rows."""
        return u * self._widths if self._root is None else u @ self._root.T

    def slopes(self, slopes: Floats) -> Floats:
        """Gradients by coordinates in units as gradients by the rows."""
        if self._root is None:
            return slopes / self._widths
        # the upper factor backwards: with rows and columns in reverse it is a lower one
        return np.ascontiguousarray(_substituted(self._root.T[::-1, ::-1], slopes[:, ::-1])[:, ::-1])


def _substituted(lower: NDArray[np.floating[Any]], rows: Floats) -> Floats:
    """L^-1 x for every row x, by columns: a library's solver has other digits for one row than for many."""
    solved = np.array(rows.T, dtype=np.float64, order="C")
    for j, factors in enumerate(lower):
        for k in range(j):
            solved[j] -= factors[k] * solved[k]
        solved[j] /= factors[j]
    return np.ascontiguousarray(solved.T)


def _raise_if_far(most: float) -> None:
    if not most < FAR:
        raise ValueError(
            f"Rows lie more than {FAR:g} bandwidths from their median; give a larger bandwidth, or remove the outlier."
        )
