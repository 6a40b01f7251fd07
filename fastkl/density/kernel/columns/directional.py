r"""Kernels of angles and of directions: von Mises and von Mises-Fisher, normalised on the circle and on the sphere.

.. math:: k(x, y) = \exp(\kappa (\cos(x - y) - 1)), \quad k(x, y) = \exp(\kappa (x^T y - 1)), \quad \kappa = 1 / h^2

With angles as points (cos x, sin x) on unit circles both are :math:`\exp(-|x - y|^2 / (2 h^2))`, with the distance through the
circle or the sphere: the sums are those of a Gaussian kernel, with all that holds for it, and only the integral is another,

.. math:: \prod_s 2 \pi I_0(\kappa_s) e^{-\kappa_s}, \quad
          (2 \pi)^{d/2} I_{d/2-1}(\kappa) e^{-\kappa} / \kappa^{d/2-1}.

For narrow kernels h is the standard deviation along the circle or the sphere, in radians.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.special import i0e

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.special.bessel_ratio import log_scaled_constant, ratio_and_complement
from fastkl.density.angles import warn_of_values_in_degrees
from fastkl.density.kernel.columns.boundaries import ColumnSupport, Support
from fastkl.density.kernel.columns.column_types import ColumnTypes
from fastkl.exceptions import SupportError
from fastkl.families.von_mises import bessel_deficit
from fastkl.families.von_mises_fisher import draw_gaps, length_excess
from fastkl.spatial.kernel_sums import KernelSums

DIRECTIONAL = ("von_mises", "von_mises_fisher")
TURN = 2.0 * np.pi


class DirectionalSums:
    """Sums of kernels of angles or directions, as ``FoldedSums`` gives them of lines.

    Parameters
    ----------
    points : ndarray of shape (m, d)
        References: angles in radians, or unit vectors.
    weights : ndarray of shape (m,) or None
        Their weights.
    kernel : {"von_mises", "von_mises_fisher"}
        The kernel.
    bandwidth : float or ndarray of shape (d,)
        One for each column of angles; of directions all the same.
    error, n_threads
        As ``KernelSums`` takes them.
    """

    def __init__(
        self,
        points: Floats,
        weights: Floats | None,
        kernel: str,
        bandwidth: Any,
        *,
        error: float,
        n_threads: int,
    ):
        self.widths = np.broadcast_to(np.asarray(bandwidth, dtype=np.float64), points.shape[1])
        self._angles = kernel == "von_mises"
        self._sums = KernelSums(self._embedded(points), weights, "gaussian", error=error, n_threads=n_threads)

    def _embedded(self, rows: Floats) -> Floats:
        """Rows as points of circles or of the sphere, in units of the bandwidth."""
        if not self._angles:
            return np.divide(rows, self.widths, dtype=np.float64)
        angles = rows.astype(np.float64)
        with np.errstate(invalid="ignore"):
            pairs = np.stack([np.cos(angles), np.sin(angles)], axis=2)
        return np.ascontiguousarray((pairs / self.widths[:, np.newaxis]).reshape(len(rows), -1))

    @property
    def _concentrations(self) -> Floats:
        return self.widths**-2.0

    @property
    def log_constant(self) -> float:
        """Logarithm of what the sum of k is divided by, but for the weight."""
        if self._angles:
            return float(np.sum(np.log(TURN * i0e(self._concentrations))))
        return -log_scaled_constant(len(self.widths), float(self._concentrations[0]))

    @property
    def constant_slopes(self) -> Floats:
        """Slopes of that by the logarithms of the bandwidths; of directions, in equal parts."""
        k, d = self._concentrations, len(self.widths)
        gaps = bessel_deficit(k)[0] if self._angles else ratio_and_complement(d, float(k[0]))[1] / d
        return 2.0 * k * gaps

    def log_sums(self, rows: Floats) -> Floats:
        """log sum_j w_j k of rows (n, d): (n,)."""
        return self._sums.log_sums(self._embedded(rows))

    def slopes(self, rows: Floats) -> tuple[Floats, Floats]:
        """The same, and gradients along the circles by the angles, or along the sphere by the directions: (n, d)."""
        logs, slopes = self._sums.slopes(self._embedded(rows))
        if self._angles:
            slopes = slopes.reshape(*rows.shape, 2) / self.widths[:, np.newaxis]
            return logs, np.cos(rows) * slopes[..., 1] - np.sin(rows) * slopes[..., 0]
        slopes = slopes / self.widths
        return logs, slopes - np.sum(slopes * rows, axis=1, keepdims=True) * rows

    def leave_one_out(self, moments: bool = False, rows: Floats | None = None) -> tuple[Floats, Floats | None]:
        """The logarithms at the references, each without itself, and with ``moments`` their slopes by log-bandwidths (m, d)."""
        logs, slopes = self._sums.leave_one_out(moments, None if rows is None else self._embedded(rows))
        if slopes is not None and self._angles:
            slopes = slopes.reshape(len(slopes), -1, 2).sum(axis=2)
        return logs, slopes


class Angles(Support):
    """Angles in radians of any turn."""

    def __init__(self, d: int, names: Any = None):
        super().__init__([ColumnSupport("circular", 0.0, TURN)] * d, names)

    def refuse(self, rows: Rows) -> None:
        X = rows.of_positive_weight().X
        for j in range(rows.n_columns):
            warn_of_values_in_degrees(X[:, j], rows.column(j))

    def inner(self, X: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.bool_] | None]:
        return X, None


class Sphere(Support):
    """Unit vectors, to rounding."""

    def __init__(self, d: int, names: Any = None):
        super().__init__([ColumnSupport()] * d, names)

    def refuse(self, rows: Rows) -> None:
        if rows.n_columns < 2:
            raise SupportError("kernel='von_mises_fisher' is of directions: unit vectors of at least 2 columns.")
        excess, allowed = length_excess(rows)
        off = np.flatnonzero(~(np.abs(excess) <= allowed))
        if len(off):
            raise SupportError(
                f"kernel='von_mises_fisher' lives on unit vectors; {rows.row(int(off[0]))} has length "
                f"{np.sqrt(1.0 + excess[off[0]]):.10g}. Divide every row by its length if only directions matter."
            )

    def inner(self, X: npt.NDArray[Any]) -> tuple[Any, npt.NDArray[np.bool_] | None]:
        rows = Rows(X, None, n_threads=1)
        excess, allowed = length_excess(rows)
        return X, ~(np.abs(excess) <= allowed)


def support_of(kernel: str, boundary: Any, d: int, names: Any, types: ColumnTypes | None = None) -> Support:
    """Where rows lie: where a directional kernel says so, otherwise by ``boundary``."""
    if kernel in DIRECTIONAL:
        return Angles(d, names) if kernel == "von_mises" else Sphere(d, names)
    return Support.of(boundary, d, names, types)


def directional_scales(points: Floats, weights: Floats | None, kernel: str) -> Floats:
    """A scale for each column (d,) by the mean resultant: one over the root of the concentration about it."""
    if kernel == "von_mises":
        means = np.abs(np.average(np.exp(1j * points.astype(np.float64)), axis=0, weights=weights))
        columns = 2
    else:
        means = np.full(points.shape[1], np.linalg.norm(np.average(points, axis=0, weights=weights)))
        columns = points.shape[1]
    least = 1.0 / np.sqrt(len(points))  # a length below this is chance, one at 1 a single direction
    length = np.clip(means, least, 1.0 - 1e-12)
    return np.sqrt((1.0 - length**2) / (length * (columns - length**2)))


def draw_directional(kernel: str, centres: Floats, bandwidth: Any, generator: np.random.Generator) -> Floats:
    """A draw of the kernel about every centre."""
    n, d = centres.shape
    k = np.broadcast_to(np.asarray(bandwidth, dtype=np.float64), d) ** -2.0
    if kernel == "von_mises":
        return centres + generator.vonmises(0.0, k, size=(n, d))
    gap = draw_gaps(d, float(k[0]), n, generator)[:, np.newaxis]
    across = generator.standard_normal((n, d))
    across -= np.sum(across * centres, axis=1, keepdims=True) * centres
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    drawn = (1.0 - gap) * centres + np.sqrt(gap * (2.0 - gap)) * across
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)
