"""Weighted medians by selection: O(n), without sorting the rows, of rows in memory or passed over block by block.

A few rows in memory are left to numpy's selection. Of others a sample brackets the middle; one pass sums the weight below the
bracket and keeps the values inside it, one in thirty, which alone are sorted: the result is exact. Where these are too many
to keep, they are tallied if they repeat, else every k-th of them is kept, and brackets the middle more narrowly for the next
pass.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fastkl._core._inside import values_inside
from fastkl._core.array_types import Floats
from fastkl._core.rows import AnyRows, Rows

SAMPLE = 16384
MARGIN = 4.0  # in standard deviations of a sample median's rank
MOST_KEPT = 1 << 22  # values kept in a pass, over all columns
AT_A_TIME = 1 << 24  # values looked at before what was kept of them is bounded: all of them may be tied
SLACK = 1e-12  # share of the weight within which a split counts as one half


def medians(rows: AnyRows) -> Floats:
    """Weighted median of every column, (d,): the middle between both ends where any point of an interval is one."""
    sample = rows.sample(SAMPLE)
    if sample is rows and isinstance(rows, Rows):
        return np.array([median(rows.X[:, j], rows.weights) for j in range(rows.n_columns)])
    found, most = np.full(rows.n_columns, np.nan), max(MOST_KEPT // rows.n_columns, SAMPLE)
    brackets = {j: Bracket().around(sample.X[:, j], sample.weights, 0.5) for j in range(rows.n_columns)}
    while brackets:
        contents = rows.total(_all_contents, brackets, most, merge=partial(_merged, most=most))
        before, brackets = brackets, {}
        for column, bracket in before.items():
            result = bracket.result(contents[column], rows.total_weight)
            if not isinstance(result, Bracket):
                found[column] = result
                continue
            brackets[column] = result
            if result.ends == bracket.ends:
                most *= 4  # weights so uneven that a sample of the values does not narrow the bracket
    return found


def median(x: NDArray[np.floating], weights: Floats | None = None) -> float:
    """The weighted median: half of the weight lies on either side; NaN if a value is NaN.

    Where the weight splits exactly between two values, the midpoint of the two.
    """
    if weights is None:
        return _plain_median(x.astype(np.float64))
    return _middle(x.astype(np.float64), weights, 0.0, float(np.sum(weights)))


def _plain_median(x: Floats) -> float:
    """The median without weights; reorders x. One selection: the other middle value of an even number is the largest below."""
    half = len(x) // 2
    x.partition(half)
    if np.isnan(x[half:].max()):  # NaN goes to the end
        return np.nan
    return float(x[half]) if len(x) % 2 else _midpoint(x[:half].max(), x[half])


def _middle(x: Floats, weights: Floats | None, under: float, total: float) -> float:
    """The weighted median of the whole, given the values around it and the weight below all of them."""
    ordered, cumulative = _ordered(x, weights)
    if np.isnan(ordered[-1]):  # NaN goes to the end
        return np.nan
    half, slack = 0.5 * total - under, SLACK * total
    first = min(int(np.searchsorted(cumulative, half - slack)), len(x) - 1)
    tied = abs(cumulative[first] - half) <= slack and first + 1 < len(x)
    return _midpoint(ordered[first], ordered[first + 1] if tied else ordered[first])


def _ordered(x: NDArray[np.floating], weights: Floats | None) -> tuple[NDArray[np.floating], Floats]:
    """Values in ascending order, and the weight up to each of them."""
    if weights is None:
        return np.sort(x), np.arange(1.0, len(x) + 1.0)
    order = np.argsort(x, kind="stable")
    return x[order], np.cumsum(weights[order])


def _tally(x: Floats, weights: Floats | None) -> tuple[Floats, Floats]:
    """The distinct values, and the weight of each."""
    if weights is None:  # sorts, where the way back to the values would need the slower sorting of their places
        distinct, counts = np.unique(x, return_counts=True)
        return distinct, counts.astype(np.float64)
    distinct, inverse = np.unique(x, return_inverse=True)
    return distinct, np.bincount(inverse, weights=weights).astype(np.float64)


def _midpoint(low: float, high: float) -> float:
    return float(low + 0.5 * (high - low))


@dataclass(frozen=True)
class Contents:
    """The weight below a bracket and inside it, and what is kept of the values inside: every k-th, with weights (None: of 1).

    Values and weights are in pieces, one or more for each set of rows that was merged, so that a merge copies none of them.
    """

    under: float
    weight: float
    pieces: tuple[tuple[Floats, Floats | None], ...]
    step: int

    def joined(self) -> tuple[Floats, Floats | None]:
        """All values and their weights."""
        if all(weights is None for _, weights in self.pieces):
            return np.concatenate([values for values, _ in self.pieces]), None
        both = [(values, np.ones(len(values)) if weights is None else weights) for values, weights in self.pieces]
        return np.concatenate([values for values, _ in both]), np.concatenate([weights for _, weights in both])

    def bounded(self, most: int) -> Contents:
        """At most so many values: tallied where that does it, else thinned."""
        n = sum(len(values) for values, _ in self.pieces)
        if n <= most:
            return self
        values, weights = self.joined()
        if self.step == 1:
            distinct, tallied = _tally(values, weights)
            if len(distinct) <= most // 2:
                return Contents(self.under, self.weight, ((distinct, tallied),), 1)
        return Contents(self.under, self.weight, ((values, weights),), self.step).thinned(self.step * -(-n // most))

    def thinned(self, step: int) -> Contents:
        """Every ``step``-th value of all; those left out don't stay in memory."""
        part = slice(None, None, max(step // self.step, 1))
        pieces = tuple(
            (np.ascontiguousarray(values[part]), None if weights is None else np.ascontiguousarray(weights[part]))
            for values, weights in self.pieces
        )
        return Contents(self.under, self.weight, pieces, step)

    def merged(self, other: Contents, most: int) -> Contents:
        """Those of both sets of rows together."""
        step = max(self.step, other.step)
        pieces = self.thinned(step).pieces + other.thinned(step).pieces
        return Contents(self.under + other.under, self.weight + other.weight, pieces, step).bounded(most)


@dataclass(frozen=True)
class Bracket:
    """Where to look for a median: from ``low`` to ``high``, values of the rows; it lies from ``lowest`` to ``highest``."""

    low: float = -np.inf
    high: float = np.inf
    lowest: float = -np.inf
    highest: float = np.inf

    @property
    def ends(self) -> tuple[float, float]:
        """Between what is looked."""
        return self.low, self.high

    def around(self, values: NDArray[np.floating], weights: Floats | None, share: float) -> Bracket:
        """A narrower one from a sample of the values inside, the median having this share of their weight below it."""
        ordered, cumulative = _ordered(values, weights)
        squares = float(len(values)) if weights is None else float(weights @ weights)
        margin = MARGIN * 0.5 * np.sqrt(squares) / cumulative[-1]
        left = int(np.searchsorted(cumulative, (share - margin) * cumulative[-1])) - 1
        right = int(np.searchsorted(cumulative, (share + margin) * cumulative[-1])) + 1
        low = float(ordered[left]) if left >= 0 else self.low
        high = float(ordered[right]) if right < len(values) else self.high
        return Bracket(low, high, self.low, self.high)

    def result(self, contents: Contents, total: float) -> float | Bracket:
        """The median, or where to look next."""
        half, slack = 0.5 * total, SLACK * total
        # a split of the weight at an end involves the value beyond: that end is looked at together with what lies there
        if contents.under >= half - slack and self.low > self.lowest:
            return Bracket(self.lowest, self.low, self.lowest, self.low)
        if contents.under + contents.weight <= half + slack and self.high < self.highest:
            return Bracket(self.high, self.highest, self.high, self.highest)
        if contents.step == 1:
            return _middle(*contents.joined(), contents.under, total)
        if self.low == self.high:
            return self.low
        inside = Bracket(self.low, self.high, self.low, self.high)
        return inside.around(*contents.joined(), (half - contents.under) / contents.weight)


def _all_contents(rows: Rows, brackets: dict[int, Bracket], most: int) -> dict[int, Contents]:
    """What the brackets of these columns hold."""
    low, high = (np.array([getattr(bracket, end) for bracket in brackets.values()]) for end in ("low", "high"))
    several = max(AT_A_TIME // rows.n_columns, 1)
    contents: dict[int, Contents] = {}
    for first in range(0, len(rows.X), several):
        part = slice(first, first + several)
        weights = None if rows.weights is None else rows.weights[part]
        found = values_inside(rows.X[part], weights, list(brackets), low, high, rows.n_threads)
        further = {
            column: Contents(under, weight, ((values, of_values),), 1).bounded(most)
            for column, (under, weight, values, of_values) in zip(brackets, found, strict=True)
        }
        contents = _merged(contents, further, most) if contents else further
    return contents


def _merged(first: dict[int, Contents], second: dict[int, Contents], most: int) -> dict[int, Contents]:
    return {column: contents.merged(second[column], most) for column, contents in first.items()}
