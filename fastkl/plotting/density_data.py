"""What a density plot shows, as numbers: histogram and curve of a column, frequencies of a discrete one, contours of two.

The view covers the bulk of the data: a value far outside it would squeeze everything else into one bar. Rows beyond are counted
and the plot says so; heights are still shares of all rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.divergence.models.model import Model

# A value further than so many interquartile ranges from the quartiles lies beyond the view.
_FAR = 10.0
_BINS = (8, 120)
_MARGIN = 0.05
# Counts over more values than this are drawn in so many groups.
_MOST_VALUES, _GROUPS = 300, 100


@dataclass(frozen=True)
class Curve:
    """One continuous column: histogram and density.

    Parameters
    ----------
    edges : ndarray of shape (b + 1,)
        Edges of the bins.
    heights : ndarray of shape (b,)
        Share of the weight in a bin, divided by its width.
    grid : ndarray of shape (m,)
        Where the density is drawn.
    density : ndarray of shape (m,)
        exp of its logarithm, there.
    beyond : tuple of int
        Rows below and above the bins.
    """

    edges: Floats
    heights: Floats
    grid: Floats
    density: Floats
    beyond: tuple[int, int]


@dataclass(frozen=True)
class Bars:
    """One discrete column: relative frequencies and probabilities of its values or labels.

    Of counts that are far apart a bar stands for ``width`` values, by the mean of their frequencies and the probability of the
    one in their middle; ``beyond`` rows are outside the view.
    """

    values: NDArray[Any]
    frequencies: Floats
    probabilities: Floats
    width: int = 1
    beyond: int = 0


@dataclass(frozen=True)
class Plane:
    """Two continuous columns: rows and log-density.

    Parameters
    ----------
    points : ndarray of shape (n, 2)
        The rows.
    weights : ndarray of shape (n,) or None
        Their weights.
    grid_x, grid_y : ndarray of shape (m,)
        Where the log-density is known.
    log_density : ndarray of shape (m, m)
        At (grid_y, grid_x).
    masses : tuple of float
        Shares of the model that the contours enclose.
    levels : ndarray
        Their log-densities, in the order of ``masses``.
    beyond : int
        Rows outside the view.
    """

    points: Floats
    weights: Floats | None
    grid_x: Floats
    grid_y: Floats
    log_density: Floats
    masses: tuple[float, ...]
    levels: Floats
    beyond: int


def view(column: Floats) -> tuple[float, float]:
    """Smallest and largest value that is not far out."""
    low, high = np.quantile(column, [0.25, 0.75])
    reach = _FAR * (high - low)
    if reach == 0.0:
        return float(column.min()), float(column.max())
    return float(column[column >= low - reach].min()), float(column[column <= high + reach].max())


def bin_edges(column: Floats, bins: int | ArrayLike | None) -> Floats:
    """Edges over the view: of the width of Freedman and Diaconis, aligned with the steps of rounded values."""
    if isinstance(bins, int | np.integer) and bins < 1:
        raise ValueError(f"bins has to be at least 1, not {bins}.")
    low, high = view(column)
    if low == high:
        half = 0.5 * max(abs(low), 1.0) * 0.1
        return np.array([low - half, low + half])
    if bins is not None and not isinstance(bins, int | np.integer):
        edges = np.asarray(bins, dtype=np.float64)
        if edges.ndim != 1 or len(edges) < 2 or np.any(np.diff(edges) <= 0.0):
            raise ValueError("bins is a number of bins or an increasing array of edges.")
        return edges
    if bins is not None:
        return np.linspace(low, high, int(bins) + 1)
    inside = column[(column >= low) & (column <= high)]
    width = 2.0 * float(np.subtract(*np.quantile(inside, [0.75, 0.25]))) / np.cbrt(len(inside))
    count = np.clip(np.ceil((high - low) / width) if width > 0.0 else np.inf, *_BINS)
    step = lattice_step(inside)
    if step is None:
        return np.linspace(low, high, int(count) + 1)
    width = max(1.0, np.round((high - low) / count / step)) * step
    return np.asarray(low - 0.5 * step + width * np.arange(np.ceil((high - low + step) / width) + 1))


def lattice_step(column: Floats) -> float | None:
    """The step of values rounded to a common step with many repeats; None for others."""
    values = np.unique(column)
    if len(values) < 3 or len(values) > min(1000, len(column) // 2):
        return None
    steps = np.diff(values)
    step = float(steps.min())
    return step if np.all(np.abs(steps / step - np.round(steps / step)) < 1e-3) else None


def curve(model: Model, column: Floats, weights: Floats | None, bins: int | ArrayLike | None, n_points: int) -> Curve:
    """Histogram of the column and density of the model."""
    edges = bin_edges(column, bins)
    inside = np.histogram(column, edges, weights=weights)[0]
    total = len(column) if weights is None else weights.sum()
    margin = _MARGIN * (edges[-1] - edges[0])
    grid = np.linspace(edges[0] - margin, edges[-1] + margin, n_points)
    support = getattr(model.family, "support", None)
    if support is not None:  # an end of the support is a jump: two points that are next to each other
        ends = [end for end in support[:2] if grid[0] < end < grid[-1]]
        grid = np.unique(np.r_[grid, ends, np.nextafter(ends, -np.inf), np.nextafter(ends, np.inf)])
    density = np.exp(model.log_density(grid[:, np.newaxis]))
    beyond = (int(np.count_nonzero(column < edges[0])), int(np.count_nonzero(column > edges[-1])))
    return Curve(edges, inside / total / np.diff(edges), grid, density, beyond)


def bars(model: Model, column: NDArray[Any], weights: Floats | None) -> Bars:
    """Frequencies of the column's values, and the model's probabilities of these and their likely neighbours."""
    shares = np.ones(len(column)) if weights is None else weights
    if not getattr(model.family, "labels", False):
        return _counts(model, column, shares)
    known = model.thing.categories_[0]
    extra = [value for value in np.unique(column) if value not in set(known.tolist())]
    values = np.array([*known.tolist(), *extra], dtype=known.dtype if not extra else object)
    frequencies = np.array([shares[column == value].sum() for value in values]) / shares.sum()
    return Bars(values, frequencies, np.exp(model.log_density(values[:, np.newaxis])))


def _counts(model: Model, column: Floats, shares: Floats) -> Bars:
    """Of whole numbers: every one in the view, or groups of as many where they are too many to draw and to ask for."""
    low, high = np.floor(view(column)[0]), np.ceil(view(column)[1])
    reach = max(3.0, np.ceil(0.5 * (high - low)))
    first, count = low - reach, high - low + 2.0 * reach + 1.0
    width = 1 if count <= _MOST_VALUES else int(np.ceil(count / _GROUPS))
    values = first + (width - 1) // 2 + width * np.arange(np.ceil(count / width))
    inside = (column >= low) & (column <= high)
    group = ((column[inside] - first) // width).astype(np.intp)
    frequencies = np.bincount(group, shares[inside], len(values)) / shares.sum() / width
    probabilities = np.exp(model.log_density(values[:, np.newaxis]))
    shown = np.flatnonzero((probabilities > 1e-3 * probabilities.max()) | (frequencies > 0.0))
    kept = slice(shown[0], shown[-1] + 1)
    return Bars(values[kept], frequencies[kept], probabilities[kept], width, int(np.count_nonzero(~inside)))


def plane(
    model: Model,
    points: Floats,
    weights: Floats | None,
    masses: Sequence[float],
    n_points: int,
    n_draws: int,
    rng: np.random.RandomState,
) -> Plane:
    """Rows, log-density on a grid, and the levels above which the model has the given masses, from draws of it."""
    shares = tuple(sorted(float(mass) for mass in masses))
    if not shares or shares[0] <= 0.0 or shares[-1] >= 1.0:
        raise ValueError(f"masses lie strictly between 0 and 1; {tuple(masses)} do not.")
    draws = np.asarray(model.draw(n_draws, rng), dtype=np.float64)
    of_draws = model.log_density(draws)
    levels = np.quantile(of_draws, 1.0 - np.array(shares))
    enclosed = draws[of_draws >= levels[-1]]
    axes = []
    for j in range(2):
        low, high = view(points[:, j])
        room = 0.5 * (high - low) or 0.5 * float(np.ptp(enclosed[:, j])) or 1.0
        low, high = max(low - room, min(low, enclosed[:, j].min())), min(high + room, max(high, enclosed[:, j].max()))
        axes.append(np.linspace(low - _MARGIN * (high - low), high + _MARGIN * (high - low), n_points))
    x, y = np.meshgrid(*axes)
    log_density = model.log_density(np.column_stack([x.ravel(), y.ravel()])).reshape(x.shape)
    inside = np.logical_and.reduce([(points[:, j] >= axes[j][0]) & (points[:, j] <= axes[j][-1]) for j in range(2)])
    return Plane(points, weights, axes[0], axes[1], log_density, shares, levels, int(np.count_nonzero(~inside)))
