"""Fit and score from Parquet through other engines against the Parquet route: rate and peak memory.

    python benchmarks/streams.py [--gigabytes 1] [--columns 8] [--rounds 3] [--group-rows 262144]

Makes a Parquet file of float64 rows in a temporary folder and reads it as a path, as an Arrow stream, as a ``scan_parquet`` of
polars and as a duckdb relation, each case in a fresh process, in turn. Rates are gigabytes of float64 per second of the fastest
round; the share is that of the path; memory is the peak above what the process had after its imports.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROUTES = ["path", "stream", "polars", "duckdb"]
TASKS = ["fit", "score"]


class Scan:
    """A Parquet file as an object of which nothing is known but that it gives Arrow streams."""

    def __init__(self, path):
        self._path = path

    def __arrow_c_stream__(self, requested_schema=None):
        from pyarrow import dataset

        return dataset.dataset(self._path).scanner().to_reader().__arrow_c_stream__(requested_schema)


def source(route, path):
    """What the call is given."""
    if route == "polars":
        import polars

        return polars.scan_parquet(path)
    if route == "duckdb":
        import duckdb

        connection = duckdb.connect(config={"memory_limit": "200MB"})
        return connection.from_parquet(path)
    return Scan(path) if route == "stream" else path


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
    begin = time.perf_counter()
    value = float(model.score_batches(rows)) if task == "score" else model.fit_batches(rows).params_["mean"].sum()
    seconds = time.perf_counter() - begin
    print(json.dumps({"seconds": seconds, "memory": resident("VmHWM") - before, "value": value}))


def main():
    """All cases, in turn."""
    import pyarrow
    from pyarrow import parquet

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--group-rows", type=int, default=1 << 18)
    parser.add_argument("--case", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    d = options.columns
    parameters = {"mean": [3.0] * d, "covariance": np.eye(d).tolist()}
    if options.case:
        case(*options.case, parameters)
        return
    n = int(options.gigabytes * 1e9 / (8 * d))
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/rows.parquet"
        schema = pyarrow.schema([(f"x{j}", pyarrow.float64()) for j in range(d)])
        generator = np.random.default_rng(0)
        with parquet.ParquetWriter(path, schema, use_dictionary=False) as writer:
            for start in range(0, n, options.group_rows):
                X = generator.normal(3.0, size=(d, min(options.group_rows, n - start)))
                writer.write_table(pyarrow.Table.from_arrays([pyarrow.array(x) for x in X], schema=schema))
        found = {}
        for _ in range(options.rounds):
            for task in TASKS:
                for route in ROUTES:
                    command = [sys.executable, __file__, "--columns", str(d), "--case", route, task, path]
                    done = subprocess.run(command, capture_output=True, text=True, check=True)
                    found.setdefault((task, route), []).append(json.loads(done.stdout))
    print(f"{n:,} rows of {d} columns, row groups of {options.group_rows:,}")
    for (task, route), runs in found.items():
        seconds = min(run["seconds"] for run in runs)
        share = min(run["seconds"] for run in found[task, "path"]) / seconds
        memory = max(run["memory"] for run in runs) / 1e6
        away = abs(runs[0]["value"] / found[task, "path"][0]["value"] - 1)
        print(f"{task:6s} {route:7s} {8e-9 * n * d / seconds:6.2f} GB/s {share:6.0%} {memory:6.0f} MB   {away:.1e}")


if __name__ == "__main__":
    main()
