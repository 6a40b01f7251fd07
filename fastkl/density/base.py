"""What every density offers once it can score a row: mean and total log-likelihood, criteria, cross-entropy and divergence."""

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin

from fastkl._core.array_types import Floats
from fastkl.density.batches import BatchFittingMixin
from fastkl.divergence import Estimate, cross_entropy, kl_divergence


class BaseDensity(BatchFittingMixin, DensityMixin, BaseEstimator):
    """Members that follow from the log-density alone. A subclass gives the private reading of rows and the rest."""

    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn the density from rows."""
        raise NotImplementedError

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        """Weighted total log-likelihood and the sum of the weights."""
        raise NotImplementedError

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimated."""
        raise NotImplementedError

    def score(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> float:
        """Weighted mean log-density per row: minus the estimated cross-entropy, so greater is better.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            Nats per row; -inf if a row lies outside the support.
        """
        total, weight = self._scored(X, sample_weight)
        return total / weight

    def log_likelihood(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Weighted total log-likelihood of the rows, in nats.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            The total; -inf if a row lies outside the support.
        """
        return self._scored(X, sample_weight)[0]

    def aic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Akaike's criterion 2 p - 2 log L on the rows; lower is better.

        Half of it, divided by the number of rows, estimates the cross-entropy on fresh rows (H. Akaike 1974,
        doi:10.1109/TAC.1974.1100705).

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the density was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            The criterion, in nats times 2.
        """
        return 2.0 * self.n_parameters_ - 2.0 * self.log_likelihood(X, sample_weight)

    def bic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Schwarz's criterion p log n - 2 log L on the rows, n being the sum of the weights; lower is better.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the density was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            The criterion, in nats times 2 (G. Schwarz 1978, doi:10.1214/aos/1176344136).
        """
        total, weight = self._scored(X, sample_weight)
        return float(self.n_parameters_ * np.log(weight) - 2.0 * total)

    def cross_entropy(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Estimate:
        """Estimated cross-entropy H(p_data, p_theta) = -E log p_theta from a sample of the data distribution.

        Parameters
        ----------
        X : array-like of shape (n, d)
            A sample of the data distribution, best one that was not fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        Estimate
            Minus the score, in nats, with its standard error.
        """
        return cross_entropy(X, self, sample_weight_p=sample_weight)

    def kl_divergence(self, X: ArrayLike, sample_weight: ArrayLike | None = None, **options: Any) -> Estimate:
        """Estimated KL(p_data || p_theta) = cross-entropy - entropy, from a sample of the data distribution.

        Parameters
        ----------
        X : array-like of shape (n, d)
            A sample of the data distribution, best one that was not fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.
        **options
            Passed on to :func:`fastkl.kl_divergence`.

        Returns
        -------
        Estimate
            In nats, with its standard error; small negative values are estimates of a divergence near 0.
        """
        return kl_divergence(X, self, sample_weight_p=sample_weight, **options)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row."""
        raise NotImplementedError
