"""What other libraries call families and parameters, for messages that say what they are called here.

Aliases that find a family (``"norm"``, ``"expon"``) are written in the family. Here are distributions that are none, with the
families nearest in meaning, and names of parameters with what they mostly stand for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

# Distributions that are no family of their own: the families that contain them, or come nearest.
NEAREST = {
    "arcsine": ("beta",),
    "asymmetric_laplace": ("laplace",),
    "betaprime": ("lomax", "loglogistic"),
    "binom": ("bernoulli", "multinomial"),
    "binomial": ("bernoulli", "multinomial"),
    "birnbaum_saunders": ("inverse_gaussian",),
    "burr": ("burr12",),
    "burr3": ("burr12",),
    "chi": ("half_normal", "rayleigh"),
    "chi2": ("gamma",),
    "chi_squared": ("gamma",),
    "chisquare": ("gamma",),
    "com_poisson": ("poisson", "negative_binomial"),
    "dagum": ("burr12",),
    "dgamma": ("laplace",),
    "erlang": ("gamma",),
    "exponnorm": ("skew_normal",),
    "exponweib": ("weibull",),
    "f": ("burr12", "loglogistic"),
    "fatiguelife": ("inverse_gaussian",),
    "foldnorm": ("half_normal",),
    "frechet": ("generalized_extreme_value", "weibull"),
    "gausshyper": ("beta",),
    "generalized_poisson": ("negative_binomial", "poisson"),
    "genexpon": ("exponential", "gamma"),
    "gengamma": ("gamma", "weibull"),
    "genlogistic": ("logistic",),
    "gompertz": ("weibull",),
    "gumbel_l": ("gumbel",),
    "half_cauchy": ("half_normal", "lomax"),
    "halfcauchy": ("half_normal", "lomax"),
    "halflogistic": ("half_normal",),
    "hurdle": ("zero_inflated_poisson", "negative_binomial"),
    "hypsecant": ("logistic",),
    "invweibull": ("generalized_extreme_value", "weibull"),
    "johnsonsb": ("beta",),
    "johnsonsu": ("student_t", "skew_normal"),
    "kumaraswamy": ("beta",),
    "landau": ("gumbel",),
    "levy": ("inverse_gamma",),
    "logitnorm": ("beta",),
    "logser": ("geometric",),
    "loguniform": ("uniform",),
    "maxwell": ("rayleigh",),
    "moyal": ("gumbel",),
    "nakagami": ("gamma", "rayleigh"),
    "nct": ("student_t", "skew_normal"),
    "pearson3": ("gamma",),
    "pert": ("beta",),
    "power_law": ("pareto",),
    "powerlaw": ("pareto", "beta"),
    "reciprocal": ("uniform",),
    "rice": ("rayleigh",),
    "skew_t": ("student_t", "skew_normal"),
    "triang": ("beta", "uniform"),
    "truncated_normal": ("half_normal", "normal"),
    "truncnorm": ("half_normal", "normal"),
    "weibull_max": ("generalized_extreme_value", "weibull"),
    "wrapcauchy": ("von_mises",),
    "wrapped_normal": ("von_mises",),
    "zero_inflated_negative_binomial": ("zero_inflated_poisson", "negative_binomial"),
    "zero_truncated_poisson": ("poisson",),
    "zinb": ("zero_inflated_poisson", "negative_binomial"),
    "zipf": ("geometric", "pareto"),
}

# More about these, and what is another class here: sentences after a space.
_TRUNCATED = " Rows that are seen above a limit c alone have the log-likelihood score_samples(X) - log_sf([[c]])."
_TRIALS = " Counts k of n trials are rows of two columns for 'multinomial': np.column_stack([k, n - k])."
_CHI2 = " It is 'gamma' with shape df / 2 and scale 2."
_MIXTURE, _KERNELS = (
    " Mixtures are fastkl.MixtureMLE(n_components).",
    " Kernel densities are fastkl.KernelDensityMLE().",
)
MORE = {
    **dict.fromkeys(("truncnorm", "truncated_normal", "zero_truncated_poisson"), _TRUNCATED),
    **dict.fromkeys(("binom", "binomial"), _TRIALS),
    **dict.fromkeys(("chi2", "chi_squared", "chisquare"), _CHI2),
    "gumbel_l": " It is 'gumbel' of -x.",
    "weibull_max": " It is 'weibull' of -x.",
    **dict.fromkeys(("loguniform", "reciprocal"), " It is uniform in log(x)."),
    **dict.fromkeys(("gmm", "gaussian_mixture", "mixture"), _MIXTURE),
    **dict.fromkeys(("kde", "gaussian_kde", "kernel_density"), _KERNELS),
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
