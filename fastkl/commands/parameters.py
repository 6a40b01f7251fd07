"""The parameters of a fitted density for a terminal, with standard errors: a line for each column, matrices as they are."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastkl import ProductDensity
from fastkl.commands.layout import note, number, table

# Parameters of more columns than this are left to the saved file.
_SHOWN_COLUMNS = 20
# Labels of a column that are shown.
_SHOWN_LABELS = 40


def parameters_text(density: Any, columns: Sequence[str]) -> str:
    """The parameters of a density of these columns."""
    return "\n".join(
        _of_product(density, columns) if isinstance(density, ProductDensity) else _of_family(density, columns)
    )


def _of_product(density: ProductDensity, columns: Sequence[str]) -> Iterator[str]:
    """The family of each group with its parameters: those of one column in a line."""
    for _, part, numbers in density.groups_[:_SHOWN_COLUMNS]:
        names = [columns[j] for j in numbers]
        if len(names) > 1:
            yield f"{part.family_.name} of {', '.join(names)}:\n"
            yield from _of_family(part, names)
            yield ""
            continue
        (column,) = names
        if part.family_.labels:
            yield note(f"categorical, {_shares(part, 0)}", f"{column}: ")
            continue
        cells = {name: _with_error(value, part.standard_errors_.get(name), 0) for name, value in part.params_.items()}
        held = ", ".join(f"{name} {value} ± {error}" for name, (value, error) in cells.items())
        yield note(f"{part.family_.name}, {held}", f"{column}: ")
        for name, sentence in part.boundary_.items():
            yield note(sentence, f"{column}, {name}: ")
    if len(density.groups_) > _SHOWN_COLUMNS:
        yield f"... and {len(density.groups_) - _SHOWN_COLUMNS} more columns"


def _of_family(density: Any, columns: Sequence[str]) -> Iterator[str]:
    params, errors = density.params_, density.standard_errors_
    if density.family_.labels:
        for j, name in enumerate(columns[:_SHOWN_COLUMNS]):
            yield note(_shares(density, j), f"{name}: ")
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
        yield table(head, rows)
        if len(columns) > _SHOWN_COLUMNS:
            yield f"... and {len(columns) - _SHOWN_COLUMNS} more columns"
    for name, value in params.items():
        if np.ndim(value) == 0:
            error = errors.get(name)
            yield f"\n{name} {number(float(value))}" + ("" if error is None else f" ± {number(float(error))}")
        elif np.ndim(value) == 2 and len(columns) <= _SHOWN_COLUMNS:
            yield ""
            yield table([name, *columns], [[columns[j], *map(number, row)] for j, row in enumerate(np.asarray(value))])
    for name, sentence in density.boundary_.items():
        yield ""
        yield note(sentence, f"{name}: ")


def _shares(density: Any, j: int) -> str:
    """The labels of a column with their probabilities."""
    (shares,) = density.params_.values()
    pairs = zip(density.categories_[j], shares[j], strict=False)
    held = [f"{label} {number(share)}" for label, share in pairs]
    return ", ".join(held[:_SHOWN_LABELS]) + (
        f", and {len(held) - _SHOWN_LABELS} more" if len(held) > _SHOWN_LABELS else ""
    )


def _with_error(values: Any, errors: Any, j: int) -> list[str]:
    return [number(float(values[j])), "-" if errors is None else number(float(errors[j]))]


def plain(value: Any) -> Any:
    """The same in what JSON has: lists, texts, numbers; what is not finite as ``"inf"``, ``"-inf"`` or null."""
    if isinstance(value, dict):
        return {str(key): plain(part) for key, part in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None if np.isnan(value) else f"{'-' if value < 0 else ''}inf"
    return value.item() if isinstance(value, np.generic) else value
