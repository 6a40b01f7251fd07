"""The Jensen-Shannon divergence of two samples, from the same trees and balls as the Kullback-Leibler divergence.

The mixture needs no sample of its own. Around a row of p the common ball holds l other rows of P and k of
Q; with N = l + k and pi = (n - 1)/(n - 1 + m) the pooled sample gives log of the mixture s p + (1 - s) q as

    psi(N) - psi(n + m) + log v,      v = s f / pi + (1 - s) (1 - f) / (1 - pi),

where f estimates the share of P in the ball without the row that set the radius. With s = pi, v is 1 and the estimate has no
bias under p = q; else the curvature of the logarithm is corrected by its second-order term. The Jensen-Shannon divergence has
s = 1/2; others are what a row tells of which of two groups it is from, where these are not as frequent as each other.

Balls smooth over where p and q differ, so the estimate is too low where they are large for that: it falls as they grow. A bound
by what tells the rows apart (``told_apart``) takes its place where it is above it, and the fall with the number of neighbours
enters the error elsewhere.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy.special import digamma, entr

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate, doubted, is_below_zero
from fastkl.divergence.nearest.column_doubts import column_reasons, units_of
from fastkl.divergence.nearest.coordinates import free_of_units
from fastkl.divergence.nearest.diagnostics import (
    LARGE_BALL,
    FixedKSweep,
    few_effective_rows,
    many_columns,
    shared_rows,
    shared_rows_reasons,
    warn_of_shared_rows,
)
from fastkl.divergence.nearest.local_terms import BallMasses, Method, mixture_balls
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import divergence_neighbors, require_two_rows
from fastkl.divergence.nearest.serial import dependence_reasons, paired_reasons
from fastkl.divergence.options import Options
from fastkl.divergence.told_apart import jensen_shannon_bound, most_of_mixture

# A bound that is as many of their errors above the neighbour estimate takes its place altogether, and in part before.
_ABOVE = 0.7
# So many times the error that the rows of a bound alone would give, and nats by which one more row might be taken for one of the
# other sample, which rows that are told apart for certain know nothing of.
_LEARNT, _ONE_MORE = 1.3, 1.5
# The fall from k to 2 k neighbours that chance puts there, in standard errors of the estimate; what is left at k is so many times
# the rest, and falls of so many times as much as chance puts there are told.
_BY_CHANCE, _LEFT, _TOLD = 0.6, 2.0, 5.0
# Fewer rows than this tell neither the bias nor the error well.
_FEWEST_ROWS = 30
# Above this share of rows whose balls reach far out for the other sample, the two are mostly apart.
_MOSTLY_APART = 0.5


def jensen_shannon_of_samples(pair: SamplePair, options: Options, share: float = 0.5) -> Estimate:
    """Of two samples: by neighbours, and where it is larger by what tells the rows apart, unless neighbours are asked for.

    ``share`` is the weight of p in the mixture, between 0 and 1.
    """
    by_neighbors = _by_neighbors(pair, replace(options, standard_error=True), share, twice=True)
    found, fall = by_neighbors.found, by_neighbors.fall
    by_chance = _BY_CHANCE * found.standard_error
    plain = options.n_neighbors is not None or options.coordinates != "auto" or found.diagnostics["shared_rows"]
    bound = None if plain else jensen_shannon_bound(pair, options.steady_rng, share=share)
    found, of_bound = _beside_bound(by_neighbors, bound, _ONE_MORE * _of_one_row(pair, share))
    if not options.standard_error:
        return doubted(found, found.reasons, error=float("nan"))
    left = (1.0 - of_bound) * _LEFT * max(fall - by_chance, 0.0)
    reasons = found.reasons
    if of_bound < 0.5 and fall > _TOLD * by_chance:
        k = found.diagnostics["n_neighbors"]
        reasons.append(
            f"The estimate falls by {fall:.2g} nats from {k} to {2 * k} neighbours: p and q differ within the balls, and it is "
            f"probably too small by about {left:.2g}."
        )
    return doubted(found, reasons, error=float(np.hypot(found.standard_error, left)))


class _ByNeighbors(NamedTuple):
    """The estimate by neighbours.

    Parameters
    ----------
    found : Estimate
        The estimate.
    missed : float
        What balls that reach far out may have missed, which is in its error.
    of_balls : list of str
        Those of its reasons that are about balls alone.
    fall : float
        How much less twice as many neighbours give; 0 where that was not asked for, or there are not as many.
    """

    found: Estimate
    missed: float
    of_balls: list[str]
    fall: float


def _of_one_row(pair: SamplePair, share: float) -> float:
    """The part of the mixture that a row of either sample is, taken together."""
    return float(np.hypot(share / pair.p.effective_size, (1.0 - share) / pair.q.effective_size))


def _beside_bound(
    by_neighbors: _ByNeighbors, bound: tuple[float, float] | None, one_more: float
) -> tuple[Estimate, float]:
    """The neighbour estimate, or a bound as far as that is below it (a part that is given too)."""
    found, missed = by_neighbors.found, by_neighbors.missed
    if bound is None:
        return found, 0.0
    value, error = bound
    # What balls may have missed is no reason to hold a bound for chance.
    sampling = float(np.sqrt(max(found.standard_error**2 - missed**2, 0.0)))
    chance = float(np.hypot(error, sampling))
    above = (value - found) / chance
    of_bound = float(np.clip(above / _ABOVE, 0.0, 1.0))
    diagnostics = dict(found.diagnostics) | {"routes": {"neighbors": float(found), "told_apart": value}}
    if of_bound > 0.5 or abs(value - found) < chance:
        diagnostics["reasons"] = [said for said in found.reasons if said not in by_neighbors.of_balls]
    # That of the bound, where it has as much to say, knows what many columns do to that of neighbours. Folds that learn from the
    # same rows err together, and half of the error of neighbours is for the choice by which is larger.
    of_neighbors = max(error, found.standard_error) if above > -1.0 else found.standard_error
    error = of_neighbors + of_bound * (max(float(np.hypot(_LEARNT * error, one_more)), 0.5 * sampling) - of_neighbors)
    method = "assisted" if of_bound > 0.0 else found.method
    diagnostics["bias_suspected"] = bool(diagnostics["reasons"])
    return Estimate(found + of_bound * (value - found), error, found.n_samples, method, diagnostics), of_bound


def jensen_shannon_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """By neighbours alone, of two samples in memory."""
    return _by_neighbors(pair, options, 0.5, twice=False).found


def _by_neighbors(pair: SamplePair, options: Options, share: float, *, twice: bool) -> _ByNeighbors:
    """The estimate by k neighbours and, if it is asked for, what ``twice`` as many of the same search give less."""
    pair = free_of_units(pair, options.coordinates)
    k = _mixture_neighbors(pair, options.n_neighbors)
    numbers = [k, 2 * k] if twice and 2 * k < min(pair.p.n_rows, pair.q.n_rows) else [k]
    sweep = FixedKSweep(pair.p, pair.q, min(k, 2))
    totals, variance, doubt, large = np.zeros(len(numbers)), 0.0, 0.0, 0.0
    for side, part in ((pair, share), (pair.reversed(), 1.0 - share)):
        terms, beyond, wide = [Mean() for _ in numbers], Mean(), Mean()
        for slab in side.slabs(numbers[-1]):
            balls = [mixture_balls(slab, number) for number in numbers]
            values, around = [_mixture_terms(p, q, part) for p, q in balls], _reaches_out(*balls[0], k)
            terms = [mean + Mean.of(some, slab.weights) for mean, some in zip(terms, values, strict=True)]
            # no log of p over the mixture is beyond that of 1 / share; where a ball smooths p out, it may be as much
            beyond += Mean.of(around * np.maximum(-np.log(part) - values[0], 0.0), slab.weights)
            wide += Mean.of(around, slab.weights)
            if side is pair:
                sweep.add(slab)
        totals += part * np.array([mean.value for mean in terms])
        variance += part**2 * terms[0].variance() / terms[0].size
        # by how much of the divergence is at stake on this side
        stake = float(entr(part) / max(entr(share), entr(1.0 - share)))
        doubt, large = doubt + part * beyond.value, max(large, stake * wide.value)
    total, shared = float(totals[0]), shared_rows(pair, sweep)
    warn_of_shared_rows(shared)
    fall = 0.0 if shared else total - float(totals[-1])
    # Where no row says anything of the spread, as of samples that are wholly apart, what a row or two more might be.
    least = (1.0 / pair.p.effective_size + 1.0 / pair.q.effective_size) ** 2 / 32.0
    error = float(np.hypot(np.sqrt(max(variance, least)), doubt))
    apart = _mostly_apart(large, k)
    of_balls = units_of(pair) + many_columns(pair.p) + apart
    reasons = dependence_reasons(pair) + (shared_rows_reasons(pair, shared) or paired_reasons(pair))
    reasons += column_reasons(pair, sweep.radius) + many_columns(pair.p)
    reasons += few_effective_rows(pair.p, pair.q) + _few_rows(pair) + _beyond_range(total, error, share) + apart
    diagnostics = {"reasons": reasons, "n_neighbors": k, "shared_rows": shared, "large_balls": large}
    size = (pair.p.n_rows, pair.q.n_rows)
    error = error if options.standard_error else float("nan")
    return _ByNeighbors(Estimate(total, error, size, "common_radius", diagnostics), doubt, of_balls, fall)


def _few_rows(pair: SamplePair) -> list[str]:
    """The reason to trust little of very few rows."""
    if min(pair.p.n_rows, pair.q.n_rows) >= _FEWEST_ROWS:
        return []
    return [f"{pair.p.n_rows} and {pair.q.n_rows} rows are few: neither the bias nor the error is well known."]


def neighbors_both_ways(pair: SamplePair, method: Method, n_neighbors: int | None) -> int:
    """The number of neighbours, which both directions must have; by default as many as the smaller sample allows."""
    require_two_rows(pair)
    return min(divergence_neighbors(one, method, n_neighbors) for one in (pair, pair.reversed()))


def _mixture_neighbors(pair: SamplePair, n_neighbors: int | None) -> int:
    """The number of neighbours; by default weighted samples have as many as hold the usual number of effective rows.

    A sum of few heavy weights says little of the mass in a ball, and its logarithm is too low.
    """
    k = neighbors_both_ways(pair, "common_radius", n_neighbors)
    if n_neighbors is not None:
        return k
    fewest = min(pair.p.n_rows - 1, pair.q.n_rows - 1)
    part = min(sample.effective_size / sample.n_rows for sample in (pair.p, pair.q))
    return max(k, min(int(np.ceil(k / part - 1e-9)), fewest // 4))


def _reaches_out(p: BallMasses, q: BallMasses, k: int) -> FloatArray:
    """1.0 for balls that hold much of p before they reach k rows of q; not for an atom, where the ball is a point."""
    expected = k * np.maximum(p.size / q.size, 1.0)
    much = p.count > np.maximum(LARGE_BALL * p.size, 4.0 * expected)
    every = p.count >= p.size * (1.0 - 1e-9)
    return np.asarray(((much | every) & (p.extra * q.extra == 0.0)).astype(np.float64))


def _beyond_range(value: float, error: float, share: float) -> list[str]:
    """Reasons from an estimate outside the range of the divergence."""
    reasons = []
    if is_below_zero(value, error):
        reasons.append(f"The estimate {value:.3g} is negative by more than its error, which a divergence can't be.")
    if value > most_of_mixture(share) + 3.0 * error:
        most = "log 2" if share == 0.5 else f"{most_of_mixture(share):.3g}"
        reasons.append(f"The estimate {value:.3g} exceeds {most}, the largest possible value, by more than its error.")
    return reasons


def _mostly_apart(large: float, k: int) -> list[str]:
    """The reason to take the estimate for too small, where balls reach far out for the other sample."""
    if large <= _MOSTLY_APART:
        return []
    return [
        f"For {large:.0%} of the rows of a sample, the ball around the row that reaches {k} rows of the other holds more than "
        f"{LARGE_BALL:.0%} of its own: the two samples hardly cover the same places, and the estimate is probably too small."
    ]


def _mixture_terms(p: BallMasses, q: BallMasses, share: float) -> FloatArray:
    """Local estimates of log p over the mixture: of weighted rows by effective ones in each ball, and the mass of one of them."""
    size = p.size + q.size
    both = p.extra * q.extra
    (rows_p, part_p), (rows_q, part_q) = map(_effective, (p, q))
    inner = rows_p + rows_q - (1.0 - p.extra) - (1.0 - q.extra)
    f = np.clip((rows_p - (1.0 - p.extra)) / np.maximum(inner, 1e-300), 0.0, 1.0)
    f = np.where(inner > 0.0, f, p.size / size)
    # the mass of a row of the mixture times all that there are: 1 without weights, for samples of one size
    of_p, of_q = share * np.exp(part_p), (1.0 - share) * np.exp(part_q)
    v = size * (f * of_p + (1.0 - f) * of_q)
    slope = size * (of_p - of_q) / v
    finite = np.maximum(1.0 / np.maximum(inner, 1.0) - 1.0 / size, 0.0)
    log_mixture = digamma(rows_p + rows_q + both) - digamma(size + 1.0) + np.log(v)
    log_mixture = log_mixture + 0.5 * slope**2 * f * (1.0 - f) * finite
    return np.asarray(digamma(rows_p + p.extra) - digamma(p.size + 1.0) + np.log(p.size) + part_p - log_mixture)


def _effective(side: BallMasses) -> tuple[FloatArray, FloatArray]:
    """Effective rows in each ball, and the logarithm of the part of its sample that one of them is; none without mass."""
    empty = np.isneginf(side.log_unit)
    part = np.where(empty, -np.log(side.size), side.log_unit - side.log_exact_total)
    return np.where(empty, 0.0, side.count), part
