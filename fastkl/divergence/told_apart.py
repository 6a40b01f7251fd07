r"""What telling the rows of two samples apart says of their Jensen-Shannon divergence.

For every function r of a row, with s the share of p in the mixture (1/2), h(s) its entropy and o = log s/(1 - s),

.. math:: JS(p, q) \ge h(s) - s E_p \log(1 + e^{-o - r}) - (1 - s) E_q \log(1 + e^{o + r}) ,

with equality for r = log p/q (I. Goodfellow and others 2014, arXiv:1406.2661, section 4.1): the log-loss of whoever tells rows
apart is a bound. Here r is what a logistic regression makes of the log-ratios of pairs of normal distributions, of mixtures of
such, and of a regression, and of whether a row is beyond the ends of either sample. Neighbours smooth over columns that go
closely together, over many of them, and over edges, where these see well.

By fits without the row the log-loss is larger than that of the best r of their kind, and by fits on all rows it is smaller, by
half the number of their coefficients over that of the rows each (H. Akaike 1974): the bound is taken half-way, where in twenty
columns the first alone lacks an eighth of the divergence.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import entr, logit

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.assisted.default_estimate import has_atoms
from fastkl.divergence.assisted.ratio_regression import clipped, with_constant
from fastkl.divergence.assisted.ratio_routes import Mixtures
from fastkl.divergence.assisted.regression_route import RegressionRoute
from fastkl.divergence.assisted.renyi_samples import stacking
from fastkl.divergence.assisted.two_samples import FOLDS, Both, TwoSamples, in_order_of_values, rows_at, rows_at_random
from fastkl.divergence.assisted.working_laws import WorkingPair, normal_pair
from fastkl.divergence.nearest.edges import ends
from fastkl.divergence.nearest.neighbors import SamplePair

# Of more rows of a sample, so many are looked at; of fewer effective ones there is nothing to learn.
_MOST, _FEWEST = 10_000, 8


def jensen_shannon_bound(
    pair: SamplePair, random_state: np.random.RandomState, *, share: float
) -> tuple[float, float] | None:
    """A lower bound of the Jensen-Shannon divergence, but for chance, and its standard error; None of few rows.

    ``share`` says how large a part of the mixture is p. The same where p and q change places.
    """
    if min(pair.p.effective_size, pair.q.effective_size) < _FEWEST:
        return None
    seed = random_state.randint(2**31)
    both = in_order_of_values(SamplePair(_some(pair.p, seed), _some(pair.q, seed)))
    if _comes_second(both.p, both.q):  # whichever of the two is called p
        both, share = SamplePair(both.q, both.p), 1.0 - share
    samples = TwoSamples(both, 1, False, np.random.default_rng(seed), usual=True)
    with single_threaded_blas():
        held_out, in_sample = _log_ratios(samples)
        found = stacking(samples, held_out)
        of_held_out, error = _loss(samples, found.log_ratio(with_constant(np.column_stack(held_out))), share)
        of_in_sample, _ = _loss(samples, found.log_ratio(with_constant(np.column_stack(in_sample))), share)
    # Each log-ratio has a coefficient, which flatters the rows that it was learnt from (H. Akaike 1974,
    # doi:10.1109/TAC.1974.1100705).
    rows = share**2 / samples.learnt.p.effective_size + (1.0 - share) ** 2 / samples.learnt.q.effective_size
    of_held_out += min(0.5 * len(held_out) * rows, of_held_out)
    value = most_of_mixture(share) - 0.5 * (of_held_out + of_in_sample)
    return (value, error) if np.isfinite([value, error]).all() else None


def _log_ratios(samples: TwoSamples) -> tuple[list[FloatArray], list[FloatArray]]:
    """log p/q at the rows that are learnt from in several ways, by fits without them and by fits on all of them."""
    spaces, masses = samples.spaces.values(), samples.masses_where()
    held_out = list(samples.normal_ratios.values())
    in_sample = [_in_sample(both, normal_pair(*both, masses)) for both in spaces]
    regression = RegressionRoute(samples, by_ends=False)
    held_out.append(regression.log_ratio)
    in_sample.append(regression.in_sample)
    if not any(has_atoms(side.X, samples.rng) for side in (samples.learnt.p, samples.learnt.q)):
        mixtures = Mixtures.of(samples)
        if mixtures is not None:
            held_out.append(mixtures.log_ratio)
            in_sample.append(_in_sample(samples.spaces["scaled"], mixtures.working))
    beyond = _beyond_ends(samples)  # of the rows that set the ends none is
    return held_out + beyond, in_sample + beyond


def _in_sample(both: Both, working: WorkingPair[Any]) -> FloatArray:
    """log p/q at the rows of both by working distributions of all of them."""
    return clipped(working.log_ratio(np.concatenate(both)))


def _loss(samples: TwoSamples, log_ratio: FloatArray, share: float) -> tuple[float, float]:
    """Mean log-loss of telling the rows apart where p has a share of the mixture, and its standard error."""
    log_odds = log_ratio + logit(share)
    of_p = samples.learnt.p.mean(np.logaddexp(0.0, -log_odds[: samples.n]))
    of_q = samples.learnt.q.mean(np.logaddexp(0.0, log_odds[samples.n :]))
    loss = share * of_p.value + (1.0 - share) * of_q.value
    return loss, float(np.hypot(share * of_p.error, (1.0 - share) * of_q.error))


def _beyond_ends(samples: TwoSamples) -> list[FloatArray]:
    """For rows of both samples whether they are beyond the ends of either, where some are: an edge is no smooth term."""
    p, q = (side.X.astype(np.float64) for side in (samples.learnt.p, samples.learnt.q))
    rows, found = np.concatenate([p, q]), []
    for of, fold in ((p, samples.fold[: samples.n]), (q, samples.fold[samples.n :])):
        beyond = np.empty(len(rows))
        for f in range(FOLDS):
            low, high = ends(of[fold != f], of[fold != f])
            here = samples.fold == f
            beyond[here] = (np.less(rows[here], low) | np.greater(rows[here], high)).any(axis=1)
        if beyond.any():
            found.append(beyond)
    return found


def most_of_mixture(share: float) -> float:
    """The divergence of two distributions that are wholly apart, one of which has a share of the mixture: its entropy."""
    return float(entr(share) + entr(1.0 - share))


def _some(side: Sample, seed: int) -> Sample:
    if side.n_rows <= _MOST:
        return side
    return rows_at(side, rows_at_random(side.n_rows, _MOST, np.random.default_rng(seed)))


def _comes_second(p: Sample, q: Sample) -> bool:
    """Whether q comes before p: a sample of fewer rows, else of smaller values, comes first."""
    if p.n_rows != q.n_rows:
        return p.n_rows > q.n_rows
    first, second = p.X.ravel(), q.X.ravel()
    differ = np.flatnonzero(first != second)
    return bool(len(differ)) and bool(first[differ[0]] > second[differ[0]])
