"""Closed forms of the Kullback-Leibler and the Rényi divergence by pair of families, next to the families themselves.

The divergence of order a of two members p and q of one exponential family rests on a third: m, with a density in proportion to
p^a q^(1-a), for which (1 - a) D_a(p, q) = a KL(m, p) + (1 - a) KL(m, q) (T. van Erven and P. Harremoës 2014,
doi:10.1109/TIT.2014.2320500). So it keeps the digits that the Kullback-Leibler divergence of the family has. For a > 1 there
may be no such member, and the divergence is infinite.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import TypeVar

import numpy as np
from scipy.special import rel_entr

from fastkl._core.array_types import Floats, Params
from fastkl._core.special.log_tails import log_ratio
from fastkl.families.base import Family

KLFormula = Callable[..., float | None]
F = TypeVar("F", bound=KLFormula)
Pair = tuple[type[Family], type[Family]]
# Ratios above it have all their digits.
_SMALL = 1e-290
_KL: dict[Pair, KLFormula] = {}
_RENYI: dict[Pair, KLFormula] = {}


def register_kl(p_family: type[Family], q_family: type[Family]) -> Callable[[F], F]:
    """Register ``formula(p_family, p_params, q_family, q_params)`` as the KL divergence from the first to the second."""
    return partial(_registered, _KL, (p_family, q_family))


def kl(p_family: Family, p_params: Params, q_family: Family, q_params: Params) -> float | None:
    """KL(p, q) in nats, at least 0 and possibly inf; None where no closed form is registered, or it is out of its depth.

    Where terms of a form leave the range of numbers on both sides of a difference, the form says nothing.
    """
    return _known(_KL, p_family, p_params, q_family, q_params)


def log_ratio_excess(first: Floats, second: Floats, power: float = 1.0) -> Floats:
    """r - 1 - log r >= 0 with r = (first / second)^power; near r = 1, where both terms are nearly the same, as good as the
    rounding of the ratio allows.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = (first / second) ** power
        logarithm = np.where(ratio < _SMALL, power * log_ratio(first, second), np.log(ratio))
        excess = np.maximum((ratio - 1.0) - logarithm, 0.0)
    return np.where(ratio == np.inf, np.inf, excess)


def register_renyi(p_family: type[Family], q_family: type[Family]) -> Callable[[F], F]:
    """Register ``formula(p_family, p_params, q_family, q_params, alpha)`` as the Rényi divergence of order alpha."""
    return partial(_registered, _RENYI, (p_family, q_family))


def _registered(table: dict[Pair, KLFormula], pair: Pair, formula: F) -> F:
    table[pair] = formula
    return formula


def renyi(p_family: Family, p_params: Params, q_family: Family, q_params: Params, alpha: float) -> float | None:
    """The Rényi divergence of order alpha, which is not 1, in nats; None as in `kl`."""
    return _known(_RENYI, p_family, p_params, q_family, q_params, alpha)


def renyi_by_mean(formula: KLFormula, family: Family, mean: Params, p: Params, q: Params, alpha: float) -> float:
    """D_alpha(p, q) by the member of the family whose density is in proportion to p^alpha q^(1 - alpha)."""
    to_p, to_q = (float(formula(family, mean, family, other) or 0.0) for other in (p, q))
    return max((alpha * to_p + (1.0 - alpha) * to_q) / (1.0 - alpha), 0.0)


def renyi_of_probabilities(p: Floats, q: Floats, alpha: float) -> float:
    """D_alpha of two probability vectors, (k,); inf where alpha > 1 and q = 0 < p, or where p q = 0 everywhere."""
    if alpha > 1.0 and np.any((q == 0.0) & (p > 0.0)):
        return float("inf")
    both = (p > 0.0) & (q > 0.0)
    if not both.any():
        return float("inf")
    log_mean = alpha * np.log(p[both]) + (1.0 - alpha) * np.log(q[both])
    mean = np.exp(log_mean - log_mean.max())
    mean /= mean.sum()
    to_p, to_q = (
        float(np.sum(rel_entr(mean, one[both]) - mean + one[both])) + float(one[~both].sum()) for one in (p, q)
    )
    return max((alpha * to_p + (1.0 - alpha) * to_q) / (1.0 - alpha), 0.0)


def _known(
    registered: dict[Pair, KLFormula],
    p_family: Family,
    p_params: Params,
    q_family: Family,
    q_params: Params,
    *more: float,
) -> float | None:
    """What the formula of the pair gives; None where there is none, or it is out of its depth."""
    for p_kind in _kinds(type(p_family)):  # type: ignore[arg-type]  # a class can be hashed, whatever its objects can
        for q_kind in _kinds(type(q_family)):  # type: ignore[arg-type]  # as above
            if (p_kind, q_kind) in registered:
                with np.errstate(all="ignore"):
                    value = registered[p_kind, q_kind](p_family, p_params, q_family, q_params, *more)
                return None if value is None or np.isnan(value) else value
    return None


@cache
def _kinds(own: type[Family]) -> list[type[Family]]:
    """The class of a family, and those that it is derived from and shares its parameters with."""
    return [
        kind for kind in own.__mro__ if issubclass(kind, Family) and getattr(kind, "parameters", None) is own.parameters
    ]


def registered_pairs() -> list[tuple[str, str]]:
    """The pairs of family names with a closed-form divergence."""
    return sorted((p_family.name, q_family.name) for p_family, q_family in _KL)
