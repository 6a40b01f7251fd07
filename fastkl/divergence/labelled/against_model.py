r"""Labels and numbers against a model of both: the divergence of the labels, and of the numbers among rows of equal ones.

With l the labels of a row and x its numbers,

.. math:: KL(p \| q) = KL(p_l \| q_l) + \sum_l p(l) \, KL(p_{x|l} \| q_{x|l}) ,

so that every part is one that is known how to estimate: frequencies against probabilities, and samples of numbers against a
density. In a product of models of the one and of the other it is the same density for all labels, and what labels and numbers
tell of each other, which the product denies, is in the second part. Any other model that has conditional distributions, as a
mixture of products, has one for each combination of labels; rows whose labels are rare then have no part in the second sum, which
is said.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl._core.means import Mean
from fastkl.divergence.against_model.sample_model import sample_model_divergence
from fastkl.divergence.arguments import as_sample
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.model import Model
from fastkl.divergence.operands import SampleOperand
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import EmpiricalDistribution, frequencies_divergence

# Fewer rows of equal labels than this are taken together with others.
_FEWEST = 30
# Or left out, and said to be where they are more than this part.
_LEFT_OUT = 0.05


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


def kinds_of_columns(model: Model, rows: NDArray[Any]) -> tuple[list[int], list[int]] | None:
    """Columns of labels and of numbers where the model has a distribution of the numbers given the labels, else None."""
    if not all(callable(getattr(model.thing, name, None)) for name in ("marginal", "conditional")):
        return None
    labels = [j for j in range(rows.shape[1]) if not _are_numbers(rows[:, j])]
    return labels, [j for j in range(rows.shape[1]) if j not in labels]


def divergence_by_labels(
    p: SampleOperand, model: Model, kinds: tuple[list[int], list[int]], options: Options, *, independent: bool
) -> Estimate:
    """KL(distribution of the table || model), where labels and numbers are independent in the model, or not."""
    labels, numbers = kinds
    rows = p.rows
    weights = p.masses(len(rows))
    if weights is not None and not weights.all():
        rows, weights = rows[weights > 0.0], weights[weights > 0.0]
    masses = np.ones(len(rows)) if weights is None else weights
    of_labels = Model(model.thing.marginal(labels), model.name)
    first = frequencies_divergence(EmpiricalDistribution(rows[:, labels], masses), of_labels)
    if np.isinf(first):
        return first
    groups, rare = _groups(rows[:, labels], together=independent)
    of_numbers = Model(model.thing.marginal(numbers), model.name) if independent else None
    shares, parts, reasons = [], [], [f"Of the labels: {reason}" for reason in first.diagnostics["reasons"]]
    for name, kept in groups:
        X = np.ascontiguousarray(rows[kept][:, numbers], dtype=np.float64)
        sample = as_sample(X, p.name, None if weights is None else weights[kept], p.n_jobs)
        given = of_numbers or _given(model, labels, rows[np.argmax(kept)])
        part = sample_model_divergence(sample, given, options)
        reasons += [f"Of the numbers of rows with {name}: {reason}" for reason in part.diagnostics["reasons"]]
        shares.append(masses[kept].sum() / masses.sum())
        parts.append(part)
    reasons += _of_rare(rare, max(1.0 - sum(shares), 0.0), together=independent)
    share, values = np.array(shares), np.array([float(part) for part in parts])
    second = float(share @ values)
    if np.isinf(second):
        return Estimate(float(first) + second, 0.0, len(rows), "by labels", {"reasons": reasons})
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


def _given(model: Model, labels: list[int], row: NDArray[Any]) -> Model:
    """The model's distribution of the numbers of rows with the labels of one."""
    return Model(model.thing.conditional(dict(zip(labels, row[labels].tolist(), strict=True))), model.name)


def _of_rare(rare: int, left_out: float, *, together: bool) -> list[str]:
    """What is missing where some combinations of labels have few rows."""
    if together and rare > 1:
        return [
            f"{rare} combinations of labels, some with fewer than {_FEWEST} rows, are pooled: what they say about the numbers "
            "is missing."
        ]
    if left_out > _LEFT_OUT:
        return [
            f"{rare} combinations of labels, {left_out:.0%} of the rows, have fewer than {_FEWEST} rows each: the divergence of "
            "their numbers from the model is missing, so the estimate is best read as a lower bound."
        ]
    return []


def _groups(labels: NDArray[Any], *, together: bool) -> tuple[list[tuple[str, NDArray[np.bool_]]], int]:
    """Rows with equal labels, by name, and how many combinations have few rows: they are one group together, or left out."""
    keys, of_rows = coded(list(map(tuple, labels.tolist())))
    counts = np.bincount(of_rows, minlength=len(keys))
    rare, by_size = counts < _FEWEST, np.argsort(counts)
    for code in by_size if together else ():  # too few even together: the smallest of the others joins them
        if not 0 < counts[rare].sum() < _FEWEST:
            break
        rare[code] = True
    groups = [(", ".join(map(repr, key)), of_rows == code) for code, key in enumerate(keys) if not rare[code]]
    if together and counts[rare].sum():
        groups.append(("other labels", rare[of_rows]))
    return groups, int(np.sum(rare))
