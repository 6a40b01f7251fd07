r"""The entropy of a table of labels and numbers: that of the labels, and of the numbers among rows of equal ones.

With l the labels of a row and x its numbers it is

.. math:: H(p) = H(p_l) + \sum_l p(l) \, h(p_{x|l}) ,

with respect to counting of labels and volume of numbers, as the log-density of a model of both is. The numbers of rows with rare
labels are taken together. What that leaves out makes the estimate no smaller (entropy is concave), and is said where they differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import kruskal

from fastkl.divergence.arguments import Sample, weighted_sample
from fastkl.divergence.column_words import errors_by_names, estimate_by_names
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.labelled.mixed_rows import MixedTables
from fastkl.divergence.labelled.rows_by_label import LabelledRows, Part, said_of_parts, taken_together, variance_between
from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.exceptions import DegenerateDataError

# Chance that differences between labels that stand together are told where there are none.
_DIFFER = 1e-3
# Labels whose entropy is doubted in so large a part of the rows are said.
_DOUBTED = 0.35


def entropy_of_table(table: MixedTables, of_numbers: Callable[[Sample], Estimate]) -> Estimate:
    """That of the first of two tables, where ``of_numbers`` estimates that of a sample of numbers."""
    columns = table.columns
    names = [", ".join(map(repr, labels)) for labels in columns.combinations]
    rows = LabelledRows.of(columns.numbers[0], columns.labels[0], table.weights[0])
    mass = np.bincount(rows.labels, rows.weights, len(names)).astype(float)
    of_labels = categorical_entropy(mass[mass > 0.0], counts=True)
    shares, value_of = mass / mass.sum(), np.zeros(len(names))
    reasons = [f"Of the labels: {said}" for said in of_labels.reasons]
    parts = []
    for name, kept in _groups(rows, names):
        found = _of_rows(rows, kept, (name, columns.names), of_numbers, table.n_jobs)
        value_of[kept] = float(found)
        parts.append(Part(name, found, float(shares[kept].sum())))
        if kept.sum() > 1 and _differ(rows, kept):
            reasons.append(
                f"{kept.sum()} combinations of labels with few rows are pooled, although their numbers differ: the estimate is "
                "best read as an upper bound. Merge labels, or leave columns of many labels out."
            )
    reasons += said_of_parts(parts, _DOUBTED)
    seen = mass > 0.0
    surprise = -np.log(np.where(seen, shares, 1.0))
    between = variance_between(surprise, value_of, mass)
    within = sum((share * found.standard_error) ** 2 for _, found, share in parts)
    error = float(np.sqrt(max(of_labels.standard_error**2 + between, 0.0) + within))
    second = float(shares @ value_of)
    diagnostics = {"reasons": reasons, "of_labels": float(of_labels), "of_numbers": second, "groups": len(parts)}
    return Estimate(float(of_labels) + second, error, len(rows.labels), "by labels", diagnostics)


def _groups(rows: LabelledRows, names: list[str]) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Labels by themselves, and rare ones together with as many others as make them enough."""
    count = np.bincount(rows.labels, minlength=len(names))
    together = taken_together(count, count > 0)
    for label in np.flatnonzero(~together & (count > 0)):
        yield names[label], np.arange(len(names)) == label
    if together.any():
        yield "other labels", together


def _of_rows(
    rows: LabelledRows,
    kept: NDArray[np.bool_],
    names: tuple[str, list[Any]],
    of_numbers: Callable[[Sample], Estimate],
    n_jobs: int | None,
) -> Estimate:
    """The entropy of the numbers of some labels; DegenerateDataError with their name, and the column's, where they have none."""
    numbers, _, weights = rows.among(kept, np.ones(len(kept)))
    try:
        with errors_by_names(names[1]):
            found = of_numbers(weighted_sample(np.ascontiguousarray(numbers), weights, n_jobs))
    except DegenerateDataError as error:
        raise DegenerateDataError(f"Of the rows with {names[0]}: {error}", error.column) from error
    return estimate_by_names(found, names[1])


def _differ(rows: LabelledRows, kept: NDArray[np.bool_]) -> bool:
    """Whether numbers of labels that stand together differ in their ranks, or in how far they are from the middle."""
    numbers, labels, _ = rows.among(kept, np.ones(len(kept)))
    terms = [values for column in numbers.T for values in (column, np.abs(column - np.median(column)))]
    groups = [labels == label for label in np.unique(labels)]
    chances = [kruskal(*(values[rows] for rows in groups)).pvalue for values in terms if np.ptp(values) > 0.0]
    return bool(chances) and min(chances) * len(chances) < _DIFFER
