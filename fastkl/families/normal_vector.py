"""What a normal vector is beside its likelihood: draws, moments, distribution function, some columns of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.special import log_ndtr

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl._core.rows import Rows
from fastkl.families import incomplete
from fastkl.families._mixture import IncompleteNormals
from fastkl.families.base import Family
from fastkl.families.normal import Normal
from fastkl.families.orthants import normal_cdf
from fastkl.families.regression import regressed


class NormalVector(Family):
    """The distribution with ``mean`` and ``covariance``, which is a matrix, variances or one variance."""

    covariance_type: str
    takes_missing = True

    # -- rows of which some values are unknown -----------------------------------------------------------------------------

    def log_likelihood(self, rows: Rows, params: Params) -> float:
        if rows.incomplete:
            return incomplete.log_likelihood(rows, *self.moments(params))
        return super().log_likelihood(rows, params)

    def log_likelihood_and_gradient(self, rows: Rows, params: Params) -> tuple[float, Params]:
        if not rows.incomplete:
            return super().log_likelihood_and_gradient(rows, params)
        total, statistics = self.expected_statistics(rows, params)
        return total, self.statistics_gradient(statistics, params)

    def gradient(self, rows: Rows, params: Params) -> Params:
        return self.log_likelihood_and_gradient(rows, params)[1] if rows.incomplete else super().gradient(rows, params)

    def component_likelihoods(
        self, rows: Rows, params: Sequence[Params], weights: Floats | None = None
    ) -> list[tuple[float, Params]]:
        if rows.incomplete and weights is None:
            return [self.log_likelihood_and_gradient(rows, at) for at in params]
        return super().component_likelihoods(rows, params, weights)

    def expected_statistics(self, rows: Rows, params: Params) -> tuple[float, Statistics]:
        """The log-likelihood, and the statistics that are expected of complete rows given what is known of these."""
        mean, covariance = self.moments(params)
        normal = IncompleteNormals([0.0], [mean], [covariance])
        total, found = incomplete.expected_statistics(normal, rows, [self.covariance_type == "full"])
        return total, found[0]

    # -- the distribution itself -------------------------------------------------------------------------------------------

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> Floats:
        z = generator.standard_normal((n_samples, len(params["mean"])))
        if self.covariance_type == "full":
            z = z @ np.linalg.cholesky(params["covariance"]).T
        else:
            z *= np.sqrt(params["covariance"])
        z += params["mean"]
        return z

    def marginal(self, params: Params, columns: Sequence[int]) -> tuple[Family, Params]:
        return self.of_columns(params, columns)

    def conditional(
        self, params: Params, kept: Sequence[int], given: Sequence[int], values: Floats
    ) -> tuple[Family, Params]:
        """The columns kept, given the values of the others: normal, with the regression on these as its mean."""
        mean, covariance = self.moments(params)
        if self.covariance_type != "full":
            return self.of_columns(params, kept)
        centre, spread, _ = regressed(mean, covariance, kept, given, values)
        return type(self)(), {"mean": centre, "covariance": spread}

    def moments(self, params: Params) -> tuple[Floats, Floats]:
        d = len(params["mean"])
        spread = params["covariance"]
        return params["mean"], spread if np.ndim(spread) == 2 else np.diag(np.broadcast_to(spread, (d,)))

    def univariate(self, params: Params) -> tuple[Normal, Params] | None:
        """The same distribution as one of a column, where there is one; else None."""
        mean, covariance = self.moments(params)
        return (Normal(), {"loc": mean, "scale": np.sqrt(np.diag(covariance))}) if len(mean) == 1 else None

    def cdf(self, x: Floats, params: Params) -> Floats:
        """P(X_1 <= x_1, ..., X_d <= x_d) of every row, (n,)."""
        mean, covariance = self.moments(params)
        if self.covariance_type != "full":
            return np.exp(self.log_cdf(x, params))
        return normal_cdf(x - mean, covariance)

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        """Its logarithm."""
        if self.covariance_type == "full" and len(params["mean"]) > 1:
            with np.errstate(divide="ignore"):
                return np.log(self.cdf(x, params))
        return np.sum(log_ndtr((x - params["mean"]) / np.sqrt(np.diag(self.moments(params)[1]))), axis=1)

    def to_scipy(self, params: Params) -> dict[str, Any]:
        mean, covariance = self.moments(params)
        return {"mean": mean, "cov": covariance}

    def mode(self, params: Params) -> Floats:
        return params["mean"]
