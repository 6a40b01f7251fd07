"""From a Dask array or data frame to partitions of rows: the keys of its chunks, and those of the weights that go with them.

Nothing is computed here, and nothing is imported for what is not a Dask collection.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fastkl.exceptions import SourceError
from fastkl.rows.batch import Choice, chosen
from fastkl.rows.columns import column_number
from fastkl.rows.reading import refuse_dates_and_nested


@dataclass(frozen=True, eq=False)
class Partitions:
    """Where the rows are in a graph of tasks.

    Parameters
    ----------
    graph : HighLevelGraph
        How the partitions are computed.
    keys : list
        The key of every partition, in the order of the rows.
    weight_keys : list
        The key of the weights of every partition, or None.
    lengths : tuple of float
        Rows of every partition, NaN where that is not known.
    choice : Choice
        What is wanted of a partition.
    n_columns : int
        How many columns that are.
    names : list of str or None
        Their names.
    numbers_only : bool
        Whether their types are numeric.
    """

    graph: Any
    keys: list[Any]
    weight_keys: list[Any]
    lengths: tuple[float, ...]
    choice: Choice
    n_columns: int
    names: list[str] | None = None
    numbers_only: bool = True

    def known_lengths(self) -> tuple[tuple[int, int], ...] | None:
        """Rows, and rows of positive weight, of every partition, where both are known."""
        if np.isnan(self.lengths).any() or any(key is not None for key in self.weight_keys):
            return None
        return tuple((int(rows), int(rows)) for rows in self.lengths)


def open_partitions(collection: Any, columns: Sequence[Any] | None, weights: Any, labels: bool) -> Partitions:
    """The partitions of a Dask array or data frame with their weights, as for ``DaskSource``."""
    if is_frame(collection):
        return _of_frame(collection, columns, weights, labels)
    if is_array(collection):
        return _of_array(collection, columns, weights, labels)
    raise SourceError(
        f"A Dask source is a dask.array of two dimensions or a dask.dataframe, not a {type(collection).__name__}. Turn a series "
        "into a frame (to_frame), a bag or delayed objects into an array or frame first."
    )


def _of_array(X: Any, columns: Sequence[Any] | None, weights: Any, labels: bool) -> Partitions:
    if X.ndim != 2:
        raise SourceError(
            f"The Dask array has {X.ndim} dimensions, rows of columns have 2: x[:, None] makes one column of a vector."
        )
    if np.isnan(X.shape[1]):
        raise SourceError("The number of columns of the Dask array is not known: call its compute_chunk_sizes().")
    if X.shape[0] == 0:
        raise SourceError(f"The Dask array has shape {X.shape}: it holds no rows.")
    if columns is not None:
        X = X[:, chosen(Choice(columns), None, X.shape[1], "The Dask array")]
    refuse_dates_and_nested("column 0", X.dtype, None, "The Dask array")
    if X.numblocks[1] > 1:
        X = X.rechunk({1: -1})
    graph, keys = _graph_and_keys(X)
    return _with_weights(Partitions(graph, keys, [], X.chunks[0], Choice(labels=labels), int(X.shape[1])), weights)


def _of_frame(frame: Any, columns: Sequence[Any] | None, weights: Any, labels: bool) -> Partitions:
    known, place = list(frame.columns), "The Dask data frame"
    in_frame = weights if isinstance(weights, str) else None
    names = [known[j] for j in chosen(Choice(columns, in_frame), known, len(known), place)]
    wanted = list(dict.fromkeys(names))
    if in_frame is not None:
        column_number(in_frame, known, len(known), place)
        wanted += [in_frame] if in_frame not in wanted else []
    frame = frame[wanted]
    for name, kind in zip(wanted, frame.dtypes, strict=True):
        refuse_dates_and_nested(f"column {name!r}", kind, None, place)
    graph, keys = _graph_and_keys(frame)
    partitions = Partitions(
        graph, keys, [None] * len(keys), (np.nan,) * len(keys), Choice(names, in_frame, labels), len(names),
        names if all(isinstance(name, str) for name in names) else None,
        all(getattr(kind, "kind", "O") in "fiub" for kind in frame.dtypes),
    )  # fmt: skip
    return partitions if in_frame is not None else _with_weights(partitions, weights)


def _graph_and_keys(collection: Any) -> tuple[Any, list[Any]]:
    parts = np.ravel(collection.to_delayed())
    if any(part.key not in parts[0].dask for part in parts):
        # a persisted collection: the optimised graph is without the futures that its keys stand for
        parts = np.ravel(collection.to_delayed(optimize_graph=False))
    return parts[0].dask, [part.key for part in parts]


# -- weights -------------------------------------------------------------------------------------------------------------------


def _with_weights(partitions: Partitions, weights: Any) -> Partitions:
    """The keys of the weights; their graph joins that of the rows."""
    lengths, n_partitions = partitions.lengths, len(partitions.keys)
    if weights is None:
        return replace(partitions, weight_keys=[None] * n_partitions)
    if not (is_array(weights) or is_series(weights)):
        weights = _dealt_out(weights, lengths)
    if weights.ndim != 1:
        raise SourceError(f"sample_weight has {weights.ndim} dimensions; it takes one number for each row.")
    if is_array(weights) and not np.isnan((*lengths, *weights.chunks[0])).any() and weights.chunks[0] != lengths:
        if sum(weights.chunks[0]) != sum(lengths):
            raise SourceError(f"sample_weight has {weights.shape[0]} entries, the source has {sum(lengths)} rows.")
        weights = weights.rechunk((lengths,))
    graph, keys = _graph_and_keys(weights)
    if len(keys) != n_partitions:
        raise SourceError(
            f"sample_weight has {len(keys)} partitions, the rows have {n_partitions}. Take both from one collection, or "
            "repartition the weights."
        )
    from dask.highlevelgraph import HighLevelGraph

    return replace(partitions, graph=HighLevelGraph.merge(partitions.graph, graph), weight_keys=keys)


def _dealt_out(weights: Any, lengths: tuple[float, ...]) -> Any:
    """Weights in memory as a Dask array in the partitions of the rows."""
    import dask.array as da

    if isinstance(weights, str | os.PathLike):
        raise SourceError(
            f"sample_weight={weights!r} is the name of a column or a file; with a Dask array, weights are a Dask array."
        )
    values = np.asarray(weights)
    if np.isnan(lengths).any():
        raise SourceError(
            "The lengths of the partitions are not known, so that weights in memory can't be dealt out to them. Give the "
            "weights as a column or a Dask collection, or call the array's compute_chunk_sizes()."
        )
    if values.shape != (sum(lengths),):
        raise SourceError(f"sample_weight has shape {values.shape}, the source has {sum(lengths)} rows.")
    return da.from_array(values, chunks=(lengths,))


# -- what is what --------------------------------------------------------------------------------------------------------------


def is_dask(collection: Any) -> bool:
    """Whether this is a Dask collection of any kind."""
    return hasattr(type(collection), "__dask_graph__")


def is_array(collection: Any) -> bool:
    """Whether this is a Dask array."""
    return is_dask(collection) and hasattr(type(collection), "rechunk")


def is_frame(collection: Any) -> bool:
    """Whether this is a Dask data frame."""
    return is_dask(collection) and hasattr(type(collection), "map_partitions") and collection.ndim == 2


def is_series(collection: Any) -> bool:
    """Whether this is a Dask series."""
    return is_dask(collection) and hasattr(type(collection), "map_partitions") and collection.ndim == 1
