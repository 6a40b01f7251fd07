"""What every density offers once it can score a row: mean and total log-likelihood, criteria, divergences, files."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl.density.batches import BatchMembers
from fastkl.density.chosen_table import as_chosen_table
from fastkl.density.distribution import DistributionMembers
from fastkl.density.files.persistence import save_density
from fastkl.density.goodness import GoodnessMembers
from fastkl.density.inference import InferenceMembers
from fastkl.density.jobs import JobMembers
from fastkl.density.other_names import OtherNames
from fastkl.density.parts import PartMembers
from fastkl.density.summary import SummaryMembers
from fastkl.density.validation import as_generator, whole_number
from fastkl.divergence import Estimate, cross_entropy, kl_divergence
from fastkl.divergence.options import one_seed


class BaseDensity(
    BatchMembers,
    JobMembers,
    InferenceMembers,
    DistributionMembers,
    GoodnessMembers,
    PartMembers,
    SummaryMembers,
    OtherNames,
):
    """Members that follow from the log-density alone. A subclass gives those of ``contract.Density``."""

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

    @as_chosen_table
    def sample(self, n_samples: int = 1, random_state: Any = None, *, rng: Any = None) -> Any:
        """Draw rows from the density.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same rows every time.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        ndarray of shape (n_samples, d) or DataFrame
            Draws. Where columns may be of different kinds (a product, a kernel density with ``column_types``), a pandas DataFrame
            with the names and dtypes of the fitted one, if there was one; otherwise what ``set_output`` asked for, by default an
            array, of objects if there are labels.
        """
        random_state = one_seed(random_state, rng)
        self._check_fitted()
        return self._draw(whole_number(n_samples, "n_samples"), as_generator(random_state))

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

    def save(self, path: Any) -> None:
        """Write the fitted density to one file that ``fastkl.load`` reads: JSON and plain arrays, no pickle.

        Parameters
        ----------
        path : str or path-like
            The file, written whole or not at all.

        Raises
        ------
        TypeError
            If the density, or a part of it, is of a type that ``load`` could not build: a class of your own, say, or a
            transformer other than scikit-learn's scalers, PowerTransformer, QuantileTransformer, PCA, FastICA, Pipeline,
            ColumnTransformer and FunctionTransformer (of a known function).
        """
        self._check_fitted()
        save_density(self, path)
