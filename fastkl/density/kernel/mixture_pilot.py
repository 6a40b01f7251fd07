r"""A mixture of normal distributions as the pilot of moved kernels: where they go so that their width is made up for.

Kernels of covariance H turn a mixture of covariances :math:`\Sigma_k` into one of :math:`\Sigma_k + H`. Rows that were carried
from the mixture to the one of :math:`\Sigma_k - H` before give an estimate without bias, up to kernels as wide as the narrowest
component, as far as the mixture is the density. The way there is that of the continuity equation: in the axes in which H and
:math:`\Sigma_k` are both diagonal the standard deviations of a component shrink to a share :math:`a_k^s` while s goes from 0
to 1, and a row moves by

.. math:: \dot x = \sum_k r_k(x, s) \, A_k (x - \mu_k), \qquad A_k = W_k^{-1} \operatorname{diag}(\log a_k) W_k ,

with the responsibilities r of the mixture at s, and :math:`W_k` the change to those axes. To the first order in H that is half of
H times the slope of the log-density. A component narrower than the kernels keeps a small part of its width; widths at which that
matters predict badly, and are not chosen.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastkl._core.array_types import Floats, Params
from fastkl._core.warned import warnings_kept
from fastkl.density.kernel.sums.units import Units
from fastkl.density.parametric.mixture.mle import MixtureMLE
from fastkl.exceptions import DegenerateDataError

MOST_COMPONENTS = 12
MOST_ROWS = 20_000  # on which the number of components is chosen
TOL = 1e-7  # nats per row
STEPS = 8  # of the midpoint rule: exact to a hundredth of kernels of 0.95 times the width of the narrowest component
NARROWEST = 0.05  # of its standard deviation that a component keeps
ROWS = 1 << 15  # at a time


@dataclass(frozen=True)
class MixturePilot:
    """Weights (K,), means (K, d) and covariances (K, d, d) of normal components."""

    weights: Floats
    means: Floats
    covariances: Floats

    @classmethod
    def fitted(cls, points: Floats, weights: Floats | None, n_threads: int) -> Self | None:
        """The mixture that is best by BIC; None where no mixture has a maximum.

        Parameters
        ----------
        points : ndarray of shape (m, d)
            Rows.
        weights : ndarray of shape (m,) or None
            Their weights.
        n_threads : int
            Threads.
        """
        few, of_few = points, weights
        if len(points) > MOST_ROWS:
            sample = np.random.default_rng(0).choice(len(points), MOST_ROWS, replace=False)
            few, of_few = points[sample], None if weights is None else weights[sample]
        best, model, lowest, most = None, None, np.inf, 0
        for k in range(1, MOST_COMPONENTS + 1):
            try:
                model = _fitted(few, of_few, n_threads, k, fewer=model)
            except DegenerateDataError:
                break
            value = model.bic(few, sample_weight=of_few)
            if value < lowest:
                best, lowest, most = cls.of(model), value, k + 2
            elif k == most:
                break
        return best if best is None or few is points else best.refitted(points, weights, n_threads)

    @classmethod
    def of(cls, model: MixtureMLE) -> Self:
        """That of a fitted mixture."""
        params = model.params_
        return cls(params["weights"], params["mean"], params["covariance"])

    def refitted(self, points: Floats, weights: Floats | None, n_threads: int) -> Self | None:
        """The maximum for other rows, from here; None where there is none."""
        start = {"weights": self.weights, "mean": self.means, "covariance": self.covariances}
        try:
            return self.of(_fitted(points, weights, n_threads, len(self.weights), start))
        except DegenerateDataError:
            return None

    def moves(self, points: Floats, weights: Floats | None, bandwidth: Any) -> Floats:
        """By how much kernels of a bandwidth at points (m, d) are moved: (m, d). The points' weights do not matter."""
        covariance = Units(bandwidth, np.zeros(points.shape[1])).covariance
        path = [_Axes.of(own, covariance) for own in self.covariances]
        out = np.empty(points.shape)
        for start in range(0, len(points), ROWS):
            block = points[start : start + ROWS]
            moved = block
            for step in range(STEPS):
                half = moved + 0.5 / STEPS * self._velocity(moved, path, step / STEPS)
                moved = moved + self._velocity(half, path, (step + 0.5) / STEPS) / STEPS
            out[start : start + ROWS] = moved - block
        return out

    def _velocity(self, points: Floats, path: list[_Axes], s: float) -> Floats:
        logs, ways = np.empty((len(points), len(path))), []
        for k, axes in enumerate(path):
            own = (points - self.means[k]) @ axes.to_axes.T
            logs[:, k] = np.log(self.weights[k]) + axes.log_density(own, s)
            ways.append(own @ (axes.from_axes * axes.log_factors).T)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return np.asarray(sum(shares[:, [k]] * way for k, way in enumerate(ways)))


@dataclass(frozen=True)
class _Axes:
    """The axes in which a component has unit variances, and kernels a diagonal covariance."""

    to_axes: Floats  # W (d, d)
    from_axes: Floats  # its inverse
    log_factors: Floats  # log a (d,)
    log_volume: float  # half the logarithm of the determinant of the covariance

    @classmethod
    def of(cls, own: Floats, covariance: Floats) -> Self:
        root = np.linalg.cholesky(own)
        half = np.linalg.solve(root, covariance)
        shares, turn = np.linalg.eigh(np.linalg.solve(root, half.T))
        left = np.sqrt(np.maximum(1.0 - shares, NARROWEST**2))
        return cls(np.linalg.solve(root.T, turn).T, root @ turn, np.log(left), float(np.sum(np.log(np.diag(root)))))

    def log_density(self, own: Floats, s: float) -> Floats:
        """Of rows in these axes at a place of the way, up to a constant of all components."""
        volume = self.log_volume + s * self.log_factors.sum()
        return np.asarray(-volume - 0.5 * np.sum((own * np.exp(-s * self.log_factors)) ** 2, axis=1))


def _fitted(
    points: Floats,
    weights: Floats | None,
    n_threads: int,
    k: int,
    init: Params | None = None,
    fewer: MixtureMLE | None = None,
) -> MixtureMLE:
    """A mixture of k components, as near to its maximum as it takes; DegenerateDataError where there is none."""
    model = MixtureMLE(
        k, n_init=1, init=init if k > 1 else None, tol=TOL, random_state=0, standard_errors=False, n_jobs=n_threads
    )
    with warnings_kept(ConvergenceWarning):  # any mixture is a pilot
        return model._fit_from_fewer(points, weights, fewer)
