"""The Jensen-Shannon divergence of two samples, from the same trees and balls as the Kullback-Leibler divergence.

The mixture needs no sample of its own. Around a row of p the common ball holds l other rows of P and k of
Q; with N = l + k and pi = (n - 1)/(n - 1 + m) the pooled sample gives log of the mixture as

    psi(N) - psi(n + m) + log v,      v = f / (2 pi) + (1 - f) / (2 (1 - pi)),

where f estimates the share of P in the ball without the row that set the radius. With n = m, v is 1 and the estimate has no
bias under p = q; else the curvature of the logarithm is corrected by its second-order term.

Balls smooth over where p and q differ, so the estimate is too low where they are large for that: it falls as they grow. A bound
by what tells the rows apart (``told_apart``) takes its place where it is above it, and the fall with the number of neighbours
enters the error elsewhere.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.column_doubts import column_reasons
from fastkl.divergence.coordinates import free_of_units
from fastkl.divergence.diagnostics import (
    LARGE_BALL,
    FixedKSweep,
    few_effective_rows,
    many_columns,
    shared_rows,
    shared_rows_reasons,
    warn_of_shared_rows,
)
from fastkl.divergence.estimate import Estimate, doubted, is_below_zero
from fastkl.divergence.local_terms import BallMasses, Method, mixture_balls
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.options import Options
from fastkl.divergence.samples import divergence_neighbors, require_two_rows
from fastkl.divergence.told_apart import jensen_shannon_bound

# A bound by so many of their errors above the neighbour estimate begins to take its place, and takes it altogether.
_BELOW, _FAR = 1.0, 1.7
# The fall from k to 2 k neighbours that chance puts there, in standard errors of the estimate; what is left at k is so many times
# the rest, and falls of so many times as much as chance puts there have a regression asked, and are told.
_BY_CHANCE, _LEFT, _SMOOTHED, _TOLD = 0.6, 2.0, 2.5, 5.0
# Fewer rows than this tell neither the bias nor the error well.
_FEWEST_ROWS = 30
# Above this share of rows whose balls reach far out for the other sample, the two are mostly apart.
_MOSTLY_APART = 0.5


def jensen_shannon_of_samples(pair: SamplePair, options: Options) -> Estimate:
    """Of two samples: by neighbours, and where it is larger by what tells the rows apart, unless neighbours are asked for."""
    by_neighbors = jensen_shannon_of_pair(pair, replace(options, standard_error=True))
    plain = options.n_neighbors is not None or options.coordinates != "auto" or by_neighbors.diagnostics["shared_rows"]
    fall, by_chance = _fall(pair, options, by_neighbors), _BY_CHANCE * by_neighbors.standard_error
    bound = None
    if not plain:
        bound = jensen_shannon_bound(pair, options.steady_rng, smoothed=fall > _SMOOTHED * by_chance)
    found, share = _beside_bound(by_neighbors, bound)
    if not options.standard_error:
        return doubted(found, found.reasons, error=float("nan"))
    left = (1.0 - share) * _LEFT * max(fall - by_chance, 0.0)
    reasons = found.reasons
    if share < 0.5 and fall > _TOLD * by_chance:
        k = found.diagnostics["n_neighbors"]
        reasons.append(
            f"The estimate falls by {fall:.2g} nats from {k} to {2 * k} neighbours: p and q differ within the balls, and it is "
            f"likely too small by {left:.2g} or so."
        )
    return doubted(found, reasons, error=float(np.hypot(found.standard_error, left)))


def _beside_bound(found: Estimate, bound: tuple[float, float] | None) -> tuple[Estimate, float]:
    """The neighbour estimate, or a bound as far as that is below it (a part that is given too)."""
    if bound is None:
        return found, 0.0
    value, error = bound
    above = (value - found) / float(np.hypot(error, found.standard_error))
    share = float(np.clip((above - _BELOW) / (_FAR - _BELOW), 0.0, 1.0))
    diagnostics = dict(found.diagnostics) | {"routes": {"neighbors": float(found), "told_apart": value}}
    # That of the bound, where it has as much to say, knows what many columns do to that of neighbours; and half of theirs is for
    # the choice by which is larger.
    of_neighbors = max(error, found.standard_error) if above > -_FAR else found.standard_error
    error = of_neighbors + share * (max(error, 0.5 * found.standard_error) - of_neighbors)
    method = "assisted" if share > 0.0 else found.method
    return Estimate(found + share * (value - found), error, found.n_samples, method, diagnostics), share


def _fall(pair: SamplePair, options: Options, found: Estimate) -> float:
    """How much less twice as many neighbours give; 0 where there are not as many."""
    twice = 2 * int(found.diagnostics["n_neighbors"])
    if twice >= min(pair.p.n_rows, pair.q.n_rows) or found.diagnostics["shared_rows"]:
        return 0.0
    return float(found) - float(jensen_shannon_of_pair(pair, replace(options, n_neighbors=twice)))


def jensen_shannon_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """Of two samples in memory."""
    pair = free_of_units(pair, options.coordinates)
    k = _mixture_neighbors(pair, options.n_neighbors)
    sweep = FixedKSweep(pair.p, pair.q, min(k, 2))
    total = variance = doubt = large = 0.0
    for side in (pair, pair.reversed()):
        terms, beyond, wide = Mean(), Mean(), Mean()
        for slab in side.slabs(k):
            p, q = mixture_balls(slab, k)
            values, around = _mixture_terms(p, q), _reaches_out(p, q, k)
            terms += Mean.of(values, slab.weights)
            # no log of p over the mixture is beyond log 2; where a ball smooths p out, it may be as much
            beyond += Mean.of(around * np.maximum(np.log(2.0) - values, 0.0), slab.weights)
            wide += Mean.of(around, slab.weights)
            if side is pair:
                sweep.add(slab)
        total += 0.5 * terms.value
        variance += 0.25 * terms.variance() / terms.size
        doubt, large = doubt + 0.5 * beyond.value, max(large, wide.value)
    shared = shared_rows(pair, sweep)
    warn_of_shared_rows(shared)
    # Where no row says anything of the spread, as of samples that are wholly apart, what a row or two more might be.
    least = (1.0 / pair.p.effective_size + 1.0 / pair.q.effective_size) ** 2 / 32.0
    error = float(np.hypot(np.sqrt(max(variance, least)), doubt))
    reasons = shared_rows_reasons(pair, shared) + column_reasons(pair, sweep.radius) + many_columns(pair.p)
    reasons += few_effective_rows(pair.p, pair.q) + _few_rows(pair) + _beyond_range(total, error, large, k)
    diagnostics = {
        "reasons": reasons,
        "n_neighbors": k,
        "shared_rows": shared,
        "large_balls": large,
    }
    size = (pair.p.n_rows, pair.q.n_rows)
    return Estimate(total, error if options.standard_error else float("nan"), size, "common_radius", diagnostics)


def _few_rows(pair: SamplePair) -> list[str]:
    """The reason to trust little of very few rows."""
    if min(pair.p.n_rows, pair.q.n_rows) >= _FEWEST_ROWS:
        return []
    return [f"{pair.p.n_rows} and {pair.q.n_rows} rows are few: neither the bias nor the error are known well."]


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


def _beyond_range(value: float, error: float, large: float, k: int) -> list[str]:
    """Reasons from an estimate outside the range of the divergence, and from balls that say little."""
    reasons = []
    if is_below_zero(value, error):
        reasons.append(f"The estimate {value:.3g} is negative by more than its error, which no divergence is.")
    if value > np.log(2.0) + 3.0 * error:
        reasons.append(f"The estimate {value:.3g} is above log 2 by more than its error, which none is.")
    if large > _MOSTLY_APART:
        reasons.append(
            f"For {large:.0%} of the rows of a sample, the ball around the row that reaches {k} rows of the other holds more "
            f"than {LARGE_BALL:.0%} of its own: the two are hardly sampled in the same places, and the estimate is likely too "
            f"small."
        )
    return reasons


def _mixture_terms(p: BallMasses, q: BallMasses) -> FloatArray:
    """Local estimates of log p/((p + q)/2); of weighted rows by the effective ones in each ball, and the mass of one of them."""
    size = p.size + q.size
    both = p.extra * q.extra
    (rows_p, part_p), (rows_q, part_q) = map(_effective, (p, q))
    inner = rows_p + rows_q - (1.0 - p.extra) - (1.0 - q.extra)
    f = np.clip((rows_p - (1.0 - p.extra)) / np.maximum(inner, 1e-300), 0.0, 1.0)
    f = np.where(inner > 0.0, f, p.size / size)
    # the mass of a row of the mixture times all that there are: 1 without weights, for samples of one size
    v = 0.5 * size * (f * np.exp(part_p) + (1.0 - f) * np.exp(part_q))
    slope = 0.5 * size * (np.exp(part_p) - np.exp(part_q)) / v
    finite = np.maximum(1.0 / np.maximum(inner, 1.0) - 1.0 / size, 0.0)
    log_mixture = digamma(rows_p + rows_q + both) - digamma(size + 1.0) + np.log(v)
    log_mixture = log_mixture + 0.5 * slope**2 * f * (1.0 - f) * finite
    return np.asarray(digamma(rows_p + p.extra) - digamma(p.size + 1.0) + np.log(p.size) + part_p - log_mixture)


def _effective(side: BallMasses) -> tuple[FloatArray, FloatArray]:
    """Effective rows in each ball, and the logarithm of the part of its sample that one of them is; none without mass."""
    empty = np.isneginf(side.log_unit)
    part = np.where(empty, -np.log(side.size), side.log_unit - side.log_exact_total)
    return np.where(empty, 0.0, side.count), part
