"""Closed forms for entropy and Kullback-Leibler divergence, registered by pair of families next to the families themselves."""

from collections.abc import Callable
from typing import TypeVar

from fastkl._core.array_types import Params
from fastkl.families.base import Family

KLFormula = Callable[..., float | None]
F = TypeVar("F", bound=KLFormula)

_KL: dict[tuple[str, str], KLFormula] = {}


def register_kl(p_name: str, q_name: str) -> Callable[[F], F]:
    """Register ``formula(p_family, p_params, q_family, q_params)`` as the KL divergence from ``p_name`` to ``q_name``."""

    def register(formula: F) -> F:
        _KL[p_name, q_name] = formula
        return formula

    return register


def kl(p_family: Family, p_params: Params, q_family: Family, q_params: Params) -> float | None:
    """KL(p, q) in nats, at least 0 and possibly inf; None where no closed form is registered."""
    formula = _KL.get((p_family.name, q_family.name))
    return None if formula is None else formula(p_family, p_params, q_family, q_params)


def entropy(family: Family, params: Params) -> float | None:
    """Entropy in nats; None where the family has no closed form."""
    return family.entropy(params)


def registered_pairs() -> list[tuple[str, str]]:
    """The pairs of family names with a closed-form divergence."""
    return sorted(_KL)
