"""Coordinates in which two samples are compared: as given, scaled by a common spread, or pooled normal scores.

A divergence does not change under a common bijection of both samples, but what is near to what does. *Normal scores* replace
every column by the normal quantiles of its ranks among the rows of both samples together: units, offsets and skewness are gone,
and what is left is how the two samples differ. Ties keep their mean rank, so atoms stay atoms.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.neighbors import SamplePair

COORDINATES = ("normal_scores", "scaled")
# Ranks are at least so far from 0 and 1.
_LEAST = 1e-15


def free_of_units(pair: SamplePair, coordinates: str | None) -> SamplePair:
    """Both samples in the coordinates asked for; scaled by default."""
    return in_coordinates(pair, "scaled" if coordinates == "auto" else coordinates)


def in_coordinates(pair: SamplePair, coordinates: str | None) -> SamplePair:
    """Both samples in the coordinates asked for; None and "auto" for those they have."""
    if coordinates in (None, "auto"):
        return pair
    if coordinates not in COORDINATES:
        known = ", ".join(map(repr, COORDINATES))
        raise ValueError(f"coordinates={coordinates!r} is unknown; expected one of 'auto', {known} or None.")
    change = normal_scores if coordinates == "normal_scores" else scaled
    first, second = change(pair.p.X, pair.q.X)
    return SamplePair(Sample(first, pair.p.weights, pair.p.n_jobs), Sample(second, pair.q.weights, pair.q.n_jobs))


def normal_scores(X: NDArray[Any], Y: NDArray[Any], masses: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """Normal quantiles of the ranks that the values of each column have among both samples, (n, d) and (m, d).

    ``masses`` (n + m,) are those of the rows of X and then of Y, by which ranks go; None for ones.
    """
    n, m = len(X), len(Y)
    scores = np.empty((n + m, X.shape[1]))
    for j in range(X.shape[1]):
        column = np.concatenate([X[:, j], Y[:, j]])
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        # Equal values share the mean of their ranks.
        first = np.concatenate([[True], ordered[1:] != ordered[:-1]])
        start = np.flatnonzero(first)
        count = np.diff(np.append(start, n + m))
        if masses is None:
            rank = (start + 0.5 * count) / (n + m)
        else:
            mass = np.add.reduceat(masses[order], start)
            below = np.cumsum(mass)
            # A mass that is nothing beside the others has a score all the same.
            rank = np.clip((below - 0.5 * mass) / below[-1], _LEAST, 1.0 - _LEAST)
        scores[order, j] = np.repeat(ndtri(rank), count)
    return np.ascontiguousarray(scores[:n]), np.ascontiguousarray(scores[n:])


def scaled(X: NDArray[Any], Y: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Columns over their quartile range in both samples together (over their spread, where half of the values are equal)."""
    both = np.concatenate([X, Y]).astype(np.float64)
    middle, spread = centre_and_spread(both)
    both -= middle
    both /= spread
    return np.ascontiguousarray(both[: len(X)]), np.ascontiguousarray(both[len(X) :])


def centre_and_spread(Z: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Median and quartile range of every column, or its standard deviation where that is 0; 1 for a constant column."""
    low, middle, high = np.quantile(Z, [0.25, 0.5, 0.75], axis=0)
    spread = high - low
    spread = np.where(spread > 0.0, spread, Z.std(axis=0))
    return middle, np.where(spread > 0.0, spread, 1.0)
