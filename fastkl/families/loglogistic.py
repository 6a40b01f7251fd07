"""Log-logistic distribution: the logistic distribution of the logarithm."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.location_scale import LogLocationScaleFamily
from fastkl.families.solvers.iterative import weighted_moments


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
    example = {"shape": [3.0, 1.2], "scale": [2.0, 10.0]}

    def starts(self, rows: Rows, fixed: Params) -> list[Params]:
        mean, deviation = weighted_moments(rows, np.log)
        return [{"shape": np.pi / (np.sqrt(3.0) * deviation), "scale": np.exp(mean), **fixed}]

    def cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore"):
            value: Floats = expit(params["shape"] * np.log(np.maximum(x, 0.0) / params["scale"]))
        return value

    def quantile(self, p: Floats, params: Params) -> Floats:
        value: Floats = params["scale"] * np.exp(logit(p) / params["shape"])
        return value

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        logs = generator.logistic(0.0, 1.0 / params["shape"], size=(n_samples, len(params["shape"])))
        return params["scale"] * np.exp(logs)

    def entropy(self, params: Params) -> float:
        return float(np.sum(2.0 + np.log(params["scale"] / params["shape"])))
