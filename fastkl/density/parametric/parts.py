"""Marginals and conditionals of one family: the families that hold them, and their parameters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastkl._core.array_types import Params
from fastkl.density.files.registry import KINDS
from fastkl.density.parts import PartMembers
from fastkl.families.base import Family
from fastkl.families.spaces.base import as_numbers


class FamilyParts(PartMembers):
    """Members about the parts of a density of one family."""

    family_: Family
    params_: Params

    def _of_parameters(self, family: Family, params: Params) -> Any:
        """A density with known parameters: one family, or a mixture that is made of its components."""
        # a kind in the registry is any density; from_parameters is what these two have beyond that
        kind: Any = KINDS["MixtureMLE" if family.composed else "DensityMLE"].type
        if not family.composed:
            return kind.from_parameters(family, **params)
        mixture: Any = family
        components = [clone(one) for one in mixture.components]
        if mixture.tied:
            components = [one.set_params(covariance_type="tied") for one in components]
        return kind.from_parameters(components, **params)

    def _marginal(self, columns: list[int]) -> Any:
        part = self.family_.marginal(self.params_, columns)
        if part is None:
            if hasattr(self.family_, "log_density_of_part"):
                raise AttributeError(
                    f"A {self.family_.name} density is one of rows with a given sum, which some of the columns do not have. "
                    "Ask conditional(given), or add the other columns up into one."
                )
            raise AttributeError(
                f"The distribution of {len(columns)} of the {self.n_features_in_} columns of a {self.family_.name} density has "
                "no closed form. Fit a density to those columns alone."
            )
        return self._of_parameters(*part)

    def _log_density_of_part(self, columns: list[int], row: NDArray[Any]) -> float:
        known: Any = getattr(self.family_, "log_density_of_part", None)
        if known is None:
            return super()._log_density_of_part(columns, row)
        return float(known(self.params_, columns, as_numbers(row[0], "given")))

    def _conditional(self, kept: list[int], given: list[int], values: list[Any]) -> Any:
        family: Any = self.family_
        if not family.joint:
            return self._marginal(kept)  # columns are independent
        if not hasattr(family, "conditional"):
            raise AttributeError(f"The conditional distributions of a {family.name} density have no closed form here.")
        known = np.array(values, dtype=object if family.labels else np.float64)
        return self._of_parameters(*family.conditional(self.params_, kept, given, known))
