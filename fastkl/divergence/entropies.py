"""The calls for entropy and cross-entropy of samples and models, in nats."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.against_model.sample_model import cross_entropy_of_scores, sample_model_cross_entropy
from fastkl.divergence.arguments import Sample
from fastkl.divergence.assisted.default_estimate import assisted_divergence
from fastkl.divergence.entropy_estimators.entropy_methods import (
    check_entropy_method,
    default_entropy,
    entropy_by_method,
)
from fastkl.divergence.entropy_estimators.surfaces import refuse_surfaces
from fastkl.divergence.estimate import Estimate, moved
from fastkl.divergence.labelled.entropy import entropy_of_table
from fastkl.divergence.labelled.mixed_rows import MixedTables, mixed_operands
from fastkl.divergence.labelled.two_tables import divergence_of_tables
from fastkl.divergence.models.model_pair import model_cross_entropy, model_entropy
from fastkl.divergence.nearest.coordinates import scaled_pair
from fastkl.divergence.nearest.diagnostics import warn_of_shared_rows
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import check_auto_or_knn, sample_cross_entropy, sample_entropy
from fastkl.divergence.operands import (
    DensityOperand,
    DiscreteOperand,
    EmpiricalOperand,
    ModelOperand,
    Operand,
    Rules,
    SampleOperand,
    operand,
    operands,
    sample_pair,
)
from fastkl.divergence.options import Options, one_seed
from fastkl.divergence.symbols.empirical import frequencies_cross_entropy
from fastkl.exceptions import DegenerateDataError


@knows_other_keywords
def entropy(
    p: Any,
    *,
    method: str = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Differential entropy of the distribution of a sample, or entropy of a model, in nats.

    Parameters
    ----------
    p : array-like of shape (n,) or (n, d), or model
        A sample, or an object with a log-density. A table of labels and numbers has the entropy of its labels and that of the
        numbers of rows with equal ones.
    method : {"auto", "marginal_split", "spacings", "knn", "weighted_knn"}, default="auto"
        Estimator for samples.

        "auto"
            "marginal_split", or "knn" among scaled columns where values are rounded so coarsely that margins can't be split
            off; "knn" where ``n_neighbors`` is given; of clusters far apart the mean of each one's and that of their frequencies
            (``diagnostics["clusters"]``). Multiplying a column by c moves the estimate by log c and nothing else.
        "marginal_split"
            Gaps between order statistics for each column, on the scale on which they tell most (logarithms at a pole of the
            density, inverse hyperbolic sines in long tails), and nearest neighbours for the copula, whose bias is measured on
            samples with a normal copula and subtracted.
        "spacings"
            Gaps between order statistics, for one column.
        "knn"
            Kozachenko and Leonenko's, with the distance from each row to its k-th neighbour and the volume of the unit ball:
            :math:`\frac{d}{n} \sum_i \log \rho_k(i) + \log V_d + \log(n - 1) - \psi(k)`.
        "weighted_knn"
            The average over k whose weights cancel the leading bias (Berrett, Samworth and Yuan): for 4 to 8 columns.
    n_neighbors : int, default=None
        k; by default 5, or n - 1 in smaller samples. Given with ``method="auto"``, it asks for "knn".
    sample_weight_p : array-like of shape (n,), default=None
        Masses of the rows; only ratios matter.
    standard_error : bool, default=True
        Whether to compute it.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model whose entropy is not known in closed form, and for the samples on which a bias is measured (by
        default these are the same at each call).
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.
    n_draws : int, default=None
        Draws from a model; by default 100 000.

    Returns
    -------
    Estimate
        Exact values have a standard error of 0. ``diagnostics["bias_suspected"]`` is true where the estimate changes too much
        with the number of neighbours or the spacings, or where rows lie near a curve or a surface.

    Raises
    ------
    DegenerateDataError
        The sample has repeated rows (atoms): then it has no density at the scale of the k-th neighbour. Or its rows are on a
        plane or a surface of second degree (a constant column, columns with a fixed sum, a sphere): the entropy is -inf.
    ValueError
        Values that are missing, labels alone (use ``categorical_entropy``), wrong weights, more neighbours than rows.

    References
    ----------
    Kozachenko, L. F. and Leonenko, N. N. (1987). Sample estimate of the entropy of a random vector. Problems of Information
    Transmission 23, 95-101. For k > 1: Kraskov, A., Stögbauer, H. and Grassberger, P. (2004), doi:10.1103/PhysRevE.69.066138.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm
    >>> from fastkl.divergence import entropy
    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> abs(entropy(x) - 1.418939) < 0.1
    True
    >>> entropy(norm(0, 1))
    Estimate(1.41894 nats, method='exact', n_samples=0)
    """
    check_entropy_method(method)
    options = Options(method, n_neighbors, standard_error, n_draws, random_state=one_seed(random_state, rng))
    return _ENTROPY(operand(p, "p", sample_weight_p, n_jobs, discrete_call="discrete_entropy"), options=options)


def _entropy_of_sample(p: SampleOperand, options: Options) -> Estimate:
    """The distribution behind a sample."""
    if options.n_draws is not None:
        raise ValueError("n_draws= is a number of draws from a model; p is a sample. Leave it out.")
    table = mixed_operands(p, p, options)
    if table is None:
        return _entropy_of_numbers(p.sample, options)
    return entropy_of_table(table, lambda sample: _entropy_of_numbers(sample, options))


def _entropy_of_numbers(sample: Sample, options: Options) -> Estimate:
    """The distribution behind a sample of numbers."""
    if sample.n_columns > 1 and (options.method != "auto" or options.n_neighbors is not None):
        refuse_surfaces(sample.X)  # which the default does itself
    if options.method == "auto":
        return default_entropy(sample, options)
    if options.method != "knn":
        return entropy_by_method(sample, options.method, options.n_neighbors)
    return sample_entropy(SamplePair(sample, sample), options.n_neighbors, options.standard_error)


def _entropy_of_frequencies(p: EmpiricalOperand, _: Options) -> Estimate:
    """Point masses, whose discrete entropy is known."""
    return Estimate(p.frequencies.entropy(), 0.0, p.frequencies.n_samples_, "plugin")


_ENTROPY: Rules[Estimate] = Rules(
    {
        (SampleOperand,): _entropy_of_sample,
        (EmpiricalOperand,): _entropy_of_frequencies,
        (ModelOperand,): lambda p, options: model_entropy(p.model, options.n_draws, options.rng),
    }
)


@knows_other_keywords
def cross_entropy(
    p: Any,
    q: Any,
    *,
    method: str = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    rng: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Cross-entropy :math:`-E_p[\log q]` of p relative to q, in nats.

    For a sample against a model it is the negative mean log-density. For two samples it is ``entropy(p)`` and
    ``kl_divergence(p, q)`` together, each as it comes by default. By nearest neighbours (``method="knn"``) it is estimated from
    the distances :math:`\nu_k(i)` of the rows of p to their k-th neighbours in q,
    :math:`\frac{d}{n} \sum_i \log \nu_k(i) + \log V_d + \log m - \psi(k)`, so that
    ``cross_entropy(p, q) - entropy(p)`` is that of ``kl_divergence`` with the same method and k.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density.
    method : {"auto", "knn"}, default="auto"
        Estimator for two samples: the sum above, which multiplying a column of both by c moves by log c and nothing else; or
        ("knn") nearest neighbours among the columns as they are. Where values of p are repeated, or ``n_neighbors`` is given,
        "auto" is nearest neighbours among columns scaled by their quartile range in both samples together.
    n_neighbors : int, default=None
        k for two samples; by default 5, or m in smaller samples.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample; only ratios matter.
    standard_error : bool, default=True
        Whether to compute it; for two samples it needs a search among the rows of p.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model p.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.
    n_draws : int, default=None
        Draws from a model p.

    Returns
    -------
    Estimate
        +inf when a row of p has density 0 under the model q.

    Raises
    ------
    DegenerateDataError
        Two samples with common rows.
    ValueError
        Values that are missing, labels alone, wrong weights, more neighbours than rows, a model that gives nan.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from fastkl.divergence import cross_entropy
    >>> round(cross_entropy([0.0, 1.0, 3.0], norm(0, 1)), 6)
    2.585605
    """
    check_auto_or_knn(method)
    options = Options(method, n_neighbors, standard_error, n_draws, random_state=one_seed(random_state, rng))
    both = operands(p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_cross_entropy")
    return _CROSS_ENTROPY(*both, options=options)


def _cross_entropy_of_samples(p: Operand, q: Operand, options: Options) -> Estimate:
    """Two samples, or draws in place of p."""
    tables = mixed_operands(p, q, options)
    if tables is not None:
        return _of_tables(tables, options)
    pair = sample_pair(p, q, options)
    if options.method == "knn":
        return sample_cross_entropy(pair, options.n_neighbors, options.standard_error)
    found = _in_parts(pair, options) if options.n_neighbors is None and pair.p.n_rows > 2 else None
    if found is not None:
        return found
    scaled, spread = scaled_pair(pair)
    found = sample_cross_entropy(scaled, options.n_neighbors, options.standard_error)
    return moved(found, float(np.log(spread).sum()))


def _of_tables(tables: MixedTables, options: Options) -> Estimate:
    """The entropy of p and the divergence together, of two tables of labels and numbers."""
    if options.method == "knn" or options.n_neighbors is not None:
        raise ValueError("method='knn' and n_neighbors are for numbers alone: labels have no distance. Leave them out.")
    own = entropy_of_table(tables, lambda sample: _entropy_of_numbers(sample, options))
    between = divergence_of_tables(tables, lambda pair: assisted_divergence(pair, options))
    return _together(own, between, "by labels")


def _in_parts(pair: SamplePair, options: Options) -> Estimate | None:
    """The entropy of p and the divergence together; None where the rows of p have no density on their own scale.

    Each is free of the bias that neighbours have where q varies within their balls, and has its doubts.
    """
    try:
        own = default_entropy(pair.p, options)
    except DegenerateDataError:
        return None
    between = assisted_divergence(pair, options)
    return _together(own, between, "assisted")


def _together(own: Estimate, between: Estimate, method: str) -> Estimate:
    """The sum of an entropy and a divergence."""
    warn_of_shared_rows(between.diagnostics.get("shared_rows", 0))
    reasons = [
        f"{name}: {reason}"
        for name, part in (("KL(p || q)", between), ("entropy of p", own))
        for reason in part.diagnostics["reasons"]
    ]
    diagnostics = {"reasons": reasons, "entropy": float(own), "kl_divergence": float(between)}
    if "n_neighbors" in between.diagnostics:
        diagnostics["n_neighbors"] = between.diagnostics["n_neighbors"]
    error = float(np.hypot(own.standard_error, between.standard_error))
    return Estimate(float(own) + float(between), error, between.n_samples, method, diagnostics)


def _cross_entropy_of_sample_and_density(p: SampleOperand, q: DensityOperand, options: Options) -> Estimate:
    """A sample under a density, which may have columns of labels."""
    if q.model.discrete_columns is not None and p.rows.dtype.kind in "USO":
        return cross_entropy_of_scores(q.model.log_density(p.rows), p.masses(len(p.rows)), options.standard_error)
    return sample_model_cross_entropy(p.sample, q.model, options.standard_error)


_CROSS_ENTROPY: Rules[Estimate] = Rules(
    {
        (SampleOperand, SampleOperand): _cross_entropy_of_samples,
        (SampleOperand, DensityOperand): _cross_entropy_of_sample_and_density,
        (SampleOperand, DiscreteOperand): lambda p, q, _: frequencies_cross_entropy(p.frequencies, q.model),
        (EmpiricalOperand, ModelOperand): lambda p, q, _: frequencies_cross_entropy(p.frequencies, q.model),
        (ModelOperand, ModelOperand): lambda p, q, options: model_cross_entropy(
            p.model, q.model, options.n_draws, options.rng
        ),
        (ModelOperand, SampleOperand): _cross_entropy_of_samples,
    }
)
