"""Priors: log-densities over parameters that a fit adds to the log-likelihood before it looks for the maximum.

Any object with ``log_density(params)`` and ``gradient(params)`` is a prior; the classes here are those with a conjugate
form, and the weakly informative default. Densities are those of the parameter that the class names, taken without a
Jacobian, and up to a constant.
"""

from __future__ import annotations

from fastkl.families.base import Family
from fastkl.families.priors.base import Prior, PriorLike
from fastkl.families.priors.conjugate import BetaPrior, DirichletPrior, GammaPrior, NormalPrior
from fastkl.families.priors.normal_inverse_wishart import NormalInverseWishart
from fastkl.families.priors.weakly_informative import WeaklyInformative

__all__ = [
    "BetaPrior",
    "DirichletPrior",
    "GammaPrior",
    "NormalInverseWishart",
    "NormalPrior",
    "Prior",
    "PriorLike",
    "WeaklyInformative",
]

PRIORS: dict[str, type[Prior]] = {
    "default": WeaklyInformative,
    "beta": BetaPrior,
    "dirichlet": DirichletPrior,
    "gamma": GammaPrior,
    "normal": NormalPrior,
    "normal_inverse_wishart": NormalInverseWishart,
}


def resolve_prior(prior: str | PriorLike | None, family: Family) -> PriorLike | None:
    """The prior behind a name; priors and None are returned as they are."""
    if prior is None:
        return None
    if getattr(family, "shrinkage", None) is not None:
        raise ValueError("A covariance is regularised by a prior or by shrinkage, not by both: drop one of them.")
    if isinstance(prior, str):
        if prior not in PRIORS:
            raise ValueError(f"There is no prior named {prior!r}; the names are {', '.join(PRIORS)}.")
        return PRIORS[prior]()
    if isinstance(prior, type) or not isinstance(prior, PriorLike):
        raise TypeError(
            f"A prior is a name, or an object with log_density(params) and gradient(params), not {prior!r}."
        )
    return prior


def __dir__() -> list[str]:
    return list(__all__)
