"""Laplace distribution: its location is the weighted median of each column, its scale the mean distance from it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.base import Fit
from fastkl.families.closed_form import log_ratio_excess, register_kl
from fastkl.families.solvers.medians import medians
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import UnivariateFamily, raise_if_constant
from fastkl.families.weightless import rows_of_weight


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
    information, scale / sqrt(n) for either parameter; the robust ones rest on differences of slopes about loc instead, which show
    the density of the rows at their median. The gradient by loc counts a row at loc as 0, halfway between the slopes on
    its two sides.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("laplace").fit([[0.0], [1.0], [3.0], [10.0]])
    >>> model.params_["loc"], model.params_["scale"]
    (array([2.]), array([3.]))
    """

    name = "laplace"
    aliases = ("double_exponential",)
    scipy_name = "laplace"
    scipy_parameters = {"loc": "loc", "scale": "scale"}
    parameters = {"loc": Real(role="location", spread="scale"), "scale": Positive(role="scale")}
    has_statistics = False
    smooth = False
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"loc": 0.3, "scale": 1e-3}, {"loc": -2.0, "scale": 1e6}, {"loc": 1e8, "scale": 1.0}]

    def __init__(self, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["loc"], 1.0 / params["scale"], -np.log(2.0 * params["scale"])

    def _sums(self, rows: Rows, params: Params) -> Floats:
        """Weight, sum of |x - loc| / scale and sum of sign(x - loc), by column: (3, d)."""
        constants = np.ascontiguousarray(np.stack(self.constants(params), axis=1))
        return self.kernel().sums(rows.X, rows.weights, constants, self.support, rows.n_threads)[0].T

    @np.errstate(over="ignore", divide="ignore")
    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        rows, d = rows_of_weight(rows), rows.n_columns
        fixed = self.fixed_columns(d)
        loc = fixed["loc"] if "loc" in fixed else medians(rows)
        weight, distance, _ = rows.total(self._sums, {"loc": loc, "scale": np.ones(d)})
        scale = fixed.get("scale", distance / weight)
        raise_if_constant(scale == 0.0, {"weight": weight, "value": loc}, self.name, "scale goes to 0")
        self._raise_if_overflow(rows, scale)
        information = np.zeros((d, 2, 2))
        information[:, [0, 1], [0, 1]] = weight[:, None]
        total = float(np.sum(-distance / scale - weight * np.log(2.0 * scale)))
        return Fit({"loc": loc, "scale": scale}, log_likelihood=total), {"weight": weight, "information": information}

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        weight, distance, _ = self._sums(rows, params)
        return float(np.sum(-distance - weight * np.log(2.0 * params["scale"])))

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        weight, distance, sign = self._sums(rows, params)
        self._raise_if_overflow(rows, distance)
        total = float(np.sum(-distance - weight * np.log(2.0 * params["scale"])))
        return total, {"loc": sign / params["scale"], "scale": (distance - weight) / params["scale"]}

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return self._log_tail((params["loc"] - x) / params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return self._log_tail((x - params["loc"]) / params["scale"])

    def _log_tail(self, z: Floats) -> Floats:
        """Logarithm of the standard distribution's tail above z."""
        return np.where(z > 0.0, -z - np.log(2.0), np.log1p(-0.5 * np.exp(np.minimum(z, 0.0))))

    def quantile(self, p: Floats, params: Params) -> Floats:
        return params["loc"] + params["scale"] * self._standard_quantile(np.asarray(p))

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return params["loc"] - params["scale"] * self._standard_quantile(np.asarray(q))

    def _standard_quantile(self, p: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(p < 0.5, np.log(2.0 * p), -np.log(2.0 * (1.0 - p)))

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.laplace(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["loc"], 2.0 * params["scale"] ** 2

    def mode(self, params: Params) -> Floats:
        return params["loc"]

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 + np.log(2.0 * params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, scale: Any) -> Any:
        return -abs(x - loc) / scale - mp.log(2 * scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        tail = mp.exp(-abs(x - loc) / scale) / 2
        return (tail, 1 - tail) if x < loc else (1 - tail, tail)

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, scale: Any) -> Any:
        return 1 + mp.log(2 * scale)


@register_kl(Laplace, Laplace)
def laplace_kl(_p: Laplace, p: Params, _q: Laplace, q: Params) -> float:
    """(r - 1 - log r) + r (exp(-t) - 1 + t) with r the ratio of scales and t the shift in units of the first scale."""
    ratio, shift = p["scale"] / q["scale"], np.abs(p["loc"] - q["loc"]) / p["scale"]
    return float(np.sum(log_ratio_excess(p["scale"], q["scale"]) + ratio * np.maximum(np.expm1(-shift) + shift, 0.0)))
