"""The density of some of the columns, where it has a closed form: independent columns, multivariate normal and t."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl.density import DensityMLE
from fastkl.families import by_name
from fastkl.families.univariate import UnivariateFamily


def marginal(density: Any, columns: Sequence[int], n_columns: int) -> Any:
    """The density of the chosen columns: the density itself if it has no others; ValueError where there is no closed form."""
    if list(columns) == list(range(n_columns)):
        return density
    chosen = list(columns)
    family, params = getattr(density, "family_", None), getattr(density, "params_", {})
    if isinstance(family, UnivariateFamily):
        return DensityMLE.from_parameters(type(family)(), **{name: params[name][chosen] for name in params})
    name = getattr(family, "name", None)
    if name == "categorical":
        categories = [density.categories_[j] for j in chosen]
        chosen_family = by_name(name)(categories=categories)
        return DensityMLE.from_parameters(chosen_family, probabilities=params["probabilities"][chosen])
    if family is not None and name == "multivariate_normal":
        chosen_family = by_name(name)(covariance_type=family.covariance_type)
        return DensityMLE.from_parameters(
            chosen_family, mean=params["mean"][chosen], covariance=_block(params["covariance"], chosen)
        )
    if name == "multivariate_t":
        scale = _block(params["scale"], chosen)
        return DensityMLE.from_parameters(name, df=params["df"], loc=params["loc"][chosen], scale=scale)
    what = name or type(density).__name__
    raise ValueError(
        f"The density of {len(chosen)} of {n_columns} columns has no closed form for {what}. Fit a density to those columns "
        "alone to draw it."
    )


def _block(matrix: Any, chosen: Sequence[int]) -> Any:
    """The chosen part of a full, diagonal or spherical covariance."""
    values = np.asarray(matrix)
    return values if values.ndim == 0 else values[np.ix_(*[chosen] * values.ndim)]
