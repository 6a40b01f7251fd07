"""The conjugate prior of normal distributions, in the forms that belong to full, diagonal and spherical covariances."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Floats, Params, Statistics
from fastkl.families.base import Family
from fastkl.families.priors.base import Prior, checked, moment_names
from fastkl.families.spaces import PositiveDefinite


class NormalInverseWishart(Prior):
    r"""Normal distribution of the mean given the covariance, inverse Wishart distribution of the covariance.

    .. math:: \log f(\mu, \Sigma) = -\tfrac{\nu + d + 2}2 \log\det\Sigma - \tfrac12 \operatorname{tr}(\Lambda \Sigma^{-1})
              - \tfrac\kappa 2 (\mu - m)^T \Sigma^{-1} (\mu - m) + \text{const}

    For ``normal`` and for a diagonal covariance it is this distribution with d = 1 for every column; for a spherical
    covariance it is an inverse gamma distribution of the variance, with exponent -(nu + d + 2) / 2 and scale Lambda.
    The density is that of the variance, also where the family's parameter is its root.

    Parameters
    ----------
    mean : float or array-like of shape (d,), default=None
        The centre m; None takes the mean of the data.
    mean_weight : float, default=0.01
        Number of rows kappa that m is worth, at least 0.
    df : float, default=None
        Degrees of freedom nu; None takes d + 2, where d is 1 for diagonal covariances.
    scale : array-like, default=None
        Lambda, in the shape of the covariance (variances for ``normal``); a number stands for a multiple of the
        identity. None takes the covariance of the data.
    family : Family, default=None
        The normal family whose parameters it is about. None takes that of the fit.

    References
    ----------
    C. Fraley, A. E. Raftery, "Bayesian regularization for normal mixture estimation and model-based clustering",
    Journal of Classification 24, 2007, doi:10.1007/s00357-007-0004-5: the source of the default values.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> from fastkl.families.priors import NormalInverseWishart
    >>> prior = NormalInverseWishart(mean=0.0, mean_weight=1.0, df=3.0, scale=2.0)
    >>> model = DensityMLE("normal", prior=prior).fit([[0.0], [1.0], [3.0]])
    >>> model.params_["loc"].round(6), (model.params_["scale"] ** 2).round(6)
    (array([1.]), array([0.888889]))
    """

    def __init__(
        self,
        mean: ArrayLike | None = None,
        mean_weight: float = 0.01,
        df: float | None = None,
        scale: ArrayLike | None = None,
        family: Family | None = None,
    ):
        self.mean = mean
        self.mean_weight = mean_weight
        self.df = df
        self.scale = scale
        self.family = family

    @classmethod
    def fraley_raftery(cls, mean: ArrayLike, covariance: ArrayLike, n_components: int = 1) -> Self:
        """The prior of one of so many components, from the mean and covariance (full or diagonal) of all rows.

        Parameters
        ----------
        mean : array-like of shape (d,)
            Mean of all rows.
        covariance : array-like of shape (d, d) or (d,), or float
            Covariance of all rows, in the shape of the components' covariance type.
        n_components : int, default=1
            Number of components k; the scale is the covariance over k^(2/d).

        Returns
        -------
        NormalInverseWishart
            With a mean worth 0.01 rows, and d + 2 degrees of freedom.
        """
        mean = np.atleast_1d(np.asarray(mean, dtype=np.float64))
        scale = np.asarray(covariance, dtype=np.float64) / n_components ** (2.0 / len(mean))
        return cls(mean, 0.01, None, scale)

    def bind(self, family: Family, params: Params) -> Prior:
        if not family.gaussian:
            raise ValueError(f"NormalInverseWishart is a prior of normal families, not of {family.name}.")
        mean, covariance = _moments(family, params)
        d, dims = len(mean), 1 if np.ndim(covariance) == 1 else len(mean)
        shape = np.shape(covariance)
        if self.scale is None:
            scale = np.array(covariance)
        else:
            scale = checked("scale", self.scale, -np.inf, "NormalInverseWishart")
            if scale.ndim == 0 and len(shape) == 2:
                scale = scale * np.eye(d)
            if scale.shape != shape:
                scale = np.array(np.broadcast_to(scale, shape))
        variances = np.diag(scale) if scale.ndim == 2 else scale
        if np.any(variances < 0.0) or self.mean_weight < 0.0:
            raise ValueError(f"{self!r}: the scale has to be positive (semi-)definite and mean_weight at least 0.")
        centre = mean if self.mean is None else checked("mean", self.mean, -np.inf, "NormalInverseWishart")
        df = dims + 2.0 if self.df is None else float(self.df)
        centre = np.array(np.broadcast_to(centre, (d,)))
        return NormalInverseWishart(centre, float(self.mean_weight), df, scale, family)

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        if family.fixed_parameters():
            return None
        centre, prior_scale = np.asarray(self.mean), np.asarray(self.scale)
        weight, kappa, d = statistics["weight"], self.mean_weight, len(centre)
        shift = statistics["mean"] - centre
        factor = kappa * weight / (kappa + weight)
        mean = (kappa * centre + weight * statistics["mean"]) / (kappa + weight)
        location, spread = moment_names(family)
        if _is_deviation(family):
            variance = (prior_scale + statistics["deviation"] ** 2 + factor * shift**2) / (self.df + weight + 3.0)
            return {location: mean, spread: np.sqrt(variance)}
        if prior_scale.ndim == 2:
            total = prior_scale + statistics["scatter"] + factor * np.outer(shift, shift)
            return {location: mean, spread: total / (self.df + weight + d + 2.0)}
        total = prior_scale + _reduced(statistics["scatter"] + factor * shift**2, prior_scale.ndim)
        divisor = self.df + weight + 3.0 if prior_scale.ndim else self.df + d * (weight + 1.0) + 2.0
        return {location: mean, spread: total / divisor}

    def log_density(self, params: Params) -> float:
        mean, covariance = _moments(self._family(), params)
        shift, scale = mean - np.asarray(self.mean), np.asarray(self.scale)
        if np.ndim(covariance) == 2:
            total = scale + self.mean_weight * np.outer(shift, shift)
            log_determinant = np.linalg.slogdet(covariance)[1]
            return float(
                -0.5 * (self._power(covariance) * log_determinant + np.trace(np.linalg.solve(covariance, total)))
            )
        total = scale + _reduced(self.mean_weight * shift**2, np.ndim(covariance))
        return float(-0.5 * np.sum(self._power(covariance) * np.log(covariance) + total / covariance))

    def gradient(self, params: Params) -> Params:
        family = self._family()
        mean, covariance = _moments(family, params)
        shift, scale, power = mean - np.asarray(self.mean), np.asarray(self.scale), self._power(covariance)
        if np.ndim(covariance) == 2:
            precision = np.linalg.inv(covariance)
            total = scale + self.mean_weight * np.outer(shift, shift)
            by_covariance: Any = 0.5 * (precision @ total @ precision - power * precision)
            by_mean = -self.mean_weight * precision @ shift
        else:
            total = scale + _reduced(self.mean_weight * shift**2, np.ndim(covariance))
            by_covariance = 0.5 * (total / covariance - power) / covariance
            by_mean = -self.mean_weight * shift / covariance
        location, spread = moment_names(family)
        return {location: by_mean, spread: by_covariance * (2.0 * params[spread] if _is_deviation(family) else 1.0)}

    def _family(self) -> Family:
        if self.family is None:
            raise ValueError(f"{self!r} is about the parameters of a family: pass it, as in family=families.Normal().")
        return self.family

    def _power(self, covariance: Any) -> float:
        """Minus twice the exponent of the determinant (of a variance)."""
        d = len(np.atleast_1d(np.asarray(self.mean)))
        return float(self.df or 0.0) + (3.0 if np.ndim(covariance) == 1 else d + 2.0)


def _moments(family: Family, params: Params) -> tuple[Floats, Any]:
    """Mean and covariance: a matrix, variances by column, or a number."""
    location, spread = moment_names(family)
    return params[location], params[spread] ** 2 if _is_deviation(family) else params[spread]


def _is_deviation(family: Family) -> bool:
    """Whether the family has standard deviations, not variances."""
    return not isinstance(family.spaces()[moment_names(family)[1]], PositiveDefinite)


def _reduced(squares: Floats, ndim: int) -> Any:
    """Squares by column, or their sum for a spherical covariance."""
    return squares if ndim else np.sum(squares)
