"""Expectations under a density on a line by adaptive quadrature, with an error, in place of draws.

The line is mapped by sinh around the middle of the density, or by exp for a density on the positive numbers, so that tails are
followed over hundreds of powers of ten, and cut at quantiles, so that far and narrow parts are met; all intervals that are not
yet good enough are halved, and their points are asked of the models in one call. What lies beyond the last number is added as
the tail of a power law, and to the error; where it is not small, there is no result. The same points integrate the density
itself: where that is not 1, a part of it has been missed (or the density is not normalised), which is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.models.far_out import underflows
from fastkl.divergence.models.model import Model

Terms = Callable[[FloatArray], FloatArray]

_LEVELS = np.array([0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.3, 0.5])
_ROUNDS, _MOST_INTERVALS = 60, 4000
# What an interval may be off by, and the mass of the density.
_TOLERANCE, _MASS = 1e-12, 1e-7
_DRAWS = 2000
_SECTORS = 17  # between which a turn is cut at first
# Logarithms of how far out tails are followed, and down to 0: squares of the former are numbers still.
_LARGEST, _SMALLEST = 345.0, -706.0
# A log-density overflows by way of terms beyond the first, which the end of a support does not; a tail of more than the second,
# relative to the integral, is no result.
_OVERFLOWS, _TAIL = 1e50, 1e-3
# How far beyond the last quantile q is looked at first, in u.
_CLOSE = np.array([1e-3, 1e-2, 0.1])
# Steps to where q is rounded to 0.
_HALVINGS = 50

# Gauss and Kronrod's 7 and 15 points on (-1, 1): nodes from the middle, Kronrod's weights, Gauss's at every second one.
_NODES = np.array([
    0.991455371120812639206854697526329, 0.949107912342758524526189684047851, 0.864864423359769072789712788640926,
    0.741531185599394439863864773280788, 0.586087235467691130294144691693013, 0.405845151377397166906606412076961,
    0.207784955007898467600689403773245, 0.0,
])  # fmt: skip
_KRONROD = np.array([
    0.022935322010529224963732008058970, 0.063092092629978553290700663189204, 0.104790010322250183839876322541518,
    0.140653259715525918745189590510238, 0.169004726639267902826583426598550, 0.190350578064785409913256402421014,
    0.204432940075298892414161999234649, 0.209482141084727828012999174891714,
])  # fmt: skip
_GAUSS = np.array([
    0.129484966168869693270611432679082, 0.279705391489276667901467771423780, 0.381830050505118944950369775488975,
    0.417959183673469387755102040816327,
])  # fmt: skip
_POINTS = np.concatenate([-_NODES[:-1], _NODES[::-1]])
_FINE = np.concatenate([_KRONROD[:-1], _KRONROD[::-1]])
_COARSE = np.zeros(15)
_COARSE[1::2] = np.concatenate([_GAUSS[:-1], _GAUSS[::-1]])


class Integral(NamedTuple):
    """An expectation, what it may be off by, and the mass of the density that was found; a value of nan where that is not 1."""

    value: float
    error: float
    mass: float = 1.0


def expectation_on_a_line(p: Model, terms: Terms, q: Model | None = None) -> Integral | None:
    """E_p[terms(X)] for a density p of one column, or None where quadrature does not reach it.

    ``terms(rows)``, for rows (n, 1), may be infinite where p has mass, and is then the answer. ``q`` is another density in them,
    whose quantiles cut the line too.
    """
    if p.turn is not None:
        # that of a background, if one of them has it: all others go on beyond a turn
        other = None if q is None else q.turn
        return _around(p, q, terms, *(p.turn if other is None or other[0] < 0.0 else other))
    cuts = _cuts(p, q)
    line = None if cuts is None else _Line.through(cuts, p)
    if cuts is None or line is None:
        return None
    try:
        with np.errstate(all="ignore"):
            places = line.inverse(cuts)
            # none where all of p is at one number, or beyond the largest
            return _adaptive(p, q, terms, line, places) if len(places) else None
    except ValueError:
        return None  # a model that is not defined on all of the line: draws stay on its support


class _Turn:
    """The numbers of one turn as they are."""

    @staticmethod
    def at(u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The number at each u, and log dx/du."""
        return u, np.zeros_like(u)


def _around(p: Model, q: Model | None, terms: Terms, low: float, high: float) -> Integral | None:
    """The expectation over one turn of a density on a circle, whose formula goes on beyond it."""
    found = [np.linspace(low, high, _SECTORS)]
    for model in (p, q):
        if model is not None and model.can_draw:
            drawn = model.draw(_DRAWS, np.random.RandomState(0))[:, 0].astype(np.float64)
            found.append(np.quantile(low + (drawn - low) % (high - low), np.linspace(0.0, 1.0, 41)))
    try:
        with np.errstate(all="ignore"):
            return _between(p, q, terms, _Turn(), np.unique(np.concatenate(found)), (0.0, 0.0, 0.0))
    except ValueError:
        return None


class _Line(NamedTuple):
    """A map from the numbers u to those that a density lives on, and the ends of its support."""

    middle: float
    scale: float
    low: float
    high: float

    @classmethod
    def through(cls, cuts: FloatArray, p: Model) -> _Line | None:
        """The map for a density with quantiles among these numbers."""
        low, high = np.where(np.isnan(_ends(p)), [-np.inf, np.inf], _ends(p)).tolist()
        if low == 0.0:
            positive = cuts[cuts > 0.0]
            return cls(0.0, float(np.median(positive)), low, high) if len(positive) else None
        scale = float(np.subtract(*np.quantile(cuts, [0.75, 0.25])))
        return cls(float(np.median(cuts)), scale, low, high) if np.isfinite(scale) and scale > 0.0 else None

    def at(self, u: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The number x at each u, next to an end rather than on it, and log dx/du."""
        if self.low == 0.0:
            x, slope = self.scale * np.exp(u), u
        else:
            size = np.abs(u)
            x, slope = self.middle + self.scale * np.sinh(u), size + np.log1p(np.exp(-2.0 * size)) - np.log(2.0)
        # at an end itself the density may be infinite
        x = np.where(x == self.low, np.nextafter(self.low, np.inf), x)
        x = np.where(x == self.high, np.nextafter(self.high, -np.inf), x)
        return x, slope + np.log(self.scale)

    @property
    def limits(self) -> tuple[float, float]:
        """The least and the greatest u."""
        greatest = min(_LARGEST - float(np.log(self.scale)), -_SMALLEST)
        return (_SMALLEST - float(np.log(self.scale)) if self.low == 0.0 else -greatest), greatest

    def inverse(self, x: FloatArray) -> FloatArray:
        """Each u with a number x, in order; without those beyond the limits."""
        u = np.log(x[x > 0.0] / self.scale) if self.low == 0.0 else np.arcsinh((x - self.middle) / self.scale)
        least, greatest = self.limits
        return np.unique(u[(u > least) & (u < greatest)])


def _ends(model: Model | None) -> FloatArray:
    """The ends of the support of a model; nan where it does not know them."""
    ends = None if model is None else model.quantiles(np.array([0.0, 1.0]))
    return np.full(2, np.nan) if ends is None else ends


class _Tail(NamedTuple):
    """Where the line is cut on one side, and what is beyond: of the integral and of the mass of the density.

    ``impossible`` is infinite where p has mass beyond the end of the support of q.
    """

    reach: float
    value: float = 0.0
    mass: float = 0.0
    impossible: float = 0.0


def _tail(p: Model, q: Model | None, terms: Terms, line: _Line, start: float, side: float) -> _Tail:
    """The tail from u = ``start`` to the one side (1.0) or the other (-1.0), as far as both log-densities are numbers."""
    if np.isfinite(line.high if side > 0.0 else line.low or -np.inf):
        return _Tail(start)  # the support ends there, and not at u = -inf
    length = abs(line.limits[int(side > 0.0)] - start)
    for share in (1.0, 0.25, 0.1):
        u = start + side * np.concatenate([_CLOSE, np.arange(1.0, share * length)])
        try:
            x, slope = line.at(u)
            log_mass = p.log_density(x[:, np.newaxis]) + slope
            break
        except ValueError:  # a log-density that overflows to nan
            continue
    else:
        return _Tail(start)
    there = np.exp(log_mass) > 0.0
    last = len(u) if there.all() else int(np.argmin(there))  # the first without mass
    values = np.asarray(terms(np.ascontiguousarray(x[:last, np.newaxis]))) if last else np.zeros(0)
    broken = np.flatnonzero(~np.isfinite(values))
    if len(broken):
        last = int(broken[0])
        end = _ends(q)[int(side > 0.0)]
        grown = last > 0 and abs(values[last - 1]) > _OVERFLOWS
        if np.isfinite(end) or (np.isnan(end) and not grown and not np.isnan(values[last])):
            if q is not None and underflows(q, x[[last]]):
                return _until(p, terms, line, start if last == 0 else float(u[last - 1]), float(u[last]))
            return _Tail(start, impossible=float(values[last]))
    elif last < len(u):
        return _Tail(float(u[last]))
    if last < len(_CLOSE) + 4:  # too few to say how they fall: what is beyond is of the size at the last
        reach = start if last == 0 else float(u[last - 1])
        value, mass = _at(p, terms, line, reach)
        return _Tail(reach, mass * value, mass)
    log_value = log_mass[:last] + np.log(np.abs(values[:last]))
    sign = float(np.sign(values[last - 1]))
    return _Tail(float(u[last - 1]), sign * _beyond(log_value), _beyond(log_mass[:last]))


def _until(p: Model, terms: Terms, line: _Line, start: float, broken: float) -> _Tail:
    """The tail between a u and one where q is rounded to 0, up to where it is not; what is beyond is of the size there."""
    for _ in range(_HALVINGS):
        half = 0.5 * (start + broken)
        start, broken = (half, broken) if np.isfinite(_at(p, terms, line, half)[0]) else (start, half)
    value, mass = _at(p, terms, line, start)
    return _Tail(start, mass * value, mass)


def _at(p: Model, terms: Terms, line: _Line, u: float) -> tuple[float, float]:
    """A term, and the density of p in u."""
    x, slope = line.at(np.array([u]))
    rows = x[:, np.newaxis]
    return float(terms(rows)[0]), float(np.exp(p.log_density(rows) + slope)[0])


def _beyond(logs: FloatArray) -> float:
    """The integral beyond the last of some logarithms of a function at u = 1, 2, ..., if it goes on to fall as it fell."""
    if logs[-1] == -np.inf:
        return 0.0
    rate = (logs[-4] - logs[-1]) / 3.0
    return float(np.exp(logs[-1]) / rate) if rate > 0.0 else float("inf")


def _cuts(p: Model, q: Model | None) -> FloatArray | None:
    """Points between which the densities vary little: quantiles, or draws where a model knows none."""
    found = []
    for model in (p,) if q is None else (p, q):
        quantiles = model.quantiles(np.concatenate([_LEVELS, 1.0 - _LEVELS[:-1]]))
        if quantiles is None:
            if not model.can_draw:
                if model is p:
                    return None
                continue
            drawn = model.draw(_DRAWS, np.random.RandomState(0))
            if drawn.shape[1] != 1 or drawn.dtype.kind not in "fiu":
                return None
            quantiles = np.quantile(drawn[:, 0].astype(np.float64), np.linspace(0.0, 1.0, 41))
        found.append(quantiles[np.isfinite(quantiles)])
    return np.concatenate(found)


def _adaptive(p: Model, q: Model | None, terms: Terms, line: _Line, cuts: FloatArray) -> Integral | None:
    left, right = (_tail(p, q, terms, line, float(cuts[i]), side) for i, side in ((0, -1.0), (-1, 1.0)))
    value, mass = left.value + right.value, left.mass + right.mass
    if np.isinf(left.impossible + right.impossible):
        return Integral(left.impossible + right.impossible, 0.0)
    beyond = abs(left.value) + abs(right.value) + mass
    return _between(p, q, terms, line, np.unique([left.reach, *cuts, right.reach]), (value, mass, beyond))


def _between(
    p: Model,
    q: Model | None,
    terms: Terms,
    line: _Line | _Turn,
    ends: FloatArray,
    beyond_ends: tuple[float, float, float],
) -> Integral | None:
    """The integral between the first and the last of some ends; value, mass and error of what is beyond them."""
    low, high = ends[:-1], ends[1:]
    value, mass, beyond = beyond_ends
    error = beyond
    for _ in range(_ROUNDS):
        fine, coarse, weight, weight_coarse = _integrated(p, q, terms, line, low, high)
        if np.isinf(fine).any():
            return Integral(float(fine[np.isinf(fine)][0]), 0.0)
        off = np.maximum(np.abs(fine - coarse), np.abs(weight - weight_coarse))
        narrow = high - low < 4.0 * np.finfo(float).eps * np.maximum(np.abs(low), np.abs(high))
        done = (off <= _TOLERANCE * (1.0 + np.abs(fine))) | narrow
        value, error, mass = value + fine[done].sum(), error + off[done].sum(), mass + weight[done].sum()
        low, high = low[~done], high[~done]
        if not len(low):
            break
        if len(low) > _MOST_INTERVALS:
            return None
        half = 0.5 * (low + high)
        low, high = np.concatenate([low, half]), np.concatenate([half, high])
    if len(low) or not np.isfinite([value, error, mass]).all() or beyond > _TAIL * (1.0 + abs(value)):
        return None
    if abs(mass - 1.0) > _MASS:
        return Integral(float("nan"), float("nan"), float(mass))
    # A part of p as small as the mass may be off by would go unseen.
    return Integral(float(value), float(error + _MASS * (1.0 + abs(value))))


def _integrated(
    p: Model, q: Model | None, terms: Terms, line: _Line | _Turn, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Integrals of p times the terms over intervals by both rules, and of p."""
    half = 0.5 * (high - low)
    u = 0.5 * (high + low)[:, np.newaxis] + half[:, np.newaxis] * _POINTS
    x, slope = line.at(u)
    rows = x.reshape(-1, 1)
    density = np.exp(p.log_density(rows).reshape(u.shape) + slope)
    present = np.flatnonzero(density.ravel() > 0.0)
    values = np.zeros(u.size)
    if len(present):
        values[present] = density.ravel()[present] * terms(np.ascontiguousarray(rows[present]))
    values = values.reshape(u.shape)
    if np.isnan(values).any():
        raise ValueError("The terms are not defined everywhere.")
    if q is not None and np.isinf(values).any() and underflows(q, rows[int(np.argmax(np.isinf(values)))]):
        raise ValueError("The density of q underflows to 0.")
    fine, coarse = half * (values @ _FINE), half * (values @ _COARSE)
    coarse = np.where(np.isinf(fine), fine, coarse)
    return fine, coarse, half * (density @ _FINE), half * (density @ _COARSE)
