"""Spaces of a mixture: one value of another space for each component, one that they share, and their weights.

Entries of a stacked parameter are named component first: ``"scale[1,0]"`` is the scale of component 1 in column 0.
Coordinates are those of the components' own spaces, side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import block_diag

from fastkl._core.array_types import Floats
from fastkl.families.spaces.base import Block, Space, as_numbers
from fastkl.families.spaces.blocks import Matrix, lower_triangle
from fastkl.families.spaces.joint import PositiveDefinite, Simplex
from fastkl.families.spaces.numbers import Numbers
from fastkl.families.spaces.within import Within


@dataclass(frozen=True, kw_only=True)
class Weights(Simplex):
    """Weights of the components of a mixture: probabilities, whose number has nothing to do with columns."""

    def n_columns(self, value: Any) -> int | None:
        return None

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = np.array(np.atleast_1d(as_numbers(value, label)))
        if array.ndim != 1:
            raise ValueError(f"{label} has to hold a number for each component; it has shape {array.shape}.")
        self.check(array, label)
        return array

    def taken(self, value: Any, columns: Any) -> Any:
        return value


@dataclass(frozen=True, kw_only=True)
class Tied(Within):
    """One value of another space that all components share.

    Parameters
    ----------
    inner : Space
        What it is.
    components : int
        How many share it.
    """

    components: int

    def unit_of_location(self, value: Any) -> Any:
        unit = np.asarray(self.inner.unit_of_location(value))
        return np.broadcast_to(unit, (self.components, *unit.shape))


@dataclass(frozen=True, kw_only=True)
class Stacked(Space):
    """One value of another space for each component, along the leading axis.

    Parameters
    ----------
    inner : Space
        What each of them is.
    components : int
        How many there are.
    """

    inner: Space
    components: int

    @classmethod
    def of(cls, inner: Space, components: int, spread: str | None) -> Stacked:
        """That of so many components; ``spread`` is the name which the parameter for the unit of steps has in the mixture."""
        return cls(
            inner=inner,
            components=components,
            role=inner.role,
            spread=spread,
            irregular=inner.irregular,
            centre=inner.centre,
        )

    def n_columns(self, value: Any) -> int | None:
        return None if np.ndim(value) == 0 else self.inner.n_columns(value[0])

    def raise_unless_one_of_each(self, value: ArrayLike, label: str) -> None:
        """ValueError unless the leading axis is as long as there are components."""
        shape = np.shape(value)
        if len(shape) == 0 or shape[0] != self.components:
            raise ValueError(
                f"{label} has to hold one value for each of {self.components} components along its leading axis; it has shape "
                f"{shape}."
            )

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = as_numbers(value, label)
        self.raise_unless_one_of_each(array, label)
        return np.stack([self.inner.shaped(own, d, f"{label} of component {k}") for k, own in enumerate(array)])

    def taken(self, value: Any, columns: Any) -> Any:
        return np.stack([self.inner.taken(own, columns) for own in value])

    def size(self, value: Any) -> int:
        return sum(self.inner.size(own) for own in value)

    def entries(self, name: str, value: Any) -> list[str]:
        return [stacked_entry(name, k, entry) for k, own in enumerate(value) for entry in self.inner.entries(name, own)]

    def filled(self, entries: Floats, value: Any) -> Any:
        parts = zip(np.split(entries, len(value)), value, strict=True)
        return np.stack([self.inner.filled(part, own) for part, own in parts])

    def check(self, value: Any, label: str) -> None:
        for k, own in enumerate(value):
            self.inner.check(own, f"{label} of component {k}")

    @property
    def has_edges(self) -> bool:
        return self.inner.has_edges

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return np.stack([self.inner.at_edge(own) for own in value])

    def inside(self, value: Any, edge: float) -> Any:
        return np.stack([self.inner.inside(own, edge) for own in value])

    def ended(self, value: Any, near: float) -> Any:
        return np.stack([self.inner.ended(own, near) for own in value])

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        if np.ndim(value) < 2 or isinstance(self.inner, Numbers) or getattr(self.inner, "form", "full") != "full":
            if unit is not None and np.shape(unit) != np.shape(value):
                unit = np.stack([np.broadcast_to(one, np.shape(own)) for one, own in zip(unit, value, strict=True)])
            return self.inner.block(name, value, unit, entries)  # numbers each on its own take any shape
        if isinstance(self.inner, PositiveDefinite):
            return Matrices(name, value)
        blocks: list[Block] = []
        for k, own in enumerate(value):
            chosen = None
            if entries is not None:
                chosen = [entry for entry in self.inner.entries(name, own) if stacked_entry(name, k, entry) in entries]
            blocks.append(self.inner.block(name, own, None if unit is None else unit[k], chosen))
        return StackedBlock(name, value, blocks)

    def unit_of_location(self, value: Any) -> Any:
        return np.stack([self.inner.unit_of_location(own) for own in value])

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        ends = [self.inner.interval(own, wide) for own, wide in zip(value, half, strict=True)]
        return np.stack([low for low, _ in ends]), np.stack([high for _, high in ends])


class StackedBlock:
    """The coordinates of all components, side by side."""

    def __init__(self, name: str, value: Any, blocks: Sequence[Block]):
        self.name, self.value, self.blocks = name, value, blocks
        self.size = sum(block.size for block in blocks)
        self._ends = np.cumsum([block.size for block in blocks])[:-1]

    def entries(self) -> list[str]:
        return [stacked_entry(self.name, k, entry) for k, block in enumerate(self.blocks) for entry in block.entries()]

    def to(self, value: Any) -> Floats:
        return np.concatenate([block.to(own) for block, own in zip(self.blocks, value, strict=True)])

    def back(self, u: Floats) -> Any:
        return np.stack([block.back(part) for block, part in zip(self.blocks, np.split(u, self._ends), strict=True)])

    def pull(self, value: Any, gradient: Any) -> Floats:
        gradient = np.moveaxis(np.asarray(gradient, dtype=np.float64), -np.ndim(value), 0)
        parts = zip(self.blocks, value, gradient, strict=True)
        return np.concatenate([block.pull(own, slope) for block, own, slope in parts], axis=-1)

    def jacobian(self, value: Any) -> Floats:
        parts = [block.jacobian(own) for block, own in zip(self.blocks, value, strict=True)]
        return np.asarray(block_diag(*parts))

    def fill(self, entries: Floats) -> Any:
        ends = np.cumsum([len(block.entries()) for block in self.blocks])[:-1]
        return np.stack([block.fill(part) for block, part in zip(self.blocks, np.split(entries, ends), strict=True)])


class Matrices(StackedBlock):
    """Those of the covariance matrices of all components at once, each in the coordinates of ``blocks.Matrix``."""

    def __init__(self, name: str, value: Floats):
        super().__init__(name, value, [Matrix(name, own) for own in value])
        self.shape = np.shape(value)
        self.rows, self.columns, self.diagonal = lower_triangle(self.shape[-1])
        self.roots = np.sqrt(np.diagonal(value, axis1=1, axis2=2))

    def to(self, value: Any) -> Floats:
        u = (np.linalg.cholesky(value) / self.roots[:, :, None])[:, self.rows, self.columns]
        u[:, self.diagonal] = np.log(u[:, self.diagonal])
        return np.asarray(u.ravel())

    def back(self, u: Floats) -> Any:
        entries = u.reshape(self.shape[0], -1).copy()
        entries[:, self.diagonal] = np.exp(entries[:, self.diagonal])
        factors = np.zeros(self.shape)
        factors[:, self.rows, self.columns] = entries
        factors *= self.roots[:, :, None]
        return factors @ factors.swapaxes(1, 2)

    def pull(self, value: Any, gradient: Any) -> Floats:
        factors = np.linalg.cholesky(value)
        slopes = (2.0 * np.asarray(gradient) @ factors)[..., self.rows, self.columns]
        weights = np.where(self.diagonal, factors[:, self.rows, self.columns], self.roots[:, self.rows])
        return np.asarray((slopes * weights).reshape(*slopes.shape[:-2], self.size))


def stacked_entry(name: str, component: int, entry: str) -> str:
    """The name in the mixture of an entry that a component names ``"scale[0]"`` or ``"scale"``."""
    rest = entry.partition("[")[2]
    return f"{name}[{component},{rest}" if rest else f"{name}[{component}]"
