"""Some columns of an elliptical distribution given the values of others: the regression of those on these."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from fastkl._core.array_types import Floats


def regressed(
    centre: Floats, spread: Floats, kept: Sequence[int], given: Sequence[int], values: Floats
) -> tuple[Floats, Floats, float]:
    """Centre and spread of the columns kept, and the squared distance of the given values in units of their own spread.

    With a Cholesky factor L of the spread of the given columns, everything is made of W = L^-1 S_gk and z = L^-1 (x - m).
    """
    factor = cholesky(spread[np.ix_(given, given)], lower=True)
    across = solve_triangular(factor, spread[np.ix_(given, kept)], lower=True)
    away = solve_triangular(factor, values - centre[list(given)], lower=True)
    left = spread[np.ix_(kept, kept)] - across.T @ across
    return centre[list(kept)] + across.T @ away, 0.5 * (left + left.T), float(away @ away)
