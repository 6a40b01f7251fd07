"""EM maps of several mixtures on one small table, side by side in stacked arrays.

The maps of a search are many and short, and on few rows the arrays of one of them are so small that calls take most of the time.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.mixture.climb import Climb
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.layout import Layout
from fastkl.families.mixture.normals import EPS, NO_ROWS

LIGHT_NUMBERS = 1 << 16  # in a table times components, up to which plain maps cost next to nothing
AT_ONCE = 1 << 17  # such numbers of all mixtures that go side by side, whose arrays are to stay in the cache
TINY = float(np.finfo(np.float64).tiny)
SINGULAR = 1e4 * EPS  # pivots of a correlation matrix, and variances of a component in those of all rows


@dataclass(frozen=True)
class Places:
    """Parameters of several mixtures: weights (s, k), locations (s, k, d).

    Scatters are matrices (s, k, d, d), or variances by column (s, k, d), whose columns are independent.
    """

    weights: Floats
    locations: Floats
    scatters: Floats

    def __getitem__(self, chosen: Any) -> Self:
        return type(self)(*(getattr(self, one.name)[chosen] for one in fields(self)))

    def with_new(self, at: NDArray[np.intp], new: Places) -> Self:
        """These with some replaced."""
        changed = {one.name: np.array(getattr(self, one.name)) for one in fields(self)}
        for name, value in changed.items():
            value[at] = getattr(new, name)
        return replace(self, **changed)


class SideBySide(ABC):
    """The maps of mixtures on rows in memory.

    Parameters
    ----------
    layout : Layout
        Of the mixture.
    rows : Rows
        All of them.
    fixed_weights : ndarray of shape (k,) or None
        Held fixed where given.
    """

    def __init__(self, layout: Layout, rows: Rows, fixed_weights: Floats | None):
        self.layout, self.fixed_weights = layout, fixed_weights
        X, weights = np.asarray(rows.X, dtype=np.float64), rows.weights
        self.kept = np.full(len(X), True) if weights is None else weights > 0.0
        X = X[self.kept]
        self.row_weights = np.ones(len(X)) if weights is None else weights[self.kept]
        with np.errstate(all="ignore"):  # of columns without a range, which have no such maps
            # powers of two, which change no digit: squares stay in the range of numbers
            self.units = 2.0 ** np.floor(np.log2(np.maximum(np.ptp(X, axis=0), TINY)))
            self.X = X / self.units
            self.variances = np.var(self.X, axis=0)

    @property
    def in_range(self) -> bool:
        """Whether the squares of the units are numbers."""
        with np.errstate(all="ignore"):
            squared = self.units**2
        return bool(np.all((squared > 0.0) & np.isfinite(squared)))

    @abstractmethod
    def begun(self, shares: Floats) -> Params:
        """A start for given shares of the rows, (n, k); DegenerateDataError where a part of the rows has no spread."""

    @abstractmethod
    def _read(self, starts: Sequence[Params]) -> Any:
        """The places of some starts."""

    @abstractmethod
    def _written(self, places: Any, i: int, components: Sequence[Params]) -> Params:
        """The parameters of a place; what is held fixed is that of ``components``."""

    @abstractmethod
    def _expectation(self, place: Any) -> tuple[Floats, Floats, Floats]:
        """Squared distances (s, k, n, ...), log-likelihoods (s,), weighted responsibilities (s, k, n)."""

    @abstractmethod
    def _following(self, place: Any, squares: Floats, shares: Floats) -> tuple[Any, NDArray[np.bool_]]:
        """Where a map leads, and the components (s, k) that have no maximum there."""

    def _log_priors(self, place: Any) -> Floats:
        """Of all components together, (s,)."""
        return np.zeros(len(place.weights))

    def run(self, starts: Sequence[Params], least: float, most: int) -> list[Climb]:
        """Maps from each start, while they gain more than ``least``, at most so many."""
        count = max(1, AT_ONCE // (self.X.size * self.layout.size))
        parts = [starts[first : first + count] for first in range(0, len(starts), count)]
        return [climb for part in parts for climb in self._run(part, least, most)]

    def _run(self, starts: Sequence[Params], least: float, most: int) -> list[Climb]:
        climbs, place = [Climb(start) for start in starts], self._read(starts)
        at, last, ends = np.arange(len(starts)), np.full(len(starts), -np.inf), place
        with np.errstate(all="ignore"):
            for turn in range(most):
                if not len(at):
                    break
                squares, total, shares = self._expectation(place)
                height = total + self._log_priors(place)
                gain = height - last
                rises, goes_on = gain >= 0.0, (gain > least) & (turn < most - 1)
                sums = shares.sum(axis=2)
                ends = ends.with_new(at[rises], place[rises])
                for i in np.flatnonzero(rises):
                    climb = climbs[at[i]]
                    climb.log_likelihood, climb.objective = float(total[i]), float(height[i])
                    climb.trace.append(climb.objective)
                    climb.n_maps, climb.sums = climb.n_maps + 1, sums[i]
                at, last = at[goes_on], height[goes_on]
                place, bad = self._following(place[goes_on], squares[goes_on], shares[goes_on])
                for i in np.flatnonzero(bad.any(axis=1)):
                    climbs[at[i]].collapsed = CollapsedError(
                        int(np.argmax(bad[i])), "its scale is that of a few equal rows"
                    )
                alive = ~bad.any(axis=1)
                at, last, place = at[alive], last[alive], place[alive]
        for j, climb in enumerate(climbs):
            climb.params = self._written(ends, j, self.layout.split(climb.params))
        return climbs

    def _weights(self, sums: Floats) -> Floats:
        """Of the components, (s, k), given their rows."""
        if self.fixed_weights is not None:
            return np.broadcast_to(self.fixed_weights, sums.shape)
        return np.asarray(sums / sums.sum(axis=1, keepdims=True))

    def _without_spread(self, sums: Floats, scatters: Floats) -> NDArray[np.bool_]:
        """Components (s, k) without rows, or without spread in some direction."""
        joint = scatters.ndim == 4
        variances = np.diagonal(scatters, axis1=2, axis2=3) if joint else scatters
        bad = ~np.all(variances > SINGULAR * self.variances, axis=2)
        bad |= sums <= NO_ROWS * sums.sum(axis=1, keepdims=True)
        return np.asarray(bad | _singular(scatters, variances) if joint else bad)

    def _responsibilities(self, logs: Floats) -> tuple[Floats, Floats]:
        """Log-likelihoods (s,) and weighted responsibilities, by log-densities in units, with the weights, (s, k, n)."""
        top = logs.max(axis=1, keepdims=True)
        shares = np.exp(logs - top)
        sums = shares.sum(axis=1, keepdims=True)
        total = (np.log(sums) + top)[:, 0] @ self.row_weights - self.row_weights.sum() * np.log(self.units).sum()
        return total, shares * (self.row_weights / sums)


def whitened(shift: Floats, scatters: Floats) -> tuple[Floats, Floats]:
    """Squared distances (s, k, n, 1) of deviations (s, k, n, d), and halves of the log-determinants (s, k)."""
    lower = np.linalg.cholesky(scatters)
    squares = np.sum((shift @ np.linalg.inv(lower).swapaxes(2, 3)) ** 2, axis=3, keepdims=True)
    return squares, np.log(np.diagonal(lower, axis1=2, axis2=3)).sum(axis=2)


def _singular(scatters: Floats, variances: Floats) -> NDArray[np.bool_]:
    """Which matrices are singular to rounding."""
    roots = np.sqrt(variances)
    correlation = scatters / (roots[..., :, None] * roots[..., None, :])
    least = np.full(variances.shape[:2], np.nan)
    finite = np.isfinite(correlation).all(axis=(2, 3))
    least[finite] = np.linalg.eigvalsh(correlation[finite])[..., 0]
    return ~(least > SINGULAR)
