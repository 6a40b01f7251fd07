"""Clusters of rows by k-means, the same for any number of threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray

_STEPS, _STARTS = 10, 2


def clusters(rows: FloatArray, k: int, sought_in: int) -> NDArray[np.intp]:
    """Number of the cluster of each row, (n,): the best of two starts, from the first ``sought_in`` rows, in random order."""
    from scipy.cluster.vq import ClusterError, kmeans2, vq  # every import of the library would pay for these

    some = rows[:sought_in]
    k = min(k, len(some))
    best, least = some[:1], np.inf
    for start in range(_STARTS):
        generator = np.random.default_rng(start)
        try:
            with np.errstate(invalid="ignore"):  # of fewer different rows than clusters
                centres, _ = kmeans2(some, k, _STEPS, minit="++", missing="raise", check_finite=False, seed=generator)
        except ClusterError:  # a cluster has lost its rows
            centres = generator.permutation(some)[:k]
        _, distances = vq(some, centres, check_finite=False)
        size = float(np.square(distances).sum())
        if size < least:
            best, least = centres, size
    return np.asarray(vq(rows, best, check_finite=False)[0], dtype=np.intp)
