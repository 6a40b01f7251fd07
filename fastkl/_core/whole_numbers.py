"""What is a number of things: rows, components, draws."""

from __future__ import annotations

from numbers import Integral
from typing import Any

EXACT = 2**53  # from here on whole numbers are not told apart as floating-point numbers


def is_count(value: Any, least: int = 1) -> bool:
    """Whether this is a whole number of at least so many; True and False are none."""
    return not isinstance(value, bool) and isinstance(value, Integral) and int(value) >= least
