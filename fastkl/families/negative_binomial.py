"""Negative binomial distribution: the mean is its own estimate, the size solves one equation in tallies of the counts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainccinv, gammaincinv

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.beta_tails import log_beta_tails, plain_beta_tail
from fastkl._core.special.gamma_differences import digamma_rise, trigamma_rise
from fastkl._core.special.gamma_functions import log_excess, stirling_error
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl
from fastkl.families.counts import (
    MOST_TERMS,
    CountFamily,
    boundary_sentence,
    deviance,
    log_poisson_tails,
    outside_counts,
    poisson_entropy,
    skewed_guess,
    smallest_mode,
    summed_entropy,
    summed_tails,
)
from fastkl.families.solvers.tallies import merged_tallies, tallies
from fastkl.families.spaces import Positive

MAX_STEPS = 200
NO_COUNTS = "All counts are 0: the mean is at its boundary 0, and no size is better than another"
POISSON_LIMIT = (
    "The counts vary no more than Poisson counts of the same mean: size is infinite, the Poisson distribution"
)


class NegativeBinomial(CountFamily):
    r"""Negative binomial distribution of every column, on the counts 0, 1, 2, ..., with variance mean + mean^2 / size.

    .. math:: p(x) = \frac{\Gamma(x + r)}{\Gamma(r) \, x!} \Bigl(\frac{r}{r + m}\Bigr)^r \Bigl(\frac{m}{r + m}\Bigr)^x

    with size r and mean m. Where the counts vary no more than Poisson counts, the maximum is the Poisson limit: ``size`` is
    infinite, ``boundary_`` says so, and there is no standard error for it. Likewise where all counts are 0, and the
    mean is 0 too.

    Parameters
    ----------
    size : float or array-like of shape (d,), default=None
        Size r > 0, not necessarily whole; held fixed where given.
    mean : float or array-like of shape (d,), default=None
        Mean m of at least 0; held fixed where given.

    Notes
    -----
    The mean is its own estimate. The score of the size is a sum over the distinct counts, solved by a Newton iteration on
    log(size) inside a bracket. Tallies of distinct counts are the sufficient statistic: a step costs no pass over the rows.

    References
    ----------
    B. Levin, J. Reeds, "Compound multinomial likelihood functions are unimodal", Annals of Statistics 5, 1977,
    doi:10.1214/aos/1176343740.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> mites = np.repeat(np.arange(8), [70, 38, 17, 10, 9, 3, 2, 1])[:, None]
    >>> model = DensityMLE("negative_binomial").fit(mites)
    >>> model.params_["size"].round(4), model.params_["mean"].round(4)
    (array([1.0246]), array([1.1467]))
    """

    name = "negative_binomial"
    aliases = ("negbin", "neg_binomial", "pascal", "polya")
    scipy_name = "nbinom"
    parameters = {"size": Positive(limit="the Poisson distribution"), "mean": Positive(zero=True, centre=True)}
    statistic_names = ("weight", "mean", "m2")
    example = {"size": [2.5, 0.7], "mean": [4.0, 12.0]}
    extreme = [
        {"size": size, "mean": mean} for size, mean in ((1e-3, 0.5), (0.1, 1e5), (15.9, 3.0), (1e4, 1e4), (1e8, 0.5))
    ]

    def __init__(self, size: ArrayLike | None = None, mean: ArrayLike | None = None):
        self.size = size
        self.mean = mean

    def constants(self, params: Params) -> tuple[Any, ...]:
        mean = params["mean"]
        size = np.where(mean == 0.0, np.inf, params["size"])  # all counts are 0 whatever the size
        finite = np.where(np.isinf(size), 1.0, size)
        normaliser = 0.5 * np.log(finite) - 0.5 * np.log(2.0 * np.pi) - stirling_error(finite)
        return size, mean, 1.0 / (finite + mean), -finite * np.log1p(mean / finite), normaliser

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        return self._with_tallies(super().statistics(rows), rows)

    def component_statistics(self, rows: Rows, weights: Floats) -> list[Statistics]:
        found = super().component_statistics(rows, weights)
        return [self._with_tallies(own, part) for own, part in zip(found, rows.components(weights), strict=True)]

    def _with_tallies(self, statistics: Statistics, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        columns = [tallies(rows.X[:, j], rows.weights) for j in range(rows.X.shape[1])]
        return {**statistics, "counts": [c for c, _ in columns], "tallies": [t for _, t in columns]}

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        merged = super().merge_statistics(first, second)
        columns = [
            merged_tallies(*parts)
            for parts in zip(first["counts"], first["tallies"], second["counts"], second["tallies"], strict=True)
        ]
        return {**merged, "counts": [c for c, _ in columns], "tallies": [t for _, t in columns]}

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        d = len(statistics["mean"])
        fixed = self.fixed_columns(d)
        mean = fixed.get("mean", statistics["mean"].copy())
        zero = (mean == 0.0) & ("mean" not in fixed)
        boundary = {"mean": boundary_sentence(zero, NO_COUNTS)} if np.any(zero) else {}
        if "size" in fixed:
            return Fit({"size": fixed["size"], "mean": mean}, boundary=boundary)
        begin = np.full(d, np.inf) if start is None else start["size"]
        solved = [self._tally_score(statistics, j, float(mean[j])).root(float(begin[j])) for j in range(d)]
        size = np.array([root for root, _ in solved])
        steps = max(step for _, step in solved)
        limit = np.isinf(size)
        if np.any(limit):
            boundary["size"] = boundary_sentence(limit, POISSON_LIMIT)
        return Fit({"size": size, "mean": mean}, steps, steps < MAX_STEPS, boundary)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def _tally_score(self, statistics: Statistics, column: int, mean: float) -> SizeScore:
        return SizeScore(statistics["counts"][column], statistics["tallies"][column], mean)

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        totals = []
        for j, (counts, weights) in enumerate(zip(statistics["counts"], statistics["tallies"], strict=True)):
            one = {name: value[j : j + 1] for name, value in params.items()}
            totals.append(float(weights @ self.log_density(Rows(counts[:, None]), one)))
        return np.array(totals)

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        size, mean, weight = params["size"], params["mean"], statistics["weight"]
        scores = [self._tally_score(statistics, j, float(mean[j])) for j in range(len(mean))]
        by_size = np.array(
            [0.0 if np.isinf(r) else score.value(float(r)) for score, r in zip(scores, size, strict=True)]
        )
        # r / (r + m) as 1 / (1 + m / r), which holds for infinite r too
        return {"size": by_size, "mean": weight * self._by_mean(statistics["mean"], params)}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        size, mean = params["size"], params["mean"]
        X = rows.X.astype(np.float64)
        by_size = np.zeros(X.shape)
        for j in np.flatnonzero(np.isfinite(size)):
            by_size[:, j] = SizeScore(X[:, j], np.ones(len(X)), float(mean[j])).terms(float(size[j]))
        return {"size": by_size, "mean": self._by_mean(X, params)}

    @staticmethod
    def _by_mean(x: Floats, params: Params) -> Floats:
        """The slope of the log-probability of x by the mean: -1 for a count of 0 at mean 0."""
        size, mean = params["size"], params["mean"]
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = (x - mean) / (mean * (1.0 + mean / size))
        return np.where((x == 0.0) & (mean == 0.0), -1.0, slope)

    def starting_parameters(self, statistics: Statistics) -> Params:
        fixed = self.fixed_columns(len(statistics["mean"]))
        mean = fixed.get("mean", np.maximum(statistics["mean"], 0.5 / statistics["weight"]))
        spread = statistics["m2"] / statistics["weight"] - mean
        return {"size": fixed.get("size", mean**2 / np.maximum(spread, 0.1 * mean)), "mean": mean}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        size, mean, weight = params["size"], params["mean"], statistics["weight"]
        observed = statistics["mean"]
        finite = np.where(np.isinf(size), 1.0, size)
        scores = [self._tally_score(statistics, j, float(mean[j])) for j in range(len(mean))]
        by_size = np.array([-score.slope(float(r)) for score, r in zip(scores, finite, strict=True)])
        share, shift = finite / (finite + mean), (observed - mean) / (finite + mean)
        cross = np.where(np.isinf(size), 0.0, -weight * shift * share * mean)
        # mean^2 (observed / mean^2 - (observed + size) / (size + mean)^2), whose terms agree to mean / size
        by_mean = weight * np.where(np.isinf(size), observed, share * (mean + shift * (finite + 2.0 * mean)))
        return np.moveaxis(np.array([[by_size * finite * finite, cross], [cross, by_mean]]), -1, 0)

    # -- the distribution itself ----------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        size, mean = params["size"], params["mean"]
        finite = np.where(np.isinf(size), 1.0, size)
        shape = (n_samples, len(mean))
        rates = np.where(np.isinf(size), mean, generator.gamma(finite, mean / finite, size=shape))
        return generator.poisson(rates)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        mean = params["mean"]
        return mean, mean * (1.0 + mean / params["size"])

    def mode(self, params: Params) -> Floats:
        return smallest_mode(params["mean"] * np.maximum(1.0 - 1.0 / params["size"], 0.0))

    def to_scipy(self, params: Params) -> dict[str, Any]:
        size, mean = params["size"], params["mean"]
        if np.any(np.isinf(size)):
            raise ValueError(
                "scipy's nbinom has no infinite size; the Poisson distribution of the same mean is scipy's poisson."
            )
        return {"n": size, "p": size / (size + mean)}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        self.raise_if_moved(arguments, ("n", "p"))
        return {"size": arguments["n"], "mean": arguments["n"] * (1.0 - arguments["p"]) / arguments["p"]}

    def likely_counts(self, params: Params) -> Rows | None:
        """All counts of a single column but for a tail of probability below 1e-30 or so; None if these are too many."""
        size, mean = float(params["size"][0]), float(params["mean"][0])
        last = float(self.upper_quantile(np.array(1e-15), params)[0])
        # beyond that quantile the terms fall by the factor mean / (size + mean) or faster
        last += 40.0 * (1.0 + mean / size) + 10.0
        return Rows(np.arange(0.0, last)[:, None]) if last <= MOST_TERMS else None

    def entropy(self, params: Params) -> float | None:
        total = 0.0
        for j, (size, mean) in enumerate(zip(params["size"].tolist(), params["mean"].tolist(), strict=True)):
            if np.isinf(size) or mean == 0.0:
                total += poisson_entropy(mean)
                continue
            one = {name: value[j : j + 1] for name, value in params.items()}
            counts = self.likely_counts(one)
            if counts is None:
                return None
            log_p = self.log_density(counts, one)
            total -= float(np.sum(np.exp(log_p) * log_p))
        return total

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        x, size, mean = np.broadcast_arrays(np.asarray(x, dtype=np.float64), params["size"], params["mean"])
        limit = np.isinf(size) | (mean == 0.0)
        finite, k = np.where(limit, 1.0, size), np.floor(x)
        inside = (k >= 0.0) & (k < np.inf)
        at = np.where(inside, k, 0.0)
        share = finite / (finite + mean)
        tails = log_beta_tails(finite, at + 1.0, share, mean / (finite + mean), share * ((at - mean) + 1.0))
        own = outside_counts(k, inside, *tails)
        if not limit.any():
            return own
        poisson = log_poisson_tails(x, mean)
        return np.where(limit, poisson[0], own[0]), np.where(limit, poisson[1], own[1])

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        size, mean, k = params["size"], params["mean"], np.floor(x)
        fits = (k >= 0.0) & np.isfinite(size) & (mean > 0.0)
        finite = np.where(np.isinf(size), 1.0, size)
        share = np.where(fits, finite / (finite + mean), np.nan)
        return plain_beta_tail(finite, np.where(fits, k, 0.0) + 1.0, share, mean / (finite + mean), upper)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        size, mean = np.minimum(params["size"], 1e300), np.maximum(params["mean"], 1e-300)
        # a Poisson count of a gamma variable: more of the one for large sizes, of the other for small ones
        inverse = gammainccinv if upper else gammaincinv
        variance = mean * (1.0 + mean / size)
        skewed = skewed_guess(p, upper, mean, variance, (1.0 + 2.0 * mean / size) / np.sqrt(variance))
        with np.errstate(invalid="ignore"):  # 0 times infinity, next to a mean of 0
            mixed = mean / size * inverse(np.minimum(size, 10.0), p)
        return np.where(size > 10.0, skewed, mixed)

    @staticmethod
    def textbook(mp: Any, x: Any, size: Any, mean: Any) -> Any:
        coefficient = mp.loggamma(x + size) - mp.loggamma(size) - mp.loggamma(x + 1)
        return coefficient + size * mp.log(size / (size + mean)) + x * mp.log(mean / (size + mean))

    @staticmethod
    def textbook_tails(mp: Any, x: Any, size: Any, mean: Any) -> tuple[Any, Any]:
        log_term, ratio = NegativeBinomial._terms(mp, size, mean)
        if size > 100:
            return summed_tails(mp, x, mean, log_term, ratio)
        factor = mp.exp(log_term(x + 1))
        upper = factor * mp.hyp2f1(1, size + x + 1, x + 2, mean / (size + mean))
        return 1 - upper, upper

    @staticmethod
    def textbook_entropy(mp: Any, size: Any, mean: Any) -> Any:
        return summed_entropy(mp, mean, *NegativeBinomial._terms(mp, size, mean))

    @staticmethod
    def _terms(mp: Any, size: Any, mean: Any) -> tuple[Any, Any]:
        """log p(k), and p(k) / p(k - 1)."""
        share = mean / (size + mean)
        return lambda k: NegativeBinomial.textbook(mp, k, size, mean), lambda k: share * (size + k - 1) / k


@dataclass(frozen=True)
class SizeScore:
    """The derivative of the log-likelihood by the size r at a given mean m, in terms that keep their digits for large r.

    With u = (x - m) / (r + m) it is the sum of psi(x + r) - psi(r) - log(1 + x / r), the digamma rises, less phi(u).
    """

    counts: Floats
    tallies: Floats
    mean: float

    def terms(self, size: float) -> Floats:
        """The derivative for every distinct count."""
        u = (self.counts - self.mean) / (size + self.mean)
        return digamma_rise(size, self.counts) - log_excess(u, (self.counts + size) / (size + self.mean))

    def value(self, size: float) -> float:
        return float(self.tallies @ self.terms(size))

    def slope(self, size: float) -> float:
        """Its derivative by r."""
        u = (self.counts - self.mean) / (size + self.mean)
        return float(self.tallies @ (trigamma_rise(size, self.counts) + u * u / (self.counts + size)))

    def root(self, start: float = np.inf) -> tuple[float, int]:
        """The size at which the score is 0 and the steps it took; infinite where it is positive for all sizes.

        An infinite start is none: the estimate by moments takes its place.
        """
        spread = float(self.tallies @ ((self.counts - self.mean) ** 2 - self.counts))
        if spread <= 0.0:
            return np.inf, 1
        size = start if np.isfinite(start) else float(self.mean * self.tallies.sum() * (self.mean / spread))
        low, high = 0.0, np.inf
        for step in range(1, MAX_STEPS + 1):
            score, slope = self.value(size), self.slope(size)
            low, high = (size, high) if score > 0.0 else (low, size)
            # Newton on log r while the score falls there; doubling or halving, later bisection of logarithms, where it leads out
            curvature = size * slope
            new = size * np.exp(np.clip(-score / curvature, -3.0, 3.0)) if curvature < 0.0 else np.nan
            if abs(new - size) <= (1e-10 if np.isfinite(start) else 1e-9) * size and low < new < high:
                return float(new), step  # a Newton step's error is its square; next to the root signs are rounding
            if not low < new < high:
                new = 4.0 * low if np.isinf(high) else (0.25 * high if low == 0.0 else np.sqrt(low) * np.sqrt(high))
            # near the Poisson limit the score drowns in its rounding: then the bracket around a change of sign is the answer
            if score == 0.0 or abs(new - size) <= 1e-14 * size or high - low <= 1e-13 * size:
                return float(new if score else size), step
            size = float(new)
        return size, MAX_STEPS


@register_kl(NegativeBinomial, NegativeBinomial)
def negative_binomial_kl(p_family: NegativeBinomial, p: Params, q_family: NegativeBinomial, q: Params) -> float | None:
    """For a column of equal sizes as in `_of_equal_sizes`, else the sum of its terms; None where it has too many."""
    total = 0.0
    for j, (size, mean) in enumerate(zip(p["size"], p["mean"], strict=True)):
        if size == q["size"][j]:
            total += _of_equal_sizes(size, mean, q["mean"][j])
            continue
        one, other = ({name: value[j : j + 1] for name, value in params.items()} for params in (p, q))
        counts = p_family.likely_counts(one)
        if counts is None:
            return None
        log_p, log_q = p_family.log_density(counts, one), q_family.log_density(counts, other)
        total += max(float(np.sum(np.exp(log_p) * (log_p - log_q))), 0.0)
    return total


def _of_equal_sizes(size: float, mean: float, other: float) -> float:
    """m log(m / m') - (r + m) log((r + m) / (r + m')) for size r and means m, m'; that of Poisson for an infinite size.

    Written as r f((m - m') / s) + m f(r (m' - m) / (m s)) with f(u) = u - log(1 + u) and s = r + m': neither is negative.
    """
    if np.isinf(size) or mean == 0.0:
        return float(deviance(mean, other) if np.isinf(size) else size * np.log1p(other / size))
    total, change = size + other, other - mean
    of_size = size * log_excess(-change / total, (size + mean) / total)
    return float(of_size + mean * log_excess(size / total * (change / mean), other / mean * ((size + mean) / total)))
