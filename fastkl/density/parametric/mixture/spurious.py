"""Components that have collapsed, or are about to: accidents of the sample where the likelihood grows without bound."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import block_diag

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.climb import Climb
from fastkl.families.product import Product
from fastkl.families.spaces import PositiveDefinite
from fastkl.families.univariate import UnivariateFamily

FEW_ROWS = 4.0  # per column and one more: components of fewer rows may be collapsed
WIDE = 1e100  # deviations in units of those of other components beyond which only their squares would overflow
NARROW = 1e-4  # smallest variance of such a component in any direction, in that of all components together
QUARTILES = 1.3489795003921634  # from one to the other of a normal distribution, in its standard deviations
Spread = tuple[Floats, Floats]  # deviations of the columns, and their correlations


def spurious_components(mixture: Mixture, climb: Climb, rows: AnyRows) -> dict[int, str]:
    """Components that sit on a few rows, with a sentence each: accidents of the sample, on the way to infinity."""
    if mixture.discrete or not len(climb.sums):
        return {}
    d = rows.n_columns
    n_rows = max(rows.total_weight, len(rows.X) if isinstance(rows, Rows) else 0.0)
    shares = climb.sums / np.sum(climb.sums)
    count = shares * n_rows
    found = {}
    for group in mixture.layout.groups:
        few = [k for k in group.members if count[k] < FEW_ROWS * (d + 1.0)]
        if not few or group.tied is not None or not group.family.free_names():
            continue
        spreads = _spreads(mixture, climb.params)
        if spreads is None:
            continue
        others = np.array([j for j in range(len(shares)) if j not in few] or range(len(shares)))
        # in units of each column, so that squares are numbers even where those of the columns are not
        scaled = np.minimum(spreads[0] / spreads[0][others].max(axis=0), WIDE)
        covariances = spreads[1] * (scaled[:, :, None] * scaled[:, None, :])
        pooled = np.tensordot(shares[others] / np.sum(shares[others]), covariances[others], axes=1)
        for k, narrow in zip(few, _narrowest(covariances[few], pooled), strict=True):
            if narrow < NARROW:
                found[k] = (
                    f"Component {k} holds {count[k]:.3g} rows and is narrow: its variance in one direction is {narrow:.2g} times "
                    "that of the other components. The likelihood grows without bound as a component closes in on a point, "
                    "a line or a plane; use prior='default' or fewer components."
                )
    return found


def _spreads(mixture: Mixture, params: Params) -> Spread | None:
    """Deviations (k, d) and correlations (k, d, d) of all components; None where one has none."""
    first = mixture.layout.groups[0]
    matrix = next((name for name, space in first.family.spaces().items() if isinstance(space, PositiveDefinite)), None)
    if len(mixture.layout.groups) == 1 and matrix is not None and params[matrix].ndim == 3:  # all at once
        deviations = np.sqrt(np.diagonal(params[matrix], axis1=1, axis2=2))
        return deviations, params[matrix] / (deviations[:, :, None] * deviations[:, None, :])
    found = [_spread(*own) for own in zip(mixture.component_families, mixture.split(params), strict=True)]
    known = [spread for spread in found if spread is not None]
    if len(known) < len(found):
        return None
    return np.stack([own[0] for own in known]), np.stack([own[1] for own in known])


def _spread(family: Any, params: Params) -> Spread | None:
    """Deviations and correlations of a component, by its scale or its quartiles; None for families without.

    Of a product, those of the groups that have them.
    """
    if isinstance(family, Product):
        found = [_spread(part.family, part.own(params)) for part in family.parts if not part.family.discrete]
        known = [own for own in found if own is not None]
        if not known:
            return None
        return np.concatenate([own[0] for own in known]), np.asarray(block_diag(*(own[1] for own in known)))
    spaces = family.spaces()
    location = next((name for name, space in spaces.items() if space.role == "location"), None)
    spread = None if location is None else spaces[location].spread
    if spread is None or spread not in params:
        if family.joint or family.discrete or not isinstance(family, UnivariateFamily):
            return None
        with np.errstate(all="ignore"):
            low, high = (family.quantile(np.array(p), params) for p in (0.25, 0.75))
            deviations = np.clip((high - low) / QUARTILES, np.finfo(np.float64).tiny, np.finfo(np.float64).max)
        return None if np.isnan(deviations).any() else (deviations, np.eye(len(low)))
    value, d = np.asarray(params[spread], dtype=np.float64), len(np.atleast_1d(params[str(location)]))
    if value.ndim == 2:
        deviations = np.sqrt(np.diag(value))
        return deviations, value / np.outer(deviations, deviations)
    return np.broadcast_to(np.sqrt(value) if family.joint else value, (d,)), np.eye(d)


def _narrowest(covariances: Floats, pooled: Floats) -> Floats:
    """The smallest variance of each in any direction, in units of that of the other components there."""
    root = np.sqrt(np.diag(pooled))
    lower = np.linalg.cholesky(pooled / np.outer(root, root) + 1e-12 * np.eye(len(root)))
    half = np.linalg.solve(lower, covariances / np.outer(root, root))
    return np.asarray(np.linalg.eigvalsh(np.linalg.solve(lower, half.swapaxes(1, 2))).min(axis=1))
