"""Cauchy distribution: location and scale, by Newton's method from the best of several starts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl.families.closed_form import register_kl
from fastkl.families.location_scale import LocationScaleFamily
from fastkl.families.solvers.newton import Maximum
from fastkl.families.solvers.starts import COLLAPSED, median_and_distance, raise_if_tied, spread_rows


class Cauchy(LocationScaleFamily):
    r"""Cauchy distribution of every column.

    .. math:: \log p(x) = -\log(1 + z^2) - \log(\pi\, \text{scale}), \quad z = (x - \text{loc}) / \text{scale}

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Median, held fixed where given.
    scale : float or array-like of shape (d,), default=None
        Half the distance of the quartiles, held fixed where given.

    Notes
    -----
    With both parameters free the likelihood has one maximum (J. B. Copas 1975, doi:10.1093/biomet/62.3.701), unless half of
    the rows or more share a value: then it has none. With scale fixed it may have one near every row: the highest is
    searched for.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("cauchy").fit([[-2.0], [0.0], [2.0]])
    >>> abs(model.params_["loc"]).round(6), model.params_["scale"].round(6)
    (array([0.]), array([1.154701]))
    """

    name = "cauchy"
    aliases = ("lorentz", "lorentzian", "breit_wigner")
    scipy_name = "cauchy"
    scipy_parameters = {"loc": "loc", "scale": "scale"}
    example = {"loc": [0.5, -2.0], "scale": [1.5, 0.3]}
    extreme = [{"loc": 0.3, "scale": 1e-3}, {"loc": -2.0, "scale": 1e6}, {"loc": 1e8, "scale": 1.0}]

    def constants(self, params: Params) -> tuple[Any, ...]:
        return params["loc"], 1.0 / params["scale"], -np.log(np.pi) - np.log(params["scale"])

    def starts(self, rows: Rows, fixed: Params) -> list[list[Params]]:
        centre, distance = median_and_distance(rows)
        start = {"loc": centre, "scale": distance, **fixed}
        if "scale" not in fixed or "loc" in fixed:
            return [[start]]  # one maximum, or none
        return [[start], *([{**start, "loc": value}] for value in spread_rows(rows))]

    def bounds(self, start: Params) -> dict[str, tuple[Floats | float, Floats | float]]:
        return {"scale": (COLLAPSED * start["scale"], np.inf)}

    def settle(
        self, rows: AnyRows, fixed: Params, maximum: Maximum, tol: float, max_iter: int
    ) -> tuple[Maximum, dict[str, str]]:
        if "scale" not in fixed:
            df, remedy = np.ones(rows.n_columns), "Leave the column out, or hold scale fixed."
            raise_if_tied(rows, maximum, df, fixed.get("loc"), self.name, remedy)
        return maximum, {}

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        return self._log_tail(params["loc"] - x, params["scale"])

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return self._log_tail(x - params["loc"], params["scale"])

    def _log_tail(self, distance: Floats, scale: Floats) -> Floats:
        """Logarithm of the tail at a distance above loc: of the arc cotangent, which keeps its digits far out."""
        with np.errstate(divide="ignore"):
            above, below = np.arctan2(scale, distance) / np.pi, np.arctan2(scale, -distance) / np.pi
            return np.where(distance > 0.0, np.log(above), np.log1p(-below))

    def quantile(self, p: Floats, params: Params) -> Floats:
        return params["loc"] + params["scale"] * self._standard_quantile(np.asarray(p))

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        return params["loc"] - params["scale"] * self._standard_quantile(np.asarray(q))

    def _standard_quantile(self, p: Floats) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            z = np.where(p < 0.25, -1.0 / np.tan(np.pi * p), np.tan(np.pi * (p - 0.5)))
            z = np.where(p > 0.75, 1.0 / np.tan(np.pi * (1.0 - p)), z)
        return np.where((p >= 0.0) & (p <= 1.0), z, np.nan)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return params["loc"] + params["scale"] * generator.standard_cauchy(size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        nowhere = np.full_like(params["loc"], np.nan)
        return nowhere, nowhere

    def entropy(self, params: Params) -> float:
        return float(np.sum(np.log(4.0 * np.pi * params["scale"])))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, scale: Any) -> Any:
        return -mp.log(1 + ((x - loc) / scale) ** 2) - mp.log(mp.pi * scale)

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, scale: Any) -> tuple[Any, Any]:
        return mp.atan2(scale, loc - x) / mp.pi, mp.atan2(scale, x - loc) / mp.pi

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, scale: Any) -> Any:
        return mp.log(4 * mp.pi * scale)


@register_kl(Cauchy, Cauchy)
def cauchy_kl(_p: Cauchy, p: Params, _q: Cauchy, q: Params) -> float:
    """log(1 + ((s - t)^2 + shift^2) / (4 s t)) for scales s, t (F. Chyzak and F. Nielsen 2019, arXiv:1905.10965)."""
    s, t = p["scale"], q["scale"]
    apart = np.hypot(s - t, p["loc"] - q["loc"])
    ratio = apart / np.sqrt(s) / np.sqrt(t) / 2.0
    # The square of a large ratio may be beyond float64, its logarithm is not.
    near = np.minimum(ratio, 1e100)
    far = 2.0 * (np.log(np.maximum(apart, 1e-300)) - np.log(2.0)) - np.log(s) - np.log(t)
    return float(np.sum(np.where(ratio <= 1e100, np.log1p(near * near), far)))
