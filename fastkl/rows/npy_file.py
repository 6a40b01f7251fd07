"""A ``.npy`` file on its own: its header, checked against its size, and its values, mapped or read from any number of threads.

A file that is cut short while it is mapped would end the process with a signal; so its size is looked at before every slab.
"""

import mmap
import os
import threading
import tokenize
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from fastkl.exceptions import SourceError


class NpyFile:
    """The header of a ``.npy`` file, checked against its size, and its rows in any order.

    Parameters
    ----------
    path : path-like
        The file.
    n_dimensions : int
        What is asked for: 2 for rows, 1 for weights.
    """

    def __init__(self, path: Any, n_dimensions: int = 2):
        self.path = Path(path)
        with open(self.path, "rb") as stream:
            self.shape, self.fortran, self.dtype = self._header(stream)
            self.offset = stream.tell()
            size = os.fstat(stream.fileno()).st_size - self.offset
        if self.dtype.hasobject:
            raise SourceError(
                f"{self.path} holds Python objects, which only unpickling could read and which could then run anything. Save "
                "numbers, or labels as a string array: np.save(path, array.astype(float)) or array.astype(str)."
            )
        if self.dtype.names is not None or self.dtype.subdtype is not None:
            raise SourceError(
                f"{self.path} holds records with the fields {', '.join(self.dtype.names or ())}; save a plain matrix, for "
                "instance numpy.lib.recfunctions.structured_to_unstructured(array)."
            )
        if len(self.shape) != n_dimensions:
            asked = "rows of shape (n, d)" if n_dimensions == 2 else "one weight for each row, of shape (n,)"
            hint = (
                " Save array.reshape(-1, 1) if it is one column." if (len(self.shape), n_dimensions) == (1, 2) else ""
            )
            raise SourceError(f"{self.path} holds an array of shape {self.shape}; what is needed is {asked}.{hint}")
        self.row_bytes = self.dtype.itemsize * (self.shape[1] if n_dimensions == 2 else 1)
        if self.row_bytes == 0:
            raise SourceError(
                f"{self.path} holds an array of shape {self.shape} and type {self.dtype}: no values to read."
            )
        complete = size // self.row_bytes
        if size < self.shape[0] * self.row_bytes:
            whole = "" if self.fortran and n_dimensions == 2 else f": {complete} complete rows"
            raise SourceError(
                f"{self.path} is cut short: its header says {self.shape[0]} rows of {self.row_bytes} bytes, the file holds "
                f"{size} bytes of values{whole}. Write or copy it again."
            )

    def open(self, mapped: bool = True) -> "OpenFile":
        """The file for one pass, in any number of threads."""
        return OpenFile(self, mapped)

    def _header(self, stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            version = npy_format.read_magic(stream)
            read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, fortran, dtype = read(stream)
            if any(length < 0 for length in shape):
                raise ValueError(f"its shape is {shape}")
            return shape, fortran, dtype
        except (ValueError, EOFError, UnicodeDecodeError, SyntaxError, tokenize.TokenError) as error:
            raise SourceError(
                f"{self.path} is not a .npy file (as numpy.save writes it), or its header is damaged: {error}"
            ) from error


class OpenFile:
    """The values of a file, mapped where they lie in memory order, else read; open until the last who holds this has gone."""

    def __init__(self, file: NpyFile, mapped: bool):
        self._stream: FileIO | None = None
        self._file = file
        self._stream = open(file.path, "rb", buffering=0)  # noqa: SIM115
        self._reading = threading.Lock()
        self._map: mmap.mmap | None = None
        self.mapped: NDArray[Any] | None = None
        aligned = file.offset % file.dtype.alignment == 0
        if mapped and not file.fortran and aligned and file.shape[0] * file.row_bytes > 0:
            self._check(file.shape[0])
            end = file.offset + file.shape[0] * file.row_bytes
            self._map = mmap.mmap(self._stream.fileno(), end, access=mmap.ACCESS_READ)
            if hasattr(mmap, "MADV_SEQUENTIAL"):
                self._map.madvise(mmap.MADV_SEQUENTIAL)
            count = int(np.prod(file.shape))
            self.mapped = np.frombuffer(self._map, dtype=file.dtype, count=count, offset=file.offset).reshape(
                file.shape
            )

    def __del__(self) -> None:
        if self._stream is not None:
            self._stream.close()

    def _check(self, n_rows: int) -> None:
        """SourceError if the file no longer has so many rows: to touch a page of the map that is not there ends the process."""
        assert self._stream is not None
        if os.fstat(self._stream.fileno()).st_size < self._file.offset + n_rows * self._file.row_bytes:
            raise SourceError(f"{self._file.path} became shorter while it was read.")

    def view(self, first: int, n_rows: int) -> NDArray[Any]:
        """Rows of the map."""
        assert self.mapped is not None
        self._check(first + n_rows)
        return self.mapped[first : first + n_rows]

    def give_back(self, first: int, n_rows: int) -> None:
        """Let go of the memory of these rows; pages shared with neighbours that are still looked at come back by themselves."""
        if self._map is None or not hasattr(mmap, "MADV_DONTNEED"):
            return
        start = self._file.offset + first * self._file.row_bytes
        low = start // mmap.PAGESIZE * mmap.PAGESIZE
        self._map.madvise(mmap.MADV_DONTNEED, low, min(start + n_rows * self._file.row_bytes, len(self._map)) - low)

    def read(self, first: int, part: NDArray[Any]) -> NDArray[Any]:
        """Rows from number ``first`` on, into ``part``."""
        file = self._file
        if file.fortran and part.ndim == 2:
            column = np.empty(len(part), dtype=file.dtype)
            for j in range(file.shape[1]):
                self._fill((j * file.shape[0] + first) * file.dtype.itemsize, column)
                part[:, j] = column
        else:
            self._fill(first * file.row_bytes, part)
        return part

    def _fill(self, at: int, part: NDArray[Any]) -> None:
        view, done = part.view(np.uint8).reshape(-1).data, 0
        while done < len(view):
            got = self._read_at(self._file.offset + at + done, view[done:])
            if not got:
                raise SourceError(f"{self._file.path} became shorter while it was read.")
            done += got

    def _read_at(self, place: int, view: memoryview) -> int | None:
        """Bytes from a place, not from where the last read ended: several threads read. Windows has no call for that."""
        assert self._stream is not None
        if hasattr(os, "preadv"):
            return os.preadv(self._stream.fileno(), [view], place)
        with self._reading:
            self._stream.seek(place)
            return self._stream.readinto(view)
