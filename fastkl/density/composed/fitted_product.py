"""A product of fitted densities: scores, slopes, draws and uncertainty, however the densities were learnt."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params
from fastkl.density.base import BaseDensity
from fastkl.density.composed.base import (
    ComposedDensity,
    draw,
    is_discrete,
    log_likelihood_of,
    mean_and_slopes_of,
    n_parameters_of,
    slopes_of,
)
from fastkl.density.composed.distribution import ProductDistribution
from fastkl.density.composed.groups import Group, in_group, on_groups
from fastkl.density.composed.inference import ProductInference
from fastkl.density.composed.parts import ProductParts
from fastkl.density.composed.summary import ProductSummary
from fastkl.density.validation import read_array, validated
from fastkl.divergence import Estimate
from fastkl.divergence.against_model.sample_model import cross_entropy_of_scores
from fastkl.rows.columns import refuse_duplicates
from fastkl.rows.reading import refuse_unread
from fastkl.rows.tables import as_table, column_names, columns_of, is_table, rows_as
from fastkl.rows.weights import read_weights


class FittedProduct(ProductDistribution, ProductParts, ProductSummary, ComposedDensity):
    """Members of independent groups of columns whose densities are fitted. A subclass learns them."""

    _cheap_properties = ("n_parameters_", "discrete_")

    groups_: list[Group]
    dtypes_: list[str] | None  # dtypes of the table that was fitted

    def _read(self, X: Any, *, reset: bool = False) -> Any:
        """The rows: a table as it is, anything else as an array; number and names of the columns are learnt or compared."""
        refuse_unread(X, "X")
        X = as_table(X)
        if not is_table(X):
            return read_array(self, X, True, reset)
        refuse_duplicates(column_names(X) or [], "X")
        validated(self, X, reset, skip_check_array=True)
        if len(X) == 0:
            raise ValueError(
                f"Found array with 0 sample(s) (shape=(0, {self.n_features_in_})) while a minimum of 1 is required."
            )
        return X

    # -- scoring -----------------------------------------------------------------------------------------------------------

    def _read_fitted(self, X: Any, sample_weight: Any) -> tuple[Any, Floats | None]:
        """Table and weights for a fitted density."""
        self._check_fitted()
        table = self._read(X)
        return table, read_weights(sample_weight, len(table), beside=X)

    def _of_groups(self, X: Any, sample_weight: Any, function: Callable[[Any, Any, Any], Any]) -> dict[str, Any]:
        """``function(density, columns, weights)`` of every group."""
        table, weights = self._read_fitted(X, sample_weight)
        return on_groups(
            self.groups_, table, self._column_names(), lambda density, part: function(density, part, weights)
        )

    def _scored(self, X: Any, sample_weight: ArrayLike | None) -> tuple[float, float]:
        table, weights = self._read_fitted(X, sample_weight)
        totals = on_groups(self.groups_, table, self._column_names(), partial(log_likelihood_of, weights=weights))
        return float(sum(totals.values())), float(len(table)) if weights is None else float(weights.sum())

    def score_samples(self, X: Any) -> Floats:
        """Log-density of every row: the sum of those of its groups.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the support.
        """
        return self.group_scores(X).sum(axis=1)

    def group_scores(self, X: Any) -> Floats:
        """Log-density of every group of columns in every row: which part of a row makes it unlikely.

        Log-densities of different variables are in different units: compare a group's value with those of the same group in other
        rows, not with the other groups.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows.

        Returns
        -------
        ndarray of shape (n, n_groups)
            In nats, in the order of ``groups``.
        """
        self._check_fitted()
        table = self._read(X)
        scores = on_groups(self.groups_, table, self._column_names(), lambda density, part: density.score_samples(part))
        return np.stack([np.asarray(values, dtype=np.float64) for values in scores.values()], axis=1)

    def gradient(self, X: Any, sample_weight: ArrayLike | None = None) -> Params:
        found = self._of_groups(X, sample_weight, slopes_of)
        return {name: slopes for name, slopes in found.items() if slopes is not None}

    def score_and_gradient(self, X: Any, sample_weight: ArrayLike | None = None) -> tuple[float, Params]:
        found = self._of_groups(X, sample_weight, mean_and_slopes_of)
        slopes = {name: slopes for name, (_, slopes) in found.items() if slopes is not None}
        return float(sum(mean for mean, _ in found.values())), slopes

    def _draw(self, n_samples: int, generator: np.random.Generator) -> Any:
        columns: list[NDArray[Any]] = [np.empty(0)] * self.n_features_in_
        for _, density, numbers in self.groups_:
            drawn = draw(density, n_samples, generator)
            for i, j in enumerate(numbers):
                columns[j] = drawn[:, i]
        return rows_as(self.dtypes_, columns, self._column_names())

    def cross_entropy(self, X: Any, sample_weight: ArrayLike | None = None) -> Estimate:
        """Estimated cross-entropy H(p_data, p_theta) = -E log p_theta from a sample of the data; columns may be labels.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            A sample of the data distribution, best one that was not fitted to.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        Estimate
            Minus the score, in nats, with its standard error.
        """
        scores = self.score_samples(X)
        return cross_entropy_of_scores(scores, read_weights(sample_weight, len(scores), beside=X))

    # -- what was learnt ---------------------------------------------------------------------------------------------------

    @property
    def densities_(self) -> dict[str, Any]:
        """The fitted densities by the names of their groups."""
        self._check_fitted()
        return {name: density for name, density, _ in self.groups_}

    @property
    def params_(self) -> dict[str, Any]:
        """The parameters of each group; of those groups that have ``params_``."""
        found = {name: getattr(density, "params_", None) for name, density in self.densities_.items()}
        return {name: params for name, params in found.items() if params is not None}

    @property
    def n_parameters_(self) -> int:
        """Number of parameters that the fit estimates, in all groups together."""
        return sum(n_parameters_of(density) for density in self.densities_.values())

    @property
    def inference_(self) -> ProductInference:
        """The uncertainty of the parameters, as an object of the fit: what the members for it ask."""
        found = {name: getattr(density, "inference_", None) for name, density in self.densities_.items()}
        unknown = [type(part).__name__ for part in self.densities_.values() if not isinstance(part, BaseDensity)]
        numbers = {name: columns for name, _, columns in self.groups_}

        def split(X: Any, sample_weight: Any) -> tuple[dict[str, Any], Floats | None]:
            table, weights = self._read_fitted(X, sample_weight)
            return {name: columns_of(table, columns) for name, columns in numbers.items()}, weights

        def place(name: str) -> AbstractContextManager[None]:
            return in_group(name, numbers[name], self._column_names())

        return ProductInference({name: part for name, part in found.items() if part is not None}, split, place, unknown)

    @property
    def discrete_(self) -> bool:
        """Whether all groups are discrete, so that the log-density is a log-probability."""
        return all(is_discrete(density) for density in self.densities_.values())

    @property
    def factors_(self) -> list[tuple[tuple[int, ...], Any]]:
        """The independent parts: numbers of the columns, and their density."""
        self._check_fitted()
        return [(tuple(numbers), density) for _, density, numbers in self.groups_]
