r"""Sums over references for rows of a support that ends or is round: each row together with its images.

Reflection at an end, and going around a circle, map the plane onto itself. The sum of a density over the images of a row is a
density of the support, whose mass is that of the plane: 1. For most rows references bring their images along (``mirrored``).

For the others, far from all references, queries have images: so the sums are those of ``KernelSums``, whose error holds for each
image and therefore for their sum, and a reference is left out of all images of its own row. Images are met in shells around the
support. One that adds less than rounding, by the distance to the box of the references, is left out, row by row; when no row
needs one of a shell, none needs one beyond. A Gaussian is a product over columns, so that an image is also at most as near to
each reference as the columns with ends say: that serves rows which other columns put far from all references. Where it is wide
for the support, its sums are products over columns: by Fourier series (``series``, ``partly_wide``), or pair by pair (``pairs``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from math import log
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.mirrored import MirroredSums
from fastkl.density.kernel.sums.pairs import PairSums
from fastkl.density.kernel.sums.partly_wide import MOST_SUMS, MOST_WEIGHTS, PartlyWideSums
from fastkl.density.kernel.sums.series import SeriesSums, n_terms, wide_columns
from fastkl.density.kernel.sums.units import Units
from fastkl.spatial.kernel_sums import QUERIES, KernelSums

ROUNDING = log(1e-20)  # share of a sum that may be left out with each image
TOGETHER = 1 << 16  # queries of several images at a time
FEW = 5000  # references whose pairs are gone through where each row may have so many images
MANY = 64
HALF = 0.45  # of the distance of the ends: from here on few sums by trees make up for the columns that go by series
OfImage = Callable[[Floats, npt.NDArray[np.intp], Floats], tuple[Floats, Floats | None]]


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
        self._points, self._weights = points, weights
        self._options: dict[str, Any] = {"error": error, "n_threads": n_threads, "narrow": narrow, "order": order}
        units.raise_if_far(points)

    @cached_property
    def _sums(self) -> KernelSums:
        """The references alone."""
        return KernelSums(self.units.of_references(self._points), self._weights, self.kernel, **self._options)

    @cached_property
    def _near(self) -> MirroredSums | None:
        """The references with their images near the support; None where these are too many, or kernels lie across columns."""
        widths = self.units.widths
        if self.mirrors is None or widths is None:
            return None
        in_units = self.units.of_references(self._points)
        sums = MirroredSums(in_units, self._weights, self.kernel, self.mirrors.scaled(widths), **self._options)
        return sums if sums.usable else None

    @cached_property
    def _reach(self) -> Floats | None:
        """Cells that hold images which matter, by column; None where the kernel is no product over columns."""
        if self.kernel != "gaussian" or self.mirrors is None or self.units.widths is None:
            return None
        narrow = self._options["narrow"]
        return self.mirrors.reach(self.units.widths / (1.0 if narrow is None else np.sqrt(narrow.min())), -ROUNDING)

    @cached_property
    def _products(self) -> SeriesSums | PairSums | PartlyWideSums | None:
        """The sums by products over columns, for kernels that are wide for the support; None where images are as good."""
        widths, mirrors, reach, error = self.units.widths, self.mirrors, self._reach, self._options["error"]
        if mirrors is None or widths is None or reach is None or self._options["narrow"] is not None:
            return None
        points = self.units.about(self._points)
        series = SeriesSums.of(points, self._weights, mirrors, widths, error)
        if series is not None or np.prod(2.0 * reach + 1.0) < MANY or self._near is not None:
            return series
        if len(points) <= FEW:
            wanted = log(100.0) - log(max(error, 1e-17))
            return PairSums(points, self._weights, mirrors, widths, mirrors.reach(widths, wanted))
        wide = wide_columns(mirrors, widths, least=HALF)
        if not np.any(wide) or error <= 0.0:
            return None
        if n_terms(mirrors, widths, wide) > min(MOST_SUMS, MOST_WEIGHTS / len(points)):
            return None
        options = {
            "error": error / PartlyWideSums.growth(mirrors, widths, wide),
            "n_threads": self._options["n_threads"],
            "order": self._options["order"],
        }

        def narrow_sums(points: Floats, weights: Floats | None, mirrors: Mirrors, widths: Floats) -> FoldedSums:
            return FoldedSums.of(points, weights, "gaussian", widths, np.zeros(len(widths)), mirrors.or_none, **options)

        return PartlyWideSums(points, self._weights, mirrors, widths, wide, narrow_sums)

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
        if self._products is not None:
            return self._products.log_sums(self.units.about(rows))
        near = self._sums if self.mirrors is None else self._near
        logs = np.empty(len(rows))
        if near is not None:
            near.expect(len(rows))
            for first in range(0, len(rows), QUERIES):
                some = self.units.of_queries(rows[first : first + QUERIES])
                logs[first : first + QUERIES] = near.log_sums(some, ordered)
        if self.mirrors is None:
            return logs
        found = None if near is None else (logs, None)
        return self._completed(rows, found, lambda queries, which, sign: (self._sums.log_sums(queries), None))[0]

    def moments(self, rows: Floats, ordered: bool = False) -> tuple[Floats, Floats]:
        """The same, and the slopes of the sum of k by the logarithms of the bandwidths: (n, d)."""
        if self.mirrors is None:
            return self._sums.moments(self.units.of_queries(rows), ordered)
        if self._products is not None:
            return self._products.moments(self.units.about(rows))
        found = None if self._near is None else self._near.moments(self.units.of_queries(rows), ordered)
        logs, slopes = self._completed(rows, found, lambda queries, which, sign: self._sums.moments(queries))
        assert slopes is not None
        return logs, slopes

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and gradients by the rows (n, d)."""

        def of_image(queries: Floats, which: npt.NDArray[np.intp], sign: Floats) -> tuple[Floats, Floats]:
            logs, slopes = self._sums.slopes(queries)
            return logs, self.units.slopes(slopes) * sign

        if self.mirrors is None:
            return of_image(self.units.of_queries(rows), np.arange(0), np.ones(rows.shape[1]))
        if self._products is not None:
            return self._products.slopes(self.units.about(rows))
        found = None
        if self._near is not None:
            logs, slopes = self._near.slopes(self.units.of_queries(rows))
            found = logs, self.units.slopes(slopes)
        logs, of_rows = self._completed(rows, found, of_image)
        assert of_rows is not None
        return logs, of_rows

    def leave_one_out(self, moments: bool = False, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, or at ``rows`` in their place, each without itself, with all of its images.

        With ``moments`` also the slopes of the sum of k by the logarithms of the bandwidths, (m, d).
        """
        if self.mirrors is None:
            return self._sums.leave_one_out(moments, None if rows is None else self.units.of_queries(rows))
        if self._products is not None:
            return self._products.leave_one_out(moments, None if rows is None else self.units.about(rows))
        places, sure, found = self._points if rows is None else rows, None, None
        if self._near is not None and rows is None:
            *found, sure = self._near.leave_one_out(moments)
        left = np.arange(len(places)) if sure is None else np.flatnonzero(~sure)
        return self._completed(
            places,
            found,
            lambda queries, which, sign: self._sums.leave_one_out(moments, queries, left[which]),
            sure,
        )

    def _completed(
        self, rows: Floats, found: Any, of_image: OfImage, sure: npt.NDArray[np.bool_] | None = None
    ) -> tuple[Floats, Floats | None]:
        """What was found with the images near the support, or image by image for the rows that this is not sure for."""
        if found is None:
            return self._folded(rows, of_image)
        logs, means = found
        if sure is None:
            assert self._near is not None
            sure = self._near.sure(logs)
        left = np.flatnonzero(~sure)
        if len(left):
            logs[left], of_left = self._folded(rows[left], of_image)
            if means is not None and of_left is not None:
                means[left] = of_left
        return logs, means

    def _folded(self, rows: Floats, of_image: OfImage) -> tuple[Floats, Floats | None]:
        """Logarithms summed over the images, and means of what comes with them in proportion to the terms."""
        assert self.mirrors is not None
        n, d = rows.shape
        rows = self.units.about(rows)
        base = self.units.in_units(rows)
        logs, means = of_image(base, np.arange(n), np.ones(d))
        farthest = self._farthest(base)
        radius, needed, together = 0, True, max(1, TOGETHER // n)
        while needed:
            needed, radius = False, radius + 1
            signs, offsets = self.mirrors.shell(radius, self._reach)
            for first in range(0, len(signs), together):
                sign, offset = (part[first : first + together, np.newaxis] for part in (signs, offsets))
                queries = self.units.in_units((sign * rows + offset).reshape(-1, d))
                matters = self._bound(queries).reshape(-1, n) > logs + ROUNDING
                if farthest is not None:
                    with np.errstate(invalid="ignore"):  # squares of rows far out are infinite, and their sums 0
                        matters &= self._fades(queries).reshape(-1, n) - farthest < -2.0 * ROUNDING / self._box[2]
                image, which = np.nonzero(matters)
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

    @cached_property
    def _box(self) -> tuple[Floats, Floats, float, float]:
        """Ends of the references in units, the least factor of their squared distances, and the logarithm of their weight."""
        points, narrow, weights = self._sums.points, self._options["narrow"], self._weights
        weight = float(len(points)) if weights is None else float(weights.sum())
        return points.min(axis=0), points.max(axis=0), 1.0 if narrow is None else float(narrow.min()), log(weight)

    @cached_property
    def _ended(self) -> npt.NDArray[np.intp]:
        """The columns with ends, or round."""
        assert self.mirrors is not None
        return np.flatnonzero(np.isfinite(self.mirrors.low) | np.isfinite(self.mirrors.high))

    def _farthest(self, queries: Floats) -> Floats | None:
        """Squared distances of the farthest corner of the references in columns with ends; None where a kernel is no product."""
        if self.kernel != "gaussian" or self.units.widths is None:
            return None
        low, high, own = self._box[0][self._ended], self._box[1][self._ended], queries[:, self._ended]
        reach: Floats = np.maximum(own - low, high - own)
        return np.einsum("ij,ij->i", reach, reach)

    def _fades(self, queries: Floats) -> Floats:
        """Squared distances of images to the box in columns with ends, by whose excess over ``_farthest`` every term falls."""
        low, high, own = self._box[0][self._ended], self._box[1][self._ended], queries[:, self._ended]
        gap: Floats = np.maximum(np.maximum(low - own, own - high), 0.0)
        return np.einsum("ij,ij->i", gap, gap)

    def _bound(self, queries: Floats) -> Floats:
        """Logarithm of what a sum is at most, by the distance to the box of the references."""
        with np.errstate(over="ignore", invalid="ignore"):
            low, high, narrow, log_weight = self._box
            gap = np.maximum(np.maximum(low - queries, queries - high), 0.0)
            square = np.einsum("ij,ij->i", gap, gap) * narrow
        if self.kernel == "gaussian":
            bound = -0.5 * square
        elif self.kernel == "exponential":
            bound = -np.sqrt(square)
        else:
            bound = np.where(square < 1.0, 0.0, -np.inf)
        return np.where(np.isnan(bound), -np.inf, bound + log_weight)


def weight_of_others(weights: Floats | None, n: int) -> Any:
    """The weight of all rows but each."""
    if weights is None:
        return n - 1.0
    others = weights.sum() - weights
    largest = int(np.argmax(weights))  # one that is most of the total would leave a difference of rounding
    others[largest] = weights[:largest].sum() + weights[largest + 1 :].sum()
    return others
