"""From one maximum of a mixture to starts of others: splits and merges, exchanges, and components that close a gap.

A component is freed, as another one takes its rows, and takes rows elsewhere: a part of those of a component, a ball of them,
those that a further component would explain better (``insertions``), or a single one, where there are priors.
"""

from __future__ import annotations

from itertools import permutations
from typing import Any, NamedTuple

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.density.parametric.mixture.insertions import insertions, may_be_flat
from fastkl.density.parametric.mixture.starts import Starts, about
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.climb import Climb

PAIRS = 3  # of components that are merged for splits, the most alike first
LONE = 4  # rows of least density, of which each is a component of its own where there are priors
MOST_ORDERED = 4  # components of several families that change places in all ways
MOST_EXCHANGES = 20  # ways tried of more


class Round(NamedTuple):
    """How many are tried: splits by halves, splits at least (others by two rows at random), balls, and gaps that are closed."""

    halves: int
    splits: int
    balls: int
    insertions: int


HEAVY = Round(2, 0, 4, 0)
LIGHT = Round(40, 12, 12, 30)  # ascents take next to nothing: of few components all splits by halves, in a single round
FLAT = Round(8, 0, 6, 40)  # there, where components may be narrow in any direction: insertions find most of these


def moved_starts(mixture: Mixture, climb: Climb, rows: Rows, starts: Starts, light: bool) -> list[Params | None]:
    """Starts of other maxima: more of them where ascents are light."""
    tried = HEAVY if not light else FLAT if may_be_flat(mixture) else LIGHT
    begun = [starts.of_labels(labels) for labels in _exchanged(mixture, climb, rows, starts)]
    if mixture.layout.size > 2:  # splits of one of two make what other starts are
        begun += [starts.of_labels(labels) for labels in _parted(mixture, climb, rows, starts, tried)]
    return begun + (_inserted(mixture, climb, rows, starts, tried.insertions) if light else [])


def _inserted(mixture: Mixture, climb: Climb, rows: Rows, starts: Starts, most: int) -> list[Params | None]:
    """A component takes the rows of another, which closes a gap: small groups that no split of a component finds."""
    shares = mixture.posterior(rows, climb.params)
    pairs, begun = _pairs(mixture, shares), []
    for tied in (False, True)[: 1 + mixture.tied]:  # large gaps are closed by one kind, small ones by the other
        found = insertions(mixture, climb.params, rows, shares, pairs, starts.generator, tied)
        if found is None:
            return []
        gains = found.gains[:, None] - found.losses
        for i in np.argsort(-gains, axis=None, kind="stable")[:most]:
            gap, pair = divmod(int(i), len(pairs))
            free, taking = pairs[pair]
            new = shares * (1.0 - found.shares[gap])[:, None]
            new[:, taking] += new[:, free]
            new[:, free] = found.shares[gap]
            begun.append(starts.of_shares(new))
    return begun


def _pairs(mixture: Mixture, shares: Floats) -> list[tuple[int, int]]:
    """The component that is freed, and the one that takes its rows: those first whose rows are the most alike."""
    overlap, k = shares.T @ shares, shares.shape[1]
    size = np.sqrt(np.maximum(np.diag(overlap), 1e-300))  # of a component that is held fixed nothing may be left
    several = len(mixture.layout.groups) > 1  # where it matters which of the two is free
    return sorted(
        ((i, j) for i in range(k) for j in range(k) if j < i or (several and j > i)),
        key=lambda pair: -overlap[pair] / (size[pair[0]] * size[pair[1]]),
    )


def _parted(mixture: Mixture, climb: Climb, rows: Rows, starts: Starts, tried: Round) -> list[Any]:
    """Labels of the rows after a merge of two components: the free one takes half of another, or a ball of rows."""
    shares = mixture.posterior(rows, climb.params)
    labels, k = np.argmax(shares, axis=1), shares.shape[1]
    pairs, light = _pairs(mixture, shares), tried is not HEAVY
    splits = [(*pair, part) for pair in (pairs if light else pairs[:PAIRS]) for part in range(k) if part != pair[0]]
    chosen = starts.generator.permutation(len(splits))[: tried.halves]
    again = starts.generator.permutation(len(splits))[: max(0, tried.splits - len(splits))]
    parted = []
    for i, split in [*((i, _halved) for i in chosen), *((i, _parted_unevenly) for i in again)]:
        free, taking, part = splits[i]
        new = np.where(labels == free, taking, labels)
        own = np.flatnonzero(new == part)
        new[own[split(starts.values[own], starts.generator)]] = free
        parted.append(new)
    for turn in range(tried.balls):
        free, taking = pairs[turn % min(len(pairs), PAIRS)]
        new = np.where(labels == free, taking, labels)
        new[ball(starts.values, starts.generator)] = free
        parted.append(new)
    if light and any(starts.priors):  # which let a component have a single row
        for row in np.argsort(mixture.log_density(rows, climb.params), kind="stable")[:LONE]:
            for free, taking in pairs[:PAIRS]:
                new = np.where(labels == free, taking, labels)
                new[row] = free
                parted.append(new)
    return parted


def _exchanged(mixture: Mixture, climb: Climb, rows: Rows, starts: Starts) -> list[Any]:
    """Labels of the rows after components of different families have taken each other's: in all ways, or some of many."""
    group_of = {k: i for i, group in enumerate(mixture.layout.groups) for k in group.members}
    if len(mixture.layout.groups) == 1:
        return []
    size = mixture.layout.size
    if size <= MOST_ORDERED:
        orders: Any = {tuple(group_of[k] for k in order): order for order in permutations(range(size))}
        orders = [order for kinds, order in orders.items() if kinds != tuple(group_of[k] for k in range(size))]
    else:
        pairs = [(i, j) for i in range(size) for j in range(i) if group_of[i] != group_of[j]]
        orders = [_swapped(size, *pairs[i]) for i in starts.generator.permutation(len(pairs))[:MOST_EXCHANGES]]
    labels = np.argmax(mixture.posterior(rows, climb.params), axis=1)
    return [np.asarray(order)[labels] for order in orders]


def _swapped(size: int, i: int, j: int) -> list[int]:
    order = list(range(size))
    order[i], order[j] = j, i
    return order


def ball(X: Any, generator: np.random.Generator) -> Any:
    """A row and those nearest to it, in units of the columns: a few of all rows up to a third."""
    centre, share = X[generator.integers(len(X))], np.exp(generator.uniform(np.log(0.03), np.log(0.33)))
    if X.dtype.kind in "fiub":
        values = np.asarray(X, dtype=np.float64)
        distances = np.sum(_in_deviations(about(values, centre)) ** 2, axis=1)
    else:
        distances = np.sum(centre != X, axis=1) + generator.random(len(X))
    return np.argsort(distances, kind="stable")[: max(2, int(share * len(X)))]


def half_of(labels: Any, X: Any, generator: np.random.Generator) -> Any:
    """Half of the rows of one of the components."""
    own = np.flatnonzero(labels == generator.choice(np.unique(labels)))
    return own[_halved(X[own], generator)]


def _halved(X: Any, generator: np.random.Generator) -> Any:
    """A mask of about half of the rows: those on one side of the direction in which they differ most, or any."""
    if X.dtype.kind not in "fiub" or len(X) < 2:
        return generator.random(len(X)) < 0.5
    values = np.asarray(X, dtype=np.float64)
    shift = _in_deviations(about(values))
    along = shift @ np.linalg.svd(shift, full_matrices=False)[2][0]
    return along > np.median(along)


def _parted_unevenly(X: Any, generator: np.random.Generator) -> Any:
    """A mask of the rows that are nearer to one of two of them than to the other."""
    if X.dtype.kind not in "fiub" or len(X) < 2:
        return generator.random(len(X)) < 0.5
    shift = _in_deviations(about(np.asarray(X, dtype=np.float64)))
    one, other = shift[generator.choice(len(X), size=2, replace=False)]
    return np.sum((shift - one) ** 2, axis=1) < np.sum((shift - other) ** 2, axis=1)


def _in_deviations(shift: Floats) -> Floats:
    """Columns in units of their standard deviations; first of their largest values, whose squares may be no numbers."""
    largest = np.abs(shift).max(axis=0)
    shift = shift / np.where(largest > 0.0, largest, 1.0)
    deviation = np.std(shift, axis=0)
    return np.asarray(shift / np.where(deviation > 0.0, deviation, 1.0))
