"""Results in files: whole under their name, or not there at all."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastkl import DensityMLE, SourceError
from fastkl.rows.output import MemoryOutput, NpyOutput, open_output

X = np.random.default_rng(0).normal(size=(5000, 2))
MODEL = DensityMLE("normal").fit(X)
EXPECTED = MODEL.score_samples(X)


def batches():
    return (X[i : i + 700] for i in range(0, len(X), 700))


def test_everywhere(tmp_path):
    for source in (X, batches()):
        np.testing.assert_array_equal(MODEL.score_samples_batches(source), EXPECTED)
    for name in ("s.npy", "s.parquet", "s.csv"):
        for source in (X, batches()):
            assert MODEL.score_samples_batches(source, str(tmp_path / name), batch_rows=1234) == tmp_path / name
        assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []
    np.testing.assert_array_equal(np.load(tmp_path / "s.npy"), EXPECTED)
    assert np.load(tmp_path / "s.npy", mmap_mode="r").shape == (5000,)
    table = parquet.read_table(tmp_path / "s.parquet")
    assert table.schema == pa.schema([("log_density", pa.float64())])
    np.testing.assert_array_equal(table.column(0).to_numpy(), EXPECTED)
    assert (tmp_path / "s.csv").read_text().splitlines() == ["log_density", *map(repr, EXPECTED.tolist())]
    out = np.lib.format.open_memmap(tmp_path / "mapped.npy", "w+", np.float64, (5000,))
    assert MODEL.score_samples_batches(batches(), out) is out
    np.testing.assert_array_equal(np.load(tmp_path / "mapped.npy"), EXPECTED)
    small = np.zeros(5000, dtype=np.float32)
    MODEL.score_samples_batches(X, small)
    np.testing.assert_array_equal(small, EXPECTED.astype(np.float32))


def test_arrays_that_will_not_do():
    frozen = np.zeros(5000)
    frozen.flags.writeable = False
    for out, message in [
        (np.zeros(4999), "out has 4999 entries, the source has 5000 rows"),
        (np.zeros((5000, 1)), r"shape \(n,\)"),
        (np.zeros(5000, dtype=int), "a float type"),
        (frozen, "cannot be written to"),
    ]:
        with pytest.raises(ValueError, match=message):
            MODEL.score_samples_batches(X, out)
    with pytest.raises(ValueError, match="out has 4999 entries, the source has more rows"):
        MODEL.score_samples_batches(batches(), np.zeros(4999))
    with pytest.raises(ValueError, match="out has 5001 entries, the source has 5000 rows"):
        MODEL.score_samples_batches(batches(), np.zeros(5001))
    with pytest.raises(MemoryError, match=r"give out='scores.npy'"):
        MemoryOutput(1 << 50)


def test_paths_that_will_not_do(tmp_path):
    np.save(tmp_path / "X.npy", X)
    with pytest.raises(SourceError, match="out is the source itself"):
        MODEL.score_samples_batches(tmp_path / "X.npy", str(tmp_path / "X.npy"))
    with pytest.raises(SourceError, match="out is the source itself"):
        MODEL.score_samples_batches([tmp_path / "X.npy"], tmp_path / "X.npy")
    with pytest.raises(ValueError, match="out ends in .npy, .parquet or .csv, not in '.txt'"):
        MODEL.score_samples_batches(X, tmp_path / "s.txt")
    with pytest.raises(TypeError, match="out is None, the path"):
        MODEL.score_samples_batches(X, 3)
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*nowhere to write s.npy in"):
        MODEL.score_samples_batches(X, tmp_path / "nowhere" / "s.npy")
    (tmp_path / "s.npy").mkdir()
    with pytest.raises(IsADirectoryError, match="give the name of a file in it"):
        MODEL.score_samples_batches(X, tmp_path / "s.npy")


@pytest.mark.parametrize("name", ["s.npy", "s.parquet", "s.csv"])
def test_bad_rows_leave_no_file(tmp_path, name):
    Z = X.copy()
    Z[4000, 1] = np.nan
    (tmp_path / name).write_bytes(b"before")
    with pytest.raises(ValueError, match=r"NaN: row 4000 \(batch 1\), column 1"):
        MODEL.score_samples_batches([Z[:3000], Z[3000:]], tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"before"


@pytest.mark.parametrize("name", ["s.npy", "s.parquet", "s.csv"])
def test_interrupt_leaves_rows_so_far(tmp_path, name):
    output = open_output(tmp_path / name, None)
    output.write(0, EXPECTED[:100])
    output.write(100, EXPECTED[100:150])
    output.abandon(keep=True)
    partial = tmp_path / f"{name}.partial"
    readers = {
        "s.npy": np.load,
        "s.parquet": lambda stream: parquet.read_table(stream).column(0).to_numpy(),
        "s.csv": lambda stream: np.loadtxt(stream, skiprows=1),
    }
    with open(partial, "rb") as stream:
        found = readers[name](stream)
    np.testing.assert_array_equal(found, EXPECTED[:150])
    assert not (tmp_path / name).exists()


def test_full_disk(tmp_path, monkeypatch):
    """The write fails, or only the closing of the file does: an error that says so, nothing under the name, no partial file."""

    class Full:
        def __init__(self, stream, room):
            self.stream, self.room = stream, room

        def write(self, data):
            self.room -= len(data)
            if self.room < 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return self.stream.write(data)

        def flush(self):
            if self.room < 100_000:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        def __getattr__(self, name):
            return getattr(self.stream, name)

    for room in (10_000, 50_000):

        def opened(self, path, room=room):
            self._begin(Full(open(path, "wb"), room))  # noqa: SIM115

        monkeypatch.setattr(NpyOutput, "_open", opened)
        with pytest.raises(OSError, match="No space left on device: after .* rows the file could not be") as caught:
            MODEL.score_samples_batches(X, tmp_path / "s.npy", batch_rows=1000)
        assert caught.value.errno == errno.ENOSPC
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["s.npy", "s.parquet", "s.csv"])
def test_file_that_may_not_grow(tmp_path, name):
    """The system itself refuses, in a process with a limit on the size of files."""
    script = f"""
import resource
import numpy as np
from fastkl import DensityMLE
model = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
if {name!r}.endswith("parquet"):
    import pyarrow.parquet
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    model.score_samples_batches(np.zeros((50_000, 1)), {str(tmp_path / name)!r}, batch_rows=1000)
except OSError as error:
    print(type(error).__name__, error)
"""
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(root)}
    )
    assert done.returncode == 0, done.stderr
    assert "OSError" in done.stdout
    assert "File too large" in done.stdout
    assert f"{name} is as it was before" in done.stdout
    assert list(tmp_path.iterdir()) == []
