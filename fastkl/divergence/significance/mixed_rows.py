"""Two samples that hold labels, beside numbers or alone: numbers as one matrix, labels as codes. Draws stand in for a model.

Where one of them holds numbers alone nothing is done here; the checks of samples of numbers say more about the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.models.draws import default_draws, resolve_draws
from fastkl.divergence.models.model import is_model
from fastkl.divergence.operands import ModelOperand, SampleOperand, operands
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import as_rows
from fastkl.divergence.table_columns import LABEL, paired_columns, refuse_missing
from fastkl.rows.reading import look
from fastkl.rows.tables import column_types, column_values, is_table


class MixedColumns(NamedTuple):
    """Columns of both samples by kind.

    Parameters
    ----------
    numbers : pair of ndarray of shape (n, d), (m, d)
        Numbers, and texts that are dates as days.
    labels : pair of ndarray of shape (n, c), (m, c), integers
        Codes of labels, the same in both; where there are several columns of labels, the last one holds codes of all together.
    """

    numbers: tuple[FloatArray, FloatArray]
    labels: tuple[NDArray[np.intp], NDArray[np.intp]]


def mixed_columns(p: Any, q: Any) -> MixedColumns | None:
    """The columns of two samples that have labels; None where one has none. ValueError for missing values and dates."""
    p, q = look(p, "p"), look(q, "q")
    if not (_has_labels(p) and _has_labels(q)):
        return None
    pairs = paired_columns(p, q, None, [])
    refuse_missing(pairs, "Fill them, leave the columns out, or drop the rows.")
    n, m = (len(values) for values in pairs[0].values)
    of_numbers = [np.concatenate(pair.values) for pair in pairs if pair.kind != LABEL]
    codes = [_codes(np.concatenate(pair.values).tolist()) for pair in pairs if pair.kind == LABEL]
    if len(codes) > 1:
        codes.append(_codes(list(zip(*(code.tolist() for code in codes), strict=True))))
    numbers = np.column_stack(of_numbers).astype(np.float64) if of_numbers else np.empty((n + m, 0))
    labels = np.column_stack(codes) if codes else np.empty((n + m, 0), dtype=np.intp)
    return MixedColumns((numbers[:n], numbers[n:]), (labels[:n], labels[n:]))


def mixed_columns_or_draws(
    p: Any, q: Any, options: Options, *, draws_per_row: int | None = None
) -> MixedColumns | None:
    """The same, with draws in place of a model beside a sample that has labels: by default as many as befit the sample."""
    models = (is_model(p), is_model(q))
    if not any(models):
        return mixed_columns(p, q)
    one, other = operands(p, q)
    if not isinstance(one, SampleOperand):
        one, other = other, one
    if not isinstance(one, SampleOperand) or not isinstance(other, ModelOperand):
        return None
    if not _has_labels(look(one.data, one.name)):
        return None
    rows = as_rows(one.data)
    default = default_draws(len(rows)) if draws_per_row is None else draws_per_row * len(rows)
    drawn = other.model.draw(resolve_draws(options.n_draws, default), options.rng)
    if drawn.shape[1] != rows.shape[1]:
        raise ValueError(f"{one.name} has {rows.shape[1]} columns and {other.name} draws rows of {drawn.shape[1]}.")
    return mixed_columns(drawn, rows) if models[0] else mixed_columns(rows, drawn)


def _codes(values: list[Any]) -> NDArray[np.intp]:
    """Whole numbers from 0 for values, by their first occurrence."""
    known = {value: code for code, value in enumerate(dict.fromkeys(values))}
    return np.array([known[value] for value in values], dtype=np.intp)


def _has_labels(data: Any) -> bool:
    """Whether a sample has a column of labels."""
    if is_table(data) or hasattr(data, "column_names"):
        return any(_are_labels(column_values(data, j)) for j in range(len(column_types(data))))
    return _are_labels(np.asarray(data))


def _are_labels(values: NDArray[Any]) -> bool:
    if values.dtype.kind != "O":
        return values.dtype.kind in "US"
    return any(isinstance(v, str) for v in values.ravel().tolist())
