"""Two normal distributions that stand for two samples: what a neighbour estimate makes of draws from them is known to be wrong.

The pair lies between one common normal distribution and the two fits, as far apart as the unbiased estimate of their divergence
says: in many columns plain fits are too far apart, and a correction by them would add what it is to take away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray

# Masses of the rows of P and of Q, or None for ones.
Masses = tuple[FloatArray | None, FloatArray | None]

_STEPS = 8
_RIDGE = 1e-9


@dataclass(frozen=True)
class Normal:
    """A multivariate normal distribution by mean and lower Cholesky factor of its covariance."""

    mean: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, mean: FloatArray, covariance: FloatArray) -> Normal:
        """With a covariance that may be singular but for rounding."""
        return cls(mean, np.asarray(np.linalg.cholesky(_ridged(covariance)), dtype=np.float64))

    def standard(self, X: FloatArray) -> FloatArray:
        """Rows (n, d) in the coordinates in which the distribution is standard normal, (d, n)."""
        return np.asarray(solve_triangular(self.factor, (X - self.mean).T, lower=True, check_finite=False))

    def log_density(self, X: FloatArray) -> FloatArray:
        """(n,) for rows (n, d), but for the constant that all normal distributions of d columns share."""
        z = self.standard(X)
        return np.asarray(-0.5 * np.einsum("ij,ij->j", z, z) - np.log(np.diag(self.factor)).sum())

    def draw(self, n: int, rng: np.random.RandomState) -> FloatArray:
        """Rows (n, d)."""
        return np.ascontiguousarray(self.mean + rng.standard_normal((n, len(self.mean))) @ self.factor.T)


class Distribution(Protocol):
    """What a pair of working distributions asks of either."""

    def log_density(self, X: FloatArray) -> FloatArray:
        """(n,) for rows (n, d), but for a constant that both share."""

    def draw(self, n: int, rng: np.random.RandomState) -> FloatArray:
        """Rows (n, d)."""


D = TypeVar("D", bound=Distribution)


@dataclass(frozen=True)
class WorkingPair(Generic[D]):
    """Working distributions of P and of Q, and their divergence."""

    p: D
    q: D
    divergence: float

    def draw(self, n: int, m: int, rng: np.random.RandomState) -> tuple[FloatArray, FloatArray]:
        """n rows of P and m of Q."""
        return self.p.draw(n, rng), self.q.draw(m, rng)

    def log_ratio(self, X: FloatArray) -> FloatArray:
        """log p/q at rows; 0 at those that are infinitely far from both, as beside a column that is constant to rounding."""
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = self.p.log_density(X) - self.q.log_density(X)
        return np.where(np.isnan(ratio), 0.0, ratio)


class NormalPair(WorkingPair[Normal]):
    """Two normal distributions, whose divergence is exact but for their moments."""

    def error(self, X: FloatArray, Y: FloatArray, masses: Masses) -> float:
        """Standard error of the divergence, from the influence of the rows of both samples on the moments.

        Where both distributions are equal these are 0, and the variance is that of the chi-square of all parameters.
        """
        d, shift = len(self.p.mean), self.q.mean - self.p.mean
        to_q = solve_triangular(self.q.factor, np.column_stack([shift, self.p.factor]), lower=True, check_finite=False)
        u, z = self.p.standard(X), self.q.standard(Y)
        # In the coordinates where Q is standard normal: the shift, the covariance of P, and rows of P about its mean.
        shift, root = to_q[:, 0], to_q[:, 1:]
        about = root @ u
        of_p = 0.5 * (np.square(about).sum(axis=0) - np.square(u).sum(axis=0)) - shift @ about
        of_q = shift @ z + 0.5 * (np.square(z).sum(axis=0) - np.square(root.T @ z).sum(axis=0) - (shift @ z) ** 2)
        both = [Mean.of(values, mass) for values, mass in zip((of_p, of_q), masses, strict=True)]
        equal = 0.25 * d * (d + 3) * sum(1.0 / mean.size for mean in both) ** 2
        return float(np.sqrt(sum(mean.variance() / mean.size for mean in both) + equal))


Moments = tuple[FloatArray, FloatArray]


def _ridged(covariance: FloatArray) -> FloatArray:
    """A covariance with a ridge that makes it positive definite, be it all zeros."""
    d = len(covariance)
    ridge = _RIDGE * float(np.trace(covariance)) / d + np.finfo(float).tiny
    return covariance + ridge * np.eye(d)


def moments(X: FloatArray, masses: FloatArray | None = None) -> Moments:
    """Mean and covariance (divisor n, or the sum of the masses)."""
    if masses is None:
        mean = X.mean(axis=0)
        centred = X - mean
        return mean, centred.T @ centred / len(X)
    shares = masses / masses.sum()
    mean = shares @ X
    centred = X - mean
    return mean, centred.T @ (centred * shares[:, np.newaxis])


def divergence_of_normals(p: Moments, q: Moments) -> float:
    """KL of two normal distributions; infinite where it is beyond the largest number."""
    (a, A), (b, B) = p, q
    d = len(a)
    factor = np.linalg.cholesky(_ridged(B))
    root = np.linalg.cholesky(_ridged(A))
    solved = solve_triangular(factor, np.column_stack([root, b - a]), lower=True, check_finite=False)
    with np.errstate(over="ignore"):
        squares = float(np.square(solved).sum())  # the trace of B^-1 A, and the distance of the means
    log_dets = 2.0 * float(np.log(np.diag(factor)).sum() - np.log(np.diag(root)).sum())
    return 0.5 * float(squares - d + log_dets)


def unbiased_divergence(p: Moments, q: Moments, n: float, m: float) -> float:
    """KL of two normal distributions from moments of samples of n and m (effective) rows, without bias (by Wishart's matrices).

    nan for few rows, and infinite or nan where it is beyond the largest number, as beside a constant sample.
    """
    (a, A), (b, B) = p, q
    d = len(a)
    if m <= d + 3 or n <= d + 2:
        return float("nan")
    j = np.arange(1, d + 1)
    factor = np.linalg.cholesky(_ridged(B))
    shrunk = (m - d - 2) / m
    whitened = solve_triangular(factor, A, lower=True)
    shift = solve_triangular(factor, b - a, lower=True)
    with np.errstate(over="ignore", invalid="ignore"):
        trace = shrunk * float(np.trace(solve_triangular(factor, whitened.T, lower=True))) * n / (n - 1)
        square = shrunk * float(shift @ shift) - trace / n - d / m
    log_dets = [
        float(np.linalg.slogdet(S + _RIDGE * np.trace(S) / d * np.eye(d))[1])
        - float(digamma(0.5 * (size - j)).sum() + d * np.log(2.0 / size))
        for S, size in ((B, m), (A, n))
    ]
    return 0.5 * (trace + square - d + log_dets[0] - log_dets[1])


def normal_pair(X: FloatArray, Y: FloatArray, masses: Masses = (None, None)) -> NormalPair:
    """Normal distributions of two samples, drawn together until they are as far apart as is likely."""
    n, m = (_effective(rows, of_rows) for rows, of_rows in zip((X, Y), masses, strict=True))
    p, q = (moments(rows, of_rows) for rows, of_rows in zip((X, Y), masses, strict=True))
    common = [(n * one + m * other) / (n + m) for one, other in zip(p, q, strict=True)]

    def at(t: float) -> tuple[Moments, Moments]:
        # Not c + t (one - c), which loses what is small beside a common spread that one wild sample sets.
        first, second = (tuple((1.0 - t) * c + t * one for c, one in zip(common, law, strict=True)) for law in (p, q))
        return first, second  # type: ignore[return-value]

    share = _share_of_distance(lambda t: divergence_of_normals(*at(t)), unbiased_divergence(p, q, n, m))
    first, second = at(share)
    return NormalPair(Normal.of(*first), Normal.of(*second), divergence_of_normals(first, second))


def departure(X: FloatArray, masses: FloatArray | None = None) -> float:
    """How many standard deviations a sample is from one of a normal distribution, about: at most 3 where it is one.

    The largest of Mardia's kurtosis and of the skewnesses and kurtoses of the columns without correlation, whose chi-square
    statistics are brought to standard normal ones by Wilson and Hilferty's cube root.
    """
    n, d = _effective(X, masses), X.shape[1]
    mean, covariance = moments(X, masses)
    z = solve_triangular(np.linalg.cholesky(_ridged(covariance)), (X - mean).T, lower=True, check_finite=False)
    shares = np.full(len(X), 1.0 / len(X)) if masses is None else masses / masses.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        squares = np.square(z).sum(axis=0)
        mardia = (shares @ squares**2 - d * (d + 2.0)) / np.sqrt(8.0 * d * (d + 2.0) / n)
        skewness = n / 6.0 * np.square(z**3 @ shares).sum()
        kurtosis = n / 24.0 * np.square(z**4 @ shares - 3.0).sum()
        small = 2.0 / (9.0 * d)
        roots = (np.cbrt([skewness / d, kurtosis / d]) - 1.0 + small) / np.sqrt(small)
    found = float(np.max([abs(mardia), *roots]))
    return found if np.isfinite(found) else float("inf")


def _effective(X: FloatArray, masses: FloatArray | None) -> float:
    """Kish's effective number of rows."""
    return float(len(X)) if masses is None else float(masses.sum() ** 2 / np.square(masses).sum())


def _share_of_distance(divergence: Callable[[float], float], target: float) -> float:
    """How far from the common distribution the divergence is the target: its root grows about in proportion; at most 1."""
    whole = divergence(1.0)
    if not np.isfinite(target) or target >= whole:
        return 1.0
    if target <= 0.0:
        return 0.0
    goal = float(np.sqrt(target))
    before, value = 1.0, float(np.sqrt(whole))
    share = goal / value
    for _ in range(_STEPS):
        now = float(np.sqrt(divergence(share)))
        if abs(now - goal) <= 1e-4 * goal or now == value:
            break
        before, value, share = (
            share,
            now,
            float(np.clip(share + (goal - now) * (share - before) / (now - value), 0.0, 1.0)),
        )
    return share
