"""Where one number per row goes: an array in memory, a ``.npy``, Parquet or CSV file, an array of the caller's.

A file is written beside its place under a name of its own, so that several writers can't mix, and takes its name when it is
complete and on the disk (``whole_file.py``). An interrupt leaves ``name.partial``, which is a whole file of the rows so far;
any other failure leaves nothing.
"""

import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.whole_file import WholeFile, require_folder

LOG_DENSITY = "log_density"  # the name of the column that holds the numbers
GROUP_ROWS = 1 << 20  # rows of a row group


class Output(Protocol):
    """What takes values in the order of their rows."""

    def write(self, first_row: int, values: NDArray[Any]) -> None:
        """Values of the rows from this number on."""

    def finish(self) -> Any:
        """All rows are written: the array, or the path of the file."""

    def abandon(self, keep: bool) -> None:
        """Not all rows are written: keep what is there as a partial file, or remove it."""


class MemoryOutput:
    """An array, of the caller's or our own; without a known number of rows it grows."""

    def __init__(self, n_rows: int | None, array: Any = None):
        if array is not None:
            if not isinstance(array, np.ndarray) or array.ndim != 1 or array.dtype.kind != "f":
                raise ValueError("out as an array takes one real number for each row: shape (n,), a float type.")
            if not array.flags.writeable:
                raise ValueError("out is an array that cannot be written to.")
            if n_rows is not None and len(array) != n_rows:
                raise ValueError(f"out has {len(array)} entries, the source has {n_rows} rows.")
        elif n_rows is not None:
            _raise_if_too_large(n_rows)
            array = np.empty(n_rows)
        self._given, self._rows = array, 0
        self._parts: list[NDArray[Any]] = []

    def write(self, first_row: int, values: NDArray[Any]) -> None:
        """Values of the rows from this number on."""
        self._rows = first_row + len(values)
        if self._given is None:
            self._parts.append(values)
        elif self._rows > len(self._given):
            raise ValueError(f"out has {len(self._given)} entries, the source has more rows.")
        else:
            self._given[first_row : self._rows] = values

    def finish(self) -> Any:
        """The array."""
        if self._given is None:
            return np.concatenate(self._parts) if self._parts else np.empty(0)
        if self._rows != len(self._given):
            raise ValueError(f"out has {len(self._given)} entries, the source has {self._rows} rows.")
        return self._given

    def abandon(self, keep: bool) -> None:
        """What was written stays in the array."""


class FileOutput:
    """A file that appears whole under its name or not at all. A subclass says how it is written."""

    def __init__(self, path: Any):
        self.path = Path(path)
        if self.path.is_dir():
            raise IsADirectoryError(f"out is the folder {self.path}; give the name of a file in it.")
        require_folder(self.path)
        self._rows = 0
        try:
            self._file = WholeFile(self.path)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._open(self._file.temporary)
        except BaseException as error:
            self._file.discard()
            if isinstance(error, OSError):
                raise self._failed(error) from error
            raise

    def write(self, first_row: int, values: NDArray[Any]) -> None:
        """Values of the rows from this number on."""
        try:
            self._append(np.ascontiguousarray(values, dtype=np.float64))
        except OSError as error:
            raise self._failed(error) from error
        self._rows = first_row + len(values)

    def finish(self) -> Path:
        """The path, where the file now is."""
        try:
            self._close()
            self._file.finish()
            self._kept().unlink(missing_ok=True)
        except OSError as error:
            raise self._failed(error) from error
        return self.path

    def abandon(self, keep: bool) -> None:
        """Keep what is written as ``name.partial``, or remove it."""
        try:
            self._close()
            if keep:
                self._file.keep_as(self._kept())
        except OSError:
            keep = False
        if not keep:
            self._file.discard()

    def _kept(self) -> Path:
        """Where an interrupt leaves the rows so far."""
        return self._file.target.with_name(f"{self._file.target.name}.partial")

    def _failed(self, error: OSError) -> OSError:
        reason = error.strerror or str(error)
        return OSError(
            error.errno or 0,
            f"{reason}: after {self._rows} rows the file could not be written further and is removed; "
            f"{self.path.name} is as it was before",
            str(self.path),
        )

    def _open(self, path: Path) -> None:
        raise NotImplementedError

    def _append(self, values: NDArray[np.float64]) -> None:
        raise NotImplementedError

    def _close(self) -> None:
        raise NotImplementedError


class NpyOutput(FileOutput):
    """A vector of float64 that ``numpy.load`` reads."""

    _stream: BinaryIO | None = None

    def _open(self, path: Path) -> None:
        self._begin(open(path, "wb"))  # noqa: SIM115

    def _begin(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._header(stream, 0)
        self._start = stream.tell()

    @staticmethod
    def _header(stream: BinaryIO, n_rows: int) -> None:
        # NumPy pads the header so that its length does not change with the number of rows
        npy_format.write_array_header_1_0(stream, {"shape": (n_rows,), "fortran_order": False, "descr": "<f8"})

    def _append(self, values: NDArray[np.float64]) -> None:
        assert self._stream is not None
        self._stream.write(values.astype("<f8", copy=False).data.cast("B"))

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is None:
            return
        try:
            stream.flush()
            n_rows = (stream.tell() - self._start) // 8
            stream.seek(0)
            self._header(stream, n_rows)
        finally:
            stream.close()


class ParquetOutput(FileOutput):
    """A table with one column, ``LOG_DENSITY``."""

    _writer: Any = None

    def _open(self, path: Path) -> None:
        self._arrow = arrow.import_pyarrow("Writing Parquet")
        from pyarrow import parquet

        self._schema = self._arrow.schema([(LOG_DENSITY, self._arrow.float64())])
        self._writer = parquet.ParquetWriter(path, self._schema, use_dictionary=False, compression="none")
        self._waiting: list[NDArray[np.float64]] = []

    def _append(self, values: NDArray[np.float64]) -> None:
        self._waiting.append(values)
        if sum(map(len, self._waiting)) >= GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        if self._waiting:
            column = self._arrow.array(np.concatenate(self._waiting))
            self._waiting = []
            self._writer.write_table(self._arrow.Table.from_arrays([column], schema=self._schema))

    def _close(self) -> None:
        if self._writer is None:
            return
        try:
            self._flush()
        finally:
            writer, self._writer = self._writer, None
            writer.close()


class CsvOutput(FileOutput):
    """Text with one column under the name ``LOG_DENSITY``; every number reads back as it was."""

    _stream: BinaryIO | None = None

    def _open(self, path: Path) -> None:
        self._stream = open(path, "wb")  # noqa: SIM115
        self._stream.write(f"{LOG_DENSITY}\n".encode())

    def _append(self, values: NDArray[np.float64]) -> None:
        assert self._stream is not None
        self._stream.write("".join(f"{value!r}\n" for value in values.tolist()).encode())

    def _close(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.close()


def open_output(out: Any, n_rows: int | None) -> Output:
    """From what a user gives as ``out``: None, a path that ends in .npy, .parquet or .csv, an array, or an open output."""
    if all(hasattr(out, name) for name in ("write", "finish", "abandon")):
        return out
    if out is None or isinstance(out, np.ndarray):
        return MemoryOutput(n_rows, out)
    if isinstance(out, str | os.PathLike):
        ending = Path(out).suffix.lower()
        if ending == ".npy":
            return NpyOutput(out)
        if ending in {".parquet", ".pq"}:
            return ParquetOutput(out)
        if ending == ".csv":
            return CsvOutput(out)
        raise ValueError(f"out ends in .npy, .parquet or .csv, not in {ending!r}.")
    raise TypeError(f"out is None, the path of an .npy, .parquet or .csv file, or an array to write into; not {out!r}.")


def is_folder(out: Any) -> bool:
    """Whether this is a path without an ending: the name of a folder."""
    return isinstance(out, str | os.PathLike) and not Path(out).suffix


def _raise_if_too_large(n_rows: int) -> None:
    """MemoryError at the start rather than a machine that swaps, or a process that is ended, after an hour."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):  # Windows does not tell
        return
    if 8 * n_rows > memory:
        raise MemoryError(
            f"{n_rows} numbers take {8 * n_rows / 1e9:.3g} GB, the machine has {memory / 1e9:.3g} GB: give out='scores.npy' or "
            "'scores.parquet'."
        )


def same_file(out: Any, source: Any) -> bool:
    """Whether both are paths of one file."""
    paths = [Path(thing) for thing in (out, source) if isinstance(thing, str | os.PathLike)]
    return len(paths) == 2 and all(map(Path.exists, paths)) and paths[0].samefile(paths[1])


def raise_if_same(out: Any, source: Any) -> None:
    """The result must not take the place of its source."""
    if any(same_file(out, part) for part in (source if isinstance(source, list | tuple) else [source])):
        raise SourceError(f"out is the source itself ({out}); give another name.")
