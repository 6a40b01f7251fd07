"""Two models: scipy's distributions by closed forms, quadrature on a line, and draws that say when they cannot be trusted."""

import numpy as np
import pytest
from scipy import integrate, special, stats
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import StandardScaler

from fastkl import DensityMLE, MixtureMLE, TransformedDensity, cross_entropy, entropy, jensen_shannon, kl_divergence
from fastkl.divergence.models.ratio_tails import tail_index


def by_scipy(p, q, low, high, points=None):
    """An independent integral of p log(p/q)."""
    return integrate.quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), low, high, points=points, limit=500)[0]


CLOSED = [
    (stats.norm(0, 1), stats.norm(1, 2), (-30, 30)),
    (stats.gamma(2), stats.gamma(3, scale=2), (0, 80)),
    (stats.gamma(2), stats.expon(scale=3), (0, 80)),
    (stats.beta(2, 3), stats.beta(3, 3), (0, 1)),
    (stats.lognorm(0.5, scale=2), stats.lognorm(0.7), (0, 200)),
    (stats.laplace(0, 1), stats.laplace(1, 2), (-50, 50)),
    (stats.gumbel_r(0, 1), stats.gumbel_r(0.4, 1.3), (-7, 60)),
    (stats.weibull_min(1.5), stats.weibull_min(2.0, scale=1.5), (0, 30)),
    (stats.halfnorm(scale=1), stats.halfnorm(scale=2), (0, 20)),
    (stats.rayleigh(scale=1), stats.rayleigh(scale=2), (0, 20)),
    (stats.pareto(3, scale=2), stats.pareto(4, scale=2), (2, 1e5)),
    (stats.invgauss(0.5, scale=2), stats.invgauss(1.0, scale=1.5), (0, 80)),
    (stats.cauchy(0, 1), stats.cauchy(1, 2), (-1e6, 1e6)),
    (stats.vonmises(2.0, 0.3), stats.vonmises(1.0), (-np.pi, np.pi)),
]


@pytest.mark.parametrize(("p", "q", "ends"), CLOSED, ids=lambda v: getattr(getattr(v, "dist", None), "name", None))
def test_frozen_distributions_are_known_by_their_families(p, q, ends):
    found = kl_divergence(p, q)
    assert found.method == "exact"
    middle = [float(p.ppf(u)) for u in (0.01, 0.25, 0.5, 0.75, 0.99)]
    assert found == pytest.approx(by_scipy(p, q, *ends, points=middle), rel=1e-4, abs=1e-5)


def test_frozen_uniform_and_joint_distributions():
    assert kl_divergence(stats.uniform(0, 1 + 1e-7), stats.uniform(0, 1)) == np.inf
    assert kl_divergence(stats.uniform(0, 1), stats.uniform(0, 4)) == np.log(4.0)
    covariance = np.array([[2.0, 0.3], [0.3, 1.0]])
    found = kl_divergence(stats.multivariate_normal([0, 0]), stats.multivariate_normal([1, 1], covariance))
    inverse = np.linalg.inv(covariance)
    truth = 0.5 * (np.trace(inverse) + inverse.sum() - 2.0 + np.log(np.linalg.det(covariance)))
    assert found == pytest.approx(truth, rel=1e-12)
    shares, others = np.array([0.1, 0.6, 0.3]), np.array([0.2, 0.3, 0.5])
    found = kl_divergence(stats.multinomial(5, shares), stats.multinomial(5, others))
    assert (found.method, found.value) == (
        "exact",
        pytest.approx(5.0 * special.rel_entr(shares, others).sum(), rel=1e-12),
    )
    assert kl_divergence(stats.multinomial(5, shares), stats.multinomial(6, others)) == np.inf
    p, q = stats.vonmises_fisher([1.0, 0.0, 0.0], 3.0), stats.vonmises_fisher([0.0, 0.6, 0.8], 1.5)
    found = kl_divergence(p, q)  # E x = (1 / tanh(k) - 1 / k) mu, and the directions are at right angles
    truth = np.log(3.0 / np.sinh(3.0)) - np.log(1.5 / np.sinh(1.5)) + 3.0 * (1.0 / np.tanh(3.0) - 1.0 / 3.0)
    assert (found.method, found.value) == ("exact", pytest.approx(truth, rel=1e-12))
    mine = DensityMLE.from_parameters("normal", loc=1.0, scale=2.0)
    assert kl_divergence(stats.norm(0, 1), mine) == pytest.approx(np.log(2) - 0.25, rel=1e-14)
    with pytest.raises(ValueError, match="one number per row|2 columns|features"):
        kl_divergence(DensityMLE.from_parameters("normal", loc=[0.0, 0.0], scale=[1.0, 1.0]), stats.norm(0, 1))


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (stats.t(3), stats.norm(0, 2)),
        (stats.norm(0, 1), stats.t(3)),
        (stats.norm(0, 1), stats.gumbel_r(0.3, 1.2)),
        (stats.lognorm(1), stats.gamma(1)),
        (stats.norm(1e6, 1e-3), stats.logistic(1e6, 1e-3)),
        (stats.uniform(0, 1), stats.norm(0, 1)),
        (stats.triang(0.3), stats.beta(2, 2)),
    ],
)
def test_quadrature_on_a_line(p, q):
    found = kl_divergence(p, q)
    assert found.method == "quadrature"
    by_draws = kl_divergence(p, q, n_draws=400_000, random_state=0)
    assert by_draws.method == "monte_carlo"
    assert abs(found - by_draws) < 5.0 * by_draws.standard_error
    assert found.standard_error < 1e-6
    assert cross_entropy(p, q) - entropy(p) == pytest.approx(found, abs=1e-7)


def test_quadrature_against_known_values():
    # E x^2 / 2 + log(2 pi) / 2 - H for t(3): the tail of the integrand falls as x^-2
    truth = 1.5 + 0.5 * np.log(2.0 * np.pi) - stats.t(3).entropy()
    assert kl_divergence(stats.t(3), stats.norm()) == pytest.approx(truth, abs=1e-8)
    a = 8.0  # two far humps against one of them: log 2
    humps = GaussianMixture(2, covariance_type="spherical")
    humps.weights_, humps.means_, humps.covariances_ = np.array([0.5, 0.5]), np.array([[-a], [a]]), np.ones(2)
    humps.precisions_cholesky_, humps.random_state = np.ones(2), 0
    assert kl_divergence(stats.norm(a, 1), humps) == pytest.approx(np.log(2.0), abs=1e-9)
    assert jensen_shannon(stats.norm(-40, 1), stats.norm(40, 1)) == pytest.approx(np.log(2.0), abs=1e-9)
    assert kl_divergence(stats.triang(0.5, scale=2), stats.beta(2, 2)) == np.inf


def test_a_mixture_of_one_column_by_quadrature():
    """It has no quantiles to cut the line at; either order against scipy's integral."""
    draws = np.random.default_rng(0).normal(size=300) + 4.0 * (np.arange(300) % 3 == 0)
    mixture = MixtureMLE(2, family="normal", random_state=0).fit(draws[:, None])
    weights, parts = (
        mixture.params_["weights"],
        stats.norm(*(mixture.params_[name].ravel() for name in ("loc", "scale"))),
    )
    normal = stats.norm(0.5, 1.5)

    def log_mixture(x):
        return special.logsumexp(np.log(weights) + parts.logpdf(x))

    there = integrate.quad(lambda x: normal.pdf(x) * (normal.logpdf(x) - log_mixture(x)), -30, 30, limit=500)[0]
    back = integrate.quad(lambda x: np.exp(log_mixture(x)) * (log_mixture(x) - normal.logpdf(x)), -30, 30, limit=500)[0]
    model = DensityMLE.from_parameters("normal", loc=0.5, scale=1.5)
    assert kl_divergence(model, mixture) == pytest.approx(there, abs=1e-7)
    assert kl_divergence(mixture, model) == pytest.approx(back, abs=1e-7)


class Mixture:
    """N(0, 1), and one in a million draws from N(1e4, 1)."""

    def logpdf(self, x):
        return np.logaddexp(np.log1p(-1e-6) + stats.norm.logpdf(x), np.log(1e-6) + stats.norm.logpdf(x, 1e4))

    def rvs(self, size, random_state):
        return random_state.normal(1e4 * (random_state.uniform(size=size) < 1e-6), 1.0)


def test_a_part_that_draws_do_not_meet_is_missed_aloud():
    found = kl_divergence(Mixture(), stats.norm(0, 1), random_state=0)  # the truth is 50
    assert found.diagnostics["bias_suspected"]
    assert "integrates to 0.999999" in found.diagnostics["reasons"][-1]


class Joint:
    """Independent columns of which nothing is known but density and draws; ``shift`` spoils the density."""

    def __init__(self, column, shift=0.0):
        self.column, self.shift = column, shift

    def logpdf(self, X):
        return self.column.logpdf(X).sum(axis=1) + self.shift

    def rvs(self, size, random_state):
        return self.column.rvs((size, 2), random_state)


def test_draws_say_when_they_cannot_be_trusted():
    normal, wider = Joint(stats.norm(0, 1)), Joint(stats.norm(0, 2))
    good = kl_divergence(normal, wider, random_state=0)
    assert not good.diagnostics["bias_suspected"]
    assert good.diagnostics["tail_index"] < 0.7
    heavy = kl_divergence(Joint(stats.t(2.1)), normal, random_state=0)
    assert heavy.diagnostics["tail_index"] > 0.7
    assert "Pareto tail" in heavy.diagnostics["reasons"][0]
    spoilt = kl_divergence(normal, Joint(stats.norm(0, 1.1), shift=1.0), random_state=0)
    assert any("negative" in reason for reason in spoilt.diagnostics["reasons"])
    assert any("not normalised" in reason for reason in spoilt.diagnostics["reasons"])


@pytest.mark.parametrize("shape", [0.3, 0.8, 1.2])
def test_tail_index(shape):
    draws = stats.genpareto(shape).rvs(100_000, random_state=1)
    assert tail_index(draws) == pytest.approx(shape, abs=0.15)
    assert tail_index(np.abs(np.random.default_rng(0).normal(size=100_000))) < 0.3
    assert np.isnan(tail_index(np.ones(5)))


def test_densities_behind_one_transformer():
    rng = np.random.default_rng(0)
    scaler = StandardScaler().fit(rng.normal(3.0, 5.0, (50, 2)))
    parts = [rng.normal(m, 1.0, (200, 2)) for m in (0.0, 1.0)]
    inner = [DensityMLE("multivariate_normal").fit(scaler.transform(part)) for part in parts]
    behind = [TransformedDensity(scaler, DensityMLE("multivariate_normal")).fit(parts[0]) for part in parts]
    for density, known in zip(behind, inner, strict=True):
        density.transformer_, density.density_ = scaler, known
    found = kl_divergence(*behind)
    assert found.method == "exact"
    assert found == float(kl_divergence(*inner))
