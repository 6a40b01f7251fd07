"""Inverse Gaussian distribution: its mean is that of each column, its shape follows from the mean of 1/x."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import hyperu

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.inverse_gaussian_tails import log_inverse_gaussian_tails
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl, register_renyi, renyi_by_mean
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily, raise_if_constant

LOG_2PI = np.log(2.0 * np.pi)


class InverseGaussian(UnivariateFamily):
    r"""Inverse Gaussian (Wald) distribution of every column, on x > 0.

    .. math:: \log p(x) = \tfrac12 \log \frac{\lambda}{2\pi x^3} - \frac{\lambda (x - m)^2}{2 m^2 x}

    Parameters
    ----------
    mean : float or array-like of shape (d,), default=None
        Mean m > 0, held fixed where given.
    shape : float or array-like of shape (d,), default=None
        Shape :math:`\lambda` > 0, held fixed where given; the variance is :math:`m^3 / \lambda`.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("inverse_gaussian").fit([[1.0], [2.0], [4.0]])
    >>> model.params_["mean"].round(6), model.params_["shape"].round(6)
    (array([2.333333]), array([6.461538]))
    """

    name = "inverse_gaussian"
    aliases = ("inverse_normal", "wald")
    scipy_name = "invgauss"
    parameters = {"mean": Positive(role="scale", centre=True), "shape": Positive(role="scale")}
    statistic_names = ("weight", "mean", "mean_log", "excess")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"
    example = {"mean": [2.0, 0.5], "shape": [3.0, 0.4]}
    extreme = [{"mean": 1.7, "shape": shape} for shape in (1e-9, 1e-3, 0.03, 50.0, 1e3, 1e6, 1e9)]

    def __init__(self, mean: ArrayLike | None = None, shape: ArrayLike | None = None):
        self.mean = mean
        self.shape = shape

    def constants(self, params: Params) -> tuple[Any, ...]:
        mean, shape = params["mean"], params["shape"]
        return mean, 1.0 / mean, 0.5 * shape, 0.5 * (np.log(shape) - LOG_2PI) - 1.5 * np.log(mean)

    def _distance(self, statistics: Statistics, mean: Floats) -> Floats:
        """Mean of (x - m)^2 / (m^2 x)."""
        own = statistics["mean"]
        gap = (own - mean) / mean
        return gap * (gap / own) + statistics["excess"]

    def solve(self, statistics: Statistics) -> Fit:
        fixed = self.fixed_columns(len(statistics["mean"]))
        mean = fixed.get("mean", statistics["mean"].copy())
        if "shape" in fixed:
            return Fit({"mean": mean, "shape": fixed["shape"]})
        distance = self._distance(statistics, mean)
        raise_if_constant(distance == 0.0, statistics, self.name, "shape goes to infinity")
        return Fit({"mean": mean, "shape": 1.0 / distance})

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        shape, distance = params["shape"], self._distance(statistics, params["mean"])
        by_row = 0.5 * (np.log(shape) - LOG_2PI) - 1.5 * statistics["mean_log"] - 0.5 * shape * distance
        return statistics["weight"] * by_row

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        mean, shape, weight = params["mean"], params["shape"], statistics["weight"]
        by_mean = weight * (shape / mean) * ((statistics["mean"] - mean) / mean) / mean
        return {"mean": by_mean, "shape": 0.5 * weight * (1.0 / shape - self._distance(statistics, mean))}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        mean, shape, weight = params["mean"], params["shape"], statistics["weight"]
        gap, ratio = (statistics["mean"] - mean) / mean, shape / mean
        cross = -weight * gap * ratio
        rows = [[weight * ratio * (1.0 + 3.0 * gap), cross], [cross, 0.5 * weight]]
        return np.moveaxis(np.array(rows), -1, 0)

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        return log_inverse_gaussian_tails(x, params["mean"], params["shape"])

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.wald(params["mean"], params["shape"], size=(n_samples, len(params["mean"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        mean, shape = params["mean"], params["shape"]
        return mean, mean**2 * (mean / shape)

    def mode(self, params: Params) -> Floats:
        ratio = 1.5 * params["mean"] / params["shape"]
        return params["mean"] / (np.hypot(1.0, ratio) + ratio)

    def to_scipy(self, params: Params) -> dict[str, Any]:
        return {"mu": params["mean"] / params["shape"], "scale": params["shape"]}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        self.raise_if_moved(arguments, ("mu", "scale"))
        return {"mean": arguments["mu"] * arguments["scale"], "shape": arguments["scale"]}

    def entropy(self, params: Params) -> float:
        # E log x = log m - exp(t) E1(t) at t = 2 shape / mean; the product is Tricomi's U(1, 1, t)
        mean, shape = params["mean"], params["shape"]
        mean_log = np.log(mean) - hyperu(1.0, 1.0, 2.0 * shape / mean)
        return float(np.sum(0.5 + 0.5 * (LOG_2PI - np.log(shape)) + 1.5 * mean_log))

    @staticmethod
    def textbook(mp: Any, x: Any, mean: Any, shape: Any) -> Any:
        return mp.log(shape / (2 * mp.pi * x**3)) / 2 - shape * (x - mean) ** 2 / (2 * mean**2 * x)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, mean: Any, shape: Any) -> tuple[Any, Any]:
        z = mp.sqrt(shape / (2 * x))
        alpha, second = z * (x / mean - 1), mp.exp(2 * shape / mean) * mp.erfc(z * (x / mean + 1))
        return (mp.erfc(-alpha) + second) / 2, (mp.erfc(alpha) - second) / 2

    @staticmethod
    def textbook_entropy(mp: Any, mean: Any, shape: Any) -> Any:
        t = 2 * shape / mean
        return (1 + mp.log(2 * mp.pi * mean**3 / shape)) / 2 - 3 * mp.exp(t) * mp.expint(1, t) / 2


@register_kl(InverseGaussian, InverseGaussian)
def inverse_gaussian_kl(_p: InverseGaussian, p: Params, _q: InverseGaussian, q: Params) -> float:
    """(r - 1 - log r) / 2 with r the ratio of shapes, plus shape_q (m_p - m_q)^2 / (2 m_p m_q^2)."""
    shift = ((p["mean"] - q["mean"]) / q["mean"]) ** 2 / p["mean"]
    return float(np.sum(0.5 * (log_ratio_excess(q["shape"], p["shape"]) + q["shape"] * shift)))


@register_renyi(InverseGaussian, InverseGaussian)
def inverse_gaussian_renyi(
    family: InverseGaussian, p: Params, _q: InverseGaussian, q: Params, alpha: float
) -> float | None:
    """By the member whose shape, and shape / mean^2, are alpha times those of p and 1 - alpha times those of q."""
    shape, rate = (
        alpha * p["shape"] / p["mean"] ** power + (1.0 - alpha) * q["shape"] / q["mean"] ** power for power in (0, 2)
    )
    if np.any(shape <= 0.0) or np.any(rate < 0.0):
        return np.inf
    if np.any(rate == 0.0):
        return None  # a Lévy distribution
    return renyi_by_mean(inverse_gaussian_kl, family, {"mean": np.sqrt(shape / rate), "shape": shape}, p, q, alpha)
