"""What ``column_types=`` means, and the way of a table with labels into numbers and back.

Rows of a kernel density are numbers: a label is its place among those of its column, a whole number itself. Labels are those that
are given, or that a categorical column of pandas declares, or else those of the rows, sorted. Sorted texts are no order: what is
ordered has numbers, or says its order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl._core.wording import capital, did_you_mean
from fastkl.density.kernel.columns.discrete import DiscreteKernel
from fastkl.exceptions import SupportError
from fastkl.families.categorical import codes_of, unique_labels
from fastkl.rows.columns import column_number, named
from fastkl.rows.reading import first_non_number
from fastkl.rows.tables import column_types as types_of_table
from fastkl.rows.tables import is_table

TYPES = ("continuous", "categorical", "ordered")
UNKNOWN = -1.0  # stands for a value that is none of the labels
Labels = NDArray[Any]
Given = dict[int, tuple[str, Labels | None]]


def given_types(column_types: Any, names: Any, d: int) -> Given:
    """The columns that are not continuous, each with its type and the labels that are given; ValueError for what is no type."""
    if column_types is None:
        return {}
    if isinstance(column_types, Mapping):
        entries = {
            column_number(key, names, d, "column_types=: the table"): entry for key, entry in column_types.items()
        }
    elif isinstance(column_types, Sequence) and not isinstance(column_types, str):
        if len(column_types) != d:
            raise ValueError(
                f"column_types names {len(column_types)} columns, the table has {d}. A dict names some of them."
            )
        entries = dict(enumerate(column_types))
    else:
        raise TypeError(
            f"column_types is a dict of types by column, or a list of one for each column, not {column_types!r}."
        )
    found = {j: _given_type(entry, named(j, names)) for j, entry in sorted(entries.items())}
    return {j: entry for j, entry in found.items() if entry[0] != "continuous"}


def _given_type(entry: Any, place: str) -> tuple[str, Labels | None]:
    kind, labels = entry, None
    if isinstance(entry, tuple | list) and len(entry) == 2 and np.ndim(entry[1]) == 1:
        kind, labels = entry[0], _array_of(list(entry[1]))
        if len(labels) == 0 or len(set(labels.tolist())) < len(labels):
            raise ValueError(f"column_types: the labels of {place} are named once each, and at least one of them.")
    if not isinstance(kind, str) or kind not in TYPES or (kind == "continuous" and labels is not None):
        meant = did_you_mean(kind, TYPES) if isinstance(kind, str) else ""
        raise ValueError(
            f"column_types: {place} is {entry!r}.{meant} A type is 'continuous', 'categorical' or 'ordered', or one of the "
            "last two with its labels, such as ('ordered', ['low', 'middle', 'high']). Hours and angles go around by "
            "boundary=('circular', 24)."
        )
    return kind, labels


def _array_of(labels: list[Any]) -> Labels:
    """Labels as an array that keeps what they are: numbers and texts side by side stay so."""
    found = np.empty(len(labels), dtype=object)
    found[:] = labels
    kinds = {type(label) for label in labels}
    return np.array(labels) if len(kinds) == 1 and kinds <= {int, float, bool, str} else found


def declared_types(X: Any, given: Given) -> Given:
    """The same, with the labels that the table's own types declare."""
    if not is_table(X):
        return given
    types = types_of_table(X)
    found = {}
    for j, (kind, labels) in given.items():
        of_table = getattr(types[j], "categories", None)
        if labels is None and of_table is not None and (kind == "categorical" or getattr(types[j], "ordered", False)):
            labels = _array_of(list(of_table))
        found[j] = kind, labels
    return found


@dataclass(frozen=True)
class ColumnTypes:
    """The columns of labels and of whole numbers, as a fit has learnt them.

    Parameters
    ----------
    kinds : dict of {"categorical", "ordered"}
        By column.
    labels : dict of ndarray
        Their labels; columns of whole numbers have none.
    """

    kinds: dict[int, str]
    labels: dict[int, Labels]

    @classmethod
    def learnt(cls, given: Given, rows: Rows) -> ColumnTypes:
        """Of these rows; an error for an order that is not known."""
        labels: dict[int, Labels] = {}
        for j, (kind, own) in given.items():
            if own is not None:
                labels[j] = own
            elif kind == "categorical":
                labels[j] = _array_of(unique_labels(rows.X[:, j], rows.column(j))[0].tolist())
            else:
                _refuse_without_order(rows, j)
        return cls({j: kind for j, (kind, _) in given.items()}, labels)

    def kernel(self, j: int) -> DiscreteKernel | None:
        """That of a column; None for a continuous one."""
        if j not in self.kinds:
            return None
        labels = self.labels.get(j)
        return DiscreteKernel(self.kinds[j], None if labels is None else len(labels))

    def coded(self, rows: Rows, strict: bool = False) -> Rows:
        """Rows as numbers; ``strict`` is a SupportError for a value that is none of the labels, or no whole number."""
        X = np.empty((len(rows.X), rows.n_columns))
        for j in range(rows.n_columns):
            labels, column = self.labels.get(j), rows.X[:, j]
            if labels is not None:
                codes = codes_of(column, labels).astype(np.float64)
                X[:, j] = np.where(codes < 0, UNKNOWN, codes)
            else:
                X[:, j] = _numbers(column, rows, j)
            if strict and j in self.kinds:
                self._refuse(X[:, j], rows, j)
        return replace(rows, X=X)

    def _refuse(self, values: Floats, rows: Rows, j: int) -> None:
        kernel, labels = self.kernel(j), self.labels.get(j)
        assert kernel is not None
        outside = ~kernel.holds(values)
        if outside.any():
            row = int(np.argmax(outside))
            among = "which is no whole number. Give its labels in their order: ('ordered', [...])"
            if labels is not None:
                among = f"which is not among its {len(labels)} labels. Add it to them, or leave the row out"
            raise SupportError(f"{rows.place(row, j)} holds {np.asarray(rows.X[row, j]).tolist()!r}, {among}.")

    def values(self, X: Floats) -> list[NDArray[Any]]:
        """Rows of numbers as columns of values and labels."""
        columns = []
        for j in range(X.shape[1]):
            labels = self.labels.get(j)
            whole = X[:, j].astype(np.int64) if j in self.kinds else X[:, j]
            columns.append(whole if labels is None else labels[whole])
        return columns

    def part(self, columns: list[int]) -> ColumnTypes:
        """Those of some of the columns."""
        return ColumnTypes(
            {i: self.kinds[j] for i, j in enumerate(columns) if j in self.kinds},
            {i: self.labels[j] for i, j in enumerate(columns) if j in self.labels},
        )

    def entries(self) -> dict[int, Any] | None:
        """As ``column_types`` takes them."""
        found = {j: (kind, self.labels[j]) if j in self.labels else kind for j, kind in self.kinds.items()}
        return found or None


def _refuse_without_order(rows: Rows, j: int) -> None:
    """ValueError for texts whose order is not said."""
    found = first_non_number(rows.X[:, j], or_missing=True)
    if found is None:
        return
    row, value = found
    raise ValueError(
        f"{capital(rows.column(j))} is 'ordered' and holds labels ({rows.row(row)}: {value!r}), which have no order of their "
        "own. Say it, column_types={...: ('ordered', ['low', 'middle', 'high'])}, or pass an ordered categorical column of "
        "pandas."
    )


def _numbers(column: NDArray[Any], rows: Rows, j: int) -> Floats:
    """A column as numbers; ValueError for one that holds something else."""
    try:
        return column.astype(np.float64)
    except (TypeError, ValueError):
        found = first_non_number(column, or_missing=True)
        row, value = found if found is not None else (0, column[0])
        raise ValueError(
            f"{rows.place(row, j)} holds {value!r}, which is not a number. Say what the column is, column_types={{{j}: "
            "'categorical'}, or leave it out."
        ) from None
