"""From what a user says of a mixture to families and priors, and from its maximum to the observed information."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.whole_numbers import is_count
from fastkl.density.parametric.incomplete import fit_any_rows, starting_parameters
from fastkl.density.parametric.products import FORM, is_product, resolve_product
from fastkl.density.validation import resolve_family
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family
from fastkl.families.gradient_sums import all_added
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.expectation import Components
from fastkl.families.mixture.layout import Layout
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.normal import Normal
from fastkl.families.priors import NormalInverseWishart, Prior, PriorLike, resolve_prior
from fastkl.families.priors.base import moment_names
from fastkl.families.product import Product
from fastkl.families.product.fitting import ProductPrior
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import hessian, information_of_scores
from fastkl.families.spaces import Weights
from fastkl.rows.checks import raise_if_not_finite

MOMENTS = 3e7  # numbers read, times parameters: what "auto" takes for the observed information
MOST_COMPONENTS = 100_000  # beyond, a mistake of typing would have to wait for that many descriptions of families
DISTINCT_ROWS = 4096  # at first looked at for as many different ones as there are components


def resolved_mixture(family: Any, n_components: int, weights: ArrayLike | None) -> Mixture:
    """A mixture of its own from a family (or a product of some), or one for each component."""
    if not is_count(n_components):
        raise ValueError(f"n_components is a whole number of at least 1, not {n_components!r}.")
    if n_components > MOST_COMPONENTS:
        raise ValueError(f"n_components is at most {MOST_COMPONENTS:,}, not {n_components!r}.")
    components = _components(family, n_components)
    tied = [isinstance(one, MultivariateNormal) and one.covariance_type == "tied" for one in components]
    if any(tied):
        components = _untied(components, tied)
    _refuse_components(components)
    fixed = None if weights is None else np.asarray(weights, dtype=np.float64)
    mixture = Mixture(components, fixed, any(tied))
    if fixed is not None:
        Weights().shaped(fixed, 1, "weights")
        if len(fixed) != len(components):
            raise ValueError(f"There are {len(fixed)} weights for {len(components)} components.")
    return mixture


def _components(family: Any, n_components: int) -> list[Family]:
    """A family for each component, or the error that says what a family is."""
    if is_product(family):
        return [resolve_product(family) for _ in range(n_components)]
    if not isinstance(family, list | tuple):
        return [resolve_family(family)] * n_components
    components = [resolve_product(one) if is_product(one) else resolve_family(one) for one in family]
    if len(components) != n_components:
        raise ValueError(
            f"family names {len(components)} components, n_components is {n_components}: give MixtureMLE({len(components)}, "
            "family=[...]), or a family for each component."
        )
    return components


def _refuse_components(components: list[Family]) -> None:
    """ValueError for families that are no components, or are not of one kind."""
    for one in components:
        if getattr(one, "shrinkage", None) is not None:
            raise ValueError(
                "The components of a mixture are regularised by a prior (prior='default'), not by shrinkage."
            )
        if isinstance(one, Product) and not one.groups:
            raise ValueError(f"A product is given by its groups: {FORM}.")
        if isinstance(one, Mixture):
            raise ValueError("A mixture of mixtures is a mixture: give all components at once.")
    products = any(isinstance(one, Product) for one in components)  # which are compared once their columns are known
    if not products and len({(one.labels, one.discrete) for one in components}) > 1:
        raise ValueError("The components of a mixture are all continuous, all discrete, or all about labels.")


def _untied(components: list[Family], tied: list[bool]) -> list[Family]:
    if not all(tied) or any(one.fixed_parameters() for one in components):
        raise ValueError("A tied covariance is one of all components, which then hold no parameter fixed.")
    return [MultivariateNormal()] * len(components)


def raise_if_few_rows(rows: AnyRows, n_components: int) -> None:
    """DegenerateDataError unless there are as many different rows as components."""
    some = rows.sample(DISTINCT_ROWS)
    raise_if_not_finite(some)
    if len(_different(some.X[:DISTINCT_ROWS], n_components)) >= n_components:
        return
    found = len(_different(rows.X if isinstance(rows, Rows) else some.X, n_components))
    if found < n_components:
        raise DegenerateDataError(
            f"There are {n_components} components for {found} different row{'s' * (found != 1)} "
            f"(n_samples={rows.total_weight:g}): use fewer components."
        )


def _different(X: Any, enough: int) -> set[tuple[Any, ...]]:
    found: set[tuple[Any, ...]] = set()
    for row in X:
        found.add(tuple(row.tolist()))
        if len(found) >= enough:
            break
    return found


def resolved_priors(prior: str | PriorLike | None, mixture: Mixture, rows: AnyRows) -> list[PriorLike | None]:
    """The prior of each component, bound to all rows, so that it says the same of every component."""
    layout: Layout = mixture.layout
    found: list[PriorLike | None] = [None] * layout.size
    if prior is None:
        return found
    if mixture.tied:
        raise ValueError(
            "A covariance that all components share can't collapse: there is no prior for it, leave prior=None."
        )
    for group in layout.groups:
        if isinstance(group.family, Product):
            bound = _bound_by_groups(prior, group.family, rows, layout.size)
        else:
            bound = _bound(prior, group.family, rows, layout.size)
        for k in group.members:
            found[k] = bound
    return found


def _bound_by_groups(prior: Any, family: Product, rows: AnyRows, n_components: int) -> PriorLike | None:
    """The priors of the groups of a product: the same name for all, or a mapping of some to theirs."""
    given = prior if isinstance(prior, Mapping) else {part.name: prior for part in family.parts}
    unknown = [name for name in given if name not in [part.name for part in family.parts]]
    if unknown:
        raise ValueError(f"prior names the groups {', '.join(map(repr, unknown))}, which the product does not have.")
    bound = {}
    for part in family.parts:
        own = given.get(part.name)
        with part.placed():
            found = None if own is None else _bound(own, part.family, part.any_rows(rows), n_components)
        if found is not None:
            bound[part.name] = found
    return ProductPrior(bound) if bound else None


def _bound(prior: str | PriorLike, family: Family, rows: AnyRows, n_components: int) -> PriorLike | None:
    own = resolve_prior(prior, family)
    if not family.free_names():
        return None
    params = _params_of_all(family, rows)
    if prior in ("default", "normal_inverse_wishart") and family.gaussian:
        location, spread = moment_names(family)
        covariance = params[spread] ** 2 if isinstance(family, Normal) else params[spread]
        own = NormalInverseWishart.fraley_raftery(params[location], covariance, n_components)
    return own.bind(family, params) if isinstance(own, Prior) else own


def _params_of_all(family: Family, rows: AnyRows) -> Params:
    """The maximum on all rows, or a guess at it where there is none."""
    try:
        return fit_any_rows(family, None, rows, 1e-6, 100)[0].params
    except DegenerateDataError:
        if not family.has_statistics:
            raise
        if rows.incomplete:
            return starting_parameters(family, rows)
        return family.starting_parameters(rows.total(family.statistics, merge=family.merge_statistics))


# -- observed information --------------------------------------------------------------------------------------------------


def curvature_of(
    mixture: Mixture, params: Params, rows: AnyRows, priors: Sequence[PriorLike | None], wanted: bool | str
) -> Floats | None:
    """Minus the second derivatives of log-likelihood plus log-prior by the coordinates, (1, q, q); None where not wanted.

    They are differences of gradients, of fourth order: one pass over the rows for each 64 coordinates. Where a component has
    kinks at the rows they are the products of the rows' scores, of one pass.
    """
    if wanted not in (True, False, "auto"):
        raise ValueError(f"standard_errors is True, False or 'auto', not {wanted!r}.")
    if wanted is False:
        return None
    chart = chart_at(mixture, params, mixture.estimated_entries(params))
    if wanted == "auto" and not isinstance(rows, Rows):
        return None
    if wanted == "auto" and 4.0 * chart.size * rows.total_weight * rows.n_columns * mixture.layout.size > MOMENTS:
        return None

    def gradients_of_priors(places: list[Params]) -> list[Params]:
        return [
            _with_priors(mixture, priors, at, {name: np.zeros_like(value) for name, value in at.items()})
            for at in places
        ]

    def gradients(places: list[Params]) -> list[Params]:
        step = Components(mixture.layout, params).block_rows
        found = rows.total(gradients_block, mixture, places, merge=all_added, block_rows=step)
        return [_with_priors(mixture, priors, at, slope) for at, slope in zip(places, found, strict=True)]

    try:
        with np.errstate(all="ignore"):
            if mixture.smooth:
                return -hessian(gradients, chart, params)
            return information_of_scores(mixture, rows, params, chart, gradients_of_priors)
    except (SupportError, np.linalg.LinAlgError):
        # a component without a slope, as at the end of its support, or one that closes in on a plane
        return np.full((1, chart.size, chart.size), np.nan)


def smallest_eigenvalue(curvature: Floats) -> float:
    """Of a symmetric matrix; NaN where an entry is none, as for shapes or scales near the ends of what numbers tell."""
    if not np.isfinite(curvature).all():
        return np.nan
    return float(np.linalg.eigvalsh(curvature)[0]) if curvature.size else 0.0


def gradients_block(rows: Rows, mixture: Mixture, places: Sequence[Params]) -> list[Params]:
    """Gradients of the log-likelihood of a block at several places; NaN where a row lies outside the support there."""
    return [_gradient_or_nan(rows, mixture, at) for at in places]


def _gradient_or_nan(rows: Rows, mixture: Mixture, at: Params) -> Params:
    try:
        return Components(mixture.layout, at).gradient(rows)[1]
    except SupportError:
        return {name: np.full_like(value, np.nan) for name, value in at.items()}


def not_smooth(mixture: Mixture, params: Params, curvature: Floats) -> dict[str, str]:
    """A sentence for each parameter beside which the observed information is no number, since the support ends at a row."""
    chart = chart_at(mixture, params, mixture.estimated_entries(params))
    sharp = chart.sharp_entries(chart.jacobian(params), curvature[0])
    return {
        name: f"Near {name} the likelihood is not smooth, as where a support ends at a row: it has no standard error."
        for name, one in zip(chart.names, sharp, strict=True)
        if one
    }


def _with_priors(mixture: Mixture, priors: Sequence[PriorLike | None], at: Params, gradient: Params) -> Params:
    own = mixture.split(at)
    for group in mixture.layout.groups:
        for i, k in enumerate(group.members):
            prior = priors[k]
            if prior is not None:
                for name, slope in prior.gradient(own[k]).items():
                    gradient[group.key(name)][i] += slope
    return gradient
