"""Routes to the divergence of two samples: by working distributions that stand for them, or by a regression.

Working distributions (a pair of normal ones, or of mixtures of such) have an exact divergence, and what a neighbour estimate
makes of draws from them is known to be wrong: what it gives beyond that is what the samples have beyond the distributions. Each
route also has a log-ratio log p/q at every row by fits that have not seen it, by whose log-loss in telling P from Q routes are
compared.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.coordinates import scaled
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.ratio_regression import cross_fitted, regression_terms
from fastkl.divergence.samples import sample_divergence
from fastkl.divergence.working_laws import Masses, WorkingPair, departure, normal_pair
from fastkl.divergence.working_mixtures import mixture_pair, refined_pair

FOLDS = 4
_LARGEST = 30.0
# Samples drawn from the working distributions, by the rows of both samples; fewer where neighbours have little bias.
_DRAWN = ((20_000, 6), (200_000, 3), (np.inf, 1))
# So many standard deviations of what neighbours see beyond working distributions, or of the samples' own departure from normal
# ones, leave half of the trust in these.
_CHANCE, _DEPARTURE = 3.0, 3.2

Both = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class Route:
    """One correction of the estimate.

    Attributes
    ----------
    value : float
        What it says the divergence is.
    log_ratio : ndarray of shape (n + m,)
        Estimates of log p/q at the rows of both samples by fits that have not seen them.
    loss : float
        Mean log-loss of telling rows of P and Q apart by them.
    noise : float
        Variance of the neighbour estimate on draws from working distributions; 0 where there are none.
    exact : float
        Divergence of the working distributions.
    error : float
        Standard error of that.
    trust : float
        In them, between 0 and 1: how far the samples depart from them no more than by chance.
    name : str
        Which.
    """

    value: float
    log_ratio: FloatArray
    loss: float
    noise: float = 0.0
    exact: float = 0.0
    error: float = 0.0
    trust: float = 0.0
    name: str = ""


class TwoSamples:
    """Two samples with what all routes need of them.

    Parameters
    ----------
    pair : SamplePair
        The samples.
    scores : tuple of ndarray
        Their pooled normal scores.
    masses : ndarray of shape (n + m,) or None
        Those of the rows, as `masses_of` gives them.
    k : int
        Neighbours.
    rng : RandomState
        For folds and draws.
    plain : float
        The neighbour estimate of the scores.
    """

    def __init__(
        self,
        pair: SamplePair,
        scores: Both,
        masses: FloatArray | None,
        k: int,
        rng: np.random.RandomState,
        plain: float,
    ) -> None:
        self.pair, self.scores, self.masses, self.k, self.rng = pair, scores, masses, k, rng
        self.n, self.m = pair.p.n_rows, pair.q.n_rows
        self.fold = np.concatenate([np.arange(self.n) % FOLDS, np.arange(self.m) % FOLDS])
        for part in (self.fold[: self.n], self.fold[self.n :]):
            rng.shuffle(part)
        self.plain = plain

    def by_neighbors(self, both: Both) -> float:
        """The neighbour estimate of two matrices with the weights of the samples."""
        return float(sample_divergence(as_pair(both, self.pair), "common_radius", self.k, False).estimate)

    def masses_where(self, kept: Any = slice(None)) -> Masses:
        """Masses of some rows of either sample, by a mask of both; of all by default."""
        if self.masses is None:
            return None, None
        first, second = (kept, kept) if isinstance(kept, slice) else (kept[: self.n], kept[self.n :])
        return self.masses[: self.n][first], self.masses[self.n :][second]

    def held_out(self, both: Both, fit: Callable[[FloatArray, FloatArray, Masses], WorkingPair[Any]]) -> FloatArray:
        """log p/q at the rows of both samples by working distributions that have not seen them."""
        rows, log_ratio = np.concatenate(both), np.empty(self.n + self.m)
        for f in range(FOLDS):
            learnt = self.fold != f
            found = fit(both[0][learnt[: self.n]], both[1][learnt[self.n :]], self.masses_where(learnt))
            log_ratio[~learnt] = found.log_ratio(rows[~learnt])
        return np.clip(log_ratio, -_LARGEST, _LARGEST)

    def loss(self, log_ratio: FloatArray) -> float:
        """Mean log-loss with equal weights of both samples; log 2 where the ratios say nothing."""
        of_p, of_q = np.logaddexp(0.0, -log_ratio[: self.n]), np.logaddexp(0.0, log_ratio[self.n :])
        return 0.5 * (self.pair.p.mean(of_p).value + self.pair.q.mean(of_q).value)

    def beyond(self, working: WorkingPair[Any], found: float) -> tuple[float, float]:
        """What the neighbour estimate gives beyond its mean on draws from the pair, and the variance on such draws."""
        drawn = next(number for rows, number in _DRAWN if self.n + self.m <= rows)
        on_draws = [self.by_neighbors(working.draw(self.n, self.m, self.rng)) for _ in range(drawn)]
        return found - float(np.mean(on_draws)), float(np.var(on_draws, ddof=1)) if drawn > 1 else 0.0


def masses_of(pair: SamplePair) -> FloatArray | None:
    """Masses of the rows of P and then of Q, each adding up to the effective number of rows; None where all are 1."""
    if not (pair.p.weighted or pair.q.weighted):
        return None
    return np.concatenate(
        [
            np.ones(side.n_rows) if side.weights is None else side.weights * (side.effective_size / side.weight_sum)
            for side in (pair.p, pair.q)
        ]
    )


def as_pair(both: Both, like: SamplePair) -> SamplePair:
    """Two matrices with the weights of two samples."""
    first, second = (Sample(X, s.weights, s.n_jobs) for X, s in zip(both, (like.p, like.q), strict=True))
    return SamplePair(first, second)


def by_normals(samples: TwoSamples) -> tuple[Route, dict[str, float]]:
    """The better pair of normal distributions, and the values of the two routes that rest on such pairs."""
    spaces = {"scaled": scaled(samples.pair.p.X, samples.pair.q.X), "normal_scores": samples.scores}
    ratios = {space: samples.held_out(both, normal_pair) for space, both in spaces.items()}
    losses = {space: samples.loss(ratio) for space, ratio in ratios.items()}
    name = min(losses, key=lambda space: losses[space])
    every = samples.masses_where()
    working = normal_pair(*samples.scores, every)
    beyond, noise = samples.beyond(working, samples.plain)
    corrected = working.divergence + beyond
    both = spaces[name]
    if name == "scaled":
        working = normal_pair(*both, every)
        beyond, noise = samples.beyond(working, samples.by_neighbors(both))
    trust = _trust(beyond, noise) * np.prod([_as_normal(X, mass) for X, mass in zip(both, every, strict=True)])
    value = working.divergence + _kept(beyond, noise)
    error = working.error(*both, every) if trust else 0.0
    route = Route(value, ratios[name], losses[name], noise, working.divergence, error, float(trust), name)
    return route, {"normal": value, "corrected_neighbors": corrected}


def by_mixtures(samples: TwoSamples) -> tuple[Route, dict[str, float]]:
    """A pair of mixtures of normal distributions in scaled columns, and the values of the two routes that rest on it."""
    both = scaled(samples.pair.p.X, samples.pair.q.X)
    working = mixture_pair(*both, samples.masses_where(), samples.rng)
    log_ratio = samples.held_out(both, lambda X, Y, masses: refined_pair(working, X, Y, masses))
    beyond, noise = samples.beyond(working, samples.by_neighbors(both))
    value = working.divergence + _kept(beyond, noise)
    route = Route(value, log_ratio, samples.loss(log_ratio), noise, working.divergence, name="mixtures")
    return route, {"mixtures": value, "corrected_neighbors": working.divergence + beyond}


def by_regression(samples: TwoSamples) -> Route:
    """Log-odds of a cross-fitted logistic regression."""
    pair, n = samples.pair, samples.n
    terms = regression_terms(np.concatenate([pair.p.X, pair.q.X]).astype(np.float64), np.concatenate(samples.scores))
    of_p = np.concatenate([np.ones(n), np.zeros(samples.m)])
    log_ratio = cross_fitted(terms, of_p, samples.fold, FOLDS, masses=samples.masses)
    return Route(pair.p.mean(log_ratio[:n]).value, log_ratio, samples.loss(log_ratio), name="regression")


def _kept(beyond: float, noise: float) -> float:
    """What is kept of the rest that neighbours see: little of what is like noise."""
    return beyond * beyond**2 / (beyond**2 + 2.0 * noise) if beyond else 0.0


def _trust(beyond: float, noise: float) -> float:
    """In the working distributions, from what neighbours see beyond them in standard deviations."""
    return 1.0 / (1.0 + (beyond**2 / noise / _CHANCE**2) ** 2) if noise else float(not beyond)


def _as_normal(X: FloatArray, masses: FloatArray | None) -> float:
    """Trust that a sample is one of a normal distribution."""
    return 1.0 / (1.0 + (departure(X, masses) / _DEPARTURE) ** 16)
