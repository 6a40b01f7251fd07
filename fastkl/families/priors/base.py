"""What a prior is: a log-density over parameters that a fit adds to the log-likelihood before it looks for the maximum."""

from typing import Any, Protocol, runtime_checkable

import numpy as np
from sklearn.base import BaseEstimator

from fastkl._core.array_types import Params, Statistics
from fastkl.families.base import Family


@runtime_checkable
class PriorLike(Protocol):
    """What a prior has to offer.

    Examples
    --------
    >>> import numpy as np
    >>> from fastkl import DensityMLE, priors
    >>> class Exponential:
    ...     def log_density(self, params):
    ...         return -float(np.sum(params["rate"]))
    ...
    ...     def gradient(self, params):
    ...         return {"rate": -np.ones_like(params["rate"])}
    >>> isinstance(Exponential(), priors.PriorLike)
    True
    >>> DensityMLE("poisson", prior=Exponential()).fit([[1], [2], [3]]).params_["rate"].round(6)  # 6 events, 3 + 1 rows
    array([1.5])
    """

    def log_density(self, params: Params) -> float:
        """Log-density in nats, up to a constant, at parameters shaped like ``params_``."""
        ...

    def gradient(self, params: Params) -> Params:
        """Its derivatives, shaped like the parameters; parameters that are left out have derivative 0."""
        ...


class Prior(BaseEstimator):
    """Base of the priors of this package; another prior needs only ``log_density`` and ``gradient``.

    All of them are products over the columns where the family is.

    Examples
    --------
    >>> from fastkl import priors
    >>> all(issubclass(kind, priors.Prior) for kind in (priors.BetaPrior, priors.GammaPrior, priors.NormalPrior))
    True
    """

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
