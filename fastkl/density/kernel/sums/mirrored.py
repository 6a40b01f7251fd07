r"""Sums over references and their images near the support, for rows of a support that ends or is round.

The images of references are references too: all ways of a kernel sum, the grid among them, take them along, and a row meets its
images once. Those from a distance R on are left out. With :math:`D` the distance of an image from the support,

.. math:: e^{-D^2 / 2} \le e^{-(1 - \theta) R^2 / 2} \, e^{-\theta D^2 / 2} \quad \text{for } D \ge R

so that all of them together add at most :math:`e^{-(1 - \theta) R^2 / 2} \prod_s S_s` times the weight of the references to a sum
at any row, where :math:`S_s` is the sum of :math:`e^{-\theta D_s^2 / 2}` over the images in a column, which are whole lengths of
the support apart. R is such that this is small for most rows; ``sure`` says for which it is, and the others take the way of
``folded``, image by image.
"""

from __future__ import annotations

from math import expm1, log, sqrt

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.spatial.kernel_sums import KernelSums, near_order

SHARE = 0.1  # theta
LEAST_SUM = 1e-3  # in weights of a reference: rows of smaller sums take the other way
LEAST_ERROR = 1e-17  # stands for an error of 0: what is left out is below rounding
MOST_IMAGES = 3.0  # times the references, from which on the other way is shorter
CELLS = 64  # of a column, at most
FEW = 1000  # images that are never too many
UNBOUNDED = 200.0  # sum over images of a column, where kernels are far wider than the support

# images, the references that they are of, and squares of their distances from the support
Part = tuple[Floats, npt.NDArray[np.intp], Floats]


class MirroredSums:
    """Kernel sums of references with their images near the support.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        References in units of the bandwidth, inside the support.
    weights : ndarray of shape (m,) or None
        Their weights.
    kernel : str
        Name of the kernel.
    mirrors : Mirrors
        Ends of the columns, in these units.
    error, n_threads, narrow, order
        As ``KernelSums`` takes them.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        mirrors: Mirrors,
        *,
        error: float,
        n_threads: int,
        narrow: Floats | None = None,
        order: npt.NDArray[np.intp] | None = None,
    ):
        self.kernel, self._n = kernel, len(points)
        least = 1.0 if narrow is None else float(narrow.min())
        total, largest = (float(len(points)), 1.0) if weights is None else (float(weights.sum()), float(weights.max()))
        allowed = 0.25 * max(error, LEAST_ERROR)
        self.reach, log_left = _reach(kernel, mirrors, least, log(total / (allowed * LEAST_SUM * largest)))
        self._log_least = log_left + log(total) - log(allowed)
        found = None if np.isinf(self.reach) else _images(points, mirrors, self.reach, narrow, order, n_threads)
        self.usable = found is not None
        if found is None:
            return
        self._images, self._which, order = found
        self._weights = None if weights is None else weights[self._which]
        self._narrow = None if narrow is None else narrow[self._which]
        every = np.concatenate([points, self._images])
        self._sums = KernelSums(
            every,
            None if weights is None else np.concatenate([weights, weights[self._which]]),
            kernel,
            error=0.25 * error,
            n_threads=n_threads,
            narrow=None if narrow is None else np.concatenate([narrow, narrow[self._which]]),
            order=order,
        )

    def sure(self, logs: Floats) -> npt.NDArray[np.bool_]:
        """Which sums what is left out does not matter to."""
        return logs >= self._log_least

    def expect(self, n_queries: int) -> None:
        """Prepare for so many queries, which may then come in several calls."""
        self._sums.expect(n_queries)

    def log_sums(self, queries: Floats, ordered: bool = False) -> Floats:
        """Logarithms at rows (n, d) of the support: (n,)."""
        return self._sums.log_sums(queries, ordered)

    def slopes(self, queries: Floats) -> tuple[Floats, Floats]:
        """The same, and their gradients (n, d)."""
        return self._sums.slopes(queries)

    def moments(self, queries: Floats, ordered: bool = False) -> tuple[Floats, Floats]:
        """The same, and their slopes by the logarithms of the bandwidths (n, d)."""
        return self._sums.moments(queries, ordered)

    def leave_one_out(self, moments: bool) -> tuple[Floats, Floats | None, npt.NDArray[np.bool_]]:
        """At the references, each without itself and its images, with slopes on request; and which of them hold the error."""
        own = np.arange(self._n)
        logs, slopes = self._sums.leave_one_out(moments, which=own)
        if not len(self._which):
            return logs, slopes, self.sure(logs)
        of_images, of_moments = self._of_own_images(moments)
        with np.errstate(all="ignore"):  # where the sums are beyond what is sure
            ratio = of_images * np.exp(-logs)
            sure = self.sure(logs) & (ratio <= 0.5)  # a difference of what is nearly equal has lost its digits
            logs = logs + np.log1p(-np.minimum(ratio, 0.5))
            if slopes is not None and of_moments is not None:
                scale = np.exp(-logs)[:, np.newaxis]
                slopes = slopes / (1.0 - np.minimum(ratio, 0.5))[:, np.newaxis] - of_moments * scale
        return logs, slopes, sure

    def _of_own_images(self, moments: bool) -> tuple[Floats, Floats | None]:
        """The terms of each reference's own images at it, and their slopes."""
        apart = self._images - self._sums.points[self._which]
        narrow = 1.0 if self._narrow is None else self._narrow
        scaled = apart * np.sqrt(np.asarray(narrow))[..., np.newaxis]
        one = KernelSums(np.zeros((1, apart.shape[1])), None, self.kernel, error=0.0, n_threads=1)
        logs, slopes = one.moments(scaled) if moments else (one.log_sums(scaled), None)
        terms = np.exp(logs) * (1.0 if self._weights is None else self._weights)
        sums: Floats = np.bincount(self._which, terms, minlength=self._n).astype(np.float64)
        if slopes is None:
            return sums, None
        of_columns = np.zeros((self._n, slopes.shape[1]))
        for j, column in enumerate(slopes.T):
            of_columns[:, j] = np.bincount(self._which, terms * column, minlength=self._n)
        return sums, of_columns


def _reach(kernel: str, mirrors: Mirrors, narrow: float, wanted: float) -> tuple[float, float]:
    """How far images are taken, and the logarithm of what one reference's others add at most.

    ``wanted`` is minus what that is to be.
    """
    if kernel not in ("gaussian", "exponential"):
        return 1.0 / sqrt(narrow), -np.inf
    of_columns, d = 0.0, len(mirrors.low)
    for width in mirrors.high - mirrors.low:
        total = 2.0  # an end has one image
        if np.isfinite(width) and kernel == "gaussian":
            total = 1.0 + 2.0 * float(np.exp(-0.5 * SHARE * narrow * (width * np.arange(1000.0)) ** 2).sum())
        elif np.isfinite(width):
            total = 1.0 - 2.0 / expm1(-SHARE * sqrt(narrow / d) * width)
        if total > UNBOUNDED:
            return np.inf, 0.0
        of_columns += log(total)
    exponent = (wanted + of_columns) / (1.0 - SHARE)
    reach = sqrt(2.0 * exponent) if kernel == "gaussian" else exponent
    return reach / sqrt(narrow), -wanted


def _images(
    points: Floats,
    mirrors: Mirrors,
    reach: float,
    narrow: Floats | None,
    order: npt.NDArray[np.intp] | None,
    n_threads: int,
) -> tuple[Floats, npt.NDArray[np.intp], npt.NDArray[np.intp] | None] | None:
    """Images within reach of the support, whose they are, and an order in which near ones of all follow each other.

    None where they are too many.
    """
    m, most = len(points), max(FEW, MOST_IMAGES * len(points))
    if order is None:
        order = near_order(points, n_threads)
    which = np.arange(m) if order is None else order
    parts: list[Part] = [(points[which], which, np.zeros(m))]
    limit = reach**2 if narrow is None else reach**2 * float(narrow.min())
    for column in range(points.shape[1]):
        further: list[Part] = []
        for part in parts:
            for cells in _cells(mirrors, column):
                near = [found for cell in cells if (found := _moved(part, mirrors, column, cell, narrow, limit))]
                further += near
                if sum(len(found[1]) for found in parts[1:] + further) > most:
                    return None
                if not near:
                    break
            else:
                if np.isfinite(mirrors.high[column] - mirrors.low[column]):
                    return None
        parts += further
    images = [part[0] for part in parts[1:]]
    of_images = np.concatenate([part[1] for part in parts[1:]]) if images else np.empty(0, dtype=np.intp)
    every = None if order is None else np.concatenate([order, m + np.arange(len(of_images))])
    return (np.concatenate(images) if images else np.empty((0, points.shape[1]))), of_images, every


def _moved(part: Part, mirrors: Mirrors, column: int, cell: int, narrow: Floats | None, limit: float) -> Part | None:
    """The images in a cell of a column that are near the support; None where none is."""
    points, which, squares = part
    sign, offset = mirrors.images(column, np.array([cell]))
    x = sign[0] * points[:, column] + offset[0]
    square = squares + np.maximum(mirrors.low[column] - x, x - mirrors.high[column]) ** 2
    near = np.flatnonzero(square * (1.0 if narrow is None else narrow[which]) < limit)
    if not len(near):
        return None
    moved = points[near]
    moved[:, column] = x[near]
    return moved, which[near], square[near]


def _cells(mirrors: Mirrors, column: int) -> list[tuple[int, ...]]:
    """Places of images in a column, nearest first."""
    low, high = np.isfinite(mirrors.low[column]), np.isfinite(mirrors.high[column])
    if low and high:
        return [(-k, k) for k in range(1, CELLS)]
    return [(-1,)] if low else [(1,)] if high else []
