"""What a density of one family checks of itself: options of a search, what it has learnt so far, what a file has to hold.

A file has to hold parameters in range, and arrays that fit each other.

An edited or damaged file could otherwise score with a negative scale, or hand sums of the wrong length to a kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.array_types import Params, Statistics
from fastkl.density.files.registry import constructor_parameters
from fastkl.density.parametric.inference import KEPT
from fastkl.density.validation import resolve_family, whole_number
from fastkl.families.base import Family
from fastkl.families.priors import PriorLike
from fastkl.families.solvers.coordinates import chart_at

# what a fit learns, and of which type each is
LEARNT: dict[str, Any] = {
    "prior_": object,
    "n_iter_": int,
    "converged_": bool,
    "boundary_": dict,
    "log_likelihood_": float,
}
LABELS = "categories"  # the one statistic that is no number
MOST_ITERATIONS = 2**31 - 1
LEAST_TOL = 1e-30  # below it a gain is less than what the rounding of any log-likelihood hides
LOG_LIKELIHOOD_SLACK = 1e-6  # nats per unit of weight; the same sums on another machine differ by rounding


def check_search(tol: Any, max_iter: Any, robust_errors: Any = False) -> None:
    """ValueError or TypeError for options of a fit with which none could end well."""
    if not isinstance(robust_errors, bool | np.bool_):
        raise TypeError(f"robust_errors is True or False, not {robust_errors!r}.")
    if not LEAST_TOL < tol < np.inf:
        raise ValueError(
            f"tol is what a fit may still gain, in nats per row: a number above {LEAST_TOL:g}, not {tol!r}."
        )
    if whole_number(max_iter, "max_iter") > MOST_ITERATIONS:
        raise ValueError(f"max_iter is at most {MOST_ITERATIONS}, not {max_iter!r}.")


def raise_if_another(density: Any, family: Family) -> None:
    """ValueError if the sums that a density has are those of another family, or of the family with other options."""
    if not hasattr(density, "statistics_"):
        return
    known, own = density.family_, family
    if type(known) is type(own):
        own = own.learned(density.statistics_)
        options = own.get_params(deep=False)
        if all(_equal(value, options[name]) for name, value in known.get_params(deep=False).items()):
            return
    raise ValueError(
        f"The rows seen so far were summed for {known!r}; those sums say nothing about {family!r}. Fit anew, or use an estimator "
        "of its own for each family."
    )


def _equal(first: Any, second: Any) -> bool:
    """Whether two options of a family are the same."""
    if isinstance(first, list | tuple) and isinstance(second, list | tuple):
        return len(first) == len(second) and all(map(_equal, first, second))
    return bool(np.array_equal(first, second))


def check_family_density(density: Any) -> None:
    """ValueError unless a density has a family, parameters of it, and statistics that go with them."""
    family, params = density.family_, density.params_
    if not isinstance(family, Family):
        raise ValueError(f"family_ is {family!r}")
    check_params(family, params, density.n_features_in_)
    if hasattr(density, "statistics_"):
        check_fit(density)
        if density.prior_ is not None and not isinstance(density.prior_, PriorLike):
            raise ValueError(f"prior_ is {density.prior_!r}")
        if density.prior_ is not None and not family.has_statistics and "curvature" not in density.statistics_:
            raise ValueError("the curvature of the posterior is not there")
        check_statistics(family, density.statistics_, params)
        if family.has_statistics and "incomplete" not in density.statistics_:
            _check_log_likelihood(family, density.statistics_, params, density.log_likelihood_)


def parameters_to_store(density: Any) -> dict[str, Any]:
    """Those of the constructor, with the name of the family that one of scipy's distributions stands for."""
    parameters = constructor_parameters(density)
    if not isinstance(density.family, str | Family):
        parameters["family"] = resolve_family(density.family).name
    return parameters


def check_fit(density: Any) -> None:
    """ValueError unless what a fit learns beside parameters and statistics is there, each of its kind."""
    for name, kinds in LEARNT.items():
        value = getattr(density, name, None)
        if name not in vars(density) or not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise ValueError(f"{name} is {value!r}")
    if not all(isinstance(sentence, str) for sentence in density.boundary_.values()):
        raise ValueError(f"boundary_ is {density.boundary_!r}")


def check_params(family: Family, params: Params, d: int) -> None:
    """ValueError unless these are parameters of d columns, in the form of ``params_``."""
    for name, value in family.check_parameters(params).items():
        found = params[name]
        if (
            not isinstance(found, np.ndarray | np.float64)
            or found.shape != np.shape(value)
            or found.dtype != np.float64
        ):
            raise ValueError(f"{name} is no float64 of shape {np.shape(value)}")
    if family.n_columns(params) != d:
        raise ValueError(f"the parameters are those of {family.n_columns(params)} columns, n_features_in_ is {d}")
    for name, held in family.fixed_columns(d).items():
        if not np.array_equal(held, params[name]):
            raise ValueError(f"{name} is held fixed at another value")


def check_statistics(family: Family, statistics: Statistics, params: Params) -> None:
    """ValueError unless these are numbers in the form of statistics that go with these parameters.

    Sums that can be merged have an entry for each column along every axis, or are lists of what is tallied, by column or of whole
    rows; what errors are computed from is square.
    """
    d, weight = family.n_columns(params), np.asarray(statistics["weight"])
    if weight.dtype != np.float64:
        raise ValueError(f"the weight of the rows is of type {weight.dtype}, not float64")
    if not np.isfinite(weight).all() or np.any(weight <= 0.0):
        raise ValueError("the weight of the rows is not above 0")
    for name, value in statistics.items():
        _check_statistic(family, name, value, d)
    if family.has_statistics and "incomplete" not in statistics:  # which do not add up
        with np.errstate(all="ignore"):
            family.merge_statistics(statistics, statistics)  # an error where a sum is missing
    if not family.has_statistics and ("information" in statistics or d <= family.observed_columns):
        p = len(family.parameter_names)
        if family.joint:
            p = sum(len(space.entries(name, params[name])) for name, space in family.parameters.items())
        expected = (p, p) if family.joint else (d, p, p)
        if statistics["information"].shape != expected:
            raise ValueError(f"the information has shape {statistics['information'].shape}, not {expected}")
    if "curvature" in statistics:
        shape, q = statistics["curvature"].shape, len(chart_at(family, params).names)
        if len(shape) != 3 or shape[0] * shape[1] != q:
            raise ValueError(f"the curvature has shape {shape} for {q} coordinates")


def _check_statistic(family: Family, name: str, value: Any, d: int) -> None:
    """ValueError unless one of the statistics has the type and the shape that such a one of d columns has."""
    shape: tuple[int, ...] = (len(value),) if isinstance(value, list) else np.shape(value)
    if name in ("information", "curvature", KEPT):
        fits = value.dtype == np.float64 and len(shape) > 1 and shape[-1] == shape[-2]
    else:
        axes = 2 if family.joint and name != "weight" else 1
        fits = (set(shape) <= {d} and len(shape) <= axes) or (isinstance(value, list) and len(value) == 1)
        parts = [np.asarray(part) for part in (value if isinstance(value, list) else [value])]
        if name != LABELS and any(part.dtype != np.float64 for part in parts):
            raise ValueError(f"the statistic {name!r} is of type {parts[0].dtype}, not float64")
        if name != LABELS and not all(np.isfinite(part).all() for part in parts):
            raise ValueError(f"the statistic {name!r} is not finite")
    if not fits:
        raise ValueError(f"the statistic {name!r} has shape {shape} for {d} columns")


def _check_log_likelihood(family: Family, statistics: Statistics, params: Params, expected: Any) -> None:
    """The log-likelihood follows from statistics and parameters, so that it shows when they do not belong together."""
    with np.errstate(all="ignore"):  # whatever numbers a file holds
        found = family.statistics_log_likelihood(statistics, params)
    slack = LOG_LIKELIHOOD_SLACK * family.statistics_weight(statistics)
    if not np.isclose(found, expected, rtol=1e-9, atol=slack, equal_nan=True):
        raise ValueError(f"log_likelihood_ is {expected!r}, but {found:.9g} with these statistics and parameters")
