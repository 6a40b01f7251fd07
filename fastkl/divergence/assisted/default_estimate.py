"""KL of two samples by nearest neighbours with the help of what usual distributions would give: the default estimate.

A neighbour estimate is biased where densities vary within its balls, mostly towards 0. Three corrections of it fail in
different places, and their median is the estimate where no more is known (measured on 52 pairs of known divergence:
``benchmarks/league.py``):

* *The better of two pairs of normal distributions*, in the columns as they are (scaled) and in normal scores (`two_normals`), by
  held-out log-loss in telling rows of P and Q apart. Its exact divergence, plus what the neighbour estimate gives beyond its own
  mean on draws from the pair, shrunk where that is noise.
* *The neighbour estimate in normal scores*, less its mean on draws from the pair there, plus that pair's divergence.
* *A cross-fitted logistic regression* on squares, products, logarithms, tails, atoms, the ends of P, and what else a test says it
  lacks (`further_terms`): the mean log-odds of rows it has not seen.

Where no regression tells P and Q apart better than the pair, and neighbours see no more beyond it than chance gives on draws
from it, the pair is as good as true, and the estimate goes over to its own divergence. Where one tells them apart as well, up to
half of the estimate is its, and more where P goes on beyond the values of Q and the pair is in scores, which know no distances.
Where one does better than both pairs, mixtures of normal distributions are tried (`working_mixtures`), and if these do better
than the pairs they stand in for them, else the neighbours as they are for the pair's divergence. Of mixtures and regression one
that is far ahead is the estimate, but no regression beyond which neighbours see more: with these it has one vote of three.

Where a column has atoms no normal distribution stands for anything, and the regression is the estimate; rows that are symbols
have the neighbour estimate by one neighbour, which on them is that of Zhang and Grabchak. All of it is free of units: multiplying
or shifting a column of both samples changes nothing. The standard error takes the influence function of the log-ratio that was
chosen, that of the neighbour estimate, and how far the three are apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.apart import apart_reasons
from fastkl.divergence.assisted.ratio_routes import Mixtures, Route, by_mixtures, by_normals, left_open
from fastkl.divergence.assisted.regression_route import RegressionRoute
from fastkl.divergence.assisted.tails import missed_beyond, missed_reasons
from fastkl.divergence.assisted.two_samples import TwoSamples, in_order_of_values, rows_at_random
from fastkl.divergence.assisted.wide import wide_reasons
from fastkl.divergence.estimate import Estimate, OfBoth, subjects_of
from fastkl.divergence.nearest.atoms import lacking_in_columns
from fastkl.divergence.nearest.column_doubts import ROUNDING
from fastkl.divergence.nearest.diagnostics import (
    few_effective_rows,
    is_out_of_reach,
    near_copies,
    negative_reasons,
    shared_rows_reasons,
    unreached_reason,
)
from fastkl.divergence.nearest.edges import edge_reasons
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import divergence_neighbors
from fastkl.divergence.nearest.serial import dependence_reasons, paired_reasons
from fastkl.divergence.options import Options

# Fewer rows than this in either sample tell no more than neighbours do; so do fewer than twice the columns and two, up to 20.
_FEWEST, _FEWEST_OF_MANY_COLUMNS = 12, 20
# A value that is this part of a column, or half of its values repeated, makes it one with atoms.
_ATOM, _DISTINCT = 0.05, 0.5
# Samples of more rows are screened for atoms by some of them.
_SCREENED = 20_000
# Rows of both samples beyond which mixtures that are second best are not worth their cost.
_MANY = 200_000
# Samples whose rows are repeated so often on average are symbols.
_REPEATS = 20
# How the distance of the three corrections enters the error.
_SPREAD = 0.4
# Standard deviations that neighbours may see more than a regression that is ahead, and those at which it is one among others.
_MORE, _TOO_MUCH = 0.5, 2.0
# Standard deviations of the neighbour estimate that leave half of the weight of a regression so far away.
_AWAY = 4.0
# A part of P beyond the values of Q in a column that is told where no distribution is trusted to go on there.
_BEYOND = 0.15
# Standard deviations of what neighbours see beyond trusted distributions that may be there all the same.
_MISSED = 0.8
# The part of the error that comes from Q is at most so many times the neighbours' whole: its weights have heavy tails.
_OF_Q = 2.0
# Fewer rows than this that might as well be of the other sample leave the size of a divergence open.
_OVERLAP = 16.0
# So many times the logarithm of the rows of Q is more than they can show.
_NATS_OF_ROWS = 2.0
_EXTRAPOLATED = (
    "the size of the estimate depends on how the fitted distributions extrapolate beyond the data. kl_lower_bound gives a bound "
    "that the data support."
)
# What neighbours alone see, in standard deviations and as a part of the estimate, where they have a bias: in so many columns.
_SEEN, _SEEN_PART, _BIASED_IN = 10.0, 0.5, 3


@dataclass(frozen=True)
class Assisted:
    """The estimate of two samples, and what it rests on.

    Attributes
    ----------
    estimate : Estimate
        KL(p || q).
    samples : TwoSamples
        With what the routes share.
    regression, chosen : Route or None
        The regression, and the route whose log-ratio was chosen; None where the neighbours are alone.
    atoms, symbols : bool
        Whether a column has values that repeat, and whether the rows are symbols.
    doubts : list of str
        Reasons not to trust the log-ratios where the rows of both samples are; those of the estimate are of tails too.
    """

    estimate: Estimate
    samples: TwoSamples
    regression: Route | None = None
    chosen: Route | None = None
    atoms: bool = False
    symbols: bool = False
    doubts: list[str] = field(default_factory=list)


def assisted_divergence(pair: SamplePair, options: Options) -> Estimate:
    """KL(p || q) of two samples in memory."""
    k = divergence_neighbors(pair, "common_radius", options.n_neighbors)
    return assisted_routes(pair, k, options.standard_error, options.steady_rng).estimate


def assisted_routes(pair: SamplePair, k: int, standard_error: bool, random_state: np.random.RandomState) -> Assisted:
    """The same, with the routes to it, for k neighbours and a generator that others may share."""
    dwelling, paired = dependence_reasons(pair), paired_reasons(pair)
    pair = in_order_of_values(pair)
    X, Y = pair.p.X, pair.q.X
    rng = np.random.default_rng(random_state.randint(2**31))
    atoms = has_atoms(X, rng) or has_atoms(Y, rng)
    symbols = atoms and are_symbols(X, Y)
    alone = symbols or _are_few(pair)
    # The ball around a symbol is that symbol wherever both samples have it: more neighbours would be other symbols.
    samples = TwoSamples(pair, 1 if symbols else k, standard_error, rng, usual=not (alone or atoms))
    with single_threaded_blas():  # the matrices are small, and our own threads have the cores
        plain = samples.plain
        if alone or not np.isfinite(plain):
            error = plain.standard_error if standard_error else float("nan")
            doubts = plain.diagnostics["reasons"] + ([] if symbols else _few_rows_reasons(pair))
            found = _labelled(plain, float(plain), error, doubts, {"route": "neighbors"})
            return Assisted(found, samples, atoms=atoms, symbols=symbols)
        lacking = lacking_in_columns(pair.p, pair.q)
        if lacking:
            found = _labelled(plain, float("inf"), 0.0, lacking, {"route": "atoms"})
            return Assisted(found, samples, atoms=atoms)
        learnt = RegressionRoute(samples)
        regression = learnt.only() if atoms else learnt.beside_others()
        if atoms:
            values, chosen = {"regression": regression.value, "neighbors": float(plain)}, regression
            value = regression.value
        else:
            value, chosen, values = _of_routes(samples, regression, learnt)
    spread = float(np.ptp(list(values.values())))
    error = _error(chosen, samples, spread) if standard_error else float("nan")
    # Ranks, on which the neighbour estimate may be, know equal rows and not near ones.
    shared = plain.diagnostics["shared_rows"] or (0 if atoms else near_copies(samples.learnt_in("scaled")))
    reasons: list[str] = []
    of_tail: list[str] = []
    if standard_error:
        reasons = dwelling + (shared_rows_reasons(pair, shared) or paired)
        reasons += _doubts(samples, chosen, regression)
        of_tail = _doubts_of_tail(samples, chosen, regression, values)
        missed = 0.0 if atoms else missed_beyond(samples, chosen.log_ratio)
        of_tail += missed_reasons(missed, error)
        error = float(np.hypot(error, missed))
        of_tail += _doubts_of_size(samples, chosen, regression, values, value, error)
    more = {"routes": values, "route": chosen.name, "common_radius": float(plain), "shared_rows": shared}
    estimate = _labelled(plain, value, error, reasons + of_tail, more)
    return Assisted(estimate, samples, regression, chosen, atoms, doubts=reasons)


def _are_few(pair: SamplePair) -> bool:
    """Whether either sample has too few rows for anything but neighbours."""
    most_asked = min(_FEWEST_OF_MANY_COLUMNS, 2 * pair.p.n_columns + 2)
    return min(pair.p.effective_size, pair.q.effective_size) < max(_FEWEST, most_asked)


def _few_rows_reasons(pair: SamplePair) -> list[str]:
    """The reason to trust little of very few rows, if they are."""
    if not _are_few(pair):
        return []
    p, q = pair.p.effective_size, pair.q.effective_size
    few = (
        f"{p:.3g} and {q:.3g} effective rows are few: an estimate by neighbours alone is usually too small, and neither its "
        "bias nor its error is well known."
    )
    return [OfBoth(few, "few rows")]


def _doubts_of_size(
    samples: TwoSamples, chosen: Route, regression: Route, values: dict[str, float], value: float, error: float
) -> list[str]:
    """Reasons not to trust the size of the estimate: what the rows show of a divergence has an end, and none is negative."""
    pair, reasons = samples.pair, []
    overlap = 2.0 * min(pair.p.effective_size, pair.q.effective_size) * min(chosen.loss, regression.loss)
    if overlap < _OVERLAP:
        reasons.append(
            f"p and q hardly overlap: only about {overlap:.0f} rows lie where both have rows, and {_EXTRAPOLATED}"
        )
    elif value > _NATS_OF_ROWS * np.log(pair.q.effective_size):
        reasons.append(
            f"The estimate is {value:.2g} nats, but {pair.q.n_rows} rows of q can show the decay of its density over "
            f"{np.log(pair.q.n_rows):.2g} nats at most: {_EXTRAPOLATED}"
        )
    part, column = samples.beyond_q
    if not reasons and part * (1.0 - chosen.trust) > _BEYOND:
        reasons.append(f"{part:.0%} of p lies beyond all values of q in column {column}: {_EXTRAPOLATED}")
    if chosen.ahead and values.get("mixtures", value) > value + 2.0 * error:
        reasons.append(
            f"Mixtures of normal distributions, which extrapolate beyond the rows, give {values['mixtures']:.2g} nats where a "
            f"regression gives {value:.2g}: the data do not show what the tail of p beyond q adds, so the estimate is best read "
            "as a lower bound."
        )
    return reasons + wide_reasons(pair) + negative_reasons(value, error)


def _of_routes(
    samples: TwoSamples, regression: Route, learnt: RegressionRoute
) -> tuple[float, Route, dict[str, float]]:
    """The estimate of samples without atoms, the log-ratio that was chosen, and what each route says."""
    near = regression.loss >= samples.nearest[2] - samples.lower
    if not near and np.isfinite(samples.normals.divergence):
        # No pair of normal distributions is near: mixtures of such may be, else the neighbours as they are stand in for it.
        mixtures = _mixtures(samples, regression)
        other = samples.nearest[2] if mixtures is None else mixtures.loss
        far_ahead = _ahead(samples, regression, other)[1] == 1.0
        if mixtures is not None:
            chosen, values = by_mixtures(samples, mixtures, only_mean=far_ahead)
            values = {"regression": regression.value} | values
            if np.isfinite(list(values.values())).all():
                if chosen.loss < regression.loss - samples.lower:
                    return chosen.value, chosen, values
                return _between(samples, chosen, regression, values, learnt)
        if far_ahead:  # what draws would say has no weight
            chosen = learnt.ahead(1.0)
            return chosen.value, chosen, {"regression": chosen.value, "neighbors": float(samples.plain)}
    chosen, values = by_normals(samples, near)
    values["regression"] = regression.value
    if not np.isfinite([chosen.error, *values.values()]).all():  # one sample is a point beside the other
        values = {"regression": regression.value, "neighbors": float(samples.plain)}
        return float(np.mean(list(values.values()))), regression, values
    if near:
        value, chosen = _weighed(samples, chosen, regression, values)
        return value, chosen, values
    return _between(samples, chosen, regression, values | {"neighbors": float(samples.plain)}, learnt)


def _ahead(samples: TwoSamples, regression: Route, other: float) -> tuple[float, float]:
    """How far a regression is ahead of what has another log-loss, and how far it is the estimate, from 0 to 1 each.

    It is not where neighbours see more than it does.
    """
    ahead = float(np.clip(0.5 * (other - regression.loss) / samples.lower, 0.0, 1.0))
    if ahead == 0.0:
        return 0.0, 0.0
    more = (float(samples.plain) - regression.value) / max(samples.error_of_plain, 1e-300)
    return ahead, ahead * float(np.clip((_TOO_MUCH - more) / (_TOO_MUCH - _MORE), 0.0, 1.0))


def _between(
    samples: TwoSamples, chosen: Route, regression: Route, values: dict[str, float], learnt: RegressionRoute
) -> tuple[float, Route, dict[str, float]]:
    """The median of the routes, or the regression as far as it is ahead of the other, and what tells P and Q apart better."""
    ahead, weight = _ahead(samples, regression, chosen.loss)
    unknown = left_open(samples, chosen, regression)
    if ahead > 0.5:
        chosen = learnt.ahead(weight)
        values = values | {"regression": chosen.value}
    median = float(np.median(list(values.values())))
    value = median + max(weight, unknown) * (values["regression"] - median)
    return value, replace(chosen, unknown=unknown), values


def _mixtures(samples: TwoSamples, regression: Route) -> Mixtures | None:
    """Mixtures that tell P and Q apart better than the nearest pair of normal distributions does.

    Of very many rows neighbours are near enough to do without mixtures that are second best.
    """
    second = samples.pair.p.n_rows + samples.pair.q.n_rows <= _MANY
    found = Mixtures.of(samples)
    return found if found and found.loss < (samples.nearest[2] if second else regression.loss) - samples.lower else None


def _weighed(samples: TwoSamples, chosen: Route, regression: Route, values: dict[str, float]) -> tuple[float, Route]:
    """The median of the routes, or the working distributions' own divergence as far as they are trusted.

    Where a regression tells P and Q apart as well, and is no farther away than neighbours may be biased, up to half of the
    estimate is its, and more where the distributions leave open how P goes on beyond Q; they are trusted less by as much.
    """
    median = float(np.median(list(values.values())))
    as_good = float(np.clip(1.0 - (regression.loss - chosen.loss) / samples.lower, 0.0, 1.0))
    away = (regression.value - median) ** 2 / (_AWAY**2 * chosen.noise) if chosen.noise else 0.0
    between = median + 0.5 * as_good / (1.0 + away) * (regression.value - median)
    value = chosen.trust * chosen.exact + (1.0 - chosen.trust) * between
    unknown = left_open(samples, chosen, regression)
    value += unknown * (regression.value - value)
    return value, replace(chosen, trust=(1.0 - unknown) * chosen.trust, unknown=unknown)


def are_symbols(X: FloatArray, Y: FloatArray) -> bool:
    """Whether both samples have few distinct rows: categories, for which the neighbour estimate is that of Zhang and Grabchak."""
    most = (len(X) + len(Y)) // _REPEATS
    if any(len(np.unique(column)) > most for column in X.T):
        return False
    return len(np.unique(np.concatenate([X, Y]), axis=0)) <= most


def has_atoms(X: FloatArray, rng: np.random.Generator) -> bool:
    """Whether a column has values that repeat: one often, or many.

    Of many rows some are looked at first: where half of all values repeat, 10 sqrt(n) rows have about 50 pairs of equal ones.
    """
    some = int(10.0 * np.sqrt(len(X)))
    if len(X) > _SCREENED:
        rows = X[rows_at_random(len(X), some, rng)]
        X = X[:, [len(np.unique(column)) < some for column in rows.T]]
    for column in X.T:
        ordered = np.sort(column)
        change = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        if len(change) - 1 < _DISTINCT * len(column) or np.diff(change).max() > max(_ATOM * len(column), 1.0):
            return True
    return False


def _error(chosen: Route, samples: TwoSamples, spread: float) -> float:
    """The larger of the influence function's, Var_p[r] / n + Var_q[exp r] / m, and the neighbours' own, and that of the choice.

    In many columns the error of the neighbours is larger on draws from the working pair than they say of themselves (rows that
    are neighbours of many others tie the terms together); six draws know that with a third of the weight. As far as working
    distributions are trusted the error is that of their divergence, and of what neighbours may have missed beyond it.
    """
    n, neighbors = samples.n, samples.plain.standard_error
    of_neighbors = max(neighbors**2, (2.0 * neighbors**2 + chosen.noise) / 3.0)
    at_p = samples.learnt.p.mean(chosen.log_ratio[:n])
    at_q = samples.learnt.q.mean(np.exp(np.minimum(chosen.log_ratio[n:], 12.0)))
    sizes = (min(side.effective_size, chosen.seen) for side in (samples.pair.p, samples.pair.q))
    of_p, of_q = (mean.variance() / size for mean, size in zip((at_p, at_q), sizes, strict=True))
    sampling = of_p + min(of_q, _OF_Q * of_neighbors)
    found = float(
        np.hypot(
            np.sqrt(max(sampling, of_neighbors)), max(_SPREAD * (1.0 - 0.5 * chosen.ahead), chosen.unknown) * spread
        )
    )
    trusted = float(np.hypot(chosen.error, _MISSED * np.sqrt(chosen.noise)))
    return chosen.trust * trusted + (1.0 - chosen.trust) * found


def _doubts(samples: TwoSamples, chosen: Route, regression: Route) -> list[str]:
    """Reasons not to trust the estimate where the rows of both samples are."""
    pair, plain = samples.pair, samples.plain
    reasons = [reason for reason in plain.diagnostics["reasons"] if ROUNDING in subjects_of([reason])]
    # Edges in the columns as they are: the neighbour estimate, which has looked too, may be in scores, where an edge is none.
    reasons += edge_reasons(pair) + few_effective_rows(pair.p, pair.q) + apart_reasons(samples.learnt_in("scaled"))
    if (
        pair.p.n_columns >= _BIASED_IN
        and chosen.noise > 0.0
        and chosen.beyond > max(_SEEN * np.sqrt(chosen.noise), _SEEN_PART * abs(chosen.value))
        and regression.value < 0.5 * chosen.beyond
    ):
        reasons.append(
            f"The nearest-neighbour estimate is {chosen.beyond:.2g} nats above that of normal distributions, "
            f"{chosen.beyond / np.sqrt(chosen.noise):.0f} times the excess expected by chance, and a regression does not "
            f"account for it either: neighbours in {pair.p.n_columns} columns miss part of such a difference, so the estimate "
            "is best read as a lower bound."
        )
    return reasons


def _doubts_of_tail(samples: TwoSamples, chosen: Route, regression: Route, values: dict[str, float]) -> list[str]:
    """Reasons not to trust the estimate: p goes on where there is no row of q."""
    neighbors = samples.plain.standard_error
    # Mixtures go on beyond the rows: where a regression is ahead of them, a tail that is not in the data makes theirs the larger.
    if chosen.name == "regression":
        odd = values.get("mixtures", np.inf) > values["regression"]
    else:
        odd = regression.loss < chosen.loss - 0.2 * samples.lower
    odd = odd and float(np.ptp(list(values.values()))) > 1.5 * neighbors
    unreached = samples.plain.diagnostics["unreached"]
    if (odd or chosen.name == "mixtures") and is_out_of_reach(unreached, neighbors, samples.pair.q):
        return [unreached_reason(unreached, samples.pair.q)]
    return []


def _labelled(plain: Estimate, value: float, error: float, reasons: list[str], more: dict[str, Any]) -> Estimate:
    """An estimate with the diagnostics of the neighbour estimate that it rests on."""
    diagnostics = dict(plain.diagnostics) | more | {"bias_suspected": bool(reasons), "reasons": reasons}
    return Estimate(value, error, plain.n_samples, "assisted", diagnostics)
