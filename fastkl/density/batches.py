"""Fitting and scoring rows that are not in memory: files, batches, collections, passed over block by block.

Sums over blocks merge as sums over threads do (centred, by Chan's formula), so that the result is the one in memory to rounding,
whatever the blocks. Memory holds a few blocks, whatever the number of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Self

import numpy as np
from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from fastkl._core.array_types import Floats
from fastkl._core.means import Mean
from fastkl._core.rows import Rows
from fastkl._core.warned import names_compared
from fastkl.density.callbacks import hears_callbacks
from fastkl.density.contract import Density, learns_from_blocks
from fastkl.density.validation import unchanged_on_error
from fastkl.divergence import Estimate
from fastkl.exceptions import SourceError
from fastkl.rows import Block, Source, open_source
from fastkl.rows.checks import raise_if_not_finite
from fastkl.rows.output import is_folder, open_output, raise_if_same
from fastkl.rows.progress import SILENCE, progress_of
from fastkl.rows.streamed import BlockReader, StreamedRows


class BatchMembers(Density):
    """Members of a density for rows that are not in memory."""

    def score_batches(
        self,
        source: Any,
        *,
        columns: Sequence[Any] | None = None,
        sample_weight: Any = None,
        batch_rows: int | None = None,
        progress: Any = False,
    ) -> Estimate:
        """Weighted mean log-density per row of a source, with its standard error, in one pass.

        Parameters
        ----------
        source : path, array, data frame, iterable or Dask collection
            As for ``fit_batches``.
        columns : sequence of str or int, default=None
            Columns to read. None takes, from a table, those with the names of the fit; else all.
        sample_weight : str, path or array-like of shape (n,), default=None
            For tables the name of a column; else an array or the path of a ``.npy`` file.
        batch_rows : int, default=None
            Rows of a block; None for a few megabytes.
        progress : bool or callable, default=False
            True shows a bar (tqdm), a function is called with the rows done and the rows in all.

        Returns
        -------
        Estimate
            ``score`` of all rows, in nats per row, with ``standard_error`` and ``n_samples``; -inf, without a standard error,
            if a row lies outside the support.

        Raises
        ------
        SourceError
            If the source cannot be read as rows.
        ValueError
            If a value is not finite: the message names batch, row and column.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import DensityMLE
        >>> X = np.random.default_rng(0).normal(size=(1000, 2))
        >>> model = DensityMLE().fit(X)
        >>> model.score_batches([X[:300], X[300:]])
        Estimate(-2.83732 ± 0.0314 nats, method='mean log-density', n_samples=1000)
        """
        rows = self._rows_to_score(source, columns, sample_weight, batch_rows)
        with _with_progress(rows.source, progress, "score"):
            mean: Mean = rows.total(self._mean_of)
        return Estimate(mean.value, mean.error, mean.n_rows, "mean log-density")

    def score_samples_batches(
        self,
        source: Any,
        out: Any = None,
        *,
        columns: Sequence[Any] | None = None,
        batch_rows: int | None = None,
        progress: Any = False,
    ) -> Any:
        """Log-density of every row of a source, into memory or a file, in one pass.

        Parameters
        ----------
        source : path, array, data frame, iterable or Dask collection
            As for ``fit_batches``. Weights that come with the rows are ignored.
        out : None, path or ndarray of shape (n,), default=None
            None gives an array. A path that ends in ``.npy``, ``.parquet`` or ``.csv`` gives a file, which appears under its name
            when it is complete, also if several processes write it at once; an interrupt leaves the rows so far as
            ``name.partial``, an error leaves nothing. An array (or memory map) is written into. For a Dask collection,
            None gives a lazy Dask array and computes nothing, and a path without an ending gives a folder of Parquet
            files that the workers write.
        columns : sequence of str or int, default=None
            Columns to read. None takes, from a table, those with the names of the fit; else all.
        batch_rows : int, default=None
            Rows of a block; None for a few megabytes.
        progress : bool or callable, default=False
            True shows a bar (tqdm), a function is called with the rows done and the rows in all.

        Returns
        -------
        ndarray of shape (n,), dask array or Path
            The log-densities in nats, -inf outside the support; or where they are. Parquet and CSV files have the
            column ``log_density``.

        Raises
        ------
        SourceError
            If the source cannot be read as rows.
        OSError
            If the file cannot be written, a full disk included: then nothing is left of it.
        """
        raise_if_same(out, source)
        rows = self._rows_to_score(source, columns, None, batch_rows)
        scores = partial(_log_densities, self, rows.reader)
        if rows.source.lazy and (out is None or is_folder(out)):
            with _with_progress(rows.source, progress, "score"):
                return rows.source.values(scores) if out is None else rows.source.write_folder(scores, out)
        output = open_output(out, rows.source.n_rows)
        try:
            with _with_progress(rows.source, progress, "score"):
                rows.source.map(scores, lambda block, values: output.write(block.first_row, values))
            return output.finish()
        except BaseException as error:
            output.abandon(keep=isinstance(error, KeyboardInterrupt))
            raise

    def _rows_to_score(self, source: Any, columns: Any, sample_weight: Any, batch_rows: int | None) -> StreamedRows:
        self._check_fitted()
        labels = self._takes_labels()
        known = getattr(self, "feature_names_in_", None)
        names = None if known is None else [str(name) for name in known]
        opened = open_source(source, columns, sample_weight, batch_rows, labels, names)
        opened.learn_columns()
        if columns is None and names is not None and opened.names is not None and list(opened.names) != names:
            opened.select(names)
        n = self.n_features_in_
        if opened.n_columns != n:
            raise SourceError(
                f"The source has {opened.n_columns} columns, {type(self).__name__} was fitted to {n}: choose columns=[...]."
            )
        return StreamedRows(opened, n, known if opened.names is None else opened.names, self._threads(), labels)

    def _log_density_of(self, rows: Rows) -> Floats:
        with names_compared():  # a block is an array; that its columns are those of the fit has been seen to
            return self.score_samples(rows.X)

    def _mean_of(self, rows: Rows) -> Mean:
        return Mean.of(self._log_density_of(rows), rows.weights)

    # -- fitting -----------------------------------------------------------------------------------------------------------

    @available_if(learns_from_blocks)
    @hears_callbacks
    def fit_batches(
        self,
        source: Any,
        *,
        columns: Sequence[Any] | None = None,
        sample_weight: Any = None,
        batch_rows: int | None = None,
        progress: Any = False,
    ) -> Self:
        """Fit to rows that are not in memory: what ``fit`` on all of them gives, to rounding.

        Families with sufficient statistics take one pass, others one pass for each iteration.

        Parameters
        ----------
        source : path, array, data frame, iterable or Dask collection
            The path of an ``.npy``, ``.parquet`` or ``.csv`` file, of a folder of Parquet files, a pattern or a list of
            such; an array or data frame; a list, or any object that can be iterated, of arrays, data frames, record
            batches or ``(X, weights)`` pairs; a function that returns such an iterable; a polars ``LazyFrame``, a relation of
            duckdb, or another object with ``__arrow_c_stream__``; a Dask array or data frame.
        columns : sequence of str or int, default=None
            Columns to read, by name or, where they have none, by number; None for all but the weights.
        sample_weight : str, path or array-like of shape (n,), default=None
            For tables the name of a column; else an array or the path of a ``.npy`` file.
        batch_rows : int, default=None
            Rows of a block; None for a few megabytes.
        progress : bool or callable, default=False
            True shows a bar (tqdm) for each pass, a function is called with the rows done and the rows in all.

        Returns
        -------
        DensityMLE
            The estimator itself.

        Raises
        ------
        SourceError
            If the source cannot be read as rows, or can be read once where several passes are needed.
        SupportError
            If a value lies outside the family's support.
        DegenerateDataError
            If the likelihood has no maximum on these rows.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import DensityMLE
        >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
        >>> model = DensityMLE("gamma").fit_batches([X[:300], X[300:]])
        >>> bool(np.isclose(model.params_["shape"][0], DensityMLE("gamma").fit(X).params_["shape"][0], rtol=1e-10))
        True
        """
        with unchanged_on_error(self):
            self._forget_fit()
            labels = self._takes_labels()
            opened = open_source(source, columns, sample_weight, batch_rows, labels)
            self._raise_if_read_once(opened)
            opened.learn_columns()
            names, n = opened.names, opened.n_columns
            assert n is not None
            with _with_progress(opened, progress, "fit"):
                self._fit_blocks(StreamedRows(opened, n, names, self._threads(), labels))
            self.n_features_in_ = n
            if names is not None:
                self.feature_names_in_ = np.asarray(names, dtype=object)
        return self

    def _fit_blocks(self, rows: StreamedRows) -> None:
        estimator: Any = self
        if hasattr(self, "merge"):
            learned = vars(rows.total(_learned_from_block, clone(estimator), merge=_merged))
            for name in [name for name in learned if name.endswith("_")]:
                setattr(self, name, learned[name])
        else:
            for block in rows.blocks():
                estimator.partial_fit(block.X, sample_weight=block.weights)


def _learned_from_block(rows: Rows, unfitted: Any) -> Any:
    return clone(unfitted).partial_fit(rows.X, sample_weight=rows.weights)


def _merged(first: Any, second: Any) -> Any:
    return first.merge(second)


def _log_densities(density: Any, reader: BlockReader, block: Block) -> Floats:
    """Of all rows of a block, whatever their weights."""
    rows = reader.rows(Block(block.X, None, block.first_row, block.number, block.index))
    if rows is None:
        return np.empty(0)
    values: Floats = density._log_density_of(rows)
    with np.errstate(all="ignore"):
        finite = np.isfinite(values.sum())
    if not finite:
        raise_if_not_finite(rows)
    return values


@contextmanager
def _with_progress(source: Source, progress: Any, label: str) -> Iterator[None]:
    """Let ``progress`` hear of the passes over a source."""
    source.progress = progress_of(progress, label)
    try:
        yield
    finally:
        source.progress.close()
        source.progress = SILENCE
