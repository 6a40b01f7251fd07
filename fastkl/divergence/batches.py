"""Divergence and entropies of samples that do not fit into memory: the same estimates, from blocks of rows.

The rows of p are taken a shard at a time, and each shard is searched against every shard of p and of q. Neighbours are merged
exactly, so the result is that of the call in memory. The work grows with the number of pairs of shards: take shards as large
as memory allows. By default columns are measured by their quartile range, for which the rows are read once more, so that no unit
matters; that of a million rows, evenly spaced, where there are more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.other_keywords import knows_other_keywords
from fastkl.divergence.arguments import require_count
from fastkl.divergence.column_words import errors_by_names, estimate_by_names, only_text
from fastkl.divergence.entropy_estimators.surfaces import LOOKED_AT, refuse_surfaces
from fastkl.divergence.estimate import Estimate, moved
from fastkl.divergence.matching import order_of_columns
from fastkl.divergence.nearest.samples import (
    check_auto_or_knn,
    check_method,
    pair_divergence,
    sample_cross_entropy,
    sample_entropy,
)
from fastkl.divergence.options import Options
from fastkl.divergence.sources import SourcePair, SourceSample, checked_source, common_scale

SHARD_ROWS = 1_000_000


@knows_other_keywords
def kl_divergence_batches(
    p: Any,
    q: Any,
    *,
    method: str = "auto",
    coordinates: str | None = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | str | PathLike[str] | None = None,
    sample_weight_q: ArrayLike | str | PathLike[str] | None = None,
    columns: Sequence[Any] | None = None,
    standard_error: bool = True,
    shard_rows: int = SHARD_ROWS,
    n_jobs: int | None = None,
) -> Estimate:
    """Kullback-Leibler divergence KL(p || q) in nats from two samples that are read in blocks.

    Parameters
    ----------
    p, q : array, memory map, path, iterable of arrays of shape (b, d), query or Dask collection
        Samples. A path names an ``.npy``, ``.parquet`` or ``.csv`` file, a folder of Parquet files or a pattern of such. A query
        is a polars ``LazyFrame``, a relation of duckdb, or another object with ``__arrow_c_stream__``. An
        iterable gives blocks of rows of any size, the same ones each time it is iterated over. The partitions of a Dask
        collection come to this process, one at a time.
    method : {"auto", "common_radius", "knn", "bias_reduced"}, default="auto"
        "auto" is "common_radius" among scaled columns, so that no unit matters; the others are those of `kl_divergence`.
    coordinates : {"auto", "scaled"} or None, default="auto"
        In which rows are near each other: columns over their quartile range in both samples together (that of a million rows,
        evenly spaced, where there are more), or None: as they are, whatever their units. "auto" scales them for
        ``method="auto"`` alone.
    n_neighbors : int, default=None
        As in `kl_divergence`.
    sample_weight_p, sample_weight_q : array-like of shape (n,) and (m,), str or path, default=None
        Masses of the rows; for tables the name of a column, else an array or the path of a ``.npy`` file.
    columns : sequence of str or int, default=None
        Columns to read of both samples; None for all but the weights.
    standard_error : bool, default=True
        Whether to compute the standard error and the diagnostics that need one.
    shard_rows : int, default=1_000_000
        Rows that are indexed together. What is held at a time is one shard of p, one shard of p or q, an index of each (about
        1.3 times its rows), and about 4 k + 20 numbers for each row of the shard of p.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    Estimate
        That of `kl_divergence` with the same method and coordinates for the same rows, with its standard error and diagnostics.

    Raises
    ------
    SourceError
        A file that cannot be read as rows.
    TypeError
        A sample can be read only once, or is a model; before anything is read.
    DegenerateDataError
        Zero distances with "knn" or "bias_reduced".
    ValueError
        As in `kl_divergence`; and blocks of different width, or other rows in a later pass. Messages name block and row.

    Warns
    -----
    SharedRowsWarning
        As in `kl_divergence`.

    See Also
    --------
    kl_divergence : For samples in memory, and for models.

    Notes
    -----
    With a shards of p and b of q the rows are read, and the shards indexed, about 2 a (a + b) times: once for distances and
    once for numbers in balls. A sample of one shard is indexed once and kept.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import kl_divergence, kl_divergence_batches
    >>> rng = np.random.default_rng(0)
    >>> p, q = [rng.normal(0, 1, (200, 2)) for _ in range(5)], rng.normal(1, 1, (1000, 2))
    >>> estimate = kl_divergence_batches(p, q, shard_rows=300)
    >>> whole = kl_divergence(np.concatenate(p), q, method="common_radius", coordinates="scaled")
    >>> abs(estimate - whole) < 1e-12
    True
    """
    chosen = check_method("common_radius" if method == "auto" else method)
    if coordinates not in ("auto", "scaled", None):
        raise ValueError(f"coordinates={coordinates!r} is unknown; expected 'auto', 'scaled' or None.")
    pair = _sources((p, sample_weight_p), (q, sample_weight_q), columns, shard_rows, n_jobs)
    if coordinates == "scaled" or (coordinates == "auto" and method == "auto"):
        _scale(pair.p, pair.q)
    return _by_names(lambda: pair_divergence(pair, Options(chosen, n_neighbors, standard_error)), pair.p, pair.q)


@knows_other_keywords
def entropy_batches(
    p: Any,
    *,
    method: str = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | str | PathLike[str] | None = None,
    columns: Sequence[Any] | None = None,
    standard_error: bool = True,
    shard_rows: int = SHARD_ROWS,
    n_jobs: int | None = None,
) -> Estimate:
    """Differential entropy in nats from a sample that is read in blocks, by Kozachenko and Leonenko's estimate.

    Parameters
    ----------
    p : array, memory map, path, iterable of arrays of shape (b, d), or Dask collection
        As in `kl_divergence_batches`.
    method : {"auto", "knn"}, default="auto"
        Neighbours among columns over their quartile range, so that multiplying a column by c moves the estimate by log c and
        nothing else; or ("knn") among the columns as they are.
    n_neighbors : int, default=None
        As in `entropy`.
    sample_weight_p : array-like of shape (n,), str or path, default=None
        Masses of the rows; for a table the name of a column, else an array or the path of a ``.npy`` file.
    columns : sequence of str or int, default=None
        Columns to read; None for all but the weights.
    standard_error : bool, default=True
        Whether to compute it.
    shard_rows : int, default=1_000_000
        Rows that are indexed together.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    Estimate
        That of `entropy` with ``method="knn"`` for the same rows, scaled or not. It does not split off margins, as the default of
        `entropy` does.

    Raises
    ------
    SourceError
        A file that cannot be read as rows.
    TypeError
        The sample can be read only once, or is a model.
    DegenerateDataError
        Repeated rows (atoms), or rows on a plane or a surface of second degree, as in `entropy`.
    ValueError
        As in `kl_divergence_batches`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import entropy_batches
    >>> blocks = [np.random.default_rng(i).standard_normal((500, 1)) for i in range(4)]
    >>> abs(entropy_batches(blocks) - 1.418939) < 0.1
    True
    """
    check_auto_or_knn(method)
    checked, weights = checked_source(p, "p", columns, sample_weight_p)
    require_count(shard_rows, "shard_rows")
    sample = SourceSample(checked, "p", weights, shard_rows, n_jobs)
    if sample.n_columns > 1:
        with errors_by_names(only_text(sample.names)):
            refuse_surfaces(sample.rows_throughout(-(-sample.n_rows // LOOKED_AT)))
    log_spread = _scale(sample) if method == "auto" else 0.0
    found = _by_names(lambda: sample_entropy(SourcePair(sample, sample), n_neighbors, standard_error), sample)
    return moved(found, log_spread)


@knows_other_keywords
def cross_entropy_batches(
    p: Any,
    q: Any,
    *,
    method: str = "auto",
    n_neighbors: int | None = None,
    sample_weight_p: ArrayLike | str | PathLike[str] | None = None,
    sample_weight_q: ArrayLike | str | PathLike[str] | None = None,
    columns: Sequence[Any] | None = None,
    standard_error: bool = True,
    shard_rows: int = SHARD_ROWS,
    n_jobs: int | None = None,
) -> Estimate:
    """Cross-entropy of p relative to q in nats from two samples that are read in blocks.

    Parameters
    ----------
    p, q : array, memory map, path, iterable of arrays of shape (b, d), or Dask collection
        As in `kl_divergence_batches`.
    method : {"auto", "knn"}, default="auto"
        Neighbours in columns divided by their quartile range in both samples together, or in columns as they are ("knn").
    n_neighbors : int, default=None
        As in `cross_entropy`.
    sample_weight_p, sample_weight_q : array-like of shape (n,) and (m,), str or path, default=None
        Masses of the rows; for tables the name of a column, else an array or the path of a ``.npy`` file.
    columns : sequence of str or int, default=None
        Columns to read of both samples; None for all but the weights.
    standard_error : bool, default=True
        Whether to compute it.
    shard_rows : int, default=1_000_000
        Rows that are indexed together.
    n_jobs : int or None, default=None
        Threads.

    Returns
    -------
    Estimate
        That of `cross_entropy` for the same rows with ``method="knn"``, or with ``n_neighbors`` given ("auto").

    Raises
    ------
    SourceError
        A file that cannot be read as rows.
    TypeError
        A sample can be read only once, or is a model.
    DegenerateDataError
        Two samples with common rows.
    ValueError
        As in `kl_divergence_batches`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.divergence import cross_entropy_batches
    >>> blocks = [np.random.default_rng(i).standard_normal((500, 1)) for i in range(4)]
    >>> abs(cross_entropy_batches(blocks, np.random.default_rng(9).standard_normal(2000)) - 1.418939) < 0.1
    True
    """
    check_auto_or_knn(method)
    pair = _sources((p, sample_weight_p), (q, sample_weight_q), columns, shard_rows, n_jobs)
    log_spread = _scale(pair.p, pair.q) if method == "auto" else 0.0
    return moved(_by_names(lambda: sample_cross_entropy(pair, n_neighbors, standard_error), pair.p, pair.q), log_spread)


def _by_names(estimate: Callable[[], Estimate], *samples: SourceSample) -> Estimate:
    """What is estimated, with errors and reasons about columns by their names."""
    names = next((names for sample in samples if (names := only_text(sample.names))), [])
    with errors_by_names(names):
        return estimate_by_names(estimate(), names)


def _scale(*samples: SourceSample) -> float:
    """Measure the columns of all samples by their common spread; the sum of the logarithms of the spreads."""
    scale = common_scale(samples)
    for sample in samples:
        sample.scale = scale
    return float(np.log(scale[1]).sum())


def _sources(p: tuple[Any, Any], q: tuple[Any, Any], columns: Any, shard_rows: int, n_jobs: int | None) -> SourcePair:
    """Both samples, each given with its weights; all that can be refused without reading is refused first."""
    require_count(shard_rows, "shard_rows")
    checked_p, weight_p = checked_source(p[0], "p", columns, p[1])
    checked_q, weight_q = checked_source(q[0], "q", columns, q[1])
    first = SourceSample(checked_p, "p", weight_p, shard_rows, n_jobs)
    second = SourceSample(checked_q, "q", weight_q, shard_rows, n_jobs)
    if first.n_columns != second.n_columns:
        raise ValueError(
            f"p has {first.n_columns} columns and q has {second.n_columns}; they must have the same columns."
        )
    second.order = order_of_columns(first.names, second.names)
    if first.dtype != second.dtype:
        first.dtype = second.dtype = float
    return SourcePair(first, second)
