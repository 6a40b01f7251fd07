"""Keywords of other libraries: an unknown one is a ``TypeError`` that says what it is here, by meaning or else by spelling."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from difflib import get_close_matches
from functools import wraps
from typing import Any, TypeVar, cast

Function = TypeVar("Function", bound=Callable[..., Any])

CENSORED = (
    "Censored rows, of which only limits are known, are not fitted by fit; a few lines with sf do it: see 'Rows of which only "
    "limits are known' in the user guide"
)
# By what they are here; of several the first that the function has.
_KEYWORDS = {
    "n_components": ["n_clusters", "n_mixtures", "k", "K", "G", "components", "n_factors", "factors"],
    "n_neighbors": ["k", "n_neighbours", "neighbors", "nn"],
    "family": ["dist", "distr", "distribution", "law", "model"],
    "bandwidth": ["bw", "bw_method", "h", "width"],
    "random_state": ["seed", "random_seed", "random"],
    "sample_weight": ["weights", "weight", "w", "sample_weights", "wt"],
    "sample_weight_p": ["weights", "weight", "sample_weight", "weights_p", "w"],
    "n_permutations": ["n_resamples", "n_perm", "permutations", "n_boot", "R"],
    "n_samples": ["n", "size", "n_draws"],
    "max_iter": ["maxiter", "max_iterations", "n_iter", "itmax"],
    "tol": ["tolerance", "eps", "xtol"],
    "n_jobs": ["n_threads", "num_threads", "threads", "workers", "n_cores"],
    "init": ["means_init", "weights_init", "init_params", "start", "starts"],
    "kernel": ["kern"],
    "level": ["confidence_level", "conf_level", "confidence", "coverage", "cl"],
    "noise_covariance": ["noise", "errors", "xerr", "noise_variance"],
    "n_resamples": ["n_bootstrap", "n_boot", "B", "R", "n_permutations", "n_samples"],
    "n_bootstrap": ["n_resamples", "n_boot", "B", "R", "n_mc_samples"],
    "by": ["group", "groups", "groupby", "key", "keys"],
    "columns": ["column", "cols", "value", "values"],
    "families": ["family", "dists", "distributions", "distribution"],
    "covariance_types": ["covariance_type"],
    "metric": ["distance"],
    "p": ["x", "X", "P", "pk"],
    "q": ["y", "Y", "Q", "qk"],
    "pk": ["p", "P", "x"],
    "qk": ["q", "Q", "y"],
    "X": ["x", "data", "samples"],
}
_IN_NATS = "Results are in nats: divide them by log(2) for bits, as .bits of an estimate does."
# What is no keyword here, for functions that have a parameter.
_ADVICE = (
    *((first, ["base", "unit", "units"], _IN_NATS) for first in ("p", "pk", "x")),
    ("level", ["alpha"], "Intervals are given by level, which is 1 - alpha."),
    ("n_neighbors", ["metric", "distance"], "Distances are Euclidean: scale or transform the columns."),
    (
        "family",
        ["covariance_type"],
        'The form of the covariance is an option of the family: family=families.MultivariateNormal("diag").',
    ),
    (
        "family",
        ["reg_covar"],
        "Nothing is added to covariances; prior='default' keeps components from collapsing, whatever the unit.",
    ),
    (
        "family",
        ["loc", "scale", "shape", "df", "mean", "floc", "fscale", "fa", "f0", "fc", "fdf", "fix_arg"],
        "Fixed parameters are given to the family, as in family=families.Gamma(shape=2); families of positive numbers have no "
        "location.",
    ),
    (
        "y",
        ["event", "events", "event_observed", "event_col", "status", "delta", "censored", "censoring", "entry"],
        f"{CENSORED}.",
    ),
    (
        "y",
        ["noise", "errors", "xerr", "noise_variance", "noise_covariance"],
        "Rows measured with normal noise are fitted by MixtureMLE(1).fit(X, noise_covariance=variances), also of several "
        "components.",
    ),
    (
        "y",
        ["exposure", "exposures", "offset"],
        "Counts with exposures are of a regression, which is not here; the Poisson rate is counts.sum() / exposure.sum().",
    ),
    (
        "family",
        ["truncation", "truncated", "lower", "upper", "bounds", "threshold", "censoring", "censored"],
        "Truncated and censored rows are not fitted, but a few lines do it: see 'Rows of which only limits are known' in the "
        "user guide. Excesses over a threshold are those of families.GeneralizedPareto: fit X - threshold.",
    ),
    (
        "mixture",
        ["family", "prior", "n_init", "n_jobs"],
        "It is one of the mixture: mixture=MixtureMLE(family=..., ...).",
    ),
    ("n_jobs", ["weights", "weight", "sample_weight"], "Weights of rows are for fit(X, sample_weight=...)."),
)


def knows_other_keywords(function: Function) -> Function:
    """The function as it is, whose unknown keywords are told as those of other libraries, or as misspelt."""
    own = inspect.signature(function).parameters

    @wraps(function)
    def known(*args: Any, **options: Any) -> Any:
        for word in options.keys() - own.keys():
            here = _meant(word, list(own))
            if here:
                raise TypeError(f"{function.__qualname__}() got an unexpected keyword argument {word!r}. {here}")
        return function(*args, **options)

    return cast(Function, known)  # which has the signature of what it wraps


def _meant(word: str, own: list[str]) -> str:
    """What a keyword is here, as a sentence; nothing where nobody knows."""
    here = [name for name, words in _KEYWORDS.items() if word in words and name in own]
    if here:
        return f"Here it is {here[0]!r}."
    advice = [said for needed, words, said in _ADVICE if word in words and needed in own]
    if advice:
        return advice[0]
    near = get_close_matches(word, own, n=1, cutoff=0.7)
    return f"Did you mean {near[0]!r}?" if near else ""
