r"""Sums of product kernels over references with continuous and discrete columns.

References of the same labels are a group, whose continuous columns are summed as those of any kernel density (``folded``). A sum
is that of the groups, each times the kernels of its labels:

.. math:: \log \sum_j w_j k(u_j) \prod_c l_c(x_c, x_{jc}) = \log \sum_g e^{\sum_c \log l_c(x_c, y_{gc})} \sum_{j \in g} w_j k(u_j)

All terms are positive, so that the error of every group bounds that of the whole. Half of it is left for groups that a query
does without: those whose kernels of labels times their weight, an upper bound of what they add, are too small to matter.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.discrete import DiscreteKernel
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.folded import FoldedSums, weight_of_others, widened
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.units import Units
from fastkl.spatial.kernel_sums import near_order

Places = npt.NDArray[np.intp]
OfGroup = Callable[[int, Places, bool], tuple[Floats, Floats | None]]


class Groups:
    """Rows by their labels.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        Coordinates, and places of labels.
    kernels : dict of DiscreteKernel
        The kernels of discrete columns.
    n_threads : int
        Threads.
    """

    def __init__(self, points: Floats, kernels: dict[int, DiscreteKernel], n_threads: int):
        self.kernels, self.discrete = kernels, sorted(kernels)
        self.continuous = [j for j in range(points.shape[1]) if j not in kernels]
        # near rows follow each other in every group, and in whatever is taken from it in order
        inside = np.ascontiguousarray(points[:, self.continuous], dtype=np.float64)
        order = near_order(inside, n_threads) if self.continuous else None
        self.order: Places = np.arange(len(points)) if order is None else order
        self.inside = inside[self.order]
        self.codes = np.ascontiguousarray(points[self.order][:, self.discrete], dtype=np.float64)
        self.levels, of_row = np.unique(self.codes, axis=0, return_inverse=True)
        found = [np.unique(self.codes[:, c], return_inverse=True) for c in range(len(self.discrete))]
        self.values = [values for values, _ in found]
        self.places = np.stack([place.reshape(-1) for _, place in found], axis=1)
        by_level = np.argsort(of_row.reshape(-1), kind="stable")
        self.rows = np.split(by_level, np.cumsum(np.bincount(of_row.reshape(-1)))[:-1])


class NoColumns:
    """The sums where no column is continuous: every kernel is 1."""

    def __init__(self, n: int, weights: Floats | None):
        self.weights = np.ones(n) if weights is None else weights

    def moments(self, rows: Floats, ordered: bool = False) -> tuple[Floats, Floats]:
        """Logarithms at rows, and no slopes."""
        return np.full(len(rows), np.log(self.weights.sum())), np.zeros((len(rows), 0))

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same."""
        return self.moments(rows)

    def log_sums(self, rows: Floats, ordered: bool = False) -> Floats:
        """The logarithms alone."""
        return self.moments(rows)[0]

    def leave_one_out(self, moments: bool = False) -> tuple[Floats, Floats | None]:
        """Logarithms at the references, each without itself."""
        with np.errstate(divide="ignore"):
            return np.log(weight_of_others(self.weights, len(self.weights))), np.zeros((len(self.weights), 0))


class MixedSums:
    """Sums over references of some discrete columns, as ``FoldedSums`` gives them of continuous ones.

    Parameters
    ----------
    groups : Groups
        The references.
    weights : ndarray of shape (m,) or None
        Their weights.
    kernel : str
        Name of the kernel of the continuous columns.
    bandwidth : ndarray of shape (d,)
        One for each column.
    mirrors : Mirrors or None
        Ends of the continuous columns about their centre.
    centre : ndarray
        That of the continuous columns.
    local : ndarray of shape (m,) or None
        Factors of the bandwidths of continuous columns.
    error, n_threads
        As ``KernelSums`` takes them.
    """

    def __init__(
        self,
        groups: Groups,
        weights: Floats | None,
        kernel: str,
        bandwidth: Floats,
        centre: Floats,
        mirrors: Mirrors | None,
        *,
        local: Floats | None = None,
        error: float,
        n_threads: int,
    ):
        self.groups, self.error = groups, error
        self._bandwidths = bandwidth[groups.discrete]
        self._kernels = [groups.kernels[j] for j in groups.discrete]
        self._n_columns, self._n_threads = len(bandwidth), n_threads
        self._weight = [float(len(rows)) for rows in groups.rows]
        of_rows = None if weights is None else weights[groups.order]
        narrow = None if local is None else local[groups.order] ** -2.0
        if local is not None:
            of_rows = local[groups.order] ** -float(len(groups.continuous)) * (1.0 if of_rows is None else of_rows)
        if of_rows is not None:
            self._weight = [float(of_rows[rows].sum()) for rows in groups.rows]
        self._parts: list[Any] = []
        self.log_constant = 0.0
        if groups.continuous:
            widths = widened(bandwidth[groups.continuous], kernel, mirrors, local)
            units = Units(widths, centre)
            self.log_constant = KERNELS[kernel].log_integral(len(groups.continuous)) + units.log_volume
        for rows in groups.rows:
            own = None if of_rows is None else of_rows[rows]
            if not groups.continuous:
                self._parts.append(NoColumns(len(rows), own))
                continue
            self._parts.append(
                FoldedSums(
                    groups.inside[rows],
                    own,
                    kernel,
                    units,
                    mirrors,
                    error=0.5 * error,
                    n_threads=n_threads,
                    narrow=None if narrow is None else narrow[rows],
                    order=np.arange(len(rows)),
                )
            )

    @property
    def constant_slopes(self) -> Floats:
        """Slopes of the constant by the logarithms of the bandwidths: those of labels are normalised by themselves."""
        slopes = np.zeros(self._n_columns)
        slopes[self.groups.continuous] = 1.0
        return slopes

    def log_sums(self, rows: Floats) -> Floats:
        """log sum_j w_j k l of rows (n, d): (n,)."""
        inside, codes, order = self._arranged(rows)

        def of_group(group: int, chosen: Places, own: bool) -> tuple[Floats, None]:
            return self._parts[group].log_sums(inside[chosen], ordered=True), None

        logs = np.empty(len(rows))
        logs[order] = self._over_groups(codes, of_group, 0)[0]
        return logs

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and gradients by the rows (n, d): NaN by labels, which have no slope."""
        inside, codes, order = self._arranged(rows)

        def of_group(group: int, chosen: Places, own: bool) -> tuple[Floats, Floats]:
            return self._parts[group].slopes(inside[chosen])

        sums, means = self._over_groups(codes, of_group, len(self.groups.continuous))
        logs, slopes = np.empty(len(rows)), np.full(rows.shape, np.nan)
        logs[order] = sums
        slopes[order[:, np.newaxis], self.groups.continuous] = means
        return logs, slopes

    def leave_one_out(self, moments: bool = False, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, each without itself.

        With ``moments`` also the slopes of the sum by the logarithms of the bandwidths, (m, d).
        """
        assert rows is None
        groups, d, places = self.groups, self._n_columns, self.groups.places

        @cache
        def slopes_of_labels(c: int, y: float) -> Floats:
            return self._kernels[c].log_slopes(groups.values[c], y, self._bandwidths[c])

        def of_group(group: int, chosen: Places, own: bool) -> tuple[Floats, Floats | None]:
            part = self._parts[group]
            if own:
                logs, slopes = part.leave_one_out(moments)
            elif moments:
                logs, slopes = part.moments(groups.inside[chosen], ordered=True)
            else:
                return part.log_sums(groups.inside[chosen], ordered=True), None
            if not moments:
                return logs, None
            every = np.empty((len(chosen), d))
            every[:, groups.continuous] = slopes
            for c, j in enumerate(groups.discrete):
                every[:, j] = slopes_of_labels(c, groups.levels[group, c])[places[chosen, c]]
            return logs, every

        sums, means = self._over_groups(groups.codes, of_group, d if moments else 0)
        logs = np.empty(len(sums))
        logs[groups.order] = sums
        if means is None:
            return logs, None
        slopes = np.empty_like(means)
        slopes[groups.order] = means
        return logs, slopes

    def _arranged(self, rows: Floats) -> tuple[Floats, Floats, Places]:
        """Continuous columns, labels, and the order of rows in which these are, near ones after each other."""
        inside = np.ascontiguousarray(rows[:, self.groups.continuous], dtype=np.float64)
        order = None
        if self.groups.continuous and self.error > 0.0:
            finite = np.where(np.isfinite(inside), inside, 0.0)
            order = near_order(finite, self._n_threads)
        if order is None:
            order = np.arange(len(rows))
        return inside[order], np.asarray(rows[:, self.groups.discrete], dtype=np.float64)[order], order

    def _over_groups(self, codes: Floats, of_group: OfGroup, n_means: int) -> tuple[Floats, Floats | None]:
        """Logarithms summed over the groups, and means of what comes with them in proportion to the terms."""
        n, levels = len(codes), self.groups.levels
        total = np.full(n, -np.inf)
        means = np.zeros((n, n_means)) if n_means else None
        known, number = np.unique(np.concatenate([levels, codes]), axis=0, return_inverse=True)
        number = number.reshape(-1)
        of_group_level, of_row = number[: len(levels)], number[len(levels) :]
        by_level = np.argsort(of_row, kind="stable")
        starts = np.searchsorted(of_row[by_level], np.arange(len(known) + 1))
        skip = np.log(0.5 * self.error / len(levels)) if self.error > 0.0 else -np.inf
        tables = LabelTables(self._kernels, self._bandwidths, known, levels)
        for own in (True, False):  # a row's own group first: next to it the others may not matter
            for group, level in enumerate(of_group_level):
                between = tables.of(group)
                if own:
                    chosen = by_level[starts[level] : starts[level + 1]]
                else:
                    between[level] = -np.inf
                    most = between[of_row] + np.log(self._weight[group])
                    with np.errstate(invalid="ignore"):
                        chosen = np.flatnonzero((most > -np.inf) & (most > total + skip))
                if len(chosen):
                    logs, with_it = of_group(group, chosen, own)
                    _add(total, means, chosen, logs + between[of_row[chosen]], with_it)
        return total, means


class LabelTables:
    """Logarithms of the kernels of labels, looked up by the values that the columns have.

    Parameters
    ----------
    kernels : list of DiscreteKernel
        Those of the columns.
    bandwidths : ndarray
        Theirs.
    codes, levels : ndarray of shape (n, c) and (k, c)
        Labels of rows, and of groups of references.
    """

    def __init__(self, kernels: list[DiscreteKernel], bandwidths: Floats, codes: Floats, levels: Floats):
        self._tables = []
        for c, (kernel, width) in enumerate(zip(kernels, bandwidths, strict=True)):
            values, at = np.unique(codes[:, c], return_inverse=True)
            references, of_group = np.unique(levels[:, c], return_inverse=True)
            table = np.stack([kernel.logs(values, float(y), float(width)) for y in references])
            self._tables.append((table, of_group.reshape(-1), at.reshape(-1)))

    def of(self, group: int) -> Floats:
        """Those of all rows about the labels of a group, (n,), as an array of its own."""
        return sum(table[of_group[group]][at] for table, of_group, at in self._tables)


def _add(total: Floats, means: Floats | None, rows: Places, logs: Floats, with_it: Floats | None) -> None:
    """A group's terms to the sums of some rows, and what comes with them to the means."""
    before = total[rows]
    after = np.logaddexp(before, logs)
    total[rows] = after
    if means is not None and with_it is not None:
        share = np.exp(logs - np.where(np.isfinite(after), after, 0.0))[:, np.newaxis]
        so_far = means[rows]
        means[rows] = so_far + share * (with_it - so_far)
