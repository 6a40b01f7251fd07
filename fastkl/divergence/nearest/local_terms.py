"""Nearest-neighbour estimates of log p, log q and log p/q at rows of p.

All estimators have one form: at row i the closed ball of some radius holds ``n_p`` other rows of P and ``n_q`` rows of Q, and

    log p/q (x_i)  =  psi(n_p) - psi(n_q) + log_scale

where the scale holds what the numbers leave out: totals, volumes, units of weight.

Weights are masses, so only their ratios matter. In a ball with masses w the weight of evidence is that of
``N = (sum w)^2 / sum w^2`` rows (Kish) of mass ``u = sum w^2 / sum w``, and psi(N + 1) + log(u) takes the place of psi(n + 1)
for n rows in a ball that others chose. One that ends at its own n-th row holds a row too many, which is 1/n of them whatever
their weights: psi(N + 1) - 1/n + log(u) takes the place of psi(n) = psi(n + 1) - 1/n. With equal weights these are the
unweighted formulas.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import digamma, gammaln

from fastkl._core._vector_math import looked_up
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.nearest.neighbors import Slab
from fastkl.spatial import RELATIVE_SLACK

METHODS = ("common_radius", "knn", "bias_reduced")
Method = Literal["common_radius", "knn", "bias_reduced"]


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
    def from_densities(cls, own: tuple[FloatArray, FloatArray], across: tuple[FloatArray, FloatArray]) -> LocalTerms:
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
    largest = float(numbers.max())
    if not largest <= len(numbers):
        return function(numbers)
    found = looked_up(numbers, function(np.arange(1.0, int(largest) + 1.0)))
    return function(numbers) if found is None else found


def log_unit_ball(d: int) -> float:
    """Logarithm of the volume of the unit ball in d dimensions."""
    return 0.5 * d * float(np.log(np.pi)) - float(gammaln(0.5 * d + 1.0))


def local_terms(slab: Slab, method: Method, k: int) -> LocalTerms:
    """The local estimates of log p/q by one of the three methods."""
    if method == "knn":
        return _fixed_neighbors(slab, k)
    if method == "bias_reduced":
        return _bias_reduced(slab, k)
    return _common_radius(slab, k)


def log_density_own(slab: Slab, k: int) -> tuple[FloatArray, FloatArray]:
    """Kozachenko-Leonenko estimates of log p at the rows of p, and the numbers of rows behind them."""
    rho = slab.own.positive_kth(k)
    balls = None if not slab.p.weighted else _own_balls(slab, rho, np.zeros(len(rho)))
    return _log_density(balls, rho, k, slab.p.n_columns, slab.p.n_rows - 1)


def log_density_across(slab: Slab, k: int) -> tuple[FloatArray, FloatArray]:
    """Nearest-neighbour estimates of log q at the rows of p, and the numbers of rows behind them."""
    nu = slab.across.positive_kth(k)
    balls = None if not slab.q.weighted else _across_balls(slab, nu, np.zeros(len(nu)))
    return _log_density(balls, nu, k, slab.p.n_columns, slab.q.n_rows)


def _log_density(
    balls: BallMasses | None, radius: FloatArray, k: int, n_columns: int, total: int
) -> tuple[FloatArray, FloatArray]:
    """psi(count) - log(total) - log(volume of the ball); without weights every count is k."""
    log_volume = log_unit_ball(n_columns) + n_columns * np.log(radius)
    if balls is None:
        return float(digamma(k) - np.log(total)) - log_volume, np.full(len(radius), float(k))
    return balls.log_number + balls.log_unit - balls.log_exact_total - log_volume, balls.count


def _fixed_neighbors(slab: Slab, k: int) -> LocalTerms:
    """Wang, Kulkarni and Verdu (2009), eq. 5: both densities from the distance to the k-th neighbour."""
    return LocalTerms.from_densities(log_density_own(slab, k), log_density_across(slab, k))


def _bias_reduced(slab: Slab, k: int) -> LocalTerms:
    """Wang, Kulkarni and Verdu (2009), eq. 29: one radius for both samples, then the distances to the last rows within it."""
    rho, nu = slab.own.positive_kth(k), slab.across.positive_kth(k)
    radius = np.maximum(rho, nu)
    none = np.zeros(len(radius))
    p, q = _own_balls(slab, radius, none), _across_balls(slab, radius, none)
    last_p = slab.own.last_within(radius, k, None if slab.p.weighted else p.count)
    last_q = slab.across.last_within(radius, k, None if slab.q.weighted else q.count)
    scale = p.log_unit - q.log_unit + q.log_exact_total - p.log_exact_total + slab.p.n_columns * np.log(last_q / last_p)
    return LocalTerms(scale + p.log_number - q.log_number, p.count, q.count, scale)


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
    rows : ndarray of shape (n,) or None
        Rows in each ball, whatever their weights; None where ``count`` is that.
    """

    count: FloatArray
    extra: FloatArray
    log_unit: FloatArray | float
    log_total: FloatArray | float
    log_exact_total: FloatArray | float
    size: FloatArray | float
    rows: FloatArray | None = None

    @property
    def number(self) -> FloatArray:
        """The number of rows that the mass is as good as."""
        return self.count + self.extra

    @property
    def log_number(self) -> FloatArray:
        """The logarithm of the mass in units, without bias: the digamma of the number where all weights are equal."""
        if self.rows is None:
            return at_numbers(digamma, self.number)
        return np.asarray(digamma(self.count + 1.0) - (1.0 - self.extra) / np.maximum(self.rows, 1.0))


def common_balls(slab: Slab, k: int) -> tuple[BallMasses, BallMasses]:
    """Masses of P and of Q in closed balls around the rows of p that reach the k-th row of both.

    The sample that did not set the radius on its own gets one row extra, both do where the two distances are equal
    (so at atoms, where they are 0).
    """
    rho, nu = slab.own.kth(k), slab.across.kth(k)
    radius = np.maximum(rho, nu)
    extra_p = (rho <= nu * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    extra_q = (nu <= rho * (1.0 + RELATIVE_SLACK)).astype(np.float64)
    return _own_balls(slab, radius, extra_p), _across_balls(slab, radius, extra_q)


def excess_of_ties(slab: Slab, k: int, terms: LocalTerms) -> FloatArray:
    """(psi(n) - psi(k))^2 where the sample that alone set a common radius has n > k rows within it; below 0 where that is Q.

    A density puts k rows there. On a lattice others are as far as the k-th, which neither psi(k) nor psi(n) is right for.
    """
    rho, nu = slab.own.kth(k), slab.across.kth(k)
    by_q = nu > rho * (1.0 + RELATIVE_SLACK)
    number = np.where(by_q, terms.n_q, np.where(rho > nu * (1.0 + RELATIVE_SLACK), terms.n_p, k))
    if (number == k).all():
        return np.zeros(len(number))
    square = np.square(at_numbers(digamma, number) - digamma(k))
    return np.where(by_q, -square, square)


def mixture_balls(slab: Slab, k: int) -> tuple[BallMasses, BallMasses]:
    """Masses of P and of Q in balls that reach the k-th row of both, but in atoms of either the atom alone.

    Where k rows of one sample are equal to a row, its ball is that point: what the other has there, be it nothing, is what the
    two distributions are compared by; unless it is so rare that the other has too few rows to have k of them there, as are
    rounded values in a sample of many more rows. A ball around any other row does not reach out for an atom of Q, which would
    put all its mass at once into the ball. (The mixture of both has mass wherever one of them has, so nothing is infinite.)
    """
    rho, nu = slab.own.kth(k), slab.across.kth(k)
    if k > 1:
        nu = np.where((nu > rho) & (slab.across.kth(1) == nu), -1.0, nu)
    atom = (rho == 0.0) | (nu == 0.0)
    some = atom & (rho != nu)
    if some.any():
        at_row = np.where(some, 0.0, -1.0)
        own, across, times = (
            slab.own.count(at_row) + 1.0,
            slab.across.count(at_row),
            slab.q.effective_size / slab.p.effective_size,
        )
        atom &= ~some | (np.where(rho == 0.0, own * times, across / times) >= k)
    radius = np.where(atom, 0.0, np.maximum(rho, nu))
    extra_p = (atom | (rho <= nu * (1.0 + RELATIVE_SLACK))).astype(np.float64)
    extra_q = (atom | (nu <= rho * (1.0 + RELATIVE_SLACK))).astype(np.float64)
    return _own_balls(slab, radius, extra_p), _across_balls(slab, radius, extra_q)


def _own_balls(slab: Slab, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of the other rows of p."""
    p = slab.p
    if slab.weights is None:
        count = slab.own.count(radius)
        return BallMasses(count, extra, 0.0, float(digamma(p.n_rows)), float(np.log(p.n_rows - 1.0)), p.n_rows - 1.0)
    w = slab.weights
    count, unit = _kish(*slab.own.mass(radius))
    size, total_unit = _kish(p.weight_sum - w, p.square_sum - w**2)
    log_total = digamma(size + 1.0) + np.log(total_unit)
    return BallMasses(count, extra, _log_mass(unit), log_total, np.log(p.weight_sum - w), size, slab.own.count(radius))


def _across_balls(slab: Slab, radius: FloatArray, extra: FloatArray) -> BallMasses:
    """What balls around the rows of p hold of q."""
    q = slab.q
    if not q.weighted:
        count = slab.across.count(radius)
        return BallMasses(count, extra, 0.0, float(digamma(q.n_rows + 1)), float(np.log(q.n_rows)), float(q.n_rows))
    count, unit = _kish(*slab.across.mass(radius))
    size = q.effective_size
    log_total = float(digamma(size + 1.0) + np.log(q.square_sum / q.weight_sum))
    rows = slab.across.count(radius)
    return BallMasses(count, extra, _log_mass(unit), log_total, float(np.log(q.weight_sum)), size, rows)


def _log_mass(unit: FloatArray) -> FloatArray:
    """The logarithm of a mass; -inf of the ball that is an atom of the other sample, where this one may have none."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(unit))


def _kish(mass: FloatArray, square: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Effective number of rows and mass of one such row, from sums of masses and of their squares."""
    # The square of a very small mass may be 0: then it is as good as one row.
    root = np.sqrt(square)
    number = np.square(np.divide(mass, root, out=np.ones_like(mass), where=root > 0.0))
    return number, mass / number


def _common_radius(slab: Slab, k: int) -> LocalTerms:
    """Counts within a common radius: no logarithm of a distance, so finite on any data."""
    p, q = common_balls(slab, k)
    n_p, n_q = p.number, q.number
    scale = p.log_unit - q.log_unit + q.log_total - p.log_total
    return LocalTerms(p.log_number - q.log_number + scale, n_p, n_q, scale)
