"""Conjugate priors of probabilities, rates and locations: pseudo-counts, pseudo-events, pseudo-observations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fastkl._core.array_types import Params, Statistics
from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family
from fastkl.families.priors.base import Prior, checked, parameter_about, parameter_in
from fastkl.families.spaces import Positive, Rate, Simplex, Space, UnitInterval


class BetaPrior(Prior):
    r"""Beta distribution of a probability: a - 1 pseudo-successes and b - 1 pseudo-failures.

    .. math:: \log f(p) = (a - 1) \log p + (b - 1) \log (1 - p) + \text{const}

    For two categories p is the probability of the first (in the order of ``categories_``).

    Parameters
    ----------
    a, b : float or array-like of shape (d,), default=2.0
        Above 0; 1 is flat, below 1 the density is infinite at the edge and a maximum need not exist.
    parameter : str, default=None
        The parameter it is about; None takes the family's probability, or its probabilities of two outcomes.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE
    >>> from fastkl.families.priors import BetaPrior
    >>> animals = np.array([["cat"]] * 6 + [["dog"]] * 4)
    >>> DensityMLE("categorical", prior=BetaPrior(2, 2)).fit(animals).params_["probabilities"].round(6)
    array([[0.583333, 0.416667]])
    """

    def __init__(self, a: ArrayLike = 2.0, b: ArrayLike = 2.0, parameter: str | None = None):
        self.a = a
        self.b = b
        self.parameter = parameter

    def bind(self, family: Family, params: Params) -> Prior:
        a, b = checked("a", self.a, 0.0, "BetaPrior"), checked("b", self.b, 0.0, "BetaPrior")
        name = parameter_about(family, self.parameter, _is_probability, "a probability", self)
        if isinstance(family.spaces()[name], Simplex):
            return DirichletPrior(np.stack(np.broadcast_arrays(a, b), axis=-1), name).bind(family, params)
        return BetaPrior(self.a, self.b, name)

    def log_density(self, params: Params) -> float:
        p = params[parameter_in(params, self.parameter, self)]
        return float(np.sum((np.asarray(self.a) - 1.0) * np.log(p) + (np.asarray(self.b) - 1.0) * np.log1p(-p)))

    def gradient(self, params: Params) -> Params:
        name = parameter_in(params, self.parameter, self)
        p = params[name]
        return {name: (np.asarray(self.a) - 1.0) / p - (np.asarray(self.b) - 1.0) / (1.0 - p)}


class DirichletPrior(Prior):
    r"""Dirichlet distribution of probabilities: concentration - 1 pseudo-counts for each category.

    .. math:: \log f(\pi) = \sum_k (\alpha_k - 1) \log \pi_k + \text{const}

    Parameters
    ----------
    concentration : float or array-like of shape (k,) or (d, k), default=2.0
        Above 0, in the order of ``categories_``; a number stands for all categories. 1 is flat.
    parameter : str, default=None
        The parameter it is about; None takes the family's probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, families
    >>> from fastkl.families.priors import DirichletPrior
    >>> family = families.Categorical(categories=["cat", "dog", "eel"])
    >>> model = DensityMLE(family, prior=DirichletPrior(2.0)).fit(np.array([["cat"]] * 6 + [["dog"]] * 4))
    >>> model.params_["probabilities"].round(4)
    array([[0.5385, 0.3846, 0.0769]])
    """

    def __init__(self, concentration: ArrayLike = 2.0, parameter: str | None = None):
        self.concentration = concentration
        self.parameter = parameter

    def bind(self, family: Family, params: Params) -> Prior:
        concentration = checked("concentration", self.concentration, 0.0, "DirichletPrior")
        name = parameter_about(family, self.parameter, _is_probability, "probabilities", self)
        space = family.spaces()[name]
        if not isinstance(space, Simplex):
            if concentration.ndim and concentration.shape != (2,):
                raise ValueError(
                    f"{self!r} has to have two entries for a single probability: of success and of failure."
                )
            pair = np.broadcast_to(concentration, (2,))
            return BetaPrior(float(pair[0]), float(pair[1]), name).bind(family, params)
        shape = np.shape(params[name])
        try:
            full = np.array(np.broadcast_to(concentration, shape))
        except ValueError:
            raise ValueError(f"{self!r} does not fit probabilities of shape {shape}.") from None
        full[~space.used(params[name])] = 1.0  # no pseudo-count where rows of fewer categories are filled up
        return DirichletPrior(full, name)

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        name = parameter_about(family, self.parameter, _is_probability, "probabilities", self)
        if not family.labels or family.parameter_names != (name,) or family.fixed_parameters():
            return None
        table = np.zeros(np.shape(self.concentration))
        for j, counts in enumerate(statistics["counts"]):
            table[j, : len(counts)] = counts
        table += np.asarray(self.concentration) - 1.0
        if np.any(table < 0.0) or np.any(table.sum(axis=1) <= 0.0):
            column = int(np.argwhere((table < 0.0) | (table.sum(axis=1, keepdims=True) <= 0.0))[0, 0])
            raise DegenerateDataError(
                f"Column {column} has a category with fewer counts than its concentration lies below 1: the posterior density is "
                "infinite at probability 0. Use a concentration of at least 1.",
                column,
            )
        return {name: table / table.sum(axis=1, keepdims=True)}

    def log_density(self, params: Params) -> float:
        name = parameter_in(params, self.parameter, self)
        excess, p = np.broadcast_arrays(np.asarray(self.concentration) - 1.0, params[name])
        with np.errstate(divide="ignore"):
            return float(np.sum(excess[excess != 0.0] * np.log(p[excess != 0.0])))

    def gradient(self, params: Params) -> Params:
        name = parameter_in(params, self.parameter, self)
        excess, p = np.broadcast_arrays(np.asarray(self.concentration) - 1.0, params[name])
        with np.errstate(divide="ignore"):
            return {name: np.where(excess != 0.0, excess / np.where(excess != 0.0, p, 1.0), 0.0)}


class GammaPrior(Prior):
    r"""Gamma distribution of a rate (or of another positive parameter).

    .. math:: \log f(r) = (\text{shape} - 1) \log r - \text{rate} \cdot r + \text{const}

    For a family with a rate it is about that; for one with a scale it is about 1 / scale, the conjugate form of the
    exponential and the gamma distribution. It then adds shape - 1 pseudo-events in a time of ``rate``.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=1.5
        Above 0.
    rate : float or array-like of shape (d,), default=0.0
        At least 0; 0 leaves large rates alone.
    parameter : str, default=None
        Another positive parameter that it is about, such as ``"df"`` or ``"shape"``; None takes the family's rate, else its
        scale.
    inverse : bool, default=None
        Whether it is about 1 / parameter; None takes that for a scale that ``parameter`` does not name.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> from fastkl.families.priors import GammaPrior
    >>> model = DensityMLE("gamma", prior=GammaPrior(2.0, 0.1, parameter="shape")).fit([[1.0], [2.0], [4.0]])
    >>> model.params_["shape"].round(4)
    array([4.5422])
    """

    def __init__(
        self,
        shape: ArrayLike = 1.5,
        rate: ArrayLike = 0.0,
        parameter: str | None = None,
        inverse: bool | None = None,
    ):
        self.shape = shape
        self.rate = rate
        self.parameter = parameter
        self.inverse = inverse

    def bind(self, family: Family, params: Params) -> Prior:
        checked("shape", self.shape, 0.0, "GammaPrior")
        checked("rate", self.rate, -np.nextafter(0.0, 1.0), "GammaPrior")  # 0 is allowed
        spaces = family.spaces()
        wanted = _is_rate if any(map(_is_rate, spaces.values())) else _is_scale
        name = parameter_about(family, self.parameter, wanted, "a rate or a scale", self)
        inverse = self.parameter is None and wanted is _is_scale if self.inverse is None else self.inverse
        return GammaPrior(self.shape, self.rate, name, inverse)

    def _rate(self, params: Params) -> tuple[str, Any, Any]:
        """The parameter, the rate it stands for, and the derivative of the rate by it."""
        name = parameter_in(params, self.parameter, self)
        value = np.asarray(params[name])
        return (name, 1.0 / value, -1.0 / value**2) if self.inverse else (name, value, np.ones_like(value))

    def log_density(self, params: Params) -> float:
        _, rate, _ = self._rate(params)
        return float(np.sum((np.asarray(self.shape) - 1.0) * np.log(rate) - np.asarray(self.rate) * rate))

    def gradient(self, params: Params) -> Params:
        name, rate, slope = self._rate(params)
        return {name: ((np.asarray(self.shape) - 1.0) / rate - np.asarray(self.rate)) * slope}


class NormalPrior(Prior):
    """Normal distribution of a location.

    Parameters
    ----------
    mean : float or array-like of shape (d,), default=0.0
        Its mean.
    sd : float or array-like of shape (d,), default=1.0
        Its standard deviation, above 0.
    parameter : str, default=None
        The parameter it is about; None takes the family's location or mean.

    Examples
    --------
    >>> from fastkl import DensityMLE, families
    >>> from fastkl.families.priors import NormalPrior
    >>> model = DensityMLE(families.Normal(scale=1.0), prior=NormalPrior(0.0, 1.0)).fit([[0.0], [1.0], [1.0], [2.0]])
    >>> model.params_["loc"].round(6)
    array([0.8])
    """

    def __init__(self, mean: ArrayLike = 0.0, sd: ArrayLike = 1.0, parameter: str | None = None):
        self.mean = mean
        self.sd = sd
        self.parameter = parameter

    def bind(self, family: Family, params: Params) -> Prior:
        checked("sd", self.sd, 0.0, "NormalPrior")
        name = parameter_about(family, self.parameter, lambda space: space.is_centre, "a location or mean", self)
        return NormalPrior(self.mean, self.sd, name)

    def log_density(self, params: Params) -> float:
        z = (params[parameter_in(params, self.parameter, self)] - np.asarray(self.mean)) / np.asarray(self.sd)
        return float(-0.5 * np.sum(z**2))

    def gradient(self, params: Params) -> Params:
        name = parameter_in(params, self.parameter, self)
        return {name: (np.asarray(self.mean) - params[name]) / np.asarray(self.sd, dtype=np.float64) ** 2}


def _is_probability(space: Space) -> bool:
    return isinstance(space, UnitInterval | Simplex)


def _is_rate(space: Space) -> bool:
    return isinstance(space, Rate) or space.role == "inverse_scale"


def _is_scale(space: Space) -> bool:
    return isinstance(space, Positive) and space.role == "scale"
