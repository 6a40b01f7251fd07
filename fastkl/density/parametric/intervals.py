"""Ends of confidence intervals: on the scale of a parameter's range, or from the quantiles of refits."""

from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from fastkl._core.array_types import Floats


def bias_corrected_interval(draws: Floats, value: Any, level: float) -> tuple[Any, Any]:
    """Quantiles of refits, moved by twice the distance of the estimate from their median, on the scale of normal quantiles."""
    below = np.mean(draws < value, axis=0) + 0.5 * np.mean(draws == value, axis=0)
    half = ndtri(0.5 + 0.5 * level)
    columns = draws.reshape(len(draws), -1).T
    ends = []
    for z in (-half, half):
        ranks = np.ravel(ndtr(2.0 * ndtri(below) + z))
        found = [np.quantile(column, p, method="inverted_cdf") for column, p in zip(columns, ranks, strict=True)]
        ends.append(np.array(found).reshape(draws.shape[1:])[()])
    return ends[0], ends[1]


def wald_interval(kind: str, value: Any, half: Any) -> tuple[Any, Any]:
    """Interval around a value, symmetric on the scale of its range; ``half`` is the half-width on its own scale."""
    with np.errstate(all="ignore"):
        if kind == "positive":
            return value * np.exp(-half / value), value * np.exp(half / value)
        if kind in ("unit", "simplex"):
            centre, wide = logit(value), half / (value * (1.0 - value))
            return expit(centre - wide), expit(centre + wide)
        low, high = value - half, value + half
        if kind == "matrix":
            diagonal = np.diag_indices(len(value))
            low[diagonal], high[diagonal] = wald_interval("positive", value[diagonal], half[diagonal])
        return low, high
