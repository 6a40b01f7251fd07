"""Writers that are killed, or that write one file at the same time: there is a whole file, and the next writer cleans up."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from fastkl import DensityMLE, load

pytestmark = [pytest.mark.hostile, pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")]

WRITER = """
import sys, numpy as np
from fastkl import DensityMLE
kind, path, which = sys.argv[1], sys.argv[2], float(sys.argv[3])
model = DensityMLE.from_parameters("normal", loc=[which, which], scale=[1.0, 1.0])
X = np.random.default_rng(0).normal(size=(20000, 2))
print("ready", flush=True)
if kind == "wait":
    sys.stdin.readline()
while True:
    if path.endswith("model"):
        model.save(path)
    else:
        model.score_samples_batches([X] * 20, path)
    if kind == "wait":
        break
"""


def writer(kind, path, which=0.0):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, kind, str(path), str(which)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    return process


def scores(path):
    """What stands in a file of scores, or the parameters of a model."""
    if path.name == "model":
        return load(path).params_["loc"]
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".csv":
        return np.loadtxt(path, skiprows=1)
    import pandas as pd

    return pd.read_parquet(path)["log_density"].to_numpy()


@pytest.mark.parametrize("name", ["model", "s.npy", "s.csv"])
def test_killed_writers(name, tmp_path):
    """25 kills at any time: the file is whole, and a write that ends leaves nothing else."""
    path, rng = tmp_path / name, np.random.default_rng(0)
    whole = None
    for _ in range(25):
        process = writer("endless", path)
        time.sleep(float(rng.uniform(0.0, 0.4)))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()
        if path.exists():
            found = scores(path)
            whole = found if whole is None else whole
            np.testing.assert_array_equal(found, whole)
    assert whole is not None
    process = writer("wait", path)
    process.communicate("\n", timeout=300)
    assert process.returncode == 0
    assert [part.name for part in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["model", "s.npy", "s.csv", "s.parquet"])
@pytest.mark.parametrize("run", range(18))
def test_writers_at_once(name, run, tmp_path):
    path = tmp_path / name
    processes = [writer("wait", path, which) for which in (0.0, 1.0, 2.0)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=300)
        assert process.returncode == 0
    found = scores(path)
    X = np.random.default_rng(0).normal(size=(20000, 2))
    results = []
    for which in (0.0, 1.0, 2.0):
        model = DensityMLE.from_parameters("normal", loc=[which, which], scale=[1.0, 1.0])
        results.append(model.params_["loc"] if name == "model" else np.tile(model.score_samples(X), 20))
    assert any(np.allclose(found, result, rtol=1e-14, atol=0.0) for result in results)
    assert [part.name for part in tmp_path.iterdir()] == [name]
