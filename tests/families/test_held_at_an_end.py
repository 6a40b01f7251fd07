"""Values at an end of the support where a parameter held fixed gives the density a limit: exponential times of exactly 0."""

import numpy as np
import pytest
from scipy import optimize, stats

from fastkl import DegenerateDataError, DensityMLE, ProductDensity, SupportError, families

ZEROS = np.array([[0.0], [1.0], [2.0], [0.0], [0.3]])
HELD = {
    "gamma": families.Gamma(shape=1.0),
    "weibull": families.Weibull(shape=1.0),
    "loglogistic": families.Loglogistic(shape=1.0),
    "burr12": families.Burr12(c=1.0),
}


@pytest.mark.parametrize("name", ["gamma", "weibull"])
@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e200])
def test_shape_held_at_one_is_the_exponential_distribution(name, unit):
    X, w = unit * ZEROS, [1.0, 2.0, 0.5, 3.0, 1.0]
    held, plain = DensityMLE(HELD[name]), DensityMLE("exponential")
    for weights in (None, w):
        held.fit(X, sample_weight=weights)
        plain.fit(X, sample_weight=weights)
        np.testing.assert_allclose(held.params_["scale"], plain.params_["scale"], rtol=1e-12)
        np.testing.assert_allclose(held.log_likelihood_, plain.log_likelihood_, rtol=1e-12)
        np.testing.assert_allclose(
            held.score(X, sample_weight=weights), plain.score(X, sample_weight=weights), rtol=1e-12
        )
        np.testing.assert_allclose(held.standard_errors_["scale"], plain.standard_errors_["scale"], rtol=1e-9)
    assert held.converged_


@pytest.mark.parametrize("name", HELD)
def test_the_maximum_by_score(name):
    """Against a search over the scale alone, of what ``score_samples`` says at 0 and elsewhere."""
    X = np.vstack([ZEROS, np.random.default_rng(0).exponential(2.0, (60, 1))])
    model = DensityMLE(HELD[name]).fit(X)
    assert model.converged_
    np.testing.assert_allclose(model.score_samples(X).sum(), model.log_likelihood_, rtol=1e-12)

    def minus(log_scale):
        params = {**model.params_, "scale": np.exp(log_scale)}
        return -DensityMLE.from_parameters(type(HELD[name])(), **params).score_samples(X).sum()

    found = optimize.minimize_scalar(minus, bracket=(-1.0, 1.0))
    assert model.log_likelihood_ >= -found.fun - 1e-9


def test_ends_of_beta():
    X = np.array([[0.0], [0.2], [0.5], [0.9]])
    model = DensityMLE(families.Beta(a=1.0)).fit(X)
    expected = -4.0 / np.sum(np.log1p(-X))
    np.testing.assert_allclose(model.params_["b"], [expected], rtol=1e-9)
    with pytest.raises(SupportError, match=r"row 0, column 0 holds 0\.0"):
        DensityMLE(families.Beta(b=1.0)).fit(X)
    mirrored = DensityMLE(families.Beta(b=1.0)).fit(1.0 - X)
    np.testing.assert_allclose(mirrored.params_["a"], [expected], rtol=1e-9)


def test_only_where_it_is_held():
    X = np.hstack([ZEROS, ZEROS])
    for family in (
        families.Gamma(shape=[1.0, 2.0]),
        families.Gamma(),
        families.Weibull(shape=2.0),
        families.Gamma(scale=1.0),
    ):
        with pytest.raises(SupportError):
            DensityMLE(family).fit(X)
    with pytest.raises(SupportError, match="column 1"):
        DensityMLE(families.Gamma(shape=[1.0, 2.0])).fit(X)


def test_float32_chunks_and_products():
    X = ZEROS.astype(np.float32)
    whole = DensityMLE(families.Gamma(shape=1.0)).fit(X)
    parts = DensityMLE(families.Gamma(shape=1.0)).partial_fit(X[:2]).partial_fit(X[2:])
    np.testing.assert_allclose(parts.params_["scale"], whole.params_["scale"], rtol=1e-12)
    np.testing.assert_allclose(whole.params_["scale"], [0.66], rtol=1e-6)
    product = ProductDensity([("times", DensityMLE(families.Weibull(shape=1.0)), [0])]).fit(X)
    np.testing.assert_allclose(product.score(X), whole.score(X), rtol=1e-9)


@pytest.mark.parametrize("value", [0.0, 3.0])
@pytest.mark.parametrize("loc", [5.0, 1e6, -1e6, 1e200])
@pytest.mark.parametrize(
    ("family", "law"),
    [(families.Logistic, stats.logistic), (families.Gumbel, stats.gumbel_r)],
    ids=["logistic", "gumbel"],
)
def test_a_loc_held_far_from_rows_that_are_all_alike(family, law, loc, value):
    """The search began at their deviation from their own mean, 1e-300, and ended there at -1e307, or said that sums overflow."""
    X = np.full((5, 1), value)
    model = DensityMLE(family(loc=loc)).fit(X)
    assert model.converged_
    size = np.log(abs(loc - value))
    found = optimize.minimize_scalar(
        lambda u: -law.logpdf(X, loc, np.exp(u)).sum(), bounds=(size - 3.0, size + 3.0), method="bounded"
    )
    np.testing.assert_allclose(model.params_["scale"], np.exp(found.x), rtol=1e-4)
    np.testing.assert_allclose(model.log_likelihood_, -found.fun, rtol=1e-9)


LOCATED = "cauchy generalized_extreme_value generalized_normal gumbel laplace logistic normal skew_normal student_t"


@pytest.mark.parametrize("name", LOCATED.split())
def test_rows_that_all_are_the_loc_that_is_held(name):
    """The density there grows without bound as the scale goes to 0; a skew normal distribution had a scale of 5e-13."""
    X = np.column_stack([np.arange(5.0), np.full(5, 3.0)])
    with pytest.raises(DegenerateDataError, match="Column 1 is constant: 3 in every row"):
        DensityMLE(families.by_name(name)(loc=3.0)).fit(X)
