"""Parameters of a product of densities and how sure they are: those of its groups, under the names of the groups.

The groups are independent, so that nothing is shared: the information is block diagonal, and every group answers for itself.
"""

from typing import Any

from numpy.typing import ArrayLike

from fastkl.density.composed.base import ComposedDensity
from fastkl.density.composed.groups import Group
from fastkl.rows.tables import columns_of


class ProductInference(ComposedDensity):
    """Members of a fitted product that are dicts with an entry for each group."""

    groups_: list[Group]

    def _read(self, X: Any, *, reset: bool = False) -> Any:
        raise NotImplementedError

    def _in_group(self, name: str, numbers: list[int]) -> Any:
        raise NotImplementedError

    @property
    def densities_(self) -> dict[str, Any]:
        """The fitted densities by the names of their groups."""
        self._check_fitted()
        return {name: density for name, density, _ in self.groups_}

    def _of_each(self, attribute: str) -> dict[str, Any]:
        return {
            name: getattr(density, attribute)
            for name, density in self.densities_.items()
            if hasattr(density, attribute)
        }

    @property
    def params_(self) -> dict[str, Any]:
        """The parameters of each group; of those groups that have ``params_``."""
        return self._of_each("params_")

    @property
    def standard_errors_(self) -> dict[str, Any]:
        """Standard errors of the estimated parameters of each group, from its observed information."""
        return self._of_each("standard_errors_")

    @property
    def robust_standard_errors_(self) -> dict[str, Any]:
        """Standard errors from the sandwich form, right when the family of a group is wrong."""
        return self._of_each("robust_standard_errors_")

    def confidence_intervals(self, level: float = 0.95, **options: Any) -> dict[str, Any]:
        """Confidence intervals of the estimated parameters of each group.

        Parameters
        ----------
        level : float, default=0.95
            Between 0 and 1.
        **options
            Passed on to the groups, as for ``DensityMLE.confidence_intervals``.

        Returns
        -------
        dict of dict of (low, high)
            For each group pairs of arrays shaped like the parameter.
        """
        return {name: density.confidence_intervals(level, **options) for name, density in self.densities_.items()}

    def gradient(self, X: Any, sample_weight: ArrayLike | None = None) -> dict[str, Any]:
        """Gradient of the weighted mean log-likelihood with respect to the parameters of each group.

        Parameters
        ----------
        X : array-like or table of shape (n, d)
            Rows, all inside the support.
        sample_weight : array-like of shape (n,), default=None
            Weights of at least 0.

        Returns
        -------
        dict of dict of arrays
            Shaped like ``params_``.
        """
        self._check_fitted()
        table, found = self._read(X), {}
        for name, density, numbers in self.groups_:
            with self._in_group(name, numbers):
                found[name] = density.gradient(columns_of(table, numbers), sample_weight)
        return found
