r"""What a kernel is: k(r) with k(0) = 1 of the distance in units of the bandwidth, its integral, its spread, and draws from it.

The same radial kernels as in scikit-learn, each normalised in any number of columns d. With V the volume of the unit ball and
S = d V the surface of the unit sphere, the integrals of k(\|u\|) are in closed form, that of the cosine by a series whose terms
do not cancel.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gamma, lgamma, log, pi

import numpy as np
from scipy.special import log_ndtr

from fastkl._core.array_types import Floats


def log_ball(d: int) -> float:
    """Logarithm of the volume of the unit ball of d columns."""
    return 0.5 * d * log(pi) - lgamma(0.5 * d + 1.0)


def cosine_moment(power: int) -> float:
    """The integral of r^(power - 1) cos(pi r / 2) over [0, 1]: by parts (pi / (2 power)) int r^power sin(pi r / 2) dr."""
    half = 0.5 * pi
    terms = ((-1.0) ** k * half ** (2 * k + 1) / (gamma(2 * k + 2) * (2 * k + 2 + power)) for k in range(12))
    return half / power * sum(terms)


def _cosine_radius(rng: np.random.Generator, n: int, d: int) -> Floats:
    """By rejection: cos(pi r / 2) is at most 1 - r^2, and at least pi / 4 of it."""
    radius = np.empty(0)
    while len(radius) < n:
        tried = np.sqrt(rng.beta(0.5 * d, 2.0, size=2 * n))
        accepted = rng.random(2 * n) * (1.0 - tried**2) <= np.cos(0.5 * pi * tried)
        radius = np.concatenate([radius, tried[accepted]])
    return radius[:n]


def _log_of_halves(u: Floats, lower: Callable[[Floats], Floats]) -> Floats:
    """Logarithm of a symmetric distribution function from that below the centre, a function of 1 + u for u in [-1, 0]."""
    left = np.clip(1.0 - np.abs(u), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        tail = np.log(lower(left))
    return np.where(u <= 0.0, tail, np.log1p(-np.exp(tail)))


@dataclass(frozen=True)
class Kernel:
    """A kernel in d columns.

    Parameters
    ----------
    log_integral : callable
        ``log_integral(d)`` is the logarithm of the integral of k over all u.
    variance : callable
        ``variance(d)`` is that of one coordinate of a draw from it.
    radius : callable
        ``radius(rng, n, d)`` draws distances from the centre.
    log_cdf : callable
        Logarithm of the distribution function of a draw in one column.
    smooth : bool
        Whether k has a slope, so that a likelihood has one in the bandwidth.
    """

    log_integral: Callable[[int], float]
    variance: Callable[[int], float]
    radius: Callable[[np.random.Generator, int, int], Floats]
    log_cdf: Callable[[Floats], Floats]
    smooth: bool = True

    def draw(self, rng: np.random.Generator, n: int, d: int) -> Floats:
        """Draws (n, d) in units of the bandwidth."""
        direction = rng.standard_normal((n, d))
        length = np.sqrt(np.sum(direction**2, axis=1))
        return direction * (self.radius(rng, n, d) / length)[:, np.newaxis]


KERNELS = {
    "gaussian": Kernel(
        lambda d: 0.5 * d * log(2.0 * pi),
        lambda d: 1.0,
        lambda rng, n, d: np.sqrt(rng.chisquare(d, size=n)),
        log_ndtr,
    ),
    "epanechnikov": Kernel(
        lambda d: log_ball(d) + log(2.0 / (d + 2.0)),
        lambda d: 1.0 / (d + 4.0),
        lambda rng, n, d: np.sqrt(rng.beta(0.5 * d, 2.0, size=n)),
        lambda u: _log_of_halves(u, lambda left: left**2 * (3.0 - left) / 4.0),
    ),
    "tophat": Kernel(
        log_ball,
        lambda d: 1.0 / (d + 2.0),
        lambda rng, n, d: rng.random(n) ** (1.0 / d),
        lambda u: _log_of_halves(u, lambda left: left / 2.0),
        smooth=False,
    ),
    "exponential": Kernel(
        lambda d: log_ball(d) + lgamma(d + 1.0),
        lambda d: d + 1.0,
        lambda rng, n, d: rng.gamma(d, size=n),
        lambda u: np.where(u <= 0.0, np.minimum(u, 0.0) - log(2.0), np.log1p(-0.5 * np.exp(-np.maximum(u, 0.0)))),
    ),
    "linear": Kernel(
        lambda d: log_ball(d) - log(d + 1.0),
        lambda d: (d + 1.0) / ((d + 2.0) * (d + 3.0)),
        lambda rng, n, d: rng.beta(d, 2.0, size=n),
        lambda u: _log_of_halves(u, lambda left: left**2 / 2.0),
    ),
    "cosine": Kernel(
        lambda d: log_ball(d) + log(d * cosine_moment(d)),
        lambda d: cosine_moment(d + 2) / (d * cosine_moment(d)),
        _cosine_radius,
        lambda u: _log_of_halves(u, lambda left: np.sin(0.25 * pi * left) ** 2),
    ),
}
