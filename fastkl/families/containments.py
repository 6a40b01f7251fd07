"""Which families hold others: as members, at certain parameters, or as limits that they come as near to as one likes.

The maximum over a family is never below that over a family it holds: a search that ends below has missed it. The tests of maxima
take this table (``tests/families/test_containments.py``), and the page of theory shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Containment:
    """One family among the distributions of another.

    Parameters
    ----------
    family, member : str
        Names of the larger and the smaller one.
    at : str
        Where in the larger one, in words.
    fixed : dict
        Parameters of the smaller one that are held, where only some of its distributions belong to the larger one.
    edge : bool
        Whether this is one end of the range of a parameter of the larger one, beyond which the likelihood could go on rising:
        a likelihood ratio is then 0 in half of the samples.
    """

    family: str
    member: str
    at: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    edge: bool = False


CONTAINMENTS = (
    Containment("beta", "uniform", "a = b = 1", {"low": 0.0, "high": 1.0}),
    Containment("beta_binomial", "multinomial", "concentration = infinity", edge=True),
    Containment("burr12", "loglogistic", "d = 1"),
    Containment("burr12", "lomax", "c = 1"),
    Containment("burr12", "pareto", "limit of c to infinity with c d held"),
    Containment("burr12", "weibull", "d = infinity", edge=True),
    Containment("dirichlet_multinomial", "multinomial", "concentration = infinity", edge=True),
    Containment("gamma", "exponential", "shape = 1"),
    Containment("generalized_extreme_value", "gumbel", "shape = 0"),
    Containment("generalized_normal", "laplace", "shape = 1"),
    Containment("generalized_normal", "normal", "shape = 2"),
    Containment("generalized_normal", "uniform", "shape = infinity"),
    Containment("generalized_pareto", "exponential", "shape = 0"),
    Containment("generalized_pareto", "lomax", "shape above 0, 1 / that of lomax"),
    Containment("generalized_pareto", "uniform", "shape = -1", {"low": 0.0}),
    Containment("lomax", "exponential", "shape = infinity", edge=True),
    Containment("multivariate_normal", "normal", "a diagonal covariance"),
    Containment("multivariate_t", "multivariate_normal", "df = infinity", edge=True),
    Containment("negative_binomial", "poisson", "size = infinity", edge=True),
    Containment("skew_normal", "half_normal", "shape = infinity, loc = 0"),
    Containment("skew_normal", "normal", "shape = 0"),
    Containment("student_t", "cauchy", "df = 1"),
    Containment("student_t", "normal", "df = infinity", edge=True),
    Containment("weibull", "exponential", "shape = 1"),
    Containment("weibull", "rayleigh", "shape = 2"),
    Containment("zero_inflated_poisson", "poisson", "zero_probability = 0", edge=True),
)


def containment(family: str, member: str) -> Containment | None:
    """How one family holds another, by way of a third where it must; None if it is not known to."""
    for one in CONTAINMENTS:
        if one.family == family and (one.member == member or containment(one.member, member) is not None):
            return one if one.member == member else Containment(family, member, f"{one.at}, in {one.member}")
    return None
