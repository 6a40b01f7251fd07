"""The ends of supports that components have as parameters, such as those of a uniform distribution.

An EM map can't move such an end past a row: a component with a share in a row never lets go of it, and one without
never gets one. Each end is therefore tried at other rows, by the log-likelihood of the mixture there, which never falls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logsumexp

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.base import Family
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.layout import WEIGHTS, Group, Layout
from fastkl.families.product import Product

SPACED = 24  # rows all over its column at which an end is tried, beside some near it
SWEEPS = 20
LOW = 50.0  # nats below the mean log-density
WEIGHT_MAPS = 3  # in which the weight of a component follows the place of its end
GAIN = 1e-9  # nats per unit of weight: less is rounding


@dataclass(frozen=True)
class End:
    """An entry of a parameter of one component on which its support depends."""

    group: Group
    component: int
    name: str
    entry: int
    column: int

    def of(self, own: Params) -> float:
        """Where it is, in the component's parameters."""
        return float(own[self.name][self.entry])

    def at(self, own: Params, place: float) -> Params:
        """These with the end at another place."""
        value = np.array(own[self.name], dtype=np.float64)
        value[self.entry] = place
        return {**own, self.name: value}


@dataclass(frozen=True)
class Limits:
    """What a move leaves: the weight of rows that a component keeps at least, and maps of its own weight in the mixture.

    ``floor`` is the log-density by which rows outside all supports count; None where there are to be as few as possible.
    """

    least: float
    weight_maps: int
    floor: float | None


@dataclass(frozen=True)
class Move:
    """Another place of an end."""

    place: float
    weight: float  # of the component
    outside: float  # share of the rows that lie outside all supports then
    height: float  # log-likelihood of the others
    gains: bool

    @property
    def rank(self) -> tuple[float, float]:
        """Less for the better of two moves from the same place."""
        return self.outside, -self.height


def has_ends(layout: Layout) -> bool:
    """Whether a component has such parameters, and they are free."""
    return any(True for group in layout.groups for _ in _names(group.family, 1))


def component_has_ends(family: Family) -> bool:
    """The same of one component."""
    return any(True for _ in _names(family, 1))


def with_moved_ends(mixture: Any, params: Params, rows: Rows, least: float) -> Params:
    """Every end at the best place of those tried, as long as that gains; ``least`` is the weight that a component keeps.

    First as few rows as possible lie outside all supports, then the log-likelihood is as high as possible.
    """
    layout: Layout = mixture.layout
    maps = 0 if WEIGHTS in mixture.fixed_parameters() else WEIGHT_MAPS
    with np.errstate(all="ignore"):
        height = Components(layout, params).evidence(rows)
        # past rows that lie outside on the way: at first these count as rows of a low density
        for floor in (float(np.mean(height[height > -np.inf])) - LOW, None):
            params = _swept(layout, params, rows, Limits(least, maps, floor))
    return params


def _swept(layout: Layout, params: Params, rows: Rows, limits: Limits) -> Params:
    """The best move of an end first, and then the others, as long as there is one."""
    ends = list(_ends(layout, rows.n_columns))
    values = {end.column: np.unique(rows.X[:, end.column]).astype(np.float64) for end in ends}
    for _ in range(SWEEPS):
        moved = False
        tried = [_best_move(end, layout, params, rows, values[end.column], limits) for end in ends]
        for i in sorted(range(len(ends)), key=lambda i: tried[i].rank):
            # other ends may have moved since
            move = _best_move(ends[i], layout, params, rows, values[ends[i].column], limits) if moved else tried[i]
            if move.gains:
                params, moved = _moved(layout, params, ends[i], move), True
        if not moved:
            break
    return params


def _moved(layout: Layout, params: Params, end: End, move: Move) -> Params:
    own, k = layout.split(params), end.component
    own[k] = end.at(own[k], move.place)
    weights = params[WEIGHTS] * ((1.0 - move.weight) / (1.0 - params[WEIGHTS][k]))
    weights[k] = move.weight
    return layout.join(own, weights)


def _names(family: Family, d: int) -> Iterator[tuple[str, Sequence[int]]]:
    """Free parameters on which the support depends, and the columns of their entries."""
    parts: list[Any] = list(family.parts) if isinstance(family, Product) else [None]
    for part in parts:
        own = family if part is None else part.family
        held = own.fixed_parameters()
        for name, space in own.spaces().items():
            if space.irregular and name not in held:
                yield (name, range(d)) if part is None else (part.key(name), part.columns)


def _ends(layout: Layout, d: int) -> Iterator[End]:
    for group in layout.groups:
        for name, columns in _names(group.family, d):
            for k in group.members:
                for entry, column in enumerate(columns):
                    yield End(group, k, name, entry, column)


def _best_move(end: End, layout: Layout, params: Params, rows: Rows, values: Floats, limits: Limits) -> Move:
    """The best place of one end, with the weight of its component that goes with it, and all else as it is.

    It is tried at rows all over, and at those 1, 2, 4, ... further; then at all between the best of these and its neighbours.
    """
    components, last = Components(layout, params), len(values) - 1
    here = int(np.searchsorted(values, end.of(components.params[end.component])))
    steps = 2 ** np.arange(len(values).bit_length())
    spaced = np.linspace(0, last, SPACED).astype(np.intp)
    tried = np.unique(np.clip(np.concatenate([spaced, here - steps, [here], here + steps]), 0, last))
    while True:
        move = _best_of(end, components, rows, values[tried], limits)
        best = int(np.searchsorted(values[tried], move.place))
        low, high = tried[max(best - 1, 0)], tried[min(best + 1, len(tried) - 1)]
        if high - low < len(tried):
            between = np.setdiff1d(np.arange(low, high + 1), tried)
            return min(move, _best_of(end, components, rows, values[between], limits), key=lambda one: one.rank)
        tried = np.linspace(low, high, SPACED).astype(np.intp)


def _best_of(end: End, components: Components, rows: Rows, places: Floats, limits: Limits) -> Move:
    """The best of some places, or the present one."""
    own, weight = components.params[end.component], components.weights[end.component]
    tried = [end.at(own, place) for place in (end.of(own), *places)]
    tried = [at for at in tried if _in_range(end.group.family, at)]
    new = end.group.family.component_log_density(rows, tried).T
    rest = logsumexp(np.delete(components.logs(rows), end.component, axis=0), axis=0) - np.log1p(-weight)
    top = np.maximum(new.max(axis=0), rest)
    inside = (new > -np.inf) | (rest > -np.inf)
    top[top == -np.inf] = 0.0
    new, rest = np.exp(new - top), np.exp(rest - top)
    counts = np.ones(len(rows.X)) if rows.weights is None else rows.weights
    # in shares without rounding, by which no place is the better
    weights, outside = np.full(len(tried), weight), np.round(~inside @ counts / rows.total_weight, 12)
    for _ in range(1 + limits.weight_maps):
        total = weights[:, None] * new + (1.0 - weights[:, None]) * rest
        kept = weights * (np.where(inside, new / total, 0.0) @ counts)
        last, weights = weights, kept / (rows.total_weight * (1.0 - outside))
    height = np.where(inside, np.log(total) + top, 0.0) @ counts
    if limits.floor is not None:
        height, outside = height + limits.floor * rows.total_weight * outside, np.zeros(len(tried))
    best = np.lexsort((-height, outside, kept < min(limits.least, kept[0])))[0]
    gains = outside[best] < outside[0] or height[best] > height[0] + GAIN * rows.total_weight
    return Move(end.of(tried[best]), float(last[best]), float(outside[best]), float(height[best]), bool(gains))


def _in_range(family: Family, own: Params) -> bool:
    try:
        family.check_parameters(own)
    except ValueError:
        return False
    return True
