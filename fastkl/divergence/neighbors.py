"""Nearest-neighbour estimates of log p, log q and log p/q at the rows of a sample of p.

A pair of samples does each search once and keeps the distances, so that every estimator, every number of neighbours up
to the largest one asked for, the standard error and the diagnostics come from the same searches.

All estimators have one form: at row i the closed ball of some radius holds ``n_p`` other rows of P and ``n_q`` rows of Q, and

    log p/q (x_i)  =  psi(n_p) - psi(n_q) + log_scale

where the scale holds what the numbers leave out: totals, volumes, units of weight. Two distances are equal when they
agree to 1e-12 relative. No distance is ever replaced, no noise added: a distance of 0 where a logarithm is due is an error.

Weights are masses, so only their ratios matter. In a ball with masses w the weight of evidence is that of
``N = (sum w)^2 / sum w^2`` rows (Kish) of mass ``u = sum w^2 / sum w``, and psi(N) + log(u) takes the place of psi(N).
With equal weights that is the unweighted formula.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma, gammaln

from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.exceptions import DegenerateDataError

RELATIVE_SLACK = 1e-12
METHODS = ("common_radius", "knn", "bias_reduced")
Method = Literal["common_radius", "knn", "bias_reduced"]

# Rows are searched in groups so that a group's distances take at most so many numbers.
_GROUP_NUMBERS = 1 << 22


class Neighbors:
    """Distances from the rows of one sample to those of another, or to the other rows of the same; each searched once.

    Parameters
    ----------
    around : Sample
        The rows that look for neighbours.
    among : Sample
        The rows that they look among; the same object for the other rows of ``around``.
    same : bool
        Whether a row is left out of its own neighbours.
    by_row : bool
        Whether results are by row of ``around``, or in the order of its index, which saves the way back.
    """

    def __init__(self, around: Sample, among: Sample, same: bool, by_row: bool) -> None:
        self.around = around
        self.among = among
        self.same = same
        self.in_order = not by_row
        self.reach = 0
        self._distances: FloatArray | None = None
        self._single: dict[int, FloatArray] = {}

    def search(self, k: int) -> None:
        """Make all k up to this known by one search. On a line each k is as cheap alone, and nothing is stored."""
        if k <= self.reach:
            return
        if self.around.n_columns > 1:
            index, order = self.among.index, self.in_order
            self._distances = (
                index.query_self(k, in_order=order) if self.same else index.query(self.around.index, k, in_order=order)
            )
        self.reach = k

    def kth(self, k: int) -> FloatArray:
        """Distance to the k-th neighbour: (n,)."""
        if self._distances is not None and self._distances.shape[1] >= k:
            return self._distances[:, k - 1]
        if k not in self._single:
            index, order = self.among.index, self.in_order
            self._single[k] = (
                index.kth_self(k, in_order=order) if self.same else index.kth(self.around.index, k, in_order=order)
            )
        return self._single[k]

    def positive_kth(self, k: int) -> FloatArray:
        """The same, or the error that says why the logarithm of such a distance does not exist."""
        distances = self.kth(k)
        zero = distances == 0.0
        if zero.any():
            first = int(np.argmax(zero))
            raise DegenerateDataError(
                f"The distance from row {int(self.around.index.order[first]) if self.in_order else first} of p to its "
                f"neighbour number {k} in {'p' if self.same else 'q'} is 0 (so it is in {int(zero.sum())} of "
                f"{len(distances)} rows): repeated or rounded values, or a column of labels, have no density at that scale. "
                f'Use method="common_radius" for a divergence of such samples, or the discrete calls '
                f"(fastkl.categorical_kl, fastkl.categorical_entropy) if the values are symbols."
            )
        return distances

    def count(self, radius: FloatArray) -> FloatArray:
        """Number of rows in each closed ball: (n,), as float64."""
        if self._distances is None:
            return self._search_count(radius)
        reach = radius * (1.0 + RELATIVE_SLACK)
        count: FloatArray = np.count_nonzero(self._distances <= reach[:, np.newaxis], axis=1).astype(np.float64)
        beyond = self._distances[:, -1] <= reach
        if beyond.any():
            # A ball of negative radius is empty, so what is known is not counted again.
            count[beyond] = self._search_count(np.where(beyond, radius, -1.0))[beyond]
        return count

    def _search_count(self, radius: FloatArray) -> FloatArray:
        index, order = self.among.index, self.in_order
        if self.same:
            return index.count_self(radius, in_order=order).astype(np.float64)
        return index.count(self.around.index, radius, in_order=order).astype(np.float64)

    def mass(self, radius: FloatArray, weights: FloatArray) -> FloatArray:
        """Sum of weights in each closed ball: (n,)."""
        index, order = self.among.index, self.in_order
        if self.same:
            return index.weight_self(radius, weights, in_order=order)
        return index.weight(self.around.index, radius, weights, in_order=order)


class SamplePair:
    """A sample of p and a sample of q; all distances are from the rows of p.

    Parameters
    ----------
    p, q : Sample
        Same columns, same dtype.
    by_row : bool, default=False
        Whether what is found is wanted by row of p. It always is when these have weights; means over the rows do not care.

    Attributes
    ----------
    own, across : Neighbors
        Among the other rows of p, and among the rows of q.
    """

    def __init__(self, p: Sample, q: Sample, *, by_row: bool = False) -> None:
        self.p = p
        self.q = q
        self.by_row = by_row or p.weights is not None
        self.own = Neighbors(p, p, True, self.by_row)
        self.across = Neighbors(p, q, False, self.by_row)

    @property
    def rows(self) -> NDArray[Any]:
        """The rows of p in the order of what is found."""
        X: NDArray[Any] = self.p.X if self.by_row else self.p.X[self.p.index.order]
        return X

    def reversed(self) -> "SamplePair":
        """The pair (q, p), which shares the trees."""
        return SamplePair(self.q, self.p)

    def search(self, k: int) -> None:
        """Make all k up to this known, as far as the samples have so many rows."""
        self.own.search(min(k, self.p.n_rows - 1))
        self.across.search(min(k, self.q.n_rows))

    @property
    def reach(self) -> int:
        """Largest k that a search has made known on both sides."""
        return min(self.own.reach, self.across.reach)


@dataclass(frozen=True)
class LocalTerms:
    """Estimates of log p/q at the rows of p, with the numbers of rows they rest on.

    Attributes
    ----------
    log_ratio : ndarray of shape (n,)
        Their (weighted) mean is the estimate of the divergence.
    n_p, n_q : ndarray of shape (n,)
        Effective numbers of rows of P and of Q behind each; they say how noisy it is.
    known_scale : ndarray of shape (n,), float or None
        ``log_scale``, where it is at hand.
    """

    log_ratio: FloatArray
    n_p: FloatArray
    n_q: FloatArray
    known_scale: FloatArray | float | None = None

    @classmethod
    def from_densities(cls, own: tuple[FloatArray, FloatArray], across: tuple[FloatArray, FloatArray]) -> "LocalTerms":
        """From estimates of log p and of log q, each with its numbers of rows."""
        (log_p, n_p), (log_q, n_q) = own, across
        return cls(log_p - log_q, n_p, n_q)

    @property
    def log_scale(self) -> FloatArray | float:
        """``log_ratio`` without the digammas."""
        if self.known_scale is not None:
            return self.known_scale
        return self.log_ratio - at_numbers(digamma, self.n_p) + at_numbers(digamma, self.n_q)

    @property
    def ratio(self) -> FloatArray:
        """Estimates of p/q that are right on average: (n_p - 1)/n_q in place of exp(psi(n_p) - psi(n_q))."""
        with np.errstate(over="ignore"):
            return (self.n_p - 1.0) / self.n_q * np.exp(self.log_scale)

    @property
    def inverse_ratio(self) -> FloatArray:
        """The same for q/p."""
        with np.errstate(over="ignore"):
            return (self.n_q - 1.0) / self.n_p * np.exp(-self.log_scale)


def at_numbers(function: Callable[[FloatArray], FloatArray], numbers: FloatArray) -> FloatArray:
    """A function of counts, from a table where they are whole numbers (they are without weights)."""
    whole = numbers.astype(np.intp)
    largest = int(whole.max())
    if largest > len(whole) or not np.array_equal(whole, numbers):
        return function(numbers)
    return function(np.arange(1.0, largest + 1.0))[whole - 1]


def log_unit_ball(d: int) -> float:
    """Logarithm of the volume of the unit ball in d dimensions."""
    return 0.5 * d * float(np.log(np.pi)) - float(gammaln(0.5 * d + 1.0))


def local_terms(pair: SamplePair, method: Method, k: int) -> LocalTerms:
    """The local estimates of log p/q by one of the three methods."""
    if method == "knn":
        return _fixed_neighbors(pair, k)
    if method == "bias_reduced":
        return _bias_reduced(pair, k)
    return _common_radius(pair, k)


def log_density_own(pair: SamplePair, k: int) -> tuple[FloatArray, FloatArray]:
    """Kozachenko-Leonenko estimates of log p at the rows of p, and the numbers of rows behind them."""
    rho = pair.own.positive_kth(k)
    balls = None if pair.p.weights is None else _own_balls(pair, rho, np.zeros(len(rho)))
    return _log_density(balls, rho, k, pair.p.n_columns, pair.p.n_rows - 1)


def log_density_across(pair: SamplePair, k: int) -> tuple[FloatArray, FloatArray]:
    """Nearest-neighbour estimates of log q at the rows of p, and the numbers of rows behind them."""
    nu = pair.across.positive_kth(k)
    balls = None if pair.q.weights is None else _across_balls(pair, nu, np.zeros(len(nu)))
    return _log_density(balls, nu, k, pair.p.n_columns, pair.q.n_rows)


def _log_density(
    balls: "BallMasses | None", radius: FloatArray, k: int, n_columns: int, total: int
) -> tuple[FloatArray, FloatArray]:
    """psi(count) - log(total) - log(volume of the ball); without weights every count is k."""
    log_volume = log_unit_ball(n_columns) + n_columns * np.log(radius)
    if balls is None:
        return float(digamma(k) - np.log(total)) - log_volume, np.full(len(radius), float(k))
    return digamma(balls.count) + balls.log_unit - balls.log_exact_total - log_volume, balls.count


def _fixed_neighbors(pair: SamplePair, k: int) -> LocalTerms:
    """Wang, Kulkarni and Verdu (2009), eq. 5: both densities from the distance to the k-th neighbour."""
    return LocalTerms.from_densities(log_density_own(pair, k), log_density_across(pair, k))


def _bias_reduced(pair: SamplePair, k: int) -> LocalTerms:
    """Wang, Kulkarni and Verdu (2009), eq. 29: one radius for both samples, then the distances to the last rows within it."""
    rho, nu = pair.own.positive_kth(k), pair.across.positive_kth(k)
    radius = np.maximum(rho, nu)
    none = np.zeros(len(radius))
    p, q = _own_balls(pair, radius, none), _across_balls(pair, radius, none)
    rows_p = p.count if pair.p.weights is None else pair.own.count(radius)
    rows_q = q.count if pair.q.weights is None else pair.across.count(radius)
    last_p = _last_distances(pair.p, pair.rows, radius, rows_p, rho, skip=1)
    last_q = _last_distances(pair.q, pair.rows, radius, rows_q, nu, skip=0)
    scale = p.log_unit - q.log_unit + q.log_exact_total - p.log_exact_total + pair.p.n_columns * np.log(last_q / last_p)
    return LocalTerms(scale + at_numbers(digamma, p.count) - at_numbers(digamma, q.count), p.count, q.count, scale)


def _last_distances(
    sample: Sample, X: NDArray[np.floating], radius: FloatArray, counts: NDArray[Any], kth: FloatArray, skip: int
) -> FloatArray:
    """Distance to the last row of ``sample`` in each ball: the k-th, where it is what set the radius."""
    last = np.minimum(kth, radius)
    rows = np.flatnonzero(kth < radius * (1.0 - RELATIVE_SLACK))
    rows = rows[np.argsort(counts[rows], kind="stable")]
    while len(rows):
        # Searched with the count of the group's last row, so groups of similar counts waste little.
        size = max(1, int(_GROUP_NUMBERS // (counts[rows[0]] + skip)))
        group = rows[: min(size, np.searchsorted(counts[rows], 2 * counts[rows[0]], side="right"))]
        columns = counts[group].astype(np.int64) + skip
        found = sample.index.query(np.ascontiguousarray(X[group]), int(columns.max()))
        last[group] = found[np.arange(len(group)), columns - 1]
        rows = rows[len(group) :]
    return last


@dataclass(frozen=True)
class BallMasses:
    """What the common balls hold of one sample.

    Attributes
    ----------
    count : ndarray of shape (n,)
        (Effective) number of rows in each ball.
    extra : ndarray of shape (n,)
        0 where this sample alone set the radius, else 1: the count of a ball that others chose is expected one lower.
    log_unit : ndarray of shape (n,) or float
        Logarithm of the mass of one such row.
    log_total, log_exact_total : ndarray of shape (n,) or float
        Logarithm of the sample's total mass, with the digamma that goes with counts and as it is.
    size : ndarray of shape (n,) or float
        (Effective) number of rows that could lie in the ball.
    """

    count: FloatArray
    extra: FloatArray
    log_unit: FloatArray | float
    log_total: FloatArray | float
    log_exact_total: FloatArray | float
    size: FloatArray | float

    @property
    def number(self) -> FloatArray:
        """The number whose digamma estimates the logarithm of the mass in units."""
        return self.count + self.extra


def common_balls(pair: SamplePair, k: int) -> tuple[BallMasses, BallMasses]:
    """Masses of P and of Q in closed balls around the rows of p that reach the k-th row of both.

    The sample that did not set the radius on its own gets one row extra, both do where the two distances are equal
    (so at atoms, where they are 0).
    """
    rho, nu = pair.own.kth(k), pair.across.kth(k)
    radius = np.maximum(rho, nu)
    extra_p = (rho <= nu * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    extra_q = (nu <= rho * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    return _own_balls(pair, radius, extra_p), _across_balls(pair, radius, extra_q)


def _own_balls(pair: SamplePair, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of the other rows of p."""
    p = pair.p
    if p.weights is None:
        count = pair.own.count(radius)
        return BallMasses(count, extra, 0.0, float(digamma(p.n_rows)), float(np.log(p.n_rows - 1.0)), p.n_rows - 1.0)
    w, square = p.weights, p.weights**2
    count, unit = _kish(pair.own.mass(radius, w), pair.own.mass(radius, square))
    size, total_unit = _kish(w.sum() - w, square.sum() - square)
    log_total = digamma(size + 1.0) + np.log(total_unit)
    return BallMasses(count, extra, np.log(unit), log_total, np.log(w.sum() - w), size)


def _across_balls(pair: SamplePair, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of q."""
    q = pair.q
    if q.weights is None:
        count = pair.across.count(radius)
        return BallMasses(count, extra, 0.0, float(digamma(q.n_rows + 1)), float(np.log(q.n_rows)), float(q.n_rows))
    w, square = q.weights, q.weights**2
    count, unit = _kish(pair.across.mass(radius, w), pair.across.mass(radius, square))
    size = q.effective_size
    log_total = float(digamma(size + 1.0) + np.log(square.sum() / w.sum()))
    return BallMasses(count, extra, np.log(unit), log_total, float(np.log(w.sum())), size)


def _kish(mass: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effective number of rows and mass of one such row, from sums of masses and of their squares."""
    # The square of a very small mass may be 0: then it is as good as one row.
    root = np.sqrt(square)
    number = np.square(np.divide(mass, root, out=np.ones_like(mass), where=root > 0.0))
    return number, mass / number


def _common_radius(pair: SamplePair, k: int) -> LocalTerms:
    """Counts within a common radius: no logarithm of a distance, so finite on any data."""
    p, q = common_balls(pair, k)
    n_p, n_q = p.number, q.number
    scale = p.log_unit - q.log_unit + q.log_total - p.log_total
    return LocalTerms(at_numbers(digamma, n_p) - at_numbers(digamma, n_q) + scale, n_p, n_q, scale)
