"""Entropy of several continuous columns as the sum of their marginal entropies and the (negative) entropy of their
copula.

Most of the difficulty of skewed or spiky columns lies in their margins, where one dimension and a logarithm deal with
it: a nearest- neighbour search in the raw space sees a density that changes by orders of magnitude within every ball.
What is left, the copula, is measured on normal scores, for which nearest neighbours are at their best. What bias they have
there is measured too: on samples with a normal copula of the same correlations, whose entropy is known.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, ndtri, polygamma

from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.means import Mean
from fastkl.divergence.arguments import DEFAULT_NEIGHBORS, FloatArray, require_count
from fastkl.divergence.diagnostics import drift_reasons
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.margins import OF_A_STEP, margin
from fastkl.divergence.spacings import resolve_window
from fastkl.divergence.surfaces import refuse_surfaces
from fastkl.divergence.weighted_knn import local_terms
from fastkl.divergence.whitening import effective_size, normalised, whiten
from fastkl.exceptions import DegenerateDataError

__all__ = ["marginal_split_entropy"]

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
    """

    terms: FloatArray
    n_neighbors: int
    bias: float
    variance: float
    flattened: float
    drift: float
    reasons: list[str]


def marginal_split_entropy(
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    n_neighbors: int | None = None,
    window: int | None = None,
    random_state: np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Estimate:
    """Entropy by splitting off the margins: spacings for each column, nearest neighbours for the copula, in nats.

    Parameters
    ----------
    X : ndarray of shape (n, d), float32 or float64, finite
        The sample.
    weights : ndarray of shape (n,), default=None
        Row weights >= 0, of which only the ratios matter.
    n_neighbors : int, default=None
        Neighbours for the copula; by default 5, and 1 where the estimate moves from 5 to 10 neighbours more than it does
        for a normal copula.
    window : int, default=None
        Window of the spacings; by default the cube root of n.
    random_state : RandomState, default=None
        For the samples on which the bias is measured; by default they are the same at each call.
    n_jobs : int, default=None
        Threads for the search.

    Returns
    -------
    Estimate
        With ``diagnostics`` ``"marginal_entropies"`` (d,), ``"log_scale"`` (d,) of bool: the columns not taken as they
        are, ``"copula_entropy"`` (minus the mutual information of the columns; at most 0 but for error), ``"entropy_bias"`` that
        was subtracted, ``"n_neighbors"``, ``"window"``, ``"k_sweep_bias"``, ``"bias_suspected"``, ``"reasons"``.

    Raises
    ------
    DegenerateDataError
        A column has a value repeated more often than the window bridges, rows are repeated, or the rows lie in a plane or on a
        surface of second degree.
    ValueError
        ``n_neighbors`` or ``window`` does not fit the number of rows.

    Notes
    -----
    :math:`H(X) = \\sum_j H(X_j) + H(Z) - \\frac d2 \\log(2 \\pi e)`, where Z are the normal scores
    :math:`\\Phi^{-1}(F_j(x_j))` from mid-ranks, whitened for the search. A column is measured on the one of five scales g on
    which gaps twice as long change least (as it is, logarithms of the distances from either end or of their ratio, inverse
    hyperbolic sine): :math:`H(X_j) = H(g(X_j)) - E \\log g'(X_j)`. The squared standard error is the variance of the sum of all
    local terms of a row, plus the noise of the counts, over n, plus the square of a third of what gaps twice as long change; the
    variance that balls smooth away is known for normal columns, and added. From the neighbour estimate its error on samples of n
    rows with a normal copula of the correlations R of the scores, of entropy :math:`\\frac12 \\log \\det R`, is subtracted:
    there the result has mean 0 in any number of columns. Splitting off
    margins is the first step of Ariel and Louzoun 2020, doi:10.3390/e22020236.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence.marginal_split import marginal_split_entropy
    >>> X = np.random.default_rng(0).lognormal(sigma=2.0, size=(2000, 3))
    >>> exact = 3 * (np.log(2.0) + 0.5 * np.log(2 * np.pi * np.e))
    >>> abs(marginal_split_entropy(X) - exact) < 0.3
    True
    """
    if weights is not None and not weights.all():
        X, weights = np.ascontiguousarray(X[weights > 0.0]), weights[weights > 0.0]
    n, d = X.shape
    shares = normalised(weights, n)
    window = resolve_window(window, n, small=True)
    terms, marginal, logged = np.zeros(n), np.zeros(d), np.zeros(d, dtype=bool)
    scores, change = np.empty((n, d)), np.zeros(n)
    for j in range(d):
        column = X[:, j].astype(np.float64)
        own = margin(column, shares, window, f"column {j}")
        logged[j], marginal[j] = own.logged, shares @ own.terms
        terms += own.terms
        change += own.change
        scores[:, j] = _normal_scores(column, shares)
    noise = d * float(polygamma(1, 2 * window))
    copula = Copula(np.zeros(n), 0, 0.0, 0.0, 0.0, 0.0, [])
    if d > 1:
        refuse_surfaces(X)
        rng = np.random.RandomState(0) if random_state is None else random_state
        with single_threaded_blas():
            copula = _copula(scores, weights, _resolve_neighbors(n_neighbors, n), n_neighbors is None, n_jobs, rng)
        terms += copula.terms
        noise += float(polygamma(1, copula.n_neighbors))
    of_copula = float(shares @ copula.terms)
    value = float(marginal.sum()) + of_copula
    variance = max(float(shares @ (terms - value) ** 2) + copula.flattened, noise) + noise
    step = Mean.of(change, weights)
    of_bias = (0.5 * copula.drift) ** 2 + (OF_A_STEP * step.value) ** 2
    error = float(np.sqrt(variance / effective_size(shares) + copula.variance + of_bias))
    moved, left = drift_reasons([window, 2 * window], step, 1, value, error)
    reasons = copula.reasons + ([_of_margins(step.value, left, window)] if moved else [])
    diagnostics = {
        "marginal_entropies": marginal,
        "log_scale": logged,
        "copula_entropy": of_copula,
        "entropy_bias": copula.bias,
        "n_neighbors": copula.n_neighbors,
        "window": window,
        "k_sweep_bias": copula.drift,
        "bias_suspected": bool(reasons),
        "reasons": reasons,
    }
    return Estimate(value, error, n, "marginal_split", diagnostics)


def _normal_scores(column: FloatArray, shares: FloatArray) -> FloatArray:
    """Normal quantiles of the mass below each value plus half of the mass at it; equal for equal values."""
    _, place = np.unique(column, return_inverse=True)
    mass = np.bincount(place, weights=shares)
    below = np.cumsum(mass) - 0.5 * mass
    above = np.cumsum(mass[::-1])[::-1] - 0.5 * mass
    # From the nearer end, where a small mass is not lost beside 1.
    return np.asarray(np.where(below < above, ndtri(below), -ndtri(above))[place])


def _copula(
    scores: FloatArray,
    weights: FloatArray | None,
    k: int,
    by_default: bool,
    n_jobs: int | None,
    rng: np.random.RandomState,
) -> Copula:
    """Minus the log-density of the copula at the rows, less the bias that it has on normal copulas of the same correlations."""
    n, d = scores.shape
    shares = normalised(weights, n)
    numbers = np.array(sorted({1, k, min(2 * k, n - 1)}))
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
    drift = 0.0
    if last > at and weights is None:
        change = Mean.of(found[:, last] - found[:, at])
        expected = float(biases[last] - biases[at])
        noise = float(np.sqrt(polygamma(1, k) / effective_size(shares)))
        reasons, drift = drift_reasons(
            [k, int(numbers[last])], change, d, float(shares @ found[:, at]), noise, expected
        )
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
    return Copula(terms, int(numbers[at]), float(biases[at]), float(spread[at]) / len(drawn), flattened, drift, reasons)


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
    n, d = scores.shape
    centred = scores - shares @ scores
    covariance = centred.T @ (centred * shares[:, np.newaxis])
    deviation = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(deviation, deviation)
    factor = np.linalg.cholesky(correlation + 1e-12 * np.eye(d))
    exact = float(np.log(np.diag(factor)).sum())
    off, variances = [], np.zeros(len(numbers))
    for _ in range(_samples_drawn(n)):
        drawn = rng.standard_normal((n, d)) @ factor.T
        own = np.column_stack([_normal_scores(column, shares) for column in drawn.T])
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
    except DegenerateDataError:
        raise DegenerateDataError(
            "The ranks of one column are a function of those of others, so that the rows lie on a curve or "
            "surface and have no density. Leave out columns that follow from others."
        ) from None
    terms: FloatArray = local_terms(white, weights, numbers, n_jobs)
    # Of the scores' density that of d independent normal ones is taken off: row by row, so that the terms vary as they should,
    # and d/2 log(2 pi e) on the whole.
    squares = 0.5 * np.square(scores).sum(axis=1)
    off = log_volume - 0.5 * scores.shape[1] * float(np.log(2.0 * np.pi * np.e)) + shares @ squares
    terms += (off - squares)[:, np.newaxis]
    return terms


def _of_margins(moved: float, left: float, window: int) -> str:
    return (
        f"The entropies of the columns move by {moved:+.2g} nats in all from gaps over {window} values to {2 * window}: the "
        f"densities vary within the gaps, and a bias of about {left:+.1g} nats is likely."
    )


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


def _resolve_neighbors(n_neighbors: int | None, n: int) -> int:
    if n_neighbors is None:
        return min(DEFAULT_NEIGHBORS, n - 1)
    require_count(n_neighbors, "n_neighbors")
    if n_neighbors >= n:
        raise ValueError(f"n_neighbors={n_neighbors}, but a row of {n} has between 1 and {n - 1} neighbours.")
    return n_neighbors
