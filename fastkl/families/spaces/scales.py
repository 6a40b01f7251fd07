"""Scales on which a number has the whole line: itself, its logarithm, its logit. Steps and intervals are taken there.

Values whose logarithm or logit is infinite have no place on the line; they are moved inside before a step is taken.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from scipy.special import expit, logit

from fastkl._core.array_types import Floats


class Scale(Protocol):
    """A map of a range of numbers to the whole line."""

    def to(self, value: Any) -> Floats:
        """Numbers on the line."""
        ...

    def back(self, u: Any) -> Floats:
        """Values at numbers on the line."""
        ...

    def slope(self, value: Any) -> Floats:
        """Derivative of ``back`` where it takes this value."""
        ...

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        """Ends of the interval that is symmetric on the line; ``half`` is its half-width in units of the value."""
        ...


class Identity:
    """The number itself: for those that may be anything."""

    def to(self, value: Any) -> Floats:
        return np.asarray(value, dtype=np.float64)

    def back(self, u: Any) -> Floats:
        return np.asarray(u, dtype=np.float64)

    def slope(self, value: Any) -> Floats:
        return np.ones_like(value, dtype=np.float64)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return value - half, value + half


class Log:
    """The logarithm: for positive numbers."""

    def to(self, value: Any) -> Floats:
        return np.asarray(np.log(value))

    def back(self, u: Any) -> Floats:
        return np.asarray(np.exp(u))

    def slope(self, value: Any) -> Floats:
        return np.asarray(value, dtype=np.float64)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        with np.errstate(all="ignore"):
            return value * np.exp(-half / value), value * np.exp(half / value)


class FromMinusOne(Identity):
    """The logarithm of 1 + x: for steps of numbers above -1, whose intervals are those of the number itself."""

    def to(self, value: Any) -> Floats:
        return np.asarray(np.log1p(value))

    def back(self, u: Any) -> Floats:
        return np.asarray(np.expm1(u))

    def slope(self, value: Any) -> Floats:
        return np.asarray(1.0 + np.asarray(value, dtype=np.float64))


class Logit:
    """The logit: for numbers between 0 and 1."""

    def to(self, value: Any) -> Floats:
        return np.asarray(logit(value))

    def back(self, u: Any) -> Floats:
        return np.asarray(expit(u))

    def slope(self, value: Any) -> Floats:
        return np.asarray(value * (1.0 - value))

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        with np.errstate(all="ignore"):
            centre, wide = logit(value), half / (value * (1.0 - value))
            return expit(centre - wide), expit(centre + wide)


IDENTITY, LOG, FROM_MINUS_ONE, LOGIT = Identity(), Log(), FromMinusOne(), Logit()
