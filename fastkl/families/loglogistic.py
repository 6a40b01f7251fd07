"""Log-logistic distribution: the logistic distribution of the logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.special.log_tails import log_ratio
from fastkl._core.special.moments import tangent_excess
from fastkl.families.location_scale import LogLocationScaleFamily
from fastkl.families.solvers.iterative import weighted_moments
from fastkl.families.solvers.medians import medians


class Loglogistic(LogLocationScaleFamily):
    r"""Log-logistic distribution of every column, on x > 0 (``fisk`` in scipy).

    .. math:: \log p(x) = \log(k / s) + (k - 1) \log(x / s) - 2 \log(1 + (x / s)^k)

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape k > 0, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, the median, held fixed where given.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("loglogistic").fit(np.exp([[0.0], [1.0], [2.0]]))
    >>> model.params_["shape"].round(6), model.params_["scale"].round(6)
    (array([1.980358]), array([2.718282]))
    """

    name = "loglogistic"
    aliases = ("log_logistic",)
    scipy_name = "fisk"
    scipy_parameters = {"c": "shape", "scale": "scale"}
    example = {"shape": [3.0, 1.2], "scale": [2.0, 10.0]}
    extreme = [{"shape": a, "scale": 2.5} for a in (1e-3, 0.03, 0.5, 50.0, 1e3, 1e6, 1e9)]

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        mean, deviation = weighted_moments(rows, np.log)
        if "shape" in fixed and "scale" not in fixed:
            return [[{"scale": np.exp(mean), **fixed}, {"scale": medians(rows), **fixed}]]
        return [[{"shape": np.pi / (np.sqrt(3.0) * deviation), "scale": np.exp(mean), **fixed}]]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return log_expit(params["shape"] * log_ratio(np.maximum(x, 0.0), params["scale"]))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return log_expit(-params["shape"] * log_ratio(np.maximum(x, 0.0), params["scale"]))

    def quantile(self, p: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return params["scale"] * np.exp(logit(p) / params["shape"])

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return params["scale"] * np.exp(-logit(q) / params["shape"])

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        logs = generator.logistic(0.0, 1.0 / params["shape"], size=(n_samples, len(params["shape"])))
        return params["scale"] * np.exp(logs)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        angle = np.pi / params["shape"]
        one, two = np.where(angle < np.pi, angle, 1.0), np.where(2.0 * angle < np.pi, angle, 1.0)
        mean = np.where(angle < np.pi, params["scale"] * one / np.sin(one), np.inf)
        spread = two * tangent_excess(two) / np.sin(two) ** 2
        return mean, np.where(2.0 * angle < np.pi, params["scale"] ** 2 * spread, np.inf)

    def mode(self, params: Params) -> Floats:
        shape = params["shape"]
        return params["scale"] * np.maximum((shape - 1.0) / (shape + 1.0), 0.0) ** (1.0 / shape)

    def entropy(self, params: Params) -> float:
        return float(np.sum(2.0 + np.log(params["scale"] / params["shape"])))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return mp.log(shape / scale) + (shape - 1) * mp.log(x / scale) - 2 * mp.log1p((x / scale) ** shape)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any]:
        odds = (x / scale) ** shape
        return odds / (1 + odds), 1 / (1 + odds)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return 2 + mp.log(scale / shape)
