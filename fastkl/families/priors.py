"""Priors: log-densities over parameters that a fit adds to the log-likelihood before it looks for the maximum.

Any object with ``log_density(params)`` and ``gradient(params)`` is a prior; the classes here are those with a conjugate form, and the
weakly informative default. Densities are those of the parameter that the class names, taken without a Jacobian, and up to a constant.
"""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from fastkl.exceptions import DegenerateDataError
from fastkl.families.base import Family, Params, Statistics


@runtime_checkable
class PriorLike(Protocol):
    """What a prior has to offer."""

    def log_density(self, params: Params) -> float:
        """Log-density in nats, up to a constant, at parameters shaped like ``params_``."""
        ...

    def gradient(self, params: Params) -> Params:
        """Its derivatives, shaped like the parameters; parameters that are left out have derivative 0."""
        ...


class Prior(BaseEstimator):  # type: ignore[misc]
    """Base of the priors of this package; another prior needs only ``log_density`` and ``gradient``."""

    def log_density(self, params: Params) -> float:
        """Log-density up to a constant.

        Parameters
        ----------
        params : dict of arrays
            Shaped like ``params_``.

        Returns
        -------
        float
            In nats.
        """
        raise NotImplementedError

    def gradient(self, params: Params) -> Params:
        """Derivatives of ``log_density`` by the parameters it concerns.

        Parameters
        ----------
        params : dict of arrays
            Shaped like ``params_``.

        Returns
        -------
        dict of arrays
            Shaped like those parameters.
        """
        raise NotImplementedError

    def bind(self, family: Family, params: Params) -> "Prior | None":
        """The prior with what it takes from the family and the data filled in; None where it then is flat.

        ``params`` is the maximum of the likelihood, or a guess at it.
        """
        return self

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        """The maximum of likelihood times prior where it has a closed form; only a bound prior is asked."""
        return None


def parameter_of(params: Params, chosen: str | None, names: tuple[str, ...], prior: Prior) -> str:
    """The parameter a prior is about: the chosen one, else the first of ``names`` that the family has."""
    for name in names if chosen is None else (chosen,):
        if name in params:
            return name
    wanted = ", ".join(names) if chosen is None else chosen
    raise ValueError(f"{prior!r} is about {wanted}; this family has the parameters {', '.join(params)}.")


def checked(name: str, value: Any, above: float, prior: str) -> Any:
    """The hyper-parameter as float64, above a bound."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array)) or np.any(array <= above):
        raise ValueError(f"{prior} needs {name} finite and above {above:g}, not {value!r}.")
    return array


class BetaPrior(Prior):
    r"""Beta law of a probability: a - 1 pseudo-successes and b - 1 pseudo-failures.

    .. math:: \log f(p) = (a - 1) \log p + (b - 1) \log (1 - p) + \text{const}

    For two categories p is the probability of the first (in the order of ``categories_``).

    Parameters
    ----------
    a, b : float or array-like of shape (d,), default=2.0
        Above 0; 1 is flat, below 1 the density is infinite at the edge and a maximum need not exist.
    parameter : str, default=None
        The parameter it is about; None takes ``probability``, ``zero_probability`` or ``probabilities``, whichever there is.

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

    def _name(self, params: Params) -> str:
        return parameter_of(params, self.parameter, ("probability", "zero_probability", "probabilities"), self)

    def bind(self, family: Family, params: Params) -> Prior:
        a, b = checked("a", self.a, 0.0, "BetaPrior"), checked("b", self.b, 0.0, "BetaPrior")
        if self._name(params) == "probabilities":
            return DirichletPrior(np.stack(np.broadcast_arrays(a, b), axis=-1)).bind(family, params)
        return self

    def log_density(self, params: Params) -> float:
        p = params[self._name(params)]
        return float(np.sum((np.asarray(self.a) - 1.0) * np.log(p) + (np.asarray(self.b) - 1.0) * np.log1p(-p)))

    def gradient(self, params: Params) -> Params:
        name = self._name(params)
        p = params[name]
        return {name: (np.asarray(self.a) - 1.0) / p - (np.asarray(self.b) - 1.0) / (1.0 - p)}


class DirichletPrior(Prior):
    r"""Dirichlet law of probabilities: concentration - 1 pseudo-counts for each category.

    .. math:: \log f(\pi) = \sum_k (\alpha_k - 1) \log \pi_k + \text{const}

    Parameters
    ----------
    concentration : float or array-like of shape (k,) or (d, k), default=2.0
        Above 0, in the order of ``categories_``; a number stands for all categories. 1 is flat.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, families
    >>> from fastkl.families.priors import DirichletPrior
    >>> law = families.Categorical(categories=["cat", "dog", "eel"])
    >>> model = DensityMLE(law, prior=DirichletPrior(2.0)).fit(np.array([["cat"]] * 6 + [["dog"]] * 4))
    >>> model.params_["probabilities"].round(4)
    array([[0.5385, 0.3846, 0.0769]])
    """

    def __init__(self, concentration: ArrayLike = 2.0):
        self.concentration = concentration

    def bind(self, family: Family, params: Params) -> Prior:
        concentration = checked("concentration", self.concentration, 0.0, "DirichletPrior")
        if "probabilities" not in params:
            if concentration.ndim and concentration.shape != (2,):
                raise ValueError(
                    f"{self!r} has to have two entries for a single probability: of success and of failure."
                )
            pair = np.broadcast_to(concentration, (2,))
            return BetaPrior(float(pair[0]), float(pair[1])).bind(family, params)
        shape = np.shape(params["probabilities"])
        try:
            full = np.array(np.broadcast_to(concentration, shape))
        except ValueError:
            raise ValueError(f"{self!r} does not fit probabilities of shape {shape}.") from None
        for j, labels in enumerate(family.labels_of(params) if hasattr(family, "labels_of") else []):
            full[j, len(labels) :] = 1.0  # no pseudo-count where rows of fewer categories are filled up
        return DirichletPrior(full)

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        if family.name != "categorical" or family.fixed_parameters():
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
        return {"probabilities": table / table.sum(axis=1, keepdims=True)}

    def log_density(self, params: Params) -> float:
        excess, p = np.broadcast_arrays(np.asarray(self.concentration) - 1.0, params["probabilities"])
        with np.errstate(divide="ignore"):
            return float(np.sum(excess[excess != 0.0] * np.log(p[excess != 0.0])))

    def gradient(self, params: Params) -> Params:
        excess, p = np.broadcast_arrays(np.asarray(self.concentration) - 1.0, params["probabilities"])
        with np.errstate(divide="ignore"):
            return {"probabilities": np.where(excess != 0.0, excess / np.where(excess != 0.0, p, 1.0), 0.0)}


class GammaPrior(Prior):
    r"""Gamma law of a rate (or of another positive parameter).

    .. math:: \log f(r) = (\text{shape} - 1) \log r - \text{rate} \cdot r + \text{const}

    For a family with a ``rate`` it is about that; for one with a ``scale`` it is about 1 / scale, the conjugate form of the
    exponential and the gamma law. It then adds shape - 1 pseudo-events in a time of ``rate``.

    Parameters
    ----------
    shape : float or array-like of shape (d,), default=1.5
        Above 0.
    rate : float or array-like of shape (d,), default=0.0
        At least 0; 0 leaves large rates alone.
    parameter : str, default=None
        Another positive parameter that it is about itself, such as ``"df"`` or ``"shape"``.

    Examples
    --------
    >>> from fastkl import DensityMLE
    >>> from fastkl.families.priors import GammaPrior
    >>> model = DensityMLE("gamma", prior=GammaPrior(2.0, 0.1, parameter="shape")).fit([[1.0], [2.0], [4.0]])
    >>> model.params_["shape"].round(4)
    array([4.0182])
    """

    def __init__(self, shape: ArrayLike = 1.5, rate: ArrayLike = 0.0, parameter: str | None = None):
        self.shape = shape
        self.rate = rate
        self.parameter = parameter

    def bind(self, family: Family, params: Params) -> Prior:
        checked("shape", self.shape, 0.0, "GammaPrior")
        checked("rate", np.asarray(self.rate, dtype=np.float64) + 1.0, 1.0 - 1e-300, "GammaPrior")
        self._rate(params)
        return self

    def _rate(self, params: Params) -> tuple[str, Any, Any]:
        """The parameter, the rate it stands for, and the derivative of the rate by it."""
        name = parameter_of(params, self.parameter, ("rate", "scale"), self)
        value = np.asarray(params[name])
        if self.parameter is None and name == "scale":
            return name, 1.0 / value, -1.0 / value**2
        return name, value, np.ones_like(value)

    def log_density(self, params: Params) -> float:
        _, rate, _ = self._rate(params)
        return float(np.sum((np.asarray(self.shape) - 1.0) * np.log(rate) - np.asarray(self.rate) * rate))

    def gradient(self, params: Params) -> Params:
        name, rate, slope = self._rate(params)
        return {name: ((np.asarray(self.shape) - 1.0) / rate - np.asarray(self.rate)) * slope}


class NormalPrior(Prior):
    """Normal law of a location.

    Parameters
    ----------
    mean : float or array-like of shape (d,), default=0.0
        Its mean.
    sd : float or array-like of shape (d,), default=1.0
        Its standard deviation, above 0.
    parameter : str, default=None
        The parameter it is about; None takes ``loc``, ``mean`` or ``meanlog``, whichever there is.

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
        self._name(params)
        return self

    def _name(self, params: Params) -> str:
        return parameter_of(params, self.parameter, ("loc", "mean", "meanlog"), self)

    def log_density(self, params: Params) -> float:
        z = (params[self._name(params)] - np.asarray(self.mean)) / np.asarray(self.sd)
        return float(-0.5 * np.sum(z**2))

    def gradient(self, params: Params) -> Params:
        name = self._name(params)
        return {name: (np.asarray(self.mean) - params[name]) / np.asarray(self.sd, dtype=np.float64) ** 2}


class WeaklyInformative(Prior):
    r"""The default prior: what a row or so would say, and nothing about the unit of the data.

    With strength m it adds to the log-likelihood

    * :math:`-\frac m2 (\log\theta / \log 10)^2` for every parameter without a unit: a shape beside a scale, degrees of freedom,
      a concentration, a size, a log-scale: one row against a factor of ten;
    * :math:`\frac mk \sum_k \log \pi_k` for k probabilities: m pseudo-counts spread evenly (W. Perks 1947);
    * :math:`\frac m2 \log \lambda` for the rate of a count: half an event;
    * :math:`-\frac m2 (\log\det\Sigma + \operatorname{tr} D \Sigma^{-1})` for a matrix: m rows with the variances D of the data and
      no correlation, so that a full covariance exists for fewer rows than columns;
    * nothing for locations and scales.

    Multiplying the data by c therefore shifts log-densities by -d log c and does nothing else.

    Parameters
    ----------
    strength : float, default=1.0
        m, at least 0.
    variances : array-like of shape (d,), default=None
        D; None takes those of the data.
    """

    def __init__(self, strength: float = 1.0, variances: ArrayLike | None = None):
        self.strength = strength
        self.variances = variances

    def bind(self, family: Family, params: Params) -> Prior | None:
        checked("strength", self.strength + 1.0, 1.0 - 1e-300, "WeaklyInformative")
        free = {name: value for name, value in params.items() if name not in family.fixed_parameters()}
        if "probabilities" in free:
            width = np.asarray(params["probabilities"]).shape[-1]
            sizes = [len(labels) for labels in family.labels_of(params)] if hasattr(family, "labels_of") else [width]
            table = np.repeat(1.0 + self.strength / np.array(sizes, dtype=np.float64)[:, None], width, axis=1)
            return DirichletPrior(table.reshape(np.shape(params["probabilities"]))).bind(family, params)
        if self.strength == 0.0 or not any(name in free for name in self._terms(params)):
            return None
        matrix = next((value for name, value in params.items() if np.ndim(value) == 2 and name in MATRICES), None)
        if matrix is None or self.variances is not None:
            return self
        return WeaklyInformative(self.strength, np.diag(matrix).copy())

    def _terms(self, params: Params) -> dict[str, str]:
        """The kind of term that each parameter adds."""
        kinds = {}
        for name, value in params.items():
            if np.ndim(value) == 2 and name in MATRICES:
                kinds[name] = "matrix"
            elif name in UNITLESS or (name == "shape" and "scale" in params):
                kinds[name] = "unitless"
            elif name in ("probability", "zero_probability", "rate"):
                kinds[name] = name
        return kinds

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        fixed = family.fixed_parameters()
        if self.variances is None or family.name != "multivariate_normal" or "covariance" in fixed:
            return None
        mean = np.asarray(fixed.get("mean", statistics["mean"]), dtype=np.float64)
        shift = statistics["mean"] - mean
        scatter = statistics["scatter"] + statistics["weight"] * np.outer(shift, shift)
        added = np.diag(self.strength * np.asarray(self.variances))
        return {"mean": np.array(mean), "covariance": (scatter + added) / (statistics["weight"] + self.strength)}

    def log_density(self, params: Params) -> float:
        total = 0.0
        for name, kind in self._terms(params).items():
            value = params[name]
            if kind == "matrix":
                trace = np.sum(np.asarray(self.variances) * np.diag(np.linalg.inv(value)))
                total -= 0.5 * (np.linalg.slogdet(value)[1] + trace)
            elif kind == "unitless":
                total -= 0.5 * float(np.sum(np.log(value) ** 2)) / LOG_TEN**2
            elif kind == "rate":
                total += 0.5 * float(np.sum(np.log(value)))
            else:
                total += 0.5 * float(np.sum(np.log(value) + np.log1p(-value)))
        return float(self.strength * total)

    def gradient(self, params: Params) -> Params:
        slopes: Params = {}
        for name, kind in self._terms(params).items():
            value = params[name]
            if kind == "matrix":
                precision = np.linalg.inv(value)
                slope = 0.5 * ((precision * np.asarray(self.variances)) @ precision - precision)
            elif kind == "unitless":
                slope = -np.log(value) / value / LOG_TEN**2
            else:
                slope = 0.5 / value if kind == "rate" else 0.5 / value - 0.5 / (1.0 - value)
            slopes[name] = self.strength * slope
        return slopes


LOG_TEN = float(np.log(10.0))
MATRICES = ("covariance", "scale")
UNITLESS = frozenset({"df", "concentration", "a", "b", "c", "d", "size", "sdlog"})
