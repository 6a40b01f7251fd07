"""Beta distribution: two shapes, by one pass and a Newton iteration on their logarithms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betainccinv, betaincinv

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.beta_tails import beta_normaliser, log_beta_tails, plain_beta_tail
from fastkl._core.special.exact import exact_share
from fastkl._core.special.gamma_differences import digamma_rise, trigamma_rise
from fastkl._core.special.gamma_functions import (
    beta_shapes,
    log_excess,
    log_minus_digamma,
    trigamma,
    trigamma_curvature,
)
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.solvers.newton import Evaluation, Landscape, maximise
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_ONE, UnivariateFamily

MAX_NEWTON_STEPS = 200
MAX_POLISH_STEPS = 12
POLISHED = 1e-7  # a step of the logarithms of this length leaves an error of its square


class Beta(UnivariateFamily):
    r"""Beta distribution of every column, on 0 < x < 1.

    .. math:: \log p(x) = (a - 1) \log x + (b - 1) \log(1 - x) - \log B(a, b)

    evaluated in saddle-point form, which keeps all digits for shapes up to 1e10 and more.

    Parameters
    ----------
    a : float or array-like of shape (d,), default=None
        Shape a > 0, held fixed where given.
    b : float or array-like of shape (d,), default=None
        Shape b > 0, held fixed where given.

    Notes
    -----
    The likelihood is concave in (a, b); its maximum solves psi(a) - psi(a + b) = mean(log x) and the like for b.

    References
    ----------
    C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000 (the saddle-point form).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).beta(2.0, 5.0, size=(5000, 1))
    >>> model = DensityMLE("beta").fit(X)
    >>> model.params_["a"].round(2), model.params_["b"].round(2)
    (array([2.07]), array([5.1]))
    """

    name = "beta"
    scipy_name = "beta"
    scipy_parameters = {"a": "a", "b": "b"}
    parameters = {"a": Positive(), "b": Positive()}
    statistic_names = ("weight", "mean", "complement", "low_excess", "high_excess")
    support = (ABOVE_ZERO, BELOW_ONE, False)
    support_text = "numbers between 0 and 1, both excluded"
    example = {"a": [2.0, 0.7], "b": [5.0, 0.4]}
    extreme = [{"a": a, "b": b} for a, b in ((1e-3, 1e-3), (1e-3, 40.0), (1e6, 1e-3), (0.8, 1e6), (1e9, 1e9))]
    equivariant = False

    def __init__(self, a: ArrayLike | None = None, b: ArrayLike | None = None):
        self.a = a
        self.b = b

    def constants(self, params: Params) -> tuple[Any, ...]:
        a, b = params["a"], params["b"]
        (low, low_rest), (high, high_rest) = exact_share(a, b), exact_share(b, a)
        return (
            a,
            b,
            low,
            low_rest,
            high,
            high_rest,
            1.0 / low,
            1.0 / high,
            beta_normaliser(a, b) - np.log(low) - np.log(high),
        )

    def at_open_ends(self, params: Params) -> dict[float, Floats]:
        a, b = params["a"], params["b"]
        return {0.0: np.where(a == 1.0, np.log(b), -np.inf), 1.0: np.where(b == 1.0, np.log(a), -np.inf)}

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        mean, rest, weight = statistics["mean"], statistics["complement"], statistics["weight"]
        fixed = self.fixed_columns(len(mean))
        low, high = statistics["low_excess"] / weight, statistics["high_excess"] / weight
        if len(fixed) < 2:
            raise_if_no_spread((low <= 0.0) & (high <= 0.0), statistics, not fixed)
        # var ~ m (1 - m) / (a + b), and the excesses are about var / (2 mean^2) at either end
        total = 1.0 / np.maximum(low * mean / rest + high * rest / mean, 1e-300)
        begin = {"a": total * mean, "b": total * rest} if start is None else {n: v.copy() for n, v in start.items()}
        begin, n_polish = {**begin, **fixed}, 0
        if not fixed:
            n_polish, length = beta_shapes(mean, rest, low, high, begin["a"], begin["b"], MAX_POLISH_STEPS, POLISHED)
            if length.max(initial=0.0) <= POLISHED:
                return Fit(begin, n_polish)  # the likelihood is concave: a step next to nothing is the certificate
        free = np.array([name not in fixed for name in self.parameter_names])
        evaluate, move = (self._evaluate, move_logarithms) if fixed else (self._evaluate_by_size, move_by_size)
        with np.errstate(all="ignore"):
            landscape = Landscape(lambda params: evaluate(statistics, params), move, free, weight)
            found = maximise(landscape, begin, 1e-12, MAX_NEWTON_STEPS)
        return Fit(found.params, found.n_iter + n_polish, bool(found.converged.all()))

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def _derivatives(self, statistics: Statistics, params: Params) -> tuple[Floats, Floats]:
        """Gradient (d, 2) and Hessian (d, 2, 2) of the log-likelihood by log a and log b."""
        shapes = np.stack([params["a"], params["b"]], axis=1)
        slopes = self.statistics_gradient(statistics, params)
        gradient = np.stack([slopes["a"], slopes["b"]], axis=1) * shapes
        hessian = -self.information(statistics, params)
        hessian[:, [0, 1], [0, 1]] += gradient
        return gradient, hessian

    def _evaluate(self, statistics: Statistics, params: Params) -> Evaluation:
        """Log-likelihood and its derivatives by log a and log b."""
        return Evaluation(self.column_log_likelihood(statistics, params), *self._derivatives(statistics, params))

    def _evaluate_by_size(self, statistics: Statistics, params: Params) -> Evaluation:
        """Log-likelihood and its derivatives by log(a + b) and log(a / b), in which shapes of any size keep their digits."""
        a, b = params["a"], params["b"]
        weight, mean, rest, low, high = (statistics[name] for name in self.statistic_names)
        n, off = a + b, a * rest - b * mean
        u, v = a / n, b / n
        of_a, of_b, common = log_minus_digamma(np.array([a, b, n]))
        curved_a, curved_b, curved = trigamma_curvature(np.array([a, b, n]))
        phis = log_excess(np.array([-off / a, off / b]))
        by_size = weight * (a * of_a + b * of_b - n * common - a * phis[0] - b * phis[1]) - a * low - b * high
        logs = np.log1p(-off / a) - np.log1p(off / b)
        by_share = a * v * (weight * (of_a - of_b + logs) - (low - high))
        hessian = np.empty((len(a), 2, 2))
        hessian[:, 0, 0] = by_size - weight * (curved_a + curved_b - curved)
        hessian[:, 1, 1] = (v - u) * by_share - weight * (v * v * (a + curved_a) + u * u * (b + curved_b))
        hessian[:, 0, 1] = hessian[:, 1, 0] = by_share - weight * (v * curved_a - u * curved_b)
        return Evaluation(
            self.column_log_likelihood(statistics, params), np.stack([by_size, by_share], axis=1), hessian
        )

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        a, b = params["a"], params["b"]
        weight, mean, rest, low, high = (statistics[name] for name in self.statistic_names)
        off = a * rest - b * mean
        normaliser = beta_normaliser(a, b) - np.log(mean) - np.log(rest)
        ratios = np.array([mean * ((a + b) / a), rest * ((a + b) / b)])
        low_phi, high_phi = log_excess(np.array([-off / a, off / b]), ratios)
        by_row = normaliser - a * low_phi - b * high_phi
        return weight * by_row + (1.0 - a) * low + (1.0 - b) * high

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        a, b = params["a"], params["b"]
        weight, mean, rest, low, high = (statistics[name] for name in self.statistic_names)
        off = a * rest - b * mean
        by_a = weight * (digamma_rise(a, b) + np.log1p(-off / a)) - low
        by_b = weight * (digamma_rise(b, a) + np.log1p(off / b)) - high
        return {"a": by_a, "b": by_b}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        a, b, weight = params["a"], params["b"], statistics["weight"]
        both = a + b
        information = np.empty((len(a), 2, 2))
        # a^2 (psi'(a) - psi'(a + b)), whose terms agree in all digits for b far below a
        information[:, 0, 0] = weight * (a * (b / both) - trigamma_rise(a, b) * a * a)
        information[:, 1, 1] = weight * (b * (a / both) - trigamma_rise(b, a) * b * b)
        information[:, 0, 1] = information[:, 1, 0] = -weight * trigamma(both) * a * b
        return information

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        return log_beta_tails(params["a"], params["b"], x)

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        return plain_beta_tail(params["a"], params["b"], x, 1.0 - x, upper)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        inverse = betainccinv if upper else betaincinv
        return inverse(params["a"], params["b"], p)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.beta(params["a"], params["b"], size=(n_samples, len(params["a"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        a, b = params["a"], params["b"]
        mean, rest = a / (a + b), b / (a + b)
        return mean, mean * rest / (a + b + 1.0)

    def mode(self, params: Params) -> Floats:
        a, b = params["a"], params["b"]
        with np.errstate(divide="ignore", invalid="ignore"):
            inside = (a - 1.0) / ((a - 1.0) + (b - 1.0))
        # at an end the density of the smaller shape is the larger one
        at_end = np.where(a < b, 0.0, np.where(b < a, 1.0, np.nan))
        return np.where((a > 1.0) & (b > 1.0), inside, at_end)

    def entropy(self, params: Params) -> float:
        # log B - (a - 1) psi(a) - (b - 1) psi(b) + (n - 2) psi(n), rearranged so that nothing large cancels
        a, b = params["a"], params["b"]
        n = a + b
        terms = (a - 1.0) * log_minus_digamma(a) + (b - 1.0) * log_minus_digamma(b) - (n - 2.0) * log_minus_digamma(n)
        return float(np.sum(terms - beta_normaliser(a, b) + np.log(a / n) + np.log(b / n)))

    @staticmethod
    def textbook(mp: Any, x: Any, a: Any, b: Any) -> Any:
        log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
        return (a - 1) * mp.log(x) + (b - 1) * mp.log1p(-x) - log_beta

    @staticmethod
    def textbook_tails(mp: Any, x: Any, a: Any, b: Any) -> tuple[Any, Any] | None:
        if min(a, b) > 100:
            return None  # the series is long there, and an integral soon done

        def lower(a: Any, b: Any, x: Any, y: Any) -> Any:
            log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
            return mp.exp(a * mp.log(x) + b * mp.log(y) - log_beta) / a * mp.hyp2f1(1, a + b, a + 1, x)

        low = lower(a, b, x, 1 - x)
        return low, lower(b, a, 1 - x, x) if x > 1e-30 else 1 - low

    @staticmethod
    def textbook_entropy(mp: Any, a: Any, b: Any) -> Any:
        log_beta = mp.loggamma(a) + mp.loggamma(b) - mp.loggamma(a + b)
        return log_beta - (a - 1) * mp.psi(0, a) - (b - 1) * mp.psi(0, b) + (a + b - 2) * mp.psi(0, a + b)


def move_logarithms(params: Params, step: Floats) -> Params:
    """Parameters a step of their logarithms away, in the order of the dict's names a, b."""
    return {
        name: np.where(step[:, i] == 0.0, params[name], params[name] * np.exp(step[:, i]))
        for i, name in enumerate(("a", "b"))
    }


def move_by_size(params: Params, step: Floats) -> Params:
    """Parameters a step of log(a + b) and log(a / b) away."""
    a, b = params["a"], params["b"]
    ratio = np.exp(step[:, 1])
    scale = np.exp(step[:, 0]) * (a + b) / (a * ratio + b)
    moved = np.any(step != 0.0, axis=1)
    return {"a": np.where(moved, a * ratio * scale, a), "b": np.where(moved, b * scale, b)}


def raise_if_no_spread(constant: NDArray[np.bool_], statistics: Statistics, both_free: bool) -> None:
    """DegenerateDataError for a constant column where both shapes are free."""
    if both_free and np.any(constant):
        column = int(np.flatnonzero(constant)[0])
        raise DegenerateDataError(
            f"Column {column} is constant: {statistics['mean'][column]:.6g} in every row (n_samples="
            f"{statistics['weight'][column]:g}). The beta likelihood has no maximum, since it grows without bound as "
            "a and b go to infinity. Leave the column out, or hold one of them fixed.",
            column,
        )


@register_kl(Beta, Beta)
def beta_kl(_p: Beta, p: Params, _q: Beta, q: Params) -> float:
    """The difference of the normalisers and of the expected logarithms, all in saddle-point form."""
    a, b, c, d = p["a"], p["b"], q["a"], q["b"]
    n, m = a + b, c + d
    # E log x = log(a / n) - e_a with e_a = (log a - psi(a)) - (log n - psi(n)), and likewise for 1 - x
    e_a, e_b = log_minus_digamma(a) - log_minus_digamma(n), log_minus_digamma(b) - log_minus_digamma(n)
    spread = (c - a) * e_a + (d - b) * e_b
    u, v = (a / n) / (c / m) - 1.0, (b / n) / (d / m) - 1.0
    terms = beta_normaliser(a, b) - beta_normaliser(c, d) + spread + c * log_excess(u) + d * log_excess(v)
    return float(np.sum(np.where((a == c) & (b == d), 0.0, np.maximum(terms, 0.0))))


@register_renyi(Beta, Beta)
def beta_renyi(family: Beta, p: Params, _q: Beta, q: Params, alpha: float) -> float:
    """By the beta distribution with alpha times the parameters of p and 1 - alpha times those of q; inf where that is none."""
    mean = {name: alpha * p[name] + (1.0 - alpha) * q[name] for name in ("a", "b")}
    if np.any(np.minimum(mean["a"], mean["b"]) <= 0.0):
        return np.inf
    return renyi_by_mean(beta_kl, family, mean, p, q, alpha)
