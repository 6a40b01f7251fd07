"""Gumbel distribution of maxima: location and scale, by Newton's method on a concave likelihood."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import Rows
from fastkl._core.special.log_tails import log_one_minus_exp
from fastkl.families.closed_form import log_ratio_excess, register_kl
from fastkl.families.location_scale import LocationScaleFamily, about_held
from fastkl.families.solvers.iterative import log_mean_exp, weighted_moments

SD_RATIO = np.sqrt(6.0) / np.pi  # scale over standard deviation


class Gumbel(LocationScaleFamily):
    r"""Gumbel distribution of every column, in the form for maxima (``gumbel_r`` in scipy).

    .. math:: \log p(x) = -z - e^{-z} - \log \text{scale}, \quad z = (x - \text{loc}) / \text{scale}

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Mode, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Scale > 0, held fixed where given.

    Notes
    -----
    The likelihood is concave in (loc / scale, 1 / scale): it has one maximum unless the column is constant.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("gumbel").fit(np.array([[0.0], [1.0], [3.0]]))
    >>> model.params_["loc"].round(6), model.params_["scale"].round(6)
    (array([0.741099]), array([0.978183]))
    """

    name = "gumbel"
    aliases = ("gumbel_max", "extreme_value_type_1")
    scipy_name = "gumbel_r"
    scipy_parameters = {"loc": "loc", "scale": "scale"}
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"loc": 0.3, "scale": 1e-3}, {"loc": -2.0, "scale": 1e6}, {"loc": 1e8, "scale": 1.0}]

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        if "scale" in fixed and "loc" not in fixed:  # in closed form
            return [[{"loc": -fixed["scale"] * log_mean_exp(-rows.X / fixed["scale"], rows.weights), **fixed}]]
        mean, deviation = weighted_moments(rows)
        scale = about_held(fixed, mean, deviation) * SD_RATIO
        return [[{"loc": mean - np.euler_gamma * scale, "scale": scale, **fixed}]]

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        with np.errstate(over="ignore"):
            return -np.exp((params["loc"] - x) / params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        z = (params["loc"] - x) / params["scale"]
        with np.errstate(over="ignore"):
            return log_one_minus_exp(np.exp(z), z)

    def quantile(self, p: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return params["loc"] - params["scale"] * np.log(-np.log(p))

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return params["loc"] - params["scale"] * np.log(-np.log1p(-np.asarray(q)))

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.gumbel(params["loc"], params["scale"], size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        scale = params["scale"]
        return params["loc"] + np.euler_gamma * scale, (np.pi * scale) ** 2 / 6.0

    def entropy(self, params: Params) -> float:
        return float(np.sum(1.0 + np.euler_gamma + np.log(params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, scale: Any) -> Any:
        return -(x - loc) / scale - mp.exp(-(x - loc) / scale) - mp.log(scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        w = mp.exp(-(x - loc) / scale)
        return mp.exp(-w), -mp.expm1(-w)

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, scale: Any) -> Any:
        return 1 + mp.euler + mp.log(scale)


def extreme_value_kl(scale_p: Floats, scale_q: Floats, shift: Floats) -> Floats:
    """KL of Gumbel distributions with r = scale_p / scale_q and shift (loc_p - loc_q) / scale_q.

    log(1/r) + gamma (r - 1) + shift + exp(-shift) Gamma(1 + r) - 1, sorted into terms that are each 0 for equal
    distributions.
    """
    with np.errstate(over="ignore"):
        ratio = scale_p / scale_q
        grown = np.exp(gammaln(1.0 + ratio) - shift)
    terms = log_ratio_excess(scale_p, scale_q) - (ratio - 1.0) * (1.0 - np.euler_gamma) + shift + (grown - 1.0)
    return np.where((ratio == 1.0) & (shift == 0.0), 0.0, np.maximum(terms, 0.0))


@register_kl(Gumbel, Gumbel)
def gumbel_kl(_p: Gumbel, p: Params, _q: Gumbel, q: Params) -> float:
    """See ``extreme_value_kl``."""
    return float(np.sum(extreme_value_kl(p["scale"], q["scale"], (p["loc"] - q["loc"]) / q["scale"])))
