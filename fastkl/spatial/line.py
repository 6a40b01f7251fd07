"""A sample of one column as a sorted line. Only values are sorted at first; their rows are looked up on demand."""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl.spatial import _line

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]


class Line:
    """The values of one column in ascending order, with the searches of a tree (``_tree.Tree``)."""

    def __init__(self, X: npt.NDArray[np.floating], n_threads: int) -> None:
        self.X = X
        self.n_threads = n_threads
        self.values: Floats = np.sort(X[:, 0]).astype(np.float64, copy=False)

    @cached_property
    def order(self) -> npt.NDArray[np.intp]:
        """Row of each position; rows of equal values in ascending order."""
        return np.argsort(self.X[:, 0], kind="stable")

    def nearest(self, queries: "Line", span: Span, k: int, same: bool, only_last: bool, in_order: bool) -> Floats:
        """Distances to the k nearest values, (n, k), or (n,) of the k-th with ``only_last``."""
        values = queries.values[span[0] : span[1]]
        found: Any = np.empty(len(values) * (1 if only_last else k))
        _line.nearest(self.values, values, k, same, span[0], only_last, found, self.n_threads)
        found = found if only_last else found.reshape(-1, k)
        by_row: Floats = found if in_order else self._by_row(queries, found)
        return by_row

    def ball(
        self, queries: "Line", span: Span, radius: Floats, same: bool, in_order: bool, weights: Floats | None
    ) -> Any:
        """Numbers, or total weights, of the values in the closed balls around the queries."""
        values = queries.values[span[0] : span[1]]
        found: Any = np.empty(len(values), dtype=np.int64 if weights is None else np.float64)
        if not in_order:
            radius = radius[queries.order]
        if weights is None:
            _line.ball(self.values, values, radius, same, span[0], None, found, None, self.n_threads)
        else:
            ordered = weights[self.order]
            _line.ball(self.values, values, radius, same, span[0], ordered, None, found, self.n_threads)
        return found if in_order else self._by_row(queries, found)

    @staticmethod
    def _by_row(queries: "Line", found: Any) -> Any:
        out = np.empty_like(found)
        out[queries.order] = found
        return out
