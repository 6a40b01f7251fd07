r"""Sums over references for rows of a support that ends or is round: each row together with its images.

Reflection at an end, and going around a circle, map the plane onto itself. The sum of a density over the images of a row is a
density of the support, whose mass is that of the plane: 1. Queries have images here, not references: so the sums are those of
``KernelSums``, whose error holds for each image and therefore for their sum, and a reference is left out of all images of its own
row. Images are met in shells around the support. One that adds less than rounding, by the distance to the box of the references,
is left out, row by row; when no row needs one of a shell, none needs one beyond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log, prod
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from fastkl._core.array_types import Floats
from fastkl.density.kernel.kernels import KERNELS
from fastkl.density.kernel.units import Units
from fastkl.spatial.kernel_sums import KernelSums

ROUNDING = log(1e-20)  # share of a sum that may be left out with each image
# In widths and periods: a Gaussian is constant to 1e-19 of its value from here on.
WIDEST_REFLECTED, WIDEST_CIRCULAR = 3.0, 1.5
MOST_IMAGES = 100_000
TOGETHER = 1 << 16  # queries of several images at a time


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

    def _images(self, column: int, cells: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
        """Signs and offsets of the images in cells: 0 is the support, 1 lies above it, -1 below."""
        low, high = self.low[column], self.high[column]
        if np.isinf(low) or np.isinf(high):
            end = high if np.isinf(low) else low
            return np.where(cells == 0, 1.0, -1.0), np.where(cells == 0, 0.0, 2.0 * (0.0 if np.isinf(end) else end))
        turned = (cells % 2 != 0) & (not self.circular[column])
        offsets = np.where(turned, 2.0 * low + (cells + 1) * (high - low), cells * (high - low))
        return np.where(turned, -1.0, 1.0), offsets

    def shell(self, radius: int) -> tuple[Floats, Floats]:
        """Signs and offsets (k, d) of the images whose farthest cell is ``radius`` cells away; none beyond the last shell."""
        ranges = []
        for low, high in zip(self.low, self.high, strict=True):
            below = 0 if np.isinf(low) else radius if np.isfinite(high) else min(radius, 1)
            above = 0 if np.isinf(high) else radius if np.isfinite(low) else min(radius, 1)
            ranges.append(np.arange(-below, above + 1))
        if prod(map(len, ranges)) > MOST_IMAGES:
            raise ValueError(
                f"The bandwidths are so wide for the support that more than {MOST_IMAGES} images of a row might matter. Give "
                "narrower ones, or take the gaussian kernel, whose images fade sooner."
            )
        cells = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1).reshape(-1, len(ranges))
        cells = cells[np.abs(cells).max(axis=1) == radius]
        pairs = [self._images(column, cells[:, column]) for column in range(len(ranges))]
        return np.stack([sign for sign, _ in pairs], axis=1), np.stack([offset for _, offset in pairs], axis=1)


def widened(bandwidth: Any, kernel: str, mirrors: Mirrors | None, local: Floats | None) -> Any:
    """A bandwidth, none wider than it takes to be constant between two ends, with factors ``local`` of it at references."""
    if mirrors is None or kernel != "gaussian" or np.ndim(bandwidth) == 2:
        return bandwidth
    return mirrors.capped(np.broadcast_to(bandwidth, len(mirrors.low)), 1.0 if local is None else float(local.min()))


class FoldedSums:
    """Sums of kernels for rows, with the images that their support asks for.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        References.
    weights : ndarray of shape (m,) or None
        Their weights.
    kernel : str
        Name of the kernel.
    units : Units
        Units of the bandwidth about a centre.
    mirrors : Mirrors or None
        Ends of the columns about that centre; None where no column has one.
    error, n_threads, narrow, order
        As ``KernelSums`` takes them.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        units: Units,
        mirrors: Mirrors | None,
        *,
        error: float,
        n_threads: int,
        narrow: Floats | None = None,
        order: npt.NDArray[np.intp] | None = None,
    ):
        self.units, self.mirrors, self.kernel = units, mirrors, kernel
        in_units = units.of_references(points)
        self._sums = KernelSums(in_units, weights, kernel, error=error, n_threads=n_threads, narrow=narrow, order=order)
        self._points = points if mirrors is not None else None
        if mirrors is not None:
            self._box = in_units.min(axis=0), in_units.max(axis=0)
            self._log_weight = log(float(len(points)) if weights is None else float(weights.sum()))
            self._narrow = 1.0 if narrow is None else float(narrow.min())

    @classmethod
    def of(
        cls,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        bandwidth: Any,
        centre: Floats,
        mirrors: Mirrors | None,
        *,
        local: Floats | None = None,
        **options: Any,
    ) -> Self:
        """The sums for a bandwidth, and factors ``local`` (m,) of it at the references."""
        narrow = None
        if local is not None:
            narrow = local**-2.0
            weights = local ** -float(points.shape[1]) * (1.0 if weights is None else weights)
        units = Units(widened(bandwidth, kernel, mirrors, local), centre)
        return cls(points, weights, kernel, units, mirrors, narrow=narrow, **options)

    @property
    def log_constant(self) -> float:
        """Logarithm of what the sum of k is divided by, but for the weight."""
        return KERNELS[self.kernel].log_integral(self.units.n_columns) + self.units.log_volume

    @property
    def constant_slopes(self) -> Floats:
        """Slopes of that by the logarithms of the bandwidths."""
        return np.ones(self.units.n_columns)

    def log_sums(self, rows: Floats, ordered: bool = False) -> Floats:
        """log sum_j w_j k of rows (n, d): (n,); ``ordered`` where near rows follow each other."""
        if self.mirrors is None:
            return self._sums.log_sums(self.units.of_queries(rows), ordered)
        return self._folded(rows, lambda queries, which, sign: (self._sums.log_sums(queries), None))[0]

    def moments(self, rows: Floats, ordered: bool = False) -> tuple[Floats, Floats]:
        """The same, and the slopes of the sum of k by the logarithms of the bandwidths: (n, d)."""
        if self.mirrors is None:
            return self._sums.moments(self.units.of_queries(rows), ordered)
        logs, slopes = self._folded(rows, lambda queries, which, sign: self._sums.moments(queries))
        assert slopes is not None
        return logs, slopes

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and gradients by the rows (n, d)."""

        def of_image(queries: Floats, which: npt.NDArray[np.intp], sign: Floats) -> tuple[Floats, Floats]:
            logs, slopes = self._sums.slopes(queries)
            return logs, self.units.slopes(slopes) * sign

        if self.mirrors is None:
            return of_image(self.units.of_queries(rows), np.arange(0), np.ones(rows.shape[1]))
        logs, slopes = self._folded(rows, of_image)
        assert slopes is not None
        return logs, slopes

    def leave_one_out(self, moments: bool = False, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, or at ``rows`` in their place, each without itself, with all of its images.

        With ``moments`` also the slopes of the sum of k by the logarithms of the bandwidths, (m, d).
        """
        if self.mirrors is None:
            return self._sums.leave_one_out(moments, None if rows is None else self.units.of_queries(rows))
        assert self._points is not None
        return self._folded(
            self._points if rows is None else rows,
            lambda queries, which, sign: self._sums.leave_one_out(moments, queries, which),
        )

    def _folded(
        self, rows: Floats, of_image: Callable[[Floats, npt.NDArray[np.intp], Floats], tuple[Floats, Floats | None]]
    ) -> tuple[Floats, Floats | None]:
        """Logarithms summed over the images, and means of what comes with them in proportion to the terms."""
        assert self.mirrors is not None
        n, d = rows.shape
        rows = self.units.about(rows)
        logs, means = of_image(self.units.in_units(rows), np.arange(n), np.ones(d))
        radius, needed, together = 0, True, max(1, TOGETHER // n)
        while needed:
            needed, radius = False, radius + 1
            signs, offsets = self.mirrors.shell(radius)
            for first in range(0, len(signs), together):
                sign, offset = (part[first : first + together, np.newaxis] for part in (signs, offsets))
                queries = self.units.in_units((sign * rows + offset).reshape(-1, d))
                image, which = np.nonzero(self._bound(queries).reshape(-1, n) > logs + ROUNDING)
                if not len(which):
                    continue
                needed = True
                added, with_it = of_image(np.ascontiguousarray(queries[image * n + which]), which, sign[image, 0])
                terms = np.full((len(sign) + 1, n), -np.inf)
                terms[image, which], terms[-1] = added, logs
                total = logsumexp(terms, axis=0)
                if means is not None and with_it is not None:
                    finite = np.where(np.isfinite(total), total, 0.0)
                    means *= np.exp(logs - finite)[:, np.newaxis]
                    with_it = np.exp(added - finite[which])[:, np.newaxis] * with_it
                    for j in range(with_it.shape[1]):
                        means[:, j] += np.bincount(which, with_it[:, j], minlength=n)
                logs = total
        return logs, means

    def _bound(self, queries: Floats) -> Floats:
        """Logarithm of what a sum is at most, by the distance to the box of the references."""
        with np.errstate(over="ignore", invalid="ignore"):
            gap = np.maximum(np.maximum(self._box[0] - queries, queries - self._box[1]), 0.0)
            square = np.einsum("ij,ij->i", gap, gap) * self._narrow
        if self.kernel == "gaussian":
            bound = -0.5 * square
        elif self.kernel == "exponential":
            bound = -np.sqrt(square)
        else:
            bound = np.where(square < 1.0, 0.0, -np.inf)
        return np.where(np.isnan(bound), -np.inf, bound + self._log_weight)
