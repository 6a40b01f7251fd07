"""Multinomial distribution of rows of counts: the probabilities are the shares of the column totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlogy

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families._row_sums import multinomial_log_density, multinomial_statistics
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_of_probabilities
from fastkl.families.counts import deviance
from fastkl.families.spaces import Simplex
from fastkl.families.univariate import BELOW_INFINITY

MOST_ENUMERATED = 10_000_000  # trials that an expectation goes through one by one
MOST_OF_SCIPY = 2**31 - 1  # in a C long, which has 32 bits on some systems


class Multinomial(Family):
    r"""Multinomial distribution of a row of d counts, given the total N of the row; totals may differ from row to row.

    .. math:: \log p(x) = \log N! - \sum_j \log x_j! + \sum_j x_j \log \pi_j

    Parameters
    ----------
    probabilities : array-like of shape (d,), default=None
        Held fixed where given; they sum to 1.
    n_trials : int, default=None
        Total of the rows that ``sample`` draws, and to which entropy and divergence refer; the data may have others, and their
        divergence from the density is the one given the totals. None takes the rounded mean total of the fitted rows.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("multinomial").fit(np.array([[3, 1, 0], [2, 2, 2]]))
    >>> model.params_["probabilities"]
    array([0.5, 0.3, 0.2])
    """

    name = "multinomial"
    scipy_name = "multinomial"
    parameters = {"probabilities": Simplex()}
    support = (0.0, BELOW_INFINITY, True)
    joint = True
    discrete = True
    given_sum = True  # of its rows, so that the density says nothing of it
    example = {"probabilities": [0.31, 0.69]}
    extreme = [{"probabilities": p} for p in ([1e-12, 1.0 - 1e-12], [0.2, 0.3, 0.5], [1e-6, 0.25, 0.75 - 1e-6])]

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        return [(cls(n_trials=7), cls.example)]

    def __init__(self, probabilities: ArrayLike | None = None, n_trials: int | None = None):
        self.probabilities = probabilities
        self.n_trials = n_trials

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        totals, maxima, row, column = multinomial_statistics(rows.X, rows.weights, rows.n_threads)
        if row >= 0:
            raise SupportError(
                f"The multinomial family lives on whole numbers of at least 0; {rows.place(row, column)} holds "
                f"{rows.X[row, column]!s}. Remove the row, or choose a family for shares such as 'dirichlet'."
            )
        if not np.isfinite(totals).all():
            raise DegenerateDataError("The totals of the columns overflow. Rescale or remove the largest counts.")
        return {"weight": np.float64(rows.total_weight), **_pooled(totals, maxima)}

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        if first["weight"] == 0.0 or second["weight"] == 0.0:
            return second if first["weight"] == 0.0 else first
        totals = np.stack([first["totals"], second["totals"]])
        maxima = np.array([first["maximum"], second["maximum"]])
        return {"weight": first["weight"] + second["weight"], **_pooled(totals, maxima)}

    def learned(self, statistics: Statistics) -> Multinomial:
        if self.n_trials is not None:
            return self
        return Multinomial(self.probabilities, max(1, round(float(statistics["totals"].sum() / statistics["weight"]))))

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics) -> Fit:
        totals = statistics["totals"]
        if self.probabilities is not None:
            return Fit(self.fixed_columns(len(totals)))
        if totals.sum() == 0.0:
            raise DegenerateDataError(
                f"All counts are 0 (n_samples={statistics['weight']:g}): any probabilities explain them equally well. Pass rows "
                "with at least one trial, or hold the probabilities fixed."
            )
        probabilities = totals / totals.sum()
        never = np.flatnonzero(totals == 0.0)
        if len(never) == 0:
            return Fit({"probabilities": probabilities})
        which = f"Column {never[0]} holds" if len(never) == 1 else f"Columns {', '.join(map(str, never))} hold"
        return Fit(
            {"probabilities": probabilities},
            boundary={"probabilities": f"{which} zeros alone: the probability is at its boundary 0."},
        )

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        totals = statistics["totals"]
        return float(statistics["maximum"] - np.sum(deviance(totals, totals.sum() * params["probabilities"])))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        """Gradient along the simplex: the plain derivative totals / p less its mean under p, so that it is 0 at the fit."""
        totals, p = statistics["totals"], params["probabilities"]
        with np.errstate(divide="ignore", invalid="ignore"):
            raw = np.where(totals > 0.0, totals / p, 0.0)
        possible = p > 0.0
        raw[possible] -= np.sum(totals[possible])
        return {"probabilities": raw}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        p, X = params["probabilities"], rows.X.astype(np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            raw: Floats = np.where(X > 0.0, X / p, 0.0)
        return {"probabilities": raw}

    def log_density(self, rows: Rows, params: Params) -> Floats:
        return multinomial_log_density(rows.X, params["probabilities"], rows.n_threads)

    # -- parameters --------------------------------------------------------------------------------------------------------

    def shaped(self, given: Params, d: int) -> Params:
        if self.n_trials is not None and (self.n_trials != int(self.n_trials) or self.n_trials < 0):
            raise ValueError(f"multinomial: n_trials is a whole number of at least 0, not {self.n_trials!r}.")
        return super().shaped(given, d)

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        p = params["probabilities"]
        return np.asarray((np.diag(p) - np.outer(p, p)) / statistics["totals"].sum())

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        p = params["probabilities"]
        return generator.multinomial(self._trials_to_draw(), p / p.sum(), size=n_samples)

    def _trials_to_draw(self) -> int:
        """Trials of a row that is drawn, 1 where none are known; ValueError for more than there are whole numbers."""
        n_trials = 1 if self.n_trials is None else int(self.n_trials)
        if n_trials > np.iinfo(np.int64).max:
            raise ValueError(
                f"{self.name}: rows of {n_trials:.3g} trials can't be drawn; their counts exceed whole numbers of 64 bits."
            )
        return n_trials

    def moments(self, params: Params) -> tuple[Floats, Floats] | None:
        if self.n_trials is None:
            return None
        n, p = float(self.n_trials), params["probabilities"]
        return n * p, n * (np.diag(p) - np.outer(p, p))

    def mode(self, params: Params) -> Floats | None:
        """Trial by trial to the column where it raises the probability most (H. M. Finucan 1964, doi:10.2307/2333970)."""
        if self.n_trials is None:
            raise AttributeError(f"{self.name}: rows have a most probable one for known n_trials alone.")
        n, p = int(self.n_trials), params["probabilities"]
        counts = np.floor(n * p * (1.0 - 4.0 * np.finfo(np.float64).eps))  # a mode has at least as many in each
        for _ in range(n - int(counts.sum())):
            gains = p / (counts + 1.0)
            counts[np.flatnonzero(gains == gains.max())[-1]] += 1.0
        return counts

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        """Of all columns, in any order; some of them alone have no fixed sum."""
        return self.of_columns(params, columns) if len(columns) == len(params["probabilities"]) else None

    def log_density_of_part(self, params: Params, columns: Sequence[int], values: Floats) -> float:
        """log p of the counts of some columns in a row of ``n_trials``: with the sum of the others they are multinomial."""
        if self.n_trials is None:
            raise AttributeError(
                f"{self.name}: given counts change the distribution of the others only for known n_trials."
            )
        p, rest = params["probabilities"], float(self.n_trials) - np.sum(values)
        others = np.delete(p, columns).sum()
        merged = {**params, "probabilities": np.append(p[list(columns)], others)}
        row = np.append(np.asarray(values, dtype=np.float64), rest)[np.newaxis]
        return float(self.log_density(Rows(row), merged)[0]) if rest >= 0.0 else -np.inf

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: Floats
    ) -> tuple[Family, Params]:
        """The columns kept, given the counts of the others: the trials that are left, by the shares of these columns."""
        p = params["probabilities"][list(kept)]
        if not p.sum() > 0.0:
            raise ValueError(f"{self.name}: the columns that are not given have probability 0.")
        return self._of_trials(int(self.n_trials or 0) - int(np.sum(values)), p, params)

    def _of_trials(self, n_trials: int, shares: Floats, params: Params) -> tuple[Family, Params]:
        return Multinomial(n_trials=n_trials), {"probabilities": shares / shares.sum()}

    def to_scipy(self, params: Params) -> dict[str, Any]:
        if self.n_trials is None:
            raise ValueError("scipy's multinomial needs the number of trials, n_trials.")
        if self.n_trials > MOST_OF_SCIPY:
            raise ValueError(f"scipy counts at most {MOST_OF_SCIPY:,} trials of a row; here are {self.n_trials:.3g}.")
        return {"n": int(self.n_trials), "p": params["probabilities"]}

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        return {"probabilities": arguments["p"], "n_trials": arguments["n"]}

    def entropy(self, params: Params) -> float | None:
        """Entropy of a row of ``n_trials`` trials; None where that is not known, or there are too many to go through."""
        if self.n_trials is None or self.n_trials > MOST_ENUMERATED:
            return None
        n, p = int(self.n_trials), params["probabilities"]
        k = np.arange(n + 1.0)
        total = -gammaln(n + 1.0) - n * float(np.sum(xlogy(p, p)))
        for share in p[(p > 0.0) & (p < 1.0)]:
            log_binomial = gammaln(n + 1.0) - gammaln(k + 1.0) - gammaln(n - k + 1.0)
            total += float(np.exp(log_binomial + k * np.log(share) + (n - k) * np.log1p(-share)) @ gammaln(k + 1.0))
        return float(total + np.sum(p == 1.0) * gammaln(n + 1.0))

    @staticmethod
    def textbook(mp: Any, x: Any, probabilities: Any) -> Any:
        terms = (mp.log(p) * count - mp.loggamma(count + 1) for p, count in zip(probabilities, x, strict=True) if count)
        return mp.loggamma(mp.fsum(x) + 1) + mp.fsum(terms)

    def textbook_entropy(self, mp: Any, probabilities: Any) -> Any:
        n = int(self.n_trials or 1)

        def expected(p: Any) -> Any:
            """E log x! of the count of one part."""
            terms = (mp.binomial(n, k) * p**k * (1 - p) ** (n - k) * mp.loggamma(k + 1) for k in range(n + 1))
            return mp.fsum(terms)

        parts = mp.fsum(expected(p) - n * p * mp.log(p) for p in probabilities)
        return parts - mp.loggamma(n + 1)


def _pooled(totals: Floats, maxima: Floats) -> Statistics:
    """Statistics of several sets of rows: at the common shares each has its log-likelihood at its own, less the deviance."""
    pooled = totals.sum(axis=0)
    shares = pooled / pooled.sum() if pooled.sum() > 0.0 else pooled
    lost = deviance(totals, totals.sum(axis=1, keepdims=True) * shares)
    return {"totals": pooled, "maximum": np.float64(maxima.sum() - lost.sum())}


@register_kl(Multinomial, Multinomial)
def multinomial_kl(p_family: Multinomial, p: Params, q_family: Multinomial, q: Params) -> float | None:
    """n sum p log(p / q) for n trials a row, inf for different numbers of them; None unless both are known."""
    n = p_family.n_trials
    if n is None or q_family.n_trials is None:
        return None
    if n != q_family.n_trials:
        return np.inf  # no row of the one is possible under the other
    return int(n) * float(np.sum(deviance(p["probabilities"], q["probabilities"])))


@register_renyi(Multinomial, Multinomial)
def multinomial_renyi(p_family: Multinomial, p: Params, q_family: Multinomial, q: Params, alpha: float) -> float | None:
    """n times that of a single trial, inf for different numbers of trials; None unless both are known."""
    n = p_family.n_trials
    if n is None or q_family.n_trials is None:
        return None
    if n != q_family.n_trials:
        return np.inf
    return int(n) * renyi_of_probabilities(p["probabilities"], q["probabilities"], alpha)
