"""Logarithms of probabilities that are complements or sums of others, with all digits at both ends."""

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats

_LOG_HALF = -0.6931471805599453


def log_complement(log_p: ArrayLike) -> Floats:
    """log(1 - p) from log p <= 0: -inf at 0, and -p where p is small."""
    log_p = np.asarray(log_p, dtype=np.float64)
    with np.errstate(divide="ignore", under="ignore"):
        near = np.log(-np.expm1(np.maximum(log_p, _LOG_HALF)))
        far = np.log1p(-np.exp(np.minimum(log_p, _LOG_HALF)))
    return np.where(log_p > _LOG_HALF, near, far)
