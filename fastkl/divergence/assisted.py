"""KL of two samples by nearest neighbours with the help of what usual distributions would give: the default estimate.

A neighbour estimate is biased where densities vary within its balls, mostly towards 0. Three corrections of it fail in different
places, and their median is the estimate (measured on 52 pairs of known divergence: ``benchmarks/league.py``):

* *The better of two pairs of normal distributions*, in the columns as they are (scaled) and in pooled normal scores, by held-out
  log-loss in telling rows of P and Q apart. Its exact divergence, plus what the neighbour estimate gives beyond its own mean on
  draws from the pair, shrunk where that is noise. Where a regression does better than both pairs, the neighbour estimate alone.
* *The neighbour estimate in normal scores*, less its mean on draws from the pair there, plus that pair's divergence.
* *A cross-fitted logistic regression* on squares, products, logarithms, tails and atoms: the mean log-odds of rows it has not
  seen.

Where a column has atoms no normal distribution stands for anything, and the regression is the estimate; rows that are symbols
have the neighbour estimate as it is, which on them is that of Zhang and Grabchak. All of it is free of units: multiplying or
shifting a column of both samples changes nothing. The standard error takes the influence function of the
log-ratio that was chosen, that of the neighbour estimate, and how far the three are apart. They also give the verdict: where the
regression tells P and Q apart better than both normal pairs and the three differ, none of them is to be trusted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.coordinates import normal_scores, scaled
from fastkl.divergence.diagnostics import few_effective_rows
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.ratio_regression import cross_fitted, regression_terms
from fastkl.divergence.samples import sample_divergence
from fastkl.divergence.working_laws import normal_pair

_FOLDS = 4
_LARGEST = 30.0
# Samples drawn from the working distributions, by the rows of both samples; fewer where neighbours have little bias.
_DRAWN = ((20_000, 6), (200_000, 3), (np.inf, 1))
# Fewer rows than this in either sample, or more in both, leave the regression without use.
_FEWEST, _MOST_FOR_REGRESSION = 20, 200_000
# A value that is this part of a column, or half of its values repeated, makes it one with atoms.
_ATOM, _DISTINCT = 0.05, 0.5
# Samples whose rows are repeated so often on average are symbols.
_REPEATS = 20
# How the distance of the three corrections enters the error, and when the log-loss of one log-ratio is really lower.
_SPREAD, _LOWER = 0.4, 0.005
# The part of the error that comes from Q is at most so many times the neighbours' whole: its weights have heavy tails.
_OF_Q = 2.0
# Routes so many nats apart, and by more than the estimate, with an error mostly from that, leave its size open.
_WIDE, _ERRORS_OF_SPREAD = 1.0, 2.0
# Rows of P beyond the reach of Q, beside those that chance puts there (about 1).
_UNREACHED = 5.0


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
    """

    value: float
    log_ratio: FloatArray
    loss: float
    noise: float = 0.0


def assisted_divergence(
    pair: SamplePair, k: int, standard_error: bool, random_state: np.random.RandomState
) -> Estimate:
    """KL(p || q) of two samples in memory."""
    n, m, X, Y = pair.p.n_rows, pair.q.n_rows, pair.p.X, pair.q.X
    masses = _masses(pair)
    scores = normal_scores(X, Y, masses)
    plain = sample_divergence(_as_pair(scores, pair), "common_radius", k, standard_error).estimate
    alone = min(pair.p.effective_size, pair.q.effective_size) < _FEWEST or are_symbols(X, Y)
    if alone or not np.isfinite(plain):
        return _labelled(
            plain, float(plain), plain.standard_error, plain.diagnostics["reasons"], {"route": "neighbors"}
        )
    fold = np.concatenate([np.arange(n) % _FOLDS, np.arange(m) % _FOLDS])
    for part in (fold[:n], fold[n:]):
        random_state.shuffle(part)
    atoms = has_atoms(X) or has_atoms(Y)
    with single_threaded_blas():  # the matrices are small, and our own threads have the cores
        regression = _by_regression(pair, scores, fold, masses) if n + m <= _MOST_FOR_REGRESSION else None
        if atoms and regression is not None:
            values, chosen, name = {"regression": regression.value, "neighbors": float(plain)}, regression, "regression"
            value = regression.value
        else:
            chosen, name, values = _by_normals(pair, scores, float(plain), k, fold, masses, random_state)
            if regression is not None:
                values["regression"] = regression.value
                if regression.loss < chosen.loss - _LOWER:
                    # No pair of normal distributions is near: the neighbours as they are stand in for it.
                    values["neighbors"] = float(plain)
                    del values["normal"]
            value = float(np.median(list(values.values())))
    spread = float(np.ptp(list(values.values())))
    error = _error(chosen, pair, plain.standard_error, spread) if standard_error else float("nan")
    reasons = [] if not standard_error else _doubts(pair, scores, plain, chosen, regression, spread, atoms)
    if standard_error and spread > max(_WIDE, abs(value)) and error > _ERRORS_OF_SPREAD * plain.standard_error:
        reasons.append(
            f"The routes to the estimate go from {min(values.values()):.2g} to {max(values.values()):.2g} nats, as they do "
            "where p and q hardly overlap: the size of the divergence is not in the data. kl_lower_bound says what is."
        )
    if standard_error and value < -3.0 * error:
        reasons.append(f"The estimate is negative by {-value / error:.1f} standard errors, which no divergence is.")
    return _labelled(plain, value, error, reasons, {"routes": values, "route": name, "common_radius": float(plain)})


def are_symbols(X: FloatArray, Y: FloatArray) -> bool:
    """Whether both samples have few distinct rows: categories, for which the neighbour estimate is that of Zhang and Grabchak."""
    most = (len(X) + len(Y)) // _REPEATS
    if any(len(np.unique(column)) > most for column in X.T):
        return False
    return len(np.unique(np.concatenate([X, Y]), axis=0)) <= most


def has_atoms(X: FloatArray) -> bool:
    """Whether a column has values that repeat: one often, or many."""
    for column in X.T:
        ordered = np.sort(column)
        change = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1], [True]]))
        if len(change) - 1 < _DISTINCT * len(column) or np.diff(change).max() > max(_ATOM * len(column), 1.0):
            return True
    return False


def _masses(pair: SamplePair) -> FloatArray | None:
    """Masses of the rows of P and then of Q, each adding up to the effective number of rows; None where all are 1."""
    if not (pair.p.weighted or pair.q.weighted):
        return None
    return np.concatenate(
        [
            np.ones(side.n_rows) if side.weights is None else side.weights * (side.effective_size / side.weight_sum)
            for side in (pair.p, pair.q)
        ]
    )


def _as_pair(both: Both, like: SamplePair) -> SamplePair:
    first, second = (Sample(X, s.weights, s.n_jobs) for X, s in zip(both, (like.p, like.q), strict=True))
    return SamplePair(first, second)


def _plain_value(both: Both, like: SamplePair, k: int) -> float:
    return float(sample_divergence(_as_pair(both, like), "common_radius", k, standard_error=False).estimate)


def _by_normals(
    pair: SamplePair,
    scores: Both,
    plain: float,
    k: int,
    fold: FloatArray,
    masses: FloatArray | None,
    rng: np.random.RandomState,
) -> tuple[Route, str, dict[str, float]]:
    """The better pair of normal distributions and where it is, and the values of the two routes that rest on such pairs."""
    spaces = {"scaled": scaled(pair.p.X, pair.q.X), "normal_scores": scores}
    ratios = {space: _held_out(both, fold, masses) for space, both in spaces.items()}
    losses = {space: _loss(ratio, pair) for space, ratio in ratios.items()}
    name = min(losses, key=lambda space: losses[space])
    exact, beyond, noise = _beyond_normals(scores, plain, pair, k, rng)
    corrected = exact + beyond
    if name == "scaled":
        found = _plain_value(spaces[name], pair, k)
        exact, beyond, noise = _beyond_normals(spaces[name], found, pair, k, rng)
    kept = beyond**2 / (beyond**2 + 2.0 * noise) if beyond else 0.0
    value = exact + kept * beyond
    return Route(value, ratios[name], losses[name], noise), name, {"normal": value, "corrected_neighbors": corrected}


def _beyond_normals(
    both: Both, found: float, pair: SamplePair, k: int, rng: np.random.RandomState
) -> tuple[float, float, float]:
    """KL of the working pair; what the neighbour estimate gives beyond its mean on draws from it; the variance on such draws."""
    n, m = len(both[0]), len(both[1])
    of_all = normal_pair(*both, (pair.p.weights, pair.q.weights))
    drawn = next(number for rows, number in _DRAWN if n + m <= rows)
    on_draws = [_plain_value((of_all.p.draw(n, rng), of_all.q.draw(m, rng)), pair, k) for _ in range(drawn)]
    noise = float(np.var(on_draws, ddof=1)) if drawn > 1 else 0.0
    return of_all.divergence, found - float(np.mean(on_draws)), noise


def _held_out(both: Both, fold: FloatArray, masses: FloatArray | None) -> FloatArray:
    """log p/q at the rows of both samples by normal distributions that have not seen them."""
    n, rows = len(both[0]), np.concatenate(both)
    log_ratio = np.empty(len(rows))
    for f in range(_FOLDS):
        held = fold == f
        in_p, in_q = ~held[:n], ~held[n:]
        learnt = (None, None) if masses is None else (masses[:n][in_p], masses[n:][in_q])
        log_ratio[held] = normal_pair(both[0][in_p], both[1][in_q], learnt).log_ratio(rows[held])
    return np.clip(log_ratio, -_LARGEST, _LARGEST)


def _by_regression(pair: SamplePair, scores: Both, fold: FloatArray, masses: FloatArray | None) -> Route:
    n, m = pair.p.n_rows, pair.q.n_rows
    terms = regression_terms(np.concatenate([pair.p.X, pair.q.X]).astype(np.float64), np.concatenate(scores))
    of_p = np.concatenate([np.ones(n), np.zeros(m)])
    log_ratio = cross_fitted(terms, of_p, fold, _FOLDS, masses=masses)
    return Route(pair.p.mean(log_ratio[:n]).value, log_ratio, _loss(log_ratio, pair))


def _loss(log_ratio: FloatArray, pair: SamplePair) -> float:
    """Mean log-loss with equal weights of both samples; log 2 where the ratios say nothing."""
    n = pair.p.n_rows
    of_p, of_q = np.logaddexp(0.0, -log_ratio[:n]), np.logaddexp(0.0, log_ratio[n:])
    return 0.5 * (pair.p.mean(of_p).value + pair.q.mean(of_q).value)


def _error(chosen: Route, pair: SamplePair, neighbors: float, spread: float) -> float:
    """The larger of the influence function's, Var_p[r] / n + Var_q[exp r] / m, and the neighbours' own, and that of the choice.

    In many columns the error of the neighbours is larger on draws from the working pair than they say of themselves (rows that
    are neighbours of many others tie the terms together); six draws know that with a third of the weight.
    """
    n, of_neighbors = pair.p.n_rows, max(neighbors**2, (2.0 * neighbors**2 + chosen.noise) / 3.0)
    at_p = pair.p.mean(chosen.log_ratio[:n])
    at_q = pair.q.mean(np.exp(np.minimum(chosen.log_ratio[n:], 12.0)))
    sampling = at_p.variance() / at_p.size + min(at_q.variance() / at_q.size, _OF_Q * of_neighbors)
    return float(np.hypot(np.sqrt(max(sampling, of_neighbors)), _SPREAD * spread))


def _doubts(
    pair: SamplePair,
    scores: Both,
    plain: Estimate,
    chosen: Route,
    regression: Route | None,
    spread: float,
    atoms: bool,
) -> list[str]:
    """Reasons not to trust the estimate: the routes disagree, and why."""
    reasons = [reason for reason in plain.diagnostics["reasons"] if "share rows" in reason or "rounded" in reason]
    reasons += few_effective_rows(pair.p, pair.q)
    neighbors = plain.standard_error
    # In one column neighbours are near enough to see the edges that a regression sees.
    apart = spread > (2.5 if pair.p.n_columns == 1 else 1.0) * neighbors
    if not atoms and regression is not None and regression.loss < chosen.loss - _LOWER and apart:
        reasons.append(
            f"A regression tells rows of p and q apart better than normal distributions do, and the routes to the estimate are "
            f"{spread:.2g} nats apart: none of them may be right."
        )
    if regression is not None and regression.loss < chosen.loss - 0.2 * _LOWER and spread > 1.5 * neighbors:
        beyond = unreached_rows(_as_pair(scores, pair))
        if beyond > _UNREACHED:
            reasons.append(
                f"The tail of p beyond the last row of q is not in the data ({beyond:.0f} rows of p are farther from q than any "
                f"row of q is from the others, where chance puts 1): the estimate is rather a lower bound."
            )
    return reasons


def unreached_rows(pair: SamplePair) -> float:
    """Rows of P farther from Q than any row of Q is from the rest of Q, in rows of Q: about 1 for equal distributions."""
    if pair.q.n_rows < 3:
        return 0.0
    farthest = max(float(slab.own.kth(1).max()) for slab in pair.reversed().slabs(0))
    beyond = sum(int(np.sum(slab.across.kth(1) > farthest)) for slab in pair.slabs(0))
    return beyond * pair.q.n_rows / pair.p.n_rows


def _labelled(plain: Estimate, value: float, error: float, reasons: list[str], more: dict[str, Any]) -> Estimate:
    """An estimate with the diagnostics of the neighbour estimate that it rests on."""
    diagnostics = dict(plain.diagnostics) | more | {"bias_suspected": bool(reasons), "reasons": reasons}
    return Estimate(value, error, plain.n_samples, "assisted", diagnostics)
