"""Expectations under a density on a line by adaptive quadrature, with an error, in place of draws.

The line is mapped to (-1, 1) around the middle of the density and cut at its quantiles, so that far and narrow parts are met; all
intervals that are not yet good enough are halved, and their points are asked of the models in one call. The same points integrate
the density itself: where that is not 1, a part of it has been missed (or the density is not normalised), which is said.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from fastkl.divergence.arguments import FloatArray
from fastkl.divergence.models import Model

_LEVELS = np.array([0.0, 1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.3, 0.5])
_ROUNDS, _MOST_INTERVALS = 60, 4000
# What an interval may be off by, and the mass of the density.
_TOLERANCE, _MASS = 1e-12, 1e-7
_DRAWS = 2000

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


def expectation_on_a_line(
    p: Model, terms: Callable[[FloatArray], FloatArray], q: Model | None = None
) -> Integral | None:
    """E_p[terms(X)] for a density p of one column, or None where quadrature does not reach it.

    Parameters
    ----------
    p : Model
        A density that can be drawn from.
    terms : callable
        ``terms(rows)`` for rows of shape (n, 1); may be infinite where p has mass, and is then the answer.
    q : Model or None
        Another density in the terms, whose quantiles cut the line too.
    """
    cuts = _cuts(p, q)
    if cuts is None:
        return None
    middle, scale = float(np.median(cuts)), float(np.subtract(*np.quantile(cuts, [0.75, 0.25])))
    if not (np.isfinite(scale) and scale > 0.0):
        return None
    # x = middle + scale t / (1 - t^2), inverted without cancellation.
    z = (cuts - middle) / scale
    ends = np.unique(np.concatenate([[-1.0, 1.0], 2.0 * z / (1.0 + np.sqrt(1.0 + 4.0 * z * z))]))
    try:
        return _adaptive(p, terms, middle, scale, ends)
    except ValueError:
        return None  # a model that is not defined on all of the line: draws stay on its support


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


def _adaptive(
    p: Model, terms: Callable[[FloatArray], FloatArray], middle: float, scale: float, ends: FloatArray
) -> Integral | None:
    low, high = ends[:-1], ends[1:]
    value = error = mass = 0.0
    for _ in range(_ROUNDS):
        fine, coarse, weight, weight_coarse = _integrated(p, terms, middle, scale, low, high)
        if np.isinf(fine).any():
            return Integral(float(fine[np.isinf(fine)][0]), 0.0)
        off = np.maximum(np.abs(fine - coarse), np.abs(weight - weight_coarse))
        narrow = high - low < 4.0 * np.finfo(float).eps * np.maximum(np.abs(low), np.abs(high))
        done = (off <= _TOLERANCE) | narrow
        value, error, mass = value + fine[done].sum(), error + off[done].sum(), mass + weight[done].sum()
        low, high = low[~done], high[~done]
        if not len(low):
            break
        if len(low) > _MOST_INTERVALS:
            return None
        half = 0.5 * (low + high)
        low, high = np.concatenate([low, half]), np.concatenate([half, high])
    if len(low) or not np.isfinite(value):
        return None
    if abs(mass - 1.0) > _MASS:
        return Integral(float("nan"), float("nan"), float(mass))
    # A part of p as small as the mass may be off by would go unseen.
    return Integral(float(value), float(error + _MASS * (1.0 + abs(value))))


def _integrated(
    p: Model, terms: Callable[[FloatArray], FloatArray], middle: float, scale: float, low: FloatArray, high: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Integrals of p times the terms over intervals by both rules, and of p."""
    half = 0.5 * (high - low)
    t = 0.5 * (high + low)[:, np.newaxis] + half[:, np.newaxis] * _POINTS
    outside = 1.0 - t * t
    rows = (middle + scale * t / outside).reshape(-1, 1)
    log_p = p.log_density(rows)
    with np.errstate(invalid="ignore", over="ignore"):
        density = np.exp(log_p).reshape(t.shape) * (scale * (1.0 + t * t) / outside**2)
    present = np.flatnonzero(density.ravel() > 0.0)
    values = np.zeros(t.size)
    if len(present):
        values[present] = density.ravel()[present] * terms(np.ascontiguousarray(rows[present]))
    values = values.reshape(t.shape)
    if np.isnan(values).any():
        raise ValueError("The terms are not defined everywhere.")
    with np.errstate(invalid="ignore"):
        fine, coarse = half * (values @ _FINE), half * (values @ _COARSE)
    coarse = np.where(np.isinf(fine), fine, coarse)
    return fine, coarse, half * (density @ _FINE), half * (density @ _COARSE)
