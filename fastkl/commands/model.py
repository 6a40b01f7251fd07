"""``fastkl show`` and ``fastkl sample``: what a saved density says, and rows drawn from it."""

import argparse
import csv
import json
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

import fastkl
from fastkl.commands.parameters import plain
from fastkl.rows.tables import column_values, is_table
from fastkl.rows.whole_file import WholeFile


def opened(path: str) -> Any:
    """The density in a file."""
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path}")
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not a fastkl density, or is damaged; the model is a file that fastkl fit -o wrote")
    found = fastkl.load(path)
    if isinstance(found, fastkl.DensityOutlierDetector):
        raise ValueError(
            f"{path} holds a detector of outliers; commands take a density, such as the one that its density_ saves"
        )
    return found


def name_of(density: Any) -> str:
    """What a density is called: by its family, or by its kind where it has none."""
    return getattr(getattr(density, "family_", None), "name", type(density).__name__)


def show(options: argparse.Namespace) -> int:
    """Print the table of parameters; of a density without any, what it is."""
    density = opened(options.model)
    if options.json:
        print(json.dumps(_facts(density), indent=2, allow_nan=False))
        return 0
    summary = getattr(density, "summary", None)
    print(repr(density) if summary is None else summary())
    return 0


def _facts(density: Any) -> dict[str, Any]:
    """What a density says of itself, in what JSON has."""
    columns = getattr(density, "feature_names_in_", None)
    facts = {
        "type": type(density).__name__,
        "family": getattr(getattr(density, "family_", None), "name", None),
        "n_columns": density.n_features_in_,
        "columns": None if columns is None else [str(name) for name in columns],
    }
    names = ("params", "standard_errors", "boundary", "n_parameters", "log_likelihood", "n_iter", "converged")
    facts |= {name: getattr(density, f"{name}_", None) for name in names}
    return plain(facts)


def sample(options: argparse.Namespace) -> int:
    """Draw, and write or print."""
    if options.n < 1:
        raise ValueError(f"-n: at least 1, not {options.n}")
    density = opened(options.model)
    ending = None if options.output is None else os.path.splitext(options.output)[1].lower()
    if ending is not None and ending not in WRITERS:
        raise ValueError(f"--output: {options.output} ends in none of {', '.join(WRITERS)}")
    rows = density.sample(options.n, random_state=options.seed)
    known = getattr(density, "feature_names_in_", None)
    if is_table(rows):
        names, columns = [str(name) for name in rows.columns], [column_values(rows, j) for j in range(rows.shape[1])]
    else:
        columns = list(np.asarray(rows).T)
        names = [f"x{j}" for j in range(len(columns))] if known is None else [str(name) for name in known]
    if ending is None:
        _write_lines(sys.stdout, names, columns)
        return 0
    file = WholeFile(options.output)
    try:
        WRITERS[ending](file.temporary, names, columns)
        file.finish()
    except BaseException:
        file.discard()
        raise
    return 0


def _write_lines(stream: Any, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(zip(*(column.tolist() for column in columns), strict=True))


def _csv(path: Any, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    with open(path, "w", encoding="utf-8", newline="") as stream:
        _write_lines(stream, names, columns)


def _npy(path: Any, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    if any(column.dtype.kind not in "fiub" for column in columns):
        raise ValueError("--output: labels are written as .csv or .parquet")
    with open(path, "wb") as stream:
        np.save(stream, np.stack(columns, axis=1))


def _parquet(path: Any, names: Sequence[str], columns: Sequence[NDArray[Any]]) -> None:
    from fastkl.rows.arrow import import_pyarrow

    pyarrow = import_pyarrow("Writing Parquet")
    from pyarrow import parquet

    arrays = [pyarrow.array(column.tolist() if column.dtype == object else column) for column in columns]
    parquet.write_table(pyarrow.Table.from_arrays(arrays, names=list(names)), path)


WRITERS: dict[str, Callable[[Any, Sequence[str], Sequence[NDArray[Any]]], None]] = {
    ".csv": _csv,
    ".parquet": _parquet,
    ".npy": _npy,
}
