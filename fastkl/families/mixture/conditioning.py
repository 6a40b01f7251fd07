"""Some columns of a mixture given others: what the given values say of the components weights them anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.base import Family


def conditioned(
    components: Sequence[tuple[Any, Params]],
    weights: Floats,
    kept: Sequence[int],
    given: Sequence[int],
    values: NDArray[Any],
) -> tuple[list[tuple[Family, Params]], Floats]:
    """Each component given the values, and the posterior weights; ValueError where no component has these values."""
    at, logs, parts = np.asarray(values)[np.newaxis], [], []
    for family, own in components:
        logs.append(_log_density_of_part(family, own, given, at))
        if not family.joint:
            parts.append(family.of_columns(own, kept))
        elif hasattr(family, "conditional"):
            parts.append(family.conditional(own, kept, given, values))
        else:
            raise AttributeError(f"The conditional distributions of the {family.name} family have no closed form here.")
    with np.errstate(divide="ignore"):
        terms = np.log(weights) + np.array(logs)
    if np.max(terms) == -np.inf:
        raise ValueError(f"The values {np.asarray(values).tolist()} lie outside the support of every component.")
    posterior = np.exp(terms - logsumexp(terms))
    return parts, np.asarray(posterior / posterior.sum())


def _log_density_of_part(family: Any, params: Params, columns: Sequence[int], at: NDArray[Any]) -> float:
    part = family.marginal(params, columns) if family.joint else family.of_columns(params, columns)
    if part is None:
        raise AttributeError(f"The marginal distributions of the {family.name} family have no closed form here.")
    # beside labels numbers come as objects, which families of numbers alone do not read
    rows = Rows(at if part[0].labels else at.astype(np.float64))
    return float(part[0].log_density(rows, part[1])[0])
