"""Exact neighbour distances and closed-ball counts (Euclidean), on scipy's kd-tree.

Differences are formed directly, so distances are right for any offset of the data. A ball is closed with a relative slack of
1e-12: two distances that agree to that are equal in every count.
"""

import numpy as np
from scipy.spatial import cKDTree

from fastkl._core._threads import effective_n_threads

RELATIVE_SLACK = 1e-12


class NeighborIndex:
    """The rows of a reference sample, arranged for exact neighbour searches.

    Parameters
    ----------
    X : ndarray of shape (m, d), float32 or float64, C-contiguous, finite
        The reference sample; not copied if possible, never written to.
    n_jobs : int or None, default=None
        Threads for building and for every search.
    """

    def __init__(self, X, *, n_jobs=None):
        self.X = X
        self.n_threads = effective_n_threads(n_jobs)
        self._tree = cKDTree(X)

    def query(self, Y, n_neighbors):
        """Distances from each row of Y (n, d) to its 1st, ..., ``n_neighbors``-th nearest row: (n, n_neighbors), float64."""
        distances, _ = self._tree.query(Y, k=np.arange(1, n_neighbors + 1), workers=self.n_threads)
        return distances

    def query_self(self, n_neighbors):
        """The same from each row of X to the *other* rows: the row itself is left out by its index, not by its distance."""
        distances, indices = self._tree.query(self.X, k=np.arange(1, n_neighbors + 2), workers=self.n_threads)
        own = indices == np.arange(len(self.X))[:, None]
        own[~own.any(axis=1), -1] = True
        return distances[~own].reshape(len(self.X), n_neighbors)

    def count(self, Y, radius):
        """Number of rows in the closed ball of ``radius[i]`` around ``Y[i]``: (n,), int64."""
        reach = np.asarray(radius) * (1.0 + RELATIVE_SLACK)
        return self._tree.query_ball_point(Y, reach, return_length=True, workers=self.n_threads).astype(np.int64)

    def count_self(self, radius):
        """Number of *other* rows in the closed ball of ``radius[i]`` around ``X[i]``: (n,), int64."""
        return self.count(self.X, radius) - 1

    def weight(self, Y, radius, weights):
        """Sum of the ``weights`` (m,) of the rows in the closed ball of ``radius[i]`` around ``Y[i]``: (n,), float64."""
        reach = np.asarray(radius) * (1.0 + RELATIVE_SLACK)
        found = self._tree.query_ball_point(Y, reach, workers=self.n_threads)
        return np.array([weights[rows].sum() for rows in found])

    def weight_self(self, radius, weights):
        """The same around each ``X[i]`` over the *other* rows."""
        return self.weight(self.X, radius, weights) - weights
