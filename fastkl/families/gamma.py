"""Gamma distribution: shape and scale, by one pass and a Newton iteration on the shape."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import digamma, gammainccinv, gammaincinv

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.exact import exact_product
from fastkl._core.special.gamma_differences import log_gamma_excess
from fastkl._core.special.gamma_functions import gamma_shapes, log_excess, log_minus_digamma, stirling_error, trigamma
from fastkl._core.special.gamma_tails import log_gamma_tails, plain_gamma_tail
from fastkl._core.special.log_tails import log_complement
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.exponential import Exponential
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily, raise_if_constant

MAX_NEWTON_STEPS = 50
SMALLEST = 1e-290  # x / scale below it


class Gamma(UnivariateFamily):
    r"""Gamma distribution of every column, on x > 0.

    .. math:: \log p(x) = (a - 1) \log x - x / s - a \log s - \log \Gamma(a)

    with shape a and scale s, evaluated in saddle-point form, which keeps all digits for shapes up to 1e10 and more.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape a > 0, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale s > 0, held fixed where given.

    Notes
    -----
    The maximum solves log a - psi(a) = log(mean) - mean(log x), by Newton's method on 1/a (T. Minka, "Estimating a Gamma
    distribution", 2002), started from the rational approximation given there.

    References
    ----------
    C. Loader, "Fast and Accurate Computation of Binomial Probabilities", 2000 (the saddle-point form).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.random.default_rng(0).gamma(3.0, 2.0, size=(5000, 1))
    >>> model = DensityMLE("gamma").fit(X)
    >>> model.params_["shape"].round(2), model.params_["scale"].round(2)
    (array([2.99]), array([2.03]))
    """

    name = "gamma"
    scipy_name = "gamma"
    scipy_parameters = {"a": "shape", "scale": "scale"}
    parameters = {"shape": Positive(), "scale": Positive(role="scale")}
    statistic_names = ("weight", "mean", "log_excess")
    example = {"shape": [3.0, 0.7], "scale": [2.0, 10.0]}
    extreme = [{"shape": a, "scale": 0.3} for a in (1e-3, 0.03, 0.5, 1.0, 50.0, 1e3, 1e6, 1e9)]
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        mean, rest = exact_product(shape, scale)
        normaliser = 0.5 * np.log(shape / (2.0 * np.pi)) - stirling_error(shape)
        return shape, mean, rest, 1.0 / mean, np.log(mean), normaliser

    def at_open_ends(self, params: Params) -> dict[float, Floats]:
        return {0.0: np.where(params["shape"] == 1.0, -np.log(params["scale"]), -np.inf)}

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        excess = statistics["log_excess"] / statistics["weight"]  # log(mean) - mean(log)
        if len(fixed) == 2:
            return Fit(fixed)
        if "shape" in fixed:
            return Fit({"shape": fixed["shape"], "scale": mean / fixed["shape"]})
        if "scale" in fixed:
            shape, steps = inverse_digamma(np.log(mean / fixed["scale"]) - excess)
            return Fit({"shape": shape, "scale": fixed["scale"]}, steps, steps < MAX_NEWTON_STEPS)
        raise_if_constant(excess <= 0.0, statistics, self.name, "shape goes to infinity")
        shape, steps = solve_shape(excess, None if start is None else start["shape"])
        return Fit({"shape": shape, "scale": mean / shape}, steps, steps < MAX_NEWTON_STEPS)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def starting_parameters(self, statistics: Statistics) -> Params:
        # a constant column has its maximum at an infinite shape; the exponential distribution of the same mean is a guess
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        shape = fixed.get("shape", np.ones_like(mean))
        return {"shape": shape, "scale": fixed.get("scale", mean / shape)}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        shape = params["shape"]
        weight, mean, excess = (statistics[name] for name in self.statistic_names)
        centre = shape * params["scale"]
        phi = log_excess((mean - centre) / centre, mean / centre)
        normaliser = 0.5 * np.log(shape / (2.0 * np.pi)) - stirling_error(shape) - np.log(mean)
        return weight * (normaliser - shape * phi) + (1.0 - shape) * excess

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        shape, scale = params["shape"], params["scale"]
        weight, mean, excess = (statistics[name] for name in self.statistic_names)
        centre = shape * scale
        by_shape = weight * (np.log(mean / centre) + log_minus_digamma(shape)) - excess
        return {"shape": by_shape, "scale": weight * (mean - centre) / scale / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        shape, scale = params["shape"], params["scale"]
        weight, mean = statistics["weight"], statistics["mean"]
        cross = weight * shape
        rows = [[weight * trigamma(shape) * shape * shape, cross], [cross, weight * (2.0 * mean / scale - shape)]]
        return np.moveaxis(np.array(rows), -1, 0)

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        shape, scale = params["shape"], params["scale"]
        mean, rest = exact_product(shape, scale)
        # x / scale - shape from exact differences: for a shape of 1e9 rounding x / scale alone would cost four digits
        x = np.maximum(x, 0.0)
        return log_quotient_tails(shape, x, scale, ((x - mean) - rest) / scale)

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        return plain_gamma_tail(params["shape"], x / params["scale"], upper)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        inverse = gammainccinv if upper else gammaincinv
        return params["scale"] * inverse(params["shape"], p)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.gamma(params["shape"], params["scale"], size=(n_samples, len(params["shape"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        mean = params["shape"] * params["scale"]
        return mean, mean * params["scale"]

    def mode(self, params: Params) -> Floats:
        return np.maximum(params["shape"] - 1.0, 0.0) * params["scale"]

    def entropy(self, params: Params) -> float:
        # a + log s + log Gamma(a) + (1 - a) psi(a), rearranged so that nothing large cancels
        shape = params["shape"]
        half_log = 0.5 * np.log(2.0 * np.pi * shape) + stirling_error(shape) + (shape - 1.0) * log_minus_digamma(shape)
        return float(np.sum(half_log + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return (shape - 1) * mp.log(x) - x / scale - shape * mp.log(scale) - mp.loggamma(shape)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any] | None:
        if shape > 1e4:
            return None
        return tuple(mp.gammainc(shape, *ends, regularized=True) for ends in ((0, x / scale), (x / scale, mp.inf)))

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return shape + mp.log(scale) + mp.loggamma(shape) + (1 - shape) * mp.digamma(shape)


def log_quotient_tails(shape: Floats, x: Floats, scale: Floats, gap: Floats) -> tuple[Floats, Floats]:
    """Both tails of the gamma distribution of scale 1 at x / scale, given x / scale - shape, x >= 0 and scale >= 0."""
    ratio = np.where((x == 0.0) | (scale == np.inf), 0.0, np.maximum(x / scale, SMALLEST))
    lower, upper = log_gamma_tails(shape, ratio, gap)
    if np.any(tiny := (ratio == SMALLEST)):
        # x / scale has lost its digits, or all of itself; there the lower tail is a power of it
        below = shape * (np.log(np.where(tiny, x, 1.0)) - np.log(np.where(tiny, scale, 1.0)) - np.log(SMALLEST))
        lower = np.where(tiny, lower + below, lower)
        upper = np.where(tiny, log_complement(lower), upper)
    return lower, upper


def solve_shape(excess: Floats, start: Floats | None = None) -> tuple[Floats, int]:
    """The a with log a - psi(a) = excess > 0, and the number of Newton steps on 1/a that it took.

    A start takes the place of the rational approximation, which is within 2 % of the root, where it is about as near.
    """
    root = np.sqrt((3.0 - excess) ** 2 + 24.0 * excess)
    shape = (3.0 - excess + root) / (12.0 * excess)
    if start is not None:
        shape = np.where(np.abs(start - shape) <= 0.05 * shape, start, shape)
    return shape, gamma_shapes(excess, shape, MAX_NEWTON_STEPS)


def inverse_digamma(value: Floats) -> tuple[Floats, int]:
    """The a with psi(a) = value, by Newton's method from Minka's start, which is below or at the root's convex side."""
    shape = np.where(value >= -2.22, np.exp(np.minimum(value, 700.0)) + 0.5, -1.0 / (value - digamma(1.0)))
    for step in range(1, MAX_NEWTON_STEPS + 1):
        new = shape - (digamma(shape) - value) / trigamma(shape)
        new = np.where(new > 0.0, new, 0.5 * shape)
        done = np.abs(new - shape) <= 1e-14 * new
        shape = new
        if np.all(done):
            return shape, step
    return shape, MAX_NEWTON_STEPS


@register_kl(Gamma, Gamma)
@register_kl(Gamma, Exponential)
@register_kl(Exponential, Gamma)
def gamma_kl(_p: Family, p: Params, _q: Family, q: Params) -> float:
    """(a - b) psi(a) - log Gamma(a) + log Gamma(b) + b log(t / s) + a (s - t) / t for shapes a, b and scales s, t.

    Written as b (r - 1 - log r) for the ratio r of the means a s and b t, and what the gamma function adds to it: neither part is
    negative, so that no digits are lost however near or large the shapes are.
    """
    (a, s), (b, t) = _shape_and_scale(p), _shape_and_scale(q)
    change = (a - b) / b * (s / t) + (s - t) / t
    return float(np.sum(b * log_excess(change, a / b * (s / t)) + log_gamma_excess(a, b)))


@register_renyi(Gamma, Gamma)
@register_renyi(Gamma, Exponential)
@register_renyi(Exponential, Gamma)
def gamma_renyi(family: Family, p: Params, _q: Family, q: Params, alpha: float) -> float:
    """By the gamma distribution whose shape and rate are alpha times those of p and 1 - alpha times those of q."""
    (a, s), (b, t) = _shape_and_scale(p), _shape_and_scale(q)
    shape = alpha * a + (1.0 - alpha) * b
    part = alpha + (1.0 - alpha) * (s / t)
    if np.any(shape <= 0.0) or np.any(part <= 0.0):
        return np.inf
    return renyi_by_mean(gamma_kl, family, {"shape": shape, "scale": s / part}, p, q, alpha)


def _shape_and_scale(params: Params) -> tuple[Floats, Floats]:
    """Those of a gamma distribution; an exponential one is that of shape 1."""
    scale = params["scale"]
    return params.get("shape", np.ones_like(scale)), scale
