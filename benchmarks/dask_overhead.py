"""What Dask costs: fits and scores on two workers of one machine against one process with as many threads.

The rows are persisted on the workers and in the memory of the one process before any clock starts. The two take turns, so that a
busy machine is busy for both; the least time is what is left when it was not. The time that processors spent (of the client, the
scheduler and the workers together) does not grow while others have them. An empty pass costs Dask some 10 ms, and 2 ms for each
task, whatever is computed: four partitions of these rows are 160 MB each, of the size that Dask's own advice begins with.
Run it from the root, with the number of rows and of partitions if they are to be others:
``python benchmarks/dask_overhead.py 1e7 4``.
"""

import sys
from time import perf_counter, process_time

import numpy as np

from fastkl import DensityMLE

COLUMNS, WORKERS, SECONDS, LEAST_REPEATS = 8, 2, 25.0, 4


def cases():
    """Name, a call on rows in memory, and the same on a collection."""
    for family in ("normal", "multivariate_normal", "student_t"):
        yield (
            f"fit {family}",
            lambda X, family=family: DensityMLE(family, n_jobs=WORKERS).fit(X),
            lambda x, family=family: DensityMLE(family).fit_batches(x),
        )
    model = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(COLUMNS), covariance=2.0 * np.eye(COLUMNS))
    model.n_jobs = WORKERS
    yield "score multivariate_normal", lambda X: model.score_batches(X), lambda x: model.score_batches(x)


def equal(one, other):
    if not hasattr(one, "params_"):
        return np.allclose([one.value, one.standard_error], [other.value, other.standard_error], rtol=1e-10, atol=0.0)
    return all(np.allclose(one.params_[name], other.params_[name], rtol=1e-10, atol=1e-12) for name in one.params_)


def timed(call, processors):
    spent, start = processors(), perf_counter()
    value = call()
    return perf_counter() - start, processors() - spent, value


def measured(in_memory, on_workers, X, x, client):
    """Seconds and processor seconds of both, each of shape (repeats, 2): the first repeat of each is left out."""

    def of_all():
        return process_time() + sum(client.run(process_time).values())

    kept, end = [], perf_counter() + SECONDS
    while len(kept) <= LEAST_REPEATS or perf_counter() < end:
        one = timed(lambda: in_memory(X), process_time)
        other = timed(lambda: on_workers(x), of_all)
        assert equal(one[2], other[2])
        kept.append((one[:2], other[:2]))
    return np.array(kept[1:])


def partition(number, rows):
    return np.random.default_rng(number).standard_t(5.0, size=(rows, COLUMNS))


def placed(client, rows, n_partitions):
    """A persisted array, its partitions dealt out to the workers in turn: none is to have more of them by chance."""
    import dask.array as da
    from distributed import wait

    workers = list(client.scheduler_info()["workers"])
    futures = {
        ("rows", number, 0): client.submit(
            partition, number, rows, key=("rows", number, 0), workers=[workers[number % len(workers)]]
        )
        for number in range(n_partitions)
    }
    wait(list(futures.values()))
    return da.Array(futures, "rows", chunks=((rows,) * n_partitions, (COLUMNS,)), dtype=float)


def main(n_rows, n_partitions):
    from distributed import Client, LocalCluster

    with (
        LocalCluster(
            n_workers=WORKERS,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            env={"OMP_NUM_THREADS": "1"},  # whatever is set for this process: as many threads as it has, together
        ) as cluster,
        Client(cluster) as client,
    ):
        x = placed(client, -(-n_rows // n_partitions), n_partitions)
        # made anew: to compute x would leave copies of partitions on one worker, which then might have all the work
        X = np.concatenate([partition(number, rows) for number, rows in enumerate(x.chunks[0])])
        print(
            f"{n_rows} x {COLUMNS}, {x.numblocks[0]} partitions; {WORKERS} workers against {WORKERS} threads; seconds"
        )
        print(f"{'':26}{'one process':^27}{'Dask':^27}{'ratio of':^27}")
        print(f"{'':26}" + f"{'least':>9}{'median':>9}{'cores':>9}" * 3)
        for name, in_memory, on_workers in cases():
            both = measured(in_memory, on_workers, X, x, client)
            least, median = both[:, :, 0].min(axis=0), np.median(both[:, :, 0], axis=0)
            cores = both[:, :, 1].min(axis=0)
            figures = np.stack([least, median, cores], axis=1)
            print(f"{name:26}" + "".join(f"{v:9.3f}" for v in figures.ravel()), end="")
            print("".join(f"{v:9.2f}" for v in figures[1] / figures[0]), f"  ({len(both)} repeats)", flush=True)


if __name__ == "__main__":
    rows, partitions = (*sys.argv[1:], *("1e7", "4")[len(sys.argv) - 1 :])
    main(int(float(rows)), int(partitions))
