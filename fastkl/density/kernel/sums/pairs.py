r"""Sums of Gaussian kernels over the images of rows, pair by pair: the product over columns of sums over images.

In several columns the images of a row are all combinations of those of its columns, while their sum is

.. math:: \prod_j \sum_{c} e^{-(x_j - y_{jc})^2 / 2 h_j^2} ,

with :math:`y_{jc}` the images of a value in its column. Where kernels are wide in some columns and narrow in others, neither a
series of all columns nor images near the support are few; pairs are, of a few thousand rows. Wide columns go by the few terms of
their Fourier series, which are exact where the kernel is nowhere small; the others by their images on the logarithmic scale.
"""

from __future__ import annotations

import numpy as np

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.series import Series, wide_columns

AT_ONCE = 1 << 16  # pairs of a block, which stays near the processor


class PairSums:
    """Sums over references, for rows in the coordinates in which ends are known.

    Parameters
    ----------
    points, weights, mirrors, widths
        As ``SeriesSums`` takes them, of columns of any kind.
    reach : ndarray of shape (d,)
        Farthest cells that hold images, by column.
    """

    def __init__(self, points: Floats, weights: Floats | None, mirrors: Mirrors, widths: Floats, reach: Floats):
        self._points, self._widths = points, widths
        self._log_weights = np.zeros(len(points)) if weights is None else np.log(weights)
        self._columns: list[_Images | _Wide] = []
        wide = wide_columns(mirrors, widths)
        for j, farthest in enumerate(reach):
            if wide[j]:
                self._columns.append(_Wide(points[:, j], mirrors, j, widths[j]))
            else:
                self._columns.append(_Images(points[:, j], mirrors, j, widths[j], int(farthest)))
        self._rows = max(1, AT_ONCE // len(points))

    def log_sums(self, rows: Floats) -> Floats:
        """log sum_j w_j k of rows (n, d): (n,)."""
        return self._found(rows, None, False)[0]

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the slopes of the sum of k by the logarithms of the bandwidths (n, d)."""
        return self._found(rows, "width", False)

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the gradients by the rows (n, d)."""
        return self._found(rows, "row", False)

    def leave_one_out(self, moments: bool, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, or at rows in their stead, each without itself, and slopes as of ``moments``."""
        logs, means = self._found(self._points if rows is None else rows, "width" if moments else None, True)
        return logs, means if moments else None

    def _found(self, rows: Floats, by: str | None, others: bool) -> tuple[Floats, Floats]:
        """Logarithms, and their slopes by the logarithms of the bandwidths, or by the rows."""
        logs, means = np.empty(len(rows)), np.zeros(rows.shape)
        for first in range(0, len(rows), self._rows):
            block = slice(first, min(first + self._rows, len(rows)))
            with np.errstate(over="ignore"):  # what is beyond the range of squares is infinitely far
                parts = [column.terms(rows[block, j], by) for j, column in enumerate(self._columns)]
            exponents = self._log_weights + sum(exponent for exponent, _, _ in parts if exponent is not None)
            exponents = np.broadcast_to(exponents, (block.stop - first, len(self._points))).copy()
            if others:
                exponents[np.arange(block.stop - first), np.arange(first, block.stop)] = -np.inf
            top = exponents.max(axis=1, keepdims=True)
            top[np.isinf(top)] = 0.0  # no other row has a weight
            shares = np.exp(exponents - top)
            for _, factor, _ in parts:
                if factor is not None:
                    shares *= factor
            sums = shares.sum(axis=1)
            with np.errstate(invalid="ignore", divide="ignore"):
                logs[block] = top[:, 0] + np.log(sums)
                for j, (_, _, slope) in enumerate(parts):
                    if slope is not None:
                        means[block, j] = (shares * slope).sum(axis=1) / sums
        return logs, means


# logarithms or factors (n, m), and slopes of their logarithms
Terms = tuple[Floats | None, Floats | None, Floats | None]


class _Images:
    """One column by its images."""

    def __init__(self, values: Floats, mirrors: Mirrors, j: int, width: float, reach: int):
        signs, offsets = mirrors.images(j, mirrors.cells(j, reach))
        self._images, self._width = (signs[:, np.newaxis] * values + offsets[:, np.newaxis]) / width, width

    def terms(self, values: Floats, by: str | None) -> Terms:
        own = values[:, np.newaxis] / self._width
        if len(self._images) == 1:
            apart = self._images[0] - own
            slope = None if by is None else apart**2 if by == "width" else apart / self._width
            return -0.5 * apart**2, None, slope
        everywhere = [image - own for image in self._images]
        exponents = [-0.5 * apart**2 for apart in everywhere]
        highest = np.max(exponents, axis=0)
        shares = [np.exp(exponent - highest) for exponent in exponents]
        total = sum(shares)
        slope = None
        if by is not None:
            powers = (apart**2 if by == "width" else apart / self._width for apart in everywhere)
            slope = sum(share * power for share, power in zip(shares, powers, strict=True)) / total
        return highest + np.log(total), None, slope


class _Wide:
    """One column by its series."""

    def __init__(self, values: Floats, mirrors: Mirrors, j: int, width: float):
        self._low, self._size = mirrors.low[j], mirrors.high[j] - mirrors.low[j]
        self._series = Series.of(width / self._size, bool(mirrors.circular[j]))
        self._values = self._series.values((values - self._low) / self._size).T * self._series.height[:, np.newaxis]
        self._rises = self._values * self._series.rises[:, np.newaxis]

    def terms(self, values: Floats, by: str | None) -> Terms:
        places = (values - self._low) / self._size
        own = self._series.values(places)
        factor = _product(own, self._values)
        if by is None:
            return None, factor, None
        if by == "width":
            return None, factor, 1.0 + _product(own, self._rises) / factor
        return None, factor, _product(self._series.slopes(places), self._values) / (self._size * factor)


def _product(rows: Floats, references: Floats) -> Floats:
    """rows (n, T) times references (T, m), term by term, so that no row depends on those beside it."""
    found = rows[:, :1] * references[0]
    for k in range(1, len(references)):
        found += rows[:, k : k + 1] * references[k]
    return np.asarray(found)
