"""Rényi divergence: closed forms against sums and integrals of the densities, its laws, and what samples say of it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import gammaln

from fastkl import DensityMLE, ProductDensity, kl_divergence, renyi_divergence
from fastkl.divergence.arguments import weighted_sample
from fastkl.divergence.assisted.renyi_samples import renyi_of_symbols
from fastkl.divergence.assisted.working_laws import NormalPair, WorkingNormal
from fastkl.divergence.nearest.neighbors import SamplePair

ORDERS = (0.1, 0.5, 0.9, 2.0, 3.0)

# Two members of each family, as a family of this library and as scipy has them, and where p has mass.
CONTINUOUS = {
    "normal": (stats.norm(0.0, 1.0), stats.norm(1.0, 1.5), (-40.0, 40.0)),
    "lognormal": (stats.lognorm(1.0), stats.lognorm(1.2, scale=1.5), (0.0, np.inf)),
    "exponential": (stats.expon(scale=1.0), stats.expon(scale=1.5), (0.0, np.inf)),
    "gamma": (stats.gamma(3.0), stats.gamma(2.5, scale=1.5), (0.0, np.inf)),
    "gamma, exponential": (stats.gamma(2.0), stats.expon(scale=1.5), (0.0, np.inf)),
    "exponential, gamma": (stats.expon(scale=1.0), stats.gamma(1.1, scale=1.5), (0.0, np.inf)),
    "beta": (stats.beta(3.0, 2.0), stats.beta(2.0, 1.5), (0.0, 1.0)),
    "inverse_gamma": (stats.invgamma(3.0), stats.invgamma(2.5, scale=0.8), (0.0, np.inf)),
    "inverse_gaussian": (stats.invgauss(0.5, scale=2.0), stats.invgauss(1.3 / 1.8, scale=1.8), (0.0, np.inf)),
    "rayleigh": (stats.rayleigh(scale=1.0), stats.rayleigh(scale=1.5), (0.0, np.inf)),
    "half_normal": (stats.halfnorm(scale=1.0), stats.halfnorm(scale=1.5), (0.0, np.inf)),
    "von_mises": (stats.vonmises(2.0, loc=0.0), stats.vonmises(1.0, loc=1.0), (-np.pi, np.pi)),
    "pareto": (stats.pareto(3.0, scale=1.2), stats.pareto(2.0), (1.2, np.inf)),
    "uniform": (stats.uniform(0.0, 1.0), stats.uniform(-1.0, 3.0), (0.0, 1.0)),
}
DISCRETE = {
    "poisson": (stats.poisson(3.0), stats.poisson(5.0)),
    "geometric": (stats.geom(0.3), stats.geom(0.25)),
    "bernoulli": (stats.bernoulli(0.3), stats.bernoulli(0.6)),
    "negative_binomial": (stats.nbinom(3.0, 0.4), stats.nbinom(5.0, 0.4)),
}


def integrated(p, q, alpha, low, high):
    """By scipy's quadrature of the densities."""
    value, _ = integrate.quad(
        lambda x: np.exp(alpha * p.logpdf(x) + (1.0 - alpha) * q.logpdf(x)),
        low,
        high,
        limit=1000,
        epsabs=0.0,
        epsrel=1e-10,
    )
    return np.log(value) / (alpha - 1.0)


def summed(p, q, alpha):
    """By a sum over the counts below 2000."""
    counts = np.arange(2000)
    log_p, log_q = p.logpmf(counts), q.logpmf(counts)
    both = np.isfinite(log_p) & np.isfinite(log_q)
    return np.log(np.exp(alpha * log_p[both] + (1.0 - alpha) * log_q[both]).sum()) / (alpha - 1.0)


@pytest.mark.parametrize("alpha", ORDERS)
@pytest.mark.parametrize("name", CONTINUOUS)
def test_closed_forms_of_densities(name, alpha):
    p, q, ends = CONTINUOUS[name]
    found = renyi_divergence(p, q, alpha)
    assert found.method == "exact"
    np.testing.assert_allclose(float(found), integrated(p, q, alpha, *ends), rtol=1e-8)


@pytest.mark.parametrize("alpha", ORDERS)
@pytest.mark.parametrize("name", DISCRETE)
def test_closed_forms_and_sums_of_counts(name, alpha):
    p, q = DISCRETE[name]
    found = renyi_divergence(p, q, alpha)
    assert found.method == "exact"
    np.testing.assert_allclose(float(found), summed(p, q, alpha), rtol=1e-9)


@pytest.mark.parametrize("alpha", ORDERS)
def test_closed_form_of_normal_vectors(alpha):
    a, b = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.5, -0.2], [-0.2, 1.4]])
    shift = np.array([1.0, -1.0])
    p = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(2), covariance=a)
    q = DensityMLE.from_parameters("multivariate_normal", mean=shift, covariance=b)
    between = alpha * b + (1.0 - alpha) * a
    expected = np.inf
    if np.linalg.eigvalsh(between).min() > 0.0:
        logs = [np.linalg.slogdet(matrix)[1] for matrix in (between, a, b)]
        expected = 0.5 * alpha * shift @ np.linalg.solve(between, shift)
        expected -= 0.5 / (alpha - 1.0) * (logs[0] - (1.0 - alpha) * logs[1] - alpha * logs[2])
    np.testing.assert_allclose(float(renyi_divergence(p, q, alpha)), expected, rtol=1e-12)
    # columns by themselves are a normal vector too
    columns = DensityMLE.from_parameters("normal", loc=np.zeros(2), scale=np.sqrt(np.diag(a)))
    vector = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(2), covariance=np.diag(np.diag(a)))
    np.testing.assert_allclose(
        float(renyi_divergence(columns, q, alpha)), float(renyi_divergence(vector, q, alpha)), rtol=1e-12
    )


@pytest.mark.parametrize("alpha", ORDERS)
def test_closed_form_of_dirichlet_distributions(alpha):
    a, b = np.array([1.5, 2.0, 3.0]), np.array([2.0, 2.0, 2.0])

    def log_beta(c):
        return gammaln(c).sum() - gammaln(c.sum())

    p, q = (DensityMLE.from_parameters("dirichlet", concentration=c) for c in (a, b))
    mean = alpha * a + (1.0 - alpha) * b
    expected = np.inf
    if mean.min() > 0.0:
        expected = (log_beta(mean) - alpha * log_beta(a) - (1.0 - alpha) * log_beta(b)) / (alpha - 1.0)
    np.testing.assert_allclose(float(renyi_divergence(p, q, alpha)), expected, rtol=1e-11)


@pytest.mark.parametrize("alpha", ORDERS)
def test_closed_form_of_directions(alpha):
    def log_constant(k):
        return np.log(k / (4.0 * np.pi * np.sinh(k)))

    p = DensityMLE.from_parameters("von_mises_fisher", direction=[1.0, 0.0, 0.0], concentration=3.0)
    q = DensityMLE.from_parameters("von_mises_fisher", direction=[0.0, 1.0, 0.0], concentration=2.0)
    mean = np.hypot(alpha * 3.0, (1.0 - alpha) * 2.0)
    expected = alpha * log_constant(3.0) + (1.0 - alpha) * log_constant(2.0) - log_constant(mean)
    np.testing.assert_allclose(float(renyi_divergence(p, q, alpha)), expected / (alpha - 1.0), rtol=1e-11)


@pytest.mark.parametrize("alpha", ORDERS)
def test_categories_are_matched_by_label(alpha):
    p = DensityMLE("categorical").fit(np.array([["a"], ["a"], ["b"], ["c"]], dtype=object))
    q = DensityMLE("categorical").fit(np.array([["c"], ["c"], ["b"], ["a"], ["d"]], dtype=object))
    first, second = np.array([0.5, 0.25, 0.25]), np.array([0.2, 0.2, 0.4])
    expected = np.log(np.sum(first**alpha * second ** (1.0 - alpha))) / (alpha - 1.0)
    np.testing.assert_allclose(float(renyi_divergence(p, q, alpha)), expected, rtol=1e-12)
    assert renyi_divergence(q, p, 2.0) == np.inf  # "d" is not possible under p
    assert renyi_divergence(q, p, 0.5) < np.inf


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.99, 2.0, 5.0])
def test_by_quadrature(alpha):
    p, q = stats.laplace(0.0, 1.0), stats.laplace(1.0, 1.5)
    found = renyi_divergence(p, q, alpha)
    assert found.method == "quadrature"
    expected = (
        integrated(p, q, alpha, -100.0, 0.0),
        integrated(p, q, alpha, 0.0, 1.0),
        integrated(p, q, alpha, 1.0, 100.0),
    )
    expected = np.log(np.sum(np.exp((alpha - 1.0) * np.array(expected)))) / (alpha - 1.0)
    assert abs(found - expected) < max(2.0 * found.standard_error, 1e-9)


def test_by_quadrature_far_apart():
    # of two Laplace distributions of scale 1, t apart, the integral of sqrt(p q) is e^(-t/2) (1 + t/2)
    found = renyi_divergence(stats.laplace(0.0, 1.0), stats.laplace(100.0, 1.0), 0.5)
    np.testing.assert_allclose(float(found), -2.0 * (np.log(51.0) - 50.0), rtol=1e-7)


def test_orders_that_have_no_divergence():
    normal = DensityMLE.from_parameters("normal", loc=[0.0], scale=[2.0])
    narrow = DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0])
    assert renyi_divergence(normal, narrow, 1.3) < np.inf
    assert renyi_divergence(normal, narrow, 1.34) == np.inf  # from 4/3 on there is none
    assert renyi_divergence(stats.nbinom(3, 0.3), stats.nbinom(5, 0.4), 3.0) < np.inf  # .7^3 < .6^2
    assert renyi_divergence(stats.nbinom(3, 0.3), stats.nbinom(5, 0.4), 3.5) == np.inf
    assert renyi_divergence(stats.uniform(0, 2), stats.uniform(0, 1), 2.0) == np.inf
    np.testing.assert_allclose(float(renyi_divergence(stats.uniform(0, 2), stats.uniform(0, 1), 0.5)), np.log(2.0))
    assert renyi_divergence(stats.uniform(0, 1), stats.uniform(2, 1), 0.5) == np.inf
    assert renyi_divergence(stats.binom(10, 0.3), stats.binom(5, 0.3), 2.0) == np.inf


def test_laws():
    p, q = stats.gamma(3.0), stats.gamma(2.0, scale=2.0)
    orders = np.array([0.05, 0.3, 0.5, 0.8, 0.999999, 1.0, 1.000001, 1.5, 1.9])
    values = np.array([float(renyi_divergence(p, q, alpha)) for alpha in orders])
    assert (np.diff(values) > 0.0).all()
    np.testing.assert_allclose(values[4:7], float(kl_divergence(p, q)), rtol=1e-5)
    for alpha in (0.2, 0.5):
        back = alpha / (1.0 - alpha) * renyi_divergence(q, p, 1.0 - alpha)
        np.testing.assert_allclose(float(renyi_divergence(p, q, alpha)), back, rtol=1e-12)
    assert renyi_divergence(p, p, 2.0) == 0.0


def test_of_products_it_is_the_sum():
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.normal(size=300), rng.poisson(3.0, 300)])
    first, second = (
        ProductDensity([("size", DensityMLE("normal"), [0]), ("count", DensityMLE("poisson"), [1])]).fit(rows)
        for rows in (X, X + np.array([0.5, 1.0]))
    )
    parts = [
        renyi_divergence(DensityMLE(name).fit(X[:, [j]]), DensityMLE(name).fit(X[:, [j]] + step), 0.7)
        for j, (name, step) in enumerate([("normal", 0.5), ("poisson", 1.0)])
    ]
    np.testing.assert_allclose(float(renyi_divergence(first, second, 0.7)), sum(map(float, parts)), rtol=1e-12)


class Foreign:
    """A model of which no more is known than its log-density and its draws."""

    def __init__(self, model):
        self.model = model

    def score_samples(self, X):
        return self.model.score_samples(X)

    def sample(self, n_samples, random_state=None):
        return self.model.sample(n_samples, random_state=random_state)


@pytest.mark.parametrize("alpha", [0.1, 0.5, 0.9, 1.5, 2.0])
def test_by_draws(alpha):
    p = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(3), covariance=np.eye(3))
    q = DensityMLE.from_parameters("multivariate_normal", mean=np.full(3, 0.5), covariance=1.5 * np.eye(3))
    found = renyi_divergence(Foreign(p), Foreign(q), alpha, random_state=0)
    assert found.method == "monte_carlo"
    assert abs(found - renyi_divergence(p, q, alpha)) < 4.0 * found.standard_error < 0.01
    assert not found.diagnostics["bias_suspected"]


def test_draws_that_say_nothing_are_said():
    p, q = (
        DensityMLE.from_parameters("multivariate_normal", mean=np.full(3, m), covariance=np.eye(3)) for m in (0.0, 20.0)
    )
    found = renyi_divergence(Foreign(p), Foreign(q), 0.5, random_state=0, n_draws=2000)
    assert any("Hardly any draw" in reason for reason in found.diagnostics["reasons"])
    wide = DensityMLE.from_parameters("multivariate_normal", mean=np.zeros(3), covariance=1.44 * np.eye(3))
    found = renyi_divergence(Foreign(wide), Foreign(p), 3.0, random_state=0, n_draws=2000)
    assert any("may be infinite" in reason for reason in found.diagnostics["reasons"])


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.7, 0.95])
@pytest.mark.parametrize("d", [1, 4])
def test_samples_of_normal_distributions(alpha, d):
    covered, doubted = [], []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(500, d)), rng.normal(0.8 / np.sqrt(d), 1.0, size=(400, d))
        found = renyi_divergence(X, Y, alpha)
        covered.append(abs(found - 0.32 * alpha) <= 1.96 * found.standard_error < 0.3)
        doubted.append(found.diagnostics["bias_suspected"])
    assert np.mean(covered) >= 0.85
    assert np.mean(doubted) <= 0.1


def test_samples_of_clusters():
    # clusters in different shares: no pair of normal distributions tells them apart
    def rows(share, size, rng):
        return rng.normal(np.where(rng.random(size) < share, -4.0, 4.0)[:, np.newaxis], 1.0, size=(size, 1))

    def density(share):
        return lambda x: share * stats.norm.pdf(x, -4.0) + (1.0 - share) * stats.norm.pdf(x, 4.0)

    p, q = density(0.8), density(0.3)
    for alpha in (0.5, 0.8):
        terms = lambda x, a=alpha: p(x) ** a * q(x) ** (1.0 - a)  # noqa: E731
        truth = np.log(integrate.quad(terms, -15.0, 15.0, points=[-4.0, 0.0, 4.0])[0]) / (alpha - 1.0)
        covered = []
        for seed in range(10):
            rng = np.random.default_rng(seed)
            found = renyi_divergence(rows(0.8, 1000, rng), rows(0.3, 1000, rng), alpha)
            covered.append(abs(found - truth) <= 2.0 * found.standard_error < 0.2)
        assert np.mean(covered) >= 0.8


def test_samples_in_other_units_and_the_other_way_round():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, 2)), rng.normal(0.5, 1.2, size=(300, 2))
    found = renyi_divergence(X, Y, 0.8)
    np.testing.assert_allclose(float(renyi_divergence(1e6 * X + 7.0, 1e6 * Y + 7.0, 0.8)), float(found), rtol=1e-6)
    back = renyi_divergence(Y, X, 0.2)
    np.testing.assert_allclose(float(back), 0.25 * found, rtol=1e-12)
    assert back.n_samples == (300, 300)
    weighted = renyi_divergence(X, Y, 0.8, sample_weight_p=np.full(300, 3.0))
    np.testing.assert_allclose(float(weighted), float(found), rtol=1e-9)
    assert np.isnan(renyi_divergence(X, Y, 0.8, standard_error=False).standard_error)
    one, several = (renyi_divergence(X, Y, 0.8, n_jobs=jobs) for jobs in (1, 4))
    assert float(one) == float(several)


def test_order_one_is_kullback_and_leibler():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=200), rng.normal(1.0, 1.0, size=200)
    assert float(renyi_divergence(X, Y, 1)) == float(kl_divergence(X, Y))
    near = renyi_divergence(X, Y, 1.0 - 1e-6)
    np.testing.assert_allclose(float(near), float(kl_divergence(X, Y)), rtol=0.02)


def test_large_orders_of_samples_are_in_doubt():
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=500), rng.normal(2.5, 1.0, size=500)
    found = renyi_divergence(X, Y, 3.0)
    assert any("effective rows" in reason for reason in found.diagnostics["reasons"])


def test_symbols_by_their_frequencies():
    p, q = np.array([0.1, 0.2, 0.3, 0.4]), np.full(4, 0.25)
    for alpha in (0.3, 0.5, 2.0):
        truth = np.log(np.sum(p**alpha * q ** (1.0 - alpha))) / (alpha - 1.0)
        off, covered = [], []
        for seed in range(100):
            rng = np.random.default_rng(seed)
            found = renyi_divergence(rng.choice(4, 200, p=p), rng.choice(4, 300, p=q), alpha)
            off.append(found - truth)
            covered.append(abs(found - truth) <= 1.96 * found.standard_error)
        assert abs(np.mean(off)) < 3.0 * np.std(off) / 10.0
        assert np.mean(covered) >= 0.88
    assert renyi_divergence([0] * 50, [1] * 50, 0.5) == np.inf
    assert renyi_divergence([0, 1] * 50, [1] * 50, 2.0) == np.inf
    assert 0.0 < renyi_divergence([0, 1] * 50, [1] * 50, 0.5) < np.inf


@pytest.mark.parametrize("sizes", [(2000, 50), (1000, 1000), (50, 2000)])
@pytest.mark.parametrize("alpha", [0.5, 0.8])
@pytest.mark.parametrize(
    ("p", "q"),
    [(0.8 ** np.arange(150.0), 0.6 ** np.arange(150.0)), (np.ones(50), np.ones(50))],
    ids=["geometric", "fifty alike"],
)
def test_symbols_that_a_sample_lacks_by_chance(p, q, alpha, sizes):
    """Without them .8 of geometric frequencies was 1.05 for .32 from 2000 and 50 rows, .42 from 1000, and 1.5 for 0 of fifty."""
    p, q = p / p.sum(), q / q.sum()
    truth, found = np.log(np.sum(p**alpha * q ** (1.0 - alpha))) / (alpha - 1.0), []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        x, y = (rng.choice(len(one), n, p=one) for one, n in zip((p, q), sizes, strict=True))
        found.append(renyi_divergence(x, y, alpha))
    assert np.mean([abs(e - truth) <= 1.96 * e.standard_error for e in found]) >= 0.85
    assert sum(abs(e - truth) > 3.0 * e.standard_error for e in found if not e.bias_suspected) == 0
    assert abs(np.mean(found) - truth) < np.mean([e.standard_error for e in found])


def test_sample_and_model():
    rng = np.random.default_rng(0)
    x = rng.normal(size=2000)
    for found in (
        renyi_divergence(x, stats.norm(1.0, 1.0), 0.5, random_state=0),
        renyi_divergence(stats.norm(1.0, 1.0), x, 0.5, rng=0),
    ):
        assert abs(found - 0.25) < 3.0 * found.standard_error < 0.1


@pytest.mark.parametrize("alpha", [0, -1.0, np.inf, np.nan, "a", True, None, [0.5], 10**400])
def test_an_order_is_a_positive_number(alpha):
    with pytest.raises(ValueError, match="number above 0"):
        renyi_divergence([0.0, 1.0], [0.5, 2.0], alpha)


def test_few_rows_say_so():
    found = renyi_divergence([0.1, 0.5, 0.9, 1.4], [2.0, 2.4, 3.0, 4.1], 0.5)
    assert found.diagnostics["bias_suspected"]
    assert "few rows" in found.diagnostics["reasons"][0]


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_an_atom_that_q_lacks_leaves_orders_below_one_finite(alpha):
    truth = alpha * np.log(0.7) / (alpha - 1.0)  # 0.7 of p has the density of q
    covered = []
    for seed in range(10):
        rng = np.random.default_rng(seed)
        x, y = np.where(rng.random(1000) < 0.3, 0.0, rng.exponential(size=1000)), rng.exponential(size=1000)
        found = renyi_divergence(x, y, alpha)
        covered.append(abs(found - truth) <= 2.0 * found.standard_error < 0.3)
    assert np.mean(covered) >= 0.8
    assert renyi_divergence(x, y, 1.5) == np.inf


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("narrow", [1e-170, 1e170])
def test_normal_distributions_of_very_different_widths(narrow):
    """Where q is a point beside p: ratios of variances overflowed, and two rows of q gave nan."""
    p, q = (WorkingNormal(np.zeros(1), np.array([[scale]])) for scale in (1.0, narrow))
    both = np.log(0.5) + np.logaddexp(0.0, 2.0 * np.log(narrow))  # the log of the mean variance
    assert NormalPair(p, q, 0.0).renyi(0.5) == pytest.approx(both - np.log(narrow), rel=1e-12)


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_models_apart_from_each_other_are_infinitely_far():
    found = renyi_divergence(stats.pareto(2.5), stats.beta(2.0, 3.5), 0.5)
    assert found == np.inf
    assert found.reasons == ["No draw falls where both p and q have mass."]


@pytest.mark.parametrize("n", [3, 7, 40, 49])
def test_symbols_of_equal_shares_have_an_error_however_their_sums_are_rounded(n):
    rows = np.arange(n, dtype=float)[:, np.newaxis]
    pair = SamplePair(*(weighted_sample(np.tile(rows, (times, 1)), None, None) for times in (3, 5)))
    for alpha in (0.5, 0.7, 2.0, 3.0):
        found = renyi_of_symbols(pair, alpha)
        assert abs(found) <= 3.0 * found.standard_error < np.inf


@pytest.mark.parametrize("p", [np.zeros(100), np.repeat([0.0, 0.5], 50)], ids=["a point", "two points"])
def test_what_rows_cannot_tell_is_said_at_every_order(p):
    """A point and a density have no mass in common: the divergence is infinite, and rows can tell so much and no more."""
    q = np.random.default_rng(0).normal(size=200)
    for one, other in ((p, q), (q, p)):
        for alpha in (0.25, 0.5, 0.75):
            assert renyi_divergence(one, other, alpha).bias_suspected
    near = np.random.default_rng(0).normal(3.0, 1.0, 100)
    assert not renyi_divergence(near, q, 0.5).bias_suspected  # the truth is 2.25
