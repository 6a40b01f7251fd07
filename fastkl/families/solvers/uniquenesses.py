"""The maximum of a factor model from a covariance matrix: a search over the noise variances alone.

Given noise variances psi, the loadings that maximise the likelihood are known: with the eigenvalues t_1 >= t_2 >= ...
and vectors w of psi^-1/2 S psi^-1/2 they are psi^1/2 W (T - 1)^1/2 of the first q. What is left is a function of d
numbers, here of their logarithms in units of the variances, so that no unit of the rows matters.

References
----------
K. G. Joreskog, "Some contributions to maximum likelihood factor analysis", Psychometrika 32, 1967,
doi:10.1007/BF02289658; D. N. Lawley, A. E. Maxwell, "Factor analysis as a statistical method", 1971; M. E. Tipping,
C. M. Bishop, "Probabilistic principal component analysis", JRSS B 61, 1999, doi:10.1111/1467-9868.00196.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.optimize import minimize

from fastkl._core.array_types import Floats
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.iterations import is_heard, is_stopped, read_as, report, told
from fastkl.families.solvers.curvature import jacobian

LOWEST = 1e-6  # the search goes no lower with a noise variance, in units of the column's: what presses on is 0
HIGHEST = 0.01  # logarithm of the same: it is at most 0 at a maximum
SETTLED = 1e-10  # slope of the misfit by the logarithm of a noise variance
CONVERGED = 1e-8  # the same: what is left to gain is about its square for each row
MOST_SIDES, LITTLE = 10, 1e-3  # starts with a column of so little noise
MAX_ITER = 1000
NEWTON_STEPS = 6
NEWTON_COLUMNS = 30  # of more columns second derivatives by differences take longer than they bring


class Factors(NamedTuple):
    """A maximum: loadings (d, q), noise variances (d,), where these are at 0, iterations, and whether it was reached."""

    loadings: Floats
    noise: Floats
    at_zero: Any
    n_iter: int
    converged: bool


def diagonal_factors(covariance: Floats, q: int) -> Factors:
    """The maximum for a noise variance of each column."""
    root = np.sqrt(np.diag(covariance))
    correlation = covariance / np.outer(root, root)

    def in_units(loadings: Floats, noise: Floats) -> tuple[Floats, Floats]:
        return _signed(loadings * root[:, None]), noise * root**2

    # matrices so small only wait for more threads
    with single_threaded_blas(), read_as(lambda found: in_units(*found)):
        found = _of_correlation(correlation, q)
    loadings, noise = in_units(found.loadings, found.noise)
    return found._replace(loadings=loadings, noise=noise)


def _of_correlation(correlation: Floats, q: int) -> Factors:
    d = len(correlation)
    if q == 0 or d == 1:
        # no factors: the noise is the variance; one column: its factor is itself
        loadings = np.zeros((d, q))
        return Factors(loadings, np.diag(correlation).copy(), np.zeros(d, dtype=bool), 0, True)
    start = np.minimum((1.0 - 0.5 * q / d) / np.diag(np.linalg.inv(correlation)), 1.0)
    tries: list[tuple[Floats, int]] = []
    for psi in (start, np.full(d, 0.5), *_sides(start)):
        if not tries or not is_stopped():
            tries.append(_minimum(correlation, q, np.log(np.maximum(psi, LOWEST))))
    lowest = min((found for found, _ in tries), key=lambda u: misfit(correlation, q, u)[0])
    u, last_steps = _newton(correlation, q, lowest)
    n_iter = sum(steps for _, steps in tries) + last_steps
    slope = misfit(correlation, q, u)[1]
    if np.any(at_zero := (u <= np.log(LOWEST) + 1e-6) & (slope >= 0.0)):
        return _without_noise(correlation, q, at_zero, n_iter)
    converged = bool(np.abs(slope).max() <= CONVERGED)
    return Factors(_loadings(correlation, q, np.exp(u)), np.exp(u), at_zero, n_iter, converged)


def _sides(start: Floats) -> list[Floats]:
    """Starts with one column all but accounted for, the likeliest first: each may have a maximum on its side (Heywood cases)."""
    likely = np.argsort(start, kind="stable")[:MOST_SIDES]
    return [np.where(np.arange(len(start)) == column, LITTLE, start) for column in likely]


def _without_noise(correlation: Floats, q: int, at_zero: Any, n_iter: int) -> Factors:
    """The maximum where these columns have no noise (Joreskog 1967): as many factors are the columns themselves, the others those
    of what is left of the other columns given these.
    """
    first, rest = np.flatnonzero(at_zero)[:q], np.flatnonzero(~at_zero)
    rest = np.sort(np.append(rest, np.flatnonzero(at_zero)[q:]))
    lower = np.linalg.cholesky(correlation[np.ix_(first, first)])
    along = np.linalg.solve(lower, correlation[np.ix_(first, rest)]).T
    left = correlation[np.ix_(rest, rest)] - along @ along.T
    root = np.sqrt(np.diag(left))
    with told(None):  # of fewer columns
        inner = _of_correlation(left / np.outer(root, root), q - len(first))
    loadings, noise, zero = np.zeros((len(correlation), q)), np.zeros(len(correlation)), at_zero.copy()
    loadings[np.ix_(first, np.arange(len(first)))] = lower
    loadings[rest, : len(first)], loadings[rest, len(first) :] = along, inner.loadings * root[:, None]
    noise[rest], zero[rest] = inner.noise * root**2, inner.at_zero
    return Factors(loadings, noise, zero, n_iter + inner.n_iter, inner.converged)


def isotropic_factors(covariance: Floats, q: int) -> Factors:
    """The maximum for one noise variance of all columns, in closed form."""
    # near the largest numbers the decomposition does not converge; a power of 2 as the unit changes no digit
    unit = float(np.ldexp(1.0, int(np.frexp(np.max(np.diag(covariance)))[1])))
    values, vectors = np.linalg.eigh(covariance / unit)
    values = values * unit
    noise = float(np.mean(values[: len(values) - q]))
    kept = slice(len(values) - q, None)
    loadings = (vectors[:, kept] * np.sqrt(np.maximum(values[kept] - noise, 0.0)))[:, ::-1]
    return Factors(_signed(loadings), np.full(len(values), noise), np.zeros(len(values), dtype=bool), 1, True)


def misfit(correlation: Floats, q: int, u: Floats) -> tuple[float, Floats]:
    """Half of log det M - log det S + tr(S M^-1) - d for the model's M at the best loadings, and its slopes by u = log psi."""
    root = np.exp(0.5 * u)
    values, vectors = np.linalg.eigh(correlation / np.outer(root, root))
    # the model's covariance in units of psi has the first q eigenvalues of S, as far as they are above 1, and ones
    rest = (np.arange(len(values)) < len(values) - q) | (values < 1.0)
    others = np.maximum(values[rest], np.finfo(np.float64).tiny)
    value = 0.5 * float(np.sum(others - 1.0 - np.log(others)))
    slopes = 0.5 * np.sum(vectors[:, rest] ** 2 * (1.0 - values[rest]), axis=1)
    return value, slopes


def _minimum(correlation: Floats, q: int, u: Floats) -> tuple[Floats, int]:
    low = np.log(LOWEST)

    def reached(u: Floats) -> None:
        if report(partial(_model, correlation, q, u)):
            raise StopIteration

    search: Any = minimize
    found = search(
        lambda u: misfit(correlation, q, u),
        u,
        jac=True,
        method="L-BFGS-B",
        bounds=[(low, HIGHEST)] * len(u),
        options={"maxiter": MAX_ITER, "maxfun": 10 * MAX_ITER, "ftol": 0.0, "gtol": 0.1 * SETTLED},
        callback=reached if is_heard() else None,
    )
    return np.asarray(found.x), int(found.nit)


def _newton(correlation: Floats, q: int, u: Floats) -> tuple[Floats, int]:
    """The last digits, and in how many steps."""
    low, n_iter = np.log(LOWEST), 0
    inside = np.flatnonzero(u > low)
    for _ in range(NEWTON_STEPS if len(inside) and len(u) <= NEWTON_COLUMNS and not is_stopped() else 0):
        slope = misfit(correlation, q, u)[1][inside]
        if np.abs(slope).max() <= 1e-14:
            break

        def slopes(places: list[Floats], at: Floats = u) -> list[Floats]:
            return [misfit(correlation, q, _with(at, inside, own))[1][inside] for own in places]

        second = jacobian(slopes, u[inside])[0]
        moved = _with(u, inside, u[inside] - np.linalg.lstsq(0.5 * (second + second.T), slope, rcond=1e-12)[0])
        if not np.all((moved >= low) & (moved <= HIGHEST)):
            break
        if not np.abs(misfit(correlation, q, moved)[1][inside]).max() < np.abs(slope).max():
            break
        u, n_iter = moved, n_iter + 1
        if report(partial(_model, correlation, q, u)):
            break
    return u, n_iter


def _model(correlation: Floats, q: int, u: Floats) -> tuple[Floats, Floats]:
    """Loadings and noise variances."""
    return _loadings(correlation, q, np.exp(u)), np.exp(u)


def _with(u: Floats, at: Any, values: Floats) -> Floats:
    moved = u.copy()
    moved[at] = values
    return moved


def _loadings(correlation: Floats, q: int, psi: Floats) -> Floats:
    root = np.sqrt(psi)
    d = len(psi)
    values, vectors = np.linalg.eigh(correlation / np.outer(root, root))
    kept = slice(d - q, None)
    return _signed((root[:, None] * vectors[:, kept] * np.sqrt(np.maximum(values[kept] - 1.0, 0.0)))[:, ::-1])


def _signed(loadings: Floats) -> Floats:
    """Every factor with the sign that makes the sum of its loadings positive."""
    return np.asarray(loadings * np.where(loadings.sum(axis=0) < 0.0, -1.0, 1.0))
