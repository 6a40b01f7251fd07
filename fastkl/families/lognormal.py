"""Log-normal distribution: the normal distribution of the logarithm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi
from fastkl.families.normal import Normal, normal_kl, normal_renyi
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily, raise_if_constant


class Lognormal(UnivariateFamily):
    r"""Log-normal distribution of every column, on x > 0.

    .. math:: \log p(x) = -\tfrac12 ((\log x - m) / s)^2 - \log x - \log s - \tfrac12 \log 2\pi

    Parameters
    ----------
    meanlog : float or array-like of shape (d,), default=None
        Mean m of log x, held fixed where given.
    sdlog : float or array-like of shape (d,), default=None
        Standard deviation s > 0 of log x (divisor n in its estimate), held fixed where given.

    Notes
    -----
    Log-density and tails carry the rounding of log x, of 1e-16 (1 + abs(log x)) / sdlog standard deviations: with sdlog = 1e-6
    the logarithm of a tail is good to some 3e-9 relative, with sdlog = 0.01 to 1e-12.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("lognormal").fit(np.exp([[0.0], [1.0], [3.0]]))
    >>> model.params_["meanlog"].round(6), model.params_["sdlog"].round(6)
    (array([1.333333]), array([1.247219]))
    """

    name = "lognormal"
    aliases = ("log_normal", "lnorm", "galton")
    scipy_name = "lognorm"
    parameters = {"meanlog": Real(role="log_location", spread="sdlog"), "sdlog": Positive()}
    statistic_names = ("weight", "meanlog", "m2log")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"
    example = {"meanlog": [0.5, -2.0], "sdlog": [0.4, 1.5]}
    extreme = [{"meanlog": 0.7, "sdlog": 1e-2}, {"meanlog": 0.7, "sdlog": 30.0}, {"meanlog": -300.0, "sdlog": 2.0}]

    def __init__(self, meanlog: ArrayLike | None = None, sdlog: ArrayLike | None = None):
        self.meanlog = meanlog
        self.sdlog = sdlog

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["meanlog"], 1.0 / params["sdlog"], -np.log(params["sdlog"]) - HALF_LOG_2PI

    def solve(self, statistics: Statistics) -> Fit:
        mean, weight = statistics["meanlog"], statistics["weight"]
        fixed = self.fixed_columns(len(mean))
        meanlog = fixed.get("meanlog", mean.copy())
        if "sdlog" in fixed:
            return Fit({"meanlog": meanlog, "sdlog": fixed["sdlog"]})
        variance = statistics["m2log"] / weight + (mean - meanlog) ** 2
        constant = {"weight": weight, "value": np.exp(mean)}
        raise_if_constant(variance == 0.0, constant, self.name, "sdlog goes to 0")
        return Fit({"meanlog": meanlog, "sdlog": np.sqrt(variance)})

    def _squares(self, statistics: Statistics, params: Params) -> tuple[Floats, Floats]:
        """Sum of deviations of log x from meanlog, and of their squares."""
        shift = statistics["meanlog"] - params["meanlog"]
        return statistics["weight"] * shift, statistics["m2log"] + statistics["weight"] * shift**2

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        sd = params["sdlog"]
        _, squares = self._squares(statistics, params)
        return -0.5 * squares / sd**2 - statistics["weight"] * (np.log(sd) + HALF_LOG_2PI + statistics["meanlog"])

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        sd = params["sdlog"]
        deviations, squares = self._squares(statistics, params)
        return {"meanlog": deviations / sd**2, "sdlog": (squares / sd**2 - statistics["weight"]) / sd}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        sd, weight = params["sdlog"], statistics["weight"]
        deviations, squares = self._squares(statistics, params)
        cross = 2.0 * deviations / sd
        rows = [[weight, cross], [cross, 3.0 * squares / sd**2 - weight]]
        return np.moveaxis(np.array(rows), -1, 0)

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return log_ndtr(self._standardised(x, params))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return log_ndtr(-self._standardised(x, params))

    def _standardised(self, x: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            return (np.log(np.maximum(x, 0.0)) - params["meanlog"]) / params["sdlog"]

    def quantile(self, p: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(params["meanlog"] + params["sdlog"] * ndtri(p))

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return np.exp(params["meanlog"] - params["sdlog"] * ndtri(q))

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.lognormal(params["meanlog"], params["sdlog"], size=(n_samples, len(params["meanlog"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        square = params["sdlog"] ** 2
        with np.errstate(over="ignore"):
            mean = np.exp(params["meanlog"] + 0.5 * square)
            return mean, mean**2 * np.expm1(square)

    def mode(self, params: Params) -> Floats:
        return np.exp(params["meanlog"] - params["sdlog"] ** 2)

    def to_scipy(self, params: Params) -> dict[str, Any]:
        return {"s": params["sdlog"], "scale": np.exp(params["meanlog"])}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        self.raise_if_moved(arguments, ("s", "scale"))
        return {"meanlog": np.log(arguments["scale"]), "sdlog": arguments["s"]}

    def entropy(self, params: Params) -> float:
        return float(np.sum(0.5 + HALF_LOG_2PI + np.log(params["sdlog"]) + params["meanlog"]))

    @staticmethod
    def textbook(mp: Any, x: Any, meanlog: Any, sdlog: Any) -> Any:
        return -(((mp.log(x) - meanlog) / sdlog) ** 2) / 2 - mp.log(x) - mp.log(sdlog) - mp.log(2 * mp.pi) / 2

    @staticmethod
    def textbook_tails(mp: Any, x: Any, meanlog: Any, sdlog: Any) -> tuple[Any, Any]:
        z = (mp.log(x) - meanlog) / sdlog / mp.sqrt(2)
        return mp.erfc(-z) / 2, mp.erfc(z) / 2

    @staticmethod
    def textbook_entropy(mp: Any, meanlog: Any, sdlog: Any) -> Any:
        return meanlog + (1 + mp.log(2 * mp.pi)) / 2 + mp.log(sdlog)


def _of_logarithms(params: Params) -> Params:
    return {"loc": params["meanlog"], "scale": params["sdlog"]}


@register_kl(Lognormal, Lognormal)
def lognormal_kl(_p: Lognormal, p: Params, _q: Lognormal, q: Params) -> float:
    """That of the normal distributions of the logarithms."""
    return normal_kl(Normal(), _of_logarithms(p), Normal(), _of_logarithms(q))


@register_renyi(Lognormal, Lognormal)
def lognormal_renyi(_p: Lognormal, p: Params, _q: Lognormal, q: Params, alpha: float) -> float:
    """That of the normal distributions of the logarithms."""
    return normal_renyi(Normal(), _of_logarithms(p), Normal(), _of_logarithms(q), alpha)
