"""From what a user hands over to a family and rows that it can sum: shapes, dtypes, weights, and messages that name the place.

Whether all values are finite is only looked at when a result is not: a kernel turns NaN and infinity into results that are not
finite, and a pass over a large table to find none costs as much as scoring it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_random_state
from sklearn.utils.validation import validate_data

from fastkl import families
from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family


def resolve_family(family: str | Family) -> Family:
    """A family of its own from a name or a family object; the object is copied, not shared."""
    if isinstance(family, str):
        return families.by_name(family)()
    if isinstance(family, Family):
        return clone(family)
    raise TypeError(
        f"family is a name such as 'gamma' or an object such as families.Gamma(shape=2), not {family!r}. "
        f"The names are: {', '.join(families.names())}."
    )


def read_rows(
    estimator: BaseEstimator,
    X: ArrayLike,
    sample_weight: ArrayLike | None = None,
    *,
    labels: bool = False,
    reset: bool = False,
) -> Rows:
    """Validated rows; float32 and float64 are taken as they are, other numbers become float64, labels stay labels.

    Rows of weight 0 are left out, as if they had not been there. With ``reset`` the estimator learns the number and names of
    the columns, otherwise they are compared with what it learnt.
    """
    values: Any = X if is_plain(estimator, X, reset) else read_array(estimator, X, labels, reset)
    names = getattr(estimator, "feature_names_in_", None)
    weights = read_weights(sample_weight, len(values))
    n_threads = effective_n_threads(getattr(estimator, "n_jobs", None))
    rows = Rows(values, weights, n_threads=n_threads, names=names)
    if labels:
        raise_if_missing(rows)
    return rows.of_positive_weight()


def is_plain(estimator: BaseEstimator, X: Any, reset: bool) -> bool:
    """Whether X is an array in just the form that is needed; with ``reset`` the estimator then has its number of columns.

    Validating such an array costs more than scoring thousands of rows.
    """
    plain = (
        type(X) is np.ndarray
        and X.ndim == 2
        and X.dtype in (np.float64, np.float32)
        and X.dtype.isnative
        and X.flags.c_contiguous
        and X.size > 0
    )
    if plain and reset:
        vars(estimator).pop("feature_names_in_", None)
        estimator.n_features_in_ = X.shape[1]
    return plain and X.shape[1] == estimator.n_features_in_ and not hasattr(estimator, "feature_names_in_")


def read_array(estimator: BaseEstimator, X: ArrayLike, labels: bool, reset: bool) -> NDArray[Any]:
    """The values as scikit-learn validates them; a value that is not a number is an error that names its place."""
    dtype = None if labels else [np.float64, np.float32]
    name = type(estimator).__name__
    try:
        return validate_data(estimator, X, reset=reset, dtype=dtype, order="C", ensure_all_finite=False, estimator=name)
    except (TypeError, ValueError) as error:
        place = None if labels else first_non_number(X)
        if place is None:
            raise
        raise type(error)(f"{place} ({error})") from error


def read_weights(sample_weight: ArrayLike | None, n: int) -> Floats | None:
    """Weights as contiguous float64: finite, at least 0, not all 0, one for each row."""
    if sample_weight is None:
        return None
    weights = np.ascontiguousarray(sample_weight, dtype=np.float64)
    if weights.ndim == 0:
        weights = np.full(n, float(weights))
    if weights.ndim != 1:
        raise ValueError(f"Sample weights must be 1D array or scalar; these have shape {weights.shape}.")
    if len(weights) != n:
        raise ValueError(f"sample_weight.shape == {weights.shape}, expected {(n,)}: one weight for each row.")
    # the least and the sum tell that all is well, without an array for each question
    with np.errstate(over="ignore"):
        regular = weights.min(initial=0.0) >= 0.0 and np.isfinite(weights.sum())
    if not regular:
        bad = np.flatnonzero(~np.isfinite(weights) | (weights < 0.0))
        if len(bad):
            row = int(bad[0])
            raise ValueError(
                f"sample_weight has to hold finite numbers of at least 0; row {row} has weight {weights[row]}."
            )
    if not weights.any():
        raise ValueError(
            "sample_weight is zero in every row, so that no row is left. At least one weight must be positive."
        )
    return weights


def raise_if_not_finite(rows: AnyRows) -> None:
    """ValueError naming the first NaN or infinity, if there is one; blocks of a source have been looked at one by one."""
    if not isinstance(rows, Rows) or rows.X.dtype.kind != "f":
        return
    finite = np.isfinite(rows.X)
    if not finite.all():
        row, column = (int(i) for i in np.argwhere(~finite)[0])
        found = "NaN" if np.isnan(rows.X[row, column]) else "infinity"
        raise ValueError(
            f"Input X contains {found}: {rows.place(row, column)}. Densities need complete, finite rows: remove the row, or "
            "impute it in a pipeline step before."
        )


def raise_if_missing(rows: Rows) -> None:
    """ValueError naming the first missing label (None, NaN, NaT, NA), if there is one."""
    for j in range(rows.X.shape[1]):
        column = rows.X[:, j]
        # a missing value is the one that does not equal itself; pandas.NA answers neither way
        missing = np.array([value is None or not isinstance(value == value, bool | np.bool_) or value != value
                            for value in column.tolist()])  # fmt: skip
        if missing.any():
            row = int(np.flatnonzero(missing)[0])
            raise ValueError(
                f"Input X contains NaN or another missing label: {rows.place(row, j)} holds {column[row]!r}. Remove the row, or "
                "give missing values a label of their own."
            )


@contextmanager
def require_finite(rows: AnyRows) -> Iterator[None]:
    """Let an error of the family give way to the more basic one, that a value is not finite; add the column's name."""
    try:
        yield
    except SupportError:
        raise_if_not_finite(rows)
        raise
    except DegenerateDataError as error:
        raise_if_not_finite(rows)
        raise (error if rows.names is None else error.with_names(rows.names)) from None


@contextmanager
def unchanged_on_error(estimator: BaseEstimator) -> Iterator[None]:
    """Whatever fails inside, the estimator is afterwards as it was before."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def as_generator(random_state: Any) -> np.random.Generator:
    """A generator from whatever scikit-learn takes as ``random_state``."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32))


def first_non_number(X: Any) -> str | None:
    """The first value that is not a number, in words, or None if there is none to be found."""
    if hasattr(X, "columns") and hasattr(X, "shape"):
        names = getattr(X, "column_names", X.columns)  # Arrow's columns are values, not names
        columns = [(f"column {j} ({name!r})", X[name]) for j, name in enumerate(names)]
    else:
        array = np.asarray(X, dtype=object)
        if array.ndim != 2:
            return None
        columns = [(f"column {j}", array[:, j]) for j in range(array.shape[1])]
    for place, column in columns:
        found = _not_a_number(np.asarray(column, dtype=object))
        if found is not None:
            row, value = found
            return (
                f"Row {row}, {place} holds {value!r}, which is not a number. Leave the column out or encode it; labels as they "
                "are can be fitted by the family 'categorical'."
            )
    return None


def _not_a_number(column: NDArray[Any]) -> tuple[int, Any] | None:
    for row, value in enumerate(column):
        try:
            float(value)
        except (TypeError, ValueError):
            return row, value
    return None
