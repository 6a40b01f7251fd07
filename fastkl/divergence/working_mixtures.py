"""Two mixtures of normal distributions that stand for two samples where single ones do not: clusters, heavy tails, flat
tops.

Each sample has the mixture of up to three components with the least BIC, by EM from clusters of its rows, in columns of equal
scale. Covariances have a ridge that is small beside that of all rows, so that no component collapses; only the ratio of the two
densities and draws from them are asked for, so a local maximum costs accuracy alone, which the held-out rows show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.clusters import clusters
from fastkl.divergence.working_laws import Masses, Normal, WorkingPair, moments

_MOST, _FIRST_STEPS, _STEPS, _GAIN = 3, 6, 50, 1e-2
# Rows of a sample that components are sought in, and draws for the divergence of two mixtures.
_SOUGHT_IN, _DRAWS = 10_000, 10_000
# The ridge beside the covariance of all rows, and the rows that a component needs beside its columns.
_RIDGE, _ROWS = 1e-3, 3.0


@dataclass(frozen=True)
class Mixture:
    """A mixture of normal distributions.

    Attributes
    ----------
    log_weights : ndarray of shape (K,)
        Logarithms of the weights.
    components : list of Normal
        The distributions.
    """

    log_weights: FloatArray
    components: list[Normal]

    def joint(self, X: FloatArray) -> FloatArray:
        """log weight and density of each component, (n, K), but for the constant of d columns."""
        return np.stack([w + c.log_density(X) for w, c in zip(self.log_weights, self.components, strict=True)], axis=1)

    def log_density(self, X: FloatArray) -> FloatArray:
        """(n,) for rows (n, d), but for the same constant."""
        return np.asarray(logsumexp(self.joint(X), axis=1))

    def draw(self, n: int, rng: np.random.RandomState) -> FloatArray:
        """Rows (n, d), in random order."""
        counts = rng.multinomial(n, np.exp(self.log_weights))
        rows = np.concatenate([c.draw(int(count), rng) for c, count in zip(self.components, counts, strict=True)])
        return np.ascontiguousarray(rows[rng.permutation(n)])


def mixture_pair(X: FloatArray, Y: FloatArray, masses: Masses, rng: np.random.RandomState) -> WorkingPair[Mixture]:
    """Mixtures for two samples, on which some of many rows decide, and draws on their divergence: their error is small beside
    that of the samples.
    """
    found = []
    for rows, of_rows in zip((X, Y), masses, strict=True):
        some = rng.permutation(len(rows))[:_SOUGHT_IN]
        found.append(mixture_of(rows[some], None if of_rows is None else of_rows[some]))
    p, q = found
    drawn = p.draw(_DRAWS, rng)
    return WorkingPair(p, q, float(np.mean(p.log_density(drawn) - q.log_density(drawn))))


def refined_pair(pair: WorkingPair[Mixture], X: FloatArray, Y: FloatArray, masses: Masses) -> WorkingPair[Mixture]:
    """The mixtures of other samples, from those of a pair; its divergence is not theirs and left out.

    Folds leave out rows at random, so every so many of the others are a random part, whatever the order of the rows.
    """
    p, q = (
        refined(one, rows[::step], None if of_rows is None else of_rows[::step], _FIRST_STEPS)
        for one, rows, of_rows in zip((pair.p, pair.q), (X, Y), masses, strict=True)
        for step in [max(1, len(rows) // _SOUGHT_IN)]
    )
    return WorkingPair(p, q, float("nan"))


def mixture_of(X: FloatArray, masses: FloatArray | None) -> Mixture:
    """The mixture of a sample, with the number of components that BIC asks for."""
    n, d = X.shape
    times = np.ones(n) if masses is None else masses
    best, least = None, np.inf
    for k in range(1, _MOST + 1):
        if times.sum() < 2.0 * k * (d + _ROWS):
            break
        found = refined(_started(X, masses, k), X, masses)
        size = len(found.components) * (1 + d + d * (d + 1) // 2) - 1
        bic = size * np.log(times.sum()) - 2.0 * float(times @ found.log_density(X))
        if bic >= least:
            break
        best, least = found, bic
    return best if best is not None else _started(X, masses, 1)


def refined(mixture: Mixture, X: FloatArray, masses: FloatArray | None, steps: int = _STEPS) -> Mixture:
    """The mixture after steps of EM on a sample, until they gain next to nothing; components without rows are left out."""
    times = np.ones(len(X)) if masses is None else masses
    ridge, before = _ridge(X, times), -np.inf
    for _ in range(steps):
        joint = mixture.joint(X)
        density = logsumexp(joint, axis=1)
        now = float(times @ density)
        if now - before < _GAIN:
            break
        before = now
        mixture = _of_parts(X, times[:, np.newaxis] * np.exp(joint - density[:, np.newaxis]), ridge)
    return mixture


def _started(X: FloatArray, masses: FloatArray | None, k: int) -> Mixture:
    """The best of a few starts after a few steps.

    Rows are parted by k-means, along the direction in which they are least peaked (clusters that are narrow beside the spread of
    other columns; from fourth moments: Cardoso 1989, doi:10.1109/ICASSP.1989.266878), and by their distance from the middle (a
    narrow and a wide distribution in one place).
    """
    times = np.ones(len(X)) if masses is None else masses
    ridge = _ridge(X, times)
    if k == 1:
        return _of_parts(X, times[:, np.newaxis], ridge)
    z = Normal.of(*moments(X, times)).standard(X)
    squares = np.square(z).sum(axis=0)
    along = np.linalg.eigh((z * (squares * times)) @ z.T)[1][:, 0] @ z
    starts = [
        clusters(X, k, len(X)),
        np.searchsorted(np.quantile(along, np.arange(1, k) / k), along),
        np.searchsorted(np.quantile(squares, 1.0 - 0.4 ** np.arange(1, k)), squares),
    ]
    parts = (times[:, np.newaxis] * (codes[:, np.newaxis] == np.arange(k)) for codes in starts)
    tried = [refined(_of_parts(X, part, ridge), X, masses, _FIRST_STEPS) for part in parts]
    return max(tried, key=lambda mixture: float(times @ mixture.log_density(X)))


def _ridge(X: FloatArray, times: FloatArray) -> FloatArray:
    return np.asarray(_RIDGE * np.diag(np.diag(moments(X, times)[1])))


def _of_parts(X: FloatArray, parts: FloatArray, ridge: FloatArray) -> Mixture:
    """The mixture whose components have these masses of each row, (n, K)."""
    sizes = parts.sum(axis=0)
    kept = np.flatnonzero(sizes >= min(X.shape[1] + _ROWS, sizes.max()))
    laws = [moments(X, parts[:, j]) for j in kept]
    return Mixture(
        np.log(sizes[kept] / sizes[kept].sum()), [Normal.of(mean, covariance + ridge) for mean, covariance in laws]
    )
