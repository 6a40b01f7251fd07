"""Dirichlet-multinomial distribution of rows of counts: multinomial rows whose probabilities vary from row to row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, xlogy

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.rising_factorials import log_rise, lost_share
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl
from fastkl.families.counts import deviance, log_of_share
from fastkl.families.multinomial import MOST_ENUMERATED, Multinomial
from fastkl.families.solvers.compound import CompoundCounts, Tally
from fastkl.families.solvers.tallies import merged_tallies, tallies
from fastkl.families.spaces import Positive, Simplex

MOST_TRIALS = 2.0**53
LIMIT = "The counts vary no more than multinomial ones: concentration is infinite, the multinomial distribution."
ALONE = "Every row has its counts in one column: concentration is 0, all trials of a row have the same outcome."
UNKNOWN = (
    "No row has several trials and a choice of outcomes: concentration is not determined, and infinite stands for any."
)


class DirichletMultinomial(Multinomial):
    r"""Dirichlet-multinomial (Polya) distribution of a row of d counts, given the total N of the row; totals may differ.

    .. math:: p(x) = \frac{N! \, \Gamma(c)}{\Gamma(N + c)} \prod_j \frac{\Gamma(x_j + c \pi_j)}{x_j! \, \Gamma(c \pi_j)}

    A multinomial distribution whose probabilities are drawn anew for each row, from a Dirichlet distribution with mean pi and
    concentrations c pi_j (``alpha`` elsewhere). Counts vary (N + c) / (1 + c) times as much as multinomial ones.

    Parameters
    ----------
    probabilities : array-like of shape (d,), default=None
        Mean shares pi, held fixed where given; they sum to 1.
    concentration : float, default=None
        Sum c of the concentrations, at least 0, held fixed where given; inf is the multinomial distribution, at 0 all trials
        of a row have the same outcome.
    n_trials : int, default=None
        Total of the rows that ``sample`` draws, and to which entropy and divergence refer; the data may have others. None takes
        the rounded mean total of the fitted rows.

    Notes
    -----
    Tallies of the counts of each column and of the totals are the sufficient statistic. The likelihood has one maximum in the
    concentration at given probabilities, and one in these at a given concentration: Newton's method from several places finds
    both. Where counts vary no more than multinomial ones ``params_["concentration"]`` is inf, and ``boundary_`` says so; where
    every row has its counts in one column it is 0.

    References
    ----------
    B. Levin, J. Reeds, "Compound multinomial likelihood functions are unimodal", Annals of Statistics 5, 1977,
    doi:10.1214/aos/1176343740; J. Mosimann, "On the compound multinomial distribution", 1962, doi:10.1093/biomet/49.1-2.65.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> rng = np.random.default_rng(0)
    >>> X = [rng.multinomial(20, p) for p in rng.dirichlet([1.0, 2.0, 3.0], size=2000)]
    >>> model = DensityMLE("dirichlet_multinomial").fit(X)
    >>> model.params_["probabilities"].round(2), round(float(model.params_["concentration"]), 1)
    (array([0.17, 0.33, 0.5 ]), 6.1)
    """

    name = "dirichlet_multinomial"
    aliases: ClassVar[tuple[str, ...]] = ("polya_multinomial", "multivariate_polya", "compound_multinomial")
    scipy_name = "dirichlet_multinomial"
    parameters = {
        "probabilities": Simplex(),
        "concentration": Positive(zero=True, single=True, limit="the multinomial distribution"),
    }
    least_columns = 2
    example = {"probabilities": [0.31, 0.69], "concentration": 4.0}
    extreme = [
        {"probabilities": p, "concentration": c}
        for p, c in (
            ([0.2, 0.3, 0.5], 1e-3), ([0.2, 0.3, 0.5], 0.3), ([1e-6, 0.25, 0.75 - 1e-6], 20.0), ([0.2, 0.3, 0.5], 1e5),
            ([0.5, 0.5], 1e9), ([0.2, 0.3, 0.5], np.inf),
        )
    ]  # fmt: skip

    @classmethod
    def examples(cls) -> list[tuple[Family, Params]]:
        return [(cls(n_trials=9), cls.example)]

    def __init__(
        self, probabilities: ArrayLike | None = None, concentration: float | None = None, n_trials: int | None = None
    ):
        super().__init__(probabilities, n_trials)
        self.concentration = concentration

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        found, rows = super().statistics(rows), rows.of_positive_weight()
        X = rows.X.astype(np.float64, copy=False)
        several = np.count_nonzero(X, axis=1) > 1
        mixed = np.count_nonzero(several) if rows.weights is None else float(np.sum(rows.weights[several]))
        columns = [tallies(column, rows.weights) for column in (*X.T, X.sum(axis=1))]
        return {**found, "mixed": np.float64(mixed), **_named(columns)}

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        if first["weight"] == 0.0 or second["weight"] == 0.0:
            return second if first["weight"] == 0.0 else first
        columns = [merged_tallies(*one, *other) for one, other in zip(_pairs(first), _pairs(second), strict=True)]
        return {**super().merge_statistics(first, second), "mixed": first["mixed"] + second["mixed"], **_named(columns)}

    def learned(self, statistics: Statistics) -> Multinomial:
        n_trials = super().learned(statistics).n_trials
        return type(self)(self.probabilities, self.concentration, n_trials)

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        alike = Multinomial(self.probabilities).solve(statistics)  # refuses rows without trials
        d = len(statistics["totals"])
        shares, boundary = alike.params["probabilities"], dict(alike.boundary)
        held = self.fixed_columns(d)
        if len(held) == 2:
            return Fit(held)
        most = float(np.max(self._tallies(statistics)[-1].counts))
        if most > MOST_TRIALS:
            raise DegenerateDataError(
                f"{self.name}: a row has {most:.3g} trials. Beyond {MOST_TRIALS:g} doubles do not hold every whole number, and "
                "the likelihood of counts has no digits left."
            )
        seen = statistics["totals"] > 0.0
        if np.any(shares[seen] == 0.0):
            column = int(np.flatnonzero(seen & (shares == 0.0))[0])
            raise SupportError(
                f"{self.name}: the probability of column {column} is held at 0, and rows have counts there."
            )
        said = self._edge(statistics, shares)
        if "concentration" not in held and said is not None:
            boundary["concentration"] = said
            held["concentration"] = np.float64(0.0 if said == ALONE else np.inf)
        c = None if "concentration" not in held else float(held["concentration"])
        if c == 0.0:
            if "probabilities" not in held:
                rows = np.array([float(np.sum(part.weights)) for part in self._tallies(statistics)[:-1]])
                shares = rows / rows.sum()
            return Fit({"probabilities": shares, "concentration": np.float64(0.0)}, boundary=boundary)
        kept = shares > 0.0 if "probabilities" in held else seen
        begin = None
        if start is not None and np.all(start["probabilities"][kept] > 0.0):
            begin = (start["probabilities"][kept] / start["probabilities"][kept].sum(), float(start["concentration"]))
        found = self._counts(statistics, kept).highest(shares[kept] if "probabilities" in held else None, c, begin)
        if "concentration" not in held and np.isinf(found.concentration):
            boundary["concentration"] = LIMIT
        if "probabilities" not in held:
            shares = np.zeros(d)
            shares[kept] = found.shares
        params = {"probabilities": shares, "concentration": np.float64(found.concentration)}
        return Fit(params, found.n_iter, found.converged, boundary)

    def _edge(self, statistics: Statistics, shares: Floats) -> str | None:
        """Which sentence says of the concentration that it is at an edge, whatever the shares."""
        totals = self._tallies(statistics)[-1]
        if not np.any(totals.counts > 1.0) or np.any(shares == 1.0):
            return UNKNOWN
        return ALONE if statistics["mixed"] == 0.0 else None

    def _tallies(self, statistics: Statistics) -> list[Tally]:
        """Of every column, and of the totals, without counts of 0."""
        return [Tally(counts[counts > 0.0], weights[counts > 0.0]) for counts, weights in _pairs(statistics)]

    def _counts(self, statistics: Statistics, columns: NDArray[np.bool_]) -> CompoundCounts:
        *parts, totals = self._tallies(statistics)
        return CompoundCounts([parts[j] for j in np.flatnonzero(columns)], totals)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def starting_parameters(self, statistics: Statistics) -> Params:
        d = len(statistics["totals"])
        shares = (statistics["totals"] + 0.5) / np.sum(statistics["totals"] + 0.5)
        return {"probabilities": shares, "concentration": np.float64(10.0), **self.fixed_columns(d)}

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        c, p = float(params["concentration"]), params["probabilities"]
        if c == 0.0:
            rows = np.array([float(np.sum(part.weights)) for part in self._tallies(statistics)[:-1]])
            with np.errstate(divide="ignore"):
                return float(np.sum(xlogy(rows, p))) if statistics["mixed"] == 0.0 else -np.inf
        multinomial = super().statistics_log_likelihood(statistics, params)
        return (
            multinomial
            if np.isinf(multinomial)
            else multinomial + self._counts(statistics, p > 0.0).excess(p[p > 0.0], c)
        )

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        """Gradient along the simplex, as that of the multinomial distribution, and by the concentration."""
        c, p = float(params["concentration"]), params["probabilities"]
        if c == 0.0 or np.isinf(c):
            return {**super().statistics_gradient(statistics, params), "concentration": np.float64(0.0)}
        possible = p > 0.0
        at, raw = self._counts(statistics, possible).slopes(p[possible], c), np.zeros_like(p)
        raw[possible] = at.shares / p[possible] - np.sum(at.shares)
        return {"probabilities": raw, "concentration": np.float64(at.size / c)}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        c, p, X = float(params["concentration"]), params["probabilities"], rows.X.astype(np.float64)
        if c == 0.0 or np.isinf(c):
            return {**super().score_rows(rows, params), "concentration": np.zeros(len(X))}
        lost = np.where(p > 0.0, lost_share(np.where(p > 0.0, c * p, 1.0), X), 0.0)
        by_share = np.where(p > 0.0, (X - lost) / np.where(p > 0.0, p, 1.0), 0.0)
        return {"probabilities": by_share, "concentration": (lost_share(c, X.sum(axis=1)) - lost.sum(axis=1)) / c}

    def log_density(self, rows: Rows, params: Params) -> Floats:
        c, p = float(params["concentration"]), params["probabilities"]
        if np.isinf(c):
            return super().log_density(rows, params)
        X = rows.X.astype(np.float64, copy=False)
        whole = np.all((X >= 0.0) & (np.rint(X) == X) & np.isfinite(X), axis=1)
        X = np.where(whole[:, None], X, 0.0)
        if c == 0.0:
            with np.errstate(divide="ignore"):
                found = np.where(X > 0.0, np.log(p), 0.0).sum(axis=1)
            return np.where(whole & (np.count_nonzero(X, axis=1) <= 1), found, -np.inf)
        totals = X.sum(axis=1)
        found = -log_of_share(totals, totals, c, 1.0)
        for j, share in enumerate(p):
            if share > 0.0:
                found += log_of_share(X[:, j], totals, c, share)
            else:
                found[X[:, j] > 0.0] = -np.inf
        return np.where(whole, found, -np.inf)

    # -- parameters --------------------------------------------------------------------------------------------------------

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        names, estimated = self.estimated_entries(params), self.estimated_names(params)
        c, p = float(params["concentration"]), params["probabilities"]
        if c == 0.0:
            weight = float(np.sum([np.sum(part.weights) for part in self._tallies(statistics)[:-1]]))
            return names, (np.diag(p) - np.outer(p, p))[: len(names), : len(names)] / weight
        possible, d = p > 0.0, len(p)
        own = self._counts(statistics, possible).covariance(
            p[possible], c, "probabilities" in estimated, "concentration" in estimated
        )
        unit = np.append(p[possible], c if np.isfinite(c) else 0.0)
        full, kept = np.zeros((d + 1, d + 1)), np.append(np.flatnonzero(possible), d)
        full[np.ix_(kept, kept)] = own * np.outer(unit, unit)
        wanted = np.append(np.full(d, "probabilities" in estimated), "concentration" in estimated)
        return names, full[np.ix_(wanted, wanted)]

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def _of_trials(self, n_trials: int, shares: Floats, params: Params) -> tuple[Family, Params]:
        # what was drawn of others leaves the concentrations of these as they are
        parts = {"probabilities": shares / shares.sum(), "concentration": params["concentration"] * shares.sum()}
        if len(shares) < self.least_columns:
            return super()._of_trials(n_trials, shares, params)
        return DirichletMultinomial(n_trials=n_trials), parts

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        c, p = float(params["concentration"]), params["probabilities"]
        if np.isinf(c):
            return super().sample(params, n_samples, generator)
        shares = generator.standard_gamma(c * p, size=(n_samples, len(p)))
        sums = shares.sum(axis=1, keepdims=True)
        # below the smallest number one share has all
        lost = np.flatnonzero(~(sums[:, 0] > 0.0))
        shares[lost] = np.eye(len(p))[generator.choice(len(p), size=len(lost), p=p / p.sum())]
        sums[lost] = 1.0
        return generator.multinomial(self._trials_to_draw(), shares / sums)

    def mode(self, params: Params) -> Floats | None:
        return super().mode(params) if np.isinf(params["concentration"]) else None

    def moments(self, params: Params) -> tuple[Floats, Floats] | None:
        alike, c = super().moments(params), float(params["concentration"])
        if alike is None or np.isinf(c):
            return alike
        return alike[0], alike[1] * ((float(self.n_trials or 0) + c) / (1.0 + c))

    def to_scipy(self, params: Params) -> dict[str, Any]:
        alpha = self._concentrations(params)
        return {"alpha": alpha, "n": super().to_scipy(params)["n"]}

    def _concentrations(self, params: Params) -> Floats:
        c = float(params["concentration"])
        if c == 0.0 or np.isinf(c):
            raise ValueError(
                f"scipy's {self.scipy_name} has no concentration of {c:g}; an infinite one is scipy's multinomial."
            )
        return np.asarray(c * params["probabilities"])

    def from_scipy(self, arguments: Mapping[str, Any]) -> Params:
        alpha = np.asarray(arguments["alpha"], dtype=np.float64)
        return {"probabilities": alpha / alpha.sum(), "concentration": alpha.sum(), "n_trials": arguments["n"]}

    def _expected(self, params: Params, term: Any) -> float:
        """The sum over columns of E term(x, c p_j) of the counts of ``n_trials`` trials."""
        n, c, total = int(self.n_trials or 0), float(params["concentration"]), 0.0
        k = np.arange(n + 1.0)
        for share in params["probabilities"]:
            if share > 0.0:
                of_two = {"probabilities": np.array([share, 1.0 - share]), "concentration": params["concentration"]}
                probability = np.exp(self.log_density(Rows(np.column_stack([k, n - k])), of_two))
                total += float(probability @ term(k, c * share))
        return total

    def entropy(self, params: Params) -> float | None:
        c, p = float(params["concentration"]), params["probabilities"]
        if self.n_trials is None or self.n_trials > MOST_ENUMERATED or np.isinf(c):
            return super().entropy(params)
        n = float(self.n_trials)
        if c == 0.0:
            return -float(np.sum(xlogy(p, p))) if n > 0 else 0.0
        expected = self._expected(params, lambda k, a: gammaln(k + 1.0) - log_rise(a, k))
        return expected + float(log_rise(c, n)) - float(gammaln(n + 1.0)) - n * float(np.sum(xlogy(p, p)))

    @staticmethod
    def textbook(mp: Any, x: Any, probabilities: Any, concentration: Any) -> Any:  # type: ignore[override]  # one more
        if mp.isinf(concentration):
            return Multinomial.textbook(mp, x, probabilities)
        n = mp.fsum(x)
        terms = (
            mp.loggamma(count + concentration * p) - mp.loggamma(concentration * p) - mp.loggamma(count + 1)
            for p, count in zip(probabilities, x, strict=True)
            if count
        )
        return mp.loggamma(n + 1) + mp.loggamma(concentration) - mp.loggamma(n + concentration) + mp.fsum(terms)

    def textbook_entropy(  # type: ignore[override]  # one parameter more
        self, mp: Any, probabilities: Any, concentration: Any
    ) -> Any:
        if mp.isinf(concentration):
            return super().textbook_entropy(mp, probabilities)
        n, c = int(self.n_trials or 1), concentration

        def expected(p: Any) -> Any:
            """E log(x! Gamma(c p) / Gamma(x + c p)) of the count of one part."""
            total = mp.mpf(0)
            for k in range(n + 1):
                chance = mp.exp(DirichletMultinomial.textbook(mp, [mp.mpf(k), mp.mpf(n - k)], [p, 1 - p], c))
                total += chance * (mp.loggamma(k + 1) - mp.loggamma(k + c * p) + mp.loggamma(c * p))
            return total

        constant = mp.loggamma(n + c) - mp.loggamma(c) - mp.loggamma(n + 1)
        return constant + mp.fsum(expected(p) for p in probabilities)


Pair = tuple[Floats, Floats]


def _named(columns: list[Pair]) -> Statistics:
    """Tallies of the columns, and of the totals of the rows, as statistics."""
    return {
        "counts": [counts for counts, _ in columns[:-1]],
        "tallies": [weights for _, weights in columns[:-1]],
        "row_counts": [columns[-1][0]],
        "row_tallies": [columns[-1][1]],
    }


def _pairs(statistics: Statistics) -> list[Pair]:
    """The same from statistics."""
    counts = [*statistics["counts"], *statistics["row_counts"]]
    return list(zip(counts, [*statistics["tallies"], *statistics["row_tallies"]], strict=True))


@register_kl(DirichletMultinomial, DirichletMultinomial)
def dirichlet_multinomial_kl(
    p_family: DirichletMultinomial, p: Params, q_family: DirichletMultinomial, q: Params
) -> float | None:
    """A sum over the counts of each column; None unless both numbers of trials are known, at a concentration of 0, or if there
    are too many trials to go through.
    """
    n, sizes = p_family.n_trials, (float(p["concentration"]), float(q["concentration"]))
    if n is None or q_family.n_trials is None or min(sizes) == 0.0:
        return None
    if n != q_family.n_trials:
        return np.inf  # no row of the one is possible under the other
    if sizes[0] == sizes[1] and np.array_equal(p["probabilities"], q["probabilities"]):
        return 0.0
    if n > MOST_ENUMERATED:
        return None
    of_shares = int(n) * float(np.sum(deviance(p["probabilities"], q["probabilities"])))
    if np.isinf(of_shares):
        return of_shares
    total = of_shares
    for at, sign, c in ((p, 1.0, sizes[0]), (q, -1.0, sizes[1])):
        if np.isfinite(c):
            total -= sign * float(log_rise(c, float(n)))
            shares = iter(at["probabilities"][p["probabilities"] > 0.0])
            total += sign * p_family._expected(p, lambda k, _, c=c, shares=shares: log_rise(c * next(shares), k))
    return max(total, 0.0)
