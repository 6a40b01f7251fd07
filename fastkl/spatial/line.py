"""A sample of one column as a sorted line. Only values are sorted at first; their rows are looked up on demand."""

from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from fastkl._core._threads import effective_n_threads
from fastkl.spatial import _line

Floats = npt.NDArray[np.float64]
Span = tuple[int, int]


class Line:
    """The values of one column in ascending order, with the searches of a tree (``_tree.Tree``)."""

    def __init__(self, X: npt.NDArray[np.floating], n_jobs: int | None) -> None:
        self.X = X
        self.n_jobs = n_jobs
        self.values: Floats = np.sort(X[:, 0]).astype(np.float64, copy=False)

    @cached_property
    def order(self) -> npt.NDArray[np.intp]:
        """Row of each position; rows of equal values in ascending order."""
        return np.argsort(self.X[:, 0], kind="stable")

    def nearest(self, queries: "Line", span: Span, k: int, same: bool, only_last: bool, in_order: bool) -> Floats:
        """Distances to the k nearest values, (n, k), or (n,) of the k-th with ``only_last``."""
        values = queries.values[span[0] : span[1]]
        found: Any = np.empty(len(values) * (1 if only_last else k))
        _line.nearest(self.values, values, k, same, span[0], only_last, found, effective_n_threads(self.n_jobs))
        found = found if only_last else found.reshape(-1, k)
        return found if in_order else self._by_row(queries, found)

    def ball(
        self, queries: "Line", span: Span, radius: Floats, same: bool, in_order: bool, weights: Floats | None
    ) -> Any:
        """Numbers, or total weights, of the values in the closed balls around the queries."""
        values = queries.values[span[0] : span[1]]
        found: Any = np.empty(len(values), dtype=np.int64 if weights is None else np.float64)
        if not in_order:
            radius = radius[queries.order]
        if weights is None:
            _line.ball(self.values, values, radius, same, span[0], None, found, None, effective_n_threads(self.n_jobs))
        else:
            ordered = weights[self.order]
            _line.ball(
                self.values, values, radius, same, span[0], ordered, None, found, effective_n_threads(self.n_jobs)
            )
        return found if in_order else self._by_row(queries, found)

    def listed(self, k: int) -> npt.NDArray[np.int32]:
        """Positions of the k nearest other values of each: a run around it that holds all values nearer than the k-th."""
        x, n = self.values, len(self.values)
        position = np.arange(n)
        reach = np.empty(n)
        _line.nearest(x, x, k, True, 0, True, reach, effective_n_threads(self.n_jobs))
        closed_below, nearer_above = np.zeros(n, dtype=np.intp), np.zeros(n, dtype=np.intp)
        for step in range(1, k + 1):
            closed_below[step:] += x[step:] - x[:-step] <= reach[step:]
            nearer_above[:-step] += x[step:] - x[:-step] < reach[:-step]
        # The earliest run that reaches the last nearer value above; the others of it are below, at the k-th distance at most.
        first = np.maximum(position - closed_below, position + nearer_above - k)
        run = first[:, np.newaxis] + np.arange(k)
        run += run >= position[:, np.newaxis]
        return run.astype(np.int32)

    @staticmethod
    def _by_row(queries: "Line", found: Any) -> Any:
        out = np.empty_like(found)
        out[queries.order] = found
        return out
