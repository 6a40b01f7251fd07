"""Generalized normal distribution: tails from heavier than Laplace's over the normal ones to the uniform distribution's end.

The scale has a closed form. What is left is searched in the shape, with the best location for each: where the slope of the
profile likelihood passes through 0. From shape 1 on the location is where a convex sum has slope 0, below 1 it is a row.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammainccinv, gammaincinv, gammaln

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.gamma_tails import log_gamma_tails
from fastkl._core.special.log_tails import log_ratio
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Fit
from fastkl.families.extreme_values import column_extremes, merged_extremes
from fastkl.families.solvers.column_lists import listed_columns
from fastkl.families.solvers.iterative import SAMPLE_ROWS, constant_columns, scattered
from fastkl.families.solvers.medians import medians
from fastkl.families.solvers.power_profile import (
    IRREGULAR,
    LARGEST,
    LEAST,
    NEAR,
    RESOLUTION_OF_LOC,
    PowerProfile,
    expected_information,
)
from fastkl.families.solvers.power_starts import CUSPS, GRID, GRID_STEP, LOOK_ROWS, STARTS, first_look
from fastkl.families.spaces import Positive, Real
from fastkl.families.univariate import UnivariateFamily, raise_if_constant
from fastkl.families.weightless import rows_of_weight

MEMBERS = (1.0, 2.0)  # shapes of the Laplace and the normal distributions
AT_END = 1e-9  # relative: a search that stops at an end of the shapes is there but for rounding
SMALLEST_POWER = 1e-290


class GeneralizedNormal(UnivariateFamily):
    r"""Generalized normal distribution of every column, also called generalized Gaussian or exponential power distribution.

    .. math:: \log p(x) = -|(x - \text{loc}) / \text{scale}|^{\text{shape}}
        - \log(2\, \text{scale}) - \log \Gamma(1 + 1 / \text{shape})

    It is the Laplace distribution at shape 1, a normal one at shape 2, and the uniform one on loc - scale to loc + scale at an
    infinite shape.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape > 0, held fixed where given; inf is the uniform distribution; scipy's ``beta``.
    loc : float or array-like of shape (d,), default=None
        Centre: mean, median and mode, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, sqrt(2) standard deviations at shape 2, held fixed where given.

    Notes
    -----
    The likelihood is unbounded: with loc at a row it rises without end as the shape goes to 0. As usual the highest maximum
    inside is taken: by shape, with the best loc and scale for each, at shapes from 0.05 on; few rows, or rows many of which are
    equal, may have none, or none as high as that of the Laplace or the normal distribution, which is a
    ``DegenerateDataError``. The uniform distribution on the range of the rows is always a maximum, and where it is the highest
    ``params_["shape"]`` is inf and ``boundary_`` says so.

    Up to shape 1 the density has a cusp at loc, which is estimated to be one of the rows. Standard errors are those of the
    expected information, with a prior those of the products of the rows' scores, the robust ones those of differences of slopes
    (as of `Laplace`); for shapes up to 1/2 loc has none, since its
    error falls faster than 1 / sqrt(n).

    References
    ----------
    M. T. Subbotin, "On the law of frequency of error", 1923; S. Nadarajah, "A generalized normal distribution", 2005,
    doi:10.1080/02664760500079464.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> X = DensityMLE.from_parameters("generalized_normal", shape=4.0, loc=1.0, scale=2.0).sample(5000, random_state=0)
    >>> model = DensityMLE("generalized_normal").fit(X)
    >>> model.params_["shape"].round(1), model.params_["loc"].round(1), model.params_["scale"].round(1)
    (array([4.]), array([1.]), array([2.]))
    """

    name = "generalized_normal"
    aliases = ("generalized_gaussian", "generalized_error", "exponential_power")
    scipy_name = "gennorm"
    scipy_parameters = {"beta": "shape", "loc": "loc", "scale": "scale"}
    parameters = {
        "shape": Positive(limit="the uniform distribution"),
        "loc": Real(role="location", spread="scale"),
        "scale": Positive(role="scale"),
    }
    has_statistics = False
    smooth = False
    example = {"shape": [2.5, 5.0], "loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"shape": b, "loc": 0.3, "scale": 1.7} for b in (0.2, 0.5, 1.0, 2.0, 30.0, 100.0)]

    def __init__(self, shape: ArrayLike | None = None, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.loc = loc
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        return shape, params["loc"], 1.0 / scale, -np.log(2.0) - gammaln(1.0 + 1.0 / shape) - np.log(scale)

    def power_sums(self, rows: Rows, params: Params) -> Floats:
        """Weight, sum |z|^shape, sum |z|^shape log |z| and sum sign(z) |z|^(shape - 1), by column: (4, d)."""
        sums = self.kernel().sums(rows.X, rows.weights, self._constants(params), self.support, rows.n_threads)[0]
        return np.asarray(sums.T)

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        weight, powers, _, _ = self.power_sums(rows, params)
        return float(np.sum(weight * self.constants(params)[3] - powers))

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        weight, powers, logs, slopes = self.power_sums(rows, params)
        shape, scale = params["shape"], params["scale"]
        # inside the uniform distribution, where shape is infinite, all of these powers are 0; rows beyond its ends have no slope
        uniform = np.isinf(shape)
        inside, logs, slopes = (np.where(uniform, 0.0, sums) for sums in (powers, logs, slopes))
        self._raise_if_overflow(rows, inside)
        share, steep = 1.0 / shape, np.where(uniform, 0.0, shape)
        gradient = {
            "shape": weight * digamma(1.0 + share) * share * share - logs,
            "loc": steep * slopes / scale,
            "scale": (steep * inside - weight) / scale,
        }
        return float(np.sum(weight * self.constants(params)[3] - powers)), gradient

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        rows = rows_of_weight(rows)
        d = rows.n_columns
        fixed = self.fixed_columns(d)
        weight, low, high = rows.total(column_extremes, merge=merged_extremes).T
        self._raise_if_overflow(rows, high - low)
        flat = (low == high) & ("loc" not in fixed or low == fixed["loc"]) & ("scale" not in fixed)
        raise_if_constant(flat, {"weight": weight, "value": low}, self.name, "scale goes to 0")
        profile = PowerProfile(rows, _some(rows), low, high, self.power_sums, fixed)
        with np.errstate(all="ignore"):
            found, value = self._maximum(profile, None if start is None else self.start_at(start, d))
        statistics = {"weight": weight, "information": weight[:, None, None] * expected_information(found["shape"])}
        infinite = np.isinf(found["shape"])
        said: dict[str, str] = {}
        if "shape" not in fixed and infinite.any():
            said["shape"] = (
                f"shape is infinite in column {listed_columns(infinite)}: the likelihood rises up to the uniform distribution on "
                "the range of the rows, whose ends have no standard errors."
            )
        return Fit(
            found, profile.n_iter, boundary=said, log_likelihood=float(np.sum(value)) / profile.factor
        ), statistics

    def _maximum(self, profile: PowerProfile, start: Params | None) -> tuple[Params, Floats]:
        """The highest maximum of every column, and its log-likelihood."""
        d, fixed, rows = len(profile.low), profile.fixed, profile.rows
        sample = profile.sample
        starts, spikes, of_sample = [] if start is None else [(start, NEAR)], np.full(d, np.inf), profile
        if start is None or np.isinf(start["shape"]).any():
            starts, spikes = self._starts(profile)
        if start is not None:
            # one of infinite shape says nothing of where else a maximum may be
            given = np.isfinite(start["shape"])
            starts = [({name: np.where(given, start[name], own[name]) for name in own}, NEAR) for own, _ in starts]
        elif sample is not rows:
            # the maxima of some rows, and from the highest of them that of all
            low, high = np.min(sample.X, axis=0).astype(np.float64), np.max(sample.X, axis=0).astype(np.float64)
            of_sample = PowerProfile(sample, sample, low, high, profile.sums, fixed)
            found = self._highest(of_sample, starts)
            starts = [(self._above_members(of_sample, of_sample, *found[:2])[0], NEAR)]
        best, highest, fallen = self._highest(profile, starts)
        spikes = np.where(fallen if start is not None else True, spikes, -np.inf)
        if start is None:
            best, highest, lost = self._above_members(profile, of_sample, best, highest)
            spikes = np.maximum(spikes, lost)
        uniform, of_uniform = profile.uniform()
        held_uniform = np.isinf(fixed["shape"]) if "shape" in fixed else np.zeros(d, dtype=bool)
        allowed = held_uniform if "shape" in fixed else ~held_uniform
        runaway = np.isneginf(highest) & ~held_uniform & (~allowed | (spikes > of_uniform) | np.isneginf(of_uniform))
        if runaway.any() and "shape" not in fixed:
            column = int(np.flatnonzero(runaway)[0])
            raise DegenerateDataError(
                f"generalized_normal: the likelihood of column {column} has no maximum inside that is as high as those "
                "of the Laplace and the normal distribution: with loc at one of the rows it rises without bound as shape goes to "
                "0, since the rows are few or many of them are equal. Hold the shape fixed, or take student_t or laplace.",
                column,
            )
        higher = allowed & (of_uniform >= highest)
        self._raise_if_outside(rows, profile, held_uniform & np.isneginf(of_uniform))
        shape: Any = np.where(higher, np.inf, best["shape"])
        loc: Any = np.where(higher, uniform["loc"], best["loc"])
        scale = np.where(higher, uniform["scale"], profile.scale(np.where(higher, 2.0, shape), loc))
        return {"shape": shape, "loc": loc, "scale": scale}, np.where(higher, of_uniform, highest)

    def _highest(
        self, profile: PowerProfile, starts: list[tuple[Params, float]]
    ) -> tuple[Params, Floats, NDArray[np.bool_]]:
        """The highest maximum inside that is uphill of a start with its first step, NaN where there is none, its log-likelihood,
        and where ascents fell to the least shape.
        """
        d = len(profile.low)
        best, highest = {name: np.full(d, np.nan) for name in ("shape", "loc")}, np.full(d, -np.inf)
        fallen = np.zeros(d, dtype=bool)
        for start, step in starts:
            usable = np.isfinite(start["shape"])
            if not usable.any():
                continue
            shape, loc = profile.climb(np.where(usable, start["shape"], 2.0), start["loc"], step)
            value = profile.value(shape, loc)
            down, up = shape < (1.0 + AT_END) * LEAST, shape > (1.0 - AT_END) * LARGEST
            inside = usable & (("shape" in profile.fixed) | ~(down | up))
            fallen |= usable & down
            higher = inside & (value > highest)
            best = {name: np.where(higher, new, best[name]) for name, new in (("shape", shape), ("loc", loc))}
            highest = np.where(higher, value, highest)
        return best, highest, fallen

    def _above_members(
        self, profile: PowerProfile, of_sample: PowerProfile, best: Params, highest: Floats
    ) -> tuple[Params, Floats, Floats]:
        """A maximum uphill of the best Laplace or normal distribution where that is higher than the maximum so far.

        Where there is none, since the likelihood rises from there to shape 0, the maximum so far is none either: NaN, and the
        likelihood of the Laplace or normal distribution as the last of the three. Their locations are the best of a sample.
        """
        lost = np.full(len(highest), -np.inf)
        if "shape" in profile.fixed:
            return best, highest, lost
        for member in MEMBERS:
            shape = np.full_like(highest, member)
            if member == 1.0 and "loc" not in profile.fixed:
                loc = medians(of_sample.rows)
            else:
                loc = np.where(np.isnan(best["loc"]), of_sample.middle, best["loc"])
                loc = of_sample.locate(shape, loc, RESOLUTION_OF_LOC)
            value = profile.value(shape, loc)
            higher = value > np.maximum(highest, lost)
            if not higher.any():
                continue
            found, top, _ = self._highest(profile, [({"shape": np.where(higher, shape, np.nan), "loc": loc}, NEAR)])
            reached, none = higher & (top >= value), higher & ~(top >= value)
            best = {name: np.where(none, np.nan, np.where(reached, found[name], old)) for name, old in best.items()}
            highest = np.where(none, -np.inf, np.where(reached, top, highest))
            lost = np.where(none, value, np.where(reached, -np.inf, lost))
        return best, highest, lost

    def _starts(self, profile: PowerProfile) -> tuple[list[tuple[Params, float]], Floats]:
        """Where maxima may be by a look at few rows, NaN where a column has fewer, with first steps; the likelihood at the least
        shape.
        """
        fixed, d = profile.fixed, len(profile.low)
        every = slice(None, None, max(len(profile.sample.X) // LOOK_ROWS, 1))
        few = profile.sample.X[every].astype(np.float64)
        weights = None if profile.sample.weights is None else profile.sample.weights[every]
        steps = [GRID_STEP] * STARTS + [NEAR] * CUSPS
        starts = [{"shape": np.full(d, np.nan), "loc": 0.5 * (profile.low + profile.high)} for _ in steps]
        spikes = np.full(d, -np.inf)
        for j in range(d):
            held = {name: None if name not in fixed else float(fixed[name][j]) for name in self.parameter_names}
            if held["shape"] == np.inf:
                continue
            shapes = GRID if held["shape"] is None else np.array([held["shape"]])
            look = first_look(few[:, j], weights, shapes, held["loc"], held["scale"], every.step == 1)
            spikes[j] = look.spike * profile.weight
            for of_kind, found in ((starts[:STARTS], look.ridge), (starts[STARTS:], look.cusps)):
                for start, (shape, loc) in zip(of_kind, found, strict=False):
                    start["shape"][j], start["loc"][j] = shape, loc
        return list(zip(starts, steps, strict=True)), spikes

    def _raise_if_outside(self, rows: AnyRows, profile: PowerProfile, outside: NDArray[np.bool_]) -> None:
        """SupportError where the uniform distribution is held to an interval that does not hold all rows."""
        if outside.any():
            column = int(np.flatnonzero(outside)[0])
            raise SupportError(
                f"generalized_normal: with an infinite shape it is uniform on an interval of half-length "
                f"{profile.fixed['scale'][column]:.6g}; {rows.column(column)} goes from {profile.low[column]:.6g} to "
                f"{profile.high[column]:.6g}."
            )

    def regular(self, params: Params) -> NDArray[np.bool_]:
        """At an infinite shape loc and scale are the ends of the support; up to shape 1/2 loc has no information."""
        inside, shape = super().regular(params), params["shape"]
        inside[1] &= np.isfinite(shape) & (shape > IRREGULAR)
        inside[2] &= np.isfinite(shape)
        return inside

    # -- the distribution --------------------------------------------------------------------------------------------------

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        """Both tails by those of |z|^shape, which has a gamma distribution of shape 1 / shape."""
        shape, distance = params["shape"], np.asarray(x) - params["loc"]
        with np.errstate(all="ignore"):
            log_size = log_ratio(np.abs(distance), params["scale"])
            finite = np.where(np.isinf(shape), 1.0, shape)
            share, power = 1.0 / finite, np.exp(finite * log_size)
            inner, outer = log_gamma_tails(share, power)
            tiny = power < SMALLEST_POWER  # the leading term of the power series, where the power itself has no digits
            inner = np.where(tiny, log_size - gammaln(1.0 + share), inner)
            outer = np.where(tiny, np.log1p(-np.exp(inner)), outer)
            inner = np.where(np.isinf(shape), np.minimum(log_size, 0.0), inner)
            outer = np.where(np.isinf(shape), np.log1p(-np.exp(inner)), outer)
            far, rest = outer - np.log(2.0), np.log1p(-0.5 * np.exp(outer))
        above, missing = distance > 0.0, np.isnan(distance)
        lower, upper = np.where(above, rest, far), np.where(above, far, rest)
        return np.where(missing, np.nan, lower), np.where(missing, np.nan, upper)

    def quantile(self, p: Floats, params: Params) -> Floats:
        return self._quantile(np.asarray(p, dtype=np.float64), params, upper=False)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return self._quantile(np.asarray(q, dtype=np.float64), params, upper=True)

    def _quantile(self, p: Floats, params: Params, upper: bool) -> Floats:
        infinite = np.isinf(params["shape"])
        if not infinite.any():
            return self._solved_quantile(p, params, upper)
        finite = {**params, "shape": np.where(infinite, 2.0, params["shape"])}
        inside = np.where((p >= 0.0) & (p <= 1.0), 2.0 * p - 1.0, np.nan)
        straight = params["loc"] + params["scale"] * np.where(upper, -inside, inside)
        return np.where(infinite, straight, self._solved_quantile(p, finite, upper))

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        share, low = 1.0 / params["shape"], p < 0.5
        with np.errstate(all="ignore"):
            power = np.where(low, gammainccinv(share, 2.0 * p), gammaincinv(share, 2.0 * p - 1.0))
            size = params["scale"] * power**share
        return params["loc"] + np.where(low != upper, -size, size)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        # |z|^shape is gamma of shape 1 / shape: one of shape 1 + 1 / shape times a power of a uniform number, which survives
        # however large the shape is
        share, size = 1.0 / params["shape"], (n_samples, len(params["shape"]))
        z = generator.uniform(-1.0, 1.0, size=size) * generator.standard_gamma(1.0 + share, size=size) ** share
        return params["loc"] + params["scale"] * z

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        share = 1.0 / params["shape"]
        # Gamma(3 share) / Gamma(share) = Gamma(1 + 3 share) / (3 Gamma(1 + share))
        factor = np.exp(gammaln(1.0 + 3.0 * share) - gammaln(1.0 + share)) / 3.0
        return params["loc"], params["scale"] ** 2 * factor

    def mode(self, params: Params) -> Floats:
        return np.where(np.isinf(params["shape"]), np.nan, params["loc"])

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 / params["shape"] - self.constants(params)[3]))

    def to_scipy(self, params: Params) -> dict[str, Any]:
        if np.any(np.isinf(params["shape"])):
            raise ValueError("scipy's gennorm has no infinite shape; the distribution is scipy's uniform there.")
        return super().to_scipy(params)

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, loc: Any, scale: Any) -> Any:
        return -((abs(x - loc) / scale) ** shape) - mp.log(2 * scale * mp.gamma(1 + 1 / shape))

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        power = (abs(x - loc) / scale) ** shape
        tail = mp.gammainc(1 / shape, power, regularized=True) / 2
        return (tail, 1 - tail) if x < loc else (1 - tail, tail)

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, loc: Any, scale: Any) -> Any:
        return 1 / shape + mp.log(2 * scale * mp.gamma(1 + 1 / shape))


def _some(rows: AnyRows) -> Rows:
    """Rows for the first search: one of each stretch, or at random where these are alike in a column."""
    sample = rows.sample(SAMPLE_ROWS)
    if sample is rows or not constant_columns(sample)[0].any():
        return sample
    return rows if isinstance(rows, Rows) else scattered(rows, SAMPLE_ROWS)
