"""What other libraries call families and parameters, for messages that say what they are called here.

Aliases that find a family (``"norm"``, ``"expon"``) are written in the family. Here are distributions that are none, with the
families nearest in meaning, and names of parameters with what they mostly stand for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# Distributions that are no family of their own: the families that contain them, or come nearest.
NEAREST = {
    "asymmetric_laplace": ("laplace",),
    "binom": ("bernoulli", "multinomial"),
    "binomial": ("bernoulli", "multinomial"),
    "burr": ("burr12",),
    "burr3": ("burr12",),
    "chi": ("half_normal", "rayleigh"),
    "chi2": ("gamma",),
    "chi_squared": ("gamma",),
    "chisquare": ("gamma",),
    "dagum": ("burr12",),
    "erlang": ("gamma",),
    "f": ("burr12", "loglogistic"),
    "foldnorm": ("half_normal",),
    "frechet": ("generalized_extreme_value", "weibull"),
    "genexpon": ("exponential", "gamma"),
    "gengamma": ("gamma", "weibull"),
    "gumbel_l": ("gumbel",),
    "hurdle": ("zero_inflated_poisson", "negative_binomial"),
    "invweibull": ("generalized_extreme_value", "weibull"),
    "landau": ("gumbel",),
    "maxwell": ("rayleigh",),
    "moyal": ("gumbel",),
    "nakagami": ("gamma", "rayleigh"),
    "power_law": ("pareto",),
    "powerlaw": ("pareto", "beta"),
    "rice": ("rayleigh",),
    "triang": ("beta", "uniform"),
    "truncnorm": ("half_normal", "normal"),
    "truncated_normal": ("half_normal", "normal"),
    "weibull_max": ("generalized_extreme_value", "weibull"),
    "zero_inflated_negative_binomial": ("zero_inflated_poisson", "negative_binomial"),
    "zinb": ("zero_inflated_poisson", "negative_binomial"),
    "zipf": ("geometric", "pareto"),
}

# Parameters elsewhere, and here: the first of these that a family has.
_PARAMETERS = {
    "mu": ("loc", "mean", "meanlog", "rate", "direction"),
    "mean": ("loc", "rate", "meanlog"),
    "location": ("loc",),
    "sigma": ("scale", "sdlog", "covariance"),
    "std": ("scale", "sdlog"),
    "sd": ("scale", "sdlog"),
    "cov": ("covariance", "scale"),
    "covariance": ("scale",),
    "covariance_matrix": ("covariance", "scale"),
    "s": ("sdlog",),
    "lam": ("rate",),
    "lambda_": ("rate",),
    "lmbda": ("rate",),
    "alpha": ("shape", "a", "concentration"),
    "beta": ("b",),
    "k": ("shape",),
    "theta": ("scale",),
    "a": ("shape", "low"),
    "b": ("shape", "high"),
    "c": ("shape",),
    "nu": ("df",),
    "dof": ("df",),
    "kappa": ("concentration",),
    "p": ("probability", "probabilities"),
    "prob": ("probability",),
    "probs": ("probability", "probabilities"),
    "pvals": ("probabilities",),
    "pk": ("probabilities",),
    "n": ("size", "n_trials"),
    "r": ("size",),
    "pi": ("zero_probability", "probability"),
    "psi": ("zero_probability",),
    "lower": ("low",),
    "upper": ("high",),
    "min": ("low",),
    "max": ("high",),
}
_RATES = ("rate", "lam", "lambda_", "lmbda", "beta")
_SQUARES = ("variance", "var", "sigma2")


def plain(name: str) -> str:
    """A name without capitals, spaces and hyphens."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def unknown_parameters(
    family: str, unknown: Sequence[str], own: Sequence[str], options: Sequence[str], scipys: Mapping[str, str]
) -> str:
    """The message for parameters that a family does not have: what they may stand for, and what it has."""
    meant = called_here(unknown, [*own, *options], scipys)
    known = f"{', '.join(own)}{' and the options ' if options else ''}{', '.join(options)}"
    return f"{family} has no parameter named {', '.join(unknown)}{f': {meant}' if meant else ''}. It takes {known}."


def called_here(names: Iterable[str], own: Iterable[str], scipys: Mapping[str, str]) -> str:
    """``"mu is loc"``: what unknown names of parameters are among a family's own; empty where nothing is known."""
    known, said = list(own), []
    for name in names:
        if name in scipys and scipys[name] != name:
            said.append(f"{name} is {scipys[name]}")
            continue
        found = next((other for other in _PARAMETERS.get(name, ()) if other in known), None)
        if found is not None:
            said.append(f"{name} is {found}")
        elif name in _RATES and "scale" in known and "loc" not in known:
            said.append(f"scale is 1 / {name}")
        elif name in _SQUARES and "scale" in known:
            said.append(f"scale is a standard deviation, sqrt({name})" if "loc" in known else f"scale is no {name}")
    return ", ".join(said)
