"""Entropy, cross-entropy and divergences of samples: sums over the rows of p, in slabs, then values with diagnostics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast, get_args

import numpy as np

from fastkl._core.means import Mean
from fastkl.divergence.arguments import DEFAULT_NEIGHBORS, Totals, refuse_single_row, resolve_neighbors
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.atoms import LackingAtoms
from fastkl.divergence.nearest.column_doubts import units_of
from fastkl.divergence.nearest.diagnostics import (
    FixedKSweep,
    divergence_diagnostics,
    drift_reasons,
    large_ball,
    many_columns,
    shared_rows,
    ties_reasons,
    warn_of_shared_rows,
)
from fastkl.divergence.nearest.local_terms import (
    METHODS,
    Method,
    excess_of_ties,
    local_terms,
    log_density_across,
    log_density_own,
)
from fastkl.divergence.nearest.neighbors import Pair, Slab
from fastkl.divergence.nearest.uncertainty import count_noise, divergence_error, entropy_error, reference_variance
from fastkl.divergence.options import Options

# Up to so many rows the sweep over k needs 2 k neighbours to beat its own noise.
SWEEP_ROWS = 20_000

# The ratio p/q needs a few neighbours to have a finite variance.
_RATIO_NEIGHBORS = 5


def check_method(method: str, also: str = "") -> Method:
    """Refuse an unknown method by naming the known ones, and the one the caller knows too."""
    if method in get_args(Method):
        return cast(Method, method)
    known = METHODS if not also else (*METHODS, also)
    raise ValueError(f"method={method!r} is unknown; expected one of {', '.join(map(repr, known))}.")


def check_auto_or_knn(method: str) -> None:
    """Refuse a method that a cross-entropy, or an entropy from blocks of rows, has not."""
    if method not in ("auto", "knn"):
        raise ValueError(f"method={method!r} is unknown; expected 'auto' or 'knn'.")


def default_neighbors(method: Method) -> int:
    """The default number of neighbours: 1 for the adaptive radius of "bias_reduced", else 5."""
    return 1 if method == "bias_reduced" else DEFAULT_NEIGHBORS


def divergence_neighbors(pair: Pair, method: Method, n_neighbors: int | None) -> int:
    """The number of neighbours of a divergence, checked against both samples."""
    return resolve_neighbors(n_neighbors, pair.p.n_rows, pair.q.n_rows, default=default_neighbors(method))


def require_two_rows(pair: Pair) -> None:
    """ValueError where a sample is of one row, for what looks for others within both samples."""
    for sample, name in ((pair.p, "p"), (pair.q, "q")):
        refuse_single_row(sample.n_rows, name)


class Divergence(NamedTuple):
    """An estimate of KL(p || q), and what the rows of p add to the variance of KL(p || q) + KL(q || p)."""

    estimate: Estimate
    jeffreys_variance: float


class _Sums:
    """What the rows of p add up to, for one number of neighbours."""

    def __init__(self, pair: Pair, method: Method, k: int) -> None:
        self.p, self.q = pair.p, pair.q
        self.method = method
        self.k = k
        self.ratio_k = k if method != "knn" else max(k, min(_RATIO_NEIGHBORS, self.p.n_rows - 1, self.q.n_rows))
        self.large_ball = large_ball(self.p, k)
        self.lacking = LackingAtoms(self.p, self.q)
        self.terms = self.influence = self.log_p = Mean()
        self.noise_p = self.noise_q = self.ratio = self.large = self.gap = self.ties = Mean()

    def add(self, slab: Slab, sweep: FixedKSweep, standard_error: bool, symmetric: bool) -> None:
        """Add the rows of a slab, which is in the sweep."""
        terms, weights = local_terms(slab, self.method, self.k), slab.weights
        self.terms += Mean.of(terms.log_ratio, weights)
        if self.method == "common_radius" and (sweep.zeros_own or not sweep.reach):
            self.lacking.add(slab, self.k)
        if not standard_error:
            return
        self.noise_p += Mean.of(count_noise(terms.n_p), weights)
        self.noise_q += Mean.of(count_noise(terms.n_q), weights)
        # A ball of radius 0 is an atom, which is as large as it is.
        spread = np.maximum(slab.own.kth(self.k), slab.across.kth(self.k)) > 0.0
        self.large += Mean.of((spread & (terms.n_p > self.large_ball)).astype(np.float64), weights)
        enough = terms if self.ratio_k == self.k else local_terms(slab, self.method, self.ratio_k)
        self.ratio += Mean.of(enough.ratio, weights)
        fixed = sweep.terms(slab, self.k) if self.method == "common_radius" else None
        if fixed is not None:
            self.gap += Mean.of(terms.log_ratio - fixed)
        # In the sum of both directions ties cancel; those of weights are of few rows.
        if self.method == "common_radius" and not (symmetric or self.p.weighted or self.q.weighted):
            self.ties += Mean.of(excess_of_ties(slab, self.k, terms))
        if self.method == "knn":
            self.log_p += Mean.of(log_density_own(slab, self.k)[0], weights)
        if symmetric:
            # Each row of p moves the sum of both directions by log p/q (own term) - q/p (as reference).
            self.influence += Mean.of(terms.log_ratio - terms.inverse_ratio, weights)

    def finish(self, pair: Pair, sweep: FixedKSweep, standard_error: bool) -> Divergence:
        """The estimate with its error and diagnostics."""
        value, k, error = self.terms.value, self.k, float("nan")
        diagnostics: dict[str, Any]
        if standard_error:
            error = divergence_error(self.q, self.terms, (self.noise_p.value, self.noise_q.value), self.ratio.value)
            diagnostics = divergence_diagnostics(pair, sweep, self.gap, self.large.value, value, error, k)
            diagnostics["reasons"] += ties_reasons(self.ties.value, error, pair)
            if self.method == "knn":
                diagnostics |= {"entropy": -self.log_p.value, "cross_entropy": value - self.log_p.value}
        else:
            reasons = many_columns(self.p)
            diagnostics = {"reasons": reasons, "n_neighbors": k}
            if sweep.reach:
                diagnostics["shared_rows"] = shared_rows(pair, sweep)
        size = (self.p.n_rows, self.q.n_rows)
        lacking = self.lacking.reasons(self.p)
        if lacking:
            diagnostics |= {"reasons": lacking, "rows_at_lacking_atoms": self.lacking.rows}
            return Divergence(Estimate(float("inf"), 0.0, size, self.method, diagnostics), 0.0)
        variance = self.influence.variance() / self.influence.size if self.influence.weight else 0.0
        return Divergence(Estimate(value, error, size, self.method, diagnostics), variance)


def sample_divergence(
    pair: Pair, method: Method, k: int, standard_error: bool, *, symmetric: bool = False
) -> Divergence:
    """KL(p || q) from samples; ``symmetric`` asks for its part in the variance of the Jeffreys divergence."""
    return sample_divergences(pair, method, [k], standard_error, symmetric=symmetric)[0]


def common_radius_value(pair: Pair, k: int) -> float:
    """KL(p || q) from samples by the common radius, without all that its error and its diagnostics ask for."""
    terms, lacking = Mean(), LackingAtoms(pair.p, pair.q)
    # One neighbour more tells where others are as far as the k-th; balls that hold more are counted.
    for slab in pair.slabs(min(k + 1, pair.p.n_rows - 1, pair.q.n_rows)):
        terms += Mean.of(local_terms(slab, "common_radius", k).log_ratio, slab.weights)
        lacking.add(slab, k)
        del slab  # its distances, before the next ones are searched
    return float("inf") if lacking.rows else terms.value


def divergence_by_method(pair: Pair, options: Options) -> Estimate:
    """KL(p || q) from samples, wherever their rows are."""
    method = check_method(options.method)
    k = divergence_neighbors(pair, method, options.n_neighbors)
    return sample_divergence(pair, method, k, options.standard_error).estimate


def pair_divergence(pair: Pair, options: Options) -> Estimate:
    """KL(p || q) from samples, wherever their rows are; warns of rows that both share."""
    estimate = divergence_by_method(pair, options)
    warn_of_shared_rows(estimate.diagnostics.get("shared_rows", 0))
    return estimate


def sample_divergences(
    pair: Pair, method: Method, numbers: Sequence[int], standard_error: bool, *, symmetric: bool = False
) -> list[Divergence]:
    """KL(p || q) from samples for several numbers of neighbours, from the same searches."""
    reach = _reach(pair, method, max(numbers), standard_error)
    every = [_Sums(pair, method, k) for k in numbers]
    sweep = FixedKSweep(pair.p, pair.q, reach)
    for slab in pair.slabs(reach):
        if reach and standard_error:
            sweep.add(slab)
            sweep.farthest.add(slab)
        elif reach:
            sweep.look(slab)
        for sums in every:
            sums.add(slab, sweep, standard_error, symmetric)
        del slab  # its distances, before the next ones are searched
    return [sums.finish(pair, sweep, standard_error) for sums in every]


def _reach(pair: Pair, method: Method, k: int, standard_error: bool) -> int:
    """How many neighbours counts, standard error and sweep over k will ask for; 0 where no distance is asked for twice."""
    if not standard_error and method != "common_radius":
        return 0
    # In several columns 2 k neighbours cost nothing: most common balls are then counted from the distances.
    reach = 2 * k if pair.p.n_columns > 1 or max(pair.p.n_rows, pair.q.n_rows) <= SWEEP_ROWS else k
    return max(reach, _RATIO_NEIGHBORS) if method == "knn" else reach


def sample_entropy(pair: Pair, n_neighbors: int | None, standard_error: bool) -> Estimate:
    """Kozachenko-Leonenko entropy of the sample p of a pair."""
    p = pair.p
    k = resolve_neighbors(n_neighbors, p.n_rows)
    farther = min(2 * k, p.n_rows - 1) if standard_error else k
    log_density = noise = change = Mean()
    for slab in pair.slabs(0):
        slab.own.search(farther)
        log_p, numbers = log_density_own(slab, k)
        log_density += Mean.of(log_p, slab.weights)
        noise += Mean.of(count_noise(numbers), slab.weights)
        if farther > k:
            change += Mean.of(log_p - log_density_own(slab, farther)[0], slab.weights)
    diagnostics = _plain_diagnostics(pair, k)
    error = entropy_error(log_density, noise.value) if standard_error else float("nan")
    if farther > k:
        diagnostics |= _of_drift(diagnostics["reasons"], [k, farther], change, p, -log_density.value, error)
    return Estimate(-log_density.value, error, p.n_rows, "knn", diagnostics)


def sample_cross_entropy(pair: Pair, n_neighbors: int | None, standard_error: bool) -> Estimate:
    """Cross-entropy of p relative to q from samples; its difference to the entropy is the fixed-k divergence."""
    n, m = pair.p.n_rows, pair.q.n_rows
    k = resolve_neighbors(n_neighbors, None, m)
    enough = min(max(k, _RATIO_NEIGHBORS), n - 1, m) if standard_error and n > 1 else 0
    farther = min(2 * k, m) if enough else k
    log_density = noise = ratio = change = Mean()
    for slab in pair.slabs(0):
        slab.across.search(max(farther, enough))
        log_q, numbers = log_density_across(slab, k)
        log_density += Mean.of(log_q, slab.weights)
        if enough:
            noise += Mean.of(count_noise(numbers), slab.weights)
            ratio += Mean.of(local_terms(slab, "knn", enough).ratio, slab.weights)
        if farther > k:
            change += Mean.of(log_q - log_density_across(slab, farther)[0], slab.weights)
    error, diagnostics = float("nan"), _plain_diagnostics(pair, k)
    if enough:
        plain = max(log_density.variance(), noise.value) / log_density.size
        error = float(np.sqrt(plain + reference_variance(pair.q, ratio.value)))
    if farther > k:
        # beside the error of a mean over p: that of q is large where q has no row near
        of_p = float(np.sqrt(plain))
        diagnostics |= _of_drift(diagnostics["reasons"], [k, farther], change, pair.p, -log_density.value, of_p)
    return Estimate(-log_density.value, error, (n, m), "knn", diagnostics)


def _of_drift(
    reasons: list[str], numbers: list[int], change: Mean, p: Totals, value: float, error: float
) -> dict[str, Any]:
    """Diagnostics of a drift with the number of neighbours, among reasons that are known."""
    drifts, drift = drift_reasons(numbers, change, p.n_columns, value, error)
    return {"reasons": [*reasons, *drifts], "k_sweep_bias": drift}


def _plain_diagnostics(pair: Pair, k: int) -> dict[str, Any]:
    """Doubts that need no further search."""
    reasons = units_of(pair) + many_columns(pair.p)
    return {"reasons": reasons, "n_neighbors": k}
