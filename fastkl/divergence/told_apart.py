r"""What telling the rows of two samples apart says of their Jensen-Shannon divergence.

For every function r of a row, with s the share of p in the mixture (1/2), h(s) its entropy and o = log s/(1 - s),

.. math:: JS(p, q) \ge h(s) - s E_p \log(1 + e^{-o - r}) - (1 - s) E_q \log(1 + e^{o + r}) ,

with equality for r = log p/q (I. Goodfellow and others 2014, arXiv:1406.2661, section 4.1): the log-loss of whoever tells rows
apart is a bound. Here r is what a logistic regression makes of the log-ratios of pairs of normal distributions, of mixtures of
such, and of a regression, and of whether a row is beyond the ends of either sample, each by rows without it. Neighbours smooth
over columns that go closely together, over many of them, and over edges, where these see well.
"""

from __future__ import annotations

import numpy as np
from scipy.special import entr, logit

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.assisted.default_estimate import has_atoms
from fastkl.divergence.assisted.ratio_routes import Mixtures
from fastkl.divergence.assisted.regression_route import RegressionRoute
from fastkl.divergence.assisted.renyi_samples import stacked
from fastkl.divergence.assisted.two_samples import FOLDS, TwoSamples, in_order_of_values, rows_at, rows_at_random
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
        parts = [
            *samples.normal_ratios.values(),
            RegressionRoute(samples, by_ends=False).log_ratio,
            *_beyond_ends(samples),
        ]
        atoms = any(has_atoms(side.X, samples.rng) for side in (both.p, both.q))
        mixtures = None if atoms else Mixtures.of(samples)
        parts += [] if mixtures is None else [mixtures.log_ratio]
        log_ratio = stacked(samples, parts)
    log_odds = log_ratio + logit(share)
    of_p = samples.learnt.p.mean(np.logaddexp(0.0, -log_odds[: samples.n]))
    of_q = samples.learnt.q.mean(np.logaddexp(0.0, log_odds[samples.n :]))
    loss = share * of_p.value + (1.0 - share) * of_q.value
    # Each part has a coefficient, which flatters the rows that it was learnt from (H. Akaike 1974, doi:10.1109/TAC.1974.1100705).
    rows = share**2 / samples.learnt.p.effective_size + (1.0 - share) ** 2 / samples.learnt.q.effective_size
    value = most_of_mixture(share) - loss - min(0.5 * len(parts) * rows, loss)
    error = float(np.hypot(share * of_p.error, (1.0 - share) * of_q.error))
    return (value, error) if np.isfinite([value, error]).all() else None


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
