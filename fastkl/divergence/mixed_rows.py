"""Two samples that hold labels, beside numbers or alone: numbers as one matrix, labels as codes.

Where one of them holds numbers alone nothing is done here; the checks of samples of numbers say more about the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
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
