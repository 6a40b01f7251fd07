"""Maxima of smooth likelihoods in a few parameters, for all columns at once: Newton's method that never goes downhill.

Every column has its own p <= 3 coordinates. A step solves with the absolute eigenvalues of the Hessian, so that it always points
uphill, is cut to a length on which the quadratic model can be trusted, and is shortened until the likelihood doesn't fall.
Near the maximum it is Newton's step, whose error squares. What says "converged" is the Newton decrement, half g' H^-1 g:
the gain that is left, in nats and independent of all units.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params

LONGEST_STEP = 2.5  # coordinates are logarithms, or locations in units of the scale
SHORTEN = 0.25
MOST_SHORTENINGS = 40
FUTILE = 10  # a step shortened so often that still gains nothing is the last one: rounding is all that is left
MOST_WIDENINGS = 400
NOISE = 1e-13  # relative rounding error of a sum over the rows
RELATIVE_TARGET = 1e-13  # the last steps square the error: going beyond tol costs one of them


@dataclass
class Evaluation:
    """Value (d,), gradient (d, p) and Hessian (d, p, p) of every column, in the coordinates."""

    value: Floats
    gradient: Floats
    hessian: Floats

    def __mul__(self, factor: float) -> Evaluation:
        """That of rows whose weights are multiplied by the factor."""
        return Evaluation(self.value * factor, self.gradient * factor, self.hessian * factor)

    def __add__(self, other: Evaluation) -> Evaluation:
        """That of both sets of rows together."""
        return Evaluation(
            self.value + other.value, self.gradient + other.gradient, self.hessian + other.hessian
        )  # fmt: skip

    def where(self, mask: NDArray[np.bool_], other: Evaluation) -> Evaluation:
        """This one in the columns of the mask, the other elsewhere."""
        return Evaluation(
            np.where(mask, self.value, other.value),
            np.where(mask[:, None], self.gradient, other.gradient),
            np.where(mask[:, None, None], self.hessian, other.hessian),
        )


@dataclass
class Maximum:
    """Where an ascent ended: parameters, the evaluation there, and whether the remaining gain is below tol, by column."""

    params: Params
    at: Evaluation
    n_iter: int
    converged: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_], other: Maximum) -> Maximum:
        """This one in the columns of the mask, the other elsewhere."""
        params = {name: np.where(mask, value, other.params[name]) for name, value in self.params.items()}
        converged = np.where(mask, self.converged, other.converged)
        n_iter = max(self.n_iter if mask.any() else 0, 0 if mask.all() else other.n_iter)
        return Maximum(params, self.at.where(mask, other.at), n_iter, converged)

    def better(self, other: Maximum) -> Maximum:
        """The higher of both in every column, a converged one before one that is not; NaN is the lowest."""
        higher = ~(self.at.value <= other.at.value) & ~np.isnan(self.at.value)
        return self.where((self.converged & ~other.converged) | ((self.converged == other.converged) & higher), other)


@dataclass(frozen=True)
class Landscape:
    """The likelihood of every column over its coordinates, and how to walk on it.

    Parameters
    ----------
    evaluate : callable
        The likelihood at given parameters.
    move : callable
        ``move(params, step)``: the parameters a step (d, p) in the coordinates away.
    free : ndarray of shape (p,)
        Coordinates that may move.
    weight : float or ndarray of shape (d,)
        Sum of the weights: tolerances are per unit of it.
    given_up : callable, default=None
        Columns that need not go on, because they run into a boundary.
    widen : callable, default=None
        ``widen(params, columns)``: what to try where the start has likelihood 0.
    reached : callable, default=None
        ``reached(params)`` after every step; true ends the ascent there.
    names : tuple of str, default=()
        The parameter that each coordinate moves alone, if each does: it is held where its steps are lost in its rounding.
    """

    evaluate: Callable[[Params], Evaluation]
    move: Callable[[Params, Floats], Params]
    free: NDArray[np.bool_]
    weight: float | Floats
    given_up: Callable[[Params], NDArray[np.bool_]] | None = None
    widen: Callable[[Params, NDArray[np.bool_]], Params] | None = None
    reached: Callable[[Params], bool] | None = None
    names: tuple[str, ...] = ()

    def in_unit(self, unit: float) -> Landscape:
        """The same with weights in this unit."""
        return replace(self, evaluate=lambda params: self.evaluate(params) * (1.0 / unit), weight=self.weight / unit)


def weight_unit(weight: float | Floats) -> float:
    """The power of two next to the largest weight: in that unit squares of sums neither overflow nor underflow."""
    _, exponent = np.frexp(np.max(weight))
    return float(np.ldexp(1.0, np.clip(exponent, -1020, 1020)))


def newton_step(at: Evaluation, free: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Uphill Newton step (d, p), 0 for coordinates that are not free, and the decrement (d,), NaN where nothing is finite."""
    step = np.zeros_like(at.gradient)
    kept = np.flatnonzero(free)
    gradient, curvature = at.gradient[:, kept], -at.hessian[:, kept][:, :, kept]
    usable = np.isfinite(at.value) & np.isfinite(gradient).all(axis=1) & np.isfinite(curvature).all(axis=(1, 2))
    values, vectors = np.linalg.eigh(np.where(usable[:, None, None], curvature, np.eye(len(kept))))
    size = np.abs(values)
    size = np.maximum(size, 1e-14 * np.max(size, axis=1, keepdims=True) + 1e-300)
    along = np.einsum("dji,dj->di", vectors, np.where(usable[:, None], gradient, 0.0))
    step[:, kept] = np.einsum("dij,dj->di", vectors, along / size)
    decrement = np.where(usable, 0.5 * np.sum(along * along / size, axis=1), np.nan)
    longest = np.max(np.abs(step), axis=1, keepdims=True, initial=0.0)
    return step * np.minimum(1.0, LONGEST_STEP / np.maximum(longest, 1e-300)), decrement


def _resolved_step(land: Landscape, params: Params, at: Evaluation, before: Floats) -> tuple[Floats, Floats]:
    """The same with each coordinate held whose step is lost in the rounding of its parameter.

    As that of a location far from 0 is: it leaves the number as it is, or goes to the next one and back.
    """
    step, decrement = newton_step(at, land.free)
    if not land.names:
        return step, decrement
    free = np.broadcast_to(land.free, step.shape)
    while True:
        trial, lost = land.move(params, step), np.zeros(step.shape, dtype=bool)
        for i, name in enumerate(land.names):
            back = (trial[name] == np.nextafter(params[name], trial[name])) & (decrement >= 0.1 * before)
            lost[:, i] = free[:, i] & ((trial[name] == params[name]) | back)
        lost &= ~np.isnan(decrement)[:, None]
        if not lost.any():
            return step, decrement
        free = free & ~lost
        both = free[:, :, None] & free[:, None, :]
        held = Evaluation(
            at.value, np.where(free, at.gradient, 0.0), np.where(both, at.hessian, -np.eye(free.shape[1]))
        )
        step, decrement = newton_step(held, land.free)


def maximise(landscape: Landscape, start: Params, tol: float, max_iter: int) -> Maximum:
    """Climb from ``start`` in every column at once.

    Parameters
    ----------
    landscape : Landscape
        The likelihood. The unit of its weights does not matter.
    start : dict of arrays of shape (d,)
        Where to start.
    tol : float
        Gain that may remain; in fact the ascent goes on until rounding is all that is left.
    max_iter : int
        Most evaluations at new parameters, shortened steps not counted.

    Returns
    -------
    Maximum
        The last point of every column; a column whose start has no finite likelihood stays there, not converged.
    """
    unit = weight_unit(landscape.weight)
    found = _ascended(landscape.in_unit(unit), start, tol, max_iter)
    return replace(found, at=found.at * unit)


def _ascended(land: Landscape, start: Params, tol: float, max_iter: int) -> Maximum:
    params, at = _start(land, start)
    if not land.free.any():
        return Maximum(params, at, 1, np.isfinite(at.value))
    before = np.full(at.value.shape, np.inf)
    stuck = np.zeros(at.value.shape, dtype=bool)
    for n_iter in range(1, max_iter + 1):
        step, decrement = _resolved_step(land, params, at, before)
        left = decrement / land.weight
        # at the level of rounding the decrement no longer shrinks
        done = (left <= RELATIVE_TARGET * tol) | ((left <= min(tol, 1e-12)) & (decrement >= 0.1 * before)) | stuck
        done |= np.isnan(left)
        if land.given_up is not None:
            done |= land.given_up(params)
        if done.all() or n_iter == max_iter:
            break
        before = decrement
        params, at, failed = _climb(land, params, at, np.where(done[:, None], 0.0, step))
        stuck |= failed
        if land.reached is not None and land.reached(params):
            break
    lost = decrement <= NOISE * np.abs(at.value)  # in the sum
    return Maximum(params, at, n_iter, (left <= tol) | lost)


def _start(land: Landscape, params: Params) -> tuple[Params, Evaluation]:
    """The start, widened until its likelihood is above 0, and the evaluation there."""
    at = land.evaluate(params)
    for _ in range(MOST_WIDENINGS):
        narrow = np.isneginf(at.value)
        if land.widen is None or not narrow.any():
            break
        params = land.widen(params, narrow)
        at = land.evaluate(params)
    return params, at


def _climb(
    land: Landscape, params: Params, at: Evaluation, step: Floats
) -> tuple[Params, Evaluation, NDArray[np.bool_]]:
    """Take the step, shortened where the likelihood would fall; report where no length would gain. Where none will do, stay."""
    slack = NOISE * (np.abs(at.value) + land.weight)
    futile = np.zeros(at.value.shape, dtype=bool)
    for shortenings in range(MOST_SHORTENINGS):
        trial = land.move(params, step)
        new = land.evaluate(trial)
        worse = ~(new.value >= at.value - slack) & np.any(step != 0.0, axis=1)
        if not worse.any():
            return trial, new, futile & ~(new.value > at.value)
        if shortenings == FUTILE:
            futile = worse
        step = np.where(worse[:, None], SHORTEN * step, step)
    trial = {name: np.where(worse, params[name], value) for name, value in trial.items()}
    return trial, at.where(worse, new), worse
