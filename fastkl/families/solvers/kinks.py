"""Likelihoods with a kink at every row: their maxima where they meet a prior, and their information whatever the distribution.

At a maximum at a row the slope jumps from above 0 to below. The search along slopes ends near such a row, or beside it. From
there the location goes from row to row, the other parameters at their maximum for each, until the slopes on both sides point to
it, or in halves of the gap between two rows until the slope is 0. That is the certificate: with the others held the posterior has
no higher place next to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.base import Family, Fit
from fastkl.families.gradient_sums import all_added, gradients_at
from fastkl.families.solvers.coordinates import Chart

MOST_MOVES = 100
BESIDE = 1e-9  # of the scale: how far beside a row its slopes are taken
WIDTH = 1.94  # times n^(-1/3), in units of the scale: (1.5 phi(0)^2 z^2)^(1/3) of the probability at the .95 quantile of |z|
FLAT = 1e-8  # slope per unit of weight, in units of the scale, that counts as none


def at_kinks(
    family: Family, rows: AnyRows, fit: Fit, search: Callable[[Family, Fit], Fit], slopes: Callable[[Params], Params]
) -> Fit:
    """The maximum at rows where an ascent has ended without a certificate; the fit itself where there is none.

    Parameters
    ----------
    family : Family
        With kinks at the rows, in its only location.
    rows : AnyRows
        The rows.
    fit : Fit
        Where the ascent ended.
    search : callable
        ``search(family, fit)``: the maximum of the posterior over what a family leaves free, from a fit.
    slopes : callable
        Gradient of the posterior.
    """
    names = [
        name for name, space in family.spaces().items() if space.role == "location" and name in family.free_names()
    ]
    if family.smooth or fit.converged or len(names) != 1:
        return fit
    name = names[0]
    spread = family.spaces()[name].spread
    assert spread is not None
    low, high = np.full_like(fit.params[name], -np.inf), np.full_like(fit.params[name], np.inf)
    below, above = rows.total(_neighbours, fit.params[name], merge=_nearer)
    value = np.where(above - fit.params[name] < fit.params[name] - below, above, below)
    for _ in range(MOST_MOVES):
        held = type(family)(**{**family.get_params(deep=False), name: value})
        found = search(held, replace(fit, params={**fit.params, name: value}))
        step = np.maximum(BESIDE * found.params[spread], np.spacing(np.abs(value)))
        rises, falls = (slopes({**found.params, name: value + side})[name] for side in (step, -step))
        flat = FLAT * rows.total_weight / found.params[spread]
        way = np.where(rises > flat, 1, np.where(falls < -flat, -1, 0))
        if not way.any():
            return replace(found, n_iter=fit.n_iter + found.n_iter, boundary=fit.boundary)
        below, above = rows.total(_neighbours, np.where(way > 0, value + step, value - step), merge=_nearer)
        low, high = np.where(way > 0, value, low), np.where(way < 0, value, high)
        with np.errstate(invalid="ignore"):
            middle = 0.5 * (low + high)  # looked at only where both are known
        value = np.where(way > 0, np.where(above < high, above, middle), value)
        value = np.where(way < 0, np.where(below > low, below, middle), value)
        if not np.isfinite(value).all():
            return fit
    return fit


def information_across_kinks(family: Family, rows: AnyRows, params: Params, chart: Chart) -> Floats:
    """Minus the second derivatives of the log-likelihood by the coordinates, (q, q), for rows of any distribution.

    Beside a kink the mean slope changes by the density of the rows there, which no product of scores shows (that of the median
    is 1 / (4 f^2)). Differences over a length that shrinks as n^(-1/3) estimate it: along a location that of P. Hall, S. J.
    Sheather 1988 (doi:10.1111/j.2517-6161.1988.tb01735.x) about the median of a Laplace distribution, a tenth of it elsewhere.
    """
    weight, squared = rows.total(_weights)
    width = WIDTH * (weight * weight / squared) ** (-1.0 / 3.0)  # by the effective number of rows
    spaces = family.spaces()
    steps = np.concatenate(
        [np.full(block.size, width * (1.0 if spaces[block.name].role == "location" else 0.1)) for block in chart.blocks]
    )
    columns = chart.columns or 1
    p, u = chart.size // columns, chart.to(params)
    directions = np.kron(np.eye(p), np.ones((1, columns))) * steps  # all columns at once
    places = [chart.back(u + sign * direction) for direction in directions for sign in (-1.0, 1.0)]
    gradients = rows.total(gradients_at, family, places, merge=all_added)
    slopes = np.stack([chart.pull(at, gradient) for at, gradient in zip(places, gradients, strict=True)])
    falls = ((slopes[::2] - slopes[1::2]) / 2.0).reshape(p, p, columns) / steps.reshape(p, 1, columns)
    full, at = np.zeros((p, columns, p, columns)), np.arange(columns)
    full[:, at, :, at] = (0.5 * (falls + falls.swapaxes(0, 1))).transpose(2, 0, 1)
    return full.reshape(chart.size, chart.size)


def _weights(rows: Rows) -> Floats:
    """The sums of the weights and of their squares."""
    weights = np.ones(len(rows.X)) if rows.weights is None else rows.weights
    return np.array([weights.sum(), weights @ weights])


def _neighbours(rows: Rows, place: Floats) -> tuple[Floats, Floats]:
    """The next values of every column, at most and at least a place; infinite where there are none."""
    X = rows.X.astype(np.float64, copy=False)
    below = np.max(np.where(place >= X, X, -np.inf), axis=0)
    return below, np.min(np.where(place <= X, X, np.inf), axis=0)


def _nearer(first: tuple[Floats, Floats], second: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    return np.maximum(first[0], second[0]), np.minimum(first[1], second[1])
