"""Log-ratios of two densities by a cross-fitted logistic regression, on terms that usual distributions have in their logarithms.

Squares and products are those of normal distributions, logarithms of the distance to either end those of gamma, beta and Pareto
distributions, log(1 + z^2) those of heavy tails, and indicators of the most frequent value those of atoms. All terms are free of
units. A row's log-odds come from a regression that has not seen it, so that a mean over the rows of P does not flatter the fit.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import cho_factor, cho_solve

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.coordinates import centre_and_spread

_STEPS = 25
_LARGEST = 30.0
# Products of columns are left out beyond so many.
_PRODUCTS = 10
_ATOM = 0.05


class RegressionTerms:
    """Terms of rows as the rows of both samples define them: middles, spreads, ends and atoms are those of ``Z``.

    Parameters
    ----------
    Z : ndarray of shape (n, d)
        Rows of both samples.
    """

    def __init__(self, Z: FloatArray) -> None:
        self.middle, self.spread = centre_and_spread(Z)
        z = (Z - self.middle) / self.spread
        self.low, self.high = z.min(axis=0), z.max(axis=0)
        self.resolution = 1.0 / len(Z)
        self.atoms = [(j, value) for j, column in enumerate(Z.T) for value in _atom(column)]

    def of(self, Z: FloatArray) -> FloatArray:
        """(rows, terms), not standardised; rows beyond the ends count as being there."""
        z = (Z - self.middle) / self.spread
        columns = [
            z,
            *_products(z),
            np.log1p(z * z),
            np.log(np.maximum(z - self.low, 0.0) + self.resolution),
            np.log(np.maximum(self.high - z, 0.0) + self.resolution),
        ]
        columns += [(Z[:, [j]] == value).astype(np.float64) for j, value in self.atoms]
        return np.concatenate(columns, axis=1)


def regression_terms(Z: FloatArray, scores: FloatArray | None) -> FloatArray:
    """Standardised terms of the rows of both samples, (n + m, terms); those of the normal scores too, if given."""
    terms = RegressionTerms(Z).of(Z)
    if scores is not None:
        terms = np.concatenate([terms, score_terms(scores)], axis=1)
    terms -= terms.mean(axis=0)
    deviation = terms.std(axis=0)
    kept = deviation > 1e-12
    return np.ascontiguousarray(terms[:, kept] / deviation[kept])


def score_terms(scores: FloatArray) -> FloatArray:
    """Terms of normal scores: themselves and their products."""
    return np.concatenate([scores, *_products(scores)], axis=1)


def _products(z: FloatArray) -> list[FloatArray]:
    if z.shape[1] > _PRODUCTS:
        return [z * z]
    first, second = np.triu_indices(z.shape[1])
    return [z[:, first] * z[:, second]]


def _atom(column: FloatArray) -> list[float]:
    """The most frequent value of a column that has an atom."""
    values, counts = np.unique(column, return_counts=True)
    return [float(values[counts.argmax()])] if counts.max() > _ATOM * len(column) else []


def cross_fitted(
    terms: FloatArray,
    of_p: FloatArray,
    fold: FloatArray,
    n_folds: int,
    ridge: float = 1.0,
    masses: FloatArray | None = None,
) -> FloatArray:
    """log p/q of every row by the regression on the other folds; ``of_p`` is 1 for rows of P and 0 for those of Q."""
    out = np.empty(len(terms))
    start: FloatArray | None = None
    for f in range(n_folds):
        held = fold == f
        learnt = None if masses is None else masses[~held]
        start = fitted(terms[~held], of_p[~held], start, ridge, learnt)
        share = np.average(of_p[~held], weights=learnt)
        out[held] = terms[held] @ start[1:] + start[0] - np.log(share / (1.0 - share))
    return np.clip(out, -_LARGEST, _LARGEST)


def fitted(
    terms: FloatArray,
    of_p: FloatArray,
    start: FloatArray | None,
    size_of_ridge: float = 1.0,
    masses: FloatArray | None = None,
) -> FloatArray:
    """Coefficients, the constant first, of a logistic regression with a ridge on the others, by Newton's method.

    ``masses`` say how often each row counts; None for once.
    """
    n, k = terms.shape
    design = np.empty((n, k + 1))
    design[:, 0], design[:, 1:] = 1.0, terms
    ridge = np.full(k + 1, size_of_ridge)
    ridge[0] = 1e-8
    beta = np.zeros(k + 1) if start is None else start.copy()
    score = design @ beta
    times = np.ones(n) if masses is None else masses
    objective = _objective(score, of_p, times, beta, ridge)
    for _ in range(_STEPS):
        probability = 1.0 / (1.0 + np.exp(-np.clip(score, -40.0, 40.0)))
        gradient = design.T @ (times * (probability - of_p)) + ridge * beta
        weight = times * probability * (1.0 - probability)
        hessian = (design * weight[:, np.newaxis]).T @ design
        hessian[np.diag_indices(k + 1)] += ridge
        step = cho_solve(cho_factor(hessian, check_finite=False), gradient, check_finite=False)
        size, decrement = 1.0, float(gradient @ step)
        along = design @ step
        while size > 1e-4:
            trial = _objective(score - size * along, of_p, times, beta - size * step, ridge)
            if trial <= objective - 0.25 * size * decrement:
                break
            size *= 0.5
        beta, score = beta - size * step, score - size * along
        objective = _objective(score, of_p, times, beta, ridge)
        if decrement < 1e-3:
            break
    return beta


def _objective(score: FloatArray, of_p: FloatArray, times: FloatArray, beta: FloatArray, ridge: FloatArray) -> float:
    return float(times @ (np.logaddexp(0.0, score) - of_p * score) + 0.5 * (ridge * beta) @ beta)
