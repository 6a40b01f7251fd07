r"""Labels and numbers against a product of models: the divergence of the labels, and of the numbers among rows of equal ones.

With l the labels of a row and x its numbers, and q(l, x) = q(l) q(x),

.. math:: KL(p \| q) = KL(p_l \| q_l) + \sum_l p(l) \, KL(p_{x|l} \| q_x) ,

so that every part is one that is known how to estimate: frequencies against probabilities, and samples of numbers against a
density. What labels and numbers tell of each other, which a product denies, is in the second part.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, as_sample
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.model import Model
from fastkl.divergence.operands import SampleOperand
from fastkl.divergence.options import Options
from fastkl.divergence.sample_model import sample_model_divergence
from fastkl.divergence.symbols.empirical import EmpiricalDistribution, frequencies_divergence
from fastkl.rows.weights import read_weights

# Fewer rows of equal labels than this are taken together with others.
_FEWEST = 30


def product_of_kinds(model: Model, rows: NDArray[Any]) -> tuple[list[int], list[int]] | None:
    """Columns of labels and of numbers, counts among them, of a product no part of which has both; None for any other model."""
    if model.factors is None:
        return None
    labels: list[int] = []
    numbers: list[int] = []
    for columns, part in model.factors:
        if all(_are_numbers(rows[:, j]) for j in columns):
            numbers += columns
        elif part.discrete:
            labels += columns
        else:
            return None
    return (sorted(labels), sorted(numbers)) if labels and numbers else None


def _are_numbers(values: NDArray[Any]) -> bool:
    """Whether a column holds numbers; truth values are labels."""
    return all(isinstance(value, Real) and not isinstance(value, bool | np.bool_) for value in values.tolist())


def divergence_by_labels(
    p: SampleOperand, model: Model, kinds: tuple[list[int], list[int]], options: Options
) -> Estimate:
    """KL(distribution of the table || model)."""
    labels, numbers = kinds
    rows = p.rows
    weights = read_weights(p.weights, len(rows), f"sample_weight of {p.name}")
    masses = np.ones(len(rows)) if weights is None else weights
    of_labels, of_numbers = (Model(model.thing.marginal(columns), model.name) for columns in kinds)
    first = frequencies_divergence(EmpiricalDistribution(rows[:, labels], masses), of_labels)
    if np.isinf(first):
        return first
    groups, together = _groups(rows[:, labels], masses)
    shares, parts, reasons = [], [], [f"Of the labels: {reason}" for reason in first.diagnostics["reasons"]]
    for name, kept in groups:
        X = np.ascontiguousarray(rows[kept][:, numbers], dtype=np.float64)
        sample = as_sample(X, p.name, None if weights is None else weights[kept], p.n_jobs)
        part = sample_model_divergence(sample, of_numbers, options)
        reasons += [f"Of the numbers of rows with {name}: {reason}" for reason in part.diagnostics["reasons"]]
        shares.append(masses[kept].sum() / masses.sum())
        parts.append(part)
    if together:
        reasons.append(
            f"{together} combinations of labels, some with fewer than {_FEWEST} rows, are taken together: what they tell of the "
            "numbers is missing."
        )
    share, values = np.array(shares), np.array([float(part) for part in parts])
    second = float(share @ values)
    if np.isinf(second):
        return Estimate(
            float(first) + second, 0.0, len(rows), "by labels", {"bias_suspected": True, "reasons": reasons}
        )
    between = (
        Mean.of(values, share).variance() / (masses.sum() ** 2 / np.square(masses).sum()) if len(parts) > 1 else 0.0
    )
    within = float(np.sum(np.square(share * np.array([part.standard_error for part in parts]))))
    error = float(np.sqrt(first.standard_error**2 + within + between))
    diagnostics = {
        "reasons": reasons,
        "of_labels": float(first),
        "of_numbers": second,
        "groups": len(parts),
    }
    return Estimate(float(first) + second, error, len(rows), "by labels", diagnostics)


def _groups(labels: NDArray[Any], masses: FloatArray) -> tuple[list[tuple[str, NDArray[np.bool_]]], int]:
    """Rows with equal labels, by name, those of few rows together; and how many combinations these are."""
    keys, of_rows = coded(list(map(tuple, labels.tolist())))
    counts = np.bincount(of_rows, masses > 0.0, minlength=len(keys))
    joined, by_size = counts < _FEWEST, np.argsort(counts)
    for code in by_size:  # too few even together: the smallest of the others joins them
        if not 0 < counts[joined].sum() < _FEWEST:
            break
        joined[code] = True
    present = masses > 0.0
    groups = [
        (", ".join(map(repr, key)), present & (of_rows == code)) for code, key in enumerate(keys) if not joined[code]
    ]
    if counts[joined].sum():
        groups.append(("other labels", present & joined[of_rows]))
    together = int(np.sum(joined & (counts > 0)))
    return groups, together if together > 1 else 0
