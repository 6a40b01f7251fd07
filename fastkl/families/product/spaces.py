"""The space of a parameter of one group of columns: that of its family, told the group's columns in place of all."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.families.spaces import Space
from fastkl.families.spaces.base import Block


@dataclass(frozen=True, kw_only=True)
class OfColumns(Space):
    """A parameter of a family that describes some of the columns.

    Parameters
    ----------
    inner : Space
        What it is.
    columns : tuple of int
        Numbers of these columns among all.
    """

    inner: Space
    columns: tuple[int, ...]

    @classmethod
    def of(cls, inner: Space, columns: tuple[int, ...], spread: str | None) -> OfColumns:
        """That of these columns; ``spread`` is the product's name of the parameter for the unit of steps."""
        return cls(
            inner=inner,
            columns=columns,
            role=inner.role,
            spread=spread,
            irregular=inner.irregular,
            centre=inner.centre,
        )

    def n_columns(self, value: Any) -> int | None:
        return None  # all groups together know

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        return self.inner.shaped(value, len(self.columns), label)

    def taken(self, value: Any, columns: Any) -> Any:
        return self.inner.taken(value, [self.columns.index(j) for j in columns if j in self.columns])

    @property
    def default_prior(self) -> str | None:
        return self.inner.default_prior

    @property
    def follows(self) -> frozenset[str]:
        return self.inner.follows

    def size(self, value: Any) -> int:
        return self.inner.size(value)

    def entries(self, name: str, value: Any) -> list[str]:
        return self.inner.entries(name, value)

    def filled(self, entries: Floats, value: Any) -> Any:
        return self.inner.filled(entries, value)

    def check(self, value: Any, label: str) -> None:
        self.inner.check(value, label)

    @property
    def has_edges(self) -> bool:
        return self.inner.has_edges

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return self.inner.at_edge(value)

    def inside(self, value: Any, edge: float) -> Any:
        return self.inner.inside(value, edge)

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return self.inner.block(name, value, unit, entries)

    def unit_of_location(self, value: Any) -> Any:
        return self.inner.unit_of_location(value)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return self.inner.interval(value, half)
