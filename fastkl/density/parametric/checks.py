"""What a file has to hold to be a fitted density of one family: parameters in range, and arrays that fit each other.

An edited or damaged file could otherwise score with a negative scale, or hand sums of the wrong length to a kernel.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.array_types import Params, Statistics
from fastkl.density.parametric.inference import KEPT
from fastkl.families.base import Family

LOG_LIKELIHOOD_SLACK = 1e-6  # nats per unit of weight; the same sums on another machine differ by rounding


def check_family_density(density: Any) -> None:
    """ValueError unless a density has a family, parameters of it, and statistics that go with them."""
    family, params = density.family_, density.params_
    if not isinstance(family, Family):
        raise ValueError(f"family_ is {family!r}")
    check_params(family, params, density.n_features_in_)
    if hasattr(density, "statistics_"):
        check_statistics(family, density.statistics_, density.n_features_in_)
        if family.has_statistics and "incomplete" not in density.statistics_:
            _check_log_likelihood(family, density.statistics_, params, density.log_likelihood_)


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
    if hasattr(family, "labels_of"):
        for j, (labels, p) in enumerate(zip(family.labels_of(params), *params.values(), strict=True)):
            if len(set(np.asarray(labels).tolist())) < len(labels) or len(labels) > len(p) or p[len(labels) :].any():
                raise ValueError(
                    f"column {j} has {len(labels)} categories, not all different, or as many as probabilities"
                )


def check_statistics(family: Family, statistics: Statistics, d: int) -> None:
    """ValueError unless these are numbers in the form of statistics of d columns.

    Sums that can be merged have an entry for each column along every axis; what errors are computed from is square.
    """
    weight = np.asarray(statistics["weight"], dtype=np.float64)
    if not np.isfinite(weight).all() or np.any(weight <= 0.0):
        raise ValueError("the weight of the rows is not above 0")
    for name, value in statistics.items():
        shape = (len(value),) if isinstance(value, list) else np.shape(value)
        if name in ("information", "curvature", KEPT):
            fits = value.dtype == np.float64 and len(shape) > 1 and shape[-1] == shape[-2]
        else:
            fits = set(shape) <= {d}
        if not fits:
            raise ValueError(f"the statistic {name!r} has shape {shape} for {d} columns")
    if not family.has_statistics and not family.joint:
        p = len(family.parameter_names)
        if statistics["information"].shape != (d, p, p):
            raise ValueError(f"the information has shape {statistics['information'].shape}, not {(d, p, p)}")


def _check_log_likelihood(family: Family, statistics: Statistics, params: Params, expected: Any) -> None:
    """The log-likelihood follows from statistics and parameters, so that it shows when they do not belong together."""
    found = family.statistics_log_likelihood(statistics, params)
    slack = LOG_LIKELIHOOD_SLACK * family.statistics_weight(statistics)
    if not np.isclose(found, expected, rtol=1e-9, atol=slack, equal_nan=True):
        raise ValueError(f"log_likelihood_ is {expected!r}, but {found:.9g} with these statistics and parameters")
