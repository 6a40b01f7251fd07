"""Two mixtures of normal distributions that stand for two samples where single ones do not: clusters, heavy tails, flat
tops.

Each sample has the mixture of up to three components with the least BIC, by EM from clusters of its rows, in columns of equal
scale. Covariances have a ridge that is small beside that of all rows, so that no component collapses; only the ratio of the two
densities and draws from them are asked for, so a local maximum costs accuracy alone, which the held-out rows show.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.clusters import clusters
from fastkl.divergence.working_laws import Masses, Normal, WorkingPair, moments, ridged

_MOST, _FIRST_STEPS, _STEPS, _GAIN = 3, 4, 50, 0.1
# Rows of a sample that components are sought in, and the fewest draws for the divergence of two mixtures.
_SOUGHT_IN, _FEWEST_DRAWS = 10_000, 10_000
# The ridge beside the covariance of all rows, and the rows that a component needs beside its columns.
_RIDGE, _ROWS = 1e-3, 3.0


class Mixture:
    """A mixture of normal distributions.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        Positive; only ratios matter.
    means : ndarray of shape (K, d)
        Of the components.
    covariances : ndarray of shape (K, d, d)
        Positive definite.
    """

    def __init__(self, weights: FloatArray, means: FloatArray, covariances: FloatArray) -> None:
        self.log_weights, self._means = np.log(weights / weights.sum()), means
        self._factors = np.linalg.cholesky(covariances)
        # To the coordinates in which each component is standard normal, for all of them at once.
        inverses = np.linalg.inv(self._factors)
        self._to_standard = inverses.reshape(-1, means.shape[1])
        self._offset = (inverses @ means[:, :, np.newaxis]).reshape(-1, 1)
        log_dets = np.log(np.diagonal(self._factors, axis1=1, axis2=2)).sum(axis=1)
        self._constants = (self.log_weights - log_dets)[:, np.newaxis]

    def __len__(self) -> int:
        return len(self.log_weights)

    def joint(self, X: FloatArray) -> FloatArray:
        """Log weight and density of each component, (K, n), but for the constant of d columns."""
        z = self._to_standard @ X.T
        z -= self._offset
        z *= z
        return np.asarray(self._constants - 0.5 * z.reshape(len(self), -1, len(X)).sum(axis=1))

    def log_density(self, X: FloatArray) -> FloatArray:
        """(n,) for rows (n, d), but for the same constant."""
        return _log_sum(self.joint(X))

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Rows (n, d), in random order."""
        counts = rng.multinomial(n, np.exp(self.log_weights))
        parts = [
            mean + rng.standard_normal((int(count), len(mean))) @ factor.T
            for mean, factor, count in zip(self._means, self._factors, counts, strict=True)
        ]
        return np.ascontiguousarray(np.concatenate(parts)[rng.permutation(n)])


def _log_sum(joint: FloatArray) -> FloatArray:
    """log(sum(exp)) over components, (K, n); nan where all are -inf."""
    largest = joint.max(axis=0)
    return np.asarray(largest + np.log(np.exp(joint - largest).sum(axis=0)))


def mixture_pair(
    X: FloatArray, Y: FloatArray, masses: Masses, rng: np.random.Generator, draws: int
) -> WorkingPair[Mixture]:
    """Mixtures for two samples, on which some of many rows decide, and at least so many draws on their divergence.

    Its error is small beside that of the samples.
    """
    found = []
    for rows, of_rows in zip((X, Y), masses, strict=True):
        some = rng.permutation(len(rows))[:_SOUGHT_IN]
        found.append(mixture_of(rows[some], None if of_rows is None else of_rows[some]))
    p, q = found
    drawn = p.draw(max(draws, _FEWEST_DRAWS), rng)
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
        size = len(found) * (1 + d + d * (d + 1) // 2) - 1
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
        density = _log_sum(joint)
        now = float(times @ density)
        if now - before < _GAIN:
            break
        before = now
        mixture = _of_parts(X, times * np.exp(joint - density), ridge)
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
        return _of_parts(X, times[np.newaxis], ridge)
    z = Normal.of(*moments(X, times)).standard(X)
    squares = np.square(z).sum(axis=0)
    along = np.linalg.eigh((z * (squares * times)) @ z.T)[1][:, 0] @ z
    starts = [
        clusters(X, k, len(X)),
        np.searchsorted(np.quantile(along, np.arange(1, k) / k), along),
        np.searchsorted(np.quantile(squares, 1.0 - 0.4 ** np.arange(1, k)), squares),
    ]
    parts = (times * (codes == np.arange(k)[:, np.newaxis]) for codes in starts)
    tried = [refined(_of_parts(X, part, ridge), X, masses, _FIRST_STEPS) for part in parts]
    return max(tried, key=lambda mixture: float(times @ mixture.log_density(X)))


def _ridge(X: FloatArray, times: FloatArray) -> FloatArray:
    """What is added to the covariances, positive definite even where a column is constant."""
    return ridged(_RIDGE * np.diag(np.diag(moments(X, times)[1])))


def _of_parts(X: FloatArray, parts: FloatArray, ridge: FloatArray) -> Mixture:
    """The mixture whose components have these masses of each row, (K, n)."""
    sizes = parts.sum(axis=1)
    kept = sizes >= min(X.shape[1] + _ROWS, sizes.max())
    shares = parts[kept] / sizes[kept][:, np.newaxis]
    means = shares @ X
    centred = X - means[:, np.newaxis]
    covariances = (centred * shares[:, :, np.newaxis]).transpose(0, 2, 1) @ centred
    return Mixture(sizes[kept], means, covariances + ridge)
