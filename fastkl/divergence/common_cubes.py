r"""Mutual information where values repeat, as of a number and a label in numbers, counts, or a column with many zeros.

There the rows have no density and the mutual information has a value all the same. Around each row the cube (in normal scores of
the ranks) that reaches its k-th neighbour in all columns has rows of it in x alone and in y alone:

.. math:: I = \frac1n \sum_i \psi(k_i) + \psi(n) - \psi(n_{x,i}) - \psi(n_{y,i}) ,

where k_i counts every row in the cube, however many are at its side or at the row itself (W. Gao, S. Kannan, S. Oh and
P. Viswanath 2017, arXiv:1709.06212), and where no value repeats one at the side alone is the one that set it, as in Kraskov,
Stögbauer and Grassberger 2004, doi:10.1103/PhysRevE.69.066138.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import digamma

from fastkl._core._threads import effective_n_threads
from fastkl.divergence.arguments import FloatArray

# Distances that agree to this are equal.
_SLACK = 1e-12


def terms_of_cubes(x: FloatArray, y: FloatArray, k: int, n_jobs: int | None) -> FloatArray:
    """Local terms, whose mean is the mutual information, of scores (n, a) and (n, b): (n,)."""
    both, workers = np.concatenate([x, y], axis=1), effective_n_threads(n_jobs)
    tree = cKDTree(both)
    radius = tree.query(both, k + 1, p=np.inf, workers=workers)[0][:, -1]
    inside, around = radius * (1.0 - _SLACK), radius * (1.0 + _SLACK)
    terms = digamma(_others(both, around, workers)) + digamma(float(len(both)))
    for part in (x, y):
        # The row at the side that set it counts; where more are there, as on a grid, all of them do.
        within = np.where(radius > 0.0, _others(part, inside, workers) + 1, 0)
        terms -= digamma(np.maximum(within, _others(part, around, workers)))
    return np.asarray(terms)


def _others(points: FloatArray, radius: FloatArray, workers: int) -> FloatArray:
    """How many other points are in the cube around each, sides included: (n,)."""
    if points.shape[1] == 1:
        column = points[:, 0]
        ordered = np.sort(column)
        last = np.searchsorted(ordered, column + radius, "right")
        first = np.searchsorted(ordered, column - radius, "left")
        return np.asarray(last - first - 1.0)
    found = cKDTree(points).query_ball_point(points, radius, p=np.inf, return_length=True, workers=workers)
    return np.asarray(found - 1.0)
