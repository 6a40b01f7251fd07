"""Maxima of log-likelihood plus log-prior against roots of their derivatives, their curvature, and the passes that they take."""

import numpy as np
import pytest
from scipy import optimize
from scipy.special import polygamma

from fastkl import DegenerateDataError, DensityMLE, families
from fastkl._core.rows import Rows
from fastkl.families.solvers.posterior import fit_rows, posterior_covariance, posterior_curvature, posterior_errors
from tests.families.chunked import ChunkedRows

RNG = np.random.default_rng(1)


class OnLogarithm:
    """log of a parameter is N(m, sd): log-density -(log x - m)^2 / (2 sd^2), as an object that is no class of the library."""

    def __init__(self, name, m, sd):
        self.name, self.m, self.sd = name, m, sd

    def log_density(self, params):
        return float(np.sum(-0.5 * ((np.log(params[self.name]) - self.m) / self.sd) ** 2))

    def gradient(self, params):
        x = params[self.name]
        return {self.name: -(np.log(x) - self.m) / (self.sd**2 * x)}


def test_one_parameter_from_sums():
    """Poisson counts: sum(k) / rate - n = (log rate - m) / (sd^2 rate)."""
    X = RNG.poisson(4.0, size=(30, 1)).astype(float)
    fit, _ = fit_rows(families.Poisson(), OnLogarithm("rate", 0.0, 0.3), Rows(X), 1e-12, 100)
    root = optimize.brentq(lambda r: X.sum() - len(X) * r - np.log(r) / 0.09, 0.1, 10.0, xtol=1e-15)
    np.testing.assert_allclose(fit.params["rate"], root, rtol=1e-12)
    assert fit.converged


def test_two_parameters_from_rows():
    """Weibull rows: the scale has a closed form given the shape, and the shape is the root of what is left."""
    X = RNG.weibull(1.4, size=(60, 1)) * 2.0
    m, sd = np.log(3.0), 0.1
    rows = ChunkedRows(Rows(X))
    fit, _ = fit_rows(families.Weibull(), OnLogarithm("shape", m, sd), rows, 1e-12, 100)

    def slope(k):
        powers = X**k
        return len(X) / k + np.sum(np.log(X)) - len(X) * np.sum(powers * np.log(X)) / powers.sum() - (np.log(k) - m) / (
            sd * sd * k
        )  # fmt: skip

    root = optimize.brentq(slope, 0.5, 5.0, xtol=1e-15)
    np.testing.assert_allclose(fit.params["shape"], root, rtol=1e-11)
    np.testing.assert_allclose(fit.params["scale"], np.mean(X**root) ** (1.0 / root), rtol=1e-11)
    assert fit.converged
    assert fit.log_likelihood == pytest.approx(families.Weibull().log_likelihood(Rows(X), fit.params), rel=1e-13)


def test_value_and_gradient_come_from_one_pass():
    """A place costs one pass, and second derivatives one for all their differences together."""
    X = RNG.weibull(1.4, size=(60, 1))
    rows, family = ChunkedRows(Rows(X)), families.Weibull()
    asked = []

    class Counted(OnLogarithm):
        def log_density(self, params):
            asked.append(float(params["shape"][0]))
            return super().log_density(params)

    family.fit(rows, 1e-12, 100)
    before, rows.passes = rows.passes, 0
    fit_rows(family, Counted("shape", 0.0, 0.5), rows, 1e-12, 100)
    newton = 2  # Newton steps, and the curvature at the end
    assert rows.passes <= before + len(asked) + newton + 1


def test_covariance_is_the_inverse_curvature():
    """Gamma rows with a prior on the shape: the inverse of the second derivatives, by hand."""
    X = RNG.gamma(2.0, 1.5, size=(80, 1))
    family, prior = families.Gamma(), OnLogarithm("shape", 0.5, 0.2)
    fit, statistics = fit_rows(family, prior, Rows(X), 1e-12, 100)
    a, s = fit.params["shape"][0], fit.params["scale"][0]
    by_prior = (1.0 - (np.log(a) - 0.5)) / (0.04 * a * a)
    information = np.array(
        [[len(X) * polygamma(1, a) + by_prior, len(X) / s], [len(X) / s, 2.0 * X.sum() / s**3 - len(X) * a / s**2]]
    )
    curvature = posterior_curvature(family, prior, lambda at: family.statistics_gradient(statistics, at), fit.params)
    names, covariance = posterior_covariance(family, fit.params, curvature)
    assert names == ["shape[0]", "scale[0]"]
    np.testing.assert_allclose(covariance, np.linalg.inv(information), rtol=1e-8)
    errors = posterior_errors(family, fit.params, curvature)
    found = [errors["shape"][0], errors["scale"][0]]
    np.testing.assert_allclose(found, np.sqrt(np.diag(covariance)), rtol=1e-12)


def test_a_prior_of_density_zero_at_the_start():
    class Nowhere(OnLogarithm):
        def log_density(self, params):
            return -np.inf

    with pytest.raises(ValueError, match="has to be positive there"):
        fit_rows(families.Poisson(), Nowhere("rate", 0.0, 1.0), Rows(np.ones((3, 1))), 1e-12, 100)


@pytest.mark.parametrize(
    "X", [[[1.0, 0.0, 0.0]], [[0.0]], np.zeros((10, 1)), np.zeros((10, 2)), np.zeros((300, 1))], ids=np.shape
)
def test_a_posterior_without_a_maximum(X):
    """Where zeros alone are counted, the default prior of the rate rises for ever, by half its logarithm."""
    with pytest.raises(DegenerateDataError, match="rise (without bound|for ever along rate)"):
        DensityMLE("zero_inflated_poisson", prior="default").fit(X)


def test_the_coordinate_along_which_a_posterior_has_no_maximum():
    with pytest.raises(
        DegenerateDataError, match=r"(for ever along rate\[1\]|without bound)\. Give a prior that falls"
    ):
        DensityMLE("zero_inflated_poisson", prior="default").fit(np.c_[np.arange(10.0) // 3, np.zeros(10)])
