"""Scoring and fitting rows in a file against the same rows in memory: rate, peak memory, and how far the results differ.

    python benchmarks/batches.py [--gigabytes 2] [--columns 8] [--rounds 3] [--repeats 3] [--threads N] [--files npy parquet]

Makes files of float64 rows in a temporary folder, and measures every case in a fresh process, the cases in turn, so that what
else the machine does meets all of them. ``in memory`` reads the file first, untimed; ``streaming`` reads it in the timed call.
``score_samples`` writes its result to a file in both. The file is read once before, so that it comes from the page cache. Rates
are in gigabytes of float64 per second, of the fastest repeat and, in brackets, of the median one; memory is the peak of
resident memory above what the process had after its imports. The last column is what reading the file into memory adds: the
rate in memory with it.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

TASKS = [
    ("multivariate_normal", "score"),
    ("multivariate_normal", "fit"),
    ("normal", "score"),
    ("normal", "fit"),
    ("multivariate_normal", "score_samples"),
]
BLOCK = 1 << 16


def make(folder, gigabytes, columns):
    """The rows as NPY and as Parquet, written block by block."""
    import pyarrow
    from pyarrow import parquet

    n = int(gigabytes * 1e9 / (8 * columns))
    generator = np.random.default_rng(0)
    mixing = np.eye(columns) + 0.3 * generator.normal(size=(columns, columns))
    npy, table = folder / "rows.npy", folder / "rows.parquet"
    names = [f"x{j}" for j in range(columns)]
    schema = pyarrow.schema([(name, pyarrow.float64()) for name in names])
    with (
        open(npy, "wb") as stream,
        parquet.ParquetWriter(table, schema, compression="none", use_dictionary=False) as writer,
    ):
        np.lib.format.write_array_header_1_0(stream, {"shape": (n, columns), "fortran_order": False, "descr": "<f8"})
        for start in range(0, n, 16 * BLOCK):
            X = generator.normal(size=(min(16 * BLOCK, n - start), columns)) @ mixing + 3.0
            stream.write(X.data)
            arrays = [pyarrow.array(np.ascontiguousarray(X[:, j])) for j in range(columns)]
            writer.write_table(pyarrow.Table.from_arrays(arrays, schema=schema))
    return npy, table


def resident(field):
    """A line of /proc/self/status in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return 1024 * int(line.split()[1])
    raise RuntimeError(f"no {field}")


def load(path):
    """All rows in memory."""
    if path.suffix == ".npy":
        return np.load(path)
    from pyarrow import parquet

    table = parquet.read_table(path)
    X = np.empty((len(table), table.num_columns))
    for j in range(table.num_columns):
        X[:, j] = table.column(j).to_numpy()
    return X


def measure(path, mode, family, task, repeats, threads):
    """One case in this process, as a line of JSON."""
    from fastkl import DensityMLE

    if path.suffix == ".parquet":
        import pyarrow.parquet  # noqa: F401

    generator = np.random.default_rng(1)
    with open(path, "rb") as stream:  # what is warm for one is warm for the other
        while stream.read(1 << 22):
            pass
    density = DensityMLE(family, n_jobs=threads)
    density.fit(generator.normal(3.0, 2.0, size=(1000, columns_of(path))))
    scores = path.with_name("scores.npy")
    before = resident("VmRSS")
    begin = time.perf_counter()
    X = load(path) if mode == "memory" else None
    reading = time.perf_counter() - begin
    run = {
        ("memory", "score"): lambda: density.score(X),
        ("memory", "score_samples"): lambda: np.save(scores, density.score_samples(X)),
        ("memory", "fit"): lambda: DensityMLE(family, n_jobs=threads).fit(X),
        ("streaming", "score"): lambda: density.score_batches(path),
        ("streaming", "score_samples"): lambda: density.score_samples_batches(path, scores),
        ("streaming", "fit"): lambda: DensityMLE(family, n_jobs=threads).fit_batches(path),
    }[mode, task]
    seconds = []
    for _ in range(repeats):
        begin = time.perf_counter()
        result = run()
        seconds.append(time.perf_counter() - begin)
    peak = resident("VmHWM") - before
    if task == "fit":
        numbers = np.concatenate([np.ravel(value) for value in result.params_.values()])
    else:
        numbers = np.ravel(np.load(scores, mmap_mode="r")[::10_000] if task == "score_samples" else result)
    print(json.dumps({"seconds": seconds, "reading": reading, "bytes": peak, "numbers": numbers.tolist()}))


def columns_of(path):
    """Columns of a row."""
    if path.suffix == ".npy":
        return np.load(path, mmap_mode="r").shape[1]
    from pyarrow import parquet

    return parquet.read_schema(path).names.__len__()


def child(*arguments):
    """A case in a fresh process."""
    done = subprocess.run([sys.executable, __file__, "--measure", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def compare(folder, options):
    """All cases, in turn, and the table."""
    paths = make(folder, options.gigabytes, options.columns)
    size = (paths[0].stat().st_size - 128) / 1e9
    paths = [path for path in paths if path.suffix[1:] in options.files]
    cases = [(path, family, task, mode) for path in paths for family, task in TASKS for mode in ("memory", "streaming")]
    found = {case: [] for case in cases}
    for _ in range(options.rounds):
        for path, family, task, mode in cases:
            found[path, family, task, mode].append(child(path, mode, family, task, options.repeats, options.threads))
    print(f"{size:.2f} GB of float64, {options.columns} columns, {options.threads or 'all'} threads")
    head = f"{'file':8} {'family':20} {'task':14} {'in memory':>27} {'streaming':>27} {'rate':>13} {'difference':>11}"
    print(head, f"{'with reading':>13}")
    for path in paths:
        for family, task in TASKS:
            memory, streaming = (found[path, family, task, mode] for mode in ("memory", "streaming"))
            print(f"{path.suffix[1:]:8} {family:20} {task:14} {line(memory, streaming, size)}")


def line(memory, streaming, size):
    """Rates, peaks and differences of a case."""
    seconds = [[s for run in runs for s in run["seconds"]] for runs in (memory, streaming)]
    rates, medians = [size / min(times) for times in seconds], [size / np.median(times) for times in seconds]
    peaks = [max(run["bytes"] for run in runs) / 1e6 for runs in (memory, streaming)]
    a, b = np.array(memory[0]["numbers"]), np.array(streaming[0]["numbers"])
    difference = np.max(np.abs(a - b) / np.maximum(np.abs(a), 1e-300))
    reading = size / (min(seconds[0]) + min(run["reading"] for run in memory))
    columns = [
        f"{rate:5.2f} ({median:5.2f}) GB/s {peak:5.0f} MB"
        for rate, median, peak in zip(rates, medians, peaks, strict=True)
    ]
    share = f"{rates[1] / rates[0]:6.0%} ({medians[1] / medians[0]:4.0%})"
    return f"{columns[0]} {columns[1]} {share} {difference:11.1e} {reading:8.2f} GB/s"


def main():
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--columns", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--files", nargs="+", default=["npy", "parquet"], choices=["npy", "parquet"])
    parser.add_argument("--folder", type=Path, default=None, help="where the temporary folder is made")
    parser.add_argument("--measure", nargs=6, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        path, mode, family, task, repeats, threads = options.measure
        measure(Path(path), mode, family, task, int(repeats), None if threads == "None" else int(threads))
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        compare(Path(folder), options)


if __name__ == "__main__":
    main()
