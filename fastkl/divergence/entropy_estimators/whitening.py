"""Linear map of a sample to unit covariance, with the volume that it changes: H(X) = H(whitened) + log_volume.

The triangular factor comes from a QR decomposition of the standardised rows rather than from their covariance matrix,
so that a sample whose columns are nearly dependent is still told apart from one whose columns are.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from fastkl.divergence.arguments import FloatArray
from fastkl.exceptions import DegenerateDataError

# Relative spread of a column given the others that rounding of the input alone can produce.
_DEPENDENT = 1e-11


def normalised(weights: FloatArray | None, n: int) -> FloatArray:
    """Weights as shares of 1; equal ones where there are none."""
    return np.full(n, 1.0 / n) if weights is None else weights / weights.sum()


def effective_size(shares: FloatArray) -> float:
    """Kish's number of equally weighted rows with the same variance of a mean."""
    return 1.0 / float(shares @ shares)


def spread(terms: FloatArray, shares: FloatArray) -> float:
    """The variance that, over the effective size, is that of the weighted mean, however weights go with the terms."""
    squared = shares**2
    return float(squared @ (terms - shares @ terms) ** 2 / squared.sum())


def whiten(X: FloatArray, shares: FloatArray) -> tuple[FloatArray, float]:
    """Rows of mean 0 and unit covariance, and the log of the volume that one unit of theirs has in the space of X."""
    n, d = X.shape
    if n <= d:
        raise DegenerateDataError(f"{n} rows in {d} columns lie in a plane; a density needs more rows than columns.")
    centred = X - shares @ X
    scale = np.sqrt(shares @ centred**2)
    constant = X.min(axis=0) == X.max(axis=0)
    if constant.any():
        j = int(np.argmax(constant))
        raise DegenerateDataError(
            f"Column {j} has one value only, {float(X[0, j])!r}: no density. Leave the column out.", j
        )
    centred /= scale
    # Only the triangle is needed: its inverse maps the rows to unit covariance.
    triangle = np.linalg.qr(np.sqrt(shares)[:, None] * centred, mode="r")
    diagonal = np.abs(np.diag(triangle))
    if diagonal.min() < _DEPENDENT:
        j = int(np.argmin(diagonal))
        raise DegenerateDataError(
            f"Column {j} is a linear function of the columns before it: the rows lie in a plane and have no density. "
            "Leave the column out.",
            j,
        )
    white = solve_triangular(triangle, centred.T, trans="T", lower=False).T
    return np.ascontiguousarray(white), float(np.log(diagonal).sum() + np.log(scale).sum())
