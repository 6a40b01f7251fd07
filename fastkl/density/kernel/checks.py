"""What a file has to hold to be a fitted kernel density: references, weights and bandwidths that fit each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.density.kernel.bandwidths.rules import given_bandwidth


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
    _check_types(density, d)
    support = density._support
    given_bandwidth(density.bandwidth_, d, density.kernel, support.kernels)
    if support.inner(rows)[1] is not None and support.inner(rows)[1].any():
        raise ValueError("references_ lie outside the boundary, or are no places of labels")
    density._sums_of(1)


def _check_types(density: Any, d: int) -> None:
    """ValueError unless what is learnt of columns of labels fits together."""
    kinds, labels = getattr(density, "column_types_", {}), getattr(density, "categories_", {})
    if not isinstance(kinds, dict) or not isinstance(labels, dict) or not set(labels) <= set(kinds):
        raise ValueError("column_types_ and categories_ are no dicts of the same columns")
    for j, kind in kinds.items():
        if type(j) is not int or not 0 <= j < d or kind not in ("categorical", "ordered"):
            raise ValueError(f"column_types_ has {kind!r} for column {j!r}")
        own = labels.get(j)
        if own is None and kind == "ordered":
            continue
        if not isinstance(own, np.ndarray) or own.ndim != 1 or not 0 < len(own) == len(set(own.tolist())):
            raise ValueError(f"categories_ of column {j} are not labels, each of them once")
    if kinds:
        dtypes = density.dtypes_
        if dtypes is not None and (len(dtypes) != d or not all(isinstance(dtype, str) for dtype in dtypes)):
            raise ValueError(f"dtypes_ are not those of {d} columns")
