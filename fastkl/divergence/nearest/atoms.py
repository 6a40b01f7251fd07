"""Atoms of P that Q lacks: where two samples have no common scale to be compared on.

A common ball that reaches rows of Q around a value that is repeated in P but absent from Q would compare different values, and
the divergence of categories 0 and 1 come out as 0. Whether an absent value is impossible or only rare under Q the rows of Q
nearest to it tell: a smooth distribution thins out toward its tail, so that the last values seen have few rows. Where instead
many rows of Q share the nearest value and none has this one, no smooth distribution is behind them, and the divergence is
infinite, as it is for the relative frequencies. So it is where one value is frequent among those of P that else hardly repeat, as
an inflated zero, and no value of Q repeats.

Rows that are nowhere equal may have atoms in a column, such as a flag beside measurements. The divergence of the columns is never
larger than that of the rows, so one column is enough for it to be infinite.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import Sample, Totals
from fastkl.divergence.nearest.neighbors import Slab

# Q would have so many rows at a value if it had it as often as P: their absence is then no chance. In small samples half of Q
# will do, if that is not next to nothing.
_EXPECTED_ROWS, _LEAST_EXPECTED = 10.0, 5.0
# So many rows of Q at the nearest value, and so large a part of Q, are no tail that thins out.
_NEAREST_ROWS = 30.0
_NEAREST_PART = 0.02
# A value that is this part of a column, and so many rows, is an atom; where others repeat in less than that part of the rows, the
# column has a density beside it, and then fewer rows are one too.
_ATOM, _ATOM_ROWS, _REPEATED, _MOST = 0.05, 10, 0.02, 0.5
# Or so much less often than the atom.
_OTHERS = 0.1
# A column is looked at where a value repeats among so many of its rows that is not in the other one.
_SCREENED = 2000


class LackingAtoms:
    """Rows of P at values that are repeated in P, absent from Q, and no tail of Q; added slab by slab."""

    def __init__(self, p: Totals, q: Totals) -> None:
        expected = max(min(_EXPECTED_ROWS, 0.5 * q.n_rows), min(_LEAST_EXPECTED, q.n_rows))
        self._expected = expected * p.n_rows / q.n_rows
        self._nearest = max(min(_NEAREST_ROWS, 0.5 * q.n_rows), _NEAREST_PART * q.n_rows, 2.0)
        self.rows = 0

    def add(self, slab: Slab, k: int) -> None:
        """Add the rows of a slab, whose neighbours up to k are known."""
        self.rows += int(self.among(slab, k).sum())

    def among(self, slab: Slab, k: int) -> NDArray[np.bool_]:
        """Which rows of a slab they are."""
        atoms = np.asarray(slab.own.kth(k) == 0.0)
        if not atoms.any():
            return atoms
        nearest = slab.across.kth(1)
        atoms &= nearest > 0.0
        repeats = slab.own.count(np.where(atoms, 0.0, -1.0)) + 1.0
        around = slab.across.count(np.where(atoms, nearest, -1.0))
        return np.asarray(atoms & (repeats >= self._expected) & (around >= self._nearest))

    def are_lacking(
        self, values: NDArray[Any], counts: NDArray[np.intp], known: NDArray[Any], rows: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        """Which of the distinct values of a column of P are atoms that Q lacks; those of both are in order, with their rows."""
        after = np.minimum(np.searchsorted(known, values), len(known) - 1)
        before = np.maximum(after - 1, 0)
        with np.errstate(over="ignore"):
            nearest = np.where(np.abs(known[after] - values) <= np.abs(values - known[before]), after, before)
        absent = known[nearest] != values
        n, m = int(counts.sum()), int(rows.sum())
        no_others = (m - len(known) <= _REPEATED * m) | (rows.max() / m <= _OTHERS * counts / n)
        found: NDArray[np.bool_] = absent & (
            (counts >= self._expected) & ((rows[nearest] >= self._nearest) | (beside_others(counts) & no_others))
        )
        return found

    def reasons(self, p: Totals) -> list[str]:
        """Why the divergence is infinite; nothing where it is not."""
        if not self.rows:
            return []
        return [
            f"{self.rows} of {p.n_rows} rows of p have repeated values that never occur in q, although q has many rows at "
            "neighbouring values: p has atoms that q lacks, and the divergence is infinite. If the values are symbols that a "
            "larger sample of q would show, use fastkl.categorical_kl with unseen='estimate' or 'smooth'."
        ]


def _all_among(values: NDArray[Any], column: NDArray[Any]) -> bool:
    """Whether each of a few values, in order, is one of a column."""
    place = np.minimum(np.searchsorted(values, column), len(values) - 1)
    return len(np.unique(place[values[place] == column])) == len(values)


def beside_others(counts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Which values, by how often each is there, are atoms among others that hardly repeat, or by far not so often.

    A value of a smaller part of the rows is one if both are so, and the others most of the rows.
    """
    n = int(counts.sum())
    found = np.zeros(len(counts), dtype=bool)
    for least, of_others, small in ((max(_ATOM * n, _ATOM_ROWS), _REPEATED, False), (_ATOM_ROWS, _MOST, True)):
        atoms = counts >= least
        beside = counts[~atoms]
        if not atoms.any() or beside.sum() <= of_others * n:
            continue
        single, rare = beside.sum() - len(beside) <= _REPEATED * n, beside.max() <= _OTHERS * counts
        found |= atoms & ((single & rare) if small else (single | rare))
    return found


def atoms_beside_densities(p: Sample, discrete: Collection[int]) -> list[str]:
    """For each column with an atom, but the discrete ones of the model: why the divergence is infinite."""
    reasons = []
    for j, values in enumerate(p.X.T):
        if j in discrete:
            continue
        some = np.sort(values[:: -(-len(values) // _SCREENED)])
        if not (some[1:] == some[:-1]).any():
            continue
        known, counts = np.unique(values, return_counts=True)
        atoms = beside_others(counts)
        if atoms.any():
            at = int(np.argmax(np.where(atoms, counts, 0)))
            reasons.append(
                f"Column {j}: {counts[at]} of {p.n_rows} rows have the value {known[at]:.6g}, and the model has a density "
                "there, which gives a single value probability 0: the divergence is infinite. Model such a value on its own, "
                "or leave its rows out."
            )
    return reasons


def lacking_in_columns(p: Sample, q: Sample) -> list[str]:
    """For each column in which p has an atom that q lacks: why the divergence is infinite."""
    reasons = []
    for j, values, counts in _lacking(p, q):
        at = int(np.argmax(counts))
        reasons.append(
            f"Column {j}: {counts[at]} of {p.n_rows} rows of p have the value {values[at]:.6g}, which never occurs in q, "
            "although q does not fade out in a smooth tail there: p has an atom that q lacks, and the divergence is infinite. "
            "If values are rounded in one sample alone, round both alike."
        )
    return reasons


def at_lacking_atoms(p: Sample, q: Sample) -> NDArray[np.bool_]:
    """Which rows of p have, in some column, the value of an atom that q lacks, (n,)."""
    there = np.zeros(p.n_rows, dtype=bool)
    for j, values, _ in _lacking(p, q):
        there |= np.isin(p.X[:, j], values)
    return there


def _lacking(p: Sample, q: Sample) -> Iterator[tuple[int, NDArray[Any], NDArray[np.intp]]]:
    """Columns in which p has atoms that q lacks, with their values and how many rows of p have each."""
    limits = LackingAtoms(p, q)
    for j, (first, second) in enumerate(zip(p.X.T, q.X.T, strict=True)):
        some = np.sort(first[:: -(-len(first) // _SCREENED)])
        repeated = np.unique(some[1:][some[1:] == some[:-1]])
        if not len(repeated) or _all_among(repeated, second):
            continue
        values, counts = np.unique(first, return_counts=True)
        known, rows = np.unique(second, return_counts=True)
        lacking = limits.are_lacking(values, counts, known, rows)
        if lacking.any():
            yield j, values[lacking], counts[lacking]
