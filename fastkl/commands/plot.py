"""``fastkl plot``: a saved density, a density over rows, rows with the best family, or how two files of rows differ."""

import argparse
import os
import zipfile
from dataclasses import replace
from typing import Any

from fastkl import DensityDisplay, DensityPanels, DivergenceDisplay, GoodnessDisplay
from fastkl._core.wording import plural
from fastkl.commands.figures import check_ending
from fastkl.commands.fit import check_folds, fitted, frame, nameless, ranked, some_columns
from fastkl.commands.kl import compared
from fastkl.commands.layout import progress
from fastkl.commands.model import name_of, opened
from fastkl.commands.score import columns_of_fit
from fastkl.commands.tables import names_of, read_table
from fastkl.rows.whole_file import require_folder

# Rows drawn from a density that is shown without data.
_DRAWS = 10_000


def run(options: argparse.Namespace) -> int:
    """Find out what was given, draw, write."""
    check_ending(options.output, "--output")
    require_folder(options.output)
    if not os.path.exists(options.first):
        names_of(options.first)  # a pattern, or the message that there is no such file
    model = os.path.isfile(options.first) and zipfile.is_zipfile(options.first)
    if not model and options.second is not None:
        display, what = _of_two_files(options)
    elif model and options.second is None:
        display, what = _of_model(options)
    elif model:
        display, what = _of_model_and_rows(options)
    else:
        display, what = _of_rows(options)
    display.plot()
    progress("")
    display.figure_.savefig(options.output, dpi=110)
    print(f"{what}\nDrawn to {options.output}")
    return 0


def _display(density: Any, rows: Any, options: argparse.Namespace) -> Any:
    if options.kind == "density":
        return DensityDisplay.from_estimator(density, rows, plot=False)
    return GoodnessDisplay.from_estimator(density, rows, kind=options.kind, plot=False)


def _of_model(options: argparse.Namespace) -> tuple[Any, str]:
    if options.kind != "density" or options.columns is not None:
        raise ValueError("--kind and --columns are about rows: name a file of rows after the model")
    density = opened(options.first)
    display = _display(density, density.sample(_DRAWS, random_state=options.seed), options)
    for one in display.displays.values() if isinstance(display, DensityPanels) else [display]:
        one.rows_name = "draws from it"
    return display, f"{name_of(density)}, over {_DRAWS:,} draws from it"


def _of_model_and_rows(options: argparse.Namespace) -> tuple[Any, str]:
    density = opened(options.first)
    chosen = columns_of_fit(density, options.second, options.columns)
    data = read_table(options.second, chosen, drop_missing=options.drop_missing)
    known = getattr(density, "feature_names_in_", None)
    if known is not None:  # columns that stand for those of the fit
        data = replace(data, names=[str(name) for name in known], named=True)
    return _display(density, nameless(frame(data)), options), f"{name_of(density)}, over {_rows(options.second, data)}"


def _of_rows(options: argparse.Namespace) -> tuple[Any, str]:
    data = read_table(options.first, options.columns, drop_missing=options.drop_missing)
    X = frame(data)
    keep = () if options.columns is None else list(range(len(data.names)))
    folds = min(5, data.n_rows)
    check_folds(folds, data.n_rows)
    ranking = ranked(options.first, X, keep=keep, cv=folds, random_state=options.seed)
    best = ranking.best
    rows = some_columns(X, list(ranking))
    density = fitted(ranking.density(best), rows, None)
    return _display(density, nameless(rows), options), f"{best}, fitted to {_rows(options.first, data)}"


def _of_two_files(options: argparse.Namespace) -> tuple[Any, str]:
    if options.kind != "density":
        raise ValueError(f"--kind {options.kind} is about a density and its rows, not about two files of rows")
    options.p, options.q = options.first, options.second
    p, q, found = compared(options)
    names = (_short(options.p), _short(options.q))
    labels = names if names[0] != names[1] else ("P", "Q")
    display = DivergenceDisplay.from_comparison(found, labels=labels)
    return display, f"{labels[0]}: {_rows(options.p, p)}; {labels[1]}: {_rows(options.q, q)}"


def _short(path: str) -> str:
    return os.path.splitext(os.path.basename(path))[0]


def _rows(path: str, data: Any) -> str:
    dropped = f", without {plural(data.n_dropped, 'row')} with missing values" if data.n_dropped else ""
    return f"{plural(data.n_rows, 'row')} of {path}{dropped}"
