"""Where a further component would gain most: normal components grow out of few rows each, beside the mixture as it is.

Maxima differ by small groups of rows that a component closes in on, and there are as many of these as rows are near to each
other, or to a line or a plane. Components that grow alone are told apart at a fraction of what ascents of whole mixtures take
(N. Vlassis, A. Likas 2002, doi:10.1023/A:1013844811137: greedy EM), all of them at once in stacked arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.families.mixture import Mixture

TINY = float(np.finfo(np.float64).tiny)
NUMBERS = 1 << 21  # products of numbers in the first map of all components that are tried, about
# Rows at which a component begins, per column and one more: those nearest to a row (a single one if covariances are one), or
# drawn from a component as they come, since small groups are flat more often than round.
SIZES, DRAWN_SIZES = (1.5, 4.0), (1.0, 1.6)
NEAR = 4  # one in so many begins at nearest rows, where others are drawn
MAPS, AHEAD = 8, 32  # after each map the half that gains most goes on, at least so many
RIDGE = 3e-4  # of the covariance of all rows, added to that of a component, which has no chance to collapse
KEPT, KEPT_FLAT = 6, 10  # of those that gain most, no two of the same rows
ALIKE = 0.5  # share of the rows in common of two that are the same


class Grown(NamedTuple):
    """Components beside a mixture: weights (c,), means (c, d) and covariances (c, d, d)."""

    weights: Floats
    means: Floats
    covariances: Floats


@dataclass(frozen=True)
class Table:
    """Rows without correlation, their weights, and their log-density under the mixture as it is.

    ``shared`` is the covariance of its components, which a further one has too, where it is one of all; ``flat`` says that
    components may be narrow in any direction.
    """

    Z: Floats
    weights: Floats
    log_density: Floats
    shared: Floats | None
    flat: bool

    @cached_property
    def products(self) -> Floats:
        """Of any two columns, (n, d * d)."""
        return np.asarray((self.Z[:, :, None] * self.Z[:, None, :]).reshape(len(self.Z), -1))

    def maximum(self, shares: Floats) -> Grown:
        """Components that fit their shares of the rows, (c, n)."""
        own, d = shares * self.weights, self.Z.shape[1]
        sums = np.maximum(own.sum(axis=1), TINY)
        means = own @ self.Z / sums[:, None]
        if self.shared is not None:
            return Grown(sums / self.weights.sum(), means, np.broadcast_to(self.shared, (len(sums), d, d)))
        second = (own @ self.products / sums[:, None]).reshape(-1, d, d)
        covariances = second - means[:, :, None] * means[:, None, :] + RIDGE * np.eye(d)
        return Grown(sums / self.weights.sum(), means, covariances)

    def logs(self, grown: Grown) -> Floats:
        """Log-densities of the rows under every component, (c, n)."""
        lower = np.linalg.cholesky(grown.covariances)
        inverse = np.linalg.inv(lower)
        z = inverse @ self.Z.T - (inverse @ grown.means[:, :, None])
        halves = np.log(np.diagonal(lower, axis1=1, axis2=2)).sum(axis=1)
        return np.asarray(-0.5 * np.sum(z * z, axis=1) - self.Z.shape[1] * HALF_LOG_2PI - halves[:, None])

    def shares(self, grown: Grown) -> tuple[Floats, Floats]:
        """The rows' shares in every component beside the mixture, and what this gains by it."""
        rest = np.log1p(-grown.weights)
        odds = self.logs(grown) - self.log_density + (np.log(grown.weights) - rest)[:, None]
        gains = np.logaddexp(0.0, odds) @ self.weights + rest * self.weights.sum()
        return 1.0 / (1.0 + np.exp(-odds)), gains


class Insertions(NamedTuple):
    """The rows' shares in the components that gain most, (c, n), the gains, (c,), and what merges of pairs lose, (p,)."""

    shares: Floats
    gains: Floats
    losses: Floats


def may_be_flat(mixture: Mixture) -> bool:
    """Whether every component has a matrix of its own, and so may be narrow in any direction."""
    kinds = [getattr(family, "covariance_type", "") for family in mixture.component_families]
    return not mixture.tied and all(kind == "full" for kind in kinds)


def insertions(
    mixture: Mixture,
    params: Params,
    rows: Rows,
    shares: Floats,
    pairs: Sequence[tuple[int, int]],
    generator: np.random.Generator,
    tied: bool = False,
) -> Insertions | None:
    """Those into a mixture whose components have ``shares``, (n, k), in the rows; None where columns do not vary.

    They have covariances of their own, or where ``tied`` the one that all components of the mixture share.
    """
    X = np.asarray(rows.X, dtype=np.float64)
    weights = np.ones(len(X)) if rows.weights is None else rows.weights
    with np.errstate(all="ignore"):
        whitened = _whitened(X)
        if whitened is None:
            return None
        Z, to_Z = whitened
        flat = X.shape[1] > 1 and may_be_flat(mixture)
        shared = to_Z.T @ params["covariance"] @ to_Z if tied else None
        table = Table(Z, weights, mixture.log_density(rows, params) - np.linalg.slogdet(to_Z)[1], shared, flat)
        if len(pairs) == 1 and shared is None and mixture.component_families[0].gaussian:
            # one component in place of both is known as well as a further one beside it
            table = replace(table, log_density=table.logs(table.maximum(np.ones((1, len(X)))))[0])
        grown = table.maximum(np.concatenate(_begun(table, shares, generator)))
        for _ in range(MAPS):
            own, gains = table.shares(grown)
            grown = table.maximum(own[np.argsort(-gains)[: max(AHEAD, len(gains) // 2)]])
        own, gains = table.shares(grown)
        both = np.stack([shares[:, i] + shares[:, j] for i, j in pairs])
        rest = np.log(np.maximum(1.0 - both, 1e-300))
        merged = table.maximum(both)
        losses = -(
            np.logaddexp(rest, table.logs(merged) + np.log(merged.weights)[:, None] - table.log_density) @ weights
        )
    least = 0.0 if tied else X.shape[1] + 1.0  # rows that a covariance of its own takes
    gains[~np.isfinite(gains) | (own @ weights < least)] = -np.inf
    chosen = _best(own, gains, KEPT_FLAT if table.flat else KEPT)
    return Insertions(own[chosen], gains[chosen], np.where(np.isfinite(losses), losses, np.inf))


def _whitened(X: Floats) -> tuple[Floats, Floats] | None:
    """Rows without correlation in units of their deviation, and the matrix (d, d) that brings deviations of rows there."""
    size = np.ptp(X, axis=0)
    if not (np.isfinite(size).all() and np.all(size > 0.0)):
        return None
    Z = X / size
    Z -= Z.mean(axis=0)
    values, vectors = np.linalg.eigh(Z.T @ Z / len(Z))
    if not values[0] > 1e-10 * values[-1]:
        return None
    turned = vectors / np.sqrt(values)
    return Z @ turned, turned / size[:, None]


def _begun(table: Table, shares: Floats, generator: np.random.Generator) -> list[Floats]:
    """The rows that components begin at, 1 for each, (c, n): the nearest to rows all over the table, and any of one component."""
    n, d = table.Z.shape
    count = min(n, max(8, NUMBERS // (n * (d * d + 4 * d + 12) * len(SIZES))))
    near, drawn = ([int(np.ceil(size * (d + 1))) for size in sizes] for sizes in (SIZES, DRAWN_SIZES))
    if table.shared is not None:
        near[0] = 1
    if not table.flat:
        return [_nearest(table, count, near, generator)]
    return [_nearest(table, max(2, count // NEAR), near, generator), _drawn(shares, count, drawn, generator)]


def _nearest(table: Table, count: int, sizes: Sequence[int], generator: np.random.Generator) -> Floats:
    """Those nearest to a row, by half in a metric of their own."""
    Z, (n, d) = table.Z, table.Z.shape
    centres = Z[generator.choice(n, size=count, replace=False)]
    turned = generator.normal(size=(count, d, d)) * np.exp(generator.normal(size=(count, 1, d)))
    turned[::2] = np.eye(d)
    distances = np.stack([np.sum(((Z - centre) @ to) ** 2, axis=1) for centre, to in zip(centres, turned, strict=True)])
    return _first(np.argsort(distances, axis=1, kind="stable"), sizes)


def _drawn(shares: Floats, count: int, sizes: Sequence[int], generator: np.random.Generator) -> Floats:
    """Those drawn from a component by its shares, without replacement: the largest of log-shares with Gumbel noise."""
    own = shares.T[generator.integers(shares.shape[1], size=count)]
    return _first(np.argsort(-(np.log(own) + generator.gumbel(size=own.shape)), axis=1, kind="stable"), sizes)


def _first(order: NDArray[np.intp], sizes: Sequence[int]) -> Floats:
    """So many of each order, for every size."""
    chosen = np.zeros((len(sizes), *order.shape))
    for some, size in zip(chosen, sizes, strict=True):
        np.put_along_axis(some, order[:, :size], 1.0, axis=1)
    return chosen.reshape(-1, order.shape[1])


def _best(shares: Floats, gains: Floats, most: int) -> list[int]:
    """So many of those that gain most, each of other rows."""
    chosen: list[int] = []
    for i in map(int, np.argsort(-gains, kind="stable")):
        if gains[i] == -np.inf or len(chosen) == most:
            break
        if all(np.minimum(shares[i], shares[j]).sum() < ALIKE * np.maximum(shares[i], shares[j]).sum() for j in chosen):
            chosen.append(i)
    return chosen
