"""Symmetric relatives of the Kullback-Leibler divergence: Jeffreys and Jensen-Shannon, from the same trees and balls.

For Jensen-Shannon the mixture needs no sample of its own. Around a row of p the common ball holds l other rows of P and k of
Q; with N = l + k and pi = (n - 1)/(n - 1 + m) the pooled sample gives log of the mixture as

    psi(N) - psi(n + m) + log v,      v = f / (2 pi) + (1 - f) / (2 (1 - pi)),

where f estimates the share of P in the ball without the row that set the radius. With n = m, v is 1 and the estimate has no
bias under p = q; else the curvature of the logarithm is corrected by its second-order term.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import digamma

from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.assisted import assisted_divergence
from fastkl.divergence.column_doubts import column_reasons
from fastkl.divergence.coordinates import free_of_units
from fastkl.divergence.diagnostics import (
    LARGE_BALL,
    NeighborSweep,
    few_effective_rows,
    many_columns,
    shared_rows,
    shared_rows_reasons,
    warn_of_shared_rows,
)
from fastkl.divergence.estimate import EXACT, Estimate
from fastkl.divergence.local_terms import BallMasses, Method, mixture_balls
from fastkl.divergence.model_pair import model_divergence, model_jensen_shannon
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.operands import (
    WITH_A_SAMPLE,
    ModelOperand,
    Operand,
    Rules,
    operands,
    sample_pair,
)
from fastkl.divergence.options import Options, one_seed
from fastkl.divergence.samples import check_method, divergence_neighbors, sample_divergence

# Above this share of rows whose balls reach far out for the other sample, the two are mostly apart.
_MOSTLY_APART = 0.5


def jeffreys(
    p: Any,
    q: Any,
    *,
    method: str = "assisted",
    coordinates: str | None = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Jeffreys divergence :math:`KL(p \| q) + KL(q \| p)`, in nats.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density. With one model, rows drawn from it take its place.
    method : {"assisted", "common_radius", "knn", "bias_reduced"}, default="assisted"
        As in `kl_divergence`, for both directions.
    coordinates : {"auto", "scaled", "normal_scores"} or None, default="auto"
        In which two samples are compared, for the methods that search in them as they are. "auto" is "scaled": columns over
        their quartile range in both samples together, so that no unit matters; None takes the columns as they are.
    n_neighbors : int, default=None
        As in `kl_divergence`.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample.
    standard_error : bool, default=True
        Whether to compute it.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model.
    rng : int, Generator or None, default=None
        In place of ``random_state``, as numpy and scipy name it; a number is that of `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads.
    n_draws : int, default=None
        Draws from a model.

    Returns
    -------
    Estimate
        ``diagnostics["forward"]`` and ``["backward"]`` hold both divergences. The error of "assisted" is the sum of theirs, which
        it cannot exceed: both go by the same rows.

    References
    ----------
    Jeffreys, H. (1946). An invariant form for the prior probability in estimation problems. Proceedings of the Royal Society A
    186, 453-461. doi:10.1098/rspa.1946.0056.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import jeffreys
    >>> rng = np.random.default_rng(0)
    >>> estimate = jeffreys(rng.normal(0, 1, 1000), rng.normal(1, 1, 1000))
    >>> abs(estimate - 1.0) < 3 * estimate.standard_error
    True
    """
    options = Options(
        method if method == "assisted" else check_method(method, also="assisted"),
        n_neighbors,
        standard_error,
        n_draws,
        random_state=one_seed(random_state, rng),
        coordinates=coordinates,
    )
    both = operands(
        p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_jeffreys or fastkl.discrete_kl"
    )
    return _JEFFREYS(*both, options=options)


def _jeffreys_of_samples(p: Operand, q: Operand, options: Options) -> Estimate:
    """Two samples, or draws in place of one."""
    pair = sample_pair(p, q, options)
    return _assisted_jeffreys(pair, options) if options.method == "assisted" else jeffreys_of_pair(pair, options)


def _assisted_jeffreys(pair: SamplePair, options: Options) -> Estimate:
    """The default estimates of both directions."""
    rng = options.steady_rng
    k = _neighbors_both_ways(pair, "common_radius", options.n_neighbors)
    # Either direction as kl_divergence has it, from one seed: so the two arguments can change places.
    forward, backward = (
        assisted_divergence(one, k, options.standard_error, generator)
        for one, generator in ((pair, copy.deepcopy(rng)), (pair.reversed(), rng))
    )
    warn_of_shared_rows(forward.diagnostics.get("shared_rows", 0))
    return _sum_of_directions(forward, backward, forward.standard_error + backward.standard_error)


def jeffreys_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """Of two samples in memory."""
    pair, method = free_of_units(pair, options.coordinates), check_method(options.method)
    back = pair.reversed()
    k = _neighbors_both_ways(pair, method, options.n_neighbors)
    forward, part_p = sample_divergence(pair, method, k, options.standard_error, symmetric=True)
    backward, part_q = sample_divergence(back, method, k, options.standard_error, symmetric=True)
    warn_of_shared_rows(forward.diagnostics.get("shared_rows", 0))
    error = float(np.sqrt(part_p + part_q)) if options.standard_error else float("nan")
    return _sum_of_directions(forward, backward, error)


def _neighbors_both_ways(pair: SamplePair, method: Method, n_neighbors: int | None) -> int:
    """The number of neighbours, which both directions must have; by default as many as the smaller sample allows."""
    return min(divergence_neighbors(one, method, n_neighbors) for one in (pair, pair.reversed()))


def _jeffreys_of_models(p: ModelOperand, q: ModelOperand, options: Options) -> Estimate:
    """Two models."""
    forward, backward = (
        model_divergence(one.model, other.model, options.n_draws, options.rng) for one, other in ((p, q), (q, p))
    )
    return _sum_of_directions(forward, backward, float(np.hypot(forward.standard_error, backward.standard_error)))


_JEFFREYS: Rules[Estimate] = Rules(
    {**dict.fromkeys(WITH_A_SAMPLE, _jeffreys_of_samples), (ModelOperand, ModelOperand): _jeffreys_of_models}
)


def _sum_of_directions(forward: Estimate, backward: Estimate, error: float) -> Estimate:
    """Both directions as one estimate, which is exact only if both are."""
    reasons = dict.fromkeys([*forward.diagnostics["reasons"], *backward.diagnostics["reasons"]])
    diagnostics = {
        "bias_suspected": forward.diagnostics["bias_suspected"] or backward.diagnostics["bias_suspected"],
        "reasons": list(reasons),
        "forward": float(forward),
        "backward": float(backward),
    }
    how = backward if forward.method == EXACT else forward
    return Estimate(float(forward) + float(backward), error, how.n_samples, how.method, diagnostics)


def jensen_shannon(
    p: Any,
    q: Any,
    *,
    coordinates: str | None = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Jensen-Shannon divergence :math:`\frac12 KL(p \| \frac{p+q}2) + \frac12 KL(q \| \frac{p+q}2)`, in nats.

    It lies between 0 and log 2 (an estimate may fall outside a little) and exists for any two distributions.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density. With one model, rows drawn from it take its place.
    coordinates : {"auto", "scaled", "normal_scores"} or None, default="auto"
        In which two samples are compared. "auto" is "scaled": columns over their quartile range in both samples together, so
        that no unit matters; None takes the columns as they are.
    n_neighbors : int, default=None
        Rows of each sample that the common ball around a row reaches; by default 5, and more of weighted rows.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample.
    standard_error : bool, default=True
        Whether to compute it.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model.
    rng : int, Generator or None, default=None
        In place of ``random_state``, as numpy and scipy name it; a number is that of `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads.
    n_draws : int, default=None
        Draws from a model.

    Returns
    -------
    Estimate
        The two distributions have the same weight, whatever the sizes of the samples. The error of samples that hardly overlap
        reaches to log 2; ``diagnostics["large_balls"]`` is the part of the rows for which the other sample is far.

    References
    ----------
    Lin, J. (1991). Divergence measures based on the Shannon entropy. IEEE Transactions on Information Theory 37, 145-151.
    doi:10.1109/18.61115.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import jensen_shannon
    >>> rng = np.random.default_rng(0)
    >>> estimate = jensen_shannon(rng.normal(0, 1, 1000), rng.normal(0, 1, 500))
    >>> abs(estimate) < 0.03
    True
    """
    options = Options(
        "common_radius",
        n_neighbors,
        standard_error,
        n_draws,
        random_state=one_seed(random_state, rng),
        coordinates=coordinates,
    )
    both = operands(
        p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_jensen_shannon or fastkl.discrete_kl"
    )
    return _JENSEN_SHANNON(*both, options=options)


def _jensen_shannon_of_models(p: ModelOperand, q: ModelOperand, options: Options) -> Estimate:
    """Two models."""
    return model_jensen_shannon(p.model, q.model, options.n_draws, options.rng)


def _jensen_shannon_of_samples(p: Operand, q: Operand, options: Options) -> Estimate:
    """Two samples, or draws in place of one."""
    return jensen_shannon_of_pair(sample_pair(p, q, options), options)


def jensen_shannon_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """Of two samples in memory."""
    pair = free_of_units(pair, options.coordinates)
    k = _mixture_neighbors(pair, options.n_neighbors)
    sweep = NeighborSweep(pair.p, pair.q, min(k, 2))
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
    reasons += few_effective_rows(pair.p, pair.q) + _beyond_range(total, error, large, k)
    diagnostics = {
        "bias_suspected": bool(reasons),
        "reasons": reasons,
        "n_neighbors": k,
        "shared_rows": shared,
        "large_balls": large,
    }
    size = (pair.p.n_rows, pair.q.n_rows)
    return Estimate(total, error if options.standard_error else float("nan"), size, "common_radius", diagnostics)


def _mixture_neighbors(pair: SamplePair, n_neighbors: int | None) -> int:
    """The number of neighbours; by default weighted samples have as many as hold the usual number of effective rows.

    A sum of few heavy weights says little of the mass in a ball, and its logarithm is too low.
    """
    k = _neighbors_both_ways(pair, "common_radius", n_neighbors)
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
    if value < -3.0 * error:
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


_JENSEN_SHANNON: Rules[Estimate] = Rules(
    {
        **dict.fromkeys(WITH_A_SAMPLE, _jensen_shannon_of_samples),
        (ModelOperand, ModelOperand): _jensen_shannon_of_models,
    }
)


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
