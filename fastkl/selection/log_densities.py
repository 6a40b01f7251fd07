"""Log-densities of several models on the same rows, and their differences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats
from fastkl.divergence.models.model import Model
from fastkl.rows.reading import look
from fastkl.rows.weights import read_weights

# Roundings that two calculations of one log-density may differ by.
_ROUNDINGS = 8.0


def log_density_table(densities: Sequence[Any], X: ArrayLike) -> Floats:
    """Log-density of every row under every density, (n, k); ValueError for what is not one number per row."""
    X = look(X, "X")
    columns: list[Floats] = []
    for density in densities:
        if not hasattr(density, "score_samples"):
            raise TypeError(f"A density has score_samples(X); {density!r} has not.")
        values = np.asarray(density.score_samples(X), dtype=np.float64)
        if values.ndim != 1 or (columns and values.shape != columns[0].shape) or np.isnan(values).any():
            raise ValueError(f"{density!r} does not give one log-density for each row (shape {values.shape}, or NaN).")
        columns.append(values)
    _refuse_other_measures(densities)
    return np.stack(columns, axis=1)


def _refuse_other_measures(densities: Sequence[Any]) -> None:
    """ValueError for densities beside probabilities, or beside ones of rows whose sum is given: they say nothing of the sum."""
    first, *others = (Model(density, "density") for density in densities)
    for other in others:
        pair = f"{first.thing!r} and {other.thing!r}"
        if (first.discrete, first.discrete_columns) != (other.discrete, other.discrete_columns):
            raise ValueError(f"{pair} can't be compared: densities and probabilities have no common measure.")
        if first.given_sums != other.given_sums:
            raise ValueError(
                f"{pair} can't be compared by likelihood: one of them takes the sum of a row as given, and says nothing of it."
            )


def row_weights(sample_weight: ArrayLike | None, n: int, beside: Any = None) -> Floats:
    """Weights that sum to one, of rows that were given as ``beside``."""
    weights = read_weights(sample_weight, n, beside=beside)
    return np.full(n, 1.0 / n) if weights is None else weights / weights.sum()


def log_ratio(first: Floats, second: Floats, weights: Floats) -> Floats:
    """Differences of log-densities; ValueError for a row that both exclude, on which they cannot be compared.

    Where all of them are of the size of rounding the densities are equal, and so the differences are 0.
    """
    neither = (first == -np.inf) & (second == -np.inf) & (weights > 0.0)
    if neither.any():
        row = int(np.flatnonzero(neither)[0])
        raise ValueError(f"Row {row} lies outside the support of both densities; without it they can be compared.")
    with np.errstate(invalid="ignore"):
        difference = first - second
        rounding = _ROUNDINGS * np.finfo(np.float64).eps * np.maximum(np.abs(first), 1.0)
    if np.all(np.abs(difference) <= rounding):
        return np.zeros(len(first))
    return np.where(weights > 0.0, difference, 0.0)
