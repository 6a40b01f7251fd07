"""Spaces of numbers that stand alone: on the line, the half-line, the unit interval, each with the scale it is at home on."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.families.spaces.base import COLUMNWISE, Block, Space, as_numbers
from fastkl.families.spaces.blocks import Elementwise
from fastkl.families.spaces.scales import FROM_MINUS_ONE, IDENTITY, LOG, LOGIT, Scale


class Numbers(Space):
    """Numbers on one scale, each on its own: one for each column, or a single one for all of them."""

    scale: ClassVar[Scale] = IDENTITY

    def wanted(self) -> str:
        """What the numbers have to do, after "has to"."""
        raise NotImplementedError

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        """Entries out of range."""
        raise NotImplementedError

    def check(self, value: Any, label: str) -> None:
        bad = self.outside(np.asarray(value))
        if bad.any():
            raise ValueError(f"{label} has to {self.wanted()}, not {np.asarray(value)[bad].ravel()[0]}.")

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = np.array(np.atleast_1d(as_numbers(value, label)))
        if array.shape != (d,):
            raise ValueError(f"{label} has to be {d} numbers, one for each column; it has shape {array.shape}.")
        self.check(array, label)
        return array

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return Elementwise(name, value, self.scale, unit, entries)

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        return self.scale.interval(value, half)


class Real(Numbers):
    """Any finite number: a location."""

    def wanted(self) -> str:
        return "be finite"

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        return ~np.isfinite(value)

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return super().block(name, value, 1.0 + np.abs(value) if unit is None else unit, entries)


class Angle(Real):
    """An angle in radians, of any turn: the location of a distribution on the circle."""

    @property
    def is_centre(self) -> bool:
        return True


class Slant(Numbers):
    """Any number, or infinite to either side, where a distribution is half of another."""

    def wanted(self) -> str:
        return "be a number, or infinite"

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        return np.isnan(value)

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return np.isinf(value)

    def inside(self, value: Any, edge: float) -> Any:
        return np.clip(value, -1.0 / edge, 1.0 / edge)[()]

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return Elementwise(name, value, self.scale, 1.0 + np.abs(value), entries)


class TailShape(Numbers):
    """The shape of an extreme-value distribution: at least -1, below which its density is infinite at an end."""

    def wanted(self) -> str:
        return "be finite and at least -1"

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        return ~((value >= -1.0) & (value < np.inf))

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return np.asarray(value == -1.0)

    def inside(self, value: Any, edge: float) -> Any:
        return np.maximum(value, edge - 1.0)[()]

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        return Elementwise(name, value, FROM_MINUS_ONE, unit, entries)


@dataclass(frozen=True, kw_only=True)
class Positive(Numbers):
    """Positive numbers.

    Parameters
    ----------
    zero : bool, default=False
        Whether 0 belongs to the range, as the edge of a family that goes on to it.
    limit : str, default=None
        The distribution that infinity stands for, where it belongs to the range.
    single : bool, default=False
        Whether a joint family has one number for all columns.

    Without a role and a centre they have no unit, and the default prior is one row against a factor of ten.
    """

    zero: bool = False
    limit: str | None = None
    single: bool = False
    scale: ClassVar[Scale] = LOG

    @property
    def default_prior(self) -> str | None:
        return None if self.role is not None or self.is_centre else "factor_of_ten"

    @property
    def follows(self) -> frozenset[str]:
        return frozenset({"size"}) if self.single else COLUMNWISE

    def n_columns(self, value: Any) -> int | None:
        return None if self.single else super().n_columns(value)

    def wanted(self) -> str:
        if self.limit is not None:
            return f"be positive, or infinite for {self.limit}"
        return "be finite and at least 0" if self.zero else "be positive and finite"

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        low = value >= 0.0 if self.zero else value > 0.0
        return ~low | (np.isinf(value) & (self.limit is None))

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return np.asarray((value == 0.0) | np.isinf(value))

    def inside(self, value: Any, edge: float) -> Any:
        return np.where(value <= 0.0, edge, np.where(np.isinf(value), 1.0 / edge, value))[()]

    def ended(self, value: Any, near: float) -> Any:
        return np.where(value <= near, 0.0, value)[()] if self.zero and self.role is None else value

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        if not self.single:
            return super().shaped(value, d, label)
        number = as_numbers(value, label)
        if number.ndim:
            raise ValueError(f"{label} has to be one number; it has shape {number.shape}.")
        self.check(number, label)
        return np.float64(number)


@dataclass(frozen=True, kw_only=True)
class DegreesOfFreedom(Positive):
    """Degrees of freedom: positive, with infinity as the boundary that is the normal distribution."""

    limit: str | None = "the normal distribution"


@dataclass(frozen=True, kw_only=True)
class Rate(Positive):
    """Rate of a count, per row: the default prior is half an event."""

    @property
    def default_prior(self) -> str | None:
        return "half_event"


@dataclass(frozen=True, kw_only=True)
class Concentration(Positive):
    """Concentration about a direction: 0 is the uniform distribution; steps of the direction are about 1 / sqrt(1 + k)."""

    zero: bool = True

    def unit_of_location(self, value: Any) -> Any:
        return 1.0 / np.sqrt(1.0 + value)


@dataclass(frozen=True, kw_only=True)
class UnitInterval(Numbers):
    """Probabilities, each of an event of its own.

    Parameters
    ----------
    zero, one : bool, default=False
        Whether the ends belong to the range.
    """

    zero: bool = False
    one: bool = False
    scale: ClassVar[Scale] = LOGIT

    @property
    def default_prior(self) -> str | None:
        return "even_halves"

    def wanted(self) -> str:
        return f"lie in {'[' if self.zero else '('}0, 1{']' if self.one else ')'}"

    def outside(self, value: Floats) -> NDArray[np.bool_]:
        low = value >= 0.0 if self.zero else value > 0.0
        return ~low | ~(value <= 1.0 if self.one else value < 1.0)

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        return np.asarray((value == 0.0) | (value == 1.0))

    def inside(self, value: Any, edge: float) -> Any:
        return np.clip(value, edge, 1.0 - edge)[()]

    def ended(self, value: Any, near: float) -> Any:
        low = np.where(self.zero & (value <= near), 0.0, value)
        return np.where(self.one & (value >= 1.0 - near), 1.0, low)[()]
