"""Routes to the divergence of two samples by working distributions that stand for them.

Working distributions (a pair of normal ones, or of mixtures of such) have an exact divergence, and what a neighbour estimate
makes of draws from them is known to be wrong: what it gives beyond that is what the samples have beyond the distributions. Each
route also has a log-ratio log p/q at every row by fits that have not seen it, by whose log-loss in telling P from Q routes are
compared.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.two_samples import TwoSamples
from fastkl.divergence.assisted.wide import are_wide
from fastkl.divergence.assisted.working_laws import Masses, NormalPair, WorkingPair, departure, normal_pair
from fastkl.divergence.assisted.working_mixtures import WorkingMixture, mixture_pair, refined_pair

# Draws for the divergence of mixtures: as many as rows of P, but at most.
_MOST_DRAWS = 200_000
# Standard deviations that leave no trust at all.
_ENDLESS = 1e20
# So many rows of a sample tell whether it is one of a normal distribution, the first of them where it is far from that.
_EXAMINED, _FIRST_EXAMINED, _NO_TRUST = 200_000, 20_000, 1e-6
# So many standard deviations of what neighbours see beyond working distributions, or of the samples' own departure from normal
# ones, leave half of the trust in these.
_CHANCE, _DEPARTURE = 3.0, 3.2
# Scores know no distances. The part of P beyond the values of Q in a column from which on a regression, which does, has most of
# the weight, and so many times what is really lower that its log-loss may be higher.
_FAR, _MOST_WEIGHT, _NEARLY = 0.12, 0.8, 8.0
# So many times what mixtures give at rows that they have not seen is no divergence of theirs.
_BEYOND_ROWS = 2.0


@dataclass(frozen=True)
class Route:
    """One correction of the estimate.

    Attributes
    ----------
    value : float
        What it says the divergence is; nan where only its log-ratio and its draws are of use.
    log_ratio : ndarray of shape (n + m,)
        Estimates of log p/q at the rows of both samples that are learnt from, by fits that have not seen them.
    loss : float
        Mean log-loss of telling rows of P and Q apart by them.
    noise : float
        Variance of the neighbour estimate on draws from working distributions; 0 where there are none.
    beyond : float
        What the neighbour estimate gives beyond its mean on such draws, where that is part of the value.
    exact : float
        Divergence of the working distributions.
    error : float
        Standard error of that.
    trust : float
        In them, between 0 and 1: how far the samples depart from them no more than by chance.
    name : str
        Which.
    seen : float
        Rows of either sample that it learns from at most, where their sampling is that of its value.
    ahead : float
        How far it is ahead of the others in telling P and Q apart: 0 where they are worth as much, 1 where they don't count.
    unknown : float
        How far its working distributions leave open, from 0 to 1, how P goes on beyond the values of Q.
    """

    value: float
    log_ratio: FloatArray
    loss: float
    noise: float = 0.0
    beyond: float = 0.0
    exact: float = 0.0
    error: float = 0.0
    trust: float = 0.0
    name: str = ""
    seen: float = np.inf
    ahead: float = 0.0
    unknown: float = 0.0


def by_normals(samples: TwoSamples, near: bool) -> tuple[Route, dict[str, float]]:
    """The better pair of normal distributions, and the values of the two routes that rest on such pairs.

    Where none is ``near`` its own divergence is no route, and only what neighbours give beyond the pair is asked for.
    """
    name, log_ratio, loss = samples.nearest
    working, other = samples.normals, near and name != samples.space
    beyond, noise = samples.beyond(working, samples.space, only_mean=other)
    values = {"corrected_neighbors": working.divergence + beyond}
    if not near:
        return Route(np.nan, log_ratio, loss, noise, name=name), values
    if other:
        working = normal_pair(*samples.everywhere(name), samples.masses_of_all())
        beyond, noise = samples.beyond(working, name)
    value = working.divergence + _kept(beyond, noise)
    of_samples, error = _of_samples(samples, working, name)
    trust = _trust(beyond, noise) * of_samples
    route = Route(value, log_ratio, loss, noise, beyond, working.divergence, error if trust else 0.0, trust, name)
    return route, {"normal": value} | values


@dataclass(frozen=True)
class Mixtures:
    """A pair of mixtures of normal distributions in scaled columns.

    Attributes
    ----------
    working : WorkingPair
        Of the rows that are learnt from.
    log_ratio : ndarray of shape (n + m,)
        Estimates of log p/q at these rows, by mixtures that have not seen them.
    loss : float
        Mean log-loss of telling rows of P and Q apart by them.
    """

    working: WorkingPair[WorkingMixture]
    log_ratio: FloatArray
    loss: float

    @classmethod
    def of(cls, samples: TwoSamples) -> Mixtures | None:
        """Of two samples; None of few rows of many columns.

        There the covariance of a component is singular, and the divergence in the directions without spread has no bound. None
        either where most of the divergence is beyond the rows: mixtures that follow a few far ones.
        """
        if are_wide(samples.pair):
            return None
        both = samples.spaces["scaled"]
        drawn = min(samples.pair.p.n_rows, _MOST_DRAWS)
        working = mixture_pair(*both, samples.masses_where(), samples.rng, drawn, samples.n_threads)
        log_ratio = samples.held_out(both, lambda X, Y, masses: refined_pair(working, X, Y, masses))
        mean = samples.learnt.p.mean(log_ratio[: samples.n])
        if working.divergence > _BEYOND_ROWS * mean.value + 3.0 * mean.error:
            return None
        return cls(working, log_ratio, samples.loss(log_ratio))


def by_mixtures(samples: TwoSamples, found: Mixtures, *, only_mean: bool) -> tuple[Route, dict[str, float]]:
    """The values of the two routes that rest on mixtures; by fewer draws where their error is not asked for."""
    working = found.working
    beyond, noise = samples.beyond(working, "scaled", only_mean=only_mean)
    corrected = working.divergence + beyond
    # Fits are farther apart than what they are fitted to, by about half a nat for each number and row.
    numbers, rows = (working.p.numbers, working.q.numbers), (samples.learnt.p, samples.learnt.q)
    exact = working.divergence - sum(0.5 * k / side.effective_size for k, side in zip(numbers, rows, strict=True))
    value = exact + _kept(corrected - exact, noise)
    route = Route(value, found.log_ratio, found.loss, noise, exact=exact, name="mixtures")
    return route, {"mixtures": value, "corrected_neighbors": corrected}


def left_open(samples: TwoSamples, chosen: Route, regression: Route) -> float:
    """The weight of a regression, which knows how far P goes on beyond the values of Q, where scores leave that open."""
    if chosen.name != "normal_scores":
        return 0.0
    worse = (regression.loss - chosen.loss) / (_NEARLY * samples.lower)
    return _MOST_WEIGHT * float(np.clip(1.0 - worse, 0.0, 1.0)) * min(1.0, samples.beyond_q[0] / _FAR)


def _kept(beyond: float, noise: float) -> float:
    """What is kept of the rest that neighbours see: little of what is like noise."""
    return float(beyond / (1.0 + 2.0 * (np.sqrt(noise) / beyond) ** 2)) if beyond else 0.0


def _trust(beyond: float, noise: float) -> float:
    """In the working distributions, from what neighbours see beyond them in standard deviations."""
    if not noise:
        return float(not beyond)
    return 1.0 / (1.0 + min(abs(beyond) / (_CHANCE * float(np.sqrt(noise))), _ENDLESS) ** 4)


def _of_samples(samples: TwoSamples, working: NormalPair, name: str) -> tuple[float, float]:
    """Trust that both are samples of normal distributions, and the standard error of the divergence of these."""
    rows, masses = samples.some_rows(_FIRST_EXAMINED, name)
    trust = _as_normal(rows, masses)
    if trust > _NO_TRUST and max(samples.pair.p.n_rows, samples.pair.q.n_rows) > _FIRST_EXAMINED:
        rows, masses = samples.some_rows(_EXAMINED, name)
        trust = _as_normal(rows, masses)
    sizes = samples.pair.p.effective_size, samples.pair.q.effective_size
    return trust, working.error(*rows, masses, sizes)


def _as_normal(rows: tuple[FloatArray, FloatArray], masses: Masses) -> float:
    """Trust that two samples are of normal distributions."""
    far = [departure(X, of_rows) for X, of_rows in zip(rows, masses, strict=True)]
    return float(np.prod([1.0 / (1.0 + (one / _DEPARTURE) ** 16) for one in far]))
