"""Dirichlet distribution of compositions: rows of positive parts that sum to 1, by mean parts and mean logarithms."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.gamma_differences import log_gamma_excess
from fastkl._core.special.gamma_functions import (
    HALF_LOG_2PI,
    log_excess,
    log_minus_digamma,
    stirling_error,
    trigamma_curvature,
)
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families._kernels import column_kernel
from fastkl.families._row_sums import row_excess, row_means
from fastkl.families.base import Family, Fit
from fastkl.families.beta import Beta
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.gamma import inverse_digamma
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO

MAX_STEPS = 100
NEXT_TO_NONE = 1e-300
PARTS = (ABOVE_ZERO, 1.0, False)


class Dirichlet(Family):
    r"""Dirichlet distribution of a row of d positive parts that sum to 1.

    .. math:: \log p(x) = \log \Gamma(\sum_j a_j) - \sum_j \log \Gamma(a_j) + \sum_j (a_j - 1) \log x_j

    the density being with respect to the first d - 1 parts; evaluated in saddle-point form, which keeps all digits for
    concentrations of 1e6 and more. A part of 0 is outside the support, as is a row whose sum is off 1 by more than 1e-7
    (1e-6 for float32 rows).

    Parameters
    ----------
    concentration : array-like of shape (d,), default=None
        Positive; held fixed where given.

    Notes
    -----
    The maximum is found by Newton's method; its matrix is a diagonal plus a matrix of rank one, inverted in O(d) (T. Minka,
    "Estimating a Dirichlet distribution", 2000).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).dirichlet([2.0, 3.0, 5.0], size=4000)
    >>> DensityMLE("dirichlet").fit(X).params_["concentration"].round(2)
    array([2.02, 3.04, 4.99])
    """

    name = "dirichlet"
    scipy_name = "dirichlet"
    scipy_parameters = {"alpha": "concentration"}
    parameters = {"concentration": Positive()}
    joint = True
    equivariant = False
    least_columns = 2
    on_surface = True  # its rows have one dimension fewer than columns
    support = PARTS
    example = {"concentration": [2.5, 0.8]}
    extreme = [
        {"concentration": a}
        for a in ([1e-3, 0.5], [0.03, 0.2, 40.0], [1e6, 40.0], [1e6, 2e6, 5e5], [1e9, 1e9], [1e9, 0.7])
    ]

    def __init__(self, concentration: ArrayLike | None = None):
        self.concentration = concentration

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        records, row, column = column_kernel(self.name).statistics(rows.X, rows.weights, PARTS, rows.n_threads)
        if row >= 0:
            value = rows.X[row, column]
            advice = (
                "Divide every row by its sum if the parts are shares of it; counts are for 'dirichlet_multinomial'."
                if value > 1.0
                else "Replace zeros by a small part and rescale the row, or remove it."
            )
            raise SupportError(
                f"The dirichlet family lives on rows of positive parts that sum to 1; {rows.place(row, column)} holds "
                f"{value!s}. {advice}"
            )
        if row_means(rows.X, None, True, tolerance(rows), rows.n_threads) is None:
            self._refuse_a_row(rows)
        return named(records)

    def _refuse_a_row(self, rows: Rows) -> None:
        """SupportError if there is a row whose sum is not 1."""
        excess, allowed = sum_excess(rows)
        off = np.flatnonzero(~(np.abs(excess) <= allowed))
        if len(off):
            where = rows.row(int(off[0]))
            raise SupportError(
                "The dirichlet family lives on rows of positive parts that sum to 1; "
                f"{where} sums to {1.0 + excess[off[0]]:.10g}. Divide every row by its sum if the parts are shares of it."
            )

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        d = len(first["mean"])
        sides = [
            np.stack([np.full(d, s["weight"]), s["mean"], s["log_excess"], s["left"]], axis=1) for s in (first, second)
        ]
        return named(column_kernel(self.name).merge(*sides))

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        if self.concentration is not None:
            return Fit(self.fixed_columns(len(statistics["mean"])))
        if np.all(statistics["log_excess"] <= 0.0):
            raise DegenerateDataError(
                f"All rows are equal (n_samples={statistics['weight']:g}): the dirichlet likelihood has no maximum, since it "
                "grows without bound with the concentration. Pass rows that differ, or hold the concentration fixed."
            )
        begin = None if start is None else start["concentration"]
        concentration, steps, converged = solve_concentration(mean_terms(statistics), begin)
        return Fit({"concentration": concentration}, steps, converged)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        a, (mean, excess, gap) = params["concentration"], mean_terms(statistics)
        ratio = mean * (a.sum() / a)
        terms = a * (log_excess((mean * a.sum() - a) / a, ratio) + excess) + (np.log(mean) - excess)
        return float(statistics["weight"]) * float(log_constant(a) + a.sum() * gap - np.sum(terms))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        mean, excess, _ = mean_terms(statistics)
        return {"concentration": statistics["weight"] * score(params["concentration"], mean, excess)}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        return {"concentration": score(params["concentration"], rows.X.astype(np.float64), 0.0)}

    def log_density(self, rows: Rows, params: Params) -> Floats:
        a = params["concentration"]
        if np.any(a == 1.0) and np.any(absent := (rows.X == 0.0) & (a == 1.0)):
            # a part of 0 with a concentration of 1 has a density: a part that tends to 0 drops out of it
            rows = Rows(np.where(absent, NEXT_TO_NONE, rows.X), rows.weights, n_threads=rows.n_threads)
        constants = np.ascontiguousarray(np.stack([a, a.sum() / a], axis=1))
        out = column_kernel(self.name).log_density(rows.X, constants, PARTS, rows.n_threads)
        excess, allowed = sum_excess(rows)
        out += log_constant(a) + a.sum() * excess
        out[~(np.abs(excess) <= allowed)] = -np.inf
        return out

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        inverse, outer = information_parts(params["concentration"])
        return np.asarray((np.diag(inverse) + np.outer(inverse, inverse) * outer) / statistics["weight"])

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.dirichlet(params["concentration"], size=n_samples)

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        """Of one column the beta distribution; several are Dirichlet only with the sum of the others beside them."""
        a = params["concentration"]
        if len(columns) == len(a):
            return self.of_columns(params, columns)
        if len(columns) > 1:
            return None
        own = a[columns[0]]
        return Beta(), {"a": np.array([own]), "b": np.array([np.sum(np.delete(a, columns[0]))])}

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        a = params["concentration"]
        mean = a / a.sum()
        return mean, (np.diag(mean) - np.outer(mean, mean)) / (a.sum() + 1.0)

    def mode(self, params: Params) -> Floats:
        a = params["concentration"]
        return (a - 1.0) / np.sum(a - 1.0) if np.all(a > 1.0) else np.full_like(a, np.nan)

    def entropy(self, params: Params) -> float:
        # with g = psi(a) - psi(a_0), the mean logarithms, it is minus the log-likelihood of a row
        a = params["concentration"]
        total = a.sum()
        rise = log_minus_digamma(total) - log_minus_digamma(a)  # g - log(a / a_0)
        g = rise + np.log(a / total)
        return float(np.sum(g) - np.sum(a * rise)) - log_constant(a)

    @staticmethod
    def textbook(mp: Any, x: Any, concentration: Any) -> Any:
        constant = mp.loggamma(mp.fsum(concentration)) - mp.fsum(mp.loggamma(a) for a in concentration)
        return constant + mp.fsum((a - 1) * mp.log(part) for a, part in zip(concentration, x, strict=True))

    @staticmethod
    def textbook_entropy(mp: Any, concentration: Any) -> Any:
        total = mp.fsum(concentration)
        log_beta = mp.fsum(mp.loggamma(a) for a in concentration) - mp.loggamma(total)
        expected = mp.fsum((a - 1) * (mp.psi(0, a) - mp.psi(0, total)) for a in concentration)
        return log_beta - expected


def sum_excess(rows: Rows) -> tuple[Floats, float]:
    """Sum of every row less 1, and how far off 1 it may be."""
    excess = row_excess(rows.X, np.ones(rows.X.shape[1]), rows.n_threads)
    return excess, tolerance(rows)


def tolerance(rows: Rows) -> float:
    return 1e-7 if rows.X.dtype == np.float64 else 1e-6


def log_constant(a: Floats) -> float:
    """log Gamma(a_0) - sum log Gamma(a) - sum a log(a / a_0) ... in Stirling's form, without the terms that cancel."""
    total = a.sum()
    logs = 0.5 * (np.sum(np.log(a)) - np.log(total)) - (len(a) - 1) * HALF_LOG_2PI
    return float(logs + stirling_error(total) - np.sum(stirling_error(a)))


def named(records: Floats) -> Statistics:
    """The kernel's statistics of all columns by their names."""
    weight, mean, excess, left = records.T
    return {"weight": np.float64(weight[0]), "mean": mean.copy(), "log_excess": excess.copy(), "left": left.copy()}


def mean_terms(statistics: Statistics) -> tuple[Floats, Floats, float]:
    """Mean of every part, log(mean) - mean(log), and what the exact means sum to less 1."""
    mean = statistics["mean"]
    gap = math.fsum([-1.0, *mean.tolist(), *statistics["left"].tolist()])
    return mean, statistics["log_excess"] / statistics["weight"], gap


def score(a: Floats, mean: Floats, excess: Floats | float) -> Floats:
    """psi(a_0) - psi(a) + log(mean) - excess, by the differences of digammas and logarithms; ``mean`` (d,) or (n, d)."""
    total = a.sum()
    rise = log_minus_digamma(a) - log_minus_digamma(total)
    off: Floats = (mean * total - a) / a
    with np.errstate(invalid="ignore", divide="ignore"):
        logs = np.where(np.abs(off) < 0.5, np.log1p(off), np.log(mean) - np.log(a / total))
    return np.asarray(logs + rise - excess)


def information_parts(a: Floats) -> tuple[Floats, float]:
    """(diag psi'(a) - psi'(a_0))^-1 = diag(v) + c v v': v and c (Sherman and Morrison).

    With psi'(x) = (x + curvature(x)) / x^2 the leading terms of 1 - psi'(a_0) sum(v), which is 0 to rounding for large a, cancel.
    """
    total, curved = a.sum(), trigamma_curvature(a)
    common = float(trigamma_curvature(total))
    inverse = a * (a / (a + curved))
    lost = float(np.sum(curved * (a / (a + curved))))
    left = (lost - common + common * (lost / total)) / total
    return inverse, float((1.0 + common / total) / total / left)


def solve_concentration(terms: tuple[Floats, Floats, float], start: Floats | None = None) -> tuple[Floats, int, bool]:
    """The root of the score by Newton's method, without a start from the estimate of a_0 for large concentrations.

    A step moves log(a_0) and, beside it, the shares a / a_0, of which the likelihood of concentrated rows knows a_0 times more:
    in these coordinates neither drowns in the rounding of the other.
    """
    mean, excess, _ = terms
    if start is None:
        # sum exp(mean log x) is 1 less about (d - 1) / (2 a_0)
        gap = max(-float(np.sum(mean * np.expm1(-excess))), 1e-300)
        a = inverse_digamma(digamma(0.5 * (len(mean) - 1) / gap) + np.log(mean) - excess)[0]
    else:
        a = start.copy()
    longest = np.inf
    for step in range(1, MAX_STEPS + 1):
        size, shares = newton_parts(a, terms)
        # at most to a fifth at once: from there on the concave likelihood leads Newton's method home
        move = size + shares
        factor = min(1.0, 0.8 / max(float(np.max(-move)), 1e-300))
        a = a * (1.0 + factor * move)
        before, longest = longest, float(np.max(np.abs(move)))
        if factor == 1.0 and (longest <= 1e-12 or (longest <= 1e-8 and longest >= before)):
            return a, step, True
    return a, MAX_STEPS, False


def newton_parts(a: Floats, terms: tuple[Floats, Floats, float]) -> tuple[float, Floats]:
    """Newton's step relative to a: that of log(a_0) for all parts alike, and of each share, whose sum weighted by a is 0.

    With c = a^2 psi'(a) - a and c_0 likewise of a_0, minus the Hessian by relative steps is diag(a + c) less (a_0 + c_0) u u'
    with u = a / a_0. Along (1, ..., 1) all that is of order a_0 cancels.
    """
    mean, excess, gap = terms
    total = a.sum()
    u, curved, common = a / total, trigamma_curvature(a), float(trigamma_curvature(total))
    g = a * score(a, mean, excess)
    phis = log_excess((mean * total - a) / a)
    by_size = float(np.sum(a * (log_minus_digamma(a) - excess - phis)) - total * (log_minus_digamma(total) - gap))
    diagonal = a + curved
    weight = float(np.sum(u * u / diagonal))
    of_gradient = (g - u * float(np.sum(u * g / diagonal)) / weight) / diagonal
    of_size = (curved - u * float(np.sum(u * curved / diagonal)) / weight) / diagonal
    curvature = float(np.sum(curved)) - common - float(np.sum(curved * of_size))
    size = (by_size - float(np.sum(curved * of_gradient))) / curvature
    return size, of_gradient - size * of_size


@register_kl(Dirichlet, Dirichlet)
def dirichlet_kl(_p: Dirichlet, p: Params, _q: Dirichlet, q: Params) -> float:
    """log B(b) - log B(a) + sum (a - b) (psi(a) - psi(a_0)) for concentrations a and b."""
    a, b = p["concentration"], q["concentration"]
    if np.array_equal(a, b):
        return 0.0
    # That of the means, b_0 times, and what the gamma functions add to it: no part is lost in the size of the others.
    size_a, size_b = a.sum(), b.sum()
    change = ((a - b) - b * (np.sum(a - b) / size_b)) / b * (size_b / size_a)
    of_means = float(np.sum(b * log_excess(change, a / b * (size_b / size_a))))
    return max(of_means + float(np.sum(log_gamma_excess(a, b)) - log_gamma_excess(size_a, size_b)), 0.0)


@register_renyi(Dirichlet, Dirichlet)
def dirichlet_renyi(family: Dirichlet, p: Params, _q: Dirichlet, q: Params, alpha: float) -> float:
    """By the Dirichlet distribution with alpha times the concentrations of p and 1 - alpha times those of q."""
    mean = alpha * p["concentration"] + (1.0 - alpha) * q["concentration"]
    if np.any(mean <= 0.0):
        return np.inf
    return renyi_by_mean(dirichlet_kl, family, {"concentration": mean}, p, q, alpha)
