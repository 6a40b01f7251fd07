"""What attributes of other libraries are called here: an ``AttributeError`` for one of them names the call that does it.

People who come from scipy, statsmodels, scikit-learn, torch or R first write ``ppf``, ``conf_int``, ``means_``, ``log_prob`` or
``confint``.
"""

from __future__ import annotations

from inspect import isfunction
from typing import TYPE_CHECKING, Any

from fastkl._core.other_keywords import knows_other_keywords

_NAMES = {
    "numpy.exp(density.score_samples(X))": ["pdf", "pmf", "evaluate", "prob", "probability"],
    "score_samples(X)": ["logpdf", "logpmf", "log_pdf", "log_pmf", "log_prob", "log_probability", "log_density"],
    "log_cdf(X)": ["logcdf"],
    "log_sf(X)": ["logsf"],
    "numpy.diff(density.cdf([[a], [b]]), axis=0)": ["integrate_box_1d"],
    "sf(X)": ["survival", "survival_function", "ccdf", "reliability", "exceedance"],
    "mean()": ["mttf", "mtbf", "expected_value"],
    "sf(X) ** -1.0": ["return_period", "return_periods"],
    "to_scipy()[0].expect(function)": ["expect", "expectation", "limited_expected_value"],
    "quantile((numpy.arange(0.5, 10_000) / 10_000) * (1 - level), upper=True).mean(axis=0)": [
        "expected_shortfall",
        "tail_value_at_risk",
        "tvar",
        "cvar",
        "cte",
    ],
    "numpy.exp(density.score_samples(X) - density.log_sf(X).ravel())": ["hazard"],
    "quantile(q)": ["ppf", "icdf", "percentile", "quantiles", "inverse_cdf"],
    "quantile(q, upper=True)": ["isf"],
    "quantile(1 / period, upper=True)": ["return_level", "return_levels"],
    "quantile(0.5)": ["median"],
    "quantile([0.025, 0.975])": ["interval"],
    "sample(n)": ["rvs", "resample", "draw", "draws", "simulate", "samples"],
    "variance()": ["var"],
    "variance() ** 0.5": ["std", "stddev"],
    "standard_errors_ or variance() ** 0.5": ["sd"],  # of R's fits, or of the distribution
    "bootstrap(X)": ["bootdist", "boot"],
    "confidence_intervals(method='profile', X=X)": ["profile", "profile_likelihood"],
    "covariance()": ["cov"],
    "aic(X)": ["aic_", "AIC"],
    "bic(X)": ["bic_", "BIC"],
    "score(X)": ["lower_bound_"],
    "log_likelihood_ of the fit, log_likelihood(X) of other rows": [
        "llf",
        "loglik",
        "logLik",
        "loglik_",
        "loglikelihood",
    ],
    "confidence_intervals(level)": ["conf_int", "confint", "confidence_interval"],
    "standard_errors_": ["bse", "se", "std_errors", "stderr", "standard_errors"],
    "covariance_of_params_": ["vcov", "cov_params"],
    "params_": ["params", "coef_", "theta_", "estimate", "estimates", "coefficients"],
    "summary().to_frame()": ["to_frame"],
    "n_parameters_": ["n_params", "n_params_", "n_parameters", "n_features"],
    "goodness_of_fit(X)": ["gof", "kstest", "ks_test"],
    "kl_divergence(X)": ["kl", "kl_div", "kld"],
    "fastkl.DensityDisplay.from_estimator(density, X)": ["plot", "hist"],
    "fastkl.GoodnessDisplay.from_estimator(density, X, kind='qq')": ["qqplot", "plot_qq"],
    "fastkl.DensityOutlierDetector(density) for outliers, fastkl.MixtureMLE for clusters": [
        "predict",
        "fit_predict",
        "predict_proba",
        "decision_function",
    ],
    "a call of the library, fastkl.load(path)": ["load"],
}
HERE = {name: here for here, names in _NAMES.items() for name in names}


class OtherNames:
    """A density whose missing attributes, where other libraries have them, are errors that say what they are called here.

    So are keywords that a method does not have.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        for name in ("__init__", "fit", "fit_batches", "sample"):
            method = vars(cls).get(name)
            if isfunction(method) and cls.__module__.startswith("fastkl."):
                setattr(cls, name, knows_other_keywords(method))

    if not TYPE_CHECKING:  # a checker of types has to see that an attribute is missing

        def __getattr__(self, name: str) -> Any:
            """Called for what is not there alone."""
            here = None if hasattr(type(self), name) else HERE.get(name) or _parameter(vars(self), name)
            if here is None:
                return object.__getattribute__(self, name)  # raises what it raised, with its reason
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}. Here it is {here}.")


def _parameter(members: dict[str, Any], name: str) -> str | None:
    """What ``scale_`` or ``means_`` is among the parameters of a fitted density."""
    parameters = members.get("params_")
    if name.startswith("_") or not name.endswith("_") or not isinstance(parameters, dict):
        return None
    stem = name[:-1]
    if stem.startswith("precision") and "covariance" in parameters:
        return "the inverse of params_['covariance']"
    found = [key for key in (stem, stem.removesuffix("s"), f"{stem}s") if key in parameters]
    return f"params_[{found[0]!r}]" if found else None
