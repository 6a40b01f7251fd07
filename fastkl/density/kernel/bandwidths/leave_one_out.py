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

ERROR, OF_MANY = 1e-11, 1e-9  # of a log-density during the search, and of more rows than ``FEW``: neither misleads it
TOLERANCE = 1e-6  # of a slope per row, where the search has converged
MANY = 1500  # rows whose search begins on a part of them: a quarter, of at most so many rows
LARGEST_PART = 2000
FINE, FINE_OF_MANY = 1e-14, 1e-8  # slopes at which a search ends: rounding, or far below what many rows tell apart
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
    """The leave-one-out likelihood of rows, as a function of log-bandwidths in some unit.

    Parameters
    ----------
    points : ndarray of shape (n, d)
        Rows about their centre; angles or directions as they are.
    weights : ndarray of shape (n,) or None
        Weights above 0.
    kernel : str
        Name of the kernel.
    n_threads : int
        Threads.
    mirrors : Mirrors or None
        Ends of the columns.
    unit : ndarray of shape (d,) or None
        Bandwidths near which the search is, by which the others are counted; None for 1.
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
        n, self.n_slopes = points.shape
        self.unit = np.ones(self.n_slopes) if unit is None else unit
        self.kernel, self.n_threads, self.is_directional = kernel, n_threads, kernel in DIRECTIONAL
        # angles and directions have no other units, so that theirs is of the bandwidth alone
        self.log_volume = 0.0 if self.is_directional else float(np.sum(np.log(self.unit)))
        self.mirrors = None if mirrors is None else mirrors.scaled(self.unit)
        self.points = points if self.is_directional else points / self.unit
        self.weights, self.n_rows = weights, n
        order = None if self.is_directional else near_order(self.points, n_threads)
        if order is not None:  # once, so that no pass has to
            self.points, self.weights = self.points[order], None if weights is None else weights[order]
        self._order = None if order is None else np.arange(n)
        self.total_weight = float(n) if weights is None else float(weights.sum())
        self._log_others = np.log(weight_of_others(self.weights, n))
        self.wider = np.ones(1)
        self.widest = np.full(self.n_slopes, np.inf) if self.mirrors is None else np.log(self.mirrors.uniform)

    def log_densities(self, log_bandwidth: Floats, moments: bool) -> tuple[Floats, Floats | None]:
        """Of every row without itself (n,), near ones after each other, and their slopes by the log-bandwidths (n, d)."""
        bandwidth = np.exp(log_bandwidth)
        options: dict[str, Any] = {"error": OF_MANY if self.n_rows > FEW else ERROR, "n_threads": self.n_threads}
        sums: FoldedSums | DirectionalSums
        if self.is_directional:
            sums = DirectionalSums(self.points, self.weights, self.kernel, self.unit * bandwidth, **options)
        else:
            centre, options["order"] = np.zeros(len(bandwidth)), self._order
            sums = FoldedSums.of(self.points, self.weights, self.kernel, bandwidth, centre, self.mirrors, **options)
        logs, slopes = sums.leave_one_out(moments)
        return logs - self._log_others - sums.log_constant, None if slopes is None else slopes - sums.constant_slopes

    def mean(self, log_bandwidth: Floats) -> tuple[float, Floats]:
        """The mean log-density, of rows in the unit, and its slopes."""
        logs, slopes = self.log_densities(log_bandwidth, True)
        assert slopes is not None
        if self.weights is None:
            return float(logs.mean()), slopes.mean(axis=0)
        shares = self.weights / self.total_weight
        with np.errstate(invalid="ignore"):  # where no other row is in reach
            return float(shares @ logs), shares @ slopes

    def maximum(self, found: Climbed, n_iter: int) -> Maximum:
        """Where a search has ended, in the rows' own units."""
        bandwidth: Floats = self.unit * np.exp(found.theta)
        return Maximum(bandwidth, (found.mean - self.log_volume) * self.total_weight, found.slope, n_iter)


def telling(unit: Floats) -> Callable[[Floats], bool]:
    """What tells of the bandwidths whose logarithms, in these units, a search has reached."""
    return lambda theta: report(lambda: unit * np.exp(theta))


@dataclass(frozen=True)
class Climbed:
    """Where a search has ended.

    Parameters
    ----------
    theta : ndarray of shape (k,)
        Parameters.
    inverse : ndarray of shape (k, k)
        The inverse curvature there.
    mean, slope : float
        The mean log-density, and its largest slope; what is as wide as it can be need not be wider still.
    n_iter : int
        Evaluations of the likelihood.
    """

    theta: Floats
    inverse: Floats
    mean: float
    slope: float
    n_iter: int


class _Loss:
    """Minus the mean of a likelihood and its slopes, each place of which is evaluated once."""

    def __init__(self, likelihood: Likelihood, size: int):
        self.likelihood = likelihood
        self.known: dict[bytes, tuple[float, Floats]] = {}
        widest = likelihood.widest
        self.ends: Floats = widest if size == len(widest) else np.min(widest, keepdims=True)

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        key = theta.tobytes()
        if key not in self.known:
            d = self.likelihood.n_slopes
            mean, slopes = self.likelihood.mean(np.broadcast_to(theta, d))
            of_theta = -(slopes if len(theta) == d else slopes.sum(keepdims=True))
            self.known[key] = (-mean, of_theta) if np.isfinite(mean) else (LOWEST, np.full_like(theta, np.nan))
        return self.known[key]

    def ended(self, theta: Floats, inverse: Floats) -> Climbed:
        """The search, ended here."""
        value, slopes = self(theta)
        mean = -value if value < LOWEST else -np.inf
        slopes = np.where((theta >= self.ends - ROUNDING) & (slopes < 0.0), 0.0, slopes)
        return Climbed(theta, inverse, mean, float(np.max(np.abs(slopes), initial=0.0)), len(self.known))


def evaluated(likelihood: Likelihood, theta: Floats) -> Climbed:
    """A search that ends where it begins. A ``theta`` of one number stands for all of them."""
    return _Loss(likelihood, len(theta)).ended(theta, np.eye(len(theta)))


def climb(
    likelihood: Likelihood,
    theta: Floats,
    inverse: Floats | None,
    reached: Callable[[Floats], bool],
    polish: bool = True,
) -> Climbed:
    """Parameters where the slopes vanish.

    A ``theta`` of one number stands for all of them. Without ``polish`` the search ends near the maximum.

    With an ``inverse`` curvature from elsewhere the rows are many: the search begins with steps by it, and ends if these lead to
    the maximum. ``reached(theta)`` is told of every step; where it is true the search ends.
    """
    loss = _Loss(likelihood, len(theta))
    theta = np.minimum(theta, loss.ends)
    fine = FINE if inverse is None else FINE_OF_MANY
    if inverse is not None and np.all(theta < loss.ends - ROUNDING):
        theta, inverse, slope = _polished(loss, theta, inverse, fine, reached)
        if slope <= fine or is_stopped():
            return loss.ended(theta, inverse)
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
    theta = np.minimum(theta, loss.ends)

    def told(theta: Floats) -> None:
        if reached(theta):
            raise StopIteration

    options = {"gtol": 1e-6 if polish else ROUGH, "ftol": 0.0, "maxiter": 200, "maxcor": 20}
    found = minimize(
        lambda theta: tuple(np.nan_to_num(part) for part in loss(theta)),
        theta,
        jac=True,
        method="L-BFGS-B",
        bounds=[(centre - FARTHEST, min(centre + FARTHEST, end)) for centre, end in zip(theta, loss.ends, strict=True)],
        options=options,
        callback=told if is_heard() else None,
    )
    if not polish or is_stopped():
        return loss.ended(found.x, np.eye(len(theta)))
    return loss.ended(*_refined(loss, found, found.x < loss.ends - ROUNDING, fine, reached))


def _refined(
    loss: Callable[[Floats], tuple[float, Floats]],
    found: Any,
    free: npt.NDArray[np.bool_],
    fine: float,
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
        curvature = np.asarray(found.hess_inv.todense())[np.ix_(free, free)]
        if fine == FINE:  # of few rows, which are soon gone through
            curvature = _inverse_curvature(of_free, theta[free], curvature)
        some, of_some, _ = _polished(of_free, theta[free], curvature, fine, lambda some: reached(whole(some)))
        theta[free], inverse[np.ix_(free, free)] = some, of_some
    return theta, inverse


def _inverse_curvature(loss: Callable[[Floats], tuple[float, Floats]], theta: Floats, known: Floats) -> Floats:
    """By differences of the slopes, or where these are of no use what is known."""
    at = loss(theta)[1]
    steps = 1e-4 * np.eye(len(theta))
    curvature = np.array([(loss(theta + step)[1] - at) / 1e-4 for step in steps])
    curvature = 0.5 * (curvature + curvature.T)
    if np.isfinite(curvature).all() and np.linalg.eigvalsh(curvature)[0] > 1e-8 * np.max(np.abs(curvature)):
        return np.asarray(np.linalg.inv(curvature))
    return known


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


def distinct(points: Floats, weights: Floats | None) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    """Every different row once, in order, with the weight and the number of all that are equal to it."""
    order = np.lexsort(points.T[::-1])
    in_order = points[order]
    first = np.append(True, np.any(in_order[1:] != in_order[:-1], axis=1))
    at = np.empty(len(points), dtype=np.intp)
    at[order] = np.cumsum(first) - 1
    return in_order[first], np.bincount(at, weights).astype(np.float64), np.bincount(at)
