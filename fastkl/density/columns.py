"""Which columns of a table are meant: names, numbers, slices, masks and callables, in the manner of ColumnTransformer."""

import difflib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def column_numbers(columns: Any, X: Any, names: Sequence[str] | NDArray[Any] | None, d: int) -> list[int]:
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
    """
    if callable(columns):
        columns = columns(X)
    if isinstance(columns, str):
        return [_number_of(columns, names, d)]
    if isinstance(columns, slice):
        ends = [columns.start, columns.stop]
        if any(isinstance(end, str) for end in ends):
            first = 0 if ends[0] is None else _number_of(ends[0], names, d)
            last = d - 1 if ends[1] is None else _number_of(ends[1], names, d)
            return list(range(first, last + 1, columns.step or 1))
        return list(range(*columns.indices(d)))
    listed = [columns] if np.ndim(columns) == 0 else list(columns)
    if listed and all(isinstance(column, bool | np.bool_) for column in listed):
        if len(listed) != d:
            raise ValueError(f"A mask of {len(listed)} columns does not fit a table of {d} columns.")
        return [j for j, taken in enumerate(listed) if taken]
    return [_number_of(column, names, d) for column in listed]


def _number_of(column: Any, names: Sequence[str] | NDArray[Any] | None, d: int) -> int:
    if isinstance(column, str):
        if names is None:
            raise ValueError(
                f"Column {column!r} is asked for by name, but the rows come without names; give its number."
            )
        known = list(names)
        if column not in known:
            near = difflib.get_close_matches(column, known, n=3)
            hint = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
            raise ValueError(f"There is no column {column!r}.{hint} The columns are: {', '.join(map(str, known))}.")
        return known.index(column)
    if isinstance(column, bool | np.bool_) or not isinstance(column, int | np.integer):
        raise TypeError(f"A column is given by its name or its number, not by {column!r}.")
    if not -d <= column < d:
        raise ValueError(f"There is no column {column}: the table has n_features = {d}, numbered from 0 to {d - 1}.")
    return int(column) % d
