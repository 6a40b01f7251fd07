"""``fastkl fit``: rank families by cross-validated log-likelihood, fit the best to all rows, save it."""

import argparse
import os
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fastkl import Comparison, ProductDensity, families
from fastkl.commands.figures import draw
from fastkl.commands.layout import note, number, plural, progress, table
from fastkl.commands.tables import Table, chosen, names_of, read_table
from fastkl.commands.trials import named, one_family, trials
from fastkl.exceptions import first_sentence
from fastkl.selection.candidates import Candidates, candidates
from fastkl.selection.comparison import comparison_of
from fastkl.selection.cross_validation import cross_validated_log_density

# Whole weights are repeated rows, up to so many of them.
_MOST_REPEATED = 5_000_000
# Parameters of more columns than this are left to the saved file.
_SHOWN_COLUMNS = 20


def run(options: argparse.Namespace) -> int:
    """Read, rank, fit, print, save."""
    data, weights = _read(options)
    X = _matrix(data, options)
    rows, masses, repeats = _observations(X, weights, options)
    found = Candidates(("categorical",), "labels") if X.dtype == object else candidates(rows)
    names = found.names if options.families is None else named(options.families)
    if not 2 <= options.folds <= len(rows):
        raise ValueError(f"--folds: between 2 and the number of rows, {len(rows)}; not {options.folds}")
    tried = trials(names, product=options.families is None and X.shape[1] > 1)
    fitted, refused = _fit_all(tried, _frame(X, data.names), weights)
    ranked: dict[str, NDArray[np.float64]] = {}
    for i, name in enumerate(fitted):
        progress(f"{name}, family {i + 1} of {len(fitted)}")
        values = _held_out(tried[name], rows, masses, options.folds, options.seed)
        if isinstance(values, str):
            refused[name] = values
        elif np.isneginf(values).any():
            refused[name] = f"gives density 0 to {plural(int(np.isneginf(values).sum()), 'held-out row')}"
        else:
            ranked[name] = values
    progress("")
    if not ranked and len(fitted) != 1:
        _print_refused(refused)
        raise ValueError("none of the families fits these rows; name others with --families")
    # one family alone is fitted whatever it gives to rows held out
    sizes = [fitted[name].n_parameters_ for name in ranked]
    ranking = comparison_of(list(ranked), np.column_stack(list(ranked.values())), sizes, masses) if ranked else None
    winner = next(iter(fitted)) if ranking is None else ranking.best
    best = fitted[winner]
    if options.output is not None:
        best.save(options.output)  # before anything is printed: the reader of a pipe may leave in the middle
    if options.figure is not None:
        draw(options.figure, ranking, best, _frame(rows, data.names), masses)
    columns = f"{plural(len(data.names), 'column')} ({_some(data.names)})"
    print(f"{options.data}: {plural(len(rows), 'row')}{repeats}, {columns}, {found.kind}.\n")
    if ranking is not None:
        _print_ranking(ranking, options.folds)
    _print_refused(refused, "\nNot possible on these rows:" if ranking is not None else "Not ranked:")
    print(f"\n{winner}, fitted to all rows:\n")
    _print_parameters(best, data.names)
    if options.output is None:
        print(f"\nTo keep it, add -o FILE; then: fastkl score FILE {os.path.basename(options.data)}")
    else:
        print(f"\nSaved to {options.output}. Score rows with: fastkl score {options.output} DATA")
    return 0


def _read(options: argparse.Namespace) -> tuple[Table, NDArray[np.float64] | None]:
    """The columns to fit, and the weights."""
    if options.weights is None:
        return read_table(options.data, options.columns), None
    names = names_of(options.data)[0]
    weight = chosen(options.data, names, options.weights, "--weights")[0]
    weights = read_table(options.data, str(weight) if names[weight].isdigit() else names[weight]).columns[0]
    if weights.dtype == object or np.any(weights < 0.0) or not np.any(weights > 0.0):
        raise ValueError(f"--weights: column {names[weight]!r} has to hold numbers of at least 0, not all 0")
    return read_table(options.data, options.columns, without=[weight]), weights


def _observations(X: NDArray[Any], weights: Any, options: argparse.Namespace) -> tuple[NDArray[Any], Any, str]:
    """Rows to divide into parts, their weights, and in words what the weights were taken for.

    Whole weights stand for equal rows, and those have to be divided between the parts one by one: a value that is left out
    with all its repeats says little about a fit to the others.
    """
    if weights is None:
        return X, None, ""
    if np.all(weights == np.rint(weights)) and weights.sum() <= _MOST_REPEATED:
        return np.repeat(X, weights.astype(np.intp), axis=0), None, f" (by the repeats in column {options.weights!r})"
    kept = weights > 0.0
    return X[kept], weights[kept], f" (weighted by column {options.weights!r})"


def _matrix(data: Table, options: argparse.Namespace) -> NDArray[Any]:
    """The rows: numbers, or objects for a family of labels."""
    names = () if options.families is None else named(options.families)
    if any(families.by_name(name).labels for name in names):
        if names != ("categorical",):
            raise ValueError("--families: labels are fitted by categorical alone, without others beside it")
        return np.column_stack([_labels(column) for column in data.columns])
    text = [name for j, name in enumerate(data.names) if data.is_text(j)]
    if text:
        rest = [name for name in data.names if name not in text]
        advice = f"choose others with --columns {','.join(rest)}" if rest else "choose others with --columns"
        be = "column {} holds" if len(text) == 1 else "columns {} hold"
        raise ValueError(f"{be.format(_some(text))} text, not numbers: {advice} (or --families categorical for labels)")
    return np.column_stack(data.columns)


def _labels(column: NDArray[Any]) -> NDArray[Any]:
    """Labels as they are written: whole numbers without a decimal point."""
    if column.dtype != object and np.all(column == np.rint(column)) and np.abs(column).max() < 2.0**53:
        column = column.astype(np.int64)
    return column.astype(object)


def _frame(X: NDArray[Any], names: Sequence[str]) -> Any:
    """Rows with the names of their columns, where they have names and pandas is there to carry them."""
    if all(name.isdigit() for name in names):
        return X
    try:
        import pandas as pd
    except ImportError:
        return X
    return pd.DataFrame(X, columns=list(names))


def _fit_all(tried: dict[str, Any], rows: Any, weights: Any) -> tuple[dict[str, Any], dict[str, str]]:
    """Fits to all rows; for families that these rows exclude the reason."""
    fitted, refused = {}, {}
    for name, unfitted in tried.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                fit = clone(unfitted).fit(rows, sample_weight=weights)
            density = getattr(fit, "density_", fit)  # of a product, the one that was chosen
            if not one_family(density):
                fitted[name] = density
        except (ValueError, Warning) as error:
            refused[name] = first_sentence(error)
    return fitted, refused


def _held_out(density: Any, X: NDArray[Any], weights: Any, folds: int, seed: int) -> NDArray[np.float64] | str:
    """Log-density of every row under the fit to the other folds; in words why there is none."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            return cross_validated_log_density(density, X, weights, cv=folds, random_state=seed)
    except (ValueError, Warning) as error:
        return f"has no fit to one of the {folds} parts: {first_sentence(error)}"


def _print_ranking(ranking: Comparison, folds: int) -> None:
    print(f"Mean log-likelihood of held-out rows ({folds} folds), in nats per row; best first\n")
    rows = [
        [
            name,
            number(ranking.mean_log_likelihood[i]),
            number(ranking.standard_error[i]),
            number(ranking.kl_difference[i]) if i else "best",
            number(ranking.kl_difference_error[i]) if i else "",
            str(ranking.n_parameters[i]),
        ]
        for i, name in enumerate(ranking.names)
    ]
    print(table(["family", "log-likelihood", "± s.e.", "behind best", "± s.e.", "parameters"], rows))
    close = [
        name
        for i, name in enumerate(ranking.names)
        if i and not ranking.kl_difference[i] > 2.0 * ranking.kl_difference_error[i]
    ]
    if close:
        print()
        print(note(f"Within two standard errors, and so not told apart from the best: {', '.join(close)}."))


def _print_refused(refused: dict[str, str], title: str = "Not possible on these rows:") -> None:
    if not refused:
        return
    print(title)
    width = max(map(len, refused))
    for name, reason in refused.items():
        print(note(reason, f"  {name:<{width}}  "))


def _print_product(density: ProductDensity, columns: Sequence[str]) -> None:
    """The family of each column with its parameters."""
    for column, part in list(zip(columns, density.densities_.values(), strict=True))[:_SHOWN_COLUMNS]:
        cells = {name: _with_error(value, part.standard_errors_.get(name), 0) for name, value in part.params_.items()}
        held = ", ".join(f"{name} {value} ± {error}" for name, (value, error) in cells.items())
        print(note(f"{part.family_.name}, {held}", f"{column}: "))
        for name, sentence in part.boundary_.items():
            print(note(sentence, f"{column}, {name}: "))
    if len(columns) > _SHOWN_COLUMNS:
        print(f"... and {len(columns) - _SHOWN_COLUMNS} more columns")


def _print_parameters(density: Any, columns: Sequence[str]) -> None:
    """Parameters with standard errors: a line for each column, matrices as they are."""
    if isinstance(density, ProductDensity):
        _print_product(density, columns)
        return
    params, errors = density.params_, density.standard_errors_
    if density.family_.labels:
        for name, labels, shares in zip(columns, density.categories_, *params.values(), strict=True):
            held = [f"{label} {number(share)}" for label, share in zip(labels, shares, strict=False)]
            print(note(", ".join(held[:40]), f"{name}: "))
        return
    vectors = {name: value for name, value in params.items() if np.shape(value) == (len(columns),)}
    if vectors:
        head = ["column"]
        for name in vectors:
            head += [name, "± s.e."]
        shown = range(min(len(columns), _SHOWN_COLUMNS))
        rows = [
            [columns[j], *(cell for name in vectors for cell in _with_error(vectors[name], errors.get(name), j))]
            for j in shown
        ]
        print(table(head, rows))
        if len(columns) > _SHOWN_COLUMNS:
            print(f"... and {len(columns) - _SHOWN_COLUMNS} more columns")
    for name, value in params.items():
        if np.ndim(value) == 0:
            error = errors.get(name)
            print(f"\n{name} {number(float(value))}" + ("" if error is None else f" ± {number(float(error))}"))
        elif np.ndim(value) == 2 and len(columns) <= _SHOWN_COLUMNS:
            print()
            print(table([name, *columns], [[columns[j], *map(number, row)] for j, row in enumerate(np.asarray(value))]))
    for name, sentence in density.boundary_.items():
        print()
        print(note(sentence, f"{name}: "))


def _with_error(values: Any, errors: Any, j: int) -> list[str]:
    return [number(float(values[j])), "-" if errors is None else number(float(errors[j]))]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
