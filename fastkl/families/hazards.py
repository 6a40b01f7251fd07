"""Tails, quantiles and draws of distributions of one column that have a cumulative hazard, -log(1 - cdf), in closed form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fastkl._core.array_types import Floats, Params
from fastkl._core.special.log_tails import log_one_minus_exp


class ByHazard:
    """A mixin for families: what follows from the cumulative hazard and from its inverse."""

    def hazard(self, x: Floats, params: Params) -> Floats:
        """The cumulative hazard."""
        raise NotImplementedError

    def at_hazard(self, w: Floats, params: Params) -> Floats:
        """Where the cumulative hazard has this value."""
        raise NotImplementedError

    def log_cdf(self, x: Floats, params: Params) -> Floats:
        w = self.hazard(x, params)
        with np.errstate(divide="ignore"):
            return log_one_minus_exp(w, np.log(w))

    def log_sf(self, x: Floats, params: Params) -> Floats:
        return -self.hazard(x, params)

    def quantile(self, p: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.at_hazard(np.where(p >= 0.0, -np.log1p(-np.asarray(p)) + 0.0, np.nan), params)

    def upper_quantile(self, q: Floats, params: Params) -> Floats:
        with np.errstate(divide="ignore", invalid="ignore"):
            return self.at_hazard(np.where(q <= 1.0, -np.log(q) + 0.0, np.nan), params)

    def sample(self, params: Params, n_samples: int, generator: np.random.Generator) -> NDArray[Any]:
        return self.at_hazard(generator.standard_exponential(size=(n_samples, len(params["scale"]))), params)
