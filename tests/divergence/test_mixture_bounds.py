"""Bounds of the divergence between mixtures, against quadrature and closed forms."""

import numpy as np
import pytest
from scipy import integrate, stats

from fastkl import DensityMLE, MixtureMLE, kl_divergence
from fastkl.divergence.estimate import Estimate
from fastkl.divergence.models.mixture_bounds import mixture_bounds, with_bounds
from fastkl.divergence.models.model import Model


def mixture(weights, means, variances):
    d = np.shape(means)[1]
    return MixtureMLE.from_parameters(weights=weights, mean=means, covariance=[v * np.eye(d) for v in variances])


def bounds(p, q):
    return mixture_bounds(Model(p, "p"), Model(q, "q"))


def by_quadrature(p, q):
    def term(x):
        log_p, log_q = (one.score_samples([[x]])[0] for one in (p, q))
        return np.exp(log_p) * (log_p - log_q)

    return integrate.quad(term, -20.0, 20.0, limit=400, epsabs=1e-10)[0]


@pytest.mark.parametrize("shift", [0.0, 0.3, 2.0, 6.0])
def test_bounds_hold_on_a_line(shift):
    p = mixture([0.3, 0.7], [[-1.0], [1.0]], [0.5, 1.0])
    q = mixture([0.6, 0.3, 0.1], [[-1.0 + shift], [1.5 + shift], [0.0]], [0.7, 1.0, 2.0])
    found, truth = bounds(p, q), by_quadrature(p, q)
    assert found["lower_bound"] - 1e-9 <= truth <= found["upper_bound"] + 1e-9
    assert found["lower_bound"] >= 0.0


def test_far_apart_components_are_bounded_tightly():
    """Where components do not meet, the divergence is that of the weights plus those of the components."""
    p = mixture([0.3, 0.7], [[-50.0, 0.0], [50.0, 0.0]], [1.0, 1.0])
    q = mixture([0.6, 0.4], [[-50.0, 1.0], [50.0, 0.0]], [1.0, 1.0])
    truth = 0.3 * np.log(0.3 / 0.6) + 0.7 * np.log(0.7 / 0.4) + 0.3 * 0.5
    assert bounds(p, q)["upper_bound"] == pytest.approx(truth, rel=1e-9)
    assert bounds(p, q)["variational_approximation"] == pytest.approx(truth, rel=1e-9)


def test_of_itself():
    p = mixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.0]], [0.5, 1.0])
    found = bounds(p, p)
    assert found["lower_bound"] == 0.0
    assert found["upper_bound"] == pytest.approx(0.0, abs=1e-6)
    assert found["variational_approximation"] == pytest.approx(0.0, abs=1e-12)


def test_estimates_have_them():
    p = mixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.0]], [0.5, 1.0])
    q = DensityMLE.from_parameters(mean=[0.4, 0.0], covariance=np.eye(2) * 1.5)
    found = kl_divergence(p, q, random_state=0)
    assert found.diagnostics["lower_bound"] <= float(found) <= found.diagnostics["upper_bound"]
    assert not found.diagnostics["bias_suspected"]


def test_draws_that_contradict_them_say_so():
    p = mixture([0.3, 0.7], [[-1.0, 0.0], [1.0, 0.0]], [0.5, 1.0])
    q = mixture([0.5, 0.5], [[-1.0, 0.0], [1.0, 0.0]], [0.5, 1.0])
    wrong = with_bounds(Estimate(7.0, 0.01, 10, "monte_carlo"), Model(p, "p"), Model(q, "q"))
    assert wrong.diagnostics["bias_suspected"]
    assert "outside the bounds" in wrong.diagnostics["reasons"][0]


def test_other_families():
    """The divergence of two Poisson mixtures, summed."""
    p = MixtureMLE.from_parameters("poisson", weights=[0.4, 0.6], rate=[[1.0], [5.0]])
    q = MixtureMLE.from_parameters("poisson", weights=[0.5, 0.5], rate=[[1.5], [4.0]])
    x = np.arange(200)
    log_p = np.log(0.4 * stats.poisson(1.0).pmf(x) + 0.6 * stats.poisson(5.0).pmf(x) + 1e-300)
    log_q = np.log(0.5 * stats.poisson(1.5).pmf(x) + 0.5 * stats.poisson(4.0).pmf(x) + 1e-300)
    truth = np.sum(np.exp(log_p) * (log_p - log_q))
    assert 0.0 == bounds(p, q)["lower_bound"] <= truth <= bounds(p, q)["upper_bound"]
    assert (
        bounds(DensityMLE.from_parameters("poisson", rate=[1.0]), DensityMLE.from_parameters("poisson", rate=[2.0]))
        is None
    )
