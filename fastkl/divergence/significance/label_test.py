"""A permutation test that two samples of labels have one distribution, without permuting a row.

Permuting the rows between the samples draws the counts of the first from the multivariate hypergeometric distribution of the
pooled counts, whatever the number of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl.divergence.arguments import FloatArray

# Numbers of a block of drawn counts.
_NUMBERS = 1 << 22


def label_test(P: NDArray[Any], Q: NDArray[Any], n_permutations: int, rng: np.random.RandomState) -> float:
    """p-value of the likelihood-ratio statistic of two samples of labels, or of rows of labels."""
    first, counts = pooled_counts(P, Q)
    found = likelihood_ratio(first[np.newaxis], counts)[0]
    drawn = np.random.default_rng(rng.randint(0, 2**32, size=4, dtype=np.uint64))
    as_large, left = 0, n_permutations
    while left:
        size = min(left, max(1, _NUMBERS // len(counts)))
        permuted = drawn.multivariate_hypergeometric(counts, len(P), size=size, method="marginals")
        as_large += int(np.sum(likelihood_ratio(permuted, counts) >= found - 1e-9))
        left -= size
    return (as_large + 1.0) / (n_permutations + 1.0)


def pooled_counts(P: NDArray[Any], Q: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Counts of every symbol in P, and in both samples."""
    keys = [tuple(row) if isinstance(row, list) else row for row in [*P.tolist(), *Q.tolist()]]
    symbols, which = coded(keys)
    return np.bincount(which[: len(P)], minlength=len(symbols)), np.bincount(which)


def likelihood_ratio(first: NDArray[np.int64], pooled: NDArray[np.int64]) -> FloatArray:
    """Sums of n log n over both samples, which is the statistic up to what permutations leave alone."""
    total = np.zeros(len(first))
    for counts in (first, pooled - first):
        total += np.sum(counts * np.log(np.maximum(counts, 1)), axis=1)
    return total
