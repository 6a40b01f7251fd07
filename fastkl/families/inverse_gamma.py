"""Inverse gamma distribution: shape and scale from the harmonic mean and the mean logarithm, as for the gamma one of 1/x."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainccinv, gammaincinv

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.exact import exact_product
from fastkl._core.special.gamma_functions import log_excess, log_minus_digamma, stirling_error, trigamma
from fastkl._core.special.gamma_tails import plain_gamma_tail
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi
from fastkl.families.gamma import (
    MAX_NEWTON_STEPS,
    Gamma,
    gamma_kl,
    gamma_renyi,
    inverse_digamma,
    log_quotient_tails,
    solve_shape,
)
from fastkl.families.spaces import Positive
from fastkl.families.univariate import ABOVE_ZERO, BELOW_INFINITY, UnivariateFamily, raise_if_constant


class InverseGamma(UnivariateFamily):
    r"""Inverse gamma distribution of every column, on x > 0: 1 / x has a gamma distribution.

    .. math:: \log p(x) = a \log b - \log \Gamma(a) - (a + 1) \log x - b / x

    with shape a and scale b, evaluated in saddle-point form, which keeps all digits for shapes up to 1e10 and more.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=None
        Shape a > 0, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale b > 0, held fixed where given.

    Notes
    -----
    The maximum is that of the gamma distribution of 1 / x, whose scale is 1 / b: log a - psi(a) is the mean logarithm less the
    logarithm of the harmonic mean, and b is a times the harmonic mean. The mean is infinite for a <= 1, the variance for a <= 2.

    References
    ----------
    A. Llera and C. F. Beckmann, "Estimating an Inverse Gamma distribution", 2016, arXiv:1605.01019.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = 2.0 / np.random.default_rng(0).gamma(3.0, size=(5000, 1))
    >>> model = DensityMLE("inverse_gamma").fit(X)
    >>> model.params_["shape"].round(2), model.params_["scale"].round(2)
    (array([2.99]), array([1.97]))
    """

    name = "inverse_gamma"
    aliases = ("inverted_gamma", "reciprocal_gamma")
    scipy_name = "invgamma"
    scipy_parameters = {"a": "shape", "scale": "scale"}
    parameters = {"shape": Positive(), "scale": Positive(role="scale")}
    statistic_names = ("weight", "mean", "log_excess")  # the mean is the harmonic one
    example = {"shape": [3.0, 4.5], "scale": [2.0, 10.0]}
    extreme = [{"shape": a, "scale": 0.3} for a in (1e-3, 0.03, 0.5, 1.0, 50.0, 1e3, 1e6, 1e9)]
    support = (ABOVE_ZERO, BELOW_INFINITY, False)
    support_text = "positive numbers"

    def __init__(self, shape: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.shape = shape
        self.scale = scale

    def constants(self, params: Params) -> tuple[Any, ...]:
        shape, scale = params["shape"], params["scale"]
        centre = scale / shape
        product, rest = exact_product(shape, centre)
        normaliser = 0.5 * np.log(shape / (2.0 * np.pi)) - stirling_error(shape) - np.log(centre)
        return shape, centre, ((scale - product) - rest) / shape, normaliser

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        excess = statistics["log_excess"] / statistics["weight"]  # mean(log) - log(harmonic mean)
        if len(fixed) == 2:
            return Fit(fixed)
        if "shape" in fixed:
            return Fit({"shape": fixed["shape"], "scale": mean * fixed["shape"]})
        if "scale" in fixed:
            shape, steps = inverse_digamma(np.log(fixed["scale"] / mean) - excess)
            return Fit({"shape": shape, "scale": fixed["scale"]}, steps, steps < MAX_NEWTON_STEPS)
        raise_if_constant(excess <= 0.0, statistics, self.name, "shape goes to infinity")
        shape, steps = solve_shape(excess, None if start is None else start["shape"])
        with np.errstate(over="ignore"):  # a scale that is no number is refused with the column's name
            return Fit({"shape": shape, "scale": mean * shape}, steps, steps < MAX_NEWTON_STEPS)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def starting_parameters(self, statistics: Statistics) -> Params:
        # a constant column has its maximum at an infinite shape: 1 is a guess
        mean = statistics["mean"]
        fixed = self.fixed_columns(len(mean))
        shape = fixed.get("shape", np.ones_like(mean))
        return {"shape": shape, "scale": fixed.get("scale", mean * shape)}

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        shape = params["shape"]
        weight, mean, excess = (statistics[name] for name in self.statistic_names)
        centre = params["scale"] / shape
        phi = log_excess((centre - mean) / mean, centre / mean)
        normaliser = 0.5 * np.log(shape / (2.0 * np.pi)) - stirling_error(shape) - np.log(mean)
        return weight * (normaliser - shape * phi) - (shape + 1.0) * excess

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        shape, scale = params["shape"], params["scale"]
        weight, mean, excess = (statistics[name] for name in self.statistic_names)
        centre = mean * shape
        by_shape = weight * (np.log(scale / centre) + log_minus_digamma(shape)) - excess
        return {"shape": by_shape, "scale": weight * ((centre - scale) / mean) / scale}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        shape, weight = params["shape"], statistics["weight"]
        own = weight * shape
        return np.moveaxis(np.array([[weight * trigamma(shape) * shape * shape, -own], [-own, own]]), -1, 0)

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        shape, scale = params["shape"], params["scale"]
        x = np.maximum(x, 0.0)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            # scale / x - shape from exact differences, as in the gamma distribution
            product, rest = exact_product(shape, x)
            gap = ((scale - product) - rest) / x
            gap = np.where(np.isfinite(gap), gap, scale / x - shape)
            upper, lower = log_quotient_tails(shape, scale, x, gap)
        return lower, upper

    def plain_tail(self, x: Floats, params: Params, upper: bool) -> Floats:
        with np.errstate(divide="ignore", over="ignore"):
            return plain_gamma_tail(params["shape"], params["scale"] / np.maximum(x, 0.0), not upper)

    def quantile_guess(self, p: Floats, params: Params, upper: bool) -> Floats:
        inverse = gammaincinv if upper else gammainccinv
        with np.errstate(divide="ignore", over="ignore"):
            return params["scale"] / inverse(params["shape"], p)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return params["scale"] / generator.standard_gamma(params["shape"], size=(n_samples, len(params["shape"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        shape, scale = params["shape"], params["scale"]
        one, two = np.where(shape > 1.0, shape, 2.0) - 1.0, np.where(shape > 2.0, shape, 3.0)
        variance = (scale / (two - 1.0)) ** 2 / (two - 2.0)
        return np.where(shape > 1.0, scale / one, np.inf), np.where(shape > 2.0, variance, np.inf)

    def mode(self, params: Params) -> Floats:
        return params["scale"] / (params["shape"] + 1.0)

    def entropy(self, params: Params) -> float:
        # that of the gamma variable y = b / x in saddle-point form, plus log b - 2 E log y
        shape = params["shape"]
        half_log = 0.5 * np.log(2.0 * np.pi / shape) + stirling_error(shape) + (shape + 1.0) * log_minus_digamma(shape)
        return float(np.sum(half_log + np.log(params["scale"] / shape)))

    @staticmethod
    def textbook(mp: Any, x: Any, shape: Any, scale: Any) -> Any:
        return shape * mp.log(scale) - mp.loggamma(shape) - (shape + 1) * mp.log(x) - scale / x

    @staticmethod
    def textbook_tails(mp: Any, x: Any, shape: Any, scale: Any) -> tuple[Any, Any] | None:
        tails = Gamma.textbook_tails(mp, scale / x, shape, mp.mpf(1))
        return tails and tails[::-1]

    @staticmethod
    def textbook_entropy(mp: Any, shape: Any, scale: Any) -> Any:
        return shape + mp.log(scale) + mp.loggamma(shape) - (1 + shape) * mp.digamma(shape)


@register_kl(InverseGamma, InverseGamma)
def inverse_gamma_kl(_p: InverseGamma, p: Params, _q: InverseGamma, q: Params) -> float:
    """That of the gamma distributions of 1 / x, whose scales are 1 / b: of them only the ratio counts."""
    return gamma_kl(
        Gamma(), {"shape": p["shape"], "scale": q["scale"]}, Gamma(), {"shape": q["shape"], "scale": p["scale"]}
    )


@register_renyi(InverseGamma, InverseGamma)
def inverse_gamma_renyi(_p: InverseGamma, p: Params, _q: InverseGamma, q: Params, alpha: float) -> float:
    """That of the gamma distributions of 1 / x."""
    one, other = {"shape": p["shape"], "scale": q["scale"]}, {"shape": q["shape"], "scale": p["scale"]}
    return gamma_renyi(Gamma(), one, Gamma(), other, alpha)
