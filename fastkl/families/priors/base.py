"""What a prior is: a log-density over parameters that a fit adds to the log-likelihood before it looks for the maximum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
from sklearn.base import BaseEstimator

from fastkl._core.array_types import Params, Statistics
from fastkl.families.base import Family
from fastkl.families.spaces import Space


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

    def bind(self, family: Family, params: Params) -> Prior | None:
        """The prior with what it takes from the family and the data filled in; None where it then is flat.

        ``params`` is the maximum of the likelihood, or a guess at it.
        """
        return self

    def solve(self, family: Family, statistics: Statistics) -> Params | None:
        """The maximum of likelihood times prior where it has a closed form; only a bound prior is asked."""
        return None


def parameter_about(
    family: Family, chosen: str | None, wanted: Callable[[Space], bool], what: str, prior: Prior
) -> str:
    """The parameter a prior is about: the chosen one, else the one whose space is wanted; ``what`` names it in errors."""
    if chosen is None:
        found = [name for name, space in family.spaces().items() if wanted(space)]
    else:
        found, what = [name for name in family.parameter_names if name == chosen], chosen
    if len(found) == 1:
        return found[0]
    if found:
        raise ValueError(f"{prior!r} may be about {' or '.join(found)}: say which, as in parameter={found[0]!r}.")
    raise ValueError(f"{prior!r} is about {what}; this family has the parameters {', '.join(family.parameter_names)}.")


def parameter_in(params: Params, chosen: str | None, prior: Prior) -> str:
    """The parameter a prior is about, once that is known; a fit sees to it."""
    names = list(params) if chosen is None else [name for name in params if name == chosen]
    if len(names) == 1:
        return names[0]
    if chosen is None:
        raise ValueError(f"{prior!r} does not say which of {', '.join(params)} it is about: pass parameter=.")
    raise ValueError(f"{prior!r} is about {chosen}; this family has the parameters {', '.join(params)}.")


def moment_names(family: Family) -> tuple[str, str]:
    """The parameters that hold the mean, and the covariance or standard deviation, of a normal family."""
    location = next(name for name, space in family.spaces().items() if space.role == "location")
    return location, str(family.spaces()[location].spread)


def checked(name: str, value: Any, above: float, prior: str) -> Any:
    """The hyper-parameter as float64, above a bound."""
    array = np.asarray(value, dtype=np.float64)
    if not np.all(np.isfinite(array)) or np.any(array <= above):
        raise ValueError(f"{prior} needs {name} finite and above {above:g}, not {value!r}.")
    return array
