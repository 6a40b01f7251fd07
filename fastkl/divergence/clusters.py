"""Clusters of rows by k-means, the same for any number of threads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import vq

from fastkl.divergence.arguments import FloatArray

_STARTS, _STEPS = 2, 20


def clusters(rows: FloatArray, k: int, sought_in: int) -> NDArray[np.intp]:
    """Number of the cluster of each row, (n,): the best of two starts, from the first ``sought_in`` rows, in random order."""
    from sklearn.cluster import kmeans_plusplus  # every import of the library would pay for it

    some = rows[:sought_in]
    best, least = some[:1], np.inf
    for seed in range(_STARTS):
        centres, _ = kmeans_plusplus(some, min(k, len(some)), random_state=seed)
        for _ in range(_STEPS):
            codes, distances = vq(some, centres, check_finite=False)
            counts = np.bincount(codes, minlength=len(centres))
            sums = np.stack([np.bincount(codes, column, len(centres)) for column in some.T], axis=1)
            moved = np.where(counts[:, np.newaxis] > 0, sums / np.maximum(counts, 1)[:, np.newaxis], centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        size = float(np.square(distances).sum())
        if size < least:
            best, least = centres, size
    return np.asarray(vq(rows, best, check_finite=False)[0], dtype=np.intp)
