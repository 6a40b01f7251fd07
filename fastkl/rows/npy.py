"""NumPy's ``.npy`` files, in slabs: memory stays at a slab for each thread, however large the file.

Slabs are mapped, not read: a read copies every byte once more, which for the cheapest families takes longer than all else.
Pages of a map count as the process's own until they are given back, so each thread gives back its slab before it takes the
next one. A file that is cut short while it is mapped would end the process with a signal; so its size is looked at before
every slab. Columns in Fortran order, and values that are not aligned, are read into a buffer.
"""

import mmap
import os
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice, chosen
from fastkl.rows.reading import as_floats, refuse_dates
from fastkl.rows.source import Block, Source, default_rows
from fastkl.rows.weights import Weights


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
        complete = size // self.row_bytes if self.row_bytes else 0
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
            return read(stream)
        except (ValueError, EOFError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{self.path} is not a .npy file (as numpy.save writes it), or its header is damaged: {error}"
            ) from error


class OpenFile:
    """The values of a file, mapped where they lie in memory order, else read; open until the last who holds this has gone."""

    def __init__(self, file: NpyFile, mapped: bool):
        self._number = -1
        self._file = file
        self._number = os.open(file.path, os.O_RDONLY)
        self._map: mmap.mmap | None = None
        self.mapped: NDArray[Any] | None = None
        aligned = file.offset % file.dtype.alignment == 0
        if mapped and not file.fortran and aligned and file.shape[0] * file.row_bytes > 0:
            self._check(file.shape[0])
            end = file.offset + file.shape[0] * file.row_bytes
            self._map = mmap.mmap(self._number, end, prot=mmap.PROT_READ)
            if hasattr(mmap, "MADV_SEQUENTIAL"):
                self._map.madvise(mmap.MADV_SEQUENTIAL)
            count = int(np.prod(file.shape))
            self.mapped = np.frombuffer(self._map, dtype=file.dtype, count=count, offset=file.offset).reshape(
                file.shape
            )

    def __del__(self) -> None:
        if self._number >= 0:
            os.close(self._number)

    def _check(self, n_rows: int) -> None:
        """SourceError if the file no longer has so many rows: to touch a page of the map that is not there ends the process."""
        if os.fstat(self._number).st_size < self._file.offset + n_rows * self._file.row_bytes:
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
        # at a place, not from where the last read ended: several threads read
        view, done = part.view(np.uint8).reshape(-1).data, 0
        while done < len(view):
            got = os.preadv(self._number, [view[done:]], self._file.offset + at + done)
            if not got:
                raise SourceError(f"{self._file.path} became shorter while it was read.")
            done += got


class NpySource(Source):
    """The rows of a ``.npy`` file in C or Fortran order, any real dtype or byte order; columns are chosen by number."""

    def __init__(
        self,
        path: Any,
        choice: Choice,
        weights: Weights | None = None,
        block_rows: int | None = None,
    ):
        self.file, self.weights, self.labels = NpyFile(path), weights, choice.labels
        if choice.weights is not None:
            raise SourceError(
                f"{self.file.path} has columns without names, so that {choice.weights!r} names no weights."
            )
        kind = self.file.dtype.kind
        refuse_dates("column 0", self.file.dtype, None, str(self.file.path))
        if kind not in "fiub" and not self.labels:
            raise SourceError(
                f"{self.file.path} holds values of type {self.file.dtype}, not real numbers. Encode them as numbers; labels as "
                "they are can be fitted by a categorical family."
            )
        self.n_rows, width = self.file.shape
        self.columns = None if choice.columns is None else chosen(choice, None, width, str(self.file.path))
        self.n_columns = width if self.columns is None else len(self.columns)
        self.block_rows = block_rows or default_rows(self.file.row_bytes)

    def blocks(self) -> Iterator[Block]:
        for part in self.parts():
            yield part()

    def parts(self) -> Iterator[Callable[[], Block]]:
        opened, own = self.file.open(), threading.local()
        for number, first in enumerate(range(0, self.file.shape[0], self.block_rows)):
            yield partial(self._block, opened, own, first, number)

    def _block(self, opened: "OpenFile", own: threading.local, first: int, number: int) -> Block:
        """A block, in a thread that is done with its last one: that is given back, or its buffer is used again."""
        n = min(self.block_rows, self.file.shape[0] - first)
        if opened.mapped is not None:
            if hasattr(own, "last"):
                opened.give_back(*own.last)
            own.last = (first, n)
            X = opened.view(first, n)
        else:
            if not hasattr(own, "buffer"):
                own.buffer = np.empty((self.block_rows, self.file.shape[1]), dtype=self.file.dtype)
            X = opened.read(first, own.buffer[:n])
        if self.columns is not None:
            X = np.ascontiguousarray(X[:, self.columns])
        weights = None if self.weights is None else self.weights.part(first, n)
        return Block(self._native(X), weights, first, number)

    def _native(self, X: NDArray[Any]) -> NDArray[Any]:
        if not self.labels:
            return as_floats(X)
        return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))
