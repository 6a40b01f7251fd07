"""Coordinates of one parameter: numbers each on its own scale, rows of probabilities, a matrix, a direction.

A scale becomes its logarithm, a probability its logit, a row of probabilities log-ratios to its largest entry, a
covariance matrix its scaled log-Cholesky factor, a direction a step in the tangent plane, a location a step in units of
its distribution's spread. Every vector of coordinates stands for a value inside the parameter's range.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import null_space

from fastkl._core.array_types import Floats
from fastkl.families.spaces.base import entry_names
from fastkl.families.spaces.scales import Scale


class Elementwise:
    """Numbers each on its own, in units of their own on a scale; ``entries`` says which of them are free, None all.

    A coordinate is the distance on the scale from where 0 is: from the reference value for locations, whose unit is not 1.
    """

    def __init__(self, name: str, value: Any, scale: Scale, unit: Any = None, entries: Collection[str] | None = None):
        self.name, self.scale, self.reference = name, scale, np.asarray(value, dtype=np.float64)
        shape = self.reference.shape
        self.mask: NDArray[np.bool_] = np.full(shape, True)
        if entries is not None:
            self.mask = np.array([entry in entries for entry in entry_names(name, shape)], dtype=bool).reshape(shape)
        self.size = int(self.mask.sum())
        self.unit: Floats = np.broadcast_to(1.0 if unit is None else unit, shape)[self.mask]
        self.origin: Any = 0.0 if unit is None else scale.to(self.reference[self.mask])

    def entries(self) -> list[str]:
        names = entry_names(self.name, self.reference.shape)
        return [entry for entry, kept in zip(names, self.mask.ravel(), strict=True) if kept]

    def to(self, value: Any) -> Floats:
        chosen = np.asarray(value, dtype=np.float64)[self.mask]
        return np.asarray((self.scale.to(chosen) - self.origin) / self.unit)

    def back(self, u: Floats) -> Any:
        value = self.reference.copy()
        value[self.mask] = self.scale.back(self.origin + self.unit * u)
        return value[()]

    def _slope(self, value: Any) -> Floats:
        return self.unit * self.scale.slope(np.asarray(value, dtype=np.float64)[self.mask])

    def pull(self, value: Any, gradient: Any) -> Floats:
        return np.asarray(gradient, dtype=np.float64)[..., self.mask] * self._slope(value)

    def jacobian(self, value: Any) -> Floats:
        return np.diag(self._slope(value))

    def fill(self, entries: Floats) -> Any:
        filled = np.full(self.reference.shape, np.nan)
        filled[self.mask] = entries
        return filled[()]


class Simplex:
    """Rows of probabilities: log-ratios to the largest entry of the row. Entries of 0 stay 0 and have no coordinate."""

    def __init__(self, name: str, value: Any):
        self.name, self.reference = name, np.asarray(value, dtype=np.float64)
        self.shape = self.reference.shape
        self.table = self.reference.reshape(-1, self.shape[-1])
        self.pivot = self.table.argmax(axis=1)
        self.mask = self.table > 0.0
        self.mask[np.arange(len(self.table)), self.pivot] = False
        self.size = int(self.mask.sum())

    def entries(self) -> list[str]:
        return entry_names(self.name, self.shape)

    def to(self, value: Any) -> Floats:
        table = np.reshape(value, self.table.shape)
        pivots = np.take_along_axis(table, self.pivot[:, None], axis=1)
        return np.asarray(np.log((table / pivots)[self.mask]))

    def back(self, u: Floats) -> Any:
        logits = np.full(self.table.shape, -np.inf)
        logits[np.arange(len(self.table)), self.pivot] = 0.0
        logits[self.mask] = u
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return (weights / weights.sum(axis=1, keepdims=True)).reshape(self.shape)

    def pull(self, value: Any, gradient: Any) -> Floats:
        p = np.asarray(value).reshape(self.table.shape)
        slopes = np.asarray(gradient, dtype=np.float64)
        slopes = slopes.reshape(*slopes.shape[: slopes.ndim - len(self.shape)], *p.shape)
        slopes = np.where(p > 0.0, slopes, 0.0)  # no coordinate moves an entry of 0
        along: Floats = p * (slopes - np.sum(p * slopes, axis=-1, keepdims=True))
        return along[..., self.mask]

    def jacobian(self, value: Any) -> Floats:
        p: Floats = np.asarray(value, dtype=np.float64).reshape(self.table.shape)
        columns = [
            np.where(
                np.arange(len(p))[:, None] == row, p * ((np.arange(self.table.shape[1]) == k) - p[row, k]), 0.0
            ).ravel()
            for row, k in np.argwhere(self.mask)
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((p.size, 0))

    def fill(self, entries: Floats) -> Any:
        return inside_alone(entries, self.reference)


def inside_alone(entries: Floats, probabilities: Floats) -> Floats:
    """Figures for each probability, in their shape: NaN for one of 0 or 1, which is at its boundary."""
    inside = (probabilities > 0.0) & (probabilities < 1.0)
    return np.where(inside, entries.reshape(inside.shape), np.nan)


class Matrix:
    """A covariance matrix: its Cholesky factor in units of the reference's standard deviations, with a log diagonal."""

    def __init__(self, name: str, value: Any):
        self.name, self.d = name, len(value)
        self.root = np.sqrt(np.diag(value))
        self.rows, self.columns, self.diagonal = lower_triangle(self.d)
        self.size = len(self.rows)

    def entries(self) -> list[str]:
        return triangle_names(self.name, self.d)

    def to(self, value: Any) -> Floats:
        u = (np.linalg.cholesky(value) / self.root[:, None])[self.rows, self.columns]
        u[self.diagonal] = np.log(u[self.diagonal])
        return np.asarray(u)

    def back(self, u: Floats) -> Any:
        factor = self._factor(u)
        return factor @ factor.T

    def _factor(self, u: Floats) -> Floats:
        factor = np.zeros((self.d, self.d))
        factor[self.rows, self.columns] = np.where(self.diagonal, np.exp(np.where(self.diagonal, u, 0.0)), u)
        return factor * self.root[:, None]

    def _weights(self, factor: Floats) -> Floats:
        """Derivative of each entry of the factor by its coordinate."""
        return np.where(self.diagonal, factor[self.rows, self.columns], self.root[self.rows])

    def pull(self, value: Any, gradient: Any) -> Floats:
        factor = np.linalg.cholesky(value)
        slopes = 2.0 * np.asarray(gradient) @ factor
        return np.asarray(slopes[..., self.rows, self.columns] * self._weights(factor))

    def jacobian(self, value: Any) -> Floats:
        factor = np.linalg.cholesky(value)
        upper = np.triu_indices(self.d)
        columns = []
        for i, j, weight in zip(self.rows, self.columns, self._weights(factor), strict=True):
            step = np.zeros((self.d, self.d))
            step[i] = weight * factor[:, j]
            columns.append((step + step.T)[upper])
        return np.stack(columns, axis=1)

    def fill(self, entries: Floats) -> Any:
        return symmetric(entries, self.d)


@lru_cache(maxsize=16)
def lower_triangle(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Rows and columns of the entries of a lower triangle, and which of these are on its diagonal."""
    rows, columns = np.tril_indices(d)
    return rows, columns, rows == columns


class Direction:
    """A unit vector: a step in the plane that touches the sphere at the reference."""

    def __init__(self, name: str, value: Any):
        self.name, self.reference = name, np.asarray(value, dtype=np.float64)
        self.plane = null_space(self.reference[None, :])
        self.size = self.plane.shape[1]

    def entries(self) -> list[str]:
        return entry_names(self.name, self.reference.shape)

    def to(self, value: Any) -> Floats:
        return np.asarray(self.plane.T @ value / (self.reference @ value))

    def back(self, u: Floats) -> Any:
        vector = self.reference + self.plane @ u
        return vector / np.linalg.norm(vector)

    def pull(self, value: Any, gradient: Any) -> Floats:
        return np.asarray(np.asarray(gradient) @ self.jacobian(value))

    def jacobian(self, value: Any) -> Floats:
        along = self.plane - np.outer(value, value @ self.plane)
        return np.asarray(along * (self.reference @ value))

    def fill(self, entries: Floats) -> Any:
        return entries


def triangle_names(name: str, d: int) -> list[str]:
    """Names of the entries of a symmetric matrix, row by row of its upper triangle."""
    return [f"{name}[{i},{j}]" for i in range(d) for j in range(i, d)]


def symmetric(entries: Floats, d: int) -> Floats:
    """The symmetric matrix with this upper triangle."""
    filled = np.zeros((d, d))
    filled[np.triu_indices(d)] = entries
    return filled + np.triu(filled, 1).T
