"""Pareto distribution: its scale is the smallest value of each column, its shape follows from the mean logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.log_tails import log_ratio
from fastkl.exceptions import SupportError
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl, register_renyi
from fastkl.families.hazards import ByHazard
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily, raise_if_constant


class Pareto(ByHazard, UnivariateFamily):
    r"""Pareto distribution of every column, on x >= scale.

    .. math:: \log p(x) = \log(a / s) - (a + 1) \log(x / s)

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape a > 0, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, the smallest possible value, held fixed where given.

    Notes
    -----
    The likelihood rises with the scale until it meets the smallest value, which is the estimate and has no standard error. The
    errors of the shape, robust ones too, take the scale as known, which it is to 1 / n where rows do have this distribution.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("pareto").fit(np.exp([[1.0], [2.0], [3.0]]))
    >>> model.params_["shape"].round(6), model.params_["scale"].round(6)
    (array([1.]), array([2.718282]))
    """

    name = "pareto"
    aliases = ("pareto_type_1",)
    scipy_name = "pareto"
    scipy_parameters = {"b": "shape", "scale": "scale"}
    parameters = {"shape": Positive(), "scale": Positive(role="scale", irregular=True)}
    statistic_names = ("weight", "minimum", "log_excess")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers of at least its scale"
    example = {"shape": [2.5, 0.8], "scale": [1.0, 3.0]}
    extreme = [{"shape": a, "scale": 0.7} for a in (1e-3, 0.03, 0.5, 50.0, 1e3, 1e6, 1e9)]

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        return shape, scale, 1.0 / scale, np.log(shape) - np.log(scale)

    def solve(self, statistics: Statistics) -> Fit:
        minimum, weight = statistics["minimum"], statistics["weight"]
        fixed = self.fixed_columns(len(minimum))
        scale = fixed.get("scale", minimum.copy())
        if np.any(minimum < scale):
            column = int(np.argmax(minimum < scale))
            raise SupportError(
                f"The support of pareto is numbers of at least its scale, fixed at {scale[column]:.6g}; column {column} "
                f"holds {minimum[column]:.6g}. Lower the fixed scale, or leave it to be estimated."
            )
        boundary = {}
        if "scale" not in fixed:
            boundary["scale"] = (
                "scale is the smallest value: the likelihood is not smooth there, and scale has no standard error."
            )
        if "shape" in fixed:
            return Fit({"shape": fixed["shape"], "scale": scale}, boundary=boundary)
        logs = self._logs(statistics, scale)
        raise_if_constant(logs == 0.0, {"weight": weight, "value": minimum}, self.name, "shape goes to infinity")
        return Fit({"shape": weight / logs, "scale": scale}, boundary=boundary)

    def _logs(self, statistics: Statistics, scale: Floats) -> Floats:
        """Sum of log(x / scale)."""
        return statistics["log_excess"] + statistics["weight"] * np.log(statistics["minimum"] / scale)

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        shape, scale = params["shape"], params["scale"]
        total = statistics["weight"] * (np.log(shape) - np.log(scale)) - (shape + 1.0) * self._logs(statistics, scale)
        return np.where(statistics["minimum"] >= scale, total, -np.inf)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        shape, scale, weight = params["shape"], params["scale"], statistics["weight"]
        return {"shape": weight / shape - self._logs(statistics, scale), "scale": weight * shape / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        shape, weight = params["shape"], statistics["weight"]
        cross = -weight * shape
        return np.moveaxis(np.array([[weight, cross], [cross, weight * shape]]), -1, 0)

    def hazard(self, x: Floats, params: Params) -> Floats:
        return params["shape"] * log_ratio(np.maximum(x, params["scale"]), params["scale"])

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return params["scale"] * np.exp(w / params["shape"])

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        shape, scale = params["shape"], params["scale"]
        one, two = np.where(shape > 1.0, shape, 2.0), np.where(shape > 2.0, shape, 3.0)
        variance = scale**2 * two / ((two - 1.0) ** 2 * (two - 2.0))
        return np.where(shape > 1.0, scale * one / (one - 1.0), np.inf), np.where(shape > 2.0, variance, np.inf)

    def mode(self, params: Params) -> Floats:
        return params["scale"]

    def entropy(self, params: Params) -> float:
        shape = params["shape"]
        return float(np.sum(np.log(params["scale"] / shape) + 1.0 + 1.0 / shape))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return mp.log(shape / scale) - (shape + 1) * mp.log(x / scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any]:
        w = shape * mp.log(x / scale)
        return -mp.expm1(-w), mp.exp(-w)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return 1 + 1 / shape + mp.log(scale / shape)


@register_kl(Pareto, Pareto)
def pareto_kl(_p: Pareto, p: Params, _q: Pareto, q: Params) -> float:
    """r - 1 - log r with r = b / a, plus b log(s / t), for shapes a, b and scales s, t; inf if s < t."""
    if np.any(p["scale"] < q["scale"]):
        return np.inf
    return float(np.sum(log_ratio_excess(q["shape"], p["shape"]) + q["shape"] * log_ratio(p["scale"], q["scale"])))


@register_renyi(Pareto, Pareto)
def pareto_renyi(_p: Pareto, p: Params, _q: Pareto, q: Params, alpha: float) -> float:
    """That of the shapes from the larger of both scales on, where both have mass, and the share of either there."""
    a, b, low = p["shape"], q["shape"], np.maximum(p["scale"], q["scale"])
    mean = alpha * a + (1.0 - alpha) * b
    if np.any(mean <= 0.0) or (alpha > 1.0 and np.any(p["scale"] < q["scale"])):
        return np.inf
    of_shapes = alpha * log_ratio_excess(a, mean) + (1.0 - alpha) * log_ratio_excess(b, mean)
    beyond = alpha * a * np.log(low / p["scale"]) + (1.0 - alpha) * b * np.log(low / q["scale"])
    return float(np.sum((of_shapes + beyond) / (1.0 - alpha)))
