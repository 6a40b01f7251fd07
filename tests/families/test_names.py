"""Families by the names that people know them by, and messages for names that are none."""

import numpy as np
import pytest
import scipy.stats

from fastkl import DensityMLE, UnknownFamilyError, families
from fastkl.families.synonyms import MORE, NEAREST, plain
from tests.families.discovered import CLASSES

EVERYDAY = {
    "norm": "normal",
    "gaussian": "normal",
    "t": "student_t",
    "Student-t": "student_t",
    "expon": "exponential",
    "lognorm": "lognormal",
    "Log-Normal": "lognormal",
    "weibull_min": "weibull",
    "nbinom": "negative_binomial",
    "fisk": "loglogistic",
    "gumbel_r": "gumbel",
    "invgauss": "inverse_gaussian",
    "wald": "inverse_gaussian",
    "invgamma": "inverse_gamma",
    "genpareto": "generalized_pareto",
    "GPD": "generalized_pareto",
    "genextreme": "generalized_extreme_value",
    "gev": "generalized_extreme_value",
    "skewnorm": "skew_normal",
    "gennorm": "generalized_normal",
    "generalized gaussian": "generalized_normal",
    "mvn": "multivariate_normal",
    "multivariate gaussian": "multivariate_normal",
    "vonmises": "von_mises",
    "zip": "zero_inflated_poisson",
    "StudentT": "student_t",
    "HalfNormal": "half_normal",
}


@pytest.mark.parametrize("name", EVERYDAY)
def test_everyday_names(name):
    assert families.by_name(name).name == EVERYDAY[name]
    assert DensityMLE(name)._takes_labels() is False


@pytest.mark.parametrize("name", CLASSES)
def test_a_family_goes_by_its_own_and_by_scipys_name(name):
    cls = CLASSES[name]
    assert families.by_name(name) is cls
    for other in (*cls.aliases, cls.__name__):
        assert families.by_name(other) is cls
        assert other not in families.names() or other == name
    if cls.scipy_name is not None:
        assert hasattr(scipy.stats, cls.scipy_name)
        assert families.by_name(cls.scipy_name) is cls


def test_distributions_that_are_no_family_name_the_nearest():
    for name, near in NEAREST.items():
        assert plain(name) == name
        assert set(near) <= set(families.names())
        with pytest.raises(
            UnknownFamilyError, match=f"There is no family named '{name}'. The nearest (is|are) '{near[0]}'"
        ):
            families.by_name(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("gmm", r"'gmm'\. Mixtures are fastkl.MixtureMLE\(n_components\)"),
        ("gaussian_kde", r"Kernel densities are fastkl.KernelDensityMLE\(\)"),
        ("binom", r"'multinomial'\. Counts k of n trials are rows of two columns"),
        ("chi2", r"It is 'gamma' with shape df / 2 and scale 2\."),
        ("weibull_max", r"It is 'weibull' of -x\."),
        ("truncnorm", r"score_samples\(X\) - log_sf\(\[\[c\]\]\)"),
    ],
)
def test_what_is_no_family_is_told_in_a_sentence(name, meant):
    with pytest.raises(UnknownFamilyError, match=f"There is no family named .*{meant}"):
        families.by_name(name)
    assert all(plain(known) == known for known in MORE)


def test_what_the_sentences_say_is_so():
    """Chi-squared as gamma, the largest of Weibull as Weibull of -x, binomial trials in two columns, against scipy."""
    x = np.array([[0.3], [2.0], [9.0]])
    chi2 = DensityMLE.from_parameters("gamma", shape=2.5, scale=2.0)
    np.testing.assert_allclose(chi2.score_samples(x), scipy.stats.chi2(5.0).logpdf(x[:, 0]), rtol=1e-13)
    weibull = DensityMLE.from_parameters("weibull", shape=1.7, scale=1.0)
    np.testing.assert_allclose(weibull.score_samples(x), scipy.stats.weibull_max(1.7).logpdf(-x[:, 0]), rtol=1e-13)
    trials = DensityMLE.from_parameters("multinomial", probabilities=[0.3, 0.7], n_trials=10)
    k = np.arange(11)
    rows = np.column_stack([k, 10 - k])
    np.testing.assert_allclose(trials.score_samples(rows), scipy.stats.binom(10, 0.3).logpmf(k), rtol=1e-12)


def test_a_class_spelled_as_elsewhere():
    with pytest.raises(AttributeError, match="no attribute 'LogNormal'. Here it is Lognormal."):
        families.LogNormal  # noqa: B018
    assert not hasattr(families, "Qqqq")


@pytest.mark.parametrize(
    ("name", "meant"),
    [("gama", "'gamma'"), ("gausian", "'normal'"), ("chi_square", "'gamma'"), ("weibul", "'weibull'")],
)
def test_spelling(name, meant):
    with pytest.raises(UnknownFamilyError, match=f"Did you mean .*{meant}"):
        DensityMLE(name).fit([[1.0], [2.0]])


def test_nothing_near():
    with pytest.raises(UnknownFamilyError, match=r"There is no family named 'qqqq'\. The families are: bernoulli"):
        families.by_name("qqqq")


@pytest.mark.parametrize(
    ("family", "given", "said"),
    [
        (
            "normal",
            {"mu": 0.0, "sigma": 1.0},
            "no parameter named mu, sigma: mu is loc, sigma is scale. It takes loc, scale",
        ),
        ("normal", {"loc": 0.0, "var": 1.0}, r"scale is a standard deviation, sqrt\(var\)"),
        ("poisson", {"lam": 2.0}, "lam is rate"),
        ("poisson", {"mu": 2.0}, "mu is rate"),
        ("exponential", {"rate": 2.0}, "scale is 1 / rate"),
        ("gamma", {"alpha": 2.0, "beta": 1.0}, "alpha is shape, scale is 1 / beta"),
        ("gamma", {"a": 2.0, "scale": 1.0}, "a is shape"),
        ("lognormal", {"s": 2.0, "mu": 0.0}, "s is sdlog, mu is meanlog"),
        ("negative_binomial", {"n": 3.0, "p": 0.5}, r"n is size, mean is size \* \(1 - p\) / p\. It takes"),
        ("negative_binomial", {"alpha": 0.5, "mean": 2.0}, "size is 1 / alpha"),
        ("lognormal", {"s": 0.5, "scale": 2.0}, r"s is sdlog, meanlog is log\(scale\)"),
        (
            "beta",
            {"a": 1.0, "b": 2.0, "loc": 5.0, "scale": 10.0},
            "subtract loc from the rows, divide the rows by scale",
        ),
        ("gamma", {"a": 1.0, "floc": 0.0, "scale": 1.0}, "a is shape, subtract floc from the rows"),
        ("uniform", {"loc": 1.0, "scale": 2.0}, "loc is low, high is low . scale"),
        (
            "multivariate_normal",
            {"loc": [0.0], "covariance_matrix": [[1.0]]},
            "loc is mean, covariance_matrix is covariance",
        ),
        (
            "multivariate_normal",
            {"mean": [0.0], "cov": [[1.0]]},
            "cov is covariance. It takes mean, covariance and the options",
        ),
        ("gumbel", {"nonsense": 1.0}, r"no parameter named nonsense\. It takes loc, scale"),
    ],
)
def test_parameters_of_other_libraries(family, given, said):
    with pytest.raises(ValueError, match=said):
        DensityMLE.from_parameters(family, **given)
    with pytest.raises(TypeError, match=said):
        families.by_name(family)(**given)
