r"""A bandwidth matrix of maximum leave-one-out likelihood.

With rows in units of a bandwidth matrix, :math:`u = A x`, a lower triangular step :math:`A \to (I + B) A` changes the mean
log-density by the inner product of B with the lower triangle of

.. math:: I - N, \quad N = \frac{1}{W} \sum_i w_i \frac{\sum_j w_j \, q(u_{ij}) \, u_{ij} u_{ij}^T}{\sum_j w_j \, k(u_{ij})},
          \quad q(r) = -k'(r) / r

so that at the maximum N is the unit matrix. A pass over the pairs gives the diagonal of N. Kernels are the same in turned
coordinates, and there the diagonal holds the other entries: with columns s and t turned by 45 degrees it is
:math:`(N_{ss} + N_{tt}) / 2 \pm N_{st}`. Columns are turned in pairs, as in a tournament where each meets each, so that d
passes (one more where d is odd) give all of N. The search runs in coordinates in which the rows have no correlation, and the
answer does not depend on units or on any other linear change of the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.iterations import report
from fastkl.density.kernel.bandwidths.leave_one_out import ERROR, LARGEST_PART, MANY, Maximum, climb
from fastkl.density.kernel.sums.folded import weight_of_others
from fastkl.density.kernel.sums.kernels import KERNELS
from fastkl.exceptions import DegenerateDataError
from fastkl.spatial.kernel_sums import KernelSums, near_order

ROOM = 1e4  # by which the squares of a search may fall or grow and still be numbers


class MatrixLeaveOneOut:
    """The leave-one-out likelihood as a function of a lower triangular step from the coordinates in which rows are given.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Rows about their centre, in coordinates in which a good bandwidth matrix is near the unit matrix.
    weights : ndarray of shape (n,) or None
        Weights above 0.
    kernel : str
        Name of the kernel.
    n_threads : int
        Threads.
    """

    def __init__(self, points: Floats, weights: Floats | None, kernel: str, n_threads: int):
        self.points, self.weights, self.kernel, self.n_threads = points, weights, kernel, n_threads
        n, d = points.shape
        self.n_slopes = d * (d + 1) // 2
        self.widest = np.full(self.n_slopes, np.inf)
        self.wider = np.concatenate([np.ones(d), np.zeros(self.n_slopes - d)])
        self.total_weight = float(n) if weights is None else float(weights.sum())
        others = weight_of_others(weights, len(points))
        self._constant = -np.log(others) - KERNELS[kernel].log_integral(d)
        self._order = near_order(points, n_threads)
        self._below = np.tril_indices(d, -1)

    def step(self, theta: Floats) -> Floats:
        """The matrix of a step: minus the logarithms of its diagonal come first, then what is below."""
        d = self.points.shape[1]
        matrix = np.diag(np.exp(-theta[:d]))
        matrix[self._below] = theta[d:]
        return matrix

    def mean(self, theta: Floats) -> tuple[float, Floats]:
        """The mean log-density, and its slopes by the entries of ``theta``."""
        step = self.step(theta)
        mean, moments = self._moments(self.points @ step.T)
        slope = np.linalg.solve(step, np.eye(len(step)) - moments).T  # (I - N) T^-T, N being symmetric
        slopes = np.concatenate([-np.diag(slope) * np.diag(step), slope[self._below]])
        return mean - float(np.sum(theta[: len(step)])), slopes

    def _moments(self, points: Floats) -> tuple[float, Floats]:
        """The mean of the logarithms, without the volume of the step, and N."""
        d = points.shape[1]
        logs, squares = self._pass(points)
        moments = np.diag(squares)
        for pairs in tournament(d):
            turned, first, second = points.copy(), [s for s, _ in pairs], [t for _, t in pairs]
            turned[:, first] = (points[:, first] + points[:, second]) * np.sqrt(0.5)
            turned[:, second] = (points[:, first] - points[:, second]) * np.sqrt(0.5)
            found = self._pass(turned)[1]
            moments[first, second] = moments[second, first] = 0.5 * (found[first] - found[second])
        return logs, moments

    def _pass(self, points: Floats) -> tuple[float, Floats]:
        sums = KernelSums(points, self.weights, self.kernel, error=ERROR, n_threads=self.n_threads, order=self._order)
        logs, slopes = sums.leave_one_out(moments=True)
        assert slopes is not None
        values = logs + self._constant
        return float(np.average(values, weights=self.weights)), np.average(slopes, axis=0, weights=self.weights)


def tournament(d: int) -> list[list[tuple[int, int]]]:
    """Rounds of disjoint pairs of d columns in which each meets each once."""
    seats = [*range(d), *([-1] if d % 2 else [])]
    rounds = []
    for _ in range(len(seats) - 1):
        half = len(seats) // 2
        pairs = zip(seats[:half], reversed(seats[half:]), strict=True)
        rounds.append([(s, t) for s, t in pairs if s >= 0 and t >= 0])
        seats = [seats[0], seats[-1], *seats[1:-1]]
    return [pairs for pairs in rounds if pairs]


def most_likely_matrix(points: Floats, weights: Floats | None, start: Floats, kernel: str, n_threads: int) -> Maximum:
    """The maximum that a search from the covariance ``start`` (d, d) of a kernel climbs to."""
    try:
        return _climbed(points, weights, start, kernel, n_threads)
    except np.linalg.LinAlgError:
        raise DegenerateDataError(
            "No bandwidth matrix of rank d is the most likely one: the values, or their weights, are too far apart. Remove "
            "outliers, or choose bandwidth='likelihood'."
        ) from None


def _climbed(points: Floats, weights: Floats | None, start: Floats, kernel: str, n_threads: int) -> Maximum:
    """The same; LinAlgError where a matrix on the way has no root."""
    n, d = points.shape
    whiten, inverse, n_iter = np.linalg.inv(np.linalg.cholesky(start)), None, 0
    if n > MANY:
        every = max(4, n // LARGEST_PART)
        some, of_some = points[::every], None if weights is None else weights[::every]
        growth = np.exp(np.log(n / len(some)) / (d + 4.0))
        part = MatrixLeaveOneOut(some @ whiten.T / growth, of_some, kernel, n_threads)
        found = climb(part, np.zeros(part.n_slopes), None, _telling(part, whiten / growth))
        whiten, inverse, n_iter = part.step(found.theta) @ whiten, found.inverse * growth**4, found.n_iter
    likelihood = MatrixLeaveOneOut(points @ whiten.T, weights, kernel, n_threads)
    found = climb(likelihood, np.zeros(likelihood.n_slopes), inverse, _telling(likelihood, whiten))
    matrix = _matrix_of(likelihood.step(found.theta) @ whiten)
    return replace(evaluated_matrix(points, weights, matrix, kernel, n_threads), n_iter=n_iter + found.n_iter + 1)


def _matrix_of(whiten: Floats) -> Floats:
    """The covariance of the kernel that is the unit matrix in these coordinates."""
    root = np.linalg.inv(whiten)
    return root @ root.T


def _telling(likelihood: MatrixLeaveOneOut, whiten: Floats) -> Callable[[Floats], bool]:
    """What tells of the bandwidth matrices that a search has reached."""
    return lambda theta: report(lambda: _matrix_of(likelihood.step(theta) @ whiten))


def evaluated_matrix(points: Floats, weights: Floats | None, matrix: Floats, kernel: str, n_threads: int) -> Maximum:
    """The likelihood, and its largest slope, at a bandwidth matrix (d, d)."""
    whiten = np.linalg.inv(np.linalg.cholesky(matrix))
    likelihood = MatrixLeaveOneOut(points @ whiten.T, weights, kernel, n_threads)
    mean, slopes = likelihood.mean(np.zeros(likelihood.n_slopes))
    mean += float(np.sum(np.log(np.diag(whiten))))
    return Maximum(matrix, mean * likelihood.total_weight, float(np.max(np.abs(slopes))), 1)


def _raise_if_no_squares(widths: Floats) -> None:
    """DegenerateDataError for a column whose variance of the kernel, with room for a search, is no number of full precision."""
    with np.errstate(over="ignore", under="ignore"):
        squares = widths**2
    numbers = np.finfo(np.float64)
    bad = ~((squares > ROOM * numbers.tiny) & (squares < numbers.max / ROOM))
    if bad.any():
        column = int(np.flatnonzero(bad)[0])
        raise DegenerateDataError(
            f"A bandwidth matrix holds squares, and that of column {column}, with bandwidths of about {widths[column]:.3g}, is "
            "beyond double precision. Rescale the column, for instance to unit size, or choose bandwidth='likelihood'.",
            column,
        )


def start_of(points: Floats, weights: Floats | None, total_weight: float, widths: Floats) -> Floats:
    """The covariance of the rows times what makes it that of a kernel, given bandwidths (d,) of a rule for the columns."""
    _raise_if_no_squares(widths)
    scales = np.max(np.abs(points), axis=0)
    scaled = points / scales
    about = scaled - np.average(scaled, axis=0, weights=weights)
    weighted = about if weights is None else about * weights[:, np.newaxis]
    covariance = weighted.T @ about / (total_weight - 1.0)
    deviations = np.sqrt(np.diag(covariance))
    correlations = covariance / np.outer(deviations, deviations)
    if np.linalg.eigvalsh(correlations)[0] < 1e-12:
        raise DegenerateDataError(
            "The columns depend on each other linearly, so that the likelihood grows without bound as the bandwidth matrix "
            "becomes narrow across. Leave a column out, or choose bandwidth='likelihood'."
        )
    return correlations * np.outer(widths, widths)
