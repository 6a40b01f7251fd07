"""How the parameters of a mixture's components lie in one dict: stacked by groups of components that are of the same family.

Where all components are alike, a parameter has its own name and the component as its leading axis: ``"mean"`` is (k,
d). Components of several families form groups, each with names of its own: ``"normal_loc"`` and ``"uniform_low"``;
groups of the same family that hold different parameters fixed are told apart by a number: ``"normal_1_loc"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from fastkl._core.array_types import Params
from fastkl.families.base import Family
from fastkl.families.spaces import PositiveDefinite, Space, Stacked, Tied, Weights

WEIGHTS = "weights"


@dataclass(frozen=True)
class Group:
    """Components of the same family, with the same parameters held fixed."""

    family: Family
    members: tuple[int, ...]  # numbers of the components
    prefix: str  # of the names of its parameters
    tied: str | None = None  # the parameter that they share

    def key(self, name: str) -> str:
        """The name in the mixture of a parameter of the family."""
        return f"{self.prefix}{name}"

    def spaces(self) -> dict[str, Space]:
        """What each of the parameters is, by its name in the mixture."""
        found: dict[str, Space] = {}
        for name, inner in self.family.spaces().items():
            if name == self.tied:
                found[self.key(name)] = Tied(inner=inner, components=len(self.members), role=inner.role)
            else:
                spread = None if inner.spread is None else self.key(inner.spread)
                found[self.key(name)] = Stacked.of(inner, len(self.members), spread)
        return found


@dataclass(frozen=True)
class Layout:
    """The groups of a mixture, and what follows from them."""

    groups: tuple[Group, ...]
    size: int  # number of components

    @classmethod
    def of(cls, components: Sequence[Family], tied: bool) -> Layout:
        """The layout of these components, in their order; ``tied`` says that they share their covariance matrix."""
        by_text: dict[str, list[int]] = {}
        texts = {id(family): family for family in components}
        known = {key: _text(family) if len(texts) > 1 else "" for key, family in texts.items()}
        for k, family in enumerate(components):
            by_text.setdefault(known[id(family)], []).append(k)
        families = [components[members[0]] for members in by_text.values()]
        names = [family.name for family in families]
        groups = []
        for i, (family, members) in enumerate(zip(families, by_text.values(), strict=True)):
            prefix = "" if len(families) == 1 else f"{family.name}_"
            if names.count(family.name) > 1:
                prefix += f"{names[: i + 1].count(family.name)}_"
            groups.append(Group(family, tuple(members), prefix, _shared(family) if tied else None))
        return cls(tuple(groups), len(components))

    @cached_property
    def component_families(self) -> list[Any]:
        """The family of each component."""
        found = {k: group.family for group in self.groups for k in group.members}
        return [found[k] for k in range(self.size)]

    def spaces(self) -> dict[str, Space]:
        """What each parameter of the mixture is, by name: the weights, then those of the components."""
        return dict(self._spaces)

    @cached_property
    def _spaces(self) -> dict[str, Space]:
        found: dict[str, Space] = {WEIGHTS: Weights()}
        for group in self.groups:
            found.update(group.spaces())
        return found

    def part_of(self, name: str, index: tuple[int, ...]) -> tuple[int | None, str, tuple[int, ...]]:
        """Whose an entry of a parameter is: the component (None for all), the parameter's own name, the entry in it."""
        if name == WEIGHTS:
            return index[0], "weight", ()
        for group in self.groups:
            for own in group.family.parameter_names:
                if group.key(own) == name:
                    return (None, own, index) if own == group.tied else (group.members[index[0]], own, index[1:])
        raise KeyError(name)

    def split(self, params: Params) -> list[Params]:
        """The parameters of each component."""
        found: list[Params] = [{} for _ in range(self.size)]
        for group in self.groups:
            for name in group.family.parameter_names:
                value = params[group.key(name)]
                for i, k in enumerate(group.members):
                    found[k][name] = value if name == group.tied else value[i]
        return found

    def join(self, components: Sequence[Params], weights: Any) -> Params:
        """The parameters of the mixture from those of its components; what they share is that of the first."""
        found: Params = {WEIGHTS: weights}
        for group in self.groups:
            for name in group.family.parameter_names:
                values = [components[k][name] for k in group.members]
                found[group.key(name)] = values[0] if name == group.tied else np.stack(values)
        return found

    def summed(self, gradients: Sequence[Params], weights: Any) -> Params:
        """The gradient by the mixture's parameters from those by the components' own: what they share has the sum."""
        found: Params = {WEIGHTS: weights}
        for group in self.groups:
            for name in group.family.parameter_names:
                values = np.stack([gradients[k][name] for k in group.members])
                found[group.key(name)] = values.sum(axis=0) if name == group.tied else values
        return found


def _text(family: Family) -> str:
    """What tells families apart: the class, its options, and the numbers held fixed, with all digits."""
    options = {name: _plain(value) for name, value in family.get_params(deep=False).items()}
    return f"{type(family).__name__}{options}"


def _plain(value: Any) -> Any:
    if isinstance(value, Family):
        return _text(value)
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _shared(family: Family) -> str:
    """The name of the matrix that tied components share."""
    return next(name for name, space in family.spaces().items() if isinstance(space, PositiveDefinite))
