"""``fastkl score``: log-densities of the rows of a file under a saved density, block by block."""

import argparse
import contextlib
import math
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import get_tags

import fastkl
from fastkl.commands.layout import figure, plural, progress
from fastkl.commands.scores_file import ScoresFile
from fastkl.commands.tables import Source, chosen, listed, numeric_blocks, open_source, text_blocks


class RunningMean:
    """Mean and spread of numbers that come in blocks, merged by Chan's formula; -inf is counted apart."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0
        self.excluded, self.first_excluded = 0, -1

    @property
    def rows(self) -> int:
        """All rows seen."""
        return self.count + self.excluded

    def add(self, values: NDArray[np.float64]) -> None:
        """Take in a block."""
        outside = np.isneginf(values)
        if outside.any():
            if not self.excluded:
                self.first_excluded = self.rows + int(np.argmax(outside))
            self.excluded += int(outside.sum())
            values = values[~outside]
        if not len(values):
            return
        mean = float(values.mean())
        squares = float(np.sum((values - mean) ** 2))
        total, gap = self.count + len(values), mean - self.mean
        self.squares += squares + gap**2 * self.count * len(values) / total
        self.mean += gap * len(values) / total
        self.count = total

    @property
    def standard_error(self) -> float:
        """Of the mean of the finite numbers."""
        return math.sqrt(self.squares / (self.count - 1) / self.count) if self.count > 1 else math.nan


def run(options: argparse.Namespace) -> int:
    """Score, print, write."""
    if options.batch_rows < 1:
        raise ValueError(f"--batch-rows: at least 1, not {options.batch_rows}")
    density = _load(options.model)
    source = open_source(options.data)
    columns = _columns(density, source, options)
    score = _scorer(density)
    found = RunningMean()
    with contextlib.nullcontext() if options.output is None else ScoresFile(options.output) as file:
        for block in _blocks(density, source, columns, options):
            scores = score(block)
            found.add(scores)
            if file is not None:
                file.write(scores)
            progress(f"{found.rows:,} rows")
        progress("")
        if found.rows == 0:
            raise ValueError(f"{options.data} has no rows")
    _report(found, density, options)
    return 0


def _load(path: str) -> Any:
    if not os.path.exists(path):
        raise FileNotFoundError(f"there is no file {path}")
    with warnings.catch_warnings():
        # loading tries the density on a row without names
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        return fastkl.load(path)


def _columns(density: Any, source: Source, options: argparse.Namespace) -> list[int]:
    """Where the columns of the density are in the file: by name where it knows names, else by position."""
    names = getattr(density, "feature_names_in_", None)
    wanted = int(density.n_features_in_)
    if options.columns is not None:
        found = chosen(options.data, source.names, options.columns)
    elif names is not None:
        missing = [str(name) for name in names if name not in source.names]
        if missing:
            raise ValueError(
                f"{options.data} lacks {listed(missing)}, which the model was fitted to; it has {listed(source.names)}. "
                "Columns that stand for them can be named with --columns"
            )
        found = [source.names.index(name) for name in names]
    else:
        found = list(range(len(source.names)))
    if len(found) != wanted:
        raise ValueError(
            f"the model is one of {plural(wanted, 'column')}, {options.data} gives {len(found)} ({listed(source.names)}): choose "
            "with --columns"
        )
    return found


def _scorer(density: Any) -> Callable[[NDArray[Any]], NDArray[np.float64]]:
    """Log-densities of the rows of an array, whose columns have been matched by name already."""
    names = getattr(density, "feature_names_in_", None)
    if names is None:
        return lambda block: density.score_samples(block)
    if isinstance(density, fastkl.DensityMLE):
        del density.feature_names_in_  # plain arrays are then scored without a look at their names
        return lambda block: density.score_samples(block)
    import pandas as pd  # a density that picks columns by name was fitted to a data frame

    return lambda block: density.score_samples(pd.DataFrame(block, columns=list(names)))


def _blocks(density: Any, source: Source, columns: list[int], options: argparse.Namespace) -> Iterator[NDArray[Any]]:
    read = text_blocks if get_tags(density).input_tags.string else numeric_blocks
    return read(options.data, columns, source, options.batch_rows)


def _report(found: RunningMean, density: Any, options: argparse.Namespace) -> None:
    error = f" ± {figure(found.standard_error)}" if found.count > 1 else ""
    figures = f"{figure(found.mean)}{error} nats per row"
    law = getattr(getattr(density, "family_", None), "name", type(density).__name__)
    lines = [("rows", f"{found.rows:,}")]
    if found.excluded:
        lines += [
            (
                "mean log-density",
                f"-inf: {plural(found.excluded, 'row')} outside the support of {law},",
            ),
            ("", f"first row {found.first_excluded}"),
            ("of the others", figures if found.count else "there are none"),
            ("cross-entropy", "inf"),
        ]
    else:
        lines += [
            ("mean log-density", figures),
            ("cross-entropy", f"{figure(-found.mean)}{error} nats per row"),
        ]
    if options.output is not None:
        lines.append(("scores", options.output))
    print("\n".join(f"{name:<18}{text}".rstrip() for name, text in lines))
