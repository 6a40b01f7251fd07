"""Joint distribution functions of normal and t vectors, P(X_1 <= x_1, ..., X_d <= x_d), by scipy.

One column is exact, and so are two of a normal vector (Genz's bivariate rule). What is left is randomised quasi-Monte Carlo with
a fixed seed, so that the same rows always have the same answer: to some 1e-5 for a normal vector, 1e-4 for a t vector.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtr

from fastkl._core.array_types import Floats
from fastkl._core.special.student_tails import log_student_sf

REACH = 1e10
LEAST = 2.5e-10  # eigenvalue of the correlations as a part of the largest: below 2.2e-10 scipy refuses


def normal_cdf(away: Floats, covariance: Floats) -> Floats:
    """At every row (n, d) of distances from the mean."""
    from scipy import stats  # much to import, and seldom wanted

    if len(covariance) == 1:
        return np.asarray(ndtr(away[:, 0] / np.sqrt(covariance[0, 0])))
    away, correlation = _standardised(away, covariance)
    distribution = stats.multivariate_normal(np.zeros(len(correlation)), correlation, seed=0)
    return _certain(away, np.atleast_1d(distribution.cdf(_finite(away))))


def t_cdf(away: Floats, scale: Floats, df: float) -> Floats:
    """At every row (n, d) of distances from the location; df may be infinite."""
    from scipy import stats

    if np.isinf(df):
        return normal_cdf(away, scale)
    if len(scale) == 1:
        return np.exp(log_student_sf(df, -away[:, 0] / np.sqrt(scale[0, 0])))
    away, correlation = _standardised(away, scale)
    distribution = stats.multivariate_t(np.zeros(len(correlation)), correlation, df=df)
    values = [distribution.cdf(row, random_state=0) for row in _finite(away)]
    return _certain(away, np.array(values, dtype=np.float64))


def _standardised(away: Floats, covariance: Floats) -> tuple[Floats, Floats]:
    """Distances in standard deviations, and the correlations: with columns of different units a matrix may look singular."""
    deviations = np.sqrt(np.diag(covariance))
    correlation: Floats = covariance / deviations / deviations[:, None]
    correlation[np.diag_indices(len(correlation))] = 1.0
    values = np.linalg.eigvalsh(correlation)
    if not values[0] > LEAST * values[-1]:
        raise ValueError(
            "The columns are linear functions of each other, to rounding: their joint distribution function is out of reach of "
            "the integration. Leave columns out (marginal)."
        )
    return away / deviations, correlation


def _finite(away: Floats) -> Floats:
    """Infinite distances as 1e10 standard deviations, since scipy subtracts them from each other."""
    return np.clip(away, -REACH, REACH)


def _certain(away: Floats, values: Floats) -> Floats:
    """0 and 1 where a column, or every one, is beyond all."""
    values = np.where((away == -np.inf).any(axis=1), 0.0, values)
    return np.where((away == np.inf).all(axis=1), 1.0, np.clip(values, 0.0, 1.0))
