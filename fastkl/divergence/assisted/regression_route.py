"""The route to the divergence of two samples by a cross-fitted regression: log-odds at rows that it has not seen.

Of many rows it learns from some, and is asked at some: beside other routes no more is needed. Where it is the estimate, its
coefficients' error is that of the estimate, and it learns from many more.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.linalg import cho_solve

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.ratio_regression import (
    RatioTerms,
    Regression,
    clipped,
    cross_fitted,
    fitted,
    imbalance,
    with_constant,
)
from fastkl.divergence.assisted.ratio_routes import Route
from fastkl.divergence.assisted.two_samples import FOLDS, TwoSamples, rows_at, rows_at_random

# The rows whose terms are in memory at once.
_BLOCK = 16_384
# Rows of P at which the regression is asked beside other routes: so many, or one of so many if that is more.
_ASKED, _OF_MANY = 50_000, 20
# Rows of either sample that a regression learns from that is the only route, and one that is ahead of others.
_ONLY, _AHEAD = 200_000, 100_000
# The ridge on its coefficients, and smaller ones where that keeps them small.
_RIDGE, _SMALLER = 1.0, (0.1, 0.01)
# What a ridge may take off the log-likelihood of a row.
_HARDLY_FELT = 3e-4


class RegressionRoute:
    """The regression of two samples.

    Parameters
    ----------
    samples : TwoSamples
        With what routes share.
    by_ends : bool
        Whether where the values of P end is a term, which those of Q are not, and what the regression lacks is taken in.

    Attributes
    ----------
    log_ratio : ndarray of shape (n + m,)
        log p/q at the rows that are learnt from, by fits that have not seen them.
    loss : float
        Mean log-loss of telling rows of P and Q apart.
    """

    def __init__(self, samples: TwoSamples, *, by_ends: bool = True) -> None:
        self._samples, learnt = samples, samples.learnt
        rows = np.concatenate([learnt.p.X, learnt.q.X]).astype(np.float64)
        ends = samples.ends_of_p if by_ends else None
        self._terms = RatioTerms(rows, np.concatenate(samples.spaces["normal_scores"]), ends)
        self._ridge = _RIDGE
        whole = self._with_lacking() if by_ends else None
        self.log_ratio, self._found = self._cross_fitted(_RIDGE, whole)
        self.loss = samples.loss(self.log_ratio)
        for ridge in _SMALLER:
            if self._ridge_is_right():
                break
            log_ratio, found = self._cross_fitted(ridge)
            loss = samples.loss(log_ratio)
            if loss >= self.loss:
                break
            self._ridge, self.log_ratio, self._found, self.loss = ridge, log_ratio, found, loss

    @property
    def in_sample(self) -> FloatArray:
        """log p/q at the rows that are learnt from, by the fit on all of them."""
        return self._found.log_ratio(with_constant(self._terms.learnt))

    def _with_lacking(self) -> Regression | None:
        """Take in the terms that the regression lacks; the regression on all rows where it lacks none."""
        design = with_constant(self._terms.learnt)
        if design.shape[1] > len(design):
            return None
        times = self._times()
        whole = fitted(design, self._of_p(), times, _RIDGE, None)
        return None if self._terms.take_lacking(self._of_p(), times, whole) else whole

    def _cross_fitted(self, ridge: float, whole: Regression | None = None) -> tuple[FloatArray, Regression]:
        samples = self._samples
        of_p = self._of_p()
        log_ratio, found = cross_fitted(self._terms.learnt, of_p, samples.fold, FOLDS, ridge, samples.masses, whole)
        shift = imbalance(log_ratio, of_p, self._times())
        return clipped(log_ratio - shift), found._replace(prior=found.prior + shift)

    def _of_p(self) -> FloatArray:
        return np.concatenate([np.ones(self._samples.n), np.zeros(self._samples.m)])

    def _times(self) -> FloatArray:
        """How often each row counts."""
        masses = self._samples.masses
        return np.ones(self._samples.n + self._samples.m) if masses is None else masses

    def _ridge_is_right(self) -> bool:
        """Whether coefficients are no larger than the ridge expects, or it takes next to nothing off the log-likelihood.

        It expects normal ones of variance 1 / ridge. Near a line or a ring terms go closely together, and the coefficients that
        tell P and Q apart are large; of many rows it is hardly felt even so.
        """
        found, beta = self._found, self._found.beta.copy()
        beta[0] = 0.0
        if self._ridge * (beta @ beta) < len(beta):
            return True
        if found.factor is None:
            return False
        taken_off = 0.5 * self._ridge**2 * beta @ cho_solve(found.factor, beta, check_finite=False)
        return bool(taken_off < _HARDLY_FELT * found.size)

    def beside_others(self) -> Route:
        """As one of several routes."""
        value = self._mean_of_learnt() if self._samples.all_learnt else self._mean_log_odds()
        return Route(value, self.log_ratio, self.loss, name="regression")

    def only(self) -> Route:
        """As the only route."""
        return self._of_many_rows(_ONLY, self._samples.pair.p.n_rows)

    def ahead(self, how_far: float) -> Route:
        """As one that is ahead of the others (`Route.ahead`)."""
        return self._of_many_rows(_AHEAD, _AHEAD, how_far)

    def _mean_of_learnt(self) -> float:
        return self._samples.learnt.p.mean(self.log_ratio[: self._samples.n]).value

    def _mean_log_odds(self) -> float:
        """Over rows of P; where these are all, those that were learnt from have their values held out.

        Of many rows some are enough: what a pair of normal distributions gives at these is taken off, and what it gives at all
        put back.
        """
        samples, p = self._samples, self._samples.pair.p
        asked = max(_ASKED, p.n_rows // _OF_MANY)
        if p.n_rows <= asked:
            log_odds = self._log_odds(p.X, self._found)
            log_odds[samples.rows_of_p] = self.log_ratio[: samples.n]
            return p.mean(log_odds).value
        rows = rows_at_random(p.n_rows, asked, samples.rng)
        some, space = rows_at(p, rows), samples.everywhere(samples.space)[0]
        of_normals = samples.normals.log_ratio(space, samples.n_threads)
        rest = some.mean(self._log_odds(some.X, self._found) - of_normals[rows])
        return rest.value + p.mean(of_normals).value

    def _of_many_rows(self, most: int, asked: int, how_far: float = 0.0) -> Route:
        """Learnt from so many rows of either sample at most, and asked at so many of P.

        Terms stay those of the rows that were learnt from before, beside which coefficients are few, so that no row is flattered.
        """
        samples, p = self._samples, self._samples.pair.p
        if samples.all_learnt:
            return Route(self._mean_of_learnt(), self.log_ratio, self.loss, name="regression", ahead=how_far)
        (X, Y), masses = samples.some_rows(most)
        design = np.empty((len(X) + len(Y), len(self._found.beta)))
        for first, part in zip((0, len(X)), (X, Y), strict=True):
            for rows, values in self._designs(part):
                design[first + rows.start : first + rows.stop] = values
        times = [np.ones(len(rows)) if mass is None else mass for rows, mass in zip((X, Y), masses, strict=True)]
        of_p = np.concatenate([np.ones(len(X)), np.zeros(len(Y))])
        found = fitted(design, of_p, np.concatenate(times), self._ridge, self._found)
        if asked < p.n_rows:
            p = rows_at(p, rows_at_random(p.n_rows, asked, samples.rng))
        value = p.mean(self._log_odds(p.X, found)).value
        return Route(value, self.log_ratio, self.loss, name="regression", seen=most, ahead=how_far)

    def _log_odds(self, X: FloatArray, found: Regression) -> FloatArray:
        return np.concatenate([found.log_ratio(design) for _, design in self._designs(X)])

    def _designs(self, X: FloatArray) -> Iterator[tuple[slice, FloatArray]]:
        """A column of ones and the terms of rows, some at a time, and which rows they are."""
        for first in range(0, len(X), _BLOCK):
            rows = X[first : first + _BLOCK].astype(np.float64)
            yield slice(first, first + len(rows)), with_constant(self._terms.of(rows))
