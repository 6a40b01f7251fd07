"""Which columns of a table are meant: names, numbers, slices, masks and callables, in the manner of ColumnTransformer."""

import difflib
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError

# How alike a name has to be to be asked about (a share of common letters, from 0 to 1).
_ALIKE = 0.65

Names = Sequence[Any] | NDArray[Any]


def column_numbers(columns: Any, X: Any, names: Names | None, d: int, place: str = "The table") -> list[int]:
    """Numbers of the columns that are meant, each within 0 .. d - 1.

    Parameters
    ----------
    columns : str, int, slice, sequence of str, int or bool, or callable
        Names, numbers (negative ones count from the end), a slice of either (of names both ends are in), a mask, or a function
        of the table that returns one of these, such as ``make_column_selector``.
    X : array-like or table
        The table, for a callable.
    names : sequence of str or None
        The names of its columns, where it has some.
    d : int
        How many columns it has.
    place : str
        What messages call it.
    """
    if callable(columns):
        columns = columns(X)
    if isinstance(columns, str):
        return [column_number(columns, names, d, place)]
    if isinstance(columns, slice):
        ends = [columns.start, columns.stop]
        if any(isinstance(end, str) for end in ends):
            first = 0 if ends[0] is None else column_number(ends[0], names, d, place)
            last = d - 1 if ends[1] is None else column_number(ends[1], names, d, place)
            return list(range(first, last + 1, columns.step or 1))
        return list(range(*columns.indices(d)))
    chosen = [columns] if np.ndim(columns) == 0 else list(columns)
    if chosen and all(isinstance(column, bool | np.bool_) for column in chosen):
        if len(chosen) != d:
            raise ValueError(f"A mask of {len(chosen)} columns does not fit a table of {d} columns.")
        return [j for j, taken in enumerate(chosen) if taken]
    return [column_number(column, names, d, place) for column in chosen]


def column_number(column: Any, names: Names | None, d: int, place: str = "The table") -> int:
    """The number of one column: by its name, else by its number (from the end where negative).

    A name may be of any type; what is the name of a column is not taken for a number.
    """
    if isinstance(column, bool | np.bool_):
        raise TypeError(f"A column is given by its name or its number, not by {column!r}.")
    known = None if names is None else list(names)
    if known is not None and column in known:
        return known.index(column)
    if isinstance(column, int | np.integer):
        if not -d <= column < d:
            raise SourceError(
                f"{place} has {d} columns, so that there is no column {column}; they are numbered from 0 to {d - 1}."
            )
        return int(column) % d
    if not isinstance(column, str):
        raise TypeError(f"A column is given by its name or its number, not by {column!r}.")
    if known is None:
        raise SourceError(f"{place} has columns without names; choose them by number, not by {column!r}.")
    near = difflib.get_close_matches(column, [name for name in known if isinstance(name, str)], n=3, cutoff=_ALIKE)
    if near:
        raise SourceError(
            f"{place} has no column {column!r}. Did you mean {' or '.join(map(repr, near))}? Its columns are {listed(known)}."
        )
    raise SourceError(f"{place} has no column {column!r}; its columns are {listed(known)}.")


def as_list(columns: Any) -> list[Any]:
    """Columns that a person names, in a list: a single text or number is one of them, not letters."""
    return [columns] if isinstance(columns, str | int) else list(columns)


def refuse_unparted(groups: Sequence[tuple[str, Sequence[int]]], names: Names | None, d: int) -> None:
    """ValueError unless every column is in one of the groups, and once."""
    owners: dict[int, str] = {}
    for name, numbers in groups:
        for j in numbers:
            if j in owners:
                raise ValueError(
                    f"The groups {owners[j]!r} and {name!r} both claim {named(j, names)}; a column belongs to one group."
                )
            owners[j] = name
    free = [named(j, names).removeprefix("column ") for j in range(d) if j not in owners]
    if free:
        raise ValueError(
            f"No group claims column{'s' * (len(free) > 1)} {', '.join(free)}, of n_features = {d}. A density is one of all "
            "columns: add a group, or pass a table without them."
        )


def refuse_duplicates(names: Names, name: str, wanted: Collection[int] | None = None) -> None:
    """SourceError where two columns have one name, and either is among the ``wanted`` (None for all)."""
    seen: dict[Any, int] = {}
    for j, column in enumerate(names):
        if column in seen and (wanted is None or j in wanted or seen[column] in wanted):
            raise SourceError(
                f"{name} has two columns named {column!r}, columns {seen[column]} and {j}: names have to tell columns apart. "
                "Rename one of them, or leave it out."
            )
        seen.setdefault(column, j)


def named(column: int, names: Names | None) -> str:
    """A column in words, by its number and, where it has one, its name."""
    return f"column {column}" if names is None else f"column {column} ({names[column]!r})"


def all_named(names: Names | None) -> str:
    """All columns in words."""
    return "columns without names" if names is None else f"the columns {listed(names)}"


def listed(names: Names, most: int = 20) -> str:
    """Names in a sentence, cut where there are very many."""
    text = ", ".join(repr(name) for name in names[:most])
    return text if len(names) <= most else f"{text} and {len(names) - most} more"
