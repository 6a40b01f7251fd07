"""``fastkl fit``: rank families by cross-validated log-likelihood, fit the best to all rows, save it."""

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl import DensityMLE, FamilyRanking, ProductDensity, UnknownFamilyError, families, rank_families
from fastkl._core.wording import plural
from fastkl.commands.figures import check_ending, draw
from fastkl.commands.layout import note, number, progress, table
from fastkl.commands.parameters import parameters_text, plain
from fastkl.commands.standard_input import shown
from fastkl.commands.tables import Table, chosen, names_of, read_table, remark_codes
from fastkl.rows.opening import named_like_rows
from fastkl.rows.tables import NamedArray
from fastkl.rows.whole_file import require_folder
from fastkl.selection import FamilyTable
from fastkl.selection.family_ranking import not_told_apart

# Whole weights are repeated rows, up to so many of them.
_MOST_REPEATED = 5_000_000
# What a column of frequencies is called.
_FREQUENCIES = {"count", "counts", "freq", "frequency", "frequencies", "n", "weights"}


def run(options: argparse.Namespace) -> int:
    """Read, rank, fit, save, print."""
    _check_outputs(options)
    data, weights = _read(options)
    remark_codes(data, "--columns leaves them out")
    X = frame(data)
    rows, masses, repeats = _observations(X, weights, options)
    asked = None if options.families is None else "all" if options.families == "all" else named(options.families)
    check_folds(options.folds, len(rows))
    ranking = ranked(
        options.data,
        rows,
        families=asked,
        sample_weight=masses,
        keep=() if options.columns is None else list(range(len(data.names))),
        cv=options.folds,
        random_state=options.seed,
    )
    progress("")
    winner = _winner(ranking)
    columns = list(ranking)
    kept = X if len(columns) == len(data.names) else some_columns(X, columns)
    best = fitted(ranking.density(winner), kept, weights)
    if options.output is not None:
        best.save(options.output)  # before anything is printed: the reader of a pipe may leave in the middle
    if options.figure is not None:
        draw(options.figure, ranking.joint, best, nameless(some_columns(rows, columns)), masses)
    if options.json:
        print(json.dumps(_report(options, data, ranking, winner, best), indent=2, allow_nan=False))
    else:
        _print_read(options, data, ranking, repeats)
        _print_fitted(options, data, ranking, winner, best)
    return 0


def _print_read(options: argparse.Namespace, data: Table, ranking: FamilyRanking, repeats: str) -> None:
    """What was read, and what of it was left out."""
    names = _names(data, ranking)
    held = f"{plural(len(names), 'column')} ({_some(names)}), {ranking.joint.kind}"
    print(f"{shown(options.data)}: {plural(ranking.n_rows, 'row')}{repeats}, {held}.")
    if data.n_dropped:
        print(f"{plural(data.n_dropped, 'row')} with missing values left out (--drop-missing).")
    for key, reason in ranking.left_out.items():
        print(note(f"Left out, column {key!r}: {reason}."))
    counts = None if options.weights is not None else _looks_like_counts(data)
    if counts is not None:
        print(
            note(
                f"Column {counts!r} is fitted like any other. If it says how often each row was seen, add --weights {counts}."
            )
        )
    if ranking.n_ranked_rows < ranking.n_rows:
        print(f"Ranked on {ranking.n_ranked_rows:,} rows drawn at random.")
    print()


def _print_fitted(options: argparse.Namespace, data: Table, ranking: FamilyRanking, winner: str, best: Any) -> None:
    """The ranking, the parameters of the best, and what comes next."""
    if ranking.joint.names:
        _print_ranking(ranking.joint, options.folds)
    _print_refused(ranking.joint.refused, "\nNot possible on these rows:" if ranking.joint.names else "Not ranked:")
    print(f"\n{winner}, fitted to all rows:\n")
    print(parameters_text(best, _names(data, ranking)))
    if options.output is None:
        print(f"\nTo keep it, add -o FILE; then: fastkl score FILE {_again(options.data)}")
    else:
        print(f"\nSaved to {options.output}. Score rows with: fastkl score {options.output} DATA")


def _names(data: Table, ranking: FamilyRanking) -> list[str]:
    """Names of the columns that were ranked."""
    return [_name(data, key) for key in ranking]


def _name(data: Table, key: Any) -> str:
    """Name of the column that a ranking knows by its number or its name."""
    return data.names[key] if isinstance(key, int) else str(key)


def _check_outputs(options: argparse.Namespace) -> None:
    """Before any work: places to write to that exist, and are not called like files of rows, such as the one that is read."""
    if options.output is not None:
        require_folder(options.output)
        if named_like_rows(options.output):
            raise ValueError(
                f"--output: {options.output} is the name of a file of rows, not of a density; leave the ending out"
            )
    if options.figure is not None:
        require_folder(options.figure)
        check_ending(options.figure, "--figure")


def check_folds(folds: int, n_rows: int) -> None:
    """ValueError where so many parts of the rows cannot be had."""
    if n_rows < 2:
        raise ValueError(
            "there is one row, and families are ranked by rows that they were not fitted to: give more rows"
        )
    if not 2 <= folds <= n_rows:
        possible = "2" if n_rows == 2 else f"2 to {n_rows}"
        raise ValueError(f"--folds: {n_rows} rows can't be divided into {folds} parts; possible: {possible}")


def ranked(path: str, rows: Any, **options: Any) -> FamilyRanking:
    """The ranking of the rows of a file, which an error names."""
    try:
        return rank_families(rows, progress=progress, **options)
    except UnknownFamilyError:
        raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _again(path: str) -> str:
    """How the file is named in the next command."""
    return "DATA" if shown(path) != path else os.path.basename(path)


def _report(options: argparse.Namespace, data: Table, ranking: FamilyRanking, winner: str, best: Any) -> dict[str, Any]:
    """All that is printed, in what JSON has."""

    def name(key: Any) -> str:
        return _name(data, key)

    return plain(
        {
            "data": shown(options.data),
            "rows": ranking.n_rows,
            "rows_dropped": data.n_dropped,
            "rows_ranked": ranking.n_ranked_rows,
            "folds": ranking.n_folds,
            "left_out": {name(key): reason for key, reason in ranking.left_out.items()},
            "best": winner,
            "joint": ranking.joint.to_dict(),
            "columns": {name(key): part.to_dict() for key, part in ranking.items()},
            "families": {name(key): family for key, family in ranking.choices.items()},
            "params": best.params_,
            "standard_errors": best.standard_errors_,
            "output": options.output,
        }
    )


def _winner(ranking: FamilyRanking) -> str:
    """The best; one candidate alone is taken whatever it gives to rows held out, if it can be fitted."""
    try:
        return ranking.best
    except ValueError:
        _print_refused(ranking.joint.refused)
        raise ValueError("none of the families fits these rows; name others with --families") from None


def _read(options: argparse.Namespace) -> tuple[Table, NDArray[np.float64] | None]:
    """The columns to fit, and the weights."""
    if options.weights is None:
        return read_table(options.data, options.columns, drop_missing=options.drop_missing), None
    names = names_of(options.data)[0]
    weight = chosen(options.data, names, options.weights, "--weights")[0]
    data = read_table(options.data, options.columns, last=weight, drop_missing=options.drop_missing)
    weights = data.columns[-1]
    if weights.dtype == object or np.any(weights < 0.0) or not np.any(weights > 0.0):
        raise ValueError(f"--weights: column {names[weight]!r} has to hold numbers of at least 0, not all 0")
    return replace(data, names=data.names[:-1], columns=data.columns[:-1]), weights


def _looks_like_counts(data: Table) -> str | None:
    """A column of whole numbers that is named as frequencies are, beside rows that are all different."""
    for name, column in zip(data.names, data.columns, strict=True):
        if name.strip().lower() not in _FREQUENCIES or column.dtype == object or np.any(column != np.rint(column)):
            continue
        others = [values.tolist() for other, values in zip(data.names, data.columns, strict=True) if other != name]
        if others and np.all(column >= 0.0) and len(set(zip(*others, strict=True))) == data.n_rows:
            return name
    return None


def _observations(X: Any, weights: Any, options: argparse.Namespace) -> tuple[Any, Any, str]:
    """Rows to divide into parts, their weights, and in words what the weights were taken for.

    Whole weights stand for equal rows, and those have to be divided between the parts one by one: a value that is left out
    with all its repeats says little about a fit to the others.
    """
    if weights is None:
        return X, None, ""
    if np.all(weights == np.rint(weights)) and weights.sum() <= _MOST_REPEATED:
        repeated = np.repeat(np.arange(len(X)), weights.astype(np.intp))
        return _some_rows(X, repeated), None, f" (by the repeats in column {options.weights!r})"
    kept = np.flatnonzero(weights)
    return _some_rows(X, kept), weights[kept], f" (weighted by column {options.weights!r})"


def frame(data: Table) -> Any:
    """The rows with the names of their columns, where they have names, and their types, where pandas is there to carry them."""
    columns = [_as_written(column) for column in data.columns]
    if data.named:
        try:
            import pandas as pd

            return pd.DataFrame(dict(zip(data.names, columns, strict=True)))
        except ImportError:
            pass
    if any(column.dtype == object for column in columns):
        values = np.column_stack([column.astype(object) for column in columns])
    else:
        values = np.column_stack(data.columns)
    return NamedArray(values, data.names) if data.named else values


def nameless(X: Any) -> Any:
    """What the library takes: a data frame or an array."""
    return X.values if isinstance(X, NamedArray) else X


def fitted(density: DensityMLE | ProductDensity, X: Any, weights: Any) -> Any:
    """The density fitted to the rows of a file; it knows the names of their columns, by which ``score`` finds them."""
    if not isinstance(X, NamedArray):
        return density.fit(X, sample_weight=weights)
    if isinstance(density, ProductDensity):
        groups = [(label, part, [X.names.index(key) for key in keys]) for label, part, keys in density.groups]
        density = ProductDensity(groups)
    density.fit(X.values, sample_weight=weights)
    density.feature_names_in_ = np.array(X.names, dtype=object)
    return density


def _as_written(column: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as integers, which may be counts, and labels without a decimal point."""
    if column.dtype != object and np.all(column == np.rint(column)) and np.abs(column).max() < 2.0**53:
        return column.astype(np.int64)
    return column


def some_columns(X: Any, columns: Sequence[Any]) -> Any:
    """Some of the columns; an array of numbers alone where none holds text."""
    if hasattr(X, "iloc"):
        return X[list(columns)]
    if isinstance(X, NamedArray):
        return NamedArray(some_columns(X.values, [X.names.index(name) for name in columns]), list(columns))
    part = X[:, list(columns)]
    labels = part.dtype == object and any(isinstance(value, str) for value in part[0])
    return part if labels or part.dtype != object else part.astype(np.float64)


def _some_rows(X: Any, index: NDArray[np.intp]) -> Any:
    if isinstance(X, NamedArray):
        return NamedArray(X.values[index], X.names)
    return X.iloc[index] if hasattr(X, "iloc") else X[index]


def _print_ranking(ranking: FamilyTable, folds: int) -> None:
    print(f"Mean log-likelihood of held-out rows ({folds} folds), in nats per row; best first\n")
    rows = [
        [
            name,
            number(ranking.mean_log_likelihood[i]),
            number(ranking.standard_error[i]),
            number(ranking.kl_difference[i]) if i else "best",
            number(ranking.kl_difference_error[i]) if i else "",
            str(int(ranking.n_parameters[i])),
        ]
        for i, name in enumerate(ranking.names)
    ]
    print(table(["family", "log-likelihood", "± s.e.", "behind best", "± s.e.", "parameters"], rows))
    close = not_told_apart(ranking)
    if close:
        print()
        print(note(f"Within two standard errors of the best: {', '.join(close)}."))


def _print_refused(refused: dict[str, str], title: str = "Not possible on these rows:") -> None:
    if not refused:
        return
    print(title)
    width = max(map(len, refused))
    for name, reason in refused.items():
        print(note(reason, f"  {name:<{width}}  "))


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")


def named(option: str) -> tuple[str, ...]:
    """The families of a comma-separated option."""
    names = tuple(dict.fromkeys(part.strip() for part in option.split(",") if part.strip()))
    if not names:
        raise ValueError(f"--families names no family; there are {', '.join(families.names())}")
    return names
