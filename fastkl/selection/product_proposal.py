"""``make_product_density``: a family for every column of a table, from its type and its values.

Each candidate is fitted to the column alone, and the one with the lowest criterion is proposed. Continuous families are
compared with continuous ones only, and families of counts with those: a density and a probability can't be compared.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.warned import warnings_kept
from fastkl._core.wording import capital
from fastkl.density.angles import warn_of_values_in_degrees
from fastkl.density.composed.product import ProductDensity
from fastkl.density.parametric.mle import DensityMLE
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.columns import as_list, column_numbers, named
from fastkl.rows.reading import look
from fastkl.rows.weights import read_weights
from fastkl.selection.candidates import candidates, warn_of_atom
from fastkl.selection.column_kinds import numbers_or_labels, table_columns


def make_product_density(
    X: Any,
    *,
    angles: Any = (),
    criterion: str = "bic",
    sample_weight: ArrayLike | None = None,
) -> ProductDensity:
    """Propose a density for a table of mixed type: one group per column, with a family that its values suggest.

    =================================================  ===========================================================
    column                                             candidates
    =================================================  ===========================================================
    named in ``angles``                                von_mises (radians)
    only 0 and 1, or booleans                          bernoulli
    whole numbers that look counted                    poisson, negative_binomial, geometric, zero_inflated_poisson
    numbers of both signs                              normal, student_t, laplace, logistic, gumbel, cauchy
    numbers of at least 0, some of them 0              exponential, half_normal, normal, student_t, laplace, logistic
    positive numbers                                   gamma, lognormal, weibull, loglogistic, inverse_gaussian,
                                                       exponential, normal, student_t, laplace, logistic
    numbers between 0 and 1                            beta, gamma, lognormal, weibull, normal, student_t
    strings, categories, objects                       categorical
    =================================================  ===========================================================

    Whole numbers, integers or floats, look counted if none is negative, the smallest is at most a quarter of the largest, and
    the largest is at most 30 or values repeat: numbers of visits do, heights in whole centimetres do not.

    Parameters
    ----------
    X : array-like or table of shape (n, d)
        Rows without missing values.
    angles : str, int, or sequence of them, default=()
        Columns that hold angles in radians; they look like any other numbers.
    criterion : {"bic", "aic"}, default="bic"
        What chooses between candidates; the lowest is taken.
    sample_weight : array-like of shape (n,), default=None
        Weights of at least 0.

    Returns
    -------
    ProductDensity
        Not fitted; the groups are named after the columns (``"x0"``, ``"x1"``, ... without names).

    Raises
    ------
    DegenerateDataError
        If a column is constant.
    TypeError
        If a column holds dates or other values that are neither numbers nor labels.
    ValueError
        If a value is missing.

    Notes
    -----
    A proposal is a starting point: it looks at one column at a time, and takes the columns for independent. The choice is
    made on the rows themselves; compare it with others on rows held out.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import make_product_density
    >>> rng = np.random.default_rng(0)
    >>> X = np.column_stack([rng.gamma(2.0, size=500), rng.poisson(3.0, size=500)])
    >>> [(name, density.family) for name, density, _ in make_product_density(X).groups]
    [('x0', 'gamma'), ('x1', 'poisson')]
    """
    if criterion not in ("aic", "bic"):
        raise ValueError(f"criterion is 'bic' or 'aic', not {criterion!r}.")
    columns, names = table_columns(look(X, "X"))
    weights = read_weights(sample_weight, len(columns[0]), beside=X)
    used = np.arange(len(columns[0])) if weights is None else np.flatnonzero(weights)
    weights = None if weights is None else weights[used]
    turning = column_numbers(as_list(angles), X, names, len(columns))
    keys: Sequence[Any] = range(len(columns)) if names is None else names
    groups = []
    for j, (key, label) in enumerate(zip(keys, group_names(keys), strict=True)):
        place = named(j, names)
        values = numbers_or_labels(columns[j][used], place, used)
        if j in turning and values.dtype.kind in "iuf":
            warn_of_values_in_degrees(values, place)
        tried = ("von_mises",) if j in turning else _candidates(values, place)
        family = _best(tried, values, weights, criterion, place)
        groups.append((label, DensityMLE(family), [key]))
    return ProductDensity(groups)


def _candidates(values: NDArray[Any], place: str) -> Sequence[str]:
    distinct = set(values.tolist()) if values.dtype.kind == "O" else np.unique(values)
    if len(distinct) < 2:
        raise DegenerateDataError(
            f"{capital(place)} is constant: {values[0]!s} in every row. It carries no information, and no likelihood of a "
            "continuous family has a maximum on it; leave it out."
        )
    if values.dtype.kind == "O":
        return ("categorical",)
    if values.dtype.kind == "b" or set(np.asarray(distinct).tolist()) <= {0, 1}:
        return ("bernoulli",)
    numbers = np.ascontiguousarray(values, dtype=np.float64)
    tried = candidates(numbers.reshape(-1, 1)).names
    warn_of_atom(numbers, place, tried)
    return tried


def _best(candidates: Sequence[str], values: NDArray[Any], weights: Any, criterion: str, place: str) -> str:
    """The candidate with the lowest criterion; one that has no maximum on the column drops out."""
    if len(candidates) == 1:
        return candidates[0]
    column = np.ascontiguousarray(values, dtype=np.float64).reshape(-1, 1)
    found, errors = {}, []
    for family in candidates:
        try:
            with warnings_kept(ConvergenceWarning):
                model = DensityMLE(family).fit(column, sample_weight=weights)
            value = float(getattr(model, criterion)(column, weights))
        except (ValueError, FloatingPointError) as error:
            errors.append(f"{family}: {error}")
        else:
            if np.isfinite(value):
                found[family] = value
    if not found:
        raise DegenerateDataError(f"No candidate can be fitted to {place}. " + " ".join(errors))
    return min(found, key=found.__getitem__)


def group_names(keys: Sequence[Any]) -> list[str]:
    """Names that scikit-learn takes for parts of an estimator: texts without a double underscore, all different."""
    names: list[str] = []
    for key in keys:
        name = f"x{key}" if isinstance(key, int) else str(key)
        while "__" in name:
            name = name.replace("__", "_")
        name = f"{name}_" if name in ("groups", "") else name
        number = 2
        unique = name
        while unique in names:
            unique, number = f"{name}_{number}", number + 1
        names.append(unique)
    return names
