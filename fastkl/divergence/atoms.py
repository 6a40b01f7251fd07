"""Atoms of P that Q lacks: where two samples have no common scale to be compared on.

A common ball that reaches rows of Q around a value that is repeated in P but absent from Q would compare different values, and
the divergence of categories 0 and 1 come out as 0. Whether an absent value is impossible or only rare under Q the rows of Q
nearest to it tell: a smooth distribution thins out toward its tail, so that the last values seen have few rows. Where instead
many rows of Q share the nearest value and none has this one, no smooth distribution is behind them, and the divergence is
infinite, as it is for the relative frequencies.
"""

from __future__ import annotations

import numpy as np

from fastkl.divergence.arguments import Totals
from fastkl.divergence.neighbors import Slab

# Q would have so many rows at a value if it had it as often as P: their absence is then no chance. In small samples half of Q
# will do, if that is not next to nothing.
_EXPECTED_ROWS, _LEAST_EXPECTED = 10.0, 5.0
# So many rows of Q at the nearest value, and so large a part of Q, are no tail that thins out.
_NEAREST_ROWS = 30.0
_NEAREST_PART = 0.02


class LackingAtoms:
    """Rows of P at values that are repeated in P, absent from Q, and no tail of Q; added slab by slab."""

    def __init__(self, p: Totals, q: Totals) -> None:
        expected = max(min(_EXPECTED_ROWS, 0.5 * q.n_rows), min(_LEAST_EXPECTED, q.n_rows))
        self._expected = expected * p.n_rows / q.n_rows
        self._nearest = max(min(_NEAREST_ROWS, 0.5 * q.n_rows), _NEAREST_PART * q.n_rows, 2.0)
        self.rows = 0

    def add(self, slab: Slab, k: int) -> None:
        """Add the rows of a slab, whose neighbours up to k are known."""
        nearest = slab.across.kth(1)
        atoms = (slab.own.kth(k) == 0.0) & (nearest > 0.0)
        if not atoms.any():
            return
        repeats = slab.own.count(np.where(atoms, 0.0, -1.0)) + 1.0
        around = slab.across.count(np.where(atoms, nearest, -1.0))
        self.rows += int(np.sum(atoms & (repeats >= self._expected) & (around >= self._nearest)))

    def reasons(self, p: Totals) -> list[str]:
        """Why the divergence is infinite; nothing where it is not."""
        if not self.rows:
            return []
        return [
            f"{self.rows} of {p.n_rows} rows of p have repeated values of which q has none although it has many rows at the "
            f"nearest ones: p has atoms that q lacks, and the divergence is infinite. If the values are symbols that a larger "
            f"sample of q would show, use fastkl.categorical_kl with unseen='estimate' or 'smooth'."
        ]
