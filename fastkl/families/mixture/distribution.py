"""What a mixture is beside its likelihood: its distribution function, quantiles, and some columns given others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import logsumexp

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.base import Family
from fastkl.families.mixture.layout import WEIGHTS
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.normal import Normal
from fastkl.families.univariate import UnivariateFamily

ROOT_TOL = 4.0 * float(np.finfo(np.float64).eps)  # relative: the least that scipy's root finder takes


class MixtureDistribution(Family):
    """Members about the distribution, from those of the components."""

    component_families: list[Family]

    def split(self, params: Params) -> list[Params]:
        """The parameters of each component."""
        raise NotImplementedError

    # -- distribution function ---------------------------------------------------------------------------------------------

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """Logarithm of P(X_1 <= x_1, ..., X_d <= x_d) of every row, (n,)."""
        found = self._averaged("log_cdf", x, params)
        return self._near_one(found, "log_sf", x, params) if x.shape[1] == 1 else found

    def cdf(self, x: Floats, params: Params) -> Floats:
        """P(X_1 <= x_1, ..., X_d <= x_d) of every row, (n,)."""
        return np.exp(self.log_cdf(x, params))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        """Logarithm of P(X > x) of every row, (n,), of one column."""
        self._raise_unless_one_column(x.shape[1])
        return self._near_one(self._averaged("log_sf", x, params), "log_cdf", x, params)

    def sf(self, x: Floats, params: Params) -> Floats:
        """P(X > x) of every row, (n,), of one column."""
        return np.exp(self.log_sf(x, params))

    def _near_one(self, found: Floats, other: str, x: Floats, params: Params) -> Floats:
        """Logarithms of probabilities; those near 0 from the other tail, which has their digits."""
        near = found > -0.5
        if np.any(near):
            found[near] = np.log1p(-np.exp(self._averaged(other, x[near], params)))
        return found

    def _averaged(self, which: str, x: Floats, params: Params) -> Floats:
        """log sum_k weight_k exp(f_k), where f_k is the sum over independent columns or that of the joint distribution."""
        with np.errstate(divide="ignore"):
            log_weights = np.log(params[WEIGHTS])
        terms = []
        for family, own in self._parts(params):
            if getattr(family, "periodic", False) or not (
                isinstance(family, UnivariateFamily) or hasattr(family, which)
            ):
                raise AttributeError(f"The {family.name} family has no {which} that could be averaged over components.")
            found = np.asarray(getattr(family, which)(x, own))
            terms.append(found.sum(axis=1) if found.ndim == 2 else found)
        with np.errstate(divide="ignore"):
            return np.asarray(logsumexp(np.stack(terms, axis=1) + log_weights, axis=1))

    def _parts(self, params: Params) -> list[tuple[Any, Params]]:
        """Each component's family and parameters; a normal vector of one column is a normal distribution."""
        parts = []
        for family, own in zip(self.component_families, self.split(params), strict=True):
            if isinstance(family, MultivariateNormal) and len(own["mean"]) == 1:
                parts.append((Normal(), {"loc": own["mean"], "scale": np.sqrt(np.ravel(own["covariance"]))}))
            else:
                parts.append((family, own))
        return parts

    def _raise_unless_one_column(self, d: int) -> None:
        if d != 1:
            raise AttributeError(
                f"A mixture of {d} columns has neither tails nor quantiles; marginal([column]) of one column has."
            )

    # -- quantiles ---------------------------------------------------------------------------------------------------------

    def quantile(self, p: Floats, params: Params) -> Floats:
        """The least x with P(X <= x) >= p, of one column: between the least and the largest of the components' own."""
        return self._quantiles(p, params, upper=False)

    def upper_quantile(self, p: Floats, params: Params) -> Floats:
        """The least x with P(X > x) <= p, of one column."""
        return self._quantiles(p, params, upper=True)

    def _quantiles(self, p: Floats, params: Params, upper: bool) -> Floats:
        self._raise_unless_one_column(self.n_columns(params))
        ends = []
        for family, own in self._parts(params):
            if not isinstance(family, UnivariateFamily) or getattr(family, "periodic", False):
                raise AttributeError(f"A mixture of the {family.name} family has no quantiles.")
            ends.append(np.asarray((family.upper_quantile if upper else family.quantile)(p, own), dtype=np.float64))
        known = np.stack(ends)[params[WEIGHTS] > 0.0]
        low, high = known.min(axis=0), known.max(axis=0)
        out = np.empty(low.shape)
        for at in np.ndindex(low.shape):
            out[at] = self._root(float(np.broadcast_to(p, low.shape)[at]), low[at], high[at], params, upper)
        return out

    def _root(self, p: float, low: float, high: float, params: Params, upper: bool) -> float:
        """Where the distribution function crosses p, by the logarithm of the smaller tail."""
        if low == high or np.isnan(low) or not np.isfinite([low, high]).all():
            return low if p <= 0.5 and not upper else high
        by_upper = upper == (p <= 0.5)
        with np.errstate(divide="ignore"):
            target = np.log(p) if upper == by_upper else np.log1p(-p)

        def gap(x: float) -> float:
            """Below 0 where P(X <= x) is below what is asked for."""
            at = np.array([[x]])
            return (
                float(target - self.log_sf(at, params)[0]) if by_upper else float(self.log_cdf(at, params)[0] - target)
            )

        if self.discrete:
            return _least_integer(gap, low, high)
        if gap(low) >= 0.0:
            return low
        if gap(high) <= 0.0:
            return high
        return float(brentq(gap, low, high, xtol=5e-324, rtol=ROOT_TOL, maxiter=2000))

    # -- parts -------------------------------------------------------------------------------------------------------------

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: Floats
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others: each component's own, weighted by its posterior given them."""
        at, logs, parts = Rows(np.asarray(values, dtype=np.float64)[None]), [], []
        for family, own in zip(self.component_families, self.split(params), strict=True):
            logs.append(_log_density_of_part(family, own, given, at))
            if not family.joint:
                parts.append(family.of_columns(own, kept))
            elif hasattr(family, "conditional"):
                parts.append(family.conditional(own, kept, given, values))
            else:
                raise AttributeError(
                    f"The conditional distributions of the {family.name} family have no closed form here."
                )
        with np.errstate(divide="ignore"):
            terms = np.log(params[WEIGHTS]) + np.array(logs)
        if np.max(terms) == -np.inf:
            raise ValueError(f"The values {list(map(float, values))} lie outside the support of every component.")
        weights: NDArray[np.float64] = np.exp(terms - logsumexp(terms))
        mixture: Any = type(self)([family for family, _ in parts], tied=self.get_params(deep=False)["tied"])  # type: ignore[call-arg]
        return mixture, mixture.layout.join([own for _, own in parts], weights / weights.sum())


def _log_density_of_part(family: Any, params: Params, columns: Sequence[int], at: Rows) -> float:
    part = family.marginal(params, columns) if family.joint else family.of_columns(params, columns)
    if part is None:
        raise AttributeError(f"The marginal distributions of the {family.name} family have no closed form here.")
    return float(part[0].log_density(at, part[1])[0])


def _least_integer(gap: Callable[[float], float], low: float, high: float) -> float:
    """The least whole number at which the gap is not below 0 (to rounding of a logarithm), by bisection."""
    low, high = np.floor(low) - 1.0, np.floor(high)
    while high - low > 1.0:
        middle = np.floor(0.5 * (low + high))
        low, high = (low, middle) if gap(middle) >= -1e-14 else (middle, high)
    return float(high)
