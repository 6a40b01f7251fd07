"""Which families to try on given columns: by sign, whole numbers, bounds, and how many columns there are.

One list and one set of rules, for the command line as for ``make_product_density``. Densities are compared with densities only,
and probabilities with probabilities, so that whole numbers have to be taken for the one or the other: see ``looks_counted``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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


def candidates(X: NDArray[np.float64], *, counted: bool = True) -> Candidates:
    """Families that could have given the rows; whole numbers may be counts only where ``counted`` says so."""
    low, high = float(X.min()), float(X.max())
    d = X.shape[1]
    whole = bool(np.all(np.rint(X) == X))
    if whole and low >= 0.0 and high <= 1.0:
        return Candidates(("bernoulli",), "zeros and ones")
    if counted and whole and low >= 0.0 and all(looks_counted(column) for column in X.T):
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


def looks_counted(column: NDArray[np.float64]) -> bool:
    """Whether whole numbers are rather counts than rounded measurements: near 0, and small or often repeated."""
    near_zero = bool(column.min() <= column.max() / 4.0)
    return near_zero and bool(column.max() <= _SMALL or len(np.unique(column)) <= _DISTINCT * len(column))
