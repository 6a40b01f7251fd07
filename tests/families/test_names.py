"""Families by the names that people know them by, and messages for names that are none."""

import pytest
import scipy.stats

from fastkl import DensityMLE, UnknownFamilyError, families
from fastkl.families.synonyms import NEAREST, plain
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
        ("negative_binomial", {"n": 3.0, "p": 0.5}, "n is size"),
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
