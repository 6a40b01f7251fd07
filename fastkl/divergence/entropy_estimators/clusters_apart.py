r"""Entropy of rows that fall into clusters far apart: that of the clusters' frequencies, and the mean of their own.

For any partition of the space into regions, of which region k has the probability :math:`p_k`,

.. math:: H(X) = \sum_k p_k \, (H(X | k) - \log p_k) ,

so nothing is lost by it. Gaps between order statistics that reach from one cluster to the next, and balls and copulas that hold
some of both, are what makes an entropy of all rows together too large. The regions are those of a mixture of normal
distributions, and where its rows are not nearly all certain to be of one component there are no clusters to speak of.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.means import Mean
from fastkl.divergence.arguments import FloatArray, Sample
from fastkl.divergence.assisted.working_mixtures import mixture_of
from fastkl.divergence.entropy_estimators.whitening import effective_size, normalised
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.nearest.coordinates import centre_and_spread, measured

# Rows that clusters are sought in, those that each needs, alone and for each column, and how unsure its own rows may be of it.
_SOUGHT_IN, _FEWEST, _FOR_A_COLUMN, _UNSURE = 10_000, 30, 10, 0.005
# Clusters of one column have a gap between them that is no smaller part of the quartile range.
_GAP = 0.15


def clusters_apart(sample: Sample) -> list[Sample] | None:
    """The rows of each cluster; None where there are not several far apart."""
    n, d = sample.X.shape
    fewest = max(_FEWEST, _FOR_A_COLUMN * d)
    if n < 2 * fewest:
        return None
    rows = measured(sample.X, *centre_and_spread(sample.X.astype(np.float64)))
    shares = normalised(sample.weights, n)
    every = -(-n // _SOUGHT_IN)  # a cluster is one whatever the order of the rows
    some = np.argsort(rows[:, 0], kind="stable")[::every]
    masses = None if sample.weights is None else shares[some] * (effective_size(shares[some]) / shares[some].sum())
    if d == 1 and not _has_a_gap(rows[some, 0], fewest):
        return None
    with single_threaded_blas():  # the matrices are small
        mixture = mixture_of(np.ascontiguousarray(rows[some]), masses)
    if len(mixture) == 1:
        return None
    posterior = mixture.posterior(rows)
    of_rows = np.argmax(posterior, axis=1)
    parts = [of_rows == k for k in range(len(mixture))]
    if shares @ posterior.max(axis=1) < 1.0 - _UNSURE or min(int(part.sum()) for part in parts) < fewest:
        return None
    return [_rows_of(sample, part) for part in parts]


def _has_a_gap(ordered: FloatArray, fewest: int) -> bool:
    """Whether there is a gap between values of a column in order of which as many as a cluster needs are on either side."""
    return bool(np.diff(ordered)[fewest // 2 : -(fewest // 2)].max(initial=0.0) > _GAP)


def _rows_of(sample: Sample, part: NDArray[np.bool_]) -> Sample:
    weights = None if sample.weights is None else sample.weights[part]
    return Sample(np.ascontiguousarray(sample.X[part]), weights, sample.n_jobs)


def entropy_by_clusters(parts: list[Sample], entropy_of: Callable[[Sample], Estimate]) -> Estimate:
    """The entropy of all rows from those of the clusters."""
    masses = np.array([part.weight_sum for part in parts])
    shares: FloatArray = masses / masses.sum()
    found = [entropy_of(part) for part in parts]
    terms = np.array([float(one) for one in found]) - np.log(shares)
    size = masses.sum() ** 2 / sum(part.square_sum for part in parts)
    within = float(np.sum(np.square(shares * [one.standard_error for one in found])))
    reasons = [f"Of one of {len(parts)} clusters: {reason}" for one in found for reason in one.reasons]
    diagnostics = {"reasons": list(dict.fromkeys(reasons)), "clusters": len(parts), "frequencies": shares}
    error = float(np.sqrt(within + Mean.of(terms, shares).variance(size) / size))
    return Estimate(float(shares @ terms), error, sum(part.n_rows for part in parts), "by clusters", diagnostics)
