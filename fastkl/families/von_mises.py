"""Von Mises distribution of angles: mean direction, and the concentration from the resultant length."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import i0e, i1e

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.special.von_mises_tails import log_von_mises_tails, turn_ends
from fastkl.families.base import Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.quantiles import continuous_quantile
from fastkl.families.spaces import Angle, Concentration
from fastkl.families.univariate import UnivariateFamily, raise_if_constant

MAX_NEWTON_STEPS = 100
LOG_2PI = np.log(2.0 * np.pi)
_LARGE = 32.0
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(120)
FAR = 1e3  # angles beyond it are turned to within half a turn of 0 before another is subtracted from them
NO_LENGTH = 4.0 * np.finfo(np.float64).eps  # a mean resultant length that is all rounding


def _series(terms: int) -> list[float]:
    """1 - I1(k) / I0(k) in powers of 1 / k, from the Riccati equation A' = 1 - A^2 - A / k: 1/2, 1/8, 1/8, 25/128, ..."""
    c = [0.0, 0.5]
    for m in range(2, terms):
        c.append(0.5 * ((m - 2) * c[m - 1] + sum(c[i] * c[m - i] for i in range(1, m))))
    return c


_SERIES = _series(22)  # the terms left out are below 1e-18 of the value


class VonMises(UnivariateFamily):
    r"""Von Mises distribution of every column of angles in radians (`numpy.deg2rad` of degrees), of any turn.

    .. math:: \log p(x) = \kappa \cos(x - \text{loc}) - \log(2 \pi I_0(\kappa))

    Parameters
    ----------
    loc : float or array-like of shape (d,), default=None
        Mean direction, held fixed where given; an estimate lies in (-pi, pi].
    concentration : float or array-like of shape (d,), default=None
        Concentration :math:`\kappa \ge 0`, held fixed where given. At 0, the uniform distribution, there is no ``loc`` to
        estimate.

    Notes
    -----
    The maximum solves I1(kappa) / I0(kappa) = R, the mean resultant length, by Newton's method from the start of I. S. Dhillon
    and S. Sra, "Modeling Data using Directional Distributions", 2003. The density is one of the circle: it integrates to 1
    over any turn. ``cdf`` and its relatives are those of the turn from loc - pi to loc + pi, into which every angle is brought.

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
    aliases = ("circular_normal",)
    scipy_name = "vonmises"
    scipy_parameters = {"kappa": "concentration", "loc": "loc"}
    parameters = {"loc": Angle(spread="concentration"), "concentration": Concentration()}
    statistic_names = ("weight", "direction", "deficit")
    support_text = "finite angles in radians"
    example = {"loc": [1.0, -2.0], "concentration": [2.0, 0.6]}
    extreme = [{"loc": 0.4, "concentration": k} for k in (0.0, 1e-3, 50.0, 1e3, 1e6, 1e9)]
    periodic = True
    equivariant = False

    def __init__(self, loc: ArrayLike | None = None, concentration: ArrayLike | None = None):
        self.loc = loc
        self.concentration = concentration

    def fixed_parameters(self) -> Params:
        held = super().fixed_parameters()
        if "concentration" in held and not np.any(held["concentration"]):
            held.setdefault("loc", 0.0)  # without concentration no direction is one to estimate
        return held

    def constants(self, params: Params) -> tuple[Any, ...]:
        kappa = params["concentration"]
        return turned(params["loc"]), 2.0 * kappa, -LOG_2PI - np.log(i0e(kappa))

    def _deficit(self, statistics: Statistics, loc: Floats) -> Floats:
        """Mean of 1 - cos(x - loc)."""
        own = statistics["deficit"] / statistics["weight"]
        return own + 2.0 * (1.0 - own) * np.sin(0.5 * (statistics["direction"] - turned(loc))) ** 2

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
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
        kappa, steps = solve_concentration(deficit, None if start is None else start["concentration"])
        boundary = {}
        if np.any(kappa == 0.0):
            boundary["concentration"] = (
                "concentration is 0: the angles do not favour the direction loc, and the distribution is uniform."
            )
            if "loc" not in fixed:
                boundary["loc"] = "At concentration 0 every direction is as good as any other."
        return Fit({"loc": loc, "concentration": kappa}, steps, steps < MAX_NEWTON_STEPS, boundary)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def regular(self, params: Params) -> NDArray[np.bool_]:
        return super().regular(params) & (params["concentration"] > 0.0)

    def column_log_likelihood(self, statistics: Statistics, params: Params) -> Floats:
        kappa = params["concentration"]
        by_row = -kappa * self._deficit(statistics, params["loc"]) - LOG_2PI - np.log(i0e(kappa))
        return statistics["weight"] * by_row

    def _sines(self, statistics: Statistics, loc: Floats) -> Floats:
        """Sum of sin(x - loc)."""
        return (statistics["weight"] - statistics["deficit"]) * np.sin(statistics["direction"] - turned(loc))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        kappa, loc = params["concentration"], params["loc"]
        by_kappa = statistics["weight"] * (bessel_deficit(kappa)[0] - self._deficit(statistics, loc))
        return {"loc": kappa * self._sines(statistics, loc), "concentration": by_kappa}

    def information(self, statistics: Statistics, params: Params) -> Floats:
        kappa, loc, weight = params["concentration"], params["loc"], statistics["weight"]
        unit = 1.0 / np.sqrt(1.0 + kappa)
        cross = -self._sines(statistics, loc) * unit * kappa
        by_loc = kappa * unit * unit * weight * (1.0 - self._deficit(statistics, loc))
        by_kappa = -weight * bessel_deficit(kappa)[1] * kappa * kappa
        return np.moveaxis(np.array([[by_loc, cross], [cross, by_kappa]]), -1, 0)

    def log_tails(self, x: Floats, params: Params) -> tuple[Floats, Floats]:
        return log_von_mises_tails(x, params["loc"], params["concentration"])

    def _solved_quantile(self, p: Floats, params: Params, upper: bool) -> Floats:
        angle = continuous_quantile(
            lambda t, own: log_von_mises_tails(t, 0.0, own["concentration"])[0],
            lambda t, own: log_von_mises_tails(t, 0.0, own["concentration"])[1],
            p,
            {"concentration": params["concentration"]},
            upper,
            (-np.pi, np.pi),
        )
        low, high = turn_ends(params["loc"])
        return np.where(np.abs(angle) == np.pi, np.where(angle < 0.0, low, high), params["loc"] + angle)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return generator.vonmises(params["loc"], params["concentration"], size=(n_samples, len(params["loc"])))

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        # on the turn about loc: the square of the angle away from it, by a rule over all of the mass
        kappa = params["concentration"]
        reach = np.minimum(np.pi, 40.0 / np.sqrt(np.maximum(kappa, 1e-300)))
        angle = 0.5 * reach[:, None] * (1.0 + _NODES)
        weight = _WEIGHTS * np.exp(-2.0 * kappa[:, None] * np.sin(0.5 * angle) ** 2)
        return params["loc"], np.sum(weight * angle**2, axis=1) / np.sum(weight, axis=1)

    def mode(self, params: Params) -> Floats:
        return np.where(params["concentration"] > 0.0, params["loc"], np.nan)

    def entropy(self, params: Params) -> float:
        kappa = params["concentration"]
        return float(np.sum(LOG_2PI + np.log(i0e(kappa)) + kappa * bessel_deficit(kappa)[0]))

    @staticmethod
    def textbook(mp: Any, x: Any, loc: Any, concentration: Any) -> Any:
        return concentration * mp.cos(x - loc) - mp.log(2 * mp.pi * mp.besseli(0, concentration))

    @staticmethod
    def textbook_tails(mp: Any, x: Any, loc: Any, concentration: Any) -> tuple[Any, Any]:
        start, k = min(abs(x - loc), mp.pi), concentration
        height = mp.cos(start)
        # up to where the density has fallen by exp(-80)
        stop = 2 * mp.asin(mp.sqrt(min(1, mp.sin(start / 2) ** 2 + 40 / k))) if k else mp.pi
        with mp.workdps(30):
            area = mp.quad(lambda t: mp.exp(k * (mp.cos(t) - height)), mp.linspace(start, stop, 5))
        tail = area * mp.exp(k * height) / (2 * mp.pi * mp.besseli(0, k))
        return (tail, 1 - tail) if x < loc else (1 - tail, tail)

    @staticmethod
    def textbook_entropy(mp: Any, loc: Any, concentration: Any) -> Any:
        constant = mp.besseli(0, concentration)
        return mp.log(2 * mp.pi * constant) - concentration * mp.besseli(1, concentration) / constant


def turned(angle: Floats) -> Floats:
    """The same angle, within a turn of 0 if it is so large that a difference would be rounded to its few digits."""
    return np.where(np.abs(angle) > FAR, np.arctan2(np.sin(angle), np.cos(angle)), angle)


def bessel_deficit(kappa: Floats) -> tuple[Floats, Floats]:
    """1 - A(kappa) and its derivative, with A = I1 / I0 the mean resultant length."""
    small, large = np.minimum(kappa, _LARGE), np.maximum(kappa, _LARGE)
    ratio = i1e(small) / i0e(small)
    slope = np.where(small > 1e-8, 1.0 - ratio**2 - ratio / np.maximum(small, 1e-8), 0.5)
    derivative = tuple(-k * c for k, c in enumerate(_SERIES))
    series = np.polynomial.polynomial.polyval(1.0 / large, _SERIES)
    series_slope = np.polynomial.polynomial.polyval(1.0 / large, derivative) / large
    return np.where(kappa < _LARGE, 1.0 - ratio, series), np.where(kappa < _LARGE, -slope, series_slope)


def solve_concentration(deficit: Floats, start: Floats | None = None) -> tuple[Floats, int]:
    """The kappa with 1 - A(kappa) = deficit, and the number of Newton steps; 0 for a deficit of 1 to rounding, or more."""
    length = np.where(1.0 - deficit > NO_LENGTH, 1.0 - deficit, 0.0)
    kappa = length * (2.0 - length**2) / (deficit * (1.0 + length))
    if start is not None:
        kappa = np.where(start > 0.0, start, kappa)
    before = np.full(np.shape(kappa), np.inf)
    for step in range(1, MAX_NEWTON_STEPS + 1):
        value, slope = bessel_deficit(kappa)
        # A is concave: a step from below the root stays below it, one from above may leave the axis
        new = kappa - (value - deficit) / slope
        new = np.where(length > 0.0, np.where(new > 0.0, new, 0.5 * kappa), 0.0)
        move = np.abs(new - kappa)
        # once steps no longer shrink, they are the rounding of the deficit
        done = (move <= 1e-14 * new) | ((move <= 1e-10 * new) & (move >= 0.5 * before))
        kappa, before = new, move
        if np.all(done):
            return kappa, step
    return kappa, MAX_NEWTON_STEPS


@register_kl(VonMises, VonMises)
def von_mises_kl(_p: VonMises, p: Params, _q: VonMises, q: Params) -> float:
    """log(I0(k_q) / I0(k_p)) + A(k_p) (k_p - k_q cos(shift)), with the Bessel functions scaled by exp(-k)."""
    k, c = p["concentration"], q["concentration"]
    deficit, _ = bessel_deficit(k)
    turned = 2.0 * c * (1.0 - deficit) * np.sin(0.5 * (p["loc"] - q["loc"])) ** 2
    same = np.where(k == c, 0.0, np.maximum(np.log(i0e(c) / i0e(k)) + (c - k) * deficit, 0.0))
    return float(np.sum(same + turned))


@register_renyi(VonMises, VonMises)
def von_mises_renyi(family: VonMises, p: Params, _q: VonMises, q: Params, alpha: float) -> float:
    """By the member whose vector is alpha times that of p and 1 - alpha times that of q."""
    turn = q["loc"] - p["loc"]
    along = alpha * p["concentration"] + (1.0 - alpha) * q["concentration"] * np.cos(turn)
    across = (1.0 - alpha) * q["concentration"] * np.sin(turn)
    mean = {"loc": p["loc"] + np.arctan2(across, along), "concentration": np.hypot(along, across)}
    return renyi_by_mean(von_mises_kl, family, mean, p, q, alpha)
