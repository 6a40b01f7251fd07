"""Geometric distribution of the number of trials up to the first success."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.log_tails import log_one_minus_exp
from fastkl.families.base import Fit
from fastkl.families.bernoulli import bernoulli_divergence, bernoulli_entropy
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.counts import CountFamily, boundary_sentence
from fastkl.families.spaces import UnitInterval
from fastkl.families.univariate import BELOW_INFINITY


class Geometric(CountFamily):
    r"""Geometric distribution of every column, on the counts from 1 as in SciPy: trials until the first success.

    .. math:: \log p(x) = \log \pi + (x - 1) \log (1 - \pi)

    Where all values are 1 the maximum is the boundary probability 1.

    Parameters
    ----------
    probability : float or array-like of shape (d,), default=None
        Probability of success in a trial, in (0, 1]; held fixed where given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> DensityMLE("geometric").fit(np.array([[1], [2], [5]])).params_["probability"]
    array([0.375])
    """

    name = "geometric"
    scipy_name = "geom"
    scipy_parameters = {"p": "probability"}
    parameters = {"probability": UnitInterval(one=True)}
    statistic_names = ("weight", "failures")
    support = (1.0, BELOW_INFINITY, True)
    support_text = "whole numbers of at least 1"
    example = {"probability": [0.25, 0.6]}
    extreme = [{"probability": p} for p in (1e-12, 1e-3, 1.0 - 1e-12)]

    def __init__(self, probability: ArrayLike | None = None):
        self.probability = probability

    def constants(self, params: Params) -> tuple[Any, ...]:
        with np.errstate(divide="ignore"):
            return np.log(params["probability"]), np.log1p(-params["probability"])

    def solve(self, statistics: Statistics) -> Fit:
        fixed = self.fixed_columns(len(statistics["failures"]))
        if fixed:
            return Fit(fixed)
        weight = statistics["weight"]
        params = {"probability": weight / (weight + statistics["failures"])}
        ones = self.parameters["probability"].at_edge(params["probability"])
        sentence = boundary_sentence(ones, "All values are 1: the probability is at its boundary 1")
        return Fit(params, boundary={"probability": sentence} if np.any(ones) else {})

    def starting_parameters(self, statistics: Statistics) -> Params:
        fixed = self.fixed_columns(len(statistics["failures"]))
        weight = statistics["weight"]
        return fixed or {"probability": weight / (weight + statistics["failures"] + 0.5)}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        p = params["probability"]
        return statistics["weight"] * np.log(p) + xlog1py(statistics["failures"], -p)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        p, failures = params["probability"], statistics["failures"]
        with np.errstate(divide="ignore", invalid="ignore"):
            lost = np.where(failures > 0.0, failures / (1.0 - p), 0.0)
        return {"probability": statistics["weight"] / p - lost}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        p = params["probability"]
        with np.errstate(divide="ignore", invalid="ignore"):
            information: Floats = statistics["weight"] * (1.0 - p) ** 2 + statistics["failures"] * p**2
        return information[:, None, None]

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.geometric(params["probability"], size=(n_samples, len(params["probability"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        p = params["probability"]
        return 1.0 / p, (1.0 - p) / p**2

    def mode(self, params: Params) -> Floats:
        return np.ones_like(params["probability"])

    def entropy(self, params: Params) -> float:
        return float(np.sum(bernoulli_entropy(params["probability"]) / params["probability"]))

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        k, hazard = self._trials(x), -self._log_failure(params)
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = log_one_minus_exp(k * hazard, np.log(k) + np.log(hazard))
        return np.where(k >= 1.0, inside, np.where(np.isnan(k), np.nan, -np.inf))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        k = self._trials(x)
        with np.errstate(invalid="ignore"):
            return np.where(k >= 1.0, k * self._log_failure(params), k)

    def cdf(self, x: Floats, params: Params) -> Floats:
        return -np.expm1(self.log_sf(x, params)) + 0.0

    def _trials(self, x: ArrayLike) -> Floats:
        """The whole number of trials up to x, at least 0."""
        return np.maximum(np.floor(np.asarray(x, dtype=np.float64)), 0.0)

    def _log_failure(self, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            return np.log1p(-params["probability"])

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            log_rest = np.log(p) if upper else np.log1p(-np.asarray(p))
            return np.maximum(np.ceil(log_rest / self._log_failure(params)), 1.0)

    @staticmethod
    def textbook(mp: Any, x: Any, probability: Any) -> Any:
        return mp.log(probability) + (x - 1) * mp.log1p(-probability)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, probability: Any) -> tuple[Any, Any]:
        log_rest = max(x, 0) * mp.log1p(-probability)
        return -mp.expm1(log_rest), mp.exp(log_rest)

    @staticmethod
    def textbook_entropy(mp: Any, probability: Any) -> Any:
        rest = 1 - probability
        return -(probability * mp.log(probability) + rest * mp.log(rest)) / probability


@register_kl(Geometric, Geometric)
def geometric_kl(_p: Geometric, p: Params, _q: Geometric, q: Params) -> float:
    """Divergence of a single trial times the expected number of trials, summed over the columns."""
    return float(np.sum(bernoulli_divergence(p["probability"], q["probability"]) / p["probability"]))


@register_renyi(Geometric, Geometric)
def geometric_renyi(family: Geometric, p: Params, _q: Geometric, q: Params, alpha: float) -> float:
    """By the geometric distribution whose probability of failure is a^alpha b^(1 - alpha) for those of p and q."""
    logs = [np.log1p(-params["probability"]) for params in (p, q)]
    if alpha > 1.0 and np.any(np.isneginf(logs[1]) & ~np.isneginf(logs[0])):
        return np.inf  # q never fails
    never = np.isneginf(logs[0]) | np.isneginf(logs[1])
    first, second = (np.where(never, 0.0, log) for log in logs)
    log_failure = np.where(never, -np.inf, second + alpha * (first - second))
    if np.any(log_failure >= 0.0):
        return np.inf
    return renyi_by_mean(geometric_kl, family, {"probability": -np.expm1(log_failure)}, p, q, alpha)
