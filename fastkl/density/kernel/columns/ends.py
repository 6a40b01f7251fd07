"""Ends of columns, and circles: where images of rows lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats

# In widths and periods: a Gaussian is constant to 1e-19 of its value from here on.
WIDEST_REFLECTED, WIDEST_CIRCULAR = 3.0, 1.5
MOST_IMAGES, MOST_SHELLS = 100_000, 2000  # of a row: more would take a minute


@dataclass(frozen=True)
class Mirrors:
    """Ends of columns at which images are taken.

    Parameters
    ----------
    low, high : ndarray of shape (d,)
        Ends, infinite where there are none.
    circular : ndarray of bool of shape (d,)
        Whether what leaves at one end comes back at the other, rather than from the same.
    """

    low: Floats
    high: Floats
    circular: npt.NDArray[np.bool_]

    @property
    def or_none(self) -> Mirrors | None:
        """None where no column has an end."""
        return self if np.any(np.isfinite(self.low) | np.isfinite(self.high)) else None

    def scaled(self, unit: Floats) -> Mirrors:
        """The same in other units."""
        return Mirrors(self.low / unit, self.high / unit, self.circular)

    def capped(self, widths: Floats, least: float = 1.0) -> Floats:
        """Bandwidths (d,) of a Gaussian kernel, none of them wider than it takes to be constant to rounding."""
        most = np.where(self.circular, WIDEST_CIRCULAR, WIDEST_REFLECTED) * (self.high - self.low) / least
        return np.minimum(widths, most)

    @property
    def uniform(self) -> Floats:
        """Bandwidths (d,) with which a column between two ends is as good as uniform, infinite where it has not two.

        A Gaussian kernel then varies by 1.4 % about the uniform density, and so does a column whose rows fill it by that over
        the root of their number.
        """
        return np.where(self.circular, 0.5, 1.0) * (self.high - self.low)

    def images(self, column: int, cells: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Signs and offsets of the images in cells: 0 is the support, 1 lies above it, -1 below."""
        low, high = self.low[column], self.high[column]
        if np.isinf(low) or np.isinf(high):
            end = high if np.isinf(low) else low
            return np.where(cells == 0, 1.0, -1.0), np.where(cells == 0, 0.0, 2.0 * (0.0 if np.isinf(end) else end))
        turned = (cells % 2 != 0) & (not self.circular[column])
        offsets = np.where(turned, 2.0 * low + (cells + 1) * (high - low), cells * (high - low))
        return np.where(turned, -1.0, 1.0), offsets

    def cells(self, column: int, most: int) -> npt.NDArray[np.intp]:
        """Numbers of the cells that hold images of a column, at most so far from the support."""
        low, high = self.low[column], self.high[column]
        below = 0 if np.isinf(low) else most if np.isfinite(high) else min(most, 1)
        above = 0 if np.isinf(high) else most if np.isfinite(low) else min(most, 1)
        return np.arange(-below, above + 1)

    def reach(self, widths: Floats, exponent: float) -> Floats:
        """Cells (d,) beyond which an image of a row adds less than exp(-exponent) of the row itself, to each Gaussian kernel.

        A row is at most the distance R of the ends from a reference, and its image in cell c at least (|c| - 1) R.
        """
        both = np.isfinite(self.low) & np.isfinite(self.high)
        one = (np.isfinite(self.low) | np.isfinite(self.high)).astype(np.float64)
        size = np.where(both, self.high - self.low, 1.0) / widths
        with np.errstate(over="ignore"):
            return np.where(both, np.floor(1.0 + np.sqrt(1.0 + 2.0 * exponent / size**2)), one)

    def shell(self, radius: int, reach: Floats | None = None) -> tuple[Floats, Floats]:
        """Signs and offsets (k, d) of the images whose farthest cell is ``radius`` cells away; none beyond the last shell.

        No image is farther in a column than ``reach`` (d,) cells.
        """
        most = np.full(len(self.low), radius) if reach is None else np.minimum(radius, reach).astype(np.intp)
        ranges = [self.cells(j, farthest) for j, farthest in enumerate(most)]
        number = min(prod(map(len, ranges)), MOST_IMAGES + 1)
        if radius > MOST_SHELLS or number > MOST_IMAGES:
            raise ValueError(
                f"The bandwidths are so wide for the support that more than {number - 1} images of a row might matter. Give "
                "narrower ones, or take the gaussian kernel, whose images fade sooner."
            )
        cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(ranges))
        cells = cells[np.abs(cells).max(axis=1) == radius]
        pairs = [self.images(column, cells[:, column]) for column in range(len(ranges))]
        return np.stack([sign for sign, _ in pairs], axis=1), np.stack([offset for _, offset in pairs], axis=1)
