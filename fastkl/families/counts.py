"""What univariate families of counts share: boundary maxima column by column, quantiles, and terms without cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from fastkl._core.array_types import Floats
from fastkl._core.special.gamma_functions import log_excess, stirling_error
from fastkl._core.special.gamma_tails import log_gamma_tails
from fastkl.families.univariate import BELOW_INFINITY, UnivariateFamily

# Entropies without a closed form are summed term by term, up to so many terms.
MOST_TERMS = 2_000_000


class CountFamily(UnivariateFamily):
    """A distribution of whole numbers."""

    discrete = True
    support: ClassVar[tuple[float, float, bool]] = (0.0, BELOW_INFINITY, True)
    support_text = "whole numbers of at least 0"


def boundary_sentence(columns: NDArray[np.bool_], sentence: str) -> str:
    """``sentence`` with the columns it holds for."""
    where = np.flatnonzero(columns)
    which = "column" if len(where) == 1 else "columns"
    return f"{sentence} ({which} {', '.join(map(str, where[:10]))}{', ...' if len(where) > 10 else ''})"


def deviance(x: ArrayLike, mean: ArrayLike) -> Floats:
    """x log(x / mean) + mean - x >= 0, exactly 0 for equal arguments; inf where mean is 0 and x is not."""
    x, mean = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(mean, dtype=np.float64))
    safe = np.where(x > 0.0, x, 1.0)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        ratio = mean / safe
        terms = safe * log_excess((mean - safe) / safe, ratio)
        far = (ratio == np.inf) | (ratio < 1e-290)  # where a ratio has no digits its logarithm has
        terms = np.where(far, (mean - safe) - safe * (np.log(mean) - np.log(safe)), terms)
        return np.where(x > 0.0, terms, mean)


def log_factorial_rest(x: ArrayLike) -> Floats:
    """log x! - (x log x - x) = log(2 pi x) / 2 + Stirling's error, and 0 at 0."""
    x = np.asarray(x, dtype=np.float64)
    safe = np.where(x > 0.0, x, 1.0)
    return np.where(x > 0.0, 0.5 * np.log(2.0 * np.pi * safe) + stirling_error(safe), 0.0)


def log_negative_binomial(x: ArrayLike, size: ArrayLike, mean: ArrayLike) -> Floats:
    """log p(x) by size and mean in saddle-point form, as in negative_binomial.h; Poisson at infinite sizes."""
    x, size, mean = np.broadcast_arrays(*(np.asarray(v, dtype=np.float64) for v in (x, size, mean)))
    limit = np.isinf(size)
    r, k, m = np.where(limit, 1.0, size), np.where(x > 0.0, x, 1.0), np.where(mean > 0.0, mean, 1.0)
    total, together = k + r, r + m
    a = (k - m) / together
    b = -a * (r / k)
    lost = r * log_excess(a, total / together) + k * log_excess(b, (m / together) * (total / k))
    rest = 0.5 * (np.log(r) - np.log(k) - np.log(total) - np.log(2.0 * np.pi))
    found = rest - lost + stirling_error(total) - stirling_error(r) - stirling_error(k)
    with np.errstate(over="ignore", invalid="ignore"):
        none = np.where(r < mean, -r * (np.log(r + mean) - np.log(r)), -r * np.log1p(mean / r))
    found = np.where(x > 0.0, np.where(mean > 0.0, found, -np.inf), none)
    return np.where(limit, -deviance(x, mean) - log_factorial_rest(x), found) if limit.any() else found


def log_of_share(counts: Floats, totals: Floats, size: float, share: float) -> Floats:
    """Of counts, the log-probabilities by size times share, where the mean is this share of the totals.

    Rows of few different totals have few pairs of count and total: each is evaluated once.
    """

    def of_pairs(x: Floats, n: Floats) -> Floats:
        return log_negative_binomial(x, size * share, share * n)

    width = float(np.max(totals, initial=0.0)) + 1.0
    pairs = (float(np.max(counts, initial=0.0)) + 1.0) * width
    if pairs > len(counts):
        return of_pairs(counts, totals)
    codes = (counts * width + totals).astype(np.intp)
    occurs = np.zeros(int(pairs), dtype=bool)
    occurs[codes] = True
    values, present = np.empty(len(occurs)), np.flatnonzero(occurs)
    values[present] = of_pairs((present // int(width)).astype(np.float64), (present % int(width)).astype(np.float64))
    return np.asarray(values[codes])


def log_poisson_tails(x: ArrayLike, rate: ArrayLike) -> tuple[Floats, Floats]:
    """log P(X <= x) and log P(X > x) of a Poisson count, elementwise."""
    x, rate = np.broadcast_arrays(np.asarray(x, dtype=np.float64), np.asarray(rate, dtype=np.float64))
    k = np.floor(x)
    inside = (k >= 0.0) & (k < np.inf)
    at = np.where(inside, k, 0.0)
    # P(X > k) is the probability that a gamma variable of shape k + 1 is below the rate
    upper, lower = log_gamma_tails(at + 1.0, rate, (rate - at) - 1.0)
    return outside_counts(k, inside, lower, upper)


def outside_counts(k: Floats, inside: NDArray[np.bool_], lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """The tails given inside, those of a distribution that begins at 0 or later for other k, and NaN for NaN."""
    below, above = np.where(np.isnan(k), np.nan, -np.inf), np.where(np.isnan(k), np.nan, 0.0)
    infinite = k == np.inf
    return (
        np.where(inside, lower, np.where(infinite, 0.0, below)),
        np.where(inside, upper, np.where(infinite, -np.inf, above)),
    )


def skewed_guess(p: ArrayLike, upper: bool, mean: Floats, variance: Floats, skewness: Floats) -> Floats:
    """About the quantile of a distribution with these moments (E. A. Cornish, R. A. Fisher 1938)."""
    z = np.clip(-ndtri(p) if upper else ndtri(p), -40.0, 40.0)
    return mean - 0.5 + np.sqrt(variance) * (z + skewness * (z * z - 1.0) / 6.0)


def smallest_mode(limit: Floats) -> Floats:
    """The most probable count where p(k) >= p(k - 1) up to k = limit; the smaller one of two that are as probable."""
    return np.maximum(np.ceil(limit) - 1.0, 0.0)


def poisson_entropy(rate: float) -> float:
    """Entropy of the Poisson distribution: its sum, or from 10^4 on the asymptotic series, with a next term below 1e-16."""
    if rate == 0.0:
        return 0.0
    if rate > 1e4:
        r = 1.0 / rate  # whose powers become 0 where those of the largest rates overflow
        return float(0.5 * (np.log(2.0 * np.pi * np.e) + np.log(rate)) - r / 12.0 - r**2 / 24.0 - 19.0 * r**3 / 360.0)
    spread = 12.0 * np.sqrt(rate) + 60.0
    k = np.arange(max(0.0, np.floor(rate - spread)), np.ceil(rate + spread))
    log_p = -deviance(k, rate) - log_factorial_rest(k)
    return float(-np.sum(np.exp(log_p) * log_p))


def summed_tails(
    mp: Any, k: Any, mean: Any, log_term: Callable[[Any], Any], ratio: Callable[[Any], Any]
) -> tuple[Any, Any]:
    """P(X <= k) and P(X > k) for a textbook: the smaller one term by term, ``ratio(k)`` being p(k) / p(k - 1).

    ``mp`` is mpmath, with the precision that it has.
    """
    above = k + 1 > mean
    k = k + 1 if above else k
    term = total = mp.exp(log_term(k))
    while (above or k > 0) and term > total * mp.mpf(10) ** -30:
        term = term * ratio(k + 1) if above else term / ratio(k)
        k = k + 1 if above else k - 1
        total += term
    return (1 - total, total) if above else (total, 1 - total)


def summed_entropy(mp: Any, mean: Any, log_term: Callable[[Any], Any], ratio: Callable[[Any], Any]) -> Any:
    """Entropy for a textbook, likewise, as minus the sum of p log p from the mean on to both sides."""
    middle = mp.floor(mean)
    total = mp.mpf(0)
    for step in (1, -1):
        k = middle if step > 0 else middle - 1
        term = mp.exp(log_term(k)) if k >= 0 else mp.mpf(0)
        while k >= 0 and (term > mp.mpf(10) ** -25):
            total -= term * mp.log(term)
            term = term * ratio(k + 1) if step > 0 else term / ratio(k) if k > 0 else term
            k += step
    return total
