"""Counts against discrete models: the divergence from the empirical distribution adds up equal values."""

import numpy as np
import pytest
from scipy import optimize

from fastkl import DensityMLE, kl_divergence


def poisson(rate):
    return DensityMLE.from_parameters("poisson", rate=rate)


@pytest.mark.parametrize(("values", "want"), [([0, 1, 2], 0.132437), ([0, 0, 1], 0.363486)])
def test_divergence_of_counts_aggregates_repeats(values, want):
    np.testing.assert_allclose(float(kl_divergence(np.array(values)[:, None], poisson(1.0))), want, atol=5e-7)


def test_divergence_and_mean_log_likelihood_add_up_to_a_constant():
    X = np.array([[0], [0], [1], [4]])
    sums = [float(kl_divergence(X, poisson(rate))) + poisson(rate).score(X) for rate in (0.3, 1.0, 2.0)]
    np.testing.assert_allclose(sums, sums[0], rtol=1e-12)


def test_least_divergence_is_most_likelihood():
    X = np.array([[0], [0], [1]])
    nearest = optimize.minimize_scalar(
        lambda t: float(kl_divergence(X, poisson(np.exp(t)))), bracket=(-2.0, 0.0), options={"xtol": 1e-9}
    )
    np.testing.assert_allclose(np.exp(nearest.x), 1.0 / 3.0, atol=1e-7)
    assert DensityMLE("poisson").fit(X).params_["rate"][0] == 1.0 / 3.0


def test_gradient_ascent_to_the_share_of_cats():
    X, t = np.array([[1]] * 6 + [[0]] * 4), 0.0
    for _ in range(200):
        p = 1.0 / (1.0 + np.exp(-t))
        t += 2.0 * p * (1.0 - p) * DensityMLE.from_parameters("bernoulli", probability=p).gradient(X)["probability"][0]
    np.testing.assert_allclose(1.0 / (1.0 + np.exp(-t)), 0.6, atol=1e-6)


@pytest.mark.parametrize("n", [300, 3000])
@pytest.mark.parametrize("rate", [5.0, 50.0])
def test_the_interval_of_a_correct_model_covers_zero(rate, n):
    found = [kl_divergence(np.random.default_rng(run).poisson(rate, n), poisson(rate)) for run in range(40)]
    covered = [abs(one) < 1.96 * one.standard_error for one in found]
    assert np.mean(covered) >= 0.85


def test_a_wrong_model_is_seen_all_the_same():
    found = kl_divergence(np.random.default_rng(0).poisson(5.0, 3000), poisson(6.0))
    truth = 5.0 * np.log(5.0 / 6.0) + 1.0  # KL of Poisson distributions
    assert abs(found - truth) < 2.5 * found.standard_error < 0.05
