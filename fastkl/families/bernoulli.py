"""Bernoulli distribution of zeros and ones: the probability is the share of ones."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlog1py, xlogy

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_of_probabilities
from fastkl.families.counts import CountFamily, boundary_sentence, deviance
from fastkl.families.spaces import UnitInterval


class Bernoulli(CountFamily):
    r"""Bernoulli distribution of every column, on 0 and 1.

    .. math:: \log p(x) = x \log \pi + (1 - x) \log (1 - \pi)

    A column of zeros only, or of ones only, has its maximum at the boundary 0 or 1.

    Parameters
    ----------
    probability : float or array-like of shape (d,), default=None
        Probability of a one, in [0, 1]; held fixed where given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("bernoulli").fit(np.array([[1]] * 6 + [[0]] * 4))
    >>> model.params_["probability"], round(model.log_likelihood_, 6)
    (array([0.6]), -6.730117)
    """

    name = "bernoulli"
    aliases = ("binary",)
    scipy_name = "bernoulli"
    scipy_parameters = {"p": "probability"}
    parameters = {"probability": UnitInterval(zero=True, one=True)}
    statistic_names = ("weight", "ones")
    support = (0.0, 1.0, True)
    support_text = "0 and 1"
    example = {"probability": [0.2, 0.7]}
    extreme = [{"probability": p} for p in (1e-12, 1.0 - 1e-12)]

    def __init__(self, probability: ArrayLike | None = None):
        self.probability = probability

    def constants(self, params: Params) -> tuple[Any, ...]:
        with np.errstate(divide="ignore"):
            return np.log(params["probability"]), np.log1p(-params["probability"])

    def solve(self, statistics: Statistics) -> Fit:
        fixed = self.fixed_columns(len(statistics["ones"]))
        if fixed:
            return Fit(fixed)
        params = {"probability": statistics["ones"] / statistics["weight"]}
        constant = self.parameters["probability"].at_edge(params["probability"])
        sentence = boundary_sentence(constant, "All values are equal: the probability is at its boundary 0 or 1")
        return Fit(params, boundary={"probability": sentence} if np.any(constant) else {})

    def starting_parameters(self, statistics: Statistics) -> Params:
        fixed = self.fixed_columns(len(statistics["ones"]))
        return fixed or {"probability": (statistics["ones"] + 0.5) / (statistics["weight"] + 1.0)}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        p, ones = params["probability"], statistics["ones"]
        return xlogy(ones, p) + xlog1py(statistics["weight"] - ones, -p)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        p, ones = params["probability"], statistics["ones"]
        zeros = statistics["weight"] - ones
        with np.errstate(divide="ignore", invalid="ignore"):
            return {"probability": np.where(ones > 0.0, ones / p, 0.0) - np.where(zeros > 0.0, zeros / (1.0 - p), 0.0)}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        p, ones = params["probability"], statistics["ones"]
        with np.errstate(divide="ignore", invalid="ignore"):
            information: Floats = ones * (1.0 - p) ** 2 + (statistics["weight"] - ones) * p**2
        return information[:, None, None]

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        p = params["probability"]
        ones: NDArray[np.bool_] = generator.random((n_samples, len(p))) < p
        return ones.astype(np.int64)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        p = params["probability"]
        return p, p * (1.0 - p)

    def mode(self, params: Params) -> Floats:
        return np.where(params["probability"] > 0.5, 1.0, 0.0)

    def entropy(self, params: Params) -> float:
        return float(bernoulli_entropy(params["probability"]).sum())

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            return _steps(x, -np.inf, np.log1p(-params["probability"]), 0.0)

    def log_sf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            return _steps(x, 0.0, np.log(params["probability"]), -np.inf)

    def cdf(self, x: Floats, params: Params) -> Floats:
        return _steps(x, 0.0, 1.0 - params["probability"], 1.0)

    def sf(self, x: Floats, params: Params) -> Floats:
        return _steps(x, 1.0, params["probability"], 0.0)

    def quantile(self, p: Floats, params: Params) -> Floats:
        p, one = np.asarray(p, dtype=np.float64), params["probability"]
        value = (p > 1.0 - one) | ((p == 1.0) & (one > 0.0))
        return np.where((p >= 0.0) & (p <= 1.0), value.astype(np.float64), np.nan)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        q = np.asarray(q, dtype=np.float64)
        value = (q < params["probability"]).astype(np.float64)
        return np.where((q >= 0.0) & (q <= 1.0), value, np.nan)

    @staticmethod
    def textbook(mp: Any, x: Any, probability: Any) -> Any:
        return mp.log(probability) if x == 1 else mp.log1p(-probability)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, probability: Any) -> tuple[Any, Any]:
        above = mp.mpf(1) if x < 0 else mp.mpf(0) if x >= 1 else probability
        return 1 - above, above

    @staticmethod
    def textbook_entropy(mp: Any, probability: Any) -> Any:
        return -probability * mp.log(probability) - (1 - probability) * mp.log1p(-probability)


def _steps(x: ArrayLike, below: float, middle: Floats, above: float) -> Floats:
    """What holds below 0, from 0 on, and from 1 on; NaN for NaN."""
    x = np.asarray(x, dtype=np.float64)
    return np.where(np.isnan(x), np.nan, np.where(x < 0.0, below, np.where(x >= 1.0, above, middle)))


def bernoulli_entropy(p: Floats) -> Floats:
    """-p log p - (1 - p) log(1 - p)."""
    return np.asarray(-xlogy(p, p) - xlog1py(1.0 - p, -p))


def bernoulli_divergence(p: Floats, q: Floats) -> Floats:
    """p log(p / q) + (1 - p) log((1 - p) / (1 - q)) as two terms of at least 0."""
    return deviance(p, q) + deviance(1.0 - p, 1.0 - q)


@register_kl(Bernoulli, Bernoulli)
def bernoulli_kl(_p: Bernoulli, p: Params, _q: Bernoulli, q: Params) -> float:
    """Sum over the columns; inf where q excludes a value that p allows."""
    return float(np.sum(bernoulli_divergence(p["probability"], q["probability"])))


@register_renyi(Bernoulli, Bernoulli)
def bernoulli_renyi(_p: Bernoulli, p: Params, _q: Bernoulli, q: Params, alpha: float) -> float:
    """Sum over the columns of log(sum p^alpha q^(1 - alpha)) / (alpha - 1)."""
    columns = zip(p["probability"], q["probability"], strict=True)
    return sum(renyi_of_probabilities(np.array([a, 1.0 - a]), np.array([b, 1.0 - b]), alpha) for a, b in columns)
