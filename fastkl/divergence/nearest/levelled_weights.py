"""Weights for samples on which a bias is measured: as unequal among neighbours as those of the data, and no more.

Weights that have nothing to do with where a row is make the mass of a ball uncertain, which is a bias of its own. Weights that go
by where it is, as those of importance sampling, are nearly equal within a ball: what they do is to leave fewer rows where the
mass is. Dealt out at random among draws they would be of the first kind, and a bias would be subtracted that the data have not.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.spatial import NeighborIndex

# So many neighbours tell the level of the weights around a row, and at least so many rows are drawn.
_AROUND, _LEAST = 16, 50


def levelled_weights(X: FloatArray, weights: FloatArray | None, n_jobs: int | None) -> FloatArray | None:
    """Weights for a sample of draws, of the length that it should have; None where all are equal.

    With :math:`g_i` the mean weight of the neighbours of row i and :math:`p_i = g_i / \\sum g` they are weights over those of
    their neighbours, :math:`w_i / g_i`, of rows taken with probability :math:`p_i`. The number of rows is the perplexity
    :math:`\\exp(-\\sum_i s_i \\log p_i)` for shares s: so many as there would be if all of the data were as dense as where the
    mass is.
    """
    n = len(X)
    if weights is None or n <= _LEAST:
        return weights
    index = NeighborIndex(X, n_jobs=n_jobs)
    radius = np.ascontiguousarray(index.query_self(min(_AROUND, n - 1))[:, -1])
    level = index.weight_self(radius, weights) / index.weight_self(radius, np.ones(n))
    taken, shares = level / level.sum(), weights / weights.sum()
    known = taken > 0.0
    count = np.exp(-float(shares[known] @ np.log(taken[known])))
    # a seed of its own: nearly equal weights change no draw
    rows = np.random.RandomState(0).choice(n, size=int(np.clip(round(count), _LEAST, n)), p=taken)
    return np.asarray(weights[rows] / level[rows])
