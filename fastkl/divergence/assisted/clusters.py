"""Clusters of rows by k-means, the same for any number of threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray

_STEPS = 20


def clusters(rows: FloatArray, k: int, sought_in: int, starts: int = 2) -> NDArray[np.intp]:
    """Number of the cluster of each row, (n,): the best of some starts, from the first ``sought_in`` rows, in random order."""
    from scipy.cluster.vq import ClusterError, kmeans2, vq  # every import of the library would pay for these
    from sklearn import config_context
    from sklearn.cluster import kmeans_plusplus

    some = rows[:sought_in]
    best, least = some[:1], np.inf
    for seed in range(starts):
        with config_context(skip_parameter_validation=True, assume_finite=True):
            started, _ = kmeans_plusplus(some, min(k, len(some)), random_state=seed)
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
