"""The highest mode of a mixture of normal components, by mean-shift.

All places of slope 0 lie where the weighted precisions of the components, with any positive weights, balance (S. Ray, B. G.
Lindsay 2005, doi:10.1214/009053605000000417). Searches begin at the means, and between any two of them on that surface: where two
long components cross, the mode is near neither mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.special import logsumexp

from fastkl._core.array_types import Floats, Params
from fastkl.families.base import Family

SHIFTS, NEWTON_STEPS = 500, 50
MOST_CROSSED = 40  # components of which any two are looked at
EQUAL = 1e-12  # of log-densities


def normal_mode(components: Sequence[tuple[Family, Params]], weights: Floats) -> Floats | None:
    """The place (d,) of the highest density, the smaller one of two that are equal; None where a component is not normal."""
    moments = [family.moments(own) for family, own in components if family.gaussian]
    known = [found for found, weight in zip(moments, weights, strict=False) if found is not None and weight > 0.0]
    if len(moments) < len(components):
        return None
    # in one unit for each column, so that none is lost beside the others
    unit = np.sqrt(np.max([spread if spread.ndim == 1 else np.diag(spread) for _, spread in known], axis=0))
    centre = np.mean([mean for mean, _ in known], axis=0)
    means = np.array([(mean - centre) / unit for mean, _ in known])
    spreads = [np.diag(spread) if spread.ndim == 1 else spread for _, spread in known]
    covariances = np.array(spreads) / np.outer(unit, unit)
    try:
        precisions = np.asarray(np.linalg.inv(covariances), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None
    logs = np.log(weights[weights > 0.0]) - 0.5 * np.linalg.slogdet(covariances)[1]
    found = _Density(means, precisions, logs).highest()
    return centre + unit * found


class _Density:
    """That of normal components, but for a factor."""

    def __init__(self, means: Floats, precisions: Floats, logs: Floats):
        self.means, self.precisions, self.logs = means, precisions, logs

    def highest(self) -> Floats:
        places = self._shifted(self._starts())
        heights = self._terms(places)[1]
        ends = [self._polished(place) for place in places[heights >= heights.max() - 1e-6 * (1.0 + abs(heights.max()))]]
        at = self._terms(np.array(ends))[1]
        best: Floats = min((end for end, height in zip(ends, at, strict=True) if height >= at.max() - EQUAL), key=tuple)
        return best

    def _starts(self) -> Floats:
        size = len(self.means)
        pairs = list(combinations(range(size), 2)) if size <= MOST_CROSSED else []
        of_pairs = np.array([np.isin(range(size), pair) for pair in pairs], dtype=np.float64).reshape(-1, size)
        return np.concatenate([self.means, self._balanced(of_pairs)])

    def _balanced(self, shares: Floats) -> Floats:
        """Where components with these shares, (m, k), balance: (m, d)."""
        pull = np.einsum("kij,kj->ki", self.precisions, self.means)
        return np.linalg.solve(np.tensordot(shares, self.precisions, axes=1), (shares @ pull)[:, :, None])[:, :, 0]

    def _terms(self, places: Floats) -> tuple[Floats, Floats]:
        """Shares of the components at each place, (m, k), and log-densities (m,)."""
        away = places[:, None] - self.means
        terms = self.logs - 0.5 * np.einsum("mki,kij,mkj->mk", away, self.precisions, away)
        total = logsumexp(terms, axis=1)
        return np.exp(terms - total[:, None]), total

    def _shifted(self, places: Floats) -> Floats:
        """Mean-shift, whose steps never go down (M. A. Carreira-Perpinan 2007, doi:10.1109/TPAMI.2007.1057)."""
        for _ in range(SHIFTS):
            moved = self._balanced(self._terms(places)[0])
            step, places = np.abs(moved - places).max(), moved
            if step < 1e-9:
                break
        return places

    def _polished(self, place: Floats) -> Floats:
        """Newton's steps from near a mode, as long as they go up."""
        height = self._terms(place[None])[1][0]
        for _ in range(NEWTON_STEPS):
            shares = self._terms(place[None])[0][0]
            pulls = np.einsum("kij,kj->ki", self.precisions, self.means - place)
            slope = shares @ pulls
            curvature = np.einsum("k,ki,kj->ij", shares, pulls, pulls) - np.tensordot(shares, self.precisions, axes=1)
            try:
                ahead = place - np.linalg.solve(curvature - np.outer(slope, slope), slope)
            except np.linalg.LinAlgError:
                break
            reached = self._terms(ahead[None])[1][0]
            if not reached > height:
                break
            place, height = ahead, reached
        return place
