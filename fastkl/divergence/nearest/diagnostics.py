"""Doubts about a nearest-neighbour estimate, in words, from the searches already made.

Neighbour estimates assume that densities are nearly constant within a ball, that the samples are independent, and that
the divergence is far from the largest value the sample sizes can give. Each check looks at one of these; none needs a
search of all rows (rows shared by both samples, when there are some, ask for the repeats within Q; those out of the reach of Q
for a few of its rows).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl._core.warned import warn
from fastkl.divergence.arguments import FloatArray, Sample, Totals
from fastkl.divergence.estimate import OfBoth, is_below_zero
from fastkl.divergence.models.ratio_tails import HEAVY_TAIL, tail_index
from fastkl.divergence.nearest.column_doubts import column_reasons
from fastkl.divergence.nearest.edges import edge_reasons
from fastkl.divergence.nearest.neighbors import Neighbors, Pair, SamplePair, Slab
from fastkl.divergence.nearest.reach import FarthestRows
from fastkl.divergence.nearest.serial import paired_reasons
from fastkl.exceptions import SharedRowsWarning

MANY_COLUMNS = 10

# A ball is large when it holds more than this part of a sample, and more than four times the rows it was made to hold.
LARGE_BALL = 0.15
_LARGE_BALLS_TOLERATED = 0.1
# Rows of p out of the reach of q, beside those that chance puts there (about 1), and what they add in standard errors, at least.
_UNREACHED, _OF_ERROR = 5.0, 1.0
# What ties may add, as a part of their excess: measured on normal samples of 500 to 5000 rows in 1 to 5 columns.
_OF_TIES = 0.1
# A row is a copy of one that is nearer by so much than the next one, which chance does to a thousandth of rows at most. So large
# a part of them with a copy is not by chance; so many are looked at.
_NEARER, _COPIED, _LOOKED_AT = 1e-3, 0.1, 2000


class FixedKSweep:
    """Fixed-k terms for some k within reach of the searches, and equal rows; added slab by slab.

    Attributes
    ----------
    reach : int
        Neighbours that are known in both samples.
    numbers : list of int
        1, half of the reach, the reach; none with weights.
    zeros_own, zeros_across : int
        Rows of p that are equal to another row of p, and to a row of q.
    near_own, near_across : int
        Rows of p that are so much nearer to one row than to the next one that one may be a copy of the other.
    farthest : FarthestRows
        The rows of p that are farthest from q, where they are asked for.
    """

    def __init__(self, p: Totals, q: Totals, reach: int) -> None:
        self.reach = min(reach, p.n_rows - 1, q.n_rows)
        self.numbers = [] if p.weighted or q.weighted else sweep_numbers(self.reach)
        self.n_columns = p.n_columns
        self.constant = float(np.log(q.n_rows / (p.n_rows - 1.0)))
        self.zeros_own = self.zeros_across = 0
        self.near_own = self.near_across = 0
        self._means = [Mean() for _ in self.numbers]
        self._known: dict[int, FloatArray] = {}  # terms of the last slab
        self._change = Mean()
        self._radius = Mean()
        self.farthest = FarthestRows(p, q)

    def look(self, slab: Slab) -> None:
        """Count the equal rows and the copies of a slab alone."""
        self.zeros_own += int(np.count_nonzero(slab.own.kth(1) == 0.0))
        self.zeros_across += int(np.count_nonzero(slab.across.kth(1) == 0.0))
        if self.reach > 1 and self.numbers:
            self.near_own += _near_copies(slab.own)
            self.near_across += _near_copies(slab.across)

    def add(self, slab: Slab) -> None:
        """Add what the searches of a slab have found."""
        self.look(slab)
        self._radius += Mean.of(slab.own.kth(self.reach))
        self._known = {}
        if self.zeros_own or self.zeros_across:
            return
        self._known = {k: self._terms(slab, k) for k in self.numbers}
        terms = list(self._known.values())
        self._means = [mean + Mean.of(values) for mean, values in zip(self._means, terms, strict=True)]
        if len(terms) > 1:
            self._change += Mean.of(terms[-1] - terms[-2])

    def terms(self, slab: Slab, k: int) -> FloatArray | None:
        """Local terms of the slab that was added last; None where a distance was 0, or with weights."""
        if not self.numbers or self.zeros_own or self.zeros_across:
            return None
        return self._known[k] if k in self._known else self._terms(slab, k)

    def _terms(self, slab: Slab, k: int) -> FloatArray:
        with np.errstate(over="ignore"):  # of distances that are no normal numbers
            terms: FloatArray = slab.across.kth(k) / slab.own.kth(k)
            np.log(terms, out=terms)
        terms *= self.n_columns
        terms += self.constant
        return terms

    @property
    def radius(self) -> float:
        """Mean distance of a row of p to the last of its neighbours that are known."""
        return self._radius.value if self.reach else 0.0

    @property
    def values(self) -> dict[int, float]:
        """The fixed-k estimates; none where a distance is 0."""
        if self.zeros_own or self.zeros_across:
            return {}
        return {k: mean.value for k, mean in zip(self.numbers, self._means, strict=True)}

    def reasons(self, value: float, error: float) -> tuple[list[str], float]:
        """Whether they drift with k, and the bias that this implies."""
        return drift_reasons(list(self.values), self._change, self.n_columns, value, error)


FEW_EFFECTIVE = 10.0  # rows by their weights, of more than twice as many
# Weights that leave so small a part of the rows, with such a tail, have their largest ones beyond the sample.
_FEW_OF_ROWS, _HEAVY_OF_FEW = 0.1, 0.4
# So many standard deviations are the heaviest rows from where others are, if weights have to do with values.
_ELSEWHERE = 5.0


def divergence_diagnostics(
    pair: Pair, sweep: FixedKSweep, gap: Mean, large: float, value: float, error: float, k: int
) -> dict[str, Any]:
    """Diagnostics of a sample-sample divergence: numbers, ``bias_suspected`` and ``reasons``.

    ``gap`` holds the local terms less those of fixed k; ``large`` is the part of p around whose rows the ball is a large part
    of p.
    """
    shared = shared_rows(pair, sweep)
    reasons = shared_rows_reasons(pair, shared) or (paired_reasons(pair) if isinstance(pair, SamplePair) else [])
    reasons += column_reasons(pair, sweep.radius) + edge_reasons(pair) + many_columns(pair.p)
    reasons += few_effective_rows(pair.p, pair.q)
    drifts, bias = sweep.reasons(value, error)
    reasons += drifts
    between = gap.value if gap.weight and sweep.values else 0.0
    if between and gap_is_large(gap, value, error):
        reasons.append(
            f"The estimate differs by {between:+.2g} nats from the fixed-k estimate for the same {k} neighbours: the densities "
            "vary within the balls, and one of the two is biased by about that much."
        )
    ceiling = float(digamma(pair.q.n_rows + 1) - digamma(k))
    if value > 0.7 * ceiling:
        reasons.append(
            f"The estimate {value:.3g} is near {ceiling:.3g}, the largest value that {pair.q.n_rows} rows of q can give: "
            f"the divergence may be much larger."
        )
    reasons += negative_reasons(value, error)
    unreached = sweep.farthest.unreached(pair.q) if isinstance(pair, SamplePair) and sweep.reach else 0.0
    if is_out_of_reach(unreached, error, pair.q):
        reasons.append(unreached_reason(unreached, pair.q))
    if large > _LARGE_BALLS_TOLERATED:
        reasons.append(
            f"For {large:.0%} of the rows of p, the ball around the row that reaches {k} rows of q holds more than "
            f"{LARGE_BALL:.0%} of p: q has hardly any rows where p is, and the estimate is probably too small."
        )
    return {
        "reasons": reasons,
        "n_neighbors": k,
        "k_sweep": sweep.values,
        "k_sweep_bias": bias,
        "fixed_k_gap": between,
        "saturation": value / ceiling,
        "shared_rows": shared,
        "large_balls": large,
        "unreached": unreached,
    }


def is_out_of_reach(unreached: float, error: float, q: Totals) -> bool:
    """Whether more rows of p than chance puts there are out of the reach of q, and what they may add is much beside the error.

    A part a of p and b of q that no log-ratio knows of may add a log(a / b); chance puts about one row of q there.
    """
    return bool(unreached > _UNREACHED and unreached * np.log(unreached) > _OF_ERROR * error * q.effective_size)


def unreached_reason(unreached: float, q: Totals) -> str:
    """Why an estimate is rather a lower bound, where so many rows of p, for as many as q has, are out of the reach of q."""
    percent = 100.0 * unreached / q.effective_size
    return (
        f"The data do not show the tail of p beyond the last row of q (at least {percent:.2g} % of p is farther from q than any "
        f"row of q is from the others, {unreached:.0f} times as much as expected by chance): the estimate is best read as a "
        "lower bound."
    )


def negative_reasons(value: float, error: float, what: str = "divergence") -> list[str]:
    """The reason not to trust an estimate that is below 0 by more than chance."""
    if not is_below_zero(value, error):
        return []
    return [f"The estimate is negative by {-value / error:.1f} standard errors, although no {what} is negative."]


def ties_reasons(excess: float, error: float, pair: Pair) -> list[str]:
    """The reason not to trust counts on a lattice, where what rows at equal distances add does not cancel between the samples."""
    if not abs(excess) * _OF_TIES > error:
        return []
    n, m = pair.p.n_rows, pair.q.n_rows
    return [
        "Values are rounded, so that rows have several others at the same distance, and what these add does not cancel between "
        f"samples of {n} and {m} rows: the estimate may be off by more than its standard error. The default method of "
        "fastkl.kl_divergence, or samples of about equal size, do not have that."
    ]


def many_columns(sample: Totals) -> list[str]:
    """The reason to expect a bias in many columns, whatever the data."""
    d, n = sample.n_columns, sample.n_rows
    if d < MANY_COLUMNS:
        return []
    return [
        OfBoth(
            f"{d} columns: nearest-neighbour estimates are biased beyond about {MANY_COLUMNS} columns, where {n} rows do not "
            "fill the space.",
            "many columns",
        )
    ]


def few_effective_rows(*samples: Totals) -> list[str]:
    """The reasons to trust nothing where weights leave next to no rows, or fall off so slowly that heavier rows are missing.

    Importance weights far off their target do both.
    """
    reasons = []
    for sample in samples:
        if not sample.weighted:
            continue
        size, n = sample.effective_size, sample.n_rows
        left = f"The weights of a sample of {n} rows leave it with {size:.2g} effective rows"
        if size < FEW_EFFECTIVE < 0.5 * n:
            reasons.append(f"{left}, too few for its neighbours and for the standard error.")
        elif isinstance(sample, Sample) and sample.weights is not None:
            tail = tail_index(sample.weights)
            heavy = tail > HEAVY_TAIL or (tail > _HEAVY_OF_FEW and size < _FEW_OF_ROWS * n)
            if heavy and _follow_values(sample.weights, sample.X):
                reasons.append(
                    f"{left}, and the largest have a Pareto tail of index {tail:.2f}: rows that would have larger weights are "
                    "missing from it, and neither the estimate nor its error can be trusted."
                )
    return reasons


def _follow_values(weights: FloatArray, X: NDArray[Any]) -> bool:
    """Whether the heaviest rows are elsewhere than others in some column: by their ranks, and how far from the middle."""
    n = len(weights)
    count = min(max(n // 20, 20), n)
    heaviest = np.argpartition(weights, n - count)[n - count :]
    for column in X.T:
        rank = np.searchsorted(np.sort(column), column[heaviest]) / n - 0.5
        far = np.square(rank)
        # of uniform ranks these have variances 1/12 and 1/180
        off = max(abs(rank.mean()) * np.sqrt(12.0), abs(far.mean() - 1.0 / 12.0) * np.sqrt(180.0))
        if off * np.sqrt(count) > _ELSEWHERE:
            return True
    return False


def shared_rows(pair: Pair, sweep: FixedKSweep) -> int:
    """Rows of p that are rows of q too, if these are more than repeats within each sample explain; else 0.

    Rounded or categorical values meet by chance: about ``sqrt(a b)`` shared rows belong to ``a`` and ``b`` repeats
    within the samples. Copies that were rounded, or stored in single precision, are shared rows too.
    """
    found = sweep.zeros_across
    if found <= 2 + 2 * sweep.zeros_own:
        return sweep.near_across if are_copies(sweep.near_across, sweep.near_own, pair.p.n_rows) else 0
    return found if found > 2 + 3.0 * np.sqrt((sweep.zeros_own + 1.0) * (pair.repeats_in_q() + 1.0)) else 0


def are_copies(across: int, own: int, rows: int) -> bool:
    """Whether rows of p have near copies in q, more of them than chance or noise on values that repeat puts there."""
    return across > 5 + 3 * own + _COPIED * rows


def near_copies(pair: SamplePair) -> int:
    """Rows of p that have a near copy in q, if these are more than chance puts there; else 0. Of many rows some are looked at."""
    if min(pair.p.n_rows - 1, pair.q.n_rows) < 2:
        return 0
    across = own = rows = 0
    for slab in pair.slabs(2):
        across, own, rows = across + _near_copies(slab.across), own + _near_copies(slab.own), rows + slab.n_rows
        if rows > _LOOKED_AT:
            break
    return across if are_copies(across, own, rows) else 0


def _near_copies(neighbors: Neighbors) -> int:
    first = neighbors.kth(1)
    return int(np.count_nonzero((first > 0.0) & (first < _NEARER * neighbors.kth(2))))


def shared_rows_reasons(pair: Pair, shared: int) -> list[str]:
    """What shared rows do to an estimate."""
    if not shared:
        return []
    return [
        OfBoth(
            f"{shared} of {pair.p.n_rows} rows of p are also rows of q, or nearly so, although values hardly repeat within a "
            "sample: the samples seem to share rows, which makes the estimate meaningless.",
            "shared rows",
        )
    ]


def warn_of_shared_rows(shared: int) -> None:
    """Say it aloud, at the line that called this library: an estimate from samples that share rows is meaningless."""
    if shared:
        warn(
            f"{shared} rows are shared by p and q, or nearly so, although values hardly repeat within a sample; the estimate has "
            f"no meaning for samples that are not independent. Was a sample compared with (a part of) itself?",
            SharedRowsWarning,
        )


def sweep_numbers(reach: int) -> list[int]:
    """The numbers of neighbours that are compared: 1, half of the largest known, the largest."""
    return sorted({1, (reach + 1) // 2, reach}) if reach else []


def drift_reasons(
    numbers: list[int], change: Mean, n_columns: int, value: float, error: float, expected: float = 0.0
) -> tuple[list[str], float]:
    """Whether the fixed-k estimates drift with k beyond their noise, and the bias at half the largest k that this implies.

    ``change`` holds the steps of the local terms from the last but one of ``numbers`` to the last, ``expected`` their mean where
    the estimate has no bias.
    In practice (edges, tails) the bias grows about as (k/n)^(1/d), so the step from k to 2k is about its size at k.
    """
    if len(numbers) < 2:
        return [], 0.0
    half, largest = numbers[-2:]
    # Neighbouring rows share their noise: that about doubles the variance of a plain mean.
    noise = float(np.sqrt(2.0 * change.variance(np.inf) / change.weight))
    drift = change.value - expected
    bias = drift / float((largest / half) ** (1.0 / n_columns) - 1.0)
    if abs(drift) <= 3.0 * noise or abs(bias) <= max(0.05 + 0.05 * abs(value), 0.5 * error):
        return [], bias
    return [
        f"The fixed-k estimate moves by {drift:+.2g} nats from {half} to {largest} neighbours: the densities vary within the "
        f"balls, and a bias of about {bias:+.1g} nats is likely."
    ], bias


def gap_is_large(gap: Mean, value: float, error: float) -> bool:
    """Whether two estimates with different biases differ by more than noise, the standard error and what is worth a word."""
    noise = float(np.sqrt(2.0 * gap.variance(np.inf) / gap.weight))
    return abs(gap.value) > max(3.0 * noise, error, 0.02 + 0.02 * abs(value))


def large_ball(p: Totals, k: int) -> float:
    """More than so many rows of p are a large part of it, for a ball that was made to hold k; inf in small samples."""
    rows_p = p.effective_size - 1.0
    return float("inf") if rows_p <= 8.0 * k else max(LARGE_BALL * rows_p, 4.0 * k)
