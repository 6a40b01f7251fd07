"""The integral of a density beyond a point, over the density at that point: what a tail is besides its leading factor.

With exp(-g(t)) the density at a distance t beyond the point, relative to that at the point itself, the tail is the integral of
exp(-g) from 0 on. Where g is convex it ends, to double precision, where g reaches ``DEPTH``; a Gauss-Legendre rule over that
stretch has 15 digits as long as g is smooth on its scale. All terms are positive: nothing cancels, however far out the point.
"""

from collections.abc import Callable

import numpy as np

from fastkl._core.array_types import Floats

DEPTH = 39.0  # exp(-39) = 1e-17
STEPS = 8  # of Newton's method for that length
TOGETHER = 256  # so many points go through all nodes in one call
# Gauss and Legendre's rule with 28 nodes on (0, 1), the lower half: 20 digits of the integral of exp(-DEPTH t), where the nodes
# and weights that numpy computes lose two of sixteen next to the ends, which is where all of it lies.
_HALF_NODES = np.array([
    0.00177875121302277502, 0.00934841731456362315, 0.0228703596855309014, 0.0421834868039339631,
    0.0670537387128024755, 0.0971793145414104143, 0.132194560993184114, 0.171674452980567519,
    0.21513976409429914, 0.262062887522440869, 0.311874241955460645, 0.363969186182410961, 0.417715358933309614,
    0.472460355057982865,
])  # fmt: skip
_HALF_WEIGHTS = np.array([
    0.00456214129654725887, 0.0105660562963856299, 0.01645071389115219, 0.0221364673795021139,
    0.0275536728378583727, 0.0326364619834997979, 0.0373231071172843895, 0.0415567086144506092,
    0.0452858721965164205, 0.0484653289989649579, 0.0510564837890303849, 0.053027882961423209,
    0.0543555961291470676, 0.0550235065082375981,
])  # fmt: skip
NODES = np.concatenate([_HALF_NODES, 1.0 - _HALF_NODES[::-1]])
WEIGHTS = np.concatenate([_HALF_WEIGHTS, _HALF_WEIGHTS[::-1]])

# with 12 nodes, as numpy has it, for smooth functions
UNIT_NODES, UNIT_WEIGHTS = (0.5 * array for array in np.polynomial.legendre.leggauss(12))
UNIT_NODES = UNIT_NODES + 0.5


def tail_integral(integrand: Callable[[Floats], Floats], length: Floats) -> Floats:
    """The integral of ``integrand(t)`` over t from 0 to ``length``, elementwise; t may have an axis before that of length."""
    if length.size <= TOGETHER:
        values = integrand(NODES.reshape(-1, *(1 for _ in length.shape)) * length)
        return np.tensordot(WEIGHTS, values, axes=1) * length
    total = np.zeros_like(length)
    for node, weight in zip(NODES, WEIGHTS, strict=True):
        total += weight * integrand(node * length)
    return total * length


def depth_length(exponent: Callable[[Floats], tuple[Floats, Floats]], start: Floats) -> Floats:
    """The t at which a convex exponent reaches ``DEPTH`` or a little more, by Newton's method, which ends above the root.

    ``exponent(t)`` gives g(t) and its derivative.
    """
    t = start
    for _ in range(STEPS):
        value, slope = exponent(t)
        t = t + (DEPTH - value) / slope
    return t
