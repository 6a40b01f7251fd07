"""Generalized Pareto distribution of excesses: heavy tails, the exponential distribution, and a finite end of the support."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.extreme_values import from_standard, standard_variable
from fastkl.exceptions import DegenerateDataError
from fastkl.families.column_sums import count_zeros
from fastkl.families.extreme_values import EDGE, ExtremeValueFamily, column_extremes, extreme_constants, merged_extremes
from fastkl.families.hazards import ByHazard
from fastkl.families.solvers.iterative import n_rows
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import COLLAPSED
from fastkl.families.spaces import Positive, TailShape
from fastkl.families.univariate import BELOW_INFINITY

# shape / scale in units of 1 / largest value, at which the likelihood has its maximum over the other parameter in closed form:
# in three parts, of which each gives a start
_RATIOS = (
    -1.0 + np.array([1e-8, 1e-6, 1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2]),
    np.array([-0.7, -0.5, -0.3, -0.1, -0.01, 0.01, 0.1, 0.3, 1.0, 2.0]),
    np.array([5.0, 10.0, 30.0, 1e2, 3e2, 1e3, 1e4, 1e6, 1e9, 1e13]),
)
_FURTHER = 1e3  # step of the ratios beyond, for rows that spread wider


class GeneralizedPareto(ByHazard, ExtremeValueFamily):
    r"""Generalized Pareto distribution of every column, on x >= 0, and x <= -scale / shape where the shape is negative.

    .. math:: \log p(x) = -(1 + 1 / \xi) \log(1 + \xi x / s) - \log s

    with shape xi and scale s: the distribution of excesses over a high threshold. At shape 0 it is the exponential distribution,
    at -1 the uniform one on [0, s], above 0 the Lomax distribution of shape 1 / xi and scale s / xi.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape xi >= -1, held fixed where given; scipy's ``c``.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, held fixed where given.

    Notes
    -----
    For xi < -1 the density is infinite at the end of the support and the likelihood has no maximum: those are left out. The
    estimate is the highest maximum with xi > -1, or the boundary xi = -1 with the largest value as scale where that is
    higher; ``boundary_`` says so. For xi <= -1/2 the likelihood is not regular, and there are no standard errors.

    With zeros among the rows the likelihood also grows without bound as xi goes to infinity and s to 0: the estimate is the
    maximum inside, if there is one.

    References
    ----------
    S. D. Grimshaw, "Computing maximum likelihood estimates for the generalized Pareto distribution", 1993, doi:10.2307/1269663.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).pareto(4.0, size=(5000, 1))
    >>> model = DensityMLE("generalized_pareto").fit(X)
    >>> model.params_["shape"].round(2), model.params_["scale"].round(2)
    (array([0.27]), array([0.25]))
    """

    name = "generalized_pareto"
    aliases = ("gpd", "gen_pareto")
    scipy_name = "genpareto"
    scipy_parameters = {"c": "shape", "scale": "scale"}
    parameters = {"shape": TailShape(), "scale": Positive(role="scale")}
    coordinates = ("shape", "scale")
    degenerate = ()
    support = (0.0, BELOW_INFINITY, False)
    support_text = "numbers of at least 0, up to -scale / shape where shape is negative"
    edge_text = "uniform from 0 to the largest value"
    example = {"shape": [0.2, -0.05], "scale": [2.0, 10.0]}
    extreme = [
        {"shape": xi, "scale": 0.7} for xi in (-1.0, -0.9, -0.5, -1e-3, -1e-9, 0.0, 1e-12, 1e-3, 0.03, 1.0, 30.0)
    ]

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        return extreme_constants(shape, np.zeros_like(scale), scale)

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["scale"])
        return {"shape": one, "scale": one}

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        X = rows.X.astype(np.float64)
        largest = np.max(X, axis=0)
        largest = np.where(largest > 0.0, largest, 1.0)  # these rows are all 0, others are not
        mean = np.average(X, axis=0, weights=rows.weights)
        mean = np.where(mean > 0.0, mean, largest)
        if "shape" in fixed:
            shape = fixed["shape"]
            inside = np.maximum(mean, -1.5 * shape * largest)
            return [[{"shape": shape, "scale": inside, **fixed}]]
        if "scale" in fixed:
            room = np.minimum(fixed["scale"] / largest, 1.0)
            return [[{"shape": shape * room, **fixed}] for shape in (-0.5, 0.5)] + [[{"shape": 2.0 * room, **fixed}]]
        share = X / largest
        parts = [*_RATIOS, *_further_ratios(share)]
        return [[self._best_ratio(share, rows.weights, largest, part)] for part in parts]

    def _best_ratio(self, share: Floats, weights: Floats | None, largest: Floats, ratios: Floats) -> Params:
        """Of the distributions with these ratios of shape and scale, each with the best shape, the best one inside."""
        shapes = np.stack([np.average(np.log1p(ratio * share), axis=0, weights=weights) for ratio in ratios])
        shapes = np.where(shapes == 0.0, 1e-300, shapes)
        scales = shapes / ratios[:, None]
        heights = np.where(shapes > EDGE, -np.log(scales) - shapes - 1.0, -np.inf)
        best = np.argmax(heights, axis=0)[None]
        shape, scale = (np.take_along_axis(values, best, axis=0)[0] for values in (shapes, scales))
        inside = shape > EDGE
        return {
            "shape": np.where(inside, shape, -0.9),
            "scale": largest * np.where(inside, scale, np.maximum(scale, 1.0)),
        }

    def raise_if_degenerate(self, rows: AnyRows, constant: NDArray[np.bool_], values: Floats) -> None:
        zero = constant & (values == 0.0)
        if zero.any() and "scale" not in self.fixed_parameters():
            column = int(np.flatnonzero(zero)[0])
            raise DegenerateDataError(
                f"Column {column} is 0 in every row (n_samples={rows.total_weight:g}). The generalized_pareto likelihood has no "
                "maximum, since it grows without bound as scale goes to 0. Leave the column out, or hold scale fixed.",
                column,
            )

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        return {"shape": (EDGE, np.inf), "scale": (COLLAPSED * start["scale"], np.inf)}

    def edge_params(self, rows: AnyRows, fixed: Params) -> Params:
        largest = rows.total(column_extremes, merge=merged_extremes)[:, 2]
        return {"shape": np.full_like(largest, EDGE), "scale": fixed.get("scale", largest)}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        found = super().settle(rows, fixed, maximum, tol, max_iter)
        for column in np.flatnonzero(~found[0].converged):
            zeros = rows.total(count_zeros, int(column))
            if zeros and "scale" not in fixed:
                raise DegenerateDataError(
                    f"Column {column} is 0 in {zeros} of {rows.total(n_rows)} rows: the generalized_pareto likelihood has no "
                    "maximum inside, and grows without bound as shape goes to infinity and scale to 0. Leave the zeros out, or "
                    "hold scale fixed.",
                    int(column),
                )
        return found

    # -- the distribution --------------------------------------------------------------------------------------------------

    def hazard(self, x: Floats, params: Params) -> Floats:
        """The cumulative hazard."""
        return standard_variable(np.maximum(x, 0.0), params["shape"], np.zeros_like(params["scale"]), params["scale"])

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        return from_standard(w, params["shape"], np.zeros_like(params["scale"]), params["scale"])

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        shape, scale = params["shape"], params["scale"]
        one, two = np.where(shape < 1.0, shape, 0.0), np.where(shape < 0.5, shape, 0.0)
        mean = np.where(shape < 1.0, scale / (1.0 - one), np.inf)
        return mean, np.where(shape < 0.5, (scale / (1.0 - two)) ** 2 / (1.0 - 2.0 * two), np.inf)

    def mode(self, params: Params) -> Floats:
        return np.where(params["shape"] > EDGE, 0.0, np.nan)

    def entropy(self, params: Params) -> float:
        return float(np.sum(np.log(params["scale"]) + params["shape"] + 1.0))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        w = 1 + shape * x / scale
        if w <= 0 and shape > -1:
            return mp.ninf
        if shape == 0:
            return -x / scale - mp.log(scale)
        return -(1 + 1 / shape) * (mp.log(w) if w > 0 else 0) - mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any]:
        w = x / scale if shape == 0 else mp.log1p(shape * x / scale) / shape
        return -mp.expm1(-w), mp.exp(-w)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return mp.log(scale) + shape + 1


def _further_ratios(share: Floats) -> list[Floats]:
    """A further part of the ratios where rows, in units of the largest, are so small that a scale far below may be the best."""
    least = float(np.min(share, where=share > 0.0, initial=1.0))
    ratio = _RATIOS[-1][-1]
    if 1.0 / least <= ratio:
        return []
    steps = int(np.ceil(-(np.log(least) + np.log(ratio)) / np.log(_FURTHER)))
    return [ratio * _FURTHER ** np.arange(1.0, 1.0 + min(steps, 90))]
