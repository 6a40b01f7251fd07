"""Derivatives that a family does not give in closed form: score of every row, and second derivatives of the log-likelihood.

Differences are central and of fourth order, taken in the coordinates of ``coordinates.py``, where a step of one is of
the order of one row's information: at a step of 1e-3 both what is cut off and what rounding adds are below 1e-11 of the
value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats, Params
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.wording import capital
from fastkl.exceptions import SupportError
from fastkl.families.base import Family
from fastkl.families.solvers.coordinates import Chart

STEP = 1e-3
STEPS = (STEP, -STEP, 2.0 * STEP, -2.0 * STEP)
MOST_AT_ONCE = 256  # places at which a pass over the rows takes gradients


def derivative(function: Callable[[Floats], ArrayLike], u: Floats) -> Floats:
    """Derivatives of an array-valued function by each coordinate: shape (*function shape, len(u))."""
    units = np.eye(len(u))
    return np.stack([_differenced([function(u + step * unit) for step in STEPS]) for unit in units], axis=-1)


def _differenced(values: Sequence[ArrayLike]) -> Floats:
    """The derivative from the values at the four steps."""
    ahead, behind, far_ahead, far_behind = (np.asarray(value) for value in values)
    return (8.0 * (ahead - behind) - (far_ahead - far_behind)) / (12.0 * STEP)


def jacobian(functions: Callable[[list[Floats]], list[Floats]], u: Floats, columns: int | None = None) -> Floats:
    """Derivatives, by each coordinate, of a function from coordinates to as many numbers: (1, q, q).

    ``functions`` takes several places at once, since it may pass over rows for them. ``columns`` says that the coordinates are
    those of p parameters in so many independent columns: then all columns are moved at once, and there is a
    matrix for each, (columns, p, p).
    """
    size = len(u) if columns is None else len(u) // columns
    directions = np.kron(np.eye(size), np.ones((1, 1 if columns is None else columns)))
    places = [u + step * direction for direction in directions for step in STEPS]
    values: list[Floats] = []
    with single_threaded_blas():  # small matrices only wait for further threads
        for start in range(0, len(places), MOST_AT_ONCE):
            values += functions(places[start : start + MOST_AT_ONCE])
    along = [_differenced(values[k : k + len(STEPS)]) for k in range(0, len(values), len(STEPS))]
    if columns is None:
        return np.stack(along, axis=-1)[None]
    return np.stack([slopes.reshape(size, columns).T for slopes in along], axis=-1)


def hessian(
    gradients: Callable[[list[Params]], list[Params]], chart: Chart, params: Params, columns: int | None = None
) -> Floats:
    """Second derivatives, by the coordinates at ``params``, of the function with these gradients: shaped as above."""

    def pulled(places: list[Floats]) -> list[Floats]:
        moved = [chart.back(u) for u in places]
        return [chart.pull(at, gradient) for at, gradient in zip(moved, gradients(moved), strict=True)]

    if chart.size == 0:
        return np.zeros((1, 0, 0))
    second = jacobian(pulled, chart.to(params), columns)
    return 0.5 * (second + second.swapaxes(1, 2))


def row_scores(family: Family, rows: Rows, params: Params, chart: Chart) -> Iterator[tuple[Floats, Floats]]:
    """Blocks of scores (m, size): derivatives of each row's log-density by the coordinates; and the rows' weights."""
    for start in range(0, len(rows.X), BLOCK_ROWS):
        part = slice(start, start + BLOCK_ROWS)
        weights = np.ones(len(rows.X[part])) if rows.weights is None else rows.weights[part]
        block = Rows(rows.X[part], incomplete=rows.incomplete)  # too few rows for a second thread
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            by_parameter = family.score_rows(block, params)
            if by_parameter is not None:
                scores = chart.pull(params, by_parameter)
            elif chart.size == 0:
                scores = np.zeros((len(weights), 0))
            else:
                scores = derivative(partial(_log_density, family, block, chart), chart.to(params))
        without = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        if len(without):
            where = capital(rows.row(start + int(without[0])))
            raise SupportError(
                f"{where} has density 0, or next to 0: its log-density has no finite derivatives. Leave the row out; this "
                "distribution can't have been fitted to it."
            )
        yield scores, weights


def _log_density(family: Family, rows: Rows, chart: Chart, u: Floats) -> Floats:
    return family.log_density(rows, chart.back(u))


def score_products(family: Family, rows: AnyRows, params: Params, chart: Chart, *, squared: bool) -> Floats:
    """Sum over the rows of w s s^T, or of w^2 s s^T, with s the score of the row by the coordinates: one pass."""
    return rows.total(_score_products, family, params, chart, squared)


def information_of_scores(
    family: Family,
    rows: AnyRows,
    params: Params,
    chart: Chart,
    prior: Callable[[list[Params]], list[Params]] | None = None,
    columns: int | None = None,
) -> Floats:
    """Minus the second derivatives of log-likelihood plus log-prior, shaped as above, of a likelihood with kinks at the rows.

    Beside a kink a second derivative counts the rows within a step, whatever the information. The sum of the products of the
    scores has the same expectation as minus the second derivative of a smooth likelihood.
    """
    products = score_products(family, rows, params, chart, squared=False)[None]
    if columns is not None:
        at, p = np.arange(columns), chart.size // columns
        products = products.reshape(p, columns, p, columns)[:, at, :, at]
    return products if prior is None else products - hessian(prior, chart, params, columns)


def _score_products(rows: Rows, family: Family, params: Params, chart: Chart, squared: bool) -> Floats:
    total = np.zeros((chart.size, chart.size))
    for scores, weights in row_scores(family, rows.of_positive_weight(), params, chart):
        scaled = scores * (weights if squared else np.sqrt(weights))[:, None]
        total += scaled.T @ scaled
    return total
