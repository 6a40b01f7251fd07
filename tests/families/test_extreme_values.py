"""The extreme-value distributions and the inverse gamma distribution: published fits, scipy's searches, edges and refusals."""

import numpy as np
import pytest
import scipy.stats as stats
from scipy import optimize

from fastkl import DegenerateDataError, DensityMLE, SupportError, families
from fastkl.families.spaces import TailShape

# Annual maxima of the sea level at Port Pirie, 1923-1987, in metres (S. Coles, "An Introduction to Statistical Modeling of
# Extreme Values", 2001, section 3.4.1)
PORT_PIRIE = np.array([
    4.03, 3.83, 3.65, 3.88, 4.01, 4.08, 4.18, 3.80, 4.36, 3.96, 3.98, 4.69, 3.85, 3.96, 3.85, 3.93, 3.75, 3.63, 3.57, 4.25, 3.97,
    4.05, 4.24, 4.22, 3.73, 4.37, 4.06, 3.71, 3.96, 4.06, 4.55, 3.79, 3.89, 4.11, 3.85, 3.86, 3.86, 4.21, 4.01, 4.11, 4.24, 3.96,
    4.21, 3.74, 3.85, 3.88, 3.66, 4.11, 3.71, 4.18, 3.90, 3.78, 3.91, 3.72, 4.00, 3.66, 3.62, 4.33, 4.55, 3.75, 4.08, 3.90, 3.88,
    3.94, 4.33,
])[:, None]  # fmt: skip


def test_published_fit_of_sea_levels():
    model = DensityMLE("gev").fit(PORT_PIRIE)
    estimates = [float(model.params_[name][0]) for name in ("loc", "scale", "shape")]
    errors = [float(model.standard_errors_[name][0]) for name in ("loc", "scale", "shape")]
    np.testing.assert_allclose(estimates, [3.87, 0.198, -0.050], atol=0.005)
    np.testing.assert_allclose(errors, [0.028, 0.020, 0.098], atol=0.001)
    assert model.log_likelihood_ == pytest.approx(4.34, abs=0.005)


@pytest.mark.parametrize("xi", [-0.4, -0.1, 0.0, 0.3, 1.2])
@pytest.mark.parametrize("name", ["generalized_pareto", "generalized_extreme_value"])
def test_no_search_by_scipy_gets_higher(name, xi):
    law = stats.genpareto(xi, scale=3.0) if name == "generalized_pareto" else stats.genextreme(-xi, 7.0, 3.0)
    X = law.rvs(size=(80, 1), random_state=int(10 * xi + 20))
    model = DensityMLE(name).fit(X)
    assert model.converged_
    own = model.to_scipy()[0]
    assert own.logpdf(X).sum() == pytest.approx(model.log_likelihood_, rel=1e-11)
    free = ("shape", "scale") if name == "generalized_pareto" else ("shape", "loc", "scale")

    def loss(values):
        shape, *loc, scale = values
        if scale <= 0.0 or shape <= -1.0:
            return 1e300
        scores = (
            stats.genextreme.logpdf(X, -shape, *loc, scale) if loc else stats.genpareto.logpdf(X, shape, 0.0, scale)
        )
        return min(-scores.sum(), 1e300)

    generator = np.random.default_rng(0)
    for _ in range(6):
        start = [float(model.params_[key][0]) for key in free] * generator.uniform(0.5, 1.8, len(free))
        found = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 2000, "fatol": 1e-10})
        assert -found.fun <= model.log_likelihood_ + 1e-7


def test_the_edge_of_the_generalized_pareto_distribution_is_uniform():
    X = np.linspace(0.1, 5.0, 30)[:, None]
    model = DensityMLE("generalized_pareto").fit(X)
    assert model.params_["shape"][0] == -1.0
    assert model.params_["scale"][0] == 5.0
    assert model.log_likelihood_ == pytest.approx(-30.0 * np.log(5.0), rel=1e-14)
    assert model.log_likelihood_ == pytest.approx(
        DensityMLE(families.Uniform(low=0.0)).fit(X).log_likelihood_, rel=1e-14
    )
    assert model.standard_errors_ == {}
    assert "shape is -1 in column 0, the boundary: the fit is uniform" in model.boundary_["shape"]
    np.testing.assert_allclose(model.score_samples([[0.0], [5.0], [5.0001]]), [-np.log(5.0), -np.log(5.0), -np.inf])


def test_the_edge_of_the_generalized_extreme_value_distribution_is_exponential():
    """At shape -1 the distance below the largest value is exponential: its mean is the scale."""
    X = 10.0 - np.random.default_rng(2).gamma(0.6, 2.0, size=(200, 1))
    model = DensityMLE("generalized_extreme_value").fit(X)
    distance = X.max() - X
    assert model.params_["shape"][0] == -1.0
    assert model.params_["scale"][0] == pytest.approx(distance.mean(), rel=1e-14)
    assert model.log_likelihood_ == pytest.approx(-200.0 * (np.log(distance.mean()) + 1.0), rel=1e-12)
    assert "exponential" in model.boundary_["shape"]
    held = DensityMLE(families.GeneralizedExtremeValue(shape=-1.0)).fit(X)
    assert held.log_likelihood_ == model.log_likelihood_
    assert held.boundary_ == {}


def test_between_the_edge_and_a_half_there_are_no_standard_errors():
    X = stats.genpareto(-0.75, scale=2.0).rvs(size=(500, 1), random_state=3)
    model = DensityMLE("generalized_pareto").fit(X)
    assert -1.0 < model.params_["shape"][0] < -0.5
    assert model.converged_
    assert model.standard_errors_ == {}
    assert "no standard errors" in model.boundary_["shape"]
    both = DensityMLE("generalized_pareto").fit(np.hstack([X, stats.expon.rvs(size=(500, 1), random_state=4)]))
    assert np.isnan(both.standard_errors_["scale"]).tolist() == [True, False]


def test_what_has_no_maximum_is_refused():
    with pytest.raises(DegenerateDataError, match="Column 0 is 0 in 60 of 80 rows: the generalized_pareto likelihood"):
        DensityMLE("generalized_pareto").fit(np.concatenate([np.zeros(60), np.geomspace(1.0, 1e9, 20)])[:, None])
    with pytest.raises(DegenerateDataError, match="no maximum of the generalized_extreme_value likelihood"):
        DensityMLE("gev").fit([[0.0], [1e-3], [2e-3], [1.0], [1e3], [1e6]])
    with pytest.raises(ValueError, match="shape has to be finite and at least -1"):
        DensityMLE("gev").from_parameters("gev", shape=-1.5, loc=0.0, scale=1.0)


def test_rows_beyond_the_end_are_named():
    law = DensityMLE.from_parameters("generalized_pareto", shape=-0.5, scale=2.0)  # ends at 4
    assert law.score_samples([[1.0], [4.5]])[1] == -np.inf
    with pytest.raises(ValueError, match=r"row 1, column 0 holds 4\.5"):
        law.gradient([[1.0], [4.5]])


@pytest.mark.parametrize("factor", [1e-200, 1e-8, 1e8, 1e200])
def test_units_and_offsets(factor):
    X = stats.genextreme(0.2, 5.0, 2.0).rvs(size=(150, 1), random_state=5)
    base, other = DensityMLE("gev").fit(X), DensityMLE("gev").fit(factor * X)
    assert other.params_["shape"][0] == pytest.approx(base.params_["shape"][0], rel=1e-9)
    assert other.params_["scale"][0] == pytest.approx(factor * base.params_["scale"][0], rel=1e-9)
    assert other.standard_errors_["shape"][0] == pytest.approx(base.standard_errors_["shape"][0], rel=1e-7)
    shifted = DensityMLE("gev").fit(X + 1e6)
    assert shifted.params_["shape"][0] == pytest.approx(base.params_["shape"][0], rel=1e-6)


def test_scipys_parameters_and_back():
    for law in (stats.genpareto(0.3, scale=2.0), stats.genextreme(-0.3, 1.0, 2.0), stats.invgamma(3.0, scale=2.0)):
        model = DensityMLE.from_scipy(law)
        x = law.ppf([0.01, 0.5, 0.99])
        np.testing.assert_allclose(model.score_samples(x[:, None]), law.logpdf(x), rtol=1e-12)
        np.testing.assert_allclose(model.to_scipy()[0].ppf([0.2, 0.8]), law.ppf([0.2, 0.8]), rtol=1e-12)
    with pytest.raises(ValueError, match="loc 0"):
        DensityMLE.from_scipy(stats.genpareto(0.3, loc=1.0))


def test_a_reciprocal_of_gamma_draws():
    """The maximum is that of the gamma distribution of 1 / x, whatever the units; the mean is infinite at a shape up to 1."""
    y = np.random.default_rng(0).gamma(2.5, size=(300, 1))
    gamma, inverse = DensityMLE("gamma").fit(y), DensityMLE("inverse_gamma").fit(1e-150 / y)
    assert inverse.params_["shape"][0] == pytest.approx(gamma.params_["shape"][0], rel=1e-12)
    assert inverse.params_["scale"][0] == pytest.approx(1e-150 / gamma.params_["scale"][0], rel=1e-12)
    assert DensityMLE.from_parameters("inverse_gamma", shape=1.0, scale=2.0).mean()[0] == np.inf


def test_narrow_inverse_gamma_rows_keep_their_shape():
    """Values 1e8 (1 + 1e-4 z): the shape is 1 / variance of the relative spread to first order; by mpmath to 12 digits."""
    mp = pytest.importorskip("mpmath")
    x = 1e8 + 1e4 * np.random.default_rng(1).normal(size=400)
    with mp.workdps(50):
        inverse = [1 / mp.mpf(v) for v in x]
        excess = mp.log(mp.fsum(inverse) / 400) - mp.fsum(map(mp.log, inverse)) / 400
        shape = mp.findroot(lambda a: mp.log(a) - mp.digamma(a) - excess, 1 / (2 * excess))
        scale = shape * 400 / mp.fsum(inverse)
    model = DensityMLE("inverse_gamma").fit(x[:, None])
    assert model.params_["shape"][0] == pytest.approx(float(shape), rel=1e-11)
    assert model.params_["scale"][0] == pytest.approx(float(scale), rel=1e-11)


def test_the_space_of_shapes_ends_at_minus_one():
    space = TailShape()
    assert space.at_edge(np.array([-1.0, 0.0])).tolist() == [True, False]
    block = space.block("shape", np.array([-0.5, 2.0]))
    value = np.array([-0.99, 5.0])
    np.testing.assert_allclose(block.back(block.to(value)), value, rtol=1e-14)
    np.testing.assert_array_equal(space.interval(0.2, 0.5), (-0.3, 0.7))
    assert space.inside(np.array([-1.0]), 0.01)[0] == -0.99


def test_two_groups_far_apart_have_no_maximum():
    """With the shape held at 2 they are 500 nats above the boundary at -1: that is no maximum."""
    generator = np.random.default_rng(0)
    X = np.concatenate([generator.normal(size=100), 1e6 + 0.5 * generator.normal(size=100)])[:, None]
    held = DensityMLE(families.GeneralizedExtremeValue(shape=2.0)).fit(X).log_likelihood_
    assert held > DensityMLE(families.GeneralizedExtremeValue(shape=-1.0)).fit(X).log_likelihood_ + 400.0
    with pytest.raises(DegenerateDataError, match="no maximum of the generalized_extreme_value likelihood"):
        DensityMLE("gev").fit(X)


@pytest.mark.parametrize("scale", [0.3, 1.0, 10.0])
@pytest.mark.parametrize("xi", [-0.9, -0.5, -0.2, 0.2, 0.5, 2.0])
def test_a_location_alone_is_moved_until_all_rows_are_inside(xi, scale):
    X = stats.genextreme(0.3).rvs(size=(200, 1), random_state=0)
    model = DensityMLE(families.GeneralizedExtremeValue(shape=xi, scale=scale)).fit(X)
    assert model.converged_
    # the support ends beyond the outermost row: so far, in scales
    end = X.max() + scale / xi if xi < 0.0 else X.min() + scale / xi
    places = end - np.sign(xi) * scale * np.geomspace(1e-6, 50.0, 3000)
    highest = stats.genextreme.logpdf(X, -xi, places, scale).sum(axis=0).max()
    assert model.log_likelihood_ >= highest - 1e-9 * abs(highest)
    assert stats.genextreme.logpdf(X, -xi, model.params_["loc"], scale).sum() == pytest.approx(model.log_likelihood_)


@pytest.mark.parametrize("size", [20_000, 50_000])  # climbed by compiled loops, and by passes
@pytest.mark.parametrize("held", [{"shape": -0.5, "scale": 1.0}, {"loc": 0.0, "scale": 1.0}])
def test_an_outermost_row_that_no_start_has_seen_is_inside(size, held):
    X = stats.genextreme(0.5).rvs(size=(size, 1), random_state=0)
    X[X > 1.0] = 0.5
    X[-2] = 2.5
    model = DensityMLE(families.GeneralizedExtremeValue(**held)).fit(X)
    assert model.converged_
    sorted_rows = DensityMLE(families.GeneralizedExtremeValue(**held)).fit(np.sort(X, axis=0))
    assert model.log_likelihood_ == pytest.approx(sorted_rows.log_likelihood_, rel=1e-9)


@pytest.mark.parametrize(
    "family",
    [
        families.GeneralizedExtremeValue(shape=-0.5, loc=0.0, scale=1.0),
        families.GeneralizedExtremeValue(shape=0.5, loc=5.0, scale=1.0),
        families.GeneralizedExtremeValue(shape=-1.0, loc=0.0, scale=1.0),
        families.GeneralizedPareto(shape=-0.5, scale=1.0),
    ],
)
def test_rows_beyond_an_end_that_is_held_are_named(family):
    with pytest.raises(SupportError, match=r"row 1, column 0 holds 2\.5"):
        DensityMLE(family).fit([[4.0] if family.shape == 0.5 else [0.5], [2.5]])


@pytest.mark.parametrize("deviation", [12.0, 30.0, 100.0])
@pytest.mark.parametrize("n", [4, 200])
@pytest.mark.parametrize("family", ["generalized_pareto", "lomax"])
def test_rows_over_hundreds_of_powers_of_ten(family, n, deviation):
    """The scale of the maximum is then far below every mean and median; it was taken for a collapse, and the search given up.

    The reference is the profile likelihood over a fine grid of scales: given one, the shape of the maximum is the mean of
    log(1 + x / scale), or its inverse for the Lomax distribution.
    """
    x = np.exp(deviation * np.random.default_rng(1).normal(size=n))
    log_scales = np.linspace(np.log(x.min()) - 12.0, np.log(x.max()) + 2.0, 60001)
    shape = np.zeros_like(log_scales)
    for log_x in np.log(x):
        shape += np.logaddexp(0.0, log_x - log_scales) / n
    reference = n * np.max(-np.log(shape) - log_scales - shape - 1.0)
    model = DensityMLE(family).fit(x[:, None])
    assert model.converged_
    assert model.log_likelihood_ > reference - 1e-9 * abs(reference)
    np.testing.assert_allclose(model.log_likelihood_, reference, rtol=0, atol=1e-3)
