"""One weight for each row, in memory or in a ``.npy`` file, read in step with the rows."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows.npy_file import NpyFile


class Weights:
    """Weights by row number.

    Parameters
    ----------
    weights : array-like of shape (n,)
        In memory.
    """

    def __init__(self, weights: Any):
        self._values = np.asarray(weights)
        if self._values.ndim != 1 or self._values.dtype.kind not in "fiub":
            raise SourceError(
                f"sample_weight has shape {self._values.shape} and type {self._values.dtype}; it takes one number for each "
                "row, or the path of a .npy file with them, or for tables the name of a column."
            )
        self.n_rows = len(self._values)

    def part(self, first: int, n_rows: int) -> NDArray[np.float64]:
        """The weights of so many rows."""
        if first + n_rows > self.n_rows:
            raise SourceError(f"sample_weight has {self.n_rows} entries, the source has more rows.")
        return np.ascontiguousarray(self._read(first, n_rows), dtype=np.float64)

    def _read(self, first: int, n_rows: int) -> NDArray[Any]:
        return self._values[first : first + n_rows]

    def check(self, n_rows: int) -> None:
        """SourceError if there are not just so many."""
        if n_rows != self.n_rows:
            raise SourceError(f"sample_weight has {self.n_rows} entries, the source has {n_rows} rows.")


class NpyWeights(Weights):
    """Weights in a ``.npy`` file."""

    def __init__(self, file: NpyFile):
        if file.dtype.kind not in "fiub":
            raise SourceError(f"{file.path} holds values of type {file.dtype}, not weights.")
        self._file, self.n_rows = file, file.shape[0]

    def _read(self, first: int, n_rows: int) -> NDArray[Any]:
        return self._file.open(mapped=False).read(first, np.empty(n_rows, dtype=self._file.dtype))
