"""NumPy's ``.npy`` files, in slabs: memory stays at a slab for each thread, however large the file.

Slabs are mapped, not read: a read copies every byte once more, which for the cheapest families takes longer than all else.
Pages of a map count as the process's own until they are given back, so each thread gives back its slab before it takes the
next one. Columns in Fortran order, and values that are not aligned, are read into a buffer.
"""

import threading
from collections.abc import Callable, Generator
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice, chosen
from fastkl.rows.npy_file import NpyFile, OpenFile
from fastkl.rows.reading import as_floats, numbers, refuse_dates_and_nested, refuse_inexact
from fastkl.rows.source import Block, SourceInParts, default_rows
from fastkl.rows.weights import Weights


class NpySource(SourceInParts):
    """The rows of a ``.npy`` file in C or Fortran order, any real dtype or byte order; columns are chosen by number."""

    def __init__(
        self,
        path: Any,
        choice: Choice,
        weights: Weights | None = None,
        block_rows: int | None = None,
    ):
        self.file, self.weights, self.labels = NpyFile(path), weights, choice.labels
        self.exact = choice.exact
        if choice.weights is not None:
            raise SourceError(
                f"{self.file.path} has columns without names, so that {choice.weights!r} names no weights."
            )
        kind = self.file.dtype.kind
        refuse_dates_and_nested("column 0", self.file.dtype, None, str(self.file.path))
        if kind not in "fiubUS" and not self.labels:
            raise SourceError(
                f"{self.file.path} holds values of type {self.file.dtype}, not real numbers. Encode them as numbers; labels as "
                "they are can be fitted by a categorical family."
            )
        self.n_rows, width = self.file.shape
        self.columns = None if choice.columns is None else chosen(choice, None, width, str(self.file.path))
        self.n_columns = width if self.columns is None else len(self.columns)
        self.block_rows = block_rows or default_rows(self.file.row_bytes)

    def parts(self) -> Generator[Callable[[], Block]]:
        opened, own = self.file.open(), threading.local()
        for number, first in enumerate(range(0, self.file.shape[0], self.block_rows)):
            yield partial(self._block, opened, own, first, number)

    def _block(self, opened: OpenFile, own: threading.local, first: int, number: int) -> Block:
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
        return Block(self._native(X, first), weights, first, number)

    def _native(self, X: NDArray[Any], first: int) -> NDArray[Any]:
        if not self.labels and X.dtype.kind in "US":
            chosen = range(X.shape[1]) if self.columns is None else self.columns
            return np.stack(
                [numbers(X[:, i], f"{self.file.path}, column {j}", first) for i, j in enumerate(chosen)], axis=1
            )
        if not self.labels:
            for i, j in enumerate(self.columns or range(X.shape[1]) if self.exact else ()):
                refuse_inexact(X[:, i], f"{self.file.path}, column {j}")
            return as_floats(X)
        return X if X.dtype.isnative else X.astype(X.dtype.newbyteorder("="))
