"""Where a further component would gain most: from every row a normal component grows, beside the mixture as it is.

Maxima differ by small groups of rows that a component closes in on, and there are as many of these as rows are near to each
other. Components that grow alone are told apart at a fraction of what ascents of whole mixtures take (N. Vlassis, A. Likas 2002,
doi:10.1023/A:1013844811137: greedy EM), all of them at once in stacked arrays.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.families.mixture import Mixture

NUMBERS = 1 << 19  # products of numbers in one map of all components that are tried, about
SIZES = (1.5, 4.0)  # nearest rows at which a component begins, per column and one more
MAPS = 10
RIDGE = 3e-4  # of the covariance of all rows, added to that of a component, which has no chance to collapse
KEPT = 6  # of those that gain most, no two of the same rows
ALIKE = 0.5  # share of the rows in common of two that are the same


class Grown(NamedTuple):
    """Components beside a mixture: weights (c,), means (c, d) and covariances (c, d, d)."""

    weights: Floats
    means: Floats
    covariances: Floats


def inserted_shares(mixture: Mixture, params: Params, rows: Rows) -> Floats:
    """The rows' shares in the components that gain most, (c, n); none where columns are no numbers or do not vary."""
    X = np.asarray(rows.X, dtype=np.float64)
    weights = np.ones(len(X)) if rows.weights is None else rows.weights
    with np.errstate(all="ignore"):
        whitened = _whitened(X)
        if whitened is None:
            return np.empty((0, len(X)))
        Z, volume = whitened
        log_density = mixture.log_density(rows, params) + volume
        grown = _grown(Z, weights)
        for _ in range(MAPS):
            shares, gains = _shares(Z, weights, log_density, grown)
            grown = _maximum(Z, weights, shares)
        shares, gains = _shares(Z, weights, log_density, grown)
    gains[~np.isfinite(gains) | (shares @ weights < Z.shape[1] + 1.0)] = -np.inf
    return _best(shares, gains)


def _whitened(X: Floats) -> tuple[Floats, float] | None:
    """Rows without correlation in units of their deviation, and the logarithm of the volume of that unit."""
    size = np.ptp(X, axis=0)
    if not (np.isfinite(size).all() and np.all(size > 0.0)):
        return None
    Z = X / size
    Z -= Z.mean(axis=0)
    values, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
    if not values[0] > 1e-10 * values[-1]:
        return None
    return Z @ (vectors / np.sqrt(values)), float(np.log(size).sum() + 0.5 * np.log(values).sum())


def _grown(Z: Floats, weights: Floats) -> Grown:
    """Components about rows all over the table, of the moments of those nearest to them."""
    n, d = Z.shape
    count = int(np.clip(NUMBERS // (n * (d * d + 4 * d + 12) * len(SIZES)), 8, n))
    centres = Z[np.linspace(0, n - 1, count).astype(np.intp)]
    distances = np.stack([np.sum((Z - centre) ** 2, axis=1) for centre in centres])
    order = np.argsort(distances, axis=1, kind="stable")
    shares = np.zeros((len(SIZES), count, n))
    for i, size in enumerate(SIZES):
        np.put_along_axis(shares[i], order[:, : min(n, int(np.ceil(size * (d + 1))))], 1.0, axis=1)
    return _maximum(Z, weights, shares.reshape(-1, n))


def _maximum(Z: Floats, weights: Floats, shares: Floats) -> Grown:
    own = shares * weights
    sums = np.maximum(own.sum(axis=1), 1e-300)
    means = own @ Z / sums[:, None]
    d = Z.shape[1]
    products = (Z[:, :, None] * Z[:, None, :]).reshape(len(Z), d * d)
    second = (own @ products / sums[:, None]).reshape(-1, d, d)
    return Grown(sums / weights.sum(), means, second - means[:, :, None] * means[:, None, :] + RIDGE * np.eye(d))


def _shares(Z: Floats, weights: Floats, log_density: Floats, grown: Grown) -> tuple[Floats, Floats]:
    """The rows' shares in every component beside the mixture, and what it gains."""
    lower = np.linalg.cholesky(grown.covariances)
    inverse = np.linalg.inv(lower)
    z = inverse @ Z.T - (inverse @ grown.means[:, :, None])
    logs = -0.5 * np.einsum("cdn,cdn->cn", z, z) - Z.shape[1] * HALF_LOG_2PI
    logs -= np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)[:, None]
    odds = logs - log_density + (np.log(grown.weights) - np.log1p(-grown.weights))[:, None]
    gains = np.logaddexp(0.0, odds) @ weights + np.log1p(-grown.weights) * weights.sum()
    return 1.0 / (1.0 + np.exp(-odds)), gains


def _best(shares: Floats, gains: Floats) -> Floats:
    """Those that gain most, each of other rows."""
    chosen: list[NDArray[Any]] = []
    for i in np.argsort(-gains, kind="stable"):
        if gains[i] == -np.inf or len(chosen) == KEPT:
            break
        own = shares[i]
        if all(np.minimum(own, other).sum() < ALIKE * np.maximum(own, other).sum() for other in chosen):
            chosen.append(own)
    return np.array(chosen).reshape(-1, shares.shape[1])
