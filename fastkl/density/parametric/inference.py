"""How sure a fitted density is: standard errors, also robust ones, confidence intervals, bootstrap, Takeuchi's criterion.

The robust (sandwich) form needs the sum over the rows of the outer products of their scores at the maximum, which
no family's sufficient statistics hold. A further pass in every fit would cost more than the cheapest fits themselves;
so the fitted density keeps a reference to the rows (no copy), and the pass is made when the robust form is first asked
for. Before that the rows are checked to be those that were fitted. A pickle, a file or a clone does not take them
along.
"""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl.density.streamed import KeptRows
from fastkl.density.validation import as_generator, read_rows, require_finite
from fastkl.families.base import Family
from fastkl.families.priors import resolve_prior
from fastkl.families.solvers.coordinates import Chart, chart_at
from fastkl.families.solvers.curvature import score_products
from fastkl.families.solvers.posterior import fit_rows, posterior_covariance, posterior_curvature, posterior_errors


class InferenceMixin:
    """Members of a fitted density of one family that say how sure its parameters are."""

    family_: Family
    params_: Params
    prior_: Any
    statistics_: Statistics
    boundary_: dict[str, str]
    log_likelihood_: float
    tol: float
    max_iter: int
    _rows: "KeptRows"

    def _check_fitted(self) -> None:
        raise NotImplementedError

    # -- observed information ----------------------------------------------------------------------------------------------

    @property
    def standard_errors_(self) -> Params:
        """Standard errors of the estimated parameters, shaped like them, from ``covariance_of_params_``."""
        statistics = self._own_statistics("standard_errors_")
        if self._prior() is None:
            return self.family_.standard_errors(statistics, self.params_)
        return posterior_errors(self.family_, self.params_, self._curvature(statistics))

    @property
    def covariance_of_params_(self) -> Floats:
        """Inverse observed information, of the log-likelihood plus log-prior, in the order of ``param_names_``."""
        return self._covariance(self._own_statistics("covariance_of_params_"))[1]

    @property
    def param_names_(self) -> list[str]:
        """Names of the estimated parameters, column by column."""
        return self._covariance(self._own_statistics("param_names_"))[0]

    def _prior(self) -> Any:
        return getattr(self, "prior_", None)

    def _own_statistics(self, asked: str) -> Statistics:
        self._check_fitted()
        if not hasattr(self, "statistics_"):
            raise AttributeError(f"{asked} needs a fit; this density was made from known parameters.")
        return self.statistics_

    def _covariance(self, statistics: Statistics) -> tuple[list[str], Floats]:
        """Names and covariance of the estimated entries, from observed information."""
        family = self.family_
        if self._prior() is None:
            return family.covariance_of_params(statistics, self.params_)
        return posterior_covariance(family, self.params_, self._curvature(statistics))

    def _curvature(self, statistics: Statistics) -> Floats:
        """That of the posterior."""
        if "curvature" in statistics:
            return np.asarray(statistics["curvature"])
        family = self.family_
        return posterior_curvature(
            family, self.prior_, lambda at: family.statistics_gradient(statistics, at), self.params_
        )

    def _errors(self, names: list[str], covariance: Floats) -> Params:
        chart = chart_at(self.family_, self.params_, names)
        roots = dict(zip(names, np.sqrt(np.diag(covariance)), strict=True))
        return chart.fill(np.array([roots[name] for name in chart.names]))

    @property
    def shrinkage_(self) -> float:
        """How far the covariance was shrunk, for a family with ``shrinkage``."""
        statistics = self._own_statistics("shrinkage_")
        if getattr(self.family_, "shrinkage", None) is None:
            raise AttributeError(
                "shrinkage_ needs a family with shrinkage, such as MultivariateNormal(shrinkage='ledoit_wolf')."
            )
        family: Any = self.family_
        return float(family.shrinkage_of(statistics, self.params_["mean"]))

    # -- sandwich ----------------------------------------------------------------------------------------------------------

    @property
    def robust_standard_errors_(self) -> Params:
        """Standard errors from the sandwich form: right when the family is wrong, and for weights that are not counts.

        Rows of the last ``fit``; see ``robust_covariance`` for other rows.
        """
        return self._errors(
            self._covariance(self._own_statistics("robust_standard_errors_"))[0], self.robust_covariance()
        )

    @property
    def robust_covariance_of_params_(self) -> Floats:
        """The sandwich form, in the order of ``param_names_``."""
        return self.robust_covariance()

    def robust_covariance(self, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Floats:
        r"""Covariance of the estimates when the data distribution need not belong to the family.

        With the score s_i of row i, and A the observed information (with a prior, of the posterior), it is
        :math:`A^{-1} \left( \sum_i w_i^2 s_i s_i^T \right) A^{-1}`. The rows are the sampling units and carry their
        weights along: multiplying all weights by a number changes nothing. For a row that stands for w equal ones
        repeat it instead.

        Parameters
        ----------
        X : array-like of shape (n, d), default=None
            The rows of the fit. None takes those of the last ``fit``, which are kept by reference and must not have
            changed.
        sample_weight : array-like of shape (n,), default=None
            Their weights.

        Returns
        -------
        ndarray of shape (p, p)
            In the order of ``param_names_``.

        Raises
        ------
        ValueError
            If the rows of the fit have changed in place since.
        AttributeError
            If there is no fit, or its rows are not at hand (after ``partial_fit``, ``merge``, or reading from a file).

        References
        ----------
        H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50, 1982, doi:10.2307/1912526.
        """
        statistics = self._own_statistics("robust_covariance")
        rows = self._rows_of(X, sample_weight, "robust_covariance")
        chart, inverse = self._chart_and_inverse(statistics)
        with require_finite(rows):
            products = rows.total(partial(_products, self.family_, self.params_, chart, True))
        jacobian = chart.jacobian(self.params_)
        full = jacobian @ inverse @ products @ inverse @ jacobian.T
        return self._ordered(statistics, chart, full)

    def _chart_and_inverse(self, statistics: Statistics) -> tuple[Chart, Floats]:
        """Coordinates of the estimated entries, and the inverse information in them."""
        names, covariance = self._covariance(statistics)
        chart = chart_at(self.family_, self.params_, names)
        position = {name: i for i, name in enumerate(names)}
        order = [position[name] for name in chart.names]
        inverse = np.linalg.pinv(chart.jacobian(self.params_)) if chart.size else np.zeros((0, len(order)))
        return chart, inverse @ covariance[np.ix_(order, order)] @ inverse.T

    def _ordered(self, statistics: Statistics, chart: Chart, covariance: Floats) -> Floats:
        position = {name: i for i, name in enumerate(chart.names)}
        order = [position[name] for name in self._covariance(statistics)[0]]
        return covariance[np.ix_(order, order)]

    def _rows_of(self, X: ArrayLike | None, sample_weight: ArrayLike | None, asked: str) -> AnyRows:
        if X is not None:
            return read_rows(self, X, sample_weight, labels=self.family_.labels)
        kept: KeptRows | None = getattr(self, "_rows", None)
        rows: AnyRows | None = None if kept is None else kept.rows
        if rows is None:
            raise AttributeError(f"The rows of the fit are not at hand: pass them, as in density.{asked}(X).")
        total = rows.total(self.family_.log_likelihood, self.params_)
        if not np.isclose(total, self.log_likelihood_, rtol=1e-9, atol=1e-9):
            raise ValueError(
                f"The rows were changed in place after the fit: their log-likelihood was {self.log_likelihood_:.9g} and is "
                f"now {total:.9g}. Pass the rows of the fit, as in density.{asked}(X), or fit again."
            )
        return rows

    def tic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        r"""Takeuchi's criterion 2 tr(A^{-1} B) - 2 log L on the rows; lower is better.

        A is the observed information, :math:`B = \sum_i w_i s_i s_i^T` sums the outer products of the scores. If the data
        distribution belongs to the family, the trace tends to the number of parameters and the criterion is Akaike's;
        if not, it still estimates the bias of log L. Weights count as repetitions, as in ``aic`` and ``bic``.
        Parameters without a standard error have no part in the trace.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows the density was fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        float
            The criterion, in nats times 2 (K. Takeuchi 1976; S. Konishi, G. Kitagawa 1996,
            doi:10.1093/biomet/83.4.875).
        """
        statistics = self._own_statistics("tic")
        rows = self._rows_of(X, sample_weight, "tic")
        with require_finite(rows):
            if self.family_.has_statistics:
                statistics = rows.total(self.family_.statistics, merge=self.family_.merge_statistics)
            chart, inverse = self._chart_and_inverse(statistics)
            products = rows.total(partial(_products, self.family_, self.params_, chart, False))
            total = rows.total(self.family_.log_likelihood, self.params_)
        return float(2.0 * np.sum(inverse * products) - 2.0 * total)

    # -- intervals ---------------------------------------------------------------------------------------------------------

    def confidence_intervals(
        self,
        level: float = 0.95,
        method: str = "wald",
        *,
        robust: bool = False,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        n_resamples: int = 999,
        random_state: Any = None,
    ) -> dict[str, tuple[Any, Any]]:
        """Confidence intervals of the estimated parameters.

        ``"wald"`` is estimate ± quantile times standard error on a scale where the estimate's distribution is closer to
        normal and every value is a parameter: logarithms of positive parameters (and of variances), logits of
        probabilities, the parameter itself otherwise. ``"bootstrap"`` takes bias-corrected quantiles of ``bootstrap``
        (B. Efron 1987, doi:10.1080/01621459.1987.10478410).

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.
        method : {"wald", "bootstrap"}, default="wald"
            How.
        robust : bool, default=False
            Wald intervals from the sandwich form.
        X : array-like of shape (n, d), default=None
            The rows of the fit, for the bootstrap and the robust form. None takes those of the last ``fit``, kept by
            reference.
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        n_resamples : int, default=999
            Of the bootstrap.
        random_state : int, RandomState or None, default=None
            Of the bootstrap.

        Returns
        -------
        dict of (low, high)
            Pairs of arrays shaped like the parameter. Fixed parameters and those at a boundary have no entry; a
            probability of 0 or 1 in a row with others has nan.
        """
        if not 0.0 < level < 1.0:
            raise ValueError(f"A confidence level lies between 0 and 1; {level!r} does not.")
        if method == "bootstrap":
            draws = self.bootstrap(X, sample_weight, n_resamples=n_resamples, random_state=random_state)
            return {name: bias_corrected_interval(values, self.params_[name], level) for name, values in draws.items()}
        if method != "wald":
            raise ValueError(f"method is 'wald' or 'bootstrap', not {method!r}.")
        if robust:
            names = self._covariance(self._own_statistics("confidence_intervals"))[0]
            errors = self._errors(names, self.robust_covariance(X, sample_weight))
        else:
            errors = self.standard_errors_
        z = float(ndtri(0.5 + 0.5 * level))
        spaces = self.family_.spaces()
        return {name: spaces[name].interval(self.params_[name], z * error) for name, error in errors.items()}

    def bootstrap(
        self,
        X: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
        *,
        n_resamples: int = 999,
        random_state: Any = None,
    ) -> Params:
        """Refits under random reweighting of the rows: the weighted likelihood bootstrap.

        Every refit multiplies the weights by independent exponential numbers, scaled to a mean of one. That has the
        first-order distribution of resampling rows with replacement, but no row ever has weight 0: where the fit
        exists, so does every refit. A prior takes part.

        Parameters
        ----------
        X : array-like of shape (n, d), default=None
            The rows of the fit; None takes those of the last ``fit``, kept by reference.
        sample_weight : array-like of shape (n,), default=None
            Their weights, carried along by the rows.
        n_resamples : int, default=999
            Number of refits; each costs what a fit costs.
        random_state : int, RandomState or None, default=None
            A number gives the same refits every time.

        Returns
        -------
        dict of arrays
            Those with a standard error: arrays of shape (n_resamples, ...), one parameter after another.

        References
        ----------
        M. A. Newton, A. E. Raftery, "Approximate Bayesian inference with the weighted likelihood bootstrap", 1994,
        doi:10.1111/j.2517-6161.1994.tb01956.x.
        """
        self._own_statistics("bootstrap")
        if n_resamples < 1:
            raise ValueError(f"n_resamples has to be at least 1, not {n_resamples}.")
        rows = self._rows_of(X, sample_weight, "bootstrap")
        if not isinstance(rows, Rows):
            raise AttributeError(
                "The bootstrap refits rows in memory, this density was fitted to batches: pass rows, as in density.bootstrap(X)."
            )
        generator = as_generator(random_state)
        prior = resolve_prior(getattr(self, "prior", None), self.family_)
        estimated = list(self.standard_errors_)
        draws: dict[str, list[Any]] = {name: [] for name in estimated}
        for _ in range(n_resamples):
            weights = generator.standard_exponential(len(rows.X))
            weights *= len(weights) / weights.sum()
            if rows.weights is not None:
                weights *= rows.weights
            resampled = Rows(rows.X, weights, rows.n_threads, rows.names, rows.index)
            fit, _ = fit_rows(self.family_, prior, resampled, self.tol, self.max_iter)
            for name in estimated:
                draws[name].append(fit.params[name])
        return {name: np.stack(values) for name, values in draws.items()}

    def __getstate__(self) -> dict[str, Any]:
        state: Any = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_rows"}


def _products(family: Family, params: Params, chart: Chart, squared: bool, rows: Rows) -> Floats:
    """The products of scores of one block, with what is summed over blocks in the last place."""
    return score_products(family, rows, params, chart, squared=squared)


def bias_corrected_interval(draws: Floats, value: Any, level: float) -> tuple[Any, Any]:
    """Quantiles of refits, moved by twice the distance of the estimate from their median, on the scale of normal quantiles."""
    below = np.mean(draws < value, axis=0) + 0.5 * np.mean(draws == value, axis=0)
    half = ndtri(0.5 + 0.5 * level)
    columns = draws.reshape(len(draws), -1).T
    ends = []
    for z in (-half, half):
        ranks = np.ravel(ndtr(2.0 * ndtri(below) + z))
        found = [np.quantile(column, p, method="inverted_cdf") for column, p in zip(columns, ranks, strict=True)]
        ends.append(np.array(found).reshape(draws.shape[1:])[()])
    return ends[0], ends[1]
