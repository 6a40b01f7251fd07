"""A weighted mean of one value per row, with its standard error, from parts that merge.

Every part is centred at its own mean and parts are merged by Chan's formula, never by E[x^2] - E[x]^2, so that a small spread
around a large mean keeps its digits. The sums are those of a compiled kernel in blocks of fixed length: they call no BLAS, whose
order of summation would depend on its threads. Values that are not finite are summed apart, since no difference of two of them
means anything: they make the mean infinite, or nan where their signs differ.

The error is that of a ratio of two sums, of w x and of w, over rows drawn with their weights: sum w^2 (x - mean)^2 / (sum w)^2.
Kish's number of rows alone would be right only for weights that have nothing to do with the values: those of importance
sampling have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from fastkl._core._linalg import value_moments
from fastkl._core.array_types import Floats

# Sums of values beyond float64 are formed of values times this power of two, which is exact.
_SMALLER = 2.0**-128


@dataclass(frozen=True)
class Mean:
    """What is known of the mean of some values; ``+`` is that of both sets of values together, ``Mean()`` of none.

    Parameters
    ----------
    n_rows : int
        Values of positive weight.
    weight, weight_squared : float
        Sums of the weights, and of their squares; the number of values where there are no weights.
    centre, squares : float
        Weighted mean, and weighted sum of squares about it; 0 where a value is not finite.
    drift, spread : float
        Sums of the deviations from the mean, and of their squares, times the squared weights.
    infinite : float
        Sum of the values that are not finite; 0 if all are.
    """

    n_rows: int = 0
    weight: float = 0.0
    weight_squared: float = 0.0
    centre: float = 0.0
    squares: float = 0.0
    infinite: float = 0.0
    drift: float = 0.0
    spread: float = 0.0

    @classmethod
    def of(cls, values: Floats, weights: Floats | None = None) -> Self:
        """The mean of values, shape (n,), with weights of at least 0, shape (n,), or None for ones.

        A value of weight 0 is ignored, even if it is infinite.
        """
        values = np.ascontiguousarray(values, dtype=np.float64)
        if not len(values):
            return cls()
        if weights is not None:
            weights = np.ascontiguousarray(weights, dtype=np.float64)
            used = np.count_nonzero(weights)
            if used == 0:
                return cls()
            if used < len(weights):
                present = weights != 0.0
                values, weights = values[present], weights[present]
        weight, squared, centre, squares = value_moments(values, weights)
        if math.isfinite(centre) and not math.isnan(squares):
            if weights is None:
                return cls(len(values), weight, squared, centre, squares, spread=squares)
            with np.errstate(all="ignore"):
                deviations = values - centre
                drifts = weights * weights * deviations
                drift, spread = float(drifts.sum()), float((drifts * deviations).sum())
            return cls(len(values), weight, squared, centre, squares, drift=drift, spread=spread)
        return cls._beyond_float64(values, weights, weight, squared)

    @classmethod
    def _beyond_float64(cls, values: Floats, weights: Floats | None, weight: float, squared: float) -> Self:
        """The mean of values that are not all finite, or whose sum is beyond float64."""
        infinite = values[~np.isfinite(values)]
        if len(infinite) or not math.isfinite(squared):
            with np.errstate(invalid="ignore"):
                total = float(infinite.sum()) if len(infinite) else float("nan")
            return cls(len(values), weight, squared, infinite=total)
        part = cls.of(values * _SMALLER, weights)
        centre, drift = part.centre / _SMALLER, part.drift / _SMALLER
        squares, spread = (value / _SMALLER / _SMALLER for value in (part.squares, part.spread))
        return replace(part, centre=centre, squares=squares, drift=drift, spread=spread)

    def __add__(self, other: Mean) -> Mean:
        """The mean of both (T. F. Chan, G. H. Golub, R. J. LeVeque 1983, doi:10.1080/00031305.1983.10483115)."""
        n_rows, weight = self.n_rows + other.n_rows, self.weight + other.weight
        squared, infinite = self.weight_squared + other.weight_squared, self.infinite + other.infinite
        if self.infinite != 0.0 or other.infinite != 0.0:
            return Mean(n_rows, weight, squared, infinite=infinite)
        shift, share = other.centre - self.centre, other.weight / weight if weight else 0.0
        between = shift * shift * self.weight * share if self.weight and other.weight else 0.0
        squares = self.squares + other.squares + between
        drift, spread = self.drift + other.drift, self.spread + other.spread
        if between:
            for part, moved in ((self, -shift * share), (other, shift * (1.0 - share))):
                drift += part.weight_squared * moved
                spread += moved * (2.0 * part.drift + part.weight_squared * moved)
        return Mean(n_rows, weight, squared, self.centre + shift * share, squares, drift=drift, spread=spread)

    @property
    def value(self) -> float:
        """The weighted mean; nan of no values, infinite (or nan) where a value is."""
        if self.infinite != 0.0:
            return self.infinite
        return self.centre if self.weight else float("nan")

    @property
    def size(self) -> float:
        """Kish's effective number of rows (sum w)^2 / sum w^2: the number of rows where all weights are equal."""
        return self.weight * self.weight / self.weight_squared if self.weight_squared else 0.0

    def variance(self, size: float | None = None) -> float:
        """Weighted variance with the divisor of an unbiased estimate from ``size`` rows.

        Without a size it is by the squares of the weights: over the effective number of rows it is the squared error of the mean.
        0 for one row, inf beyond float64 and where a value is not finite.
        """
        if self.infinite != 0.0:
            return float("inf")
        squares, weight = (self.spread, self.weight_squared) if size is None else (self.squares, self.weight)
        size = self.size if size is None else size
        return squares / weight / (1.0 - 1.0 / size) if size > 1.0 else 0.0

    @property
    def error(self) -> float:
        """Standard error of the mean; nan where it is not known: for one row, and for a mean that is not finite."""
        if self.infinite != 0.0 or not self.size > 1.0:
            return float("nan")
        return math.sqrt(self.spread / self.weight_squared / (self.size - 1.0))
