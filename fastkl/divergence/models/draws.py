"""Draws from a model where a sample is needed: how many, and in the form of a sample."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastkl._core.whole_numbers import is_count
from fastkl.divergence.arguments import Sample
from fastkl.divergence.models.model import Model
from fastkl.families.drawing import within_turn

# From a model where there is no sample to go by.
DEFAULT_DRAWS = 100_000


def default_draws(n_rows: int) -> int:
    """Five draws for each row, at least 1000 and at most 100 000 unless there are more rows."""
    return max(n_rows, min(max(5 * n_rows, 1000), 100_000))


def resolve_draws(n_draws: int | None, default: int = DEFAULT_DRAWS) -> int:
    """The number of draws, checked."""
    if n_draws is None:
        return default
    if not is_count(n_draws, least=2):
        raise ValueError(f"n_draws is a whole number >= 2; got {n_draws!r}.")
    return int(n_draws)


def drawn_sample(model: Model, n_draws: int, like: Sample, rng: np.random.RandomState) -> Sample:
    """Draws from a model as a sample, with the columns and threads of another."""
    refuse_other_sums(model, like.X)
    X = model.draw(n_draws, rng)
    if X.shape[1] != like.n_columns:
        raise ValueError(f"The sample has {like.n_columns} columns and {model.name} draws rows of {X.shape[1]}.")
    if model.turn is not None:  # the rows may be angles of another turn
        period = model.turn[1] - model.turn[0]
        low = np.where(like.X.min(axis=0) >= 0.0, 0.0, -0.5 * period)
        X = within_turn(X, low, low + period)
    return Sample(np.ascontiguousarray(X, dtype=np.float64), None, like.n_jobs)


def refuse_other_sums(model: Model, rows: Any) -> None:
    """ValueError where draws of a model of rows with a given sum are not of the sum of the rows that they stand beside."""
    for columns in model.given_sums:
        sums = np.asarray(rows)[:, columns].astype(np.float64).sum(axis=1)
        own = float(model.draw(1, np.random.RandomState(0))[0, columns].sum())
        if sums.min() < own or sums.max() > own:
            raise ValueError(
                f"{model.name} is a distribution of rows whose sum is given, and draws rows of sum {own:g}; those here have "
                f"sums from {sums.min():g} to {sums.max():g}. Fit and compare rows of one sum at a time, or compare densities "
                "by the likelihood of the rows."
            )
