"""Skew-normal distribution: shape, location and scale, with half-normal distributions at infinite shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI
from fastkl._core.special.skew_normal_tails import log_skew_normal_tails, mean_log_share
from fastkl.exceptions import SupportError
from fastkl.families.column_sums import column_moments, merged_moments
from fastkl.families.extreme_values import column_extremes, merged_extremes
from fastkl.families.solvers.column_lists import listed_columns
from fastkl.families.solvers.iterative import IterativeFamily, weighted_moments
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import COLLAPSED
from fastkl.families.spaces import Positive, Real, Slant

START_SHAPES = (0.6, 3.0, 20.0)
FOOT, FOOT_SHAPE = 0.05, 10.0  # a start with so much of the rows below its location
LIMIT_SHAPE = 1e8
NEAR_NORMAL = 0.3
ROOT_2_PI = np.sqrt(2.0 / np.pi)


class SkewNormal(IterativeFamily):
    r"""Skew-normal distribution of every column.

    .. math:: \log p(x) = \log 2 + \log \varphi(z) + \log \Phi(\text{shape} \cdot z) - \log \text{scale},
        \quad z = (x - \text{loc}) / \text{scale}

    with the density phi and the distribution function Phi of a standard normal number: normal at shape 0, skewed to the right for
    positive shapes, to the left for negative ones.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape (slant), any number, held fixed where given; inf and -inf are half-normal distributions; scipy's ``a``.
    loc : float or array-like of shape (d,), default=None
        Location, which is not the mean, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, held fixed where given.

    Notes
    -----
    With some probability, large for few rows, the likelihood rises as the shape goes to infinity: ``params_["shape"]`` is then
    inf or -inf, loc the smallest or the largest value, the distribution is half of a normal one, and ``boundary_`` says so.

    At shape 0 the information is singular: near-normal rows determine shape and loc poorly, whatever the standard errors say.
    With the shape held the likelihood is concave in (loc / scale, 1 / scale), and has one maximum.

    References
    ----------
    A. Azzalini, "A class of distributions which includes the normal ones", 1985; A. Azzalini and A. Capitanio, "Statistical
    applications of the multivariate skew normal distribution", 1999, doi:10.1111/1467-9868.00194.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = DensityMLE.from_parameters("skew_normal", shape=4.0, loc=1.0, scale=2.0).sample(5000, random_state=0)
    >>> model = DensityMLE("skew_normal").fit(X)
    >>> model.params_["shape"].round(1), model.params_["loc"].round(1), model.params_["scale"].round(1)
    (array([4.1]), array([1.]), array([2.]))
    """

    name = "skew_normal"
    aliases = ("skew_gaussian", "azzalini")
    scipy_name = "skewnorm"
    scipy_parameters = {"a": "shape", "loc": "loc", "scale": "scale"}
    parameters = {"shape": Slant(), "loc": Real(role="location", spread="scale"), "scale": Positive(role="scale")}
    coordinates = ("shape", "loc", "scale")
    example = {"shape": [4.0, -2.5], "loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"shape": a, "loc": 0.3, "scale": 1.7} for a in (0.0, 1e-6, 0.3, -1.0, 30.0, -1e4, 1e9)]

    def __init__(self, shape: ArrayLike | None = None, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        scale = params["scale"]
        return params["shape"], params["loc"], 1.0 / scale, -HALF_LOG_2PI - np.log(scale)

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["scale"])
        unit = np.where(np.isinf(params["shape"]), 1.0, 1.0 + np.abs(params["shape"]))
        return {"shape": unit, "loc": params["scale"], "scale": one}

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        mean, deviation = weighted_moments(rows)
        if "shape" in fixed:
            return [[self._by_moments(np.where(np.isinf(fixed["shape"]), 0.0, fixed["shape"]), mean, deviation, fixed)]]
        shapes = [sign * shape for shape in START_SHAPES for sign in (1.0, -1.0)]
        groups = [[self._by_moments(np.full_like(mean, shape), mean, deviation, fixed)] for shape in shapes]
        for sign in (1.0, -1.0):
            foot = np.quantile(rows.X.astype(np.float64), FOOT if sign > 0.0 else 1.0 - FOOT, axis=0)
            shape = np.full_like(mean, sign * FOOT_SHAPE)
            groups.append([{"shape": shape, "loc": foot, "scale": np.hypot(deviation, mean - foot), **fixed}])
        return groups

    @staticmethod
    def _by_moments(shape: Floats, mean: Floats, deviation: Floats, fixed: Params) -> Params:
        """The distribution of this shape with that mean and standard deviation."""
        shift = ROOT_2_PI * shape / np.hypot(1.0, shape)
        scale = deviation / np.sqrt(1.0 - shift * shift)
        return {"loc": mean - scale * shift, "scale": scale, **fixed, "shape": shape}

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        return {"shape": (-LIMIT_SHAPE, LIMIT_SHAPE), "scale": (COLLAPSED * start["scale"], np.inf)}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        if "shape" in fixed and not np.isinf(fixed["shape"]).any():
            return maximum, {}
        extremes, moments = rows.total(_extremes_and_moments, merge=_merged)
        weight, mean, deviation = moments.T
        if "shape" not in fixed:
            maximum = self._beside_normal(rows, fixed, maximum, (mean, deviation / np.sqrt(weight)), tol, max_iter)
        at_limit = np.zeros(len(mean), dtype=bool)
        for end, shape in ((extremes[:, 1], np.inf), (extremes[:, 2], -np.inf)):
            loc = fixed.get("loc", end)
            scale = fixed.get("scale", np.hypot(deviation / np.sqrt(weight), mean - loc))
            squares = (deviation / scale) ** 2 + weight * ((mean - loc) / scale) ** 2
            outside = (end - loc) * shape < 0.0
            value = np.where(outside, -np.inf, weight * np.log(ROOT_2_PI / scale) - 0.5 * squares)
            if "shape" in fixed:
                higher = fixed["shape"] == shape
                self._raise_if_outside(rows, loc, higher & outside)
            else:
                runaway = ~maximum.converged & (maximum.params["shape"] * np.sign(shape) > LIMIT_SHAPE)
                higher = ~outside & ((value >= maximum.at.value) | runaway)
            if higher.any():
                params = {"shape": np.full_like(mean, shape), "loc": loc.copy(), "scale": scale}
                limit = Maximum(params, self.evaluate(rows, params), 1, ~outside)
                maximum, at_limit = limit.where(higher, maximum), at_limit | higher
        at_limit &= np.isinf(maximum.params["shape"])
        if "shape" in fixed or not at_limit.any():
            return maximum, {}
        said = {
            "shape": f"shape is infinite in column {listed_columns(at_limit)}: the likelihood rises up to the half-normal "
            "distribution that begins, or ends, at the outermost value."
        }
        if "loc" not in fixed:
            said["loc"] = "loc is the outermost value where shape is infinite, and has no standard error."
        return maximum, said

    def _beside_normal(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, moments: tuple[Floats, Floats], tol: float, max_iter: int
    ) -> Maximum:
        """The maximum, looked for on both sides where an ascent has ended at the normal distribution, which is stationary."""
        stuck = maximum.converged & (np.abs(maximum.params["shape"]) < NEAR_NORMAL)
        if not stuck.any():
            return maximum
        for side in (1.0, -1.0):
            start = self._by_moments(np.full_like(moments[0], side), *moments, fixed)
            found = self.climb(rows, start, tol, max_iter)
            higher = stuck & found.converged & (found.at.value > maximum.at.value)
            maximum = found.where(higher, maximum)
        return maximum

    def _raise_if_outside(self, rows: AnyRows, loc: Floats, outside: NDArray[np.bool_]) -> None:
        """SupportError where loc is held inside the rows, and the shape at infinity."""
        if outside.any():
            column = int(np.flatnonzero(outside)[0])
            raise SupportError(
                f"skew_normal: with an infinite shape its support ends at loc, held at {loc[column]:.6g}; {rows.column(column)} "
                "has values on both sides of it."
            )

    def regular(self, params: Params) -> NDArray[np.bool_]:
        """At an infinite shape loc is an end of the support."""
        inside = super().regular(params)
        inside[1] &= ~np.isinf(params["shape"])
        return inside

    # -- the distribution --------------------------------------------------------------------------------------------------

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        with np.errstate(all="ignore"):
            return log_skew_normal_tails((x - params["loc"]) / params["scale"], params["shape"])

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        share, rest = self._shares(params["shape"])
        size = (n_samples, len(share))
        z = share * np.abs(generator.standard_normal(size)) + rest * generator.standard_normal(size)
        return params["loc"] + params["scale"] * z

    @staticmethod
    def _shares(shape: Floats) -> tuple[Floats, Floats]:
        """shape / sqrt(1 + shape^2) and 1 / sqrt(1 + shape^2)."""
        finite = np.where(np.isinf(shape), 0.0, shape)
        root = np.hypot(1.0, finite)
        return np.where(np.isinf(shape), np.sign(shape), finite / root), np.where(np.isinf(shape), 0.0, 1.0 / root)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        shift = ROOT_2_PI * self._shares(params["shape"])[0]
        return params["loc"] + params["scale"] * shift, params["scale"] ** 2 * (1.0 - shift * shift)

    def mode(self, params: Params) -> Floats:
        """By bisection: z = shape phi / Phi at shape z, whose right side falls."""
        size = np.where(np.isinf(params["shape"]), 0.0, np.abs(params["shape"]))
        low, high = np.zeros_like(size), np.minimum(ROOT_2_PI * size, 1.0)
        for _ in range(80):
            middle = 0.5 * (low + high)
            above = middle < size * np.exp(-0.5 * (size * middle) ** 2 - HALF_LOG_2PI) / ndtr(size * middle)
            low, high = np.where(above, middle, low), np.where(above, high, middle)
        return params["loc"] + np.sign(params["shape"]) * params["scale"] * low

    def to_scipy(self, params: Params) -> dict[str, Any]:
        if np.any(np.isinf(params["shape"])):
            raise ValueError(
                "scipy's skewnorm has no infinite shape; the half-normal distribution is scipy's halfnorm."
            )
        return super().to_scipy(params)

    def entropy(self, params: Params) -> float:
        terms = np.log(params["scale"]) + HALF_LOG_2PI + 0.5 - np.log(2.0) + mean_log_share(params["shape"])
        return float(np.sum(terms))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, loc: Any, scale: Any) -> Any:
        z = (x - loc) / scale
        t = shape * z
        if t < -1e6:  # beyond what erfc takes
            return -(z * z + t * t) / 2
        return -z * z / 2 - mp.log(mp.pi / 2) / 2 - mp.log(scale) + mp.log(mp.erfc(-min(t, 1e6) / mp.sqrt(2)) / 2)


Sums = tuple[Floats, Floats]


def _extremes_and_moments(rows: Rows) -> Sums:
    return column_extremes(rows), column_moments(rows)


def _merged(first: Sums, second: Sums) -> Sums:
    return merged_extremes(first[0], second[0]), merged_moments(first[1], second[1])
