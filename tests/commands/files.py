"""What the tests of the commands share: the data, the call of a command, and the scores that a file holds."""

from pathlib import Path

import numpy as np
import pandas as pd

from fastkl.cli import main

ROOT = Path(__file__).parents[2]
DATA = ROOT / "tests" / "data"
FAITHFUL = pd.read_csv(DATA / "old_faithful.csv")


def run(capsys, *arguments, status=0):
    """Standard output of a command; on an error its one line."""
    assert main([str(argument) for argument in arguments]) == status
    out, err = capsys.readouterr()
    if status == 0:
        assert err == ""
        return out
    lines = err.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("fastkl: ")
    return lines[0]


def read_scores(path):
    if path.suffix == ".npy":
        return np.load(path)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, float_precision="round_trip")
    assert list(frame.columns) == ["log_density"]
    return frame["log_density"].to_numpy()
