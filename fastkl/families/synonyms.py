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
    "gumbel_left": ("gumbel",),
    "gumbel_min": ("gumbel",),
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
    **dict.fromkeys(("gumbel_l", "gumbel_left", "gumbel_min"), " It is 'gumbel' of -x."),
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
    "loc": ("low",),
    "floc": ("loc", "low"),
    "fscale": ("scale",),
    "fa": ("shape", "a"),
    "fb": ("shape", "b"),
    "fc": ("shape",),
    "fs": ("sdlog",),
    "fdf": ("df",),
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
# What else they say: names, parameters that a family has for this to hold, those that it has not, and the sentence.
_LOCATIONS, _SQUARES = ("loc", "floc", "location"), ("variance", "var", "sigma2")
_FORMULAS: tuple[tuple[tuple[str, ...], set[str], set[str], str], ...] = (
    (("rate", "lam", "lambda_", "lmbda", "beta"), {"scale"}, {"loc"}, "scale is 1 / {name}"),
    (_SQUARES, {"scale", "loc"}, set(), "scale is a standard deviation, sqrt({name})"),
    (_SQUARES, {"scale"}, set(), "scale is no {name}"),
    (("alpha",), {"size", "mean"}, set(), "size is 1 / {name}"),
    (("p", "prob"), {"size", "mean"}, set(), "mean is size * (1 - {name}) / {name}"),
    (("scale", "fscale"), {"meanlog"}, set(), "meanlog is log({name})"),
    (("scale", "fscale"), {"low", "high"}, set(), "high is low + {name}"),
    (("scale", "fscale"), {"a", "b"}, set(), "divide the rows by {name}"),
    (_LOCATIONS, {"mean", "covariance"}, set(), "{name} is mean"),
    (_LOCATIONS, set(), set(), "subtract {name} from the rows"),
)


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
    known, said = set(own), []
    for name in names:
        if name in scipys and scipys[name] != name:
            said.append(f"{name} is {scipys[name]}")
            continue
        found = next((other for other in _PARAMETERS.get(name, ()) if other in known), None)
        if found is not None:
            said.append(f"{name} is {found}")
            continue
        for others, has, lacks, sentence in _FORMULAS:
            if name in others and has <= known and not lacks & known:
                said.append(sentence.format(name=name))
                break
    return ", ".join(said)
