"""Maxwell law: its squared scale is a third of the mean square of each column."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc, gammaincinv

from fastkl.families.base import Fit, Floats, Params, Statistics
from fastkl.families.closed_form import register_kl
from fastkl.families.exponential import log_ratio_excess, raise_if_zero
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily


class Maxwell(UnivariateFamily):
    r"""Maxwell law of every column, on x > 0: the length of a centred normal vector in space.

    .. math:: \log p(x) = 2 \log x - \tfrac12 (x / s)^2 - 3 \log s + \tfrac12 \log \frac{2}{\pi}

    Parameters
    ----------
    scale : float or array-like of shape (d,), default=None
        Standard deviation s > 0 of each coordinate, held fixed where given.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> DensityMLE("maxwell").fit([[1.0], [2.0], [2.0]]).params_["scale"]
    array([1.])
    """

    name = "maxwell"
    parameter_names = ("scale",)
    positive_parameters = ("scale",)
    statistic_names = ("weight", "mean_square", "mean_log")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"
    example = {"scale": [2.0, 0.1]}

    def __init__(self, scale: ArrayLike | None = None):
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        scale = params["scale"]
        return scale, 1.0 / scale, 0.5 * np.log(2.0 / np.pi) - np.log(scale)

    def solve(self, statistics: Statistics) -> Fit:
        square = statistics["mean_square"]
        fixed = self.fixed_columns(len(square))
        if "scale" not in fixed:
            raise_if_zero(square, statistics, self.name)
        return Fit({"scale": fixed.get("scale", np.sqrt(square / 3.0))})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        mean = 2.0 * statistics["mean_log"] - 0.5 * statistics["mean_square"] / scale**2 - 3.0 * np.log(scale)
        return statistics["weight"] * (mean + 0.5 * np.log(2.0 / np.pi))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        scale = params["scale"]
        return {"scale": statistics["weight"] * (statistics["mean_square"] / scale**2 - 3.0) / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        scale = params["scale"]
        by_row = 3.0 * (statistics["mean_square"] / scale**2 - 1.0) / scale**2
        information: Floats = (statistics["weight"] * by_row)[:, None, None]
        return information

    def cdf(self, x: Floats, params: Params) -> Floats:
        value: Floats = gammainc(1.5, 0.5 * (np.maximum(x, 0.0) / params["scale"]) ** 2)
        return value

    def quantile(self, p: Floats, params: Params) -> Floats:
        value: Floats = params["scale"] * np.sqrt(2.0 * gammaincinv(1.5, p))
        return value

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return params["scale"] * np.sqrt(generator.chisquare(3.0, size=(n_samples, len(params["scale"]))))

    def entropy(self, params: Params) -> float:
        return float(np.sum(np.log(np.sqrt(2.0 * np.pi) * params["scale"]) + np.euler_gamma - 0.5))


@register_kl("maxwell", "maxwell")
def maxwell_kl(_p: Maxwell, p: Params, _q: Maxwell, q: Params) -> float:
    """3 (r - 1 - log r) / 2 with r the squared ratio of scales."""
    return 1.5 * float(np.sum(log_ratio_excess((p["scale"] / q["scale"]) ** 2)))
