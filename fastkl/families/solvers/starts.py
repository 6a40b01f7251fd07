"""The search for the highest of several maxima of heavy-tailed location families, and the detection of a collapse on ties."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.solvers.iterative import SAMPLE_ROWS, n_rows
from fastkl.families.solvers.medians import medians
from fastkl.families.solvers.newton import Maximum

MOST_CANDIDATES = 64
MOST_STARTS = 4
COLLAPSED = 1e-9  # scale relative to where it started


def median_and_distance(rows: Rows) -> tuple[Floats, Floats]:
    """Weighted median and median distance from it; where half of the rows are tied, the mean distance."""
    centre = medians(rows)
    distances = np.abs(rows.X - centre)
    reach = medians(Rows(distances, rows.weights))
    mean = np.average(distances, axis=0, weights=rows.weights)
    reach = np.where(reach > 0.0, reach, mean)
    return centre, np.where(reach > 0.0, reach, np.maximum(1e-3 * np.abs(centre), 1e-300))


def is_small(rows: Rows) -> bool:
    """Whether trying many starts costs next to nothing."""
    return rows.X.size <= SAMPLE_ROWS


def best_locations(rows: Rows, start: Params, likelihood: Callable[[Params], Floats]) -> list[Params]:
    """The start moved to those locations among the rows where the likelihood peaks highest.

    Few rows are all tried, many are represented by evenly spaced order statistics.
    """
    ordered = np.sort(rows.X, axis=0).astype(np.float64)
    if len(ordered) > MOST_CANDIDATES:
        ordered = ordered[np.linspace(0, len(ordered) - 1, MOST_CANDIDATES).astype(int)]
    heights = np.array([likelihood({**start, "loc": location}) for location in ordered])
    around = np.pad(heights, ((1, 1), (0, 0)), constant_values=-np.inf)
    peaks = np.where((heights >= around[:-2]) & (heights >= around[2:]), heights, -np.inf)
    best = np.argsort(-peaks, axis=0)[:MOST_STARTS]
    return [{**start, "loc": np.take_along_axis(ordered, row[None], axis=0)[0]} for row in best]


def too_narrow(start: Params, params: Params) -> NDArray[np.bool_]:
    """Columns whose scale goes to 0."""
    narrow: NDArray[np.bool_] = params["scale"] < COLLAPSED * start["scale"]
    return narrow


def raise_if_collapsed(rows: AnyRows, maximum: Maximum, family: str, remedy: str) -> None:
    """DegenerateDataError where every ascent ran into a scale of 0, on rows with the same value."""
    if maximum.converged.all():
        return
    distance = median_and_distance(rows.sample(SAMPLE_ROWS))[1]
    collapsed = ~maximum.converged & (maximum.params["scale"] < 1e3 * COLLAPSED * distance)
    if np.any(collapsed):
        column = int(np.flatnonzero(collapsed)[0])
        raise DegenerateDataError(
            f"Column {column} holds too many rows with the same value, near {maximum.params['loc'][column]:.6g} (of "
            f"{rows.total(n_rows)} rows): the {family} likelihood grows without bound as scale goes to 0 there. {remedy}",
            column,
        )
