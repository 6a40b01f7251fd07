"""What a display draws: the rows, which columns of them, and what the legend calls the density."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl.families.base import Family
from fastkl.rows.columns import column_numbers, refuse_duplicates
from fastkl.rows.reading import first_non_number_of, look
from fastkl.rows.tables import column_names

# More columns than this are not drawn unless they are chosen.
_MOST_PANELS = 30


def rows_and_names(estimator: Any, X: Any) -> tuple[Any, list[str]]:
    """Rows as an array of two dimensions, and the names of their columns."""
    X = look(X, "X")
    names = column_names(X)
    if names is None:
        names = getattr(estimator, "feature_names_in_", None)
    else:
        refuse_duplicates(names, "X")
    rows = np.asarray(X)
    if rows.dtype.kind == "c":
        raise ValueError(f"X has dtype {rows.dtype}; real numbers or labels are expected.")
    if rows.ndim != 2 or len(rows) == 0:
        raise ValueError(f"X has at least one row and two dimensions (rows, columns), not shape {rows.shape}.")
    if names is None or len(names) != rows.shape[1]:
        names = ["x"] if rows.shape[1] == 1 else [f"column {j}" for j in range(rows.shape[1])]
    return rows, [str(name) for name in names]


def numbers_of(values: Any) -> Any:
    """float64; ValueError for what is not finite."""
    values = np.asarray(values)
    found = None if values.dtype.kind in "fiub" else first_non_number_of(values.reshape(len(values), -1))
    if found is not None:
        raise ValueError(f"X holds {found[2]!r} in row {found[0]}, which is not a number.")
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    if not np.isfinite(numbers).all():
        row = int(np.argwhere(~np.isfinite(numbers))[0][0])
        raise ValueError(f"X has a missing or infinite value in row {row}; a plot needs complete rows.")
    return numbers


def chosen_columns(column: Any, names: Sequence[str]) -> list[int]:
    """Numbers of the columns to draw."""
    if column is None:
        if len(names) > _MOST_PANELS:
            raise ValueError(
                f"There are {len(names)} columns ({', '.join(names[:6])}, ...), more than {_MOST_PANELS} panels: choose some by "
                "column=."
            )
        return list(range(len(names)))
    given = [column] if isinstance(column, str | int | np.integer) else list(column)
    chosen = column_numbers(given, None, names, len(names), "X")
    if not chosen or len(set(chosen)) != len(chosen):
        raise ValueError(f"column names one column, two different columns or more, not {given}.")
    return chosen


def name_of(estimator: Any) -> str:
    """The family, with what it holds fixed, and of a mixture how many; or the class."""
    family, size = getattr(estimator, "family", None), getattr(estimator, "n_components", 1)
    if isinstance(family, Family):
        fixed = ", ".join(f"{key}={value}" for key, value in family.fixed_parameters().items())
        family = f"{family.name}({fixed})" if fixed else family.name
    if not isinstance(family, str):
        return type(estimator).__name__
    return f"mixture of {size} {family}" if size > 1 else family
