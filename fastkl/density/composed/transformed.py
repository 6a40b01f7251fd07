"""``TransformedDensity``: a density of the original variable, through a one-to-one transformer."""

from __future__ import annotations

import copy
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fastkl.density.bijections.base import Bijection
from fastkl.density.bijections.lookup import bijection
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.composed.base import (
    adds_up,
    all_rows,
    check_density,
    fit_part,
    is_discrete,
    weighted_total,
    with_location,
)
from fastkl.density.composed.fitted_transformed import FittedTransformed
from fastkl.density.files.registry import register_density
from fastkl.density.validation import raise_if_other_names, take_columns_of, unchanged_on_error


def _sums_are_enough(method: str) -> Any:
    def has(whole: TransformedDensity) -> bool:
        if lacking := _lacking(method, whole):
            raise AttributeError(lacking)
        return True

    return available_if(has)


def _lacking(method: str, whole: TransformedDensity) -> str:
    """Why there is no such method, in words; "" where there is one."""
    if bijection(whole.transformer).learns:
        return (
            f"{whole.transformer!r} learns from all rows before the density can see any: {method} and fit_batches work behind "
            "transformers that learn nothing, such as FunctionTransformer(np.log). Take fit; or fit the transformer first, and "
            "the density to its images with fit_batches."
        )
    if not (hasattr(whole.density, method) and adds_up(whole.density)):
        return (
            f"{whole.density!r} has no {method} that gives the result of fit, which {method} and fit_batches behind a "
            "transformer need. Take fit; or fit_batches of the density, on transformed rows."
        )
    return ""


class TransformedDensity(FittedTransformed):
    r"""Density of a variable whose transform has a given density, so that transformers can be compared by likelihood.

    With the one-to-one transformer T and the density q of Z = T(X), the density of X is

    .. math:: \log p(x) = \log q(T(x)) + \log |\det J_T(x)|.

    In a plain ``Pipeline`` the second term is missing: its score is that of the transformed variable, which grows without
    bound when the transformer shrinks the rows, and scores behind different transformers can't be compared. Here they can,
    since all are in nats of the original variable.

    Parameters
    ----------
    transformer : transformer, None or "passthrough"
        A one-to-one transformer; None and ``"passthrough"`` leave the rows as they are, so that a grid search may try it.
        Known are StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler, PowerTransformer, QuantileTransformer, PCA and
        FastICA with all components, FunctionTransformer with a known function (log, log1p, sqrt, exp, logit, ...), Pipeline
        and ColumnTransformer of these, and every transformer with a method ``log_abs_det_jacobian(X)`` (-inf for a row
        outside its domain).
    density : density
        The density of the transformed rows, such as ``DensityMLE("normal")``; anything with ``fit`` and ``score_samples``.

    Attributes
    ----------
    transformer_ : transformer, None or "passthrough"
        The fitted transformer. A ColumnTransformer has its columns as numbers.
    density_ : density
        The density fitted to the transformed rows; its parameters are those of the transformed variable.
    params_, standard_errors_ : dict of arrays
        Those of ``density_``. What the transformer learnt is held fixed in all that says how sure they are: standard errors,
        robust ones, intervals, bootstrap.
    covariance_of_params_ : ndarray of shape (p, p)
        That of ``density_``, in the order of ``param_names_``.
    robust_standard_errors_, robust_covariance_of_params_ : dict of arrays, ndarray of shape (p, p)
        The sandwich form, where ``density_`` was fitted with ``robust_errors=True``.
    param_names_ : list of str
        Names of the estimated parameters.
    n_parameters_ : int
        Number of parameters that AIC and BIC count: see Notes.
    inference_ : object
        The uncertainty of the fit, used by the methods for errors and intervals.
    log_likelihood_ : float
        Weighted log-likelihood of the fitted rows, in nats of the original variable.
    log_abs_det_ : float
        Weighted sum of log abs det of the Jacobian over the fitted rows: the share of the transformer in ``log_likelihood_``.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the rows came as a table with names.

    Raises
    ------
    LossyTransformerError
        By ``fit``, if the transformer is not one-to-one, such as PCA with fewer components or a scaler with ``clip=True``.

    Notes
    -----
    *Weights* go to the density, and to the transformers that take ``sample_weight`` (StandardScaler). The others are fitted
    to the rows of positive weight, each counted once.

    *Number of parameters.* ``n_parameters_`` counts, beside those of the density, what the transformer learnt and the density
    could not have learnt by itself. A scaler before a normal distribution adds nothing: the model is the same normal
    distribution, with the same AIC. A PowerTransformer adds its exponents, PCA before independent normal distributions
    the d (d - 1) / 2 angles of the rotation, a MinMaxScaler before a beta distribution two numbers per column, a
    QuantileTransformer its quantiles. Other transformers count with their own ``n_parameters_``, if they have one.

    *Outside the domain* of the transformer (a negative number under the logarithm, or a value beyond the range that a
    QuantileTransformer learnt) the density is 0; in ``fit`` such a row is an error.

    *Mass that is lost.* A density may give mass to values that T never takes, such as a normal distribution to negative
    values of exp(x) or to values that no Box-Cox transform reaches. The density of X then integrates to less than 1; it
    is not normalised, and ``sample`` draws from what is left.

    The rows are transformed in float64, whatever their dtype. Discrete families are an error: probabilities have no Jacobian.

    References
    ----------
    G. E. P. Box and D. R. Cox, "An analysis of transformations", J. R. Stat. Soc. B 26, 1964,
    doi:10.1111/j.2517-6161.1964.tb00553.x: transformations chosen by the likelihood of the original variable.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from fastkl import DensityMLE, TransformedDensity
    >>> X = np.random.default_rng(0).lognormal(size=(1000, 1))
    >>> model = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    >>> bool(np.isclose(model.score(X), DensityMLE("lognormal").fit(X).score(X), rtol=1e-12))
    True
    """

    def __init__(self, transformer: Any, density: Any):
        self.transformer = transformer
        self.density = density

    # -- learning ----------------------------------------------------------------------------------------------------------

    @hears_callbacks
    def fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Fit the transformer to the rows, then the density to their images.

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
        TransformedDensity
            The estimator itself.

        Raises
        ------
        LossyTransformerError
            If the transformer is not one-to-one.
        SupportError
            If a row lies outside the domain of the transformer, or its image outside the support of the density.
        DegenerateDataError
            If the likelihood has no maximum on these rows.
        """
        density = self._checked_density()
        with unchanged_on_error(self):
            rows = self._read(X, sample_weight, reset=True)
            names = self._column_names()
            mapped = _numbered(self.transformer, X, names, self.n_features_in_).fitted(rows)
            images, log_det = self._images(mapped, rows)
            with with_location(self._place()):
                if rows.index is None:
                    fit_part(density, images, rows.weights, self)
                else:
                    fit_part(density, *all_rows(images, rows, sample_weight), self)
            self.transformer_, self.density_ = mapped.transformer, density
            own = getattr(density, "log_likelihood_", None)
            total = weighted_total(density.score_samples(images), rows.weights) if own is None else float(own)
            self.log_abs_det_ = weighted_total(log_det, rows.weights)
            self.log_likelihood_ = total + self.log_abs_det_
        return self

    @_sums_are_enough("partial_fit")
    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Add rows to those already seen; only behind transformers that learn nothing from the rows.

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
        TransformedDensity
            The estimator itself.
        """
        first = not hasattr(self, "density_")
        density = self._checked_density() if first else copy.deepcopy(self.density_)
        with unchanged_on_error(self):
            rows = self._read(X, sample_weight, reset=first)
            mapped = bijection(self.transformer).fitted(rows) if first else bijection(self.transformer_)
            images, log_det = self._images(mapped, rows)
            with with_location(self._place()):
                density.partial_fit(images, sample_weight=rows.weights)
            self.transformer_ = mapped.transformer
            self._take_more(density, weighted_total(log_det, rows.weights))
        return self

    @_sums_are_enough("merge")
    def merge(self, other: TransformedDensity) -> Self:
        """Take over the rows another density behind the same transformer has seen; only where it learns nothing from the rows.

        Parameters
        ----------
        other : TransformedDensity
            Fitted to other rows; it is not changed.

        Returns
        -------
        TransformedDensity
            The estimator itself, with the parameters of both sets of rows together.
        """
        if not isinstance(other, TransformedDensity) or repr(other.transformer) != repr(self.transformer):
            raise ValueError(
                f"merge takes a TransformedDensity with the transformer {self.transformer!r}, not {other!r}."
            )
        if not hasattr(other, "log_abs_det_") or (hasattr(self, "density_") and not hasattr(self, "log_abs_det_")):
            raise ValueError("The densities need to have seen rows; call fit or partial_fit first.")
        raise_if_other_names(self, other)
        with unchanged_on_error(self):
            if hasattr(self, "density_"):
                density = copy.deepcopy(self.density_)
            else:
                density, self.transformer_ = self._checked_density(), copy.deepcopy(other.transformer_)
                take_columns_of(self, other)
            density.merge(other.density_)
            self._take_more(density, other.log_abs_det_)
        return self

    def _why_no_blocks(self) -> str:
        return _lacking("partial_fit", self) or super()._why_no_blocks()

    def _take_more(self, density: Any, log_abs_det: float) -> None:
        """Go on with a density of more rows."""
        self.density_ = density
        self.log_abs_det_ = getattr(self, "log_abs_det_", 0.0) + log_abs_det
        self.__dict__.pop("log_likelihood_", None)
        if hasattr(density, "log_likelihood_"):
            self.log_likelihood_ = float(density.log_likelihood_) + self.log_abs_det_

    @classmethod
    def from_fitted(cls, transformer: Any, density: Any) -> Self:
        """A density from parts that are known already, without data.

        Parameters
        ----------
        transformer : transformer, None or "passthrough"
            A fitted transformer, or one that learns nothing such as ``FunctionTransformer(np.log)``.
        density : density
            A fitted density of the transformed variable, such as one of ``DensityMLE.from_parameters``.

        Returns
        -------
        TransformedDensity
            Ready to score and sample; the parts are not copied.

        Raises
        ------
        TypeError
            If the density is not fitted.
        LossyTransformerError
            If the transformer is not one-to-one.
        ValueError
            If the transformer and the density are of different numbers of columns, or the density is discrete.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.preprocessing import FunctionTransformer
        >>> from fastkl import DensityMLE, TransformedDensity
        >>> normal = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
        >>> lognormal = TransformedDensity.from_fitted(FunctionTransformer(np.log), normal)
        >>> round(float(lognormal.score_samples([[2.0]])[0]), 6)
        -1.852312
        """
        model = cls(transformer, density)
        if bijection(transformer).learns:
            check_is_fitted(transformer)
        if not hasattr(density, "score_samples") or not hasattr(density, "n_features_in_"):
            raise TypeError(f"density is a fitted density, not {density!r}.")
        taken = getattr(transformer, "n_features_in_", density.n_features_in_)
        if taken != density.n_features_in_:
            raise ValueError(
                f"{transformer!r} takes {taken} columns, and the density is of {density.n_features_in_}: a one-to-one "
                "transformer gives as many columns as it takes, and the density is of these."
            )
        model._raise_if_discrete(density)
        model.transformer_, model.density_, model.n_features_in_ = transformer, density, density.n_features_in_
        return model

    def _checked_density(self) -> Any:
        density = check_density(self.density, "density")
        bijection(self.transformer)
        self._raise_if_discrete(density)
        return density

    def _raise_if_discrete(self, density: Any) -> None:
        if is_discrete(density):
            raise ValueError(
                f"{density!r} is discrete: probabilities of values have no Jacobian, so a TransformedDensity of it makes no "
                "sense. Use it without the transformer, for some of the columns with ProductDensity."
            )

    def _is_discrete(self) -> bool:
        return False

    def _sk_visual_block_(self) -> Any:
        """One after the other, as scikit-learn draws a Pipeline."""
        from sklearn.pipeline import Pipeline  # only here: a picture in a notebook

        transformer = getattr(self, "transformer_", self.transformer)
        first = "passthrough" if transformer is None or isinstance(transformer, str) else transformer
        return Pipeline(
            [("transformer", first), ("density", getattr(self, "density_", self.density))]
        )._sk_visual_block_()

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # what comes to the density has passed the transformer: its own tags say nothing of the rows
        if hasattr(self.transformer, "fit"):
            own = get_tags(self.transformer).input_tags
            # scikit-learn's PowerTransformer doesn't say so itself
            tags.input_tags.positive_only = own.positive_only or getattr(self.transformer, "method", None) == "box-cox"
        return tags


def _numbered(transformer: Any, X: Any, names: Any, d: int) -> Bijection:
    """The transformer as a change of variables of plain arrays."""
    mapped = bijection(transformer)
    if transformer is None or isinstance(transformer, str):
        return mapped
    from fastkl.density.bijections.composed import with_numbered_columns

    return bijection(with_numbered_columns(transformer, X, names, d))


def _check_stored(model: TransformedDensity) -> None:
    """ValueError unless the transformer maps rows of as many columns as the density has."""
    d = model.n_features_in_
    if model.density_.n_features_in_ != d:
        raise ValueError(f"the density has {model.density_.n_features_in_} columns, n_features_in_ is {d}")
    with np.errstate(all="ignore"):
        images, log_det = bijection(model.transformer_).forward(np.zeros((1, d)))
    if images.shape != (1, d) or log_det.shape != (1,):
        raise ValueError(f"{model.transformer_!r} maps no rows of {d} columns")


register_density(TransformedDensity, _check_stored)
