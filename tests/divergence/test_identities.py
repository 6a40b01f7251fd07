"""Identities, closed forms, and estimates within their errors."""

import numpy as np
import pytest
from scipy.stats import expon, norm, poisson, uniform

from fastkl import DegenerateDataError, DensityMLE, cross_entropy, empirical, entropy, jeffreys, kl_divergence
from fastkl.divergence import permutation_test
from fastkl.divergence.arguments import Sample
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.samples import common_radius_value, sample_divergence

NORMAL_KL = np.log(2.0) + 2.0 / 8.0 - 0.5


def draw_normal(n, seed, loc=0.0, scale=1.0):
    return np.random.default_rng(seed).normal(loc, scale, n)


def within(estimate, truth, errors=4.0):
    return abs(estimate - truth) <= errors * estimate.standard_error


def normal(loc, scale):
    return DensityMLE.from_parameters("normal", loc=loc, scale=scale)


def test_three_calls_three_numbers():
    x, q = draw_normal(100_000, 3), norm(1.0, 2.0)
    for estimate, truth in (
        (cross_entropy(x, q), 1.862086),
        (entropy(x), 1.418939),
        (kl_divergence(x, q), NORMAL_KL),
    ):
        assert within(estimate, truth)
        assert 0.0 < estimate.standard_error < 0.02


def test_an_empirical_distribution_has_no_divergence_from_a_density():
    with pytest.raises(DegenerateDataError, match="no density"):
        kl_divergence(empirical(draw_normal(20, 4)), norm(0, 1))
    with pytest.raises(DegenerateDataError, match="no density"):
        kl_divergence(empirical([[1.0], [2.0]]), normal(0.0, 1.0))


def test_entropy_of_equal_rows_is_an_error_and_of_distinct_symbols_a_logarithm():
    with pytest.raises(DegenerateDataError, match="repeated"):
        entropy(np.full(30, 2.0))
    assert empirical(["a", "b", "c"]).entropy() == pytest.approx(np.log(3.0), abs=1e-15)
    assert entropy(empirical([1, 2, 3])) == pytest.approx(np.log(3.0), abs=1e-15)


def test_support():
    from scipy.stats import randint

    assert kl_divergence(empirical([0, 1, 3]), randint(0, 4)) == pytest.approx(np.log(4.0 / 3.0), abs=1e-12)
    assert kl_divergence(empirical([0, 1, 9]), randint(0, 4)) == np.inf
    outside = kl_divergence(draw_normal(50, 6), uniform(-0.5, 1.0))
    assert outside == np.inf
    assert outside.confidence_interval() == (np.inf, np.inf)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("k", [1, 3, None])
def test_identity_of_samples(d, k):
    x, y = draw_normal((150, d), 7), draw_normal((230, d), 8, 0.3, 1.4)
    whole = kl_divergence(x, y, method="knn", n_neighbors=k)
    parts = cross_entropy(x, y, method="knn", n_neighbors=k) - entropy(x, method="knn", n_neighbors=k)
    assert whole == pytest.approx(parts, rel=0, abs=1e-13)
    assert whole.diagnostics["cross_entropy"] - whole.diagnostics["entropy"] == pytest.approx(whole, abs=1e-14)


def test_identity_of_models():
    p, q = normal(0.0, 1.0), normal(1.0, 2.0)
    assert kl_divergence(p, q) == pytest.approx(NORMAL_KL, abs=1e-12)
    assert cross_entropy(p, q) == pytest.approx(1.862086, abs=1e-6)
    assert cross_entropy(p, q) - entropy(p) == pytest.approx(kl_divergence(p, q), abs=1e-12)
    assert (cross_entropy(p, q).standard_error, cross_entropy(p, q).method) == (0.0, "exact")


def test_differences_between_models_are_differences_of_cross_entropy():
    x = draw_normal(400, 9)
    models = (norm(0, 1), norm(1, 2))
    divergence = [kl_divergence(x, q) for q in models]
    cross = [cross_entropy(x, q) for q in models]
    assert divergence[1] - divergence[0] == pytest.approx(cross[1] - cross[0], abs=1e-12)
    for d, c in zip(divergence, cross, strict=True):
        assert d.diagnostics["cross_entropy"] == c
        assert d.diagnostics["cross_entropy"] - d.diagnostics["entropy"] == d


def test_cross_entropy_is_minus_the_mean_log_density():
    x = np.array([[0.0], [1.0], [3.0]])
    fitted = DensityMLE("normal").fit(x)
    assert cross_entropy(x, fitted) == pytest.approx(1.639855, abs=1e-6)
    assert cross_entropy(x, fitted) == pytest.approx(-fitted.score(x), rel=1e-15)


def test_the_exponential_closest_to_uniform_data():
    x = np.random.default_rng(10).uniform(0.0, 1.0, 4000)
    scales = np.linspace(0.3, 0.8, 51)
    divergences = [kl_divergence(x, expon(scale=s)) for s in scales]
    best = int(np.argmin(divergences))
    assert abs(scales[best] - 0.5) <= 0.02
    assert within(divergences[best], 1.0 - np.log(2.0))


def test_the_order_matters():
    assert kl_divergence(normal(0.0, 1.0), normal(1.0, 2.0)) == pytest.approx(0.443147, abs=1e-6)
    assert kl_divergence(normal(1.0, 2.0), normal(0.0, 1.0)) == pytest.approx(1.306853, abs=1e-6)
    assert jeffreys(normal(0.0, 1.0), normal(1.0, 2.0)) == pytest.approx(1.75, abs=1e-12)


class OfNoFamily:
    """A distribution of scipy of which nothing is known but its density and its draws."""

    def __init__(self, loc, scale):
        self.known = norm(loc, scale)

    def logpdf(self, x):
        return self.known.logpdf(x)

    def rvs(self, size, random_state):
        return self.known.rvs(size, random_state)


class OnlyDensity:
    """One that cannot be drawn from."""

    def __init__(self, loc, scale):
        self.logpdf = norm(loc, scale).logpdf


@pytest.mark.parametrize("seed", range(3))
def test_monte_carlo(seed):
    p, q = OfNoFamily(0, 1), OfNoFamily(1, 2)
    estimate = kl_divergence(p, q, n_draws=1_000_000, random_state=seed)
    assert estimate.method == "monte_carlo"
    assert within(estimate, NORMAL_KL)
    assert estimate.standard_error < 0.001
    assert within(kl_divergence(q, p, n_draws=100_000, random_state=seed), 1.306853)


def test_discrete_identity():
    p, q = (DensityMLE.from_parameters("categorical", probabilities=v) for v in ([0.1, 0.6, 0.3], [0.2, 0.3, 0.5]))
    assert entropy(p) == pytest.approx(0.897946, abs=1e-6)
    assert cross_entropy(p, q) == pytest.approx(1.091272, abs=1e-6)
    assert kl_divergence(p, q) == pytest.approx(0.193326, abs=1e-6)
    assert kl_divergence(q, p) == pytest.approx(0.186098, abs=1e-6)


def test_sample_against_a_density():
    x = draw_normal(10_000, 16)
    assert kl_divergence(x, norm(5, 5)) == pytest.approx(1.629438, abs=0.05)
    assert within(kl_divergence(x, draw_normal(10_001, 17, 5.0, 5.0)), 1.629438)


def test_what_is_left_over_when_the_family_is_wrong():
    x = np.random.default_rng(18).exponential(1.0, 20_000)
    fitted = DensityMLE("normal").fit(x[:, np.newaxis])
    assert within(kl_divergence(x, fitted), 0.418939)


def test_estimates_may_be_negative_and_are_right_on_average():
    for n, m in ((500, 500), (2000, 500)):
        estimates = [kl_divergence(draw_normal(n, 20 + i), draw_normal(m, 220 + i)) for i in range(20)]
        assert abs(np.mean(estimates)) < 0.05
        assert min(estimates) < 0.0
    same = normal(0.3, 2.0)
    assert kl_divergence(same, same) == 0.0


def test_repeats_add_up():
    assert kl_divergence(empirical([0, 1, 2]), poisson(1)) == pytest.approx(0.132437, abs=1e-6)
    assert kl_divergence(empirical([0, 0, 1]), poisson(1)) == pytest.approx(0.363486, abs=1e-6)
    assert kl_divergence([0, 0, 1], poisson(1)) == kl_divergence(empirical([0, 0, 1]), poisson(1))
    weighted = kl_divergence([0, 1], poisson(1), sample_weight_p=[2.0, 1.0])
    assert weighted == pytest.approx(0.363486, abs=1e-6)
    x = [0, 0, 1]
    constants = [kl_divergence(x, poisson(r)) + poisson(r).logpmf(x).mean() for r in (1, 2)]
    assert constants[0] == pytest.approx(constants[1], abs=1e-12)


def test_both_optimisers_agree():
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda r: kl_divergence([0, 0, 1], poisson(r)), bounds=(0.01, 3.0), method="bounded", options={"xatol": 1e-10}
    )
    assert found.x == pytest.approx(1.0 / 3.0, abs=1e-7)


def test_forward_and_reverse_between_normals():
    def centred(covariance):
        return DensityMLE.from_parameters("multivariate_normal", mean=[0.0, 0.0], covariance=covariance)

    target, reverse, forward = centred([[1, 0.9], [0.9, 1]]), centred(np.eye(2) * 0.19), centred(np.eye(2))
    assert kl_divergence(reverse, target) == pytest.approx(0.830366, abs=1e-6)
    assert kl_divergence(target, forward) == pytest.approx(0.830366, abs=1e-6)


def test_a_correct_model_leaves_nothing_over():
    assert within(kl_divergence(draw_normal(1000, 31), norm(0, 1)), 0.0, errors=3.0)


def test_low_variance_form():
    estimate = kl_divergence(OfNoFamily(0, 1), OfNoFamily(0.2, 1), n_draws=100_000, random_state=0)
    assert within(estimate, 0.02)
    spread = np.sqrt(
        np.expm1(0.04) - 0.04
    )  # of (r - 1) - log r: r is lognormal, and has the covariance 0.04 with log r
    assert estimate.diagnostics["sd_per_draw"] < spread  # by draws from both
    alone = kl_divergence(OfNoFamily(0, 1), OnlyDensity(0.2, 1), n_draws=100_000, random_state=0)
    assert within(alone, 0.02)
    assert alone.diagnostics["control_variate"]
    assert alone.diagnostics["sd_per_draw"] == pytest.approx(spread, rel=0.02)


def test_the_control_variate_is_dropped_where_it_would_be_wrong():
    narrow = kl_divergence(uniform(1, 1), uniform(0, 4), random_state=0)
    assert narrow == pytest.approx(np.log(4.0), abs=1e-12)
    assert kl_divergence(uniform(0, 4), uniform(1, 1), random_state=0) == np.inf


def test_estimate_error_and_p_value():
    x = draw_normal(1000, 38)
    assert within(kl_divergence(x, norm(1, 2)), NORMAL_KL)
    assert permutation_test(x, norm(1, 2), random_state=0).p_value < 0.001
    assert permutation_test(x, norm(0, 1), random_state=0).p_value > 0.01


def test_many_columns_are_reported():
    x, y = draw_normal((200, 20), 42), draw_normal((200, 20), 43)
    pair = [kl_divergence(x, y, method="common_radius", standard_error=wanted) for wanted in (True, False)]
    for estimate in (*pair, entropy(x, method="knn"), cross_entropy(x, y, method="knn")):
        assert estimate.diagnostics["bias_suspected"] is True
        assert any("20 columns" in reason for reason in estimate.diagnostics["reasons"])


def test_a_common_bijection_changes_nothing():
    x, y = draw_normal(4000, 44), draw_normal(4000, 45, 1.0, 2.0)
    assert within(kl_divergence(np.exp(x), np.exp(y)), NORMAL_KL)
    shift = DensityMLE.from_parameters("multivariate_normal", mean=[3.0, 4.0], covariance=np.eye(2))
    origin = DensityMLE.from_parameters("multivariate_normal", mean=[0.0, 0.0], covariance=np.eye(2))
    assert kl_divergence(shift, origin) == pytest.approx(12.5, abs=1e-12)


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("make", [lambda z: z, lambda z: np.round(z, 1), lambda z: np.where(z > 0.0, z, -7.0)])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_value_alone_is_that_of_the_estimate(d, make, weighted):
    rng = np.random.default_rng(d)
    X, Y = make(rng.normal(size=(300, d))), np.abs(make(rng.normal(0.3, 1.2, size=(400, d))))
    pair = SamplePair(Sample(X, rng.gamma(2.0, size=300) if weighted else None, 1), Sample(Y, None, 1))
    assert common_radius_value(pair, 5) == float(sample_divergence(pair, "common_radius", 5, True).estimate)
