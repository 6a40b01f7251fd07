"""Estimates of one divergence by many numbers of neighbours."""

from __future__ import annotations

import html
from typing import Any

import numpy as np

from fastkl._core.text_tables import html_table, table_lines
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.interval_picture import interval_pictures

__all__ = ["NeighborSweep"]


class NeighborSweep(dict[int, Estimate]):
    """A dict of estimates by the number of neighbours, as ``kl_divergence_sweep`` gives it, printed and shown as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import kl_divergence_sweep
    >>> rng = np.random.default_rng(0)
    >>> sweep = kl_divergence_sweep(rng.normal(size=300), rng.normal(0.5, 1.0, size=300), [1, 5, 20])
    >>> list(sweep), bool(0.0 < sweep.drift < 3.0)
    ([1, 5, 20], True)
    >>> sweep
    common_radius, rows (300, 300), moves by 1.5 standard errors
    <BLANKLINE>
    neighbours      nats  ± s.e.
             1  0.277473   0.114
             5  0.116866  0.0667
            20  0.109817  0.0458
    """

    @property
    def drift(self) -> float:
        """The largest difference of two estimates, in units of the larger of their standard errors; nan without errors."""
        values = np.array(list(self.values()), dtype=np.float64)
        errors = np.array([estimate.standard_error for estimate in self.values()])
        if not len(errors) or np.isnan(errors).any() or not errors.max() > 0.0:
            return float("nan")
        larger = np.maximum(errors[:, np.newaxis], errors)
        return float((np.abs(values[:, np.newaxis] - values) / larger).max())

    def to_frame(self) -> Any:
        """The table as a pandas DataFrame.

        Returns
        -------
        DataFrame
            A row for each number of neighbours, which are the index: value, standard_error, low and high (the 95 % interval), and
            bias_suspected.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        import pandas as pd

        columns = ["value", "standard_error", "low", "high", "bias_suspected"]
        rows = [
            [
                float(estimate),
                estimate.standard_error,
                *map(float, estimate.confidence_interval()),
                estimate.bias_suspected,
            ]
            for estimate in self.values()
        ]
        return pd.DataFrame(rows, index=pd.Index(self, name="n_neighbors"), columns=columns)

    def _cells(self) -> list[list[str]]:
        rows = []
        for k, estimate in self.items():
            error = "" if np.isnan(estimate.standard_error) else f"{estimate.standard_error:.3g}"
            rows.append([str(k), f"{float(estimate):.6g}" + ("*" if estimate.bias_suspected else ""), error])
        return rows

    def _head(self) -> str:
        moved = "" if np.isnan(self.drift) else f", moves by {self.drift:.1f} standard errors"
        first = next(iter(self.values()), None)
        return "" if first is None else f"{first.method}, rows {first.n_samples}{moved}"

    def _doubts(self) -> list[str]:
        return list(dict.fromkeys(f"* {reason}" for estimate in self.values() for reason in estimate.reasons))

    def __repr__(self) -> str:
        table = table_lines([["neighbours", "nats", "± s.e."], *self._cells()], left=())
        return "\n".join([self._head(), "", *table, *self._doubts()])

    def _repr_html_(self) -> str:
        intervals = [estimate.confidence_interval() for estimate in self.values()]
        lows, highs = ([float(interval[end]) for interval in intervals] for end in (0, 1))
        pictures = interval_pictures([float(estimate) for estimate in self.values()], lows, highs, "nats")
        notes = "".join(f"<div>{html.escape(doubt)}</div>" for doubt in self._doubts())
        table = html_table(["neighbours", "nats", "± s.e.", "95 % interval"], self._cells(), pictures)
        return f"<div><div>{html.escape(self._head())}</div>{table}{notes}</div>"
