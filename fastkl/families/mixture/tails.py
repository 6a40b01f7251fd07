"""Distribution functions and quantiles of a mixture, column by column: weighted sums of those of its components.

A column of a mixture is a mixture of that column of the components, so both tails are sums on a logarithmic scale, and the one
that is near 1 follows from the other. A quantile lies between the least and the greatest of the components' own, and is found
there by halving the floating-point numbers in between, which takes 64 steps whatever their size.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logsumexp

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family
from fastkl.families.normal import Normal
from fastkl.families.univariate import UnivariateFamily

Part = tuple[UnivariateFamily, Params]
_LOG_HALF = float(np.log(0.5))


def column_parts(families: Sequence[Family], params: Sequence[Params]) -> list[Part] | None:
    """The components as families of single columns; None where one of them describes several columns jointly, or angles."""
    found: list[Part] = []
    for family, own in zip(families, params, strict=True):
        if isinstance(family, UnivariateFamily):
            if family.periodic:
                return None
            found.append((family, own))
        elif family.gaussian and family.n_columns(own) == 1:
            moments = family.moments(own)
            assert moments is not None
            mean, spread = moments
            found.append((Normal(), {"loc": mean, "scale": np.sqrt(np.ravel(spread))}))
        else:
            return None
    return found


def log_tail(parts: Sequence[Part], weights: Floats, x: Floats, upper: bool) -> Floats:
    """log P(X <= x), or log P(X > x) where ``upper``, of every column, in the shape of x."""
    own, other = (_summed(parts, weights, x, side) for side in (upper, not upper))
    with np.errstate(divide="ignore"):
        return np.where(own <= _LOG_HALF, own, np.log1p(-np.exp(np.minimum(other, 0.0))))


def _summed(parts: Sequence[Part], weights: Floats, x: Floats, upper: bool) -> Floats:
    logs = [(family.log_sf if upper else family.log_cdf)(x, own) for family, own in parts]
    shares = np.asarray(weights, dtype=np.float64).reshape(-1, *(1,) * x.ndim)
    return np.asarray(logsumexp(np.stack(logs), axis=0, b=np.broadcast_to(shares, (len(logs), *logs[0].shape))))


def quantile(parts: Sequence[Part], weights: Floats, p: Floats, upper: bool) -> Floats:
    """The least x with P(X <= x) >= p, or P(X > x) <= p where ``upper``, of every column, (m, d) for p of shape (m, 1)."""
    kept = [part for part, weight in zip(parts, weights, strict=True) if weight > 0.0]
    shares = np.asarray(weights)[np.asarray(weights) > 0.0]
    own = np.stack([(family.upper_quantile if upper else family.quantile)(p, at) for family, at in kept])
    low, high = _ordinals(own.min(axis=0)), _ordinals(own.max(axis=0))
    share = np.broadcast_to(p, low.shape)
    with np.errstate(divide="ignore"):
        lower_target, upper_target = np.log(share), np.log1p(-share)
    if upper:
        lower_target, upper_target = upper_target, lower_target
    small = lower_target <= _LOG_HALF
    edge = (share == 0.0) | (share == 1.0)
    # the ends of the support are those of the widest component
    at_low = (share == 0.0) != upper
    found = np.where(at_low, low, high)
    low = np.where(edge, high, low)
    while np.any(low < high):
        middle = (low >> 1) + (high >> 1) + (low & high & 1)
        x = _numbers(middle)
        enough = np.where(
            small,
            _summed(kept, shares, x, False) >= lower_target,
            _summed(kept, shares, x, True) <= upper_target,
        )
        high, low = np.where(enough, middle, high), np.where(enough, low, middle + 1)
        low = np.minimum(low, high)
    return _numbers(np.where(edge, found, high))


def _ordinals(x: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """Whole numbers in the order of the floating-point numbers, neighbours for neighbours."""
    bits = np.ascontiguousarray(x + 0.0, dtype=np.float64).view(np.int64)  # + 0.0 makes of -0.0 a 0.0
    return np.where(bits >= 0, bits, np.int64(-(2**63)) - bits)


def _numbers(ordinals: np.ndarray[tuple[int, ...], np.dtype[np.int64]]) -> Floats:
    """The numbers of these places."""
    bits = np.where(ordinals >= 0, ordinals, np.int64(-(2**63)) - ordinals)
    return np.ascontiguousarray(bits).view(np.float64)
