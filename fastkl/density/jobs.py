"""Fits and scores by map and reduce, for engines that fastkl does not know: Spark, Ray, or a loop of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sklearn.base import clone
from sklearn.utils.metaestimators import available_if

from fastkl.density.contract import Density, learns_from_blocks
from fastkl.rows.batch import Choice
from fastkl.rows.columns import as_list
from fastkl.rows.jobs import Job


class JobMembers(Density):
    """Members of a density for rows in somebody else's engine."""

    fit_batches: Any
    score_batches: Any

    @available_if(learns_from_blocks)
    def start(self, *, columns: Sequence[Any] | None = None, sample_weight: str | None = None) -> Job:
        """Begin a fit whose passes over the rows are made elsewhere; this estimator stays as it is.

        Parameters
        ----------
        columns : sequence of str or int, default=None
            Columns to read of each batch, by name or, where they have none, by number; None for all but the weights.
        sample_weight : str, default=None
            The column of weights; a batch may also be a pair ``(X, weights)``.

        Returns
        -------
        Job
            ``while not job.done: job.reduce([job.map(batch) for batch in batches])``, then ``job.finish()`` is the fitted
            estimator, the same bit for bit however the rows are split.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import DensityMLE
        >>> X = np.random.default_rng(0).gamma(2.0, size=(1000, 1))
        >>> job = DensityMLE("gamma").start()
        >>> while not job.done:
        ...     parts = [job.map(batch) for batch in (X[:300], X[300:])]
        ...     job.reduce(parts)
        >>> model = job.finish()
        >>> bool(np.isclose(model.params_["shape"][0], DensityMLE("gamma").fit(X).params_["shape"][0], rtol=1e-10))
        True
        """
        return Job(clone(self).fit_batches, self._choice_of(columns, sample_weight))

    def start_score(self, *, columns: Sequence[Any] | None = None, sample_weight: str | None = None) -> Job:
        """Begin a score, ``score_batches``, whose passes over the rows are made elsewhere.

        Parameters
        ----------
        columns : sequence of str or int, default=None
            Columns to read of each batch. None takes, from tables, those with the names of the fit; else all.
        sample_weight : str, default=None
            The column of weights; a batch may also be a pair ``(X, weights)``.

        Returns
        -------
        Job
            As of ``start``; its result is the mean log-density with its standard error.
        """
        self._check_fitted()
        known = getattr(self, "feature_names_in_", None)
        choice = self._choice_of(columns, sample_weight)
        return Job(self.score_batches, replace(choice, known=None if known is None else [str(name) for name in known]))

    def _choice_of(self, columns: Sequence[Any] | None, sample_weight: str | None) -> Choice:
        if sample_weight is not None and not isinstance(sample_weight, str):
            raise TypeError("sample_weight is the name of a column of the batches; else map (X, weights) pairs.")
        return Choice(None if columns is None else as_list(columns), sample_weight, self._takes_labels())
