"""Exponential distribution: its scale is the mean of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl, register_renyi, renyi_by_mean
from fastkl.families.hazards import ByHazard
from fastkl.families.spaces import Positive
from fastkl.families.univariate import BELOW_INFINITY, UnivariateFamily


class Exponential(ByHazard, UnivariateFamily):
    r"""Exponential distribution of every column, on x >= 0.

    .. math:: \log p(x) = -x / s - \log s

    Parameters
    ----------
    scale : float or array-like of shape (d,), default=None
        Mean s > 0, held fixed where given.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("exponential").fit([[0.5], [1.0], [3.0]]).params_["scale"]
    array([1.5])
    """

    name = "exponential"
    aliases = ("exp",)
    scipy_name = "expon"
    scipy_parameters = {"scale": "scale"}
    parameters = {"scale": Positive(role="scale")}
    statistic_names = ("weight", "mean")
    support = (0.0, BELOW_INFINITY, False)
    support_text = "numbers of at least 0"
    example = {"scale": [2.0, 0.1]}
    extreme = [{"scale": 1e-8}, {"scale": 1e8}]

    def __init__(self, scale: ArrayLike | None = None):
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return 1.0 / params["scale"], -np.log(params["scale"])

    def solve(self, statistics: Statistics) -> Fit:
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        if "scale" not in fixed:
            raise_if_zero(mean, statistics, self.name)
        return Fit({"scale": fixed.get("scale", mean.copy())})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        return -statistics["weight"] * (statistics["mean"] / params["scale"] + np.log(params["scale"]))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        scale = params["scale"]
        return {"scale": statistics["weight"] * (statistics["mean"] - scale) / scale / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        return (statistics["weight"] * (2.0 * statistics["mean"] / scale - 1.0))[:, None, None]

    def hazard(self, x: Floats, params: Params) -> Floats:
        return np.maximum(x, 0.0) / params["scale"]

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        return params["scale"] * w

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["scale"], params["scale"] ** 2

    def mode(self, params: Params) -> Floats:
        return np.zeros_like(params["scale"])

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, scale: Any) -> Any:
        return -x / scale - mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, scale: Any) -> tuple[Any, Any]:
        return -mp.expm1(-x / scale), mp.exp(-x / scale)


def raise_if_zero(size: Floats, statistics: Statistics, family: str) -> None:
    """DegenerateDataError naming the first column that is 0 in every row, for families of a scale alone."""
    if np.any(size == 0.0):
        column = int(np.flatnonzero(size == 0.0)[0])
        raise DegenerateDataError(
            f"Column {column} is 0 in every row, or so small that its sums underflow (n_samples="
            f"{statistics['weight'][column]:g}). The {family} likelihood then has no maximum, since it grows without bound as "
            "scale goes to 0. Leave the column out, rescale it, or hold scale fixed.",
            column,
        )


@register_kl(Exponential, Exponential)
def exponential_kl(_p: Exponential, p: Params, _q: Exponential, q: Params) -> float:
    """r - 1 - log r with r the ratio of scales."""
    return float(np.sum(log_ratio_excess(p["scale"], q["scale"])))


@register_renyi(Exponential, Exponential)
def exponential_renyi(family: Exponential, p: Params, _q: Exponential, q: Params, alpha: float) -> float:
    """By the exponential distribution whose rate is alpha / s + (1 - alpha) / t for scales s and t; inf where that is none."""
    part = alpha + (1.0 - alpha) * (p["scale"] / q["scale"])
    if np.any(part <= 0.0):
        return np.inf
    return renyi_by_mean(exponential_kl, family, {"scale": p["scale"] / part}, p, q, alpha)
