"""A density of one family: what follows once the family and its parameters are known, however they were learnt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core._threads import effective_n_threads
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl.density.base import BaseDensity
from fastkl.density.parametric.distribution import FamilyDistribution
from fastkl.density.parametric.goodness import FamilyGoodness
from fastkl.density.parametric.inference import FitInference
from fastkl.density.parametric.parts import FamilyParts
from fastkl.density.parametric.summary import FamilySummary
from fastkl.density.validation import is_positive, read_rows, resolve_family
from fastkl.divergence import Estimate
from fastkl.divergence.against_model.sample_model import cross_entropy_of_scores
from fastkl.exceptions import MissingValueError
from fastkl.families.base import Family
from fastkl.families.drawing import draws
from fastkl.families.priors import PriorLike
from fastkl.rows.checks import raise_if_not_finite, require_finite
from fastkl.rows.incomplete import marked
from fastkl.rows.streamed import is_finite
from fastkl.rows.weights import read_weights

T = TypeVar("T")


class FamilyDensity(FamilyDistribution, FamilyGoodness, FamilyParts, FamilySummary, BaseDensity):
    """Scores, slopes, draws and uncertainty of a family at its parameters. A subclass learns them."""

    family: str | Family
    n_jobs: int | None
    family_: Family
    params_: Params
    prior_: PriorLike | None
    statistics_: Statistics  # of a fit; not there where the parameters were known

    def _refitted(self, rows: Rows) -> Params:
        """The parameters of a fit to other rows."""
        raise NotImplementedError

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator and, as ``family__df``, of a family that is an object.

        Parameters
        ----------
        **params
            Names and values.

        Returns
        -------
        estimator
            Itself.

        Raises
        ------
        ValueError
            For what there is not, or where the family is a name, which holds no parameters.
        """
        family = params.get("family", getattr(self, "family", None))
        held = [name.removeprefix("family__") for name in params if name.startswith("family__")]
        if held and isinstance(family, str):
            raise ValueError(
                f"family is the name {family!r}, which holds no {', '.join(held)}: give an object in its place, "
                f"family=families.{type(resolve_family(family)).__name__}(...)."
            )
        return super().set_params(**params)

    # -- scoring -----------------------------------------------------------------------------------------------------------

    def _read(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Rows:
        """Rows for a fitted density."""
        self._check_fitted()
        return read_rows(self, X, sample_weight, labels=self.family_.labels)

    def _read_marked(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Rows:
        """The same, marked where values are missing and the family takes that."""
        rows = self._read(X, sample_weight)
        return marked(rows) if self.family_.takes_missing else rows

    def _of_any_rows(self, function: Callable[[Rows], T], rows: Rows) -> T:
        """``function(rows)``; once more where it fails for missing values, which the family takes."""
        try:
            with require_finite(rows):
                found = function(rows)
            if not is_finite(found):
                raise_if_not_finite(rows)
        except MissingValueError:
            if not self.family_.takes_missing:
                raise
            return function(marked(rows))
        return found

    def _scored(self, X: ArrayLike, sample_weight: ArrayLike | None) -> tuple[float, float]:
        rows = self._read(X, sample_weight)
        total = self._of_any_rows(lambda rows: self.family_.log_likelihood(rows, self.params_), rows)
        return total, rows.total_weight

    def score_samples(self, X: ArrayLike) -> Floats:
        """Log-density of every row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the support. Of a row with missing values (NaN), which normal densities take, that of
            the values that are known.
        """
        return self._log_density_of(self._read(X))

    def _log_density_of(self, rows: Rows) -> Floats:
        return self._of_any_rows(lambda rows: self.family_.log_density(rows, self.params_), rows)

    def gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Params:
        rows = self._read(X, sample_weight)
        total = self._of_any_rows(lambda rows: self.family_.gradient(rows, self.params_), rows)
        return {name: value / rows.total_weight for name, value in total.items()}

    def score_and_gradient(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> tuple[float, Params]:
        rows = self._read(X, sample_weight)
        total, slopes = self._of_any_rows(
            lambda rows: self.family_.log_likelihood_and_gradient(rows, self.params_), rows
        )
        weight = rows.total_weight
        return total / weight, {name: value / weight for name, value in slopes.items()}

    def cross_entropy(self, X: ArrayLike, sample_weight: ArrayLike | None = None) -> Estimate:
        self._check_fitted()
        if not self.family_.labels:
            return super().cross_entropy(X, sample_weight)
        scores = self.score_samples(X)  # of labels, which a divergence of samples takes for none
        return cross_entropy_of_scores(scores, read_weights(sample_weight, len(scores), beside=X))

    def _resolved_family(self) -> Family:
        """What the constructor's parameters say, as a family of its own."""
        return resolve_family(self.family)

    def _takes_labels(self) -> bool:
        return (self.family_ if hasattr(self, "family_") else self._resolved_family()).labels

    def _threads(self) -> int:
        return effective_n_threads(self.n_jobs)

    def _draw(self, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return draws(self.family_, self.params_, n_samples, generator)

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimates."""
        self._check_fitted()
        return self.family_.n_parameters(self.params_)

    @property
    def categories_(self) -> list[NDArray[Any]]:
        """The labels of each column, for families of labels."""
        self._check_fitted()
        if not hasattr(self.family_, "labels_of"):
            raise AttributeError(f"The family {self.family_.name} has no categories.")
        return self.family_.labels_of(self.params_)

    @property
    def shrinkage_(self) -> float:
        """How far the covariance was shrunk, for a family with ``shrinkage``."""
        self._check_fitted()
        family: Any = self.family_
        if getattr(family, "shrinkage", None) is None or not hasattr(self, "statistics_"):
            raise AttributeError(
                "shrinkage_ needs a fit of a family with shrinkage, such as MultivariateNormal(shrinkage='ledoit_wolf')."
            )
        return float(family.shrinkage_of(self.statistics_, self.params_))

    @property
    def inference_(self) -> FitInference:
        """The uncertainty of the parameters, as an object of the fit: what the members for it ask."""
        self._check_fitted()
        if not hasattr(self, "statistics_"):
            raise AttributeError("Standard errors need a fit; this density was made from known parameters.")
        return FitInference(
            self.family_, self.params_, self.statistics_, self.prior_, self._read_marked, self._refitted
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            family = self._resolved_family()
        except (TypeError, ValueError):
            return tags  # an unknown family is an error of fit, not of a question about tags
        tags.input_tags.string = tags.input_tags.categorical = family.labels
        tags.input_tags.allow_nan = family.takes_missing
        tags.input_tags.positive_only = is_positive(family)
        return tags
