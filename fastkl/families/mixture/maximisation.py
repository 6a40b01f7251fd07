"""The second half of an EM map: the parameters of each component from the rows under its responsibilities.

A family with sufficient statistics solves them; another goes some steps uphill, which raises the likelihood of the
mixture all the same (A. Dempster, N. Laird, D. Rubin 1977: generalised EM). A component that is left without rows, or
whose rows have no maximum, is a ``CollapsedError``.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from fastkl._core._linalg import component_moments
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.iterations import told
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Fit
from fastkl.families.in_range import raise_if_out_of_range
from fastkl.families.mixture.collapsed import CollapsedError
from fastkl.families.mixture.expectation import Components, Expectation
from fastkl.families.mixture.layout import WEIGHTS, Group, Layout
from fastkl.families.mixture.normals import NO_ROWS, Moments, StackedNormals
from fastkl.families.mixture.posterior_normals import PosteriorNormalMaps
from fastkl.families.mixture.side_by_side import SideBySide
from fastkl.families.mixture.students import StudentMaps
from fastkl.families.priors import PriorLike
from fastkl.families.product import Product
from fastkl.families.product.fitting import fit_rows, fit_statistics
from fastkl.families.spaces.stacked import stacked_entry

T = TypeVar("T")
INNER_TOL, INNER_STEPS = 1e-12, 4  # of a family without statistics, in one EM map
START_TOL, START_STEPS = 1e-6, 50
NO_WEIGHT = "The weight is 0, a boundary: the rows are fitted best without this component."
KEPT_NUMBERS = 1 << 21  # responsibilities kept for such families, 16 MB; more are formed anew in each of their passes


@dataclass(frozen=True)
class Maximisation:
    """Parameters of the mixture, and which of them sit at a boundary (with a sentence each)."""

    params: Params
    boundary: dict[str, str] = field(default_factory=dict)


def maximise(
    components: Components,
    expectation: Expectation,
    rows: AnyRows,
    priors: Sequence[PriorLike | None],
    fixed_weights: Floats | None = None,
) -> Maximisation:
    """Weights and parameters that raise the expected log-likelihood of rows and components together."""
    sums, layout = expectation.weights, components.layout
    free = not any(priors) and not any(group.family.fixed_parameters() for group in layout.groups)
    if components.normals is not None and expectation.moments is not None and free:
        return Maximisation(components.normals.following(expectation.moments, fixed_weights).params)
    fits: list[Fit] = [Fit({})] * layout.size
    own = OwnRows(components, rows)
    for group in layout.groups:
        if group.tied is not None:
            for k, fit in zip(group.members, _tied(group, expectation), strict=True):
                fits[k] = fit
            continue
        for k in group.members:
            if not group.family.free_names():
                fits[k] = Fit(components.params[k])
                continue
            if sums[k] <= NO_ROWS * np.sum(sums):
                raise CollapsedError(k, "no row is left for it")
            fits[k] = _fitted(k, group.family, expectation.statistics[k], own, components.params[k], priors[k])
    weights = sums / np.sum(sums) if fixed_weights is None else fixed_weights
    return Maximisation(layout.join([fit.params for fit in fits], weights), _boundary(layout, fits, weights))


def _boundary(layout: Layout, fits: Sequence[Fit], weights: Floats) -> dict[str, str]:
    found = {f"{WEIGHTS}[{k}]": NO_WEIGHT for k in np.flatnonzero(weights == 0.0)}
    for group in layout.groups:
        for i, k in enumerate(group.members):
            for entry, text in fits[k].boundary.items():
                found[stacked_entry(group.key(entry.partition("[")[0]), i, entry)] = text
    return found


def _fitted(
    k: int,
    family: Family,
    statistics: Statistics | None,
    own: OwnRows | None,
    start: Params | None,
    prior: PriorLike | None,
) -> Fit:
    try:
        with told(None):  # the iterations that count are those of the mixture
            if statistics is not None:
                return fit_statistics(family, prior, statistics, start)
            assert own is not None
            return _fit_of_rows(family, prior, own.of(k), INNER_TOL, INNER_STEPS, start)
    except DegenerateDataError as error:
        raise CollapsedError(k, str(error)) from error
    except np.linalg.LinAlgError:
        raise CollapsedError(k, "its matrix is singular to rounding") from None


def _fit_of_rows(
    family: Family, prior: PriorLike | None, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None
) -> Fit:
    if prior is not None or isinstance(family, Product):
        return fit_rows(family, prior, rows, tol, max_iter, start)[0]
    fit = family.fit_alone(rows, tol, max_iter, start)
    raise_if_out_of_range(family, fit)
    return fit


def _tied(group: Group, expectation: Expectation) -> list[Fit]:
    """Normal components that share their covariance: its maximum is that of the scatter about all of their means."""
    chosen: Any = [expectation.statistics[k] for k in group.members]
    family: Any = group.family
    weights = np.array([own["weight"] for own in chosen])
    lost = np.flatnonzero(weights <= NO_ROWS * np.sum(expectation.weights))
    if len(lost):
        raise CollapsedError(group.members[lost[0]], "no row is left for it")
    scatter = np.sum([own["scatter"] for own in chosen], axis=0)
    counted = max(own["n_rows"] for own in chosen)
    pooled = {"weight": np.sum(weights), "mean": np.zeros(len(scatter)), "scatter": scatter, "n_rows": counted}
    try:
        shared = family.solve(pooled).params["covariance"]
    except DegenerateDataError as error:
        raise CollapsedError(group.members[0], str(error)) from error
    return [Fit({"mean": own["mean"], "covariance": shared}) for own in chosen]


class OwnRows:
    """The rows of each component: all rows, with its responsibilities for weights."""

    def __init__(self, components: Components, rows: AnyRows):
        self.components, self.rows = components, rows
        self.shares: Floats | None = None

    def of(self, k: int) -> AnyRows:
        """Those of component k, as a fit takes them."""
        rows = self.rows
        if isinstance(rows, Rows) and len(rows.X) * self.components.layout.size <= KEPT_NUMBERS:
            if self.shares is None:
                self.shares = self.components.responsibilities(rows)[1]
            weights = self.shares[k] if rows.weights is None else self.shares[k] * rows.weights
            return replace(rows, weights=np.ascontiguousarray(weights))
        return ComponentRows(rows, self.components, k)


class ComponentRows:
    """Rows to pass over (``AnyRows``) under the responsibilities of one component, which are formed anew for every block."""

    def __init__(self, rows: AnyRows, components: Components, k: int):
        self.rows, self.components, self.k = rows, components, k
        self.n_threads, self.names, self.n_columns = rows.n_threads, rows.names, rows.n_columns
        self.incomplete = rows.incomplete
        self._weight: float | None = None

    @property
    def total_weight(self) -> float:
        """Sum of the weights: a pass of its own."""
        if self._weight is None:
            self._weight = self.total(_weight_of)
        return self._weight

    def column(self, column: int) -> str:
        """The column in words."""
        return self.rows.column(column)

    def total(
        self,
        function: Callable[..., T],
        *args: Any,
        merge: Callable[[T, T], T] = operator.add,
        block_rows: int | None = None,
    ) -> T:
        """``function(block, *args)`` of all blocks, merged in their order: one pass."""
        step = self.components.block_rows if block_rows is None else min(block_rows, self.components.block_rows)
        found = self.rows.total(
            _of_component, self.components, self.k, function, args, merge=partial(_merged, merge), block_rows=step
        )
        if found is None:
            raise DegenerateDataError("No row is left for it.")
        return found[0]

    def sample(self, size: int) -> Rows:
        """Some of the rows in memory, under the same responsibilities."""
        return _weighted(self.rows.sample(size), self.components, self.k)


def _weighted(rows: Rows, components: Components, k: int) -> Rows:
    shares = components.responsibilities(rows)[1][k]
    weights = shares if rows.weights is None else shares * rows.weights
    return replace(rows, weights=np.ascontiguousarray(weights)).of_positive_weight()


def _of_component(
    rows: Rows, components: Components, k: int, function: Callable[..., T], args: tuple[Any, ...]
) -> tuple[T] | None:
    own = _weighted(rows, components, k)
    return (function(own, *args),) if len(own.X) else None


def _merged(merge: Callable[[T, T], T], first: tuple[T] | None, second: tuple[T] | None) -> tuple[T] | None:
    if first is None or second is None:
        return second if first is None else first
    return (merge(first[0], second[0]),)


def _weight_of(rows: Rows) -> float:
    return rows.total_weight


def fit_alone(mixture: Any, rows: Rows, shares: Floats, priors: Sequence[PriorLike | None]) -> Params:
    """Parameters of a mixture whose components are fitted to rows in memory under given responsibilities, (n, k).

    DegenerateDataError where the rows of a component have no maximum.
    """
    return ways_alone(mixture, rows, priors)(shares)


def ways_alone(mixture: Any, rows: Rows, priors: Sequence[PriorLike | None]) -> Callable[[Floats], Params]:
    """``fit_alone`` for many responsibilities of the same rows."""
    layout: Layout = mixture.layout
    fixed = mixture.fixed_parameters()
    if any(priors):
        stacked: SideBySide | None = PosteriorNormalMaps.of(layout, rows, fixed.get(WEIGHTS), priors)
    elif StackedNormals.are_all_of(layout) and layout.groups[0].tied is None and not (fixed.keys() - {WEIGHTS}):
        return lambda shares: _normals_alone(layout, rows, shares, fixed.get(WEIGHTS))
    else:
        stacked = StudentMaps.of(layout, rows, fixed.get(WEIGHTS), KEPT_NUMBERS)
    if stacked is not None:
        return stacked.begun
    return lambda shares: _alone(layout, rows, shares, priors, fixed.get(WEIGHTS))


def _alone(
    layout: Layout, rows: Rows, shares: Floats, priors: Sequence[PriorLike | None], fixed_weights: Any
) -> Params:
    own = rows.components(shares)
    sums = np.array([part.total_weight for part in own])
    params: list[Params] = [{} for _ in range(layout.size)]
    for group in layout.groups:
        if group.tied is not None:
            statistics: list[Statistics | None] = list(group.family.component_statistics(rows, shares))
            fits = _tied(group, Expectation(0.0, sums, statistics, []))
        else:
            with told(None):
                fits = [
                    _fit_of_rows(group.family, priors[k], own[k], START_TOL, START_STEPS)
                    if group.family.free_names()
                    else Fit(group.family.fixed_columns(rows.n_columns))
                    for k in group.members
                ]
        for k, fit in zip(group.members, fits, strict=True):
            params[k] = fit.params
    return layout.join(params, _weights(sums, fixed_weights))


def _weights(sums: Floats, fixed: Any) -> Floats:
    return np.asarray(sums / np.sum(sums) if fixed is None else fixed, dtype=np.float64)


def _normals_alone(layout: Layout, rows: Rows, shares: Floats, fixed: Any) -> Params:
    """The same for normal components without a prior, by the moments of all at once."""
    family: Any = layout.groups[0].family
    if getattr(family, "covariance_type", "") != "full":
        statistics = family.component_statistics(rows, shares)
        params = [family.solve(own).params for own in statistics]
        sums = np.array([np.max(own["weight"]) for own in statistics])
        return layout.join(params, _weights(sums, fixed))
    parts = component_moments(rows.X, rows.component_weights(shares), rows.n_threads)
    sums, means, scatters = (np.stack(values) for values in zip(*parts, strict=True))
    if not np.isfinite(scatters).all():
        family.component_statistics(rows, shares)  # whose error names the column
    weights, found = _weights(sums, fixed), Moments(0.0, sums, means, scatters, len(rows.X))
    with np.errstate(all="ignore"):  # of a component without spread, which is then an error
        return StackedNormals(layout.groups[0], weights, means, scatters).following(found, weights).params
