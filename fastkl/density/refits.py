"""Draws of a fitted density, and the density fitted to them anew: what a parametric bootstrap is made of.

Parts of a density may go by column names: groups, a ColumnTransformer, boundaries. So draws have the names of the fit. What
cannot be fitted is left out by the caller, and counted; any other error is one, and is raised.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from sklearn.base import clone

from fastkl._core.array_types import Floats
from fastkl.density.chosen_table import as_table
from fastkl.exceptions import DegenerateDataError, SupportError

# Rows that have no maximum of the likelihood; a draw may lie outside the support by rounding.
UNFITTABLE = (DegenerateDataError, SupportError)


def named_draws(density: Any, n: int, generator: np.random.Generator) -> Any:
    """Draws of the density: a table where the fit had column names."""
    return named_rows(density, density.sample(n, random_state=generator))


def named_rows(density: Any, rows: Any) -> Any:
    """Rows as a table where the fit had column names."""
    if not hasattr(density, "feature_names_in_") or not isinstance(rows, np.ndarray):
        return rows
    kind = next((name for name in ("pandas", "polars") if find_spec(name) is not None), None)
    return rows if kind is None else as_table(rows, density._column_labels(), kind)


def fitted_again(density: Any, rows: Any, weights: Floats | None) -> Any:
    """The density fitted to other rows; one whose parameters were given stays as it is."""
    weight = getattr(density, "_fitted_weight", None)
    if "noise" in getattr(density, "statistics_", {}):
        raise ValueError(
            "This mixture was fitted to rows measured with noise, and draws have none: bootstrap samples of it would be fitted "
            "in another way. n_bootstrap=0 leaves p-values out."
        )
    # of a part from elsewhere the weight is not known, but that it was fitted
    if weight is not None and weight() is None and not hasattr(density, "log_likelihood_"):
        return density
    return clone(density).fit(rows) if weights is None else clone(density).fit(rows, sample_weight=weights)
