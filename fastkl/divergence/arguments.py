"""What a person passes, as what the estimators need: samples checked once, weights, numbers of neighbours.

Everything is checked here, before any work, so that the formulas in the other files meet finite matrices only. A
sample keeps its neighbour index, so that each tree is built once however many estimates are taken from it.
"""

from __future__ import annotations

from functools import cached_property
from numbers import Number
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.means import Mean
from fastkl._core.whole_numbers import is_count
from fastkl.divergence.matching import given_names
from fastkl.rows.columns import named
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.reading import first_non_number, look, numbers, refuse_not_finite, refuse_sparse
from fastkl.rows.tables import column_names, column_types, column_values, is_table
from fastkl.rows.weights import read_weights
from fastkl.spatial import NeighborIndex

FloatArray = NDArray[np.float64]

DEFAULT_NEIGHBORS = 5

_LABEL_DTYPES = ("categor", "enum", "str", "large_str", "dictionary")
_LABEL_ADVICE = (
    "Use fastkl.categorical_kl or fastkl.categorical_entropy for labels, fastkl.kl_divergence or fastkl.compare_tables for two "
    "tables of numbers and labels, or encode labels as numbers if the distances between those mean something."
)


class Totals:
    """What formulas need of a sample as a whole, beside the rows at hand.

    Attributes
    ----------
    n_rows, n_columns : int
        Rows of positive weight, and columns.
    weighted : bool
        Whether weights differ.
    weight_sum, square_sum : float
        Sums of the weights and of their squares; of ones where there are no weights.
    """

    n_rows: int
    n_columns: int
    weighted: bool
    weight_sum: float
    square_sum: float

    def rows_throughout(self, step: int) -> NDArray[Any]:
        """Every ``step``-th row."""
        raise NotImplementedError

    @property
    def effective_size(self) -> float:
        """Kish's effective sample size (sum w)^2 / sum w^2: the number of rows when there are no weights."""
        return self.weight_sum**2 / self.square_sum if self.weighted else float(self.n_rows)


class Sample(Totals):
    """Rows of a sample with their weights and, once asked for, their neighbour index.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64, C-contiguous
        The rows; finite.
    weights : ndarray of shape (n,), float64, or None
        Positive masses of the rows, of which only ratios matter.
    n_jobs : int or None
        Threads for the index.

    Attributes
    ----------
    squares : ndarray of shape (n,) or None
        Squares of the weights.
    """

    def __init__(self, X: NDArray[Any], weights: FloatArray | None, n_jobs: int | None) -> None:
        self.X = X
        self.weights = weights
        self.n_jobs = n_jobs
        self.n_rows, self.n_columns = X.shape
        self.weighted = weights is not None
        self.squares = None if weights is None else weights**2
        self.weight_sum = float(self.n_rows if weights is None else weights.sum())
        self.square_sum = float(self.n_rows if self.squares is None else self.squares.sum())

    @cached_property
    def index(self) -> NeighborIndex:
        """The neighbour index of the rows; built at the first use."""
        return NeighborIndex(self.X, n_jobs=self.n_jobs)

    def rows_throughout(self, step: int) -> NDArray[Any]:
        """Every ``step``-th row."""
        return self.X[::step]

    def mean(self, values: FloatArray) -> Mean:
        """Weighted mean of one value per row, with its error."""
        return Mean.of(values, self.weights)


def _advice(data: Any, dimensions: int) -> str:
    """What to do with a log-density that is a function, and with draws of several chains."""
    if callable(data):
        return " A log-density that is a function of rows is given as types.SimpleNamespace(logpdf=function)."
    return " Put draws of several chains one below the other: reshape(-1, columns)." if dimensions == 3 else ""


def as_matrix(data: Any, name: str) -> NDArray[Any]:
    """Check a sample and give it as a C-contiguous matrix of float32 or float64; a 1-D array is one column."""
    refuse_sparse(data, name)
    data = look(data, name)
    given_names(data, name)  # which refuses one that is given twice
    refuse_labels(data, name)
    X = np.asarray(data)
    if X.ndim not in (1, 2):
        raise ValueError(
            f"{name} is neither a sample nor a model: expected a matrix (rows, columns), one column, or an object with a "
            f"log-density; got {type(data).__name__} with {X.ndim} dimensions.{_advice(data, X.ndim)}"
        )
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.dtype.kind == "O":
        X = _numbers_from_objects(X, name, column_names(data))
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {X.dtype}; real numbers are expected. {_LABEL_ADVICE}")
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"{name} is empty: {X.shape[0]} rows, {X.shape[1]} columns.")
    X = np.ascontiguousarray(X, dtype=np.float32 if X.dtype == np.float32 else np.float64)
    refuse_not_finite(X, name, column_names(data))
    refuse_merged(data, name)
    return X


def refuse_merged(data: Any, name: str, names: list[Any] | None = None) -> None:
    """ValueError for different integers that are one number as float64: identifiers, as a rule.

    Of the rows as they were passed, once they are known to be numbers; in a table one column of decimals makes floats of all.
    """
    names = column_names(data) if names is None else names
    if is_table(data):
        types = [str(dtype).lower() for dtype in column_types(data)]
        columns = {j: column_values(data, j) for j, dtype in enumerate(types) if "int64" in dtype or dtype == "object"}
    else:
        whole = np.asarray(data)
        kept = (whole.dtype.kind in "iu" and whole.dtype.itemsize >= 8) or whole.dtype.kind == "O"
        columns = dict(enumerate(whole.reshape(len(whole), -1).T)) if kept else {}
    for j, values in columns.items():
        if values.dtype.kind in "iu" and max(int(values.max()), -int(values.min())) <= 2**53:
            continue
        beyond = np.flatnonzero(np.abs(values.astype(np.float64)) >= 2.0**53)
        different = np.unique(values[beyond])
        merged = np.flatnonzero(np.diff(different.astype(np.float64)) == 0.0)
        if len(merged):
            first, second = different[merged[0]], different[merged[0] + 1]
            raise ValueError(
                f"{name} holds {second} in row {int(np.argmax(values == second))}, {named(j, names)}, and {first} elsewhere: "
                f"integers beyond 2**53, which are one number as float64. If they are identifiers, leave the column out or use "
                f"fastkl.categorical_kl; else subtract an offset first."
            )


def plain_numbers(values: NDArray[Any]) -> NDArray[Any]:
    """Numbers that are objects of Python (decimals, fractions) as float64; anything else as it is."""
    if values.dtype.kind != "O":
        return values
    if not all(isinstance(value, Number) and not isinstance(value, complex) for value in values.ravel().tolist()):
        return values
    return values.astype(np.float64)


def as_sample(data: Any, name: str, sample_weight: ArrayLike | None, n_jobs: int | None) -> Sample:
    """Check a sample and its weights. Rows of weight 0 are as good as absent; equal weights are the same as none."""
    X = as_matrix(data, name)
    refuse_other_rows(data, sample_weight, (name, f"sample_weight of {name}"))
    return weighted_sample(X, read_weights(sample_weight, len(X), f"sample_weight of {name}"), n_jobs)


def weighted_sample(X: NDArray[Any], weights: FloatArray | None, n_jobs: int | None) -> Sample:
    """The sample of a checked matrix and checked weights."""
    if weights is not None:
        kept = weights > 0.0
        if not kept.all():
            X, weights = np.ascontiguousarray(X[kept]), weights[kept]
        weights = None if (weights == weights[0]).all() else weights / weights.max()
    return Sample(X, weights, n_jobs)


def same_columns(p: Sample, q: Sample, names: tuple[str, str] = ("p", "q")) -> tuple[Sample, Sample]:
    """Refuse samples of different width; give both the same dtype (float32 only if both are)."""
    if p.n_columns != q.n_columns:
        raise ValueError(
            f"{names[0]} has {p.n_columns} columns and {names[1]} has {q.n_columns}; they must have the same columns."
        )
    if p.X.dtype == q.X.dtype:
        return p, q
    first, second = (Sample(s.X.astype(np.float64, copy=False), s.weights, s.n_jobs) for s in (p, q))
    return first, second


def refuse_single_row(n: int, name: str) -> None:
    """ValueError for a sample of one row where every row looks for others."""
    if n < 2:
        raise ValueError(f"{name} has 1 row of positive weight; neighbours among the other rows need at least 2 rows.")


def resolve_neighbors(
    n_neighbors: int | None, n: int | None, m: int | None = None, *, default: int = DEFAULT_NEIGHBORS
) -> int:
    """The number of neighbours, as given if the samples have that many; by default ``default``, or fewer in tiny samples.

    ``n`` rows of p of which each looks for others (None if it does not), ``m`` rows of q.
    """
    if n is not None:
        refuse_single_row(n, "p")
    if n_neighbors is None:
        return min(default, *([] if n is None else [n - 1]), *([] if m is None else [m]))
    require_count(n_neighbors, "n_neighbors")
    if n is not None and n_neighbors >= n:
        raise ValueError(
            f"n_neighbors={n_neighbors} neighbours need more rows than p has: each of its {n} rows has {n - 1} others."
        )
    if m is not None and n_neighbors > m:
        raise ValueError(f"n_neighbors={n_neighbors} neighbours need more rows than q has: n_samples={m}.")
    return int(n_neighbors)


def require_count(value: Any, name: str) -> None:
    """ValueError unless a value is a whole number of at least 1."""
    if not is_count(value):
        raise ValueError(f"{name} is a whole number >= 1; got {value!r}.")


def refuse_labels(data: Any, name: str) -> None:
    """Labels have no distances: say which column holds them, and which call is made for them."""
    if type(data) is np.ndarray and data.dtype.kind in "fiub":
        return
    names = column_names(data)
    if names is not None:
        typed = [
            (f"column {column!r} of {name}", dtype) for column, dtype in zip(names, column_types(data), strict=True)
        ]
    else:
        typed = [(name, data.dtype)] if hasattr(data, "dtype") else []
    for where, dtype in typed:
        if getattr(dtype, "kind", "") in ("U", "S", "T") or str(dtype).lower().startswith(_LABEL_DTYPES):
            raise ValueError(f"{where} has dtype {dtype}: labels have no distance. {_LABEL_ADVICE}")


def _numbers_from_objects(X: NDArray[Any], name: str, names: list[Any] | None) -> FloatArray:
    """A matrix of Python objects as numbers, if they all are numbers or missing; texts are labels, whatever they spell."""
    columns = []
    for j in range(X.shape[1]):
        values = X[:, j]
        for row, value in enumerate(values.tolist()):
            if isinstance(value, (str, bytes)):
                raise ValueError(
                    f"{name} holds {value!r} in row {row}, {named(j, names)}: labels have no distance. {_LABEL_ADVICE}"
                )
        found = first_non_number(values)
        if found is not None:
            raise ValueError(
                f"{name} holds {found[1]!r} in row {found[0]}, {named(j, names)}; every value must be a finite number."
            )
        columns.append(numbers(values, name))
    return np.stack(columns, axis=1) if columns else np.empty(X.shape)
