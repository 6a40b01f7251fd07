"""Log-ratios of two densities by a cross-fitted logistic regression, on terms that usual distributions have in their logarithms.

Squares and products are those of normal distributions, logarithms of the distance to either end those of gamma, beta and Pareto
distributions, log(1 + z^2) those of heavy tails, and indicators of the most frequent value those of atoms; one more says whether
a row is beyond the values of P. All terms are free of units. A row's log-odds come from a regression that has not seen it, so
that a mean over the rows of P does not flatter the fit.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, eigh
from scipy.optimize import brentq
from scipy.special import expit

from fastkl._core._vector_math import exp, log1p
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.further_terms import Fit, FurtherTerms
from fastkl.divergence.nearest.coordinates import Ranks, centre_and_spread, measured

_STEPS = 25
# What a step with an old Hessian may leave of the gain.
_KEPT = 0.1
# Rows whose products are summed in float32.
_BLOCK = 16_384
_LARGEST = 30.0
# Of the longest squared length of rows along a direction: what is shorter the ridge keeps at 0 anyway.
_NO_LENGTH = 1e-12
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
        z = measured(Z, self.middle, self.spread)
        self.low, self.high = z.min(axis=0), z.max(axis=0)
        self.resolution = 1.0 / len(Z)
        self.atoms = [(j, value) for j, column in enumerate(Z.T) for value in _atom(column)]

    def of(self, Z: FloatArray) -> FloatArray:
        """(rows, terms), not standardised; rows beyond the ends count as being there."""
        return np.concatenate(self.columns(Z), axis=1)

    def units(self, Z: FloatArray) -> FloatArray:
        """Rows in units of the spread."""
        return measured(Z, self.middle, self.spread)

    def columns(self, Z: FloatArray) -> list[FloatArray]:
        """The same in parts."""
        z = self.units(Z)
        columns = [
            z,
            *_products(z),
            np.log1p(z * z),
            np.log(np.maximum(z - self.low, 0.0) + self.resolution),
            np.log(np.maximum(self.high - z, 0.0) + self.resolution),
        ]
        return columns + [(Z[:, [j]] == value).astype(np.float64) for j, value in self.atoms]


class _Taken(NamedTuple):
    """Further terms that were taken in, and their means and deviations."""

    further: FurtherTerms
    chosen: list[int]
    middle: FloatArray
    scale: FloatArray

    def of(self, z: FloatArray, scores: FloatArray) -> FloatArray:
        """(rows, terms), standardised."""
        return (self.further.of(z, scores, self.chosen) - self.middle) / self.scale


class RatioTerms:
    """Standardised terms of rows and their normal scores, as the rows that a regression learns from define them.

    Parameters
    ----------
    Z : ndarray of shape (n, d)
        The rows that are learnt from, of both samples.
    scores : ndarray of shape (n, d)
        Their normal scores.
    ends : pair of ndarray of shape (d,) or None
        Where the values of P end in each column: whether a row is beyond is a term then. Where the density of P falls to 0 at
        an edge, such as that of a uniform distribution, no smooth term tells it.

    Attributes
    ----------
    learnt : ndarray of shape (n, terms)
        Terms of these rows.
    """

    def __init__(self, Z: FloatArray, scores: FloatArray, ends: tuple[FloatArray, FloatArray] | None = None) -> None:
        self._Z, self._scores, self._ends = Z, scores, ends
        self._usual = RegressionTerms(Z)
        terms = self._together(Z, scores)
        self._middle = terms.mean(axis=0)
        terms -= self._middle
        deviation = np.sqrt(np.einsum("ij,ij->j", terms, terms) / len(terms))
        self._kept = deviation > 1e-12
        self._scale = deviation[self._kept]
        self.learnt = self._standardised(terms)
        self._more: _Taken | None = None

    def take_lacking(self, of_p: FloatArray, times: FloatArray, whole: Regression) -> bool:
        """Take in those further terms that a regression of the rows that are learnt from lacks; whether there are any."""
        if whole.factor is None:
            return False
        z = self._usual.units(self._Z)
        further = FurtherTerms(z, of_p == 1.0)
        design = with_constant(self.learnt)
        probability = expit(design @ whole.beta)
        fit = Fit(design, times * (of_p - probability), times * probability * (1.0 - probability), whole.factor)
        chosen = further.lacking(z, self._scores, fit)
        if not chosen:
            return False
        terms = further.of(z, self._scores, chosen)
        self._more = _Taken(further, chosen, terms.mean(axis=0), terms.std(axis=0))
        self.learnt = np.concatenate([self.learnt, self._more.of(z, self._scores)], axis=1)
        return True

    def of(self, Z: FloatArray) -> FloatArray:
        """Terms of other rows, (rows, terms)."""
        scores = np.column_stack([ranks.scores(column) for ranks, column in zip(self._ranks, Z.T, strict=True)])
        terms = self._together(Z, scores)
        terms -= self._middle
        terms = self._standardised(terms)
        if self._more is None:
            return terms
        return np.concatenate([terms, self._more.of(self._usual.units(Z), scores)], axis=1)

    def _standardised(self, terms: FloatArray) -> FloatArray:
        """Of centred terms those that are not constant, in the same memory where that is all."""
        kept = terms if self._kept.all() else terms.take(np.flatnonzero(self._kept), axis=1)
        kept /= self._scale
        return kept

    @cached_property
    def _ranks(self) -> list[Ranks]:
        return [Ranks.of(column, at).thinned() for column, at in zip(self._Z.T, self._scores.T, strict=True)]

    def _together(self, Z: FloatArray, scores: FloatArray) -> FloatArray:
        columns = [*self._usual.columns(Z), scores, *_products(scores)]
        if self._ends is not None:
            low, high = self._ends
            outside = np.less(Z, low) | np.greater(Z, high)
            columns.append(np.any(outside, axis=1)[:, np.newaxis].astype(np.float64))
        return np.concatenate(columns, axis=1)


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


def clipped(log_ratio: FloatArray) -> FloatArray:
    """Log-ratios that no fit stands for are cut."""
    return np.clip(log_ratio, -_LARGEST, _LARGEST)


def imbalance(log_ratio: FloatArray, of_p: FloatArray, times: FloatArray) -> float:
    """By how much log-ratios that a fit has not seen are too large because its samples are of unequal size.

    Coefficients with an error leave probabilities right on average only if log-odds lean to the larger sample. The constant that
    makes them right where either sample has half of the mass (Bennett 1976, doi:10.1016/0021-9991(76)90078-4) has no such part.
    The difference to that for the sizes there are is 0 of samples of one size.
    """
    sizes = np.array([times[of_p == 1.0].sum(), times[of_p == 0.0].sum()])
    if sizes[0] == sizes[1]:
        return 0.0

    def constant(mass: FloatArray) -> float:
        weight = times * np.where(of_p == 1.0, *(mass / sizes))
        odds = log_ratio + np.log(mass[0] / mass[1])
        return float(brentq(lambda c: weight @ (expit(odds - c) - of_p), -2.0 * _LARGEST, 2.0 * _LARGEST, xtol=1e-6))

    return constant(np.ones(2)) - constant(sizes / sizes.mean())


class Regression(NamedTuple):
    """A logistic regression of rows of P and Q.

    Attributes
    ----------
    beta : ndarray of shape (terms + 1,)
        Coefficients, the constant first.
    prior : float
        The part of the log-odds that comes from the sizes of the samples.
    factor : tuple or None
        The last Hessian that was factorised; None where it was of other coordinates.
    size : float
        The rows that it was of, or the sum of their masses.
    """

    beta: FloatArray
    prior: float
    factor: Any
    size: float

    def log_ratio(self, design: FloatArray) -> FloatArray:
        """log p/q at rows of a design, which are made by `with_constant`."""
        return clipped(design @ self.beta - self.prior)


def cross_fitted(
    terms: FloatArray,
    of_p: FloatArray,
    fold: FloatArray,
    n_folds: int,
    ridge: float = 1.0,
    masses: FloatArray | None = None,
    whole: Regression | None = None,
) -> tuple[FloatArray, Regression]:
    """log p/q of every row by the regression on the other folds, and the regression on all rows.

    ``of_p`` is 1 for rows of P and 0 for those of Q; ``masses`` say how often each row counts, None for once. ``whole`` is the
    regression on all rows, where it is known.
    """
    if terms.shape[1] > len(terms):  # as of embeddings: as many coordinates as rows tell all
        inside, basis = _within_rows(terms)
        out, whole = cross_fitted(inside, of_p, fold, n_folds, ridge, masses)
        beta = np.concatenate([whole.beta[:1], terms.T @ (basis @ whole.beta[1:])])
        return out, whole._replace(beta=beta, factor=None)
    design, times = with_constant(terms), np.ones(len(terms)) if masses is None else masses
    single, out = design.astype(np.float32), np.empty(len(terms))
    if whole is None:
        whole = fitted(design, of_p, times, ridge, None, single)  # which is near to those of the folds
    for f in range(n_folds):
        held = fold == f
        others = fitted(design, of_p, np.where(held, 0.0, times), ridge, whole, single)
        out[held] = others.log_ratio(design[held])
    return out, whole


def _within_rows(terms: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Coordinates of rows in the space that they span, and what makes coefficients of rows out of coefficients there.

    The ridge is the same for all terms, so that the coefficients of the best regression are sums of rows, and their squares have
    the same sum in orthonormal coordinates.
    """
    values, vectors = eigh(terms @ terms.T, check_finite=False)
    kept = values > _NO_LENGTH * values[-1]
    lengths = np.sqrt(values[kept])
    return vectors[:, kept] * lengths, vectors[:, kept] / lengths


def fitted(
    design: FloatArray,
    of_p: FloatArray,
    times: FloatArray,
    of_terms: float,
    start: Regression | None,
    single: NDArray[np.float32] | None = None,
) -> Regression:
    """A logistic regression with a ridge on all coefficients but the constant, by Newton's method with a search along the line.

    ``start`` is one of other rows, if there is one, and ``single`` the design in float32, if it is known. A Hessian, at first
    that of ``start``, is kept as long as its steps take off nine tenths of what is left to gain.
    """
    share, size = np.average(of_p, weights=times), float(times.sum())
    ridge, prior = _ridge(design.shape[1], of_terms), float(np.log(share / (1.0 - share)))
    single = design.astype(np.float32) if single is None else single
    beta, factor, scale = np.zeros(design.shape[1]), None, 1.0
    if start is not None:
        beta, factor, scale = start.beta.copy(), start.factor, start.size / size
        beta[0] += prior - start.prior
    score, before = design @ beta, np.inf
    objective = _objective(score, of_p, times, beta, ridge)
    for _ in range(_STEPS):
        probability = expit(score)
        gradient = design.T @ (times * (probability - of_p)) + ridge * beta
        step = None if factor is None else scale * cho_solve(factor, gradient, check_finite=False)
        if step is None or gradient @ step > _KEPT * before:
            hessian = _products_of_terms(single, times * probability * (1.0 - probability))
            hessian[np.diag_indices(len(beta))] += ridge
            try:
                factor, scale = cho_factor(hessian, check_finite=False), 1.0
            except LinAlgError:  # rows that are told apart for certain leave a curvature that is rounding
                break
            step = cho_solve(factor, gradient, check_finite=False)
        length, before = 1.0, float(gradient @ step)
        along = design @ step
        while True:
            there, at = score - length * along, beta - length * step
            found = _objective(there, of_p, times, at, ridge)
            if found <= objective - 0.25 * length * before or length <= 1e-4:
                break
            length *= 0.5
        beta, score, objective = at, there, found
        if before < 1e-3:
            break
    return Regression(beta, prior, factor, size)


def with_constant(terms: FloatArray) -> FloatArray:
    """The design of the regression: a column of ones before the terms."""
    design = np.empty((len(terms), terms.shape[1] + 1))
    design[:, 0], design[:, 1:] = 1.0, terms
    return design


def _products_of_terms(single: NDArray[np.float32], weight: FloatArray) -> FloatArray:
    """Weighted sums of products of terms, in float32: twice as fast, and a step needs no more.

    Terms are standardised and blocks of rows short, so that the error is small beside the ridge.
    """
    total = np.zeros((single.shape[1], single.shape[1]))
    for first in range(0, len(single), _BLOCK):
        part = single[first : first + _BLOCK]
        total += (part * weight[first : first + _BLOCK].astype(np.float32)[:, np.newaxis]).T @ part
    return total


def _ridge(size: int, of_terms: float) -> FloatArray:
    ridge = np.full(size, of_terms)
    ridge[0] = 1e-8
    return ridge


def _objective(score: FloatArray, of_p: FloatArray, times: FloatArray, beta: FloatArray, ridge: FloatArray) -> float:
    losses = np.maximum(score, 0.0) + log1p(exp(-np.abs(score)))  # logaddexp(0, score), in half the time
    return float(times @ (losses - of_p * score) + 0.5 * (ridge * beta) @ beta)
