"""Von Mises distribution of angles: mean direction, and the concentration from the resultant length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import i0e, i1e

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl
from fastkl.families.spaces import Angle, Concentration
from fastkl.families.univariate import UnivariateFamily, raise_if_constant

MAX_NEWTON_STEPS = 100
LOG_2PI = np.log(2.0 * np.pi)
_LARGE = 500.0
# 1 - I1(k) / I0(k) in powers of 1 / k, from the Riccati equation A' = 1 - A^2 - A / k
_SERIES = (0.0, 1 / 2, 1 / 8, 1 / 8, 25 / 128, 13 / 32, 1073 / 1024)


class VonMises(UnivariateFamily):
    r"""Von Mises distribution of every column of angles in radians, of any turn.

    .. math:: \log p(x) = \kappa \cos(x - \text{loc}) - \log(2 \pi I_0(\kappa))

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Mean direction, held fixed where given; an estimate lies in (-pi, pi].
    concentration : float or array-like of shape (d,), default=None
        Concentration :math:`\kappa \ge 0`, held fixed where given.

    Notes
    -----
    The maximum solves I1(kappa) / I0(kappa) = R, the mean resultant length, by Newton's method from the start of I. S. Dhillon
    and S. Sra, "Modeling Data using Directional Distributions", 2003. The density is one of the circle: it integrates to 1
    over any turn. ``cdf`` is that of the turn around loc, as in scipy.

    References
    ----------
    K. V. Mardia and P. E. Jupp, "Directional Statistics", 2000, doi:10.1002/9780470316979.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("von_mises").fit([[1.0], [2.0], [1.5 + 2.0 * np.pi]])
    >>> model.params_["loc"].round(6), model.params_["concentration"].round(4)
    (array([1.5]), array([6.4171]))
    """

    name = "von_mises"
    parameters = {"loc": Angle(spread="concentration"), "concentration": Concentration()}
    statistic_names = ("weight", "direction", "deficit")
    support_text = "finite angles in radians"
    example = {"loc": [1.0, -2.0], "concentration": [2.0, 0.6]}
    equivariant = False

    def __init__(self, loc: ArrayLike | None = None, concentration: ArrayLike | None = None):
        self.loc = loc
        self.concentration = concentration

    def constants(self, params: Params) -> tuple[Any, ...]:
        kappa = params["concentration"]
        return params["loc"], 2.0 * kappa, -LOG_2PI - np.log(i0e(kappa))

    def _deficit(self, statistics: Statistics, loc: Floats) -> Floats:
        """Mean of 1 - cos(x - loc)."""
        own = statistics["deficit"] / statistics["weight"]
        deficit: Floats = own + 2.0 * (1.0 - own) * np.sin(0.5 * (statistics["direction"] - loc)) ** 2
        return deficit

    def solve(self, statistics: Statistics) -> Fit:
        direction = statistics["direction"]
        fixed = self.fixed_columns(len(direction))
        loc = fixed.get("loc", direction - 2.0 * np.pi * np.ceil((direction - np.pi) / (2.0 * np.pi)))
        if "concentration" in fixed:
            return Fit({"loc": loc, "concentration": fixed["concentration"]})
        deficit = self._deficit(statistics, loc)
        constant = {"weight": statistics["weight"], "value": direction}
        raise_if_constant(
            deficit <= 1e-31 * (1.0 + direction**2), constant, self.name, "concentration goes to infinity"
        )
        kappa, steps = solve_concentration(deficit)
        boundary = {}
        if np.any(kappa == 0.0):
            boundary["concentration"] = (
                "concentration is 0: the angles do not favour the direction loc, and the distribution is uniform."
            )
            if "loc" not in fixed:
                boundary["loc"] = "At concentration 0 every direction is as good as any other."
        return Fit({"loc": loc, "concentration": kappa}, steps, steps < MAX_NEWTON_STEPS, boundary)

    def regular(self, params: Params) -> NDArray[np.bool_]:
        value: NDArray[np.bool_] = super().regular(params) & (params["concentration"] > 0.0)
        return value

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        kappa = params["concentration"]
        by_row = -kappa * self._deficit(statistics, params["loc"]) - LOG_2PI - np.log(i0e(kappa))
        return statistics["weight"] * by_row

    def _sines(self, statistics: Statistics, loc: Floats) -> Floats:
        """Sum of sin(x - loc)."""
        total: Floats = (statistics["weight"] - statistics["deficit"]) * np.sin(statistics["direction"] - loc)
        return total

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        kappa, loc = params["concentration"], params["loc"]
        by_kappa = statistics["weight"] * (bessel_deficit(kappa)[0] - self._deficit(statistics, loc))
        return {"loc": kappa * self._sines(statistics, loc), "concentration": by_kappa}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        kappa, loc, weight = params["concentration"], params["loc"], statistics["weight"]
        cross = -self._sines(statistics, loc)
        by_loc = kappa * weight * (1.0 - self._deficit(statistics, loc))
        return np.moveaxis(np.array([[by_loc, cross], [cross, -weight * bessel_deficit(kappa)[1]]]), -1, 0)

    def cdf(self, x: Floats, params: Params) -> Floats:
        from scipy import stats  # it takes longer to import than all of this package

        value: Floats = stats.vonmises.cdf(x, params["concentration"], loc=params["loc"])
        return value

    def quantile(self, p: Floats, params: Params) -> Floats:
        from scipy import stats  # it takes longer to import than all of this package

        value: Floats = stats.vonmises.ppf(p, params["concentration"], loc=params["loc"])
        ends = np.where(np.asarray(p) == 0.0, -np.pi, np.where(np.asarray(p) == 1.0, np.pi, np.nan))
        return np.where(np.isnan(ends), value, params["loc"] + ends)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.vonmises(params["loc"], params["concentration"], size=(n_samples, len(params["loc"])))

    def entropy(self, params: Params) -> float:
        kappa = params["concentration"]
        return float(np.sum(LOG_2PI + np.log(i0e(kappa)) + kappa * bessel_deficit(kappa)[0]))


def bessel_deficit(kappa: Floats) -> tuple[Floats, Floats]:
    """1 - A(kappa) and its derivative, with A = I1 / I0 the mean resultant length."""
    small, large = np.minimum(kappa, _LARGE), np.maximum(kappa, _LARGE)
    ratio = i1e(small) / i0e(small)
    slope = np.where(small > 1e-8, 1.0 - ratio**2 - ratio / np.maximum(small, 1e-8), 0.5)
    derivative = tuple(-k * c for k, c in enumerate(_SERIES))
    series = np.polynomial.polynomial.polyval(1.0 / large, _SERIES)
    series_slope = np.polynomial.polynomial.polyval(1.0 / large, derivative) / large
    return np.where(kappa < _LARGE, 1.0 - ratio, series), np.where(kappa < _LARGE, -slope, series_slope)


def solve_concentration(deficit: Floats) -> tuple[Floats, int]:
    """The kappa with 1 - A(kappa) = deficit, 0 for a deficit of 1 or more, and the number of Newton steps it took."""
    length = np.maximum(1.0 - deficit, 0.0)
    kappa = length * (2.0 - length**2) / (deficit * (1.0 + length))
    for step in range(1, MAX_NEWTON_STEPS + 1):
        value, slope = bessel_deficit(kappa)
        # A is concave: a step from below the root stays below it, one from above may leave the axis
        new = kappa - (value - deficit) / slope
        new = np.where(length > 0.0, np.where(new > 0.0, new, 0.5 * kappa), 0.0)
        done = np.abs(new - kappa) <= 1e-14 * new
        kappa = new
        if np.all(done):
            return kappa, step
    return kappa, np.where(
        np.all(np.abs(value - deficit) <= 1e-13 * deficit), MAX_NEWTON_STEPS - 1, MAX_NEWTON_STEPS
    ).item()


@register_kl(VonMises, VonMises)
def von_mises_kl(_p: VonMises, p: Params, _q: VonMises, q: Params) -> float:
    """log(I0(k_q) / I0(k_p)) + A(k_p) (k_p - k_q cos(shift)), with the Bessel functions scaled by exp(-k)."""
    k, c = p["concentration"], q["concentration"]
    deficit, _ = bessel_deficit(k)
    turned = 2.0 * c * (1.0 - deficit) * np.sin(0.5 * (p["loc"] - q["loc"])) ** 2
    same = np.where(k == c, 0.0, np.maximum(np.log(i0e(c) / i0e(k)) + (c - k) * deficit, 0.0))
    return float(np.sum(same + turned))
