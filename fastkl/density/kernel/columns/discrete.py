r"""Kernels of columns that are no numbers on a line: categories, and values or labels with an order.

Aitchison and Aitken's of c categories, and Wang and van Ryzin's of whole numbers, each with a bandwidth :math:`\lambda`:

.. math:: l(x, y) = \begin{cases} 1 - \lambda & x = y \\ \lambda / (c - 1) & x \ne y \end{cases} \qquad
          l(x, y) = \begin{cases} 1 - \lambda & x = y \\ \frac{1 - \lambda}{2} \lambda^{|x - y|} & x \ne y \end{cases}

Both are probabilities of x that sum to 1: over the categories, and over all whole numbers. Where an order has a first and a last
label, the second, of the places of labels, is divided by its sum over these, for it would lose mass beyond them. At 0 rows stand
for their own label alone; at its largest value, (c - 1) / c, a category no longer matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit, logsumexp, xlogy

from fastkl._core.array_types import Floats


@dataclass(frozen=True)
class DiscreteKernel:
    """The kernel of a column.

    Parameters
    ----------
    kind : {"categorical", "ordered"}
        Whether its values have an order.
    n_labels : int or None
        How many labels it has, whose places 0, 1, ... are its values; None where these are whole numbers.
    """

    kind: str
    n_labels: int | None

    @property
    def widest(self) -> float:
        """The largest bandwidth; of whole numbers the first that is too large."""
        return 1.0 - 1.0 / self.n_labels if self.kind == "categorical" and self.n_labels else 1.0

    def takes(self, bandwidth: float) -> bool:
        """Whether it is a bandwidth."""
        rounding = 4.0 * np.finfo(float).eps
        most = self.widest * (1.0 + rounding)
        return bool(0.0 <= bandwidth < 1.0 if self.n_labels is None else 0.0 <= bandwidth <= most)

    def holds(self, values: Floats) -> npt.NDArray[np.bool_]:
        """Which values are labels, or whole numbers."""
        whole = values == np.floor(values)
        return (
            whole & np.isfinite(values) if self.n_labels is None else whole & (values >= 0) & (values < self.n_labels)
        )

    @property
    def _places(self) -> Floats:
        """Those of all labels."""
        return np.arange(float(self.n_labels or 0))

    # -- the kernel --------------------------------------------------------------------------------------------------------

    def logs(self, x: Floats, y: float, bandwidth: float) -> Floats:
        """log l of values x (n,) about a reference y."""
        with np.errstate(divide="ignore"):
            if self.kind == "categorical":
                others = max(1.0, float(self.n_labels or 0) - 1.0)
                return np.where(x == y, np.log1p(-bandwidth), np.log(bandwidth) - np.log(others))
            logs = self._ordered(x, y, bandwidth)
            if self.n_labels is None:
                return logs + np.log1p(-bandwidth)
            return logs - float(logsumexp(self._ordered(self._places, y, bandwidth)))

    def log_slopes(self, x: Floats, y: float, bandwidth: float) -> Floats:
        """Slopes of log l by the logarithm of the bandwidth."""
        odds = bandwidth / (1.0 - bandwidth) if bandwidth < 1.0 else np.inf
        if self.kind == "categorical":
            return np.where(x == y, -odds, 1.0)
        apart = np.abs(x - y)
        if self.n_labels is None:
            return apart - odds
        mean: Floats = np.exp(self.logs(self._places, y, bandwidth)) @ np.abs(self._places - y)
        return apart - mean

    @staticmethod
    def _ordered(x: Floats, y: float, bandwidth: float) -> Floats:
        apart = np.abs(x - y)
        return np.where(apart > 0.0, np.log(0.5) + xlogy(apart, bandwidth), 0.0)

    def draw(self, values: Floats, bandwidth: float, rng: np.random.Generator) -> Floats:
        """A draw about each of the values."""
        n = len(values)
        if self.kind == "categorical" or self.n_labels is None:
            moved = rng.random(n) < bandwidth
            if self.n_labels is None:
                steps = rng.geometric(1.0 - bandwidth, n) * np.where(rng.random(n) < 0.5, -1.0, 1.0)
                return values + np.where(moved, steps, 0.0)
            others = rng.integers(0, max(1, self.n_labels - 1), n)
            return np.where(moved, others + (others >= values), values)
        shares = np.array([np.exp(self.logs(self._places, float(y), bandwidth)) for y in self._places])
        upto = np.cumsum(shares, axis=1)[values.astype(np.intp)]
        return (rng.random(n)[:, np.newaxis] * upto[:, -1:] >= upto[:, :-1]).sum(axis=1).astype(np.float64)

    # -- what a search moves -----------------------------------------------------------------------------------------------

    @property
    def end(self) -> float:
        """Where the search ends: the largest bandwidth as a coordinate."""
        return np.inf if self.n_labels is None else 0.0

    def bandwidth(self, coordinate: float) -> float:
        """The bandwidth at a coordinate: of log-odds for whole numbers, else of logarithms in units of the largest one."""
        return float(expit(coordinate)) if self.n_labels is None else self.widest * float(np.exp(min(coordinate, 0.0)))

    def coordinate(self, share: float) -> float:
        """The coordinate of a share of the largest bandwidth."""
        return float(logit(share)) if self.n_labels is None else float(np.log(share))

    def rate(self, bandwidth: float) -> float:
        """The slope of the logarithm of the bandwidth by the coordinate."""
        return 1.0 - bandwidth if self.n_labels is None else 1.0
