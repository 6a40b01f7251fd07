"""Entropy of one continuous column from the gaps between its order statistics: a sort, no search.

Three of the estimates are means of log(gap / share of the sample within it), and are formed here so,
since the share takes row weights as well; the other two come from scipy, without weights. A gap of 0 stops with an
error: its logarithm would be -inf, and any number put in its place would be made up.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from fastkl.divergence.arguments import FloatArray, require_count
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised, spread
from fastkl.divergence.estimate import Estimate
from fastkl.exceptions import DegenerateDataError

__all__ = ["spacings_entropy"]

_WEIGHTED = ("digamma", "ebrahimi", "vasicek")
_METHODS = (*_WEIGHTED, "correa", "van_es")


def spacings_entropy(
    x: FloatArray, method: str = "digamma", window: int | None = None, *, weights: FloatArray | None = None
) -> Estimate:
    """Entropy of a univariate continuous distribution by m-spacings, in nats.

    Parameters
    ----------
    x : ndarray of shape (n,) or (n, 1), float64, finite
        The sample.
    method : {"digamma", "ebrahimi", "vasicek", "correa", "van_es"}, default="digamma"
        ``"vasicek"``: mean log of the gap between the order statistics m below and m above, times n / (2 m); gaps cut
        short at the ends make it too small. ``"ebrahimi"``: the same with the share of the sample that is really within
        the gap.
        ``"digamma"``: the same with the exact expectation of the logarithm of that share, which removes the bias of
        small windows, so that a small window can be taken. ``"correa"``: slopes of local regressions instead of gaps.
        ``"van_es"``: one-sided gaps with a correction of the mean.
    window : int, default=None
        Rank distance m to either end of a gap, below n / 2; by default the square root of n, rounded, for ``"digamma"``
        its cube root.
    weights : ndarray of shape (n,), default=None
        Row weights >= 0, of which only the ratios matter; not for ``"correa"`` and ``"van_es"``. They are masses: a
        repeated value makes gaps smaller, a weight does not.

    Returns
    -------
    Estimate
        With ``diagnostics`` ``"window"``, ``"bias_suspected"``, ``"reasons"``. The standard error, the same for all
        four, is that of the mean log gap and does not cover their bias.

    Raises
    ------
    DegenerateDataError
        A gap is 0: values are repeated more often than the window bridges.
    ValueError
        ``x`` has several columns, the window does not fit, or the method takes no weights.

    Notes
    -----
    Vasicek: :math:`\\frac1n \\sum_i \\log [\\frac{n}{2m} (x_{(i+m)} - x_{(i-m)})]` with indices cut to 1..n (1976,
    doi:10.1111/j.2517-6161.1976.tb01566.x); Ebrahimi, Pflughoeft and Soofi 1994, doi:10.1016/0167-7152(94)90046-9;
    Correa 1995, doi:10.1080/03610929508831626; van Es 1992, Scandinavian Journal of Statistics 19, 61-72. Where the
    density is constant, the share of the distribution within a gap of c ranks has a beta distribution with
    :math:`\\psi(c) - \\psi(n + 1)` as the expectation of its logarithm, which ``"digamma"`` takes. The variance of the
    estimate is taken as :math:`(v + \\psi'(2m)) / n`, where v is the variance of the log gaps, at least
    :math:`\\psi'(2m)`, the noise of a gap over 2m ranks.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence.entropy_estimators.spacings import spacings_entropy
    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> abs(spacings_entropy(x) - 1.418939) < 0.1
    True
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 2 and x.shape[1] != 1:
        raise ValueError(
            f'Spacings order the values of one column; found {x.shape[1]} columns. Use method="knn" or '
            'method="marginal_split", which splits off the margins.'
        )
    x = x.reshape(-1)
    if method not in _METHODS:
        raise ValueError(f"method={method!r} is unknown; choose one of {', '.join(_METHODS)}.")
    if weights is not None:
        if method not in _WEIGHTED:
            raise ValueError(f"method={method!r} takes no weights; {', '.join(_WEIGHTED)} do.")
        x, weights = x[weights > 0.0], weights[weights > 0.0]
    n = len(x)
    window = resolve_window(window, n, small=method == "digamma")
    shares = normalised(weights, n)
    terms = spacing_terms(x, shares, window, method, name="x")
    if method == "correa":
        value = _by_scipy(x, window, "correa")
    elif method == "van_es":
        # Its gaps are half as long, so that they can be 0 where those of the others are not.
        ordered = np.sort(x)
        _reject_ties(ordered[window:] - ordered[:-window], ordered[:-window], window, "x")
        value = _by_scipy(x, window, "van es")
    else:
        value = float(shares @ terms)
    standard_error = np.sqrt(spacing_variance(spread(terms, shares), window) / effective_size(shares))
    return Estimate(value, float(standard_error), n, f"spacings_{method}", {"window": window})


def _by_scipy(x: FloatArray, window: int, method: Literal["correa", "van es"]) -> float:
    # scipy.stats takes longer to import than all of this package: only who needs it waits.
    from scipy.stats import differential_entropy

    return float(differential_entropy(x, window_length=window, method=method))


def resolve_window(window: int | None, n: int, *, small: bool) -> int:
    """The half-width of the gaps, by default by the square root or the cube root of the number of values."""
    if window is None:
        if n < 3:
            raise ValueError(f"Spacings need at least 3 values; found {n}.")
        window = min(int(float(np.cbrt(n) if small else np.sqrt(n)) + 0.5), (n - 1) // 2)
    require_count(window, "window")
    if 2 * window >= n:
        raise ValueError(f"window={window} must be at least 1 and less than half the number of values, {n}.")
    return window


def bridges(x: NDArray[Any], window: int) -> bool:
    """Whether no gap between order statistics so far apart is 0."""
    ordered = np.sort(x)
    first, last = ordered[window] > ordered[0], ordered[-1] > ordered[-1 - window]
    return bool(first and last and (ordered[2 * window :] > ordered[: -2 * window]).all())


def spacing_terms(x: FloatArray, shares: FloatArray, window: int, method: str, name: str) -> FloatArray:
    """Minus the log-density at each row: log of the gap around its value over the share of the sample within.

    Parameters
    ----------
    x : ndarray of shape (n,)
        Values in any order; the terms have the same order.
    shares : ndarray of shape (n,)
        Positive masses with sum 1.
    window : int
        Rank distance m to either end of the gap.
    method : str
        ``"vasicek"`` counts ranks beyond the ends of the sample as if there were rows, ``"digamma"`` corrects the
        logarithm of the share.
    name : str
        For the message when a gap is 0.
    """
    n = len(x)
    order = np.argsort(x, kind="stable")
    ordered, mass = x[order], shares[order]
    # Half of a row's own mass lies on either side of it.
    position = np.cumsum(mass) - 0.5 * mass
    rank = np.arange(n)
    low, high = np.maximum(rank - window, 0), np.minimum(rank + window, n - 1)
    gap = ordered[high] - ordered[low]
    _reject_ties(gap, ordered, window, name)
    ranks = high - low
    within = position[high] - position[low]
    unequal: FloatArray | float = 0.0
    if method == "digamma" and mass.min() < mass.max():
        within, unequal = _without_own(within, mass, low, high)
    if method == "vasicek":
        within += (2 * window - ranks) / n
    if not within.min() > 0.0:
        raise DegenerateDataError(
            f"Weights around the value {float(ordered[int(np.argmin(within))])!r} of {name} are negligible beside the others: "
            "the density there can't be estimated. Leave such rows out."
        )
    terms = np.empty(n)
    terms[order] = np.log(gap) - np.log(within)
    if method == "digamma":
        terms[order] += np.log(ranks) - digamma(ranks) + (digamma(n + 1.0) - np.log(n)) - unequal
    return terms


def _without_own(
    within: FloatArray, mass: FloatArray, low: NDArray[np.intp], high: NDArray[np.intp]
) -> tuple[FloatArray, FloatArray]:
    """Shares within gaps by the other rows, and what the mean of their logarithms is too small by.

    A row counts by its mass, so that gaps around heavy ones would count most, and their shares, which the row itself is part of,
    would be too large: its place is taken by the mean of the others. The logarithm of a sum of c unequal masses is on average
    half of their relative variance over c below that of its expectation.
    """
    ranks = high - low
    others = within - mass
    squares = np.concatenate([[0.0], np.cumsum(np.square(mass))])
    of_others = (
        squares[high + 1] - squares[low] - 0.5 * (np.square(mass[low]) + np.square(mass[high])) - np.square(mass)
    )
    count = np.maximum(ranks - 1, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = count * of_others / np.square(others) - 1.0
    alone = ~(others > 0.0) | (ranks < 2)
    shares = np.where(alone, within, others * ranks / count)
    return shares, np.where(alone, 0.0, np.maximum(variance, 0.0) / (2.0 * count))


def spacing_variance(variance: float, window: int) -> float:
    """Variance of a log gap as it enters the error of their mean: each row is also an end of other gaps."""
    noise = float(polygamma(1, 2 * window))
    return max(variance, noise) + noise


def _reject_ties(gap: FloatArray, ordered: FloatArray, window: int, name: str) -> None:
    tied = gap <= 0.0
    if tied.any():
        value = float(ordered[int(np.argmax(tied))])
        raise DegenerateDataError(
            f"The value {value!r} of {name} is repeated more often than a window of {window} bridges: a distribution "
            "with atoms has no density, and no differential entropy. For rounded data take a larger window; for "
            "categories use categorical_entropy."
        )
