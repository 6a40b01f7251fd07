"""Normal distribution: location and scale (standard deviation), by the centred moments of each column."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtri

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI, log_excess
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import UnivariateFamily, raise_if_constant


class Normal(UnivariateFamily):
    r"""Normal distribution of every column.

    .. math:: \log p(x) = -\tfrac12 ((x - \text{loc}) / \text{scale})^2 - \log \text{scale} - \tfrac12 \log 2\pi

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Mean, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Standard deviation (divisor n in its estimate), held fixed where given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("normal").fit(np.array([[0.0], [1.0], [3.0]]))
    >>> model.params_["loc"].round(6), model.params_["scale"].round(6)
    (array([1.333333]), array([1.247219]))
    """

    name = "normal"
    aliases = ("norm", "gaussian", "gauss")
    scipy_name = "norm"
    scipy_parameters = {"loc": "loc", "scale": "scale"}
    gaussian = True
    parameters = {"loc": Real(role="location", spread="scale"), "scale": Positive(role="scale")}
    statistic_names = ("weight", "mean", "deviation")
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"loc": 0.3, "scale": 1e-3}, {"loc": -2.0, "scale": 1e6}, {"loc": 1e8, "scale": 1.0}]

    def __init__(self, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["loc"], 1.0 / params["scale"], -np.log(params["scale"]) - HALF_LOG_2PI

    def solve(self, statistics: Statistics) -> Fit:
        mean, weight = statistics["mean"], statistics["weight"]
        fixed = self.fixed_columns(len(mean))
        loc = fixed.get("loc", mean.copy())
        if "scale" in fixed:
            return Fit({"loc": loc, "scale": fixed["scale"]})
        scale = np.hypot(statistics["deviation"] / np.sqrt(weight), mean - loc)
        raise_if_constant(scale == 0.0, statistics, self.name, "scale goes to 0")
        return Fit({"loc": loc, "scale": scale})

    def starting_parameters(self, statistics: Statistics) -> Params:
        # a constant column has no scale of its own; any positive number does as a guess
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        loc = fixed.get("loc", mean.copy())
        scale = np.hypot(statistics["deviation"] / np.sqrt(statistics["weight"]), mean - loc)
        guess = np.where(scale > 0.0, scale, np.abs(mean) + (mean == 0.0))
        return {"loc": loc, "scale": fixed.get("scale", guess)}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        z = (rows.X - params["loc"]) / params["scale"]
        return {"loc": z / params["scale"], "scale": (z**2 - 1.0) / params["scale"]}

    def _squares(self, statistics: Statistics, params: Params) -> tuple[Floats, Floats]:
        """Sum of deviations from loc in units of the scale, and of their squares."""
        shift = (statistics["mean"] - params["loc"]) / params["scale"]
        weight = statistics["weight"]
        return weight * shift, (statistics["deviation"] / params["scale"]) ** 2 + weight * shift**2

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        _, squares = self._squares(statistics, params)
        return -0.5 * squares - statistics["weight"] * (np.log(params["scale"]) + HALF_LOG_2PI)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        scale = params["scale"]
        deviations, squares = self._squares(statistics, params)
        return {"loc": deviations / scale, "scale": (squares - statistics["weight"]) / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        weight, (deviations, squares) = statistics["weight"], self._squares(statistics, params)
        cross = 2.0 * deviations
        return np.moveaxis(np.array([[weight, cross], [cross, 3.0 * squares - weight]]), -1, 0)

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return log_ndtr((x - params["loc"]) / params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return log_ndtr((params["loc"] - x) / params["scale"])

    def quantile(self, p: Floats, params: Params) -> Floats:
        return params["loc"] + params["scale"] * ndtri(p)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return params["loc"] - params["scale"] * ndtri(q)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.normal(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["loc"], params["scale"] ** 2

    def mode(self, params: Params) -> Floats:
        return params["loc"]

    def entropy(self, params: Params) -> float:
        return float(np.sum(0.5 + HALF_LOG_2PI + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, scale: Any) -> Any:
        return -(((x - loc) / scale) ** 2) / 2 - mp.log(scale) - mp.log(2 * mp.pi) / 2

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        z = (x - loc) / scale / mp.sqrt(2)
        return mp.erfc(-z) / 2, mp.erfc(z) / 2

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, scale: Any) -> Any:
        return (1 + mp.log(2 * mp.pi)) / 2 + mp.log(scale)


@register_kl(Normal, Normal)
def normal_kl(_p: Normal, p: Params, _q: Normal, q: Params) -> float:
    """Sum over the columns of (r - 1 - log r + shift^2) / 2 with r the ratio of variances: no term is negative."""
    s, t = p["scale"], q["scale"]
    with np.errstate(over="ignore"):
        root, shift = s / t, (p["loc"] - q["loc"]) / t
        change, square = (s - t) / t * (root + 1.0), shift**2
    # A ratio of variances beyond float64 makes the divergence infinite to it; the logarithm of one below it is known.
    usual = (root > 1e-100) & np.isfinite(change)
    excess = log_excess(np.where(usual, change, 0.0), np.where(usual, root, 1.0) ** 2)
    excess = np.where(usual, excess, change - 2.0 * (np.log(s) - np.log(t)))
    return 0.5 * float((excess + square).sum())


@register_renyi(Normal, Normal)
def normal_renyi(family: Normal, p: Params, _q: Normal, q: Params, alpha: float) -> float:
    """By the normal distribution whose precision is alpha / s^2 + (1 - alpha) / t^2; inf where that is none."""
    ratio = (p["scale"] / q["scale"]) ** 2
    part = alpha + (1.0 - alpha) * ratio
    if np.any(part <= 0.0):
        return np.inf
    loc = p["loc"] + (1.0 - alpha) * ratio / part * (q["loc"] - p["loc"])
    return renyi_by_mean(normal_kl, family, {"loc": loc, "scale": p["scale"] / np.sqrt(part)}, p, q, alpha)
