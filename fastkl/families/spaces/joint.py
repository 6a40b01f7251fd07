"""Spaces of numbers that hang together: rows of probabilities, matrices, unit vectors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.families.spaces import blocks
from fastkl.families.spaces.base import COLUMNWISE, LINEAR, Block, Space, as_numbers
from fastkl.families.spaces.scales import IDENTITY, LOG, LOGIT


@dataclass(frozen=True, kw_only=True)
class Simplex(Space):
    """Probabilities that sum to 1, along the last axis.

    Parameters
    ----------
    by_column : bool, default=False
        Whether every column has a row of probabilities, (d, k); otherwise every column is an outcome, (d,).
    widths : tuple of int, default=None
        With ``by_column``: how many outcomes the columns have; the rest of a row is filled with 0. None takes all.
    """

    by_column: bool = False
    widths: tuple[int, ...] | None = None

    @property
    def default_prior(self) -> str | None:
        return "even_counts"

    def used(self, value: Any) -> NDArray[np.bool_]:
        """Entries that are outcomes, not fillings."""
        at = np.broadcast_to(np.arange(np.shape(value)[-1]), np.shape(value))
        return np.ones(np.shape(value), dtype=bool) if self.widths is None else at < np.array(self.widths)[:, None]

    def n_columns(self, value: Any) -> int | None:
        return int(np.atleast_2d(value).shape[-2]) if self.by_column else super().n_columns(value)

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = as_numbers(value, label)
        array = np.array(np.atleast_2d(array) if self.by_column else np.atleast_1d(array))
        if array.ndim != 1 + self.by_column or self.n_columns(array) != d:
            each = "a row of numbers" if self.by_column else "a number"
            raise ValueError(f"{label} has to hold {each} for each of {d} columns; it has shape {array.shape}.")
        self.check(array, label)
        return array

    def check(self, value: Any, label: str) -> None:
        if not np.isfinite(value).all() or np.any(value < 0.0):
            raise ValueError(f"{label} has to hold finite numbers of at least 0.")
        sums = np.atleast_1d(value.sum(axis=-1))
        if np.any(np.abs(sums - 1.0) > 1e-9):
            row = int(np.argmax(np.abs(sums - 1.0)))
            which = f"; those of column {row}" if self.by_column else "; these"
            raise ValueError(
                f"{label} have to sum to 1{' for every column' * self.by_column}{which} sum to {sums[row]:.12g}."
            )

    def taken(self, value: Any, columns: Any) -> Any:
        return value[..., columns, :] if self.by_column else super().taken(value, columns)

    def size(self, value: Any) -> int:
        used = self.used(value)
        return int(used.sum() - used[..., 0].size)

    def filled(self, entries: Floats, value: Any) -> Any:
        return blocks.inside_alone(entries, value)

    def inside(self, value: Any, edge: float) -> Any:
        moved = np.where(self.used(value), np.maximum(value, edge / np.shape(value)[-1]), 0.0)
        return moved / moved.sum(axis=-1, keepdims=True)

    def ended(self, value: Any, near: float) -> Any:
        if not np.any((value > 0.0) & (value <= near)):
            return value  # to the bit
        kept = np.where(value > near, value, 0.0)
        return kept / kept.sum(axis=-1, keepdims=True)

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return blocks.Simplex(name, value)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return LOGIT.interval(value, half)


def check_matrix(value: Floats, label: str) -> None:
    """ValueError unless a matrix is symmetric and positive definite, judged in the unit of each column, as it is used."""
    variances = value.diagonal()
    if not variances.min() > 0.0:
        raise ValueError(f"{label} has to be positive definite; its diagonal is not above 0.")
    root = np.sqrt(variances)
    if (value != value.T).any() and np.any(np.abs(value - value.T) / root > 1e-10 * root[:, None]):
        raise ValueError(f"{label} has to be symmetric.")
    try:
        np.linalg.cholesky(value)
    except np.linalg.LinAlgError:
        raise ValueError(f"{label} has to be positive definite; it is singular or has a negative eigenvalue.") from None


@dataclass(frozen=True, kw_only=True)
class PositiveDefinite(Space):
    """A covariance or scatter matrix, or what is left of it where columns are not correlated; role ``"scale"``.

    Parameters
    ----------
    form : {"full", "diag", "spherical"}, default="full"
        A matrix (d, d), its diagonal (d,), or one number for all columns.
    """

    role: str | None = "scale"
    form: str = "full"

    @property
    def default_prior(self) -> str | None:
        return "rows" if self.form == "full" else None

    @property
    def follows(self) -> frozenset[str]:
        return {"full": LINEAR, "diag": COLUMNWISE, "spherical": frozenset({"rotation", "size"})}[self.form]

    def n_columns(self, value: Any) -> int | None:
        return None if self.form == "spherical" else super().n_columns(value)

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = np.array(as_numbers(value, label))
        shape: tuple[int, ...] = {"full": (d, d), "diag": (d,), "spherical": ()}[self.form]
        if d == 1 and array.size == 1:
            array = array.reshape(shape)
        if array.shape != shape:
            raise ValueError(f"{label}, {self.form}, has shape {shape} for {d} columns, not {array.shape}.")
        self.check(array, label)
        return array if shape else np.float64(array)

    def check(self, value: Any, label: str) -> None:
        if not np.isfinite(value).all():
            raise ValueError(f"{label} has to be finite.")
        if self.form != "full":
            if np.any(value <= 0.0):
                raise ValueError(f"{label} has to be positive, not {np.min(value):g}.")
            return
        check_matrix(value, label)

    def taken(self, value: Any, columns: Any) -> Any:
        return value[np.ix_(columns, columns)] if self.form == "full" else super().taken(value, columns)

    def size(self, value: Any) -> int:
        d = len(value) if self.form == "full" else 0
        return d * (d + 1) // 2 if d else super().size(value)

    def entries(self, name: str, value: Any) -> list[str]:
        return blocks.triangle_names(name, len(value)) if self.form == "full" else super().entries(name, value)

    def filled(self, entries: Floats, value: Any) -> Any:
        return blocks.symmetric(entries, len(value)) if self.form == "full" else super().filled(entries, value)

    def inside(self, value: Any, edge: float) -> Any:
        return value if self.form == "full" else np.where(value <= 0.0, edge, value)[()]

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return (
            blocks.Matrix(name, value) if self.form == "full" else blocks.Elementwise(name, value, LOG, None, entries)
        )

    def unit_of_location(self, value: Any) -> Any:
        return np.sqrt(np.diag(value) if self.form == "full" else value)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        if self.form != "full":
            return LOG.interval(value, half)
        low, high = IDENTITY.interval(value, half)
        diagonal = np.diag_indices(len(value))
        low[diagonal], high[diagonal] = LOG.interval(value[diagonal], half[diagonal])
        return low, high


@dataclass(frozen=True, kw_only=True)
class Direction(Space):
    """A unit vector; the number 1 is the first axis of any number of columns."""

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        vector = np.array(np.atleast_1d(as_numbers(value, label)))
        if np.ndim(value) == 0 and vector[0] == 1.0:
            vector = np.eye(1, d)[0]
        if vector.shape != (d,):
            raise ValueError(f"{label} has to be a unit vector of {d} numbers; it has shape {vector.shape}.")
        self.check(vector, label)
        return vector

    def check(self, value: Any, label: str) -> None:
        if not abs(float(np.linalg.norm(value)) - 1.0) <= 1e-9:
            raise ValueError(f"{label} has to be a unit vector, not {value}.")

    def taken(self, value: Any, columns: Any) -> Any:
        if len(columns) < len(value):
            raise ValueError("some entries of a unit vector are none")
        return super().taken(value, columns)

    def size(self, value: Any) -> int:
        return len(value) - 1

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return blocks.Direction(name, value)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return IDENTITY.interval(value, half)
