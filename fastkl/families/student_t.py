"""Student's t: degrees of freedom, location and scale, by Newton's method on the likelihood itself from several starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.gamma_functions import HALF_LOG_2PI, half_step
from fastkl._core.special.student_tails import log_student_sf, plain_student_sf
from fastkl.exceptions import DegenerateDataError
from fastkl.families.column_sums import column_moments, merged_moments
from fastkl.families.solvers.column_lists import in_columns
from fastkl.families.solvers.iterative import IterativeFamily, weighted_sum
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import (
    CENTRES,
    COLLAPSED,
    FEW,
    SAME,
    few,
    median_and_distance,
    raise_if_collapsed,
    raise_if_tied,
    rows_as_centres,
    spread_rows,
    tight_windows,
)
from fastkl.families.spaces import DegreesOfFreedom, Positive, Real

START_DF = (1.0, 4.0, 30.0)
WIDTHS = (2.0, 0.2)  # scale at such a group, in half-lengths of its window
CENTRE_WIDTHS = (0.5, 2.0)  # scale at a row, in distances to the next one
WINDOW_DF = (0.3, 1.0, 4.0)  # at a group of rows, with the others in the tails
HELD_DF = (0.5, 1.0, 3.0, 30.0)
FAR_DF = 1e4  # beyond it the normal limit is looked at
LIMIT_DF = 1e10  # beyond it there is no telling from the limit


class StudentT(IterativeFamily):
    r"""Student's t distribution of every column.

    .. math:: \log p(x) = -\tfrac{\nu + 1}{2} \log(1 + z^2 / \nu) - \log(\sqrt{\nu}\, B(\nu / 2, 1 / 2)\, \text{scale}),
        \quad z = (x - \text{loc}) / \text{scale}

    Parameters
    ----------
    df : float or array-like of shape (d,), default=None
        Degrees of freedom > 0, held fixed where given; inf is the normal distribution.
    loc : float or array-like of shape (d,), default=None
        Location, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, held fixed where given.

    Notes
    -----
    Where the likelihood rises up to df = inf, as it does for tails no heavier than the normal ones, ``params_["df"]`` is inf, the
    other parameters are those of the normal distribution, and ``boundary_`` says so.

    With small df, or scale fixed, the likelihood may have a maximum near every row: the highest is searched for. With df free it
    grows without bound as df and scale go to 0 with loc at any row (C. Fernandez and M. F. J. Steel 1999,
    doi:10.1093/biomet/86.1.153); the estimate is the highest maximum inside. Few rows whose maxima inside are all lower than that
    of the Cauchy distribution are a ``DegenerateDataError``.

    References
    ----------
    K. L. Lange, R. J. A. Little and J. M. G. Taylor, "Robust Statistical Modeling Using the t Distribution", 1989,
    doi:10.1080/01621459.1989.10478852.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, families
    >>> X = np.random.default_rng(0).standard_t(3.0, size=(5000, 1))
    >>> DensityMLE("student_t").fit(X).params_["df"].round(2)
    array([2.97])
    >>> DensityMLE(families.StudentT(df=4)).fit([[0.0], [1.0], [2.0], [50.0]]).params_["loc"].round(4)
    array([5.139])
    """

    name = "student_t"
    aliases = ("student", "students_t", "tdist")
    scipy_name = "t"
    scipy_parameters = {"df": "df", "loc": "loc", "scale": "scale"}
    parameters = {
        "df": DegreesOfFreedom(),
        "loc": Real(role="location", spread="scale"),
        "scale": Positive(role="scale"),
    }
    coordinates = ("df", "loc", "scale")
    example = {"df": [4.0, 2.5], "loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"df": v, "loc": 0.3, "scale": 1.7} for v in (0.1, 0.7, 1.0, 30.0, 32.5, 1e3, 1e6, 1e8)]

    def __init__(self, df: ArrayLike | None = None, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.df = df
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        df, scale = params["df"], params["scale"]
        value, slope, curvature = half_step(0.5 * df)
        normaliser = value - HALF_LOG_2PI - np.log(scale)
        with np.errstate(divide="ignore"):
            return df, 1.0 / df, np.log(df), params["loc"], 1.0 / scale, normaliser, slope, curvature

    def rates(self, params: Params) -> Params:
        one = np.ones_like(params["scale"])
        return {"df": one, "loc": params["scale"], "scale": one}

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        centre, distance = median_and_distance(rows)
        start = {"df": np.full_like(centre, 4.0), "loc": centre, "scale": distance, **fixed}
        groups = [[start]] if "df" in fixed else [[{**start, "df": np.full_like(centre, df)}] for df in START_DF]
        if "loc" in fixed:
            return groups
        degrees = [fixed["df"]] if "df" in fixed else [np.full_like(centre, df) for df in WINDOW_DF]
        if "scale" in fixed:
            return groups + [[{**start, "df": df, "loc": value} for df in degrees] for value in spread_rows(rows)]
        windows = [
            [{**start, "df": df, "loc": loc, "scale": width * half} for df in degrees for width in WIDTHS]
            for loc, half in tight_windows(rows, distance)
        ]
        if "df" in fixed and np.any(fixed["df"] < 1.0) and len(rows.X) <= CENTRES:
            windows += [
                [{**start, "loc": loc, "scale": width * reach} for width in CENTRE_WIDTHS]
                for loc, reach in rows_as_centres(rows)
            ]
        if len(rows.X) <= FEW:  # any two rows may be a group: each start for itself
            return groups + [[one] for window in windows for one in window]
        return groups + windows

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        return {"df": (0.0, LIMIT_DF), "scale": (COLLAPSED * start["scale"], np.inf)}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        if "df" in fixed:
            if "scale" not in fixed:
                remedy = "Leave the column out, or hold df at a larger value, or scale."
                raise_if_tied(rows, maximum, fixed["df"], fixed.get("loc"), self.name, remedy)
            return maximum, {}
        limit = self._normal_limit(rows, fixed)
        inside = maximum.params["df"] < FAR_DF
        slope = np.zeros(len(inside))
        collapsed = ~maximum.converged & inside
        if not inside.all() or collapsed.any():
            slope = rows.total(self._slope_at_limit, limit.params) / rows.total_weight
        # a search that began at the limit has not left it
        lost = ~inside & (slope > 0.0) & (~maximum.converged | np.isinf(maximum.params["df"]))
        if lost.any():
            # a sample of the rows favoured the limit, all of them do not
            start: Params = {name: np.where(lost, value, maximum.params[name]) for name, value in limit.params.items()}
            start["df"] = np.where(lost, 4.0 + 1.5 / np.maximum(slope, 1e-9), start["df"])
            maximum = maximum.where(~lost, self.climb(rows, start, tol, max_iter))
        at_limit: NDArray[np.bool_] = (limit.at.value >= maximum.at.value) | (
            (maximum.params["df"] >= FAR_DF) & (slope <= 0.0)
        )
        if np.any(collapsed := collapsed & ~at_limit & (slope < 0.0)):
            # every ascent ran into a row: the limit is the maximum inside if no df between is higher
            at_limit |= collapsed & (limit.at.value >= self._highest_held(rows, fixed, tol, max_iter))
        maximum = limit.where(at_limit, maximum)
        raise_if_collapsed(rows, maximum, self.name, "Leave the column out, or hold df or scale fixed.")
        if (all_of_few := few(rows)) is not None:
            maximum = self._not_below_cauchy(all_of_few, fixed, maximum, tol, max_iter)
            at_limit &= np.isinf(maximum.params["df"])
        if not at_limit.any():
            return maximum, {}
        return maximum, {
            "df": f"df is infinite{in_columns(at_limit)}: the tails are no heavier than normal ones, and the fit is the normal "
            "distribution."
        }

    def _not_below_cauchy(self, rows: Rows, fixed: Params, maximum: Maximum, tol: float, max_iter: int) -> Maximum:
        """A maximum uphill of that of the Cauchy distribution, where that is higher; DegenerateDataError where there is none."""
        cauchy = self._held(rows, fixed, 1.0, tol, max_iter)
        higher = cauchy.converged & (cauchy.at.value > maximum.at.value + SAME * np.abs(maximum.at.value))
        if not higher.any():
            return maximum
        start: Params = {name: np.where(higher, value, maximum.params[name]) for name, value in cauchy.params.items()}
        start["df"] = np.minimum(start["df"], FAR_DF)
        found = self.climb(rows, start, tol, max_iter)
        lost = higher & ~(found.converged & (found.at.value >= cauchy.at.value))
        if lost.any():
            column = int(np.flatnonzero(lost)[0])
            raise DegenerateDataError(
                f"Column {column}: the student_t likelihood of these {len(rows.X)} rows has no maximum inside "
                f"that is as high as that of the Cauchy distribution: from there, at loc={cauchy.params['loc'][column]:.6g}, it "
                "grows without bound as df and scale go to 0. Hold df or scale fixed, or take cauchy.",
                column,
            )
        return maximum.where(~higher, found)

    def _held(self, rows: AnyRows, fixed: Params, df: float, tol: float, max_iter: int) -> Maximum:
        """The maximum with df held."""
        held = type(self)(df=df, loc=self.loc, scale=self.scale)
        return held._ascent(rows, {**fixed, "df": np.full(rows.n_columns, df)}, tol, max_iter)

    def _highest_held(self, rows: AnyRows, fixed: Params, tol: float, max_iter: int) -> Floats:
        """The highest likelihood with df held at one of a few values, of those that have a maximum."""
        values = []
        for df in HELD_DF:
            found = self._held(rows, fixed, df, tol, max_iter)
            values.append(np.where(found.converged, found.at.value, -np.inf))
        return np.max(values, axis=0)

    def _normal_limit(self, rows: AnyRows, fixed: Params) -> Maximum:
        """The maximum at df = inf: the moments, where loc and scale are free."""
        weight, mean, deviation = rows.total(column_moments, merge=merged_moments).T
        loc = fixed.get("loc", mean)
        scale = fixed.get("scale", np.hypot(deviation / np.sqrt(weight), mean - loc))
        params = {"df": np.full_like(mean, np.inf), "loc": loc.copy(), "scale": scale}
        at = self.evaluate(rows, params)
        return Maximum(params, at, 1, np.isfinite(at.value))

    def _slope_at_limit(self, rows: Rows, limit: Params) -> Floats:
        """Slope of the log-likelihood by 1 / df at 1 / df = 0: the sum of (z^4 - 2 z^2 - 1) / 4."""
        z2 = ((rows.X - limit["loc"]) / limit["scale"]) ** 2
        return weighted_sum(0.25 * (z2 * (z2 - 2.0) - 1.0), rows.weights)

    # -- the distribution --------------------------------------------------------------------------------------------------

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return log_student_sf(params["df"], (params["loc"] - x) / params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return log_student_sf(params["df"], (x - params["loc"]) / params["scale"])

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        t = (x - params["loc"]) / params["scale"]
        return plain_student_sf(params["df"], t if upper else -t)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        df = params["df"]
        t = np.where(np.isinf(df), ndtri(p), stdtrit(np.where(np.isinf(df), 1.0, df), p))
        return params["loc"] + params["scale"] * (-t if upper else t)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        df, shape = params["df"], (n_samples, len(params["df"]))
        finite = np.where(np.isinf(df), 1.0, df)
        mixing = np.where(np.isinf(df), 1.0, generator.chisquare(finite, size=shape) / finite)
        return params["loc"] + params["scale"] * generator.standard_normal(shape) / np.sqrt(mixing)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        df, loc, scale = params["df"], params["loc"], params["scale"]
        with np.errstate(divide="ignore", invalid="ignore"):
            stretch = np.where(np.isinf(df), 1.0, df / (df - 2.0))
        variance = np.where(df > 2.0, stretch * scale**2, np.where(df > 1.0, np.inf, np.nan))
        return np.where(df > 1.0, loc, np.nan), variance

    def mode(self, params: Params) -> Floats:
        return params["loc"]

    def entropy(self, params: Params) -> float:
        half = 0.5 * params["df"]
        value, slope, _ = half_step(half)
        return float(np.sum((1.0 + 0.5 / half) * (slope + 0.5) - value + HALF_LOG_2PI + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, df: Any, loc: Any, scale: Any) -> Any:
        constant = mp.loggamma((df + 1) / 2) - mp.loggamma(df / 2) - mp.log(mp.pi * df) / 2 - mp.log(scale)
        return constant - (df + 1) / 2 * mp.log1p(((x - loc) / scale) ** 2 / df)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, df: Any, loc: Any, scale: Any) -> tuple[Any, Any] | None:
        if df > 1e4:
            return None
        z = (x - loc) / scale
        tail = mp.betainc(df / 2, 0.5, 0, df / (df + z * z), regularized=True) / 2
        return (tail, 1 - tail) if z < 0 else (1 - tail, tail)

    @staticmethod
    def textbook_entropy(mp: Any, df: Any, loc: Any, scale: Any) -> Any:
        half = (df + 1) / 2
        rise = mp.digamma(half) - mp.digamma(df / 2)
        constant = mp.log(df) / 2 + mp.loggamma(df / 2) - mp.loggamma(half) + mp.log(mp.pi) / 2
        return half * rise + constant + mp.log(scale)
