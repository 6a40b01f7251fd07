"""Free parameters as one unconstrained vector, and back: what optimisers, differences and standard errors work on.

The coordinates of each parameter are those of its space (``families.spaces``). Around the parameters they were made for, a step
of one in any coordinate is of the order of one row's information, whatever the unit of the data; every vector stands for
parameters inside their range.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family
from fastkl.families.spaces.base import Block
from fastkl.families.spaces.blocks import Elementwise


@dataclass(frozen=True)
class Chart:
    """All free parameters of a distribution together; ``held`` are the others."""

    blocks: tuple[Block, ...]
    held: Params

    @property
    def size(self) -> int:
        """Number of coordinates."""
        return sum(block.size for block in self.blocks)

    @property
    def columns(self) -> int | None:
        """Number of columns if every parameter has one coordinate for each, else None."""
        sizes = {block.size if isinstance(block, Elementwise) and block.mask.ndim == 1 else 0 for block in self.blocks}
        sizes |= {len(block.entries()) for block in self.blocks} if 0 not in sizes else set()
        return sizes.pop() if len(sizes) == 1 and 0 not in sizes else None

    @property
    def held_names(self) -> list[str]:
        """Parameters that stay."""
        moved = [block.name for block in self.blocks]
        return [name for name in self.held if name not in moved]

    @property
    def names(self) -> list[str]:
        """Names of the entries of the free parameters, in order."""
        return [entry for block in self.blocks for entry in block.entries()]

    def name_of(self, coordinate: int) -> str:
        """The entry that a coordinate moves, or where it moves several of a parameter, the parameter."""
        if self.columns is not None:
            return self.names[coordinate]
        return [block.name for block in self.blocks for _ in range(block.size)][coordinate]

    def _pieces(self, counts: list[int]) -> Iterator[slice]:
        at = 0
        for count in counts:
            yield slice(at, at + count)
            at += count

    def to(self, params: Params) -> Floats:
        """Coordinates of parameters."""
        return np.concatenate([np.zeros(0), *(block.to(params[block.name]).ravel() for block in self.blocks)])

    def back(self, u: Floats) -> Params:
        """Complete parameters at coordinates."""
        pieces = self._pieces([block.size for block in self.blocks])
        moved = {block.name: block.back(u[piece]) for block, piece in zip(self.blocks, pieces, strict=True)}
        return {name: moved.get(name, value) for name, value in self.held.items()}

    def pull(self, params: Params, gradient: Params) -> Floats:
        """Derivatives by the coordinates, (..., size), from a dict of derivatives by the parameters (missing ones are 0)."""
        lead = next((np.shape(g)[: np.ndim(g) - np.ndim(params[name])] for name, g in gradient.items()), ())
        parts = [
            block.pull(params[block.name], gradient[block.name])
            if block.name in gradient
            else np.zeros((*lead, block.size))
            for block in self.blocks
        ]
        return np.concatenate([np.zeros((*lead, 0)), *parts], axis=-1)

    def jacobian(self, params: Params) -> Floats:
        """Derivatives of all entries by all coordinates, (len(names), size)."""
        full = np.zeros((len(self.names), self.size))
        rows = self._pieces([len(block.entries()) for block in self.blocks])
        columns = self._pieces([block.size for block in self.blocks])
        for block, row, column in zip(self.blocks, rows, columns, strict=True):
            full[row, column] = block.jacobian(params[block.name])
        return full

    def sharp_entries(self, slopes: Floats, curvature: Floats) -> NDArray[np.bool_]:
        """Which entries have no standard error: along them the second derivative is NaN, or along others of their column.

        ``slopes`` are those of ``jacobian``, ``curvature`` the second derivatives by the coordinates.
        """
        moved = (slopes[:, np.isnan(np.diag(curvature))] != 0.0).any(axis=1)
        columns = [name.partition("[")[2] for name in self.names]
        without = {column for column, one in zip(columns, moved, strict=True) if one}
        return np.array([column in without for column in columns], dtype=bool)

    def fill(self, entries: Floats) -> Params:
        """Numbers for each entry as a dict shaped like the free parameters."""
        pieces = self._pieces([len(block.entries()) for block in self.blocks])
        return {block.name: block.fill(entries[piece]) for block, piece in zip(self.blocks, pieces, strict=True)}


def chart_at(family: Family, params: Params, entries: Collection[str] | None = None) -> Chart:
    """Coordinates around parameters, of those that a fit estimates; ``entries`` narrows them down by name (``"df[0]"``).

    Parameters on which the support depends stay: their likelihood has its maximum where it is not smooth.
    """
    held = family.fixed_parameters()
    known = None if entries is None else {entry.split("[")[0] for entry in entries}
    spaces = family.spaces()
    blocks: list[Block] = []
    for name, value in params.items():
        space = spaces[name]
        if name in held or space.irregular or (known is not None and name not in known) or not space.size(value):
            continue
        unit = None if space.spread is None else spaces[space.spread].unit_of_location(params[space.spread])
        blocks.append(space.block(name, value, unit, entries))
    return Chart(tuple(blocks), dict(params))


def inside(family: Family, params: Params, weight: float) -> Params:
    """The parameters with those at an edge of their range (0, 1, infinity) moved inside it, so that coordinates exist."""
    edge, spaces = 0.5 / (weight + 1.0), family.spaces()
    return {name: spaces[name].inside(value, edge) for name, value in params.items()}
