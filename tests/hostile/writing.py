"""A process that writes files of models and of scores when it is told to, or for ever until it is killed.

It reads one order per line: ``once`` writes a file, and ``for ever`` starts a child that writes one again and again. So a
hundred writers take as many processes, but the library is imported once.
"""

import os
import sys

import numpy as np

from fastkl import DensityMLE

NAMES = ["model", "s.npy", "s.csv", "s.parquet"]
BATCHES = 5
X = np.random.default_rng(0).normal(size=(20_000, 2))


def model_of(which):
    """The density of writer number ``which``."""
    return DensityMLE.from_parameters("normal", loc=[which, which], scale=[1.0, 1.0])


def write(path, which):
    """One file: of a model, or of 100,000 scores."""
    model = model_of(which)
    if path.endswith("model"):
        model.save(path)
    else:
        model.score_samples_batches([X] * BATCHES, path)


def obey():
    """Take orders: what to do, the path, the number of the writer."""
    print("ready", flush=True)
    for line in sys.stdin:
        order, path, which = line.rstrip("\n").split("\t")
        if order == "once":
            write(path, float(which))
            print("done", flush=True)
            continue
        child = os.fork()
        if child == 0:
            while True:
                write(path, float(which))
        print(child, flush=True)
        os.waitpid(child, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    obey()
