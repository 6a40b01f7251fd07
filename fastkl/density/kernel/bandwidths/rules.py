"""From what a user gives as ``bandwidth`` to numbers: given ones are checked, rules are evaluated on the rows.

All rules go by the scale of the data: rows times c have bandwidths times c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.warned import warn
from fastkl._core.wording import capital, did_you_mean
from fastkl.density.kernel.bandwidths.leave_one_out import LeaveOneOut, Maximum, distinct, evaluated
from fastkl.density.kernel.bandwidths.matrix_bandwidth import evaluated_matrix, most_likely_matrix, start_of
from fastkl.density.kernel.bandwidths.several_maxima import maximise
from fastkl.density.kernel.bandwidths.sheather_jones import sheather_jones
from fastkl.density.kernel.columns.boundaries import Support
from fastkl.density.kernel.columns.directional import DIRECTIONAL, directional_scales
from fastkl.density.kernel.columns.discrete import DiscreteKernel
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.density.kernel.sums.units import median_of
from fastkl.divergence.nearest.atoms import beside_others
from fastkl.exceptions import DegenerateDataError, RepeatedValuesWarning

T = TypeVar("T")
WAY_OUT = "Choose bandwidth='silverman' or numbers, or describe rounded columns by a discrete family."
TWINS = "Every row has another one equal to it: the leave-one-out likelihood grows without bound as h goes to 0."
# What is left out at either end, and the rest of a normal distribution in standard deviations.
MIDDLE, NORMAL_MIDDLE = 0.05, 3.29
# So many times what that middle of at least so many rows would have: a bandwidth that a few rows far out decide.
FAR, FEWEST_TOLD = 5.0, 20
STEEP = 1e-3  # slope per row of a search that did not end near a maximum
NONE_DISCRETE: Mapping[int, DiscreteKernel] = MappingProxyType({})
RULES = ("likelihood", "likelihood_matrix", "likelihood_scalar", "scott", "sheather_jones", "silverman")


@dataclass(frozen=True)
class Bandwidth:
    """What was chosen.

    Parameters
    ----------
    value : float or ndarray
        A number for all columns, one for each (d,), or a covariance (d, d).
    log_likelihood : float or None
        Leave-one-out log-likelihood, where it was maximised.
    converged : bool
        Whether a search, if there was one, reached the maximum.
    n_iter : int
        Evaluations that it took.
    """

    value: Any
    log_likelihood: float | None = None
    converged: bool = True
    n_iter: int = 0


def is_rule(bandwidth: Any) -> bool:
    """Whether it is the name of a rule; ValueError for another text."""
    if not isinstance(bandwidth, str):
        return False
    if bandwidth not in RULES:
        meant = did_you_mean(bandwidth, RULES)
        raise ValueError(
            f"There is no bandwidth rule {bandwidth!r}.{meant} Rules: {', '.join(RULES)}; or give numbers."
        )
    return True


def given_bandwidth(
    bandwidth: Any, d: int, kernel: str = "gaussian", kernels: Mapping[int, DiscreteKernel] = NONE_DISCRETE
) -> Any:
    """A number, one for each column or a covariance, as it was given; ValueError for one that is none."""
    try:
        value = np.asarray(bandwidth, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"bandwidth is a number, one for each column, a matrix or a rule ({', '.join(RULES)}), not {bandwidth!r}."
        ) from error
    if value.shape not in ((), (d,), (d, d)):
        raise ValueError(f"bandwidth has shape {value.shape} for {d} columns; give a number, {d} numbers or a matrix.")
    if kernels:
        return _checked_by_column(value, d, kernels)
    if kernel in DIRECTIONAL and value.ndim > (kernel == "von_mises"):
        what = "a number or one for each column" if kernel == "von_mises" else "a number"
        raise ValueError(f"The bandwidth of kernel={kernel!r} is {what}; its concentration is 1 / bandwidth**2.")
    if value.ndim == 2:
        return _checked_matrix(value)
    bad = np.atleast_1d(~(np.isfinite(value) & (value > 0.0)))
    if bad.any():
        place = int(np.argmax(bad))
        raise ValueError(
            f"A bandwidth has to be a finite number above 0; {'it' if value.ndim == 0 else f'that of column {place}'} is "
            f"{np.atleast_1d(value)[place]!s}."
        )
    return float(value) if value.ndim == 0 else value.copy()


def _checked_by_column(value: Floats, d: int, kernels: Mapping[int, DiscreteKernel]) -> Floats:
    """One for each column, of which those of discrete columns have a range of their own."""
    if value.shape != (d,):
        raise ValueError(
            f"Columns of labels have bandwidths of another kind than columns of numbers: give {d} of them, one for each column."
        )
    for j, width in enumerate(value):
        kernel = kernels.get(j)
        if kernel is None and not (np.isfinite(width) and width > 0.0):
            raise ValueError(f"A bandwidth has to be a finite number above 0; that of column {j} is {width!s}.")
        if kernel is not None and not kernel.takes(width):
            upto = "below 1" if kernel.n_labels is None else f"to {kernel.widest:.6g}"
            raise ValueError(f"The bandwidth of {kernel.kind} column {j} is a number from 0 {upto}, not {width!s}.")
    return value.copy()


def _checked_matrix(value: Floats) -> Floats:
    if not np.isfinite(value).all() or not np.allclose(value, value.T, rtol=1e-10, atol=0.0):
        raise ValueError("A bandwidth matrix has to be finite and symmetric: it is the covariance of the kernel.")
    try:
        np.linalg.cholesky(value)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"A bandwidth matrix has to be positive definite; the least eigenvalue of this one is "
            f"{np.linalg.eigvalsh(value)[0]:.6g}."
        ) from None
    return 0.5 * (value + value.T)


def chosen_bandwidth(rule: str, rows: Rows, kernel: str, coordinates: Floats, support: Support) -> Bandwidth:
    """The bandwidths of a rule for these rows, whose coordinates in their support are what is smoothed."""
    d = rows.n_columns
    if rule == "sheather_jones" and rows.weights is not None and np.any(rows.weights != 1.0):
        raise ValueError(
            "bandwidth='sheather_jones' takes no sample_weight: it uses quartiles and pairs of rows. Use 'likelihood' or "
            "'silverman'."
        )
    if kernel in DIRECTIONAL:
        return _directional(rule, rows, kernel)
    centre = median_of(coordinates)
    points, mirrors = coordinates - centre, support.mirrors(centre)
    scales = column_scales(rows, points, rule)
    if mirrors is not None:
        scales = around(points, rows.weights, mirrors, scales, rule)
    spread = np.sqrt(KERNELS[kernel].variance(d))
    if rule == "sheather_jones":
        return Bandwidth(np.array([sheather_jones(coordinates[:, j].astype(np.float64), j) for j in range(d)]) / spread)
    n = rows.total_weight
    start: Floats = scales * (n * (1.0 if rule == "scott" else (d + 2.0) / 4.0)) ** (-1.0 / (d + 4.0)) / spread
    if rule in ("scott", "silverman"):
        return Bandwidth(start)
    if not KERNELS[kernel].smooth:
        raise ValueError(
            f"bandwidth={rule!r} needs a kernel with a slope; that of the {kernel} kernel is 0 or infinite. Choose another "
            "kernel, or search bandwidths with GridSearchCV."
        )
    if rule == "likelihood_matrix":
        if mirrors is not None:
            raise ValueError(
                "bandwidth='likelihood_matrix' takes no reflected and no circular columns: a kernel across columns has no image "
                "of its own shape at an end. Choose bandwidth='likelihood', or boundary='log' or 'logit'."
            )
        return _most_likely_matrix(rows, points, start, kernel)
    return _most_likely(rule == "likelihood_scalar", rows, points, start, kernel, mirrors)


def _directional(rule: str, rows: Rows, kernel: str) -> Bandwidth:
    """The bandwidths of angles, or the one of directions: rules go by scales on the circle or the sphere."""
    if rule == "sheather_jones":
        raise ValueError(
            f"bandwidth='sheather_jones' goes by differences on a line, which kernel={kernel!r} has none of."
        )
    if rule == "likelihood_matrix":
        raise ValueError(f"kernel={kernel!r} has no bandwidth matrix. Use 'likelihood'.")
    points = rows.X.astype(np.float64)
    if kernel == "von_mises" or len(points) < 2:
        column_scales(rows, points, rule)
    elif np.all(points == points[0]):
        raise DegenerateDataError("All rows are one direction: there is no bandwidth by any rule. Give a number.")
    d, n = rows.n_columns - (kernel == "von_mises_fisher"), rows.total_weight
    scales = directional_scales(points, rows.weights, kernel)
    start: Floats = scales * (n * (1.0 if rule == "scott" else (d + 2.0) / 4.0)) ** (-1.0 / (d + 4.0))
    scalar = rule == "likelihood_scalar" or kernel == "von_mises_fisher"
    if rule in ("scott", "silverman"):
        return Bandwidth(float(start[0]) if kernel == "von_mises_fisher" else start)
    return _most_likely(scalar, rows, points, start, kernel, None)


def around(points: Floats, weights: Floats | None, mirrors: Mirrors, scales: Floats, rule: str) -> Floats:
    """Scales with those of circular columns by their mean resultant length, which has no beginning."""
    scales = scales.copy()
    for j in np.flatnonzero(mirrors.circular):
        if rule == "sheather_jones":
            raise ValueError(
                f"bandwidth='sheather_jones' goes by differences on a line, which circular column {j} has none of. Use "
                "'likelihood' or a number."
            )
        turn = (mirrors.high[j] - mirrors.low[j]) / (2.0 * np.pi)
        angles = points[:, j] / turn
        apart = angles - np.angle(np.average(np.exp(1j * angles), weights=weights))
        deficit = float(np.average(2.0 * np.sin(0.5 * apart) ** 2, weights=weights))
        least = 1.0 / np.sqrt(len(points))  # a mean resultant length below this is chance
        scales[j] = turn * np.sqrt(-2.0 * np.log1p(-min(deficit, 1.0 - least)))
    return scales


def _most_likely(
    scalar: bool, rows: Rows, points: Floats, start: Floats, kernel: str, mirrors: Mirrors | None
) -> Bandwidth:
    """The maximum of the leave-one-out likelihood; a warning where it is one of rounding, or there is none."""
    if scalar:  # one for all columns
        start = np.full_like(start, np.exp(np.mean(np.log(start))))

    def search(values: Floats, weights: Floats | None) -> Maximum:
        return maximise(
            values,
            weights,
            start,
            kernel,
            scalar=scalar,
            n_threads=rows.n_threads,
            mirrors=mirrors,
            accepted=lambda h: not collapse(h, values, rows),
        )

    found = unspoilt(rows, points, search, lambda maximum: maximum.bandwidth)
    if found is None:
        likelihood = LeaveOneOut(points, rows.weights, kernel, rows.n_threads, mirrors, start)
        found = likelihood.maximum(evaluated(likelihood, np.zeros(1 if scalar else len(start))), 1)
    elif kernel not in DIRECTIONAL and not (scalar and rows.n_columns > 1):
        _warn_of_far_rows(found.bandwidth, rows, points, start, mirrors)
    value = float(found.bandwidth[0]) if scalar else found.bandwidth
    return Bandwidth(value, found.log_likelihood, found.converged, found.n_iter)


def _warn_of_far_rows(bandwidth: Floats, rows: Rows, points: Floats, start: Floats, mirrors: Mirrors | None) -> None:
    """A warning where a few rows far out, each of which some kernel has to reach, have made a column's bandwidth wide.

    ``start`` is Silverman's rule, by the standard deviation; in its place stands that of a normal distribution with this middle.
    Uniform columns between two ends have the widest kernels, which then are right.
    """
    weights = np.ones(len(points)) if rows.weights is None else rows.weights
    for j, width in enumerate(bandwidth):
        if mirrors is not None and np.isfinite([mirrors.low[j], mirrors.high[j]]).all():
            continue
        column = points[:, j] / np.abs(points[:, j]).max()  # squares stay in the range of numbers
        order = np.argsort(column)
        mass = np.cumsum(weights[order])
        first = np.searchsorted(mass, MIDDLE * mass[-1], "right")
        last = np.searchsorted(mass, (1.0 - MIDDLE) * mass[-1])
        middle = column[order[last]] - column[order[first]]
        deviation = np.sqrt(np.average((column - np.average(column, weights=weights)) ** 2, weights=weights))
        usual = start[j] * (middle / (NORMAL_MIDDLE * deviation))
        if usual > 0.0 and width > FAR * usual and len(np.unique(column)) >= FEWEST_TOLD:
            warn(
                f"A few outlying rows determine the bandwidth of {rows.column(j)}, {width:.3g}: leave-one-out likelihood widens "
                "the kernels until they reach those rows. The middle nine tenths of the rows alone would have about "
                f"{usual:.2g}, and their density is oversmoothed. Take bandwidth='sheather_jones' (of one column), "
                "boundary='log' (of values above 0) or a number, or leave out rows that do not belong there."
            )


def _most_likely_matrix(rows: Rows, points: Floats, start: Floats, kernel: str) -> Bandwidth:
    """A matrix of maximum leave-one-out likelihood; equal rows are left out together where they would spoil it."""
    matrix = start_of(points, rows.weights, rows.total_weight, start)
    found = unspoilt(
        rows,
        points,
        lambda values, weights: most_likely_matrix(values, weights, matrix, kernel, rows.n_threads),
        lambda maximum: np.sqrt(np.diag(maximum.bandwidth)),
    )
    if found is None:
        found = evaluated_matrix(points, rows.weights, matrix, kernel, rows.n_threads)
    elif found.slope > STEEP:
        warn(
            f"The search for a bandwidth matrix ended where the likelihood still rises (slope {found.slope:.2g} per row). Where "
            "rows lie on parallel lines or planes it rises without bound as the matrix becomes narrow across. Choose "
            "bandwidth='likelihood'.",
            ConvergenceWarning,
        )
    return Bandwidth(found.bandwidth, found.log_likelihood, found.converged, found.n_iter)


def unspoilt(
    rows: Rows,
    points: Floats,
    search: Callable[[Floats, Floats | None], T],
    widths: Callable[[T], Floats],
    columns: Sequence[int] | None = None,
    where: str = "",
) -> T | None:
    """What a search finds for points and their weights, whose bandwidths equal values have not spoilt.

    They have where ``widths`` of the ``columns`` of numbers are those of rounding, or every row of these has a twin. Then equal
    points are left out together; where that does not help, Silverman's rule is taken ``where`` the caller says, None.
    """
    numbers = slice(None) if columns is None else columns
    found, reason = None, TWINS
    values, weights, counts = distinct(points, rows.weights)
    if columns is not None:
        counts = distinct(points[:, numbers], None)[2]
    if counts.min() == 1:
        found = search(points, rows.weights)
        reason = collapse(widths(found), points[:, numbers], rows, columns)
    if reason and 1 < len(values) < len(points):
        warn(f"{reason} Equal rows are left out together instead. {WAY_OUT}", RepeatedValuesWarning)
        found = search(values, weights)
        reason = collapse(widths(found), values[:, numbers], rows, columns)
    if reason:
        warn(f"{reason} Silverman's rule is taken instead{where}. {WAY_OUT}", RepeatedValuesWarning)
        return None
    if len(values) < len(points) or points.shape[1] > 1:
        _warn_of_atoms(points, rows, range(points.shape[1]) if columns is None else columns)
    return found


def _warn_of_atoms(points: Floats, rows: Rows, columns: Sequence[int]) -> None:
    """A warning for a column that has one value often: kernels that lie on each other are the likelier the narrower they are."""
    for j in columns:
        _, first, counts = np.unique(points[:, j], return_index=True, return_counts=True)
        atoms = beside_others(counts)
        if atoms.any():
            at = int(np.argmax(np.where(atoms, counts, 0)))
            warn(
                f"{capital(rows.column(j))} has the value {float(rows.X[first[at], j]):.6g} in {counts[at]:,} of "
                f"{len(points):,} rows, and others hardly repeat: no density describes both, and the height of this one there "
                "depends on its bandwidth alone. Leave these rows out, and model whether a row has the value by a column of "
                "its own.",
                RepeatedValuesWarning,
            )


def collapse(bandwidth: Floats, points: Floats, rows: Rows, columns: Sequence[int] | None = None) -> str:
    """What is wrong with a bandwidth far below the least difference of values that are repeated; empty if nothing is.

    ``columns`` are the numbers of those of the points, where they are not all columns of the rows.
    """
    for j, width in enumerate(np.broadcast_to(bandwidth, points.shape[1])):
        values = np.unique(points[:, j])
        gap = float(np.diff(values).min(initial=np.inf))
        if width < 0.1 * gap and len(values) < len(points):
            number = j if columns is None else columns[j]
            return (
                f"{capital(rows.column(number))} has {len(values)} different values in {len(points)} rows, and its "
                f"bandwidth of maximum leave-one-out likelihood, {width:.3g}, lies far below their least difference, {gap:.3g}: "
                "it would show the rounding of the values, not their distribution."
            )
    return ""


def column_scales(rows: Rows, points: Floats, rule: str) -> Floats:
    """Standard deviations of the columns, with n - 1; DegenerateDataError where a column has none."""
    n, weights = rows.total_weight, rows.weights
    if len(points) < 2:
        raise DegenerateDataError(
            f"bandwidth={rule!r} needs at least 2 rows of positive weight (n_samples={len(points)}). Give a number."
        )
    if n <= 1.0:
        raise DegenerateDataError(
            f"The weights sum to {n:.6g}, but bandwidth={rule!r} reads them as numbers of rows. Multiply them (so that they sum "
            "to the number of rows they stand for), or give a number as bandwidth."
        )
    most = np.max(np.abs(points), axis=0)
    for j in np.flatnonzero(np.ptp(points, axis=0) == 0.0):
        raise DegenerateDataError(
            f"Column {j} is constant: {float(rows.X[0, j]):.6g} in every row (n_samples={len(points)}), so that "
            f"bandwidth={rule!r} would be 0. Leave the column out, or give numbers as bandwidth.",
            int(j),
        )
    scaled = points / most  # squares of very large or very small values leave the range of numbers
    mean = np.average(scaled, axis=0, weights=weights)
    squares = np.sum((scaled - mean) ** 2 * (1.0 if weights is None else weights[:, np.newaxis]), axis=0)
    return most * np.sqrt(squares / (n - 1.0))
