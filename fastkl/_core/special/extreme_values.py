"""The variable in which extreme-value distributions are standard: y = log(1 + shape z) / shape with z = (x - loc) / scale.

At shape 0 it is z itself. At the end of the support, loc - scale / shape, it is infinite: near there 1 + shape z is taken from
the distance to the end, which is known as two doubles, so that y has all its digits.
"""

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.special.exact import exact_product, exact_sum

NO_SHAPE = 1e-290  # below it a shape has no inverse, and is 0


def support_end(shape: Floats, loc: Floats, scale: Floats) -> tuple[Floats, Floats]:
    """loc - scale / shape as a rounded number and the rest; loc itself at shape 0, where there is no end."""
    flat = np.abs(shape) < NO_SHAPE
    finite = np.where(flat, 1.0, shape)
    with np.errstate(over="ignore", invalid="ignore"):
        reach = np.where(flat, 0.0, scale / finite)
        product, rest = exact_product(reach, finite)
        lacking = np.where(flat, 0.0, ((scale - product) - rest) / finite)
        end, low = exact_sum(loc, -reach)
    return end, np.where(np.isfinite(low - lacking), low - lacking, 0.0)


def standard_variable(x: Floats, shape: Floats, loc: Floats, scale: Floats) -> Floats:
    """y at x: -inf below a lower end of the support, inf above an upper one."""
    flat = np.abs(shape) < NO_SHAPE
    finite = np.where(flat, 1.0, shape)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        z = (x - loc) / scale
        q = shape * z
        end, low = support_end(shape, loc, scale)
        by_end = q < -0.5
        w = np.where(by_end, np.maximum(((x - end) - low) * (shape / scale), 0.0), 1.0)
        w = np.where(by_end & np.where(shape < 0.0, x >= end, x <= end), 0.0, w)
        logs = np.where(by_end, np.log(w), np.log1p(np.where(by_end, 0.0, q)))
        # where shape z overflows
        logs = np.where(q == np.inf, np.log(np.abs(finite)) + np.log(np.abs(x - loc)) - np.log(scale), logs)
        return np.where(flat | np.isnan(z), z, logs / finite)


def from_standard(y: Floats, shape: Floats, loc: Floats, scale: Floats) -> Floats:
    """The x at y, inside the support."""
    flat = np.abs(shape) < NO_SHAPE
    finite = np.where(flat, 1.0, shape)
    with np.errstate(over="ignore", invalid="ignore"):
        x = loc + scale * np.where(flat, y, np.expm1(finite * y) / finite)
        end = np.where(flat, np.inf, support_end(shape, loc, scale)[0])
        x = np.where(~flat & (finite * y == -np.inf), end, x)
    return np.where(shape < 0.0, np.minimum(x, end), np.where(flat, x, np.maximum(x, end)))
