"""The default prior: weakly informative, and the same whatever the unit of the data."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.families.base import Family
from fastkl.families.priors.base import Prior, checked, moment_names
from fastkl.families.priors.conjugate import DirichletPrior
from fastkl.families.spaces import Simplex

LOG_TEN_SQUARED = float(np.log(10.0)) ** 2


class WeaklyInformative(Prior):
    r"""The default prior: what a row or so would say, and nothing about the unit of the data.

    With strength m it adds to the log-likelihood

    * :math:`-\frac m2 (\log\theta / \log 10)^2` for every positive parameter without a unit, such as a shape, degrees of
      freedom, a concentration: one row against a factor of ten;
    * :math:`\frac mk \sum_k \log \pi_k` for k probabilities: m pseudo-counts spread evenly (W. Perks 1947);
    * :math:`\frac m2 \log \lambda` for the rate of a count: half an event;
    * :math:`-\frac m2 (\log\det\Sigma + \operatorname{tr} D \Sigma^{-1})` for a matrix: m rows with the variances D of
      the data and no correlation, so that a full covariance exists for fewer rows than columns;
    * nothing for locations and scales.

    Multiplying the data by c therefore shifts log-densities by -d log c and does nothing else.

    Parameters
    ----------
    strength : float, default=1.0
        Number of rows m, at least 0.
    variances : array-like of shape (d,), default=None
        Variances D; None takes those of the data.
    family : Family, default=None
        Whose parameters it is about: each has the term that its space names. None takes that of the fit.

    Examples
    --------
    >>> from fastkl import DensityMLE, priors
    >>> tosses = [[0.0]] * 10  # half a success and half a failure are added: 0.5 of 11
    >>> DensityMLE("bernoulli", prior=priors.WeaklyInformative()).fit(tosses).params_["probability"].round(6)
    array([0.045455])
    """

    def __init__(self, strength: float = 1.0, variances: ArrayLike | None = None, family: Family | None = None):
        self.strength = strength
        self.variances = variances
        self.family = family

    def bind(self, family: Family, params: Params) -> Prior | None:
        checked("strength", self.strength + 1.0, 1.0 - 1e-300, "WeaklyInformative")
        bound = WeaklyInformative(self.strength, self.variances, family)
        terms = bound._terms()
        free = [name for name in terms if name not in family.fixed_parameters()]
        if self.strength == 0.0 or not free:
            return None
        if len(terms) == 1 and terms[free[0]] == "even_counts":
            # the conjugate prior, with a maximum in closed form
            space = _simplex(family, free[0])
            sizes = np.sum(space.used(params[free[0]]), axis=-1, keepdims=True)
            table = np.broadcast_to(1.0 + self.strength / sizes, np.shape(params[free[0]]))
            return DirichletPrior(table, free[0]).bind(family, params)
        if self.variances is None:
            matrices = [params[name] for name, kind in terms.items() if kind == "rows"]
            bound.variances = np.diag(matrices[0]).copy() if matrices else None
        return bound

    def _terms(self) -> dict[str, str]:
        """The kind of term that each parameter adds."""
        if self.family is None:
            raise ValueError(f"{self!r} is about the parameters of a family: pass it, as in family=families.Gamma().")
        kinds = {name: space.default_prior for name, space in self.family.spaces().items()}
        return {name: kind for name, kind in kinds.items() if kind is not None}

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        if not family.gaussian:
            return None
        location, covariance = moment_names(family)
        fixed = family.fixed_parameters()
        if self._terms() != {covariance: "rows"} or covariance in fixed:
            return None
        mean = np.asarray(fixed.get(location, statistics["mean"]), dtype=np.float64)
        shift = statistics["mean"] - mean
        scatter = statistics["scatter"] + statistics["weight"] * np.outer(shift, shift)
        added = np.diag(self.strength * np.asarray(self.variances))
        return {location: np.array(mean), covariance: (scatter + added) / (statistics["weight"] + self.strength)}

    def log_density(self, params: Params) -> float:
        total = 0.0
        for name, kind in self._terms().items():
            value = params[name]
            if kind == "rows":
                trace = np.sum(np.asarray(self.variances) * np.diag(np.linalg.inv(value)))
                total -= 0.5 * (np.linalg.slogdet(value)[1] + trace)
            elif kind == "factor_of_ten":
                total -= 0.5 * float(np.sum(np.log(value) ** 2)) / LOG_TEN_SQUARED
            elif kind == "half_event":
                total += 0.5 * float(np.sum(np.log(value)))
            elif kind == "even_halves":
                total += 0.5 * float(np.sum(np.log(value) + np.log1p(-value)))
            else:
                shares = self._shares(name, value)
                total += float(np.sum(shares * np.log(np.where(shares > 0.0, value, 1.0))))
        return float(self.strength * total)

    def gradient(self, params: Params) -> Params:
        slopes: Params = {}
        for name, kind in self._terms().items():
            value = params[name]
            if kind == "rows":
                precision = np.linalg.inv(value)
                slope = 0.5 * ((precision * np.asarray(self.variances)) @ precision - precision)
            elif kind == "factor_of_ten":
                slope = -np.log(value) / value / LOG_TEN_SQUARED
            elif kind == "half_event":
                slope = 0.5 / value
            elif kind == "even_halves":
                slope = 0.5 / value - 0.5 / (1.0 - value)
            else:
                shares = self._shares(name, value)
                slope = shares / np.where(shares > 0.0, value, 1.0)
            slopes[name] = self.strength * slope
        return slopes

    def _shares(self, name: str, value: Floats) -> Floats:
        """The share of each outcome in a count that is spread evenly; 0 where there is no outcome."""
        used = _simplex(self.family, name).used(value)
        return np.asarray(used / np.sum(used, axis=-1, keepdims=True))


def _simplex(family: Any, name: str) -> Simplex:
    space = family.spaces()[name]
    assert isinstance(space, Simplex)  # spaces with this term
    return space
