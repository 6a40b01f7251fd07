"""``MixtureMLE``: a finite mixture of any family, fitted by maximum likelihood."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.array_types import Params
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.iterations import read_as
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.warned import warn
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.files.registry import register_density
from fastkl.density.parametric.checks import check_search
from fastkl.density.parametric.incomplete import fit_any_rows, refit_with_missing
from fastkl.density.parametric.mixture.checks import check_mixture, stored_parameters
from fastkl.density.parametric.mixture.distinct import distinct_rows
from fastkl.density.parametric.mixture.fit import (
    curvature_of,
    not_smooth,
    raise_if_few_rows,
    resolved_mixture,
    resolved_priors,
    smallest_eigenvalue,
)
from fastkl.density.parametric.mixture.noise import NoiseMembers, noise_mark, with_noise, without_spread
from fastkl.density.parametric.mixture.order import by_parameter, ordered
from fastkl.density.parametric.mixture.search import Search
from fastkl.density.parametric.mixture.spurious import spurious_components
from fastkl.density.parametric.mixture.starts import check_init
from fastkl.density.parametric.mixture.stream import StreamMembers
from fastkl.density.parametric.products import coded, learn_table, smaller, with_columns
from fastkl.density.validation import as_generator, read_rows, unchanged_on_error, whole_number
from fastkl.exceptions import DegenerateDataError
from fastkl.families.mixture import Mixture
from fastkl.families.mixture.climb import Climb
from fastkl.families.priors import PriorLike, resolve_prior
from fastkl.rows.checks import raise_if_not_finite, require_finite
from fastkl.rows.streamed import StreamedRows

# The default of `tol`, and what a single component is fitted to in its place: that of `DensityMLE`, whose bits it then has.
_TOL, _TOL_OF_ONE = 1e-13, 1e-12


class MixtureMLE(StreamMembers, NoiseMembers):
    r"""Finite mixture of distributions of any family, fitted by maximum likelihood.

    .. math:: \log p(x) = \log \sum_{k=1}^K \pi_k \, p_{\theta_k}(x)

    EM maps, each one pass over the rows in fixed blocks, are taken further by quasi-Newton steps; the log-likelihood
    never falls, and the fit ends when what is left to gain is negligible. It is the highest proper maximum that
    several starts lead to. Maximum likelihood of continuous mixtures is unbounded: a component may close in on a
    single row. Such a solution is only returned where no proper maximum was found, and ``spurious_components_`` then names the
    component.

    Parameters
    ----------
    n_components : int, default=2
        Number K of components.
    family : str, Family, product of families, or sequence of K of these, default="multivariate_normal"
        Of all components, or of each: a name out of ``fastkl.families.names()``, or an object such as
        ``families.StudentT(df=4)``, whose given parameters are held fixed. Columns are independent within a component
        of a univariate family. ``families.MultivariateNormal("tied")`` is a covariance that all components share.
        A product has a family for each group of columns, independent within a component, for tables of mixed type:
        ``[(name, family, columns), ...]`` (tuples), ``{name: (family, columns), ...}``, or a :class:`ProductDensity`
        of ``DensityMLE`` s. Columns are given by names, numbers, slices, masks or callables.
    weights : array-like of shape (K,), default=None
        Weights of the components, held fixed where given.
    prior : str, prior, mapping or None, default=None
        None maximises the likelihood, else that plus the log-prior of every component: ``"default"`` (for normal
        components that of C. Fraley and A. E. Raftery, else the weakly informative one of ``DensityMLE``; no unit of
        the rows changes what they say), or a prior of the family; for products a mapping of groups to priors as well.
        With ``"default"`` no component can collapse.
    n_init : int, default=5
        Number of starts, each the best of a few short ascents; the best of them are followed to their maxima.
    init : dict of arrays, default=None
        Starting parameters, in the form of ``params_``: the ascent begins there and nowhere else.
    tol : float, default=1e-13
        The fit ends when the log-likelihood per unit of weight can't gain more than this.
    max_iter : int, default=1000
        Most EM maps of one ascent; a fit that needs more warns and has ``converged_`` False.
    standard_errors : bool or "auto", default="auto"
        Whether the fit forms the observed information, by a few gradients for each parameter; ``"auto"`` does where that is
        quick.
    random_state : int, RandomState, Generator or None, default=None
        Of the starts. A number gives the same fit every time.
    n_jobs : int, default=None
        Threads: None for all cores the process may use (1 inside a joblib worker), -1 likewise, or a number. The
        result is the same bit for bit whatever the number.

    Attributes
    ----------
    params_ : dict of arrays
        ``"weights"`` (K,), and the parameters of the components, with the component as the leading axis (a tied
        covariance has none). Components of several families have names that begin with the family's:
        ``"normal_loc"``.
    component_params_ : list of dict
        The parameters of each component by their own names.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats, without the prior.
    n_iter_ : int
        EM maps of the last ascent.
    converged_ : bool
        Whether the remaining gain is negligible.
    certificate_ : dict
        ``"gradient"``: largest derivative of the log-likelihood by a coordinate, per unit of weight;
        ``"remaining_gain"``: nats that a further quasi-Newton step promises, or all further EM maps where these gain
        less by a steady factor; ``"smallest_eigenvalue"`` of the observed information per unit of weight, where the fit
        formed it (above 0 at a strict maximum).
    spurious_components_ : dict of int to str
        Components that sit on a few rows and narrow without end, with a sentence.
    boundary_ : dict of str
        Parameters that sit at a boundary, with a sentence for each component.
    standard_errors_ : dict of arrays
        From the observed information, where the fit formed it; with components that have kinks at the rows (laplace,
        generalized_normal) from the sum of the products of the rows' scores, whose expectation is the same.
    covariance_of_params_ : ndarray of shape (p, p)
        That information inverted, in the order of ``param_names_``.
    param_names_, n_parameters_ : list of str, int
        Names of the estimated parameters, such as ``"weights[0]"``, and their number, which AIC and BIC count.
    prior_ : list or None
        The prior of each component, with what it took from the data.
    family_ : Mixture
        The mixture as a family, with what it learnt.
    categories_ : list of ndarray
        The labels of each column that holds some.
    inference_, statistics_, stream_ : objects
        What the methods for errors, and ``partial_fit``, go by.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.
    dtypes_ : list of str or None
        Of products: the dtypes of the DataFrame that was fitted, which draws are given.

    Notes
    -----
    Components are in the order of their locations, first column first (of their first parameter, where a family has no
    location); components of different families, and those of a fit with ``init`` or ``weights``, keep theirs.

    References
    ----------
    A. P. Dempster, N. M. Laird, D. B. Rubin, "Maximum likelihood from incomplete data via the EM algorithm", JRSS B
    39, 1977, doi:10.1111/j.2517-6161.1977.tb01600.x; M. Jamshidian, R. I. Jennrich, "Acceleration of the EM algorithm
    by using quasi-Newton methods", JRSS B 59, 1997, doi:10.1111/1467-9868.00083; C. Fraley, A. E. Raftery, "Bayesian
    regularization for normal mixture estimation and model-based clustering", 2007, doi:10.1007/s00357-007-0004-5.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastkl import MixtureMLE
    >>> X = load_iris().data
    >>> model = MixtureMLE(2, random_state=0).fit(X)
    >>> round(model.log_likelihood_, 4), model.params_["weights"].round(4)
    (-214.3547, array([0.3333, 0.6667]))
    >>> model.predict_proba(X[:1]).round(4)
    array([[1., 0.]])
    """

    def __init__(
        self,
        n_components: int = 2,
        *,
        family: Any = "multivariate_normal",
        weights: ArrayLike | None = None,
        prior: str | PriorLike | None = None,
        n_init: int = 5,
        init: Mapping[str, Any] | None = None,
        tol: float = _TOL,
        max_iter: int = 1000,
        standard_errors: bool | str = "auto",
        random_state: Any = None,
        n_jobs: int | None = None,
    ):
        self.n_components = n_components
        self.family = family  # a list or a product of families too, which other densities do not take
        self.weights = weights
        self.prior = prior
        self.n_init = n_init
        self.init = init
        self.tol = tol
        self.max_iter = max_iter
        self.standard_errors = standard_errors
        self.random_state = random_state
        self.n_jobs = n_jobs

    # -- learning ----------------------------------------------------------------------------------------------------------

    @hears_callbacks
    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        *,
        noise_covariance: ArrayLike | None = None,
    ) -> Self:
        """Fit the mixture to rows.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows; float32 and float64 are read without a copy. Labels for families of labels. Values may be missing (NaN)
            where all components are normal (``"multivariate_normal"``).
        y : None
            Ignored.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0; an integer weight counts as that many equal rows.
        noise_covariance : array-like of shape (n, d, d), (n, d) or (d, d), default=None
            Covariances of the noise with which each row was measured, its variances, or the covariance of all, for
            normal components: the mixture is then that of the rows without it (extreme deconvolution).

        Returns
        -------
        MixtureMLE
            The estimator itself.

        Raises
        ------
        SupportError
            If a row lies outside the support of every component.
        DegenerateDataError
            If there are fewer different rows than components, or no start leads to a maximum of the likelihood.
        """
        with unchanged_on_error(self):
            mixture = self._resolved_family()
            rows = read_rows(self, X, sample_weight, labels=mixture.labels, reset=True)
            mixture = with_columns(mixture, X, rows.names, rows.n_columns)
            rows = with_noise(mixture, rows, noise_covariance, sample_weight)
            refit_with_missing(mixture, rows, lambda rows: self._fit_finite(mixture, rows))
            learn_table(self, X)
        return self

    def _fit_from_fewer(self, X: ArrayLike, sample_weight: ArrayLike | None, fewer: MixtureMLE | None) -> Self:
        """``fit``, whose starts grow out of a fit to the same rows with fewer components of the same family."""
        self._fewer = fewer
        try:
            return self.fit(X, sample_weight=sample_weight)
        finally:
            del self._fewer

    def _fit_finite(self, mixture: Mixture, rows: Rows) -> None:
        if not mixture.labels:
            raise_if_not_finite(rows)
        with require_finite(rows), single_threaded_blas():  # small matrices only wait for further threads
            self._fit_rows(mixture, rows)

    def _fit_blocks(self, rows: StreamedRows) -> None:
        mixture = self._resolved_family()
        mixture = with_columns(mixture, None, rows.names, rows.n_columns)
        with require_finite(rows):
            refit_with_missing(mixture, rows, lambda rows: self._fit_rows(mixture, rows))

    def _fit_rows(self, mixture: Mixture, rows: AnyRows) -> None:
        """Fit to rows in memory or not, and take over what was found."""
        check_search(self.tol, self.max_iter)
        whole_number(self.n_init, "n_init")
        check_init(self.init)
        learned = mixture.learned_from(rows)
        mixture = learned
        if learned.labels and isinstance(rows, Rows):
            mixture, rows = coded(learned, rows)
            raise_if_not_finite(rows)
        single = mixture.layout.size == 1 and (not isinstance(rows, Rows) or rows.noise is None)

        def reached(params: Params) -> dict[str, Any]:
            return {"family_": learned, "params_": learned.layout.join([params], np.ones(1)) if single else params}

        with read_as(reached):
            (self._fit_one if single else self._fit_several)(mixture, rows)
        self.family_ = learned

    def _fit_several(self, mixture: Mixture, rows: AnyRows) -> None:
        raise_if_few_rows(rows, mixture.layout.size)  # which looks at some rows, and whether they are finite
        if self.init is None and isinstance(rows, Rows):  # a start that is given goes the same way as over batches
            rows = distinct_rows(rows)
        priors = resolved_priors(self.prior, mixture, rows)
        search = Search(mixture, rows, priors, self.tol, self.max_iter)
        if self.init is None:
            climb = search.best(
                self.n_init, as_generator(self.random_state), smaller(mixture, self.__dict__.get("_fewer"))
            )
        else:
            climb = search.from_start(mixture.start_at(dict(self.init), rows.n_columns))
            if climb.collapsed is not None:
                raise DegenerateDataError(
                    f"Component {climb.collapsed.component} collapsed on the way from init: {climb.collapsed} Start "
                    "elsewhere, use fewer components, or a prior (prior='default')."
                )
        if self.init is None and self.weights is None:
            climb = ordered(mixture, climb)
        self._keep(mixture, climb, rows, priors)

    def _fit_one(self, mixture: Mixture, rows: AnyRows) -> None:
        """A single component is what ``DensityMLE`` fits, in the same way."""
        (group,) = mixture.layout.groups
        start = None if self.init is None else mixture.split(mixture.start_at(dict(self.init), rows.n_columns))[0]
        tol = _TOL_OF_ONE if self.tol == _TOL else self.tol
        fit, statistics = fit_any_rows(
            group.family, resolve_prior(self.prior, group.family), rows, tol, self.max_iter, start
        )
        total = fit.log_likelihood
        if total is None:
            total = group.family.statistics_log_likelihood(statistics, fit.params)
        climb = Climb(mixture.layout.join([fit.params], np.ones(1)), total, total, fit.n_iter, 0.0, 0.0, fit.converged)
        climb.sums = np.array([rows.total_weight])
        climb.boundary = {f"{name}[0]": text for name, text in fit.boundary.items()}
        self._keep(mixture, climb, rows, [fit.prior])

    def _keep(self, mixture: Mixture, climb: Climb, rows: AnyRows, priors: list[PriorLike | None]) -> None:
        self._forget_fit(but=("n_features_in_", "feature_names_in_"))
        self.family_, self.params_ = mixture, climb.params
        # one prior for each component, where other densities have one
        self.prior_ = None if all(prior is None for prior in priors) else priors  # type: ignore[assignment]
        self.log_likelihood_, self.n_iter_, self.converged_ = climb.log_likelihood, climb.n_maps, climb.converged
        self.boundary_ = by_parameter({**climb.boundary, **without_spread(mixture, climb.params, rows)}, mixture.layout)
        self.spurious_components_ = spurious_components(mixture, climb, rows)
        self.certificate_ = {"gradient": climb.slope, "remaining_gain": climb.gain}
        self.statistics_ = {"weight": np.float64(rows.total_weight), **noise_mark(rows)}
        curvature = curvature_of(mixture, climb.params, rows, priors, self.standard_errors)
        if curvature is not None:
            self.statistics_["curvature"] = curvature
            self.certificate_["smallest_eigenvalue"] = smallest_eigenvalue(curvature[0]) / rows.total_weight
            self.boundary_ = {
                **by_parameter(not_smooth(mixture, climb.params, curvature), mixture.layout),
                **self.boundary_,
            }
        for text in self.spurious_components_.values():
            warn(text, ConvergenceWarning)
        if not climb.converged:
            left = f"(about {climb.gain:.3g} nats are left to gain); raise max_iter."
            if np.isnan(climb.gain + climb.slope):
                left = "that is known as one: the likelihood has no slope there, as where a support ends at a row."
            warn(
                f"The mixture fit stopped after {climb.n_maps} EM maps before it reached a maximum {left}",
                ConvergenceWarning,
            )

    def _refitted(self, rows: Rows) -> Params:
        """The parameters of the maximum on other rows that the ascent from those of this fit reaches."""
        mixture: Any = self.family_
        priors: Any = self.prior_ or [None] * mixture.layout.size
        if mixture.labels:
            mixture, rows = coded(mixture, rows)
        search = Search(mixture, rows, priors, self.tol, self.max_iter)
        return search.from_start(self.params_).params

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def component_params_(self) -> list[Params]:
        """The parameters of each component, by the names that its family gives them."""
        self._check_fitted()
        mixture: Any = self.family_
        found: list[Params] = mixture.split(self.params_)
        return found

    @classmethod
    def from_parameters(cls, family: Any = "multivariate_normal", /, **params: Any) -> Self:
        """A mixture with known parameters, without data.

        Parameters
        ----------
        family : str, Family, product or sequence of these, default="multivariate_normal"
            As for the constructor; columns of a product by number.
        **params
            ``weights``, and the parameters of the components as in ``params_``.

        Returns
        -------
        MixtureMLE
            Ready to score, to sample and to tell components apart; it has no standard errors, since nothing was
            estimated.

        Examples
        --------
        >>> from fastkl import MixtureMLE
        >>> model = MixtureMLE.from_parameters("normal", weights=[0.5, 0.5], loc=[[-1.0], [1.0]], scale=[[1.0], [1.0]])
        >>> model.predict_proba([[0.0], [2.0]]).round(4)
        array([[0.5  , 0.5  ],
               [0.018, 0.982]])
        """
        if "weights" not in params:
            raise ValueError("A mixture with known parameters needs its weights.")
        n_components = len(np.atleast_1d(params["weights"]))
        mixture = with_columns(resolved_mixture(family, n_components, None), None, None, None)
        density = cls(n_components, family=family if isinstance(family, str) else clone(family, safe=False))
        density.family_ = mixture
        density.params_ = mixture.check_parameters(params)
        density.n_features_in_ = mixture.n_columns(density.params_)
        return density


register_density(MixtureMLE, check_mixture, stored_parameters)
