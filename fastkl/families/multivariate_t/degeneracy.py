"""Rows on which the multivariate t likelihood has no maximum: how they are detected, and the errors."""

from __future__ import annotations

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.multivariate_normal import dependent_column
from fastkl.families.multivariate_t.sums import MeanAndScatter, merged_moments, row_moments
from fastkl.families.solvers.iterative import n_rows
from fastkl.families.univariate import largest

# A scatter matrix whose determinant is below that of the covariance by this factor per column has collapsed.
COLLAPSE = 1e-12


def overflow_error(rows: AnyRows, scatter: Floats) -> DegenerateDataError:
    """The error for sums that are not finite, naming the first such column."""
    column = int(np.flatnonzero(~np.isfinite(scatter.sum(axis=0)))[0])
    size = rows.total(largest, column, merge=max)
    return DegenerateDataError(
        f"The sums of {rows.column(column)} overflow: it holds values up to {size:.3g}. "
        "Rescale the column, for instance to unit size, or remove the outlier.",
        column,
    )


def checked_moments(rows: AnyRows) -> MeanAndScatter:
    """Moments of the rows; DegenerateDataError where their scatter is singular, so that the likelihood has no maximum."""
    d = rows.n_columns
    weight, mean, scatter = rows.total(row_moments, merge=merged_moments)
    variances = np.diag(scatter) / weight
    if not np.isfinite(scatter).all():
        raise overflow_error(rows, scatter)
    if np.any(variances <= 0.0):
        column = int(np.flatnonzero(variances <= 0.0)[0])
        raise DegenerateDataError(
            f"Column {column} is constant: {mean[column]:.6g} in every row (n_samples={weight:g}). The multivariate t "
            "likelihood grows without bound as its scale goes to 0. Leave the column out, or hold the scale fixed.",
            column,
        )
    root = np.sqrt(np.diag(scatter))
    dependent, n = dependent_column(scatter / np.outer(root, root)), rows.total(n_rows)
    if dependent is None and n <= d:
        dependent = n - 1  # rounding alone has made the last pivots positive
    if dependent is not None:
        raise DegenerateDataError(
            f"The scatter of these {d} columns is singular: column {dependent} is a linear combination of the columns before "
            f"it, as always when there are no more rows than columns (here {n} rows). The multivariate t "
            "likelihood then has no maximum. Leave columns out, reduce them first, or hold the scale fixed.",
            dependent,
        )
    return weight, mean, scatter


def raise_if_collapsed(scale: Floats, covariance: Floats) -> None:
    """DegenerateDataError once the scatter matrix has collapsed."""
    root = np.sqrt(np.diag(covariance))
    singular = not np.isfinite(scale).all() or dependent_column(scale / np.outer(root, root)) is not None
    if not singular:
        now, before = (np.linalg.slogdet(matrix / np.outer(root, root))[1] for matrix in (scale, covariance))
        singular = now - before < len(root) * np.log(COLLAPSE)
    if singular:
        raise DegenerateDataError(
            "The scatter matrix of the multivariate t distribution collapses onto rows that coincide or lie in a "
            "subspace: its likelihood grows without bound. Hold df fixed at a larger value, or remove the duplicates."
        )
