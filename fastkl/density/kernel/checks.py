"""What a file has to hold to be a fitted kernel density: references, weights and bandwidths that fit each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.density.kernel.bandwidths import given_bandwidth


def check_kernel_density(density: Any) -> None:
    """ValueError unless a density has finite references, weights above 0 for them, and bandwidths for its columns."""
    density._check_parameters()
    rows, weights, d = density.references_, density.reference_weights_, density.n_features_in_
    if not isinstance(rows, np.ndarray) or rows.dtype not in (np.float32, np.float64) or rows.ndim != 2:
        raise ValueError("references_ are no matrix of float32 or float64")
    if rows.shape[1] != d or not len(rows) or not np.isfinite(rows).all() or not rows.flags.c_contiguous:
        raise ValueError(f"references_ of shape {rows.shape} are no finite rows of {d} columns")
    if weights is not None:
        right = isinstance(weights, np.ndarray) and weights.dtype == np.float64 and weights.shape == (len(rows),)
        if not right or not np.isfinite(weights).all() or np.any(weights <= 0.0):
            raise ValueError("reference_weights_ are not a number above 0 for each reference")
    local = getattr(density, "local_bandwidths_", None)
    if local is not None and (local.shape != (len(rows),) or local.dtype != np.float64 or not np.all(local > 0.0)):
        raise ValueError("local_bandwidths_ are not a number above 0 for each reference")
    shifts = getattr(density, "shifts_", None)
    if shifts is not None and (shifts.shape != rows.shape or not np.isfinite(shifts).all()):
        raise ValueError("shifts_ are not a finite number for each value of the references")
    given_bandwidth(density.bandwidth_, d, density.kernel)
    if not all(column.holds(rows[:, j]).all() for j, column in enumerate(density._support.columns)):
        raise ValueError("references_ lie outside the boundary")
    density._sums_of(1)
