"""Tables of several columns, of whatever library: names, types and values of columns, choosing some, and giving rows back."""

import importlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class NamedArray:
    """An array with the names of its columns, where no library of data frames is there to hold both."""

    values: NDArray[Any]
    names: list[str]

    def __len__(self) -> int:
        return len(self.values)


def is_table(X: Any) -> bool:
    """Whether X is a data frame (pandas, polars, pyarrow) with named columns, and not an array."""
    # a LazyFrame has no shape, and to ask it for its columns would resolve its query
    return not isinstance(X, np.ndarray) and hasattr(X, "shape") and hasattr(X, "columns")


def as_table(X: Any) -> Any:
    """A record batch of Arrow as the table that it is, of which scikit-learn reads the names; anything else as it is."""
    if type(X).__name__ == "RecordBatch" and type(X).__module__.split(".")[0] == "pyarrow":
        return importlib.import_module("pyarrow").Table.from_batches([X])
    return X


def column_names(X: Any) -> list[Any] | None:
    """The names of the columns of a table (Arrow has them under a name of its own); None for what is no table."""
    if hasattr(X, "collect_schema"):  # of polars, eager or lazy
        return list(X.collect_schema().names())
    names = getattr(X, "column_names", getattr(X, "columns", None))
    return None if names is None else list(names)


def column_types(X: Any) -> list[Any]:
    """The types of the columns of a table, as its library has them."""
    return list(X.schema.types) if hasattr(X, "column_names") else list(X.dtypes)


def column_values(X: Any, j: int) -> NDArray[Any]:
    """The values of a column of a table."""
    if hasattr(X, "iloc"):
        return np.asarray(X.iloc[:, j])
    if hasattr(X, "column_names"):
        return arrow_values(X.column(j))
    return np.asarray(X[X.columns[j]])


def arrow_values(column: Any) -> NDArray[Any]:
    """The values of a column of Arrow, chunked or not."""
    return np.asarray(column.to_numpy() if hasattr(column, "chunks") else column.to_numpy(zero_copy_only=False))


def columns_of(X: Any, numbers: list[int]) -> Any:
    """Some columns, in the same kind of table; arrays stay C-contiguous."""
    if isinstance(X, np.ndarray):
        return X if numbers == list(range(X.shape[1])) else np.ascontiguousarray(X[:, numbers])
    if hasattr(X, "iloc"):
        return X.iloc[:, numbers]
    return X.select(numbers) if hasattr(X, "column_names") else X[:, numbers]


def with_fitted_names(thing: Any, X: Any) -> Any:
    """An array as a data frame for a model from elsewhere that was fitted to one, and would miss the names of the columns."""
    names = getattr(thing, "feature_names_in_", None)
    if names is None or not isinstance(X, np.ndarray) or X.ndim != 2 or X.shape[1] != len(names):
        return X
    try:
        pandas = importlib.import_module("pandas")
    except ImportError:
        return X
    return pandas.DataFrame(X, columns=names)


def table_kind(X: Any) -> list[str] | None:
    """The dtypes of a pandas DataFrame as text, so that drawn rows can be given them; None for anything else."""
    return [str(dtype) for dtype in X.dtypes] if hasattr(X, "iloc") and hasattr(X, "dtypes") else None


def rows_as(dtypes: list[str] | None, columns: list[NDArray[Any]], names: Any) -> Any:
    """Columns as an array, or as a DataFrame of these dtypes where each can hold its column."""
    if dtypes is None:
        labels = any(column.dtype.kind not in "fiub" for column in columns)
        return np.stack([column.astype(object) if labels else column for column in columns], axis=1)
    import pandas as pd

    table = pd.DataFrame(dict(enumerate(columns)))
    table.columns = range(len(columns)) if names is None else list(names)
    for j, dtype in enumerate(dtypes):
        given = pd.Series(columns[j])
        try:
            cast = given.astype(dtype)
        except (TypeError, ValueError):
            continue
        if dtype in ("float32", "float16") or (cast == given).all():
            table.isetitem(j, cast)
    return table
