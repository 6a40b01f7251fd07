"""Rows of labels and numbers of two tables, by label: those of frequent labels by themselves, those of rare ones together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, weighted_sample
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.labelled.mixed_rows import MixedTables
from fastkl.divergence.nearest.coordinates import normal_scores
from fastkl.divergence.nearest.neighbors import SamplePair

# Labels of fewer rows than this in either table are taken together, and so are those beyond the most frequent.
_FEWEST, _MOST = 30, 100
# So many reasons of a kind are enough.
MOST_REASONS = 3
# Numbers of fewer rows than this are not compared.
_LEAST = 5
# That all rows of a label are in p is no chance; nor are differences between labels that stand together.
_CHANCE, _DIFFER = 1e-3, 1e-2


class LabelledRows(NamedTuple):
    """Rows of positive weight of one table.

    Parameters
    ----------
    numbers : ndarray of shape (n, d)
        The numbers.
    labels : ndarray of shape (n,)
        The labels of a row as one whole number.
    weights : ndarray of shape (n,)
        Masses, which sum to the effective number of rows.
    """

    numbers: FloatArray
    labels: NDArray[np.intp]
    weights: FloatArray

    @classmethod
    def of(cls, numbers: FloatArray, labels: NDArray[np.intp], weights: FloatArray | None) -> LabelledRows:
        """The rows that have a weight."""
        if weights is None:
            return cls(numbers, labels[:, -1], np.ones(len(labels)))
        kept = weights > 0.0
        known = weights[kept]
        return cls(numbers[kept], labels[kept, -1], known * (known.sum() / np.square(known).sum()))

    def among(self, kept: NDArray[np.bool_], factors: FloatArray) -> LabelledRows:
        """The rows of some labels, weighed by a factor for each label; those of factor 0 are left out."""
        rows = (kept & (factors > 0.0))[self.labels]
        return LabelledRows(self.numbers[rows], self.labels[rows], (self.weights * factors[self.labels])[rows])


class Part(NamedTuple):
    """What is found of the numbers among rows of some labels, their name, and how much of the whole it counts for."""

    name: str
    found: Estimate
    share: float


class Group(NamedTuple):
    """Numbers of rows of one label, or of several rare ones, in both tables; ``kept`` (labels,) says which labels they are."""

    name: str
    kept: NDArray[np.bool_]
    pair: SamplePair


@dataclass(frozen=True)
class LabelledPair:
    """Two tables by label.

    Parameters
    ----------
    p, q : LabelledRows
        Their rows.
    names : list of str
        The labels.
    columns : list
        The columns of numbers, by their names or their places in the tables.
    n_jobs : int or None
        Threads.
    """

    p: LabelledRows
    q: LabelledRows
    names: list[str]
    columns: list[Any]
    n_jobs: int | None

    @classmethod
    def of(cls, tables: MixedTables) -> LabelledPair:
        """Those of two tables."""
        columns = tables.columns
        p, q = (LabelledRows.of(*side) for side in zip(columns.numbers, columns.labels, tables.weights, strict=True))
        labels = [", ".join(map(repr, labels)) for labels in columns.combinations]
        return cls(p, q, labels, columns.names, tables.n_jobs)

    @property
    def sizes(self) -> tuple[int, int]:
        """Rows of both."""
        return len(self.p.labels), len(self.q.labels)

    @property
    def rows(self) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Rows of each label in p and in q."""
        of_p, of_q = (np.bincount(side.labels, minlength=len(self.names)) for side in (self.p, self.q))
        return of_p, of_q

    @property
    def masses(self) -> tuple[FloatArray, FloatArray]:
        """Masses of each label in p and in q."""
        of_p, of_q = (
            np.bincount(side.labels, side.weights, len(self.names)).astype(float) for side in (self.p, self.q)
        )
        return of_p, of_q

    def lacking(self) -> NDArray[np.bool_]:
        """Which labels q lacks, and not by chance: of one as frequent in both each row were in p with probability n / (n + m)."""
        (rows_p, rows_q), (n, m) = self.rows, self.sizes
        by_chance = rows_p * np.log(n / (n + m))
        return np.asarray((rows_q == 0) & (by_chance < np.log(_CHANCE / len(rows_p))))

    def groups(self, shares: FloatArray) -> Iterator[tuple[Group, list[str]]]:
        """Rows of equal labels, and of rare ones together, weighed to have these shares in both; each with what is to be said.

        ``shares`` (labels,) say which labels matter, and how much each among those that are together; 0 leaves one out. Groups of
        too few rows are left out.
        """
        together = taken_together(np.minimum(*self.rows), shares > 0.0)
        kept = [
            (self.names[label], np.arange(len(shares)) == label) for label in np.flatnonzero(~together & (shares > 0))
        ]
        if together.any():
            kept.append(("other labels", together))
        masses = self.masses
        seen = (masses[0] > 0.0) & (masses[1] > 0.0)
        for name, labels in kept:
            both = labels & seen
            p, q = (
                side.among(both, _factors(shares, mass, both))
                for side, mass in zip((self.p, self.q), masses, strict=True)
            )
            said = self._said_of_those_together(p, q) if labels is together else []
            if min(len(p.labels), len(q.labels)) >= _LEAST:
                yield Group(name, labels, self._numbers(p, q)), said

    def _numbers(self, p: LabelledRows, q: LabelledRows) -> SamplePair:
        one, other = (weighted_sample(np.ascontiguousarray(x.numbers), x.weights, self.n_jobs) for x in (p, q))
        return SamplePair(one, other)

    def _said_of_those_together(self, p: LabelledRows, q: LabelledRows) -> list[str]:
        """The reason to take an estimate for a lower bound: differences of p and q that are not the same for all labels.

        Of means and of spreads in normal scores of each column, by the homogeneity of their differences over the labels.
        """
        if not (len(p.labels) and len(q.labels)):
            return []
        scores = np.concatenate(normal_scores(p.numbers, q.numbers, None))
        of_p = np.arange(len(scores)) < len(p.numbers)
        labels, weights = np.concatenate([p.labels, q.labels]), np.concatenate([p.weights, q.weights])
        least = 1.0
        for terms in (*scores.T, *np.abs(scores).T):
            at_p, at_q = (_means(terms[x], labels[x], weights[x], len(self.names)) for x in (of_p, ~of_p))
            variance = at_p[1] + at_q[1]
            known = np.isfinite(variance) & (variance > 0.0)
            difference, precision = (at_p[0] - at_q[0])[known], 1.0 / variance[known]
            if len(difference) > 1:
                apart = difference - np.average(difference, weights=precision)
                least = min(least, float(chi2.sf(precision @ np.square(apart), len(difference) - 1)))
        if least * 2.0 * scores.shape[1] > _DIFFER:
            return []
        many = len(np.unique(p.labels))
        return [
            f"{many} combinations of labels with few rows in p or in q are pooled, although the numbers of p and q differ in "
            "different ways among them: part of that difference is missing, so the estimate is best read as a lower bound. "
            "Merge labels, or leave columns of many labels out."
        ]


def taken_together(rows: NDArray[np.intp], matter: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which labels are taken together: those with few rows, and at least so many that these are enough together."""
    order = np.argsort(rows, kind="stable")
    together = (rows < _FEWEST) & matter
    together[order[:-_MOST]] = matter[order[:-_MOST]]
    for label in order[matter[order]]:
        if not together.any() or rows[together].sum() >= _FEWEST:
            break
        together[label] = True
    return together


def said_of_parts(parts: list[Part], doubted: float) -> list[str]:
    """The doubts of the numbers, where rows with labels that have some are more than a few; those of most rows first."""
    in_doubt = [part for part in parts if part.found.bias_suspected]
    if sum(part.share for part in in_doubt) < doubted and not any(np.isinf(part.found) for part in parts):
        return []
    in_doubt.sort(key=lambda part: (np.isfinite(part.found), -part.share))
    found = [
        f"Of the numbers of rows with {part.name}: {reason}"
        for part in in_doubt
        for reason in part.found.diagnostics["reasons"]
    ]
    return found[:MOST_REASONS] + [f"Numbers of {len(in_doubt)} of {len(parts)} labels are doubted."] * (
        len(found) > MOST_REASONS
    )


def variance_between(of_labels: FloatArray, of_numbers: FloatArray, mass: FloatArray) -> float:
    """What it adds to the variance of a mean over rows of what their labels give that their numbers give more."""
    seen = mass > 0.0
    alone, both = (
        Mean.of(terms[seen], mass[seen]).variance(mass.sum()) for terms in (of_labels, of_labels + of_numbers)
    )
    return (both - alone) / float(mass.sum())


def _factors(shares: FloatArray, masses: FloatArray, kept: NDArray[np.bool_]) -> FloatArray:
    """Shares over masses of the labels that are kept, 0 of others; 1 where they are all the same but for rounding."""
    factors = np.zeros_like(shares)
    factors[kept] = shares[kept] / masses[kept]
    least, most = factors[kept].min(initial=np.inf), factors.max(initial=0.0)
    return kept.astype(np.float64) if most <= least * (1.0 + 1e-12) else factors


def _means(
    terms: FloatArray, labels: NDArray[np.intp], weights: FloatArray, n_labels: int
) -> tuple[FloatArray, FloatArray]:
    """Means of terms by label, and their variances at one spread for all; nan where a label has no row."""
    mass, squares = (np.bincount(labels, w, minlength=n_labels) for w in (weights, np.square(weights)))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(labels, weights * terms, minlength=n_labels) / mass
        free = max(len(terms) - np.count_nonzero(mass), 1)
        spread = np.average(np.square(terms - mean[labels]), weights=weights) * len(terms) / free
        return mean, spread * squares / np.square(mass)
