"""Beta-binomial distribution of successes and failures: binomial trials whose probability varies from row to row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl.families.base import Family
from fastkl.families.counts import MOST_TERMS, summed_tails
from fastkl.families.dirichlet_multinomial import DirichletMultinomial


class BetaBinomial(DirichletMultinomial):
    r"""Beta-binomial distribution of a row of two counts, successes and failures, given their sum N; sums may differ.

    .. math:: p(k) = \binom{N}{k} \frac{B(k + a, N - k + b)}{B(a, b)}, \quad a = c \pi_0, \; b = c \pi_1

    A binomial distribution whose probability of success is drawn anew for each row, from a beta distribution. Counts k of n
    trials each, with n known, are fitted as ``np.column_stack([k, n - k])``. It is the Dirichlet-multinomial distribution of two
    columns.

    Parameters
    ----------
    probabilities : array-like of shape (2,), default=None
        Mean probabilities of success and of failure, held fixed where given; they sum to 1.
    concentration : float, default=None
        Sum c of a and b, at least 0, held fixed where given; inf is the binomial distribution, at 0 all trials of a row have
        the same outcome. The correlation between two trials of a row is 1 / (1 + c).
    n_trials : int, default=None
        Sum of the rows that ``sample`` draws, and to which entropy and divergence refer; the data may have others. None takes
        the rounded mean sum of the fitted rows.

    Notes
    -----
    ``cdf`` and the like are those of the successes, given the sum of the row: one number for each row, from a sum over
    all counts of successes.

    References
    ----------
    J. G. Skellam, "A probability distribution derived from the binomial distribution by regarding the probability of success as
    variable between the sets of trials", 1948, doi:10.1111/j.2517-6161.1948.tb00014.x.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE

    Boys among the first 12 children of 6,115 families in Saxony, 1876 to 1885:

    >>> families = [3, 24, 104, 286, 670, 1033, 1343, 1112, 829, 478, 181, 45, 7]
    >>> k = np.repeat(np.arange(13), families)
    >>> model = DensityMLE("beta_binomial").fit(np.column_stack([k, 12 - k]))
    >>> (model.params_["concentration"] * model.params_["probabilities"]).round(2)
    array([34.1 , 31.58])
    """

    name = "beta_binomial"
    aliases = ("betabin",)
    scipy_name = "betabinom"
    extreme = [
        {"probabilities": p, "concentration": c}
        for p, c in (
            ([0.2, 0.8], 1e-3), ([0.2, 0.8], 0.3), ([1e-6, 1.0 - 1e-6], 20.0), ([0.7, 0.3], 1e5), ([0.5, 0.5], 1e9)
        )
    ]  # fmt: skip

    def __init__(
        self, probabilities: ArrayLike | None = None, concentration: float | None = None, n_trials: int | None = None
    ):
        super().__init__(probabilities, concentration, n_trials)

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        return [(cls(n_trials=9), cls.example)]

    def shaped(self, given: Params, d: int) -> Params:
        if d != 2:
            raise ValueError(
                f"beta_binomial takes rows of two columns, successes and failures; here n_features = {d}. For counts k of n "
                "trials pass np.column_stack([k, n - k]); for more outcomes take 'dirichlet_multinomial'."
            )
        return super().shaped(given, d)

    # -- the distribution of the successes, given the sum of the row ---------------------------------------------------------

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """log P(K <= k) of every row (k, N - k), (n,)."""
        return self._log_tails(x, params)[0]

    def log_sf(self, x: Floats, params: Params) -> Floats:
        """log P(K > k) likewise."""
        return self._log_tails(x, params)[1]

    def cdf(self, x: Floats, params: Params) -> Floats:
        """P(K <= k)."""
        return np.asarray(np.exp(self.log_cdf(x, params)))

    def sf(self, x: Floats, params: Params) -> Floats:
        """P(K > k)."""
        return np.asarray(np.exp(self.log_sf(x, params)))

    def _log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        x = np.asarray(x, dtype=np.float64)
        sums = x.sum(axis=1)
        lower, upper = np.full(len(x), np.nan), np.full(len(x), np.nan)
        for n in np.unique(sums[np.isfinite(sums)]):
            if n < 0.0 or n != np.rint(n):
                raise ValueError(
                    f"beta_binomial: a row of successes and failures sums to a whole number, not to {n!s}."
                )
            if n > MOST_TERMS:
                raise ValueError(
                    f"beta_binomial: tails are summed over up to {MOST_TERMS:,} trials; a row has {n:.0f}."
                )
            own, k = sums == n, np.arange(n + 1.0)
            logs = self.log_density(Rows(np.column_stack([k, n - k])), params)
            below = np.append(-np.inf, np.logaddexp.accumulate(logs))  # [j]: of counts below j
            above = np.append(np.logaddexp.accumulate(logs[::-1])[::-1], -np.inf)  # [j]: of counts from j on
            place = np.clip(np.floor(x[own, 0]) + 1.0, 0.0, n + 1.0).astype(np.intp)
            lower[own], upper[own] = _smaller_first(below[place], above[place])
        return lower, upper

    # -- the same in scipy ---------------------------------------------------------------------------------------------------

    def to_scipy(self, params: Params) -> dict[str, Any]:
        given = super().to_scipy(params)
        return {"n": given["n"], "a": given["alpha"][0], "b": given["alpha"][1]}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        self.raise_if_moved(arguments, ("n", "a", "b"))
        return super().from_scipy({"alpha": [arguments["a"], arguments["b"]], "n": arguments["n"]})

    @staticmethod
    def textbook_tails(mp: Any, x: Any, probabilities: Any, concentration: Any) -> tuple[Any, Any]:
        n, (a, b) = mp.fsum(x), [concentration * p for p in probabilities]

        def log_term(k: Any) -> Any:
            return DirichletMultinomial.textbook(mp, [k, n - k], probabilities, concentration)

        return summed_tails(
            mp, x[0], n * a / (a + b), log_term, lambda k: (n - k + 1) * (k - 1 + a) / (k * (n - k + b))
        )


def _smaller_first(lower: Floats, upper: Floats) -> tuple[Floats, Floats]:
    """Logarithms of two tails that sum to 1, the larger one by the smaller."""
    with np.errstate(divide="ignore"):
        small = np.minimum(np.minimum(lower, upper), -np.log(2.0))
        large = np.log1p(-np.exp(small))
    low_is_small = lower <= upper
    return np.where(low_is_small, small, large), np.where(low_is_small, large, small)
