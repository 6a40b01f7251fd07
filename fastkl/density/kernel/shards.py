"""Log-densities under references that are not in memory: shards of them one after the other."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

from fastkl._core.array_types import Floats
from fastkl._core.rows import Rows
from fastkl.density.kernel.parts import KernelParts
from fastkl.rows.checks import raise_if_not_finite
from fastkl.rows.streamed import kept


class ShardMembers(KernelParts):
    """Members of a kernel density for references, and queries, in shards."""

    bias_reduction: str | None
    adaptive: bool

    def _total_weight(self) -> float:
        raise NotImplementedError

    def score_samples_shards(
        self,
        source: Any,
        references: Any,
        *,
        columns: Sequence[Any] | None = None,
        sample_weight: Any = None,
        batch_rows: int | None = None,
    ) -> Floats:
        """Log-density of every row of a source under references of another source, with the bandwidths of this fit.

        Neither has to fit in memory: the references are read once, block by block, and for each block the rows are passed over.
        A log-density is the log-sum-exp of those of the blocks, and within ``error`` of the sum over all references.

        Parameters
        ----------
        source : path, array, data frame, iterable or Dask collection
            Rows, as for ``fit_batches``; what can be read more than once.
        references : path, array, data frame, iterable or Dask collection
            Rows to take the place of ``references_``.
        columns : sequence of str or int, default=None
            Columns to read of both.
        sample_weight : str, path or array-like of shape (m,), default=None
            Weights of the references, as for ``fit_batches``.
        batch_rows : int, default=None
            Rows of a block; None for a few megabytes.

        Returns
        -------
        ndarray of shape (n,)
            In nats; -inf outside the support.

        Raises
        ------
        ValueError
            If bandwidths are those of the rows one by one (``adaptive``), or kernels are shifted (``bias_reduction``): these come
            from all references together.
        SourceError
            If a source cannot be read as rows.

        Notes
        -----
        Bandwidths that a rule has found for n0 rows are too wide for n of them, by about :math:`(n / n_0)^{1 / (d + 4)}`.

        Examples
        --------
        >>> import numpy as np
        >>> from fastkl import KernelDensityMLE
        >>> X = np.random.default_rng(0).normal(size=(9000, 1))
        >>> some = KernelDensityMLE(0.2).fit(X[:1000])
        >>> shards = [X[:3000], X[3000:6000], X[6000:]]
        >>> some.score_samples_shards(X[:2], shards).round(6)
        array([-0.987573, -0.952921])
        >>> KernelDensityMLE(0.2).fit(X).score_samples(X[:2]).round(6)
        array([-0.987573, -0.952921])
        """
        self._check_fitted()
        if self.adaptive or self.bias_reduction:
            raise ValueError(
                "Local bandwidths and shifts come from all references together: references in shards take adaptive=False and "
                "bias_reduction=None."
            )
        shards = self._rows_to_score(references, columns, sample_weight, batch_rows)
        total, weight = None, 0.0
        for block in shards.blocks():
            # who makes the blocks may fill one array again and again, also for the pass inside
            part = self._of_references(block if shards.source.lasting else kept(block))
            logs = np.asarray(part.score_samples_batches(source, columns=columns, batch_rows=batch_rows))
            logs = logs + np.log(part._total_weight())
            total, weight = logs if total is None else np.logaddexp(total, logs), weight + part._total_weight()
        assert total is not None
        return np.asarray(total - np.log(weight), dtype=np.float64)

    def _of_references(self, rows: Rows) -> Any:
        """The same density of other references."""
        rows = self._types.coded(rows, strict=True) if self._types.kinds else rows
        raise_if_not_finite(rows)
        self._support.refuse(rows)
        part: Any = copy.copy(self)
        part.references_, part.reference_weights_, part._sums = rows.X, rows.weights, None
        return part
