"""A fit in engines that fastkl does not know: each maps the batches its own way, all give the same bits."""

from functools import partial

import pyarrow


def by_loop(job, batches):
    """In this process."""
    while not job.done:
        job.reduce([job.map(batch) for batch in batches])
    return job.finish()


def by_joblib(job, batches):
    """In processes of this machine."""
    from joblib import Parallel, delayed

    with Parallel(n_jobs=2) as parallel:
        while not job.done:
            job.reduce(parallel(delayed(job.map)(batch, k) for k, batch in enumerate(batches)))
    return job.finish()


def by_polars(job, frame, rows=100_000):
    """A LazyFrame in slices; of a scan of Parquet only the slice is read."""
    import polars

    n = frame.select(polars.len()).collect().item()
    while not job.done:
        job.reduce([job.map(frame.slice(first, rows), first) for first in range(0, n, rows)])
    return job.finish()


def by_duckdb(job, connection, query, rows=100_000):
    """A query, whose batches follow one another: one part."""
    while not job.done:
        reader = connection.sql(query).to_arrow_reader(rows)
        job.reduce([job.map(reader, 0)])
    return job.finish()


def by_dask(job, frame):
    """The partitions of a data frame, where the current scheduler has them."""
    import dask

    while not job.done:
        parts = [dask.delayed(job.map)(part, k) for k, part in enumerate(frame.to_delayed())]
        job.reduce(dask.compute(*parts))
    return job.finish()


def by_ray(job, batches):
    """Tasks on rows that stay in Ray's object store."""
    import ray

    held = [ray.put(batch) for batch in batches]
    mapped = ray.remote(lambda work, batch, number: work(batch, number))
    while not job.done:
        job.reduce(ray.get([mapped.remote(job.map, batch, k) for k, batch in enumerate(held)]))
    return job.finish()


def by_spark(job, frame):
    """A part as bytes from every partition of a frame that is read from files, or persisted."""
    from pyspark import TaskContext

    def part_of_partition(work, batches):
        part = work(batches, TaskContext.get().partitionId())
        yield pyarrow.RecordBatch.from_pydict({"part": [bytes(part)]})

    while not job.done:
        parts = frame.mapInArrow(partial(part_of_partition, job.map), "part binary").collect()
        job.reduce([row.part for row in parts])
    return job.finish()
