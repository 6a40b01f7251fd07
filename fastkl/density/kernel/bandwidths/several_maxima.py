"""The highest maximum of the leave-one-out likelihood that is found: it may have several.

Rows in groups of unlike spread have a maximum for each of them, and kernels with an end have many: a lattice of bandwidths is
looked at on a part of the rows, and where a search from its peaks ends above that from the rule of thumb, so does the search on
all rows begin there. Many rows start from the maximum of a larger part of them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import product

import numpy as np
import numpy.typing as npt

from fastkl._core.array_types import Floats
from fastkl._core.iterations import told
from fastkl.density.kernel.bandwidths.leave_one_out import (
    LARGEST_PART,
    MANY,
    Climbed,
    LeaveOneOut,
    Maximum,
    climb,
    telling,
)
from fastkl.density.kernel.columns.ends import Mirrors
from fastkl.exceptions import DegenerateDataError

LOOKED_AT = 256  # rows of the part
LARGER = 5  # times the rows of the part before, in several columns: a pass over pairs of these costs a twenty-fifth
# logarithms of the multiples of the rule of thumb, by the number of bandwidths
LATTICES = {
    1: np.linspace(-3.0, 1.25, 18),
    2: np.array([-2.4, -1.6, -0.8, 0.0, 0.8]),
    3: np.array([-1.6, -0.8, 0.0, 0.8]),
}
# of kernels with an end, whose likelihood has a kink wherever a row comes into reach of another
WITH_AN_END, FINE = ("epanechnikov", "linear", "cosine"), np.linspace(-3.0, 1.25, 120)
OF_MANY_COLUMNS = np.array([-1.6, -0.8, 0.8])  # of one column or of all of them
MOST_COLUMNS = 8  # of which each is looked at alone
PEAKS = 3  # that are climbed from
NARROW, WIDE = -1.0, 0.3  # and one column narrow, the others wide: the maxima are often those
SAME, NEARLY = (
    0.05,
    0.005,
)  # in logarithms: ends of rough searches that are those of one maximum, or of a kernel with an end

Begin = tuple[Floats, Floats | None]  # log-bandwidths, and the inverse curvature where it is known


def maximise(
    points: Floats,
    weights: Floats | None,
    start: Floats,
    kernel: str,
    *,
    scalar: bool,
    n_threads: int,
    mirrors: Mirrors | None = None,
    accepted: Callable[[Floats], bool] = lambda bandwidth: True,
) -> Maximum:
    """The maximum, with one bandwidth for each column or one for all.

    Parameters
    ----------
    points, weights, kernel, n_threads, mirrors
        As ``LeaveOneOut`` has them, the points and mirrors in units of their own.
    start : ndarray of shape (d,)
        Bandwidths by a rule of thumb, all the same where one is for all columns.
    scalar : bool
        Whether one is for all columns.
    accepted : callable
        Of a maximum that is not that next to ``start``: whether its bandwidths (d,) will do.
    """
    n, d = points.shape

    def likelihood_of(every: int) -> LeaveOneOut:
        """That of one of so many rows."""
        of_part = None if weights is None else weights[::every]
        return LeaveOneOut(points[::every], of_part, kernel, n_threads, mirrors, start)

    whole, looked_at = likelihood_of(1), likelihood_of(max(1, -(-n // LOOKED_AT)))
    first = np.zeros(1 if scalar else d)
    begins: list[Begin] = [(place, None) for place in _starts(looked_at, _growth(n, looked_at), first)]
    n_iter = 0
    for every in _parts(n, d):
        begins, more = _begins(likelihood_of(every), n, begins)
        n_iter += more

    def climbed(begin: Begin, n_iter: int) -> Maximum:
        found = climb(whole, *begin, telling(start))
        return whole.maximum(found, n_iter + found.n_iter)

    best = climbed(begins[0], n_iter)
    for begin in begins[1:]:
        found = climbed(begin, best.n_iter)
        higher = found.log_likelihood > best.log_likelihood and accepted(found.bandwidth)
        best = replace(found if higher else best, n_iter=found.n_iter)
    return best


def _growth(n: int, part: LeaveOneOut) -> float:
    """How much larger log-bandwidths are on a part of n rows."""
    return float(np.log(n / part.n_rows)) / (part.n_slopes + 4.0)


def _parts(n: int, d: int) -> list[int]:
    """Of n rows one in so many: parts on which a search begins, each some times larger than the one before."""
    if n <= MANY:
        return []
    parts = [max(4, n // LARGEST_PART)]
    while d > 1 and parts[-1] >= 4 * LARGER:  # in one column a pass over all rows is quick
        parts.append(parts[-1] // LARGER)
    return parts


def _begins(part: LeaveOneOut, n: int, starts: list[Begin]) -> tuple[list[Begin], int]:
    """Where searches from the starts end on a part of n rows, the first and what is higher there; and evaluations.

    The likelihood per row gets flatter as squared errors fall, by the fourth power of the bandwidths.
    """
    growth = _growth(n, part)
    flatter = np.exp(4.0 * growth)
    reached = telling(part.unit * np.exp(-growth))
    ended = [
        climb(part, start + growth, None if inverse is None else inverse / flatter, reached)
        for start, inverse in starts
    ]
    kept = [end for end in ended if end is ended[0] or end.mean > ended[0].mean]
    return [(end.theta - growth, end.inverse * flatter) for end in kept], sum(end.n_iter for end in ended)


def _starts(part: LeaveOneOut, growth: float, first: Floats) -> list[Floats]:
    """``first``, and a start from which a search on this part of the rows ends higher than from there, if there is one."""
    with told(None):
        try:
            nearest = _roughly(part, first + growth)
        except DegenerateDataError:  # of the part; all rows may have one
            return [first]
        best, other = nearest.mean, []
        same = NEARLY if part.kernel in WITH_AN_END else SAME
        for peak in _peaks(part, growth, first):
            reached = _roughly(part, peak)
            if np.max(np.abs(reached.theta - nearest.theta)) > same and reached.mean > best:
                best, other = reached.mean, [reached.theta - growth]
    return [first, *other]


def _peaks(part: LeaveOneOut, growth: float, first: Floats) -> list[Floats]:
    """The highest peaks of the lattice, without those next to the rule of thumb."""
    lattice, near = _lattice(len(first), part.kernel in WITH_AN_END)
    ends = part.widest if len(first) == len(part.widest) else np.min(part.widest, keepdims=True)
    places = np.minimum(lattice + growth, ends)
    heights = np.array([_value(part, place) for place in places])
    around = np.array([np.max(heights[one], initial=-np.inf) for one in near])
    peaks = np.flatnonzero(np.isfinite(heights) & (heights >= around) & np.any(lattice != 0.0, axis=1))
    found = [places[k] for k in peaks[np.argsort(-heights[peaks], kind="stable")][:PEAKS]]
    if 1 < len(first) <= MOST_COLUMNS:
        one_narrow = np.minimum(np.where(np.eye(len(first), dtype=bool), NARROW, WIDE) + growth, ends)
        found += [place for place in one_narrow if np.isfinite(_value(part, place))]
    return found


def _lattice(size: int, has_kinks: bool) -> tuple[Floats, list[npt.NDArray[np.bool_]]]:
    """Log-bandwidths (k, size) in units of the rule of thumb, and which of them lie next to each: none, of many columns."""
    if size in LATTICES:
        steps = FINE if has_kinks and size == 1 else LATTICES[size]
        lattice = np.array(list(product(steps, repeat=size)))
        apart = np.max(np.abs(lattice[:, None] - lattice), axis=2)
        return lattice, list((apart > 0.0) & (apart < 1.5 * (steps[1] - steps[0])))
    of_all = np.multiply.outer(OF_MANY_COLUMNS, np.ones(size))
    alone = np.concatenate([step * np.eye(size) for step in OF_MANY_COLUMNS]) if size <= MOST_COLUMNS else of_all[:0]
    lattice = np.concatenate([of_all, alone])
    return lattice, [np.zeros(len(lattice), dtype=bool)] * len(lattice)


def _value(part: LeaveOneOut, log_bandwidth: Floats) -> float:
    """The mean log-density without itself."""
    logs, _ = part.log_densities(np.broadcast_to(log_bandwidth, part.n_slopes), False)
    return float(np.average(logs, weights=part.weights))


def _roughly(part: LeaveOneOut, start: Floats) -> Climbed:
    """Near the maximum that a search leads to; what is only looked at is no place to tell of."""
    return climb(part, start, None, lambda log_bandwidth: False, polish=False)
