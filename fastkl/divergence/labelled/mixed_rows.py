"""Two samples that hold labels, beside numbers or alone: numbers as one matrix, labels as codes. Draws stand in for a model.

Where one of them holds numbers alone nothing is done here; the checks of samples of numbers say more about the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl._core.distinct import coded
from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.labelled.table_columns import LABEL, ColumnPair, paired_columns, refuse_missing
from fastkl.divergence.models.draws import default_draws, resolve_draws
from fastkl.divergence.models.model import is_model
from fastkl.divergence.operands import ModelOperand, Operand, SampleOperand, operands
from fastkl.divergence.options import Options
from fastkl.divergence.symbols.empirical import as_rows
from fastkl.exceptions import ColumnTypeError
from fastkl.rows.columns import named
from fastkl.rows.reading import look
from fastkl.rows.tables import column_names, column_types, column_values, is_table


class MixedColumns(NamedTuple):
    """Columns of both samples by kind.

    Parameters
    ----------
    numbers : pair of ndarray of shape (n, d), (m, d)
        Numbers, and texts that are dates as days.
    labels : pair of ndarray of shape (n, c), (m, c), integers
        Codes of labels, the same in both; where there are several columns of labels, the last one holds codes of all together.
    combinations : list of tuple
        The labels behind each code of the last column.
    names : list
        What the columns of numbers are called in the table: its names, or their places in it.
    """

    numbers: tuple[FloatArray, FloatArray]
    labels: tuple[NDArray[np.intp], NDArray[np.intp]]
    combinations: list[tuple[Any, ...]]
    names: list[Any]

    def rows(self, p: Any, q: Any) -> MixedColumns:
        """Some rows of either sample."""
        numbers, labels = ((both[0][p], both[1][q]) for both in (self.numbers, self.labels))
        return self._replace(numbers=numbers, labels=labels)


class MixedTables(NamedTuple):
    """Columns of two samples by kind, with their masses.

    Parameters
    ----------
    columns : MixedColumns
        The columns.
    weights : pair of ndarray of shape (n,), (m,) or None
        Masses of the rows.
    n_jobs : int or None
        Threads.
    """

    columns: MixedColumns
    weights: tuple[FloatArray | None, FloatArray | None]
    n_jobs: int | None

    @property
    def reversed(self) -> MixedTables:
        """The same with the two in each other's places."""
        columns = self.columns
        turned = columns._replace(numbers=columns.numbers[::-1], labels=columns.labels[::-1])
        return MixedTables(turned, self.weights[::-1], self.n_jobs)


def mixed_operands(p: Operand, q: Operand, options: Options) -> MixedTables | None:
    """Two samples of labels and numbers, draws in place of a model; None where columns are all numbers, or all labels."""
    columns = mixed_columns_or_draws(_as_given(p), _as_given(q), options)
    if columns is None or not columns.numbers[0].shape[1]:
        return None
    samples = [one for one in (p, q) if isinstance(one, SampleOperand)]
    weights = [
        one.masses(len(rows)) if isinstance(one, SampleOperand) else None
        for one, rows in zip((p, q), columns.numbers, strict=True)
    ]
    return MixedTables(columns, (weights[0], weights[1]), samples[0].n_jobs)


def _as_given(one: Operand) -> Any:
    assert isinstance(one, SampleOperand | ModelOperand)
    return one.data if isinstance(one, SampleOperand) else one.model.thing


def mixed_columns(p: Any, q: Any) -> MixedColumns | None:
    """The columns of two samples that have labels; None where one has none. ValueError for missing values and dates."""
    p, q = look(p, "p"), look(q, "q")
    if not (has_labels(p) and has_labels(q)):
        return None
    refuse_both_in_one(p, "p")
    refuse_both_in_one(q, "q")
    pairs = paired_columns(p, q, None, [])
    refuse_missing(pairs, "Fill them, leave the columns out, or drop the rows.")
    return columns_by_kind(pairs)


def columns_by_kind(pairs: list[ColumnPair]) -> MixedColumns:
    """The columns of two tables, which lack no value, by kind."""
    n, m = (len(values) for values in pairs[0].values)
    of_numbers = [np.concatenate(pair.values) for pair in pairs if pair.kind != LABEL]
    names = [pair.name for pair in pairs if pair.kind != LABEL]
    of_labels = [np.concatenate(pair.values).tolist() for pair in pairs if pair.kind == LABEL]
    codes = [coded(values)[1] for values in of_labels]
    if len(codes) > 1:
        codes.append(coded(list(zip(*(code.tolist() for code in codes), strict=True)))[1])
    numbers = np.column_stack(of_numbers).astype(np.float64) if of_numbers else np.empty((n + m, 0))
    labels = np.column_stack(codes) if codes else np.empty((n + m, 0), dtype=np.intp)
    combinations = list(dict.fromkeys(zip(*of_labels, strict=True)))
    return MixedColumns((numbers[:n], numbers[n:]), (labels[:n], labels[n:]), combinations, names)


def mixed_columns_or_draws(
    p: Any, q: Any, options: Options, *, draws_per_row: int | None = None
) -> MixedColumns | None:
    """The same, with draws in place of a model beside a sample that has labels: by default as many as befit the sample."""
    models = (is_model(p), is_model(q))
    if not any(models):
        columns = mixed_columns(p, q)
        if columns is not None:
            options.refuse_those_of_models()
        return columns
    one, other = operands(p, q)
    if not isinstance(one, SampleOperand):
        one, other = other, one
    if not isinstance(one, SampleOperand) or not isinstance(other, ModelOperand):
        return None
    if not has_labels(look(one.data, one.name)):
        return None
    rows = as_rows(one.data)
    default = default_draws(len(rows)) if draws_per_row is None else draws_per_row * len(rows)
    drawn = other.model.draw(resolve_draws(options.n_draws, default), options.rng)
    if drawn.shape[1] != rows.shape[1]:
        raise ValueError(f"{one.name} has {rows.shape[1]} columns and {other.name} draws rows of {drawn.shape[1]}.")
    return mixed_columns(drawn, rows) if models[0] else mixed_columns(rows, drawn)


def has_labels(data: Any) -> bool:
    """Whether a sample has a column of labels."""
    return any(_are_labels(values) for values in _columns(data))


def refuse_both_in_one(data: Any, name: str) -> None:
    """ColumnTypeError for a column of numbers and texts: a text among numbers makes no column of labels by itself."""
    for j, values in enumerate(_columns(data)):
        if values.dtype.kind != "O" or not _are_labels(values):
            continue
        objects = values.ravel().tolist()
        texts, numbers = ([i for i, v in enumerate(objects) if isinstance(v, kind) and v == v] for kind in (str, Real))
        if numbers:
            odd, others = (texts, "numbers") if len(texts) < len(numbers) else (numbers, "labels")
            raise ColumnTypeError(
                f"{name} holds {objects[odd[0]]!r} in row {odd[0]}, {named(j, column_names(data))}, among {others}. Mend it, or "
                "make all values of the column text, which makes them labels."
            )


def _columns(data: Any) -> Iterator[NDArray[Any]]:
    """Columns of a table or an array, each as an array."""
    if is_table(data) or hasattr(data, "column_names"):
        yield from (column_values(data, j) for j in range(len(column_types(data))))
        return
    values = np.asarray(data)
    yield from [values] if values.ndim < 2 or values.dtype.kind != "O" else values.T


def _are_labels(values: NDArray[Any]) -> bool:
    if values.dtype.kind != "O":
        return values.dtype.kind in "US"
    return any(isinstance(v, str) for v in values.ravel().tolist())
