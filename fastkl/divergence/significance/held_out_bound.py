r"""How a lower bound of KL(P || Q) is found that holds at every sample size, whatever the tails.

For every function T, KL(P || Q) >= E_P T + 1 - E_Q exp T, with equality for the log-ratio of the densities (Nguyen, Wainwright
and Jordan 2010, doi:10.1109/TIT.2010.2068870, a linear form of the bound of Donsker and Varadhan). T is learnt from some rows
and clipped, so that T is bounded from below and exp T from above; the means are bounded by other rows, as `mean_bounds` does
it. Rows are used in turn: a log-ratio learnt from the first part is judged by the second, one learnt from both by the third,
and so on. Nothing is assumed of P and Q; a T that is learnt badly gives a low bound, not a wrong one.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted.learned_ratio import LearnedRatio, MixedRows
from fastkl.divergence.significance.mean_bounds import (
    FASTEST,
    Evidence,
    cost_of_square,
    evidence_of_difference,
    lower_end,
)

# Parts of the rows, of which the first is only learnt from; as many orders of the rows; and fewer rows than that in either sample
# say nothing.
_PARTS, _ORDERS, _FEWEST = 4, 2, 16
# Slopes that are taken, in units of the one that promises most.
_RATES = (0.7, 1.3)
# Ends at which log-ratios are clipped: quantiles of those of P, or below them all (where Q is elsewhere); and what they are
# multiplied by.
_SHARES_BELOW, _BELOW, _SHARES_ABOVE = (0.0, 0.02, 0.1), (2.0, 4.0, 6.0), (1.0, 0.99, 0.97, 0.9, 0.8)
_TEMPERS = (1.0, 0.7)
# Slopes that are tried, in units of the largest one.
_SLOPES = np.geomspace(0.02, 1.0, 16)
# Rows from which a log-ratio is learnt at most.
_MOST = 20_000


class Witness(NamedTuple):
    """A clipped function T: ``temper`` times the log-ratio, between ``low`` and ``high``, plus ``shift``.

    Attributes
    ----------
    mean : float
        Of T in P, by the rows learnt from; that of exp T in Q is 1 by the shift.
    slope : float
        The sum of rates that promises most.
    """

    temper: float
    low: float
    high: float
    shift: float
    mean: float
    slope: float

    def of(self, log_ratio: FloatArray) -> FloatArray:
        """T at rows with these log-ratios."""
        return np.clip(self.temper * log_ratio, self.low, self.high) + self.shift


def held_out_bound(P: MixedRows, Q: MixedRows, alpha: float, rng: np.random.RandomState) -> float:
    """A number that KL(P || Q) is below with probability ``alpha`` at most; -inf where there are too few rows."""
    if min(len(P), len(Q)) < _FEWEST:
        return -np.inf
    every: list[Evidence] = []
    with single_threaded_blas():
        for _ in range(_ORDERS):
            every += _in_order(P[rng.permutation(len(P))], Q[rng.permutation(len(Q))], alpha, rng)
    return 1.0 + lower_end(every, alpha)


def _in_order(P: MixedRows, Q: MixedRows, alpha: float, rng: np.random.RandomState) -> list[Evidence]:
    """What each part of the rows says by what the parts before it have taught, for each rate."""
    of_p, of_q = (np.linspace(0, len(rows), _PARTS + 1).astype(int) for rows in (P, Q))
    judged = (len(P) - of_p[1], len(Q) - of_q[1])
    totals = [Evidence(0.0, 0.0, 0.0)] * len(_RATES)
    for part in range(1, _PARTS):
        ratio = LearnedRatio(P[_learnt(of_p[part])], Q[_learnt(of_q[part])], rng)
        needed = float(np.log(len(_RATES) / alpha))
        found = [best_witness(*held_out, judged, needed) for held_out in ratio.held_out]
        which = int(np.argmax([promise for _, promise in found]))
        witness = found[which][0]
        first, last = slice(of_p[part], of_p[part + 1]), slice(of_q[part], of_q[part + 1])
        x, y = witness.of(ratio.at(P[first], which)), np.exp(witness.of(ratio.at(Q[last], which)))
        low, high = witness.low + witness.shift, float(np.exp(witness.high + witness.shift))
        for j, factor in enumerate(_RATES):
            slope = factor * witness.slope * len(x) / judged[0]
            totals[j] += evidence_of_difference(x, low, y, high, (witness.mean, 1.0), slope)
    return totals


def _learnt(n: int) -> slice:
    return slice(max(0, n - _MOST), n)


def best_witness(of_p: FloatArray, of_q: FloatArray, judged: tuple[int, int], needed: float) -> tuple[Witness, float]:
    """The clipped log-ratio and slope that promise the highest bound if further rows are like those learnt from; that bound."""
    best, promised = Witness(0.0, -1.0, 1.0, 0.0, 0.0, 1.0), -np.inf
    for temper in _TEMPERS:
        p, q = temper * of_p, temper * of_q
        lows = [*np.unique(np.quantile(p, _SHARES_BELOW)), *(p.min() - np.array(_BELOW))]
        for low, high in product(lows, np.unique(np.quantile(p, _SHARES_ABOVE))):
            if low < high:
                witness, promise = _promising(p, q, temper, (float(low), float(high)), judged, needed)
                if promise > promised:
                    best, promised = witness, promise
    return best, promised


def _promising(
    p: FloatArray, q: FloatArray, temper: float, ends: tuple[float, float], judged: tuple[int, int], needed: float
) -> tuple[Witness, float]:
    """A clipped log-ratio with its best slope, and the bound it promises."""
    low, high = ends
    x, y = np.clip(p, low, high), np.exp(np.clip(q, low, high))
    shift = -float(np.log(y.mean()))
    mean, above = float(x.mean()) + shift, float(np.exp(high + shift)) - 1.0
    # Few large terms say little of a variance: half a row more at the upper end has what may be there.
    spreads = float(x.var()), float(np.exp(2.0 * shift) * y.var()) + above**2 / (2.0 * len(q))
    ends_of = mean - low - shift, above
    limits = [FASTEST * size / end for size, end in zip(judged, ends_of, strict=True) if end > 0.0]
    if not limits:  # every row of p at the lower end and of q at the upper one: nothing to be learnt from it
        return Witness(temper, low, high, shift, mean, 1.0), -np.inf
    fastest = min(limits)
    slopes = fastest * _SLOPES
    costs = sum(
        size * spread * cost_of_square(slopes / size, end)
        for size, spread, end in zip(judged, spreads, ends_of, strict=True)
    )
    promises = mean - (needed + costs) / slopes
    at = int(np.argmax(promises))
    return Witness(temper, low, high, shift, mean, float(slopes[at])), float(promises[at])
