r"""Bandwidths of maximum leave-one-out likelihood where some columns are discrete: those of all columns together.

The likelihood is that of ``leave_one_out``, a function of the logarithms of the bandwidths of continuous columns and of
coordinates of those of discrete ones. It has several maxima: a column of labels may separate the rows (a bandwidth near 0, and
wide kernels of the few rows of each label), or not matter (the largest bandwidth). Searches start from either side and from
between, and the best of them is taken; where a bandwidth runs to 0, 0 itself is tried.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats
from fastkl._core.iterations import report
from fastkl._core.rows import Rows
from fastkl._core.wording import capital
from fastkl.density.kernel.bandwidths.leave_one_out import (
    ERROR,
    LARGEST_PART,
    MANY,
    TOLERANCE,
    Climbed,
    climb,
    evaluated,
)
from fastkl.density.kernel.bandwidths.rules import Bandwidth, around, column_scales, unspoilt
from fastkl.density.kernel.columns.boundaries import Support
from fastkl.density.kernel.columns.discrete import DiscreteKernel
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.folded import weight_of_others
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.mixed import Groups, MixedSums
from fastkl.density.kernel.sums.units import median_of
from fastkl.exceptions import DegenerateDataError

SHARES = (0.3, 0.95, 0.02)  # of the largest bandwidths of discrete columns, where searches start
SMALL_START, SMALL = 0.1, 1e-3  # where rows of other labels hardly count; where the bandwidth perhaps is 0


class MixedLikelihood:
    """The leave-one-out likelihood as a function of the coordinates of bandwidths that are free.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Rows, continuous columns about their centre and in units in which bandwidths are near 1.
    weights : ndarray of shape (n,) or None
        Weights above 0.
    kernel : str
        Name of the kernel.
    kernels : dict of DiscreteKernel
        Those of discrete columns.
    mirrors : Mirrors or None
        Ends of the continuous columns, in the same units.
    unit : ndarray of shape (d,)
        These units.
    n_threads : int
        Threads.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        kernels: dict[int, DiscreteKernel],
        mirrors: Mirrors | None,
        unit: Floats,
        n_threads: int,
    ):
        n, d = points.shape
        self.weights, self.kernel, self.kernels, self.mirrors = weights, kernel, kernels, mirrors
        self.unit, self.n_threads = unit, n_threads
        self.total_weight = float(n) if weights is None else float(weights.sum())
        self._log_others = np.log(weight_of_others(weights, n))
        self.groups = Groups(points, kernels, n_threads)
        ends = np.array([kernels[j].end if j in kernels else np.inf for j in range(d)])
        if mirrors is not None:
            ends[self.groups.continuous] = np.log(mirrors.uniform)
        self.ends = ends
        self.held = np.full(d, np.nan)  # coordinates that are not searched, -inf for a bandwidth of 0

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """Which bandwidths are searched."""
        return np.isnan(self.held)

    @property
    def n_slopes(self) -> int:
        """How many these are."""
        return int(self.free.sum())

    @property
    def wider(self) -> Floats:
        """The direction in which kernels widen."""
        return np.ones(self.n_slopes)

    @property
    def widest(self) -> Floats:
        """Where the search ends."""
        return self.ends[self.free]

    def whole(self, theta: Floats) -> Floats:
        """All coordinates (d,), of which these are the free ones."""
        whole = self.held.copy()
        whole[self.free] = theta
        return whole

    def told(self, theta: Floats) -> bool:
        """Tells of the bandwidths that a search has reached, in the rows' own units."""
        return report(lambda: self.bandwidth(self.whole(theta)) * self.unit)

    def bandwidth(self, whole: Floats) -> Floats:
        """The bandwidths at all coordinates."""
        return np.array(
            [
                self.kernels[j].bandwidth(coordinate) if j in self.kernels else np.exp(coordinate)
                for j, coordinate in enumerate(whole)
            ]
        )

    def mean(self, theta: Floats) -> tuple[float, Floats]:
        """The mean log-density and its slopes by the free coordinates."""
        bandwidth, groups = self.bandwidth(self.whole(theta)), self.groups
        sums = MixedSums(
            groups,
            self.weights,
            self.kernel,
            bandwidth,
            np.zeros(len(groups.continuous)),
            self.mirrors,
            error=ERROR,
            n_threads=self.n_threads,
        )
        logs, slopes = sums.leave_one_out(moments=True)
        assert slopes is not None
        rates = np.array(
            [self.kernels[j].rate(width) if j in self.kernels else 1.0 for j, width in enumerate(bandwidth)]
        )
        with np.errstate(invalid="ignore"):  # where no other row is in reach
            mean = np.average(logs - self._log_others - sums.log_constant, weights=self.weights)
            of_slopes = np.average(slopes - sums.constant_slopes, axis=0, weights=self.weights) * rates
        return float(mean), of_slopes[self.free]


def mixed_bandwidth(rule: str, rows: Rows, kernel: str, coordinates: Floats, support: Support) -> Bandwidth:
    """The bandwidths of a rule for rows with discrete columns."""
    if rule != "likelihood":
        raise ValueError(
            f"bandwidth={rule!r} is of columns of numbers alone; with column_types choose 'likelihood', which finds the "
            "bandwidths of all columns together, or give one number for each column."
        )
    if len(coordinates) < 2:
        raise DegenerateDataError(
            f"bandwidth={rule!r} needs at least 2 rows of positive weight (n_samples={len(coordinates)}). Give numbers."
        )
    points, d = coordinates.copy(), len(support.continuous)
    start, mirrors, unit = np.ones(d), None, np.ones(len(support.columns))
    if d:
        if not KERNELS[kernel].smooth:
            raise ValueError(
                f"bandwidth={rule!r} needs a kernel with a slope; that of the {kernel} kernel is 0 or infinite. Choose another "
                "kernel, or search bandwidths with GridSearchCV."
            )
        inside = coordinates[:, support.continuous]
        centre = median_of(inside)
        inside, mirrors = inside - centre, support.taken(support.continuous).mirrors(centre)
        start = _start(rows, inside, support, kernel, mirrors, rule)
        points[:, support.continuous] = inside / start
        mirrors = None if mirrors is None else mirrors.scaled(start)
        unit[support.continuous] = start
    found = _most_likely(rows, points, kernel, support, mirrors, unit)
    assert found.log_likelihood is not None
    in_units = found.log_likelihood - rows.total_weight * float(np.sum(np.log(start)))
    return replace(found, value=found.value * unit, log_likelihood=in_units)


def _start(rows: Rows, inside: Floats, support: Support, kernel: str, mirrors: Mirrors | None, rule: str) -> Floats:
    """Silverman's bandwidths of the continuous columns."""
    own = Rows(rows.X[:, support.continuous], rows.weights, numbers=support.continuous)
    try:
        scales = column_scales(own, inside, rule)
    except DegenerateDataError as error:
        if error.column is not None:
            raise DegenerateDataError(
                str(error).replace(
                    f"Column {error.column} ", f"{capital(rows.column(support.continuous[error.column]))} "
                )
            ) from None
        raise
    if mirrors is not None:
        scales = around(inside, rows.weights, mirrors, scales, rule)
    d = len(support.continuous)
    factor = (rows.total_weight * (d + 2.0) / 4.0) ** (-1.0 / (d + 4.0)) / np.sqrt(KERNELS[kernel].variance(d))
    return scales * factor


def _most_likely(
    rows: Rows, points: Floats, kernel: str, support: Support, mirrors: Mirrors | None, unit: Floats
) -> Bandwidth:
    """The maximum, in units of the start; a warning where it is one of rounding, or there is none."""
    options: dict[str, Any] = {
        "kernel": kernel,
        "kernels": support.kernels,
        "mirrors": mirrors,
        "unit": unit,
        "n_threads": rows.n_threads,
    }
    if not support.continuous:
        return _searched(points, rows.weights, options)
    found = unspoilt(
        rows,
        points,
        lambda values, weights: _searched(values, weights, options),
        lambda bandwidth: bandwidth.value[support.continuous],
        support.continuous,
        " for the columns of numbers",
    )
    return _searched(points, rows.weights, options, hold_numbers=True) if found is None else found


def _searched(points: Floats, weights: Floats | None, options: dict[str, Any], hold_numbers: bool = False) -> Bandwidth:
    """The best maximum of searches from several starts; those of many rows begin on a part of them."""
    likelihood, n_iter = MixedLikelihood(points, weights, **options), 0
    continuous = likelihood.groups.continuous
    held = np.full(points.shape[1], np.nan)
    held[continuous] = 0.0 if hold_numbers else np.nan
    starts = [_start_of(likelihood, share) for share in SHARES]
    if len(points) > MANY:
        every = max(4, len(points) // LARGEST_PART)
        part = MixedLikelihood(points[::every], None if weights is None else weights[::every], **options)
        found = _climbed(part, starts, held)
        best, n_iter = found.theta, found.n_iter
        best[continuous] -= np.log(every) / (len(continuous) + 4.0)
        best[np.isneginf(best)] = np.log(SMALL)
        starts = [best]
    found = _climbed(likelihood, starts, held)
    return Bandwidth(
        likelihood.bandwidth(found.theta),
        found.mean * likelihood.total_weight,
        found.slope <= TOLERANCE,
        n_iter + found.n_iter,
    )


def _start_of(likelihood: MixedLikelihood, share: float) -> Floats:
    """Coordinates of a start: the narrower kernels of labels, the fewer rows are near each other, and the wider the others."""
    groups = likelihood.groups
    start = np.zeros(len(likelihood.ends))
    for j, kernel in likelihood.kernels.items():
        start[j] = kernel.coordinate(share)
    start[groups.continuous] = (
        np.log(len(groups.levels)) / (len(groups.continuous) + 4.0) if share < SMALL_START else 0.0
    )
    return start


def _climbed(likelihood: MixedLikelihood, starts: list[Floats], held: Floats) -> Climbed:
    """The highest maximum that searches with some coordinates held climb to; bandwidths that run to 0 are 0 if that is better."""
    starts, n_iter = [np.where(np.isnan(held), start, held) for start in starts], 0
    if len(starts) > 1:
        rough = [_maximum(likelihood, start, held, polish=False) for start in starts]
        starts, n_iter = [max(rough, key=lambda one: one.mean).theta], sum(one.n_iter for one in rough)
    labels = np.array([j in likelihood.kernels for j in range(len(held))])
    found = _maximum(likelihood, starts[0], held)
    n_iter += found.n_iter
    small = labels & (found.theta < np.log(SMALL))
    if small.any():
        at_zero = _maximum(likelihood, np.where(small, -np.inf, found.theta), np.where(small, -np.inf, held))
        n_iter += at_zero.n_iter
        found = at_zero if at_zero.mean >= found.mean else found
    return replace(found, n_iter=n_iter)


def _maximum(likelihood: MixedLikelihood, start: Floats, held: Floats, polish: bool = True) -> Climbed:
    """Where a search from here ends, with all coordinates."""
    likelihood.held = held
    found = evaluated(likelihood, start[likelihood.free])
    if len(found.theta) and np.isfinite(found.slope):  # labels of one row alone need a bandwidth above 0
        found = climb(likelihood, found.theta, None, likelihood.told, polish)
    return replace(found, theta=likelihood.whole(found.theta))
