"""Generalized extreme-value distribution of maxima: Fréchet, Gumbel and reversed Weibull distributions in one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.exact import exact_sum
from fastkl._core.special.extreme_values import from_standard, standard_variable, support_end
from fastkl._core.special.log_tails import log_one_minus_exp
from fastkl._core.special.moments import gamma_spread, log_gamma_rise
from fastkl.exceptions import DegenerateDataError
from fastkl.families.column_sums import column_means, merged_means
from fastkl.families.extreme_values import (
    EDGE,
    ExtremeValueFamily,
    column_extremes,
    extreme_constants,
    merged_extremes,
)
from fastkl.families.gumbel import SD_RATIO
from fastkl.families.solvers.iterative import weighted_moments
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import COLLAPSED, SAME, few, raise_if_collapsed
from fastkl.families.spaces import Positive, Real, TailShape

START_SHAPES = (-0.8, -0.4, -0.1, 0.1, 0.4, 1.0, 2.0)
QUARTERS = (0.25, 0.75)
BETWEEN = (-0.6, -0.2, 0.0, 0.3, 1.0, 2.0)  # shapes of which none may be higher than the edge
SPIKE = 3.0
MOST_SHAPE = 100.0  # beyond it an ascent is on its way into the spike at the smallest value


class GeneralizedExtremeValue(ExtremeValueFamily):
    r"""Generalized extreme-value distribution of every column, in the form for maxima.

    .. math:: \log p(x) = -(1 + 1 / \xi) \log w - w^{-1 / \xi} - \log \text{scale}, \quad
        w = 1 + \xi (x - \text{loc}) / \text{scale} > 0

    with shape xi: Gumbel's distribution at 0, Fréchet's above, with a lower end of the support at loc - scale / xi, the reversed
    Weibull distribution below, with an upper end there.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape xi >= -1, held fixed where given; minus scipy's ``c``.
    loc : float or array-like of shape (d,), default=None
        Location, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, held fixed where given.

    Notes
    -----
    For xi < -1 the density is infinite at the end of the support and the likelihood has no maximum: those are left out. The
    estimate is the highest maximum with xi > -1 that is found from several starts, or the boundary xi = -1, where the distance
    from the largest value is exponential, if that is higher; ``boundary_`` says so. For xi <= -1/2 the likelihood is not
    regular, and there are no standard errors. It also grows without bound as xi goes to infinity with the lower end at the
    smallest value, in a spike that is not looked for.

    References
    ----------
    R. L. Smith, "Maximum likelihood estimation in a class of nonregular cases", 1985, doi:10.1093/biomet/72.1.67.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).standard_t(4.0, size=(1000, 100)).max(axis=1, keepdims=True)
    >>> model = DensityMLE("generalized_extreme_value").fit(X)
    >>> model.params_["shape"].round(2), model.params_["loc"].round(2), model.params_["scale"].round(2)
    (array([0.19]), array([3.76]), array([1.18]))
    """

    name = "generalized_extreme_value"
    aliases = ("gev", "gen_extreme", "extreme_value", "fisher_tippett")
    scipy_name = "genextreme"
    parameters = {
        "shape": TailShape(),
        "loc": Real(role="location", spread="scale"),
        "scale": Positive(role="scale"),
    }
    coordinates = ("shape", "loc", "scale")
    support_text = "numbers on the inner side of loc - scale / shape"
    edge_text = "the exponential distribution of the distance below the largest value"
    degenerate = ("loc", "scale", "scale goes to 0")
    example = {"shape": [0.2, -0.05], "loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [
        {"shape": xi, "loc": 0.3, "scale": 1.7} for xi in (-1.0, -0.9, -0.5, -1e-3, -1e-9, 0.0, 1e-12, 1e-3, 0.7, 5.0)
    ]

    def __init__(self, shape: ArrayLike | None = None, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        return extreme_constants(params["shape"], params["loc"], params["scale"])

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["scale"])
        return {"shape": one, "loc": params["scale"], "scale": one}

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        X = rows.X.astype(np.float64)
        shapes = [fixed["shape"]] if "shape" in fixed else [np.full(X.shape[1], shape) for shape in START_SHAPES]
        lower, upper = np.quantile(X, QUARTERS, axis=0)
        mean, deviation = weighted_moments(rows)
        spread = np.where(upper > lower, upper - lower, deviation / SD_RATIO)
        groups: list[list[Params]] = [
            [
                {
                    "shape": np.zeros_like(mean),
                    "loc": mean - np.euler_gamma * SD_RATIO * deviation,
                    "scale": SD_RATIO * deviation,
                    **fixed,
                }
            ]
        ]
        for shape in shapes:
            at = [
                from_standard(-np.log(-np.log(p)), shape, np.zeros_like(shape), np.ones_like(shape)) for p in QUARTERS
            ]
            scale = fixed.get("scale", spread / (at[1] - at[0]))
            loc = fixed.get("loc", np.where(upper > lower, lower, mean) - scale * at[0])
            groups.append([{"shape": shape, "loc": loc, "scale": scale, **fixed}])
        low, high = np.min(X, axis=0), np.max(X, axis=0)
        return [[self.widened_to(start, low, high) for start in group] for group in groups]

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        return {"shape": (EDGE, MOST_SHAPE), "scale": (COLLAPSED * start["scale"], np.inf)}

    def edge_params(self, rows: AnyRows, fixed: Params) -> Params:
        largest = rows.total(column_extremes, merge=merged_extremes)[:, 2]
        mean = rows.total(column_means, merge=merged_means)[:, 1]
        if "loc" in fixed:
            loc = fixed["loc"]
            scale = fixed.get("scale", np.maximum(largest - loc, loc - mean))
        else:
            scale = fixed.get("scale", largest - mean)
            loc = largest - scale
        # the end loc + scale must not be below the largest value by a rounding
        end, rest = exact_sum(loc, scale)
        short = (end < largest) | ((end == largest) & (rest < 0.0))
        if "loc" not in fixed:
            loc = np.where(short, np.nextafter(loc, np.inf), loc)
        elif "scale" not in fixed:
            scale = np.where(short, np.nextafter(scale, np.inf), scale)
        return {"shape": np.full_like(largest, EDGE), "loc": loc, "scale": scale}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        runaway = ~maximum.converged & (maximum.params["shape"] > EDGE)
        if "shape" not in fixed and runaway.any():
            # all ascents ran into the spike: the edge is the maximum inside if none between them is higher
            between = [type(self)(shape=shape, loc=self.loc, scale=self.scale) for shape in BETWEEN]
            held = [
                one._ascent(rows, {**fixed, "shape": np.full_like(maximum.at.value, one.shape)}, tol, max_iter)
                for one in between
            ]
            highest = np.max([one.at.value for one in held], axis=0)
            edge = self.edge_params(rows, fixed)
            lower = runaway & (self.evaluate(rows, edge).value >= highest)
            maximum = replace(
                maximum, params={**maximum.params, "shape": np.where(lower, EDGE, maximum.params["shape"])}
            )
        found = super().settle(rows, fixed, maximum, tol, max_iter)
        raise_if_collapsed(rows, found[0], self.name, "Leave the column out, or hold shape or scale fixed.")
        spike = ~found[0].converged & (found[0].params["shape"] > SPIKE)
        if "shape" not in fixed and few(rows) is not None:
            # of few rows what is left may be lower than a Gumbel distribution, from which it rises into the spike
            gumbel = type(self)(shape=0.0, loc=self.loc, scale=self.scale)
            member = gumbel._ascent(rows, {**fixed, "shape": np.zeros_like(maximum.at.value)}, tol, max_iter)
            margin = SAME * np.abs(member.at.value)
            spike |= member.converged & ~(found[0].at.value >= member.at.value - margin)
        if "shape" not in fixed and spike.any():
            column = int(np.flatnonzero(spike)[0])
            raise DegenerateDataError(
                f"Column {column}: no maximum of the generalized_extreme_value likelihood was found inside that is as high as "
                "that of the Gumbel distribution, and it grows without bound as shape goes to infinity with the lower end of the "
                "support at the smallest value. Hold shape fixed, or fit the family 'gumbel'.",
                column,
            )
        return found

    # -- the distribution --------------------------------------------------------------------------------------------------

    def _variable(self, x: Floats, params: Params) -> Floats:
        """The Gumbel variable y."""
        return standard_variable(x, params["shape"], params["loc"], params["scale"])

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return -np.exp(-self._variable(x, params))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        y = -self._variable(x, params)
        with np.errstate(over="ignore"):
            return log_one_minus_exp(np.exp(y), y)

    def quantile(self, p: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._at_variable(-np.log(-np.log(p)), params)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self._at_variable(-np.log(-np.log1p(-np.asarray(q))), params)

    def _at_variable(self, y: Floats, params: Params) -> Floats:
        return from_standard(y, params["shape"], params["loc"], params["scale"])

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return self._at_variable(generator.gumbel(size=(n_samples, len(params["shape"]))), params)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        # with g_k = Gamma(1 - k xi) the mean is loc + scale (g_1 - 1) / xi, the variance scale^2 (g_2 - g_1^2) / xi^2
        shape, scale = params["shape"], params["scale"]
        one, two = np.where(shape < 1.0, shape, 0.0), np.where(shape < 0.5, shape, 0.0)
        mean = params["loc"] + scale * np.where(one == 0.0, np.euler_gamma, np.expm1(_log_gamma(one)) / _unless_0(one))
        spread = np.expm1(gamma_spread(1.0 - two, np.abs(two))) / _unless_0(two) ** 2
        variance = (scale * np.exp(_log_gamma(two))) ** 2 * np.where(two == 0.0, np.pi**2 / 6.0, spread)
        return np.where(shape < 1.0, mean, np.inf), np.where(shape < 0.5, variance, np.inf)

    def mode(self, params: Params) -> Floats:
        shape = params["shape"]
        end, rest = support_end(shape, params["loc"], params["scale"])
        with np.errstate(divide="ignore"):
            mode = self._at_variable(-np.log1p(shape), params)
        return np.where((shape == EDGE) & (rest < 0.0), np.nextafter(end, -np.inf), mode)  # the end, rounded inwards

    def to_scipy(self, params: Params) -> dict[str, Any]:
        return {"c": -params["shape"], "loc": params["loc"], "scale": params["scale"]}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        return {"shape": -np.asarray(arguments["c"]), "loc": arguments["loc"], "scale": arguments["scale"]}

    def entropy(self, params: Params) -> float:
        return float(np.sum(np.log(params["scale"]) + np.euler_gamma * (1.0 + params["shape"]) + 1.0))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, loc: Any, scale: Any) -> Any:
        z = (x - loc) / scale
        if shape == 0:
            return -z - mp.exp(-z) - mp.log(scale)
        w = 1 + shape * z
        if w <= 0:
            return -mp.log(scale) if shape == -1 and w == 0 else mp.ninf
        return -(1 + 1 / shape) * mp.log(w) - w ** (-1 / shape) - mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        z = (x - loc) / scale
        w = mp.exp(-z if shape == 0 else -mp.log1p(shape * z) / shape)
        return mp.exp(-w), -mp.expm1(-w)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, loc: Any, scale: Any) -> Any:
        return mp.log(scale) + mp.euler * (1 + shape) + 1


def _unless_0(shape: Floats) -> Floats:
    return np.where(shape == 0.0, 1.0, shape)


def _log_gamma(shape: Floats) -> Floats:
    """log Gamma(1 - shape) for shape < 1, with all digits of a small one."""
    below = np.maximum(shape, 0.0)
    return np.where(
        shape > 0.0, -log_gamma_rise(1.0 - below, below), log_gamma_rise(np.ones_like(shape), -np.minimum(shape, 0.0))
    )
