"""Columns of Arrow tables as matrices: integers, decimals, booleans and texts of digits as floats, null as NaN, dictionaries as
their values.

``pyarrow`` is imported where it is needed; a table that arrives shows that it is there.
"""

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows import reading
from fastkl.rows.reading import common_float, is_date_type, numbers, refuse_dates_and_nested, refuse_nested
from fastkl.rows.tables import arrow_values


def import_pyarrow(what: str) -> Any:
    """The package, or an error that says how to get it."""
    try:
        import pyarrow
    except ImportError as error:
        raise ImportError(f"{what} needs pyarrow: pip install 'fastkl[files]'.") from error
    return pyarrow


def is_table(data: Any) -> bool:
    """Whether this is an Arrow table or record batch."""
    return type(data).__module__.split(".")[0] == "pyarrow" and hasattr(data, "schema") and hasattr(data, "column")


def number_type(kind: Any, name: str, place: str) -> np.dtype[Any]:
    """The NumPy type of an Arrow type that holds numbers; SourceError names the column and its type otherwise."""
    types = import_pyarrow("An Arrow table").types
    if types.is_dictionary(kind):
        return number_type(kind.value_type, name, place)
    if types.is_floating(kind) or types.is_integer(kind):
        return np.dtype(kind.to_pandas_dtype())
    if types.is_boolean(kind):
        return np.dtype(bool)
    if types.is_decimal(kind) or types.is_null(kind) or _is_text(kind):
        return np.dtype(np.float64)
    refuse_nested(f"column {name!r}", kind, None, place)
    error = ColumnTypeError if is_date_type(kind) else SourceError
    raise error(
        f"{place}: column {name!r} has type {kind}, not numbers. Leave the column out (columns=[...]) or encode it as numbers; "
        "labels as they are can be fitted by a categorical family."
    )


def matrix_type(kinds: Sequence[Any], names: Sequence[str], labels: bool, place: str) -> np.dtype[Any]:
    """The type of the matrix that holds columns of these Arrow types."""
    if labels:
        for kind, name in zip(kinds, names, strict=True):
            refuse_dates_and_nested(f"column {name!r}", kind, None, place)
        dtypes = {np.dtype(kind.to_pandas_dtype()) if _is_plain(kind) else np.dtype(object) for kind in kinds}
        return dtypes.pop() if len(dtypes) == 1 else np.dtype(object)
    return common_float([number_type(kind, name, place) for kind, name in zip(kinds, names, strict=True)])


def _is_text(kind: Any) -> bool:
    """Texts, which may be numbers: each is tried, as those of other tables are."""
    types = import_pyarrow("An Arrow table").types
    view = getattr(types, "is_string_view", None)  # of pyarrow 16 and later
    return bool(types.is_string(kind) or types.is_large_string(kind) or (view is not None and view(kind)))


def _is_plain(kind: Any) -> bool:
    types = import_pyarrow("An Arrow table").types
    return bool(types.is_floating(kind) or types.is_integer(kind) or types.is_boolean(kind))


def matrix(columns: Sequence[Any], names: Sequence[str], labels: bool, place: str) -> NDArray[Any]:
    """The columns side by side, C-contiguous."""
    dtype = matrix_type([column.type for column in columns], names, labels, place)
    return fill(columns, names, labels, dtype, place)


def fill(
    columns: Sequence[Any], names: Sequence[str], labels: bool, dtype: np.dtype[Any], place: str, first_row: int = 0
) -> NDArray[Any]:
    """The columns side by side in a matrix of this type."""
    if labels and any(column.null_count for column in columns):
        dtype = np.dtype(object)

    def values(j: int) -> NDArray[Any]:
        return _labels(columns[j]) if labels else _numbers(columns[j], f"{place}, column {names[j]!r}", first_row)

    if len(columns) == 1 and not labels and (only := values(0)).dtype == dtype and only.flags.c_contiguous:
        return only[:, np.newaxis]  # as it stands, which Arrow forbids to write to
    X = np.empty((len(columns[0]), len(columns)), dtype=dtype)
    for j in range(len(columns)):
        X[:, j] = values(j)
    return X


def refuse_inexact(columns: Sequence[Any], names: Sequence[str], place: str) -> None:
    """ValueError for a column of whole numbers so large that neighbours are one float64."""
    pyarrow = import_pyarrow("An Arrow table")
    compute = importlib.import_module("pyarrow.compute")
    for column, name in zip(columns, names, strict=True):
        if pyarrow.types.is_integer(column.type) and len(column) > column.null_count:
            ends = compute.min_max(column).as_py()
            for value in (ends["min"], ends["max"]):
                reading.refuse_inexact(np.array([value]), f"{place}, column {name!r}")


def weight_column(table: Any, name: str, place: str) -> NDArray[Any]:
    """A column of weights by its name."""
    if name not in table.schema.names:
        raise SourceError(
            f"{place} has no column {name!r} for the weights; its columns are {', '.join(table.schema.names)}."
        )
    column = table.column(table.schema.names.index(name))
    number_type(column.type, name, place)
    return np.ascontiguousarray(_numbers(column, f"{place}, column {name!r}"), dtype=np.float64)


def _numbers(column: Any, where: str, first_row: int = 0) -> NDArray[Any]:
    pyarrow = import_pyarrow("An Arrow table")
    types = pyarrow.types
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_decimal(column.type) or types.is_null(column.type):
        column = column.cast(pyarrow.float64())
    elif types.is_boolean(column.type):
        column = column.cast(pyarrow.uint8())
    elif _is_text(column.type):
        return numbers(arrow_values(column), where, first_row)
    return arrow_values(column)


def _labels(column: Any) -> NDArray[Any]:
    if import_pyarrow("An Arrow table").types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if not column.null_count:
        return arrow_values(column)
    values = np.empty(len(column), dtype=object)
    values[:] = column.to_pylist()
    return values
