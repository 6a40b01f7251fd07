r"""Sums of Gaussian kernels that are wide for the support in some columns, and narrow in the others or without ends there.

The wide columns go by the terms :math:`\varphi_k` of their Fourier series (``series``), the others by trees and images as always:

.. math:: \sum_i w_i \prod_j K_j(x_j, y_{ij}) = \sum_k a_k \, \varphi_k(x) \, G_k(x), \qquad
   G_k(x) = \sum_i w_i \, \varphi_k(y_i) \, K_{narrow}(x, y_i) .

Sums take weights above 0: those of :math:`\varphi_k + 1.5` are, and 1.5 times the sum without it is taken off. That costs no
digits that matter, since every G is at most :math:`G_0`, in units of which all are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.series import Series, products_of

ABOVE = 1.5  # what is added to terms between -1 and 1
MOST_SUMS, MOST_WEIGHTS = 150, 1 << 24  # that are held
Answer = tuple[Floats, Floats | None]
Ask = Callable[[Any, Floats], Answer]


class PartlyWideSums:
    """Sums over references, for rows in the coordinates in which ends are known.

    Parameters
    ----------
    points, weights, mirrors, widths
        As ``SeriesSums`` takes them, of columns of any kind.
    wide : ndarray of bool of shape (d,)
        Columns that go by series.
    narrow_sums : callable
        Gives the sums over the other columns, for references, weights, ends and bandwidths of those.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        mirrors: Mirrors,
        widths: Floats,
        wide: Any,
        narrow_sums: Callable[[Floats, Floats | None, Mirrors, Floats], Any],
    ):
        self._wide, self._rest, self._points = np.flatnonzero(wide), np.flatnonzero(~wide), points
        self._low, self._size = mirrors.low[wide], (mirrors.high - mirrors.low)[wide]
        shares = widths[wide] / self._size
        self._series = [Series.of(*each) for each in zip(shares, mirrors.circular[wide], strict=True)]
        self._heights = products_of([series.height[np.newaxis] for series in self._series])[0]
        others = Mirrors(*(ends[~wide] for ends in (mirrors.low, mirrors.high, mirrors.circular)))
        own = np.ones(len(points)) if weights is None else weights
        terms = self._terms(points)
        of_terms = [weights, *(own * (ABOVE + term) for term in terms.T[1:])]
        narrow = np.ascontiguousarray(points[:, ~wide])
        self._sums = [narrow_sums(narrow, each, others, widths[~wide]) for each in of_terms]

    @staticmethod
    def growth(mirrors: Mirrors, widths: Floats, wide: Any) -> float:
        """What the relative error of narrow sums is multiplied by at most: the terms in units of the smallest value."""
        largest, smallest = 1.0, 1.0
        for width, size, around in zip(
            widths[wide], (mirrors.high - mirrors.low)[wide], mirrors.circular[wide], strict=True
        ):
            series = Series.of(width / size, bool(around))
            largest *= series.height.sum() / series.height[0]
            pair = series.values(np.array([0.0, 0.5 if around else 1.0]))
            smallest *= float((pair[0] * pair[1]) @ series.height) / series.height[0]
        return (1.0 + 2.0 * ABOVE * (largest - 1.0) + largest) / smallest

    def log_sums(self, rows: Floats) -> Floats:
        """log sum_j w_j k of rows (n, d): (n,)."""
        return self._found(rows, lambda sums, narrow: (sums.log_sums(narrow), None), None)[0]

    def moments(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the slopes of the sum of k by the logarithms of the bandwidths (n, d)."""
        return self._found(rows, lambda sums, narrow: sums.moments(narrow), "width")

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and the gradients by the rows (n, d)."""
        return self._found(rows, lambda sums, narrow: sums.slopes(narrow), "row")

    def leave_one_out(self, moments: bool, rows: Floats | None = None) -> Answer:
        """The logarithms at the references, or at rows in their stead, each without itself, and slopes as of ``moments``."""
        there = self._points if rows is None else rows

        def ask(sums: Any, narrow: Floats) -> Answer:
            return sums.leave_one_out(moments, None if rows is None else narrow)

        logs, slopes = self._found(there, ask, "width" if moments else None)
        return logs, slopes if moments else None

    def _found(self, rows: Floats, ask: Ask, by: str | None) -> tuple[Floats, Floats]:
        narrow = np.ascontiguousarray(rows[:, self._rest])
        terms = self._terms(rows) * self._heights
        first, of_first = ask(self._sums[0], narrow)
        finite = np.where(np.isfinite(first), first, 0.0)
        total = terms[:, 0].copy()
        steeper = self._rises(rows, by)
        rises = [each[:, 0].copy() for each in steeper]
        of_narrow = None if of_first is None else terms[:, :1] * of_first
        for k, sums in enumerate(self._sums[1:], start=1):
            logs, of_these = ask(sums, narrow)
            raised = np.exp(logs - finite)
            share = raised - ABOVE
            total += terms[:, k] * share
            for rise, each in zip(rises, steeper, strict=True):
                rise += each[:, k] * share
            if of_narrow is not None and of_these is not None and of_first is not None:
                of_narrow += terms[:, k : k + 1] * (raised[:, np.newaxis] * of_these - ABOVE * of_first)
        slopes = np.zeros(rows.shape)
        with np.errstate(divide="ignore", invalid="ignore"):
            for j, rise in zip(self._wide if rises else [], rises, strict=True):
                slopes[:, j] = (1.0 if by == "width" else 0.0) + rise / total
            if of_narrow is not None:
                slopes[:, self._rest] = of_narrow / total[:, np.newaxis]
            return first + np.log(np.maximum(total, 0.0)), slopes

    def _places(self, rows: Floats) -> Floats:
        return np.asarray((rows[:, self._wide] - self._low) / self._size)

    def _terms(self, rows: Floats) -> Floats:
        """All products of terms of the wide columns at rows (n, K)."""
        places = self._places(rows)
        return products_of([series.values(places[:, j]) for j, series in enumerate(self._series)])

    def _rises(self, rows: Floats, by: str | None) -> list[Floats]:
        """The same times their heights, by the logarithm of each wide bandwidth, less 1, or by each wide column."""
        if by is None:
            return []
        places, found = self._places(rows), []
        for own in range(len(self._series)):
            parts = []
            for j, series in enumerate(self._series):
                values = (
                    series.slopes(places[:, j]) / self._size[j]
                    if j == own and by == "row"
                    else series.values(places[:, j])
                )
                parts.append(values * series.height * (series.rises if j == own and by == "width" else 1.0))
            found.append(products_of(parts))
        return found
