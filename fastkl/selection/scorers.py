"""Scorers for ``GridSearchCV(scoring=...)`` and its kin: the mean held-out log-density, and minus the KL divergence itself.

Both rank densities of one variable alike. With the held-out rows x_i and an estimate H of their entropy,

    neg_cross_entropy = mean log p_theta(x_i),        kl scorer = neg_cross_entropy + H,

and H does not depend on the model, so that the two differ by one constant for each test set. What the second adds is its scale:
0 is a perfect model, and minus the score is how many nats per row are left to gain.

A search hands every candidate a fresh copy of the same test rows, so an estimate of entropy is kept under a digest of the rows'
values, not under their identity: it is computed once for each test set and process, and a hit gives the very same number.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from hashlib import blake2b
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.metadata_routing import MetadataRequest

from fastkl.density.base import BaseDensity
from fastkl.divergence import entropy
from fastkl.divergence.entropy_estimators.entropy_methods import check_entropy_method
from fastkl.exceptions import DegenerateDataError
from fastkl.rows.weights import read_weights
from fastkl.selection.log_densities import log_density_table

__all__ = ["DensityScorer", "KLScorer", "make_kl_scorer", "neg_cross_entropy"]

# Test sets whose entropy is kept: more than the folds of a search, few enough to be nothing.
_KEPT = 256


class DensityScorer:
    """Weighted mean log-density of the rows: minus the estimated cross-entropy, in nats per row; greater is better.

    Unlike ``estimator.score`` it means the same for every density that has ``score_samples``: the ``KernelDensity`` of
    scikit-learn, for one, scores by the total. Called as ``neg_cross_entropy(estimator, X, y=None, sample_weight=None)``, by a
    search or by hand.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from fastkl import DensityMLE, neg_cross_entropy
    >>> X = np.random.default_rng(0).gamma(2.0, size=(500, 1))
    >>> search = GridSearchCV(DensityMLE(), {"family": ["normal", "gamma"]}, scoring=neg_cross_entropy).fit(X)
    >>> search.best_params_
    {'family': 'gamma'}
    """

    def __init__(self) -> None:
        self._sample_weight: bool | str | None = None

    def __call__(self, estimator: Any, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Score a fitted density on rows.

        Parameters
        ----------
        estimator : object
            Fitted, with ``score_samples``.
        X : array-like of shape (n, d)
            Rows that it was not fitted to.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            Nats per row; -inf if a row lies outside the support.
        """
        if isinstance(estimator, BaseDensity):
            return float(estimator.score(X, sample_weight=sample_weight))
        values = log_density_table([estimator], X)[:, 0]
        weights = read_weights(sample_weight, len(values), beside=X)
        if weights is None:
            return float(np.mean(values))
        used = weights > 0.0
        return float(np.average(values[used], weights=weights[used]))

    def set_score_request(self, *, sample_weight: bool | str | None) -> Self:
        """A scorer that asks for weights when metadata routing is enabled; this one stays as it is.

        Parameters
        ----------
        sample_weight : bool, str or None
            True to ask for ``sample_weight``, a string to ask for it under that name, False to do without, None to make
            passing weights an error until the intent is stated.

        Returns
        -------
        DensityScorer
            A copy that asks so.
        """
        asking = copy.copy(self)
        asking._sample_weight = sample_weight
        return asking

    def get_metadata_routing(self) -> MetadataRequest:
        """What the scorer asks for, as scikit-learn's metadata routing reads it.

        Returns
        -------
        MetadataRequest
            The request for ``sample_weight``.
        """
        request = MetadataRequest(owner=self)
        request.score.add_request(param="sample_weight", alias=self._sample_weight)
        return request

    def _accept_sample_weight(self) -> bool:
        """scikit-learn asks so when routing is not enabled."""
        return True

    def __repr__(self) -> str:
        return "neg_cross_entropy"

    _routing_repr = __repr__


neg_cross_entropy = DensityScorer()


class KLScorer(DensityScorer):
    """Minus the estimated KL(data distribution || density) on held-out rows; see ``make_kl_scorer``.

    Parameters
    ----------
    method : str
        Of ``fastkl.entropy``.
    n_neighbors : int or None
        Of ``fastkl.entropy``.
    n_jobs : int or None
        Threads of the neighbour search.
    """

    def __init__(self, method: str, n_neighbors: int | None, n_jobs: int | None) -> None:
        super().__init__()
        self.method = method
        self.n_neighbors = n_neighbors
        self.n_jobs = n_jobs
        self._known: OrderedDict[bytes, float] = OrderedDict()

    def __call__(self, estimator: Any, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Score a fitted density on rows.

        Parameters
        ----------
        estimator : object
            Fitted, with ``score_samples``; of a pipeline, the rows that its last step sees are those whose entropy is
            estimated.
        X : array-like of shape (n, d)
            Rows that it was not fitted to.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            Nats per row; -inf if a row lies outside the support.

        Raises
        ------
        DegenerateDataError
            If the held-out rows have no entropy as a density: repeated rows, counts, labels.
        """
        likelihood = super().__call__(estimator, X, y, sample_weight)
        return likelihood + self._entropy(_scored_rows(estimator, X), sample_weight)

    def _entropy(self, X: ArrayLike, sample_weight: ArrayLike | None) -> float:
        rows = np.ascontiguousarray(X)
        weights = read_weights(sample_weight, len(rows))
        key = _digest(rows, weights)
        if key is not None and key in self._known:
            return self._known[key]
        try:
            value = entropy(
                rows,
                method=self.method,
                n_neighbors=self.n_neighbors,
                sample_weight_p=weights,
                standard_error=False,
                n_jobs=self.n_jobs,
            )
        except (DegenerateDataError, TypeError, ValueError) as error:
            raise type(error)(
                f"The KL scorer needs the entropy of the held-out rows, and there is no estimate of it: {error} "
                "The scorer neg_cross_entropy ranks densities the same way and needs none."
            ) from error
        if key is not None:
            self._known[key] = float(value)
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return float(value)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_known": OrderedDict()}

    def __repr__(self) -> str:
        return f"make_kl_scorer(method={self.method!r}, n_neighbors={self.n_neighbors!r}, n_jobs={self.n_jobs!r})"

    _routing_repr = __repr__


def make_kl_scorer(*, method: str = "auto", n_neighbors: int | None = None, n_jobs: int | None = None) -> KLScorer:
    r"""Make a scorer of how far a density is from the distribution of held-out rows: minus the estimated KL divergence.

    .. math:: -\widehat{KL} = \frac1n \sum_i \log p_\theta(x_i) + \hat H(x_1, \ldots, x_n)

    The entropy estimate :math:`\hat H` is the same for every density, so the ranking is that of ``neg_cross_entropy``, and
    the scores of two densities differ by exactly as much. It is computed once for each test set and kept, also between
    candidates. A score slightly above 0 is an estimate of a divergence near 0.

    In a pipeline the density describes the transformed rows, and it is their entropy that enters. A divergence does not change
    under an invertible transformation, so that pipelines with different invertible steps can be compared, up to the error
    of the entropy estimates; their log-likelihoods can not.

    Parameters
    ----------
    method : {"auto", "marginal_split", "spacings", "knn", "weighted_knn"}, default="auto"
        As of ``fastkl.entropy``. "knn" and "weighted_knn" want columns of comparable scale.
    n_neighbors : int, default=None
        As of ``fastkl.entropy``.
    n_jobs : int or None, default=None
        Threads of the neighbour search.

    Returns
    -------
    KLScorer
        A callable ``scorer(estimator, X, y=None, sample_weight=None)`` for the ``scoring`` of scikit-learn, alone or in a
        dict of several.

    Raises
    ------
    ValueError
        If the method is unknown.
    DegenerateDataError
        By the scorer, where the held-out rows have no entropy as a density, for counts or repeated rows: use
        ``neg_cross_entropy`` there.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.model_selection import GridSearchCV
    >>> from fastkl import DensityMLE, make_kl_scorer
    >>> X = np.random.default_rng(0).gamma(2.0, size=(2000, 1))
    >>> search = GridSearchCV(DensityMLE(), {"family": ["normal", "gamma"]}, scoring=make_kl_scorer(), cv=5).fit(X)
    >>> search.best_params_, bool(abs(search.best_score_) < 0.05)
    ({'family': 'gamma'}, True)
    """
    check_entropy_method(method)
    return KLScorer(method, n_neighbors, n_jobs)


def _scored_rows(estimator: Any, X: ArrayLike) -> Any:
    """The rows whose density the estimator gives: those that reach the last step of a pipeline."""
    inner = getattr(estimator, "best_estimator_", estimator)
    return inner[:-1].transform(X) if hasattr(inner, "steps") and len(inner.steps) > 1 else X


def _digest(rows: NDArray[Any], weights: NDArray[np.float64] | None) -> bytes | None:
    """Equal for equal rows and weights, and for nothing else in practice (256 bits); None for what is not plain numbers."""
    if rows.dtype.kind not in "fiub":
        return None
    known = blake2b(f"{rows.dtype.str} {rows.shape} {weights is None}".encode(), digest_size=32)
    known.update(rows.data)
    if weights is not None:
        known.update(weights.data)
    return known.digest()
