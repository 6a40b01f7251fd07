"""The calls for entropy and cross-entropy of samples and models, in nats."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from fastkl.divergence.arguments import as_sample
from fastkl.divergence.empirical import EmpiricalDistribution, empirical_against_model
from fastkl.divergence.entropy_methods import ENTROPY_METHODS, entropy_by_method
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.model_pair import DEFAULT_DRAWS, model_cross_entropy, model_entropy
from fastkl.divergence.models import Model, is_model
from fastkl.divergence.neighbors import SamplePair
from fastkl.divergence.operands import check_weights, samples_of_both
from fastkl.divergence.sample_model import resolve_draws, sample_cross_entropy_of_model
from fastkl.divergence.samples import sample_cross_entropy, sample_entropy


def entropy(
    p: Any,
    *,
    method: str = "knn",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Differential entropy of the distribution of a sample, or entropy of a model, in nats.

    Parameters
    ----------
    p : array-like of shape (n,) or (n, d), or model
        A sample, or an object with a log-density.
    method : {"knn", "weighted_knn", "spacings", "marginal_split"}, default="knn"
        Estimator for samples.

        "knn"
            Kozachenko and Leonenko's, with the distance from each row to its k-th neighbour and the volume of the unit ball:
            :math:`\frac{d}{n} \sum_i \log \rho_k(i) + \log V_d + \log(n - 1) - \psi(k)`.
        "weighted_knn"
            The average over k whose weights cancel the leading bias (Berrett, Samworth and Yuan): for 4 to 8 columns.
        "spacings"
            Gaps between order statistics, for one column.
        "marginal_split"
            Spacings for each column and nearest neighbours for the copula: for skewed columns in several dimensions.
    n_neighbors : int, default=None
        k; by default 5, or n - 1 in smaller samples.
    sample_weight_p : array-like of shape (n,), default=None
        Masses of the rows; only ratios matter.
    standard_error : bool, default=True
        Whether to compute it.
    random_state : int, RandomState instance or None, default=None
        For draws from a model whose entropy is not known in closed form.
    n_jobs : int or None, default=None
        Threads; None means all cores the process may use.
    n_draws : int, default=None
        Draws from a model; by default 100 000.

    Returns
    -------
    Estimate
        Exact values have a standard error of 0. From 10 columns on a sample's estimate carries the flag ``bias_suspected``.

    Raises
    ------
    DegenerateDataError
        The sample has repeated rows (atoms): then it has no density at the scale of the k-th neighbour.
    ValueError
        Values that are missing or labels, wrong weights, more neighbours than rows.

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
    if method not in ("knn", *ENTROPY_METHODS):
        known = ", ".join(map(repr, ("knn", *ENTROPY_METHODS)))
        raise ValueError(f"method={method!r} is unknown; expected one of {known}.")
    if isinstance(p, EmpiricalDistribution):
        return Estimate(p.entropy(), 0.0, p.n_samples_, "plugin")
    if is_model(p):
        check_weights(p, None, sample_weight_p, None)
        return model_entropy(Model(p, "p"), resolve_draws(n_draws, DEFAULT_DRAWS), check_random_state(random_state))
    sample = as_sample(p, "p", sample_weight_p, n_jobs)
    if method != "knn":
        return entropy_by_method(sample, method, n_neighbors)
    return sample_entropy(SamplePair(sample, sample), n_neighbors, standard_error)


def cross_entropy(
    p: Any,
    q: Any,
    *,
    method: str = "knn",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | None = None,
    sample_weight_q: ArrayLike | None = None,
    standard_error: bool = True,
    random_state: Any = None,
    n_jobs: int | None = None,
    n_draws: int | None = None,
) -> Estimate:
    r"""Cross-entropy :math:`-E_p[\log q]` of p relative to q, in nats.

    For a sample against a model it is the negative mean log-density. For two samples it is estimated from the
    distances :math:`\nu_k(i)` of the rows of p to their k-th neighbours in q,
    :math:`\frac{d}{n} \sum_i \log \nu_k(i) + \log V_d + \log m - \psi(k)`, so that
    ``cross_entropy(p, q) - entropy(p)`` is ``kl_divergence(p, q, method="knn")`` for the same k.

    Parameters
    ----------
    p, q : array-like of shape (n,) or (n, d), or model
        Samples, or objects with a log-density.
    method : {"knn"}, default="knn"
        Estimator for two samples.
    n_neighbors : int, default=None
        k for two samples; by default 5, or m in smaller samples.
    sample_weight_p, sample_weight_q : array-like, default=None
        Masses of the rows of a sample; only ratios matter.
    standard_error : bool, default=True
        Whether to compute it; for two samples it needs a search among the rows of p.
    random_state : int, RandomState instance or None, default=None
        For draws from a model p.
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
        Values that are missing or labels, wrong weights, more neighbours than rows, a model that gives nan.

    Examples
    --------
    >>> from scipy.stats import norm
    >>> from fastkl.divergence import cross_entropy
    >>> round(cross_entropy([0.0, 1.0, 3.0], norm(0, 1)), 6)
    2.585605
    """
    if method != "knn":
        raise ValueError(f"method={method!r} is unknown; expected 'knn'.")
    rng = check_random_state(random_state)
    check_weights(p, q, sample_weight_p, sample_weight_q)
    if is_model(q):
        model = Model(q, "q")
        model.same_names(p)
        if isinstance(p, EmpiricalDistribution):
            return empirical_against_model(p, model, "cross_entropy")
        if is_model(p):
            return model_cross_entropy(Model(p, "p"), model, resolve_draws(n_draws, DEFAULT_DRAWS), rng)
        if model.discrete:
            return empirical_against_model(EmpiricalDistribution(p, sample_weight_p), model, "cross_entropy")
        return sample_cross_entropy_of_model(as_sample(p, "p", sample_weight_p, n_jobs), model, standard_error)
    pair = samples_of_both(p, q, sample_weight_p, sample_weight_q, n_jobs, rng, n_draws)
    return sample_cross_entropy(pair, n_neighbors, standard_error)
