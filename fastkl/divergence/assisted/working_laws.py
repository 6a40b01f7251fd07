"""Two normal distributions that stand for two samples: what a neighbour estimate makes of draws from them is known to be wrong.

The pair lies between one common normal distribution and the two fits, as far apart as the unbiased estimate of their divergence
says: in many columns plain fits are too far apart, and a correction by them would add what it is to take away.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np
from scipy.linalg import eigh, solve_triangular
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.families._normals import Normals

# Masses of the rows of P and of Q, or None for ones.
Masses = tuple[FloatArray | None, FloatArray | None]

_STEPS = 8
# Kurtosis is taken to be no more than so many times that of a normal distribution: that of wild samples is of a few rows.
_MOST_PEAKED = 4.0
_RIDGE = 1e-9
# Of variances: rounding may make one negative, and a constant column infinite.
_LEAST_RATIO, _LARGEST_RATIO = 1e-15, 1e300


@dataclass(frozen=True)
class WorkingNormal:
    """A multivariate normal distribution by mean and lower Cholesky factor of its covariance."""

    mean: FloatArray
    factor: FloatArray

    @classmethod
    def of(cls, mean: FloatArray, covariance: FloatArray) -> WorkingNormal:
        """With a covariance that may be singular but for rounding."""
        return cls(mean, np.asarray(np.linalg.cholesky(ridged(covariance)), dtype=np.float64))

    def standard(self, X: FloatArray) -> FloatArray:
        """Rows (n, d) in the coordinates in which the distribution is standard normal, (d, n)."""
        return np.asarray(solve_triangular(self.factor, (X - self.mean).T, lower=True, check_finite=False))

    def log_density(self, X: FloatArray, n_threads: int = 1) -> FloatArray:
        """(n,) for rows (n, d), but for the constant that all normal distributions of d columns share."""
        constant = -np.log(np.diag(self.factor)).sum()
        return Normals([constant], self.mean[np.newaxis], self.factor[np.newaxis]).evidence(X, n_threads)

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Rows (n, d)."""
        return np.ascontiguousarray(self.mean + rng.standard_normal((n, len(self.mean))) @ self.factor.T)


class Distribution(Protocol):
    """What a pair of working distributions asks of either."""

    def log_density(self, X: FloatArray, n_threads: int = 1) -> FloatArray:
        """(n,) for rows (n, d), but for a constant that both share."""

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Rows (n, d)."""


D = TypeVar("D", bound=Distribution)


@dataclass(frozen=True)
class WorkingPair(Generic[D]):
    """Working distributions of P and of Q, and their divergence."""

    p: D
    q: D
    divergence: float

    def draw(self, n: int, m: int, rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        """n rows of P and m of Q."""
        return self.p.draw(n, rng), self.q.draw(m, rng)

    def log_ratio(self, X: FloatArray, n_threads: int = 1) -> FloatArray:
        """log p/q at rows; 0 at those that are infinitely far from both, as beside a column that is constant to rounding."""
        with np.errstate(over="ignore", invalid="ignore"):
            ratio = self.p.log_density(X, n_threads) - self.q.log_density(X, n_threads)
        return np.where(np.isnan(ratio), 0.0, ratio)


class NormalPair(WorkingPair[WorkingNormal]):
    """Two normal distributions, whose divergence is exact but for their moments."""

    def renyi(self, alpha: float) -> float:
        """Their Rényi divergence of order alpha other than 1; inf where alpha > 1 and q has lighter tails than that takes."""
        between = np.column_stack([self.q.mean - self.p.mean, self.p.factor])
        to_q = solve_triangular(self.q.factor, between, lower=True, check_finite=False)
        directions, roots, _ = np.linalg.svd(to_q[:, 1:])
        size = np.maximum(roots, 1.0)  # a square of them overflows where q is a point beside p
        part = alpha / size / size + (1.0 - alpha) * (roots / size) ** 2
        if np.any(part <= 0.0):
            return float("inf")
        logs = (np.log(part) + 2.0 * np.log(size)) / (1.0 - alpha) - 2.0 * np.log(roots)
        with np.errstate(over="ignore"):
            shifts = np.square(directions.T @ to_q[:, 0] / size)
        return 0.5 * float((alpha * shifts / part + logs).sum())

    def error(self, X: FloatArray, Y: FloatArray, masses: Masses, sizes: tuple[float, float]) -> float:
        """Standard error of the divergence, from the influence of rows of both samples on the moments.

        ``sizes`` are the numbers of (effective) rows that the moments are of; X and Y may be some of them.

        Where both distributions are equal these are 0, and the variance is that of the chi-square of all parameters.
        """
        d, shift = len(self.p.mean), self.q.mean - self.p.mean
        to_q = solve_triangular(self.q.factor, np.column_stack([shift, self.p.factor]), lower=True, check_finite=False)
        u, z = self.p.standard(X), self.q.standard(Y)
        # In the coordinates where Q is standard normal: the shift, the covariance of P, and rows of P about its mean.
        shift, root = to_q[:, 0], to_q[:, 1:]
        with np.errstate(over="ignore", invalid="ignore"):  # where one sample is a point beside the other
            about = root @ u
            of_p = 0.5 * (np.square(about).sum(axis=0) - np.square(u).sum(axis=0)) - shift @ about
            of_q = shift @ z + 0.5 * (np.square(z).sum(axis=0) - np.square(root.T @ z).sum(axis=0) - (shift @ z) ** 2)
        both = [Mean.of(values, mass) for values, mass in zip((of_p, of_q), masses, strict=True)]
        equal = 0.25 * d * (d + 3) * sum(1.0 / size for size in sizes) ** 2
        return float(np.sqrt(sum(mean.variance() / size for mean, size in zip(both, sizes, strict=True)) + equal))


Moments = tuple[FloatArray, FloatArray]


def ridged(covariance: FloatArray) -> FloatArray:
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


class Distance:
    """What is between two normal distributions: their divergence, and that of two that are a share of their way apart.

    Everything is taken in the coordinates in which the covariance of q is one and that of p is diagonal.

    Parameters
    ----------
    p, q : pairs of mean (d,) and covariance (d, d)
        Which have a ridge added that is small beside their trace.
    """

    def __init__(self, p: Moments, q: Moments) -> None:
        (a, A), (b, B) = p, q
        ratios, self._to_q = eigh(ridged(A), ridged(B), check_finite=False)
        self._means, self._ratios = (a, b), np.clip(ratios, _LEAST_RATIO, _LARGEST_RATIO)
        with np.errstate(over="ignore"):
            self._squares = np.square((b - a) @ self._to_q)

    def divergence(self, share: float = 1.0, w: float = 0.5) -> float:
        """KL of the two that are this share of the way from a common distribution, whose moments are w p + (1 - w) q.

        Infinite where it is beyond the largest number.
        """
        common = w * self._ratios + 1.0 - w
        of_p, of_q = (1.0 - share) * common + share * self._ratios, (1.0 - share) * common + share
        ratio = of_p / of_q
        with np.errstate(over="ignore"):
            return 0.5 * float((ratio - 1.0 - np.log(ratio) + share**2 * self._squares / of_q).sum())

    def peaked(self, both: tuple[FloatArray, FloatArray], masses: Masses) -> list[float]:
        """Mardia's kurtosis of the rows of p and of q over that of a normal distribution, from 1 to some.

        Covariances of elliptical samples vary as those of so many times fewer normal rows (Tyler 1982, doi:10.2307/2335979).
        """
        found, d, spreads = [], len(self._ratios), (1.0 / self._ratios, np.ones(len(self._ratios)))
        with np.errstate(over="ignore", invalid="ignore"):  # where one sample is a point beside the other
            for X, mean, spread, of_rows in zip(both, self._means, spreads, masses, strict=True):
                squares = np.square(np.square((X - mean) @ self._to_q) @ spread)
                mean_of_squares = squares.mean() if of_rows is None else squares @ of_rows / of_rows.sum()
                found.append(float(np.clip(mean_of_squares / (d * (d + 2.0)), 1.0, _MOST_PEAKED)))
        return found

    def unbiased(self, n: float, m: float) -> float:
        """KL without the bias of moments of n and m (effective) rows (by Wishart's matrices).

        nan for few rows, and infinite or nan where it is beyond the largest number, as beside a constant sample.
        """
        d = len(self._ratios)
        if m <= d + 3 or n <= d + 2:
            return float("nan")
        shrunk = (m - d - 2) / m
        with np.errstate(over="ignore", invalid="ignore"):
            trace = shrunk * float(self._ratios.sum()) * n / (n - 1)
            square = shrunk * float(self._squares.sum()) - trace / n - d / m
        j = np.arange(1, d + 1)
        of_q, of_p = (float(digamma(0.5 * (size - j)).sum() + d * np.log(2.0 / size)) for size in (m, n))
        return 0.5 * (trace + square - d - float(np.log(self._ratios).sum()) - of_q + of_p)


def normal_pair(X: FloatArray, Y: FloatArray, masses: Masses = (None, None)) -> NormalPair:
    """Normal distributions of two samples, drawn together until they are as far apart as is likely."""
    n, m = (_effective(rows, of_rows) for rows, of_rows in zip((X, Y), masses, strict=True))
    p, q = (moments(rows, of_rows) for rows, of_rows in zip((X, Y), masses, strict=True))
    w, distance = n / (n + m), Distance(p, q)
    of_p, of_q = distance.peaked((X, Y), masses)
    share = _share_of_distance(lambda t: distance.divergence(t, w), distance.unbiased(n / of_p, m / of_q))
    common = [w * one + (1.0 - w) * other for one, other in zip(p, q, strict=True)]
    # Not c + t (one - c), which loses what is small beside a common spread that one wild sample sets.
    first, second = (
        ((1.0 - share) * common[0] + share * mean, (1.0 - share) * common[1] + share * covariance)
        for mean, covariance in (p, q)
    )
    return NormalPair(WorkingNormal.of(*first), WorkingNormal.of(*second), distance.divergence(share, w))


def departure(X: FloatArray, masses: FloatArray | None = None) -> float:
    """How many standard deviations a sample is from one of a normal distribution, about: at most 3 where it is one.

    The largest of Mardia's kurtosis and of the skewnesses and kurtoses of the columns without correlation, whose chi-square
    statistics are brought to standard normal ones by Wilson and Hilferty's cube root.
    """
    n, d = _effective(X, masses), X.shape[1]
    mean, covariance = moments(X, masses)
    z = solve_triangular(np.linalg.cholesky(ridged(covariance)), (X - mean).T, lower=True, check_finite=False)
    shares = np.full(len(X), 1.0 / len(X)) if masses is None else masses / masses.sum()
    with np.errstate(over="ignore", invalid="ignore"):
        each = np.square(z)
        squares = each.sum(axis=0)
        mardia = (shares @ squares**2 - d * (d + 2.0)) / np.sqrt(8.0 * d * (d + 2.0) / n)
        z *= each
        skewness = n / 6.0 * np.square(z @ shares).sum()
        kurtosis = n / 24.0 * np.square(np.square(each) @ shares - 3.0).sum()
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
