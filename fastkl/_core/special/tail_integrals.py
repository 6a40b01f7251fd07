"""The integral of a density beyond a point, over the density at that point: what a tail is besides its leading factor.

With exp(-g(t)) the density at a distance t beyond the point, relative to that at the point itself, the tail is the integral of
exp(-g) from 0 on. Where g is convex it ends, to double precision, where g reaches ``DEPTH``; a Gauss-Legendre rule over that
stretch has 15 digits as long as g is smooth on its scale. All terms are positive: nothing cancels, however far out the point.
"""

from collections.abc import Callable

import numpy as np

from fastkl._core.array_types import Floats

DEPTH = 39.0  # exp(-39) = 1e-17
NODES, WEIGHTS = (array * 0.5 for array in np.polynomial.legendre.leggauss(40))
NODES = NODES + 0.5


def tail_integral(integrand: Callable[[Floats], Floats], length: Floats) -> Floats:
    """The integral of ``integrand(t)`` over t from 0 to ``length``, elementwise."""
    total = np.zeros_like(length)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        total += weight * integrand(node * length)
    return total * length


def depth_length(exponent: Callable[[Floats], tuple[Floats, Floats]], start: Floats, steps: int = 8) -> Floats:
    """The t at which a convex exponent reaches ``DEPTH`` or a little more, by Newton's method, which ends above the root.

    ``exponent(t)`` gives g(t) and its derivative.
    """
    t = start
    for _ in range(steps):
        value, slope = exponent(t)
        t = t + (DEPTH - value) / slope
    return t
