"""NumPy's ``.npy`` files, read in slabs into buffers that are used again: memory stays at a few slabs however large the file.

A memory map would do without the copy, but its pages count as the process's own until they are given back, and a file that is
cut short while it is mapped ends the process with a signal. A read says what is wrong.
"""

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
from fastkl.rows.columns import Choice, as_floats, chosen
from fastkl.rows.read_ahead import read_ahead
from fastkl.rows.source import Block, Source, default_rows
from fastkl.rows.weights import Weights

DEPTH = 1  # slabs read ahead
BUFFERS = DEPTH + 2


class Descriptor:
    """A file open for reading until the last of those that read from it has gone."""

    def __init__(self, path: Path):
        self.number = -1
        self.number = os.open(path, os.O_RDONLY)

    def __del__(self) -> None:
        if self.number >= 0:
            os.close(self.number)


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

    def open(self) -> Descriptor:
        """The file, for ``read``."""
        return Descriptor(self.path)

    def _header(self, stream: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
        try:
            version = npy_format.read_magic(stream)
            read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            return read(stream)
        except (ValueError, EOFError, UnicodeDecodeError) as error:
            raise SourceError(
                f"{self.path} is not a .npy file (as numpy.save writes it), or its header is damaged: {error}"
            ) from error

    def read(self, opened: "Descriptor", first: int, buffer: NDArray[Any]) -> NDArray[Any]:
        """Rows from number ``first`` on, as many as the buffer holds or the file has: a view of the buffer."""
        part = buffer[: max(0, min(len(buffer), self.shape[0] - first))]
        if self.fortran and part.ndim == 2:
            column = np.empty(len(part), dtype=self.dtype)
            for j in range(self.shape[1]):
                self._fill(opened, (j * self.shape[0] + first) * self.dtype.itemsize, column)
                part[:, j] = column
        else:
            self._fill(opened, first * self.row_bytes, part)
        return part

    def _fill(self, opened: "Descriptor", at: int, part: NDArray[Any]) -> None:
        # at a place, not from where the last read ended: several threads read
        view, done = part.view(np.uint8).reshape(-1).data, 0
        while done < len(view):
            got = os.preadv(opened.number, [view[done:]], self.offset + at + done)
            if not got:
                raise SourceError(f"{self.path} became shorter while it was read.")
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
        kind = self.file.dtype.kind
        if kind not in "fiub" and not self.labels:
            raise SourceError(
                f"{self.file.path} holds values of type {self.file.dtype}, not real numbers. Labels as they are can be fitted by "
                "the family 'categorical'."
            )
        self.n_rows, width = self.file.shape
        self.columns = None if choice.columns is None else chosen(choice, None, width, str(self.file.path))
        self.n_columns = width if self.columns is None else len(self.columns)
        self.block_rows = block_rows or default_rows(self.file.row_bytes)

    def blocks(self) -> Iterator[Block]:
        return read_ahead(self._slabs(), DEPTH)

    def parts(self) -> Iterator[Callable[[], Block]]:
        """Every thread reads into a buffer of its own, which is in its cache when it is worked on."""
        own = threading.local()
        opened = self.file.open()
        for number, first in enumerate(range(0, self.file.shape[0], self.block_rows)):
            yield partial(self._slab, opened, own, first, number)

    def _slabs(self) -> Iterator[Block]:
        buffers = [self._buffer() for _ in range(BUFFERS)]
        opened = self.file.open()
        for number, first in enumerate(range(0, self.file.shape[0], self.block_rows)):
            yield self._block(opened, buffers[number % BUFFERS], first, number)

    def _slab(self, opened: "Descriptor", own: threading.local, first: int, number: int) -> Block:
        if not hasattr(own, "buffer"):
            own.buffer = self._buffer()
        return self._block(opened, own.buffer, first, number)

    def _buffer(self) -> NDArray[Any]:
        return np.empty((min(self.block_rows, self.file.shape[0]), self.file.shape[1]), dtype=self.file.dtype)

    def _block(self, opened: "Descriptor", buffer: NDArray[Any], first: int, number: int) -> Block:
        X = self.file.read(opened, first, buffer)
        if self.columns is not None:
            X = np.ascontiguousarray(X[:, self.columns])
        weights = None if self.weights is None else self.weights.part(first, len(X))
        return Block(self._native(X), weights, first, number)

    def _native(self, X: NDArray[Any]) -> NDArray[Any]:
        if not self.labels:
            return as_floats(X)
        return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))
