"""Rows on which the multivariate t likelihood has no maximum: how they are detected, and the errors.

What is large or small is told by medians, not by moments, which one value of 1e9 would own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.matrices import dependence, dependent_column
from fastkl.families.multivariate_t.starts import robust_frame, robust_scatter
from fastkl.families.multivariate_t.sums import MeanAndScatter, merged_moments, row_moments
from fastkl.families.solvers.iterative import n_rows
from fastkl.families.univariate import largest

# A scatter matrix whose determinant is below that of the reference by this factor per column has collapsed.
COLLAPSE = 1e-24


@dataclass(frozen=True)
class Frame:
    """What is known of the rows before a search: mean and covariance, medians and median distances, and a robust scatter."""

    moments: tuple[Floats, Floats]
    centre: Floats
    distance: Floats
    scatter: Floats

    @property
    def reference(self) -> Floats:
        """What a collapse is measured against."""
        return np.diag(self.distance**2)

    @property
    def least(self) -> float:
        """A log-determinant below it is that of a scatter matrix that has collapsed."""
        return float(np.sum(2.0 * np.log(self.distance)) + len(self.distance) * np.log(COLLAPSE))


def overflow_error(rows: AnyRows, scatter: Floats) -> DegenerateDataError:
    """The error for sums that are not finite, naming the first such column."""
    column = int(np.flatnonzero(~np.isfinite(scatter).all(axis=0))[0])
    size = rows.total(largest, column, merge=max)
    return DegenerateDataError(
        f"The sums of {rows.column(column)} overflow: it holds values up to {size:.3g}. "
        "Rescale the column, for instance to unit size, or remove the outlier.",
        column,
    )


def frame_of(rows: AnyRows, sample: Rows) -> Frame:
    """The frame of the rows; DegenerateDataError where they lie in a subspace, so that the likelihood has no maximum."""
    weight, mean, scatter = checked_moments(rows)
    d, n = rows.n_columns, rows.total(n_rows)
    centre, distance = robust_frame(sample)
    with np.errstate(all="ignore"):
        robust = robust_scatter(rows, centre, distance)
    root = np.sqrt(np.diag(robust))
    dependent = dependent_column(robust / np.outer(root, root))
    if dependent is None and n <= d:
        dependent = n - 1  # rounding alone has made the last pivots positive
    scale = robust * np.outer(distance, distance)
    if dependent is None and not _has_root(scale):
        dependent = d - 1  # rounding alone leaves none
    if dependent is not None:
        raise DegenerateDataError(
            f"{dependence('scatter', dependent, n, d, n)} The multivariate t likelihood then has no maximum. Leave columns out, "
            "reduce them first, or hold the scale fixed.",
            dependent,
        )
    return Frame((mean, scatter / weight), centre, distance, scale)


def _has_root(scale: Floats) -> bool:
    try:
        np.linalg.cholesky(scale)
    except np.linalg.LinAlgError:
        return False
    return True


def checked_moments(rows: AnyRows) -> MeanAndScatter:
    """Moments of the rows; DegenerateDataError for a constant column, or one whose squares overflow."""
    weight, mean, scatter = rows.total(row_moments, merge=merged_moments)
    with np.errstate(over="ignore"):
        covariance = scatter / weight
    variances = np.diag(covariance)
    if not np.isfinite(covariance).all():
        raise overflow_error(rows, covariance)
    if np.any(variances <= 0.0):
        column = int(np.flatnonzero(variances <= 0.0)[0])
        raise DegenerateDataError(
            f"Column {column} is constant: {mean[column]:.6g} in every row (n_samples={weight:g}). The multivariate t "
            "likelihood grows without bound as its scale goes to 0. Leave the column out, or hold the scale fixed.",
            column,
        )
    return weight, mean, scatter


def raise_if_collapsed(scale: Floats, reference: Floats) -> None:
    """DegenerateDataError once the scatter matrix has collapsed."""
    root = np.sqrt(np.diag(scale))
    singular = not np.isfinite(scale).all() or dependent_column(scale / np.outer(root, root)) is not None
    if not singular:
        now, before = (np.linalg.slogdet(matrix)[1] for matrix in (scale, reference))
        singular = now - before < len(reference) * np.log(COLLAPSE)
    if singular:
        raise collapsed_error()


def collapsed_error() -> DegenerateDataError:
    """The error for rows on which every scatter matrix collapses."""
    return DegenerateDataError(
        "The scatter matrix of the multivariate t distribution collapses onto rows that coincide or lie in a "
        "subspace: its likelihood grows without bound. Hold df fixed at a larger value, or remove the duplicates."
    )
