"""What univariate families of counts share: boundary maxima column by column, quantiles, and terms without cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaincc, gammaln

from fastkl._core.array_types import Floats
from fastkl._core.special.gamma_functions import log_excess, stirling_error
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
    with np.errstate(over="ignore"):
        excess = log_excess((mean - safe) / safe, mean / safe)
        return np.where(x > 0.0, safe * excess, mean)


def log_factorial_rest(x: ArrayLike) -> Floats:
    """log x! - (x log x - x) = log(2 pi x) / 2 + Stirling's error, and 0 at 0."""
    x = np.asarray(x, dtype=np.float64)
    safe = np.where(x > 0.0, x, 1.0)
    return np.where(x > 0.0, 0.5 * np.log(2.0 * np.pi * safe) + stirling_error(safe), 0.0)


def poisson_cdf(x: ArrayLike, rate: Floats) -> Floats:
    """P(X <= x) for a Poisson count."""
    k = np.floor(np.asarray(x, dtype=np.float64))
    inside = gammaincc(np.maximum(k, 0.0) + 1.0, rate)
    return np.where(np.isnan(k), np.nan, np.where(k >= 0.0, inside, 0.0))


def poisson_entropy(rate: float) -> float:
    """Entropy of the Poisson distribution: its sum, or from 10^4 on the asymptotic series, with a next term below 1e-16."""
    if rate == 0.0:
        return 0.0
    if rate > 1e4:
        return float(
            0.5 * np.log(2.0 * np.pi * np.e * rate) - 1 / (12 * rate) - 1 / (24 * rate**2) - 19 / (360 * rate**3)
        )
    spread = 12.0 * np.sqrt(rate) + 60.0
    k = np.arange(max(0.0, np.floor(rate - spread)), np.ceil(rate + spread))
    log_p = k * np.log(rate) - rate - gammaln(k + 1.0)
    return float(-np.sum(np.exp(log_p) * log_p))


def discrete_quantile(cdf: Callable[[Floats], Floats], p: ArrayLike, d: int, guess: ArrayLike) -> Floats:
    """The smallest count k >= 0 with cdf(k) >= p, by doubling and bisection on all entries at once; inf for p = 1."""
    p = np.asarray(p, dtype=np.float64)
    shape = np.broadcast_shapes(p.shape, (d,))
    p = np.broadcast_to(p, shape)
    inside = (p >= 0.0) & (p < 1.0)
    low = np.full(shape, -1.0)
    high = np.ceil(np.broadcast_to(np.asarray(guess, dtype=np.float64), shape)) + 1.0
    target = np.where(inside, p, 0.0)
    while np.any(short := cdf(high) < target):
        low, high = np.where(short, high, low), np.where(short, 2.0 * high, high)
    while np.any(high - low > 1.0):
        middle = np.floor(0.5 * (low + high))
        stuck = (middle <= low) | (middle >= high)  # neighbours in floating point, beyond 2^53
        if np.all(stuck):
            break
        enough = cdf(middle) >= target
        low, high = np.where(~stuck & ~enough, middle, low), np.where(~stuck & enough, middle, high)
    return np.where(inside, high, np.where(p == 1.0, np.inf, np.nan))
