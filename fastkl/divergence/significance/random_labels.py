"""Permuted labels "from p" and "from q" on a graph of neighbours, and statistics of them, some permutations at a time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from scipy.special import digamma

from fastkl._core._threads import effective_n_threads
from fastkl._core.blas_threads import single_threaded_blas
from fastkl.divergence._labels import LANES, draw_labels, score_labels
from fastkl.divergence.arguments import FloatArray


def neighbor_statistic(labels: NDArray[np.uint8], neighbors: NDArray[np.int32]) -> FloatArray:
    """The ratio of counts of Noshad et al. for labels (rows, LANES), 1 for p, on a graph of neighbours (rows, k): (LANES,)."""
    rows, k = neighbors.shape
    count, n = np.arange(k + 1), int(labels[:, 0].sum())
    in_p, in_q = score_labels(labels, neighbors, digamma(count + 1.0) - digamma(k - count + 1.0))
    return np.asarray(in_p / n + in_q / (rows - n))


def over_permutations(
    statistics: Callable[[NDArray[np.uint8]], FloatArray],
    sizes: tuple[int, int],
    n_permutations: int,
    rng: np.random.RandomState,
    n_jobs: int | None,
) -> FloatArray:
    """Statistics (s, LANES) of labels (rows, LANES) for random labels: (s, permutations), a multiple of LANES of these.

    Every group of permutations has its own seeds, so results are the same for any number of threads.
    """
    seeds = rng.randint(0, np.iinfo(np.int64).max, size=(-(-n_permutations // LANES), LANES)).astype(np.uint64)

    def of_group(own: NDArray[np.uint64]) -> FloatArray:
        return statistics(draw_labels(own, sum(sizes), sizes[0]))

    with single_threaded_blas(), ThreadPoolExecutor(effective_n_threads(n_jobs)) as pool:
        try:
            return np.concatenate(list(pool.map(of_group, seeds)), axis=1)
        except BaseException:  # Ctrl-C too: groups that have not begun are not waited for
            pool.shutdown(wait=False, cancel_futures=True)
            raise
