"""Closed forms for entropy and Kullback-Leibler divergence, registered by pair of families next to the families themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from fastkl._core.array_types import Params
from fastkl.families.base import Family

KLFormula = Callable[..., float | None]
F = TypeVar("F", bound=KLFormula)

_KL: dict[tuple[type[Family], type[Family]], KLFormula] = {}


def register_kl(p_family: type[Family], q_family: type[Family]) -> Callable[[F], F]:
    """Register ``formula(p_family, p_params, q_family, q_params)`` as the KL divergence from the first to the second."""

    def register(formula: F) -> F:
        _KL[p_family, q_family] = formula
        return formula

    return register


def kl(p_family: Family, p_params: Params, q_family: Family, q_params: Params) -> float | None:
    """KL(p, q) in nats, at least 0 and possibly inf; None where no closed form is registered, or it is out of its depth.

    Where terms of a form leave the range of numbers on both sides of a difference, the form says nothing.
    """
    for p_kind in _kinds(p_family):
        for q_kind in _kinds(q_family):
            if (p_kind, q_kind) in _KL:
                with np.errstate(all="ignore"):
                    value = _KL[p_kind, q_kind](p_family, p_params, q_family, q_params)
                return None if value is None or np.isnan(value) else value
    return None


def _kinds(family: Family) -> list[type[Family]]:
    """The class of a family, and those that it is derived from and shares its parameters with."""
    own = type(family)
    return [
        kind for kind in own.__mro__ if issubclass(kind, Family) and getattr(kind, "parameters", None) is own.parameters
    ]


def entropy(family: Family, params: Params) -> float | None:
    """Entropy in nats; None where the family has no closed form."""
    return family.entropy(params)


def registered_pairs() -> list[tuple[str, str]]:
    """The pairs of family names with a closed-form divergence."""
    return sorted((p_family.name, q_family.name) for p_family, q_family in _KL)
