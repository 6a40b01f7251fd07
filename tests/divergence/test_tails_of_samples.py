"""Tails of p beyond the rows of q: the error knows what may be missing, and much of it is said."""

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import quad

from fastkl import cross_entropy, kl_divergence
from fastkl.divergence.models.ratio_tails import pareto_tail


def divergence(p, q):
    return quad(lambda x: p.pdf(x) * (p.logpdf(x) - q.logpdf(x)), -np.inf, np.inf, limit=500)[0]


@pytest.mark.parametrize(
    ("p", "q", "n", "m"),
    [(1.0, 3.0, 50, 2000), (1.0, 3.0, 50, 50), (2.0, 5.0, 200, 2000)],
)
def test_a_heavier_tail_beyond_the_rows_of_q(p, q, n, m):
    p, q = stats.t(p), stats.t(q)
    truth, misses = divergence(p, q), 0
    for seed in range(16):
        rng = np.random.default_rng(seed)
        found = kl_divergence(p.rvs(n, random_state=rng), q.rvs(m, random_state=rng))
        misses += not (found.diagnostics["bias_suspected"] or abs(found - truth) < 1.96 * found.standard_error)
    assert misses <= 2


@pytest.mark.parametrize("scale", [0.5, 2.0])
@pytest.mark.parametrize("law", ["normal", "laplace", "logistic"])
def test_tails_that_q_shows_are_no_reason(law, scale):
    told = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        draw = getattr(rng, law)
        found = kl_divergence(draw(size=(400, 2)), draw(scale=1.0 if scale < 1.0 else scale, loc=0.3, size=(400, 2)))
        told += any("would add" in reason for reason in found.diagnostics["reasons"])
    assert told <= 1


def test_rows_out_of_reach_that_add_little_are_no_reason():
    """A spread that follows a column: KL is E (s^2 - 1) / 2 with log s of mean 0. Half were told to be lower bounds."""
    told, truth = 0, (np.exp(2.0 * 0.5**2) - 1.0) / 2.0
    for seed in range(12):
        rng = np.random.default_rng([seed, 3])
        x, y = rng.normal(size=(1000, 2)), rng.normal(size=(1000, 2))
        x[:, 1] *= np.exp(0.5 * x[:, 0])
        found = kl_divergence(x, y)
        assert abs(found - truth) < 3.0 * found.standard_error
        told += any("data do not" in reason for reason in found.diagnostics["reasons"])
    assert told <= 4


@pytest.mark.parametrize("shape", [-0.3, 0.01, 0.5, 1.0])
def test_tail_of_a_generalised_pareto_distribution(shape):
    excess = np.sort(stats.genpareto(shape, scale=3.0).rvs(20_000, random_state=np.random.default_rng(0)))
    found, scale = pareto_tail(excess)
    assert found == pytest.approx(shape, abs=0.03)
    assert scale == pytest.approx(3.0, rel=0.05)


@pytest.mark.parametrize("n", [150, 500, 5000])
def test_a_sample_whose_cross_entropy_is_infinite(n):
    """The mean of x^2 of a Cauchy distribution does not exist, whatever its rows have."""
    X = np.random.default_rng(0).standard_cauchy((n, 2))
    normals = stats.multivariate_normal(np.zeros(2))
    for found in (
        kl_divergence(X[:, 0], stats.norm()),
        kl_divergence(X, normals),
        cross_entropy(X[:, 0], stats.norm()),
        cross_entropy(X, normals),
    ):
        assert any("may be infinite" in reason for reason in found.diagnostics["reasons"])
    for law in (stats.norm(0.5, 1.2), stats.laplace(), stats.logistic(), stats.t(3)):
        assert not cross_entropy(law.rvs(n, random_state=1), law).diagnostics["bias_suspected"]
