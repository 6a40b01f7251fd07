"""Distribution functions and quantiles of a mixture, column by column: weighted sums of those of its components.

A column of a mixture is a mixture of that column of the components, so both tails are sums on a logarithmic scale, and the one
that is near 1 follows from the other. A quantile lies between the least and the greatest of the components' own, and is found
there by the search of ``quantiles.py``; where the distribution function has steps or levels by halving the floating-point
numbers in between, which takes 64 steps whatever their size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family
from fastkl.families.quantiles import but_for_rounding, number, ordinal, root_between
from fastkl.families.univariate import UnivariateFamily

Part = tuple[UnivariateFamily, Params]
_LOG_HALF = float(np.log(0.5))
LEVEL = 2**24  # so many numbers below a quantile the distribution function is another, unless it is level there


def column_parts(families: Sequence[Family], params: Sequence[Params]) -> list[Part] | None:
    """The components as families of single columns; None where one of them describes several columns jointly, or angles."""
    found: list[Part] = []
    for family, own in zip(families, params, strict=True):
        if isinstance(family, UnivariateFamily):
            if family.periodic:
                return None
            found.append((family, own))
            continue
        of_one_column = getattr(family, "univariate", None)
        part = None if of_one_column is None else of_one_column(own)
        if part is None:
            return None
        found.append(part)
    return found


def have_joint(families: Sequence[Family], which: str) -> bool:
    """Whether all components describe the row as a whole and have this function, ``"cdf"`` or the like, one number a row."""
    return all(hasattr(family, which) and not isinstance(family, UnivariateFamily) for family in families)


def joint_log_tail(
    which: str, families: Sequence[Family], params: Sequence[Params], weights: Floats, x: Floats
) -> Floats:
    """``"log_cdf"`` or ``"log_sf"`` of the row as a whole, (n,)."""
    components = zip(families, params, weights, strict=True)
    logs = [np.log(weight) + getattr(family, which)(x, own) for family, own, weight in components if weight > 0.0]
    return np.asarray(np.logaddexp.reduce(logs, axis=0))


def log_tail(parts: Sequence[Part], weights: Floats, x: Floats, upper: bool) -> Floats:
    """log P(X <= x), or log P(X > x) where ``upper``, of every column, in the shape of x."""
    own, other = (_summed(parts, weights, x, side) for side in (upper, not upper))
    with np.errstate(divide="ignore"):
        return np.where(own <= _LOG_HALF, own, np.log1p(-np.exp(np.minimum(other, 0.0))))


def _summed(parts: Sequence[Part], weights: Floats, x: Floats, upper: bool) -> Floats:
    total = np.full(x.shape, -np.inf)
    for (family, own), weight in zip(parts, weights, strict=True):
        if weight > 0.0:
            np.logaddexp(total, np.log(weight) + (family.log_sf if upper else family.log_cdf)(x, own), out=total)
    return total


def quantile(parts: Sequence[Part], weights: Floats, p: Floats, upper: bool) -> Floats:
    """The least x with P(X <= x) >= p, or P(X > x) <= p where ``upper``, of every column, (m, d) for p of shape (m, 1)."""
    kept = [part for part, weight in zip(parts, weights, strict=True) if weight > 0.0]
    shares = np.asarray(weights)[np.asarray(weights) > 0.0]
    own = np.stack([(family.upper_quantile if upper else family.quantile)(p, at) for family, at in kept])
    least, greatest = own.min(axis=0), own.max(axis=0)
    share = np.broadcast_to(p, least.shape)
    # the ends of the support are those of the widest component
    found = np.where((share == 0.0) != upper, least, greatest)
    open_ = (share > 0.0) & (share < 1.0) & (least < greatest)
    column = np.broadcast_to(np.arange(least.shape[1]), least.shape)[open_]
    steps = any(family.discrete for family, _ in kept)
    excess = _excess(kept, shares, share[open_], column, upper, exact=steps)
    low, high = least[open_], greatest[open_]
    if steps:
        found[open_] = _least(excess, low, high)
        return found
    roots = root_between(excess, low, high)
    # between components that are apart the distribution function is level: the least of the numbers there
    rows = np.arange(len(roots))
    level = np.flatnonzero((roots > low) & (excess(np.maximum(low, number(ordinal(roots) - LEVEL)), rows) >= 0.0))
    if len(level):
        roots[level] = _least(lambda x, rows: excess(x, level[rows]), low[level], roots[level])
    found[open_] = roots
    return found


def _excess(
    parts: Sequence[Part], weights: Floats, share: Floats, column: NDArray[np.intp], upper: bool, exact: bool
) -> Callable[[Floats, NDArray[np.intp]], Floats]:
    """Increasing functions of x, one for each share and its column, 0 at the quantile: by the logarithm of the smaller tail."""
    with np.errstate(divide="ignore"):
        target = np.where(share <= 0.5, np.log(share), np.log1p(-share))
    above = (share <= 0.5) == upper  # whether the smaller tail is the upper one

    def excess(x: Floats, rows: NDArray[np.intp]) -> Floats:
        value = np.empty(len(x))
        for side, sign, of in ((False, 1.0, ~above[rows]), (True, -1.0, above[rows])):
            if of.any():
                at = column[rows[of]]
                chosen = [(family, {name: column_of[at] for name, column_of in own.items()}) for family, own in parts]
                value[of] = sign * (_summed(chosen, weights, x[of], side) - target[rows[of]])
        return value if exact else but_for_rounding(value, target[rows])

    return excess


def _least(excess: Callable[[Floats, NDArray[np.intp]], Floats], low: Floats, high: Floats) -> Floats:
    """The least number with an excess of at least 0, of which ``high`` is one: by halving the numbers between."""
    first, last, rows = ordinal(low), ordinal(high), np.arange(len(low))
    while len(rows := rows[first[rows] < last[rows]]):
        middle = (first[rows] >> 1) + (last[rows] >> 1) + (first[rows] & last[rows] & 1)
        enough = excess(number(middle), rows) >= 0.0
        last[rows[enough]], first[rows[~enough]] = middle[enough], middle[~enough] + 1
    return number(last)
