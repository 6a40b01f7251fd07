"""Logistic distribution: location and scale, by Newton's method on a concave likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_expit, logit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.location_scale import LocationScaleFamily, about_held
from fastkl.families.solvers.iterative import weighted_moments
from fastkl.families.solvers.medians import medians


class Logistic(LocationScaleFamily):
    r"""Logistic distribution of every column.

    .. math:: \log p(x) = -z - 2 \log(1 + e^{-z}) - \log \text{scale}, \quad z = (x - \text{loc}) / \text{scale}

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Mean and median, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, held fixed where given; the standard deviation is pi / sqrt(3) times it.

    Notes
    -----
    The likelihood is concave in (loc / scale, 1 / scale): it has one maximum unless the column is constant.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("logistic").fit([[0.0], [1.0], [2.0]])
    >>> model.params_["loc"].round(6), model.params_["scale"].round(6)
    (array([1.]), array([0.504959]))
    """

    name = "logistic"
    scipy_name = "logistic"
    scipy_parameters = {"loc": "loc", "scale": "scale"}
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"loc": 0.3, "scale": 1e-3}, {"loc": -2.0, "scale": 1e6}, {"loc": 1e8, "scale": 1.0}]

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        mean, deviation = weighted_moments(rows)
        if "scale" in fixed and "loc" not in fixed:  # a step is at most a few scales: an outlier must not own the start
            return [[{"loc": mean, **fixed}, {"loc": medians(rows), **fixed}]]
        deviation = about_held(fixed, mean, deviation)
        return [[{"loc": mean, "scale": deviation * (np.sqrt(3.0) / np.pi), **fixed}]]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return log_expit((x - params["loc"]) / params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return log_expit((params["loc"] - x) / params["scale"])

    def quantile(self, p: Floats, params: Params) -> Floats:
        return params["loc"] + params["scale"] * logit(p)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return params["loc"] - params["scale"] * logit(q)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.logistic(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["loc"], (np.pi * params["scale"]) ** 2 / 3.0

    def entropy(self, params: Params) -> float:
        return float(np.sum(2.0 + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, scale: Any) -> Any:
        z = (x - loc) / scale
        return -z - 2 * mp.log1p(mp.exp(-z)) - mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        z = (x - loc) / scale
        return 1 / (1 + mp.exp(-z)), 1 / (1 + mp.exp(z))

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, scale: Any) -> Any:
        return 2 + mp.log(scale)
