"""Entropies of distributions of scipy, whose own sums and integrals stop early or miss a narrow peak and do not say so."""

import mpmath
import numpy as np
import pytest
from scipy import special, stats

from fastkl import cross_entropy, entropy, kl_divergence


def summed(law, low, high):
    """Minus the sum of p log p over all whole numbers from low to high."""
    probability = law.pmf(np.arange(low, high + 1))
    assert abs(probability.sum() - 1.0) < 1e-7
    return float(special.entr(probability).sum())


@pytest.mark.parametrize(
    ("law", "ends"),
    [
        (stats.poisson(1e4), (0, 20_000)),
        (stats.poisson(1e5), (0, 110_000)),
        (stats.poisson(1e6), (900_000, 1_100_000)),
        (stats.poisson(1e5, loc=7), (0, 110_000)),
        (stats.betabinom(10_000, 0.1, 0.1), (0, 10_000)),
        (stats.zipfian(1.1, 100_000), (1, 100_000)),
        (stats.boltzmann(1e-4, 100_000), (0, 99_999)),
        (stats.logser(0.9999), (1, 400_000)),
        (stats.nbinom(3, 0.001), (0, 60_000)),
        (stats.skellam(1e4, 1e4), (-3000, 3000)),
        (stats.binom(30, 0.3), (0, 30)),
    ],
    ids=lambda v: v.dist.name if hasattr(v, "dist") else "",
)
def test_entropies_of_counts_are_whole_sums(law, ends):
    found = entropy(law, random_state=0)
    assert found.method == "exact"
    assert found == pytest.approx(summed(law, *ends), abs=1e-6)
    assert cross_entropy(law, law, random_state=0) == pytest.approx(found, abs=1e-9)


def test_a_sum_that_cannot_be_listed_is_drawn():
    """Zipf's law: H = a E log k + log zeta(a), and E log k = -zeta'(a) / zeta(a)."""
    a = mpmath.mpf(3) / 2
    truth = float(-a * mpmath.zeta(a, derivative=1) / mpmath.zeta(a) + mpmath.log(mpmath.zeta(a)))
    found = entropy(stats.zipf(1.5), random_state=0)
    assert found.method == "monte_carlo"
    assert 0.0 < abs(found - truth) < 4.0 * found.standard_error


def test_densities_without_a_formula_are_integrated():
    law = stats.ncx2(1, 1000)  # of X^2 for a normal X about sqrt(1000), seen from its points on both sides

    def term(x):
        density = (mpmath.npdf(x, mpmath.sqrt(1000), 1) + mpmath.npdf(-x, mpmath.sqrt(1000), 1)) / (2 * x)
        return -density * mpmath.log(density) * 2 * x if density > 0 else mpmath.mpf(0)

    found = entropy(law)
    assert found.method == "quadrature"
    assert found == pytest.approx(float(mpmath.quad(term, range(16, 48))), abs=1e-6)


def test_a_formula_of_scipy_counts_as_exact():
    for law in (stats.maxwell(), stats.truncnorm(-3.0, 2.0), stats.binom(9, 0.2), stats.randint(0, 5)):
        found = entropy(law)
        assert found.method == "exact"
        assert found == float(law.entropy())


@pytest.mark.skipif(not hasattr(stats, "make_distribution"), reason="scipy before 1.15")
def test_distributions_of_the_new_kind_give_their_formulas_only():
    assert entropy(stats.Normal(mu=0.0, sigma=2.0)) == pytest.approx(0.5 * np.log(8.0 * np.pi * np.e), rel=1e-14)
    made = stats.make_distribution(stats.ncx2)(df=1, nc=1000)
    assert entropy(made).method == "quadrature"
    assert entropy(made) == pytest.approx(float(entropy(stats.ncx2(1, 1000))), abs=1e-6)
    counts = entropy(stats.make_distribution(stats.poisson)(mu=1e5), random_state=0)
    assert abs(counts - 0.5 * np.log(2.0 * np.pi * np.e * 1e5)) < 4.0 * counts.standard_error + 1e-5


def test_large_counts_have_closed_forms_of_the_divergence_too():
    found = kl_divergence(stats.poisson(1e6), stats.poisson(1.001e6))
    assert found.method == "exact"
    assert found == pytest.approx(float(1e6 * mpmath.log(1 / mpmath.mpf("1.001")) + 1000), rel=1e-9)
    size, mine, theirs = mpmath.mpf(3), mpmath.mpf(997) / 1000, mpmath.mpf(99) / 100
    truth = size * mpmath.log((1 - mine) / (1 - theirs)) + size * mine / (1 - mine) * mpmath.log(mine / theirs)
    assert kl_divergence(stats.nbinom(3, 0.003), stats.nbinom(3, 0.01)) == pytest.approx(float(truth), rel=1e-9)
