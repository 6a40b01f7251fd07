"""Two densities on a line with tails, or poles, that go on beyond the reach of numbers: quadrature, or draws that say so."""

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from fastkl import cross_entropy, jeffreys, jensen_shannon, kl_divergence
from fastkl.divergence.models.model import Model

pytestmark = pytest.mark.filterwarnings("error")


def student_from_normal(df):
    """KL(t || standard normal): half the variance, less the entropy."""
    entropy = 0.5 * (df + 1) * (special.digamma(0.5 * (df + 1)) - special.digamma(0.5 * df))
    entropy += 0.5 * np.log(df) + special.betaln(0.5 * df, 0.5)
    return 0.5 * df / (df - 2.0) + 0.5 * np.log(2.0 * np.pi) - entropy


@pytest.mark.parametrize("df", [2.05, 2.1, 2.4, 3.0, 7.0])
def test_heavy_tails_are_followed(df):
    found = kl_divergence(stats.t(df), stats.norm())
    assert found.method == "quadrature"
    assert abs(found - student_from_normal(df)) < found.standard_error < 1e-5
    assert float(cross_entropy(stats.t(df), stats.norm())) == pytest.approx(
        0.5 * df / (df - 2.0) + 0.5 * np.log(2.0 * np.pi), abs=1e-5
    )


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (stats.t(2), stats.norm()),
        (stats.t(1.5), stats.norm()),
        (stats.genpareto(1.0), stats.expon()),
        (stats.lomax(1), stats.expon()),
        (stats.fisk(1), stats.expon()),
    ],
    ids=lambda v: v.dist.name,
)
def test_an_infinite_mean_is_no_number(p, q):
    assert kl_divergence(p, q, random_state=0) == np.inf


def test_a_mean_that_hardly_exists_is_no_number_without_a_flag():
    found = kl_divergence(stats.t(2.002), stats.norm(), random_state=0)
    assert found.diagnostics["bias_suspected"]
    assert np.isfinite(found.standard_error)


def test_powers_that_overflow_far_out_are_no_end_of_a_support():
    """E x^4 and E x^20 are numbers where x^4 and x^20 are none; Cauchy against an even heavier tail."""
    for df, power in ((5.0, 4.0), (25.0, 20.0)):
        moment = df ** (0.5 * power) * special.gamma(0.5 * (power + 1)) * special.gamma(0.5 * (df - power))
        moment /= np.sqrt(np.pi) * special.gamma(0.5 * df)
        p, q = stats.t(df), stats.gennorm(power)
        truth = moment - q.logpdf(0.0) - float(p.entropy())
        assert kl_divergence(p, q) == pytest.approx(truth, rel=1e-7)
    found = kl_divergence(stats.cauchy(), stats.t(0.1))

    def term(u):  # x = sinh u
        x, half = mpmath.sinh(u), mpmath.mpf("0.1") / 2
        log_t = (
            -(half + 0.5) * mpmath.log1p(x * x / (2 * half))
            - mpmath.log(mpmath.beta(half, 0.5))
            - 0.5 * mpmath.log(2 * half)
        )
        density = 1 / (mpmath.pi * (1 + x * x))
        return density * (mpmath.log(density) - log_t) * mpmath.cosh(u)

    assert found == pytest.approx(float(2 * mpmath.quad(term, [0, 1, 3, 10, 30, 60])), abs=1e-6)


def test_mass_beyond_the_support_of_q_is_met_however_small_it_is():
    assert kl_divergence(stats.norm(), stats.uniform(-30, 60)) == np.inf
    assert kl_divergence(stats.t(3), stats.uniform(-1e12, 2e12)) == np.inf
    assert kl_divergence(stats.gamma(0.5), stats.gamma(0.5, loc=1e-100)) == np.inf


@pytest.mark.parametrize("shape", [0.1, 0.5])
def test_poles_at_zero_are_followed(shape):
    found = kl_divergence(stats.powerlaw(shape), stats.uniform())
    assert found.method == "quadrature"
    assert found == pytest.approx(np.log(shape) + (1.0 - shape) / shape, abs=1e-6)
    # against the lognormal: E log x and E (log x)^2 are the digamma function and its derivative
    found = kl_divergence(stats.gamma(shape), stats.lognorm(1))
    first = special.digamma(shape)
    second = special.polygamma(1, shape) + first**2
    truth = 0.5 * second + first + 0.5 * np.log(2 * np.pi) - float(stats.gamma(shape).entropy())
    assert found == pytest.approx(truth, rel=1e-6)
    assert kl_divergence(stats.arcsine(), stats.uniform()) == pytest.approx(np.log(4 / np.pi), abs=1e-6)


def test_draws_that_are_rounded_onto_a_pole():
    """A part of 1.3 % of beta(0.1, 0.1) is closer to 1 than any number; draws of gamma(0.01) below the least number are 0."""
    found = kl_divergence(stats.beta(0.1, 0.1), stats.uniform(), random_state=0)
    truth = -float(stats.beta(0.1, 0.1).entropy())
    assert found == pytest.approx(truth, rel=0.05)
    assert found.diagnostics["bias_suspected"]
    assert any("rounded to an end" in reason for reason in found.diagnostics["reasons"])
    # as q too, whose draws weigh the estimate
    found = kl_divergence(stats.uniform(), stats.beta(0.1, 0.1), n_draws=20_000, random_state=0)
    assert abs(found - (special.betaln(0.1, 0.1) - 1.8)) < 4.0 * found.standard_error
    assert not any("rounded" in reason for reason in found.diagnostics["reasons"])
    found = kl_divergence(stats.gamma(0.01), stats.lognorm(1), random_state=0)
    first = special.digamma(0.01)
    second = special.polygamma(1, 0.01) + first**2
    truth = 0.5 * second + first + 0.5 * np.log(2 * np.pi) - float(stats.gamma(0.01).entropy())
    assert abs(found - truth) < 4.0 * found.standard_error
    assert 0.0 < jensen_shannon(stats.gamma(0.01), stats.lognorm(1), random_state=0) < np.log(2.0)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_only_ends_of_a_support_are_moved(kind):
    class Rounded:
        """Draws of numbers of one precision, some on the ends of (0, 1), or at infinity."""

        def __init__(self, low, high):
            self.ends = np.array([low, high])

        def ppf(self, levels):
            return self.ends[np.asarray(levels).astype(int)]

        def logpdf(self, x):
            return np.zeros(len(x))

        def rvs(self, size, random_state=None):
            return np.resize(np.array([0.0, 0.5, 1.0, np.inf], dtype=kind), size)

    drawn = Model(Rounded(0.0, np.inf), "p").draw(4, np.random.RandomState(0))
    assert drawn.dtype == kind
    assert 0.0 < drawn[0, 0] < 1e-40
    assert drawn[1:, 0].tolist() == [0.5, 1.0, np.inf]
    model = Model(Rounded(0.0, 1.0), "p")
    drawn = model.draw(3, np.random.RandomState(0))
    assert 1.0 - 2.0 * np.finfo(kind).eps < drawn[2, 0] < 1.0
    assert model.n_at_ends(drawn) == 2


class Scaled:
    """A density of another library times a number."""

    def __init__(self, law, factor):
        self.law, self.factor = law, factor

    def logpdf(self, rows):
        return self.law.logpdf(rows).reshape(len(rows)) + np.log(self.factor)

    def rvs(self, size, random_state):
        return self.law.rvs(size=size, random_state=random_state)


@pytest.mark.parametrize("factor", [0.5, 1.1, 20.0])
def test_quadrature_says_that_a_density_is_not_normalised(factor):
    p, q = stats.norm(), Scaled(stats.norm(1.0, 2.0), factor)
    true = np.log(2.0) + 2.0 / 8.0 - 0.5
    for call, value in (
        (kl_divergence, true - np.log(factor)),
        (jensen_shannon, None),
        (jeffreys, None),
        (cross_entropy, None),
    ):
        found = call(p, q)
        assert found.diagnostics["bias_suspected"]
        assert any(f"q integrates to {factor:g}" in reason for reason in found.diagnostics["reasons"])
        assert value is None or found == pytest.approx(value, abs=1e-6)
    negative = kl_divergence(p, Scaled(stats.norm(0.0, 1.1), 20.0)).diagnostics["reasons"]
    assert any("below 0, which is impossible" in reason for reason in negative)


@pytest.mark.parametrize("law", [stats.norm(1.0, 2.0), stats.t(2), stats.gumbel_r(), stats.cauchy(), stats.laplace()])
def test_quadrature_does_not_doubt_densities(law):
    for call in (kl_divergence, jensen_shannon):
        found = call(stats.norm(), Scaled(law, 1.0))
        assert not found.diagnostics["bias_suspected"]
        assert found == pytest.approx(float(call(stats.norm(), law)), abs=1e-6)
