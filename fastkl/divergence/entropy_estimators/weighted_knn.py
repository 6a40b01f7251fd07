"""Weighted Kozachenko-Leonenko entropy: several numbers of neighbours combined so that the leading bias terms cancel.

The bias of the k-nearest-neighbour entropy is a series in (k/n)^(2/d), with coefficients that depend on k in a known
way. In four or more columns these terms are larger than the standard error; weights over several k that sum to 1 and
annihilate them make the estimate efficient. The rows are whitened first, so that the estimate moves by log|det A|
exactly when the data are mapped by x -> A x + b.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln, polygamma

from fastkl.divergence.arguments import FloatArray, resolve_neighbors
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised, whiten
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.local_terms import log_unit_ball
from fastkl.exceptions import DegenerateDataError
from fastkl.spatial import NeighborIndex

# Beyond this norm the weights amplify the noise of the single estimates more than they remove bias at usual sample sizes.
_LARGE_NORM = 20.0


def entropy_weights(n_neighbors: int, n_columns: int) -> FloatArray:
    """Give the weights of the numbers of neighbours 1, ..., ``n_neighbors`` in the weighted k-nearest-neighbour entropy.

    Parameters
    ----------
    n_neighbors : int
        Largest number of neighbours, k.
    n_columns : int
        Dimension of the data, d.

    Returns
    -------
    ndarray of shape (n_neighbors,)
        The weights of least norm that sum to 1, with sum_j w_j Gamma(j + 2l/d) / Gamma(j) = 0 for l = 1, ...,
        floor(d/4), and 0 outside floor(k/d), floor(2k/d), ..., k. Some are negative when d >= 4.

    Raises
    ------
    ValueError
        A number is below 1, or k leaves too few points for the conditions (k >= d always suffices).

    Notes
    -----
    Berrett, Samworth and Yuan 2019, doi:10.1214/18-AOS1688.

    Examples
    --------
    >>> from fastkl.divergence import entropy_weights
    >>> w = entropy_weights(8, 4)
    >>> w.round(3)
    array([ 0.   ,  1.656,  0.   ,  0.563,  0.   , -0.263,  0.   , -0.955])
    """
    if n_neighbors < 1 or n_columns < 1:
        raise ValueError(f"n_neighbors and n_columns must be at least 1; found {n_neighbors} and {n_columns}.")
    support = np.unique(np.arange(1, n_columns + 1) * n_neighbors // n_columns)
    support = support[support > 0]
    powers = np.arange(n_columns // 4 + 1) * 2.0 / n_columns
    if len(support) < len(powers):
        raise ValueError(
            f"n_neighbors={n_neighbors} is too small for {n_columns} columns, whose weights meet {len(powers)} "
            f"conditions; take at least {n_columns}."
        )
    conditions = np.exp(gammaln(support + powers[:, None]) - gammaln(support))
    # Rows of one size: the conditions differ by powers of k, and all but the first are homogeneous.
    conditions /= conditions.max(axis=1, keepdims=True)
    weights = np.zeros(n_neighbors)
    weights[support - 1] = np.linalg.lstsq(conditions, np.eye(len(powers))[0], rcond=None)[0]
    return weights


def weighted_knn_entropy(
    X: FloatArray, weights: FloatArray | None = None, *, n_neighbors: int | None = None, n_jobs: int | None = None
) -> Estimate:
    r"""Weighted k-nearest-neighbour entropy of X (n, d), in nats (Berrett, Samworth and Yuan 2019, doi:10.1214/18-AOS1688).

    ``n_neighbors`` is the largest number of neighbours; by default the largest of 3 d, the cube root of n (at most 50) and 5, but
    at most n - 1. Weights are masses, not repetitions: a repeated row has no density.

    With :math:`\rho_{ij}` the distance from row i to its j-th neighbour among the other whitened rows, the local terms are
    :math:`t_{ij} = d \log \rho_{ij} + \log V_d + \log(n - 1) - \psi(j)` and the estimate is :math:`\sum_j w_j \frac1n \sum_i
    t_{ij}` plus the logarithm of the volume change of the whitening. Its variance is taken as :math:`\frac1n (\sum_j w_j
    \frac1n \sum_i t_{ij}^2 - \hat H^2)`, but at least that of the mean of :math:`\sum_j w_j t_{ij}`, as the former can fall
    below 0; to which the noise of the neighbour counts, :math:`\frac1n \sum_{j, l} w_j w_l \psi'(\max(j, l))`, is added once
    more, since each row is also a neighbour of others. With row weights :math:`\psi(N_{ij}) + \log u_{ij} - \log \sum_{l \ne i}
    w_l` takes the place of :math:`\psi(j) - \log(n - 1)`, where the rows within the ball have the weight of :math:`N = (\sum
    w)^2 / \sum w^2` rows of mass :math:`u = \sum w^2 / \sum w`.

    ``diagnostics["unweighted"]`` is the k-nearest-neighbour entropy with the largest k, to compare.
    """
    n, d = X.shape
    shares = normalised(weights, n)
    white, log_volume = whiten(X, shares)
    k = resolve_neighbors(n_neighbors, n, default=max(5, 3 * d, min(50, round(float(np.cbrt(n))))))
    over_k = entropy_weights(k, d)
    support = np.flatnonzero(over_k) + 1
    terms = terms_by_neighbors(white, weights, support, n_jobs)
    value, standard_error = _combine(terms, over_k[support - 1], support, shares)
    single = shares @ terms + log_volume
    norm = float(np.linalg.norm(over_k))
    reasons = []
    if abs(single[-1] - single[0]) > 2.0 * standard_error:
        reasons.append(
            f"The estimates that are averaged range from {single[0]:.3g} with {support[0]} neighbours to {single[-1]:.3g} with "
            f"{support[-1]}: the density varies within such balls, and the weights remove only a part of that bias."
        )
    if norm > _LARGE_NORM:
        reasons.append(
            f"In {d} columns the weights have norm {norm:.3g}: they cancel bias at the price of noise. Compare "
            'method="knn" or method="marginal_split".'
        )
    if k > 0.1 * n:
        reasons.append(f"{k} neighbours are a large part of {n} rows: the density varies within such balls.")
    diagnostics = {
        "n_neighbors": k,
        "weights_norm": norm,
        "unweighted": float(single[-1]),
        "reasons": reasons,
    }
    return Estimate(value + log_volume, standard_error, n, "weighted_knn", diagnostics)


def terms_by_neighbors(
    X: FloatArray, weights: FloatArray | None, numbers: NDArray[np.intp], n_jobs: int | None
) -> FloatArray:
    """Minus the k-nearest-neighbour log-density at each row, for each of the rising ``numbers`` of neighbours."""
    n, d = X.shape
    index = NeighborIndex(X, n_jobs=n_jobs)
    distances = index.query_self(int(numbers[-1]))[:, numbers - 1]
    tied = distances[:, 0] == 0.0
    if tied.any():
        raise DegenerateDataError(
            f"Row {int(np.argmax(tied))} is repeated more than {int(numbers[0])} times ({int(tied.sum())} rows are): "
            "a distribution with atoms has no density, and no differential entropy. For rounded data raise n_neighbors "
            'or use method="spacings"; for categories use categorical_entropy.'
        )
    log_ball = d * np.log(distances) + log_unit_ball(d)
    if weights is None:
        return np.asarray(log_ball + np.log(n - 1.0) - digamma(numbers))
    others = weights.sum() - weights
    for column, radius in zip(log_ball.T, distances.T, strict=True):
        mass, squares = index.weight_self(radius, weights), index.weight_self(radius, weights**2)
        bare = ~((mass > 0.0) & (squares > 0.0) & (others > 0.0))
        if bare.any():
            raise DegenerateDataError(
                f"The weights of the rows around row {int(np.argmax(bare))} are negligible beside its own: the density there "
                "can't be estimated. Cap the largest weights."
            )
        column += np.log(others) - digamma(mass**2 / squares) - np.log(squares / mass)
    return np.asarray(log_ball)


def _combine(
    terms: FloatArray, over_k: FloatArray, numbers: NDArray[np.intp], shares: FloatArray
) -> tuple[float, float]:
    combined = terms @ over_k
    value = float(shares @ combined)
    paper = float(over_k @ (shares @ terms**2)) - value**2
    spread = float(shares @ (combined - value) ** 2)
    noise = float(over_k @ polygamma(1, np.maximum.outer(numbers, numbers)) @ over_k)
    return value, float(np.sqrt((max(paper, spread) + noise) / effective_size(shares)))
