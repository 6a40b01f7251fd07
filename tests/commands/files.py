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


def read_numbers(path):
    """A CSV file of numbers to the last digit, which pandas reads from 3.1 on."""
    names = path.read_text().splitlines()[0].split(",")
    return pd.DataFrame(np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2), columns=names)


def read_scores(path):
    if path.suffix == ".npy":
        return np.load(path)
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else read_numbers(path)
    assert list(frame.columns) == ["log_density"]
    return frame["log_density"].to_numpy()
