"""The maximum of a family with its prior, group by group where the family is a product of several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastkl._core.array_types import Params, Statistics
from fastkl._core.rows import AnyRows
from fastkl.families.base import Family, Fit
from fastkl.families.priors import Prior, PriorLike
from fastkl.families.product.family import Product
from fastkl.families.solvers import posterior


class ProductPrior(Prior):
    """Independent priors of the groups of a product.

    Parameters
    ----------
    priors : mapping of str to prior
        By the names of the groups; the others have a flat one.

    Examples
    --------
    >>> from fastkl import priors
    >>> from fastkl.families.product.fitting import ProductPrior
    >>> prior = ProductPrior({"visits": priors.GammaPrior(2.0, 1.0, "rate")})
    >>> float(prior.gradient({"visits__rate": 1.0, "height__loc": 0.0})["visits__rate"])
    0.0
    """

    def __init__(self, priors: Mapping[str, Any]):
        self.priors = priors

    def of(self, name: str) -> Any:
        """The prior of a group; None where it is flat."""
        return self.priors.get(name)

    def log_density(self, params: Params) -> float:
        return float(sum(prior.log_density(_own(name, params)) for name, prior in self.priors.items()))

    def gradient(self, params: Params) -> Params:
        found: Params = {}
        for name, prior in self.priors.items():
            found |= {f"{name}__{key}": slope for key, slope in prior.gradient(_own(name, params)).items()}
        return found


def _own(group: str, params: Params) -> Params:
    start = f"{group}__"
    return {name.removeprefix(start): value for name, value in params.items() if name.startswith(start)}


def fit_rows(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None
) -> tuple[Fit, Statistics]:
    """``posterior.fit_rows``, of every group of a product by itself."""
    if not isinstance(family, Product):
        return posterior.fit_rows(family, prior, rows, tol, max_iter, start)
    fits, statistics, total = [], [], 0.0
    for part in family.parts:
        own, of_part = None if start is None else part.own(start), part.any_rows(rows)
        with part.placed():
            if part.family.free_names():
                fit, sums = posterior.fit_rows(part.family, _prior_of(prior, part.name), of_part, tol, max_iter, own)
            else:
                fit, sums = Fit(part.family.fixed_columns(len(part.columns))), {"weight": np.float64(rows.total_weight)}
        if fit.log_likelihood is not None:
            total += fit.log_likelihood
        elif part.family.has_statistics and part.family.free_names():
            total += part.family.statistics_log_likelihood(sums, fit.params)
        else:
            total += of_part.total(part.family.log_likelihood, fit.params)
        fits.append(fit)
        statistics.append(sums)
    joined: Statistics = {"weight": statistics[0]["weight"]}
    for part, sums in zip(family.parts, statistics, strict=True):
        joined |= part.named(sums)
    return _with_priors(family, fits, total), joined


def fit_statistics(family: Family, prior: PriorLike | None, statistics: Statistics, start: Params | None = None) -> Fit:
    """``posterior.fit_statistics``, of every group of a product by itself."""
    if not isinstance(family, Product):
        return posterior.fit_statistics(family, prior, statistics, start)
    fits = []
    for part in family.parts:
        if not part.family.free_names():
            fits.append(Fit(part.family.fixed_columns(len(part.columns))))
            continue
        own = None if start is None else part.own(start)
        with part.placed():
            fits.append(posterior.fit_statistics(part.family, _prior_of(prior, part.name), part.own(statistics), own))
    return _with_priors(family, fits, None)


def _prior_of(prior: PriorLike | None, group: str) -> PriorLike | None:
    if prior is None:
        return None
    assert isinstance(prior, ProductPrior)
    return prior.of(group)


def _with_priors(family: Product, fits: list[Fit], total: float | None) -> Fit:
    joined = family.joined_fit(fits)
    bound = {part.name: fit.prior for part, fit in zip(family.parts, fits, strict=True) if fit.prior is not None}
    prior = ProductPrior(bound) if bound else None
    return Fit(joined.params, joined.n_iter, joined.converged, joined.boundary, total, prior)
