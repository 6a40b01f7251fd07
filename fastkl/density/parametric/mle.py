"""``DensityMLE``: one family, fitted by maximum likelihood. The estimator validates and keeps state; the family does the sums."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastkl._core.array_types import Params, Statistics
from fastkl._core.iterations import read_as
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.warned import warn
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.files.registry import register_density
from fastkl.density.parametric.base import FamilyDensity
from fastkl.density.parametric.checks import check_family_density, check_search, parameters_to_store, raise_if_another
from fastkl.density.parametric.incomplete import ImputingMembers, fit_any_rows, raise_if_incomplete, refit_with_missing
from fastkl.density.parametric.inference import KEPT
from fastkl.density.scipy_distributions import from_scipy
from fastkl.density.validation import (
    learns_by_sums,
    raise_if_other_names,
    read_rows,
    resolve_family,
    take_columns_of,
    unchanged_on_error,
    warn_of_events,
)
from fastkl.exceptions import DegenerateDataError, SourceError
from fastkl.families.base import Family, Fit
from fastkl.families.priors import PriorLike, resolve_prior
from fastkl.families.solvers.posterior import fit_statistics
from fastkl.rows import Source
from fastkl.rows.checks import raise_if_not_finite, require_finite
from fastkl.rows.streamed import StreamedRows


class DensityMLE(ImputingMembers, FamilyDensity):
    r"""Density of one parametric family, fitted by maximum likelihood.

    The fit maximises the weighted log-likelihood :math:`\sum_i w_i \log p_\theta(x_i)`. Since the entropy of the data
    distribution does not depend on :math:`\theta`, this minimises an estimate of KL(data distribution || model).

    Parameters
    ----------
    family : str, Family or distribution of scipy.stats, default="multivariate_normal"
        A name out of ``fastkl.families.names()``, or an object such as ``families.Gamma(shape=2)``, whose given parameters are
        held fixed. Univariate families are fitted to every column on its own. Everyday names and those of scipy (``"norm"``,
        ``"expon"``) find a family too, and so does ``scipy.stats.gamma`` itself, with the location 0 if the family has none.
    prior : str, prior or None, default=None
        None maximises the likelihood, else that plus the log-prior: ``"default"`` (weakly informative, without a unit), a name
        out of ``families.priors.PRIORS``, an object such as ``families.priors.BetaPrior(2, 2)``, or any object with
        ``log_density(params)`` and ``gradient(params)``.
    tol : float, default=1e-12
        Families that iterate over the rows stop when the log-likelihood per row can't gain more than this.
    max_iter : int, default=1000
        Most iterations over the rows; a fit that needs more warns and has ``converged_`` False.
    n_jobs : int, default=None
        Threads: None for all cores the process may use (1 inside a joblib worker), -1 likewise, or a number. The result is the
        same bit for bit whatever the number.
    robust_errors : bool, default=False
        Whether a fit makes one more pass over the rows for the sandwich form, so that ``robust_standard_errors_`` and
        ``robust_covariance_of_params_`` are there, also after pickling and in files. A fitted density keeps no reference to its
        rows: without this, pass them to ``robust_standard_errors(X)`` or ``robust_covariance(X)``.

    Attributes
    ----------
    params_ : dict of arrays
        The parameters: for univariate families arrays of shape (d,).
    standard_errors_ : dict of arrays
        Standard errors of the estimated parameters, from the inverse observed information.
    covariance_of_params_ : ndarray of shape (p, p)
        Inverse observed information, with a prior that of the posterior, in the order of ``param_names_``.
    robust_standard_errors_ : dict of arrays
        Standard errors from the sandwich form, right when the family is wrong; after a fit with ``robust_errors=True``.
    robust_covariance_of_params_ : ndarray of shape (p, p)
        The sandwich form, after such a fit.
    param_names_ : list of str
        Names of the estimated parameters, such as ``"scale[0]"``.
    n_parameters_ : int
        Number of them, which AIC and BIC count.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats, without the prior.
    prior_ : prior or None
        The prior with what it took from the data; None if there is none, or none with an effect on this family.
    n_iter_ : int
        Iterations taken (1 for a closed form).
    converged_ : bool
        Whether the maximum was reached to rounding.
    boundary_ : dict of str
        Parameters that sit at a boundary, with a sentence each.
    family_ : Family
        The family as used, with what it learnt.
    statistics_ : dict of arrays
        Sufficient statistics of all rows seen: what ``partial_fit`` and ``merge`` add to.
    categories_ : list of ndarray
        The labels of each column, for families of labels.
    shrinkage_ : float
        How far the covariance was shrunk, for a family with ``shrinkage``.
    inference_ : object
        The uncertainty of the fit, used by the methods for errors and intervals.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    References
    ----------
    H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50, 1982, doi:10.2307/1912526: what is
    estimated when the family is wrong is the member closest to the data distribution in KL divergence.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).normal(size=(1000, 2))
    >>> model = DensityMLE().fit(X)
    >>> round(model.score(X), 4)
    -2.8373
    """

    def __init__(
        self,
        family: str | Family = "multivariate_normal",
        *,
        prior: str | PriorLike | None = None,
        tol: float = 1e-12,
        max_iter: int = 1000,
        n_jobs: int | None = None,
        robust_errors: bool = False,
    ):
        self.family = family
        self.prior = prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_jobs = n_jobs
        self.robust_errors = robust_errors

    # -- learning ----------------------------------------------------------------------------------------------------------

    @hears_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the family to rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; float32 and float64 are read without a copy. Labels for families of labels. ``multivariate_normal`` takes
            missing values (NaN): the likelihood is that of those that are known.
        y : None
            Ignored; zeros and ones beside durations, which may tell censored ones, draw a warning.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0; an integer weight counts as that many equal rows.

        Returns
        -------
        DensityMLE
            The estimator itself.

        Raises
        ------
        SupportError
            If a value lies outside the family's support.
        DegenerateDataError
            If the likelihood has no maximum on these rows.
        """
        with unchanged_on_error(self):
            family = resolve_family(self.family)
            rows = read_rows(self, X, sample_weight, labels=family.labels, reset=True)
            refit_with_missing(family, rows, lambda rows: self._fit_finite(family, rows))
            warn_of_events(family, rows, y)
        return self

    def _fit_finite(self, family: Family, rows: Rows) -> None:
        with require_finite(rows):
            self._fit_rows(family, rows)
        if not np.isfinite(self.log_likelihood_):
            raise_if_not_finite(rows)

    @available_if(learns_by_sums)
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add rows to those already seen: any chunking of the rows gives what ``fit`` on all of them gives.

        A maximum need not exist yet (a single row has no variance): the parameters are then missing until it does.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Further rows, one or more.
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        DensityMLE
            The estimator itself.

        Raises
        ------
        SupportError
            If a value lies outside the family's support; what was seen before stays.
        """
        with unchanged_on_error(self):
            first = not hasattr(self, "statistics_")
            raise_if_incomplete(self)
            family = resolve_family(self.family)
            raise_if_another(self, family)
            rows = read_rows(self, X, sample_weight, labels=family.labels, reset=first)
            family.shaped({}, rows.n_columns)
            with require_finite(rows):
                statistics = family.statistics(rows)
            self._learn_more(family, statistics if first else family.merge_statistics(self.statistics_, statistics))
        return self

    @available_if(learns_by_sums)
    def merge(self, other: DensityMLE) -> Self:
        """Take over the rows another estimator of the same family has seen, as if this one had seen them too.

        Parameters
        ----------
        other : DensityMLE
            Fitted to other rows; it is not changed.

        Returns
        -------
        DensityMLE
            The estimator itself, with the parameters of both sets of rows together.
        """
        if not isinstance(other, DensityMLE) or not hasattr(other, "statistics_"):
            raise ValueError(f"merge takes a DensityMLE that has seen rows, not {other!r}.")
        family = resolve_family(self.family)
        mine, theirs = repr(family), repr(resolve_family(other.family))
        if (mine, repr(self.prior)) != (theirs, repr(other.prior)):
            raise ValueError(
                f"Only estimators of the same family (and prior) can be merged: this one has {mine} ({self.prior}), "
                f"the other {theirs} ({other.prior})."
            )
        if hasattr(self, "statistics_") and self.n_features_in_ != other.n_features_in_:
            raise ValueError(f"This one has {self.n_features_in_} columns, the other {other.n_features_in_}.")
        raise_if_other_names(self, other)
        raise_if_incomplete(self, other)
        with unchanged_on_error(self):
            raise_if_another(self, family)
            raise_if_another(other, family)
            if hasattr(self, "statistics_"):
                self._learn_more(family, family.merge_statistics(self.statistics_, other.statistics_))
            else:
                take_columns_of(self, other)
                self._learn_more(family, other.statistics_)
        return self

    def _learns_from_blocks(self) -> bool:
        return True

    def _raise_if_read_once(self, source: Source) -> None:
        family = resolve_family(self.family)
        if (self.robust_errors or not family.has_statistics) and not source.repeatable:
            lacking = f"The {family.name} family has no sufficient statistics:"
            reason = "With robust_errors=True" if family.has_statistics else lacking
            raise SourceError(
                f"{reason} the fit passes over the rows several times, and an iterator can be read once. Pass a list of batches, "
                "an object whose iter() starts anew, a function that makes the iterator (fit_batches(make), not "
                "fit_batches(make())), or the path of a file."
            )

    def _fit_blocks(self, rows: StreamedRows) -> None:
        family = resolve_family(self.family)
        with require_finite(rows):
            refit_with_missing(family, rows, lambda rows: self._fit_rows(family, rows))

    def _fit_rows(self, family: Family, rows: AnyRows) -> None:
        """Fit to rows in memory or not, and take over what was found."""
        check_search(self.tol, self.max_iter, self.robust_errors)
        family.shaped({}, rows.n_columns)  # which refuses too few columns, and options that make no sense
        with read_as(lambda params: {"family_": family, "params_": params}):
            fit, statistics = fit_any_rows(family, resolve_prior(self.prior, family), rows, self.tol, self.max_iter)
        self._keep(family, statistics, fit, rows)
        if self.robust_errors:
            self.statistics_ = {**statistics, KEPT: self.inference_.products_to_keep(rows)}

    def _refitted(self, rows: Rows) -> Params:
        """The parameters of a fit to other rows."""
        fit, _ = fit_any_rows(self.family_, resolve_prior(self.prior, self.family_), rows, self.tol, self.max_iter)
        return fit.params

    def _learn_more(self, family: Family, statistics: Statistics) -> None:
        """Fit to more statistics than before; where they have no maximum yet, the parameters of fewer rows are forgotten."""
        try:
            fit = fit_statistics(family, resolve_prior(self.prior, family), statistics)
        except DegenerateDataError:
            self._forget_parameters()
            self.family_, self.statistics_ = family.learned(statistics), statistics
        else:
            self._keep(family, statistics, fit)

    def _keep(self, family: Family, statistics: Statistics, fit: Fit, rows: AnyRows | None = None) -> None:
        self._forget_parameters()
        self.family_ = family.learned(statistics)
        self.statistics_ = statistics
        self.params_, self.prior_ = fit.params, fit.prior
        self.n_iter_, self.converged_, self.boundary_ = fit.n_iter, fit.converged, fit.boundary
        if fit.log_likelihood is not None:
            self.log_likelihood_ = fit.log_likelihood
        elif rows is None or family.has_statistics:
            self.log_likelihood_ = self.family_.statistics_log_likelihood(statistics, fit.params)
        else:
            self.log_likelihood_ = rows.total(self.family_.log_likelihood, fit.params)
        if not fit.converged:
            warn(
                f"The {family.name} fit stopped after {fit.n_iter} iterations before it reached its maximum; raise max_iter.",
                ConvergenceWarning,
            )

    def _forget_parameters(self) -> None:
        for name in ("family_", "params_", "prior_", "n_iter_", "converged_", "boundary_", "log_likelihood_"):
            self.__dict__.pop(name, None)

    def _check_fitted(self) -> None:
        if "params_" in vars(self):
            return
        reason = "%(name)s is not fitted yet: call fit, or DensityMLE.from_parameters."
        if hasattr(self, "statistics_"):
            reason = "The rows this %(name)s has seen so far have no maximum of the likelihood: pass more rows to partial_fit."
        check_is_fitted(self, "params_", msg=reason)

    @classmethod
    def from_parameters(cls, family: str | Family = "multivariate_normal", /, **params: Any) -> Self:
        """A density with known parameters, without data.

        Parameters
        ----------
        family : str or Family, default="multivariate_normal"
            As for the constructor.
        **params
            All parameters that the family does not hold fixed; a number stands for one column. Further names are options of
            the family, such as ``covariance_type`` or ``categories``.

        Returns
        -------
        DensityMLE
            Ready to score and sample; it has no standard errors, since nothing was estimated.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> model = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
        >>> round(model.log_likelihood([[0.0], [1.0], [3.0]]), 6)
        -7.756816
        """
        resolved = resolve_family(family)
        options = {name: params.pop(name) for name in list(params) if name not in resolved.parameter_names}
        resolved.raise_if_unknown(options, ValueError)
        resolved.set_params(**options)
        density = cls(resolved if options or not isinstance(family, str) else family)
        density.family_ = resolved
        density.params_ = resolved.check_parameters(params)
        density.n_features_in_ = resolved.n_columns(density.params_)
        return density

    @classmethod
    def from_scipy(cls, distribution: Any, /) -> Self:
        """The same density as a distribution of scipy.stats.

        Parameters
        ----------
        distribution : frozen distribution, or list of them
            Such as ``scipy.stats.gamma(2.0, scale=3.0)``, whose arguments may be arrays with an entry for each column; or one
            frozen distribution of the same family for each column; or a joint one. Objects of scipy's new kind
            (``scipy.stats.Normal(mu=0.0, sigma=1.0)``) are taken as well.

        Returns
        -------
        DensityMLE
            Ready to score and sample; it has no standard errors, since nothing was estimated.

        Raises
        ------
        ValueError
            If no family is that distribution, or it is shifted or scaled where the family is not.

        Examples
        --------
        >>> from scipy import stats
        >>> from fastkl import DensityMLE
        >>> DensityMLE.from_scipy(stats.gamma(2.0, scale=3.0)).params_
        {'shape': array([2.]), 'scale': array([3.])}
        """
        family, params = from_scipy(distribution)
        plain = repr(family) == repr(type(family)())
        return cls.from_parameters(family.name if plain else family, **params)


register_density(DensityMLE, check_family_density, parameters_to_store)
