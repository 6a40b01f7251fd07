"""What a fitted density says of its distribution: probabilities, quantiles, moments, mode, entropy.

Univariate families answer for every column on its own, with arrays shaped as the rows; joint ones answer for the row as a whole
where there is such an answer. What has none is an ``AttributeError`` that says why and what to do. A kind of density gives the
methods that begin with an underscore.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats
from fastkl.density.contract import Density
from fastkl.divergence import Estimate, entropy


class DistributionMembers(Density):
    """Members about the distribution itself."""

    # -- given by each kind ------------------------------------------------------------------------------------------------

    def _tail(self, which: str, X: Any) -> Floats:
        """``which`` is one of "cdf", "sf", "log_cdf" and "log_sf"."""
        raise AttributeError(f"{type(self).__name__} has no {which}.")

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        """(k, d) for q of shape (k,) within [0, 1]."""
        raise AttributeError(f"{type(self).__name__} has no quantiles.")

    def _moments(self) -> tuple[Floats, Floats]:
        """Mean (d,), and variances (d,) of independent columns or the covariance (d, d)."""
        raise AttributeError(
            f"{type(self).__name__} has no mean in closed form. Take that of a sample: sample(100_000).mean(axis=0)."
        )

    def _mode(self) -> NDArray[Any]:
        raise AttributeError(f"{type(self).__name__} has no mode in closed form.")

    # -- probabilities -----------------------------------------------------------------------------------------------------

    def cdf(self, X: ArrayLike) -> Floats:
        """The distribution function P(X <= x).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; values may be infinite or lie outside the support.

        Returns
        -------
        ndarray of shape (n, d) or (n,)
            For univariate families a probability for every value, by the distribution of its column, to 1e-12 relative. For a
            multivariate normal or t distribution the probability that all columns are at most as large, one for each row: exact
            in one column, for a normal distribution in two; beyond by scipy's quasi-Monte Carlo, to 1e-5 (normal) or 1e-4 (t).

        Raises
        ------
        AttributeError
            If the distribution has no such function: labels have no order, a Dirichlet distribution has no closed form.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters("exponential", scale=[1.0, 2.0])
        >>> model.cdf([[1.0, 1.0], [2.0, 0.0]]).round(4)
        array([[0.6321, 0.3935],
               [0.8647, 0.    ]])
        """
        return self._tail("cdf", X)

    def sf(self, X: ArrayLike) -> Floats:
        """The survival function P(X > x), with all digits of a small one.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; values may be infinite or lie outside the support.

        Returns
        -------
        ndarray of shape (n, d) or (n,)
            A probability for every value, by the distribution of its column; one for each row of a multivariate normal or t
            distribution of a single column.

        Raises
        ------
        AttributeError
            If the distribution has no such function, as those of several columns that are joint.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> print(f"{DensityMLE.from_parameters('normal', loc=0.0, scale=1.0).sf([[10.0]])[0, 0]:.9g}")
        7.61985302e-24
        """
        return self._tail("sf", X)

    def log_cdf(self, X: ArrayLike) -> Floats:
        """The logarithm of ``cdf``, finite where that is too small for a number.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, d) or (n,)
            Shaped as that of ``cdf``. For univariate families to 1e-12 relative however far out; for joint ones no more than the
            logarithm of ``cdf``, but for a normal distribution without correlations.
        """
        return self._tail("log_cdf", X)

    def log_sf(self, X: ArrayLike) -> Floats:
        """The logarithm of ``sf``, finite where that is too small for a number.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, d) or (n,)
            Shaped as that of ``sf``; to 1e-12 relative however far out.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> float(DensityMLE.from_parameters("student_t", df=5.0, loc=0.0, scale=1.0).log_sf([[1e80]])[0, 0].round(6))
        -918.783781
        """
        return self._tail("log_sf", X)

    def quantile(self, q: ArrayLike, *, upper: bool = False) -> Floats:
        """The values that are not exceeded with probability q, for every column on its own.

        Parameters
        ----------
        q : float or array-like of shape (k,)
            Probabilities in [0, 1].
        upper : bool, default=False
            Whether q is the probability above instead: ``quantile(q, upper=True)`` is ``quantile(1 - q)`` with all digits of a
            small q (the inverse of ``sf``).

        Returns
        -------
        ndarray of shape (k, d), or (d,) for a number
            Of counts the smallest value x with P(X <= x) >= q. At 0 and 1 the ends of the support.

        Raises
        ------
        ValueError
            If a probability lies outside [0, 1].
        AttributeError
            If the distribution has no quantiles: joint families of several columns, labels.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters("exponential", scale=[1.0, 2.0])
        >>> model.quantile([0.5, 0.9]).round(4)
        array([[0.6931, 1.3863],
               [2.3026, 4.6052]])
        """
        self._check_fitted()
        given = np.asarray(q, dtype=np.float64)
        if given.ndim > 1:
            raise ValueError(f"q is a probability or a list of them, not an array of shape {given.shape}.")
        outside = np.atleast_1d(~((given >= 0.0) & (given <= 1.0)))
        if outside.any():
            place = int(np.argmax(outside))
            raise ValueError(
                f"q has to lie in [0, 1]; entry {place} is {np.atleast_1d(given)[place]!s}. (Percents: divide by 100.)"
            )
        values = self._quantile(np.atleast_1d(given), upper)
        return values if given.ndim else values[0]

    # -- moments -----------------------------------------------------------------------------------------------------------

    def mean(self) -> Floats:
        """The mean of every column.

        Returns
        -------
        ndarray of shape (d,)
            inf where it is infinite (a Pareto distribution of shape 1), NaN where it does not exist (a Cauchy distribution). For
            angles the mean direction.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> DensityMLE.from_parameters("gamma", shape=3.0, scale=2.0).mean()
        array([6.])
        """
        self._check_fitted()
        return np.array(self._moments()[0], dtype=np.float64)

    def variance(self) -> Floats:
        """The variance of every column.

        Returns
        -------
        ndarray of shape (d,)
            inf where it is infinite, NaN where it does not exist. For angles that of the turn about the mean direction.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> DensityMLE.from_parameters("gamma", shape=3.0, scale=2.0).variance()
        array([12.])
        """
        self._check_fitted()
        spread = self._moments()[1]
        return np.array(spread if spread.ndim == 1 else np.diag(spread), dtype=np.float64)

    def covariance(self) -> Floats:
        """The covariance of the columns.

        Returns
        -------
        ndarray of shape (d, d)
            Diagonal where the columns are independent. (Of the estimated *parameters* it is ``covariance_of_params_``.)

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> DensityMLE.from_parameters("dirichlet", concentration=[1.0, 3.0]).covariance()
        array([[ 0.0375, -0.0375],
               [-0.0375,  0.0375]])
        """
        self._check_fitted()
        spread = self._moments()[1]
        return np.diag(spread) if spread.ndim == 1 else np.array(spread, dtype=np.float64)

    def mode(self) -> NDArray[Any]:
        """The most probable value: where the density, or the probability, is highest.

        Returns
        -------
        ndarray of shape (d,)
            Of several counts that are as probable the smallest; NaN where no single value is (a uniform distribution). For
            families of labels the labels. Of a mixture of normal components the highest mode that mean-shift leads to from
            the means, and from where any two of them balance.

        Raises
        ------
        AttributeError
            If the mode is not known, as that of a kernel density, or of a mixture of other families.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> DensityMLE.from_parameters("gamma", shape=3.0, scale=2.0).mode()
        array([4.])
        """
        self._check_fitted()
        return np.array(self._mode())

    def entropy(self, **options: Any) -> Estimate:
        """Entropy -E log p(X) of the distribution itself.

        Parameters
        ----------
        **options
            Passed on to :func:`fastkl.entropy`, such as ``random_state`` and ``n_draws``.

        Returns
        -------
        Estimate
            In nats: exact where there is a closed form or a sum over the support, else a mean over draws with its standard error.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> float(DensityMLE.from_parameters("exponential", scale=1.0).entropy())
        1.0
        """
        self._check_fitted()
        return entropy(self, **options)

    # -- scipy -------------------------------------------------------------------------------------------------------------

    def to_scipy(self) -> Any:
        """The same distribution as scipy has it.

        Returns
        -------
        list of frozen distributions, or a frozen joint distribution
            Of univariate families one of ``scipy.stats`` for each column, also where there is a single one.

        Raises
        ------
        AttributeError
            If scipy has no such distribution.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> (gamma,) = DensityMLE.from_parameters("gamma", shape=3.0, scale=2.0).to_scipy()
        >>> float(gamma.mean())
        6.0
        """
        self._check_fitted()
        return self._to_scipy()

    def _to_scipy(self) -> Any:
        raise AttributeError(f"{type(self).__name__} is none of scipy's distributions.")
