"""Scores of columns in which both samples are near to normal where any bijection makes them so.

Pooled normal scores make both samples *together* normal. A narrow and a wide normal distribution are no normal ones in them, and
two that stand for them there are too near to each other. So ranks are given the quantiles of the mixture of two normal
distributions with the moments that the samples have in their scores, and again with those that they have then. After two steps
two lognormal samples, say, are nearly as their logarithms are; more would make wild scores of samples that no bijection makes
normal.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr, ndtri

from fastkl._core._vector_math import interpolated
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.working_laws import Masses

_STEPS = 2
# Standard deviations of either distribution that quantiles reach, and how many of them there are in the narrower one's.
_REACH, _IN_ONE = 9.0, 20.0
# A sample that is narrower than that part of the other, or of what is between both, is a point beside it.
_NARROWEST = 0.02

Both = tuple[FloatArray, FloatArray]


def near_two_normals(scores: Both, some: Both, masses: Masses, shares: tuple[float, float]) -> Both:
    """Pooled normal scores (n, d) and (m, d) brought near to two normal distributions, with mean 0 and variance 1 together.

    ``some`` rows of both and their masses say how; ``shares`` are the parts that the samples have of both.
    """
    out = np.empty(scores[0].shape), np.empty(scores[1].shape)
    for j in range(scores[0].shape[1]):
        before, after = _quantiles((some[0][:, j], some[1][:, j]), masses, shares)
        for rows, found in zip(scores, out, strict=True):
            found[:, j] = interpolated(rows[:, j], before, after) if len(before) else rows[:, j]
    return out


def _quantiles(some: Both, masses: Masses, shares: tuple[float, float]) -> Both:
    """Scores in order, and what they become; nothing where one sample is a point beside the other."""
    now, before, after = some, np.empty(0), np.empty(0)
    for _ in range(_STEPS):
        if len(before):
            now = interpolated(some[0], before, after), interpolated(some[1], before, after)
        both = [_mean_and_spread(column, mass) for column, mass in zip(now, masses, strict=True)]
        narrowest = min(spread for _, spread in both)
        if narrowest <= _NARROWEST * max(abs(both[0][0] - both[1][0]), *(spread for _, spread in both)):
            break
        low = min(mean - _REACH * spread for mean, spread in both)
        high = max(mean + _REACH * spread for mean, spread in both)
        at = np.linspace(low, high, int((high - low) / narrowest * _IN_ONE))
        below, above = np.zeros(len(at)), np.zeros(len(at))
        for part, (mean, spread) in zip(shares, both, strict=True):
            below += part * ndtr((at - mean) / spread)
            above += part * ndtr((mean - at) / spread)
        middle = sum(part * mean for part, (mean, _) in zip(shares, both, strict=True))
        variance = sum(part * (s**2 + (mean - middle) ** 2) for part, (mean, s) in zip(shares, both, strict=True))
        before, after = np.where(below < above, ndtri(below), -ndtri(above)), (at - middle) / np.sqrt(variance)
    return before, after


def _mean_and_spread(column: FloatArray, mass: FloatArray | None) -> tuple[float, float]:
    mean = float(np.average(column, weights=mass))
    return mean, float(np.sqrt(np.average(np.square(column - mean), weights=mass)))
