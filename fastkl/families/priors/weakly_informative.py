"""The default prior: weakly informative, and the same whatever the unit of the data."""

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Params, Statistics
from fastkl.families.base import Family
from fastkl.families.priors.base import Prior, checked
from fastkl.families.priors.conjugate import DirichletPrior

LOG_TEN = float(np.log(10.0))
MATRICES = ("covariance", "scale")
UNITLESS = frozenset({"df", "concentration", "a", "b", "c", "d", "size", "sdlog"})


class WeaklyInformative(Prior):
    r"""The default prior: what a row or so would say, and nothing about the unit of the data.

    With strength m it adds to the log-likelihood

    * :math:`-\frac m2 (\log\theta / \log 10)^2` for every parameter without a unit: a shape beside a scale, degrees of
      freedom, a concentration, a size, a log-scale: one row against a factor of ten;
    * :math:`\frac mk \sum_k \log \pi_k` for k probabilities: m pseudo-counts spread evenly (W. Perks 1947);
    * :math:`\frac m2 \log \lambda` for the rate of a count: half an event;
    * :math:`-\frac m2 (\log\det\Sigma + \operatorname{tr} D \Sigma^{-1})` for a matrix: m rows with the variances D of
      the data and no correlation, so that a full covariance exists for fewer rows than columns;
    * nothing for locations and scales.

    Multiplying the data by c therefore shifts log-densities by -d log c and does nothing else.

    Parameters
    ----------
    strength : float, default=1.0
        Number of rows m, at least 0.
    variances : array-like of shape (d,), default=None
        Variances D; None takes those of the data.

    Examples
    --------
    >>> from fastkl import DensityMLE, priors
    >>> tosses = [[0.0]] * 10  # half a success and half a failure are added: 0.5 of 11
    >>> DensityMLE("bernoulli", prior=priors.WeaklyInformative()).fit(tosses).params_["probability"].round(6)
    array([0.045455])
    """

    def __init__(self, strength: float = 1.0, variances: ArrayLike | None = None):
        self.strength = strength
        self.variances = variances

    def bind(self, family: Family, params: Params) -> Prior | None:
        checked("strength", self.strength + 1.0, 1.0 - 1e-300, "WeaklyInformative")
        free = {name: value for name, value in params.items() if name not in family.fixed_parameters()}
        if "probabilities" in free:
            width = np.asarray(params["probabilities"]).shape[-1]
            sizes = [len(labels) for labels in family.labels_of(params)] if hasattr(family, "labels_of") else [width]
            table = np.repeat(1.0 + self.strength / np.array(sizes, dtype=np.float64)[:, None], width, axis=1)
            return DirichletPrior(table.reshape(np.shape(params["probabilities"]))).bind(family, params)
        if self.strength == 0.0 or not any(name in free for name in self._terms(params)):
            return None
        matrix = next((value for name, value in params.items() if np.ndim(value) == 2 and name in MATRICES), None)
        if matrix is None or self.variances is not None:
            return self
        return WeaklyInformative(self.strength, np.diag(matrix).copy())

    def _terms(self, params: Params) -> dict[str, str]:
        """The kind of term that each parameter adds."""
        kinds = {}
        for name, value in params.items():
            if np.ndim(value) == 2 and name in MATRICES:
                kinds[name] = "matrix"
            elif name in UNITLESS or (name == "shape" and "scale" in params):
                kinds[name] = "unitless"
            elif name in ("probability", "zero_probability", "rate"):
                kinds[name] = name
        return kinds

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        fixed = family.fixed_parameters()
        if self.variances is None or family.name != "multivariate_normal" or "covariance" in fixed:
            return None
        mean = np.asarray(fixed.get("mean", statistics["mean"]), dtype=np.float64)
        shift = statistics["mean"] - mean
        scatter = statistics["scatter"] + statistics["weight"] * np.outer(shift, shift)
        added = np.diag(self.strength * np.asarray(self.variances))
        return {"mean": np.array(mean), "covariance": (scatter + added) / (statistics["weight"] + self.strength)}

    def log_density(self, params: Params) -> float:
        total = 0.0
        for name, kind in self._terms(params).items():
            value = params[name]
            if kind == "matrix":
                trace = np.sum(np.asarray(self.variances) * np.diag(np.linalg.inv(value)))
                total -= 0.5 * (np.linalg.slogdet(value)[1] + trace)
            elif kind == "unitless":
                total -= 0.5 * float(np.sum(np.log(value) ** 2)) / LOG_TEN**2
            elif kind == "rate":
                total += 0.5 * float(np.sum(np.log(value)))
            else:
                total += 0.5 * float(np.sum(np.log(value) + np.log1p(-value)))
        return float(self.strength * total)

    def gradient(self, params: Params) -> Params:
        slopes: Params = {}
        for name, kind in self._terms(params).items():
            value = params[name]
            if kind == "matrix":
                precision = np.linalg.inv(value)
                slope = 0.5 * ((precision * np.asarray(self.variances)) @ precision - precision)
            elif kind == "unitless":
                slope = -np.log(value) / value / LOG_TEN**2
            else:
                slope = 0.5 / value if kind == "rate" else 0.5 / value - 0.5 / (1.0 - value)
            slopes[name] = self.strength * slope
        return slopes
