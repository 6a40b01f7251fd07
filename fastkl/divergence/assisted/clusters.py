"""Clusters of rows by k-means, the same for any number of threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray

_STEPS = 10


def clusters(rows: FloatArray, k: int, sought_in: int, starts: int = 2) -> NDArray[np.intp]:
    """Number of the cluster of each row, (n,): the best of some starts, from the first ``sought_in`` rows, in random order."""
    from scipy.cluster.vq import ClusterError, kmeans2, vq  # every import of the library would pay for these

    some = rows[:sought_in]
    best, least = some[:1], np.inf
    for seed in range(starts):
        started = _far_apart(some, min(k, len(some)), np.random.default_rng(seed))
        try:
            centres, _ = kmeans2(some, started, iter=_STEPS, minit="matrix", missing="raise", check_finite=False)
        except ClusterError:  # a cluster has lost its rows
            centres = started
        if starts == 1:
            best = centres
            break
        _, distances = vq(some, centres, check_finite=False)
        size = float(np.square(distances).sum())
        if size < least:
            best, least = centres, size
    return np.asarray(vq(rows, best, check_finite=False)[0], dtype=np.intp)


def _far_apart(rows: FloatArray, k: int, rng: np.random.Generator) -> FloatArray:
    """Rows (k, d) to start from: k-means++ (Arthur and Vassilvitskii 2007), each the best of a few.

    For so few rows that of scikit-learn takes seven times as long.
    """
    from scipy.spatial.distance import cdist

    tried = 2 + int(np.log(k))
    found = rows[[rng.integers(len(rows))]]
    least = cdist(found, rows, "sqeuclidean")[0]
    while len(found) < k:
        sums = np.cumsum(least)
        at = np.minimum(np.searchsorted(sums, sums[-1] * rng.random(tried)), len(rows) - 1)
        nearer = np.minimum(least, cdist(rows[at], rows, "sqeuclidean"))
        best = int(nearer.sum(axis=1).argmin())
        found, least = np.concatenate([found, rows[[at[best]]]]), nearer[best]
    return found
