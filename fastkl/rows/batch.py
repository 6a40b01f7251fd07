"""From what a batch is (an array, a data frame, an Arrow table) to a matrix: columns chosen by name or number, numbers as
float32 or float64, labels as they are; a column that will not do is named with its type.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.columns import Names, column_number, refuse_duplicates
from fastkl.rows.reading import (
    as_floats,
    common_float,
    look,
    numbers,
    refuse_dates_and_nested,
    refuse_inexact,
    refuse_masked,
    refuse_sparse,
)
from fastkl.rows.tables import is_table


@dataclass(frozen=True)
class Choice:
    """What is wanted of a batch: ``columns`` (None for all), the column ``weights`` if they are one, labels or numbers.

    ``header`` says of a text file whether its first line holds names; None leaves that to the line. ``known`` are the names of a
    model's columns: where nothing is chosen, they are what is wanted of columns with names, whatever the others hold. ``exact``
    refuses whole numbers of which neighbours are one float64.
    """

    columns: Sequence[Any] | None = None
    weights: str | None = None
    labels: bool = False
    header: bool | None = None
    known: Sequence[str] | None = None
    exact: bool = False

    def of(self, names: Names | None) -> Sequence[Any] | None:
        """The columns wanted of those with these names; None for all."""
        if self.columns is not None or self.known is None or names is None:
            return self.columns
        return self.known if all(isinstance(name, str) for name in names) else None


ALL = Choice()


@dataclass(frozen=True)
class Batch:
    """A matrix with the names and weights that came with it."""

    X: NDArray[Any]
    names: list[str] | None
    weights: NDArray[Any] | None


def as_batch(data: Any, choice: Choice, place: str) -> Batch:
    """The chosen columns of a batch; ``place`` names it in messages."""
    if arrow.is_table(data):
        names, width = list(data.schema.names), len(data.schema.names)
        wanted = chosen(choice, names, width, place)
        if choice.exact:
            arrow.refuse_inexact([data.column(j) for j in wanted], [names[j] for j in wanted], place)
        X = arrow.matrix([data.column(j) for j in wanted], [names[j] for j in wanted], choice.labels, place)
        weights = None if choice.weights is None else arrow.weight_column(data, choice.weights, place)
        return Batch(X, [names[j] for j in wanted], weights)
    if is_table(data):
        return _frame(data, choice, place)
    return _array(data, choice, place)


def chosen(choice: Choice, names: Names | None, width: int, place: str) -> list[int]:
    """Numbers of the wanted columns, whose names no other column has: sources read, and scores find, columns by name."""
    columns = choice.of(names)
    if columns is None:
        wanted = [j for j in range(width) if names is None or names[j] != choice.weights or choice.weights is None]
    else:
        wanted = [column_number(column, names, width, place) for column in columns]
    if not wanted:
        raise SourceError(f"{place} has no columns to read.")
    if names is not None:
        weights = [] if choice.weights is None else [j for j in range(width) if names[j] == choice.weights]
        refuse_duplicates(names, place, wanted + weights)
    return wanted


def _array(data: Any, choice: Choice, place: str) -> Batch:
    refuse_sparse(data, place)
    X = data if isinstance(data, np.ndarray) else np.asanyarray(look(data, place))
    if X.ndim != 2:
        hint = " Reshape it with .reshape(-1, 1) if it is one column." if X.ndim == 1 and X.dtype.kind in "fiub" else ""
        raise SourceError(f"{place} has shape {X.shape}; rows of shape (n, d) are needed.{hint}")
    if X.shape[1] == 0:
        raise SourceError(f"{place} has no columns to read.")
    if choice.weights is not None:
        raise SourceError(f"{place} is an array without named columns, so that {choice.weights!r} names no weights.")
    wanted = chosen(choice, None, X.shape[1], place) if choice.columns is not None else range(X.shape[1])
    if choice.columns is not None:
        X = X[:, wanted]
    refuse_masked(X, place)
    X = np.asarray(X)
    for i, j in enumerate(wanted if X.dtype.kind in "OmM" else ()):
        refuse_dates_and_nested(f"column {j}", X.dtype, X[:, i], place)
    if choice.labels:
        return Batch(X, None, None)
    if X.dtype.kind in "fiub":
        for i, j in enumerate(wanted if choice.exact else ()):
            refuse_inexact(X[:, i], f"{place}, column {j}")
        return Batch(as_floats(X), None, None)
    if X.dtype.kind in "OUS":
        columns = [numbers(X[:, i], f"{place}, column {j}") for i, j in enumerate(wanted)]
        return Batch(np.stack(columns, axis=1), None, None)
    raise SourceError(
        f"{place} has values of type {X.dtype}, not real numbers. Encode them as numbers; labels as "
        "they are can be fitted by a categorical family."
    )


def _frame(data: Any, choice: Choice, place: str) -> Batch:
    names = list(data.columns)
    wanted = chosen(choice, names, len(names), place)
    columns = [_column(data, names, j, place) for j in wanted]
    if choice.labels:
        dtypes = {column.dtype for column in columns}
        X = np.empty((len(data), len(wanted)), dtype=dtypes.pop() if len(dtypes) == 1 else object)
    else:
        for j, column in zip(wanted if choice.exact else (), columns, strict=choice.exact):
            refuse_inexact(column, f"{place}, column {names[j]!r}")
        columns = [numbers(column, f"{place}, column {names[j]!r}") for j, column in zip(wanted, columns, strict=True)]
        X = np.empty((len(data), len(wanted)), dtype=common_float([column.dtype for column in columns]))
    for i, column in enumerate(columns):
        X[:, i] = column
    weights = None
    if choice.weights is not None:
        j = column_number(choice.weights, names, len(names), place)
        weights = numbers(_column(data, names, j, place), f"{place}, column {choice.weights!r}")
    of_X = [names[j] for j in wanted]
    return Batch(X, of_X if all(isinstance(name, str) for name in of_X) else None, weights)


def _column(data: Any, names: list[Any], j: int, place: str) -> NDArray[Any]:
    column = data.iloc[:, j] if hasattr(data, "iloc") else data[names[j]]
    values = np.asarray(column)
    refuse_dates_and_nested(f"column {names[j]!r}", column.dtype, values, place)
    return values
