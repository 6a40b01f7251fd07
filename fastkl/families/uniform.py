"""Uniform distribution: its ends are the smallest and the largest value of each column."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi
from fastkl.families.spaces import Real
from fastkl.families.univariate import UnivariateFamily


class Uniform(UnivariateFamily):
    r"""Uniform distribution of every column on [low, high].

    .. math:: \log p(x) = -\log(\text{high} - \text{low})

    Parameters
    ----------
    low : float or array-like of shape (d,), default=None
        Lower end, held fixed where given.
    high : float or array-like of shape (d,), default=None
        Upper end, held fixed where given.

    Notes
    -----
    The likelihood rises as the interval shrinks until an end meets the data: the estimates are the extremes, and have no standard
    errors. The gradient is the slope of the likelihood while all rows stay inside.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("uniform").fit([[2.0], [5.0], [3.0]])
    >>> model.params_["low"], model.params_["high"], round(model.score([[4.0]]), 6)
    (array([2.]), array([5.]), -1.098612)
    """

    name = "uniform"
    aliases = ("unif", "rectangular")
    scipy_name = "uniform"
    parameters = {"low": Real(role="location", irregular=True), "high": Real(role="location", irregular=True)}
    statistic_names = ("weight", "minimum", "maximum")
    example = {"low": [-1.0, 2.0], "high": [3.0, 2.5]}
    extreme = [{"low": 1.0, "high": 1.0 + 1e-9}, {"low": -1e8, "high": 1e9}, {"low": 0.0, "high": 1e-9}]

    def __init__(self, low: ArrayLike | None = None, high: ArrayLike | None = None):
        self.low = low
        self.high = high

    def _check_range(self, params: Params) -> None:
        super()._check_range(params)
        if "low" in params and "high" in params and np.any(params["low"] >= params["high"]):
            column = int(np.argmax(params["low"] >= params["high"]))
            raise ValueError(
                f"uniform: low has to be below high, not {params['low'][column]} and {params['high'][column]}."
            )

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["low"], params["high"], -np.log(params["high"] - params["low"])

    def solve(self, statistics: Statistics) -> Fit:
        minimum, maximum = statistics["minimum"], statistics["maximum"]
        fixed = self.fixed_columns(len(minimum))
        low, high = fixed.get("low", minimum.copy()), fixed.get("high", maximum.copy())
        outside = (minimum < low) | (maximum > high)
        if np.any(outside):
            column = int(np.argmax(outside))
            raise SupportError(
                f"The support of uniform is fixed at [{low[column]:.6g}, {high[column]:.6g}]; column {column} holds "
                f"values from {minimum[column]:.6g} to {maximum[column]:.6g}. Widen the fixed ends, or leave them to be "
                "estimated."
            )
        if np.any(low == high):
            column = int(np.argmax(low == high))
            raise DegenerateDataError(
                f"Column {column} is constant: {low[column]:.6g} in every row (n_samples={statistics['weight'][column]:g}). The "
                "uniform likelihood has no maximum, since it grows without bound as high - low goes to 0. Leave the column out.",
                column,
            )
        sentences = {
            "low": "low is the smallest value: the likelihood is not smooth there, and low has no standard error.",
            "high": "high is the largest value: the likelihood is not smooth there, and high has no standard error.",
        }
        return Fit({"low": low, "high": high}, boundary={name: sentences[name] for name in self.free_names()})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        inside = (statistics["minimum"] >= params["low"]) & (statistics["maximum"] <= params["high"])
        return np.where(inside, -statistics["weight"] * np.log(params["high"] - params["low"]), -np.inf)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        slope = statistics["weight"] / (params["high"] - params["low"])
        return {"low": slope, "high": -slope}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        return np.full((len(params["low"]), 2, 2), np.nan)

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return self._log_share(x - params["low"], params["high"] - x)

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return self._log_share(params["high"] - x, x - params["low"])

    def _log_share(self, part: Floats, rest: Floats) -> Floats:
        """log(part / (part + rest)) with parts below 0 taken as 0."""
        part, rest = np.maximum(part, 0.0), np.maximum(rest, 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = -np.log1p(rest / part)
        return np.where(rest == 0.0, 0.0, value)

    def quantile(self, p: Floats, params: Params) -> Floats:
        p = np.asarray(p)
        return np.where((p >= 0.0) & (p <= 1.0), (1.0 - p) * params["low"] + p * params["high"], np.nan)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        q = np.asarray(q)
        return np.where((q >= 0.0) & (q <= 1.0), q * params["low"] + (1.0 - q) * params["high"], np.nan)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return 2.0 * generator.uniform(0.5 * params["low"], 0.5 * params["high"], size=(n_samples, len(params["low"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        low, high = params["low"], params["high"]
        return 0.5 * low + 0.5 * high, (high - low) ** 2 / 12.0

    def mode(self, params: Params) -> Floats:
        return np.full_like(params["low"], np.nan)

    def to_scipy(self, params: Params) -> dict[str, Any]:
        return {"loc": params["low"], "scale": params["high"] - params["low"]}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        return {"low": arguments["loc"], "high": arguments["loc"] + arguments["scale"]}

    def entropy(self, params: Params) -> float:
        return float(np.sum(np.log(params["high"] - params["low"])))

    @staticmethod
    def textbook(mp: Any, x: Any, low: Any, high: Any) -> Any:
        return -mp.log(high - low)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, low: Any, high: Any) -> tuple[Any, Any]:
        return (x - low) / (high - low), (high - x) / (high - low)


@register_kl(Uniform, Uniform)
def uniform_kl(_p: Uniform, p: Params, _q: Uniform, q: Params) -> float:
    """Log of the ratio of lengths; inf unless the second interval holds the first."""
    if np.any((p["low"] < q["low"]) | (p["high"] > q["high"])):
        return np.inf
    return float(np.sum(np.log((q["high"] - q["low"]) / (p["high"] - p["low"]))))


@register_renyi(Uniform, Uniform)
def uniform_renyi(_p: Uniform, p: Params, _q: Uniform, q: Params, alpha: float) -> float:
    """By the length that both share; inf where there is none, or where it is not all of the first with alpha > 1."""
    shared = np.minimum(p["high"], q["high"]) - np.maximum(p["low"], q["low"])
    first, second = (params["high"] - params["low"] for params in (p, q))
    if np.any(shared <= 0.0) or (alpha > 1.0 and np.any((p["low"] < q["low"]) | (p["high"] > q["high"]))):
        return np.inf
    return float(np.sum((alpha * np.log(first / shared) + (1.0 - alpha) * np.log(second / shared)) / (1.0 - alpha)))
