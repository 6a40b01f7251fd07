"""Zero-inflated Poisson distribution: a Poisson count, or 0 whatever the count with some probability."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import gammaln, xlog1py, xlogy

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.log_tails import log_complement
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Fit
from fastkl.families.counts import (
    CountFamily,
    boundary_sentence,
    deviance,
    log_poisson_tails,
    poisson_entropy,
    skewed_guess,
    smallest_mode,
)
from fastkl.families.poisson import Poisson
from fastkl.families.spaces import Rate, UnitInterval

NO_COUNTS = "All counts are 0: the rate is at its boundary 0, and no zero_probability is better than another"
NO_INFLATION = "There are no more zeros than the Poisson distribution has: zero_probability is at its boundary 0"


class ZeroInflatedPoisson(CountFamily):
    r"""Zero-inflated Poisson distribution of every column, on the counts 0, 1, 2, ...

    .. math:: p(0) = \pi + (1 - \pi) e^{-\lambda}, \qquad p(x) = (1 - \pi) \frac{\lambda^x e^{-\lambda}}{x!}, \quad x > 0

    Where a column has no more zeros than a Poisson distribution of its mean, the maximum is that distribution:
    ``zero_probability`` is 0, ``boundary_`` says so, and there is no standard error for it.

    Parameters
    ----------
    zero_probability : float or array-like of shape (d,), default=None
        Probability of an extra zero, in [0, 1); held fixed where given.
    rate : float or array-like of shape (d,), default=None
        Mean of the Poisson count, at least 0; held fixed where given.

    Notes
    -----
    The rate solves rate / (1 - exp(-rate)) = mean of the positive counts, by a few steps of Newton's
    method; the probability then matches the share of zeros. D. Lambert, "Zero-inflated Poisson regression", Technometrics 34,
    1992, doi:10.2307/1269547.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.repeat([0, 1, 2, 3, 4], [60, 10, 15, 10, 5])[:, None]
    >>> model = DensityMLE("zero_inflated_poisson").fit(X)
    >>> model.params_["zero_probability"].round(4), model.params_["rate"].round(4)
    (array([0.5313]), array([1.9202]))
    """

    name = "zero_inflated_poisson"
    aliases = ("zip", "zipoisson")
    parameters = {"zero_probability": UnitInterval(zero=True), "rate": Rate(zero=True)}
    statistic_names = ("weight", "zeros", "positive", "mean", "deviance", "normaliser")
    example = {"zero_probability": [0.3, 0.5], "rate": [2.0, 6.0]}
    extreme = [
        {"zero_probability": share, "rate": rate}
        for share, rate in ((1e-12, 1e-9), (0.999, 500.0), (0.0, 40.0), (0.3, 1e4))
    ]

    def __init__(self, zero_probability: ArrayLike | None = None, rate: ArrayLike | None = None):
        self.zero_probability = zero_probability
        self.rate = rate

    def constants(self, params: Params) -> tuple[Any, ...]:
        share, rate = params["zero_probability"], params["rate"]
        return rate, log_zero(share, rate), np.log1p(-share)

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics) -> Fit:
        d = len(statistics["mean"])
        fixed = self.fixed_columns(d)
        if len(fixed) == 2:
            return Fit(fixed)
        if "rate" in fixed:
            self._check_positive(statistics)
        zeros, positive, mean = (statistics[name] for name in ("zeros", "positive", "mean"))
        overall = mean * (positive / statistics["weight"])
        if "zero_probability" in fixed:
            rate = np.array(
                [
                    inflated_rate(*column)
                    for column in zip(fixed["zero_probability"], zeros, positive, mean, strict=True)
                ]
            )
            return Fit(
                {"zero_probability": fixed["zero_probability"], "rate": rate}, boundary=self._all_zero(statistics)
            )
        empty = positive == 0.0
        rate = fixed["rate"] if "rate" in fixed else np.where(empty, 0.0, truncated_rate(np.where(empty, 1.0, mean)))
        with np.errstate(divide="ignore", invalid="ignore"):
            # 1 - pi = share of positive counts / (1 - exp(-rate))
            share = 1.0 - (positive / statistics["weight"]) / -np.expm1(-rate)
        # at most as many zeros as the Poisson distribution of the same mean has (of the same rate, where that is held fixed)
        expected = rate if "rate" in fixed else overall
        limit = positive / statistics["weight"] >= -np.expm1(-expected)
        share = np.where(limit, 0.0, share)
        rate = rate if "rate" in fixed else np.where(limit, overall, rate)
        boundary = {"zero_probability": boundary_sentence(limit, NO_INFLATION)} if np.any(limit) else {}
        if "rate" not in fixed:
            boundary |= self._all_zero(statistics)
        return Fit({"zero_probability": share, "rate": rate}, boundary=boundary)

    @staticmethod
    def _all_zero(statistics: Statistics) -> dict[str, str]:
        """The sentence for columns of zeros."""
        empty = statistics["positive"] == 0.0
        return {"rate": boundary_sentence(empty, NO_COUNTS)} if np.any(empty) else {}

    def _check_positive(self, statistics: Statistics) -> None:
        empty = statistics["positive"] == 0.0
        if np.any(empty):
            column = int(np.flatnonzero(empty)[0])
            raise DegenerateDataError(
                f"Column {column} holds only zeros (n_samples={statistics['weight'][column]:g}): with the rate held, the "
                "likelihood rises up to a zero_probability of 1, which does not belong to this family. Leave the column out, "
                "or let the rate be free.",
                column,
            )

    def starting_parameters(self, statistics: Statistics) -> Params:
        fixed = self.fixed_columns(len(statistics["mean"]))
        zeros = (statistics["zeros"] + 0.5) / (statistics["weight"] + 1.0)
        start = {"zero_probability": 0.5 * zeros, "rate": np.maximum(statistics["mean"], 0.5)}
        return {name: fixed.get(name, value) for name, value in start.items()}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        share, rate = params["zero_probability"], params["rate"]
        zeros, positive = statistics["zeros"], statistics["positive"]
        about_rate = statistics["deviance"] + positive * deviance(statistics["mean"], rate)
        return zeros * log_zero(share, rate) + positive * np.log1p(-share) - about_rate - statistics["normaliser"]

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        share, rate = params["zero_probability"], params["rate"]
        zeros, positive, mean = (statistics[name] for name in ("zeros", "positive", "mean"))
        rise, fall, _ = zero_slopes(share, rate, zeros)
        by_share = zeros * rise - positive / (1.0 - share)
        with np.errstate(divide="ignore", invalid="ignore"):
            by_rate = -zeros * fall + np.where(positive > 0.0, positive * (mean - rate) / rate, 0.0)
        return {"zero_probability": by_share, "rate": by_rate}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        share, rate = params["zero_probability"], params["rate"]
        zeros, positive, mean = (statistics[name] for name in ("zeros", "positive", "mean"))
        rise, fall, poisson = zero_slopes(share, rate, zeros)
        by_share = zeros * rise**2 + positive / (1.0 - share) ** 2
        with np.errstate(divide="ignore", invalid="ignore"):
            by_rate = zeros * fall * (fall - 1.0) + np.where(positive > 0.0, positive * mean / rate**2, 0.0)
        cross = -zeros * (poisson + rise * fall)
        odds = share * (1.0 - share)
        rows = [[by_share * odds * odds, cross * odds * rate], [cross * odds * rate, by_rate * rate * rate]]
        return np.moveaxis(np.array(rows), -1, 0)

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        shape = (n_samples, len(params["rate"]))
        extra = generator.random(shape) < params["zero_probability"]
        return np.where(extra, 0, generator.poisson(params["rate"], size=shape))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        share, rate = params["zero_probability"], params["rate"]
        mean = (1.0 - share) * rate
        return mean, mean * (1.0 + share * rate)

    def mode(self, params: Params) -> Floats:
        # the Poisson mode, unless the added zeros make 0 as likely
        share, rate = params["zero_probability"], params["rate"]
        mode = smallest_mode(rate)
        rise = xlogy(mode, rate) - gammaln(mode + 1.0)  # of its log-probability above that of a Poisson zero
        with np.errstate(divide="ignore", over="ignore"):
            zero = np.logaddexp(0.0, np.log(share) - np.log1p(-share) + rate)
        return np.where(rise > zero, mode, 0.0)

    def entropy(self, params: Params) -> float:
        total = 0.0
        for share, rate in zip(params["zero_probability"].tolist(), params["rate"].tolist(), strict=True):
            above = -np.expm1(-rate)  # Poisson probability of a positive count
            log_p0 = float(log_zero(share, rate))
            positive = poisson_entropy(rate) - rate * np.exp(-rate)  # -sum of p log p over the positive counts
            total += -np.exp(log_p0) * log_p0 + (1.0 - share) * positive - above * xlog1py(1.0 - share, -share)
        return float(total)

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        share = params["zero_probability"]
        below, above = self._log_tails(x, params)
        with np.errstate(divide="ignore", invalid="ignore"):
            sum_ = np.logaddexp(np.log(share), np.log1p(-share) + below)
        inside = np.where(above < -np.log(2.0), log_complement(np.minimum(above, 0.0)), sum_)
        return np.where(np.asarray(x) < 0.0, -np.inf, inside)

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return np.where(np.asarray(x) < 0.0, 0.0, self._log_tails(x, params)[1])

    def _log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        """log P(X <= x) of the Poisson count alone, and log P(X > x) of the inflated one, for x >= 0."""
        below, above = log_poisson_tails(x, params["rate"])
        return below, np.log1p(-params["zero_probability"]) + above

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        share, rate = params["zero_probability"], np.maximum(params["rate"], 1e-300)
        rest = np.clip(np.asarray(p) / (1.0 - share) if upper else (p - share) / (1.0 - share), 0.0, 1.0)
        return skewed_guess(rest, upper, rate, rate, 1.0 / np.sqrt(rate))

    @staticmethod
    def textbook(mp: Any, x: Any, zero_probability: Any, rate: Any) -> Any:
        log_poisson = x * mp.log(rate) - rate - mp.loggamma(x + 1)
        return mp.log((zero_probability if x == 0 else 0) + (1 - zero_probability) * mp.exp(log_poisson))

    @staticmethod
    def textbook_tails(mp: Any, x: Any, zero_probability: Any, rate: Any) -> tuple[Any, Any]:
        if x < 0:
            return mp.mpf(0), mp.mpf(1)
        below, above = Poisson.textbook_tails(mp, x, rate)
        return zero_probability + (1 - zero_probability) * below, (1 - zero_probability) * above

    @staticmethod
    def textbook_entropy(mp: Any, zero_probability: Any, rate: Any) -> Any:
        rest, never = 1 - zero_probability, mp.exp(-rate)
        zero, positive = zero_probability + rest * never, Poisson.textbook_entropy(mp, rate) - rate * never
        return -zero * mp.log(zero) + rest * (positive - (1 - never) * mp.log(rest))


def log_zero(share: ArrayLike, rate: ArrayLike) -> Floats:
    """log p(0) = log(pi + (1 - pi) exp(-rate)) = log(1 - (1 - pi)(1 - exp(-rate))), whichever side keeps its digits."""
    share, rate = np.asarray(share, dtype=np.float64), np.asarray(rate, dtype=np.float64)
    above = (1.0 - share) * -np.expm1(-rate)
    with np.errstate(divide="ignore"):
        direct: Floats = np.logaddexp(np.log(share), np.log1p(-share) - rate)
        return np.where(above < 0.5, np.log1p(-np.minimum(above, 0.5)), direct)


def truncated_rate(mean: Floats) -> Floats:
    """The rate of a Poisson distribution whose positive counts have this mean >= 1; 0 at 1."""
    rate: Floats = mean * -np.expm1(-mean)
    # near mean 1 it is mean - 1 = rate / 2 + rate^2 / 12 - ...; the equation is convex, Newton's steps settle from either side
    rate = np.where(mean < 1.5, 2.0 * (mean - 1.0) * (1.0 - (mean - 1.0) / 3.0), rate)
    for _ in range(6):
        ratio, slope = exponential_ratio(rate)
        rate = np.maximum(rate - (ratio - mean) / slope, 0.0)
    return np.where(mean == 1.0, 0.0, rate)


def exponential_ratio(rate: Floats) -> tuple[Floats, Floats]:
    """rate / (1 - exp(-rate)) and its derivative; by the Bernoulli series below 0.1."""
    rate = np.asarray(rate, dtype=np.float64)
    small, large = np.minimum(rate, 0.1), np.maximum(rate, 0.1)
    series = [1.0, 0.5, 1 / 12, 0.0, -1 / 720, 0.0, 1 / 30240, 0.0, -1 / 1209600, 0.0, 1 / 47900160]
    powers = np.polynomial.Polynomial(series)
    fall = -np.expm1(-large)
    ratio = np.where(rate < 0.1, powers(small), large / fall)
    slope = np.where(rate < 0.1, powers.deriv()(small), (fall - large * np.exp(-large)) / fall**2)
    return ratio, slope


def inflated_rate(share: float, zeros: float, positive: float, mean: float) -> float:
    """The best rate for a probability held fixed: the best of all stationary points between the overall and the positive mean."""
    overall = mean * positive / (zeros + positive)
    if positive == 0.0:
        return 0.0
    if zeros == 0.0 or share == 0.0:
        return overall if share == 0.0 else mean

    def score(rate: float) -> float:
        chance = share + (1.0 - share) * np.exp(-rate)
        return float(-zeros * (1.0 - share) * np.exp(-rate) / chance + positive * (mean - rate) / rate)

    grid = np.geomspace(overall * (1.0 - 1e-12), mean * (1.0 + 1e-12), 257)
    signs = [score(rate) for rate in grid]
    roots = [
        float(brentq(score, a, b, xtol=1e-300, rtol=1e-15))
        for a, b, left, right in zip(grid, grid[1:], signs, signs[1:], strict=False)
        if left > 0.0 >= right
    ]
    value = [zeros * float(log_zero(share, r)) + positive * (xlogy(mean, r) - r) for r in roots]
    return roots[int(np.argmax(value))]


def zero_slopes(share: Floats, rate: Floats, zeros: Floats) -> tuple[Floats, Floats, Floats]:
    """Slopes of log p(0) by the share and, downwards, by the rate, and exp(-rate) / p(0); 0 where there are no zeros.

    p(0) itself is below the range of doubles for rates above 745.
    """
    some, log_chance = zeros > 0.0, log_zero(share, rate)
    poisson = np.exp(np.where(some, -rate - log_chance, -np.inf))
    with np.errstate(over="ignore"):
        rise: Floats = -np.expm1(-rate) * np.exp(np.where(some, -log_chance, -np.inf))
    return rise, (1.0 - share) * poisson, poisson
