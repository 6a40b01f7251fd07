"""Derivatives that a family does not give in closed form: score of every row, and second derivatives of the log-likelihood.

Differences are central and of fourth order, taken in the coordinates of ``coordinates.py``, where a step of one is of
the order of one row's information: at a step of 1e-3 both what is cut off and what rounding adds are below 1e-11 of the
value.
"""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from fastkl.families.base import Family, Floats, Params, Rows
from fastkl.families.coordinates import Chart

STEP = 1e-3
BLOCK = 4096


def derivative(function: Callable[[Floats], ArrayLike], u: Floats) -> Floats:
    """Derivatives of an array-valued function by each coordinate: shape (*function shape, len(u))."""
    columns = []
    for i in range(len(u)):
        step = np.zeros_like(u)
        step[i] = STEP
        near = np.asarray(function(u + step)) - np.asarray(function(u - step))
        far = np.asarray(function(u + 2.0 * step)) - np.asarray(function(u - 2.0 * step))
        columns.append((8.0 * near - far) / (12.0 * STEP))
    return np.stack(columns, axis=-1)


def jacobian(function: Callable[[Floats], Floats], u: Floats, columns: int | None = None) -> Floats:
    """Derivatives, by each coordinate, of a function from coordinates to as many numbers: (1, q, q).

    ``columns`` says that the coordinates are those of p parameters in so many columns that know nothing of each other:
    then all columns are moved at once, and there is a matrix for each, (columns, p, p).
    """
    if columns is None:
        return derivative(function, u)[None]
    size = len(u) // columns
    blocks = np.empty((columns, size, size))
    for k in range(size):
        step = np.zeros((size, columns))
        step[k] = 1.0
        along = derivative(partial(_along, function, u, step.ravel()), np.zeros(1))
        blocks[:, :, k] = along.reshape(size, columns).T
    return blocks


def _along(function: Callable[[Floats], Floats], u: Floats, direction: Floats, length: Floats) -> Floats:
    return function(u + length[0] * direction)


def hessian(gradient: Callable[[Params], Params], chart: Chart, params: Params, columns: int | None = None) -> Floats:
    """Second derivatives, by the coordinates at ``params``, of the function with this gradient: shaped as above."""

    def pulled(u: Floats) -> Floats:
        moved = chart.back(u)
        return chart.pull(moved, gradient(moved))

    if chart.size == 0:
        return np.zeros((1, 0, 0))
    second = jacobian(pulled, chart.to(params), columns)
    symmetric: Floats = 0.5 * (second + second.swapaxes(1, 2))
    return symmetric


def row_scores(family: Family, rows: Rows, params: Params, chart: Chart) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of scores (m, size): derivatives of each row's log-density by the coordinates; and the rows' weights."""
    for start in range(0, len(rows.X), BLOCK):
        part = slice(start, start + BLOCK)
        weights = np.ones(len(rows.X[part])) if rows.weights is None else rows.weights[part]
        block = Rows(rows.X[part], None, 1)  # too few rows for a second thread
        by_parameter = family.score_rows(block, params)
        if by_parameter is not None:
            yield chart.pull(params, by_parameter), weights
        elif chart.size == 0:
            yield np.zeros((len(weights), 0)), weights
        else:
            yield derivative(partial(_log_density, family, block, chart), chart.to(params)), weights


def _log_density(family: Family, rows: Rows, chart: Chart, u: Floats) -> Floats:
    return family.log_density(rows, chart.back(u))


def score_products(family: Family, rows: Rows, params: Params, chart: Chart, *, squared: bool) -> Floats:
    """Sum over the rows of w s s^T, or of w^2 s s^T, with s the score of the row by the coordinates."""
    total = np.zeros((chart.size, chart.size))
    for scores, weights in row_scores(family, rows, params, chart):
        scaled = scores * (weights if squared else np.sqrt(weights))[:, None]
        total += scaled.T @ scaled
    return total
