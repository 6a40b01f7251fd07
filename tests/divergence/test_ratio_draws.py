"""Divergences of models by draws from both: unbiased, hardly noisier than draws from one, and checked by each other."""

import numpy as np
import pytest
from scipy import integrate, stats

from fastkl import kl_divergence


class Drawn:
    """A joint distribution of scipy of which nothing is known but its density and its draws."""

    def __init__(self, known, scale=1.0, shift=0.0):
        self.known, self.scale, self.shift = known, scale, shift

    def logpdf(self, x):
        return self.known.logpdf(x) + self.shift

    def rvs(self, size, random_state):
        return self.scale * self.known.rvs(size, random_state=random_state)


class Closed:
    """The same without draws."""

    def __init__(self, known):
        self.logpdf = known.logpdf


def normal(d, loc=0.0, scale=1.0):
    return stats.multivariate_normal(np.full(d, loc), scale**2 * np.eye(d))


PAIRS = {
    "shifted": (normal(3), normal(3, 1.0), 1.5),
    "close": (normal(3), normal(3, 0.1), 0.015),
    "wider": (normal(3), normal(3, 0.0, 2.0), 3.0 * (np.log(2.0) - 0.375)),
    "narrower": (normal(3, 0.0, 2.0), normal(3), 3.0 * (1.5 - np.log(2.0))),
    "far": (normal(2), normal(2, 8.0), 64.0),
}


@pytest.mark.parametrize("name", PAIRS)
def test_both_say_at_least_as_much_as_one(name):
    p, q, truth = PAIRS[name]
    found = [kl_divergence(Drawn(p), Drawn(q), n_draws=20_000, random_state=seed) for seed in range(60)]
    errors = np.array([float(estimate) - truth for estimate in found])
    claimed = np.array([estimate.standard_error for estimate in found])
    assert np.mean(np.abs(errors) < 2.0 * claimed) > 0.85
    assert abs(errors.mean()) < 4.0 * claimed.mean() / np.sqrt(60)
    alone = kl_divergence(Drawn(p), Closed(q), n_draws=20_000, random_state=0)
    for estimate, drawn in [*((estimate, ["p", "q"]) for estimate in found), (alone, ["p"])]:
        assert estimate.diagnostics["drawn_from"] == drawn
        assert estimate.diagnostics["reasons"] == []
    assert claimed.mean() < 1.1 * alone.standard_error


def test_the_error_per_draw_is_that_of_the_formula():
    """Half the root of the variances of 2 (r - 1 - log r) / (1 + r) under p and under q, by quadrature."""
    p, q = stats.norm(0, 1), stats.norm(0.7, 1.3)

    def term(x):
        log_r = q.logpdf(x) - p.logpdf(x)
        return 2.0 * (np.expm1(log_r) - log_r) / (1.0 + np.exp(log_r))

    def mean(function, law):
        return integrate.quad(lambda x: function(x) * law.pdf(x), -15, 15, limit=300)[0]

    variances = [mean(lambda x: term(x) ** 2, law) - mean(term, law) ** 2 for law in (p, q)]
    found = kl_divergence(Drawn(p), Drawn(q), n_draws=200_000, random_state=0)
    assert found.diagnostics["sd_per_draw"] == pytest.approx(0.5 * np.sqrt(sum(variances)), rel=0.02)


def test_ratios_without_a_variance_do_no_harm():
    """q/p over draws of p has none; the terms are at most 2 there."""
    p, q = normal(2), stats.multivariate_t(np.zeros(2), np.eye(2), df=3)
    found = kl_divergence(Drawn(p), Drawn(q), random_state=0)

    # both are round, so that the integral over the plane is one over the radius
    def integrand(r):
        x = np.array([r, 0.0])
        return 2.0 * np.pi * r * p.pdf(x) * (p.logpdf(x) - q.logpdf(x))

    truth = integrate.quad(integrand, 0.0, 12.0, limit=300)[0]
    assert abs(float(found) - truth) < 3.0 * found.standard_error
    assert found.diagnostics["control_variate"]
    assert not found.diagnostics["bias_suspected"]


def test_mass_of_p_where_q_has_none_is_infinite():
    box = stats.uniform(0.0, 1.0)
    found = kl_divergence(Drawn(stats.norm(0.5, 0.2)), Drawn(box), n_draws=5000, random_state=0)
    assert found == np.inf
    assert "density of q is 0" in found.diagnostics["reasons"][0]


def test_draws_of_q_that_are_not_of_its_density_are_told():
    p = normal(2)
    for wrong in (Drawn(normal(2, 0.5), scale=1.5), Drawn(normal(2, 0.5), shift=0.2)):
        found = kl_divergence(Drawn(p), wrong, random_state=0)
        assert found.diagnostics["bias_suspected"]
        assert any("do not agree with their densities" in reason for reason in found.diagnostics["reasons"])
        assert found.diagnostics["drawn_from"] == ["p"]
