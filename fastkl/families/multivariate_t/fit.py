"""The fit of the multivariate t: ECME on the rows, or on a sample of many, whose maximum the ascent then takes further.

ECME takes weighted moments at the present distances, and maximises the actual likelihood in 1 / df. The likelihood may have
several maxima, one for each group of rows: a few steps from every start tell the best of them, from which it goes on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from fastkl._core._linalg import moments
from fastkl._core.array_types import Floats, Params
from fastkl._core.iterations import is_stopped, read_as, report
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.student_degrees import log_constant_slopes
from fastkl.exceptions import DegenerateDataError
from fastkl.families._ecme import ecme
from fastkl.families.base import Fit
from fastkl.families.multivariate_t.ascent import Ascent, parameters
from fastkl.families.multivariate_t.degeneracy import Frame, collapsed_error, frame_of
from fastkl.families.multivariate_t.expected import OBSERVED_COLUMNS
from fastkl.families.multivariate_t.information import information_sums, whitened_information
from fastkl.families.multivariate_t.starts import START, Start, robust_frame, starts
from fastkl.families.multivariate_t.sums import student_sums, typical_first
from fastkl.families.multivariate_t.upright import Upright, oblique_root
from fastkl.families.solvers.iterative import SAMPLE_ROWS, n_rows

TRIAL_ITERATIONS = 20
TRIAL_ROWS = 2048
HELD_DF = (0.5, 1.0, 3.0)
HIGHER = 1e-9  # relative to the likelihood, or per unit of weight
NEAR = 0.2  # of the scale, or relative
FRAME_ROWS = 64  # of the largest weights, whose distances tell what has collapsed
FOLLOWED = 3  # starts that are followed to their maximum
MOST_STEPS = 400  # of ECME, before the ascent takes over
NORMAL_LIMIT = "No maximum at a finite df is as high as that of the normal distribution: df is infinite"

Found = tuple[Floats, Floats, float, float, int, bool]  # loc, scale, k, log-likelihood, steps, converged


def fit_rows(rows: AnyRows, fixed: Params, tol: float, max_iter: int, start: Params | None = None) -> Fit:
    """The maximum on a sample of the rows by ECME, and from there that on all of them, by ``Ascent``; from a start at once."""
    rows, unit = _in_range(rows)
    fit = _fitted(rows, fixed, tol, max_iter, start)
    return fit if fit.log_likelihood is None else replace(fit, log_likelihood=fit.log_likelihood * unit)


def steps_from(rows: Rows, fixed: Params, tol: float, max_iter: int, start: Params) -> Fit:
    """So many steps of ECME from a place; what tells a collapse and columns that are next to dependent is read from there."""
    heavy = slice(None) if rows.weights is None else np.argpartition(-rows.weights, min(FRAME_ROWS, len(rows.X)) - 1)
    distance = np.median(np.abs(rows.X[heavy][:FRAME_ROWS] - start["loc"]), axis=0)
    frame = Frame((start["loc"], start["scale"]), start["loc"], np.maximum(distance, 1e-300), start["scale"])
    if "scale" not in fixed and oblique_root(frame) is not None:
        return fit_rows(rows, fixed, tol, max_iter, start)
    rows, unit = _in_range(typical_first(rows, start["loc"], np.sqrt(np.diag(start["scale"]))))
    fit = _fit_from(rows, rows, fixed, tol, max_iter, start, None if "scale" in fixed else frame)
    assert fit.log_likelihood is not None
    return replace(fit, log_likelihood=fit.log_likelihood * unit)


def _in_range(rows: AnyRows) -> tuple[Any, float]:
    """The rows with weights of about 1 at most, and the unit of these.

    The weight of a row far out is divided by the square of its distance: of 1e-300 nothing would be left.
    """
    if not isinstance(rows, Rows) or rows.weights is None:
        return rows, 1.0
    exponent = int(np.frexp(rows.weights.max())[1])
    return replace(rows, weights=np.ldexp(rows.weights, -exponent)), float(np.ldexp(1.0, exponent))


def _fitted(
    rows: AnyRows, fixed: Params, tol: float, max_iter: int, start: Params | None, is_upright: bool = False
) -> Fit:
    if isinstance(rows, Rows):
        rows = typical_first(rows, *robust_frame(rows.sample(SAMPLE_ROWS)))
    sample = rows.sample(SAMPLE_ROWS)
    frame = None if "scale" in fixed else frame_of(rows, sample)
    turned = None if frame is None or is_upright else oblique_root(frame)
    if frame is not None and turned is not None and isinstance(rows, Rows):
        return _fitted_upright(rows, fixed, tol, max_iter, start, Upright(frame.centre, turned))
    if start is not None:
        return _fit_from(rows, sample, fixed, tol, max_iter, start, frame)
    if sample is rows:
        return fit_in_memory(sample, fixed, tol, max_iter, frame)
    try:
        own = None if frame is None else frame_of(sample, sample)
        loc, scale, k, *_ = _maxima(sample, fixed, tol, max_iter, own)[0]
    except DegenerateDataError:
        if frame is None or rows.total(n_rows) == len(sample.X):
            raise
        # one of every k rows has no maximum, all of them may have one
        k = 1.0 / float(fixed["df"]) if "df" in fixed else START
        ascent = Ascent(rows, fixed, fixed.get("loc", frame.centre), frame.scatter, k, frame.reference)
    else:
        information = _information(sample, loc, scale, k, rows.total_weight)
        reference = None if frame is None else frame.reference
        ascent = Ascent(rows, fixed, loc, scale, k, reference, information)
    return _climbed(ascent, tol, max_iter)


def _fitted_upright(
    rows: Rows, fixed: Params, tol: float, max_iter: int, start: Params | None, upright: Upright
) -> Fit:
    """The fit to rows in whose coordinates no column is next to a combination of others, read in those of the rows."""
    moved = replace(rows, X=upright.rows(rows.X))
    with read_as(upright.back):
        fit = _fitted(moved, upright.to(fixed), tol, max_iter, None if start is None else upright.to(start), True)
    assert fit.log_likelihood is not None
    log_likelihood = fit.log_likelihood - rows.total_weight * upright.log_size
    return replace(fit, params={**upright.back(fit.params), **fixed}, log_likelihood=log_likelihood)


def fit_in_memory(rows: Rows, fixed: Params, tol: float, max_iter: int, frame: Frame | None) -> Fit:
    """The maximum on all of these rows; the ascent ends what ECME leaves unfinished."""
    for loc, scale, k, log_likelihood, n_iter, converged in _maxima(rows, fixed, tol, max_iter, frame):
        if converged or n_iter >= max_iter:
            return as_fit(fixed, k, loc, scale, n_iter, converged, log_likelihood)
        ascent = Ascent(rows, fixed, loc, scale, k, None if frame is None else frame.reference)
        try:
            return _climbed(ascent, tol, max_iter)
        except DegenerateDataError:
            continue  # it was on its way to a collapse
    raise collapsed_error()


def _fit_from(
    rows: AnyRows, sample: Rows, fixed: Params, tol: float, max_iter: int, start: Params, frame: Frame | None
) -> Fit:
    """The maximum reached from a start: by ECME on few rows, by ``Ascent`` on many."""
    loc, scale, k = start["loc"], start["scale"], 1.0 / float(start["df"])
    if sample is not rows:
        return _climbed(Ascent(rows, fixed, loc, scale, k, None if frame is None else frame.reference), tol, max_iter)
    found = _steps(sample, fixed, Start(loc, scale, k), tol, max_iter, frame)
    if found is None:
        raise collapsed_error()
    loc, scale, k, log_likelihood, n_iter, converged = found
    return as_fit(fixed, k, loc, scale, n_iter, converged, log_likelihood)


def _maxima(rows: Rows, fixed: Params, tol: float, max_iter: int, frame: Frame | None) -> list[Found]:
    """The maxima that ECME reaches from the best starts, the highest first; DegenerateDataError where all collapse."""
    trial = rows.sample(TRIAL_ROWS)
    if frame is None:
        weight, mean, scatter = moments(rows.X, rows.weights, rows.n_threads)
        begin = [Start(mean, scatter / weight, START)]
    else:
        begin = starts(trial, frame.centre, frame.distance, *frame.moments)
    tried = [_steps(trial, fixed, start, tol, min(max_iter, TRIAL_ITERATIONS), frame) for start in begin]
    alive = sorted((found for found in tried if found is not None), key=lambda found: (-found[3], found[2]))
    maxima: list[Found] = []
    for found in _apart(alive):
        if found[5] and trial is rows:
            ended: Found | None = found
        else:
            ended = _steps(rows, fixed, Start(*found[:3]), tol, min(max_iter, MOST_STEPS), frame)
        maxima += [] if ended is None else [ended]
        if sum(one[5] for one in maxima) >= FOLLOWED:
            break
    if not maxima:
        raise collapsed_error()
    maxima.sort(key=lambda one: -one[3])
    if "df" not in fixed and maxima[0][2] == 0.0:
        higher = _above_the_normal_limit(rows, fixed, begin, maxima[0][3], tol, max_iter, frame)
        maxima = maxima if higher is None else [higher, *maxima]
    return maxima


def _above_the_normal_limit(
    rows: Rows, fixed: Params, begin: list[Start], highest: float, tol: float, max_iter: int, frame: Frame | None
) -> Found | None:
    """A maximum that a df held for a while leads to, where the normal limit is all that is left; None if there is none.

    DegenerateDataError where the likelihood is higher at a df that is held, and from there rises without end, as df and scale go
    to 0 together: few rows in many columns do that.
    """
    most = min(max_iter, MOST_STEPS)
    share = (1.0 if rows.weights is None else float(rows.weights.max())) / rows.total_weight
    for df in HELD_DF:
        if _is_unbounded(df, rows.n_columns, share):
            continue  # whatever the rows are, what is found there says nothing of them
        for start in begin[:2]:
            held = _steps(rows, {**fixed, "df": np.float64(df)}, start, tol, most, frame)
            if held is None or held[3] <= highest + HIGHER * (rows.total_weight + abs(highest)):
                continue
            free = _steps(rows, fixed, Start(*held[:3]), tol, most, frame)
            if free is None or free[3] < held[3]:
                raise collapsed_error()
            return free
    return None


def _is_unbounded(df: float, d: int, share: float) -> bool:
    """Whether the likelihood at this df grows without bound at rows of this share of the weight each, wherever they are.

    It does at a subspace of m dimensions, of which m + 1 rows span one, that holds more than (df + m) / (df + d) of the weight
    (Kent and Tyler 1991, doi:10.1214/aos/1176348388).
    """
    return any((m + 1) * share >= (df + m) / (df + d) for m in range(d))


def _apart(found: list[Found]) -> list[Found]:
    """Those that are not on their way to the maximum of a higher one: at another place, or of another size or shape."""
    kept: list[Found] = []
    for one in found:
        if not any(_is_near(one, other) for other in kept):
            kept.append(one)
    return kept


def _is_near(one: Found, other: Found) -> bool:
    """Whether two states differ by no more than steps that are left to a common maximum."""
    shift, scale = one[0] - other[0], np.diag(other[1])
    ratio = np.diag(one[1]) / scale
    same_k = abs(one[2] - other[2]) <= NEAR * (NEAR + max(one[2], other[2]))
    return bool(same_k and np.all(shift**2 <= NEAR**2 * scale) and np.all(np.abs(np.log(ratio)) <= NEAR))


def _steps(rows: Rows, fixed: Params, start: Start, tol: float, max_iter: int, frame: Frame | None) -> Found | None:
    """ECME from a start, what is held fixed staying; None where the scale collapses.

    A step s changes the log-likelihood per row by about s^2, so that tol = 1e-12 asks for parameters to about 1e-12.
    """
    loc, scale = fixed.get("loc", start.loc), fixed.get("scale", start.scale)
    k = 1.0 / float(fixed["df"]) if "df" in fixed else start.k
    free = ("df" not in fixed, "loc" not in fixed, "scale" not in fixed)
    least = -np.inf if frame is None else frame.least
    X = rows.X if rows.X.flags.c_contiguous else np.ascontiguousarray(rows.X)
    wanted = max(1e-6 * np.sqrt(tol), 2e-14)
    with np.errstate(all="ignore"):
        most = 1 if is_stopped() else max_iter
        found = ecme(X, rows.weights, rows.total_weight, loc, scale, k, free, least, wanted, most)
    if found is not None:
        report(lambda: parameters(fixed, found[2], *found[:2]))
    return found


def _information(rows: Rows, loc: Floats, scale: Floats, k: float, weight: float) -> Floats | None:
    """About that in the coordinates of ``Ascent``, scaled to rows of this weight; None of so many columns that it is expected."""
    if rows.n_columns > OBSERVED_COLUMNS:
        return None
    lower = np.asarray(np.linalg.cholesky(scale), dtype=np.float64)
    sums = information_sums(rows, loc, lower, k)
    information = whitened_information(sums, rows.total_weight)
    curved = rows.total_weight * log_constant_slopes(k, len(loc))[1] + student_sums(rows, loc, scale, k).rises[2]
    information[0, 0] = -curved
    return information * (weight / rows.total_weight)


def _climbed(ascent: Ascent, tol: float, max_iter: int) -> Fit:
    at, passes, converged = ascent.climb(tol, max_iter)
    return as_fit(ascent.fixed, at.k, at.loc, at.scale, passes, converged, at.value * ascent.unit)


def as_fit(
    fixed: Params, k: float, loc: Floats, scale: Floats, n_iter: int, converged: bool, log_likelihood: float
) -> Fit:
    """The result in the form of all fits."""
    boundary = {"df": NORMAL_LIMIT} if k == 0.0 and "df" not in fixed else {}
    return Fit(parameters(fixed, k, loc, scale), n_iter, converged, boundary, log_likelihood)
