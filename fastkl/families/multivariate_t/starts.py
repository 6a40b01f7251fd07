"""Where the search for the maximum of a multivariate t likelihood begins: at moments, medians, and dense groups of rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist

from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.solvers.starts import SHARES, median_and_distance

CANDIDATES = 32  # rows about which groups are looked for
LOOKED_AT = 1024  # rows from which those are told
START = 0.1  # 1 / df where moments are the start
GROUP_K = (1.0, 3.0)  # and where a group of rows is
MANY_COLUMNS = 64  # with so many, distances to single rows tell no groups


@dataclass(frozen=True)
class Start:
    """Parameters with k = 1 / df."""

    loc: Floats
    scale: Floats
    k: float


def robust_frame(sample: Rows) -> tuple[Floats, Floats]:
    """Median and median distance from it of every column: an outlier of 1e300 does not move them."""
    return median_and_distance(sample)


def robust_scatter(rows: AnyRows, centre: Floats, distance: Floats) -> Floats:
    """Scatter about the medians of rows with weight 1 / (1 + squared distance), per unit of weight, in units of the distances.

    Rows far out count by their direction alone. It is singular where all rows lie in a subspace.
    """
    total: Floats = rows.total(_robust_scatter, centre, distance)
    return total / rows.total_weight


def _robust_scatter(rows: Rows, centre: Floats, distance: Floats) -> Floats:
    z = (rows.X - centre) / distance
    largest = np.maximum(np.max(np.abs(z), axis=1, keepdims=True), 1.0)
    z /= largest
    z /= np.hypot(1.0 / largest, np.linalg.norm(z, axis=1, keepdims=True))
    weighted = z if rows.weights is None else z * rows.weights[:, None]
    return z.T @ weighted


def starts(rows: Rows, centre: Floats, distance: Floats, mean: Floats, covariance: Floats) -> list[Start]:
    """Moments, medians, and the densest groups that hold a share of the weight; the same for any order of few rows."""
    found = [Start(mean, covariance, START), Start(centre, np.diag(distance**2), 1.0)]
    if len(rows.X) < 4 or rows.n_columns > MANY_COLUMNS:
        return found
    order = np.lexsort(rows.X.T)
    kept = order[np.linspace(0, len(order) - 1, min(len(order), LOOKED_AT)).astype(int)]
    about = order[np.linspace(0, len(order) - 1, min(len(order), CANDIDATES)).astype(int)]
    z = (rows.X - centre) / distance
    apart = cdist(z[about], z[kept])
    nearest = np.argsort(apart, axis=1, kind="stable")
    apart = np.take_along_axis(apart, nearest, axis=1)
    weights = np.ones(len(kept)) if rows.weights is None else rows.weights[kept]
    held = np.cumsum(weights[nearest], axis=1)
    for share in SHARES:
        reach = np.take_along_axis(apart, np.argmax(held >= share * held[:, -1:], axis=1)[:, None], axis=1)[:, 0]
        reach = np.where(reach > 0.0, reach, np.inf)
        best = int(np.argmin(reach))
        if np.isfinite(reach[best]):
            scale = np.diag((reach[best] * distance) ** 2 / rows.n_columns)
            found += [Start(rows.X[about[best]].astype(np.float64), scale, k) for k in GROUP_K]
    return found
