"""Counts against discrete models: the divergence from the empirical distribution adds up equal values."""

import numpy as np
import pytest
from scipy import optimize

from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    MixtureMLE,
    ProductDensity,
    choose_components,
    compare_densities,
    kl_divergence,
    permutation_test,
    vuong_test,
)


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


def rows_of_several_sums(n=3000):
    rng = np.random.default_rng(0)
    return rng.multinomial(rng.choice([2, 3, 4, 8], n), [0.5, 0.3, 0.2]).astype(float)


@pytest.mark.parametrize("family", ["multinomial", "dirichlet_multinomial"])
def test_given_sums_that_differ_are_no_divergence(family):
    """The model is of rows given their sum: so are the frequencies that it is compared with, sum by sum."""
    X = rows_of_several_sums()
    model = DensityMLE(family).fit(X)
    sums = X.sum(axis=1)
    by_sum = [(np.mean(sums == s), float(kl_divergence(X[sums == s], model))) for s in np.unique(sums)]
    found = model.kl_divergence(X)
    assert found == pytest.approx(sum(share * value for share, value in by_sum), rel=1e-9)
    assert 0.0 < found < 2.0 * found.standard_error  # it was -1.4
    with_another = np.column_stack([X, np.random.default_rng(1).poisson(2.0, len(X))])
    product = ProductDensity([("rows", DensityMLE(family), [0, 1, 2]), ("count", DensityMLE("poisson"), [3])])
    assert 0.0 < float(kl_divergence(with_another, product.fit(with_another))) < 0.1


def test_draws_of_one_sum_are_not_compared_with_rows_of_others():
    X = rows_of_several_sums(400)
    fitted = DensityMLE("multinomial").fit(X)
    of_two = MixtureMLE(2, family="multinomial", random_state=0)
    mixture = of_two.fit(X)
    detector = DensityOutlierDetector(DensityMLE("multinomial"), contamination="auto")
    calls = [
        lambda: fitted.goodness_of_fit(X, n_bootstrap=9),
        lambda: mixture.goodness_of_fit(X, n_bootstrap=9),
        lambda: detector.fit(X),
        lambda: permutation_test(X, fitted),
        lambda: choose_components(X, [1, 2], mixture=of_two, criterion="bootstrap", n_resamples=19),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="whose sum is given, and draws rows of sum 4; .* sums from 2 to 8"):
            call()
    fours = X[X.sum(axis=1) == 4.0]
    assert fitted.goodness_of_fit(fours, n_bootstrap=19, random_state=0).p_values["energy"][0] > 0.05
    detector.fit(fours)


def test_a_likelihood_given_the_sums_is_no_better_than_one_of_all():
    X = rows_of_several_sums(400)
    given, whole = DensityMLE("multinomial").fit(X), DensityMLE("poisson").fit(X)
    for call in (lambda: compare_densities({"a": given, "b": whole}, X), lambda: vuong_test(whole, given, X)):
        with pytest.raises(ValueError, match="takes the sum of a row as given"):
            call()
    assert compare_densities({"a": given, "b": DensityMLE("dirichlet_multinomial").fit(X)}, X)


@pytest.mark.parametrize("family", ["multinomial", [("counts", "dirichlet_multinomial", [0, 1, 2])]])
def test_a_mixture_draws_rows_of_the_sum_that_it_was_fitted_to(family):
    """They had a sum of 1, and so had the entropy, and a divergence of 4e-33 from a single component."""
    rng = np.random.default_rng(0)
    X = np.concatenate([rng.multinomial(20, p, 150) for p in ([0.7, 0.2, 0.1], [0.1, 0.2, 0.7])])
    mixture = MixtureMLE(2, family=family, random_state=0).fit(X)
    assert (mixture.sample(50, random_state=0).sum(axis=1) == 20).all()
    one = DensityMLE("multinomial").fit(X)
    # KL(mixture || one) is the mean of log ratios over the mixture; half of the rows are of either component
    wanted = float(np.mean(mixture.score_samples(X) - one.score_samples(X)))
    found = kl_divergence(mixture, one, random_state=0)
    assert found == pytest.approx(wanted, abs=0.3)
    assert wanted > 3.0
