"""A group of columns with a family of its own, and the rows as it sees them: its columns alone, as numbers or labels.

Messages about a row name its columns as the whole table has them.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Params, Statistics
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.wording import capital
from fastkl.exceptions import DegenerateDataError, SupportError
from fastkl.families.base import Family

T = TypeVar("T")
SEPARATOR = "__"


@dataclass(frozen=True)
class Part:
    """One of the groups: its name, its family, and the numbers of its columns in the table."""

    name: str
    family: Family
    columns: tuple[int, ...]

    def key(self, name: str) -> str:
        """The name in the product of a parameter, or a statistic, of the group."""
        return f"{self.name}{SEPARATOR}{name}"

    def own(self, named: Params | Statistics) -> dict[str, Any]:
        """The group's own among the parameters, statistics or gradients of the product, by their own names."""
        start = self.key("")
        return {name.removeprefix(start): value for name, value in named.items() if name.startswith(start)}

    def named(self, own: Any) -> dict[str, Any]:
        """What the group calls by its own names, as the product calls it."""
        return {self.key(name): value for name, value in own.items()}

    def rows(self, rows: Rows) -> Rows:
        """The group's columns of rows in memory."""
        X = rows.X[:, list(self.columns)]
        if not self.family.labels:
            X = _as_numbers(X, rows, self.columns)
        names = None if rows.names is None else [rows.names[j] for j in self.columns]
        return replace(rows, X=np.ascontiguousarray(X), names=names, numbers=self.columns)

    def any_rows(self, rows: AnyRows) -> AnyRows:
        """The same of rows that may be elsewhere."""
        return self.rows(rows) if isinstance(rows, Rows) else PartRows(rows, self)

    @contextmanager
    def placed(self) -> Iterator[None]:
        """Errors inside begin with the group, and number the column as the table does."""
        try:
            yield
        except SupportError as error:
            raise SupportError(f"Group {self.name!r}: {error}") from error
        except DegenerateDataError as error:
            text, column = str(error), error.column
            if column is not None:
                column = self.columns[column]
                text = text.replace(f"olumn {error.column}", f"olumn {column}", 1)
            raise DegenerateDataError(f"Group {self.name!r}: {text}", column) from error


def _as_numbers(X: NDArray[Any], rows: Rows, columns: Sequence[int]) -> NDArray[Any]:
    if X.dtype in (np.float64, np.float32):
        return X
    try:
        return X.astype(np.float64)
    except (TypeError, ValueError):
        for i, j in np.ndindex(X.shape):
            try:
                float(X[i, j])
            except (TypeError, ValueError):
                raise ValueError(
                    f"{capital(rows.place(i, columns[j]))} holds {X[i, j]!r}, which is not a number. A group of labels has a "
                    "categorical family."
                ) from None
        raise


class PartRows:
    """One group's columns of rows to pass over (``AnyRows``)."""

    def __init__(self, rows: AnyRows, part: Part):
        self.whole, self.part = rows, part
        self.n_threads, self.incomplete, self.n_columns = rows.n_threads, rows.incomplete, len(part.columns)
        self.names = None if rows.names is None else [rows.names[j] for j in part.columns]

    @property
    def total_weight(self) -> float:
        """Sum of the weights."""
        return self.whole.total_weight

    def column(self, column: int) -> str:
        """The column in words, as the whole table has it."""
        return self.whole.column(self.part.columns[column])

    def total(
        self,
        function: Callable[..., T],
        *args: Any,
        merge: Callable[[T, T], T] = operator.add,
        block_rows: int | None = None,
    ) -> T:
        """``function(block, *args)`` of the group's columns of all blocks, merged in their order: one pass."""
        return self.whole.total(_of_part, self.part, function, args, merge=merge, block_rows=block_rows)

    def sample(self, size: int) -> Rows:
        """The group's columns of some rows."""
        return self.part.rows(self.whole.sample(size))


def _of_part(rows: Rows, part: Part, function: Callable[..., T], args: tuple[Any, ...]) -> T:
    return function(part.rows(rows), *args)
