"""From what a user calls his data to a source: paths by their ending, objects by what they can do."""

import glob
import os
from collections.abc import Iterable, Sequence
from numbers import Number
from pathlib import Path
from typing import Any

import numpy as np

from fastkl._core.whole_numbers import is_count
from fastkl._core.wording import did_you_mean
from fastkl.exceptions import SourceError
from fastkl.rows import arrow
from fastkl.rows.batch import Choice
from fastkl.rows.columns import as_list
from fastkl.rows.csv_path import CsvPath
from fastkl.rows.indexes import refuse_other_rows
from fastkl.rows.npy_file import NpyFile
from fastkl.rows.reading import look
from fastkl.rows.source import ArraySource, Source
from fastkl.rows.sources.chained import ChainedSource
from fastkl.rows.sources.iterables import FrameSource, IterableSource
from fastkl.rows.sources.npy import NpySource
from fastkl.rows.sources.queries import QuerySource, is_query, query_of
from fastkl.rows.weights import NpyWeights, Weights

KINDS = (
    "the path of an .npy, .parquet or .csv file or of a folder of Parquet files, a pattern or list of such, an array or data "
    "frame, a LazyFrame, a relation of duckdb, any other Arrow stream, a list or other iterable of arrays, data frames, record "
    "batches or (X, weights) pairs, a function that returns such an iterable, or a Dask collection"
)


def open_source(
    source: Any,
    columns: Any = None,
    weights: Any = None,
    block_rows: int | None = None,
    labels: bool = False,
    known: Sequence[str] | None = None,
    exact: bool = False,
) -> Source:
    """A source from a path, an array, a table, an iterable or a Dask collection.

    Parameters
    ----------
    source : object
        Where the rows are.
    columns : sequence of str or int, default=None
        What to read of each row, in this order; None for everything but the weights.
    weights : str, path-like or array-like of shape (n,), default=None
        For tables the name of a column; else an array, or the path of a ``.npy`` file, with a weight for each row.
    block_rows : int, default=None
        Rows of a block; None for a few megabytes. Batches of an iterable stay as they come unless they are larger.
    labels : bool, default=False
        Whether to leave values as they are, for families of labels.
    known : sequence of str, default=None
        Names of a model's columns: what to read of columns with names, unless ``columns`` says something else.
    exact : bool, default=False
        Whether to refuse whole numbers of which neighbours are one float64 where they are met.

    Returns
    -------
    Source
        Files are checked (header, columns, types) before this returns; no row has been read.
    """
    if block_rows is not None and not is_count(block_rows):
        raise ValueError(f"batch_rows is a number of rows of at least 1, not {block_rows!r}.")
    columns = None if columns is None else as_list(columns)
    if isinstance(source, Source):
        if columns is not None or weights is not None or block_rows is not None:
            raise ValueError(
                "columns, sample_weight and batch_rows are given where a source is opened, not to an open one."
            )
        return source
    if type(source).__module__.split(".")[0] in {"dask", "dask_expr"}:
        from fastkl.rows.dask.source import DaskSource

        wanted = Choice(columns, known=known).of(getattr(source, "columns", None))
        return DaskSource(source, columns=wanted, weights=weights, block_rows=block_rows, labels=labels, exact=exact)
    refuse_other_rows(source, weights, ("The source", "sample_weight"))
    in_table, apart = _split_weights(weights)
    choice = Choice(columns, in_table, labels, _header(source), known, exact)
    opened = _opened(source, choice, apart, block_rows)
    if apart is not None and opened.n_rows is not None:
        apart.check(opened.n_rows)
    return opened


def _split_weights(weights: Any) -> tuple[str | None, Weights | None]:
    """The name of a column, or weights that stand apart from the rows."""
    if weights is None:
        return None, None
    if isinstance(weights, os.PathLike) or (isinstance(weights, str) and weights.endswith(".npy")):
        return None, NpyWeights(NpyFile(weights, 1))
    if isinstance(weights, str):
        return weights, None
    return None, Weights(weights)


def _opened(source: Any, choice: Choice, weights: Weights | None, block_rows: int | None) -> Source:
    if _is_path(source) or (isinstance(source, list | tuple) and source and all(map(_is_path, source))):
        return _opened_paths(_paths(source), choice, weights, block_rows)
    _raise_if_no_rows(source)
    if isinstance(source, np.ndarray) or _is_matrix(source) or _is_like_array(source):
        return ArraySource(
            look(source, "The source") if isinstance(source, list | tuple) else source, weights, block_rows, choice
        )
    if is_query(source):
        return QuerySource(query_of(source), choice, weights, block_rows)
    if hasattr(source, "to_batches"):  # an Arrow table or dataset
        return IterableSource(source.to_batches, choice, weights, block_rows)
    if arrow.is_table(source):
        return IterableSource([source], choice, weights, block_rows)
    if hasattr(source, "columns") and hasattr(source, "shape"):
        return FrameSource(source, choice, weights, block_rows)
    if callable(source) or (isinstance(source, Iterable) and not isinstance(source, dict | set | bytes)):
        return IterableSource(source, choice, weights, block_rows)
    raise TypeError(f"A source is {KINDS}; not {type(source).__name__}.")


def _raise_if_no_rows(source: Any) -> None:
    """SourceError for one column, or an array of other than two dimensions, with its shape."""
    if isinstance(source, list | tuple | range):
        shape: Any = (len(source),) if source and isinstance(source[0], Number) else None
        advice = "numpy.reshape(x, (-1, 1))"
    elif is_query(source):  # which would be asked for its shape
        return
    else:
        shape = getattr(source, "shape", None)
        advice = "x.to_frame()" if hasattr(source, "to_frame") else "x.reshape(-1, 1)"
    if isinstance(shape, tuple) and (len(shape) < 2 or (len(shape) > 2 and isinstance(source, np.ndarray))):
        hint = f" If it is one column x, pass {advice}." if len(shape) == 1 else ""
        raise SourceError(f"The source has shape {shape}; rows of shape (n, d) are needed.{hint}")


def _is_path(source: Any) -> bool:
    return isinstance(source, str | os.PathLike)


def _header(source: Any) -> bool | None:
    """What is known of the first line of text files; of a list what its paths have in common."""
    paths = source if isinstance(source, list | tuple) else [source]
    if not all(map(_is_path, paths)):
        return None
    known = {path.header if isinstance(path, CsvPath) else None for path in paths}
    if len(known) > 1:
        raise ValueError(
            "A list of paths has one header for all: give each as CsvPath(path, header=...), with one value."
        )
    return known.pop() if known else None


def _is_like_array(source: Any) -> bool:
    """Whether rows can be sliced out of it: arrays of other libraries, data sets of HDF5 and zarr files, tensors."""
    like = all(hasattr(source, name) for name in ("ndim", "shape", "dtype", "__getitem__"))
    return like and source.ndim == 2 and not hasattr(source, "columns")


def _is_matrix(source: Any) -> bool:
    """Whether this is a list of rows of plain values, rather than of batches."""
    return (
        isinstance(source, list | tuple)
        and len(source) > 0
        and isinstance(source[0], list | tuple)
        and all(np.ndim(value) == 0 and not hasattr(value, "columns") for value in source[0])
    )


def _paths(source: Any) -> list[Path]:
    """The files and folders behind a path, a pattern, or a list of them."""
    if isinstance(source, list | tuple):
        return [path for part in source for path in _paths(part)]
    if not os.fspath(source):
        raise ValueError("The path of the source is empty; it would stand for all files of the working directory.")
    path = Path(source)
    if not path.exists() and glob.has_magic(str(path)):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        if not found:
            raise FileNotFoundError(f"No file fits the pattern {path}.")
        return found
    if not path.exists():
        raise FileNotFoundError(f"There is no file {path.absolute()}.{_meant(path)}")
    return [path]


# Of files of rows; each of the last three may also be packed.
ENDINGS = (".npy", ".parquet", ".pq", ".csv", ".tsv", ".txt")


def _meant(path: Path) -> str:
    """A file beside it with nearly its name."""
    try:
        names = [name for name in os.listdir(path.absolute().parent) if named_like_rows(name)]
    except OSError:
        return ""
    return did_you_mean(path.name, names, cutoff=0.75)


def parquet_at(source: Any) -> list[Path]:
    """The Parquet files behind a path, a folder or a pattern; none if it is of something else."""
    paths = _paths(source) if _is_path(source) else []
    return _parquet_files(paths) if _are_parquet(paths) else []


def _are_parquet(paths: list[Path]) -> bool:
    return all(path.is_dir() or _ending(path) in {".parquet", ".pq"} for path in paths)


def _parquet_files(paths: list[Path]) -> list[Path]:
    from fastkl.rows.sources.parquet import parquet_files

    return [file for path in paths for file in (parquet_files(path) if path.is_dir() else [path])]


def _opened_paths(paths: list[Path], choice: Choice, weights: Weights | None, block_rows: int | None) -> Source:
    if _are_parquet(paths):
        from fastkl.rows.sources.parquet import ParquetSource

        return ParquetSource(_parquet_files(paths), choice, weights, block_rows)
    if len(paths) > 1:
        sources = [_opened_paths([path], choice, None, block_rows) for path in paths]
        return ChainedSource(sources, [str(path) for path in paths], weights)
    path, ending = paths[0], _ending(paths[0])
    if ending == ".npy":
        return NpySource(path, choice, weights, block_rows)
    if ending in {".csv", ".tsv", ".txt"}:
        from fastkl.rows.sources.csv import CsvSource

        return CsvSource(path, choice, weights, block_rows)
    raise ValueError(
        f"{path} ends in none of {', '.join(ENDINGS)} (the last three also with .gz): save the rows as one of these, or give a "
        "table in the place of its path."
    )


def named_like_rows(path: str | Path) -> bool:
    """Whether a file of this name would be read as rows."""
    return _ending(Path(path)) in ENDINGS


def _ending(path: Path) -> str:
    suffixes = [suffix.lower() for suffix in path.suffixes[-2:]]
    return suffixes[-2] if len(suffixes) == 2 and suffixes[-1] == ".gz" else (suffixes or [""])[-1]
