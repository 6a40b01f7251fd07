"""Densities as files: a JSON header and plain arrays in one zip archive. Reading such a file runs no code of its own.

The header holds the kind of the density, its parameters and what it learnt; arrays are stored beside it in NumPy's own format,
without pickling. A file is written under a temporary name in the same folder, read back, and renamed when that went well: what
``load`` would refuse is refused by ``save``, and nothing is left of it.

A file cannot hurt: what it unpacks to is bounded before a byte is unpacked, every array is as long as it says, and parameters
out of their range or of the wrong shape are an error.
"""

from __future__ import annotations

import errno
import io
import json
import math
import os
import zipfile
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from fastkl.density.files.values import WAY_OUT, Arrays, pack_density, unpack_density
from fastkl.exceptions import ModelFileError
from fastkl.rows.whole_file import WholeFile

# Version 2: the observed information in statistics is about parameters in their units.
FORMAT, VERSION, HEADER = "fastkl density", 2, "fastkl.json"
LARGEST_HEADER = 2**26
# Bytes of all that is compressed; what is more is stored as it is, and can't be more than the file.
LARGEST_UNPACKED = 2**28


def save_density(density: Any, path: Any) -> None:
    """Write a fitted density; TypeError or ModelFileError, and no file, for one that ``load`` could not read."""
    arrays: Arrays = {}
    header = json.dumps({"format": FORMAT, "version": VERSION, **pack_density(density, arrays)}, indent=1)
    file = WholeFile(path)
    try:
        with os.fdopen(file.handle, "w+b", closefd=False) as stream:
            _write(stream, header, arrays)
            stream.flush()
            try:
                _read(stream)
            except Exception as error:
                raise ModelFileError(
                    f"This {type(density).__name__} can't be saved, since load would refuse it ({error}). {WAY_OUT}"
                ) from error
        file.finish()
    except BaseException:
        file.discard()
        raise


def _write(stream: BinaryIO, header: str, arrays: Arrays) -> None:
    compressed = sum(array.nbytes for array in arrays.values()) < LARGEST_UNPACKED // 2
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(HEADER, header)
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.lib.format.write_array(buffer, array, allow_pickle=False)
            archive.writestr(name, buffer.getvalue(), zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED)


def load(path: Any) -> Any:
    """Read a density that ``save`` wrote.

    Parameters
    ----------
    path : str or path-like
        The path given to ``save``.

    Returns
    -------
    density
        The density that was saved, with all that it had learnt.

    Raises
    ------
    ModelFileError
        If the file is damaged, foreign, or of a later format, or holds parameters that are out of range. Nothing in a file can
        make this function run code, or use much more memory than the file is large.
    FileNotFoundError
        If there is no such file.

    Examples
    --------
    >>> import os, tempfile
    >>> import fastkl
    >>> path = os.path.join(tempfile.mkdtemp(), "model")
    >>> fastkl.DensityMLE.from_parameters("normal", loc=0.0, scale=1.0).save(path)
    >>> fastkl.load(path).params_
    {'loc': array([0.]), 'scale': array([1.])}
    """
    with open(path, "rb") as stream:
        try:
            return _read(stream)
        except _UnreadableError as error:
            raise ModelFileError(f"{path} {error}") from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a place in the file that is none
                raise
            reason = str(error) if isinstance(error, ModelFileError) else f"{type(error).__name__}: {error}"
            raise ModelFileError(f"{path} is damaged or not a fastkl density ({reason}).") from error


class _UnreadableError(ModelFileError):
    """A file that is whole, but nothing that this version reads."""


def _read(stream: BinaryIO) -> Any:
    size = stream.seek(0, os.SEEK_END)
    with zipfile.ZipFile(stream) as archive:
        _check_sizes(archive, size)
        header = json.loads(archive.read(HEADER))
        if header["format"] != FORMAT:
            raise _UnreadableError("is not a fastkl density.")
        version = header["version"]
        if type(version) is not int or version < 1:
            raise ModelFileError(f"its version is {version!r}")
        if version < VERSION:
            raise _UnreadableError(
                f"was written by a fastkl before 0.1.0 (format {version}), whose standard errors would be misread; fit and save "
                "the density again."
            )
        if version > VERSION:
            raise _UnreadableError(f"was written by a later fastkl (format {version}); this one reads {VERSION}.")
        unread = set(archive.namelist())

        def array(name: str) -> NDArray[Any]:
            # once each: a file that names an array a thousand times would use its size a thousand times
            unread.remove(name)
            return _array(archive, name)

        density = unpack_density(header, array)
    if not hasattr(density, "n_features_in_"):
        raise ModelFileError("what it holds is not fitted")
    return density


def _check_sizes(archive: zipfile.ZipFile, size: int) -> None:
    """ModelFileError for a file that would unpack to much more than its own size."""
    if archive.getinfo(HEADER).file_size > LARGEST_HEADER:
        raise ModelFileError(f"its header is larger than {LARGEST_HEADER >> 20} megabytes")
    if any(member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED) for member in archive.infolist()):
        raise ModelFileError("it is compressed in another way")
    unpacked = sum(member.file_size for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED)
    if sum(member.compress_size for member in archive.infolist()) > size:
        raise ModelFileError("parts of it overlap")
    if unpacked > LARGEST_UNPACKED:
        raise ModelFileError(f"it unpacks to {unpacked >> 20} megabytes, more than {LARGEST_UNPACKED >> 20}")


def _array(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """One array; ModelFileError unless it has the length that its shape says."""
    data = archive.read(name)
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
    shape, fortran_order, dtype = read_header(stream)
    count, start = math.prod(shape), stream.tell()
    if dtype.hasobject or min(shape, default=0) < 0 or count * dtype.itemsize != len(data) - start:
        raise ModelFileError(f"{name} holds {len(data) - start} bytes, which are no {dtype} of shape {shape}")
    array = np.frombuffer(data, dtype, count, start).copy()
    return array.reshape(shape, order="F" if fortran_order else "C")
