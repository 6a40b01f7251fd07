r"""What numbers tell of labels, and labels of labels: mutual information where a side has no distances.

Labels are told from one another one at a time. With l the label of a row and x its numbers, by the chain rule,

.. math:: I(x; l) = \sum_j P(l \ge j) \, I(x; [l = j] \mid l \ge j) ,

and each of these is the Jensen-Shannon divergence of rows with label j from the rows with the labels after it, in a mixture of as
much of either as there is: what neighbours, or who tells the rows apart, know how to estimate. The most frequent label is
the first. Of labels on both sides it is H(x) + H(y) - H(x, y), of entropies that are corrected for what was not seen.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl._core.means import Mean
from fastkl._core.warned import warnings_kept
from fastkl.divergence.arguments import FloatArray, weighted_sample
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.jensen_shannon_samples import jensen_shannon_of_samples
from fastkl.divergence.nearest.diagnostics import negative_reasons
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.divergence.told_apart import most_of_mixture
from fastkl.exceptions import DegenerateDataError, SharedRowsWarning

# Labels of fewer rows than this are one, and so are those beyond the most frequent.
FEWEST, _MOST = 10, 50
# What is missing by that is said from such a part of the standard error on.
_SAID = 0.5
# Steps in doubt that could tell so large a part of the entropy of the labels are said.
_DOUBTED = 0.35
# So many reasons are enough.
_REASONS = 3


class Labels(NamedTuple):
    """Labels of rows.

    Parameters
    ----------
    names : list
        The distinct ones, that of most rows first.
    codes : ndarray of shape (n,)
        Which of them a row has.
    """

    names: list[Any]
    codes: NDArray[np.intp]

    @classmethod
    def of(cls, rows: NDArray[Any]) -> Labels:
        """Those of a column, or of several as one."""
        keys = [row[0] if len(row) == 1 else tuple(row) for row in rows.tolist()]
        names, codes = coded(keys)
        order = np.argsort(-np.bincount(codes), kind="stable")
        place = np.empty(len(names), dtype=np.intp)
        place[order] = np.arange(len(names))
        return cls([names[i] for i in order], place[codes])

    def refuse_distinct(self, name: str, fewest: int) -> None:
        """DegenerateDataError for labels that tell nothing: one alone, or none of them in two rows or as many as are needed."""
        if len(self.names) == 1:
            raise DegenerateDataError(
                f"{name} has one label only, {self.names[0]!r}, and so carries no information. Leave it out.", 0
            )
        if len(self.names) == len(self.codes):
            raise DegenerateDataError(
                f"No label of {name} occurs twice: its {len(self.names)} rows say nothing about the mutual information. If they "
                "are numbers as text, convert them; if identifiers, leave them out."
            )
        if np.bincount(self.codes).max() < fewest:
            raise DegenerateDataError(
                f"No label of {name} is in {fewest} rows or more: labels so rare say nothing about numbers. Merge labels."
            )


def numbers_and_labels(
    X: FloatArray, labels: Labels, masses: FloatArray, options: Options, n_jobs: int | None
) -> Estimate:
    """Of numbers, which may be rows of several, and labels."""
    codes = labels.codes
    # Rare labels are the last, and are not told from one another.
    rows = np.bincount(codes, minlength=len(labels.names))
    last = min(int(np.searchsorted(-rows, -FEWEST, side="right")), _MOST)
    merged = np.minimum(codes, last)
    while last > 0 and np.count_nonzero(merged == last) < 2:
        last -= 1
        merged = np.minimum(codes, last)
    share = np.bincount(merged, masses, minlength=last + 1) / masses.sum()
    effective = masses.sum() ** 2 / np.square(masses).sum()
    total = variance = doubted = 0.0
    reasons: list[str] = []
    for label in range(last):
        parts = (merged == label, merged > label)
        pair = SamplePair(*(weighted_sample(np.ascontiguousarray(X[part]), masses[part], n_jobs) for part in parts))
        left = float(share[label:].sum())
        with warnings_kept(SharedRowsWarning):  # rows of one sample have no other to share rows with
            found = jensen_shannon_of_samples(pair, replace(options, standard_error=True), float(share[label]) / left)
        total += left * float(found)
        variance += (left * found.standard_error) ** 2
        reasons += [f"Rows with {labels.names[label]!r} (p) beside rarer labels (q): {said}" for said in found.reasons]
        doubted += left * most_of_mixture(float(share[label]) / left) * found.bias_suspected
    surprise = Mean.of(-np.log(share[merged]), masses)
    explained = total / surprise.value if surprise.value > 0.0 else 0.0
    variance += float(np.clip(explained, 0.0, 1.0)) ** 2 * surprise.variance() / effective
    error = float(np.sqrt(variance))
    lost = float(share[last]) * _entropy(np.bincount(codes[merged == last], masses[merged == last]).astype(np.float64))
    reasons = reasons[:_REASONS] if doubted > _DOUBTED * surprise.value else []
    reasons += negative_reasons(total, error, "mutual information")
    if lost > _SAID * error and len(labels.names) > last + 1:
        reasons.append(
            f"{len(labels.names) - last} labels with few rows are pooled into one, which leaves out up to {lost:.2g} nats. "
            "Merge labels that belong together."
        )
    diagnostics = {"reasons": reasons, "labels": last + 1, "entropy_of_labels": surprise.value}
    return Estimate(total, error, len(codes), "by labels", diagnostics)


def between_labels(x: Labels, y: Labels, masses: FloatArray) -> Estimate:
    """Of labels and labels."""
    pairs, both = coded(list(zip(x.codes.tolist(), y.codes.tolist(), strict=True)))
    masses = masses * (masses.sum() / np.square(masses).sum())
    size = float(masses.sum())
    counts = [np.bincount(codes, masses).astype(np.float64) for codes in (x.codes, y.codes, both)]
    entropies = [categorical_entropy(one, counts=True) for one in counts]
    value = float(entropies[0]) + float(entropies[1]) - float(entropies[2])
    first, second = (np.array([pair[side] for pair in pairs]) for side in (0, 1))
    ratio = np.log(counts[2] * size / (counts[0][first] * counts[1][second]))
    free = float((len(counts[0]) - 1) * (len(counts[1]) - 1))
    # that of the mean, and what is left of it where the labels have nothing to do with each other
    spread = Mean.of(ratio, counts[2])
    error = float(np.sqrt(spread.squares / spread.weight / size + free / (2.0 * size**2)))
    reasons = [f"Of x and y together: {said}" for said in entropies[2].reasons]
    reasons += negative_reasons(value, error, "mutual information")
    diagnostics = {"reasons": reasons, "entropies": tuple(float(one) for one in entropies)}
    return Estimate(value, error, len(both), "symbols", diagnostics)


def _entropy(masses: FloatArray) -> float:
    known = masses[masses > 0.0] / masses.sum()
    return float(-known @ np.log(known))
