"""What one pass gives the multivariate t: log-likelihood, its slopes by 1 / df, and moments with the weights of EM."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import cho_solve

from fastkl._core._linalg import merge_moments, moments
from fastkl._core._threads import BLOCK_ROWS
from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.special.student_degrees import log_constant, log_constant_slopes
from fastkl.families._student import student_sums_of_rows

MeanAndScatter = tuple[float, Floats, Floats]

FAR = 100.0  # from the centre, in units of the scale


def row_moments(rows: Rows) -> MeanAndScatter:
    """Weight, mean and scatter of the rows."""
    return moments(rows.X, rows.weights, rows.n_threads)


def merged_moments(first: MeanAndScatter, second: MeanAndScatter) -> MeanAndScatter:
    """Those of both sets of rows together."""
    return merge_moments(*first, *second)


@dataclass(frozen=True)
class StudentSums:
    """Sums over rows under parameters with k = 1 / df.

    With s the squared distance of a row they are those of -(1/k + d) log(1 + k s) / 2 and its first and second derivative by k,
    and the moments with the rows' weights times (1 + k d) / (1 + k s).
    """

    rises: Floats
    moments: MeanAndScatter

    def __add__(self, other: StudentSums) -> StudentSums:
        """Those of both sets of rows together."""
        return StudentSums(self.rises + other.rises, merged_moments(self.moments, other.moments))

    def log_likelihood(self, weight: float, scale: Floats, k: float) -> float:
        """Total, for rows of this weight."""
        lower = np.linalg.cholesky(scale)
        constant = log_constant(k, len(lower)) - float(np.sum(np.log(np.diag(lower))))
        return float(weight * constant + self.rises[0])

    def slope(self, weight: float, k: float) -> float:
        """Derivative of the log-likelihood by k."""
        return float(weight * log_constant_slopes(k, len(self.moments[1]))[0] + self.rises[1])

    def scatter_about(self, point: Floats) -> Floats:
        """Weighted scatter about a point."""
        weight, mean, scatter = self.moments
        shift = mean - point
        return scatter + weight * np.outer(shift, shift)

    def gradient(self, weight: float, loc: Floats, scale: Floats) -> tuple[Floats, Floats]:
        """Derivatives of the log-likelihood by loc and by scale."""
        own, mean, _ = self.moments
        factor = (np.linalg.cholesky(scale), True)
        half = cho_solve(factor, cho_solve(factor, self.scatter_about(loc)).T) - weight * cho_solve(
            factor, np.eye(len(loc))
        )
        by_loc: Floats = own * cho_solve(factor, mean - loc)
        return by_loc, 0.25 * (half + half.T)


def student_sums(rows: Rows, loc: Floats, scale: Floats, k: float) -> StudentSums:
    """Those of a block."""
    rows = typical_first(rows, loc, np.sqrt(np.diag(scale)))
    lower = np.asarray(np.linalg.cholesky(scale), dtype=np.float64)
    return StudentSums(*student_sums_of_rows(rows.X, rows.weights, loc, lower, k, rows.n_threads))


def typical_first(rows: Rows, centre: Floats, distance: Floats) -> Rows:
    """The same rows with one near the centre at the head of every block, where sums of deviations have their origin.

    About a row of 1e9 the others, whose weight is all there is, would lose nine digits.
    """
    heads = np.arange(0, len(rows.X), BLOCK_ROWS)
    with np.errstate(all="ignore"):
        far = np.flatnonzero(np.max(np.abs((rows.X[heads] - centre) / distance), axis=1) > FAR)
        if len(far) == 0:
            return rows
        order = np.arange(len(rows.X))
        for head in heads[far]:
            size = np.max(np.abs((rows.X[head : head + BLOCK_ROWS] - centre) / distance), axis=1)
            nearest = head + int(np.argmin(size))
            order[[head, nearest]] = order[[nearest, head]]
    return replace(rows, X=rows.X[order], weights=None if rows.weights is None else rows.weights[order])
