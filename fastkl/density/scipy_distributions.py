"""From and to the distributions of scipy.stats: frozen ones have parameters, others stand for their family.

scipy has two kinds of them: ``scipy.stats.gamma(2.0)``, and since 1.15 objects such as ``scipy.stats.Normal(mu=0.0, sigma=1.0)``.
Which of its arguments is which parameter is written in the families (``scipy_name``, ``to_scipy``, ``from_scipy``).
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import scipy.stats

from fastkl import families
from fastkl._core.array_types import Params
from fastkl.exceptions import UnknownFamilyError
from fastkl.families.base import Family

# What scipy's distributions of the new kind call the parameters of those of the old one.
_NEW: dict[str, tuple[str, dict[str, str] | None]] = {
    "Normal": ("norm", {"mu": "loc", "sigma": "scale"}),
    "Uniform": ("uniform", None),
    "Logistic": ("logistic", {"mu": "loc", "sigma": "scale"}),
}


def scipy_name(thing: Any) -> str | None:
    """The name in scipy.stats of one of its distributions, of either kind, frozen or not; None for anything else."""
    if _is_new(thing):
        kind = _new_kind(thing)
        return _NEW[kind][0] if kind else None
    if type(thing).__module__.partition(".")[0] != "scipy":
        return None
    owner = getattr(thing, "dist", getattr(thing, "_dist", thing))
    own = getattr(owner, "name", None)
    if isinstance(own, str):
        return own
    joint = type(owner).__name__.removesuffix("_gen")  # these have no name
    return joint if hasattr(scipy.stats, joint) else None


def _is_new(thing: Any) -> bool:
    new = ("ContinuousDistribution", "DiscreteDistribution", "UnivariateDistribution")
    return any(base.__name__ in new for base in _bases(thing))


def _bases(thing: Any) -> tuple[type, ...]:
    return (thing if inspect.isclass(thing) else type(thing)).__mro__


def _new_kind(thing: Any) -> str | None:
    """Under which name a distribution of the new kind is known; ``Normal()`` makes an object of a class below ``Normal``."""
    return next((base.__name__ for base in _bases(thing) if base.__name__ in _NEW), None)


def is_frozen(thing: Any) -> bool:
    """Whether one of scipy's distributions has its parameters."""
    return not inspect.isclass(thing) if _is_new(thing) else hasattr(thing, "dist") or hasattr(thing, "_dist")


def family_of(thing: Any) -> type[Family]:
    """The family of one of scipy's distributions; UnknownFamilyError where there is none."""
    name = scipy_name(thing)
    found = next((cls for cls in map(families.by_name, families.names()) if name and cls.scipy_name == name), None)
    if found is None:
        known = sorted(cls.scipy_name for cls in map(families.by_name, families.names()) if cls.scipy_name)
        near = families.hint(name) if name else ""
        raise UnknownFamilyError(f"No family is scipy's {name or thing!r}.{near} Known are scipy's {', '.join(known)}.")
    return found


def to_scipy(family: Family, params: Params) -> Any:
    """scipy's frozen distributions, a list of one for each column, or a joint one."""
    if family.scipy_name is None:
        raise AttributeError(f"scipy.stats has no {family.name} distribution.")
    kind, arguments = getattr(scipy.stats, family.scipy_name), family.to_scipy(params)
    if family.joint:
        try:
            return kind(**{name: _plain(value) for name, value in arguments.items()})
        except np.linalg.LinAlgError as error:
            raise ValueError(
                f"scipy.stats.{family.scipy_name} refuses the matrix of this {family.name}, which is too close to singular for "
                f"it; fastkl's own members take it. ({error})"
            ) from error
    d = family.n_columns(params)
    return [kind(**{name: float(value[j]) for name, value in arguments.items()}) for j in range(d)]


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.ndarray) and value.ndim == 0 else value


def from_scipy(given: Any) -> tuple[Family, Params]:
    """The family and the parameters of a frozen distribution, or of a list of them, one for each column."""
    columns = list(given) if isinstance(given, list | tuple) else [given]
    kind = _one_family(columns)
    family = kind()
    found = [family.from_scipy(_arguments(one)) for one in columns]
    options = {name: found[0].pop(name) for name in list(found[0]) if name not in family.parameter_names}
    if options:
        family = kind(**{name: _plain(np.asarray(value)) for name, value in options.items()})
    if kind.joint:
        return family, family.check_parameters(found[0])
    columns = [np.broadcast_arrays(*(np.atleast_1d(one[name]) for name in family.parameter_names)) for one in found]
    params = {
        name: np.concatenate([np.ravel(column[i]) for column in columns])
        for i, name in enumerate(family.parameter_names)
    }
    return family, family.check_parameters(params)


def _one_family(columns: list[Any]) -> type[Family]:
    """The family of frozen distributions; an error unless there are some, all of one, and a single one if it is joint."""
    if not columns:
        raise ValueError(
            "from_scipy takes a frozen distribution or a list of them, one for each column; this list is empty."
        )
    for j, one in enumerate(columns):
        if scipy_name(one) is None or not is_frozen(one):
            frozen_form = " Give it its parameters first, as in scipy.stats.gamma(2.0)." if scipy_name(one) else ""
            raise TypeError(f"from_scipy takes frozen distributions of scipy.stats; entry {j} is {one!r}.{frozen_form}")
    kinds = [family_of(one) for one in columns]
    if len(set(kinds)) > 1:
        raise ValueError(
            f"The columns have different families, {', '.join(kind.name for kind in kinds)}: one DensityMLE has one. Combine one "
            "for each column by ProductDensity."
        )
    if kinds[0].joint and len(columns) > 1:
        raise ValueError(
            f"{kinds[0].name} describes the row as a whole; pass a single frozen distribution, not {len(columns)}."
        )
    return kinds[0]


def _arguments(distribution: Any) -> dict[str, Any]:
    """All arguments of a frozen distribution by name, loc and scale among them."""
    if _is_new(distribution):
        kind, given = _new_kind(distribution), dict(distribution._parameters)
        if kind == "Uniform":
            return {"loc": given["a"], "scale": np.asarray(given["b"]) - given["a"]}
        renamed: dict[str, str] = (_NEW[kind][1] if kind else None) or {}
        named = {renamed.get(str(name), str(name)): value for name, value in given.items()}
        return {"loc": 0.0, "scale": 1.0} | named  # of which the standard distribution holds neither
    if hasattr(distribution, "_dist"):  # a joint one keeps its arguments under their names
        return _joint_arguments(distribution)
    shapes, loc, scale = distribution.dist._parse_args(*distribution.args, **distribution.kwds)
    names = (distribution.dist.shapes or "").replace(",", " ").split()
    return {**dict(zip(names, shapes, strict=True)), "loc": loc, "scale": scale}


def _joint_arguments(distribution: Any) -> dict[str, Any]:
    """What a frozen joint distribution was made of, by the names of scipy's arguments."""
    covariance = getattr(distribution, "cov_object", None)
    if covariance is not None:
        return {"mean": distribution.mean, "cov": covariance.covariance}
    names = ("df", "loc", "shape", "alpha", "n", "p", "mu", "kappa")
    return {name: getattr(distribution, name) for name in names if name in vars(distribution)}
