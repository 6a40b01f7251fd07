"""Bootstrap samples for the goodness of fit of univariate families: many at a time, each a column of one fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl.density.goodness import STATISTICS, GoodnessMembers, edf_statistics
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family
from fastkl.families.univariate import UnivariateFamily

# values drawn at a time
_BLOCK = 2**20


class FamilyGoodness(GoodnessMembers):
    """Members about how well one family fits."""

    family_: Family
    params_: Params

    def _raise_if_no_statistics(self) -> None:
        if self.family_.discrete:
            raise ValueError(
                f"ks, cvm and ad are statistics of continuous distributions, and {self.family_.name} is discrete. Compare "
                "with other families by compare_densities, or see how far it is by kl_divergence."
            )

    def _bootstrap_statistics(
        self, n: int, weights: Floats | None, n_bootstrap: int, generator: np.random.Generator
    ) -> Iterator[tuple[dict[str, Floats], int]]:
        if not isinstance(self.family_, UnivariateFamily):
            yield from super()._bootstrap_statistics(n, weights, n_bootstrap, generator)
            return
        at_a_time = max(1, _BLOCK // n)
        for start in range(0, n_bootstrap, at_a_time):
            m = min(at_a_time, n_bootstrap - start)
            parts = [self._column_statistics(j, n, m, weights, generator) for j in range(self.n_features_in_)]
            whole = np.all([~np.isnan(part["ks"]) for part in parts], axis=0)
            yield (
                {name: np.stack([part[name][whole] for part in parts], axis=1) for name in STATISTICS},
                int(np.sum(~whole)),
            )

    def _column_statistics(
        self, j: int, n: int, m: int, weights: Floats | None, generator: np.random.Generator
    ) -> dict[str, Floats]:
        """Statistics (m,) of samples from the distribution of a column; NaN for one without a maximum of the likelihood."""
        family: Any = self.family_
        many = {name: np.repeat(np.asarray(value, dtype=np.float64)[j], m) for name, value in self.params_.items()}
        rows = family.sample(many, n, generator).astype(np.float64)
        held = {
            name: np.broadcast_to(value, (self.n_features_in_,))[j] for name, value in family.fixed_parameters().items()
        }
        found = {name: np.full(m, np.nan) for name in STATISTICS}
        # all at once; where one of them has no maximum, halves of them
        pending = [np.arange(m)]
        while pending:
            chosen = pending.pop()
            try:
                again = type(self)(family.__class__(**{**family.get_params(deep=False), **held}), **self._fit_options())  # type: ignore[call-arg]
                again.fit(np.ascontiguousarray(rows[:, chosen]), sample_weight=weights)
            except DegenerateDataError:
                if len(chosen) > 1:
                    pending += np.array_split(chosen, 2)
                continue
            own = np.ascontiguousarray(rows[:, chosen])
            for name, values in edf_statistics(again.log_cdf(own), again.log_sf(own), weights).items():
                found[name][chosen] = values
        return found

    def _fit_options(self) -> dict[str, Any]:
        """The parameters of the constructor that a fit depends on, but for the family."""
        options: dict[str, Any] = self.get_params(deep=False)
        return {name: value for name, value in options.items() if name not in ("family", "robust_errors")}
