"""Normal distributions of one column on a support with ends: what they hold on either side of a value, and at it.

What lies beyond an end comes back from it, so that the values up to x are an interval about the end on the line, and its copies
two widths apart where both ends are given (``folded``).
"""

from __future__ import annotations

from itertools import count

import numpy as np
from scipy.special import log_ndtr

from fastkl._core.array_types import Floats
from fastkl.density.kernel.columns.boundaries import ColumnSupport
from fastkl.density.kernel.columns.ends import WIDEST_REFLECTED

NARROW = 1e-3  # in standard deviations: the density in the middle has more digits than a difference of probabilities
ENOUGH = 41.0  # exp of minus this is below rounding
REACH = 9.5  # standard deviations beyond which a copy holds less than that of what the nearest holds


def log_tails(column: ColumnSupport, x: Floats, centres: Floats, widths: Floats, upper: bool) -> Floats:
    """Logarithm of P(X <= x), or of P(X > x), of every pair of a coordinate and a normal distribution."""
    low, high = column.low, column.high
    if column.kind != "reflect":
        apart = (x - centres) / widths
        return np.asarray(log_ndtr(-apart if upper else apart))
    if np.isinf(low) or np.isinf(high):
        end = high if np.isinf(low) else low
        near = upper == bool(np.isinf(low))  # the side that has the end
        first, last = np.minimum(x, 2.0 * end - x), np.maximum(x, 2.0 * end - x)
        if near:
            return _log_between(first, last, centres, widths)
        return np.logaddexp(log_ndtr((first - centres) / widths), log_ndtr((centres - last) / widths))
    first, last = (x, 2.0 * high - x) if upper else (2.0 * low - x, x)
    widths = np.minimum(widths, WIDEST_REFLECTED * (high - low))
    total = _log_between(first, last, centres, widths)
    turn = 2.0 * (high - low)
    for k in range(1, 2 + int(np.ceil(REACH * np.max(widths) / turn))):
        for shift in (-k * turn, k * turn):
            total = np.logaddexp(total, _log_between(first + shift, last + shift, centres, widths))
    return np.minimum(total, 0.0)


def _log_between(first: Floats, last: Floats, centres: Floats, widths: Floats) -> Floats:
    """Logarithm of what normal distributions hold from ``first`` to ``last``, of their smaller tails."""
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = (first - centres) / widths, (last - centres) / widths
        a, b = np.where(a + b > 0.0, -b, a), np.where(a + b > 0.0, -a, b)
        middle, length = 0.5 * (a + b), b - a
        above, below = log_ndtr(b), log_ndtr(a)
        differ = above + np.log(-np.expm1(below - above))
        curved = np.log1p((middle**2 - 1.0) * length**2 / 24.0)
        flat = np.log(length) - 0.5 * middle**2 - 0.5 * np.log(2.0 * np.pi) + curved
    return np.asarray(np.where(length * (1.0 + np.abs(middle)) < NARROW, flat, differ))


def log_image_terms(column: ColumnSupport, value: float, centres: Floats, widths: Floats) -> Floats:
    """Logarithm of the sum of the terms of a coordinate's images, for every reference: normal densities but for sqrt(2 pi)."""
    mirrors = column.mirrors()
    if mirrors is not None:
        widths = mirrors.capped(widths)

    def term(at: float) -> Floats:
        return -0.5 * ((at - centres) / widths) ** 2 - np.log(widths)

    total = term(value)
    if mirrors is None:
        return total
    for radius in count(1):
        needed = False
        for sign, offset in zip(*mirrors.shell(radius), strict=True):
            of_image = term(float(sign[0] * value + offset[0]))
            needed = needed or bool(np.any(of_image > total - ENOUGH))
            total = np.logaddexp(total, of_image)
        if not needed:
            return total
    raise AssertionError
