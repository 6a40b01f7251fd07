"""Half-normal distribution: its scale is the root mean square of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import erf, erfc, erfinv, log_ndtr, ndtri

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl, register_renyi
from fastkl.families.exponential import raise_if_zero
from fastkl.families.normal import Normal, normal_renyi
from fastkl.families.spaces import Positive
from fastkl.families.univariate import BELOW_INFINITY, UnivariateFamily

HALF_LOG_2_BY_PI = 0.5 * np.log(2.0 / np.pi)


class HalfNormal(UnivariateFamily):
    r"""Half-normal distribution of every column, on x >= 0: the absolute value of a centred normal variable.

    .. math:: \log p(x) = -\tfrac12 (x / s)^2 - \log s + \tfrac12 \log(2 / \pi)

    Parameters
    ----------
    scale : float or array-like of shape (d,), default=None
        Standard deviation s > 0 of the normal variable, held fixed where given.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("half_normal").fit([[1.0], [7.0]]).params_["scale"]
    array([5.])
    """

    name = "half_normal"
    aliases = ("half_gaussian",)
    scipy_name = "halfnorm"
    scipy_parameters = {"scale": "scale"}
    parameters = {"scale": Positive(role="scale")}
    statistic_names = ("weight", "root_mean_square")
    support = (0.0, BELOW_INFINITY, False)
    support_text = "numbers of at least 0"
    example = {"scale": [2.0, 0.1]}
    extreme = [{"scale": 1e-8}, {"scale": 1e8}]

    def __init__(self, scale: ArrayLike | None = None):
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return 1.0 / params["scale"], HALF_LOG_2_BY_PI - np.log(params["scale"])

    def solve(self, statistics: Statistics) -> Fit:
        root = statistics["root_mean_square"]
        fixed = self.fixed_columns(len(root))
        if "scale" not in fixed:
            raise_if_zero(root, statistics, self.name)
        return Fit({"scale": fixed.get("scale", root.copy())})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        mean: Floats = HALF_LOG_2_BY_PI - np.log(scale) - 0.5 * (statistics["root_mean_square"] / scale) ** 2
        return statistics["weight"] * mean

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        scale = params["scale"]
        return {"scale": statistics["weight"] * ((statistics["root_mean_square"] / scale) ** 2 - 1.0) / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        by_row = 3.0 * (statistics["root_mean_square"] / scale) ** 2 - 1.0
        return (statistics["weight"] * by_row)[:, None, None]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        z = np.maximum(x, 0.0) / params["scale"] * np.sqrt(0.5)
        with np.errstate(divide="ignore"):
            return np.where(z < 0.5, np.log(erf(z)), np.log1p(-erfc(z)))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        z = np.maximum(x, 0.0) / params["scale"]
        # twice the normal tail; near 0 the lower tail counts
        near = np.log1p(-erf(np.minimum(z, 0.5) * np.sqrt(0.5)))
        return np.where(z < 0.5, near, np.log(2.0) + log_ndtr(-z))

    def quantile(self, p: Floats, params: Params) -> Floats:
        return np.where(p >= 0.0, params["scale"] * np.sqrt(2.0) * erfinv(p), np.nan)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return np.where(q <= 1.0, -params["scale"] * ndtri(0.5 * np.asarray(q)) + 0.0, np.nan)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return np.abs(generator.normal(0.0, params["scale"], size=(n_samples, len(params["scale"]))))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        scale = params["scale"]
        return np.sqrt(2.0 / np.pi) * scale, (1.0 - 2.0 / np.pi) * scale**2

    def mode(self, params: Params) -> Floats:
        return np.zeros_like(params["scale"])

    def entropy(self, params: Params) -> float:
        return float(np.sum(0.5 - HALF_LOG_2_BY_PI + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, scale: Any) -> Any:
        return -((x / scale) ** 2) / 2 - mp.log(scale) + mp.log(2 / mp.pi) / 2

    @staticmethod
    def textbook_tails(mp: Any, x: Any, scale: Any) -> tuple[Any, Any]:
        return mp.erf(x / scale / mp.sqrt(2)), mp.erfc(x / scale / mp.sqrt(2))


@register_kl(HalfNormal, HalfNormal)
def half_normal_kl(_p: HalfNormal, p: Params, _q: HalfNormal, q: Params) -> float:
    """(r - 1 - log r) / 2 with r the squared ratio of scales."""
    return float(np.sum(0.5 * log_ratio_excess(p["scale"], q["scale"], 2.0)))


@register_renyi(HalfNormal, HalfNormal)
def half_normal_renyi(_p: HalfNormal, p: Params, _q: HalfNormal, q: Params, alpha: float) -> float:
    """That of the normal distributions about 0."""
    one, other = ({"loc": np.zeros_like(params["scale"]), "scale": params["scale"]} for params in (p, q))
    return normal_renyi(Normal(), one, Normal(), other, alpha)
