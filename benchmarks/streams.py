"""Fit and score from Parquet through other engines against the Parquet route: rate and peak memory.

    python benchmarks/streams.py [--gigabytes 1] [--columns 8] [--rounds 3] [--group-rows 262144]

Makes a Parquet file of float64 rows in a temporary folder (or takes --file) and reads it as a path, as a dataset of pyarrow, as
an Arrow stream, as a ``scan_parquet`` of polars and as a duckdb relation, each case in a fresh process, in turn. The stream is
that of a scanner of pyarrow told to stay near who reads it ("stream"), and of one as it comes ("scanner"), which reads ahead by
a gigabyte whoever takes its rows. "pass" does nothing but take the batches: what the engine needs by itself. Rates are
gigabytes of float64 per second; the share is that of the path in the same round, also by processor time, which a busy machine
disturbs less; memory is the peak above what the process had after its imports, with bounds for polars (125 MB) and duckdb (200).
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUTES = ["path", "dataset", "stream", "scanner", "polars", "duckdb"]
TASKS = ["pass", "fit", "score"]
ENVIRONMENT = {"POLARS_OOC_MEMORY_BUDGET_MB": "125"} | os.environ


class Scan:
    """A Parquet file as an object of which nothing is known but that it gives Arrow streams."""

    def __init__(self, path, **options):
        self._path, self._options = path, options

    def __arrow_c_stream__(self, requested_schema=None):
        from pyarrow import dataset

        return dataset.dataset(self._path).scanner(**self._options).to_reader().__arrow_c_stream__(requested_schema)


def source(route, path):
    """What the call is given."""
    if route == "polars":
        import polars

        return polars.scan_parquet(path)
    if route == "duckdb":
        import duckdb

        connection = duckdb.connect(config={"memory_limit": "200MB"})
        return connection.from_parquet(path)
    if route == "dataset":
        from pyarrow import dataset

        return dataset.dataset(path)
    if route == "stream":
        from pyarrow import dataset

        near = dataset.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True, buffer_size=1 << 20)
        return Scan(path, use_threads=False, batch_readahead=1, batch_size=1 << 16, fragment_scan_options=near)
    return Scan(path) if route == "scanner" else path


def resident(field):
    """A line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise KeyError(field)


def case(route, task, path, parameters):
    """One measurement, in this process."""
    import pyarrow.dataset  # noqa: F401 (part of the baseline)

    from fastkl import DensityMLE

    rows = source(route, path)
    before = resident("VmRSS")
    model = DensityMLE.from_parameters("multivariate_normal", **parameters) if task == "score" else DensityMLE()
    begin, work = time.perf_counter(), time.process_time()
    if task == "pass":
        value = float(passed(route, rows))
    else:
        value = float(model.score_batches(rows)) if task == "score" else model.fit_batches(rows).params_["mean"].sum()
    seconds, work = time.perf_counter() - begin, time.process_time() - work
    print(json.dumps({"seconds": seconds, "work": work, "memory": resident("VmHWM") - before, "value": value}))


def passed(route, rows):
    """The number of rows, from batches that are taken and let go."""
    import pyarrow
    from pyarrow import parquet

    if route == "polars":
        return sum(len(batch) for batch in rows.collect_batches(chunk_size=1 << 16, maintain_order=True, lazy=True))
    if route == "path":
        return sum(
            len(batch)
            for batch in parquet.ParquetFile(rows, buffer_size=1 << 20, pre_buffer=False).iter_batches(1 << 18)
        )
    if route == "duckdb":
        return sum(len(batch) for batch in rows.to_arrow_reader(1 << 16))
    if route == "dataset":
        return sum(len(batch) for batch in rows.to_batches())
    return sum(len(batch) for batch in pyarrow.RecordBatchReader.from_stream(rows))


def main():
    """All cases, in turn."""
    from pyarrow import parquet

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group-rows", type=int, default=1 << 18)
    parser.add_argument("--file", help="a Parquet file of floats to read instead of a new one")
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    d = options.columns
    parameters = {"mean": [3.0] * d, "covariance": np.eye(d).tolist()}
    if options.case:
        case(*options.case, parameters)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = options.file or made(f"{folder}/rows.parquet", options)
        n = parquet.ParquetFile(path).metadata.num_rows
        print(f"{n:,} rows of {d} columns", flush=True)
        for _ in range(options.rounds):
            for task in TASKS:
                of_path = None
                for route in ROUTES:
                    command = [sys.executable, __file__, "--columns", str(d), "--case", route, task, path]
                    done = subprocess.run(command, capture_output=True, text=True, check=True, env=ENVIRONMENT)
                    run = json.loads(done.stdout)
                    of_path = of_path or run
                    rate, share = 8e-9 * n * d / run["seconds"], of_path["seconds"] / run["seconds"]
                    away = abs(run["value"] / of_path["value"] - 1)
                    work = f"{run['work']:6.2f} s of CPU {of_path['work'] / run['work']:6.0%}"
                    memory = f"{run['memory'] / 1e6:6.0f} MB"
                    print(
                        f"{task:6s} {route:8s} {rate:6.2f} GB/s {share:6.0%} {work} {memory}   {away:.1e}", flush=True
                    )


def made(path, options):
    """A new file of that name."""
    import pyarrow
    from pyarrow import parquet

    d, n = options.columns, int(options.gigabytes * 1e9 / (8 * options.columns))
    schema = pyarrow.schema([(f"x{j}", pyarrow.float64()) for j in range(d)])
    generator = np.random.default_rng(0)
    with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for start in range(0, n, options.group_rows):
            X = generator.normal(3.0, size=(d, min(options.group_rows, n - start)))
            writer.write_table(pyarrow.Table.from_arrays([pyarrow.array(x) for x in X], schema=schema))
    return path


if __name__ == "__main__":
    main()
