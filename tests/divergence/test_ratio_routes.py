"""Working distributions of the default estimate: whether samples are like them, how exact they are, and mixtures of them."""

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture

from fastkl import kl_divergence
from fastkl.divergence.assisted.clusters import clusters
from fastkl.divergence.assisted.ratio_regression import cross_fitted, fitted, with_constant
from fastkl.divergence.assisted.working_laws import departure, normal_pair
from fastkl.divergence.assisted.working_mixtures import mixture_of, mixture_pair, refined

NO_MASSES = (None, None)
OTHERS = {
    "uniform": lambda r, n, d: r.random((n, d)),
    "exponential": lambda r, n, d: r.exponential(size=(n, d)),
    "student": lambda r, n, d: r.standard_t(3.0, (n, d)),
    "clusters": lambda r, n, d: r.normal(size=(n, d)) + 3.0 * r.choice([-1.0, 1.0], (n, 1)),
}


def two_clusters(rng, n, d, a=3.0):
    rows = rng.normal(size=(n, d))
    rows[:, 0] += a * rng.choice([-1.0, 1.0], n)
    return rows


@pytest.mark.parametrize("d", [1, 3, 10])
def test_normal_samples_depart_little_and_others_much(d):
    rng = np.random.default_rng(d)
    turn = rng.normal(size=(d, d)) + 3.0 * np.eye(d)
    found = [departure(rng.normal(size=(n, d)) @ turn) for n in (200, 1000) for _ in range(30)]
    assert np.quantile(found, 0.9) < 3.0
    for draw in OTHERS.values():
        assert departure(draw(rng, 2000, d)) > 4.0
    assert departure(np.ones((30, d))) >= 0.0  # a spread of 0 is no error


def test_masses_of_departures_are_those_of_effective_rows():
    rng = np.random.default_rng(0)
    X = rng.exponential(size=(300, 2))
    assert departure(X, np.full(300, 7.0)) == pytest.approx(departure(X), rel=1e-9)
    few = np.where(np.arange(300) < 30, 1.0, 1e-12)
    assert departure(X, few) == pytest.approx(departure(X[:30]), rel=1e-6)


@pytest.mark.parametrize(
    ("shift", "scale"), [((1.0, 0.0), (1.0, 1.0)), ((0.5, 0.5), (2.0, 0.5)), ((0.0, 0.0), (1.0, 1.0))]
)
def test_errors_of_the_divergence_of_two_normal_distributions(shift, scale):
    values, errors = [], []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X, Y = rng.normal(size=(300, 2)), rng.normal(shift, scale, (200, 2))
        pair = normal_pair(X, Y)
        values.append(pair.divergence)
        errors.append(pair.error(X, Y, NO_MASSES, (300, 200)))
    if any(shift):
        assert np.mean(errors) == pytest.approx(np.std(values), rel=0.15)
    else:  # drawn together, where that is likely: less than the chi-square of five parameters
        assert 0.4 * np.mean(errors) < np.sqrt(np.mean(np.square(values))) < 1.1 * np.mean(errors)


def test_mixtures_are_those_of_expectation_maximization():
    X = two_clusters(np.random.default_rng(1), 1500, 3)
    found = mixture_of(X, None)
    known = GaussianMixture(2, random_state=0, tol=1e-9).fit(X)
    assert len(found) == 2
    there = np.ptp(found.log_density(X) - known.score_samples(X))  # but for a constant, and the ridge
    assert there < 0.1
    assert len(mixture_of(np.random.default_rng(2).normal(size=(500, 2)), None)) == 1


def test_masses_of_mixtures_are_repetitions():
    rng = np.random.default_rng(3)
    X, times = two_clusters(rng, 400, 2), rng.integers(1, 4, 400)
    start = mixture_of(X, None)
    weighted, of_weighted = refined(start, X, times.astype(float))
    repeated, of_repeated = refined(start, np.repeat(X, times, axis=0), None)
    np.testing.assert_allclose(weighted.log_density(X), repeated.log_density(X), atol=1e-8)
    assert of_weighted == pytest.approx(of_repeated, rel=1e-12)
    assert of_weighted == pytest.approx(times @ weighted.log_density(X), rel=1e-12)


def test_draws_of_mixtures_have_their_divergence():
    rng = np.random.default_rng(0)
    X, Y = two_clusters(np.random.default_rng(4), 800, 2), two_clusters(np.random.default_rng(5), 900, 2, 1.0)
    pair = mixture_pair(X, Y, NO_MASSES, rng, 10_000)
    p, q = pair.draw(40_000, 10, rng)
    assert q.shape == (10, 2)
    assert pair.log_ratio(p).mean() == pytest.approx(pair.divergence, abs=0.05)


def test_repeated_rows_and_outliers_collapse_no_component():
    rng = np.random.default_rng(6)
    X = np.concatenate([rng.normal(size=(200, 2)), np.zeros((20, 2)), [[50.0, -50.0]]])
    found = mixture_of(X, None)
    assert np.isfinite(found.log_density(X)).all()
    assert np.ptp(found.log_density(X[:200])) < 60.0


def test_clusters_are_the_same_in_any_run():
    X = two_clusters(np.random.default_rng(7), 500, 2, 6.0)
    first = clusters(X, 2, 500)
    assert np.array_equal(first, clusters(X, 2, 500))
    assert len(np.unique(first[X[:, 0] > 0.0])) == len(np.unique(first[X[:, 0] < 0.0])) == 1


def test_clusters_of_fewer_distinct_rows():
    rows = np.repeat([[0.0, 0.0], [1.0, 1.0]], 30, axis=0)
    codes = clusters(rows, 3, 60)
    assert len(np.unique(codes[:30])) == len(np.unique(codes[30:])) == 1
    assert codes[0] != codes[-1]


def test_clusters_against_one_normal_distribution_of_their_covariance():
    """No normal distribution tells them apart; the truth, .461995, is by quadrature of the first column."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        p, q = two_clusters(rng, 1000, 5), rng.normal(size=(1000, 5)) * [np.sqrt(10.0), 1.0, 1.0, 1.0, 1.0]
        found.append(kl_divergence(p, q))
    assert sum(one.diagnostics["route"] == "mixtures" for one in found) >= 3
    assert all(abs(one - 0.461995) < 3.0 * one.standard_error < 0.3 for one in found)
    assert abs(np.mean(found) - 0.461995) < 0.05


def test_mixtures_of_few_rows_are_not_farther_apart_than_what_they_are_fitted_to():
    """Clusters far from each other: KL is that of their weights, and that of each weighed; plain fits gave .08 more."""
    middles = np.array([[0.0, 0.0, 0.0, 0.0], [9.0, 0.0, 9.0, 0.0], [0.0, 9.0, 0.0, 9.0]])
    shares, scales = np.array([[0.6, 0.3, 0.1], [0.2, 0.3, 0.5]]), np.array([[1.0, 0.6, 1.0], [1.0, 1.0, 1.5]])
    ratio = scales[0] / scales[1]
    truth = shares[0] @ (np.log(shares[0] / shares[1]) + 4.0 * (0.5 * (ratio**2 - 1.0) - np.log(ratio)))
    errors = []
    for seed in range(10):
        rng, samples = np.random.default_rng([seed, 13]), []
        for share, scale in zip(shares, scales, strict=True):
            which = rng.choice(3, 300, p=share)
            samples.append(middles[which] + scale[which][:, None] * rng.normal(size=(300, 4)))
        errors.append(float(kl_divergence(*samples)) - truth)
    assert abs(np.mean(errors)) < 0.05


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_not_normal_is_not_taken_for_it(name):
    """A sample from each against itself scaled: the median of the routes, not normal distributions alone."""
    rng = np.random.default_rng(8)
    p, q = OTHERS[name](rng, 2000, 2), 1.5 * OTHERS[name](rng, 2000, 2)
    found = kl_divergence(p, q)
    routes = sorted(found.diagnostics["routes"].values())
    assert routes[0] - 0.02 <= found <= routes[-1] + 0.02


@pytest.mark.parametrize("masses", [None, "whole"])
def test_more_terms_than_rows_are_fitted_in_the_space_of_the_rows(masses):
    """The regression is that on all terms, which is found here by its normal equations: the gradient there is 0."""
    rng = np.random.default_rng(0)
    of_p = (rng.random(120) < 0.4).astype(float)
    terms = rng.normal(size=(120, 300))
    terms[of_p == 1.0, :9] += 0.7
    terms[:, 1] = terms[:, 0]  # what the ridge shares out evenly
    terms = (terms - terms.mean(axis=0)) / terms.std(axis=0)
    times = np.ones(120) if masses is None else rng.integers(0, 3, 120).astype(float)
    fold = rng.integers(0, 4, 120)
    log_ratio, found = cross_fitted(terms, of_p, fold, 4, 2.0, None if masses is None else times)
    probability = 1.0 / (1.0 + np.exp(-(found.beta[0] + terms @ found.beta[1:])))
    assert terms.T @ (times * (probability - of_p)) + 2.0 * found.beta[1:] == pytest.approx(np.zeros(300), abs=0.05)
    assert found.beta[1] == pytest.approx(found.beta[2], rel=1e-9)
    held = fold == 2
    others = fitted(with_constant(terms), of_p, np.where(held, 0.0, times), 2.0, None)
    assert log_ratio[held] == pytest.approx(others.log_ratio(with_constant(terms[held])), abs=0.02)
