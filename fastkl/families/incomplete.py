"""Normal distributions of rows of which some values are unknown: what is known of a row counts, exactly.

The known values of a row are normal too, with part of the mean and of the covariance. Rows are grouped by which columns
are known, and every group takes one factorisation. What a group says of the whole distribution are its *expected*
moments given what is known (T. Orchard, M. Woodbury 1972; D. Rubin 1976): in the form of the moments of complete
rows, so that whatever takes those, a maximum or a gradient (by Fisher's identity), takes these.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from fastkl._core.array_types import Floats, Statistics
from fastkl._core.patterns import group_stops, pattern_order, patterns
from fastkl._core.rows import AnyRows, Rows
from fastkl.families._mixture import IncompleteNormals, group_moments, weighted_sum

T = TypeVar("T")


CHUNK_NUMBERS = 1 << 20  # of the matrices that are inverted at once
MOST_NUMBERS = 1 << 22  # of the sums of groups: 32 MB; with more the rows themselves are passed over


@dataclass(frozen=True)
class GroupedSums:
    """Moments of each group of rows that have the same columns known: what one normal distribution needs of them.

    They stand in for the rows (``AnyRows``) of a fit of a single distribution.

    Parameters
    ----------
    records : ndarray of shape (g, 1 + d + d^2)
        Weight, mean and scatter of each group, 0 where unknown.
    orders : ndarray of shape (g, d)
        Numbers of the columns, the known ones first.
    counts : ndarray of shape (g,)
        How many are known.
    n_rows : int
        Rows in all.
    names : sequence of str or None
        Column names.
    """

    records: Floats
    orders: NDArray[np.intp]
    counts: NDArray[np.intp]
    n_rows: int
    names: Sequence[str] | None = None
    incomplete: bool = True
    n_threads: int = 1

    @classmethod
    def of(cls, rows: Rows | GroupedSums) -> GroupedSums:
        """Those of rows in memory, which are in order (``rows.incomplete.grouped``) for the fewest groups."""
        if isinstance(rows, GroupedSums):
            return rows
        X = np.ascontiguousarray(rows.X, dtype=np.float64)
        return cls(*group_moments(X, rows.weights, group_stops(X)), len(X), rows.names)

    @property
    def n_columns(self) -> int:
        """Columns of a row."""
        return int(self.orders.shape[1])

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return float(np.sum(self.records[:, 0]))

    @cached_property
    def known(self) -> NDArray[np.bool_]:
        """Whether a column of a group is known, (g, d)."""
        found = np.zeros(self.orders.shape, dtype=bool)
        np.put_along_axis(found, self.orders, np.arange(self.n_columns) < self.counts[:, None], axis=1)
        return found

    def column(self, column: int) -> str:
        """The column in words."""
        return f"column {column}" if self.names is None else f"column {column} ({self.names[column]!r})"

    def total(self, function: Callable[..., T], *args: Any, merge: Any = None, block_rows: int | None = None) -> T:
        """``function(self, *args)``: they are one block."""
        return function(self, *args)


def sums_or_rows(rows: AnyRows) -> Any:
    """The sums of groups in place of incomplete rows in memory, where these are fewer numbers."""
    if not isinstance(rows, Rows):
        return rows
    groups, d = len(group_stops(rows.X)), rows.n_columns
    if groups * (1 + d + d * d) > min(MOST_NUMBERS, rows.X.size):
        return rows
    return GroupedSums.of(rows)


def log_terms(components: IncompleteNormals, rows: Rows) -> Floats:
    """log(weight) + log-density of what is known of every row, under each component: (k, n)."""
    order = pattern_order(rows.X)
    if order is None:
        return components.logs(np.ascontiguousarray(rows.X, dtype=np.float64), rows.n_threads)
    found = components.logs(rows.X[order].astype(np.float64, copy=False), rows.n_threads)
    out = np.empty_like(found)
    out[:, order] = found
    return out


def expected_statistics(
    components: IncompleteNormals, rows: Rows | GroupedSums, full: Sequence[bool]
) -> tuple[float, list[Statistics]]:
    """The log-likelihood, and the statistics that each component expects of complete rows: of variances unless ``full``."""
    d = rows.n_columns
    if isinstance(rows, GroupedSums):
        total, record = components.expectation_of_sums(rows.orders, rows.counts, rows.records)
        records, n_rows = record[None], rows.n_rows
    else:
        X = np.ascontiguousarray(rows.X, dtype=np.float64)
        total, records = components.expectation(X, rows.weights, rows.n_threads)
        n_rows = len(X)
    found: list[Statistics] = []
    for one, of_matrix in zip(records, full, strict=True):
        statistics: Statistics = {"weight": one[0], "mean": one[1 : 1 + d].copy()}
        scatter = one[1 + d :].reshape(d, d)
        if of_matrix:
            statistics |= {"scatter": scatter.copy(), "n_rows": np.float64(n_rows)}
        else:
            statistics["scatter"] = np.diag(scatter).copy()
        found.append(statistics)
    return float(total), found


def log_density(rows: Rows, mean: Floats, covariance: Floats) -> Floats:
    """Log-density of what is known of every row, (n,); 0 where nothing is."""
    return log_terms(IncompleteNormals([0.0], [mean], [covariance]), rows)[0]


def log_likelihood(rows: Rows, mean: Floats, covariance: Floats) -> float:
    """Its sum over the rows."""
    return weighted_sum(log_density(rows, mean, covariance), rows.weights)


# -- what is unknown, given what is known ----------------------------------------------------------------------------------


def completed(
    X: NDArray[Any], mean: Floats, covariance: Floats, generator: np.random.Generator | None = None
) -> Floats:
    """The rows with their unknown values filled in: by their conditional mean, or by a draw from a generator."""
    out = np.array(X, dtype=np.float64)
    for rows, known in patterns(X):
        unknown = np.setdiff1d(np.arange(X.shape[1]), known)
        if len(unknown) == 0:
            continue
        slopes, rest = regression(covariance, known, unknown)
        values = mean[unknown] + (out[np.ix_(rows, known)] - mean[known]) @ slopes.T
        if generator is not None:
            values += generator.standard_normal(values.shape) @ rest.T
        out[np.ix_(rows, unknown)] = values
    return out


def regression(covariance: Floats, known: NDArray[np.intp], unknown: NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Slopes of the unknown columns on the known ones, and a Cholesky factor of what is left of their covariance."""
    order, m = np.concatenate([known, unknown]), len(known)
    lower = np.linalg.cholesky(covariance[np.ix_(order, order)])
    slopes: Floats = solve_triangular(lower[:m, :m], lower[m:, :m].T, lower=True, trans="T").T
    return slopes, lower[m:, m:]


# -- observed information --------------------------------------------------------------------------------------------------


def information_sums(rows: Rows | GroupedSums, mean: Floats, covariance: Floats) -> tuple[Floats, Floats, Floats]:
    """What the observed information about mean and covariance sums over groups of rows.

    With Q the inverse covariance of the known columns, and y = Q (x - mean): Q by weight (d, d); Q times y, (d^2, d); and
    Q times y y' - Q / 2, (d^2, d^2).
    """
    sums, d = GroupedSums.of(rows), len(mean)
    found = np.zeros((d, d)), np.zeros((d * d, d)), np.zeros((d * d, d * d))
    root = np.sqrt(np.diag(covariance))
    step = max(1, CHUNK_NUMBERS // (d * d))
    for first in range(0, len(sums.records), step):
        part = slice(first, first + step)
        known, records = sums.known[part], sums.records[part]
        both, weight = known[:, :, None] & known[:, None, :], records[:, 0]
        correlation = np.where(both, covariance / np.outer(root, root), np.eye(d))
        inverse = np.where(both, np.linalg.inv(correlation) / np.outer(root, root), 0.0)
        shift = np.where(known, records[:, 1 : 1 + d] - mean, 0.0)
        scatter = records[:, 1 + d :].reshape(-1, d, d) + weight[:, None, None] * shift[:, :, None] * shift[:, None, :]
        second = inverse @ scatter @ inverse - 0.5 * weight[:, None, None] * inverse
        slopes = weight[:, None] * (inverse @ shift[:, :, None])[:, :, 0]
        flat = inverse.reshape(-1, d * d)
        for total, more in zip(
            found,
            (np.tensordot(weight, inverse, axes=1), flat.T @ slopes, flat.T @ second.reshape(-1, d * d)),
            strict=True,
        ):
            total += more
    return found


def observed_information(of_mean: Floats, mixed: Floats, of_pairs: Floats) -> Floats:
    """Minus the second derivatives by the mean and by all entries of the covariance, (d + d^2, d + d^2), from these sums."""
    d = len(of_mean)
    cross = mixed.reshape(d, d, d).reshape(d, d * d)  # derivative by mean a, then by entry (i, j): Q_ai y_j
    four = of_pairs.reshape(d, d, d, d)  # (j, k), (l, i): tr(A Q B C) = A_ij Q_jk B_kl C_li
    pairs = four.transpose(3, 0, 1, 2).reshape(d * d, d * d)
    return np.block([[of_mean, cross], [cross.T, 0.5 * (pairs + pairs.T)]])
