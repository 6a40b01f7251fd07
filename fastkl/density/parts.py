"""Parts of a density: the distribution of some of its columns, alone or given the values of others."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.density.contract import Density
from fastkl.rows.columns import column_number, column_numbers, listed, named
from fastkl.rows.missing import is_missing


class PartMembers(Density):
    """Members that give densities of some of the columns. A kind of density gives the methods that begin with an underscore."""

    def _marginal(self, columns: list[int]) -> Any:
        """The density of these columns, in this order, without names."""
        raise AttributeError(f"The marginals of a {type(self).__name__} are not known.")

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        """The density of the columns kept, given the values of the others, without names."""
        raise AttributeError(f"The conditional distributions of a {type(self).__name__} are not known.")

    def _log_density_of_part(self, columns: list[int], row: NDArray[Any]) -> float:
        """That of values (1, k) of these columns, whatever the others are."""
        margin = copy.copy(self._marginal(columns))
        vars(margin).pop("feature_names_in_", None)
        return float(margin.score_samples(row)[0])

    def marginal(self, columns: Any) -> Any:
        """The density of some of the columns, whatever the others are.

        Parameters
        ----------
        columns : str, int, slice or sequence of these
            Columns by name or number, in the order that they shall have.

        Returns
        -------
        density
            To score, sample and plot; it has no standard errors of its own.

        Raises
        ------
        ValueError
            If a column does not exist, or is named twice.
        AttributeError
            If the distribution of the columns is none that the library has.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> pair = DensityMLE.from_parameters(mean=[0.0, 1.0], covariance=[[2.0, 0.5], [0.5, 1.0]])
        >>> pair.marginal(1).params_
        {'mean': array([1.]), 'covariance': array([[1.]])}
        """
        self._check_fitted()
        names, d = self._column_names(), self.n_features_in_
        chosen = column_numbers(columns, None, names, d, f"This {type(self).__name__}")
        twice = next((j for j in chosen if chosen.count(j) > 1), None)
        if twice is not None or not chosen:
            wrong = "no column at all" if twice is None else f"{named(twice, names)} twice"
            raise ValueError(f"A marginal is one of different columns; columns={columns!r} is {wrong}.")
        return self._with_names(self._marginal(chosen), chosen)

    def conditional(self, given: Mapping[Any, Any]) -> Any:
        """The density of the other columns, given the values of some.

        Parameters
        ----------
        given : mapping
            Values by the names or numbers of their columns, ``{"height": 1.8}``.

        Returns
        -------
        density
            Of the columns that are not given, in their order.

        Raises
        ------
        ValueError
            If a column does not exist, all are given or none is, or the density of the given values is 0.
        AttributeError
            If the conditional distribution is none that the library has.

        Examples
        --------
        >>> from fastkl import DensityMLE
        >>> pair = DensityMLE.from_parameters(mean=[0.0, 1.0], covariance=[[2.0, 0.5], [0.5, 1.0]])
        >>> given = pair.conditional({1: 3.0})
        >>> given.params_["mean"], given.params_["covariance"]
        (array([1.]), array([[1.75]]))
        """
        self._check_fitted()
        names, d = self._column_names(), self.n_features_in_
        if not isinstance(given, Mapping) or not given:
            raise ValueError(f"given is a mapping of columns to values, such as {{'height': 1.8}}, not {given!r}.")
        values = {column_number(key, names, d, f"This {type(self).__name__}"): value for key, value in given.items()}
        if len(values) < len(given):
            raise ValueError(f"given holds a column twice, by name and by number: {listed(list(given))}.")
        kept = [j for j in range(d) if j not in values]
        if not kept:
            raise ValueError("All columns are given, and none is left to have a conditional distribution.")
        columns = sorted(values)
        self._raise_if_impossible(columns, [values[j] for j in columns])
        return self._with_names(self._conditional(kept, columns, [values[j] for j in columns]), kept)

    def _raise_if_impossible(self, columns: list[int], values: list[Any]) -> None:
        """ValueError for values whose density is 0, or that are missing: nothing can be given them."""
        names = self._column_names()
        for j, value in zip(columns, values, strict=True):
            if np.ndim(value) != 0:
                raise ValueError(f"The value given of {named(j, names)} is {value!r}; a single one is expected.")
            if is_missing(value) or value in (np.inf, -np.inf):
                what = "missing" if is_missing(value) else repr(value)
                raise ValueError(
                    f"The value given of {named(j, names)} is {what}. Columns whose value is not known are left out of given."
                )
        labels = any(isinstance(value, str) for value in values)
        row = np.array([values], dtype=object if labels else np.float64)
        if self._log_density_of_part(columns, row) == -np.inf:
            places = ", ".join(f"{named(j, names)} = {value!r}" for j, value in zip(columns, values, strict=True))
            raise ValueError(
                f"The density is 0 at {places}, outside the support: the other columns have no conditional distribution there."
            )

    def _with_names(self, density: Any, columns: list[int]) -> Any:
        """A copy that calls its columns as this density does: the density of a group may be in use elsewhere."""
        named_so, names = copy.copy(density), self._column_names()
        vars(named_so).pop("feature_names_in_", None)
        if names is not None:
            named_so.feature_names_in_ = np.asarray(names, dtype=object)[columns]
        return named_so
