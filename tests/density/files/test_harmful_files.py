"""Files that would hurt: sizes that are not true, arrays of zeros, objects, damage; each is refused, and cheaply."""

import errno
import io
import json
import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from fastkl import DensityMLE, ModelFileError, ProductDensity, load
from fastkl.density.files import persistence
from tests.density.files.editing import edited

RNG = np.random.default_rng(0)
X = RNG.gamma(2.0, size=(60, 2))
NORMAL = DensityMLE("normal").fit(X)


def refused_cheaply(path, message):
    tracemalloc.start()
    with pytest.raises(ModelFileError, match=message):
        load(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e7


def test_a_header_of_blanks(tmp_path):
    with (
        zipfile.ZipFile(tmp_path / "bad", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("fastkl.json", "w") as out,
    ):
        for _ in range(persistence.LARGEST_HEADER // 2**20 + 1):
            out.write(b" " * 2**20)
    refused_cheaply(tmp_path / "bad", "header is larger than 64 megabytes")


def test_an_array_of_zeros(tmp_path):
    NORMAL.save(tmp_path / "model")
    with (
        zipfile.ZipFile(tmp_path / "model") as old,
        zipfile.ZipFile(tmp_path / "bad", "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            if name != "0.npy":
                new.writestr(name, old.read(name))
        with new.open("0.npy", "w") as out:
            for _ in range(persistence.LARGEST_UNPACKED // 2**20 + 1):
                out.write(bytes(2**20))
    refused_cheaply(tmp_path / "bad", "unpacks to 257 megabytes, more than 256")


@pytest.mark.parametrize("shape", ["(2**40,)", f"({2**40},)", "(-2,)", "(3,)", "(True,)", "((((", f"({2**63},)"])
def test_an_array_that_lies_about_its_shape(shape, tmp_path):
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (-(len(text) + 11) % 64) + b"\n"
    array = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(16)
    NORMAL.save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as old, zipfile.ZipFile(tmp_path / "bad", "w") as new:
        for name in old.namelist():
            new.writestr(name, array if name == "0.npy" else old.read(name))
    refused_cheaply(tmp_path / "bad", "damaged or not a fastkl density")


def test_an_array_named_twice(tmp_path):
    """One array for all groups would use its size once for each."""
    product = ProductDensity([("a", DensityMLE("gamma"), [0]), ("b", DensityMLE("normal"), [1])]).fit(X)
    product.save(tmp_path / "model")
    bad = edited(
        tmp_path / "model", tmp_path / "bad", lambda header: json.loads(json.dumps(header).replace("5.npy", "0.npy"))
    )
    with pytest.raises(ModelFileError):
        load(bad)


def test_objects_are_never_unpickled(tmp_path):
    NORMAL.save(tmp_path / "model")
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.array([print, print], dtype=object), allow_pickle=True)
    with zipfile.ZipFile(tmp_path / "model") as old, zipfile.ZipFile(tmp_path / "bad", "w") as new:
        for name in old.namelist():
            new.writestr(name, stream.getvalue() if name == "0.npy" else old.read(name))
    with pytest.raises(ModelFileError, match="which are no object"):
        load(tmp_path / "bad")


def test_damage_and_trouble_are_told_apart(tmp_path, monkeypatch):
    """A place in the file that is none is damage; a disk that fails is not."""
    NORMAL.save(tmp_path / "model")
    for number, error in ((errno.EINVAL, ModelFileError), (errno.EIO, OSError)):

        def fail(stream, number=number):
            raise OSError(number, os.strerror(number))

        with monkeypatch.context() as patched:
            patched.setattr(persistence, "_read", fail)
            with pytest.raises(error) as caught:
                load(tmp_path / "model")
        assert (type(caught.value) is ModelFileError) == (error is ModelFileError)


def test_every_byte_of_a_file_may_be_wrong(tmp_path):
    """A file with one byte changed is refused, or holds the same density (of the byte that says when it was written, say)."""
    NORMAL.save(tmp_path / "model")
    whole = (tmp_path / "model").read_bytes()
    rng = np.random.default_rng(0)
    for place in range(0, len(whole), 3):
        data = bytearray(whole)
        data[place] ^= 1 << int(rng.integers(8))
        (tmp_path / "bad").write_bytes(data)
        try:
            read = load(tmp_path / "bad")
        except ModelFileError:
            continue
        np.testing.assert_array_equal(read.score_samples(X), NORMAL.score_samples(X))


def test_a_weight_that_is_no_number(tmp_path):
    """Its imaginary part would be dropped."""
    NORMAL.save(tmp_path / "model")
    bad = edited(tmp_path / "model", tmp_path / "bad", a0=np.full(2, 60.0 + 1.0j))
    with pytest.raises(ModelFileError, match="the weight of the rows is of type complex128, not float64"):
        load(bad)


def test_numbers_beyond_all_others_are_refused_without_a_warning(tmp_path):
    """The log-likelihood that they would have overflows on the way."""
    DensityMLE("rayleigh").fit(np.abs(X)).save(tmp_path / "model")
    with pytest.raises(ModelFileError, match="log_likelihood_"):
        load(edited(tmp_path / "model", tmp_path / "bad", a3=np.full(np.shape(X[0]), 1e-200)))
