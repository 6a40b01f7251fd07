"""The skew-normal distribution: searches by scipy, its half-normal limits, and the normal one, where it is stationary."""

import mpmath as mp
import numpy as np
import pytest
import scipy.stats as stats
from scipy import optimize

from fastkl import DensityMLE, families
from fastkl.exceptions import SupportError
from fastkl.families.spaces import Slant


@pytest.mark.parametrize("a", [0.0, 0.8, 4.0, -15.0])
@pytest.mark.parametrize("n", [25, 200])
def test_no_search_by_scipy_gets_higher(a, n):
    X = stats.skewnorm(a, 5.0, 2.0).rvs(size=(n, 1), random_state=n + int(a))
    model = DensityMLE("skew_normal").fit(X)
    assert model.converged_

    def loss(values):
        shape, loc, scale = values
        return 1e300 if scale <= 0.0 else min(-stats.skewnorm.logpdf(X, shape, loc, scale).sum(), 1e300)

    generator = np.random.default_rng(0)
    for _ in range(6):
        start = [generator.choice([-1.0, 1.0]) * 10.0 ** generator.uniform(-0.5, 1.5), *np.quantile(X, [0.3]), X.std()]
        found = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 3000, "fatol": 1e-10})
        assert -found.fun <= model.log_likelihood_ + 1e-7


def test_rows_that_begin_at_once_are_half_normal():
    X = 3.0 + np.abs(stats.norm.rvs(size=(30, 2), random_state=2))
    X[:, 1] = 10.0 - X[:, 1]
    model = DensityMLE("skew_normal").fit(X)
    np.testing.assert_array_equal(model.params_["shape"], [np.inf, -np.inf])
    np.testing.assert_array_equal(model.params_["loc"], [X[:, 0].min(), X[:, 1].max()])
    distance = np.stack([X[:, 0] - X[:, 0].min(), X[:, 1].max() - X[:, 1]], axis=1)
    scale = np.sqrt(np.mean(distance**2, axis=0))
    np.testing.assert_allclose(model.params_["scale"], scale, rtol=1e-13)
    assert model.log_likelihood_ == pytest.approx(stats.halfnorm.logpdf(distance, scale=scale).sum(), rel=1e-12)
    assert "shape is infinite in column 0, 1" in model.boundary_["shape"]
    np.testing.assert_allclose(model.standard_errors_["scale"], scale / np.sqrt(60.0), rtol=1e-6)
    assert list(model.standard_errors_) == ["scale"]
    for x in (0.1, 1.0, 4.0):
        law = stats.halfnorm(scale=scale[0])
        at = np.array([[X[:, 0].min() + x, X[:, 1].max() - x]])
        np.testing.assert_allclose(model.cdf(at)[0], [law.cdf(x), stats.halfnorm(scale=scale[1]).sf(x)], rtol=1e-13)
    np.testing.assert_allclose(model.mode(), model.params_["loc"], rtol=1e-15)
    with pytest.raises(ValueError, match="halfnorm"):
        model.to_scipy()
    draws = model.sample(500, random_state=0)
    assert draws[:, 0].min() >= model.params_["loc"][0]
    assert np.isfinite(model.score_samples(draws)).all()
    assert model.score_samples([[2.0, 5.0]])[0] == -np.inf


def test_an_infinite_shape_may_be_held():
    X = np.abs(stats.norm.rvs(size=(50, 1), random_state=1))
    held = DensityMLE(families.SkewNormal(shape=np.inf, loc=0.0)).fit(X)
    assert held.params_["scale"][0] == pytest.approx(DensityMLE("half_normal").fit(X).params_["scale"][0], rel=1e-13)
    with pytest.raises(SupportError, match=r"its support ends at loc, held at 1; column 0 has values on both sides"):
        DensityMLE(families.SkewNormal(shape=np.inf, loc=1.0)).fit(X)


def test_symmetric_rows_are_normal():
    """Where the third moment is 0 the maximum may be the normal distribution, whose information is singular."""
    x = stats.norm.ppf(np.linspace(0.005, 0.995, 100))
    model, normal = DensityMLE("skew_normal").fit(x[:, None]), DensityMLE("normal").fit(x[:, None])
    assert model.log_likelihood_ >= normal.log_likelihood_ - 1e-10
    assert model.mean()[0] == pytest.approx(0.0, abs=1e-6)
    assert model.variance()[0] == pytest.approx(x.var(), rel=1e-6)


@pytest.mark.parametrize("factor", [1e-200, 1e8, 1e200])
def test_units(factor):
    X = stats.skewnorm(3.0, 5.0, 2.0).rvs(size=(150, 1), random_state=5)
    base, other = DensityMLE("skew_normal").fit(X), DensityMLE("skew_normal").fit(-factor * X)
    assert other.params_["shape"][0] == pytest.approx(-base.params_["shape"][0], rel=1e-8)
    assert other.params_["scale"][0] == pytest.approx(factor * base.params_["scale"][0], rel=1e-9)


def test_moments_and_distribution_of_scipy():
    for a in (-7.0, 0.0, 0.5, 40.0):
        law, model = stats.skewnorm(a, 1.0, 2.0), DensityMLE.from_parameters("skew_normal", shape=a, loc=1.0, scale=2.0)
        assert model.mean()[0] == pytest.approx(law.mean(), rel=1e-13)
        assert model.variance()[0] == pytest.approx(law.var(), rel=1e-12)
        x = law.ppf([0.05, 0.5, 0.95])
        np.testing.assert_allclose(model.cdf(x[:, None])[:, 0], [0.05, 0.5, 0.95], rtol=1e-7)
        assert DensityMLE.from_scipy(law).params_["shape"][0] == a


def test_the_space_of_slants():
    space = Slant()
    assert space.at_edge(np.array([-np.inf, 0.0, np.inf])).tolist() == [True, False, True]
    np.testing.assert_array_equal(space.inside(np.array([-np.inf, 3.0]), 0.01), [-100.0, 3.0])
    with pytest.raises(ValueError, match="shape has to be a number, or infinite"):
        space.check(np.array([np.nan]), "shape")


@pytest.mark.parametrize("shape", [-40.0, -1.5, 0.0, 0.7, 4.0, 40.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_sums_against_derivatives_at_forty_digits(shape, weighted):
    """Value, gradient and Hessian by the coordinates, of rows on both sides and so far out that the tail is a series."""
    rows, loc, scale, n = [-3.0, -0.4, 0.2, 0.9, 6.0], 0.2, 1.3, 1001
    unit = 1.0 + abs(shape)

    def log_density(x, s, u, v):
        width = scale * mp.exp(v)
        z = (x - (mp.mpf(loc) + scale * u)) / width
        return mp.log(2 * mp.npdf(z) * mp.ncdf((shape + unit * s) * z) / width)

    orders = [
        (0, 0, 0),
        (1, 0, 0),
        (0, 1, 0),
        (0, 0, 1),
        (2, 0, 0),
        (1, 1, 0),
        (1, 0, 1),
        (0, 2, 0),
        (0, 1, 1),
        (0, 0, 2),
    ]
    with mp.workdps(40):
        terms = [
            [
                float(
                    mp.diff(lambda *at, x=x: log_density(x, *at), (0, 0, 0), order)
                    if any(order)
                    else log_density(x, 0, 0, 0)
                )
                for x in map(mp.mpf, rows)
            ]
            for order in orders
        ]
    X = np.resize(rows, n)
    weights = np.resize([1.0, 2.0, 0.5], n) if weighted else None
    family = families.SkewNormal()
    constants = family._constants({"shape": np.array([shape]), "loc": np.array([loc]), "scale": np.array([scale])})
    sums, _, _ = family.kernel().sums(X[:, None], weights, constants, family.support, 1)
    expected = [np.sum(np.resize(term, n) * (1.0 if weights is None else weights)) for term in terms]
    np.testing.assert_allclose(sums[0], expected, rtol=1e-11, atol=1e-11 * n)
