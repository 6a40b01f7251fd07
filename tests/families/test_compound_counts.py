"""Dirichlet-multinomial and beta-binomial distributions: published fits, scipy, mpmath, limits and what is refused."""

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, stats

from fastkl import DegenerateDataError, DensityMLE, SupportError, families, kl_divergence
from fastkl._core.special.rising_factorials import log_rise, lost_share, lost_share_slope
from fastkl.families.beta_binomial import BetaBinomial


def rows_of(alpha, total, n, seed=0):
    generator = np.random.default_rng(seed)
    return np.array([generator.multinomial(total, p) for p in generator.dirichlet(alpha, size=n)])


@pytest.mark.parametrize("a", [1e-8, 0.3, 15.9, 16.1, 1e4, 1e12])
@pytest.mark.parametrize("x", [0, 1, 2, 3, 10, 1000])
def test_rising_factorials_are_sums(a, x):
    with mp.workdps(40):
        i = [mp.mpf(k) for k in range(x)]
        want = [mp.fsum(mp.log1p(k / mp.mpf(a)) for k in i), mp.fsum(k / (a + k) for k in i)]
        slope = float(mp.fsum(a * k / (a + k) ** 2 for k in i))
    np.testing.assert_allclose([log_rise(a, x), lost_share(a, x)], [float(w) for w in want], rtol=1e-12)
    np.testing.assert_allclose(lost_share_slope(a, x), slope, rtol=1e-12, atol=1e-13 * x)


def test_families_in_saxony():
    """Of P. Geissler (1889): a = 34.09558 and b = 31.5715 as published, the highest likelihood of scipy's betabinom."""
    families_of = [3, 24, 104, 286, 670, 1033, 1343, 1112, 829, 478, 181, 45, 7]
    k = np.repeat(np.arange(13), families_of)
    model = DensityMLE("betabinom").fit(np.column_stack([k, 12 - k]))
    a, b = model.params_["concentration"] * model.params_["probabilities"]
    np.testing.assert_allclose([a, b], [34.09558, 31.5715], rtol=1e-3)
    assert model.log_likelihood_ >= stats.betabinom(12, 34.09558, 31.5715).logpmf(k).sum()
    np.testing.assert_allclose(model.log_likelihood_, stats.betabinom(12, a, b).logpmf(k).sum(), rtol=1e-11)


@pytest.mark.parametrize("alpha", [[0.05, 0.1, 0.02], [1.0, 2.0, 3.0], [200.0, 50.0, 10.0, 3.0]])
@pytest.mark.parametrize("total", [2, 40, 100_000])
def test_no_other_maximum_is_higher(alpha, total):
    X = rows_of(alpha, total, 150)
    model = DensityMLE("dirichlet_multinomial").fit(X)

    def minus(log_alpha):
        return -stats.dirichlet_multinomial(np.exp(log_alpha), X.sum(axis=1)).logpmf(X).sum()

    best = min(
        optimize.minimize(minus, np.log(start), method="BFGS").fun
        for start in (alpha, np.ones(len(alpha)), np.full(len(alpha), 30.0))
    )
    assert model.converged_
    assert model.log_likelihood_ >= -best - 1e-6
    np.testing.assert_allclose(model.score_samples(X).sum(), model.log_likelihood_, rtol=1e-10)
    slopes = model.gradient(X)
    assert np.max(np.abs(slopes["probabilities"] * model.params_["probabilities"])) < 1e-9 * total
    assert abs(slopes["concentration"] * model.params_["concentration"]) < 1e-9 * total


def test_errors_are_those_of_the_observed_information():
    """By second differences in log concentrations, carried over to shares and their sum."""
    X = rows_of([1.0, 2.0, 3.0], 20, 500)
    model = DensityMLE("dirichlet_multinomial").fit(X)
    alpha = np.log(model.params_["concentration"] * model.params_["probabilities"])

    def value(log_alpha):
        return stats.dirichlet_multinomial(np.exp(log_alpha), 20).logpmf(X).sum()

    h, e = 1e-3, np.eye(3)
    hessian = np.array(
        [
            [
                sum(s * t * value(alpha + h * (s * e[i] + t * e[j])) for s in (1, -1) for t in (1, -1)) / (4 * h * h)
                for j in range(3)
            ]
            for i in range(3)
        ]
    )
    p, c = model.params_["probabilities"], float(model.params_["concentration"])
    jacobian = np.vstack([np.diag(p) - np.outer(p, p), c * p])
    want = jacobian @ np.linalg.inv(-hessian) @ jacobian.T
    np.testing.assert_allclose(model.covariance_of_params_, want, rtol=1e-4, atol=1e-8)


def test_the_multinomial_limit():
    X = np.tile([[4, 6, 10], [5, 5, 10], [3, 7, 10], [4, 7, 9]], (50, 1))
    model, limit = DensityMLE("dirichlet_multinomial").fit(X), DensityMLE("multinomial").fit(X)
    assert model.params_["concentration"] == np.inf
    assert "multinomial" in model.boundary_["concentration"]
    assert model.log_likelihood_ == limit.log_likelihood_
    assert list(model.standard_errors_) == ["probabilities"]
    np.testing.assert_allclose(
        model.standard_errors_["probabilities"], limit.standard_errors_["probabilities"], rtol=1e-9
    )
    np.testing.assert_array_equal(model.score_samples(X[:9]), limit.score_samples(X[:9]))
    with pytest.raises(ValueError, match="multinomial"):
        model.to_scipy()


def test_near_the_limit_nothing_is_lost():
    """The excess over the multinomial likelihood in 40 digits, at concentrations of 1e6 and 1e12."""
    X = rows_of([2.0, 3.0], 30, 40)
    for c in (1e6, 1e12):
        of_both = [
            DensityMLE.from_parameters(
                "dirichlet_multinomial", probabilities=[0.4, 0.6], concentration=size
            ).log_likelihood(X)
            for size in (c, np.inf)
        ]
        with mp.workdps(40):
            p = [mp.mpf(0.4), mp.mpf(0.6)]
            textbook = families.DirichletMultinomial.textbook
            want = float(mp.fsum(textbook(mp, [mp.mpf(int(v)) for v in x], p, mp.mpf(c)) for x in X))
        np.testing.assert_allclose(of_both[0], want, rtol=1e-13)
        assert of_both[0] != of_both[1] or c == 1e12


def test_rows_of_one_outcome():
    model = DensityMLE("dirichlet_multinomial").fit([[5, 0, 0], [0, 7, 0], [0, 3, 0], [0, 0, 0]])
    assert model.params_["concentration"] == 0.0
    np.testing.assert_allclose(model.params_["probabilities"], [1 / 3, 2 / 3, 0.0])
    np.testing.assert_allclose(model.log_likelihood_, np.log(1 / 3) + 2 * np.log(2 / 3))
    assert "one column" in model.boundary_["concentration"]
    assert "boundary 0" in model.boundary_["probabilities"]
    assert model.score([[1, 1, 0]]) == -np.inf
    draws = model.sample(50, random_state=0)
    assert np.all(np.count_nonzero(draws, axis=1) == 1)


def test_what_the_rows_do_not_say():
    for X in ([[1, 0], [0, 1], [1, 0]], [[5, 0], [9, 0]]):
        model = DensityMLE("beta_binomial").fit(X)
        assert "not determined" in model.boundary_["concentration"]
        assert "concentration" not in model.standard_errors_


def test_held_parameters():
    X = rows_of([0.5, 1.0, 3.0], 15, 300)
    free = DensityMLE("dirichlet_multinomial").fit(X)
    for held in ({"concentration": 2.0}, {"probabilities": [0.2, 0.2, 0.6]}, {"concentration": 0.3}):
        model = DensityMLE(families.DirichletMultinomial(**held)).fit(X)
        assert model.converged_
        assert model.log_likelihood_ < free.log_likelihood_
        gradient = model.gradient(X)
        for name, value in gradient.items():
            if name not in held:
                assert np.max(np.abs(value)) < 1e-9
    at_maximum = DensityMLE(families.DirichletMultinomial(concentration=float(free.params_["concentration"]))).fit(X)
    np.testing.assert_allclose(at_maximum.log_likelihood_, free.log_likelihood_, rtol=1e-13)
    with pytest.raises(SupportError, match="column 2"):
        DensityMLE(families.DirichletMultinomial(probabilities=[0.5, 0.5, 0.0])).fit(X)


@pytest.mark.parametrize("total", [1, 12, 300])
@pytest.mark.parametrize("c", [0.2, 3.0, 500.0, 1e6])
def test_tails_of_the_successes(total, c):
    p = np.array([0.3, 0.7])
    model = DensityMLE.from_parameters("beta_binomial", probabilities=p, concentration=c, n_trials=total)
    k = np.unique(np.linspace(0, total, 7).astype(int))
    X = np.column_stack([k, total - k])
    with mp.workdps(130):
        exact = [mp.mpf(v) for v in p]
        tails = [BetaBinomial.textbook_tails(mp, [mp.mpf(int(v)) for v in x], exact, mp.mpf(c)) for x in X[:-1]]
        logs = np.array([[float(mp.log(v)) for v in both] for both in tails])
    got = np.column_stack([model.log_cdf(X), model.log_sf(X)])
    np.testing.assert_allclose(got[:-1], logs, rtol=1e-12)
    np.testing.assert_array_equal(got[-1], [0.0, -np.inf])
    np.testing.assert_allclose(model.cdf(X) + model.sf(X), 1.0)


def test_successes_alone_are_refused():
    with pytest.raises(ValueError, match="column_stack"):
        DensityMLE("beta_binomial").fit([[1, 2, 3], [2, 2, 2]])
    with pytest.raises(ValueError, match="two columns"):
        DensityMLE("beta_binomial").fit([[1], [2]])


@pytest.mark.parametrize("name", ["dirichlet_multinomial", "beta_binomial"])
def test_counts_that_are_no_longer_counted(name):
    """A search on such counts, whose sums of squares are no numbers, halved its steps for ever."""
    X = np.floor(1e200 * np.random.default_rng(0).gamma(2.0, size=(9, 2)))
    with pytest.raises(DegenerateDataError, match="do not hold every whole number"):
        DensityMLE(name).fit(X)
    assert DensityMLE(name).fit(np.floor(X / 1e185)).converged_


def test_too_many_trials_to_go_through_are_left_to_draws():
    many = families.DirichletMultinomial(n_trials=2 * 10**12)
    p = DensityMLE.from_parameters(many, probabilities=[0.5, 0.5], concentration=3.0)
    q = DensityMLE.from_parameters(many, probabilities=[0.4, 0.6], concentration=3.0)
    assert many.entropy(p.params_) is None
    assert families.Multinomial(n_trials=10**12).entropy({"probabilities": np.array([0.5, 0.5])}) is None
    with pytest.raises(ValueError, match="at most 2,147,483,647 trials of a row; here are 2e"):
        p.to_scipy()
    assert p.entropy().method == kl_divergence(p, q).method == "monte_carlo"


def test_many_rows_of_few_totals_are_those_one_by_one_and_of_scipy():
    """Each pair of count and total is evaluated once where rows repeat them; rows that are no counts have density 0."""
    generator = np.random.default_rng(3)
    X = np.array(
        [generator.multinomial(n, generator.dirichlet([1.0, 2.0, 3.0])) for n in generator.integers(0, 9, 500)]
    )
    model = DensityMLE("dirichlet_multinomial").fit(X)
    alpha = model.params_["probabilities"] * model.params_["concentration"]
    found = model.score_samples(X)
    np.testing.assert_allclose(
        found, stats.dirichlet_multinomial.logpmf(X, alpha, X.sum(axis=1)), rtol=1e-10, atol=1e-12
    )
    np.testing.assert_array_equal(found, np.concatenate([model.score_samples(row[None]) for row in X]))
    broken = X.astype(float)
    broken[7, 1], broken[8, 0] = 0.5, -1.0
    expected = np.where(np.isin(np.arange(500), [7, 8]), -np.inf, found)
    np.testing.assert_array_equal(model.score_samples(broken), expected)
