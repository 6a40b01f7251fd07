"""Several writers of one file, writers that were killed, and what stands in the way of a file."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from fastkl import DensityMLE, load
from fastkl.rows import whole_file
from fastkl.rows.whole_file import WholeFile

X = np.random.default_rng(3).normal(size=(2000, 2))
ROOT = Path(__file__).parents[2]


def read(path):
    if path.suffix == ".npy":
        return np.load(path)
    if path.suffix == ".csv":
        return np.loadtxt(path, skiprows=1)
    from pyarrow import parquet

    return parquet.read_table(path).column(0).to_numpy()


@pytest.mark.parametrize("name", ["s.npy", "s.parquet", "s.csv"])
def test_writers_at_once_do_not_mix(name, tmp_path):
    """Each waits in the middle of its rows until all have begun; one of their results stands there, whole."""
    models = [DensityMLE.from_parameters("normal", loc=[m, m], scale=[1.0, 1.0]) for m in (0.0, 1.0, 2.0)]
    begun = threading.Barrier(len(models))

    def halves():
        yield X[:1000]
        begun.wait()
        yield X[1000:]

    writers = [threading.Thread(target=model.score_samples_batches, args=(halves, tmp_path / name)) for model in models]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    found = read(tmp_path / name)
    assert any(np.array_equal(found, model.score_samples(X)) for model in models)
    assert os.listdir(tmp_path) == [name]


KILLED = """
import os, signal, sys
import numpy as np
from fastkl import DensityMLE
model = DensityMLE.from_parameters("normal", loc=[0.0, 0.0], scale=[1.0, 1.0])
def rows():
    yield np.zeros((10, 2))
    os.kill(os.getpid(), signal.SIGKILL)
model.score_samples_batches(rows, sys.argv[1])
"""


@pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
def test_what_a_killed_writer_left_goes_with_the_next(tmp_path):
    out = tmp_path / "s.npy"
    out.write_bytes(b"before")
    done = subprocess.run([sys.executable, "-c", KILLED, out], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert done.returncode == -signal.SIGKILL
    assert out.read_bytes() == b"before"
    assert len(os.listdir(tmp_path)) == 2
    alive = WholeFile(out)  # takes away what is left, and is itself not taken for it
    assert sorted(os.listdir(tmp_path)) == ["s.npy", alive.temporary.name]
    DensityMLE.from_parameters("normal", loc=[0.0, 0.0], scale=[1.0, 1.0]).score_samples_batches(X, out)
    assert alive.temporary.exists()
    alive.discard()
    assert os.listdir(tmp_path) == ["s.npy"]


def test_other_names_are_left(tmp_path):
    names = ["m.0123abcd.part", "m.0123ABCD.part", "m.123.part", "m.part", "other.0123abcd.part", "m.0123abcd.part.gz"]
    for name in names:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (0, 0))
    whole_file.remove_stale(tmp_path / "m")
    assert sorted(os.listdir(tmp_path)) == sorted(names[1:])


def test_without_locks_young_files_are_left(tmp_path, monkeypatch):
    monkeypatch.setattr(whole_file, "fcntl", None)
    (tmp_path / "m.0123abcd.part").touch()
    (tmp_path / "m.01234567.part").touch()
    os.utime(tmp_path / "m.0123abcd.part", (0, 0))
    whole_file.remove_stale(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m.01234567.part"]
    file = WholeFile(tmp_path / "m")
    file.finish()
    assert sorted(os.listdir(tmp_path)) == ["m", "m.01234567.part"]


@pytest.mark.skipif(whole_file.fcntl is None, reason="locks of POSIX")
def test_a_writer_whose_file_was_taken_for_a_stale_one(tmp_path, monkeypatch):
    """Another writer removes it between its first moment and its lock."""
    lock, taken = whole_file._lock, []

    def late(handle, wait=False):
        if wait and not taken:
            taken.extend(os.listdir(tmp_path))
            whole_file.remove_stale(tmp_path / "m")
        return lock(handle, wait)

    monkeypatch.setattr(whole_file, "_lock", late)
    file = WholeFile(tmp_path / "m")
    assert len(taken) == 1
    assert os.listdir(tmp_path) == [file.temporary.name] != taken
    whole_file.remove_stale(tmp_path / "m")
    file.finish()
    assert os.listdir(tmp_path) == ["m"]


def test_a_model_goes_the_same_way(tmp_path):
    model = DensityMLE("normal").fit(X)
    (tmp_path / "m.0123abcd.part").touch()
    os.utime(tmp_path / "m.0123abcd.part", (0, 0))
    model.save(tmp_path / "m")
    assert os.listdir(tmp_path) == ["m"]
    np.testing.assert_array_equal(load(tmp_path / "m").params_["loc"], model.params_["loc"])


@pytest.mark.skipif(os.name != "posix", reason="links and pipes of POSIX")
def test_links_and_pipes(tmp_path):
    model = DensityMLE("normal").fit(X)
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.npy").symlink_to(tmp_path / "folder" / "s.npy")
    assert model.score_samples_batches(X, tmp_path / "link.npy") == tmp_path / "link.npy"
    assert (tmp_path / "link.npy").is_symlink()
    np.testing.assert_array_equal(np.load(tmp_path / "folder" / "s.npy"), model.score_samples(X))
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(OSError, match="Not a regular file"):
        model.score_samples_batches(X, tmp_path / "pipe.npy")


def test_a_missing_folder_is_named_and_no_temporary_file(tmp_path):
    model = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
    for name in ("m", "x.csv", "x.npy", "x.parquet"):
        path = tmp_path / "nodir" / name
        with pytest.raises(FileNotFoundError) as caught:
            model.save(path) if name == "m" else model.score_samples_batches(np.ones((3, 1)), path)
        assert str(caught.value) == f"There is no folder {tmp_path / 'nodir'} to write {name} in; make it first."
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError, match=r"file is a file, not a folder to write m in"):
        model.save(tmp_path / "file" / "m")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664, 0o444])
def test_a_file_keeps_its_permissions(tmp_path, mode):
    """A file that only its owner may read was one for all after it was written anew."""
    path = tmp_path / "model"
    model = DensityMLE("normal").fit(X)
    model.save(path)
    path.chmod(mode)
    model.save(path)
    assert path.stat().st_mode & 0o777 == mode | 0o600
    assert load(path).params_["loc"].tolist() == model.params_["loc"].tolist()
