"""Von Mises-Fisher distribution of directions: unit vectors about a mean direction, by their mean resultant."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl._core.special.bessel_ratio import log_scaled_constant, ratio_and_complement, ratio_slope
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families._row_sums import row_excess, row_means
from fastkl.families.base import Family, Fit
from fastkl.families.closed_form import register_kl, register_renyi, renyi_by_mean
from fastkl.families.column_sums import column_moments, merged_moments
from fastkl.families.spaces import Concentration, Direction

MAX_STEPS = 100
BOUNDARY = "the concentration is at its boundary 0, the uniform distribution"
UNIFORM = f"The rows have no mean direction: {BOUNDARY}, and any direction will do"
AWAY = f"The mean of the rows points away from the direction held fixed: {BOUNDARY}"


class VonMisesFisher(Family):
    r"""Von Mises-Fisher distribution of a row of d columns, a unit vector.

    .. math:: \log p(x) = \kappa \mu^T x + (d/2 - 1) \log \kappa - \tfrac d2 \log 2\pi - \log I_{d/2-1}(\kappa)

    with the unit vector direction = mu and concentration = kappa >= 0, a density with respect to the surface of the sphere. Rows
    whose length is off 1 by more than 1e-7 (1e-6 for float32 rows) are outside the support.

    Where the mean resultant is 0 the maximum is the uniform distribution: ``concentration`` is 0, ``boundary_`` says
    so, and neither parameter has a standard error.

    Parameters
    ----------
    direction : array-like of shape (d,), default=None
        Unit vector, held fixed where given.
    concentration : float, default=None
        At least 0, held fixed where given. At 0, the uniform distribution, there is no ``direction`` to estimate.

    Notes
    -----
    The direction is that of the sum of the rows, the concentration solves A(kappa) = R, a ratio of Bessel functions, by a guarded
    Newton iteration. For large concentrations it is the complement 1 - R = 1 - A that is solved, which keeps its digits.

    References
    ----------
    A. Banerjee, I. Dhillon, J. Ghosh, S. Sra, "Clustering on the unit hypersphere using von Mises-Fisher distributions", JMLR 6,
    2005 (the start); A. Wood, "Simulation of the von Mises Fisher distribution", 1994, doi:10.1080/03610919408813161 (draws).

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> X = np.array([[0.6, 0.8], [0.6, -0.8]])
    >>> model = DensityMLE("von_mises_fisher").fit(X)
    >>> model.params_["direction"].round(6), round(float(model.params_["concentration"]), 6)
    (array([1., 0.]), 1.515739)
    """

    name = "von_mises_fisher"
    aliases = ("vmf",)
    scipy_name = "vonmises_fisher"
    scipy_parameters = {"mu": "direction", "kappa": "concentration"}
    parameters = {"direction": Direction(), "concentration": Concentration(single=True)}
    joint = True
    equivariant = False
    least_columns = 2
    on_surface = True  # its rows have one dimension fewer than columns
    example = {"direction": [0.6, -0.8], "concentration": 3.0}
    extreme = [
        {"direction": direction, "concentration": k}
        for direction, k in (
            ([1.0, 0.0, 0.0], 0.0),
            ([0.6, -0.8], 1e-3),
            ([0.48, 0.6, 0.64], 50.0),
            ([0.48, 0.6, 0.64], 1e6),
            ([0.6, -0.8], 1e9),
            ([0.1] * 100, 700.0),
        )
    ]

    def __init__(self, direction: ArrayLike | None = None, concentration: float | None = None):
        self.direction = direction
        self.concentration = concentration

    def fixed_parameters(self) -> Params:
        held = super().fixed_parameters()
        if "concentration" in held and not np.any(held["concentration"]):
            held.setdefault("direction", 1.0)  # without concentration no direction is one to estimate
        return held

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        if row_means(rows.X, None, False, tolerance(rows), rows.n_threads) is None:
            self._refuse_a_row(rows)
        return of_records(column_moments(rows))

    def _refuse_a_row(self, rows: Rows) -> None:
        """SupportError if there is a row whose length is not 1."""
        excess, allowed = length_excess(rows)
        off = np.flatnonzero(~(np.abs(excess) <= allowed))
        if len(off):
            row = rows.row(int(off[0]))
            raise SupportError(
                f"The von_mises_fisher family lives on unit vectors; {row} has length {np.sqrt(1.0 + excess[off[0]]):.10g}. "
                "Divide every row by its length if only directions matter."
            )

    def likelihood_statistics(self, rows: Rows) -> Statistics:
        rows = rows.of_positive_weight()
        found = row_means(rows.X, rows.weights, False, tolerance(rows), rows.n_threads)
        return self.statistics(rows) if found is None else {"weight": np.float64(found[0]), "mean": found[1]}

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        d = len(first["mean"])
        sides = [np.stack([np.full(d, s["weight"]), s["mean"], s["deviation"]], axis=1) for s in (first, second)]
        return of_records(merged_moments(*sides))

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics, start: Params | None = None) -> Fit:
        mean, d = statistics["mean"], len(statistics["mean"])
        fixed = self.fixed_columns(d)
        length = float(np.linalg.norm(mean))
        if "direction" in fixed:
            direction = fixed["direction"]
        elif length > 4.0 * np.finfo(np.float64).eps:
            direction = mean / length
        else:
            direction = np.eye(1, d)[0]
        if "concentration" in fixed:
            return Fit({"direction": direction, "concentration": fixed["concentration"]})
        # 1 - mean direction'x = half the mean squared distance of the rows from the direction, since all have length 1
        gap = 0.5 * float(np.sum(statistics["deviation"] ** 2) / statistics["weight"] + np.sum((mean - direction) ** 2))
        if gap <= 1e-28:
            raise DegenerateDataError(
                f"All rows are the same direction (n_samples={statistics['weight']:g}): the von_mises_fisher likelihood has no "
                "maximum, since it grows without bound with the concentration. Pass rows that differ, or hold the concentration "
                "fixed."
            )
        if float(mean @ direction) <= 4.0 * np.finfo(np.float64).eps:
            boundary = {"concentration": AWAY} if "direction" in fixed else dict.fromkeys(self.parameter_names, UNIFORM)
            return Fit({"direction": direction, "concentration": np.float64(0.0)}, boundary=boundary)
        begin = 0.0 if start is None else float(start["concentration"])
        concentration, steps = solve_concentration(d, float(mean @ direction), gap, begin)
        return Fit({"direction": direction, "concentration": np.float64(concentration)}, steps, steps < MAX_STEPS)

    def solve_from(self, statistics: Statistics, start: Params) -> Fit:
        return self.solve(statistics, start)

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        mean, direction, k = statistics["mean"], params["direction"], float(params["concentration"])
        excess = row_excess(mean[None, :], direction, 1)[0]
        return float(statistics["weight"] * (log_scaled_constant(len(mean), k) + k * excess))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        """The gradient in the direction is taken along the sphere, so that it is 0 at the fit."""
        mean, direction, k = statistics["mean"], params["direction"], float(params["concentration"])
        weight = float(statistics["weight"])
        along = float(mean @ direction)
        _, gap = ratio_and_complement(len(mean), k)
        by_concentration = weight * (row_excess(mean[None, :], direction, 1)[0] + gap)
        return {"direction": weight * k * (mean - along * direction), "concentration": np.float64(by_concentration)}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        direction, k = params["direction"], float(params["concentration"])
        excess = row_excess(rows.X, direction, rows.n_threads)
        _, gap = ratio_and_complement(len(direction), k)
        return {
            "direction": k * (rows.X - np.outer(1.0 + excess, direction)),
            "concentration": excess + gap,
        }

    def log_density(self, rows: Rows, params: Params) -> Floats:
        direction, k = params["direction"], float(params["concentration"])
        out = row_excess(rows.X, direction, rows.n_threads)
        out *= k
        out += log_scaled_constant(len(direction), k)
        excess, allowed = length_excess(rows)
        out[~(np.abs(excess) <= allowed)] = -np.inf
        return out

    # -- parameters --------------------------------------------------------------------------------------------------------

    def estimated_names(self, params: Params) -> list[str]:
        # without concentration there is no direction either
        return super().estimated_names(params) if params["concentration"] > 0.0 else []

    def covariance_of(self, name: str, statistics: Statistics, params: Params) -> Floats:
        # The observed information about the direction is weight k mean'direction in every direction along the sphere, and
        # independent of that about the concentration, weight A'(k).
        direction, k, weight = params["direction"], float(params["concentration"]), float(statistics["weight"])
        if name == "direction":
            along = weight * k * float(statistics["mean"] @ direction)
            return np.asarray((np.eye(len(direction)) - np.outer(direction, direction)) / along)
        return np.array([[1.0 / (weight * ratio_slope(len(direction), k))]])

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        direction, k = params["direction"], float(params["concentration"])
        d = len(direction)
        z = generator.standard_normal((n_samples, d))
        if k == 0.0:
            return np.asarray(z / np.linalg.norm(z, axis=1, keepdims=True))
        gap = draw_gaps(d, k, n_samples, generator)
        z -= np.outer(z @ direction, direction)
        z /= np.linalg.norm(z, axis=1, keepdims=True)
        x = (1.0 - gap)[:, None] * direction + np.sqrt(gap * (2.0 - gap))[:, None] * z
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params] | None:
        """Of all columns, in any order."""
        return self.of_columns(params, columns) if len(columns) == len(params["direction"]) else None

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        direction, k = params["direction"], float(params["concentration"])
        d = len(direction)
        ratio, _ = ratio_and_complement(d, k)
        across = ratio / k if k > 0.0 else 1.0 / d
        along = np.outer(direction, direction)
        return ratio * direction, across * (np.eye(d) - along) + ratio_slope(d, k) * along

    def mode(self, params: Params) -> Floats:
        return params["direction"] if params["concentration"] > 0.0 else np.full_like(params["direction"], np.nan)

    def entropy(self, params: Params) -> float:
        d, k = len(params["direction"]), float(params["concentration"])
        return k * ratio_and_complement(d, k)[1] - log_scaled_constant(d, k)

    @staticmethod
    def textbook(mp: Any, x: Any, direction: Any, concentration: Any) -> Any:
        along = mp.fsum(a * b for a, b in zip(direction, x, strict=True))
        return _textbook_constant(mp, len(x), concentration) + concentration * along

    @staticmethod
    def textbook_entropy(mp: Any, direction: Any, concentration: Any) -> Any:
        half, k = mp.mpf(len(direction)) / 2, concentration
        ratio = mp.besseli(half, k) / mp.besseli(half - 1, k) if k else 0
        return -_textbook_constant(mp, len(direction), k) - k * ratio


def _textbook_constant(mp: Any, d: int, k: Any) -> Any:
    """log of k^v / ((2 pi)^(d/2) I_v(k)) with v = d/2 - 1, and its limit at k = 0."""
    v = mp.mpf(d) / 2 - 1
    if k == 0:
        return mp.loggamma(v + 1) - mp.log(2) - (v + 1) * mp.log(mp.pi)
    return v * mp.log(k) - (v + 1) * mp.log(2 * mp.pi) - mp.log(mp.besseli(v, k))


def of_records(records: Floats) -> Statistics:
    """Statistics from the weight, mean and deviation of every column, (d, 3)."""
    return {"weight": records[0, 0], "mean": records[:, 1].copy(), "deviation": records[:, 2].copy()}


def length_excess(rows: Rows) -> tuple[Floats, float]:
    """Squared length of every row less 1, and how far off 1 it may be."""
    return row_excess(rows.X, None, rows.n_threads), tolerance(rows)


def tolerance(rows: Rows) -> float:
    return 2e-7 if rows.X.dtype == np.float64 else 2e-6


def solve_concentration(d: int, length: float, gap: float, start: float = 0.0) -> tuple[float, int]:
    """The root of A(k) = length = 1 - gap, and the Newton steps it took; A rises, so that a bracket never fails."""
    k = start if start > 0.0 else length * (d - length**2) / (gap * (1.0 + length))
    low, high = 0.0, np.inf
    for step in range(1, MAX_STEPS + 1):
        ratio, complement = ratio_and_complement(d, k)
        error = ratio - length if ratio < 0.5 else gap - complement
        low, high = (k, high) if error < 0.0 else (low, k)
        new = k - error / ratio_slope(d, k)
        if not low < new < high:
            new = 2.0 * k if np.isinf(high) else 0.5 * (low + high)
        if error == 0.0 or abs(new - k) <= 1e-14 * k:
            return float(new if error else k), step
        k = float(new)
    return k, MAX_STEPS


def draw_gaps(d: int, k: float, n: int, generator: np.random.Generator) -> Floats:
    """Draws of 1 - direction'x by Wood's rejection from a transformed beta distribution.

    All in terms of gaps, which keep their digits where the direction's share of a row rounds to 1: w = 1 - gap, x0 = 1 - centre,
    and 1 - x0 w = centre + gap - centre gap. At least every other proposal is accepted, whatever the concentration.
    """
    half = 0.5 * (d - 1.0) / k
    b = half / (1.0 + np.hypot(1.0, half)) if half < 1.0 else 1.0 / (1.0 / half + np.hypot(1.0, 1.0 / half))
    centre = 2.0 * b / (1.0 + b)
    gaps: Floats = np.empty(0)
    while len(gaps) < n:
        z = generator.beta(0.5 * (d - 1.0), 0.5 * (d - 1.0), size=n)
        gap = 2.0 * (b / ((1.0 - z) + b * z)) * z
        ratio = (1.0 + gap / centre - gap) / (2.0 - centre)
        accept = k * (centre - gap) + (d - 1.0) * np.log(ratio) >= np.log1p(-generator.random(n))
        gaps = np.concatenate([gaps, gap[accept]])
    return gaps[:n]


@register_kl(VonMisesFisher, VonMisesFisher)
def von_mises_fisher_kl(_p: VonMisesFisher, p: Params, _q: VonMisesFisher, q: Params) -> float:
    """log C(k) - log C(l) + A(k) (k - l cos), cos between the directions, in terms that stay small for large k and l."""
    k, other, d = float(p["concentration"]), float(q["concentration"]), len(p["direction"])
    ratio, gap = ratio_and_complement(d, k)
    turn = 0.5 * float(np.sum((p["direction"] - q["direction"]) ** 2))  # 1 - cos
    change = 0.0 if k == other else log_scaled_constant(d, k) - log_scaled_constant(d, other) - (k - other) * gap
    return max(change, 0.0) + ratio * other * turn


@register_renyi(VonMisesFisher, VonMisesFisher)
def von_mises_fisher_renyi(family: VonMisesFisher, p: Params, _q: VonMisesFisher, q: Params, alpha: float) -> float:
    """By the member whose vector is alpha times that of p and 1 - alpha times that of q."""
    vector = alpha * p["concentration"] * p["direction"] + (1.0 - alpha) * q["concentration"] * q["direction"]
    length = float(np.linalg.norm(vector))
    mean = {"direction": vector / length if length else p["direction"], "concentration": np.float64(length)}
    return renyi_by_mean(von_mises_fisher_kl, family, mean, p, q, alpha)
