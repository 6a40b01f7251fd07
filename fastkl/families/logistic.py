"""Logistic distribution: location and scale, by Newton's method on a concave likelihood."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.location_scale import LocationScaleFamily
from fastkl.families.solvers.iterative import weighted_moments


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
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}

    def starts(self, rows: Rows, fixed: Params) -> list[Params]:
        mean, deviation = weighted_moments(rows)
        return [{"loc": mean, "scale": deviation * (np.sqrt(3.0) / np.pi), **fixed}]

    def cdf(self, x: Floats, params: Params) -> Floats:
        value: Floats = expit((x - params["loc"]) / params["scale"])
        return value

    def quantile(self, p: Floats, params: Params) -> Floats:
        value: Floats = params["loc"] + params["scale"] * logit(p)
        return value

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.logistic(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def entropy(self, params: Params) -> float:
        return float(np.sum(2.0 + np.log(params["scale"])))
