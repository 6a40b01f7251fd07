"""Bootstrap samples for the goodness of fit of univariate families: many at a time, each a column of one fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats, Params
from fastkl.density.column_goodness import STATISTICS, edf_statistics, sorted_statistics
from fastkl.density.goodness import GoodnessMembers
from fastkl.density.joint_goodness import JOINT
from fastkl.density.refits import UNFITTABLE
from fastkl.density.summary import SummaryMembers
from fastkl.families.base import Family
from fastkl.families.drawing import draws
from fastkl.families.univariate import UnivariateFamily

# values drawn at a time
_BLOCK = 2**20
# samples without a maximum, over all columns and at least of each, and their part, beyond which no more of a column are tried
_MOST_FAILED, _LEAST_FAILED, _SHARE = 48, 8, 0.05
# samples that are fitted together where all of them at once have no maximum
_TOGETHER = 16


class _Known:
    """The tails of a family at its parameters, for rows that need no validation."""

    def __init__(self, family: UnivariateFamily, params: Params):
        self.family, self.params = family, params

    def cdf(self, X: Floats) -> Floats:
        return self.family.cdf(X, self.params)

    def sf(self, X: Floats) -> Floats:
        return self.family.sf(X, self.params)

    def log_cdf(self, X: Floats) -> Floats:
        return self.family.log_cdf(X, self.params)

    def log_sf(self, X: Floats) -> Floats:
        return self.family.log_sf(X, self.params)


class FamilyGoodness(GoodnessMembers, SummaryMembers):
    """Members about how well one family fits."""

    family_: Family
    params_: Params

    def _refuse_discrete(self) -> None:
        if self.family_.discrete:
            raise ValueError(
                f"ks, cvm and ad are statistics of continuous distributions, and {self.family_.name} is discrete. Ask "
                "for statistic='kl', which compares probabilities with frequencies, or 'energy'; or compare with other families "
                "by compare_densities."
            )

    def _default_statistics(self) -> tuple[str, ...]:
        return JOINT if self.family_.discrete else super()._default_statistics()

    def _is_tested_by_column(self) -> bool:
        # several columns of a mixture depend on each other
        return isinstance(self.family_, UnivariateFamily) or (self.n_features_in_ == 1 and self._by_column())

    def _what(self) -> str:
        return f"The {self.family_.name} family"

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
            found = np.stack([part["ks"] for part in parts])
            whole, failed = np.isfinite(found).all(axis=0), np.isnan(found).any(axis=0)
            yield (
                {name: np.stack([part[name][whole] for part in parts], axis=1) for name in STATISTICS},
                int(np.sum(failed)),
            )

    def _column_statistics(
        self, j: int, n: int, m: int, weights: Floats | None, generator: np.random.Generator
    ) -> dict[str, Floats]:
        """Statistics (m,) of samples from the distribution of a column: NaN for one without a maximum, infinite if not tried."""
        one = {name: np.asarray(value, dtype=np.float64)[j : j + 1] for name, value in self.params_.items()}
        many = {name: np.repeat(value, m) for name, value in one.items()}
        samples = draws(self.family_, one, n * m, generator).astype(np.float64).reshape(m, n)
        if weights is None:
            samples.sort(axis=1)
        rows = np.ascontiguousarray(samples.T)
        found = {name: np.full(m, np.inf) for name in STATISTICS}
        # all at once; where one of them has no maximum, some together, and each alone where one of those has none
        pending, n_failed, n_fitted = [np.arange(m)], 0, 0
        most = max(_LEAST_FAILED, _MOST_FAILED // self.n_features_in_)
        while pending and not most <= n_failed > _SHARE * n_fitted:
            chosen = pending.pop()
            own = rows if len(chosen) == m else np.ascontiguousarray(rows[:, chosen])
            try:
                again = self._fitted_to(own, j, weights, {name: value[chosen] for name, value in many.items()})
            except UNFITTABLE:
                if len(chosen) > 1:
                    few = len(chosen) <= _TOGETHER
                    pending += np.array_split(chosen, len(chosen) if few else -(-len(chosen) // _TOGETHER))
                    continue
                n_failed += 1
                for values in found.values():
                    values[chosen] = np.nan
                continue
            n_fitted += len(chosen)
            known = _Known(again.family_, again.params_)
            statistics = sorted_statistics(known, own) if weights is None else edf_statistics(known, own, weights)
            for name, values in statistics.items():
                found[name][chosen] = values
        return found

    def _fitted_to(self, rows: Floats, j: int, weights: Floats | None, params: Params) -> Any:
        """The density of a column fitted to samples of it, each a column; with known parameters there is nothing to fit."""
        kind: Any = type(self)
        if self._fitted_weight() is None:
            return kind.from_parameters(self.family_.name, **params)
        options = self.family_.get_params(deep=False)
        for name, value in self.family_.fixed_parameters().items():
            options[name] = np.broadcast_to(value, (self.n_features_in_,))[j]
        return kind(type(self.family_)(**options), **self._fit_options()).fit(rows, sample_weight=weights)

    def _fit_options(self) -> dict[str, Any]:
        """The parameters of the constructor that a fit depends on, but for the family."""
        options: dict[str, Any] = self.get_params(deep=False)
        return {name: value for name, value in options.items() if name not in ("family", "robust_errors")}
