"""Laplace distribution: its location is the weighted median of each column, its scale the mean distance from it."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl
from fastkl.families.exponential import log_ratio_excess
from fastkl.families.solvers.medians import medians
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import UnivariateFamily, raise_if_constant


class Laplace(UnivariateFamily):
    r"""Laplace distribution of every column.

    .. math:: \log p(x) = -|x - \text{loc}| / \text{scale} - \log(2\, \text{scale})

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Median, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Mean distance from the median, held fixed where given.

    Notes
    -----
    With an even number of rows any point between the two middle values is a maximum: their midpoint is taken (likewise for
    weights). The likelihood has a kink at every row, hence no curvature in loc: the standard errors are those of the expected
    information, scale / sqrt(n) for either parameter.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("laplace").fit([[0.0], [1.0], [3.0], [10.0]])
    >>> model.params_["loc"], model.params_["scale"]
    (array([2.]), array([3.]))
    """

    name = "laplace"
    parameters = {"loc": Real(role="location", spread="scale"), "scale": Positive(role="scale")}
    has_statistics = False
    smooth = False
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}

    def __init__(self, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["loc"], 1.0 / params["scale"], -np.log(2.0 * params["scale"])

    def _sums(self, rows: Rows, params: Params) -> Floats:
        """Weight, sum of |x - loc| / scale and sum of sign(x - loc), by column: (3, d)."""
        constants = np.ascontiguousarray(np.stack(self.constants(params), axis=1))
        sums: Floats = self.kernel().sums(rows.X, rows.weights, constants, self.support, rows.n_threads)[0].T
        return sums

    @np.errstate(over="ignore", divide="ignore")
    def fit(self, rows: AnyRows, tol: float, max_iter: int) -> tuple[Fit, Statistics]:
        d = rows.n_columns
        fixed = self.fixed_columns(d)
        loc = fixed["loc"] if "loc" in fixed else medians(rows)
        weight, distance, _ = rows.total(self._sums, {"loc": loc, "scale": np.ones(d)})
        scale = fixed.get("scale", distance / weight)
        raise_if_constant(scale == 0.0, {"weight": weight, "value": loc}, self.name, "scale goes to 0")
        self._raise_if_overflow(rows, scale)
        information = np.zeros((d, 2, 2))
        information[:, [0, 1], [0, 1]] = (weight / scale / scale)[:, None]
        total = float(np.sum(-distance / scale - weight * np.log(2.0 * scale)))
        return Fit({"loc": loc, "scale": scale}, log_likelihood=total), {"weight": weight, "information": information}

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        weight, distance, _ = self._sums(rows, params)
        return float(np.sum(-distance - weight * np.log(2.0 * params["scale"])))

    def gradient(self, rows: Rows, params: Params) -> Params:
        """The slope by loc counts a row at loc as 0, halfway between the slopes on its two sides."""
        return self.log_likelihood_and_gradient(rows, params)[1]

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        weight, distance, sign = self._sums(rows, params)
        self._raise_if_overflow(rows, distance)
        total = float(np.sum(-distance - weight * np.log(2.0 * params["scale"])))
        return total, {"loc": sign / params["scale"], "scale": (distance - weight) / params["scale"]}

    def cdf(self, x: Floats, params: Params) -> Floats:
        z = (x - params["loc"]) / params["scale"]
        tail = 0.5 * np.exp(-np.abs(z))
        value: Floats = np.where(z < 0.0, tail, 1.0 - tail)
        return value

    def quantile(self, p: Floats, params: Params) -> Floats:

        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(p < 0.5, np.log(2.0 * p), -np.log(2.0 * (1.0 - p)))
        return params["loc"] + params["scale"] * z

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.laplace(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 + np.log(2.0 * params["scale"])))


@register_kl("laplace", "laplace")
def laplace_kl(_p: Laplace, p: Params, _q: Laplace, q: Params) -> float:
    """(r - 1 - log r) + r (exp(-t) - 1 + t) with r the ratio of scales and t the shift in units of the first scale."""
    ratio, shift = p["scale"] / q["scale"], np.abs(p["loc"] - q["loc"]) / p["scale"]
    return float(np.sum(log_ratio_excess(ratio) + ratio * np.maximum(np.expm1(-shift) + shift, 0.0)))
