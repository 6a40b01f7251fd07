"""The space of a parameter of one group of columns: that of its family, told the group's columns in place of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from fastkl.families.spaces import Space
from fastkl.families.spaces.within import Within


@dataclass(frozen=True, kw_only=True)
class OfColumns(Within):
    """A parameter of a family that describes some of the columns.

    Parameters
    ----------
    inner : Space
        What it is.
    columns : tuple of int
        Numbers of these columns among all.
    """

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
