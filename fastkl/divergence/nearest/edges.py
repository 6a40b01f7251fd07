"""Where the values of a sample end, and whether a density does: at an edge as that of a uniform distribution, or in a tail.

Both matter to a divergence. Where p ends within q, all of q beyond is mass that p lacks, which smooth terms do not tell; where q
ends within p, the divergence is infinite. At an edge rows are as many next to the end as a little before it; the last rows of a
tail are thinner and thinner.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.nearest.neighbors import Pair, SamplePair

# Half of what is between the last row and so many before it is added to the ends of a sample.
_BEFORE, _SHARE = 4, 0.5
# So many rows of p beyond q, and so many of q as far before its end, are no chance; half of those of p are looked at, but at most
# so many.
_ROWS, _MOST_ROWS = 10, 100
# The last rows of q, at most that part of it, are as many as elsewhere if their mean distance from its end is no larger than that
# of uniform ones by so many standard deviations; the last 40 of a tail are thinner and thinner, and fewer than 25 don't tell.
_FEWEST_BEFORE, _BEFORE_END, _MOST, _FARTHER = 25, 40, 0.2, 1.5


def ends(some: FloatArray, X: NDArray[Any]) -> tuple[FloatArray, FloatArray]:
    """Where the values of a sample X (n, d) end in each column, (d,) each, a little beyond its last rows; from ``some`` of it.

    Of two samples of one distribution about a third of a row is beyond each end then; of a uniform one that little more is
    inside.
    """
    ordered = np.sort(some.astype(np.float64), axis=0)
    before = min(_BEFORE, len(some) - 1)
    share = _SHARE * len(some) / len(X)  # the last rows of all are as much nearer to each other
    below, above = ordered[before] - ordered[0], ordered[-1] - ordered[-1 - before]
    low, high = (np.array([end(column) for column in X.T], dtype=np.float64) for end in (np.min, np.max))
    return low - share * below, high + share * above


def edge_reasons(pair: Pair) -> list[str]:
    """For each column in which q ends at an edge that p goes beyond: why the divergence is infinite."""
    if not isinstance(pair, SamplePair):
        return []
    reasons = []
    for j, (first, second) in enumerate(zip(pair.p.X.T, pair.q.X.T, strict=True)):
        for end, sign, name in ((float(second.min()), -1.0, "least"), (float(second.max()), 1.0, "largest")):
            beyond = int(np.count_nonzero(first < end if sign < 0.0 else first > end))
            if beyond >= _ROWS and _is_edge(first, second, end, sign):
                reasons.append(
                    f"Column {j}: {beyond} of {len(first)} rows of p are beyond the {name} value of q, just before which q has "
                    f"as many rows as elsewhere: q seems to end there, and the divergence to be infinite."
                )
    return reasons


def _is_edge(p: NDArray[Any], q: NDArray[Any], end: float, sign: float) -> bool:
    """Whether the column of q ends as a uniform one does, on the scale on which that of p goes on."""
    with np.errstate(over="ignore"):
        beyond = sign * (p.astype(np.float64) - end)
        before = sign * (end - q.astype(np.float64))
    beyond = beyond[beyond > 0.0]
    some = int(np.clip(len(beyond) // 2, _ROWS, _MOST_ROWS))
    far = float(np.partition(beyond, some - 1)[some - 1])
    if float(beyond.min()) > 0.5 * far:  # p begins elsewhere
        return False
    fewest = int(min(_BEFORE_END, _MOST * len(q) - 1.0))
    if fewest < _FEWEST_BEFORE or np.count_nonzero(before <= far) < _ROWS:
        return False
    far = max(far, float(np.partition(before, fewest)[fewest]))
    near = before[before <= far] / far
    if len(near) > _MOST * len(q):  # of a whole narrow sample, or of one value, there are many as well
        return False
    return float(near.mean()) <= 0.5 + _FARTHER * np.sqrt(1.0 / (12.0 * len(near)))
