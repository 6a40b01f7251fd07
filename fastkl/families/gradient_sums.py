"""Sums of gradients over blocks of rows."""

from __future__ import annotations

from fastkl._core.array_types import Params
from fastkl._core.rows import Rows
from fastkl.families.base import Family


def added(first: Params, second: Params) -> Params:
    """The sum of two gradients, entry by entry: what merges those of blocks."""
    return {name: value + second[name] for name, value in first.items()}


def both_added(first: tuple[float, Params], second: tuple[float, Params]) -> tuple[float, Params]:
    """The sum of two log-likelihoods, each with its gradient."""
    return first[0] + second[0], added(first[1], second[1])


def all_added(first: list[Params], second: list[Params]) -> list[Params]:
    """The same for the gradients at several places."""
    return [added(one, other) for one, other in zip(first, second, strict=True)]


def gradients_at(rows: Rows, family: Family, places: list[Params]) -> list[Params]:
    """The gradients of the log-likelihood of a block at several places."""
    return [gradient for _, gradient in family.component_likelihoods(rows, places)]
