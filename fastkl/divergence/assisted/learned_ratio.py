"""A log-ratio of two densities learnt from some rows, for others: a logistic regression on whatever tells P and Q apart.

Beside the terms of usual distributions (`ratio_regression`) it is given the ratios of two pairs of normal distributions, which
are shrunk in many columns, that which nearest neighbours see in normal scores, for what no usual distribution describes, and
for labels the ratio of their frequencies. Everything is fixed by the rows that are learnt from: ranks, neighbours, frequencies,
so that other rows are as new to it as if they were drawn afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.ratio_regression import (
    RegressionTerms,
    clipped,
    cross_fitted,
    score_terms,
    with_constant,
)
from fastkl.divergence.assisted.working_laws import NormalPair, normal_pair
from fastkl.divergence.nearest.coordinates import Ranks, measured
from fastkl.spatial import NeighborIndex

_FOLDS = 4
# Neighbours of the ratio, and what stands for a distance of 0.
_NEIGHBORS, _NO_DISTANCE = 5, 1e-6
# Counts added to each symbol.
_ADDED = 0.5
# Rows whose terms are in memory at once.
_BLOCK = 50_000
# Fewer rows than this in a sample are no neighbours worth asking.
_FEWEST = 20
# Ridges of the regression: the better one is the caller's choice.
_RIDGES = (2.0, 30.0)


@dataclass(frozen=True)
class MixedRows:
    """Rows of one sample, or of two together.

    Attributes
    ----------
    numbers : ndarray of shape (n, d)
        Columns of numbers.
    labels : ndarray of shape (n, c), integers
        Codes of labels from 0.
    """

    numbers: FloatArray
    labels: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, which: NDArray[np.bool_] | NDArray[np.intp] | slice) -> MixedRows:
        return MixedRows(np.ascontiguousarray(self.numbers[which]), self.labels[which])


class LearnedRatio:
    """log p/q by rows of P and of Q.

    Parameters
    ----------
    P, Q : MixedRows
        Rows of either sample.
    rng : RandomState
        For the folds.

    Attributes
    ----------
    held_out : list of pairs of ndarray of shape (n,), (m,)
        For each ridge the log-ratios at the rows of P and Q, each from a regression that has not seen it.
    """

    def __init__(self, P: MixedRows, Q: MixedRows, rng: np.random.RandomState) -> None:
        n, m = len(P), len(Q)
        both = MixedRows(np.concatenate([P.numbers, Q.numbers]), np.concatenate([P.labels, Q.labels]))
        is_p = np.concatenate([np.ones(n), np.zeros(m)])
        fold = np.concatenate([rng.permutation(np.arange(size) % _FOLDS) for size in (n, m)])
        self._terms = _Terms(both, is_p)
        terms = self._terms.of_themselves(both, is_p, fold)
        self._middle, deviation = terms.mean(axis=0), terms.std(axis=0)
        self._scale = np.where(deviation > 1e-12, deviation, np.inf)
        terms = np.ascontiguousarray((terms - self._middle) / self._scale)
        self.held_out, self._regressions = [], []
        for ridge in _RIDGES:
            log_ratio, found = cross_fitted(terms, is_p, fold, _FOLDS, ridge)
            self.held_out.append((log_ratio[:n], log_ratio[n:]))
            self._regressions.append(found)

    def at(self, rows: MixedRows, which: int) -> FloatArray:
        """Log-ratios at other rows by the regression with one of the ridges."""
        found, parts = self._regressions[which], []
        for first in range(0, len(rows), _BLOCK):
            terms = (self._terms.of(rows[first : first + _BLOCK]) - self._middle) / self._scale
            parts.append(found.log_ratio(with_constant(terms)))
        return np.concatenate(parts)


class _Terms:
    """Terms of the regression, as the rows that are learnt from define them: frequencies of labels first."""

    def __init__(self, both: MixedRows, is_p: FloatArray) -> None:
        self.sizes = 1 + both.labels.max(axis=0, initial=-1)
        self.tables = _tables(both.labels, is_p, self.sizes)
        self.numbers = both.numbers.shape[1] > 0
        if not self.numbers:
            return
        self.usual = RegressionTerms(both.numbers)
        self.ranks = [Ranks.of(column) for column in both.numbers.T]
        spaces = self._spaces(both.numbers)
        self.normals = _normals(spaces, is_p)
        sides = [np.ascontiguousarray(spaces[0][is_p == side]) for side in (1.0, 0.0)]
        self.trees = [NeighborIndex(side) for side in sides] if min(map(len, sides)) >= _FEWEST else []

    def of(self, rows: MixedRows) -> FloatArray:
        """Of rows that were not learnt from."""
        of_labels = _looked_up(self.tables, rows.labels)
        if not self.numbers:
            return of_labels
        spaces = self._spaces(rows.numbers)
        distances = [tree.kth(spaces[0], _NEIGHBORS) for tree in self.trees]
        return self._together(of_labels, rows, spaces, _of_normals(self.normals, spaces), distances)

    def of_themselves(self, both: MixedRows, is_p: FloatArray, fold: NDArray[np.intp]) -> FloatArray:
        """Of the rows that are learnt from: no row is its own neighbour, nor counted among those that it is compared with."""
        of_labels = np.empty(both.labels.shape)
        for f in range(_FOLDS):
            held, others = fold == f, fold != f
            of_labels[held] = _looked_up(_tables(both.labels[others], is_p[others], self.sizes), both.labels[held])
        if not self.numbers:
            return of_labels
        spaces = self._spaces(both.numbers)
        of_normals = np.empty((len(both), len(spaces)))
        for f in range(_FOLDS):
            held, others = fold == f, fold != f
            pairs = _normals([space[others] for space in spaces], is_p[others])
            of_normals[held] = _of_normals(pairs, [space[held] for space in spaces])
        distances = []
        for tree, own in zip(self.trees, (is_p == 1.0, is_p == 0.0), strict=False):
            distance = np.empty(len(both))
            distance[own], distance[~own] = tree.kth_self(_NEIGHBORS), tree.kth(spaces[0][~own], _NEIGHBORS)
            distances.append(distance)
        return self._together(of_labels, both, spaces, of_normals, distances)

    def _spaces(self, numbers: FloatArray) -> list[FloatArray]:
        """Rows in normal scores, and over the spread of their columns."""
        scores = [ranks.scores(column) for ranks, column in zip(self.ranks, numbers.T, strict=True)]
        return [np.ascontiguousarray(np.column_stack(scores)), measured(numbers, self.usual.middle, self.usual.spread)]

    def _together(
        self,
        of_labels: FloatArray,
        rows: MixedRows,
        spaces: list[FloatArray],
        of_normals: FloatArray,
        distances: list[FloatArray],
    ) -> FloatArray:
        columns = [of_labels, self.usual.of(rows.numbers), score_terms(spaces[0]), of_normals]
        if distances:  # log-ratio of two densities by their k-th neighbours, but for a constant
            to_p, to_q = (np.log(distance + _NO_DISTANCE) for distance in distances)
            columns.append((rows.numbers.shape[1] * (to_q - to_p))[:, np.newaxis])
        return np.concatenate(columns, axis=1)


def _normals(spaces: list[FloatArray], is_p: FloatArray) -> list[NormalPair]:
    return [normal_pair(space[is_p == 1.0], space[is_p == 0.0]) for space in spaces]


def _of_normals(pairs: list[NormalPair], spaces: list[FloatArray]) -> FloatArray:
    """Their log-ratios, (n, spaces)."""
    found = [pair.log_ratio(space) for pair, space in zip(pairs, spaces, strict=True)]
    return clipped(np.column_stack(found))


def _looked_up(tables: list[FloatArray], labels: NDArray[np.intp]) -> FloatArray:
    """The entries of the tables for codes of labels, (n, columns)."""
    found = [table[np.minimum(codes, len(table) - 1)] for table, codes in zip(tables, labels.T, strict=True)]
    return np.column_stack(found) if found else np.empty(labels.shape)


def _tables(labels: NDArray[np.intp], is_p: FloatArray, sizes: NDArray[np.intp]) -> list[FloatArray]:
    """For each column of labels the log-ratio of frequencies by symbol, the last entry for symbols that are new."""
    tables = []
    for codes, size in zip(labels.T, sizes, strict=True):
        in_p, in_q = (np.append(np.bincount(codes[is_p == side], minlength=size), 0) + _ADDED for side in (1.0, 0.0))
        tables.append(np.log(in_p / in_p.sum()) - np.log(in_q / in_q.sum()))
    return tables
