"""A space that is another one in all that a subclass does not say otherwise."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.families.spaces.base import Block, Space


@dataclass(frozen=True, kw_only=True)
class Within(Space):
    """A parameter that is another one, seen from a mixture or a product.

    Parameters
    ----------
    inner : Space
        What it is.
    """

    inner: Space

    def n_columns(self, value: Any) -> int | None:
        return self.inner.n_columns(value)

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        return self.inner.shaped(value, d, label)

    def taken(self, value: Any, columns: Any) -> Any:
        return self.inner.taken(value, columns)

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

    def ended(self, value: Any, near: float) -> Any:
        return self.inner.ended(value, near)

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return self.inner.block(name, value, unit, entries)

    def unit_of_location(self, value: Any) -> Any:
        return self.inner.unit_of_location(value)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return self.inner.interval(value, half)
