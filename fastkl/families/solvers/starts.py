"""The search for the highest of several maxima of heavy-tailed location families, and the detection of a collapse on ties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.solvers.iterative import SAMPLE_ROWS, n_rows
from fastkl.families.solvers.medians import medians
from fastkl.families.solvers.newton import Maximum

MOST_CANDIDATES = 64
COLLAPSED = 1e-9  # scale relative to where it started
SAME = 1e-12  # likelihoods that differ by less, relatively, are the same
SHARES = (0.5, 0.25, 0.1)  # of the weight, in the tightest windows that are looked at
WINDOWS = 3  # of each share, apart from each other
FEW, WINDOWS_OF_FEW = 40, 8  # of so few rows, of which two may be a group
CENTRES = 32  # of so few rows each may be the centre of a maximum
SOLE = 1.0 - 1e-12  # share of a weight that is all of it but for rounding


def few(rows: AnyRows) -> Rows | None:
    """All rows, in memory, where they are so few that any two may be a group; None where they are more."""
    sample = rows.sample(SAMPLE_ROWS)
    return sample if len(sample.X) <= FEW and rows.total(n_rows) == len(sample.X) else None


def median_and_distance(rows: Rows) -> tuple[Floats, Floats]:
    """Weighted median and median distance from it; where half of the rows are tied, the mean distance."""
    centre = medians(rows)
    distances = np.abs(rows.X - centre)
    reach = medians(Rows(distances, rows.weights))
    mean = np.average(distances, axis=0, weights=rows.weights)
    reach = np.where(reach > 0.0, reach, mean)
    return centre, np.where(reach > 0.0, reach, np.maximum(1e-3 * np.abs(centre), 1e-300))


def tight_windows(rows: Rows, distance: Floats) -> list[tuple[Floats, Floats]]:
    """Centre and half-length of the shortest windows that hold a share of the weight, in every column.

    A heavy-tailed likelihood has a maximum at a group of rows that is tight, whatever the median of all of them. A window of ties
    alone gets a thousandth of ``distance``.
    """
    order = np.argsort(rows.X, axis=0, kind="stable")
    ordered = np.take_along_axis(rows.X, order, axis=0).astype(np.float64)
    n, found = len(ordered), []
    weights = None if rows.weights is None else np.cumsum(rows.weights[order], axis=0)
    for held, share in {max(int(np.ceil(share * n)), 2): share for share in SHARES}.items():
        if held >= n:
            continue
        if weights is None:
            lengths, last = ordered[held - 1 :] - ordered[: n - held + 1], None
        else:
            lengths, last = _weighted_lengths(ordered, weights, share)
        for _ in range(min(n // held, WINDOWS if n > FEW else WINDOWS_OF_FEW)):
            first = np.argmin(lengths, axis=0)
            end = first + held - 1 if last is None else np.take_along_axis(last, first[None], axis=0)[0]
            middle = np.take_along_axis(ordered, ((first + end) // 2)[None], axis=0)[0]
            half = 0.5 * np.take_along_axis(lengths, first[None], axis=0)[0]
            usable = np.isfinite(half) & (half > 0.0)
            found.append((middle, np.where(usable, half, np.where(half == 0.0, 1e-3, 1.0) * distance)))
            places = np.arange(len(lengths))[:, None]
            apart = (places > end) | (places < 2 * first - end)
            lengths = np.where(apart, lengths, np.inf)
    return found


def _weighted_lengths(ordered: Floats, cumulative: Floats, share: float) -> tuple[Floats, NDArray[np.intp]]:
    """From every row to the first one after it by which the share of the weight is reached: length and place; else infinite."""
    n, d = ordered.shape
    lengths, last = np.full((n, d), np.inf), np.full((n, d), n - 1)
    for j in range(d):
        before = np.concatenate([[0.0], cumulative[:-1, j]])
        end = np.searchsorted(cumulative[:, j], (before + share * cumulative[-1, j]) * SOLE)
        reached = np.flatnonzero(end < n)
        lengths[reached, j] = ordered[end[reached], j] - ordered[reached, j]
        last[:, j] = np.minimum(end, n - 1)
    return lengths, last


def spread_rows(rows: Rows) -> Floats:
    """At most so many of the rows, at even ranks in every column, (k, d): where a likelihood in loc alone may have its maxima."""
    ordered = np.sort(rows.X, axis=0).astype(np.float64)
    if len(ordered) <= MOST_CANDIDATES:
        return ordered
    return ordered[np.linspace(0, len(ordered) - 1, MOST_CANDIDATES).astype(int)]


def most_frequent(sample: Rows) -> Floats:
    """The value with the most weight among these rows, by column."""
    values = np.empty(sample.n_columns)
    for j in range(sample.n_columns):
        distinct, inverse = np.unique(sample.X[:, j], return_inverse=True)
        values[j] = distinct[np.argmax(np.bincount(inverse, weights=sample.weights))]
    return values


def _weight_at(rows: Rows, values: Floats) -> Floats:
    same = values == rows.X
    return np.asarray(np.sum(same, axis=0, dtype=np.float64) if rows.weights is None else rows.weights @ same)


def rows_as_centres(rows: Rows) -> list[tuple[Floats, Floats]]:
    """Each of the rows with its distance to the next one: where these are few, any may be the centre of a maximum."""
    X = rows.X.astype(np.float64)
    distances = np.abs(X[:, None] - X)
    nearest = np.min(np.where(distances > 0.0, distances, np.inf), axis=1)
    return list(zip(X, np.where(np.isfinite(nearest), nearest, 1.0), strict=True))


def raise_if_tied(rows: AnyRows, maximum: Maximum, df: Floats, loc: Floats | None, family: str, remedy: str) -> None:
    """DegenerateDataError where so many rows have the same value that no scale above 0 is best, or every ascent ran into it.

    With df degrees of freedom the likelihood of loc at a value grows without bound as scale goes to 0 if it is that of more than
    df / (1 + df) of the weight, and to a least upper bound that no scale attains if it is that of just as much. From df = 1 on
    every ascent then runs into it; below there may be maxima elsewhere. ``loc`` is where it is held, if it is.
    """
    sample = rows.sample(SAMPLE_ROWS)
    scale, distance = maximum.params["scale"], median_and_distance(sample)[1]
    suspect, several = (scale < 1e-2 * distance) | ~maximum.converged, df < 1.0
    if not np.any(suspect | several):
        return
    value = most_frequent(sample) if loc is None else loc
    share = rows.total(_weight_at, value) / rows.total_weight
    with np.errstate(invalid="ignore"):
        limit = np.where(np.isinf(df), 1.0, df / (1.0 + df))
    unbounded = several & (share * SOLE > limit)
    at_tie = replace(maximum, params={**maximum.params, "loc": value})
    raise_collapsed(rows, at_tie, unbounded | (suspect & (share >= limit * SOLE)), family, remedy)
    raise_if_collapsed(rows, maximum, family, remedy)


def raise_if_collapsed(rows: AnyRows, maximum: Maximum, family: str, remedy: str) -> None:
    """DegenerateDataError where every ascent ran into a scale of 0, on rows with the same value."""
    if maximum.converged.all():
        return
    distance = median_and_distance(rows.sample(SAMPLE_ROWS))[1]
    collapsed = ~maximum.converged & (maximum.params["scale"] < 1e3 * COLLAPSED * distance)
    raise_collapsed(rows, maximum, collapsed, family, remedy)


def raise_collapsed(rows: AnyRows, maximum: Maximum, collapsed: NDArray[np.bool_], family: str, remedy: str) -> None:
    """The error for the first of these columns, if there is one."""
    if np.any(collapsed):
        column, sample = int(np.flatnonzero(collapsed)[0]), rows.sample(SAMPLE_ROWS)
        distinct, n = len(np.unique(sample.X[:, column])), rows.total(n_rows)
        if distinct == len(sample.X) and sample.weights is None:
            raise DegenerateDataError(
                f"Column {column}: the {family} likelihood of these {n} rows has no maximum inside; it grows without bound as "
                f"scale goes to 0 at any of them, such as {maximum.params['loc'][column]:.6g}. {remedy}",
                column,
            )
        raise DegenerateDataError(
            f"Column {column} holds too many rows with the same value, near {maximum.params['loc'][column]:.6g} (of "
            f"{n} rows): the {family} likelihood grows without bound as scale goes to 0 there. {remedy}",
            column,
        )
