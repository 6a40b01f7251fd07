r"""Bandwidths of maximum leave-one-out likelihood.

.. math:: \ell(h) = \sum_i w_i \log \frac{\sum_{j \ne i} w_j k(u_{ij})}{(W - w_i) \, c_d \prod_s h_s}, \quad
          u_{ij,s} = (x_{is} - x_{js}) / h_s

Its slope by :math:`\log h_s` is :math:`\sum_i w_i (\sum_j w_j q(u_{ij}) u_{ij,s}^2 / \sum_j w_j k(u_{ij}) - 1)` with
:math:`q = -k'(r) / r`, which is k itself for a Gaussian kernel: value and slopes take one pass over the pairs. The maximum is
found by a quasi-Newton method in log h, on columns divided by their standard deviations, so that units do not matter; where from,
``several_maxima`` says. A row is left out with all of its weight.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from fastkl._core.array_types import Floats
from fastkl._core.iterations import is_heard, is_stopped, report
from fastkl.density.kernel.columns.directional import DIRECTIONAL, DirectionalSums
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.density.kernel.sums.folded import FEW, FoldedSums, weight_of_others
from fastkl.exceptions import DegenerateDataError
from fastkl.spatial.kernel_sums import near_order

ERROR = 1e-11  # of a log-density during the search: far below what would mislead it
OF_MANY = 1e-9  # where kernels may have many images, of more rows than are gone through pair by pair
TOLERANCE = 1e-6  # of a slope per row, where the search has converged
MANY = 1500  # rows whose search begins on a part of them: a quarter, of at most so many rows
LARGEST_PART = 2000
FINE, FINE_OF_MANY = 1e-14, 1e-10  # slopes at which a search ends: rounding, or what many rows are worth
ROUGH = 1e-3  # slopes where it only has to be seen which of several maxima is the highest
FARTHEST = 30.0  # from the start, in logarithms: a likelihood that still grows there has no maximum
ROUNDING = 1e-9  # of a log-bandwidth
LOWEST = 1e10  # stands for a log-likelihood of minus infinity in the line search


@dataclass(frozen=True)
class Maximum:
    """A maximum of the leave-one-out likelihood.

    Parameters
    ----------
    bandwidth : ndarray of shape (d,) or (d, d)
        One for each column, or the same for all; or a matrix.
    log_likelihood : float
        Total, in nats.
    slope : float
        Largest slope by the logarithm of a bandwidth, per unit of weight.
    n_iter : int
        Evaluations of the likelihood.
    """

    bandwidth: Floats
    log_likelihood: float
    slope: float
    n_iter: int

    @property
    def converged(self) -> bool:
        """Whether the slopes vanish."""
        return self.slope <= TOLERANCE


class Likelihood(Protocol):
    """What is climbed."""

    @property
    def n_slopes(self) -> int:
        """Parameters."""

    @property
    def wider(self) -> Floats:
        """The direction in which kernels widen."""

    @property
    def widest(self) -> Floats:
        """Where the search ends (n_slopes,), infinite where nothing ends it."""

    def mean(self, theta: Floats) -> tuple[float, Floats]:
        """The mean log-density and its slopes."""


class LeaveOneOut:
    """The leave-one-out likelihood of rows, as a function of log-bandwidths.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Rows about their centre, in units in which bandwidths are near 1.
    weights : ndarray of shape (n,) or None
        Weights above 0.
    kernel : str
        Name of the kernel.
    n_threads : int
        Threads.
    mirrors : Mirrors or None
        Ends of the columns, in the same units.
    unit : ndarray of shape (d,) or None
        What the bandwidths of angles and directions are counted in, which themselves have no other units.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        n_threads: int,
        mirrors: Mirrors | None = None,
        unit: Floats | None = None,
    ):
        self.points, self.weights, self.kernel, self.n_threads = points, weights, kernel, n_threads
        self.mirrors, self.unit, n = mirrors, unit, len(points)
        self.total_weight = float(n) if weights is None else float(weights.sum())
        self._log_others = np.log(weight_of_others(weights, n))
        self.n_slopes, self.wider = points.shape[1], np.ones(1)
        self.widest = np.full(self.n_slopes, np.inf) if mirrors is None else np.log(mirrors.uniform)
        self._order = near_order(points, n_threads) if unit is None else None

    def log_densities(self, log_bandwidth: Floats, moments: bool) -> tuple[Floats, Floats | None]:
        """Of every row without itself (n,), and their slopes by the log-bandwidths (n, d)."""
        bandwidth = np.exp(log_bandwidth)
        options: dict[str, Any] = {"error": ERROR, "n_threads": self.n_threads}
        sums: FoldedSums | DirectionalSums
        if self.unit is not None:
            sums = DirectionalSums(self.points, self.weights, self.kernel, self.unit * bandwidth, **options)
        else:
            centre, options["order"] = np.zeros(len(bandwidth)), self._order
            if self.mirrors is not None and len(self.points) > FEW:
                options["error"] = OF_MANY
            sums = FoldedSums.of(self.points, self.weights, self.kernel, bandwidth, centre, self.mirrors, **options)
        logs, slopes = sums.leave_one_out(moments)
        return logs - self._log_others - sums.log_constant, None if slopes is None else slopes - sums.constant_slopes

    def mean(self, log_bandwidth: Floats) -> tuple[float, Floats]:
        """The mean log-density and its slopes."""
        logs, slopes = self.log_densities(log_bandwidth, True)
        assert slopes is not None
        if self.weights is None:
            return float(logs.mean()), slopes.mean(axis=0)
        shares = self.weights / self.total_weight
        with np.errstate(invalid="ignore"):  # where no other row is in reach
            return float(shares @ logs), shares @ slopes


def evaluated(
    points: Floats,
    weights: Floats | None,
    bandwidth: Floats,
    kernel: str,
    *,
    scalar: bool,
    n_threads: int,
    mirrors: Mirrors | None = None,
) -> Maximum:
    """The likelihood and its slope at these bandwidths (d,)."""
    scaled, of_scaled, own = in_units(points, mirrors, bandwidth, kernel)
    likelihood = LeaveOneOut(scaled, weights, kernel, n_threads, of_scaled, own)
    mean, slopes = likelihood.mean(np.zeros(len(bandwidth)))
    mean -= float(np.sum(np.log(bandwidth))) if own is None else 0.0
    slopes, widest = (slopes.sum(keepdims=True), likelihood.widest.min()) if scalar else (slopes, likelihood.widest)
    slopes = np.where((widest <= ROUNDING) & (slopes > 0.0), 0.0, slopes)  # what is uniform need not be wider still
    slope = float(np.max(np.abs(slopes)))
    return Maximum(bandwidth, mean * likelihood.total_weight, slope, 1)


def in_units(
    points: Floats, mirrors: Mirrors | None, unit: Floats, kernel: str
) -> tuple[Floats, Mirrors | None, Floats | None]:
    """Rows and ends in these units, or rows as they are, and the units, where a kernel of angles or directions has none."""
    if kernel in DIRECTIONAL:
        return points, None, unit
    return points / unit, None if mirrors is None else mirrors.scaled(unit), None


def telling(unit: Floats) -> Callable[[Floats], bool]:
    """What tells of the bandwidths whose logarithms, in these units, a search has reached."""
    return lambda theta: report(lambda: unit * np.exp(theta))


def climb(
    likelihood: Likelihood,
    theta: Floats,
    inverse: Floats | None,
    reached: Callable[[Floats], bool],
    polish: bool = True,
) -> tuple[Floats, Floats, int]:
    """Parameters where the slopes vanish, the inverse curvature there, and how often the likelihood was evaluated.

    A ``theta`` of one number stands for all of them. Without ``polish`` the search ends near the maximum.

    With an ``inverse`` curvature from elsewhere the search begins with steps by it, and ends if these lead to the maximum.
    ``reached(theta)`` is told of every step; where it is true the search ends.
    """
    d, n_evaluations = likelihood.n_slopes, 0

    def loss(theta: Floats) -> tuple[float, Floats]:
        nonlocal n_evaluations
        n_evaluations += 1
        mean, slopes = likelihood.mean(np.broadcast_to(theta, d))
        if not np.isfinite(mean):
            return LOWEST, np.full_like(theta, np.nan)
        return -mean, -(slopes if len(theta) == d else slopes.sum(keepdims=True))

    ends = likelihood.widest if len(theta) == d else np.min(likelihood.widest, keepdims=True)
    theta = np.minimum(theta, ends)
    if inverse is not None and np.all(theta < ends - ROUNDING):
        theta, inverse, slope = _polished(loss, theta, inverse, FINE_OF_MANY, reached)
        if slope <= FINE_OF_MANY or is_stopped():
            return theta, inverse, n_evaluations
    for _ in range(int(2 * FARTHEST)):
        if loss(theta)[0] < LOWEST:
            break
        # a kernel with an end reaches no other row from somewhere; a wider one does
        theta = theta + 0.5 * likelihood.wider
    else:
        raise DegenerateDataError(
            "No bandwidth gives every row a finite density under the others: their weights or values are too far apart. Remove "
            "outliers, or give numbers as bandwidth."
        )
    theta = np.minimum(theta, ends)

    def told(theta: Floats) -> None:
        if reached(theta):
            raise StopIteration

    options = {"gtol": 1e-6 if polish else ROUGH, "ftol": 0.0, "maxiter": 200, "maxcor": 20}
    found = minimize(
        lambda theta: tuple(np.nan_to_num(part) for part in loss(theta)),
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=[(centre - FARTHEST, min(centre + FARTHEST, end)) for centre, end in zip(theta, ends, strict=True)],
        options=options,
        callback=told if is_heard() else None,
    )
    if not polish or is_stopped():
        return found.x, np.eye(len(theta)), n_evaluations
    theta, inverse = _refined(loss, found, found.x < ends - ROUNDING, reached)
    return theta, inverse, n_evaluations


def _refined(
    loss: Callable[[Floats], tuple[float, Floats]],
    found: Any,
    free: npt.NDArray[np.bool_],
    reached: Callable[[Floats], bool],
) -> tuple[Floats, Floats]:
    """Steps from where a search has ended of the parameters that are at no end, and the inverse curvature there."""

    def whole(some: Floats) -> Floats:
        theta: Floats = found.x.copy()
        theta[free] = some
        return theta

    def of_free(some: Floats) -> tuple[float, Floats]:
        value, slopes = loss(whole(some))
        return value, slopes[free]

    theta, inverse = found.x.copy(), np.eye(len(free))
    if free.any():
        curvature = _inverse_curvature(of_free, theta[free], found, free)
        some, of_some, _ = _polished(of_free, theta[free], curvature, FINE, lambda some: reached(whole(some)))
        theta[free], inverse[np.ix_(free, free)] = some, of_some
    return theta, inverse


def _inverse_curvature(
    loss: Callable[[Floats], tuple[float, Floats]], theta: Floats, found: Any, free: npt.NDArray[np.bool_]
) -> Floats:
    """By differences of the slopes, or where these are of no use what the search found."""
    at = loss(theta)[1]
    steps = 1e-4 * np.eye(len(theta))
    curvature = np.array([(loss(theta + step)[1] - at) / 1e-4 for step in steps])
    curvature = 0.5 * (curvature + curvature.T)
    if np.isfinite(curvature).all() and np.linalg.eigvalsh(curvature)[0] > 1e-8 * np.max(np.abs(curvature)):
        return np.asarray(np.linalg.inv(curvature))
    return np.asarray(found.hess_inv.todense())[np.ix_(free, free)]


def _polished(
    loss: Callable[[Floats], tuple[float, Floats]],
    theta: Floats,
    inverse: Floats,
    fine: float,
    reached: Callable[[Floats], bool],
) -> tuple[Floats, Floats, float]:
    """Steps by the slopes alone, which know the maximum to more digits than the values do, as long as these fall.

    Returns where they end, the inverse curvature, and the largest slope.
    """
    slopes = loss(theta)[1]
    for _ in range(12):
        largest = np.max(np.abs(slopes))
        step = -inverse @ slopes
        if not largest > fine or np.max(np.abs(step)) > 1.0:
            break
        new = loss(theta + step)[1]
        if not np.max(np.abs(new)) < largest:
            break
        change, theta = new - slopes, theta + step
        slopes, rate = new, float(step @ change)
        if rate > 0.0:
            left = np.eye(len(theta)) - np.outer(step, change) / rate
            inverse = left @ inverse @ left.T + np.outer(step, step) / rate
        if reached(theta):
            break
    return theta, inverse, float(np.max(np.abs(slopes)))


def distinct(points: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """Every different row once, with the weight of all that are equal to it."""
    values, at = np.unique(points, axis=0, return_inverse=True)
    return values, np.bincount(at.reshape(-1), weights=weights, minlength=len(values)).astype(np.float64)
