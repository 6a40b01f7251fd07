"""Lomax distribution (Pareto of the second kind): shape and scale, with the exponential distribution as its limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.column_sums import column_means, count_zeros, merged_means
from fastkl.families.hazards import ByHazard
from fastkl.families.solvers.column_lists import in_columns
from fastkl.families.solvers.iterative import IterativeFamily, n_rows, weighted_sum
from fastkl.families.solvers.medians import medians
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import COLLAPSED
from fastkl.families.spaces import Positive
from fastkl.families.univariate import BELOW_INFINITY

START_SHAPES = (0.5, 2.0, 10.0)
LOOK_ROWS, GRID, MOST_MAXIMA = 256, 64, 3  # for the look at the profile likelihood
NEAR = 1e-6  # share of the scale of a start that an ascent may well go down to
FAR_SHAPE = 1e4
LIMIT_SHAPE = 1e10


class Lomax(ByHazard, IterativeFamily):
    r"""Lomax distribution of every column, on x >= 0.

    .. math:: \log p(x) = \log(a / s) - (a + 1) \log(1 + x / s)

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape a > 0, held fixed where given; inf is the exponential distribution.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, held fixed where given.

    Notes
    -----
    Where the likelihood rises as a and s go to infinity together, as it does for tails no heavier than exponential ones
    (coefficient of variation at most 1), ``params_["shape"]`` is inf and ``params_["scale"]`` is the limit of s / a, the scale
    of the exponential distribution; ``boundary_`` says so. With zeros among the rows the likelihood also grows without
    bound as a and s go to 0: the estimate is the maximum inside, if there is one.

    References
    ----------
    J. del Castillo and J. Daoudi, "Estimation of the generalized Pareto distribution", 2009, doi:10.1016/j.spl.2008.11.021.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = 2.0 * np.random.default_rng(0).pareto(3.0, size=(5000, 1))
    >>> model = DensityMLE("lomax").fit(X)
    >>> model.params_["shape"].round(2), model.params_["scale"].round(2)
    (array([2.8]), array([1.86]))
    """

    name = "lomax"
    aliases = ("pareto_type_2",)
    scipy_name = "lomax"
    scipy_parameters = {"c": "shape", "scale": "scale"}
    parameters = {"shape": Positive(limit="the exponential distribution"), "scale": Positive(role="scale")}
    coordinates = ("shape", "scale")
    degenerate = ()
    support = (0.0, BELOW_INFINITY, False)
    support_text = "numbers of at least 0"
    example = {"shape": [2.5, 1.2], "scale": [2.0, 10.0]}
    extreme = [{"shape": a, "scale": 0.7} for a in (1e-3, 0.03, 0.5, 50.0, 1e3, 1e6, 1e9)]

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        return shape, 1.0 / scale, np.where(np.isinf(shape), 0.0, np.log(shape)) - np.log(scale)

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["scale"])
        return {"shape": one, "scale": one}

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        middle = medians(rows)
        middle = np.where(middle > 0.0, middle, np.mean(rows.X, axis=0, dtype=np.float64))
        middle = np.where(middle > 0.0, middle, 1.0)  # these rows are all 0, others are not
        shapes = [fixed["shape"]] if "shape" in fixed else [np.full_like(middle, shape) for shape in START_SHAPES]
        starts = [{"shape": shape, "scale": middle / np.expm1(np.log(2.0) / shape), **fixed} for shape in shapes]
        groups = [[{**start, "scale": np.where(np.isinf(start["shape"]), middle, start["scale"])}] for start in starts]
        return groups if fixed else groups + self._starts_of_profile(rows, starts[0])

    def _starts_of_profile(self, rows: Rows, start: Params) -> list[list[Params]]:
        """The best maxima of the profile likelihood over a grid of scales, by some of the rows.

        Where it has several, or one so far below the start that an ascent from there would be given up as a collapse.

        With W the sum of the weights the best shape is W / S, S the sum of log(1 + x / scale), and the profile is
        -log S - log scale - S / W.
        """
        every = slice(None, None, max(len(rows.X) // LOOK_ROWS, 1))
        X = rows.X[every].astype(np.float64)
        w = np.ones(len(X)) if rows.weights is None else rows.weights[every]
        groups: list[Params] = []
        for j in range(X.shape[1]):
            positive = X[X[:, j] > 0.0, j]
            if not len(positive):
                continue
            with np.errstate(all="ignore"):
                least = max(1e-3 * positive.min(), np.finfo(np.float64).smallest_subnormal)
                scales = np.geomspace(least, 10.0 * positive.max(), GRID)
                sums = np.log1p(X[:, j] / scales[:, None]) @ w
                profile = -np.log(sums) - np.log(scales) - sums / w.sum()
            profile = np.where(np.isfinite(profile), profile, -np.inf)
            inner = 1 + np.flatnonzero((profile[1:-1] > profile[:-2]) & (profile[1:-1] >= profile[2:]))
            best = inner[np.argsort(-profile[inner], kind="stable")][:MOST_MAXIMA]
            several = len(inner) + (profile[-1] > profile[-2]) > 1  # the exponential limit may be one of them
            far = len(best) > 0 and scales[best[0]] < NEAR * start["scale"][j]
            for k, at in enumerate(best if several or far else []):
                if k == len(groups):
                    groups.append({name: value.copy() for name, value in start.items()})
                groups[k]["shape"][j], groups[k]["scale"][j] = w.sum() / sums[at], scales[at]
        return [[group] for group in groups]

    def raise_if_degenerate(self, rows: AnyRows, constant: NDArray[np.bool_], values: Floats) -> None:
        zero = constant & (values == 0.0)
        if zero.any() and self.free_names():
            column = int(np.flatnonzero(zero)[0])
            raise DegenerateDataError(
                f"Column {column} is 0 in every row (n_samples={rows.total_weight:g}). The lomax likelihood has no maximum, "
                "since it grows without bound as scale goes to 0. Leave the column out.",
                column,
            )

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        if len(self.free_names()) < 2:
            return {}
        return {"shape": (0.0, LIMIT_SHAPE), "scale": (COLLAPSED * start["scale"], np.inf)}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        if fixed:
            return maximum, {}
        mean, inside = rows.total(column_means, merge=merged_means)[:, 1], maximum.params["shape"] < FAR_SHAPE
        slope = np.zeros(len(inside))
        if not inside.all():
            slope = rows.total(_squares_at_limit, mean) / rows.total_weight - 1.0
        params = {"shape": np.full_like(mean, np.inf), "scale": mean}
        at = self.evaluate(rows, params)
        limit = Maximum(params, at, 1, np.isfinite(at.value))
        # a search that began at the limit has not left it
        lost = ~inside & (slope > 0.0) & (~maximum.converged | np.isinf(maximum.params["shape"]))
        if lost.any():
            # a sample of the rows favoured the limit, all of them do not
            shape = np.where(lost, 2.0 + 2.0 / np.maximum(slope, 1e-9), maximum.params["shape"])
            start = {"shape": shape, "scale": np.where(lost, mean * (shape - 1.0), maximum.params["scale"])}
            maximum = maximum.where(~lost, self.climb(rows, start, tol, max_iter))
        far = (maximum.params["shape"] >= FAR_SHAPE) & (slope <= 0.0)
        at_limit = (limit.at.value >= maximum.at.value) | far
        maximum = limit.where(at_limit, maximum)
        raise_if_zeros_win(rows, maximum)
        if not at_limit.any():
            return maximum, {}
        return maximum, {
            "shape": f"shape is infinite{in_columns(at_limit)}: the tail is no heavier than an exponential one, and the fit is "
            "the exponential distribution with the scale given, the limit of scale / shape."
        }

    def hazard(self, x: Floats, params: Params) -> Floats:
        """The cumulative hazard; at an infinite shape that of the exponential distribution."""
        x, scale, shape = np.maximum(x, 0.0), params["scale"], params["shape"]
        with np.errstate(over="ignore", divide="ignore"):
            r = x / scale
            log_rise = np.where(r < np.inf, np.log1p(r), np.log(x) - np.log(scale))
        return np.where(np.isinf(shape), r, np.where(np.isinf(shape), 1.0, shape) * log_rise)

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        shape = params["shape"]
        with np.errstate(over="ignore"):
            return params["scale"] * np.where(np.isinf(shape), w, np.expm1(w / shape))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        # a scale s and a shape a that are infinite together have the exponential distribution of scale s / a, kept in their place
        shape, scale = params["shape"], params["scale"]
        one, two = np.where(shape > 1.0, shape, 2.0), np.where(shape > 2.0, shape, 3.0)
        with np.errstate(invalid="ignore"):
            mean = np.where(np.isinf(shape), scale, scale / (one - 1.0))
            variance = np.where(np.isinf(shape), scale**2, (scale / (two - 1.0)) ** 2 * (two / (two - 2.0)))
        return np.where(shape > 1.0, mean, np.inf), np.where(shape > 2.0, variance, np.inf)

    def mode(self, params: Params) -> Floats:
        return np.zeros_like(params["scale"])

    def to_scipy(self, params: Params) -> dict[str, Any]:
        if np.any(np.isinf(params["shape"])):
            raise ValueError("scipy's lomax has no infinite shape; the exponential distribution is scipy's expon.")
        return super().to_scipy(params)

    def entropy(self, params: Params) -> float:
        shape = params["shape"]
        size = np.where(np.isinf(shape), 0.0, np.log(shape))
        return float(np.sum(np.log(params["scale"]) - size + 1.0 + 1.0 / shape))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return mp.log(shape / scale) - (shape + 1) * mp.log1p(x / scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any]:
        w = shape * mp.log1p(x / scale)
        return -mp.expm1(-w), mp.exp(-w)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return 1 + 1 / shape + mp.log(scale / shape)


def _squares_at_limit(rows: Rows, mean: Floats) -> Floats:
    """Sum of (x / mean)^2 / 2: the slope of the log-likelihood by 1 / shape at 1 / shape = 0, plus the weight."""
    z = rows.X / mean
    return weighted_sum(0.5 * z * z, rows.weights)


def raise_if_zeros_win(rows: AnyRows, maximum: Maximum) -> None:
    """DegenerateDataError where the ascent ran into a scale of 0, on rows that are 0."""
    for column in np.flatnonzero(~maximum.converged):
        zeros = rows.total(count_zeros, int(column))
        if zeros:
            raise DegenerateDataError(
                f"Column {column} is 0 in {zeros} of {rows.total(n_rows)} rows: the lomax likelihood has no maximum inside, and "
                "grows without bound as shape and scale go to 0. Leave the zeros out, or hold scale fixed.",
                int(column),
            )
