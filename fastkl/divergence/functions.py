"""The calls for the Kullback-Leibler divergence of samples and models, in nats.

Each argument is a sample (array-like; a 1-D array is one column) or a model (an object with a log-density). What is
computed follows from that, and the result says how it was obtained.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.against_model.sample_model import sample_model_divergence
from fastkl.divergence.assisted.default_estimate import assisted_divergence
from fastkl.divergence.column_words import errors_by_names, estimate_by_names
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.labelled.against_model import divergence_by_labels, kinds_of_columns, product_of_kinds
from fastkl.divergence.labelled.mixed_rows import mixed_operands
from fastkl.divergence.labelled.two_tables import divergence_of_tables
from fastkl.divergence.models.model_pair import model_divergence
from fastkl.divergence.nearest.coordinates import free_of_units, in_coordinates
from fastkl.divergence.nearest.diagnostics import warn_of_shared_rows
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import (
    check_method,
    divergence_by_method,
    divergence_neighbors,
    sample_divergences,
)
from fastkl.divergence.operands import (
    SAMPLES,
    DensityOperand,
    DiscreteOperand,
    EmpiricalOperand,
    ModelOperand,
    Operand,
    Rules,
    SampleOperand,
    names_of,
    operands,
    sample_pair,
)
from fastkl.divergence.options import Options, one_seed
from fastkl.divergence.sweep import NeighborSweep
from fastkl.divergence.symbols.empirical import frequencies_divergence


@knows_other_keywords
def kl_divergence(
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
    route: str = "auto",
    n_draws: int | None = None,
) -> Estimate:
    r"""Kullback-Leibler divergence :math:`E_p[\log p - \log q]` of q from p, in nats. The order matters.

    * Sample and sample: by nearest neighbours. Two tables of labels and numbers by labels: their frequencies, and the numbers of
      rows with equal labels.
    * Sample and model: cross-entropy minus an entropy estimate whose bias is measured on draws from the model
      (``route="density"``), or the sample against draws from the model (``route="draws"``). A discrete model is compared with the
      frequencies of the distinct rows, and a model of labels and numbers, such as a product or a mixture of products, by labels.
    * Model and model: in closed form where one is known (frozen distributions of scipy included), as a sum over the support
      of two discrete distributions on a line, by quadrature of two densities on a line, else as a mean over draws: of both,
      ``n_draws`` from each, where q can be drawn too (importance sampling from their mixture), else from p.
    * Model and sample: draws from p against the sample.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density (``score_samples``, ``logpdf``, ``logpmf`` or ``log_prob``).
    method : {"assisted", "common_radius", "knn", "bias_reduced"}, default="assisted"
        Estimator for two samples. With :math:`\rho_k, \nu_k` the distances from a row of p to its k-th neighbour among
        the other rows of p and among the rows of q:

        "common_radius"
            counts l, k' in the closed ball of radius max(rho_k, nu_k), plus 1 for a sample that did not set the radius alone;
            mean of psi(l) - psi(k') + psi(m + 1) - psi(n). It takes no logarithm of a distance, so it is finite on tied,
            rounded and zero-inflated data, and on categories it is the estimate of Zhang and Grabchak.
        "knn"
            mean of d log(nu_k / rho_k) + log(m / (n - 1)).
        "bias_reduced"
            one radius as above with k = 1, then the distances to the last rows within it:
            mean of d log(nu_k' / rho_l) + psi(l) - psi(k') + log(m / (n - 1)).
        "assisted"
            the median of three corrections of the common-radius estimate by fitted normal distributions and a cross-fitted
            regression, independent of units, with a warning where they disagree; the divergence of the fitted distributions
            (normal ones, or mixtures) where these describe the samples, and the regression where it is far better. Densities
            may end at edges along the columns. On 52 pairs with a known divergence its error is .25 to .5 times that of the
            others (``benchmarks/league.py``). For samples of fewer than 20 (effective) rows it is "common_radius" in normal
            scores, and for symbols with one neighbour, so that the ball around a symbol is that symbol.
    coordinates : {"auto", "normal_scores", "scaled"} or None, default="auto"
        Coordinates in which neighbours are searched, for the methods other than "assisted": pooled normal scores of every
        column (units do not matter), columns divided by their pooled quartile range, or None: as given (rotations do not
        matter, units do). "auto" is None; "assisted" has coordinates of its own and takes no others. A divergence does not
        change under such maps of both samples, its estimate does.
    n_neighbors : int, default=None
        k; by default 5 (1 for "bias_reduced"), or fewer in tiny samples. Small k has less bias, large k less variance. For a
        sample and a density a number asks for the plain k-nearest-neighbour entropy, whose bias is not measured.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows; only ratios matter, rows of weight 0 are left out, equal weights change nothing. A weight is
        *not* the same as that many repeated rows, which would be atoms to a neighbour estimate: radii go by rows, and a
        ball's mass counts as Kish's effective number of rows.
    standard_error : bool, default=True
        Whether to compute the standard error and the diagnostics that need one.
    random_state : int, RandomState, Generator or None, default=None
        For draws from a model. Those that measure a bias have a fixed seed by default.
    rng : int, Generator or None, default=None
        Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.
    route : {"auto", "density", "draws"}, default="auto"
        For a sample and a model. "auto" takes the density, but draws where the model has discrete columns, or where rows of
        four columns or more are repeated.
    n_draws : int, default=None
        Draws from a model. By default 5 n (at least 1000, at most the larger of n and 100 000) against a sample of n rows,
        about 15 000 (in samples of n rows, of which there are 4 to 20; 2 beyond 100 000 rows) to measure a bias, and 100 000
        for two models, for which a number asks for draws in place of quadrature.

    Returns
    -------
    Estimate
        As estimated: it may be negative and is never clamped. +inf when q gives density 0 to a row of the sample, or to a draw
        from p. The standard error covers the sampling of both samples.

    Raises
    ------
    DegenerateDataError
        Zero distances with "knn" or "bias_reduced" or in the density route; ``empirical(X)`` against a density.
    ValueError
        Values that are missing, labels alone (use ``categorical_kl``) or in one sample alone, different columns, wrong weights,
        more neighbours than rows, a model that gives nan.

    Warns
    -----
    SharedRowsWarning
        The samples have rows in common although values hardly repeat within a sample.

    References
    ----------
    Wang, Q., Kulkarni, S. R. and Verdú, S. (2009). Divergence estimation for multidimensional densities via
    k-nearest-neighbor distances. IEEE Transactions on Information Theory 55, 2392-2405. doi:10.1109/TIT.2009.2016060.
    The common radius follows Kraskov, Stögbauer and Grassberger (2004), doi:10.1103/PhysRevE.69.066138, and the ratio
    of counts in Noshad et al. (2017), arXiv:1702.05222.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.stats import norm, poisson
    >>> from fastkl.divergence import kl_divergence
    >>> rng = np.random.default_rng(0)
    >>> x, y = rng.normal(0, 1, 1000), rng.normal(1, 2, 1000)
    >>> estimate = kl_divergence(x, y)
    >>> abs(estimate - 0.443147) < 3 * estimate.standard_error
    True
    >>> abs(kl_divergence(x, norm(1, 2)) - 0.443147) < 0.1
    True
    >>> round(kl_divergence([0, 1, 2], poisson(1)), 6)
    0.132437
    """
    random_state = one_seed(random_state, rng)
    chosen = method if method == "assisted" else check_method(method, also="assisted")
    options = Options(chosen, n_neighbors, standard_error, n_draws, route, random_state, coordinates)
    both = operands(p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_kl")
    return _DIVERGENCE(*both, options=options)


def _of_samples(p: Operand, q: Operand, options: Options) -> Estimate:
    """Two samples, or draws in place of one."""
    tables = mixed_operands(p, q, options)
    if tables is None:
        estimate = divergence_of_pair(sample_pair(p, q, options), options)
    else:
        estimate = divergence_of_tables(tables, lambda pair: divergence_of_pair(pair, options))
    warn_of_shared_rows(estimate.diagnostics.get("shared_rows", 0))
    return estimate


def divergence_of_pair(pair: SamplePair, options: Options) -> Estimate:
    """Two samples of numbers."""
    if options.method == "assisted":
        return assisted_divergence(pair, options)
    return divergence_by_method(in_coordinates(pair, options.coordinates), options)


def _of_sample_and_density(p: SampleOperand, q: DensityOperand, options: Options) -> Estimate:
    """The distribution of a sample against a density."""
    if q.model.discrete_columns is not None and p.rows.dtype.kind in "USO":
        for kinds_of, independent in ((product_of_kinds, True), (kinds_of_columns, False)):
            kinds = kinds_of(q.model, p.rows)
            if kinds is not None:
                return divergence_by_labels(p, q.model, kinds, options, independent=independent)
        raise ValueError(
            f"{p.name} holds labels beside numbers, and {q.name} has no distribution of the numbers given the labels (a method "
            f"conditional): the entropy of such rows, and with it the divergence, is not known. "
            f"fastkl.cross_entropy({p.name}, {q.name}) ranks models of it alike; fastkl.compare_tables compares it with draws "
            f"from the model."
        )
    return sample_model_divergence(p.sample, q.model, options)


_DIVERGENCE: Rules[Estimate] = Rules(
    {
        (SampleOperand, SampleOperand): _of_samples,
        (SampleOperand, DensityOperand): _of_sample_and_density,
        (SampleOperand, DiscreteOperand): lambda p, q, _: frequencies_divergence(p.frequencies, q.model),
        (EmpiricalOperand, ModelOperand): lambda p, q, _: frequencies_divergence(p.frequencies, q.model),
        (ModelOperand, ModelOperand): lambda p, q, options: model_divergence(
            p.model, q.model, options.n_draws, options.rng
        ),
        (ModelOperand, SampleOperand): _of_samples,
    }
)


@knows_other_keywords
def kl_divergence_sweep(
    p: ArrayLike,
    q: ArrayLike,
    n_neighbors: int | Iterable[int] = 10,
    *,
    method: str = "common_radius",
    coordinates: str | None = "auto",
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    n_jobs: int | None = None,
) -> NeighborSweep:
    """Kullback-Leibler divergence from samples for many numbers of neighbours, from one search.

    An estimate that drifts with the number of neighbours is biased; a stable one is more trustworthy.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d)
        Samples.
    n_neighbors : int or iterable of int, default=10
        The numbers; K stands for 1, ..., K.
    method : {"common_radius", "knn", "bias_reduced"}, default="common_radius"
        As in `kl_divergence`.
    coordinates : {"auto", "scaled", "normal_scores"} or None, default="auto"
        Coordinates in which two samples are compared. "auto" is "scaled": columns divided by their quartile range in both
        samples together, so that units do not matter; None takes the columns as they are.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows.
    standard_error : bool, default=True
        Whether to compute the standard errors.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    NeighborSweep
        A dict of `Estimate` by the number of neighbours, in the order given; a notebook shows it as a table.

    Raises
    ------
    DegenerateDataError
        Zero distances with "knn" or "bias_reduced".
    ValueError
        As in `kl_divergence`, and no number of neighbours.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import kl_divergence_sweep
    >>> rng = np.random.default_rng(0)
    >>> sweep = kl_divergence_sweep(rng.normal(size=300), rng.normal(size=300), [1, 5])
    >>> list(sweep)
    [1, 5]
    """
    chosen = check_method(method)
    both = operands(p, q, sample_weight_p, sample_weight_q, n_jobs, discrete_call="discrete_kl")
    pair = SAMPLES(*both, options=Options(chosen))
    pair = free_of_units(pair, coordinates)
    several = range(1, n_neighbors + 1) if isinstance(n_neighbors, (int, np.integer)) else list(n_neighbors)
    numbers = [divergence_neighbors(pair, chosen, k) for k in several]
    if not numbers:
        raise ValueError("n_neighbors names no number of neighbours.")
    names = names_of(*both)
    with errors_by_names(names):
        estimates = [found.estimate for found in sample_divergences(pair, chosen, numbers, standard_error)]
    sweep = NeighborSweep((k, estimate_by_names(e, names)) for k, e in zip(numbers, estimates, strict=True))
    warn_of_shared_rows(max(e.diagnostics.get("shared_rows", 0) for e in sweep.values()))
    return sweep
