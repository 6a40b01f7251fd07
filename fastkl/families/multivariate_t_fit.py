"""ECME for the multivariate t law: weighted moments at the present distances, and the actual likelihood in 1 / df."""

from typing import Any

import numpy as np
from scipy.linalg import solve_triangular

from fastkl._core._linalg import moments, whitened_squares
from fastkl.exceptions import DegenerateDataError
from fastkl.families._student import row_weights, sums
from fastkl.families.base import Fit, Floats, Params, Rows
from fastkl.families.multivariate_normal import dependent_column
from fastkl.families.student_degrees import log_constant, log_constant_slopes

START = 0.1  # 1 / df at the start
TRIAL_ITERATIONS = 8
NORMAL_LIMIT = "No finite df has a higher likelihood than the normal law: df is infinite"
# A scatter matrix whose determinant is below that of the covariance by this factor per column has collapsed.
COLLAPSE = 1e-12


def overflow_error(rows: Rows, scatter: Floats) -> DegenerateDataError:
    """The error for sums that are not finite, naming the first such column."""
    column = int(np.flatnonzero(~np.isfinite(scatter.sum(axis=0)))[0])
    return DegenerateDataError(
        f"The sums of {rows.column(column)} overflow: it holds values up to {np.abs(rows.X[:, column]).max():.3g}. "
        "Rescale the column, for instance to unit size, or remove the outlier.",
        column,
    )


def initial_fit_error(rows: Rows, fixed: Params) -> None:
    """DegenerateDataError where the scatter of the rows is singular, so that the likelihood has no maximum."""
    if "scale" in fixed:
        return
    d = rows.X.shape[1]
    weight, mean, scatter = moments(rows.X, rows.weights, rows.n_threads)
    variances = np.diag(scatter) / weight
    if not np.isfinite(scatter).all():
        raise overflow_error(rows, scatter)
    if np.any(variances <= 0.0):
        column = int(np.flatnonzero(variances <= 0.0)[0])
        raise DegenerateDataError(
            f"Column {column} is constant: {mean[column]:.6g} in every row (n_samples={weight:g}). The multivariate t "
            "likelihood grows without bound as its scale goes to 0. Leave the column out, or hold the scale fixed.",
            column,
        )
    root = np.sqrt(np.diag(scatter))
    dependent = dependent_column(scatter / np.outer(root, root))
    if dependent is not None:
        raise DegenerateDataError(
            f"The scatter of these {d} columns is singular: column {dependent} is a linear combination of the columns before "
            f"it, as always when there are fewer rows than columns (here {len(rows.X)} rows). The multivariate t likelihood "
            "then has no maximum. Leave columns out, reduce them first, or hold the scale fixed.",
            dependent,
        )


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
        params: dict[str, Any] = {
            "df": self.fixed.get("df", np.float64(np.inf if self.k == 0.0 else 1.0 / self.k)),
            "loc": self.loc,
            "scale": self.scale,
        }
        boundary = {"df": NORMAL_LIMIT} if self.k == 0.0 and "df" not in self.fixed else {}
        return Fit(params, self.n_iter, converged, boundary, self.log_likelihood())

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
            self.check_scale(scale)
        self.loc, self.scale = loc, scale
        self.measure()
        return change

    def check_scale(self, scale: Floats) -> None:
        """DegenerateDataError once the scatter matrix has collapsed."""
        root = np.sqrt(np.diag(self.covariance))
        singular = not np.isfinite(scale).all() or dependent_column(scale / np.outer(root, root)) is not None
        if not singular:
            now, before = (np.linalg.slogdet(matrix / np.outer(root, root))[1] for matrix in (scale, self.covariance))
            singular = now - before < self.d * np.log(COLLAPSE)
        if singular:
            raise DegenerateDataError(
                "The scatter matrix of the multivariate t law collapses onto rows that coincide or lie in a subspace: its "
                "likelihood grows without bound. Hold df fixed at a larger value, or remove the duplicates."
            )

    def _sums(self, k: float) -> Floats:
        return sums(self.squares, self.rows.weights, k, float(self.d), self.rows.n_threads)

    def slopes(self, k: float) -> tuple[float, float]:
        """First and second derivative of the log-likelihood by k = 1 / df."""
        first, second = log_constant_slopes(k, self.d)
        _, slope, curvature = self._sums(k)
        return self.weight * first + float(slope), self.weight * second + float(curvature)

    def best_inverse_df(self) -> float:
        """Guarded Newton steps on k at the present distances; 0 where the likelihood falls from the normal law on."""
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
