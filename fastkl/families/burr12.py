"""Burr XII distribution: inner and outer power and scale, with the Weibull distribution as its limit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammaln, log_expit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.gamma_functions import log_minus_digamma
from fastkl._core.special.log_tails import log_one_minus_exp, log_ratio
from fastkl._core.special.moments import gamma_spread, log_gamma_rise
from fastkl.exceptions import DegenerateDataError
from fastkl.families.hazards import ByHazard
from fastkl.families.pareto import Pareto
from fastkl.families.solvers.column_lists import in_columns
from fastkl.families.solvers.iterative import IterativeFamily, weighted_moments, weighted_sum
from fastkl.families.solvers.newton import Maximum
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY
from fastkl.families.weibull import Weibull

START_D = (0.1, 0.3, 1.0, 5.0, 50.0)
FEET = (0.02, 0.1, 0.3)  # shares of the rows below, and c in units of 1 / deviation of log x
STEEP = (5.0, 15.0, 50.0)
FAR_D = 1e4
LIMIT_D = 1e10
NEGLIGIBLE = 1e-8  # nats per unit of weight
LIMIT_C = 1e6  # relative to the start: the limit is a Pareto distribution


class Burr12(ByHazard, IterativeFamily):
    r"""Burr XII distribution of every column, on x > 0.

    .. math:: \log p(x) = \log(c d / s) + (c - 1) \log(x / s) - (d + 1) \log(1 + (x / s)^c)

    Parameters
    ----------
    c : float or array-like of shape (d,), default=None
        Inner power c > 0, held fixed where given.
    d : float or array-like of shape (d,), default=None
        Outer power d > 0, held fixed where given; inf is the Weibull distribution.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, held fixed where given.

    Notes
    -----
    Where the likelihood rises as d and s go to infinity together, ``params_["d"]`` is inf and ``params_["scale"]`` is the limit
    of s d^(-1/c), the scale of the Weibull distribution of shape c; ``boundary_`` says so.

    References
    ----------
    P. R. Tadikamalla, "A Look at the Burr and Related Distributions", 1980, doi:10.2307/1402945.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy import stats
    >>> from fastkl import DensityMLE
    >>> X = stats.burr12.rvs(2.0, 1.5, scale=3.0, size=(20000, 1), random_state=0)
    >>> model = DensityMLE("burr12").fit(X)
    >>> [model.params_[name].round(1) for name in ("c", "d", "scale")]
    [array([2.]), array([1.6]), array([3.1])]
    """

    name = "burr12"
    aliases = ("burr_xii", "burr_type_12", "singh_maddala")
    scipy_name = "burr12"
    scipy_parameters = {"c": "c", "d": "d", "scale": "scale"}
    parameters = {"c": Positive(), "d": Positive(limit="the Weibull distribution"), "scale": Positive(role="scale")}
    coordinates = ("c", "d", "scale")
    spread = ("c", 0.25)
    degenerate = ("c", "scale", "c goes to infinity")
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"
    example = {"c": [2.0, 3.0], "d": [1.5, 0.7], "scale": [3.0, 0.5]}
    extreme = [
        {"c": c, "d": d, "scale": 2.5}
        for c, d in ((1e-3, 0.7), (0.5, 1e3), (50.0, 1e-3), (50.0, 1e6), (1e6, 1e-3), (1e6, 0.7), (1e6, 1e6))
    ]

    def __init__(self, c: ArrayLike | None = None, d: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.c = c
        self.d = d
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        c, d, scale = params["c"], params["d"], params["scale"]
        return c, d, scale, 1.0 / scale, np.log(c) + np.where(np.isinf(d), 0.0, np.log(d)) - np.log(scale)

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["c"])
        return {"c": one, "d": one, "scale": 1.0 / params["c"]}

    def at_open_ends(self, params: Params) -> dict[float, Floats]:
        limit = np.where(np.isinf(params["d"]), 0.0, np.log(params["d"])) - np.log(params["scale"])
        return {0.0: np.where(params["c"] == 1.0, limit, -np.inf)}

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        """Powers d from heavy to light tails, with mean and variance of log x those of the rows."""
        mean, deviation = weighted_moments(rows, np.log)
        starts = []
        for d in [fixed["d"]] if "d" in fixed else [np.full_like(mean, d) for d in START_D]:
            # log x = log s + log(y) / c with E log y = psi(1) - psi(d) and var = psi'(1) + psi'(d), of order 1 + 1 / d^2
            finite = np.where(np.isinf(d), 1.0, d)
            c = fixed.get("c", np.sqrt(1.6449 * (1.0 + 1.0 / finite**2)) / deviation)
            shift = np.where(np.isinf(d), -np.euler_gamma, -np.euler_gamma - digamma(finite))
            starts.append([{"c": c, "d": d, "scale": np.exp(mean - shift / c), **fixed}])
        return starts if fixed else starts + self._starts_at_a_foot(rows, deviation)

    def _starts_at_a_foot(self, rows: Rows, deviation: Floats) -> list[list[Params]]:
        """Steep up to a low quantile, from there a power law: near the Pareto limit."""
        logs = np.log(rows.X.astype(np.float64))
        ordered, groups = np.sort(logs, axis=0), []
        for share in FEET:
            foot = ordered[int(share * len(ordered))]
            beyond = np.average(np.maximum(logs - foot, 0.0), axis=0, weights=rows.weights)
            group: list[Params] = []
            for steepness in STEEP:
                c = steepness / deviation
                group.append({"c": c, "d": 1.0 / (c * np.maximum(beyond, 1e-3 * deviation)), "scale": np.exp(foot)})
            groups.append(group)
        return groups

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        bounds: dict[str, tuple[Floats | float, Floats | float]] = {"c": (0.0, LIMIT_C * start["c"])}
        if "scale" in self.free_names():
            bounds["d"] = (0.0, LIMIT_D)
        return bounds

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        if "d" in fixed or "scale" in fixed:
            return maximum, {}
        fit, _ = Weibull(shape=fixed.get("c")).fit(rows, tol, max_iter)
        params = {
            "c": fit.params["shape"],
            "d": np.full_like(fit.params["shape"], np.inf),
            "scale": fit.params["scale"],
        }
        at = self.evaluate(rows, params)
        limit = Maximum(params, at, fit.n_iter, np.isfinite(at.value))
        inside = maximum.params["d"] < FAR_D
        slope = np.zeros(len(inside))
        if not inside.all():
            slope = rows.total(self._slope_at_limit, params) / rows.total_weight
        # a search that began at the limit has not left it
        lost = ~inside & (slope > 0.0) & (~maximum.converged | np.isinf(maximum.params["d"]))
        if lost.any():
            # a sample of the rows favoured the limit, all of them do not
            d = np.where(lost, 2.0 + 2.0 / np.maximum(slope, 1e-9), maximum.params["d"])
            start: Params = {name: np.where(lost, value, maximum.params[name]) for name, value in params.items()}
            start = {**start, "d": d, "scale": np.where(lost, start["scale"] * d ** (1.0 / start["c"]), start["scale"])}
            maximum = maximum.where(~lost, self.climb(rows, start, tol, max_iter))
        at_limit = (limit.at.value >= maximum.at.value) | ((maximum.params["d"] >= FAR_D) & (slope <= 0.0))
        maximum = limit.where(at_limit, maximum)
        self._raise_if_pareto(rows, maximum, params["c"], "c" not in fixed)
        if not at_limit.any():
            return maximum, {}
        return maximum, {
            "d": f"d is infinite{in_columns(at_limit)}: the tail is no heavier than a Weibull one, and the fit is the Weibull "
            "distribution of shape c with the scale given, the limit of scale d^(-1/c)."
        }

    def _slope_at_limit(self, rows: Rows, limit: Params) -> Floats:
        """Slope of the log-likelihood by 1 / d at 1 / d = 0: the sum of y^2 / 2 - y with y = (x / scale)^c."""
        y = (rows.X.astype(np.float64) / limit["scale"]) ** limit["c"]
        return weighted_sum(0.5 * y * y - y, rows.weights)

    def _raise_if_pareto(self, rows: AnyRows, maximum: Maximum, weibull_shape: Floats, c_free: bool) -> None:
        """DegenerateDataError where no maximum inside is as high as the Pareto limit, which no finite c attains."""
        bad = ~maximum.converged & (maximum.params["c"] > 1e-2 * LIMIT_C * weibull_shape)
        if c_free:
            pareto = Pareto()
            statistics = rows.total(pareto.statistics, merge=pareto.merge_statistics)
            limit = pareto.column_log_likelihood(statistics, pareto.solve(statistics).params)
            bad |= limit > maximum.at.value + NEGLIGIBLE * rows.total_weight
        if np.any(bad):
            column = int(np.flatnonzero(bad)[0])
            raise DegenerateDataError(
                f"Column {column}: the burr12 likelihood has no maximum, since it rises as c goes to infinity with c d "
                "held, where the limit is a Pareto distribution. Fit the family 'pareto', or hold c or d fixed.",
                column,
            )

    # -- the distribution -----------------------------------------------------------------------------------------

    def _outer(self, params: Params) -> tuple[NDArray[np.bool_], Floats]:
        limit = np.isinf(params["d"])
        return limit, np.where(limit, 1.0, params["d"])

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        limit, d = self._outer(params)
        z = self._log_power(x, params)
        with np.errstate(over="ignore", under="ignore"):
            # below, log(1 + exp(z)) is exp(z) to all digits, also where that underflows
            log_softplus = np.where(z < -40.0, z, np.log(-log_expit(-np.maximum(z, -40.0))))
            return log_one_minus_exp(self._hazard_of_power(z, params), np.where(limit, z, np.log(d) + log_softplus))

    def hazard(self, x: Floats, params: Params) -> Floats:
        return self._hazard_of_power(self._log_power(x, params), params)

    def _log_power(self, x: Floats, params: Params) -> Floats:
        """log of (x / scale)^c."""
        return params["c"] * log_ratio(np.maximum(x, 0.0), params["scale"])

    def _hazard_of_power(self, z: Floats, params: Params) -> Floats:
        """The cumulative hazard at (x / scale)^c = exp(z); for infinite d that of the Weibull distribution."""
        limit, d = self._outer(params)
        with np.errstate(over="ignore", under="ignore"):
            return np.where(limit, np.exp(z), -d * log_expit(-z))

    def at_hazard(self, y: Floats, params: Params) -> Floats:
        limit, d = self._outer(params)
        with np.errstate(divide="ignore", over="ignore"):
            # log(expm1(y / d)), whose exponential alone may overflow
            log_power = np.where(limit, np.log(y), y / d + np.log(-np.expm1(-y / d)))
            return params["scale"] * np.exp(log_power / params["c"])

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        limit, d = self._outer(params)
        power = 1.0 / params["c"]
        # E X^r is s^r d B(d - r / c, 1 + r / c), and s^r Gamma(1 + r / c) in the Weibull limit
        first, second = limit | (d > power), limit | (d > 2.0 * power)
        rest = np.where(limit | ~first, d, d - power)
        log_mean = gammaln(1.0 + power) - np.where(
            limit, 0.0, log_gamma_rise(rest, np.where(limit | ~first, 0.0, power))
        )
        spread = gamma_spread(1.0 + power, power)
        inner = np.where(limit | ~second, 1.0, d - power)
        spread = spread + np.where(limit, 0.0, gamma_spread(inner, np.where(limit | ~second, 0.0, power)))
        with np.errstate(over="ignore"):
            mean = params["scale"] * np.exp(log_mean)
            variance = mean**2 * np.expm1(spread)
        return np.where(first, mean, np.inf), np.where(second, variance, np.inf)

    def mode(self, params: Params) -> Floats:
        limit, d = self._outer(params)
        c = params["c"]
        power = np.maximum(c - 1.0, 0.0) / np.where(limit, c, c * d + 1.0)
        return params["scale"] * power ** (1.0 / c)

    def to_scipy(self, params: Params) -> dict[str, Any]:
        if np.any(np.isinf(params["d"])):
            raise ValueError("scipy's burr12 has no infinite d; the Weibull distribution is scipy's weibull_min.")
        return super().to_scipy(params)

    def entropy(self, params: Params) -> float:
        # -log(c d / s) - (c - 1) E l + (d + 1) E log(1 + y), with E l = (psi(1) - psi(d)) / c and E log(1 + y) = 1 / d
        limit, d = self._outer(params)
        c = params["c"]
        log_d, psi = np.where(limit, 0.0, np.log(d)), np.where(limit, 0.0, np.log(d) - log_minus_digamma(d))
        terms = (
            np.log(params["scale"] / c)
            - log_d
            + (1.0 - 1.0 / c) * (np.euler_gamma + psi)
            + 1.0
            + np.where(limit, 0.0, 1.0 / d)
        )
        return float(np.sum(terms))

    @staticmethod
    def textbook(mp: Any, x: Any, c: Any, d: Any, scale: Any) -> Any:
        return mp.log(c * d / scale) + (c - 1) * mp.log(x / scale) - (d + 1) * mp.log1p((x / scale) ** c)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, c: Any, d: Any, scale: Any) -> tuple[Any, Any]:
        hazard = d * mp.log1p((x / scale) ** c)
        return -mp.expm1(-hazard), mp.exp(-hazard)

    @staticmethod
    def textbook_entropy(mp: Any, c: Any, d: Any, scale: Any) -> Any:
        return 1 + 1 / d + mp.log(scale / (c * d)) + (1 - 1 / c) * (mp.euler + mp.psi(0, d))
