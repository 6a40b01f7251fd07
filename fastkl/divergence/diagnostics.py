"""Doubts about a nearest-neighbour estimate, in words, from the searches already made.

Neighbour estimates assume that densities are nearly constant within a ball, that the samples are independent, and that
the divergence is far from the largest value the sample sizes can give. Each check looks at one of these; none needs a
search of its own (only rows shared by both samples, when there are some, ask for the repeats within Q).
"""

import warnings
from typing import Any

import numpy as np
from scipy.special import digamma

from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.neighbors import LocalTerms, SamplePair
from fastkl.exceptions import SharedRowsWarning

MANY_COLUMNS = 10

# A ball is large when it holds more than this part of a sample, and more than four times the rows it was made to hold.
_LARGE_BALL = 0.15
_LARGE_BALLS_TOLERATED = 0.1


def divergence_doubts(pair: SamplePair, terms: LocalTerms, value: float, error: float, k: int) -> dict[str, Any]:
    """Diagnostics of a sample-sample divergence: figures, ``bias_suspected`` and ``reasons``."""
    reasons: list[str] = []
    shared = shared_rows(pair)
    if shared:
        reasons.append(
            f"{shared} of {pair.p.n_rows} rows of p are also rows of q although values hardly repeat within a sample: the "
            f"samples seem to share rows, and the estimate has no meaning then."
        )
    reasons += many_columns(pair.p)
    sweep = fixed_neighbor_sweep(pair)
    drifts, bias = sweep_doubts(sweep, pair.p.n_columns, value, error)
    reasons += drifts
    ceiling = float(digamma(pair.q.n_rows + 1) - digamma(k))
    if value > 0.7 * ceiling:
        reasons.append(
            f"The estimate {value:.3g} is near {ceiling:.3g}, the largest value that {pair.q.n_rows} rows of q can give: "
            f"the divergence may be much larger."
        )
    if value < -3.0 * error:
        reasons.append(f"The estimate is negative by {-value / error:.1f} standard errors, which no divergence is.")
    large = _large_balls(pair, terms, k)
    if large > _LARGE_BALLS_TOLERATED:
        reasons.append(
            f"Around {large:.0%} of the rows of p the ball that reaches {k} rows of q holds more than {_LARGE_BALL:.0%} of p: "
            f"q is hardly sampled where p is, and the estimate is likely too small."
        )
    return {
        "bias_suspected": bool(reasons),
        "reasons": reasons,
        "n_neighbors": k,
        "k_sweep": {number: float(local.mean()) for number, local in sweep.items()},
        "k_sweep_bias": bias,
        "saturation": value / ceiling,
        "shared_rows": shared,
        "large_balls": large,
    }


def many_columns(sample: Sample) -> list[str]:
    """The doubt that comes with many columns, whatever the data."""
    d, n = sample.n_columns, sample.n_rows
    if d < MANY_COLUMNS:
        return []
    return [
        f"{d} columns: nearest-neighbour estimates are biased beyond about {MANY_COLUMNS} columns, where {n} rows do not fill "
        f"the space."
    ]


def shared_rows(pair: SamplePair) -> int:
    """Rows of p that are rows of q too, if these are more than repeats within each sample explain; else 0.

    Rounded or categorical values meet by chance: about ``sqrt(a b)`` shared rows belong to ``a`` and ``b`` repeats
    within the samples.
    """
    found = int(np.sum(pair.across.kth(1) == 0.0))
    if found <= 2:
        return 0
    repeats_p = int(np.sum(pair.own.kth(1) == 0.0))
    if found <= 2 + 2 * repeats_p:
        return 0
    repeats_q = int(np.sum(pair.reversed().own.kth(1) == 0.0))
    return found if found > 2 + 3.0 * np.sqrt((repeats_p + 1.0) * (repeats_q + 1.0)) else 0


def warn_of_shared_rows(shared: int, stacklevel: int) -> None:
    """Say it aloud: an estimate from samples that share rows is meaningless."""
    if shared:
        warnings.warn(
            f"{shared} rows are shared by p and q although values hardly repeat within a sample; the estimate has no meaning "
            f"for samples that are not independent. Was a sample compared with (a part of) itself?",
            SharedRowsWarning,
            stacklevel=stacklevel,
        )


def sweep_numbers(reach: int) -> list[int]:
    """The numbers of neighbours that are compared: 1, half of the largest known, the largest."""
    return sorted({1, (reach + 1) // 2, reach}) if reach else []


def fixed_neighbor_sweep(pair: SamplePair) -> dict[int, FloatArray]:
    """Local fixed-k terms for some k within reach of the searches; none with zero distances or weights."""
    if pair.p.weights is not None or pair.q.weights is not None or not pair.reach:
        return {}
    if (pair.own.kth(1) == 0.0).any() or (pair.across.kth(1) == 0.0).any():
        return {}
    constant, d = np.log(pair.q.n_rows / (pair.p.n_rows - 1.0)), pair.p.n_columns
    return {k: d * np.log(pair.across.kth(k) / pair.own.kth(k)) + constant for k in sweep_numbers(pair.reach)}


def sweep_doubts(sweep: dict[int, FloatArray], n_columns: int, value: float, error: float) -> tuple[list[str], float]:
    """Whether the fixed-k estimates drift with k beyond their noise, and the bias at half the largest k that this implies.

    In practice (edges, tails) the bias grows about as (k/n)^(1/d), so the step from k to 2k tells its size at k.
    """
    if len(sweep) < 2:
        return [], 0.0
    half, largest = list(sweep)[-2:]
    change = sweep[largest] - sweep[half]
    # Neighbouring rows share their noise: that about doubles the variance of a plain mean.
    noise = float(np.sqrt(2.0 * change.var() / len(change)))
    drift = float(change.mean())
    bias = drift / float((largest / half) ** (1.0 / n_columns) - 1.0)
    if abs(drift) <= 3.0 * noise or abs(bias) <= max(0.05 + 0.05 * abs(value), 0.5 * error):
        return [], bias
    return [
        f"The fixed-k estimate moves by {drift:+.2g} nats from {half} to {largest} neighbours: the densities vary within the "
        f"balls, and a bias of about {bias:+.1g} nats is likely."
    ], bias


def _large_balls(pair: SamplePair, terms: LocalTerms, k: int) -> float:
    """The part of p around whose rows the ball is a large part of p."""
    rows_p = pair.p.effective_size - 1.0
    if rows_p <= 8.0 * k:
        return 0.0
    return pair.p.mean((terms.n_p > max(_LARGE_BALL * rows_p, 4.0 * k)).astype(np.float64))
