"""One reader of data: what is looked at before an array is converted, and from what a column holds to numbers.

A conversion forgets: ``np.asarray`` drops masks, turns NaN among texts into the text "nan", and dates into integers (NaT into
-9.2e18). So whatever comes in, an array, a list or a table, is looked at first, by its types; values are only looked at where
these are Python objects.
"""

import datetime
import os
from collections.abc import Iterator, Mapping, Set, ValuesView
from numbers import Rational, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.alignment import aligned
from fastkl._core.whole_numbers import EXACT
from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows.columns import Names, named
from fastkl.rows.missing import is_missing, missing
from fastkl.rows.tables import as_table, column_names, column_types, column_values, is_table

_DATE_CLASSES = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64)
# Types of pandas, polars and Arrow begin so, in lower case.
_DATE_TYPES = ("date", "time", "duration", "period", "month_day_nano")
# Cells that hold several values each: no numbers, and no labels, since they have no hash by which to tell them apart.
_NESTED_TYPES = ("list", "large_list", "fixed_size_list", "array(", "struct", "map<", "map(")
_NESTED_CLASSES = (list, dict, set, np.ndarray)
NESTED = "lists or records"  # what messages call them
# What stands for rows that are elsewhere, by the name of its type, and what makes them rows.
_UNREAD = {
    "LazyFrame": ("a LazyFrame", "collect it with .collect()"),
    "DuckDBPyRelation": ("a relation of duckdb", "fetch it with .df() or .pl()"),
    "RecordBatchReader": ("a reader of Arrow batches", "read it with .read_all()"),
}


# -- before a conversion -------------------------------------------------------------------------------------------------------


def look(data: Any, name: str) -> Any:
    """The data, once they are known to hold no masked value and no date; a list becomes an array.

    Parameters
    ----------
    data : array-like or table
        Rows, or one column.
    name : str
        What messages call them.

    Returns
    -------
    array-like or table
        The data as they are. Of a list the array, in which a missing value among texts is still missing.

    Raises
    ------
    SourceError
        If a value is masked or beyond the range of floats, rows of a list are of different lengths, or the rows are not at hand:
        a path, a LazyFrame, a relation, a stream.
    ColumnTypeError
        If a column holds dates or spans of time, or lists or records of values.
    TypeError
        If they are a dict, a view of its values, a set or an iterator.
    """
    if _is_plain(data):
        return aligned(data)  # kernels read them at addresses that suit their type
    refuse_unread(data, name)
    refuse_containers(data, name)
    data = as_table(data)
    if type(data) is not np.ndarray and all(hasattr(data, part) for part in ("__dlpack__", "shape", "ndim")):
        data = _shared(data, name)
    if isinstance(data, list | tuple):
        data = _array_of(data, name)
    elif not hasattr(data, "dtype") and not is_table(data) and hasattr(data, "__array__"):
        data = np.asarray(data)
    if _is_plain(data):
        return aligned(data)  # kernels read them at addresses that suit their type
    refuse_masked(data, name)
    for column, dtype, values in _columns(data):
        refuse_dates_and_nested(column, dtype, values, name)
    return data


def _is_plain(data: Any) -> bool:
    """Whether these are numbers of NumPy, in which there is nothing that a look could find."""
    return type(data) is np.ndarray and data.dtype.kind in "fiub"


def refuse_containers(data: Any, name: str) -> None:
    """TypeError for what holds values but no rows in order: a dict, a view of its values, a set, an iterator."""
    # A sparse matrix of kind dok is a dict too.
    if isinstance(data, Mapping | Set | Iterator | ValuesView) and not hasattr(data, "toarray"):
        if isinstance(data, Mapping) and data and all(isinstance(value, Real) for value in data.values()):
            raise TypeError(
                f"{name} is a {type(data).__name__} with a number for each label, not rows: probabilities are for "
                "fastkl.discrete_kl and its relatives, counts for fastkl.categorical_kl(..., counts=True) and those of it."
            )
        raise TypeError(
            f"{name} is a {type(data).__name__}, not an array or a table of rows: pass pandas.DataFrame({name}) for columns by "
            f"name, list({name}) for rows one by one, or an array."
        )


def refuse_unread(data: Any, name: str) -> None:
    """SourceError for rows that have to be read first: a path, a polars LazyFrame, a relation of duckdb, a stream or dataset."""
    if isinstance(data, str | bytes | os.PathLike):
        what, first = f"a path or text ({os.fspath(data)!r})", "read it, such as by pandas.read_csv or numpy.load"
    elif type(data).__name__ in _UNREAD:
        what, first = _UNREAD[type(data).__name__]
    elif hasattr(data, "scanner") and hasattr(data, "to_table"):
        what, first = "a dataset of pyarrow", "read it with .to_table()"
    elif hasattr(data, "__arrow_c_stream__") and not hasattr(data, "shape") and not hasattr(data, "__len__"):
        what, first = f"an Arrow stream ({type(data).__name__})", "make it a table with pyarrow.table"
    else:
        return
    raise SourceError(
        f"{name} is {what}, and rows in memory are needed: {first}; or use the calls that read it themselves, block by block "
        "(fit_batches, score_batches, kl_divergence_batches)."
    )


def refuse_sparse(data: Any, name: str) -> None:
    """SourceError for a sparse matrix."""
    if hasattr(data, "toarray"):
        raise SourceError(f"{name} is a sparse matrix; pass a dense array, for example by .toarray().")


def refuse_masked(data: Any, name: str, first_row: int = 0) -> None:
    """SourceError for a masked array with a masked value."""
    if isinstance(data, np.ma.MaskedArray) and data.size and np.ma.is_masked(data):
        place = [int(i) for i in np.argwhere(np.ma.getmaskarray(data))[0]]
        row, column = place[0] + first_row if place else first_row, place[1] if len(place) > 1 else 0
        raise SourceError(
            f"{name} has masked values, the first in row {row}, column {column}. Fill them, or drop their rows."
        )


def refuse_dates_and_nested(column: str, dtype: Any, values: NDArray[Any] | None, name: str) -> None:
    """ColumnTypeError for a column of dates or spans of time, or of lists or records: by its type or, where it holds Python
    objects, by its values.
    """
    objects, kinds = _objects(values)
    _refuse_nested(column, dtype, objects, kinds, name)
    if is_date_type(dtype):
        raise date_error(column, dtype, name)
    _refuse_date_objects(objects, kinds, column, name)
    _refuse_out_of_range(objects, kinds, column, name)


def refuse_nested(column: str, dtype: Any, values: NDArray[Any] | None, name: str) -> None:
    """ColumnTypeError for a column whose cells hold several values each."""
    _refuse_nested(column, dtype, *_objects(values), name)


def _objects(values: NDArray[Any] | None) -> tuple[list[Any], set[type]]:
    """The values that are Python objects, and their types."""
    objects = [] if values is None or values.dtype.kind != "O" else values.ravel().tolist()
    return objects, set(map(type, objects))


def _refuse_nested(column: str, dtype: Any, objects: list[Any], kinds: set[type], name: str) -> None:
    what = dtype if str(dtype).lower().startswith(_NESTED_TYPES) else None
    if what is None and any(issubclass(kind, _NESTED_CLASSES) for kind in kinds):
        row, value = next((i, value) for i, value in enumerate(objects) if isinstance(value, _NESTED_CLASSES))
        what = f"{value!r:.80} in row {row}"
    if what is not None:
        raise ColumnTypeError(
            # scikit-learn's checks of estimators look for "argument must be ... string ... number"
            f"{name}: {column[0].upper()}{column[1:]} holds {NESTED} ({what}), neither numbers nor labels: a cell of the "
            "argument must be one string or number. Make each of their parts a column of its own, or leave the column out."
        )


def is_date_type(dtype: Any) -> bool:
    """Whether a type of NumPy, pandas, polars or Arrow is one of dates, times or spans of time, or of categories of such."""
    dtype = getattr(dtype, "pyarrow_dtype", dtype)  # of pandas' columns of Arrow arrays
    of_categories = getattr(getattr(dtype, "categories", None), "dtype", None)
    if of_categories is not None:
        return is_date_type(of_categories)
    inner = getattr(dtype, "value_type", None)  # of Arrow's dictionaries
    if inner is not None:
        return is_date_type(inner)
    return getattr(dtype, "kind", "") in ("m", "M") or str(dtype).lower().startswith(_DATE_TYPES)


def date_error(column: str, dtype: Any, name: str) -> ColumnTypeError:
    """What to say of a column of dates or spans of time."""
    return ColumnTypeError(
        f"{name}: {column[0].upper()}{column[1:]} holds {dtype}, neither numbers nor labels. Convert it to a number, such as "
        "days since a date, or to text if it stands for labels; or leave it out."
    )


def _shared(data: Any, name: str) -> Any:
    """An array of another library (torch, jax, cupy) as NumPy's, by DLPack: without a copy where it is in main memory."""
    if isinstance(data, np.ndarray | np.generic):
        return data  # a subclass with a meaning of its own, such as masks
    try:
        return np.from_dlpack(data)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        kind = f"{type(data).__module__.split('.')[0]}.{type(data).__name__}"
        if "bfloat16" in str(getattr(data, "dtype", "")):
            raise SourceError(
                f"{name} is a {kind} of bfloat16, a type of about three significant digits that NumPy does not have. Pass "
                "X.float(); if the values come from log_softmax, compute that in float32, since differences of such rounded "
                "numbers are mostly rounding error."
            ) from error
        raise SourceError(
            f"{name} is a {kind} that can't be read where it is ({error}). Pass a copy in main memory, of float32 or float64 and "
            "without gradients, such as X.detach().cpu() of torch or X.get() of cupy."
        ) from error


def _array_of(data: Any, name: str) -> NDArray[Any]:
    """A list as an array, of objects where it holds texts and missing values."""
    for i, row in enumerate(data):
        if isinstance(row, np.ma.MaskedArray) and np.ma.getmaskarray(row).any():
            refuse_masked(np.ma.atleast_2d(row), name, first_row=i)
    if any(isinstance(row, Mapping) for row in data[:1]):
        raise ColumnTypeError(
            f"{name} is a list of {type(data[0]).__name__}s: make a table of them by pandas.DataFrame."
        )
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise SourceError(f"{name}: {_uneven(data)}") from error
    if array.dtype.kind in "US":
        objects = np.array(data, dtype=object)
        if objects.shape == array.shape and missing(objects).any():
            return objects
    return array


def _uneven(data: Any) -> str:
    """Which row of a list is of another length than the first, in words."""
    lengths = [
        np.shape(row)[:1] if hasattr(row, "dtype") else (len(row),) if hasattr(row, "__len__") else () for row in data
    ]
    row = next((i for i, length in enumerate(lengths) if length != lengths[0]), None)
    if row is None:
        return "its rows are of different lengths."
    first, other = (
        f"has length {length[0]}" if length else "is a single value" for length in (lengths[0], lengths[row])
    )
    return f"row 0 {first}, row {row} {other}; all have to be of one length."


def _columns(data: Any) -> Iterator[tuple[str, Any, NDArray[Any] | None]]:
    """Every column in words, its type, and its values where these are Python objects."""
    if is_table(data):
        names = column_names(data)
        for j, dtype in enumerate(column_types(data)):
            objects = str(dtype).lower() == "object"
            yield named(j, names), dtype, column_values(data, j) if objects else None
    elif hasattr(data, "dtype") or hasattr(data, "type"):
        dtype = data.dtype if hasattr(data, "dtype") else data.type
        if str(dtype).lower() != "object":
            yield named(0, None), dtype, None
            return
        values = np.asarray(data)
        for j in range(values.shape[1] if values.ndim > 1 else min(values.ndim, 1)):
            yield named(j, None), dtype, values[:, j] if values.ndim > 1 else values


def _refuse_date_objects(objects: list[Any], kinds: set[type], column: str, name: str) -> None:
    """Refuse dates among Python objects; a missing one among labels or numbers is a missing value."""
    kinds = {kind for kind in kinds if _is_date_class(kind)}
    if not kinds:
        return
    dates = [(i, value) for i, value in enumerate(objects) if type(value) in kinds]
    row, value = next(((i, value) for i, value in dates if not is_missing(value)), dates[0])
    if not is_missing(value):
        raise date_error(column, f"dates (in row {row} {value!r})", name)
    raise SourceError(
        f"{name}: row {row}, {column} holds {value!r}, a missing date. Remove the row, or give missing values a label "
        "of their own."
    )


def _refuse_out_of_range(objects: list[Any], kinds: set[type], column: str, name: str) -> None:
    """Refuse whole numbers and fractions of Python that no float holds."""
    exact = {kind for kind in kinds if not issubclass(kind, np.generic) and issubclass(kind, Rational)}
    for row, value in enumerate(objects if exact else ()):
        try:
            _ = type(value) in exact and float(value)
        except OverflowError:
            raise SourceError(
                f"{name}: row {row}, {column} holds a number of type {type(value).__name__} beyond the largest float, 1.8e308. "
                "Take it in another unit, or its logarithm; or make it text if it stands for a label."
            ) from None


def _is_date_class(kind: type) -> bool:
    # pandas need not be installed: its Timestamp, Timedelta and NaT are kinds of these classes, its Period is known by its name
    return issubclass(kind, _DATE_CLASSES) or kind.__name__ in ("NaTType", "Period")


# -- numbers -------------------------------------------------------------------------------------------------------------------


def numbers(column: NDArray[Any], where: str, first_row: int = 0) -> NDArray[Any]:
    """A column as numbers of any type; what is missing becomes NaN, for the row to be named later.

    ``where`` names the column in messages, ``first_row`` is the number of its first row there.
    """
    if column.dtype.kind in "fiub":
        return column
    if column.dtype.kind != "c":  # of which a conversion would keep the real parts, with no error
        try:
            return column.astype(np.float64)
        except (TypeError, ValueError):
            pass
    found = first_non_number(column)
    if found is not None:
        row, value = found
        raise SourceError(
            f"{where} (type {column.dtype}) holds {value!r} in row {first_row + row}, which is not a number. Leave the column "
            "out (columns=[...]) or encode it as numbers; labels as they are can be fitted by a categorical family."
        )
    absent = missing(column)
    return np.array([np.nan if gone else float(value) for value, gone in zip(column, absent, strict=True)])


def first_non_number(column: NDArray[Any], *, or_missing: bool = False) -> tuple[int, Any] | None:
    """Row and value of the first entry that is not a number, nor missing unless that is asked for; None if there is none."""
    for row, value in enumerate(column.tolist()):
        try:
            float(value)
        except (TypeError, ValueError):
            if or_missing or not is_missing(value):
                return row, value
    return None


def first_non_number_of(X: Any) -> tuple[int, str, Any] | None:
    """Row, column in words, and value of the first entry of a matrix that can't be made a number."""
    if is_table(X):
        names = column_names(X)
        columns = ((named(j, names), column_values(X, j)) for j in range(len(names or ())))
    else:
        array = np.asarray(X, dtype=object)
        array = array[:, np.newaxis] if array.ndim == 1 else array
        if array.ndim != 2:
            return None
        columns = ((named(j, None), array[:, j]) for j in range(array.shape[1]))
    for column, values in columns:
        found = first_non_number(values, or_missing=True)
        if found is not None:
            return found[0], column, found[1]
    return None


def as_floats(X: NDArray[Any]) -> NDArray[Any]:
    """float32 and float64 in this machine's byte order as they are, other numbers as float64."""
    if X.dtype.kind == "f" and X.dtype.itemsize in (4, 8):
        return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))
    return X.astype(np.float64)


def refuse_inexact(column: NDArray[Any], where: str) -> None:
    """ValueError for whole numbers so large that neighbours are one float64."""
    if column.dtype.kind in "iu" and column.dtype.itemsize == 8 and len(column):
        largest = max(int(column.max()), int(column.min()), key=abs)
        if abs(largest) >= EXACT:
            raise ValueError(f"{where} holds {largest}: {INEXACT}")


INEXACT = (
    "integers beyond 2**53, of which neighbours are one number as float64. If they are identifiers, leave the column out "
    "(columns=[...]) or use fastkl.categorical_kl; else subtract an offset first."
)


def common_float(dtypes: Any) -> np.dtype[Any]:
    """float32 where NumPy would hold all of these in it without loss, else float64."""
    common = np.result_type(*dtypes)
    return common if common == np.float32 else np.dtype(np.float64)


def first_not_finite(X: NDArray[Any], incomplete: bool = False) -> tuple[int, ...] | None:
    """The place of the first NaN (unless ``incomplete``) or infinity in an array of floats; None if there is none."""
    if X.dtype.kind != "f":
        return None
    finite = ~np.isinf(X) if incomplete else np.isfinite(X)
    return None if finite.all() else tuple(int(i) for i in np.argwhere(~finite)[0])


def refuse_not_finite(X: NDArray[Any], name: str, names: Names | None) -> None:
    """ValueError that names the first NaN or infinity of a matrix."""
    place = first_not_finite(X)
    if place is not None:
        row, column = place
        value = "NaN" if np.isnan(X[row, column]) else X[row, column]
        raise ValueError(
            f"{name} holds {value} in row {row}, {named(column, names)}; every value must be finite. Remove the row, or "
            "impute the value before."
        )
