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


@dataclass(frozen=True)
class Choice:
    """What is wanted of a batch: ``columns`` (None for all), the column ``weights`` if they are one, labels or numbers."""

    columns: Sequence[Any] | None = None
    weights: str | None = None
    labels: bool = False


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
        X = arrow.matrix([data.column(j) for j in wanted], [names[j] for j in wanted], choice.labels, place)
        weights = None if choice.weights is None else arrow.weight_column(data, choice.weights, place)
        return Batch(X, [names[j] for j in wanted], weights)
    if hasattr(data, "columns") and hasattr(data, "shape"):
        return _frame(data, choice, place)
    X = _array(data, choice.labels, place)
    if choice.weights is not None:
        raise SourceError(f"{place} is an array without named columns, so that {choice.weights!r} names no weights.")
    if choice.columns is not None:
        X = X[:, chosen(choice, None, X.shape[1], place)]
    return Batch(X, None, None)


def chosen(choice: Choice, names: Sequence[Any] | None, width: int, place: str) -> list[int]:
    """Numbers of the wanted columns."""
    if choice.columns is None:
        wanted = [j for j in range(width) if names is None or names[j] != choice.weights or choice.weights is None]
    else:
        wanted = [column_number(column, names, width, place) for column in choice.columns]
    if not wanted:
        raise SourceError(f"{place} has no columns to read.")
    return wanted


def column_number(column: Any, names: Sequence[Any] | None, width: int, place: str) -> int:
    """The number of a column given by name or, where columns are numbered, by number (from the end where negative)."""
    if names is not None and column in names:
        return names.index(column)
    if isinstance(column, int | np.integer) and not isinstance(column, bool):
        if not -width <= column < width:
            raise SourceError(f"{place} has {width} columns, so that there is no column {column}.")
        return int(column) % width
    if names is None:
        raise SourceError(f"{place} has columns without names; choose them by number, not by {column!r}.")
    raise SourceError(f"{place} has no column {column!r}; its columns are {listed(names)}.")


def listed(names: Sequence[Any], most: int = 20) -> str:
    """Names in a sentence, cut where there are very many."""
    text = ", ".join(map(repr, names[:most]))
    return text if len(names) <= most else f"{text} and {len(names) - most} more"


def as_floats(X: NDArray[Any]) -> NDArray[Any]:
    """float32 and float64 in this machine's byte order as they are, other numbers as float64."""
    if X.dtype.kind == "f" and X.dtype.itemsize in (4, 8):
        return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))
    return X.astype(np.float64)


def common_float(dtypes: Sequence[Any]) -> np.dtype[Any]:
    """float32 where NumPy would hold all of these in it without loss, else float64."""
    common = np.result_type(*dtypes)
    return common if common == np.float32 else np.dtype(np.float64)


def _array(data: Any, labels: bool, place: str) -> NDArray[Any]:
    if hasattr(data, "toarray"):
        raise SourceError(f"{place} is a sparse matrix; pass dense arrays, for example batch.toarray().")
    X = np.asarray(data)
    if X.ndim != 2:
        hint = " Reshape it with .reshape(-1, 1) if it is one column." if X.ndim == 1 and X.dtype.kind in "fiub" else ""
        raise SourceError(f"{place} has shape {X.shape}; rows of shape (n, d) are needed.{hint}")
    if labels or X.dtype.kind == "f":
        return X if labels else as_floats(X)
    if X.dtype.kind in "iub":
        return X.astype(np.float64)
    if X.dtype.kind == "O":
        return np.stack([_numbers(X[:, j], f"column {j}", place) for j in range(X.shape[1])], axis=1)
    raise SourceError(
        f"{place} has values of type {X.dtype}, not real numbers. Labels as they are can be fitted by the family 'categorical'."
    )


def _frame(data: Any, choice: Choice, place: str) -> Batch:
    names = list(data.columns)
    wanted = chosen(choice, names, len(names), place)
    columns = [_series(data, names, j) for j in wanted]
    if choice.labels:
        dtypes = {column.dtype for column in columns}
        X = np.empty((len(data), len(wanted)), dtype=dtypes.pop() if len(dtypes) == 1 else object)
    else:
        columns = [_numbers(column, f"column {names[j]!r}", place) for j, column in zip(wanted, columns, strict=True)]
        X = np.empty((len(data), len(wanted)), dtype=common_float([column.dtype for column in columns]))
    for j, column in enumerate(columns):
        X[:, j] = column
    weights = None
    if choice.weights is not None:
        j = column_number(choice.weights, names, len(names), place)
        weights = _numbers(_series(data, names, j), f"column {choice.weights!r}", place)
    said = [names[j] for j in wanted]
    return Batch(X, said if all(isinstance(name, str) for name in said) else None, weights)


def _series(data: Any, names: list[Any], j: int) -> NDArray[Any]:
    return np.asarray(data.iloc[:, j] if hasattr(data, "iloc") else data[names[j]])


def _numbers(column: NDArray[Any], name: str, place: str) -> NDArray[Any]:
    """A column as numbers; what is missing becomes NaN, for the row to be named later."""
    if column.dtype.kind in "fiub":
        return column
    values = np.empty(len(column))
    for row, value in enumerate(column.tolist() if column.dtype.kind == "O" else column):
        try:
            values[row] = float(value)
        except (TypeError, ValueError):
            # a missing value is the one that does not equal itself; pandas.NA answers neither way
            if value is not None and isinstance(value == value, bool | np.bool_) and value == value:
                raise SourceError(
                    f"{place}, {name} (type {column.dtype}) holds {value!r} in row {row}, which is not a number. Leave the "
                    "column out (columns=[...]) or encode it; labels as they are can be fitted by the family 'categorical'."
                ) from None
            values[row] = np.nan
    return values
