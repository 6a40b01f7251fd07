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


class SamplePair:
    """A sample of p and a sample of q with the searches done so far; distances are from the rows of p.

    Parameters
    ----------
    p, q : Sample
        Same columns, same dtype.
    """

    def __init__(self, p: Sample, q: Sample) -> None:
        self.p = p
        self.q = q
        self._own: FloatArray | None = None
        self._across: FloatArray | None = None

    def reversed(self) -> "SamplePair":
        """The pair (q, p), which shares the trees."""
        return SamplePair(self.q, self.p)

    def own(self, k: int) -> FloatArray:
        """Distances from each row of p to its 1st, ..., k-th other row of p: (n, k), or more columns."""
        if self._own is None or self._own.shape[1] < k:
            self._own = self.p.index.query_self(k)
        return self._own

    def across(self, k: int) -> FloatArray:
        """Distances from each row of p to its 1st, ..., k-th row of q: (n, k), or more columns."""
        if self._across is None or self._across.shape[1] < k:
            self._across = self.q.index.query(self.p.index, k)
        return self._across

    def count_own(self, radius: FloatArray) -> FloatArray:
        """Number of other rows of p in each closed ball around the rows of p: (n,), as float64."""
        count, unknown = _count_known(self._own, radius)
        if unknown.any():
            count[unknown] = self.p.index.count_self(np.where(unknown, radius, -1.0))[unknown]
        return count

    def count_across(self, radius: FloatArray) -> FloatArray:
        """Number of rows of q in each closed ball around the rows of p: (n,), as float64."""
        count, unknown = _count_known(self._across, radius)
        if unknown.any():
            count[unknown] = self.q.index.count(self.p.index, np.where(unknown, radius, -1.0))[unknown]
        return count

    @property
    def known_neighbors(self) -> int:
        """Largest k for which both kinds of distances are known without another search."""
        if self._own is None or self._across is None:
            return 0
        return int(min(self._own.shape[1], self._across.shape[1]))


def _count_known(distances: FloatArray | None, radius: FloatArray) -> tuple[FloatArray, NDArray[np.bool_]]:
    """Rows within each radius as far as the known distances tell, and which balls reach beyond these."""
    if distances is None:
        return np.zeros(len(radius)), np.ones(len(radius), dtype=bool)
    reach = radius * (1.0 + RELATIVE_SLACK)
    count = np.count_nonzero(distances <= reach[:, np.newaxis], axis=1).astype(np.float64)
    return count, distances[:, -1] <= reach


@dataclass(frozen=True)
class LocalTerms:
    """Estimates of log p/q at the rows of p, with the numbers of rows they rest on.

    Attributes
    ----------
    log_ratio : ndarray of shape (n,)
        Their (weighted) mean is the estimate of the divergence.
    n_p, n_q : ndarray of shape (n,)
        Effective numbers of rows of P and of Q behind each; they say how noisy it is.
    log_scale : ndarray of shape (n,)
        ``log_ratio`` without the digammas.
    """

    log_ratio: FloatArray
    n_p: FloatArray
    n_q: FloatArray
    log_scale: FloatArray

    @classmethod
    def from_densities(cls, own: tuple[FloatArray, FloatArray], across: tuple[FloatArray, FloatArray]) -> "LocalTerms":
        """From estimates of log p and of log q, each with its numbers of rows."""
        (log_p, n_p), (log_q, n_q) = own, across
        log_ratio = log_p - log_q
        return cls(log_ratio, n_p, n_q, log_ratio - digamma(n_p) + digamma(n_q))

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


def log_unit_ball(d: int) -> float:
    """Logarithm of the volume of the unit ball in d dimensions."""
    return 0.5 * d * float(np.log(np.pi)) - float(gammaln(0.5 * d + 1.0))


def positive(distances: FloatArray, k: int, name: str) -> FloatArray:
    """The k-th distances, shape (n,), or the error that says why their logarithm does not exist."""
    column = distances[:, k - 1]
    zero = column == 0.0
    if zero.any():
        row = int(np.argmax(zero))
        raise DegenerateDataError(
            f"The distance from row {row} of p to its neighbour number {k} in {name} is 0 (so it is in {int(zero.sum())} of "
            f"{len(column)} rows): repeated or rounded values, or a column of labels, have no density at that scale. "
            f'Use method="common_radius" for a divergence of such samples, or the discrete calls '
            f"(fastkl.categorical_kl, fastkl.categorical_entropy) if the values are symbols."
        )
    return column


def local_terms(pair: SamplePair, method: Method, k: int) -> LocalTerms:
    """The local estimates of log p/q by one of the three methods."""
    if method == "knn":
        return _fixed_neighbors(pair, k)
    if method == "bias_reduced":
        return _bias_reduced(pair, k)
    return _common_radius(pair, k)


def log_density_own(pair: SamplePair, k: int) -> tuple[FloatArray, FloatArray]:
    """Kozachenko-Leonenko estimates of log p at the rows of p, and the numbers of rows behind them."""
    rho = positive(pair.own(k), k, "p")
    balls = None if pair.p.weights is None else _own_balls(pair, rho, np.zeros(len(rho)))
    return _log_density(balls, rho, k, pair.p.n_columns, pair.p.n_rows - 1)


def log_density_across(pair: SamplePair, k: int) -> tuple[FloatArray, FloatArray]:
    """Nearest-neighbour estimates of log q at the rows of p, and the numbers of rows behind them."""
    nu = positive(pair.across(k), k, "q")
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
    rho, nu = positive(pair.own(k), k, "p"), positive(pair.across(k), k, "q")
    radius = np.maximum(rho, nu)
    none = np.zeros(len(radius))
    p, q = _own_balls(pair, radius, none), _across_balls(pair, radius, none)
    rows_p = p.count if pair.p.weights is None else pair.count_own(radius)
    rows_q = q.count if pair.q.weights is None else pair.count_across(radius)
    last_p = _last_distances(pair.p, pair.p.X, radius, rows_p, rho, skip=1)
    last_q = _last_distances(pair.q, pair.p.X, radius, rows_q, nu, skip=0)
    scale = p.log_unit - q.log_unit + q.log_exact_total - p.log_exact_total + pair.p.n_columns * np.log(last_q / last_p)
    return LocalTerms(scale + digamma(p.count) - digamma(q.count), p.count, q.count, scale)


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
    rho, nu = pair.own(k)[:, k - 1], pair.across(k)[:, k - 1]
    radius = np.maximum(rho, nu)
    extra_p = (rho <= nu * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    extra_q = (nu <= rho * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    return _own_balls(pair, radius, extra_p), _across_balls(pair, radius, extra_q)


def _own_balls(pair: SamplePair, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of the other rows of p."""
    p = pair.p
    if p.weights is None:
        count = pair.count_own(radius)
        return BallMasses(count, extra, 0.0, float(digamma(p.n_rows)), float(np.log(p.n_rows - 1.0)), p.n_rows - 1.0)
    w, square = p.weights, p.weights**2
    count, unit = _kish(p.index.weight_self(radius, w), p.index.weight_self(radius, square))
    size, total_unit = _kish(w.sum() - w, square.sum() - square)
    log_total = digamma(size + 1.0) + np.log(total_unit)
    return BallMasses(count, extra, np.log(unit), log_total, np.log(w.sum() - w), size)


def _across_balls(pair: SamplePair, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of q."""
    q = pair.q
    if q.weights is None:
        count = pair.count_across(radius)
        return BallMasses(count, extra, 0.0, float(digamma(q.n_rows + 1)), float(np.log(q.n_rows)), float(q.n_rows))
    w, square = q.weights, q.weights**2
    count, unit = _kish(q.index.weight(pair.p.index, radius, w), q.index.weight(pair.p.index, radius, square))
    size = q.effective_size
    log_total = float(digamma(size + 1.0) + np.log(square.sum() / w.sum()))
    return BallMasses(count, extra, np.log(unit), log_total, float(np.log(w.sum())), size)


def _kish(mass: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effective number of rows and mass of one such row, from sums of masses and of their squares."""
    return mass * mass / square, square / mass


def _common_radius(pair: SamplePair, k: int) -> LocalTerms:
    """Counts within a common radius: no logarithm of a distance, so finite on any data."""
    p, q = common_balls(pair, k)
    scale = np.broadcast_to(p.log_unit - q.log_unit + q.log_total - p.log_total, p.count.shape)
    return LocalTerms(digamma(p.number) - digamma(q.number) + scale, p.number, q.number, scale)
