"""Both tails of the skew-normal distribution on a logarithmic scale, and the part of its entropy that is an integral.

For a shape a >= 0, the other sign being the mirror image: below 0 the density 2 phi(z) Phi(a z) falls away from 0, and its tail
is an integral whose exponent is convex. At 0 the probability below is arctan(1 / a) / pi; from there on what is between is added
up, in panels on the scale of Phi(a z) first, and as a difference of error functions where that is 1. Nothing cancels.
"""

import numpy as np
from scipy.special import erf, erfcx, log_ndtr, ndtr

from fastkl._core.array_types import Floats
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl._core.special.log_tails import log_complement
from fastkl._core.special.tail_integrals import NODES, WEIGHTS, depth_length, tail_integral

_ROOT_HALF = np.sqrt(0.5)
_LOG_2 = np.log(2.0)
_SURE = 9.0  # from so many standard deviations on Phi is 1
_PANEL = 1.5
_MOST = 0.99  # probability below, up to which the one above is its complement
_FARTHEST = 40.0
_NONE = 1e150  # standard deviations beyond which even the logarithm of the tail leaves the range of numbers


def log_skew_normal_tails(z: Floats, shape: Floats) -> tuple[Floats, Floats]:
    """log P(Z <= z) and log P(Z > z), elementwise; the shape may be infinite."""
    z, shape = np.broadcast_arrays(np.asarray(z, dtype=np.float64), np.asarray(shape, dtype=np.float64))
    z = np.where(np.abs(z) > _NONE, np.copysign(np.inf, z), z)
    mirrored = shape < 0.0
    lower, upper = _tails(np.where(mirrored, -z, z), np.abs(shape))
    return np.where(mirrored, upper, lower), np.where(mirrored, lower, upper)


def _tails(z: Floats, shape: Floats) -> tuple[Floats, Floats]:
    lower, upper = np.full(z.shape, np.nan), np.full(z.shape, np.nan)
    half = np.isinf(shape)
    if half.any():
        at = np.maximum(z[half], 0.0)
        with np.errstate(divide="ignore"):
            upper[half] = _LOG_2 + log_ndtr(-at)
            lower[half] = np.where(at < 0.5, np.log(erf(_ROOT_HALF * at)), log_complement(np.minimum(upper[half], 0.0)))
        upper[half] = np.where(at == 0.0, 0.0, upper[half])
        lower[half], upper[half] = (np.where(np.isnan(z[half]), np.nan, tail[half]) for tail in (lower, upper))
    below = ~half & (z < 0.0)
    if below.any():
        lower[below] = _log_below(-z[below], shape[below])
        upper[below] = log_complement(lower[below])
    above = ~half & (z >= 0.0)
    if above.any():
        share = _between(z[above], shape[above])
        small = share <= _MOST
        far = _log_above(np.where(small, 1.0, z[above]), shape[above])
        lower[above] = np.where(small, np.log(np.where(small, share, 1.0)), log_complement(far))
        upper[above] = np.where(small, np.log1p(-np.where(small, share, 0.0)), far)
    return lower, upper


def _log_below(size: Floats, shape: Floats) -> Floats:
    """log P(Z <= -size) for size > 0: the density is erfcx(shape size / sqrt 2) exp(-(1 + shape^2) size^2 / 2) / sqrt(2 pi)."""
    finite = np.where(np.isinf(size), 1.0, size)
    growth = np.hypot(1.0, shape)
    start = erfcx(_ROOT_HALF * shape * finite)

    def exponent(t: Floats) -> tuple[Floats, Floats]:
        # the quadratic part alone is no larger, and as steep where the end of the integral is looked for
        return 0.5 * (growth * t) * (growth * (t + 2.0 * finite)), growth * growth * (t + finite)

    def integrand(t: Floats) -> Floats:
        return np.exp(-exponent(t)[0]) * (erfcx(_ROOT_HALF * shape * (finite + t)) / start)

    depth = growth * finite
    length = depth_length(exponent, 39.0 / (growth * np.maximum(depth, 1.0) + growth))
    log_density = np.log(start) - HALF_LOG_2PI - 0.5 * depth * depth
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        return np.where(np.isinf(size), -np.inf, log_density + np.log(tail_integral(integrand, length)))


def _log_above(z: Floats, shape: Floats) -> Floats:
    """log P(Z > z) for z above the median, where the density falls."""
    finite = np.where(np.isinf(z), 1.0, z)
    start = ndtr(shape * finite)

    def exponent(t: Floats) -> tuple[Floats, Floats]:
        return 0.5 * t * (t + 2.0 * finite), t + finite

    def integrand(t: Floats) -> Floats:
        return np.exp(-exponent(t)[0]) * (ndtr(shape * (finite + t)) / start)

    length = depth_length(exponent, 39.0 / (np.maximum(finite, 1.0) + 1.0))
    with np.errstate(over="ignore", divide="ignore"):
        log_density = _LOG_2 + np.log(start) - HALF_LOG_2PI - 0.5 * finite * finite
        return np.where(np.isinf(z), -np.inf, log_density + np.log(tail_integral(integrand, length)))


def _between(z: Floats, shape: Floats) -> Floats:
    """P(Z <= z) for z >= 0."""
    total = np.arctan2(1.0, shape) / np.pi
    panel = _PANEL / np.maximum(shape, 1.0)
    with np.errstate(divide="ignore"):
        sure = _SURE / shape
    last = np.minimum(np.minimum(z, sure), _FARTHEST)
    begin = np.zeros_like(z)
    while np.any(begin < last):
        end = np.minimum(begin + panel, last)
        s = begin + NODES.reshape(-1, *(1 for _ in z.shape)) * (end - begin)
        values = np.exp(-0.5 * s * s - HALF_LOG_2PI) * 2.0 * ndtr(shape * s)
        total = total + np.tensordot(WEIGHTS, values, axes=1) * (end - begin)
        begin = np.maximum(end, begin)
    return np.minimum(total + np.where(z > sure, erf(_ROOT_HALF * z) - erf(_ROOT_HALF * last), 0.0), 1.0)


def mean_log_share(shape: Floats) -> Floats:
    """-E log Phi(shape Z) under the distribution itself, elementwise: 0 at an infinite shape, log 2 at 0."""
    size = np.abs(np.asarray(shape, dtype=np.float64))
    unit = np.maximum(np.where(np.isinf(size), 1.0, size), 1.0)
    total = np.zeros_like(size)
    for begin in np.arange(-_SURE, _SURE, _PANEL):
        y = (begin + _PANEL * NODES)[:, np.newaxis] / unit
        log_share = log_ndtr(np.where(np.isinf(size), 1.0, size) * y)
        values = np.exp(-0.5 * y * y - HALF_LOG_2PI) * 2.0 * np.exp(log_share) * -log_share / unit
        total = total + _PANEL * (WEIGHTS @ values)
    return np.where(np.isinf(size), 0.0, total)
