r"""Columns that end, or that are round: what ``boundary=`` means, and the way into coordinates without an end and back.

A column lives on a line, or on [low, high] with reflection at its ends, or on the positive numbers or an interval, whose
logarithms or log-odds are what is smoothed, or on a circle. Logarithms and log-odds are new coordinates, whose slope the density
is multiplied by. Reflection and circles keep their coordinates: the density of a row is the sum of those of its images
(``folded``), so that what would leave the support comes back into it, and no mass is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.kernel.columns.column_types import ColumnTypes
from fastkl.density.kernel.columns.discrete import DiscreteKernel
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.exceptions import SupportError
from fastkl.rows.columns import column_number, named

WAYS = (
    "'reflect' (at 0, for values of at least 0), 'log' (above 0), 'logit' (between 0 and 1), ('log', low), ('logit', low, high), "
    "('circular', period), or (low, high) for reflection at these ends, one of which may be None"
)


@dataclass(frozen=True)
class ColumnSupport:
    """Where the values of a column lie.

    Parameters
    ----------
    kind : {"line", "reflect", "log", "logit", "circular"}
        How its ends are treated.
    low, high : float
        The ends, infinite where there is none; of a circle 0 and its period.
    entry : object
        As it was given.
    """

    kind: str = "line"
    low: float = -np.inf
    high: float = np.inf
    entry: Any = None

    @classmethod
    def of(cls, entry: Any) -> ColumnSupport:
        """What an entry of ``boundary`` means; ValueError for one that means nothing."""
        known = {"reflect": (0.0, np.inf), "log": (0.0, np.inf), "logit": (0.0, 1.0)}
        if entry is None:
            return cls()
        if isinstance(entry, str) and entry in known:
            return cls(entry, *known[entry], entry)
        if isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) in (2, 3):
            kind, *ends = entry if isinstance(entry[0], str) else ("reflect", *entry)
            if all(end is None or (isinstance(end, Real) and not isinstance(end, bool)) for end in ends):
                made = _of_ends(kind, [end if end is None else float(end) for end in ends])
                if made is not None:
                    return cls(*made, entry)
        raise ValueError(f"A boundary is {WAYS}; not {entry!r}.")

    def holds(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Which values lie in the support; NaN does not."""
        if self.kind in ("log", "logit"):
            return (values > self.low) & (values < self.high)
        if self.kind == "reflect":
            return (values >= self.low) & (values <= self.high)
        return ~np.isnan(values)

    def inner(self, values: NDArray[Any]) -> Floats:
        """Values as coordinates that are smoothed."""
        x: Floats = values.astype(np.float64)
        if self.kind == "circular":
            return np.mod(x, self.high)
        if self.kind == "log":
            return np.log(x - self.low)
        if self.kind == "logit":
            return np.log((x - self.low) / (self.high - x))
        return x

    def outer(self, coordinates: Floats) -> Floats:
        """Coordinates, on this side of the ends or beyond them, as values: beyond an end they come back from it."""
        if self.kind == "circular":
            return np.mod(coordinates, self.high)
        least, most = np.nextafter(self.low, np.inf), np.nextafter(self.high, -np.inf)
        if self.kind == "log":  # rounding may reach the end itself, where the density is none
            return np.maximum(self.low + np.exp(coordinates), least)
        if self.kind == "logit":
            share = expit(coordinates)
            inside = np.where(
                share < 0.5,
                self.low + (self.high - self.low) * share,
                self.high - (self.high - self.low) * expit(-coordinates),
            )
            return np.clip(inside, least, most)
        if self.kind == "line":
            return coordinates
        if np.isfinite(self.high - self.low):
            width = self.high - self.low
            around = np.mod(coordinates - self.low, 2.0 * width)
            return np.clip(self.low + np.minimum(around, 2.0 * width - around), self.low, self.high)
        end = self.low if np.isfinite(self.low) else self.high
        way = np.abs(coordinates - end)
        return end + way if end == self.low else end - way

    def log_slope(self, values: NDArray[Any]) -> Floats:
        """Logarithm of the slope of the coordinates."""
        x: Floats = values.astype(np.float64)
        if self.kind == "log":
            return -np.log(x - self.low)
        if self.kind == "logit":
            return np.log(self.high - self.low) - np.log(x - self.low) - np.log(self.high - x)
        return np.zeros(len(x))

    def slopes(self, values: NDArray[Any], slopes: Floats) -> Floats:
        """The slope of a log-density by the values, from that of the sum by the coordinates."""
        x: Floats = values.astype(np.float64)
        if self.kind == "log":
            return (slopes - 1.0) / (x - self.low)
        if self.kind == "logit":
            below, above = x - self.low, self.high - x
            return slopes * (self.high - self.low) / (below * above) - 1.0 / below + 1.0 / above
        return slopes

    def mirrors(self) -> Mirrors | None:
        """The ends at which images are taken; None where there are none."""
        if self.kind not in ("reflect", "circular"):
            return None
        return Mirrors(np.array([self.low]), np.array([self.high]), np.array([self.kind == "circular"]))

    def words(self) -> str:
        """The support in a message."""
        if self.kind == "log":
            return f"values above {self.low:g}"
        if self.kind == "logit":
            return f"values between {self.low:g} and {self.high:g}, neither of which is one"
        if not np.isfinite(self.high):
            return f"values of at least {self.low:g}"
        return (
            f"values of at most {self.high:g}"
            if not np.isfinite(self.low)
            else f"values from {self.low:g} to {self.high:g}"
        )


def _of_ends(kind: str, ends: list[float | None]) -> tuple[str, float, float] | None:
    """Kind and ends of a column that they describe; None where they describe none."""
    if kind == "circular":
        period = ends[0] if len(ends) == 1 else None
        return (kind, 0.0, period) if period is not None and 0.0 < period < np.inf else None
    if kind == "log" and len(ends) == 1:
        return (kind, ends[0], np.inf) if ends[0] is not None and np.isfinite(ends[0]) else None
    if kind not in ("reflect", "logit") or len(ends) != 2:
        return None
    low, high = (-np.inf if ends[0] is None else ends[0]), (np.inf if ends[1] is None else ends[1])
    wrong = not low < high or (np.isinf(low) and np.isinf(high)) or low == np.inf or high == -np.inf
    if wrong or (kind == "logit" and not np.isfinite(high - low)):
        return None
    return kind, low, high


class Support:
    """Where rows lie: a support for each of their columns.

    Parameters
    ----------
    columns : sequence of ColumnSupport
        One for each column.
    names : sequence of str or None
        Their names.
    types : ColumnTypes or None
        The columns of labels and of whole numbers, if there are some.
    """

    def __init__(
        self, columns: Sequence[ColumnSupport], names: Sequence[str] | None = None, types: ColumnTypes | None = None
    ):
        self.columns, self.names = tuple(columns), names
        self.types = ColumnTypes({}, {}) if types is None else types
        self._ended = [j for j, column in enumerate(self.columns) if column.kind != "line"]
        kernels = {j: self.types.kernel(j) for j in sorted(self.types.kinds)}
        self.kernels: dict[int, DiscreteKernel] = {j: kernel for j, kernel in kernels.items() if kernel is not None}

    @classmethod
    def of(cls, boundary: Any, d: int, names: Any, types: ColumnTypes | None = None) -> Support:
        """What ``boundary`` means for d columns: one entry for all that are continuous, or entries by column."""
        discrete = () if types is None else types.kinds
        columns = [ColumnSupport()] * d
        if not isinstance(boundary, Mapping):
            entry = ColumnSupport.of(boundary)
            return cls([columns[j] if j in discrete else entry for j in range(d)], names, types)
        for key, entry in boundary.items():
            j = column_number(key, names, d, "boundary=: the table")
            columns[j] = ColumnSupport.of(entry)
            if j in discrete and columns[j].kind != "line":
                raise ValueError(
                    f"boundary={entry!r} of {named(j, names)}: a column of labels or whole numbers has no ends on a line. "
                    "Leave it out of boundary, or out of column_types."
                )
        return cls(columns, names, types)

    @property
    def plain(self) -> bool:
        """Whether no column ends, and all of them are continuous."""
        return not self._ended and not self.kernels

    @property
    def continuous(self) -> list[int]:
        """The columns of numbers on a line or a circle."""
        return [j for j in range(len(self.columns)) if j not in self.kernels]

    def taken(self, columns: list[int]) -> Support:
        """That of some of the columns."""
        names = None if self.names is None else [self.names[j] for j in columns]
        return Support([self.columns[j] for j in columns], names, self.types.part(columns))

    @property
    def folded(self) -> bool:
        """Whether rows have images."""
        return any(column.kind in ("reflect", "circular") for column in self.columns)

    def part(self, columns: list[int]) -> dict[int, Any] | None:
        """The entries of some of the columns, as ``boundary`` of these."""
        entries = {i: self.columns[j].entry for i, j in enumerate(columns) if j in self._ended}
        return entries or None

    def refuse(self, rows: Rows) -> None:
        """SupportError for the first row outside."""
        for j in self._ended:
            outside = ~self.columns[j].holds(rows.X[:, j])
            if outside.any():
                row = int(np.argmax(outside))
                raise SupportError(
                    f"boundary={self.columns[j].entry!r} of {named(j, self.names)} stands for {self.columns[j].words()}; "
                    f"{rows.place(row, j)} holds {rows.X[row, j]!s}. Leave the row out, or give another boundary."
                )

    def inner(self, X: NDArray[Any]) -> tuple[Any, NDArray[np.bool_] | None]:
        """Rows in coordinates that are smoothed, and which rows lie outside (their coordinates mean nothing)."""
        if self.plain:
            return X, None
        coordinates, outside = X.astype(np.float64), np.zeros(len(X), dtype=bool)
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            for j in self._ended:
                outside |= ~self.columns[j].holds(X[:, j])
                coordinates[:, j] = self.columns[j].inner(X[:, j])
            for j, kernel in self.kernels.items():
                outside |= ~kernel.holds(X[:, j])
        return coordinates, outside

    def clipped(self, X: Floats) -> Floats:
        """Rows in coordinates, those beyond an end at that end: for probabilities, which stay as they are from there on."""
        coordinates = X.copy()
        with np.errstate(divide="ignore"):
            for j in self._ended:
                column = self.columns[j]
                coordinates[:, j] = column.inner(np.clip(X[:, j], column.low, column.high))
        return coordinates

    def outer(self, coordinates: Floats, references: NDArray[Any]) -> Floats:
        """Coordinates as rows; circles begin at 0, or half a period before where ``references`` have negative values."""
        rows = coordinates
        for j in self._ended:
            column, values = self.columns[j], self.columns[j].outer(coordinates[:, j])
            if column.kind == "circular" and np.any(references[:, j] < 0):
                values = np.where(values >= 0.5 * column.high, values - column.high, values)
            rows[:, j] = values
        return rows

    def log_slope(self, X: NDArray[Any]) -> Any:
        """Logarithm of the volume of coordinates by that of rows (n,), 0 where it is that."""
        total: Any = 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            for j in self._ended:
                if self.columns[j].kind in ("log", "logit"):
                    total = total + self.columns[j].log_slope(X[:, j])
        return total

    def slopes(self, X: NDArray[Any], slopes: Floats) -> Floats:
        """Gradients (n, d) by the rows from those by the coordinates."""
        with np.errstate(invalid="ignore", divide="ignore"):
            for j in self._ended:
                slopes[:, j] = self.columns[j].slopes(X[:, j], slopes[:, j])
        return slopes

    def mirrors(self, centre: Floats) -> Mirrors | None:
        """The ends at which images are taken, in coordinates about a centre; None where there are none."""
        if not self.folded:
            return None
        own = [column.mirrors() for column in self.columns]
        low = np.array([-np.inf if one is None else one.low[0] for one in own])
        high = np.array([np.inf if one is None else one.high[0] for one in own])
        return Mirrors(
            low - centre, high - centre, np.array([one is not None and bool(one.circular[0]) for one in own])
        )
