"""Two mixtures of normal distributions that stand for two samples where single ones do not: clusters, heavy tails, flat
tops.

Each sample has the mixture of up to four components with the least BIC, by EM from clusters of its rows, in columns of equal
scale. Covariances have a ridge that is small beside that of all rows, so that no component collapses; only the ratio of the two
densities and draws from them are asked for, so a local maximum costs accuracy alone, which the held-out rows show.
"""

from __future__ import annotations

import numpy as np
from scipy.special import softmax

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.clusters import clusters
from fastkl.divergence.assisted.working_laws import Masses, WorkingNormal, WorkingPair, moments, ridged
from fastkl.families._normals import Normals

_MOST, _FIRST_STEPS, _STEPS, _GAIN = 4, 4, 50, 0.1
# Rows of a sample that components are sought in, and the fewest draws for the divergence of two mixtures.
_SOUGHT_IN, _FEWEST_DRAWS = 10_000, 10_000
# The ridge beside the covariance of all rows, and the rows that a component needs beside its columns.
_RIDGE, _ROWS = 1e-6, 3.0


class WorkingMixture:
    """A mixture of normal distributions.

    Parameters
    ----------
    weights : ndarray of shape (K,)
        Positive; only ratios matter.
    means : ndarray of shape (K, d)
        Of the components.
    factors : ndarray of shape (K, d, d)
        Lower Cholesky factors of their covariances.
    """

    def __init__(self, weights: FloatArray, means: FloatArray, factors: FloatArray) -> None:
        self.weights, self._means, self._factors = weights / weights.sum(), means, factors

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def numbers(self) -> int:
        """How many numbers say what it is."""
        d = self._means.shape[1]
        return len(self) * (1 + d + d * (d + 1) // 2) - 1

    def log_density(self, X: FloatArray, n_threads: int = 1) -> FloatArray:
        """(n,) for rows (n, d)."""
        return self._compile().evidence(X, n_threads)

    def posterior(self, X: FloatArray) -> FloatArray:
        """The probabilities of the components at rows (n, d), (n, K)."""
        alone = zip(self.weights, self._means, self._factors, strict=True)
        parts = [WorkingMixture(*(x[np.newaxis] for x in one)).log_density(X) + np.log(one[0]) for one in alone]
        return np.asarray(softmax(np.stack(parts, axis=1), axis=1))

    def draw(self, n: int, rng: np.random.Generator) -> FloatArray:
        """Rows (n, d), in random order."""
        counts = rng.multinomial(n, self.weights)
        parts = [
            mean + rng.standard_normal((int(count), len(mean))) @ factor.T
            for mean, factor, count in zip(self._means, self._factors, counts, strict=True)
        ]
        return np.ascontiguousarray(np.concatenate(parts)[rng.permutation(n)])

    def climbed(
        self, X: FloatArray, masses: FloatArray | None, ridge: FloatArray, steps: int
    ) -> tuple[WorkingMixture, float, bool]:
        """The mixture after steps of EM while they gain, its log-likelihood, and whether there is more to climb.

        There is where a component has lost its rows: that is left out, and the log-likelihood is still the one with it.
        """
        fewest = X.shape[1] + _ROWS
        trace, sums, lost, place, _ = self._compile(ridge, fewest).maps(X, masses, None, False, _GAIN, steps + 1)
        weights, means, factors = (self.weights, self._means, self._factors) if place is None else place[:3]
        kept = sums[:, 0] >= min(fewest, sums[:, 0].max(initial=0.0))
        again = lost and not kept.all()
        if again:
            weights, means, factors = weights[kept], means[kept], factors[kept]
        return WorkingMixture(weights, means, factors), trace[-1] if trace else -np.inf, again

    def _compile(self, ridge: FloatArray | None = None, fewest: float = 0.0) -> Normals:
        log_dets = np.log(np.diagonal(self._factors, axis1=1, axis2=2)).sum(axis=1)
        constants = np.log(self.weights) - log_dets - 0.5 * self._means.shape[1] * np.log(2.0 * np.pi)
        return Normals(constants, self._means, self._factors, ridge, fewest)


def mixture_pair(
    X: FloatArray, Y: FloatArray, masses: Masses, rng: np.random.Generator, draws: int, n_threads: int = 1
) -> WorkingPair[WorkingMixture]:
    """Mixtures for two samples, on which some of many rows decide, and at least so many draws on their divergence.

    Its error is small beside that of the samples.
    """
    found = []
    for rows, of_rows in zip((X, Y), masses, strict=True):
        some = rng.permutation(len(rows))[:_SOUGHT_IN]
        found.append(mixture_of(rows[some], None if of_rows is None else of_rows[some]))
    p, q = found
    drawn = p.draw(max(draws, _FEWEST_DRAWS), rng)
    return WorkingPair(p, q, float(np.mean(p.log_density(drawn, n_threads) - q.log_density(drawn, n_threads))))


def refined_pair(
    pair: WorkingPair[WorkingMixture], X: FloatArray, Y: FloatArray, masses: Masses
) -> WorkingPair[WorkingMixture]:
    """The mixtures of other samples, from those of a pair; its divergence is not theirs and left out.

    Folds leave out rows at random, so every so many of the others are a random part, whatever the order of the rows.
    """
    p, q = (
        refined(one, *_every(step, rows, of_rows), _FIRST_STEPS)[0]
        for one, rows, of_rows in zip((pair.p, pair.q), (X, Y), masses, strict=True)
        for step in [max(1, len(rows) // _SOUGHT_IN)]
    )
    return WorkingPair(p, q, float("nan"))


def _every(step: int, rows: FloatArray, masses: FloatArray | None) -> tuple[FloatArray, FloatArray | None]:
    return np.ascontiguousarray(rows[::step]), None if masses is None else np.ascontiguousarray(masses[::step])


def mixture_of(X: FloatArray, masses: FloatArray | None) -> WorkingMixture:
    """The mixture of a sample, with the number of components that BIC asks for."""
    n, d = X.shape
    size = n if masses is None else masses.sum()
    best, least, ridge, ways = None, np.inf, _ridge(X, masses), None
    for k in range(1, _MOST + 1):
        if size < 2.0 * k * (d + _ROWS):
            break
        if k == 2:
            ways = _ways(X, masses)
        found, log_likelihood = refined(_started(X, masses, k, ridge, ways), X, masses, ridge=ridge)
        bic = found.numbers * np.log(size) - 2.0 * log_likelihood
        if bic >= least:
            break
        best, least = found, bic
    return best if best is not None else _started(X, masses, 1, ridge, None)


def refined(
    mixture: WorkingMixture,
    X: FloatArray,
    masses: FloatArray | None,
    steps: int = _STEPS,
    ridge: FloatArray | None = None,
) -> tuple[WorkingMixture, float]:
    """The mixture after steps of EM on a sample, until they gain next to nothing, and its log-likelihood there.

    Components that lose their rows are left out. ``ridge`` is that of the sample, if it is known.
    """
    ridge, again = _ridge(X, masses) if ridge is None else ridge, True
    while again:
        mixture, log_likelihood, again = mixture.climbed(X, masses, ridge, steps)
    return mixture, log_likelihood


def _ways(X: FloatArray, masses: FloatArray | None) -> tuple[FloatArray, FloatArray]:
    """Where rows are in two ways of parting them, (n,) each.

    Along the direction in which they are least peaked (clusters that are narrow beside the spread of other columns; from fourth
    moments: Cardoso 1989, doi:10.1109/ICASSP.1989.266878), and their squared distance from the middle (a narrow and a wide
    distribution in one place).
    """
    times = np.ones(len(X)) if masses is None else masses
    z = WorkingNormal.of(*moments(X, times)).standard(X)
    squares = np.square(z).sum(axis=0)
    return np.linalg.eigh((z * (squares * times)) @ z.T)[1][:, 0] @ z, squares


def _started(
    X: FloatArray,
    masses: FloatArray | None,
    k: int,
    ridge: FloatArray,
    ways: tuple[FloatArray, FloatArray] | None,
) -> WorkingMixture:
    """The best of a few starts after a few steps: rows parted by k-means, and in two ways."""
    times = np.ones(len(X)) if masses is None else masses
    if ways is None:
        return _of_parts(X, times[np.newaxis], ridge)
    along, squares = ways
    starts = [
        clusters(X, k, len(X)),
        np.searchsorted(np.quantile(along, np.arange(1, k) / k), along),
        np.searchsorted(np.quantile(squares, 1.0 - 0.4 ** np.arange(1, k)), squares),
    ]
    parts = (times * (codes == np.arange(k)[:, np.newaxis]) for codes in starts)
    tried = [refined(_of_parts(X, part, ridge), X, masses, _FIRST_STEPS, ridge) for part in parts]
    return max(tried, key=lambda found: found[1])[0]


def _ridge(X: FloatArray, masses: FloatArray | None) -> FloatArray:
    """What is added to the covariances, positive definite even where a column is constant."""
    return ridged(_RIDGE * np.diag(np.diag(moments(X, masses)[1])))


def _of_parts(X: FloatArray, parts: FloatArray, ridge: FloatArray) -> WorkingMixture:
    """The mixture whose components have these masses of each row, (K, n)."""
    sizes = parts.sum(axis=1)
    kept = sizes >= min(X.shape[1] + _ROWS, sizes.max())
    shares = parts[kept] / sizes[kept][:, np.newaxis]
    means = shares @ X
    centred = X - means[:, np.newaxis]
    covariances = (centred * shares[:, :, np.newaxis]).transpose(0, 2, 1) @ centred
    return WorkingMixture(sizes[kept], means, np.linalg.cholesky(covariances + ridge))
