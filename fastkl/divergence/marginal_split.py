"""Entropy of several continuous columns as the sum of their marginal entropies and the (negative) entropy of their
copula.

Most of the difficulty of skewed or spiky columns lies in their margins, where one dimension and a logarithm deal with
it: a nearest- neighbour search in the raw space sees a density that changes by orders of magnitude within every ball.
What is left, the copula, is measured on normal scores, for which nearest neighbours are at their best.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri, polygamma

from fastkl.divergence.arguments import FloatArray, require_count
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.spacings import resolve_window, spacing_terms
from fastkl.divergence.weighted_knn import local_terms
from fastkl.divergence.whitening import effective_size, normalised, whiten
from fastkl.exceptions import DegenerateDataError

__all__ = ["marginal_split_entropy"]


def marginal_split_entropy(
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    n_neighbors: int | None = None,
    window: int | None = None,
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
        Neighbours for the copula; by default 10 in two columns, 5 in three, 3 in four, 1 beyond, where the bias of
        larger numbers outweighs the noise of smaller ones.
    window : int, default=None
        Window of the spacings; by default the cube root of n.
    n_jobs : int, default=None
        Threads for the search.

    Returns
    -------
    Estimate
        With ``diagnostics`` ``"marginal_entropies"`` (d,), ``"log_scale"`` (d,) of bool: the columns taken on a log
        scale,
        ``"copula_entropy"`` (minus the mutual information of the columns; at most 0 but for error), ``"n_neighbors"``,
        ``"window"``, ``"bias_suspected"``, ``"reasons"``.

    Raises
    ------
    DegenerateDataError
        A column has a value repeated more often than the window bridges, rows are repeated, or the scores lie in a
        plane.
    ValueError
        ``n_neighbors`` or ``window`` does not fit the number of rows.

    Notes
    -----
    :math:`H(X) = \\sum_j H(X_j) + H(Z) - \\frac d2 \\log(2 \\pi e)`, where Z are the normal scores
    :math:`\\Phi^{-1}(F_j(x_j))` from mid-ranks, whitened for the search. A column of positive values that is less
    skewed after taking logarithms is measured so: :math:`H(X_j) = H(\\log X_j) + E \\log X_j`. The squared standard
    error is the variance of the sum of all local terms of a row, plus the noise of the counts, over n. Splitting off
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
    scores = np.empty((n, d))
    for j in range(d):
        column = X[:, j].astype(np.float64)
        logged[j] = _better_logged(column, shares)
        own = _marginal_terms(column, shares, window, bool(logged[j]), f"column {j}")
        marginal[j] = shares @ own
        terms += own
        scores[:, j] = _normal_scores(column, shares)
    noise = d * float(polygamma(1, 2 * window))
    k, copula = 0, 0.0
    if d > 1:
        k = _resolve_neighbors(n_neighbors, n, d)
        joint = _copula_terms(scores, weights, shares, k, n_jobs)
        copula = float(shares @ joint)
        terms += joint
        noise += float(polygamma(1, k))
    value = float(marginal.sum()) + copula
    variance = max(float(shares @ (terms - value) ** 2), noise) + noise
    diagnostics = {
        "marginal_entropies": marginal,
        "log_scale": logged,
        "copula_entropy": copula,
        "n_neighbors": k,
        "window": window,
        **_diagnostics(copula, float(np.sqrt(noise / n)), d),
    }
    return Estimate(value, float(np.sqrt(variance / effective_size(shares))), n, "marginal_split", diagnostics)


def _better_logged(column: FloatArray, shares: FloatArray) -> bool:
    if column.min() <= 0.0:
        return False
    return _skewness(np.log(column), shares) < _skewness(column, shares)


def _skewness(column: FloatArray, shares: FloatArray) -> float:
    """Size of the skewness; 0 for a constant column, which the spacings reject with a better message."""
    centred = column - shares @ column
    scale = float(np.abs(centred).max())
    if scale == 0.0:
        return 0.0
    centred /= scale
    variance = float(shares @ centred**2)
    return abs(float(shares @ centred**3)) / (variance * float(np.sqrt(variance)))


def _marginal_terms(column: FloatArray, shares: FloatArray, window: int, logged: bool, name: str) -> FloatArray:
    if not logged:
        return spacing_terms(column, shares, window, "digamma", name)
    logs = np.log(column)
    return spacing_terms(logs, shares, window, "digamma", f"the logarithm of {name}") + logs


def _normal_scores(column: FloatArray, shares: FloatArray) -> FloatArray:
    """Normal quantiles of the mass below each value plus half of the mass at it; equal for equal values."""
    _, place = np.unique(column, return_inverse=True)
    mass = np.bincount(place, weights=shares)
    below = np.cumsum(mass) - 0.5 * mass
    above = np.cumsum(mass[::-1])[::-1] - 0.5 * mass
    # From the nearer end, where a small mass is not lost beside 1.
    return np.asarray(np.where(below < above, ndtri(below), -ndtri(above))[place])


def _copula_terms(
    scores: FloatArray, weights: FloatArray | None, shares: FloatArray, k: int, n_jobs: int | None
) -> FloatArray:
    d = scores.shape[1]
    try:
        white, log_volume = whiten(scores, shares)
    except DegenerateDataError:
        raise DegenerateDataError(
            "The ranks of one column are a function of those of others, so that the rows lie on a curve or "
            "surface and have no density. Leave out columns that follow from others."
        ) from None
    terms: FloatArray = local_terms(white, weights, np.array([k]), n_jobs)[:, 0]
    terms += log_volume - 0.5 * d * float(np.log(2.0 * np.pi * np.e))
    return terms


def _diagnostics(copula: float, noise: float, d: int) -> dict[str, object]:
    reasons: list[str] = []
    if copula > 3.0 * noise and copula > 0.05:
        reasons.append(
            f"The entropy found for the copula, {copula:.3g}, is above its maximum 0: nearest neighbours fail there."
        )
    if d > 10:
        reasons.append(
            f"Dependence between {d} columns is measured by nearest neighbours, which are biased in so many dimensions."
        )
    return {"bias_suspected": bool(reasons), "reasons": reasons}


def _resolve_neighbors(n_neighbors: int | None, n: int, d: int) -> int:
    if n_neighbors is None:
        return min(next((k for most, k in ((2, 10), (3, 5), (4, 3)) if d <= most), 1), n - 1)
    require_count(n_neighbors, "n_neighbors")
    if n_neighbors >= n:
        raise ValueError(f"n_neighbors={n_neighbors}, but a row of {n} has between 1 and {n - 1} neighbours.")
    return n_neighbors
