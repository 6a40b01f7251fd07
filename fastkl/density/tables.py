"""Tables of several columns, of whatever library: choosing columns, and giving rows back in the form they came in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def is_table(X: Any) -> bool:
    """Whether X is a data frame (pandas, polars, pyarrow) with named columns, and not an array."""
    return not isinstance(X, np.ndarray) and hasattr(X, "columns") and hasattr(X, "shape")


def columns_of(X: Any, numbers: list[int]) -> Any:
    """Some columns, in the same kind of table; arrays stay C-contiguous."""
    if isinstance(X, np.ndarray):
        return X if numbers == list(range(X.shape[1])) else np.ascontiguousarray(X[:, numbers])
    if hasattr(X, "iloc"):
        return X.iloc[:, numbers]
    return X.select(numbers) if hasattr(X, "column_names") else X[:, numbers]


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
