"""The copula of a sample: the density of the ranks of its columns, by nearest neighbours whose bias is measured and subtracted.

Ranks are brought to normal scores, for which nearest neighbours are at their best, and whitened. What bias neighbours have there
is measured on samples with a normal copula of the same correlations, whose entropy is known. The entropy of the copula is minus
what the columns tell of each other, whatever their own distributions are.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, ndtri, polygamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.entropy_estimators.weighted_knn import terms_by_neighbors
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised, whiten
from fastkl.divergence.nearest.diagnostics import drift_reasons
from fastkl.divergence.nearest.levelled_weights import levelled_weights
from fastkl.exceptions import DegenerateDataError

# Samples with a normal copula on which the bias is measured: of so many rows in all, but not more samples than that. They are the
# same at each call, so that their noise would be a bias of everybody's.
_ROWS_DRAWN, _MOST_DRAWN = 10_000, 40
# And so many up to so many rows: their noise falls with the rows.
_FEWEST_DRAWN = ((20_000, 4), (200_000, 2), (np.inf, 1))
# Where neighbours fill so much less than all dimensions, the rows are near a curve or a surface.
_MISSING_DIMENSION = 0.6


class Copula(NamedTuple):
    """The entropy of the copula.

    Attributes
    ----------
    terms : ndarray of shape (n,)
        Minus its log-density at the rows, by the number of neighbours that was chosen, less the bias.
    n_neighbors : int
        That number.
    bias : float
        Mean of what the same calculation is off by on samples with a normal copula.
    variance : float
        Of that bias.
    flattened : float
        By how much the local terms of whole rows vary too little, since balls in many columns smooth the density.
    drift : float
        The bias that is left, by what the estimate moves with the number of neighbours beyond what it does on those samples.
    reasons : list of str
        Doubts.
    moved : float
        The size of that bias beyond what chance moves, also where there is no doubt.
    """

    terms: FloatArray
    n_neighbors: int
    bias: float
    variance: float
    flattened: float
    drift: float
    reasons: list[str]
    moved: float


def rank_scores(column: FloatArray, shares: FloatArray) -> FloatArray:
    """Normal quantiles of the mass below each value plus half of the mass at it; equal for equal values."""
    _, place = np.unique(column, return_inverse=True)
    mass = np.bincount(place, weights=shares)
    below = np.cumsum(mass) - 0.5 * mass
    above = np.cumsum(mass[::-1])[::-1] - 0.5 * mass
    # From the nearer end, where a small mass is not lost beside 1.
    return np.asarray(np.where(below < above, ndtri(below), -ndtri(above))[place])


def copula_of(
    scores: FloatArray,
    weights: FloatArray | None,
    k: int,
    by_default: bool,
    n_jobs: int | None,
    rng: np.random.RandomState,
    reach: int = 4,
) -> Copula:
    """Minus the log-density of the copula at the rows, less the bias that it has on normal copulas of the same correlations.

    What is left of it is told by as many times k neighbours as ``reach``: along a curve or a surface it is as large as the step
    to them, and by twice as many it is not told from noise.
    """
    n, d = scores.shape
    shares = normalised(weights, n)
    numbers = np.array(sorted({1, k, min(reach * k, n - 1)}))
    try:
        found = _copula_terms(scores, weights, shares, numbers, n_jobs)
    except DegenerateDataError:
        numbers = numbers[numbers >= k]  # rows that are repeated fewer than k times have a density on the scale of k
        found = _copula_terms(scores, weights, shares, numbers, n_jobs)
    drawn, variances = _on_normal_copulas(scores, weights, shares, numbers, n_jobs, rng)
    biases = drawn.mean(axis=0)
    spread = drawn.var(axis=0, ddof=1) if len(drawn) > 1 else np.zeros(len(numbers))
    at, last = int(np.searchsorted(numbers, k)), len(numbers) - 1
    reasons: list[str] = []
    drift = moved = 0.0
    if last > at and weights is None:
        change = Mean.of(found[:, last] - found[:, at])
        expected = float(biases[last] - biases[at])
        noise = float(np.sqrt(polygamma(1, k) / effective_size(shares)))
        reasons, drift = drift_reasons(
            [k, int(numbers[last])], change, d, float(shares @ found[:, at]), noise, expected
        )
        by_chance = 2.0 * change.variance(np.inf) / change.weight / (float(numbers[last] / k) ** (1.0 / d) - 1.0) ** 2
        moved = float(np.sqrt(max(drift**2 - by_chance, 0.0)))
        reasons = _of_dimensions(change.value, expected, k, int(numbers[last]), d) or reasons
    if not reasons:
        drift = 0.0
    elif by_default and numbers[0] == 1 < k:
        drift, at = float((shares @ found[:, at] - biases[at]) - (shares @ found[:, 0] - biases[0])), 0
    terms = found[:, at] - biases[at]
    value, least = float(shares @ terms), float(np.sqrt(polygamma(1, int(numbers[at])) / effective_size(shares)))
    if value > 3.0 * least and value > 0.05:
        reasons.append(
            f"The entropy found for the copula, {value:.3g}, is above its maximum 0: nearest neighbours fail there."
        )
    # The log-density of d normal columns has the variance d/2, whatever their correlations; counts add their noise.
    flattened = max(0.5 * d + float(polygamma(1, int(numbers[at]))) - float(variances[at]), 0.0)
    return Copula(
        terms, int(numbers[at]), float(biases[at]), float(spread[at]) / len(drawn), flattened, drift, reasons, moved
    )


def _on_normal_copulas(
    scores: FloatArray,
    weights: FloatArray | None,
    shares: FloatArray,
    numbers: NDArray[np.intp],
    n_jobs: int | None,
    rng: np.random.RandomState,
) -> tuple[FloatArray, FloatArray]:
    """What the calculation is off by on samples with a normal copula: one row per sample, one column per number of neighbours.

    With it the mean variance of the local terms of whole rows with normal columns, for each number of neighbours.
    """
    d = scores.shape[1]
    centred = scores - shares @ scores
    covariance = centred.T @ (centred * shares[:, np.newaxis])
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    factor = np.linalg.cholesky(correlation + 1e-12 * np.eye(d))
    exact = float(np.log(np.diag(factor)).sum())
    weights = levelled_weights(scores, weights, n_jobs)
    n = len(scores) if weights is None else len(weights)
    shares = normalised(weights, n)
    off, variances = [], np.zeros(len(numbers))
    for _ in range(_samples_drawn(n)):
        drawn = rng.standard_normal((n, d)) @ factor.T
        own = np.column_stack([rank_scores(column, shares) for column in drawn.T])
        terms = _copula_terms(own, weights, shares, numbers, n_jobs)
        off.append(shares @ terms - exact)
        whole = terms + 0.5 * np.square(own).sum(axis=1)[:, np.newaxis]
        variances += shares @ np.square(whole - shares @ whole)
    return np.array(off), variances / len(off)


def _samples_drawn(n: int) -> int:
    """On how many samples of n rows the bias is measured."""
    fewest = next(count for rows, count in _FEWEST_DRAWN if n <= rows)
    return min(max(_ROWS_DRAWN // n, fewest), _MOST_DRAWN)


def _copula_terms(
    scores: FloatArray, weights: FloatArray | None, shares: FloatArray, numbers: NDArray[np.intp], n_jobs: int | None
) -> FloatArray:
    """Minus the log-density of the copula at each row, for each number of neighbours."""
    try:
        white, log_volume = whiten(scores, shares)
    except DegenerateDataError as error:
        if error.column is None:
            raise
        raise DegenerateDataError(
            f"The ranks of column {error.column} are a function of those of columns before it, so that the rows lie on a curve "
            "or surface and have no density. Leave out columns that follow from others.",
            error.column,
        ) from None
    terms: FloatArray = terms_by_neighbors(white, weights, numbers, n_jobs)
    # Of the scores' density that of d independent normal ones is taken off: row by row, so that the terms vary as they should,
    # and d/2 log(2 pi e) on the whole.
    squares = 0.5 * np.square(scores).sum(axis=1)
    off = log_volume - 0.5 * scores.shape[1] * float(np.log(2.0 * np.pi * np.e)) + shares @ squares
    terms += (off - squares)[:, np.newaxis]
    return terms


def _of_dimensions(change: float, expected: float, k: int, largest: int, d: int) -> list[str]:
    """Why the rows may have no density: their neighbours fill fewer dimensions than those of a normal copula."""
    log_ratio = float(digamma(largest) - digamma(k))
    filled, usual = (d * log_ratio / max(moved + log_ratio, 1e-300) for moved in (change, expected))
    if filled > usual - _MISSING_DIMENSION:
        return []
    return [
        f"The neighbours of a row fill about {filled:.1f} of {d} dimensions: the rows are near a curve or a surface. If they are "
        f"on one, there is no density and the estimate falls without end as rows are added; if the density is narrow around it, "
        f"the estimate is too large."
    ]
