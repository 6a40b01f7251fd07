"""Where the profile of a generalized normal distribution may have maxima: a look at few rows, over a grid of shapes.

Above shape 1 the best location moves smoothly with the shape, and maxima show along the ridge of the best places. Up to shape 1
it is a row, now this one and now that one, each with a profile of its own: its maximum counts where no other row is better at
that shape, and may lie between two shapes of a grid at both of which another row is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl.families.solvers.power_profile import LEAST, ROUNDING, profile_slope, profile_value
from fastkl.families.solvers.roots import uphill

GRID_STEP = 0.3  # of the logarithm
GRID = np.exp(np.arange(np.log(LEAST), np.log(1000.0), GRID_STEP))
LOOK_ROWS = 1024
PLACES, LEAST_PLACES, FEW = 1 << 17, 128, 32  # places times rows, places, and rows that have places between them
STEEP = np.exp(GRID_STEP)  # shapes below are looked at row by row
STARTS = 3  # along the ridge
CUSPS, COMPARED = 2, 8  # rows to start from, and rows that are compared
CLOSE, ALIKE = 1e-3, 0.01  # part of a cell, and log-likelihood of a row, up to which that is done


class Look(NamedTuple):
    """What was seen: shapes and locations about which a column has maxima, the highest first, and the value at ``LEAST``."""

    ridge: list[tuple[float, float]]
    cusps: list[tuple[float, float]]
    spike: float


def first_look(
    x: Floats, weights: Floats | None, shapes: Floats, loc: float | None, scale: float | None, whole: bool
) -> Look:
    """Look at few rows of a column, or the whole of it, with the location or the scale held if given."""
    rows = _some_rows(x)
    places = np.concatenate([rows, _between(rows)]) if loc is None else np.array([loc])
    share = np.ones(len(x)) if weights is None else weights / weights.max()
    share = share / share.sum()
    middle = 0.5 * (x.min() + x.max())
    reach = max(float(np.max(np.abs(places - middle))) + float(np.max(np.abs(x - middle))), np.finfo(float).tiny)
    logs = np.log(np.abs(x[:, None] - places) / reach)
    known = np.where(logs > -np.inf, logs, 0.0)  # the power of 0 is 0
    held = None if scale is None else np.full(1, scale)
    values = np.full((len(shapes), len(places)), -np.inf)
    slopes = np.empty((np.count_nonzero(shapes < STEEP) if loc is None else 0, len(rows)))
    powers, smooth = np.empty_like(logs), _spaced(len(rows), len(places)) if len(slopes) else np.arange(len(places))
    of_smooth = np.ascontiguousarray(logs[:, smooth])
    for i, shape in enumerate(shapes):
        if i >= len(slopes):
            values[i, smooth] = profile_value(shape, share @ np.exp(shape * of_smooth), reach, held)
            continue
        np.exp(np.multiply(shape, logs, out=powers), out=powers)
        mean = share @ powers
        values[i] = profile_value(shape, mean, reach, held)
        mean_log = share @ np.multiply(powers, known, out=powers)
        slopes[i] = profile_slope(shape, mean, mean_log, reach, held)[: len(rows)]
    values = np.where(np.isnan(values), -np.inf, values)
    if len(shapes) == 1:
        best = np.argsort(-values[0])[:: max(len(places) // 8, 1)][:STARTS]
        return Look([(float(shapes[0]), float(places[k])) for k in best], [], -np.inf)
    ridge, place = values.max(axis=1), values.argmax(axis=1)
    inner = np.flatnonzero((ridge[1:-1] >= ridge[:-2]) & (ridge[1:-1] >= ridge[2:])) + 1
    inner = inner[np.argsort(-ridge[inner], kind="stable")]
    cusps = _cusps(logs[:, : len(rows)], share, rows, values[:, : len(rows)], slopes, (reach, held))
    if cusps and whole and len(rows) == len(np.unique(x)):
        # what was compared is the likelihood itself, of every row: the others are lower, and so are those along the ridge
        cusps, inner = cusps[:1], inner[shapes[inner + 1] > 1.0]
    along = [(float(shapes[i]), float(places[place[i]])) for i in inner[:STARTS]]
    return Look(along, cusps, float(ridge[0]))


def _spaced(n_rows: int, n_places: int) -> NDArray[np.intp]:
    """Numbers of the places that do for smooth shapes: some of the rows, and what is between them."""
    places = np.arange(n_places)
    return np.append(places[: n_rows : -(-n_rows // LEAST_PLACES)], places[n_rows:])


def _tops(values: Floats, slopes: Floats) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Maxima by shape of the profiles of rows, where no other row is clearly better, the highest first.

    Numbers of the lower shape of the grid and of the row, and the part of the way to the next shape.

    Between two shapes of the grid the slope is about the parabola with their slopes and the rise between them, which also has the
    maximum that lies next to a minimum there.
    """
    mean_slope, left, right = np.diff(values, axis=0) / GRID_STEP, slopes[:-1], slopes[1:]
    linear, square = 6.0 * mean_slope - 4.0 * left - 2.0 * right, 3.0 * (left + right) - 6.0 * mean_slope
    with np.errstate(all="ignore"):
        top = 2.0 * left / (np.sqrt(linear * linear - 4.0 * square * left) - linear)  # where it falls through 0
    top = np.where((left > 0.0) & (right <= 0.0) & ~((top > 0.0) & (top < 1.0)), 0.5, top)
    cell, row = np.nonzero((top > 0.0) & (top < 1.0))
    top = top[cell, row]
    at = top[:, None]
    of_all = values[cell] + GRID_STEP * at * (left[cell] + at * (linear[cell] / 2.0 + at * square[cell] / 3.0))
    height = of_all[np.arange(len(cell)), row]
    order = np.argsort(-height, kind="stable")
    order = order[height[order] >= of_all[order].max(axis=1) - ALIKE][:COMPARED]
    return cell[order], row[order], top[order]


def _cusps(
    logs: Floats, share: Floats, rows: Floats, values: Floats, slopes: Floats, unit: tuple[float, Floats | None]
) -> list[tuple[float, float]]:
    """The highest maxima by shape with the location at a row, where no other row is better."""
    cell, row, top = _tops(values[: len(slopes)], slopes)
    if not len(cell):
        return []
    reach, held = unit
    of_these = logs[:, row]
    known = np.where(of_these > -np.inf, of_these, 0.0)

    def slope(log_shape: Floats) -> Floats:
        powers = np.exp(np.exp(log_shape) * of_these)
        return profile_slope(np.exp(log_shape), share @ powers, share @ (powers * known), reach, held)

    begin, size = np.log(GRID[cell]), np.full(len(cell), GRID_STEP)
    found = uphill(slope, begin + top * size, 0.1 * size, begin, begin + size, CLOSE * size)
    shape = np.exp(found)
    mean = share @ np.exp(shape * of_these)
    kept, powers = [], np.empty_like(logs)
    for k in np.argsort(-profile_value(shape, mean, reach, held), kind="stable"):
        others = share @ np.exp(np.multiply(shape[k], logs, out=powers), out=powers)
        if mean[k] <= others.min() * (1.0 + ROUNDING) and begin[k] < found[k] < begin[k] + GRID_STEP:
            kept.append((float(shape[k]), float(rows[row[k]])))
        if len(kept) == CUSPS:
            break
    return kept


def _some_rows(x: Floats) -> Floats:
    """Rows at even ranks, where they are few all of them: where the location may be."""
    rows, most = np.unique(x), max(PLACES // len(x), LEAST_PLACES)
    return rows if len(rows) <= most else rows[np.linspace(0, len(rows) - 1, most).astype(np.intp)]


def _between(rows: Floats) -> Floats:
    """The middles between them where they are few, and that of their range."""
    between = 0.5 * (rows[1:] + rows[:-1]) if len(rows) <= FEW else rows[:0]
    return np.append(between, 0.5 * (rows[0] + rows[-1]))
