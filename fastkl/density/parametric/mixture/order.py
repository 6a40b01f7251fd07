"""The order of a mixture's components, so that the same maximum is the same dict whatever start led to it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fastkl.families.mixture import Mixture
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.layout import WEIGHTS, Layout


def ordered(mixture: Mixture, climb: Climb) -> Climb:
    """The same maximum with components in the order of their locations, or of their first parameter."""
    layout = mixture.layout
    if len(layout.groups) > 1:
        return climb
    (group,) = layout.groups
    spaces = group.family.spaces()
    free = [name for name in spaces if name not in group.family.fixed_parameters()] or list(spaces)
    chosen = next((name for name in free if spaces[name].role == "location"), free[0])
    components = layout.split(climb.params)
    keys = np.stack([np.ravel(own[chosen]) for own in components], axis=1)
    order = np.lexsort(keys[::-1])
    if np.array_equal(order, np.arange(layout.size)):
        return climb
    params = layout.join([components[k] for k in order], climb.params[WEIGHTS][order])
    boundary = {_renumbered(name, order): text for name, text in climb.boundary.items()}
    return replace(climb, params=params, sums=climb.sums[order], boundary=boundary)


def by_parameter(boundary: dict[str, str], layout: Layout) -> dict[str, str]:
    """Sentences about entries (``"df[1]"``, the second of their group) by the parameter, each with its component."""
    found: dict[str, list[str]] = {}
    for entry, text in sorted(boundary.items()):
        name, _, rest = entry.partition("[")
        component = layout.part_of(name, (int(rest.rstrip("]").partition(",")[0]),))[0]
        found.setdefault(name, []).append(f"{'All' if component is None else f'Component {component}'}: {text}")
    return {name: " ".join(texts) for name, texts in found.items()}


def _renumbered(entry: str, order: np.ndarray) -> str:
    """The name of a parameter's entry after its component has moved."""
    name, _, rest = entry.partition("[")
    number, separator, columns = rest.rstrip("]").partition(",")
    return f"{name}[{int(np.flatnonzero(order == int(number))[0])}{separator}{columns}]"
