"""Rayleigh distribution: its squared scale is half the mean square of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.log_tails import log_one_minus_exp
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl, register_renyi
from fastkl.families.exponential import Exponential, exponential_renyi, raise_if_zero
from fastkl.families.hazards import ByHazard
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily


class Rayleigh(ByHazard, UnivariateFamily):
    r"""Rayleigh distribution of every column, on x > 0: the length of a centred normal vector in the plane.

    .. math:: \log p(x) = \log x - \tfrac12 (x / s)^2 - 2 \log s

    Parameters
    ----------
    scale : float or array-like of shape (d,), default=None
        Standard deviation s > 0 of either coordinate, held fixed where given.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("rayleigh").fit([[2.0], [14.0]]).params_["scale"].round(6)
    array([7.071068])
    """

    name = "rayleigh"
    scipy_name = "rayleigh"
    scipy_parameters = {"scale": "scale"}
    parameters = {"scale": Positive(role="scale")}
    statistic_names = ("weight", "root_mean_square", "mean_log")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"
    example = {"scale": [2.0, 0.1]}
    extreme = [{"scale": 1e-8}, {"scale": 1e8}]

    def __init__(self, scale: ArrayLike | None = None):
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["scale"], 1.0 / params["scale"], -np.log(params["scale"])

    def solve(self, statistics: Statistics) -> Fit:
        root = statistics["root_mean_square"]
        fixed = self.fixed_columns(len(root))
        if "scale" not in fixed:
            raise_if_zero(root, statistics, self.name)
        return Fit({"scale": fixed.get("scale", np.sqrt(0.5) * root)})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        mean = statistics["mean_log"] - 2.0 * np.log(scale) - 0.5 * (statistics["root_mean_square"] / scale) ** 2
        return statistics["weight"] * mean

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        scale = params["scale"]
        return {"scale": statistics["weight"] * ((statistics["root_mean_square"] / scale) ** 2 - 2.0) / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        by_row = 3.0 * (statistics["root_mean_square"] / scale) ** 2 - 2.0
        return (statistics["weight"] * by_row)[:, None, None]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        z = np.maximum(x, 0.0) / params["scale"]
        with np.errstate(over="ignore", divide="ignore"):
            return log_one_minus_exp(0.5 * z * z, 2.0 * np.log(z) - np.log(2.0))

    def hazard(self, x: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return 0.5 * (np.maximum(x, 0.0) / params["scale"]) ** 2

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        return params["scale"] * np.sqrt(2.0 * w)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        scale = params["scale"]
        return np.sqrt(0.5 * np.pi) * scale, (2.0 - 0.5 * np.pi) * scale**2

    def mode(self, params: Params) -> Floats:
        return params["scale"]

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 + 0.5 * np.euler_gamma - 0.5 * np.log(2.0) + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, scale: Any) -> Any:
        return mp.log(x) - (x / scale) ** 2 / 2 - 2 * mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, scale: Any) -> tuple[Any, Any]:
        w = (x / scale) ** 2 / 2
        return -mp.expm1(-w), mp.exp(-w)


@register_kl(Rayleigh, Rayleigh)
def rayleigh_kl(_p: Rayleigh, p: Params, _q: Rayleigh, q: Params) -> float:
    """r - 1 - log r with r the squared ratio of scales."""
    return float(np.sum(log_ratio_excess(p["scale"], q["scale"], 2.0)))


@register_renyi(Rayleigh, Rayleigh)
def rayleigh_renyi(_p: Rayleigh, p: Params, _q: Rayleigh, q: Params, alpha: float) -> float:
    """That of the exponential distributions of x^2, of whose scales only the ratio counts."""
    ratio = (p["scale"] / q["scale"]) ** 2
    return exponential_renyi(Exponential(), {"scale": ratio}, Exponential(), {"scale": np.ones_like(ratio)}, alpha)
