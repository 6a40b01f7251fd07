"""Weibull distribution: shape and scale, by Newton's method on a likelihood with one maximum."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import gammaln

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.special.exact import exact_product
from fastkl._core.special.log_tails import log_one_minus_exp, log_ratio
from fastkl._core.special.moments import gamma_spread
from fastkl.families.closed_form import register_kl
from fastkl.families.gumbel import SD_RATIO, extreme_value_kl
from fastkl.families.hazards import ByHazard
from fastkl.families.location_scale import LogLocationScaleFamily
from fastkl.families.solvers.iterative import log_mean_exp, weighted_moments


class Weibull(ByHazard, LogLocationScaleFamily):
    r"""Weibull distribution of every column, on x > 0.

    .. math:: \log p(x) = \log(k / s) + (k - 1) \log(x / s) - (x / s)^k

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape k > 0, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, held fixed where given.

    Notes
    -----
    The logarithm of a Weibull variable is a Gumbel variable with its sign changed; the likelihood is concave in
    (k, k log s) and has one maximum unless the column is constant.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("weibull").fit([[1.0], [2.0], [4.0]])
    >>> model.params_["shape"].round(4), model.params_["scale"].round(4)
    (array([2.0125]), array([2.6493]))
    """

    name = "weibull"
    aliases = ("weibull_minimum",)
    scipy_name = "weibull_min"
    scipy_parameters = {"c": "shape", "scale": "scale"}
    example = {"shape": [1.7, 0.6], "scale": [2.0, 10.0]}
    extreme = [{"shape": a, "scale": 2.5} for a in (1e-3, 0.03, 0.5, 50.0, 1e3, 1e6, 1e9)]

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        if "shape" in fixed and "scale" not in fixed:  # in closed form
            logs = fixed["shape"] * np.log(rows.X.astype(np.float64))
            return [[{"scale": np.exp(log_mean_exp(logs, rows.weights) / fixed["shape"]), **fixed}]]
        mean, deviation = weighted_moments(rows, np.log)
        spread = deviation * SD_RATIO
        return [[{"shape": 1.0 / spread, "scale": np.exp(mean + np.euler_gamma * spread), **fixed}]]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        log_w, w = self._hazard(x, params)
        return log_one_minus_exp(w, log_w)

    def hazard(self, x: Floats, params: Params) -> Floats:
        return self._hazard(x, params)[1]

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return params["scale"] * w ** (1.0 / params["shape"])

    def _hazard(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        """The cumulative hazard (x / scale)^shape and its logarithm."""
        with np.errstate(over="ignore", invalid="ignore"):
            log_w, lost = exact_product(params["shape"], log_ratio(np.maximum(x, 0.0), params["scale"]))
            w: Floats = np.exp(log_w) * (1.0 + lost)
        return log_w, w

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        power = 1.0 / params["shape"]
        with np.errstate(over="ignore"):
            mean = params["scale"] * np.exp(gammaln(1.0 + power))
            return mean, mean**2 * np.expm1(gamma_spread(1.0 + power, power))

    def mode(self, params: Params) -> Floats:
        shape = params["shape"]
        return params["scale"] * np.maximum(1.0 - 1.0 / shape, 0.0) ** (1.0 / shape)

    def entropy(self, params: Params) -> float:
        shape = params["shape"]
        return float(np.sum(1.0 + np.euler_gamma * (1.0 - 1.0 / shape) + np.log(params["scale"] / shape)))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return mp.log(shape / scale) + (shape - 1) * mp.log(x / scale) - (x / scale) ** shape

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any]:
        w = (x / scale) ** shape
        return -mp.expm1(-w), mp.exp(-w)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return 1 + mp.euler * (1 - 1 / shape) + mp.log(scale / shape)


@register_kl(Weibull, Weibull)
def weibull_kl(_p: Weibull, p: Params, _q: Weibull, q: Params) -> float:
    """That of the Gumbel distributions of -log x."""
    return float(np.sum(extreme_value_kl(q["shape"], p["shape"], -q["shape"] * log_ratio(p["scale"], q["scale"]))))
