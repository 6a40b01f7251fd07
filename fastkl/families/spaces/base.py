"""What every parameter space offers, and the roles that a parameter has under affine maps of the rows.

**Roles.** How a parameter follows the rows when they are mapped by x -> a + c x, c > 0:

==================  =======================  ==================================================
``role``            moves to                 for example
==================  =======================  ==================================================
``"location"``      a + c value              loc of a normal, low and high of a uniform distribution
``"scale"``         c value                  scale of a gamma distribution, a standard deviation
``"inverse_scale"``  value / c               a rate per unit of x
``"log_location"``  value + log c, if a = 0  the mean of log x
``None``            value                    a shape, degrees of freedom, a concentration
==================  =======================  ==================================================

A covariance with role ``"scale"`` moves to c^2 value.

**Stacked parameters.** A mixture holds one value per component, with the component as the leading axis. Numbers and rows of
probabilities take leading axes as they are: their entries are then ``"scale[1,0]"``, and the last axis remains that of the
columns. For matrices and directions, whose entries hang together, ``stacked.Stacked`` wraps the space of one component.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats

ROLES = (None, "location", "scale", "inverse_scale", "log_location")

# Linear maps of the rows, by what they free: a factor of each column, one factor of all, a rotation.
COLUMNWISE = frozenset({"scale", "size"})
LINEAR = frozenset({"scale", "size", "rotation"})


class Block(Protocol):
    """The coordinates of one parameter around a value: as many numbers as are free, any of which stand for a value in range."""

    name: str
    size: int

    def entries(self) -> list[str]:
        """Names of the parameter's own entries, as in ``param_names_``."""
        ...

    def to(self, value: Any) -> Floats:
        """Coordinates of a value of the parameter."""
        ...

    def back(self, u: Floats) -> Any:
        """The value at coordinates."""
        ...

    def pull(self, value: Any, gradient: Any) -> Floats:
        """Derivatives by the coordinates, (..., size), from derivatives by the parameter, (..., *shape)."""
        ...

    def jacobian(self, value: Any) -> Floats:
        """Derivatives of the entries by the coordinates, (len(entries), size)."""
        ...

    def fill(self, entries: Floats) -> Any:
        """Figures for each entry, put in the parameter's shape; nan where there is no entry."""
        ...


@dataclass(frozen=True, kw_only=True)
class Space:
    """What all parameters have.

    Parameters
    ----------
    role : {"location", "scale", "inverse_scale", "log_location"} or None, default=None
        How it follows an affine map of the rows; see the module.
    spread : str, default=None
        For a location: the parameter that gives the unit of its steps.
    irregular : bool, default=False
        Whether the support depends on it, so that the likelihood has no slope 0 at its maximum, and it no standard error.
    centre : bool, default=None
        Whether it is the mean, or another centre, in the unit of the rows: what a ``NormalPrior`` is about. None takes
        regular locations.
    """

    role: str | None = None
    spread: str | None = None
    irregular: bool = False
    centre: bool | None = None

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ValueError(f"A role is one of {', '.join(map(repr, ROLES))}, not {self.role!r}.")

    @property
    def is_centre(self) -> bool:
        """Whether it is a centre of the distribution, in the unit of the rows or of their logarithms."""
        located = self.role in ("location", "log_location") and not self.irregular
        return located if self.centre is None else self.centre

    @property
    def default_prior(self) -> str | None:
        """Its term in the default prior, by the names of ``priors.WeaklyInformative``; None where that is flat."""
        return None

    @property
    def follows(self) -> frozenset[str]:
        """The linear maps of the rows that it follows, where it has a role."""
        return LINEAR if self.role == "location" else COLUMNWISE

    # -- shape -------------------------------------------------------------------------------------------------------------

    def n_columns(self, value: Any) -> int | None:
        """Columns of a row by a value, also as a user gives it; None where it stands for any number of them."""
        return int(np.atleast_1d(value).shape[-1])

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        """A value for rows of d columns, as float64 in its shape and checked; ``label`` names it in errors."""
        raise NotImplementedError

    def taken(self, value: Any, columns: Any) -> Any:
        """The value for some of the columns."""
        return value if np.ndim(value) == 0 else value[..., columns]

    def size(self, value: Any) -> int:
        """Number of free numbers in a value."""
        return int(np.size(value))

    def entries(self, name: str, value: Any) -> list[str]:
        """Names of its entries: ``"scale[0]"``, or the name itself for a number."""
        return entry_names(name, np.shape(value))

    def filled(self, entries: Floats, value: Any) -> Any:
        """Figures for each entry, in the shape of a value."""
        return entries.reshape(np.shape(value))[()]

    # -- range -------------------------------------------------------------------------------------------------------------

    def check(self, value: Any, label: str) -> None:
        """ValueError unless the value lies in the range."""
        raise NotImplementedError

    @property
    def has_edges(self) -> bool:
        """Whether a value can sit at an edge of the range at all."""
        return type(self).at_edge is not Space.at_edge

    def at_edge(self, value: Any) -> NDArray[np.bool_]:
        """Entries that sit at an edge of the range, where they have no standard error."""
        return np.zeros(np.shape(value), dtype=bool)

    def inside(self, value: Any, edge: float) -> Any:
        """The value with entries at an edge of the range moved inside by about ``edge``, so that coordinates exist."""
        return value

    def ended(self, value: Any, near: float) -> Any:
        """The value with probabilities, and what else has no unit, within ``near`` of an end of their range set there."""
        return value

    # -- coordinates -------------------------------------------------------------------------------------------------------

    def block(self, name: str, value: Any, unit: Any = None, entries: Collection[str] | None = None) -> Block:
        """Coordinates around a value; ``unit`` is that of a location's steps, ``entries`` narrows them down by name."""
        raise NotImplementedError

    def unit_of_location(self, value: Any) -> Any:
        """The unit of a location's steps, where this parameter is its ``spread``."""
        return value

    def interval(self, value: Any, half: Any) -> tuple[Any, Any]:
        """Ends of the interval symmetric on the parameter's scale; ``half`` is the half-width in units of the value."""
        raise NotImplementedError


def entry_names(name: str, shape: tuple[int, ...]) -> list[str]:
    """``"scale[0]"``, ``"probabilities[0,1]"``: names of all entries; the name itself for a number."""
    if not shape:
        return [name]
    if len(shape) == 1:
        return [f"{name}[{j}]" for j in range(shape[0])]
    return [f"{name}[{','.join(map(str, index))}]" for index in np.ndindex(shape)]


def as_numbers(value: ArrayLike, label: str) -> Floats:
    """A value that a user gives as an array of float64; ValueError if it does not hold numbers alone."""
    try:
        return np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"{label} has to hold numbers, not {value!r}.") from None
