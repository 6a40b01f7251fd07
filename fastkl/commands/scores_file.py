"""A file of log-densities that is there whole or not at all: written under another name in its folder, and renamed at the end."""

import contextlib
import os
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

COLUMN = "log_density"


class ScoresFile:
    """One column of float64, as CSV, Parquet or NPY by the ending of the name.

    Parameters
    ----------
    path : str
        Where the file will be.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        kinds: dict[str, Any] = {".csv": _Csv, ".parquet": _Parquet, ".pq": _Parquet, ".npy": _Npy}
        if self.path.suffix.lower() not in kinds:
            raise ValueError(f"--output: {path} has an ending that is not known; .csv, .parquet and .npy are")
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"--output: there is no folder {self.path.parent}")
        self._kind = kinds[self.path.suffix.lower()]

    def __enter__(self) -> Self:
        handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
        self._temporary = Path(name)
        try:
            self._file = os.fdopen(handle, "wb")
            self._writer = self._kind(self._file)
        except BaseException:
            self._discard()
            raise
        return self

    def write(self, scores: NDArray[np.float64]) -> None:
        """Add a block."""
        self._writer.write(scores)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
                mask = os.umask(0)  # mkstemp makes a private file; this one is to be like any other
                os.umask(mask)
                self._temporary.chmod(0o666 & ~mask)
                self._temporary.replace(self.path)
        finally:
            self._discard()

    def _discard(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self._file.close()
        self._temporary.unlink(missing_ok=True)


class _Csv:
    def __init__(self, file: Any) -> None:
        self.file = file
        file.write(f"{COLUMN}\n".encode())

    def write(self, scores: NDArray[np.float64]) -> None:
        # repr is the shortest text that reads back as the same number
        self.file.write("".join(f"{score!r}\n" for score in scores.tolist()).encode())

    def close(self) -> None:
        pass


class _Parquet:
    def __init__(self, file: Any) -> None:
        try:
            import pyarrow as pa
            import pyarrow.parquet as pq
        except ImportError as error:
            raise ImportError("writing Parquet needs pyarrow: pip install 'fastkl[files]'") from error
        self.schema = pa.schema([(COLUMN, pa.float64())])
        self.table = pa.table
        self.writer = pq.ParquetWriter(file, self.schema)

    def write(self, scores: NDArray[np.float64]) -> None:
        self.writer.write_table(self.table([scores], schema=self.schema))

    def close(self) -> None:
        self.writer.close()


class _Npy:
    """The header is written again when the number of rows is known; NumPy leaves room for it to grow."""

    def __init__(self, file: Any) -> None:
        self.file, self.rows = file, 0
        self._header()
        self.start = file.tell()

    def _header(self) -> None:
        header = {"descr": "<f8", "fortran_order": False, "shape": (self.rows,)}
        np.lib.format.write_array_header_1_0(self.file, header)

    def write(self, scores: NDArray[np.float64]) -> None:
        self.file.write(np.ascontiguousarray(scores, dtype="<f8").data)
        self.rows += len(scores)

    def close(self) -> None:
        self.file.seek(0)
        self._header()
        if self.file.tell() != self.start:
            raise OSError("the header of the NPY file has changed its length")
