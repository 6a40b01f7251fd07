"""The fit of the multivariate t: ECME on the rows, or on a sample of many, whose maximum the ascent then takes further.

ECME takes weighted moments at the present distances, and maximises the actual likelihood in 1 / df; it keeps a number per row.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular

from fastkl._core._linalg import moments, whitened_squares
from fastkl._core.array_types import Floats, Params
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.student_degrees import log_constant, log_constant_slopes
from fastkl.exceptions import DegenerateDataError
from fastkl.families._student import row_weights, sums
from fastkl.families.base import Fit
from fastkl.families.multivariate_t.ascent import Ascent
from fastkl.families.multivariate_t.degeneracy import checked_moments, raise_if_collapsed
from fastkl.families.multivariate_t.information import information_sums, whitened_information
from fastkl.families.solvers.iterative import SAMPLE_ROWS

START = 0.1  # 1 / df at the start
TRIAL_ITERATIONS = 8
NORMAL_LIMIT = "No finite df has a higher likelihood than the normal distribution: df is infinite"


def fit_rows(rows: AnyRows, fixed: Params, tol: float, max_iter: int, start: Params | None = None) -> Fit:
    """The maximum on a sample of the rows by ECME, and from there that on all of them, by ``Ascent``; from a start at once."""
    moments = None if "scale" in fixed else checked_moments(rows)
    covariance = None if moments is None else moments[2] / moments[0]
    sample = rows.sample(SAMPLE_ROWS)
    if start is not None:
        return _fit_from(rows, sample, fixed, tol, max_iter, start, covariance)
    try:
        if sample is not rows and moments is not None:
            checked_moments(sample)
        ecme = ECME(sample, fixed)
        fit = ecme.run(tol, max_iter)
    except DegenerateDataError:
        if sample is rows or moments is None or covariance is None:
            raise
        # every k-th row has no maximum, all of them may have one
        k = 1.0 / float(fixed["df"]) if "df" in fixed else START
        ascent = Ascent(rows, fixed, fixed.get("loc", moments[1]), covariance, k, covariance)
    else:
        if sample is rows:
            return fit
        information = ecme.information(rows.total_weight)
        ascent = Ascent(rows, fixed, ecme.loc, ecme.scale, ecme.k, covariance, information)
    return _climbed(ascent, tol, max_iter)


def _fit_from(
    rows: AnyRows, sample: Rows, fixed: Params, tol: float, max_iter: int, start: Params, covariance: Floats | None
) -> Fit:
    """The maximum reached from a start: by ECME on few rows, by ``Ascent`` on many."""
    loc, scale, k = start["loc"], start["scale"], 1.0 / float(start["df"])
    if sample is not rows:
        return _climbed(Ascent(rows, fixed, loc, scale, k, covariance), tol, max_iter)
    ecme = ECME(sample, fixed)
    ecme.place(loc, scale, k)
    return ecme.result(ecme.iterate(tol, max_iter))


def _climbed(ascent: Ascent, tol: float, max_iter: int) -> Fit:
    at, passes, converged = ascent.climb(tol, max_iter)
    return as_fit(ascent.fixed, at.k, at.loc, at.scale, passes, converged, at.value * ascent.unit)


def as_fit(
    fixed: Params, k: float, loc: Floats, scale: Floats, n_iter: int, converged: bool, log_likelihood: float
) -> Fit:
    """The result in the form of all fits."""
    params = {"df": fixed.get("df", np.float64(np.inf if k == 0.0 else 1.0 / k)), "loc": loc, "scale": scale}
    boundary = {"df": NORMAL_LIMIT} if k == 0.0 and "df" not in fixed else {}
    return Fit(params, n_iter, converged, boundary, log_likelihood)


class ECME:
    """The state of a fit: parameters, and the squared distances of the rows under them."""

    def __init__(self, rows: Rows, fixed: Params):
        self.rows, self.fixed, self.d = rows, fixed, rows.X.shape[1]
        weight, mean, scatter = moments(rows.X, rows.weights, rows.n_threads)
        self.weight = weight
        self.covariance = scatter / weight
        self.n_iter = 0
        self.place(mean, self.covariance, START)

    def place(self, loc: Floats, scale: Floats, k: float) -> None:
        """Move to a start; what is held fixed stays."""
        self.loc = self.fixed.get("loc", loc)
        self.scale = self.fixed.get("scale", scale)
        self.k = 1.0 / float(self.fixed["df"]) if "df" in self.fixed else k
        self.measure()

    def measure(self) -> None:
        self.lower = np.linalg.cholesky(self.scale)
        self.squares = whitened_squares(self.rows.X, self.loc, self.lower, self.rows.n_threads)

    def run(self, tol: float, max_iter: int) -> Fit:
        """The best maximum from a plain and a robust start."""
        converged = self.iterate(tol, min(max_iter, TRIAL_ITERATIONS))
        if not converged:
            plain = (self.loc, self.scale, self.k, self.log_likelihood())
            start = robust_start(self.rows)
            if start is not None:
                self.place(*start, 1.0)
                converged = self.iterate(tol, min(max_iter, TRIAL_ITERATIONS))
                if not self.log_likelihood() > plain[3]:
                    self.place(*plain[:3])
                    converged = False
            converged = converged or self.iterate(tol, max_iter)
        return self.result(converged)

    def result(self, converged: bool) -> Fit:
        """The present state as a fit."""
        return as_fit(self.fixed, self.k, self.loc, self.scale, self.n_iter, converged, self.log_likelihood())

    def information(self, weight: float) -> Floats:
        """That in the coordinates of ``Ascent``, scaled to rows of this weight."""
        sums = information_sums(self.rows, self.loc, self.lower, self.k)
        information = whitened_information(sums, self.weight)
        information[0, 0] = -self.slopes(self.k)[1]
        return information * (weight / self.weight)

    def log_likelihood(self) -> float:
        constant = log_constant(self.k, self.d) - float(np.sum(np.log(np.diag(self.lower))))
        return float(self.weight * constant + self._sums(self.k)[0])

    def iterate(self, tol: float, max_iter: int) -> bool:
        """ECME steps until what is left of them, extrapolated, is negligible; True if it is.

        A step s changes the log-likelihood per row by about s^2, so that tol = 1e-12 asks for parameters to about 1e-12.
        """
        wanted, previous, stalled = max(1e-6 * np.sqrt(tol), 2e-14), np.inf, 0
        for _ in range(max_iter):
            step = self.advance()
            self.n_iter += 1
            rate = min(step / previous, 0.99) if np.isfinite(previous) and previous > 0.0 else 0.9
            if step * rate / (1.0 - rate) <= wanted and step <= 1e3 * wanted:
                return True
            # rounding has the last word: steps that no longer shrink, yet are negligible
            stalled = stalled + 1 if step >= previous else 0
            if stalled >= 3 and step <= 1e2 * wanted:
                return True
            previous = step
        return False

    def advance(self) -> float:
        """One iteration; returns its largest step in units of the scale."""
        k = self.k if "df" in self.fixed else self.best_inverse_df()
        change = abs(k - self.k) / max(k, self.k) if k != self.k else 0.0
        self.k = k
        own = row_weights(self.squares, self.rows.weights, k, float(self.d), self.rows.n_threads)
        weight, mean, scatter = moments(self.rows.X, own, self.rows.n_threads)
        loc, scale = self.loc, self.scale
        if "loc" not in self.fixed:
            move = solve_triangular(self.lower, mean - loc, lower=True)
            change, loc = max(change, float(np.abs(move).max())), mean
        if "scale" not in self.fixed:
            shift = mean - loc
            scale = (scatter + weight * np.outer(shift, shift)) / weight
            half = solve_triangular(self.lower, scale - self.scale, lower=True)
            change = max(change, float(np.abs(solve_triangular(self.lower, half.T, lower=True)).max()))
            raise_if_collapsed(scale, self.covariance)
        self.loc, self.scale = loc, scale
        self.measure()
        return change

    def _sums(self, k: float) -> Floats:
        return sums(self.squares, self.rows.weights, k, float(self.d), self.rows.n_threads)

    def slopes(self, k: float) -> tuple[float, float]:
        """First and second derivative of the log-likelihood by k = 1 / df."""
        first, second = log_constant_slopes(k, self.d)
        _, slope, curvature = self._sums(k)
        return self.weight * first + float(slope), self.weight * second + float(curvature)

    def best_inverse_df(self) -> float:
        """Guarded Newton steps on k at the present distances; 0 where the likelihood falls from k = 0 (the normal) on."""
        k = self.k
        if k == 0.0:
            if self.slopes(0.0)[0] <= 0.0:
                return 0.0
            k = 0.01
        low, high = 0.0, np.inf
        for _ in range(12):
            slope, curvature = self.slopes(k)
            low, high = (k, high) if slope > 0.0 else (low, k)
            new = k - slope / curvature if curvature < 0.0 else (4.0 * k if slope > 0.0 else 0.0)
            if new <= 0.0:
                if low == 0.0 and self.slopes(0.0)[0] <= 0.0:
                    return 0.0
                new = 0.25 * k
            new = min(max(new, 0.1 * k), 10.0 * k)
            if not low < new < high:
                new = np.sqrt(low * high) if low > 0.0 and np.isfinite(high) else new
            done = abs(new - k) <= 1e-5 * k  # the error of this step is the square of that
            k = float(new)
            if done:
                break
        return k


def robust_start(rows: Rows) -> tuple[Floats, Floats] | None:
    """Medians, and squared median deviations on the diagonal, of at most some 20,000 rows; None where a deviation is 0."""
    step = max(1, len(rows.X) // 20000)
    X = rows.X[::step].astype(np.float64)
    weights = None if rows.weights is None else np.broadcast_to(rows.weights[::step, None], X.shape)

    def median(values: Floats) -> Floats:
        if weights is None:
            return np.asarray(np.median(values, axis=0))
        return np.asarray(np.quantile(values, 0.5, axis=0, weights=weights, method="inverted_cdf"))

    loc = median(X)
    deviations = median(np.abs(X - loc))
    return None if np.any(deviations <= 0.0) else (loc, np.diag(deviations**2))
