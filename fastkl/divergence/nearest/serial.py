"""Whether rows are no independent draws: they go with the row before them, as those of a chain, or with that of the other sample.

Rows that are only sorted, or grouped by a few labels, go with the row before too, and as much with rows farther back; those of a
chain are the more different the farther they are apart.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from fastkl.divergence.estimate import OfBoth
from fastkl.divergence.nearest.coordinates import centre_and_spread
from fastkl.divergence.nearest.neighbors import SamplePair

# Rows stay what the row before was if at least this part does, beyond chance by so many standard deviations; where fewer than the
# other part are different they are symbols, in whatever order.
_STAYS, _BEYOND_CHANCE, _DIFFERENT_ROWS = 0.05, 8.0, 0.2
# Rows so far apart are compared with rows beside each other, among so many rows in a stretch.
_APART, _LOOKED_AT = 10, 20_000
# Half the mean square of their differences, in variances: it is larger by at least that much, and by so many standard deviations
# of what it is by chance; or rows beside each other are nearly equal, and those apart by about as many times as far as steps of a
# random walk take them, where those of a smooth curve, as sorted rows are, would be by a hundred times.
_LARGER, _DEVIATIONS = 0.2, 4.5
_NEARLY_EQUAL, _TIMES = 0.05, (4.0, 30.0)
# From this rank correlation on intervals miss a divergence of 0 more often than they should (normal chains of 1 to 4 columns).
_BY_MUCH = 0.6
# Values that change less often are in groups.
_FEW_CHANGES = 20
# Rows whose own partner is looked for, fewer than tell it, and distances to all rows of a large sample; and how many more of the
# rows have it next to them than by chance where the two samples are paired.
_PAIRS, _FEWEST_PAIRS, _DISTANCES = 300, 10, 10_000_000
_FEW_PAIRS, _PAIRED = 5.0, 0.08


def dwelling_reasons(pair: SamplePair) -> list[str]:
    """The reasons to doubt rows that are what the row before was more often than by chance: they are no independent draws."""
    reasons = []
    for name, X in (("p", pair.p.X), ("q", pair.q.X)):
        n, stays = len(X), int(np.all(X[1:] == X[:-1], axis=1).sum())
        if stays < _STAYS * n or np.any(_is_monotone(X)):
            continue  # rows in order, among which equal ones are neighbours
        counts = np.unique(X, axis=0, return_counts=True)[1]
        by_chance = float(np.sum(counts * (counts - 1.0))) / n
        if len(counts) > _DIFFERENT_ROWS * n and stays > by_chance + _BEYOND_CHANCE * np.sqrt(by_chance + 1.0):
            reasons.append(
                f"{stays} of {n} rows of {name} are equal to the row before them, as in a Markov chain, but rows are assumed to "
                "be independent draws: give each run of equal rows once, with its length as its weight, or every k-th row."
            )
    return reasons


def paired_reasons(pair: SamplePair) -> list[str]:
    """The reason to doubt samples whose rows of the same number are neighbours: rounded copies, repeated measurements.

    Of many rows some are looked at. In sorted samples rows of the same number are near each other anyway.
    """
    p, q = pair.p.X, pair.q.X
    if len(p) != len(q) or len(p) < _FEWEST_PAIRS or np.any(_is_monotone(p) & _is_monotone(q)):
        return []
    step = -(-len(p) // _PAIRS)
    part = _part_beside_partner(p[::step], q[::step], np.arange(-(-len(p) // step)))
    if part and step > 1:
        looked_for = int(np.clip(_DISTANCES // len(p), _FEWEST_PAIRS, _PAIRS))
        some = np.arange(0, len(p), -(-len(p) // looked_for))
        part = _part_beside_partner(p[some], q, some)
    if not part:
        return []
    return [
        OfBoth(
            f"For {part:.0%} of the rows of p, the nearest row of q is the one with the same row number: q seems to hold copies "
            "of p, or the same items measured again. The estimate assumes independent samples, and is then too small. Take p "
            "from one half of the items and q from the other half.",
            "paired rows",
        )
    ]


def _part_beside_partner(X: NDArray[Any], Y: NDArray[Any], numbers: NDArray[np.intp]) -> float:
    """The part of the rows that no row of q is nearer to than that with their number, if more than chance explains; else 0."""
    Y = Y.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        spread = centre_and_spread(Y)[1]
        distance = cdist(X.astype(np.float64) / spread, Y / spread)
        least = distance.min(axis=1) * (1.0 + 1e-9)
    own = int(np.count_nonzero(distance[np.arange(len(X)), numbers] <= least))
    by_chance = float(np.count_nonzero(distance <= least[:, np.newaxis])) / len(Y)
    return own / len(X) if own > _FEW_PAIRS + 3.0 * by_chance + _PAIRED * len(X) else 0.0


def dependence_reasons(pair: SamplePair) -> list[str]:
    """The reasons to doubt an estimate from rows that are no independent draws, by much: an error allows for a little."""
    return dwelling_reasons(pair) or serial_reasons(
        pair, "the error is too small, and the estimate mostly too large", _BY_MUCH
    )


def serial_reasons(pair: SamplePair, so: str = "the p-value is too small", least: float = 0.0) -> list[str]:
    """The reasons to doubt what takes rows for independent that go with the row before: of each sample the first column.

    ``least`` is the rank correlation from which on that is said.
    """
    reasons = []
    for name, X in (("p", pair.p.X), ("q", pair.q.X)):
        for j, column in enumerate(X[:_LOOKED_AT].T):
            if np.count_nonzero(column[1:] != column[:-1]) < _FEW_CHANGES:
                continue
            beside, apart = _differences(column)
            if 1.0 - beside >= least and _is_chain(beside, apart, len(column)):
                reasons.append(
                    f"Column {j}: values of {name} are correlated with those of the row before (rank correlation "
                    f"{1.0 - beside:.2f}), as in a Markov chain or a time series, but rows are assumed to be independent draws: "
                    f"{so}. Take every k-th row. If rows are only sorted or grouped, shuffle them."
                )
                break
    return reasons


def _is_monotone(X: NDArray[Any]) -> NDArray[np.bool_]:
    """Which columns rise or fall throughout."""
    return np.all(X[1:] >= X[:-1], axis=0) | np.all(X[1:] <= X[:-1], axis=0)


def _differences(column: NDArray[Any]) -> tuple[float, float]:
    """Half the mean squares of the differences of ranks beside each other, and farther apart, in variances of the ranks."""
    rank = rankdata(column)
    variance = float(rank.var())
    if len(rank) < 3 * _APART or variance == 0.0:
        return 1.0, 1.0
    beside, apart = (0.5 * float(np.mean((rank[lag:] - rank[:-lag]) ** 2)) / variance for lag in (1, _APART))
    return beside, apart


def _is_chain(beside: float, apart: float, rows: int) -> bool:
    """Whether rows beside each other are more alike than rows apart, by more than chance."""
    more = apart - beside
    if more > max(_LARGER, _DEVIATIONS * np.sqrt(2.0 / max(rows - _APART, 1))):
        return True
    return bool(beside < _NEARLY_EQUAL and _TIMES[0] * beside < apart < _TIMES[1] * beside)
