"""Which families to try on given columns: by sign, whole numbers, bounds, and how many columns there are.

One list and one set of rules, for the command line as for ``make_product_density``. Densities are compared with densities only,
and probabilities with probabilities, so that whole numbers have to be taken for the one or the other: see ``looks_counted``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastkl import families
from fastkl._core.warned import warn
from fastkl._core.wording import capital
from fastkl.divergence.nearest.atoms import beside_others
from fastkl.exceptions import RepeatedValuesWarning
from fastkl.families.univariate import UnivariateFamily
from fastkl.selection.column_kinds import Column

REAL = ("normal", "student_t", "laplace", "logistic", "gumbel", "cauchy")
POSITIVE = (
    "gamma",
    "lognormal",
    "weibull",
    "loglogistic",
    "inverse_gaussian",
    "exponential",
    "normal",
    "student_t",
    "laplace",
    "logistic",
)
NOT_NEGATIVE = ("exponential", "half_normal", "normal", "student_t", "laplace", "logistic")
FRACTIONS = ("beta", "gamma", "lognormal", "weibull", "normal", "student_t")
COUNTS = ("poisson", "negative_binomial", "geometric", "zero_inflated_poisson")
JOINT = ("multivariate_normal", "multivariate_t")

# Counts are up to so large, or have at most this share of different values.
_SMALL, _DISTINCT = 30.0, 0.45


@dataclass(frozen=True)
class Candidates:
    """Names of families, and in words what the columns hold."""

    names: tuple[str, ...]
    kind: str


def candidates(X: NDArray[np.float64]) -> Candidates:
    """Families that could have given the rows; counts may come as floats, as they do where rows with gaps were removed."""
    low, high = float(X.min()), float(X.max())
    d = X.shape[1]
    whole = bool(high < 2.0**53 and np.all(np.rint(X) == X))
    if whole and low >= 0.0 and high <= 1.0:
        return Candidates(("bernoulli",), "zeros and ones")
    if whole and low >= 0.0 and all(looks_counted(column) for column in X.T):
        return Candidates(COUNTS, "whole numbers of at least 0, taken for counts")
    if d > 1 and low > 0.0 and np.all(np.abs(X.sum(axis=1) - 1.0) <= 1e-6):
        return Candidates(("dirichlet",), "positive parts that sum to 1")
    joint = JOINT if d > 1 else ()
    if low > 0.0 and high < 1.0:
        return Candidates((*joint, *FRACTIONS), "numbers between 0 and 1")
    if low > 0.0:
        return Candidates((*joint, *POSITIVE), "positive numbers")
    if low == 0.0:
        return Candidates((*joint, *NOT_NEGATIVE), "numbers of at least 0")
    return Candidates((*joint, *REAL), "numbers of both signs")


def warn_of_atom(numbers: NDArray[np.float64], place: str, tried: Sequence[str]) -> None:
    """Say so where densities are tried on a column that has one value often among others that hardly repeat."""
    if not tried or families.by_name(tried[0]).discrete:
        return
    known, counts = np.unique(numbers, return_counts=True)
    atoms = beside_others(counts)
    if atoms.any():
        at = int(np.argmax(np.where(atoms, counts, 0)))
        # -999, -9 or 9999 in a column that has nothing near.
        ends = {0: known[1:], len(known) - 1: known[:-1]}.get(at, known[:0])
        away = ends.size > 1 and np.min(np.abs(ends - known[at])) > np.ptp(ends)
        missing = " If it stands for a missing value, leave such rows out." if away else ""
        warn(
            f"{capital(place)} has the value {known[at]:.6g} in {counts[at]:,} of {len(numbers):,} rows, and others hardly "
            "repeat: no density describes both, and the families compared here spread that value out. Model whether a row has "
            f"it as a column of its own, and the other rows by a family.{missing}",
            RepeatedValuesWarning,
        )


def looks_counted(column: NDArray[np.float64]) -> bool:
    """Whether whole numbers are rather counts than rounded measurements: near 0, and small or often repeated."""
    near_zero = bool(column.min() <= column.max() / 4.0)
    return near_zero and bool(column.max() <= _SMALL or len(np.unique(column)) <= _DISTINCT * len(column))


def column_candidates(column: Column, asked: Sequence[str] | str | None) -> Candidates:
    """Families for one column: those that suit it, with ``"all"`` every one of its kind, else the named ones of its kind.

    The kind is that of densities or that of probabilities, which can't be compared; names of one kind alone decide it.
    """
    if column.labels:
        wanted = asked is None or "categorical" in asked or asked == "all"
        return Candidates(("categorical",) if wanted else (), "labels")
    suited = candidates(column.numbers.reshape(-1, 1))
    if asked is None or (asked == "all" and suited.names == ("bernoulli",)):
        return suited
    names = families.names() if asked == "all" else asked
    kinds = {families.by_name(name).discrete for name in names if not families.by_name(name).labels}
    discrete = kinds.pop() if len(kinds) == 1 else families.by_name(suited.names[0]).discrete
    own = [name for name in names if _fits_kind(name, discrete) and not (asked == "all" and _special(name))]
    return Candidates(tuple(own), suited.kind)


def _fits_kind(name: str, discrete: bool) -> bool:
    family = families.by_name(name)
    return issubclass(family, UnivariateFamily) and family.discrete == discrete


def _special(name: str) -> bool:
    """Families that only a user can ask for: of angles, or of zeros and ones."""
    family = families.by_name(name)
    return name == "bernoulli" or (issubclass(family, UnivariateFamily) and family.periodic)


def outside_support(name: str, values: NDArray[np.float64], place: str, index: NDArray[np.intp] | None) -> str | None:
    """Why a univariate family excludes a column, by its first value outside the support; None if it does not."""
    family = families.by_name(name)
    assert issubclass(family, UnivariateFamily)
    low, high, whole = family.support
    if values.min() >= low and values.max() <= high and not whole:
        return None
    outside = (values < low) | (values > high)
    if whole:
        outside |= values != np.rint(values)
    if not outside.any():
        return None
    row = int(np.argmax(outside))
    number = row if index is None else int(index[row])
    return f"The {name} family lives on {family.support_text}; row {number}, {place} holds {values[row]!s}."
