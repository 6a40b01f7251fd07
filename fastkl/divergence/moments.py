"""Weighted mean and variance of one value per row, added slab by slab.

Centred sums are merged by Chan's formula, never formed as E[x^2] - E[x]^2, so that a small spread around a large mean keeps its
digits. Values may be infinite: then so are the mean and the variance. Sums are numpy's own, pairwise: those of a BLAS would
depend on its threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Moments:
    """Mean and variance of values that arrive in parts.

    Attributes
    ----------
    weight : float
        Total weight of the values so far; their number where there are no weights.
    """

    def __init__(self) -> None:
        self.weight = 0.0
        self._sum = 0.0
        self._centred = 0.0

    def add(self, values: FloatArray, weights: FloatArray | None) -> None:
        """Add values, shape (n,), with their weights, or None for ones."""
        with np.errstate(over="ignore", invalid="ignore"):
            weight = float(len(values) if weights is None else weights.sum())
            total = float((values if weights is None else weights * values).sum())
            step = values - total / weight
            np.square(step, out=step)
            if weights is not None:
                step *= weights
            centred = float(step.sum())
            if self.weight:
                between = np.float64(total / weight - self._sum / self.weight)
                centred += float(between * between) * self.weight * weight / (self.weight + weight)
            self.weight += weight
            self._sum += total
            self._centred += centred

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return self._sum / self.weight

    def variance(self, size: float) -> float:
        """Weighted variance with the divisor of an unbiased estimate for ``size`` (effective) rows.

        0 for one row, inf beyond float64.
        """
        if size <= 1.0:
            return 0.0
        variance = self._centred / self.weight / (1.0 - 1.0 / size)
        return variance if np.isfinite(variance) else float("inf")
