"""Coordinates in which a model has unit covariance, so that neighbours are near in what the model calls near.

A divergence does not change under a common bijection; an entropy moves by log abs det, which the callers add.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.models.model import Model


def covariance_factor(n_columns: int, model: Model) -> FloatArray | None:
    """Lower Cholesky factor of the model's covariance, or None where there is no use for one."""
    if n_columns == 1:
        return None
    covariance = model.covariance(n_columns)
    if covariance is None or not np.isfinite(covariance).all():
        return None
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        return None


def transformed(X: NDArray[Any], centre: FloatArray, factor: FloatArray) -> NDArray[Any]:
    """Rows in coordinates where the model has unit covariance; centred first, so that offsets cost no digits."""
    return np.ascontiguousarray(solve_triangular(factor, (X - centre).T, lower=True, check_finite=False).T)


def whiten_both(p: Sample, drawn: Sample, model: Model) -> tuple[Sample, Sample]:
    """Both samples in the same whitened coordinates."""
    factor = covariance_factor(p.n_columns, model)
    if factor is None:
        return (p if p.X.dtype == np.float64 else Sample(p.X.astype(np.float64), p.weights, p.n_jobs)), drawn
    centre = p.X.mean(axis=0, dtype=np.float64)
    return (
        Sample(transformed(p.X, centre, factor), p.weights, p.n_jobs),
        Sample(transformed(drawn.X, centre, factor), None, p.n_jobs),
    )
