"""From what a user hands over to a family and rows that it can sum.

The reading itself is that of ``fastkl.rows``; scikit-learn's validation is added here, by which an estimator learns the number
and names of its columns, or compares them.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.validation import validate_data

from fastkl import families
from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats
from fastkl._core.other_keywords import CENSORED
from fastkl._core.rows import Rows
from fastkl._core.warned import are_names_compared, warn
from fastkl._core.whole_numbers import is_count
from fastkl.density.scipy_distributions import family_of, is_frozen, scipy_name
from fastkl.exceptions import SourceError
from fastkl.families.base import Family
from fastkl.rows.checks import raise_if_missing
from fastkl.rows.columns import listed, refuse_duplicates
from fastkl.rows.reading import first_non_number_of, look
from fastkl.rows.tables import column_names, is_table
from fastkl.rows.weights import read_weights


def learns_by_sums(density: Any) -> bool:
    """Whether rows can be added to a fit; AttributeError that says why if they cannot."""
    family = resolve_family(density.family)
    if not family.has_statistics:
        raise AttributeError(
            f"The {family.name} family has no sufficient statistics, by which rows could be added to a fit: its maximum takes "
            "passes over all of them. Take fit, or fit_batches for rows that are not in memory."
        )
    return True


def is_positive(family: Family) -> bool:
    """Whether no value below 0 is in the support: what scikit-learn's tag ``positive_only`` says."""
    parts = getattr(family, "component_families", [family])
    return all(getattr(one, "support", (-np.inf,))[0] >= 0.0 for one in parts)


def warn_of_events(family: Family, rows: Rows, y: Any) -> None:
    """Say so where y, which densities ignore, looks like what tells the events among durations from the ends of observation."""
    if y is None or rows.n_columns != 1 or family.discrete or not is_positive(family) or not family.support[1] > 1.0:
        return
    events = np.asarray(y)
    if events.ndim == 1 and events.dtype.kind in "biuf" and np.unique(events).tolist() == [0, 1]:
        warn(
            f"y of zeros and ones is not used: if it says which durations ended in an event, all count as such. {CENSORED}."
        )


def resolve_family(family: Any) -> Family:
    """A family of its own from a name, a family object (which is copied, not shared) or a distribution of scipy."""
    if isinstance(family, str):
        return families.by_name(family)()
    if isinstance(family, Family):
        return clone(family)
    if scipy_name(family) is not None:
        if is_frozen(family):
            raise TypeError(
                f"{family!r} has its parameters already. DensityMLE.from_scipy makes a density of it; to fit its family pass the "
                f"name, {family_of(family).name!r}."
            )
        return family_of(family)()
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
    weights = read_weights(sample_weight, len(values), beside=X)
    n_threads = effective_n_threads(getattr(estimator, "n_jobs", None))
    rows = Rows(values, weights, n_threads=n_threads, names=names).of_positive_weight()
    if labels:
        raise_if_missing(rows)
    return rows


def of_positive_weight(X: Any, weights: Floats | None) -> tuple[Any, Floats | None]:
    """An array or table, and weights, without the rows of weight 0."""
    if weights is None or weights.all():
        return X, weights
    kept = np.flatnonzero(weights)
    return _safe_indexing(X, kept), weights[kept]


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
        and X.flags.aligned
        and X.size > 0
    )
    if plain and reset:
        vars(estimator).pop("feature_names_in_", None)
        estimator.n_features_in_ = X.shape[1]
    return plain and X.shape[1] == estimator.n_features_in_ and not hasattr(estimator, "feature_names_in_")


def read_array(estimator: BaseEstimator, X: ArrayLike, labels: bool, reset: bool) -> NDArray[Any]:
    """The values as scikit-learn validates them; a value that is not a number is an error that names its place."""
    X = look(X, "X")
    if is_table(X):
        refuse_duplicates(column_names(X) or [], "X")
    _refuse_other_forms(X)
    dtype = None if labels else [np.float64, np.float32]
    name = type(estimator).__name__
    try:
        options = {"dtype": dtype, "order": "C", "ensure_all_finite": False, "estimator": name}
        return validated(estimator, X, reset, **options)
    except (TypeError, ValueError) as error:
        if str(error).startswith("Complex data not supported"):  # and all of it
            raise type(error)(
                "Complex data not supported: densities are of real numbers. Take the real and the imaginary parts as columns of "
                "their own, np.hstack([X.real, X.imag])."
            ) from None
        found = None if labels else first_non_number_of(X)
        if found is None:
            raise
        row, column, value = found
        raise type(error)(
            f"Row {row}, {column} holds {value!r}, which is not a number. Leave the column out or encode it; labels as they are "
            f"can be fitted by a categorical family. ({error})"
        ) from error


def _refuse_other_forms(X: Any) -> None:
    """SourceError for rows that scikit-learn would read as something else, with the call that makes what is meant of them."""
    fields = getattr(getattr(X, "dtype", None), "names", None)
    if fields:
        raise SourceError(
            f"X is an array of records with the fields {listed(fields)}: pass pandas.DataFrame(X), or "
            "numpy.lib.recfunctions.structured_to_unstructured(X)."
        )
    if X is not None and not is_table(X) and not hasattr(X, "dtype") and np.ndim(X) == 0 and not np.isscalar(X):
        raise TypeError(f"X is a {type(X).__name__}, not an array or a table of rows.")
    if is_table(X) and 0 in X.shape:
        raise SourceError(f"X is an empty table: {X.shape[0]} rows, {X.shape[1]} columns.")
    if hasattr(X, "iloc") and hasattr(X, "sparse"):
        raise SourceError("X is a table of sparse columns; pass a dense one, X.sparse.to_dense().")


def raise_if_other_names(estimator: BaseEstimator, other: BaseEstimator) -> None:
    """ValueError where two fits have names of columns that differ, as a further fit to such rows raises it."""
    mine, theirs = (getattr(one, "feature_names_in_", None) for one in (estimator, other))
    if mine is None or theirs is None or list(mine) == list(theirs):
        return
    way = "in the same order as they were in fit" if sorted(mine) == sorted(theirs) else "the same as in fit"
    raise ValueError(
        f"The feature names should match those that were passed during fit. Feature names must be {way}: this one has "
        f"{listed(mine)}, the other {listed(theirs)}."
    )


def take_columns_of(estimator: BaseEstimator, other: BaseEstimator) -> None:
    """Number and names of the columns that another fit has seen, for an estimator that has seen none."""
    for name in ("n_features_in_", "feature_names_in_"):
        if hasattr(other, name):
            setattr(estimator, name, getattr(other, name))


def validated(density: BaseEstimator, X: Any, reset: bool, **options: Any) -> Any:
    """X as scikit-learn validates it, without a word about names that a caller has compared."""
    if not reset and are_names_compared():
        names = column_names(X) or [None]
        named = all(isinstance(name, str) for name in names)
        if named != hasattr(density, "feature_names_in_"):
            density = copy.copy(density)
            vars(density).pop("feature_names_in_", None)
            if named:
                density.feature_names_in_ = np.array(names, dtype=object)
    return validate_data(density, X, reset=reset, **options)


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


def whole_number(value: Any, name: str) -> int:
    """A number of things as an int; ValueError unless it is a whole number of at least 1."""
    if not is_count(value):
        raise ValueError(f"{name} has to be a whole number of at least 1, not {value!r}.")
    return int(value)


def as_generator(random_state: Any) -> np.random.Generator:
    """A generator from whatever scikit-learn takes as ``random_state``."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    return np.random.default_rng(check_random_state(random_state).randint(2**32, size=4, dtype=np.uint32))
