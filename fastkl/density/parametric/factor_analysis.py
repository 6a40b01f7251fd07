"""``FactorAnalysisMLE``: common factors and noise, fitted by maximum likelihood from the moments of the rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import chi2
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin

from fastkl._core.array_types import Floats
from fastkl.density.chosen_table import ChosenTable
from fastkl.density.files.registry import register_density
from fastkl.density.parametric.checks import check_family_density
from fastkl.density.parametric.mle import DensityMLE
from fastkl.families.factor_analysis import FactorAnalysis, degrees_of_freedom
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.rows.checks import raise_if_not_finite


class FactorTest(NamedTuple):
    """A test of the number of factors.

    Parameters
    ----------
    statistic : float
        Likelihood-ratio statistic with Bartlett's correction.
    df : int
        Degrees of freedom.
    pvalue : float
        Probability of a greater one if the number is right.
    """

    statistic: float
    df: int
    pvalue: float

    @property
    def p_value(self) -> float:
        """The p-value, as the other tests of this library name it."""
        return self.pvalue


class FactorAnalysisMLE(ClassNamePrefixFeaturesOutMixin, TransformerMixin, DensityMLE):
    r"""Factor analysis, or probabilistic principal components, fitted by maximum likelihood.

    .. math:: x = \mu + \Lambda z + e, \quad z \sim N(0, I), \quad e \sim N(0, \Psi), \quad \Sigma = \Lambda \Lambda^T + \Psi

    The rows are read once, for their mean and covariance; the rest is a search over the d noise variances. With
    ``"isotropic"`` noise the maximum is in closed form. ``partial_fit``, ``merge`` and ``fit_batches`` go by the same
    moments.

    Parameters
    ----------
    n_components : int, default=1
        Number of factors.
    noise : {"diagonal", "isotropic"}, default="diagonal"
        A noise variance for each column (factor analysis), which takes a covariance of full rank: more rows than columns, none
        of which the others determine; or one for all (probabilistic principal components), for any rows.
    n_jobs : int, default=None
        Threads: None for all cores the process may use (1 inside a joblib worker), -1 likewise, or a number. The
        result is the same bit for bit whatever the number.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, d)
        Loadings, a factor in each row: in the order of what they account for, each with a positive sum.
    noise_variance_ : ndarray of shape (d,), or float
        Noise variances (uniquenesses in units of the columns).
    mean_ : ndarray of shape (d,)
        Mean of the rows.
    params_ : dict of arrays
        ``"mean"``, ``"loadings"`` (d, n_components), ``"noise_variance"``.
    factor_covariance_ : ndarray of shape (n_components, n_components)
        Covariance of the factors given a row, the same for all rows.
    standard_errors_ : dict of arrays
        Of the parameters, shaped like them, from the inverse observed information.
    covariance_of_params_ : ndarray of shape (p, p)
        Inverse observed information, in the order of ``param_names_``.
    param_names_ : list of str
        Names of the estimated parameters.
    n_parameters_ : int
        Number of free parameters, rotations of the loadings taken off, which AIC and BIC count.
    boundary_ : dict of str
        Noise variances that are 0 (a Heywood case), with a sentence that names the columns.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats.
    converged_ : bool
        Whether the maximum was reached.
    n_iter_ : int
        Iterations taken (1 for a closed form).
    family, family_ : Family
        The family that is fitted, and as it was fitted.
    prior_ : None
        There is no prior.
    statistics_ : dict of arrays
        Weight, mean and covariance of all rows seen: what ``partial_fit`` and ``merge`` add to.
    inference_ : object
        The uncertainty of the fit, used by the methods for errors and intervals.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    References
    ----------
    K. G. Joreskog, "Some contributions to maximum likelihood factor analysis", Psychometrika 32, 1967,
    doi:10.1007/BF02289658; M. E. Tipping, C. M. Bishop, "Probabilistic principal component analysis", JRSS B 61,
    1999, doi:10.1111/1467-9868.00196.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_wine
    >>> from fastkl import FactorAnalysisMLE
    >>> X = load_wine().data[:, [0, 5, 6, 9, 12]]
    >>> model = FactorAnalysisMLE().fit(X)
    >>> model.components_.round(2), round(model.log_likelihood_, 4)
    (array([[  0.25,   0.58,   0.92,  -0.18, 170.98]]), -2154.3549)
    >>> model.transform(X[:2]).round(3)
    array([[0.962],
           [0.675]])
    """

    prior = None
    robust_errors = False
    tol = 1e-12
    max_iter = 1000

    def __init__(self, n_components: int = 1, *, noise: str = "diagonal", n_jobs: int | None = None):
        self.n_components = n_components
        self.noise = noise
        self.n_jobs = n_jobs

    # a hyper-parameter elsewhere; here the two of this class decide it
    @property
    def family(self) -> FactorAnalysis:  # type: ignore[override]
        """The family that is fitted."""
        return FactorAnalysis(self.n_components, self.noise)

    def _placed(self, name: str, index: tuple[int, ...], names: Sequence[str]) -> tuple[str, str] | None:
        # loadings are of a column and a factor
        return (names[index[0]], f"loading {index[1]}") if name == "loadings" else super()._placed(name, index, names)

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def components_(self) -> Floats:
        """Loadings, a factor in each row."""
        self._check_fitted()
        loadings: Floats = self.params_["loadings"]
        return loadings.T

    @property
    def noise_variance_(self) -> Any:
        """Noise variances, or the one of all columns."""
        self._check_fitted()
        return self.params_["noise_variance"]

    @property
    def mean_(self) -> Floats:
        """Mean of the rows."""
        self._check_fitted()
        return self.params_["mean"]

    def get_covariance(self) -> Floats:
        """The covariance of the rows under the model.

        Returns
        -------
        ndarray of shape (d, d)
            Loadings times their transpose, plus the noise.
        """
        self._check_fitted()
        family: Any = self.family_
        return family.covariance_matrix(self.params_)

    def test_n_components(self) -> FactorTest:
        r"""Test that so many factors suffice, against any covariance matrix.

        The likelihood-ratio statistic with Bartlett's correction, :math:`(n - 1 - (2 d + 5) / 6 - 2 q / 3)
        (\log\det\Sigma - \log\det S + \operatorname{tr} S \Sigma^{-1} - d)`, has about a chi-squared distribution
        with :math:`((d - q)^2 - d - q) / 2` degrees of freedom if it is true. It presumes normal rows, and weights
        that count rows.

        Returns
        -------
        FactorTest
            ``statistic``, ``df`` and ``pvalue``.

        Raises
        ------
        ValueError
            If there are no degrees of freedom left, or the noise is isotropic.
        AttributeError
            If there was no fit.

        References
        ----------
        M. S. Bartlett, "The effect of standardization on a chi-squared approximation in factor analysis", Biometrika
        38, 1951, doi:10.1093/biomet/38.3-4.337.
        """
        self._check_fitted()
        if not hasattr(self, "statistics_"):
            raise AttributeError("The test needs a fit; this density was made from known parameters.")
        d, q = self.params_["loadings"].shape
        df, n = degrees_of_freedom(d, q), float(self.statistics_["weight"])
        if self.noise != "diagonal" or df <= 0:
            raise ValueError(
                "The test is one of diagonal noise, and needs degrees of freedom: fewer factors than fit any matrix."
            )
        normal = MultivariateNormal()
        best = normal.statistics_log_likelihood(self.statistics_, normal.solve(self.statistics_).params)
        misfit = 2.0 * (best - self.log_likelihood_) / n
        statistic = float((n - 1.0 - (2.0 * d + 5.0) / 6.0 - 2.0 * q / 3.0) * misfit)
        return FactorTest(statistic, df, float(chi2.sf(statistic, df)))

    # -- the factors of rows -----------------------------------------------------------------------------------------------

    set_output = ChosenTable.set_output  # the same switch as scikit-learn's, which also says what is drawn

    def transform(self, X: ArrayLike) -> Floats:
        r"""The mean of the factors given a row, :math:`\Lambda^T \Sigma^{-1} (x - \mu)` (Thomson's regression scores).

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, n_components)
            Posterior means; their covariance, the same for all rows, is ``factor_covariance_``.
        """
        rows, family = self._read(X), self.family_
        means: Floats = family.factor_means(rows, self.params_)
        if not np.isfinite(means.sum()):
            raise_if_not_finite(rows)
        return means

    @property
    def factor_covariance_(self) -> Floats:
        """Covariance of the factors given a row, the same for all rows."""
        self._check_fitted()
        family: Any = self.family_
        return family.factor_covariance(self.params_)

    @property
    def _n_features_out(self) -> int:  # what scikit-learn's mixin of names asks for
        return int(self.params_["loadings"].shape[1])

    # there is no family to name, and the parameters are known
    @classmethod
    def from_parameters(cls, mean: ArrayLike, loadings: ArrayLike, noise_variance: ArrayLike) -> Self:  # type: ignore[override]
        """A factor model with known parameters, without data.

        Parameters
        ----------
        mean : array-like of shape (d,)
            Mean of the rows.
        loadings : array-like of shape (d, n_components)
            A row for each column.
        noise_variance : array-like of shape (d,), or float
            Noise variances, or one of all columns.

        Returns
        -------
        FactorAnalysisMLE
            Ready to score, to sample and to transform.

        Examples
        --------
        >>> from fastkl import FactorAnalysisMLE
        >>> model = FactorAnalysisMLE.from_parameters([0.0, 0.0], [[1.0], [1.0]], [0.5, 0.5])
        >>> model.transform([[1.0, 1.0]])
        array([[0.8]])
        """
        table = np.atleast_2d(np.asarray(loadings, dtype=np.float64))
        density = cls(table.shape[1], noise="diagonal" if np.ndim(noise_variance) else "isotropic")
        density.family_ = density.family
        density.params_ = density.family_.check_parameters(
            {"mean": mean, "loadings": table, "noise_variance": noise_variance}
        )
        density.n_features_in_ = len(density.params_["mean"])
        return density


register_density(FactorAnalysisMLE, check_family_density)
