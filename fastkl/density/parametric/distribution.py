"""What a density of one family says of its distribution: the family's own functions, asked block by block of rows."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.density.distribution import DistributionMembers
from fastkl.density.scipy_distributions import to_scipy
from fastkl.families.base import Family
from fastkl.families.univariate import UnivariateFamily
from fastkl.rows.checks import raise_if_nan

# Rows at a time: what a function of one row needs on the way is many times its size.
_BLOCK = 2**15


class FamilyDistribution(DistributionMembers):
    """Members about the distribution of one family at its parameters."""

    family_: Family
    params_: Params

    def _read(self, X: Any, sample_weight: Any = None) -> Rows:
        raise NotImplementedError

    def _tail(self, which: str, X: Any) -> Floats:
        self._check_fitted()
        family = self.family_
        by_column, alone = self._by_column(), self._of_one_column()
        jointly: Any = getattr(family, "jointly", partial(hasattr, family))  # of a mixture, its components know
        if not (by_column or alone or jointly(which)):
            raise AttributeError(f"The {family.name} family has no {which}: {self._why_none()}")
        rows = self._read(X)
        raise_if_nan(rows)
        answering, params = alone or (family, self.params_)
        function, n = getattr(answering, which), len(rows.X)
        out = np.empty(rows.X.shape if by_column else n)
        for start in range(0, n, _BLOCK):
            block = slice(start, start + _BLOCK)
            found = function(np.asarray(rows.X[block], dtype=np.float64), params)
            out[block] = found if by_column else np.ravel(found)
        return out

    def _by_column(self) -> bool:
        # univariate families, and mixtures of them
        family = self.family_
        known = getattr(family, "columnwise", None)
        return isinstance(family, UnivariateFamily) or (known is not None and bool(known(self.params_)))

    def _of_one_column(self) -> tuple[UnivariateFamily, Params] | None:
        """A joint family of one column, such as a marginal, as the univariate one that it is."""
        univariate = getattr(self.family_, "univariate", None)
        return None if univariate is None else univariate(self.params_)

    def _why_none(self) -> str:
        if self.family_.labels:
            return "labels have no order."
        return (
            "it describes the row as a whole. Count draws instead: (density.sample(100_000) <= x).all(axis=1).mean()."
        )

    def _quantile(self, q: Floats, upper: bool) -> Floats:
        family: Any = self.family_
        alone = self._of_one_column()
        if not (self._by_column() or alone):
            raise AttributeError(f"The {family.name} family has no quantiles: {self._why_none()}")
        answering, params = alone or (family, self.params_)
        function = answering.upper_quantile if upper else answering.quantile
        return np.asarray(function(q[:, np.newaxis], params), dtype=np.float64)

    def _moments(self) -> tuple[Floats, Floats]:
        found = self.family_.moments(self.params_)
        if found is None:
            reason = "labels are no numbers." if self.family_.labels else "it is not known in closed form."
            raise AttributeError(f"The {self.family_.name} family has no mean and no variance here: {reason}")
        return found

    def _mode(self) -> NDArray[Any]:
        found = self.family_.mode(self.params_)
        if found is None:
            raise AttributeError(f"The mode of the {self.family_.name} family is not known in closed form.")
        return found

    def _to_scipy(self) -> Any:
        return to_scipy(self.family_, self.params_)
