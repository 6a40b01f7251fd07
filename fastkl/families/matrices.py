"""Symmetric matrices of a few rows: inverses of information matrices, and the column that others determine.

Both go by the correlation form, so that neither depends on the units of parameters or columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack

from fastkl._core.array_types import Floats
from fastkl.exceptions import DegenerateDataError

EPSILON = float(np.finfo(np.float64).eps)
SINGULAR = 1e-13  # eigenvalue of an information in correlation form that is all rounding


def inverses(information: Floats) -> Floats:
    """Inverses of symmetric matrices (d, p, p) by their correlation form; NaN where one is not positive definite to rounding."""
    diagonal, identity = np.diagonal(information, axis1=1, axis2=2), np.eye(information.shape[1])
    good = np.all((diagonal > 0.0) & np.isfinite(diagonal), axis=1) & np.isfinite(information).all(axis=(1, 2))
    root = np.sqrt(np.where(good[:, None], diagonal, 1.0))
    with np.errstate(over="ignore", invalid="ignore"):  # an edited file may hold what is no information
        scaled = np.where(good[:, None, None], information, identity) / root[:, :, None] / root[:, None, :]
        scaled = 0.5 * (scaled + scaled.swapaxes(1, 2))  # as eigvalsh takes it
    good &= np.max(np.abs(scaled), axis=(1, 2), initial=0.0) < 2.0  # or eigenvalues are no better than rounding
    values = np.linalg.eigvalsh(np.where(good[:, None, None], scaled, identity))
    good &= np.min(values, axis=1, initial=np.inf) > SINGULAR
    found = np.linalg.inv(np.where(good[:, None, None], scaled, identity))
    with np.errstate(over="ignore"):
        found = found / root[:, :, None] / root[:, None, :]
    good &= np.isfinite(found).all(axis=(1, 2))  # or an error is beyond the largest number
    return np.where(good[:, None, None], found, np.nan)


def cholesky_solve(lower: NDArray[Any], right: NDArray[Any]) -> Floats:
    """A^-1 times vectors or matrices, given the Cholesky factor of A; scipy's checks take longer than small matrices do."""
    return lapack.dpotrs(lower, right, lower=True)[0]


def triangular_solve(lower: NDArray[Any], right: NDArray[Any]) -> Floats:
    """The same of the factor itself."""
    return lapack.dtrtrs(lower, right, lower=True)[0]


def log_determinant(lower: Floats) -> float:
    """That of the covariance with this Cholesky factor."""
    return 2.0 * float(np.log(lower.diagonal()).sum())


def covariance_of_sums(scatter: Floats, weight: float) -> Floats:
    """The scatter over the weight; DegenerateDataError where that is beyond the largest number, as for very small weights."""
    with np.errstate(over="ignore"):
        covariance: Floats = scatter / weight
    if not np.isfinite(covariance).all():
        column = int(np.flatnonzero(~np.isfinite(np.atleast_2d(covariance)).all(axis=0))[0])
        raise DegenerateDataError(
            f"The variance of column {column} is beyond the largest number. Rescale the column, for instance to unit size.",
            column,
        )
    return covariance


def dependence(what: str, dependent: int, n_rows: float, d: int, n_samples: float) -> str:
    """The sentence that a covariance is singular, and why: too few rows, or a column that others determine in all of them."""
    cause = (
        f"as always when there are no more rows than columns (here only n_samples={n_samples:g} rows)"
        if n_rows <= d
        else f"to rounding, in all rows (n_samples={n_samples:g})"
    )
    singular = f"The {what} of these {d} columns is singular"
    return f"{singular}: column {dependent} is a linear combination of the columns before it, {cause}."


def dependent_column(correlation: Floats) -> int | None:
    """The first column that the columns before it determine (to rounding), by the pivots of a Cholesky factorisation."""
    d = len(correlation)
    factor, status = lapack.dpotrf(np.array(correlation, order="F"), lower=True, clean=True)
    if status > 0:
        return int(status) - 1
    tiny = factor.diagonal() ** 2 <= 10.0 * d * EPSILON
    return int(tiny.argmax()) if tiny.any() else None
