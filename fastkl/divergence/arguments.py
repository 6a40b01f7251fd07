"""What a person passes, as what the estimators need: samples checked once, weights, numbers of neighbours.

Everything is checked here, before any work, so that the formulas in the other files meet finite matrices only. A
sample keeps its neighbour index, so that each tree is built once however many estimates are taken from it.
"""

from __future__ import annotations

from functools import cached_property
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.means import Mean
from fastkl.spatial import NeighborIndex

FloatArray = NDArray[np.float64]

DEFAULT_NEIGHBORS = 5

_LABEL_DTYPES = ("categor", "enum", "str", "large_str", "dictionary")
_LABEL_ADVICE = (
    "Use fastkl.categorical_kl or fastkl.categorical_entropy for labels, or encode them as numbers if the distances "
    "between those mean something."
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

    def mean(self, values: FloatArray) -> Mean:
        """Weighted mean of one value per row, with its error."""
        return Mean.of(values, self.weights)


def as_matrix(data: Any, name: str) -> NDArray[Any]:
    """Check a sample and give it as a C-contiguous matrix of float32 or float64; a 1-D array is one column."""
    refuse_labels(data, name)
    if hasattr(data, "toarray"):
        raise ValueError(f"{name} is a sparse matrix; pass a dense array, for example {name}.toarray().")
    if np.ma.isMaskedArray(data) and np.ma.getmaskarray(data).any():
        raise ValueError(f"{name} has masked values; fill or drop these rows first.")
    X = np.asarray(data)
    if X.ndim not in (1, 2):
        raise ValueError(
            f"{name} is neither a sample nor a model: expected a matrix (rows, columns), one column, or an object with a "
            f"log-density; got {type(data).__name__} with {X.ndim} dimensions."
        )
    if X.dtype.kind == "O":
        X = _numbers_from_objects(X, name)
    if X.dtype.kind not in "fiub":
        raise ValueError(f"{name} has dtype {X.dtype}; real numbers are expected. {_LABEL_ADVICE}")
    if X.ndim == 1:
        X = X[:, np.newaxis]
    if X.shape[0] == 0 or X.shape[1] == 0:
        raise ValueError(f"{name} is empty: {X.shape[0]} rows, {X.shape[1]} columns.")
    X = np.ascontiguousarray(X, dtype=np.float32 if X.dtype == np.float32 else np.float64)
    _refuse_not_finite(X, data, name)
    return X


def as_weights(sample_weight: ArrayLike | None, n_rows: int, name: str) -> FloatArray | None:
    """Check the weights of a sample: one finite number >= 0 per row, not all of them 0."""
    if sample_weight is None:
        return None
    weights = np.asarray(sample_weight, dtype=np.float64)
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} has shape {weights.shape}; expected one weight for each of the {n_rows} rows.")
    bad = ~(np.isfinite(weights) & (weights >= 0.0))
    if bad.any():
        row = int(np.argmax(bad))
        raise ValueError(f"{name} holds {float(weights[row])} in row {row}; weights are finite numbers >= 0.")
    if not weights.any():
        raise ValueError(f"{name} is zero in every row: no row has any weight.")
    return weights


def as_sample(data: Any, name: str, sample_weight: ArrayLike | None, n_jobs: int | None) -> Sample:
    """Check a sample and its weights. Rows of weight 0 are as good as absent; equal weights are the same as none."""
    X = as_matrix(data, name)
    return weighted_sample(X, as_weights(sample_weight, len(X), f"sample_weight of {name}"), n_jobs)


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


def resolve_neighbors(
    n_neighbors: int | None, n: int | None, m: int | None = None, *, default: int = DEFAULT_NEIGHBORS
) -> int:
    """The number of neighbours, as given if the samples have that many; by default ``default``, or fewer in tiny samples.

    ``n`` rows of p of which each looks for others (None if it does not), ``m`` rows of q.
    """
    if n is not None and n < 2:
        raise ValueError("p has 1 row of positive weight; neighbours among the other rows need at least 2 rows.")
    if n_neighbors is None:
        return min(default, *([] if n is None else [n - 1]), *([] if m is None else [m]))
    if isinstance(n_neighbors, bool) or not isinstance(n_neighbors, Integral) or n_neighbors < 1:
        raise ValueError(f"n_neighbors is a whole number >= 1; got {n_neighbors!r}.")
    if n is not None and n_neighbors >= n:
        raise ValueError(
            f"n_neighbors={n_neighbors} neighbours need more rows than p has: each of its {n} rows has {n - 1} others."
        )
    if m is not None and n_neighbors > m:
        raise ValueError(f"n_neighbors={n_neighbors} neighbours need more rows than q has: n_samples={m}.")
    return int(n_neighbors)


def column_names(data: Any) -> list[Any] | None:
    """Names of the columns of a table (Arrow has them under a name of its own), None for what is no table."""
    names = getattr(data, "column_names", getattr(data, "columns", None))
    return None if names is None else list(names)


def refuse_labels(data: Any, name: str) -> None:
    """Labels have no distances: say which column holds them, and which call is made for them."""
    names = column_names(data)
    if names is not None:
        columns = [(column, data[column]) for column in names]
        typed = [(f"column {label!r} of {name}", getattr(x, "type", None) or x.dtype) for label, x in columns]
    else:
        typed = [(name, data.dtype)] if hasattr(data, "dtype") else []
    for where, dtype in typed:
        if getattr(dtype, "kind", "") in ("U", "S", "T") or str(dtype).lower().startswith(_LABEL_DTYPES):
            raise ValueError(f"{where} has dtype {dtype}: labels have no distance. {_LABEL_ADVICE}")


def _numbers_from_objects(X: NDArray[Any], name: str) -> FloatArray:
    """An array of Python objects as numbers, if they all are numbers."""
    for position, value in np.ndenumerate(X):
        if isinstance(value, Real):
            continue
        if isinstance(value, (str, bytes)):
            raise ValueError(f"{name} holds {value!r} in row {position[0]}: labels have no distance. {_LABEL_ADVICE}")
        raise ValueError(f"{name} holds {value!r} in row {position[0]}; every value must be a finite number.")
    return X.astype(np.float64)


def _refuse_not_finite(X: NDArray[Any], data: Any, name: str) -> None:
    """Name the first value that is missing or infinite."""
    finite = np.isfinite(X)
    if finite.all():
        return
    row, column = (int(i) for i in np.argwhere(~finite)[0])
    names = column_names(data)
    label = column if names is None else names[column]
    raise ValueError(
        f"{name} holds {X[row, column]} in row {row}, column {label!r} (counted from 0); every value must be finite. "
        f"Drop or impute such rows first."
    )
