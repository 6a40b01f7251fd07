"""Entropy of several continuous columns as the sum of their marginal entropies and the (negative) entropy of their copula.

Most of the difficulty of skewed or spiky columns lies in their margins, where one dimension and a logarithm deal with it: a
nearest-neighbour search in the raw space sees a density that changes by orders of magnitude within every ball. What is left,
the copula, is measured on normal scores, for which nearest neighbours are at their best. What bias they have there is measured
too: on samples with a normal copula of the same correlations, whose entropy is known.
"""

from __future__ import annotations

import numpy as np
from scipy.special import polygamma

from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, resolve_neighbors
from fastkl.divergence.entropy_estimators.copulas import Copula, copula_of, rank_scores
from fastkl.divergence.entropy_estimators.margins import OF_A_STEP, margin
from fastkl.divergence.entropy_estimators.spacings import spacings_window
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised, spread
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.diagnostics import drift_reasons


def marginal_split_entropy(
    X: FloatArray,
    weights: FloatArray | None = None,
    *,
    n_neighbors: int | None = None,
    random_state: np.random.RandomState | None = None,
    n_jobs: int | None = None,
) -> Estimate:
    r"""Entropy of X (n, d) by splitting off the margins: spacings for each column, nearest neighbours for the copula, in nats.

    ``n_neighbors`` are those for the copula; by default 5, and 1 where the estimate moves from 5 to 20 neighbours more than it
    does for a normal copula. ``random_state`` is for the samples on which the bias is measured; by default they are the same at
    each call.

    .. math:: H(X) = \sum_j H(X_j) + H(Z) - \frac d2 \log(2 \pi e) ,

    where Z are the normal scores :math:`\Phi^{-1}(F_j(x_j))` from mid-ranks, whitened for the search. A column is measured on
    the one of five scales g on which gaps twice as long change least (as it is, logarithms of the distances from either end or
    of their ratio, inverse hyperbolic sine): :math:`H(X_j) = H(g(X_j)) - E \log g'(X_j)`. The squared standard error is the
    variance of the sum of all local terms of a row, plus the noise of the counts, over n, plus the squares of a third of what
    gaps twice as long change and of the bias of the copula by what four times as many neighbours change beyond chance; the
    variance that balls smooth away is known for normal columns, and added. From the neighbour estimate its error on samples of
    n rows with a normal copula of the correlations R of the scores, of entropy :math:`\frac12 \log \det R`, is subtracted:
    there the result has mean 0 in any number of columns. Splitting off margins is the first step of Ariel and Louzoun 2020,
    doi:10.3390/e22020236.

    Among the diagnostics, ``"log_scale"`` (d,) says which columns were not taken as they are, and ``"copula_entropy"`` is minus
    the mutual information of the columns, at most 0 but for error.
    """
    n, d = X.shape
    shares = normalised(weights, n)
    window = spacings_window(n)
    terms, marginal, logged = np.zeros(n), np.zeros(d), np.zeros(d, dtype=bool)
    scores, change = np.empty((n, d)), np.zeros(n)
    for j in range(d):
        column = X[:, j].astype(np.float64)
        own = margin(column, shares, window, f"column {j}")
        logged[j], marginal[j] = own.logged, shares @ own.terms
        terms += own.terms
        change += own.change
        scores[:, j] = rank_scores(column, shares)
    noise = d * float(polygamma(1, 2 * window))
    copula = Copula(np.zeros(n), 0, 0.0, 0.0, 0.0, 0.0, [], 0.0)
    if d > 1:
        rng = np.random.RandomState(0) if random_state is None else random_state
        with single_threaded_blas():
            copula = copula_of(scores, weights, resolve_neighbors(n_neighbors, n), n_neighbors is None, n_jobs, rng)
        terms += copula.terms
        noise += float(polygamma(1, copula.n_neighbors))
    of_copula = float(shares @ copula.terms)
    value = float(marginal.sum()) + of_copula
    variance = max(spread(terms, shares) + copula.flattened, noise) + noise
    step = Mean.of(change, weights)
    of_bias = copula.moved**2 + (OF_A_STEP * step.value) ** 2
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
        "reasons": reasons,
    }
    return Estimate(value, error, n, "marginal_split", diagnostics)


def _of_margins(moved: float, left: float, window: int) -> str:
    return (
        f"The entropies of the columns change by {moved:+.2g} nats in total from spacings over {window} values to spacings over "
        f"{2 * window}: the densities vary within the spacings, and a bias of about {left:+.1g} nats is likely."
    )
