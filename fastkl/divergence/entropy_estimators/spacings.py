"""Entropy of one continuous column from the gaps between its order statistics: a sort, no search.

A gap of 0 stops with an error: its logarithm would be -inf, and any number put in its place would be made up.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, polygamma

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised, spread
from fastkl.divergence.estimate import Estimate
from fastkl.exceptions import DegenerateDataError


def spacings_entropy(
    x: FloatArray, method: str = "digamma", window: int | None = None, *, weights: FloatArray | None = None
) -> Estimate:
    r"""Entropy of a univariate continuous distribution by m-spacings, in nats, of x (n,) or (n, 1).

    The mean log of the gap between the order statistics m below and m above, over the share of the sample that is within it
    (O. Vasicek 1976, doi:10.1111/j.2517-6161.1976.tb01566.x; at the ends the share that is really within it, N. Ebrahimi, K.
    Pflughoeft and E. Soofi 1994, doi:10.1016/0167-7152(94)90046-9). Where the density is constant, the share of the distribution
    within a gap of c ranks has a beta distribution with :math:`\psi(c) - \psi(n + 1)` as the expectation of its logarithm, which
    is taken for it and removes the bias of small windows. Weights are masses: a repeated value makes gaps smaller, a weight does
    not.

    The variance is taken as :math:`(v + \psi'(2m)) / n`, where v is the variance of the log gaps, at least :math:`\psi'(2m)`, the
    noise of a gap over 2m ranks. It does not cover the bias.

    That is ``method="digamma"``. Published rules without weights are those of scipy: ``"vasicek"``, ``"ebrahimi"``, ``"correa"``
    and ``"van_es"``. The window is the rank distance m, by default the cube root of n.
    """
    x = np.asarray(x, dtype=np.float64)
    if x.ndim == 2 and x.shape[1] != 1:
        raise ValueError(
            f'Spacings order the values of one column; found {x.shape[1]} columns. Use method="knn" or '
            'method="marginal_split", which splits off the margins.'
        )
    x = x.reshape(-1)
    n = len(x)
    if weights is not None and method != "digamma":
        raise ValueError(f"method={method!r} takes no weights.")
    window, shares = spacings_window(n) if window is None else window, normalised(weights, n)
    if not 0 < 2 * window < n:
        raise ValueError(f"window={window} must be at least 1 and less than half the number of values, {n}.")
    terms = spacing_terms(x, shares, window, name="x")
    value = float(shares @ terms) if method == "digamma" else _by_scipy(x, window, method)
    noise = float(polygamma(1, 2 * window))
    # each row is also an end of other gaps
    variance = (max(spread(terms, shares), noise) + noise) / effective_size(shares)
    return Estimate(value, float(np.sqrt(variance)), n, f"spacings_{method}", {"window": window})


def _by_scipy(x: FloatArray, window: int, method: Any) -> float:
    # scipy.stats takes longer to import than all of this package: only who needs it waits.
    from scipy.stats import differential_entropy

    return float(differential_entropy(x, window_length=window, method=method.replace("_", " ")))


def spacings_window(n: int) -> int:
    """The half-width of the gaps, by the cube root of the number of values."""
    if n < 3:
        raise ValueError(f"Spacings need at least 3 values; found {n}.")
    return min(int(float(np.cbrt(n)) + 0.5), (n - 1) // 2)


def bridges(x: NDArray[Any], window: int) -> bool:
    """Whether no gap between order statistics so far apart is 0."""
    ordered = np.sort(x)
    first, last = ordered[window] > ordered[0], ordered[-1] > ordered[-1 - window]
    return bool(first and last and (ordered[2 * window :] > ordered[: -2 * window]).all())


def spacing_terms(x: FloatArray, shares: FloatArray, window: int, name: str) -> FloatArray:
    """Minus the log-density at each row, in their order: log of the gap around its value over the expected share within.

    ``shares`` are positive masses with sum 1, ``window`` is the rank distance to either end of a gap, and ``name`` that of the
    column, for the message when a gap is 0.
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
    if mass.min() < mass.max():
        within, unequal = _without_own(within, mass, low, high)
    if not within.min() > 0.0:
        raise DegenerateDataError(
            f"Weights around the value {float(ordered[int(np.argmin(within))])!r} of {name} are negligible beside the others: "
            "the density there can't be estimated. Leave such rows out."
        )
    terms = np.empty(n)
    terms[order] = np.log(gap) - np.log(within)
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


def _reject_ties(gap: FloatArray, ordered: FloatArray, window: int, name: str) -> None:
    tied = gap <= 0.0
    if tied.any():
        value = float(ordered[int(np.argmax(tied))])
        raise DegenerateDataError(
            f"The value {value!r} of {name} is repeated more often than a window of {window} bridges: a distribution "
            "with atoms has no density, and no differential entropy. For rounded data take a larger window; for "
            "categories use categorical_entropy."
        )
