"""Terms of a log-ratio that few pairs of distributions have, and a test of which of them a regression lacks.

A spread that follows another column has products of three columns or four in its logarithm, as other bends have; balls, rings and
distributions of one radius have the distance from the middle of P, and end at one. To fit all of them would cost more than they
are worth. Rao's score test (1948, doi:10.1017/S0305004100023987) says from a regression without them by how much each would raise
its likelihood, and only those that would by more than chance among so many are taken in.
"""

from __future__ import annotations

from itertools import combinations_with_replacement
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.working_laws import WorkingNormal, moments
from fastkl.divergence.nearest.edges import ends

# Rows whose terms are in memory at once.
_BLOCK = 4096
# Columns beyond which products are too many.
_PRODUCTS = 10
# The chance that any term is taken in where none is lacking.
_LEVEL = 0.005
# What is left of a term beside those that are there already: less is rounding.
_OWN = 1e-3
# Distances beyond which rows are not told apart: P may be a point beside Q.
_FARTHEST = 1e60
# Times that the turns of all columns are looked for.
_PASSES = 2
# Terms of the distance: itself, its logarithm, and whether a row is where P has ended.
_OF_DISTANCE, _ENDED = 3, 2
# Steps to the ellipsoid of least volume around P.
_SHRUNK = 60


class Fit(NamedTuple):
    """What a score test needs of a regression.

    Attributes
    ----------
    design : ndarray of shape (n, terms)
        Its terms at the rows.
    residual, weight : ndarray of shape (n,)
        What each row has in the first two derivatives of the log-likelihood.
    factor : tuple
        Of its Hessian, by Cholesky.
    """

    design: FloatArray
    residual: FloatArray
    weight: FloatArray
    factor: Any


class FurtherTerms:
    """Products of normal scores, and terms of the distance from the middle of P.

    A product of different columns that is taken in has its sign beside it: where P is in every other corner of Q alone, the
    log-ratio is large as soon as a row is beyond the middle, and a product is not. Where P ends is first looked for by its
    moments, and if that is taken in by the ellipsoid of least volume around it.

    Parameters
    ----------
    z : ndarray of shape (n, d)
        Rows that are learnt from, in units of their spread.
    of_p : ndarray of shape (n,), bool
        Which of them are of P.

    Attributes
    ----------
    count : int
        How many terms there are.
    """

    def __init__(self, z: FloatArray, of_p: NDArray[np.bool_]) -> None:
        d = z.shape[1]
        self._of_p = of_p
        self._turns: dict[int, FloatArray] = {}
        self._products: list[tuple[int, ...]] = []
        if d <= _PRODUCTS:
            self._products += combinations_with_replacement(range(d), 3)
            self._products += [four for four in combinations_with_replacement(range(d), 4) if len(set(four)) <= 2]
        # Rows of P are nearer to their own middle than others of P would be, by what is nothing to so many of them.
        self._first = _OF_DISTANCE if d > 1 and np.count_nonzero(of_p) >= d**3 else 0
        self.count = self._first + len(self._products)
        if self._first:
            self._within = self._around = WorkingNormal.of(*moments(z[of_p]))
            self._low, self._high = _ends_of(_distance(self._within, z[of_p]))
            self._least = self._high / len(z)

    def of(self, z: FloatArray, scores: FloatArray, chosen: list[int]) -> FloatArray:
        """Some of the terms at rows, by their numbers, (rows, terms)."""
        found, columns = np.empty((len(chosen), len(z))), np.ascontiguousarray(scores.T)
        of_distance = self._of_distance(z) if any(number < self._first for number in chosen) else ()
        for term, number in zip(found, chosen, strict=True):
            if number < self._first:
                term[:] = of_distance[number]
            else:
                sign, place = divmod(number - self._first, len(self._products))
                first, second, *others = [columns[j] for j in self._products[place]]
                if sign:
                    factors = zip([first, second, *others], self._turns[place], strict=True)
                    first, second, *others = [column - turn for column, turn in factors]
                np.multiply(first, second, out=term)
                for other in others:
                    term *= other
                if sign:
                    np.sign(term, out=term)
        return found.T

    def lacking(self, z: FloatArray, scores: FloatArray, fit: Fit) -> list[int]:
        """The numbers of those that a regression lacks, each beside those before it, the most wanted first."""
        if not self.count:
            return []
        least = 2.0 * np.log(
            self.count / _LEVEL
        )  # a chi-square of one degree is larger with a chance below exp(-x / 2)
        gradient, information = self._derivatives(z, scores, fit, list(range(self.count)), diagonal=True)
        wanted = [int(number) for number in np.flatnonzero(_gain(gradient, information, 0.0) > least)]
        if not wanted:
            return []
        gradient, information = self._derivatives(z, scores, fit, wanted, diagonal=False)
        chosen: list[int] = []
        own = _OWN * np.diagonal(information)
        while True:
            gain = _gain(gradient, np.diagonal(information), own)
            best = int(gain.argmax())
            if gain[best] <= least:
                if self._first and _ENDED in chosen:
                    self._around = _enclosing(z[self._of_p])
                    self._high = _ends_of(_distance(self._around, z[self._of_p]))[1]
                return chosen + self._signs_of(chosen, scores)
            chosen.append(wanted[best])
            along = information[best] / information[best, best]
            gradient = gradient - gradient[best] * along
            information = information - np.outer(along, information[best])
            information[best, best] = 0.0

    def _signs_of(self, chosen: list[int], scores: FloatArray) -> list[int]:
        """The numbers of the signs of those that are products of different columns."""
        signs = []
        for place in (number - self._first for number in chosen if number >= self._first):
            which = list(self._products[place])
            if len(set(which)) == len(which):
                self._turns[place] = _turns(scores.T[which], self._of_p)
                signs.append(self._first + len(self._products) + place)
        return signs

    def _derivatives(
        self, z: FloatArray, scores: FloatArray, fit: Fit, numbers: list[int], *, diagonal: bool
    ) -> tuple[FloatArray, FloatArray]:
        """First derivatives by the terms, and what is left of the second ones where the regression follows."""
        size = len(numbers)
        gradient, beside = np.zeros(size), np.zeros((fit.design.shape[1], size))
        among = np.zeros(size if diagonal else (size, size))
        for first in range(0, len(z), _BLOCK):
            part = slice(first, first + _BLOCK)
            terms = self.of(z[part], scores[part], numbers)
            weighted = fit.weight[part, np.newaxis] * terms
            gradient += fit.residual[part] @ terms
            beside += fit.design[part].T @ weighted
            among += np.einsum("ij,ij->j", weighted, terms) if diagonal else weighted.T @ terms
        explained = cho_solve(fit.factor, beside, check_finite=False)
        if not diagonal:
            return gradient, among - beside.T @ explained
        left = among - np.einsum("ij,ij->j", beside, explained)
        return gradient, np.where(left > _OWN * among, left, 0.0)

    def _of_distance(self, z: FloatArray) -> tuple[FloatArray, ...]:
        distance = _distance(self._within, z)
        outer = distance if self._around is self._within else _distance(self._around, z)
        outside = (distance < self._low) | (outer > self._high)
        return distance, np.log(distance + self._least), outside.astype(np.float64)


def _distance(ellipsoid: WorkingNormal, z: FloatArray) -> FloatArray:
    """From its middle, in its units."""
    apart = ellipsoid.standard(z)
    return np.asarray(np.sqrt(np.square(np.clip(apart, -_FARTHEST, _FARTHEST)).sum(axis=0)))


def _ends_of(distance: FloatArray) -> tuple[float, float]:
    low, high = ends(distance[:, np.newaxis], distance[:, np.newaxis])
    return float(low[0]), float(high[0])


def _enclosing(z: FloatArray) -> WorkingNormal:
    """The ellipsoid of least volume around rows (n, d), about: where a density ends at one, moments miss it by much more.

    By Titterington's algorithm (1978, doi:10.2307/2346956): masses go to the rows that are farthest.
    """
    masses = np.ones(len(z))
    for _ in range(_SHRUNK):
        found = WorkingNormal.of(*moments(z, masses))
        masses *= 1.0 + np.square(_distance(found, z))
        masses /= masses.max()
    return found


def _gain(gradient: FloatArray, information: FloatArray, own: FloatArray | float) -> FloatArray:
    """Twice what each term would add to the log-likelihood, about; nothing for those that have nothing of their own."""
    enough = information > own
    return np.where(enough, np.square(gradient) / np.where(enough, information, 1.0), 0.0)


def _turns(columns: FloatArray, of_p: NDArray[np.bool_]) -> FloatArray:
    """Where the sign of a product of columns (d, n) turns, (d,), if P is on one side of it: near to their middles."""
    turns = np.zeros(len(columns))
    times = np.where(of_p, 1.0 / np.count_nonzero(of_p), -1.0 / np.count_nonzero(~of_p))
    for _ in range(_PASSES):
        for j, column in enumerate(columns):
            of_others = np.sign(np.delete(columns - turns[:, np.newaxis], j, axis=0)).prod(axis=0)
            order = np.argsort(column)
            below = np.cumsum((times * of_others)[order])
            last = min(int(np.abs(below[-1] - 2.0 * below).argmax()), len(order) - 2)
            turns[j] = 0.5 * (column[order[last]] + column[order[last + 1]])
    return turns
