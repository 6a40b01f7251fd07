"""Poisson distribution of counts: the rate is the mean."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_tails import plain_gamma_tail
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.column_sums import kernel_of_means
from fastkl.families.counts import (
    CountFamily,
    boundary_sentence,
    deviance,
    log_poisson_tails,
    poisson_entropy,
    skewed_guess,
    smallest_mode,
    summed_entropy,
    summed_tails,
)
from fastkl.families.spaces import Rate


class Poisson(CountFamily):
    r"""Poisson distribution of every column, on the counts 0, 1, 2, ...

    .. math:: \log p(x) = x \log \lambda - \lambda - \log x!

    evaluated in saddle-point form, which keeps all digits for counts of any size. Where all counts are 0 the maximum is the
    boundary rate 0.

    Parameters
    ----------
    rate : float or array-like of shape (d,), default=None
        The mean, at least 0; held fixed where given.

    References
    ----------
    C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000 (the saddle-point form).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("poisson").fit(np.array([[0], [0], [1]]))
    >>> model.params_["rate"].round(6), round(model.log_likelihood_, 6)
    (array([0.333333]), -2.098612)
    """

    name = "poisson"
    aliases = ("pois",)
    scipy_name = "poisson"
    scipy_parameters = {"mu": "rate"}
    parameters = {"rate": Rate(zero=True)}
    statistic_names = ("weight", "mean", "deviance", "normaliser")
    example = {"rate": [0.7, 30.0]}
    extreme = [{"rate": rate} for rate in (1e-300, 1e-3, 16.0, 1e5)]

    def __init__(self, rate: ArrayLike | None = None):
        self.rate = rate

    def constants(self, params: Params) -> tuple[Any, ...]:
        return (params["rate"],)

    def solve(self, statistics: Statistics) -> Fit:
        fixed = self.fixed_columns(len(statistics["mean"]))
        if fixed:
            return Fit(fixed)
        rate = statistics["mean"].copy()
        zero = rate == 0.0
        sentence = boundary_sentence(zero, "All counts are 0: the rate is at its boundary 0")
        return Fit({"rate": rate}, boundary={"rate": sentence} if np.any(zero) else {})

    def starting_parameters(self, statistics: Statistics) -> Params:
        fixed = self.fixed_columns(len(statistics["mean"]))
        return fixed or {"rate": np.maximum(statistics["mean"], 0.5 / statistics["weight"])}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        about_rate = statistics["deviance"] + statistics["weight"] * deviance(statistics["mean"], params["rate"])
        return -about_rate - statistics["normaliser"]

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        rate, weight, mean = params["rate"], statistics["weight"], statistics["mean"]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = weight * (mean - rate) / rate
        return {"rate": np.where((mean == 0.0) & (rate == 0.0), -weight, slope)}

    def gradient(self, rows: Rows, params: Params) -> Params:
        # it needs the means alone, and not the sums of log x!
        records, row, column = kernel_of_means().statistics(rows.X, rows.weights, self.support, rows.n_threads)
        self._check_inside(rows, row, column)
        self._raise_if_overflow(rows, records)
        return self.statistics_gradient({"weight": records[:, 0], "mean": records[:, 1]}, params)

    def information(self, statistics: Statistics, params: Params) -> Floats:
        return (statistics["weight"] * statistics["mean"])[:, None, None]

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.poisson(params["rate"], size=(n_samples, len(params["rate"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["rate"], params["rate"]

    def mode(self, params: Params) -> Floats:
        return smallest_mode(params["rate"])

    def entropy(self, params: Params) -> float:
        return float(sum(poisson_entropy(float(rate)) for rate in params["rate"]))

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        return log_poisson_tails(x, params["rate"])

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        k = np.floor(x)
        counts = k >= 0.0
        return plain_gamma_tail(np.where(counts, k, 0.0) + 1.0, np.where(counts, params["rate"], np.nan), not upper)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        rate = params["rate"]
        return skewed_guess(p, upper, rate, rate, 1.0 / np.sqrt(np.maximum(rate, 1e-9)))

    @staticmethod
    def textbook(mp: Any, x: Any, rate: Any) -> Any:
        return x * mp.log(rate) - rate - mp.loggamma(x + 1)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, rate: Any) -> tuple[Any, Any]:
        return summed_tails(mp, x, rate, lambda k: Poisson.textbook(mp, k, rate), lambda k: rate / k)

    @staticmethod
    def textbook_entropy(mp: Any, rate: Any) -> Any:
        return summed_entropy(mp, rate, lambda k: Poisson.textbook(mp, k, rate), lambda k: rate / k)


@register_kl(Poisson, Poisson)
def poisson_kl(_p: Poisson, p: Params, _q: Poisson, q: Params) -> float:
    """Sum over the columns of l log(l / m) + m - l for rates l and m; inf where m = 0 < l."""
    return float(np.sum(deviance(p["rate"], q["rate"])))


@register_renyi(Poisson, Poisson)
def poisson_renyi(family: Poisson, p: Params, _q: Poisson, q: Params, alpha: float) -> float:
    """By the Poisson distribution whose rate is l^alpha m^(1 - alpha) for rates l and m."""
    first, second = p["rate"], q["rate"]
    if alpha > 1.0 and np.any((second == 0.0) & (first > 0.0)):
        return np.inf
    both = (first > 0.0) & (second > 0.0)
    ratio = np.where(both, first, 1.0) / np.where(both, second, 1.0)
    return renyi_by_mean(poisson_kl, family, {"rate": np.where(both, second * ratio**alpha, 0.0)}, p, q, alpha)
