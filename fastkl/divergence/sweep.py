"""Estimates of one divergence by many numbers of neighbours."""

from __future__ import annotations

import html

import numpy as np

from fastkl._core.text_tables import html_table
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.interval_picture import interval_pictures

__all__ = ["NeighborSweep"]


class NeighborSweep(dict[int, Estimate]):
    """A dict of estimates by the number of neighbours, as ``kl_divergence_sweep`` gives it; a notebook shows it as a table.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import kl_divergence_sweep
    >>> rng = np.random.default_rng(0)
    >>> sweep = kl_divergence_sweep(rng.normal(size=300), rng.normal(1.0, 1.0, size=300), [1, 5, 20])
    >>> list(sweep), bool(0.0 < sweep.drift < 3.0)
    ([1, 5, 20], True)
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

    def _repr_html_(self) -> str:
        intervals = [estimate.confidence_interval() for estimate in self.values()]
        lows, highs = ([float(interval[end]) for interval in intervals] for end in (0, 1))
        pictures = interval_pictures([float(estimate) for estimate in self.values()], lows, highs, "nats")
        rows = []
        for k, estimate in self.items():
            error = "" if np.isnan(estimate.standard_error) else f"{estimate.standard_error:.3g}"
            rows.append([str(k), f"{float(estimate):.6g}" + ("*" if estimate.bias_suspected else ""), error])
        moved = "" if np.isnan(self.drift) else f", moves by {self.drift:.1f} standard errors"
        first = next(iter(self.values()), None)
        what = "" if first is None else f"{html.escape(first.method)}, rows {first.n_samples}{moved}"
        doubts = dict.fromkeys(str(reason) for estimate in self.values() for reason in estimate.reasons)
        notes = "".join(f"<div>* {html.escape(doubt)}</div>" for doubt in doubts)
        table = html_table(["neighbours", "nats", "± s.e.", "95 % interval"], rows, pictures)
        return f"<div><div>{what}</div>{table}{notes}</div>"
