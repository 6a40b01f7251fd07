"""The groups of a product: which columns each has, that every column has one group, and where an error arose."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Self

from sklearn.utils.metaestimators import _BaseComposition

from fastkl._core.warned import names_compared
from fastkl.density.base import BaseDensity
from fastkl.density.composed.base import check_density, with_location
from fastkl.rows.columns import column_numbers, refuse_unparted
from fastkl.rows.tables import columns_of, with_fitted_names

Group = tuple[str, Any, list[int]]


class NamedGroups(_BaseComposition):
    """Parameters in the manner of scikit-learn's compositions: a density by its name, its parameters as ``name__parameter``."""

    groups: Any

    @property
    def _named(self) -> Any:
        try:
            return [(name, density) for name, density, _ in self.groups]
        except (TypeError, ValueError):
            return self.groups

    @_named.setter
    def _named(self, value: Any) -> None:
        self.groups = [
            (name, density, columns) for (name, density), (_, _, columns) in zip(value, self.groups, strict=True)
        ]

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Parameters of this estimator.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the densities and their parameters, as ``name`` and ``name__parameter``.

        Returns
        -------
        dict
            Names and values.
        """
        return self._get_params("_named", deep=deep)

    def set_params(self, **params: Any) -> Self:
        """Set parameters of this estimator and of its groups.

        Parameters
        ----------
        **params
            ``groups``, the name of a group, or ``name__parameter``.

        Returns
        -------
        estimator
            The estimator itself.
        """
        self._set_params("_named", **params)
        return self


def check_groups(groups: Any) -> None:
    """ValueError unless the groups are a list of triples."""
    good = isinstance(groups, list | tuple) and len(groups) > 0
    if not good or not all(isinstance(group, list | tuple) and len(group) == 3 for group in groups):
        raise ValueError(f"groups is a list of (name, density, columns), not {groups!r}.")


def unfitted_groups(groups: Any, X: Any, names: Any, d: int) -> list[Group]:
    """Unfitted copies of the densities with the numbers of their columns; an error unless each column is in one group."""
    found = []
    for name, density, columns in groups:
        with with_location(f"Group {name!r}"):
            numbers = column_numbers(columns, X, names, d)
            if not numbers:
                raise ValueError(
                    f"columns={columns!r} selects none of the columns of this table (n_features = {d}). Leave the group out."
                )
            found.append((name, check_density(density, "its density"), numbers))
    refuse_unparted([(name, numbers) for name, _, numbers in found], names, d)
    return found


@contextmanager
def in_group(name: str, numbers: list[int], names: Any) -> Iterator[None]:
    """Errors inside begin with the group and its columns; column names are compared by the whole product alone."""
    listed = [str(j) if names is None else repr(names[j]) for j in numbers[:5]] + ["..."] * (len(numbers) > 5)
    counted = ", counted from 0 in what follows" if names is None and numbers != list(range(len(numbers))) else ""
    place = f"Group {name!r} (column{'s' * (len(numbers) > 1)} {', '.join(listed)}{counted})"
    with with_location(place), names_compared():
        yield


def on_groups(groups: list[Group], table: Any, names: Any, function: Callable[[Any, Any], Any]) -> dict[str, Any]:
    """``function(density, columns)`` of every group, by its name."""
    found = {}
    for name, density, numbers in groups:
        with in_group(name, numbers, names):
            part = columns_of(table, numbers)
            found[name] = function(
                density, part if isinstance(density, BaseDensity) else with_fitted_names(density, part)
            )
    return found
