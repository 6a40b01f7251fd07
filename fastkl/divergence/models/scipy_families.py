"""Frozen distributions of scipy as families of this library, so that closed forms of pairs know them too."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from fastkl.exceptions import DegenerateDataError

Law = tuple[Any, dict[str, Any]]


def family_of_frozen(thing: Any) -> Law | None:
    """The family's descriptor and the parameters of a frozen scipy distribution; None for one without a counterpart."""
    generator: Any = getattr(thing, "dist", None)
    name = getattr(generator, "name", None)
    if type(thing).__name__ == "multivariate_normal_frozen":
        return _multivariate_normal(thing)
    if type(thing).__name__ == "dirichlet_frozen":
        return _as_law("dirichlet", concentration=np.asarray(thing.alpha, dtype=np.float64))
    if type(thing).__name__ == "vonmises_fisher_frozen":
        return _as_law("von_mises_fisher", direction=np.asarray(thing.mu, np.float64), concentration=float(thing.kappa))
    if type(thing).__name__ == "multinomial_frozen" and np.ndim(thing.n) == 0 and np.ndim(thing.p) == 1:
        family, params = _as_law("multinomial", probabilities=np.asarray(thing.p, np.float64))
        return family.set_params(n_trials=int(thing.n)), params
    if name not in _UNIVARIATE or not hasattr(generator, "_parse_args"):
        return None
    shapes, loc, scale = generator._parse_args(*thing.args, **thing.kwds)
    numbers = [np.asarray(value, dtype=np.float64) for value in (*shapes, loc, scale)]
    if any(value.size != 1 for value in numbers):
        return None
    *shapes, loc, scale = (float(value.reshape(())) for value in numbers)
    known = _UNIVARIATE[name](shapes, loc, scale)
    if known is None:
        return None
    family, params = known
    return _as_law(family, **{key: np.array([value]) for key, value in params.items()})


def refuse_unsettled(thing: Any, name: str) -> None:
    """Refuse a distribution of scipy whose shapes are not given (TypeError), or one of several values each (ValueError).

    And a normal distribution on a line or plane (DegenerateDataError), whose log-density is that of fewer dimensions.
    """
    rank = getattr(getattr(thing, "cov_object", None), "rank", None)
    if rank is not None and rank < thing.dim:
        raise DegenerateDataError(
            f"{name} is scipy's multivariate_normal with a singular covariance, of rank {rank} in {thing.dim} columns: it has no "
            "density, and an entropy of -inf. Take the distribution of as many of its columns, or combinations of them."
        )
    if hasattr(thing, "_parse_args") and thing.shapes:
        raise TypeError(
            f"{name} is scipy's {thing.name} without its parameters ({thing.shapes}); pass one with them, such as "
            f"{thing.name}({', '.join(f'{shape.strip()}=...' for shape in thing.shapes.split(','))})."
        )
    if not hasattr(getattr(thing, "dist", None), "_parse_args"):
        return
    sizes = [np.shape(value) for value in (*thing.args, *thing.kwds.values()) if np.size(value) != 1]
    if sizes:
        raise ValueError(
            f"{name} is scipy's {thing.dist.name} with parameters of shape {sizes[0]}: several distributions, and a divergence "
            f"takes one. For independent columns use fastkl.ProductDensity, for one of them a single number each."
        )


def known_entropy(thing: Any) -> float | None:
    """The entropy that a model of another library gives, unless it is scipy's numerical one, which fails without a word.

    The generic sums and integrals of scipy stop where the tail seems small or miss a narrow peak; what the class of a
    distribution says of its own is a formula, or the whole sum.
    """
    own = getattr(thing, "entropy", None)
    if not callable(own) or hasattr(thing, "score_samples"):
        return None  # the densities of this library ask this function
    generator: Any = getattr(thing, "dist", None)
    giver = next((cls.__name__ for cls in type(generator).__mro__ if "_entropy" in vars(cls)), None)
    if giver in ("rv_continuous", "rv_discrete"):
        return None
    try:
        only_formulas = {"method": "formula"} if "method" in inspect.signature(own).parameters else {}
        value = np.asarray(own(**only_formulas), dtype=np.float64)
    except (NotImplementedError, ValueError):  # the latter of a compiled method without a signature
        return None
    return float(value.reshape(())) if value.size == 1 and np.isfinite(value).all() else None


def _as_law(family: str, **params: Any) -> Law:
    from fastkl.families import by_name

    return by_name(family)(), params


def _multivariate_normal(thing: Any) -> Law | None:
    covariance = np.atleast_2d(np.asarray(thing.cov, dtype=np.float64))
    mean = np.atleast_1d(np.asarray(thing.mean, dtype=np.float64))
    if np.linalg.matrix_rank(covariance) < len(mean):
        return None
    return _as_law("multivariate_normal", mean=mean, covariance=covariance)


Known = tuple[str, dict[str, float]] | None
Mapping = Callable[[list[float], float, float], Known]


def _location_scale(family: str) -> Mapping:
    return lambda shapes, loc, scale: (family, {"loc": loc, "scale": scale})


def _from_zero(family: str, *names: str) -> Mapping:
    """A family on positive numbers, which has no location: shapes by name, then the scale."""

    def known(shapes: list[float], loc: float, scale: float) -> Known:
        return None if loc != 0.0 else (family, {**dict(zip(names, shapes, strict=True)), "scale": scale})

    return known


_UNIVARIATE: dict[str, Mapping] = {
    **{
        theirs: _location_scale(ours)
        for theirs, ours in (
            ("norm", "normal"), ("laplace", "laplace"), ("logistic", "logistic"), ("cauchy", "cauchy"), ("gumbel_r", "gumbel"),
        )
    },
    **{
        theirs: _from_zero(ours, *names)
        for theirs, ours, names in (
            ("expon", "exponential", ()), ("gamma", "gamma", ("shape",)), ("weibull_min", "weibull", ("shape",)),
            ("pareto", "pareto", ("shape",)), ("rayleigh", "rayleigh", ()), ("halfnorm", "half_normal", ()),
            ("lomax", "lomax", ("shape",)), ("fisk", "loglogistic", ("shape",)), ("invgamma", "inverse_gamma", ("shape",)),
        )
    },
    "t": lambda s, loc, scale: ("student_t", {"df": s[0], "loc": loc, "scale": scale}),
    "uniform": lambda s, loc, scale: ("uniform", {"low": loc, "high": loc + scale}),
    "lognorm": lambda s, loc, scale: None if loc != 0.0 else ("lognormal", {"meanlog": np.log(scale), "sdlog": s[0]}),
    "invgauss": lambda s, loc, scale: None if loc != 0.0 else ("inverse_gaussian", {"mean": s[0] * scale, "shape": scale}),
    "poisson": lambda s, loc, scale: ("poisson", {"rate": s[0]}) if loc == 0.0 else None,
    "nbinom": lambda s, loc, scale: (
        ("negative_binomial", {"size": s[0], "mean": s[0] * (1.0 - s[1]) / s[1]}) if loc == 0.0 else None
    ),
    "beta": lambda s, loc, scale: ("beta", {"a": s[0], "b": s[1]}) if (loc, scale) == (0.0, 1.0) else None,
    "vonmises": lambda s, loc, scale: ("von_mises", {"loc": loc, "concentration": s[0]}) if scale == 1.0 else None,
}  # fmt: skip
