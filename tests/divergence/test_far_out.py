"""Divergences of models that are infinite by what is far out, or at an end, and densities that are rounded to 0."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from fastkl import DensityMLE, ProductDensity, cross_entropy, kl_divergence, renyi_divergence
from fastkl.divergence.models.line_integral import expectation_on_a_line
from fastkl.divergence.models.model import Model

pytestmark = pytest.mark.filterwarnings("error")


class Columns:
    """Independent columns of which nothing is known but log-densities and draws."""

    def __init__(self, *laws):
        self.laws = laws

    def logpdf(self, X):
        return sum(law.logpdf(X[:, j]) for j, law in enumerate(self.laws))

    def rvs(self, size, random_state):
        return np.column_stack([law.rvs(size=size, random_state=random_state) for law in self.laws])


class LogOfDensity(Columns):
    """Log-densities that are logarithms of densities."""

    def logpdf(self, X):
        with np.errstate(divide="ignore"):
            return np.log(np.prod([law.pdf(X[:, j]) for j, law in enumerate(self.laws)], axis=0))


@pytest.mark.parametrize("alpha", [1.001, 1.05, 1.5])
@pytest.mark.parametrize(
    ("p", "q"),
    [
        (stats.t(5), stats.norm()),
        (stats.lognorm(1), stats.expon()),
        (stats.laplace(), stats.norm()),
        (stats.multivariate_t(np.zeros(2), np.eye(2), df=5), stats.multivariate_normal(np.zeros(2))),
        (Columns(stats.t(5), stats.norm()), Columns(stats.norm(), stats.norm())),
        (
            DensityMLE.from_parameters("student_t", df=[5.0], loc=[0.0], scale=[1.0]),
            DensityMLE.from_parameters("normal", loc=[0.0], scale=[1.0]),
        ),
    ],
    ids=["t", "lognormal", "laplace", "multivariate t", "a column of t", "families"],
)
def test_beyond_order_one_a_heavier_tail_has_no_divergence(p, q, alpha):
    for n_draws in (None, 20_000):
        assert renyi_divergence(p, q, alpha, n_draws=n_draws, random_state=0) == np.inf


def test_powers_at_the_limit():
    """Integrands of powers: x^-(a (m + 1) - (a - 1) (n + 1)) for t(m) and t(n), and x^(-2 (a - 1)) at the ends of a beta."""
    assert renyi_divergence(stats.t(3), stats.t(6), 2.0) == np.inf
    p, q = stats.t(3), stats.t(5.9)
    value, _ = integrate.quad(lambda x: np.exp(2.0 * p.logpdf(x) - q.logpdf(x)), -np.inf, np.inf)
    assert float(renyi_divergence(p, q, 2.0)) == pytest.approx(np.log(value), rel=1e-6)
    uniform, beta = stats.uniform(), stats.beta(3, 3)
    assert renyi_divergence(uniform, beta, 1.5) == np.inf
    truth = (np.log(special.beta(0.4, 0.4)) + 0.3 * np.log(special.beta(3, 3))) / 0.3
    assert float(renyi_divergence(uniform, beta, 1.3)) == pytest.approx(truth, rel=1e-6)


@pytest.mark.parametrize("df", [1.0, 1.5, 2.0, 2.2, 4.0])
def test_a_variance_that_is_infinite(df):
    """KL(t || normal) has the variance of t in it, in any place and by any route."""
    truth = np.inf
    if df > 2.0:
        truth = 0.5 * df / (df - 2.0) + 0.5 * np.log(2.0 * np.pi) - float(stats.t(df).entropy())
    found = kl_divergence(stats.t(df), stats.norm())
    assert float(found) == pytest.approx(truth, abs=1e-5)
    normals = Columns(stats.norm(), stats.norm())
    for p in (Columns(stats.norm(), stats.t(df)), Columns(stats.t(df), stats.norm())):
        found = kl_divergence(p, normals, random_state=0)
        if np.isinf(truth):
            assert found == cross_entropy(p, normals, random_state=0) == np.inf
        else:
            assert abs(found - truth) < 4.0 * found.standard_error or found.diagnostics["bias_suspected"]


def test_a_support_that_is_smaller_is_met_where_no_draw_falls():
    ranges = DensityMLE.from_parameters("uniform", low=[-9.0, -9.0], high=[9.0, 9.0])
    box = ProductDensity([("box", ranges, [0, 1])]).fit(np.random.default_rng(0).uniform(-9.0, 9.0, (100, 2)))
    assert kl_divergence(stats.multivariate_normal(np.zeros(2)), box) == np.inf
    assert kl_divergence(stats.norm(50, 1), stats.expon()) == np.inf
    assert np.isfinite(kl_divergence(stats.expon(), stats.norm(50, 1)))


def test_what_is_periodic_or_falls_very_fast_is_no_infinity():
    p, q = (DensityMLE.from_parameters("von_mises", loc=[m], concentration=[2.0]) for m in (0.0, 1.0))
    assert np.isfinite(renyi_divergence(p, q, 1.5))
    p = Columns(stats.vonmises(2.0), stats.norm())
    q = Columns(stats.vonmises(1.0), stats.norm())
    truth = kl_divergence(
        DensityMLE.from_parameters("von_mises", loc=[0.0], concentration=[2.0]),
        DensityMLE.from_parameters("von_mises", loc=[0.0], concentration=[1.0]),
    )
    found = kl_divergence(p, q, random_state=0)
    assert abs(found - truth) < 4.0 * found.standard_error
    # of a Gumbel distribution the log-density is -exp(-x), which is -inf from x = -710 on
    gumbel = DensityMLE.from_parameters("gumbel", loc=[0.0], scale=[1.0])
    truth = np.exp(0.5) - 0.5 * np.log(2.0 * np.pi * np.e)
    for q in (gumbel, stats.gumbel_r()):
        assert float(kl_divergence(stats.norm(), q)) == pytest.approx(truth, abs=1e-6)
    found = kl_divergence(Columns(stats.norm(), stats.norm()), Columns(stats.gumbel_r(), stats.norm()), random_state=0)
    assert abs(found - truth) < 4.0 * found.standard_error


@pytest.mark.parametrize("scale", [0.2, 0.5, 0.9])
def test_a_density_that_is_rounded_to_zero_has_no_end_there(scale):
    truth = np.log(scale) + 0.5 / scale**2 - 0.5
    for columns in (1, 2):
        q = LogOfDensity(*[stats.norm(0.0, scale)] * columns)
        for p in (Columns(*[stats.norm()] * columns), LogOfDensity(*[stats.norm()] * columns)):
            found = kl_divergence(p, q, random_state=0)
            assert abs(found - columns * truth) < 4.0 * found.standard_error + 1e-5
    found = renyi_divergence(stats.norm(), LogOfDensity(stats.norm(0.0, 0.9)), 1.1, random_state=0)
    truth = renyi_divergence(stats.norm(), stats.norm(0.0, 0.9), 1.1)
    assert abs(found - truth) < 4.0 * found.standard_error + 1e-6


@pytest.mark.parametrize("scale", [0.5, 0.9, 1.0, 1.2, 3.0])
def test_against_a_tail_whose_logarithm_is_no_number_soon(scale):
    """KL(laplace or logistic || gumbel) has the mean of exp(-x), which is infinite from scale 1 on; gumbel ends at x = -710."""
    q = DensityMLE.from_parameters("gumbel", loc=[0.0], scale=[1.0])
    sine = np.pi * scale / np.sin(np.pi * scale)
    truths = {
        "laplace": 1.0 / (1.0 - scale**2) - np.log(2.0 * scale) - 1.0 if scale < 1.0 else np.inf,
        "logistic": sine - np.log(scale) - 2.0 if scale < 1.0 else np.inf,
    }
    for name, truth in truths.items():
        p = DensityMLE.from_parameters(name, loc=[0.0], scale=[scale])
        assert float(kl_divergence(p, q)) == pytest.approx(truth, abs=1e-6)
    if scale > 1.0:
        assert kl_divergence(stats.laplace(0.0, scale), stats.gumbel_r()) == np.inf


@pytest.mark.parametrize(("shape", "scale", "truth"), [(1.2, 2.0, 541.261821), (1.5, 5.0, 322272601.3)])
def test_terms_that_grow_far_out_and_fall_in_the_end(shape, scale, truth):
    """KL(generalized normal || gumbel), by mpmath."""
    p = DensityMLE.from_parameters("generalized_normal", shape=[shape], loc=[0.0], scale=[scale])
    q = DensityMLE.from_parameters("gumbel", loc=[0.0], scale=[1.0])
    assert float(kl_divergence(p, q)) == pytest.approx(truth, rel=1e-6)


def test_quadrature_that_ends_where_the_terms_still_grow_is_no_result():
    p, q = Model(stats.laplace(0.0, 3.0), "p"), Model(stats.gumbel_r(), "q")
    assert expectation_on_a_line(p, lambda rows: p.log_density(rows) - q.log_density(rows), q) is None


def test_draws_where_a_density_is_rounded_to_zero_are_no_certain_infinity():
    for columns in (1, 2):
        p, q = (cls(*[stats.norm(0.0, s)] * columns) for cls, s in ((Columns, 1.0), (LogOfDensity, 0.02)))
        for found in (kl_divergence(p, q, random_state=0), renyi_divergence(p, q, 1.5, random_state=0)):
            assert found.diagnostics["bias_suspected"]
            assert any("underflows to 0" in reason for reason in found.diagnostics["reasons"])
    end = kl_divergence(Columns(stats.norm(), stats.norm()), Columns(stats.uniform(), stats.norm()), random_state=0)
    assert end == np.inf
    assert not end.diagnostics["bias_suspected"]


def test_a_laplace_distribution_of_scipy_far_out():
    """Its log-density is -log 2 - |x|, also where scipy has rounded the density to 0."""
    X = np.array([[-1000.0], [0.0], [2.0], [1500.0]])
    found = cross_entropy(X, stats.laplace())
    assert float(found) == pytest.approx(np.log(2.0) + 2502.0 / 4.0, rel=1e-12)


def test_a_cross_entropy_that_hardly_converges_is_said():
    p = Columns(stats.t(2.1), stats.norm())
    q = Columns(stats.norm(), stats.norm())
    found = cross_entropy(p, q, random_state=0)
    assert any("may be infinite" in reason for reason in found.diagnostics["reasons"])
    assert not cross_entropy(Columns(stats.t(9), stats.norm()), q, random_state=0).diagnostics["bias_suspected"]
