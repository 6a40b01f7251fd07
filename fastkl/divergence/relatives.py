"""Symmetric relatives of the Kullback-Leibler divergence: Jeffreys and Jensen-Shannon."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.assisted.default_estimate import assisted_routes
from fastkl.divergence.directions import of_both_directions
from fastkl.divergence.estimate import EXACT, Estimate
from fastkl.divergence.functions import divergence_of_pair
from fastkl.divergence.jensen_shannon_samples import jensen_shannon_of_samples, neighbors_both_ways
from fastkl.divergence.labelled.mixed_rows import mixed_operands
from fastkl.divergence.labelled.two_tables import divergence_of_tables, jensen_shannon_of_tables
from fastkl.divergence.models.model_pair import model_divergence, model_jensen_shannon
from fastkl.divergence.nearest.coordinates import free_of_units
from fastkl.divergence.nearest.diagnostics import warn_of_shared_rows
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import check_method, sample_divergence
from fastkl.divergence.operands import (
    WITH_A_SAMPLE,
    ModelOperand,
    Operand,
    Rules,
    operands,
    sample_pair,
)
from fastkl.divergence.options import Options, one_seed


@knows_other_keywords
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
        Samples, or objects with a log-density. With one model, rows drawn from it take its place. Tables may hold labels too.
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
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
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
    tables = mixed_operands(p, q, options)
    if tables is not None:
        sides = (tables, tables.reversed)
        forward, backward = (divergence_of_tables(one, lambda pair: divergence_of_pair(pair, options)) for one in sides)
        return _sum_of_directions(forward, backward, forward.standard_error + backward.standard_error)
    pair = sample_pair(p, q, options)
    return assisted_jeffreys(pair, options) if options.method == "assisted" else jeffreys_of_pair(pair, options)


def assisted_jeffreys(pair: SamplePair, options: Options) -> Estimate:
    """The default estimates of both directions."""
    rng = options.steady_rng
    k = neighbors_both_ways(pair, "common_radius", options.n_neighbors)
    # Either direction as kl_divergence has it, from one seed: so the two arguments can change places.
    forward, backward = (
        assisted_routes(one, k, options.standard_error, generator).estimate
        for one, generator in ((pair, copy.deepcopy(rng)), (pair.reversed(), rng))
    )
    warn_of_shared_rows(forward.diagnostics.get("shared_rows", 0))
    return _sum_of_directions(forward, backward, forward.standard_error + backward.standard_error)


def jeffreys_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """Of two samples in memory."""
    pair, method = free_of_units(pair, options.coordinates), check_method(options.method)
    back = pair.reversed()
    k = neighbors_both_ways(pair, method, options.n_neighbors)
    forward, part_p = sample_divergence(pair, method, k, options.standard_error, symmetric=True)
    backward, part_q = sample_divergence(back, method, k, options.standard_error, symmetric=True)
    warn_of_shared_rows(forward.diagnostics.get("shared_rows", 0))
    error = float(np.sqrt(part_p + part_q)) if options.standard_error else float("nan")
    return _sum_of_directions(forward, backward, error)


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
    diagnostics = {
        "bias_suspected": forward.diagnostics["bias_suspected"] or backward.diagnostics["bias_suspected"],
        "reasons": of_both_directions(forward.reasons, backward.reasons),
        "forward": float(forward),
        "backward": float(backward),
    }
    how = backward if forward.method == EXACT else forward
    return Estimate(float(forward) + float(backward), error, how.n_samples, how.method, diagnostics)


@knows_other_keywords
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
        Samples, or objects with a log-density. With one model, rows drawn from it take its place. Tables may hold labels too.
    coordinates : {"auto", "scaled", "normal_scores"} or None, default="auto"
        In which two samples are compared. "auto" is "scaled": columns over their quartile range in both samples together, so
        that no unit matters, and beside neighbours what tells the rows apart; else neighbours alone. None takes the columns as
        they are.
    n_neighbors : int, default=None
        Rows of each sample that the common ball around a row reaches; by default 5, and more of weighted rows. A number asks for
        the estimate by neighbours alone.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample.
    standard_error : bool, default=True
        Whether to compute it.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads.
    n_draws : int, default=None
        Draws from a model.

    Returns
    -------
    Estimate
        The two distributions have the same weight, whatever the sizes of the samples. The error of samples that hardly overlap
        reaches to log 2; ``diagnostics["large_balls"]`` is the part of the rows for which the other sample is far. Where
        normal distributions, mixtures of such, a regression and the ends of either sample tell the rows apart better than
        neighbours do, as in many columns and of samples that are mostly apart, the estimate is log 2 less the log-loss of
        that, half-way between rows that it was learnt from and others ("assisted"); else ("common_radius") what neighbours
        lose as they become more enters the error. Fewer than 30 rows of a sample are said to be few.

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


def _jensen_shannon_of_samples(p: Operand, q: Operand, options: Options) -> Estimate:
    """Two samples, or draws in place of one."""
    tables = mixed_operands(p, q, options)
    if tables is None:
        return jensen_shannon_of_samples(sample_pair(p, q, options), options)
    return jensen_shannon_of_tables(tables, lambda pair, share: jensen_shannon_of_samples(pair, options, share))


_JENSEN_SHANNON: Rules[Estimate] = Rules(
    {
        **dict.fromkeys(WITH_A_SAMPLE, _jensen_shannon_of_samples),
        (ModelOperand, ModelOperand): lambda p, q, options: model_jensen_shannon(
            p.model, q.model, options.n_draws, options.rng
        ),
    }
)
