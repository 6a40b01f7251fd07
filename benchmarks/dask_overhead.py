"""What Dask costs: fits and scores on two workers of one machine against one process with as many threads.

The rows are persisted on the workers and in the memory of the one process before any clock starts; the two take turns, so that
a busy machine is busy for both. Run it from the root: ``python benchmarks/dask_overhead.py [rows]``.
"""

import sys
from time import perf_counter

import numpy as np

from fastkl import DensityMLE

COLUMNS, WORKERS, REPEATS, PARTITIONS = 8, 2, 7, 16


def timed(call):
    start = perf_counter()
    value = call()
    return perf_counter() - start, value


def cases():
    """Name, a call on rows in memory, the same on a collection, and what has to be equal."""
    for family in ("normal", "multivariate_normal", "student_t"):
        yield (
            f"fit {family}",
            lambda X, family=family: DensityMLE(family, n_jobs=WORKERS).fit(X),
            lambda x, family=family: DensityMLE(family).fit_batches(x),
        )
    model = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(COLUMNS), covariance=2.0 * np.eye(COLUMNS))
    model.n_jobs = WORKERS
    yield "score multivariate_normal", lambda X: model.score(X), lambda x: model.score_batches(x)


def equal(one, other):
    if isinstance(one, float):
        return abs(one - other) <= 1e-10 * abs(one)
    return all(np.allclose(one.params_[name], other.params_[name], rtol=1e-10, atol=1e-12) for name in one.params_)


def main(n_rows):
    import dask.array as da
    from distributed import Client, LocalCluster, wait

    with (
        LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        Client(cluster),
    ):
        shape, chunks = (n_rows, COLUMNS), (-(-n_rows // PARTITIONS), COLUMNS)
        x = da.random.default_rng(0).standard_t(5.0, size=shape, chunks=chunks).persist()
        wait(x)
        X = x.compute()
        print(
            f"{n_rows} x {COLUMNS}, {x.numblocks[0]} partitions; {WORKERS} workers against {WORKERS} threads; seconds"
        )
        print(f"{'':28}{'one process':>22}{'Dask':>22}{'ratio of':>18}")
        print(f"{'':28}{'least':>11}{'median':>11}{'least':>11}{'median':>11}{'least':>9}{'medians':>9}")
        for name, in_memory, on_workers in cases():
            pairs = [(timed(lambda: in_memory(X)), timed(lambda: on_workers(x))) for _ in range(REPEATS)]  # noqa: B023
            assert all(equal(one, other) for (_, one), (_, other) in pairs)
            memory, dask = (np.array([pair[side][0] for pair in pairs[1:]]) for side in (0, 1))  # the first warms up
            figures = (memory.min(), np.median(memory), dask.min(), np.median(dask))
            ratios = (dask.min() / memory.min(), np.median(dask) / np.median(memory))
            print(
                f"{name:28}" + "".join(f"{figure:11.3f}" for figure in figures) + "".join(f"{r:9.2f}" for r in ratios)
            )


if __name__ == "__main__":
    main(int(float(sys.argv[1])) if len(sys.argv) > 1 else 10_000_000)
