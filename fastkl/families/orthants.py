"""Joint distribution functions of normal and t vectors, P(X_1 <= x_1, ..., X_d <= x_d), by scipy.

One column is exact, and so are two of a normal vector (Genz's bivariate rule). What is left is randomised quasi-Monte Carlo with
a fixed seed, so that the same rows always have the same answer: to some 1e-5 for a normal vector, 1e-4 for a t vector.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from fastkl._core.array_types import Floats
from fastkl._core.special.student_tails import log_student_sf


def normal_cdf(away: Floats, covariance: Floats) -> Floats:
    """At every row (n, d) of distances from the mean."""
    from scipy import stats  # much to import, and seldom wanted

    if len(covariance) == 1:
        return np.asarray(ndtr(away[:, 0] / np.sqrt(covariance[0, 0])))
    law = stats.multivariate_normal(np.zeros(len(covariance)), covariance, seed=0)
    return _certain(away, np.atleast_1d(law.cdf(_finite(away, covariance))))


def t_cdf(away: Floats, scale: Floats, df: float) -> Floats:
    """At every row (n, d) of distances from the location; df may be infinite."""
    from scipy import stats

    if np.isinf(df):
        return normal_cdf(away, scale)
    if len(scale) == 1:
        return np.exp(log_student_sf(df, -away[:, 0] / np.sqrt(scale[0, 0])))
    law = stats.multivariate_t(np.zeros(len(scale)), scale, df=df)
    values = [law.cdf(row, random_state=0) for row in _finite(away, scale)]
    return _certain(away, np.array(values, dtype=np.float64))


def _finite(away: Floats, covariance: Floats) -> Floats:
    """Infinite distances as 1e10 standard deviations, since scipy subtracts them from each other."""
    reach = 1e10 * np.sqrt(np.diag(covariance))
    return np.clip(away, -reach, reach)


def _certain(away: Floats, values: Floats) -> Floats:
    """0 and 1 where a column, or every one, is beyond all."""
    values = np.where((away == -np.inf).any(axis=1), 0.0, values)
    return np.where((away == np.inf).all(axis=1), 1.0, np.clip(values, 0.0, 1.0))
