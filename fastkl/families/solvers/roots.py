"""Where a slope passes through 0, for many columns at once, when a call of it is a pass over the rows.

From a start it goes uphill in doubling steps until the slope changes its sign, then narrows the bracket by the Illinois variant
of regula falsi (M. Dowell, P. Jarratt 1971, doi:10.1007/BF01934364), by halves where that does not pay. A slope that jumps from
above 0 to below, as that of a likelihood with a kink does, is followed to the jump. What ends the search is the step that is
left by the secant of the bracket. (scipy's elementwise solvers came with scipy 1.15, and hand over some columns at a time, where
a pass over the rows gives all of them.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fastkl._core.array_types import Floats

MOST_DOUBLINGS = 80
MOST_STEPS = 200
NARROW = 4.0  # roundings of the place, below which a bracket is a point


def uphill(
    slope: Callable[[Floats], Floats],
    start: Floats,
    step: Floats,
    low: Floats,
    high: Floats,
    resolution: Floats,
    value: Floats | None = None,
) -> Floats:
    """The place next to ``start``, uphill, where the slope passes from above 0 to below; an end where it does not.

    Parameters
    ----------
    slope : callable
        Of places (d,), gives (d,).
    start, step : ndarray of shape (d,)
        Where the search begins, and how far its first step goes.
    low, high : ndarray of shape (d,)
        Ends of where it looks.
    resolution : ndarray of shape (d,)
        The step that may be left.
    value : ndarray of shape (d,), default=None
        Slope at the start, which lies inside, where it is known.
    """
    at = np.clip(start, low, high)
    value = slope(at) if value is None else value
    way = np.sign(value)
    left, right = (at.copy(), value.copy()), (at.copy(), value.copy())
    reach, open_ = step.copy(), way != 0.0
    for _ in range(MOST_DOUBLINGS):
        open_ &= np.where(way > 0.0, right[0] < high, left[0] > low)
        if not open_.any():
            break
        at = np.where(open_, np.clip(np.where(way > 0.0, right[0] + reach, left[0] - reach), low, high), at)
        value = slope(at)
        for side, forward in ((right, way > 0.0), (left, way < 0.0)):
            moved = open_ & forward
            other = left if side is right else right
            behind = moved & (value * way > 0.0)  # still uphill: what was reached is the new back end
            for k, new in ((0, at), (1, value)):
                other[k][behind] = new[behind]
                side[k][moved] = new[moved]
        open_ &= value * way > 0.0
        reach = 2.0 * reach
    return _between(slope, left, right, resolution)


def _between(
    slope: Callable[[Floats], Floats], left: tuple[Floats, Floats], right: tuple[Floats, Floats], resolution: Floats
) -> Floats:
    """The same in brackets with a slope of at least 0 on the left and of at most 0 on the right; else the end that is higher."""
    (a, fa), (b, fb) = left, right
    found = np.where(fa <= 0.0, a, b)
    active, side = (fa > 0.0) & (fb < 0.0), np.zeros(len(a))
    weight_a, weight_b = fa.copy(), fb.copy()
    width_before = b - a
    for step in range(MOST_STEPS):
        width = b - a
        left_over = width * np.where(active, np.minimum(fa, -fb) / np.where(active, fa - fb, 1.0), 0.0)
        done = (left_over <= resolution) | (width <= NARROW * np.spacing(np.maximum(abs(a), abs(b))))
        found = np.where(active & done, np.where(fa <= -fb, a, b), found)
        active &= ~done
        if not active.any():
            break
        with np.errstate(all="ignore"):
            middle = (a * weight_b - b * weight_a) / (weight_b - weight_a)
        halve = ~((middle > a) & (middle < b))
        if step % 3 == 2:  # three steps have to make the bracket half as wide
            halve |= width > 0.5 * width_before
            width_before = width
        middle = np.where(halve, a + 0.5 * width, middle)
        value = slope(np.where(active, middle, found))
        uphill_, downhill = active & (value > 0.0), active & (value < 0.0)
        hit = active & (value == 0.0)
        found, active = np.where(hit, middle, found), active & ~hit
        a, fa, weight_a = (np.where(uphill_, new, old) for new, old in ((middle, a), (value, fa), (value, weight_a)))
        b, fb, weight_b = (np.where(downhill, new, old) for new, old in ((middle, b), (value, fb), (value, weight_b)))
        # Illinois: an end that stays twice counts half
        weight_b = np.where(uphill_ & (side > 0.0), 0.5 * weight_b, weight_b)
        weight_a = np.where(downhill & (side < 0.0), 0.5 * weight_a, weight_a)
        side = np.where(uphill_, 1.0, np.where(downhill, -1.0, side))
    return np.where(active, np.where(fa <= -fb, a, b), found)
