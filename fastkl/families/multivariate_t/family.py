"""Multivariate t distribution: location, scatter matrix and degrees of freedom, by ECME with the degrees' own likelihood."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve

from fastkl._core._linalg import whitened_squares
from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.blas_threads import single_threaded_blas
from fastkl._core.rows import AnyRows, Rows
from fastkl._core.special.student_degrees import degrees_slopes, expected_log_rise, log_constant, log_constant_slopes
from fastkl.families._student import row_weights, sums, to_log_density
from fastkl.families.base import Family, Fit
from fastkl.families.matrices import inverses
from fastkl.families.multivariate_t.degeneracy import overflow_error
from fastkl.families.multivariate_t.expected import OBSERVED_COLUMNS, ExpectedCovariance, correlation_of
from fastkl.families.multivariate_t.fit import fit_rows, steps_from
from fastkl.families.multivariate_t.information import by_entries, observed_information, units
from fastkl.families.multivariate_t.sums import student_sums
from fastkl.families.orthants import t_cdf
from fastkl.families.regression import regressed
from fastkl.families.solvers.iterative import SAMPLE_ROWS, in_words
from fastkl.families.spaces import DegreesOfFreedom, PositiveDefinite, Real
from fastkl.families.student_t import StudentT
from fastkl.families.weightless import rows_of_weight


class MultivariateT(Family):
    r"""Multivariate t distribution of a row of d columns.

    .. math::
        \log p(x) = \log \frac{\Gamma((\nu + d) / 2)}{\Gamma(\nu / 2)} - \tfrac d2 \log (\nu \pi) - \tfrac12 \log \det S
        - \tfrac{\nu + d}2 \log \bigl(1 + (x - \mu)^T S^{-1} (x - \mu) / \nu\bigr)

    with df = nu, loc = mu and the scatter matrix scale = S; the covariance is S nu / (nu - 2) where that exists.

    Where no finite df beats the normal distribution, ``params_["df"]`` is infinite, ``boundary_`` says so, and df has
    no standard error.

    Parameters
    ----------
    df : float, default=None
        Degrees of freedom, positive, possibly infinite; held fixed where given.
    loc : array-like of shape (d,), default=None
        Held fixed where given.
    scale : array-like of shape (d, d), default=None
        Held fixed where given.

    Notes
    -----
    The likelihood may have several maxima, one for each group of rows: the search begins at moments, medians and the
    densest groups, and the highest maximum reached counts. Every iteration maximises the likelihood in 1/df at the
    present distances, then takes the weighted mean and the weighted scatter divided by the sum of the weights. Many
    rows, from 65536 on, are first represented by one of every k of them; from the maximum there a few quasi-Newton steps,
    one pass over all rows each, lead to that of all rows. With df free the likelihood also grows without bound as df
    and scale go to 0 together at any row: maxima are those inside. Standard errors are those of the observed
    information, in closed form; with more than 40 columns, where that is a matrix of more than 800 rows, of the expected one.

    References
    ----------
    K. Lange, R. Little, J. Taylor, "Robust statistical modeling using the t distribution", JASA 84, 1989, doi:10.2307/2290063;
    C. Liu, D. Rubin, "ML estimation of the t distribution using EM and its extensions, ECM and ECME", Statistica Sinica 5, 1995;
    X.-L. Meng, D. van Dyk, "The EM algorithm: an old folk-song sung to a fast new tune", JRSS B 59, 1997,
    doi:10.1111/1467-9868.00082 (the divisor).

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastkl import DensityMLE
    >>> model = DensityMLE("multivariate_t").fit(load_iris().data[:50])
    >>> round(float(model.params_["df"]), 4), round(model.log_likelihood_, 6)
    (10.7574, 46.153869)
    """

    name = "multivariate_t"
    aliases = ("mvt", "multivariate_student_t")
    scipy_name = "multivariate_t"
    scipy_parameters = {"df": "df", "loc": "loc", "shape": "scale"}
    parameters = {
        "df": DegreesOfFreedom(single=True),
        "loc": Real(role="location", spread="scale"),
        "scale": PositiveDefinite(),
    }
    joint = True
    has_statistics = False
    observed_columns = OBSERVED_COLUMNS
    example = {"df": 4.0, "loc": [1.0, -2.0], "scale": [[2.0, 0.6], [0.6, 0.5]]}
    extreme = [{"df": df, "loc": [1.0, -2.0], "scale": [[2.0, 0.6], [0.6, 0.5]]} for df in (0.1, 1.0, 1e4, 1e8)]

    def __init__(self, df: float | None = None, loc: ArrayLike | None = None, scale: ArrayLike | None = None):
        self.df = df
        self.loc = loc
        self.scale = scale

    # -- fit ---------------------------------------------------------------------------------------------------------------

    def fit(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> tuple[Fit, Statistics]:
        rows = rows_of_weight(rows)
        # one limit for the whole iteration: BLAS threads and ours would wait for each other
        with single_threaded_blas():
            begin = None if start is None else self.start_at(start, rows.n_columns)
            fit = fit_rows(rows, self.fixed_columns(rows.n_columns), tol, max_iter, begin)
            statistics: Statistics = {"weight": np.float64(rows.total_weight)}
            if rows.n_columns > self.observed_columns:
                return fit, statistics
            statistics["information"] = observed_information(rows, fit.params, inverse_df(fit.params))
        if fit.converged and np.isnan(self._covariance_by_units(statistics, fit.params)[1]).any():
            names = self.estimated_names(fit.params)
            sentence = (
                "The observed information is singular to rounding: the likelihood is as good as flat in some direction, and "
                f"{in_words(names)} have no standard errors."
            )
            fit = replace(fit, boundary={**dict.fromkeys(names, sentence), **fit.boundary})
        return fit, statistics

    def fit_alone(self, rows: AnyRows, tol: float, max_iter: int, start: Params | None = None) -> Fit:
        rows = rows_of_weight(rows)
        with single_threaded_blas():
            fixed = self.fixed_columns(rows.n_columns)
            begin = None if start is None else {**start, **fixed}
            if begin is None or not isinstance(rows, Rows) or len(rows.X) > SAMPLE_ROWS:
                return fit_rows(rows, fixed, tol, max_iter, begin)
            return steps_from(rows, fixed, tol, max_iter, begin)

    # -- likelihood --------------------------------------------------------------------------------------------------------

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        rows = rows.of_positive_weight()
        d, k = rows.X.shape[1], inverse_df(params)
        squares, constant = self._squares(rows, params)
        return float(rows.total_weight * constant + sums(squares, rows.weights, k, float(d), rows.n_threads)[0])

    def log_density(self, rows: Rows, params: Params) -> Floats:
        squares, constant = self._squares(rows, params)
        to_log_density(squares, inverse_df(params), float(rows.X.shape[1]), constant, rows.n_threads)
        return squares

    def _squares(self, rows: Rows, params: Params) -> tuple[Floats, float]:
        """Squared distances, and the logarithm of the density's constant."""
        lower = np.linalg.cholesky(params["scale"])
        squares = whitened_squares(rows.X, params["loc"], lower, rows.n_threads)
        return squares, log_constant(inverse_df(params), len(lower)) - float(np.sum(np.log(np.diag(lower))))

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        k, loc, scale, rows = inverse_df(params), params["loc"], params["scale"], rows.of_positive_weight()
        sums = student_sums(rows, loc, scale, k)
        if not np.isfinite(sums.moments[2]).all():
            raise overflow_error(rows, sums.moments[2])
        by_loc, by_scale = sums.gradient(rows.total_weight, loc, scale)
        by_df = np.float64(-k * k * sums.slope(rows.total_weight, k))
        return sums.log_likelihood(rows.total_weight, scale, k), {"df": by_df, "loc": by_loc, "scale": by_scale}

    def score_rows(self, rows: Rows, params: Params) -> Params:
        d, k = rows.X.shape[1], inverse_df(params)
        squares, _ = self._squares(rows, params)
        u = row_weights(squares, None, k, float(d), rows.n_threads)
        factor = (np.linalg.cholesky(params["scale"]), True)
        z = cho_solve(factor, (rows.X - params["loc"]).T).T
        by_scale = 0.5 * (u[:, None, None] * z[:, :, None] * z[:, None, :] - cho_solve(factor, np.eye(d)))
        by_df = -k * k * (log_constant_slopes(k, d)[0] + degrees_slopes(squares, k, d))
        return {"df": by_df, "loc": u[:, None] * z, "scale": by_scale}

    # -- parameters --------------------------------------------------------------------------------------------------------

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        if "information" in statistics:
            kept, inverse = self._covariance_by_units(statistics, params)
        else:
            kept, expected = self._expected(statistics, params)
            inverse = expected.matrix(correlation_of(params), self.estimated_names(params))
        unit = units(params)[kept]
        return self.estimated_entries(params), inverse * np.outer(unit, unit)

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        # not by way of the variances, which leave the range of doubles for units of 1e-100
        if "information" in statistics:
            kept, inverse = self._covariance_by_units(statistics, params)
            if np.isnan(inverse).any():
                return {}  # what is not determined has no standard error
            variances = np.diag(inverse)
        else:
            kept, expected = self._expected(statistics, params)
            variances = expected.variances(correlation_of(params), self.estimated_names(params))
        deviations, errors, at = units(params)[kept] * np.sqrt(variances), {}, 0
        for name in self.estimated_names(params):
            count = len(self.parameters[name].entries(name, params[name]))
            errors[name] = self.parameters[name].filled(deviations[at : at + count], params[name])
            at += count
        return errors

    def _covariance_by_units(self, statistics: Statistics, params: Params) -> tuple[NDArray[np.bool_], Floats]:
        """Which entries are estimated, and their covariance by the units."""
        keep = self._estimated(params)
        information = statistics["information"][np.ix_(keep, keep)]
        # NaN where the rows do not determine the parameters
        inverse, transform = inverses(information[np.newaxis])[0], by_entries(params)[np.ix_(keep, keep)]
        covariance = transform @ inverse @ transform.T
        return keep, 0.5 * (covariance + covariance.T)

    def _estimated(self, params: Params) -> NDArray[np.bool_]:
        """Which of the entries of all parameters are."""
        names, d = self.estimated_names(params), len(params["loc"])
        return np.repeat([name in names for name in self.parameters], [1, d, d * (d + 1) // 2])

    def _expected(self, statistics: Statistics, params: Params) -> tuple[NDArray[np.bool_], ExpectedCovariance]:
        """Which entries are estimated, and the covariance that is expected."""
        d, weight = len(params["loc"]), float(statistics["weight"])
        names = self.estimated_names(params)
        return self._estimated(params), ExpectedCovariance.of(inverse_df(params), d, weight, names)

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        d, df = len(params["loc"]), float(params["df"])
        z = generator.standard_normal((n_samples, d)) @ np.linalg.cholesky(params["scale"]).T
        if np.isfinite(df):
            z /= np.sqrt(generator.gamma(0.5 * df, 2.0 / df, size=(n_samples, 1)))
        return params["loc"] + z

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: Floats
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others: t with as many more degrees, wider the further these are out."""
        df = float(params["df"])
        centre, spread, distance = regressed(params["loc"], params["scale"], kept, given, values)
        stretch = 1.0 if np.isinf(df) else (df + distance) / (df + len(given))
        return type(self)(), {"df": np.float64(df + len(given)), "loc": centre, "scale": stretch * spread}

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        df, d = float(params["df"]), len(params["loc"])
        mean = params["loc"] if df > 1.0 else np.full(d, np.nan)
        if df <= 2.0:
            return mean, np.full((d, d), np.nan)
        return mean, params["scale"] * (1.0 if np.isinf(df) else df / (df - 2.0))

    def univariate(self, params: Params) -> tuple[StudentT, Params] | None:
        """The same distribution as one of a column, where there is one; else None."""
        if len(params["loc"]) > 1:
            return None
        return StudentT(), {
            "df": np.ravel(params["df"]),
            "loc": params["loc"],
            "scale": np.sqrt(np.ravel(params["scale"])),
        }

    def cdf(self, x: Floats, params: Params) -> Floats:
        """P(X_1 <= x_1, ..., X_d <= x_d) of every row, (n,)."""
        return t_cdf(x - params["loc"], params["scale"], float(params["df"]))

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """Its logarithm."""
        with np.errstate(divide="ignore"):
            return np.log(self.cdf(x, params))

    def mode(self, params: Params) -> Floats:
        return params["loc"]

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        return self.of_columns(params, columns)

    def entropy(self, params: Params) -> float:
        d, k = len(params["loc"]), inverse_df(params)
        half_log_determinant = float(np.sum(np.log(np.diag(np.linalg.cholesky(params["scale"])))))
        return half_log_determinant - log_constant(k, d) + expected_log_rise(k, d)

    @staticmethod
    def textbook(mp: Any, x: Any, df: Any, loc: Any, scale: Any) -> Any:
        away, d = mp.matrix(x) - mp.matrix(loc), len(x)
        rise = mp.loggamma((df + d) / 2) - mp.loggamma(df / 2) - (d * mp.log(df * mp.pi) + mp.log(mp.det(scale))) / 2
        return rise - (df + d) / 2 * mp.log1p((away.T * scale**-1 * away)[0] / df)

    @staticmethod
    def textbook_entropy(mp: Any, df: Any, loc: Any, scale: Any) -> Any:
        d = len(loc)
        fall = mp.loggamma(df / 2) - mp.loggamma((df + d) / 2) + (d * mp.log(df * mp.pi) + mp.log(mp.det(scale))) / 2
        return fall + (df + d) / 2 * (mp.psi(0, (df + d) / 2) - mp.psi(0, df / 2))


def inverse_df(params: Params) -> float:
    """1 / df, 0 for the normal distribution."""
    return 1.0 / float(params["df"])
