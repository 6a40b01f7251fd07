"""The part of a t density that only the degrees of freedom enter, as a function of k = 1 / df with all digits down to k = 0."""

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.special.gamma_differences import digamma_rise, trigamma_rise
from fastkl._core.special.gamma_functions import HALF_LOG_2PI, log_excess, stirling_error


def log_constant(k: float, d: int) -> float:
    """log Gamma((df + d) / 2) - log Gamma(df / 2) - d log(pi df) / 2.

    With a = df / 2 and h = d / 2 its first two terms less h log a are
    -a phi(h/a) + (h - 1/2) log(1 + h/a) + delta(a + h) - delta(a), delta being the error of Stirling's formula.
    """
    return float(log_constants(np.array(k), d)) if k > 0.0 else float(-d * HALF_LOG_2PI)


def log_constants(k: Floats, d: int) -> Floats:
    """The same of several k, all above 0."""
    a, h, u = 0.5 / k, 0.5 * d, d * k
    rest = stirling_error(a + h) - stirling_error(a)
    return np.asarray(-a * log_excess(u, 1.0 + u) + (h - 0.5) * np.log1p(u) + rest - d * HALF_LOG_2PI)


def log_constant_slopes(k: float, d: int) -> tuple[float, float]:
    """First and second derivative of ``log_constant`` by k; the second is only used for steps."""
    if k < 1e-12:
        return 0.25 * d * (d - 2.0), -0.25 * d * (d - 2.0) * d
    a, h, u = 0.5 / k, 0.5 * d, d * k
    inner = float(_inner_slope(np.array(k), d))
    slope = -d * u / (1.0 + u) - 2.0 * a * a * float(trigamma_rise(a, h))
    return -2.0 * a * a * inner, 8.0 * a**3 * inner - 2.0 * a * a * slope


def _inner_slope(k: Floats, d: int) -> Floats:
    """The first derivative, but for the factor -1 / (2 k^2)."""
    return np.asarray(digamma_rise(0.5 / k, 0.5 * d) - log_excess(d * k, 1.0 + d * k))


def log_density_slopes(squares: Floats, k: Floats, d: int) -> Floats:
    """The derivative by k of the log-density of every row under several components, all with k above 0."""
    return np.asarray(_degrees_slopes(squares, k, d) - 0.5 * _inner_slope(k, d) / k**2)


def degrees_slopes(squares: Floats, k: float, d: int) -> Floats:
    """The derivative by k of the rest of every row's log-density, -(1/k + d) log(1 + k s) / 2 with s its squared distance."""
    if k == 0.0:
        return np.asarray(squares * (0.25 * squares - 0.5 * d))
    return _degrees_slopes(squares, k, d)


def _degrees_slopes(squares: Floats, k: Floats | float, d: int) -> Floats:
    v = 1.0 / (1.0 + k * squares)
    return np.asarray(0.5 * (log_excess(-k * squares * v, v) / k**2 - d * squares * v))


def expected_log_rise(k: float, d: int) -> float:
    """E[(df + d) log(1 + d2 / df) / 2] under the distribution itself; d / 2 for the normal distribution."""
    if k == 0.0:
        return 0.5 * d
    return 0.5 * (1.0 / k + d) * float(digamma_rise(0.5 / k, 0.5 * d) + np.log1p(d * k))
