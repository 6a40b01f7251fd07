r"""Integrals of exponentials of linear functions over a unit of length, without cancellation.

.. math:: g_k(\delta) = \int_0^1 s^k e^{-\delta s} \, ds, \quad k = 0, 1, 2, \quad \delta \ge 0

by their power series below 1, whose terms fall fast, and in closed form above, where no digits are lost.
"""

from __future__ import annotations

from math import factorial

import numpy as np

from fastkl._core.array_types import Floats

TERMS = 19


def moments(delta: Floats, highest: int) -> list[Floats]:
    """``g_k`` for k from 0 up to ``highest`` (at most 2) of an array of at least 0."""
    near = np.minimum(delta, 1.0)
    apart = np.maximum(delta, 1.0)
    decay, part = np.exp(-apart), 1.0 / apart  # whose powers end at 0, where those of the difference are no numbers
    closed = (
        lambda: -np.expm1(-apart) * part,
        lambda: (part - decay * (part + 1.0)) * part,
        lambda: (2.0 * part**2 - decay * (2.0 * part * (part + 1.0) + 1.0)) * part,
    )
    found = []
    for k in range(highest + 1):
        series = np.zeros_like(near)
        for j in range(TERMS - 1, -1, -1):
            series = (-1.0) ** j / (factorial(j) * (j + k + 1)) + near * series
        found.append(np.where(delta < 1.0, series, closed[k]()))
    return found


def ramp(at_zero: Floats, at_one: Floats) -> Floats:
    """The integral over s of s exp(p + (q - p) s), for p ``at_zero`` and q ``at_one``."""
    rise = at_one - at_zero
    whole, first = moments(np.abs(rise), 1)
    return np.where(rise >= 0.0, np.exp(at_one) * (whole - first), np.exp(at_zero) * first)
