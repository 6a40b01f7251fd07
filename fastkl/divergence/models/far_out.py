"""Expectations that are infinite for certain, by what is far out, where hardly a draw falls and quadrature ends.

Along a ray from the middle of p, at distances 8, 64, ... times those of draws, an integrand f is to fall faster than the distance
to the power of the columns grows: where it does not over a cone of such rays, the integral is infinite; so it is where it does
not fall faster than the distance along an axis, or than the distance from an end of a column shrinks. Where on a line the
logarithm of q is too large for a number before that, the integral is infinite if f grows up to there, and ever faster. And where
p goes to a place that q does not go to, no matter how little of p is there, the divergence is infinite.

Where a density is rounded to 0, or its logarithm to -inf, there is an end of another kind, which says nothing of the support.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.model import Model

LogTerms = Callable[[FloatArray], FloatArray]

# Rays by draws, and along axes of up to so many columns; distances, each so many times the last; so many at the end tell.
_RAYS, _MOST_AXES, _DISTANCES, _TIMES, _LAST = 64, 32, 21, 8.0, 4
# What is no fall of a logarithm, and what rounding puts into one of its size.
_NO_FALL, _ROUNDED = 1e-6, 1e-12
# A logarithm below which densities are rounded to 0, and steps to find where one ends.
_ROUNDED_AWAY, _STEPS = -600.0, 80


def infinite_far_out(p: Model, q: Model, log_terms: LogTerms) -> Estimate | None:
    """The integral of exp of ``log_terms(rows)``, +inf where p has mass and q has none, if it is infinite for certain.

    None where it is not known: of discrete models, and of those that cannot be drawn from or asked so far out.
    """
    if not p.can_draw or p.discrete or p.discrete_columns is not None or p.turn is not None:
        return None
    drawn = p.draw(_RAYS, np.random.RandomState(0))
    if drawn.dtype.kind != "f" or not np.isfinite(drawn).all():
        return None
    reason = _reason(p, q, log_terms, drawn)
    if reason is None:
        return None
    return Estimate(float("inf"), 0.0, diagnostics={"bias_suspected": False, "reasons": [reason]})


def _reason(p: Model, q: Model, log_terms: LogTerms, drawn: FloatArray) -> str | None:
    """Why it is infinite."""
    middle, d = np.median(drawn, axis=0), drawn.shape[1]
    rays = drawn - middle
    if 1 < d <= _MOST_AXES:
        axes = np.diag(np.abs(rays).mean(axis=0))
        rays = np.concatenate([rays, axes, -axes])
    power = np.where(np.arange(len(rays)) < len(drawn), float(d), 1.0)
    distances = _TIMES ** np.arange(float(_DISTANCES))[:, np.newaxis]
    found = _grows(p, q, log_terms, middle + distances[..., np.newaxis] * rays, power * np.log(distances))
    ends = p.quantiles(np.array([0.0, 1.0])) if d == 1 else None
    for end in () if ends is None else ends[np.isfinite(ends - middle[0]) & (ends != middle[0])]:
        # down to the last numbers that differ from the end
        nearest = np.log(8.0 * max(abs(end) * np.finfo(float).eps, 1e-300)) - np.log(abs(middle[0] - end))
        nearer = _TIMES ** -np.arange(1.0, -nearest / np.log(_TIMES))
        near = nearer[:, np.newaxis]
        found = found or _grows(p, q, log_terms, end + near[..., np.newaxis] * (middle - end), np.log(near))
    return found


def _grows(p: Model, q: Model, log_terms: LogTerms, places: FloatArray, log_size: FloatArray) -> str | None:
    """Why an integral has no end at the last of places, (steps, rays, d), with logarithms of how large each one is."""
    if len(places) < _LAST:
        return None
    rows = np.ascontiguousarray(places.reshape(-1, places.shape[-1]))
    with np.errstate(all="ignore"):
        try:
            log_p, logs = p.log_density(rows), log_terms(rows)
        except (ValueError, ArithmeticError):  # a model that does not answer so far out
            return None
        impossible = np.flatnonzero(np.isfinite(log_p) & np.isposinf(logs))
        if len(impossible):
            row = rows[impossible[0]]
            if not underflows(q, row):
                return f"p has mass near {row.tolist()}, where the density of q is 0: it is infinite."
            outwards = len(row) == 1 and log_size[-1, 0] > log_size[0, 0]
            return _grows_to(p, log_terms, places[0].reshape(-1, len(row)), row) if outwards else None
        log_p, logs = ((log.reshape(log_size.shape) + log_size)[-_LAST:] for log in (log_p, logs))
        step = np.diff(logs, axis=0)
        falls = np.diff(log_p, axis=0) < 0.0  # p itself, which a density on a circle does not
        size = np.maximum(np.abs(log_p[-1]), np.abs(logs[-1]))
        certain = (step >= -_NO_FALL * np.log(_TIMES)) & (np.abs(step) + _NO_FALL > _ROUNDED * size)
    if not (falls & certain).all(axis=0).any():
        return None
    return f"The terms grow faster than p decays, up to {rows[-1].tolist()} and beyond: their mean is infinite."


def _grows_to(p: Model, log_terms: LogTerms, near: FloatArray, broken: FloatArray) -> str | None:
    """Why an integral has no end on the way to a row where the logarithm of q is no number: terms that grow ever faster."""
    near = near[np.argmin(np.abs(near - broken).sum(axis=1))]
    good, bad = 0.0, 1.0
    for _ in range(_STEPS):
        half = 0.5 * (good + bad)
        row = near + half * (broken - near)
        good, bad = (half, bad) if np.isfinite(log_terms(row[np.newaxis])[0]) else (good, half)
    rows = near + good * np.linspace(0.25, 1.0, _LAST)[:, np.newaxis] * (broken - near)
    log_p, logs = p.log_density(rows), log_terms(rows)
    rounded = _ROUNDED * max(float(np.abs(log_p).max()), float(np.abs(logs).max()))
    step = np.diff(logs)
    if not (step[0] >= -rounded and (np.diff(step) >= -rounded).all() and (np.diff(log_p) < 0.0).all()):
        return None
    return (
        f"The terms grow faster than p decays, up to where q underflows, {rows[-1].tolist()}: their mean is infinite."
    )


def underflows(q: Model, row: NDArray[np.float64]) -> bool:
    """Whether q has log-density -inf at a row because its density is rounded to 0 there, and not because its support has ended.

    Where the ends are not known: on the way from where q has mass the last number is that of a density which is hardly one.
    """
    outside, ends = np.asarray(row, dtype=np.float64), None
    if len(outside) == 1:
        ends = q.quantiles(np.array([0.0, 1.0]))
        if ends is not None and not np.isnan(ends).any():
            return bool(ends[0] < outside[0] < ends[1])
    inside = _inside(q, len(outside))
    if inside is None:
        return False
    last = float(q.log_density(inside[np.newaxis])[0])
    for _ in range(_STEPS):
        half = 0.5 * (inside + outside)
        with np.errstate(all="ignore"):
            found = float(q.log_density(half[np.newaxis])[0])
        if np.isfinite(found):
            inside, last = half, found
        else:
            outside = half
    return last < _ROUNDED_AWAY


def _inside(q: Model, n_columns: int) -> NDArray[np.float64] | None:
    """A row where q has mass; None where none is known."""
    if q.can_draw:
        rows = np.asarray(q.draw(_RAYS, np.random.RandomState(0)), dtype=np.float64)
    else:
        known = q.quantiles(np.array([0.5])) if n_columns == 1 else None
        if known is None:
            return None
        rows = known[:, np.newaxis]
    log_density = q.log_density(rows)
    best = int(np.argmax(log_density))
    return np.asarray(rows[best]) if rows.shape[1] == n_columns and np.isfinite(log_density[best]) else None


def underflow_reasons(q: Model, row: NDArray[np.float64]) -> list[str]:
    """Why an infinite divergence from a row without density under q is in doubt, if it is."""
    if not underflows(q, row):
        return []
    return [
        f"The log-density of {q.name} is -inf at {np.asarray(row).tolist()}, where its density underflows to 0 although its "
        "support has not ended: the divergence need not be infinite. Let the model compute log-densities directly, not as "
        "logarithms of densities."
    ]
