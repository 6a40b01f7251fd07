"""Rows in the order of their groups: what makes a group, from names and labels as people give them to numbers, in linear time.

Labels that are whole numbers, truth values or dates in a range that is not much wider than the rows are many are their own
numbers; texts and other objects are looked up, and only the distinct ones sorted. Rows are then counted into their groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from fastkl._core.array_types import Floats
from fastkl.exceptions import ColumnTypeError, SourceError
from fastkl.rows.batch import Choice, as_batch
from fastkl.rows.columns import as_list, column_number, listed
from fastkl.rows.missing import missing
from fastkl.rows.reading import refuse_unread
from fastkl.rows.sources.queries import collected, is_query
from fastkl.rows.tables import column_names, column_values
from fastkl.rows.weights import read_weights

_PIECE = 1 << 18  # labels that are compared at a time
_SPARSE = 4  # places for each row, at most, in a table of whole numbers by which labels are found


class SortedRows(NamedTuple):
    """Rows in the order of their groups, without those of weight 0.

    ``values`` (n, d) and their ``weights`` (n,), if there are any; names of the ``columns``; labels of the ``groups`` (g,), by
    what makes them; and where each group ``starts`` (g + 1,).
    """

    values: Floats
    weights: Floats | None
    columns: list[str]
    groups: dict[str, NDArray[Any]]
    starts: NDArray[np.intp]

    def total_weights(self) -> Floats | None:
        """The weight of each group, if there are weights."""
        if self.weights is None:
            return None
        # sums of a group alone: a difference of running sums would depend on the groups before it
        totals = np.zeros(len(self.starts) - 1)
        some = np.diff(self.starts) > 0
        totals[some] = np.add.reduceat(self.weights, self.starts[:-1][some])
        return totals


def sorted_groups(X: Any, by: Any, columns: Any, sample_weight: Any = None) -> SortedRows:
    """The rows of a table in the order of their groups; weights are one for each row, or the name of a column."""
    X = _in_memory(X, by, columns, sample_weight)
    refuse_unread(X, "X")
    names = column_names(X)
    keys = _keys(X, by, names)
    in_table = sample_weight if isinstance(sample_weight, str) else None
    if columns is not None:
        columns = as_list(columns)
    elif names is not None:
        columns = [name for name in names if name not in keys and (in_table is None or name != in_table)]
    if not hasattr(X, "shape") and names is None:
        X = np.asarray(X)
    if getattr(X, "ndim", 2) == 1:
        X = np.asarray(X).reshape(-1, 1)
    batch = as_batch(X, Choice(columns, in_table), "X")
    values = np.asarray(batch.X)
    labels = batch.names or [f"x{j}" if values.shape[1] > 1 else "x" for j in range(values.shape[1])]
    if batch.names is None and names is not None:
        # those of pandas may be numbers, by which a column is found again too
        labels = [str(names[column_number(column, names, len(names), "X")]) for column in columns]
    _refuse_rows_without_group(keys, len(values))
    if in_table is None:
        _refuse_other_index(X, sample_weight, "sample_weight")
    weights = read_weights(batch.weights if in_table is not None else sample_weight, len(values))
    _refuse_not_finite(values, labels, weights)
    plain = {name: np.asarray(key) for name, key in keys.items()}
    order, starts = _order(plain)
    first = starts[:-1] if order is None else order[starts[:-1]]
    if order is not None:
        values = values[order]
        weights = None if weights is None else weights[order]
    if weights is not None and not weights.all():
        there = weights > 0.0
        values, weights = values[there], weights[there]
        starts = np.append(0, np.cumsum(there))[starts]
    return SortedRows(values, weights, labels, {name: key[first] for name, key in plain.items()}, starts)


def _refuse_rows_without_group(keys: dict[str, NDArray[Any]], n: int) -> None:
    """ValueError unless every row has a label, SourceError for one that is missing."""
    for name, key in keys.items():
        if len(key) != n:
            raise ValueError(f"by has {len(key)} labels for {n} rows.")
        if (key.dtype.kind in "fcmMO" or np.ma.is_masked(key)) and (lost := missing(key)).any():
            raise SourceError(
                f"The group {name!r} is missing in row {int(np.argmax(lost))}: drop such rows, or name it."
            )


def _in_memory(X: Any, by: Any, columns: Any, sample_weight: Any) -> Any:
    """The rows of a LazyFrame, relation, dataset or stream, of which only the columns that are needed are read."""
    if not is_query(X) and not hasattr(X, "read_all"):
        return X
    if columns is None or not all(isinstance(name, str) for name in as_list(columns)):
        return collected(X)
    keys = [by] if isinstance(by, str) else by if isinstance(by, list | tuple) else []
    return collected(X, [name for name in (*keys, *as_list(columns), sample_weight) if isinstance(name, str)])


def _refuse_not_finite(values: Floats, labels: Sequence[str], weights: Floats | None) -> None:
    """SourceError that names the first NaN or infinity; rows of weight 0 count as absent, whatever they hold."""
    with np.errstate(over="ignore", invalid="ignore"):
        sums_up = np.isfinite(values.sum())  # in one look, of finite values that are not huge
    if sums_up:
        return
    bad = ~np.isfinite(values)
    if weights is not None:
        bad[weights == 0.0] = False
    if bad.any():
        row, j = (int(i) for i in np.argwhere(bad)[0])
        raise SourceError(f"Row {row} of column {labels[j]!r} holds {values[row, j]}: fit_groups needs finite values.")


# -- what makes the groups -----------------------------------------------------------------------------------------------------


def _keys(X: Any, by: Any, names: list[Any] | None) -> dict[str, NDArray[Any]]:
    """The labels of the rows, by the names of what makes the groups."""
    wanted = _wanted(X, by, names)
    if wanted is None:
        _refuse_other_index(X, by, "by")
        key = np.asanyarray(by)  # masks have to be seen
        if key.ndim != 1:
            raise ValueError(
                f"by is the name of a column, several of them, or one label for each row; it is {type(by).__name__} of shape "
                f"{key.shape}."
            )
        return {"group": key}
    absent = [name for name in wanted if names is None or name not in names]
    if absent:
        there = "X has no named columns" if names is None else f"its columns are {listed(names)}"
        raise SourceError(f"X has no column {absent[0]!r} for the groups; {there}.")
    assert names is not None
    twice = [name for name in wanted if names.count(name) > 1]
    if twice:
        raise SourceError(f"X has two columns named {twice[0]!r}, so that the name of the groups is ambiguous.")
    return {name: column_values(X, names.index(name)) for name in wanted}


def _wanted(X: Any, by: Any, names: list[Any] | None) -> list[Any] | None:
    """The names of columns that ``by`` gives, if it gives names."""
    if isinstance(by, str):
        return [by]
    if names is not None and np.ndim(by) == 0 and not hasattr(by, "__len__") and by in names:
        return [by]
    if not isinstance(by, list | tuple):
        return None
    if len(by) == 0 and len(X):
        raise ValueError("by names no column. It is the name of a column, several of them, or one label for each row.")
    if names is None or not all(isinstance(name, str) for name in by):
        return None
    return list(by) if any(name in names for name in by) or len(by) != len(X) else None


def _refuse_other_index(X: Any, given: Any, name: str) -> None:
    """ValueError where two things of pandas are in different orders: pandas itself would go by the index."""
    if hasattr(X, "iloc") and hasattr(given, "iloc") and len(X) == len(given) and not given.index.equals(X.index):
        what = "labels belong" if name == "by" else "weights belong"
        raise ValueError(
            f"{name} has another index than X. Pass {name}.loc[X.index] if {what} to rows by the index, or {name}.to_numpy() if "
            "by their order."
        )


# -- from labels to an order ---------------------------------------------------------------------------------------------------


def _order(keys: dict[str, NDArray[Any]]) -> tuple[NDArray[np.intp] | None, NDArray[np.intp]]:
    """Rows in the order of their groups (None if they are), and where each group starts."""
    only = next(iter(keys.values()))
    n = len(only)
    if len(keys) == 1 and (begins := _runs(only)) is not None:
        return None, np.append(begins, n)
    codes, several = np.zeros(n, dtype=np.int64), 1
    for name, key in keys.items():
        own, different = _coded(key, name)
        # at most n groups so far, and n labels: their product is a number of 64 bits
        codes, several = _coded(codes * different + own, name) if several > 1 else (own, different)
    if np.all(codes[1:] >= codes[:-1]):
        return None, np.append(np.flatnonzero(np.diff(codes, prepend=-1)), n).astype(np.intp)
    # row i has its one entry in column codes[i]; by columns, entries are in the order of their rows
    width = np.int32 if n < 2**31 - 1 else np.int64
    entries = (np.ones(n, dtype=np.bool_), codes.astype(width), np.arange(n + 1, dtype=width))
    counted = sparse.csr_matrix(entries, shape=(n, several)).tocsc()
    return counted.indices, counted.indptr.astype(np.intp)


def _runs(key: NDArray[Any]) -> NDArray[np.intp] | None:
    """Where each group starts, if rows come in the order of their labels, in one look piece by piece; else None."""
    if not len(key) or key.dtype.kind not in "iufUS":
        return None
    begins = [np.zeros(1, dtype=np.intp)]
    for first in range(1, len(key), _PIECE):
        own = key[first : first + _PIECE]
        before = key[first - 1 : first - 1 + len(own)]
        new = np.flatnonzero(own != before)
        if np.any(own[new] < before[new]):
            return None
        begins.append(new + first)
    return np.concatenate(begins)


def _coded(key: NDArray[Any], name: Any) -> tuple[NDArray[np.int64], int]:
    """For every row the number of its label among the sorted ones, and how many there are."""
    if key.dtype.kind in "bmM":
        key = key.astype(np.uint8 if key.dtype.kind == "b" else np.int64)
    if key.dtype.kind in "iu" and len(key):
        low, high = int(key.min()), int(key.max())
        if high - low < _SPARSE * len(key) + 1:
            # in the type of the labels: unsigned ones may be beyond those with a sign, and differences fit
            places = (key.astype(np.int64) - low) if high < 2**63 else (key - key.dtype.type(low)).astype(np.int64)
            there = np.bincount(places) > 0
            return (np.cumsum(there) - 1)[places], int(np.count_nonzero(there))
    if key.dtype.kind not in "OUS":
        labels, codes = np.unique(key, return_inverse=True)
        return codes.astype(np.int64, copy=False), len(labels)
    return _coded_objects(key.tolist(), name)


def _coded_objects(values: list[Any], name: Any) -> tuple[NDArray[np.int64], int]:
    """The same of texts and other objects, looked up by their hashes."""
    seen: dict[Any, int] = {}
    try:
        codes = np.fromiter((seen.setdefault(value, len(seen)) for value in values), dtype=np.int64, count=len(values))
        rank = sorted(seen)
    except TypeError as error:
        kinds = listed(sorted({type(value).__name__ for value in values}))
        raise ColumnTypeError(
            f"The labels of the group {name!r} can't be told apart and sorted: they are of the types {kinds} ({error}). Make "
            "them of one type, such as text, before."
        ) from error
    place = np.empty(len(rank), dtype=np.int64)
    place[[seen[value] for value in rank]] = np.arange(len(rank))
    return place[codes], len(rank)
