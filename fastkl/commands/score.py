"""``fastkl score``: log-densities of the rows of a file under a saved density, block by block."""

import argparse
import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.means import Mean
from fastkl._core.wording import plural
from fastkl.commands.layout import number, progress
from fastkl.commands.model import name_of, opened
from fastkl.commands.parameters import plain
from fastkl.commands.standard_input import shown
from fastkl.commands.tables import chosen, listed, names_of, remark_guess, rows_of
from fastkl.exceptions import MissingValueError, first_sentence
from fastkl.rows import open_source
from fastkl.rows.output import Output, open_output, raise_if_same


class Tally:
    """Hands log-densities on to an output, where there is one, and keeps their mean; -inf is counted apart."""

    def __init__(self, output: Output | None = None) -> None:
        self._output, self.mean = output, Mean()  # of the finite numbers
        self.rows, self.excluded, self.first_excluded = 0, 0, -1

    def write(self, first_row: int, values: NDArray[Any]) -> None:
        """Take in the values of a block."""
        outside = np.isneginf(values)
        if outside.any() and not self.excluded:
            self.first_excluded = first_row + int(np.argmax(outside))
        self.excluded += int(outside.sum())
        self.rows = first_row + len(values)
        self.mean += Mean.of(values[~outside])
        if self._output is not None:
            self._output.write(first_row, values)

    def finish(self) -> Any:
        """All rows are there; ValueError if there are none."""
        if self.rows == 0:
            raise ValueError("there are no rows")
        return None if self._output is None else self._output.finish()

    def abandon(self, keep: bool) -> None:
        """Not all rows are there."""
        if self._output is not None:
            self._output.abandon(keep)


def run(options: argparse.Namespace) -> int:
    """Score, print, write."""
    if options.batch_rows < 1:
        raise ValueError(f"--batch-rows: at least 1, not {options.batch_rows}")
    density = opened(options.model)
    _refuse_missing(density)
    found, (names, named) = columns_of_fit(density, options.data, options.columns), names_of(options.data)
    columns: list[Any] = [names[j] for j in found] if named else list(found)
    remark_guess(options.data, open_source(rows_of(options.data), columns, labels=True))
    tally = Tally(_output(options))
    try:
        density.score_samples_batches(
            rows_of(options.data), tally, columns=columns, batch_rows=options.batch_rows, progress=_with_progress
        )
    except ValueError as error:
        tally.abandon(keep=False)
        if options.data in str(error):
            raise
        remedy = " Fill such values in, or remove their rows." if isinstance(error, MissingValueError) else ""
        raise ValueError(f"{options.data}: {first_sentence(error)}{remedy}") from error
    finally:
        progress("")
    _report(tally, density, options)
    return 0


def _refuse_missing(density: Any) -> None:
    """Let the density that was loaded refuse missing values, also where its family takes them.

    The log-density of an incomplete row is that of fewer columns: a mean over such rows and others would be no cross-entropy, and
    nobody would see it in a file of scores.
    """
    parts = [density, *getattr(density, "densities_", {}).values()]
    for part in parts:
        family = getattr(getattr(part, "density_", part), "family_", None)
        for one in [] if family is None else getattr(family, "component_families", [family]):
            vars(one)["takes_missing"] = False


def _output(options: argparse.Namespace) -> Output | None:
    if options.output is None:
        return None
    try:
        raise_if_same(options.output, options.data)
        return open_output(options.output, None)
    except (ValueError, FileNotFoundError, IsADirectoryError, NotADirectoryError) as error:
        raise ValueError(f"--output: {error}") from error


def _with_progress(done: int, of: int | None) -> None:
    progress(f"{done:,} rows" if of is None else f"{done:,} of {of:,} rows")


def columns_of_fit(density: Any, path: str, asked: str | None) -> list[int]:
    """Numbers of the columns of a file that are those of the density: by name where it knows names, else by position."""
    known = getattr(density, "feature_names_in_", None)
    wanted = int(density.n_features_in_)
    names = names_of(path)[0]
    if asked is not None:
        found = chosen(path, names, asked)
    elif known is not None:
        missing = [str(name) for name in known if name not in names]
        if missing:
            raise ValueError(
                f"{path} lacks {listed(missing)}, which the model was fitted to; it has {listed(names)}. "
                "Columns that stand for them can be named with --columns"
            )
        found = [names.index(name) for name in known]
    else:
        found = list(range(len(names)))
    if len(found) != wanted:
        raise ValueError(
            f"the model is one of {plural(wanted, 'column')}, {path} gives {len(found)} ({listed(names)}): choose "
            "with --columns"
        )
    return found


def _report(found: Tally, density: Any, options: argparse.Namespace) -> None:
    inside = found.rows - found.excluded
    error = f" ± {number(found.mean.error)}" if inside > 1 else ""
    summary = f"{number(found.mean.value)}{error} nats per row" if inside else "there are none"
    if options.json:
        print(json.dumps(_facts(found, options), indent=2, allow_nan=False))
        return
    lines = [("rows", f"{found.rows:,}")]
    if found.excluded:
        outside = f"-inf: {plural(found.excluded, 'row')} outside the support of {name_of(density)},"
        lines += [("mean log-density", outside), ("", f"first row {found.first_excluded}")]
        lines += [("of the others", summary), ("cross-entropy", "inf")]
    else:
        lines += [("mean log-density", summary)]
        lines += [("cross-entropy", f"{number(-found.mean.value)}{error} nats per row")]
    if options.output is not None:
        lines.append(("scores", options.output))
    print("\n".join(f"{name:<18}{text}".rstrip() for name, text in lines))


def _facts(found: Tally, options: argparse.Namespace) -> dict[str, Any]:
    """The same in what JSON has: the mean of all rows, and that of the rows inside the support."""
    inside = found.rows - found.excluded
    mean = found.mean.value if inside else None
    facts = {
        "model": options.model,
        "data": shown(options.data),
        "rows": found.rows,
        "rows_outside_support": found.excluded,
        "first_row_outside_support": found.first_excluded if found.excluded else None,
        "mean_log_density": float("-inf") if found.excluded else mean,
        "mean_log_density_inside": mean,
        "standard_error_inside": found.mean.error if inside > 1 else None,
        "cross_entropy": float("inf") if found.excluded else -found.mean.value,
        "scores": options.output,
    }
    return plain(facts)
