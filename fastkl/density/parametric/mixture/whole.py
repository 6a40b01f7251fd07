"""From the maximum of a mixture on a sample to a start on all rows, which hold what the sample lacks: rare labels, far rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.ends import has_ends, with_moved_ends
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.maximisation import fit_alone
from fastkl.families.priors import PriorLike
from fastkl.families.product import Product
from fastkl.families.spaces import Positive

MOST_ODD = 4096  # of those rows, the oddest first
ROUNDS = 4
SHARED = 0.02  # of each row, by all components


@dataclass(frozen=True)
class Odd:
    """Rows of low density, with weights."""

    X: NDArray[Any]
    weights: Floats
    evidence: Floats

    def joined(self, other: Odd) -> Odd:
        """These and others."""
        pairs = [(self.X, other.X), (self.weights, other.weights), (self.evidence, other.evidence)]
        return Odd(*map(np.concatenate, pairs))

    def oddest(self) -> Odd:
        """So many as are kept."""
        if len(self.X) <= MOST_ODD:
            return self
        kept = np.sort(np.argpartition(self.evidence, MOST_ODD)[:MOST_ODD])
        return Odd(self.X[kept], self.weights[kept], self.evidence[kept])


def off_edges(mixture: Mixture, params: Params, weight: float) -> Params:
    """The parameters with those moved that sit at an edge of their range, such as the probability 0 of a rare label.

    EM maps don't leave such an edge, and hardly its neighbourhood, and other rows may hold what the sample does not.
    """
    edge, found = 0.5 / (weight + 1.0), dict(params)
    for group in mixture.layout.groups:
        held = group.family.fixed_parameters()
        for name, space in group.family.spaces().items():
            if name in held or name == group.tied:
                continue
            key, discrete = group.key(name), _is_discrete(group.family, name)
            values = [space.inside(own, edge) if discrete or np.any(space.at_edge(own)) else own for own in params[key]]
            if discrete and isinstance(getattr(space, "inner", space), Positive):
                values = [np.maximum(own, edge) for own in values]  # less than one of all that is counted
            found[key] = np.stack(values)
    return found


def _is_discrete(family: Any, name: str) -> bool:
    if not isinstance(family, Product):
        return bool(family.discrete)
    return any(part.family.discrete for part in family.parts if name.startswith(part.key("")))


def start_on_all(
    mixture: Mixture, params: Params, rows: AnyRows, sample: Rows, priors: list[PriorLike | None], least: float
) -> Params:
    """Parameters under which no row lies outside all supports, if that can be reached, from those on a sample.

    The sample is joined by the rows that its mixture explains worse than any of its own, and the mixture fitted to both.
    ``least`` is the weight that a component keeps where its support narrows.
    """
    known, both = None, sample
    with np.errstate(all="ignore"):
        for _ in range(ROUNDS):
            limit = float(np.min(mixture.log_density(both, params)))  # under which none of these rows is
            odd = rows.total(_odd, mixture, params, limit, merge=_merged)
            if odd is None or (np.min(odd.evidence) > -np.inf and not has_ends(mixture.layout)):
                break
            known = odd if known is None else known.joined(odd)
            both = _joined(sample, known, rows.total_weight)
            params = _fitted(mixture, params, both, priors, least)
    return params


def _fitted(mixture: Mixture, params: Params, rows: Rows, priors: list[PriorLike | None], least: float) -> Params:
    layout = mixture.layout
    if has_ends(layout):
        params = with_moved_ends(mixture, params, rows, least)
    shares = mixture.posterior(rows, params)
    if not np.isnan(shares).any():
        return params
    shares = np.where(np.isnan(shares), 1.0 / layout.size, (1.0 - SHARED) * shares + SHARED / layout.size)
    return fit_alone(mixture, rows, shares, priors)


def _odd(rows: Rows, mixture: Mixture, params: Params, limit: float) -> Odd | None:
    """The rows of a block below a log-density, or outside all supports."""
    evidence = Components(mixture.layout, params).evidence(rows)
    found = np.flatnonzero((evidence < limit) | (evidence == -np.inf))
    if not len(found):
        return None
    weights = np.ones(len(found)) if rows.weights is None else rows.weights[found]
    return Odd(np.array(rows.X[found]), weights, evidence[found]).oddest()


def _merged(first: Odd | None, second: Odd | None) -> Odd | None:
    if first is None or second is None:
        return second if first is None else first
    return first.joined(second).oddest()


def _joined(sample: Rows, odd: Odd, weight: float) -> Rows:
    """The sample, which stands for all rows but the odd ones, and these."""
    own = np.ones(len(sample.X)) if sample.weights is None else sample.weights
    own = own * (max(weight - odd.weights.sum(), 0.0) / own.sum())
    X = np.concatenate([sample.X, odd.X])
    return replace(sample, X=np.ascontiguousarray(X), weights=np.concatenate([own, odd.weights]), index=None)
