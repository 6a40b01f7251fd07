r"""The log-concave density of maximum likelihood on a line, by an active set.

Its logarithm is concave and linear between some of the values, its knots. With the tent functions of neighbouring knots as
coordinates,

.. math:: \sum_i w_i \varphi(x_i) - \int e^{\varphi}

is smooth and concave in the log-densities at the knots, with a tridiagonal Hessian: Newton's method finds its maximum for given
knots. Knots that bend the wrong way are taken out on the way there; then, between every two knots, the value is added at which a
bend would raise the likelihood most, until there is none. Of many values the knots are looked for among some, evenly
spaced, then among all of those near the knots found, until no value anywhere would raise the likelihood.

The certificate is the Karush-Kuhn-Tucker condition, in shares of the sample: how much weight of the data a tent of height 1
between neighbouring knots holds more than the density gives it, at most over all values, and in absolute value at the knots
themselves.

L. Duembgen, K. Rufibach, "Maximum likelihood estimation of a log-concave density and its distribution function", Bernoulli 15,
2009, doi:10.3150/08-BEJ141; "logcondens: computations related to univariate log-concave density estimation", Journal of
Statistical Software 39, 2011, doi:10.18637/jss.v039.i06.
"""

from __future__ import annotations

from functools import partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from fastkl._core.array_types import Floats
from fastkl._core.iterations import is_stopped, read_as, report
from fastkl.density.shape.exponential import moments, ramp
from fastkl.density.shape.pieces import Pieces
from fastkl.exceptions import DegenerateDataError

Places = NDArray[np.intp]
GAIN = 1e-11  # excess of weight under a tent, in shares of all, below which no knot is added
FINE = 1e-14  # slope at which Newton's method ends
MOST_STEPS, MOST_SETS = 1000, 1000
TOO_STEEP = (
    "The log-concave density is too steep for double precision: weights or gaps between values differ by too many orders of "
    "magnitude. Leave out rows of next to no weight, and values that nearly coincide."
)
FEW = 500  # values among which knots are looked for first, of many


class LogConcave(NamedTuple):
    """The estimate, how far its conditions are from being met, and how many sets of knots it took."""

    pieces: Pieces
    certificate: float
    n_iter: int


def log_concave_mle(values: Floats, shares: Floats) -> LogConcave:
    """The estimate for different increasing values (m,), at least 2, whose weights (m,) sum to 1."""
    span = values[-1] - values[0]
    u = (values - values[0]) / span
    if not np.all(np.diff(u) > 0.0):
        raise DegenerateDataError(TOO_STEEP)
    last = len(u) - 1
    apart = max(1, len(u) // FEW)
    places: Places = np.unique(np.append(np.arange(0, last, apart), last))
    knots, logs, n_iter = np.array([0, last]), np.zeros(2), 0
    while True:
        # a function that is linear between these places sees the data through the weights of their tents alone
        with read_as(partial(_pieces_among, values, places)):
            among, logs, steps = _climb(u[places], _weights_at(u, shares, places), np.searchsorted(places, knots), logs)
        knots, n_iter = places[among], n_iter + steps
        better, excess = _best_bends(u, shares, knots, logs)
        certificate = max(float(np.max(excess, initial=0.0)), _slope(u, shares, knots, logs))
        near = np.concatenate([knots, better[excess > GAIN]])[:, np.newaxis] + np.arange(-apart, apart + 1)
        more = np.union1d(places, np.clip(near, 0, last))
        if certificate <= GAIN or len(more) == len(places) or is_stopped():
            break
        places = more
    return LogConcave(_pieces(values, knots, logs), certificate, n_iter)


def _pieces(values: Floats, knots: Places, logs: Floats) -> Pieces:
    """The density with these log-densities at the knots, in the unit of the values."""
    heights = np.column_stack([logs[:-1], logs[1:]]) - np.log(values[-1] - values[0])
    return Pieces(values[knots], heights).normalised()


def _pieces_among(values: Floats, places: Places, found: tuple[Places, Floats]) -> Pieces:
    """The density of a step of a search among some places."""
    return _pieces(values, places[found[0]], found[1])


def _climb(u: Floats, shares: Floats, knots: Places, logs: Floats) -> tuple[Places, Floats, int]:
    """The maximum with knots among these values: where they are, the log-densities there, and how many sets it took."""
    best, n_iter = -np.inf, 0
    while n_iter < MOST_SETS:
        n_iter += 1
        knots, logs = _fitted(u, shares, knots, logs)
        value = _value(_weights_at(u, shares, knots), np.diff(u[knots]), logs)
        places, excess = _best_bends(u, shares, knots, logs)
        wanted = places[excess > GAIN]
        if report(partial(tuple, (knots, logs))) or not len(wanted) or value <= best:
            break
        best = value
        more = np.sort(np.concatenate([knots, wanted]))
        logs, knots = np.interp(u[more], u[knots], logs), more
    return knots, logs, n_iter


def _fitted(u: Floats, shares: Floats, knots: Places, logs: Floats) -> tuple[Places, Floats]:
    """The maximum for some of these knots: those that do not bend the wrong way on the way to it."""
    while True:
        weights = _weights_at(u, shares, knots)
        widths = np.diff(u[knots])
        found = _newton(weights, widths, logs)
        before, after = np.maximum(_bends(widths, logs), 0.0), _bends(widths, found)
        wrong = after < 0.0
        if not wrong.any():
            return knots, found
        shares_of_way = np.full(len(after), np.inf)
        shares_of_way[wrong] = before[wrong] / (before[wrong] - after[wrong])
        way = float(shares_of_way.min())
        kept = np.concatenate([[True], shares_of_way > way, [True]])
        moved = (1.0 - way) * logs + way * found
        knots, logs = knots[kept], moved[kept]


def _bends(widths: Floats, logs: Floats) -> Floats:
    """By how much the slope falls at every inner knot."""
    return -np.diff(np.diff(logs) / widths)


def _weights_at(u: Floats, shares: Floats, knots: Places) -> Floats:
    """Weight of the data under the tent of every knot."""
    piece = np.clip(np.searchsorted(u[knots], u, side="right") - 1, 0, len(knots) - 2)
    far = (u - u[knots[piece]]) / (u[knots[piece + 1]] - u[knots[piece]])
    weights = np.zeros(len(knots))
    weights += np.bincount(piece, shares * (1.0 - far), minlength=len(knots))
    weights += np.bincount(piece + 1, shares * far, minlength=len(knots))
    return weights


def _value(weights: Floats, widths: Floats, logs: Floats) -> float:
    """What is maximised: the mean log-density less the integral of the density."""
    rise = np.abs(np.diff(logs))
    (whole,) = moments(rise, 0)
    with np.errstate(over="ignore"):
        return float(weights @ logs - np.sum(widths * np.exp(np.maximum(logs[:-1], logs[1:])) * whole))


def _expected(widths: Floats, logs: Floats) -> Floats:
    """Integrals of the density under the tents."""
    expected = np.zeros(len(logs))
    expected[1:] += widths * ramp(logs[:-1], logs[1:])
    expected[:-1] += widths * ramp(logs[1:], logs[:-1])
    return expected


def _slope(u: Floats, shares: Floats, knots: Places, logs: Floats) -> float:
    """The largest slope by a log-density at a knot."""
    return float(np.max(np.abs(_weights_at(u, shares, knots) - _expected(np.diff(u[knots]), logs))))


def _newton(weights: Floats, widths: Floats, logs: Floats) -> Floats:
    """The log-densities (k,) at the knots that maximise, by Newton's method with halved steps where a whole one falls."""
    value = _value(weights, widths, logs)
    for _ in range(MOST_STEPS):
        slope = weights - _expected(widths, logs)
        if np.max(np.abs(slope)) <= FINE:
            break
        try:
            step = solveh_banded(_curvature(widths, logs), slope, lower=True, check_finite=False)
        except np.linalg.LinAlgError as error:
            raise DegenerateDataError(TOO_STEEP) from error
        rise = float(slope @ step)
        if not np.isfinite(rise):
            raise DegenerateDataError(TOO_STEEP)
        factor = 1.0
        while True:
            moved = logs + factor * step
            new = _value(weights, widths, moved)
            if new >= value + 0.1 * factor * rise or factor * rise <= 1e-15:
                break
            factor *= 0.5
        smaller = np.max(np.abs(weights - _expected(widths, moved))) < np.max(np.abs(slope))
        if rise <= 1e-15 and not smaller:
            break
        logs, value = moved, new
    return logs


def _curvature(widths: Floats, logs: Floats) -> Floats:
    """Minus the Hessian in banded form: its diagonal, and the entries below."""
    left, right = logs[:-1], logs[1:]
    whole, first, second = moments(np.abs(right - left), 2)
    mass = widths * np.exp(np.maximum(left, right))
    at_low, at_high, between = mass * second, mass * (whole - 2.0 * first + second), mass * (first - second)
    diagonal = np.zeros(len(logs))
    diagonal[:-1] += np.where(left > right, at_high, at_low)
    diagonal[1:] += np.where(left > right, at_low, at_high)
    return np.vstack([diagonal, np.append(between, 0.0)])


def _best_bends(u: Floats, shares: Floats, knots: Places, logs: Floats) -> tuple[Places, Floats]:
    """Between every two knots the value whose tent holds most weight in excess of the density's, and that excess."""
    places, excesses = [], []
    for k, (low, high) in enumerate(pairwise(knots)):
        if high - low < 2:
            continue
        inside = slice(low + 1, high)
        at, own = u[inside], shares[inside]
        rising, falling = at - u[low], u[high] - at
        log = logs[k] + (logs[k + 1] - logs[k]) * rising / (u[high] - u[low])
        under_left = np.cumsum(own * rising) / rising
        after = np.cumsum((own * falling)[::-1])[::-1]
        under_right = np.append(after[1:], 0.0) / falling
        expected = rising * ramp(np.full_like(log, logs[k]), log) + falling * ramp(np.full_like(log, logs[k + 1]), log)
        excess = under_left + under_right - expected
        best = int(np.argmax(excess))
        places.append(low + 1 + best)
        excesses.append(float(excess[best]))
    return np.array(places, dtype=np.intp), np.array(excesses)
