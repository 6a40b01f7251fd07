"""Writers that are killed, or that write one file at the same time: there is a whole file, and the next writer cleans up.

A few of each in the normal suite; 25 kills and 18 runs of three writers, of every kind of file, with ``pytest -m hostile``.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from fastkl import load
from tests.hostile.writing import BATCHES, NAMES, X, model_of

pytestmark = [pytest.mark.skipif(not hasattr(os, "fork"), reason="processes of POSIX")]

ROOT = Path(__file__).parents[2]


class Writer:
    """A process of ``writing.py``."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.writing"],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"

    def order(self, what, path, which=0.0):
        self._process.stdin.write(f"{what}\t{path}\t{which}\n")
        self._process.stdin.flush()

    def answer(self):
        return self._process.stdout.readline().rstrip("\n")

    def end(self):
        self._process.communicate(timeout=300)


@contextmanager
def writers(number):
    """So many processes, ready to write."""
    processes = [Writer() for _ in range(number)]
    try:
        yield processes
    finally:
        for process in processes:
            process.end()


def scores(path):
    """What stands in a file of scores, or the parameters of a model."""
    if path.name == "model":
        return load(path).params_["loc"]
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".csv":
        return np.loadtxt(path, skiprows=1)
    return pd.read_parquet(path)["log_density"].to_numpy()


def expected(name, which):
    """What the writer of that number writes."""
    model = model_of(which)
    return model.params_["loc"] if name == "model" else np.tile(model.score_samples(X), BATCHES)


def check_kills(folder, kills, longest):
    """Writers killed at any time: the file is whole, and a write that ends leaves nothing else."""
    rng = np.random.default_rng(0)
    with writers(1) as (writer,):
        for name in NAMES:
            path, right = folder / name, expected(name, 0.0)
            writer.order("once", path)
            assert writer.answer() == "done"
            for _ in range(kills):
                writer.order("for ever", path)
                child = int(writer.answer())
                time.sleep(float(rng.uniform(0.0, longest)))
                os.kill(child, signal.SIGKILL)
                assert writer.answer() == "ended"
                np.testing.assert_array_equal(scores(path), right)
            writer.order("once", path)
            assert writer.answer() == "done"
            assert [part.name for part in folder.iterdir()] == [name]
            path.unlink()


def check_crowds(folder, runs):
    """Three writers of one file begin at once: one of their files stands there, whole, and nothing else."""
    with writers(3) as crowd:
        for name in NAMES:
            path, results = folder / name, [expected(name, float(which)) for which in range(3)]
            for _ in range(runs):
                for which, writer in enumerate(crowd):
                    writer.order("once", path, which)
                assert [writer.answer() for writer in crowd] == ["done"] * 3
                found = scores(path)
                assert any(np.array_equal(found, result) for result in results)
                assert [part.name for part in folder.iterdir()] == [name]
                path.unlink()


def test_killed_writers(tmp_path):
    check_kills(tmp_path, 2, 0.2)


def test_writers_at_once(tmp_path):
    check_crowds(tmp_path, 1)


@pytest.mark.hostile
def test_25_kills_of_each_kind(tmp_path):
    check_kills(tmp_path, 25, 0.3)


@pytest.mark.hostile
def test_18_crowds_of_each_kind(tmp_path):
    check_crowds(tmp_path, 18)
