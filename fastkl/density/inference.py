"""How sure the parameters of a fitted density are: standard errors, intervals, bootstrap, Takeuchi's criterion.

``Inference`` is an object of a fit: what a kind of density has to know about its own parameters, and what follows from that
for all kinds. ``InferenceMembers`` are the members of the estimators, each of which hands over to it.

The robust (sandwich) form needs the sum over the rows of the outer products of their scores at the maximum, which no family's
sufficient statistics hold. A fitted density keeps no reference to its rows; they are passed again, or the fit takes that sum in a
further pass (``robust_errors=True``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from fastkl._core.array_types import Floats, Params
from fastkl._core.other_keywords import knows_other_keywords
from fastkl.density.bootstrap import BootstrapFits, refits_summary
from fastkl.density.contract import Density
from fastkl.density.validation import as_generator, whole_number
from fastkl.divergence.options import one_seed


class Inference(ABC):
    """The uncertainty of the estimated parameters. A kind of density gives the abstract methods; the others follow.

    Rows are those of a caller, with their weights or None. Dicts are shaped like ``params_``, without the parameters that have no
    standard error: fixed ones, and those at a boundary.
    """

    @abstractmethod
    def names(self) -> list[str]:
        """Names of the estimated entries, such as ``"scale[0]"``: the order of all matrices."""

    @abstractmethod
    def standard_errors(self) -> Params:
        """Roots of the diagonal of ``covariance``, shaped like the parameters."""

    @abstractmethod
    def covariance(self) -> Floats:
        """Inverse observed information."""

    @abstractmethod
    def shaped(self, entries: Floats) -> Params:
        """A number for each of ``names`` as a dict shaped like the parameters."""

    @abstractmethod
    def scores(self, X: Any, sample_weight: Any) -> Iterator[tuple[Floats, Floats]]:
        """Blocks of rows: derivatives of each row's log-density by some coordinates, (m, q), and the rows' weights, (m,)."""

    @abstractmethod
    def influence(self) -> Floats:
        """The matrix (p, q) that makes of a row's score its influence on the estimates."""

    @abstractmethod
    def kept_products(self) -> Floats | None:
        """The sum of w^2 s s^T over the rows of the fit, (q, q), where the fit took it."""

    @abstractmethod
    def effective_parameters(self, X: Any, sample_weight: Any) -> float:
        """The trace of A^-1 B: the bias of the log-likelihood of the rows that were fitted to."""

    @abstractmethod
    def intervals(self, errors: Params, z: float) -> dict[str, Any]:
        """Pairs (low, high), z standard errors wide on each side."""

    @abstractmethod
    def profile_intervals(self, X: Any, sample_weight: Any, level: float) -> dict[str, Any]:
        """Pairs (low, high): where the profile log-likelihood falls by half a quantile of chi-squared."""

    @abstractmethod
    def refits(self, X: Any, sample_weight: Any, n_resamples: int, generator: np.random.Generator) -> Params:
        """Estimates under random weights, one resample after another along the first axis."""

    @abstractmethod
    def refitted_intervals(self, refits: Params, level: float) -> dict[str, Any]:
        """Pairs (low, high): quantiles of such estimates, corrected for their bias."""

    # -- what follows ------------------------------------------------------------------------------------------------------

    def robust_covariance(self, X: Any, sample_weight: Any = None) -> Floats:
        """The sandwich form, from rows; X None stands for what the fit kept."""
        products = self.kept_products() if X is None else self._products(X, sample_weight)
        if products is None:
            raise AttributeError(
                "The sandwich form needs the rows, which a fitted density does not keep: pass them, as in "
                "density.robust_covariance(X), density.robust_standard_errors(X) or density.confidence_intervals(robust=True, "
                "X=X), or fit with robust_errors=True."
            )
        influence = self.influence()
        return influence @ products @ influence.T

    def _products(self, X: Any, sample_weight: Any) -> Floats:
        total: Floats | None = None
        for scores, weights in self.scores(X, sample_weight):
            scaled = scores * weights[:, None]
            products = scaled.T @ scaled
            total = products if total is None else total + products
        return np.zeros((0, 0)) if total is None else total

    def robust_standard_errors(self, X: Any, sample_weight: Any = None) -> Params:
        """Roots of the diagonal of the sandwich form, shaped like the parameters."""
        variances = np.diag(self.robust_covariance(X, sample_weight))
        return self.shaped(np.sqrt(np.maximum(variances, 0.0)))  # one that is 0 may be less by rounding


class InferenceMembers(Density):
    """Members of a fitted density that say how sure its parameters are."""

    @property
    def standard_errors_(self) -> Params:
        """Standard errors of the estimated parameters, shaped like them, from the inverse observed information."""
        return self.inference_.standard_errors()

    @property
    def covariance_of_params_(self) -> Floats:
        """Inverse observed information, with a prior that of the posterior, in the order of ``param_names_``.

        Computed at every call: for a full covariance of 100 columns it has 5150 rows and columns.
        """
        return self.inference_.covariance()

    @property
    def param_names_(self) -> list[str]:
        """Names of the estimated parameters, such as ``"scale[0]"``."""
        return self.inference_.names()

    @property
    def robust_standard_errors_(self) -> Params:
        """Standard errors from the sandwich form, of a fit with ``robust_errors=True``; ``robust_standard_errors(X)`` for any."""
        return self.inference_.robust_standard_errors(None)

    @property
    def robust_covariance_of_params_(self) -> Floats:
        """The sandwich form, of a fit with ``robust_errors=True``; ``robust_covariance(X)`` for any."""
        return self.inference_.robust_covariance(None)

    def robust_covariance(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Floats:
        r"""Covariance of the estimates when the distribution of the data need not belong to the family.

        With the score s_i of row i, and A the observed information (with a prior, of the posterior), it is
        :math:`A^{-1} \left( \sum_i w_i^2 s_i s_i^T \right) A^{-1}`. The rows are the sampling units and carry their
        weights along: multiplying all weights by a number changes nothing. For a row that stands for w equal ones
        repeat it instead. A transformer that was learnt is held fixed.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit, which a fitted density does not keep.
        sample_weight : array-like of shape (n,), default=None
            Their weights.

        Returns
        -------
        ndarray of shape (p, p)
            In the order of ``param_names_``. In a product, groups that depend on each other in the rows have entries together.

        Raises
        ------
        AttributeError
            If there is no fit.

        References
        ----------
        H. White, "Maximum likelihood estimation of misspecified models", Econometrica 50, 1982, doi:10.2307/1912526.
        """
        return self.inference_.robust_covariance(_rows(X), sample_weight)

    def robust_standard_errors(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Params:
        """Standard errors from the sandwich form: right when the family is wrong, and for weights that are not counts.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit, which a fitted density does not keep.
        sample_weight : array-like of shape (n,), default=None
            Their weights.

        Returns
        -------
        dict of arrays
            Shaped as ``standard_errors_``: roots of the diagonal of ``robust_covariance``.
        """
        return self.inference_.robust_standard_errors(_rows(X), sample_weight)

    def tic(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        r"""Takeuchi's criterion 2 tr(A^{-1} B) - 2 log L on the rows; lower is better.

        A is the observed information, :math:`B = \sum_i w_i s_i s_i^T` sums the outer products of the scores. If the
        distribution of the data belongs to the family, the trace tends to the number of parameters and the criterion is
        Akaike's; if not, it still estimates the bias of log L. Weights count as repetitions, as in ``aic`` and ``bic``.
        Parameters without a standard error are left out of the trace; those of a transformer count as in ``aic``.

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
        trace = self.inference_.effective_parameters(X, sample_weight)
        return float(2.0 * trace - 2.0 * self._scored(X, sample_weight)[0])

    @knows_other_keywords
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
        rng: Any = None,
    ) -> dict[str, Any]:
        """Confidence intervals of the estimated parameters.

        ``"wald"`` is estimate ± quantile times standard error on a scale where the distribution of the estimate is closer to
        normal and every value is a parameter: logarithms of positive parameters (and of variances), logits of probabilities,
        the parameter itself otherwise. ``"bootstrap"`` takes bias-corrected quantiles of ``bootstrap`` (B. Efron 1987,
        doi:10.1080/01621459.1987.10478410). ``"profile"`` ends where the log-likelihood, with the other parameters fitted anew
        at each value, has fallen by half the quantile of chi-squared with one degree of freedom (D. J. Venzon, S. H. Moolgavkar
        1988, doi:10.2307/2347496): the interval of R's ``confint``, better than Wald's for few rows. It is for univariate
        families without a prior; a parameter at a limit, as infinite degrees of freedom, has its one end.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.
        method : {"wald", "profile", "bootstrap"}, default="wald"
            How.
        robust : bool, default=False
            Wald intervals from the sandwich form.
        X : array-like of shape (n, d), default=None
            The rows of the fit, for the profile, the bootstrap and the robust form; the latter does without after a fit with
            ``robust_errors=True``.
        sample_weight : array-like of shape (n,), default=None
            Their weights.
        n_resamples : int, default=999
            Of the bootstrap.
        random_state : int, RandomState, Generator or None, default=None
            Of the bootstrap.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        dict of (low, high)
            Pairs of arrays shaped like the parameter. Fixed parameters and those at a boundary have no entry; a
            probability of 0 or 1 in a row with others has nan.

        Raises
        ------
        ValueError
            If the level is not between 0 and 1, there is no such method, it lacks the rows, or a profile is none of the family.
        AttributeError
            If there is no fit whose errors are known.
        """
        random_state = one_seed(random_state, rng)
        if not 0.0 < level < 1.0:
            raise ValueError(f"A confidence level lies between 0 and 1; {level!r} does not.")
        if method not in ("wald", "profile", "bootstrap"):
            raise ValueError(f"method is 'wald', 'profile' or 'bootstrap', not {method!r}.")
        inference: Inference = self.inference_
        if method != "wald" and X is None:
            raise ValueError(
                f"method={method!r} refits the rows, which a fitted density does not keep: pass them, as in "
                f"density.confidence_intervals(method={method!r}, X=X)."
            )
        if method == "profile":
            return inference.profile_intervals(X, sample_weight, level)
        if method == "bootstrap":
            assert X is not None
            draws = self.bootstrap(X, sample_weight, n_resamples=n_resamples, random_state=random_state)
            return inference.refitted_intervals(draws, level)
        errors = inference.robust_standard_errors(X, sample_weight) if robust else inference.standard_errors()
        return inference.intervals(errors, float(ndtri(0.5 + 0.5 * level)))

    @knows_other_keywords
    def bootstrap(
        self,
        X: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        n_resamples: int = 999,
        random_state: Any = None,
        rng: Any = None,
    ) -> BootstrapFits:
        """Refits under random reweighting of the rows: the weighted likelihood bootstrap.

        Every refit multiplies the weights by independent exponential numbers, scaled to a mean of one. That has the
        first-order distribution of resampling rows with replacement, but no row ever has weight 0, so that next to all
        fits that exist have refits. A prior takes part; a transformer that was learnt is held fixed.

        Parameters
        ----------
        X : array-like of shape (n, d)
            The rows of the fit, which a fitted density does not keep.
        sample_weight : array-like of shape (n,), default=None
            Their weights, carried along by the rows.
        n_resamples : int, default=999
            Number of refits; each costs what a fit costs.
        random_state : int, RandomState, Generator or None, default=None
            A number gives the same refits every time.
        rng : int, Generator or None, default=None
            Another name of ``random_state``, as in numpy and scipy; a number seeds `numpy.random.default_rng`.

        Returns
        -------
        BootstrapFits
            A dict of those with a standard error: arrays of shape (n_resamples, ...), one parameter after another. Printed as a
            table: estimate, standard deviation of the refits, and interval; a data frame by ``to_frame()``.

        Raises
        ------
        DegenerateDataError
            If the likelihood has no maximum under some of the weights, as may be with a few rows, or many equal ones.

        References
        ----------
        M. A. Newton, A. E. Raftery, "Approximate Bayesian inference with the weighted likelihood bootstrap", 1994,
        doi:10.1111/j.2517-6161.1994.tb01956.x.
        """
        random_state = one_seed(random_state, rng)
        n_resamples = whole_number(n_resamples, "n_resamples")
        refits = self.inference_.refits(X, sample_weight, n_resamples, as_generator(random_state))
        return BootstrapFits(refits, refits_summary(self, refits, n_resamples))


def _rows(X: Any) -> Any:
    """Rows that are asked for, so that None does not stand for what a fit kept."""
    if X is None:
        raise ValueError("X has to be the rows of the fit, not None; a fitted density does not keep them.")
    return X
