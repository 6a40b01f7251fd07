r"""Kernels that are moved against the bias of a kernel density, and the width at which they predict best.

A Gaussian kernel flattens peaks: to the leading order it adds :math:`\tfrac{1}{2} \nabla \cdot H \nabla p` to the density. Moving
every row by :math:`\tfrac{1}{2} H s(x_j)`, with s the slope of the log-density, takes the same away. The slope is that of the
estimate itself: first of the kernels where they are, then of the moved ones, which is nearer to the slope of the density than
any estimate that is biased. Each step lies within half the way to a mean of centres, so nothing runs away. Or a mixture of
normal distributions says where kernels go (``mixture_pilot``): where it is near the density, kernels can be wider by far.

Moved kernels can be wider. How much is told by rows that took no part in the move: a row that is only left out of its own sum
has still drawn its neighbours towards itself. What parts of the rows say of the density of the others is

.. math:: \langle \log \tilde p \rangle + \frac{2 \langle \tilde p \rangle - \int \tilde p^2}{\int p^2} ,

the mean log-likelihood, and what the integrated squared error asks for, in units of the density that is not moved. Each alone
errs: the likelihood goes by rows far out, where a few want wide kernels, and the squared error by the noise of the peaks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.kernel.mixture_pilot import MixturePilot
from fastkl.density.kernel.sums.folded import FoldedSums
from fastkl.density.kernel.sums.units import Units, median_of

MOVES = 2  # estimates of the slope: of the kernels as they are, and of the moved ones
FOLDS = 4  # parts of the rows, each predicted by the others
WIDEST = 4.0  # factor of the bandwidth of a rule
FINE = 1e-2  # of its logarithm: the likelihood is flat there
# moves (m, d) of kernels at points, by their weights and a bandwidth
Way = Callable[[Floats, Floats | None, Any], Floats]


def moves(points: Floats, weights: Floats | None, bandwidth: Any, **options: Any) -> Floats:
    """By how much the kernels at points (m, d) are moved: (m, d)."""
    centre, covariance = median_of(points), Units(bandwidth, np.zeros(points.shape[1])).covariance
    shifts = np.zeros(points.shape)
    for _ in range(MOVES):
        sums = FoldedSums.of(points + shifts, weights, "gaussian", bandwidth, centre, None, **options)
        shifts = 0.5 * sums.slopes(points)[1] @ covariance
    return shifts


def widened_moves(rows: Rows, bandwidth: Any, **options: Any) -> tuple[Any, Floats]:
    """A bandwidth times the factor, from 1 to ``WIDEST``, at which parts of the rows speak best of the others; the moves there.

    Kernels are moved by the slope of the estimate itself, or by a mixture of normal distributions: by what speaks better.
    """
    points, weights = rows.X.astype(np.float64), rows.weights
    # by the values of the rows, so that the order in which they come says nothing
    order = np.lexsort(points.T if weights is None else (weights, *points.T))
    part = np.random.default_rng(0).permutation(len(points))[np.argsort(order)] % FOLDS
    folds = [part == k for k in range(min(FOLDS, len(points)))]
    level = log_integral_of_square(points, weights, bandwidth, options)
    power = 2.0 if np.ndim(bandwidth) == 2 else 1.0  # a matrix holds squares

    def by_the_estimate(points: Floats, weights: Floats | None, width: Any) -> Floats:
        return moves(points, weights, width, **options)

    ways: list[tuple[Way, list[Way]]] = [(by_the_estimate, [by_the_estimate] * len(folds))]
    if (pilot := MixturePilot.fitted(points, weights, rows.n_threads)) is not None:
        parts = [pilot.refitted(points[~fold], _part(weights, ~fold), rows.n_threads) for fold in folds]
        if None not in parts:
            ways.append((pilot.moves, [own.moves for own in parts if own is not None]))

    found = []
    for way, of_folds in ways:

        def loss(log_factor: float, of_folds: list[Way] = of_folds) -> float:
            width = bandwidth * np.exp(power * log_factor)
            each = zip(folds, of_folds, strict=True)
            return -sum(_evidence(points, weights, fold, width, own, level, options) for fold, own in each)

        best = minimize_scalar(loss, bounds=(0.0, np.log(WIDEST)), method="bounded", options={"xatol": FINE})
        found.append((best.fun, bandwidth * float(np.exp(power * best.x)), way))
    _, width, way = min(found, key=lambda each: each[0])
    return width, way(points, weights, width)


def log_integral_of_square(points: Floats, weights: Floats | None, bandwidth: Any, options: dict[str, Any]) -> float:
    """Logarithm of the integral of the square of a density: a mean of sums of kernels of twice the square."""
    wider = bandwidth * (2.0 if np.ndim(bandwidth) == 2 else np.sqrt(2.0))
    logs = _log_densities(points, points, weights, wider, options)
    return float(logsumexp(logs, b=weights) - np.log(_total(points, weights)))


def _evidence(
    points: Floats, weights: Floats | None, fold: Any, bandwidth: Any, way: Way, level: float, options: dict[str, Any]
) -> float:
    """What the rows of a fold say of the moved kernels of the others, times their weight."""
    others, of_others, own = points[~fold], _part(weights, ~fold), _part(weights, fold)
    centres = others + way(others, of_others, bandwidth)
    logs = _log_densities(points[fold], centres, of_others, bandwidth, options)
    square = np.exp(log_integral_of_square(centres, of_others, bandwidth, options) - level)
    said = logs + 2.0 * np.exp(logs - level) - square
    return float(said.sum() if own is None else own @ said)


def _log_densities(
    rows: Floats, centres: Floats, weights: Floats | None, bandwidth: Any, options: dict[str, Any]
) -> Floats:
    sums = FoldedSums.of(centres, weights, "gaussian", bandwidth, median_of(centres), None, **options)
    return sums.log_sums(rows) - (sums.log_constant + np.log(_total(centres, weights)))


def _part(weights: Floats | None, chosen: Any) -> Floats | None:
    return None if weights is None else weights[chosen]


def _total(rows: Floats, weights: Floats | None) -> float:
    return float(len(rows)) if weights is None else float(weights.sum())
