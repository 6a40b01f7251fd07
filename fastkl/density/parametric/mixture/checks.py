"""What a file has to hold to be a fitted mixture: parameters in range, and arrays that fit each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl.density.parametric.checks import check_fit, check_params
from fastkl.density.parametric.mixture.stream import check_stream
from fastkl.density.parametric.products import is_product, with_numbers
from fastkl.families.mixture import Mixture
from fastkl.families.solvers.coordinates import chart_at


def stored_parameters(density: Any) -> dict[str, Any]:
    """The parameters of the constructor; of a random state only what is a number, since a generator is a process, not a value."""
    parameters: dict[str, Any] = density.get_params(deep=False)
    if is_product(parameters["family"]):
        parameters["family"] = with_numbers(parameters["family"], density.family_.component_families[0])
    state = parameters["random_state"]
    return {**parameters, "random_state": state if state is None or isinstance(state, int) else None}


def check_mixture(density: Any) -> None:
    """ValueError unless a density has a mixture, parameters of it, and what a fit learns beside them."""
    if not isinstance(density.family_, Mixture):
        raise ValueError(f"family_ is {density.family_!r}")
    check_params(density.family_, density.params_, density.n_features_in_)
    dtypes = getattr(density, "dtypes_", None)
    if dtypes is not None and (len(dtypes) != density.n_features_in_ or not all(type(one) is str for one in dtypes)):
        raise ValueError(f"dtypes_ are not those of {density.n_features_in_} columns")
    if hasattr(density, "stream_"):
        check_stream(density)
    if not hasattr(density, "statistics_"):
        return
    check_fit(density)
    weight = np.asarray(density.statistics_["weight"])
    if weight.shape or weight.dtype != np.float64 or not 0.0 < weight < np.inf:
        raise ValueError("the weight of the rows is not above 0")
    if not np.isfinite(density.log_likelihood_):
        raise ValueError(f"log_likelihood_ is {density.log_likelihood_!r}")
    if "curvature" in density.statistics_:
        mixture, params = density.family_, density.params_
        size = chart_at(mixture, params, mixture.estimated_entries(params)).size
        found = density.statistics_["curvature"]
        if found.dtype != np.float64 or found.shape != (1, size, size):
            raise ValueError(f"the curvature has shape {found.shape} for {size} coordinates")
