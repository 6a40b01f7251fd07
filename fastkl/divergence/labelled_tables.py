r"""Two tables of labels and numbers: the divergence of the labels, and of the numbers among rows of equal ones.

With l the labels of a row and x its numbers,

.. math:: KL(p \| q) = KL(p_l \| q_l) + \sum_l p(l) \, KL(p_{x|l} \| q_{x|l}) ,

so that every part is one that is known how to estimate: frequencies, and two samples of numbers. The numbers of rows whose labels
are rare in either table are compared together, with the rows of q weighed as frequent as the labels are in p. What that leaves
out makes the estimate no larger (a divergence is convex), and is said where p and q differ for one label otherwise than for
another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, weighted_sample
from fastkl.divergence.coordinates import normal_scores
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.mixed_rows import MixedTables
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.symbols.categorical_kl import categorical_kl

# Labels of fewer rows than this in either table are taken together, and so are those beyond the most frequent.
_FEWEST, _MOST = 30, 100
# Numbers of fewer rows than this are not compared.
_LEAST = 5
# Labels whose numbers are doubted, or that q lacks by chance, in so large a part of p are said.
_DOUBTED, _UNSEEN = 0.35, 0.05
# That all rows of a label are in p is no chance; nor are differences between labels that stand together.
_CHANCE, _DIFFER = 1e-3, 1e-2
# So many reasons of the numbers are enough.
_REASONS = 3


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

    def masses(self, n_labels: int) -> FloatArray:
        """Those of each label together."""
        return np.bincount(self.labels, self.weights, minlength=n_labels).astype(np.float64)

    def among(self, kept: NDArray[np.bool_], factors: FloatArray) -> LabelledRows:
        """The rows of some labels, weighed by a factor for each label; those of factor 0 are left out."""
        rows = (kept & (factors > 0.0))[self.labels]
        return LabelledRows(self.numbers[rows], self.labels[rows], (self.weights * factors[self.labels])[rows])


def divergence_of_tables(tables: MixedTables, of_numbers: Callable[[SamplePair], Estimate]) -> Estimate:
    """KL(p || q) of two tables with labels and numbers, where ``of_numbers`` estimates that of two samples of numbers."""
    columns = tables.columns
    p, q = (LabelledRows.of(*side) for side in zip(columns.numbers, columns.labels, tables.weights, strict=True))
    sizes = (len(p.labels), len(q.labels))
    names = [", ".join(map(repr, labels)) for labels in columns.combinations]
    rows_p, rows_q = (np.bincount(side.labels, minlength=len(names)) for side in (p, q))
    lacking = _lacking(rows_p, rows_q)
    if lacking.any():
        named = "; ".join(name for name, gone in zip(names, lacking, strict=True) if gone)
        reason = (
            f"q has no row with the labels {named if len(named) < 100 else named[:100] + ' ...'}, which "
            f"{int(rows_p[lacking].sum())} of {sizes[0]} rows of p have: the divergence is infinite."
        )
        return Estimate(float("inf"), 0.0, sizes, "by labels", {"reasons": [reason]})
    mass_p, mass_q = (side.masses(len(names)) for side in (p, q))
    of_labels = categorical_kl(mass_p, mass_q, unseen="estimate", counts=True)
    together = _rare(rows_p, rows_q)
    groups = [(names[label], np.arange(len(names)) == label) for label in np.flatnonzero(~together & (rows_p > 0))]
    if together.any():
        groups.append(("other labels", together))
    in_q = mass_q > 0.0
    as_in_p = np.divide(mass_p, mass_q, out=np.zeros_like(mass_p), where=in_q)
    reasons, parts, value_of = _of_labels(of_labels), [], np.zeros(len(names))
    for name, kept in groups:
        one, other = p.among(kept, in_q.astype(np.float64)), q.among(kept, as_in_p)
        if kept is together:
            reasons += _of_those_together(one, other, names)
        if min(len(one.labels), len(other.labels)) < _LEAST:
            continue
        found = of_numbers(_as_pair(one, other, tables.n_jobs))
        value_of[kept] = float(found)
        parts.append(_Part(name, found, float(mass_p[kept].sum() / mass_p.sum())))
    reasons = reasons[:_REASONS] + _of_numbers(parts)
    second = float(sum(part.share * float(part.found) for part in parts))
    diagnostics = {
        "reasons": reasons,
        "of_labels": float(of_labels),
        "of_numbers": second,
        "groups": len(parts),
        "shared_rows": sum(part.found.diagnostics.get("shared_rows", 0) for part in parts),
    }
    error = 0.0 if np.isinf(second) else _error(of_labels, parts, value_of, mass_p, mass_q)
    return Estimate(float(of_labels) + second, error, sizes, "by labels", diagnostics)


class _Part(NamedTuple):
    """The numbers among rows of some labels: their name, their divergence, and how large a part of p they are."""

    name: str
    found: Estimate
    share: float


def _lacking(rows_p: NDArray[np.intp], rows_q: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which labels q lacks, and not by chance: of a label as frequent in both each row were in p with probability n / (n + m)."""
    n, m = rows_p.sum(), rows_q.sum()
    by_chance = rows_p * np.log(n / (n + m))
    return np.asarray((rows_q == 0) & (by_chance < np.log(_CHANCE / len(rows_p))))


def _rare(rows_p: NDArray[np.intp], rows_q: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which labels of p are taken together: those with few rows, and at least so many that these are enough together."""
    fewer, of_p = np.minimum(rows_p, rows_q), rows_p > 0
    order = np.argsort(fewer, kind="stable")
    together = (fewer < _FEWEST) & of_p
    together[order[:-_MOST]] = of_p[order[:-_MOST]]
    for label in order[of_p[order]]:
        if not together.any() or fewer[together].sum() >= _FEWEST:
            break
        together[label] = True
    return together


def _as_pair(p: LabelledRows, q: LabelledRows, n_jobs: int | None) -> SamplePair:
    """The numbers of both tables."""
    first, second = (weighted_sample(np.ascontiguousarray(side.numbers), side.weights, n_jobs) for side in (p, q))
    return SamplePair(first, second)


def _of_labels(found: Estimate) -> list[str]:
    """Doubts of the divergence of the labels, where those that q lacks by chance, or that nobody saw, are more than a few."""
    unseen, seen = found.diagnostics["unseen_mass"], min(found.diagnostics[f"coverage_{side}"] for side in "pq")
    if unseen < _UNSEEN and seen > 1.0 - 2.0 * _UNSEEN:
        return []
    return [f"Of the labels: {reason}" for reason in found.diagnostics["reasons"]]


def _of_those_together(p: LabelledRows, q: LabelledRows, names: list[str]) -> list[str]:
    """The reason to take the estimate for a lower bound: differences of p and q that are others for one label than for another.

    Of means and of spreads in normal scores of each column, by the homogeneity of their differences over the labels.
    """
    scores = np.concatenate(normal_scores(p.numbers, q.numbers, None))
    of_p = np.arange(len(scores)) < len(p.numbers)
    labels, weights = np.concatenate([p.labels, q.labels]), np.concatenate([p.weights, q.weights])
    least = 1.0
    for terms in (*scores.T, *np.abs(scores).T):
        at_p, at_q = (_means(terms[side], labels[side], weights[side], len(names)) for side in (of_p, ~of_p))
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
        f"{many} combinations of labels with few rows in p or in q are taken together, and the numbers of p and q differ in "
        "other ways for one of them than for another: some of that is missing, and the estimate is rather a lower bound. Merge "
        "labels, or leave columns of many labels out."
    ]


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


def _of_numbers(parts: list[_Part]) -> list[str]:
    """The doubts of the numbers, where rows with labels that have some are more than a few; those of most rows first."""
    doubted = [part for part in parts if part.found.bias_suspected]
    if sum(part.share for part in doubted) < _DOUBTED and not any(np.isinf(part.found) for part in parts):
        return []
    doubted.sort(key=lambda part: (np.isfinite(part.found), -part.share))
    found = [
        f"Of the numbers of rows with {part.name}: {reason}"
        for part in doubted
        for reason in part.found.diagnostics["reasons"]
    ]
    return found[:_REASONS] + [f"Numbers of {len(doubted)} of {len(parts)} labels are doubted."] * (
        len(found) > _REASONS
    )


def _error(
    of_labels: Estimate, parts: list[_Part], value_of: FloatArray, mass_p: FloatArray, mass_q: FloatArray
) -> float:
    """That of the labels and of the numbers, and of how frequent labels are whose numbers differ more or less."""
    size, seen = mass_p.sum(), mass_p > 0.0
    log_ratio = np.log(mass_p[seen] / size) - np.log(np.maximum(mass_q[seen], 0.5) / mass_q.sum())
    alone, both = (Mean.of(terms, mass_p[seen]).variance(size) for terms in (log_ratio, log_ratio + value_of[seen]))
    within = sum((part.share * part.found.standard_error) ** 2 for part in parts)
    return float(np.sqrt(max(of_labels.standard_error**2 + (both - alone) / size, 0.0) + within))
