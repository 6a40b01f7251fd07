"""Factor analysis: normal rows whose covariance is that of a few common factors and of noise, from the moments alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_solve

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.iterations import read_as
from fastkl._core.rows import Rows
from fastkl._core.whole_numbers import is_count
from fastkl.exceptions import DegenerateDataError, first_sentence
from fastkl.families.base import Family, Fit
from fastkl.families.matrices import covariance_of_sums
from fastkl.families.multivariate_normal import MultivariateNormal
from fastkl.families.solvers.coordinates import Chart, chart_at
from fastkl.families.solvers.curvature import derivative, hessian
from fastkl.families.solvers.uniquenesses import diagonal_factors, isotropic_factors
from fastkl.families.spaces import Positive, Real, Space
from fastkl.families.spaces.base import as_numbers

NOISES = ("diagonal", "isotropic")


class Loadings(Real):
    """A row of loadings for each column, (d, q)."""

    def n_columns(self, value: Any) -> int | None:
        return len(np.asarray(value)) if np.ndim(value) > 1 else None

    def shaped(self, value: ArrayLike, d: int, label: str) -> Any:
        array = np.array(as_numbers(value, label))
        if array.ndim != 2 or len(array) != d:
            raise ValueError(
                f"{label} has to hold a row of numbers for each of {d} columns; it has shape {array.shape}."
            )
        self.check(array, label)
        return array

    def taken(self, value: Any, columns: Any) -> Any:
        return value[columns]


class FactorAnalysis(Family):
    r"""Normal distribution with the covariance of q common factors and noise: :math:`\Sigma = \Lambda \Lambda^T + \Psi`.

    A row is :math:`x = \mu + \Lambda z + e` with z standard normal and the noise e independent by column. Loadings
    are given up to a rotation of the factors: they are taken such that :math:`\Lambda^T \Psi^{-1} \Lambda` is
    diagonal, the largest entry first, with a positive sum for each factor. :class:`fastkl.FactorAnalysisMLE` fits it.

    Parameters
    ----------
    n_components : int, default=1
        Number q of factors.
    noise : {"diagonal", "isotropic"}, default="diagonal"
        A noise variance for each column, or one for all: probabilistic principal components.

    References
    ----------
    K. G. Joreskog, "Some contributions to maximum likelihood factor analysis", Psychometrika 32, 1967,
    doi:10.1007/BF02289658.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl.families.factor_analysis import FactorAnalysis
    >>> params = {"mean": [0, 0], "loadings": [[1.0], [1.0]], "noise_variance": [0.5, 0.5]}
    >>> FactorAnalysis().covariance_matrix({name: np.array(value) for name, value in params.items()})
    array([[1.5, 1. ],
           [1. , 1.5]])
    """

    name = "factor_analysis"
    composed = True  # of normal factors and noise, in a number that has to be given
    joint = True
    least_columns = 2
    parameters: ClassVar[dict[str, Space]] = {
        "mean": Real(role="location"),
        "loadings": Loadings(),
        "noise_variance": Positive(role="scale", zero=True),
    }

    def __init__(self, n_components: int = 1, noise: str = "diagonal"):
        self.n_components = n_components
        self.noise = noise

    # -- rows to sums ------------------------------------------------------------------------------------------------------

    def statistics(self, rows: Rows) -> Statistics:
        return MultivariateNormal().statistics(rows)

    def merge_statistics(self, first: Statistics, second: Statistics) -> Statistics:
        return MultivariateNormal().merge_statistics(first, second)

    # -- sums to parameters ------------------------------------------------------------------------------------------------

    def solve(self, statistics: Statistics) -> Fit:
        d = len(statistics["mean"])
        self._check_options(d)
        covariance = covariance_of_sums(statistics["scatter"], statistics["weight"])
        if self.noise == "diagonal":
            _raise_if_singular(statistics)
            mean = statistics["mean"]
            with read_as(lambda found: {"mean": mean, "loadings": found[0], "noise_variance": found[1]}):
                found = diagonal_factors(covariance, self.n_components)
        else:
            found = isotropic_factors(covariance, self.n_components)
            if not found.noise[0] > 1e-13 * np.trace(covariance) / d:
                raise DegenerateDataError(
                    f"The rows lie in a space of {self.n_components} dimensions (to rounding; n_samples="
                    f"{statistics['weight']:g}), so that no noise is left and the likelihood has no maximum: use fewer "
                    "components, or leave columns out."
                )
        noise: Any = found.noise if self.noise == "diagonal" else np.float64(found.noise[0])
        boundary, zero = {}, np.flatnonzero(found.at_zero)
        if len(zero):
            boundary["noise_variance"] = (
                f"The noise variance is 0 in column {', '.join(map(str, zero))}: the factors account for all of it (a Heywood "
                "case), as with too many factors or too few rows. Loadings and noise then have no standard errors."
            )
        params = {"mean": statistics["mean"].copy(), "loadings": found.loadings, "noise_variance": noise}
        return Fit(params, found.n_iter, found.converged, boundary)

    def _check_options(self, d: int) -> None:
        q = self.n_components
        if self.noise not in NOISES:
            raise ValueError(f"noise is 'diagonal' or 'isotropic', not {self.noise!r}.")
        if not is_count(q):
            raise ValueError(f"n_components is a whole number of at least 1, not {q!r}.")
        if self.noise == "diagonal" and (q >= d or degrees_of_freedom(d, q) < 0):
            most = max((k for k in range(d) if degrees_of_freedom(d, k) >= 0), default=0)
            raise ValueError(
                f"{q} factors have more parameters than a covariance matrix where n_features = {d}: at most {most} can be told "
                "apart."
            )
        if self.noise == "isotropic" and q >= d:
            raise ValueError(f"{q} components leave no noise where n_features = {d}: use at most {d - 1}.")

    # -- likelihood --------------------------------------------------------------------------------------------------------

    def covariance_matrix(self, params: Params) -> Floats:
        """The covariance of the rows."""
        loadings = params["loadings"]
        covariance: Floats = loadings @ loadings.T
        covariance[np.diag_indices(len(loadings))] += params["noise_variance"]
        return covariance

    def as_normal(self, params: Params) -> Params:
        """The same distribution as parameters of a multivariate normal one."""
        return {"mean": params["mean"], "covariance": self.covariance_matrix(params)}

    def statistics_log_likelihood(self, statistics: Statistics, params: Params) -> float:
        return MultivariateNormal().statistics_log_likelihood(statistics, self.as_normal(params))

    def statistics_gradient(self, statistics: Statistics, params: Params) -> Params:
        slopes = MultivariateNormal().statistics_gradient(statistics, self.as_normal(params))
        return self._pulled(slopes, params)

    def _pulled(self, slopes: Params, params: Params) -> Params:
        """Derivatives by these parameters, from those by mean and covariance, with leading axes alike."""
        by_covariance = slopes["covariance"]
        noise = np.diagonal(by_covariance, axis1=-2, axis2=-1)
        if np.ndim(params["noise_variance"]) == 0:
            noise = noise.sum(axis=-1)
        return {
            "mean": slopes["mean"],
            "loadings": 2.0 * by_covariance @ params["loadings"],
            "noise_variance": np.array(noise)[()],
        }

    def score_rows(self, rows: Rows, params: Params) -> Params:
        slopes = MultivariateNormal().score_rows(rows, self.as_normal(params))
        assert slopes is not None  # as it is for incomplete rows alone
        return self._pulled(slopes, params)

    def log_density(self, rows: Rows, params: Params) -> Floats:
        return MultivariateNormal().log_density(rows, self.as_normal(params))

    # -- the factors of a row ----------------------------------------------------------------------------------------------

    def factor_means(self, rows: Rows, params: Params) -> Floats:
        """The mean of the factors given a row, (n, q): loadings' Sigma^-1 (x - mean)."""
        solved = cho_solve((np.linalg.cholesky(self.covariance_matrix(params)), True), params["loadings"])
        return (rows.X - params["mean"]) @ solved

    def factor_covariance(self, params: Params) -> Floats:
        """Their covariance given a row, (q, q), the same for all rows."""
        loadings = params["loadings"]
        solved = cho_solve((np.linalg.cholesky(self.covariance_matrix(params)), True), loadings)
        return np.eye(loadings.shape[1]) - loadings.T @ solved

    # -- parameters --------------------------------------------------------------------------------------------------------

    def spaces(self) -> dict[str, Space]:
        noise = Positive(role="scale", zero=True, single=self.noise == "isotropic")
        return {**self.parameters, "noise_variance": noise}

    def n_parameters(self, params: Params) -> int:
        d, q = params["loadings"].shape
        return d + d * q - q * (q - 1) // 2 + int(np.size(params["noise_variance"]))

    def estimated_entries(self, params: Params) -> list[str]:
        spaces = self.spaces()
        # where a column has no noise, the loadings beside it are not regular either
        regular = self.parameters if np.all(params["noise_variance"] > 0.0) else ("mean",)
        return [entry for name in regular for entry in spaces[name].entries(name, params[name])]

    def covariance_of_params(self, statistics: Statistics, params: Params) -> tuple[list[str], Floats]:
        """Inverse observed information along the parameters whose loadings are turned as those of the fit are."""
        chart = chart_at(self, params, self.estimated_entries(params))

        def gradients(places: list[Params]) -> list[Params]:
            return [self.statistics_gradient(statistics, at) for at in places]

        information = -hessian(gradients, chart, params)[0]
        held = self._turning(chart, params)
        size, extra = len(information), len(held)
        bordered = np.block([[information, held.T], [held, np.zeros((extra, extra))]])
        slopes = chart.jacobian(params)
        return chart.names, slopes @ np.linalg.inv(bordered)[:size, :size] @ slopes.T

    def _turning(self, chart: Chart, params: Params) -> Floats:
        """Derivatives, by the coordinates, of what a rotation of the factors would change: (q (q - 1) / 2, size)."""
        above = np.triu_indices(params["loadings"].shape[1], 1)
        if not len(above[0]):
            return np.zeros((0, chart.size))
        if "loadings" in chart.held_names:
            return np.zeros((0, chart.size))

        def products(u: Floats) -> Floats:
            at = chart.back(u)
            scaled = at["loadings"] / np.sqrt(np.broadcast_to(at["noise_variance"], len(at["loadings"])))[:, None]
            size = np.sqrt(np.sum(scaled**2, axis=0))
            return np.asarray((scaled.T @ scaled / np.outer(size, size))[above])

        return derivative(products, chart.to(params))

    def standard_errors(self, statistics: Statistics, params: Params) -> Params:
        chart = chart_at(self, params, self.estimated_entries(params))
        variances = np.diag(self.covariance_of_params(statistics, params)[1])
        return chart.fill(np.sqrt(np.where(variances >= 0.0, variances, np.nan)))

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        d, q = params["loadings"].shape
        noise = np.sqrt(params["noise_variance"]) * generator.standard_normal((n_samples, d))
        return params["mean"] + generator.standard_normal((n_samples, q)) @ params["loadings"].T + noise

    def cdf(self, x: Floats, params: Params) -> Floats:
        """That of the normal distribution which this is."""
        return MultivariateNormal().cdf(x, self.as_normal(params))

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """Its logarithm."""
        return MultivariateNormal().log_cdf(x, self.as_normal(params))

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: Floats
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others."""
        return MultivariateNormal().conditional(self.as_normal(params), kept, given, values)

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        return MultivariateNormal().of_columns(self.as_normal(params), columns)

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        return params["mean"], self.covariance_matrix(params)

    def mode(self, params: Params) -> Floats:
        return params["mean"]

    def entropy(self, params: Params) -> float | None:
        return MultivariateNormal().entropy(self.as_normal(params))


def _raise_if_singular(statistics: Statistics) -> None:
    """DegenerateDataError for a singular covariance: noise by column is sought from its inverse, with which the search begins."""
    try:
        MultivariateNormal().solve(statistics)
    except DegenerateDataError as error:
        raise DegenerateDataError(
            f"{first_sentence(error)} Noise variances by column are fitted here to covariances of full rank only: use "
            "noise='isotropic', which takes any, or leave columns out.",
            error.column,
        ) from None


def degrees_of_freedom(d: int, q: int) -> int:
    """Of the test of q factors: the entries of a covariance matrix less the parameters of the factors and of the noise."""
    return ((d - q) ** 2 - d - q) // 2
