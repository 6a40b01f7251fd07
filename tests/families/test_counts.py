"""Univariate distributions of counts: against 50-digit arithmetic, SciPy, optimisers, and at their boundaries."""

import mpmath as mp
import numpy as np
import pytest
from scipy import optimize, stats

from fastkl import DensityMLE, families
from fastkl._core.special.gamma_differences import digamma_rise, trigamma_rise
from fastkl.exceptions import SupportError
from fastkl.families import closed_form
from tests.families.discovered import COUNTS

mp.mp.dps = 50


def log_poisson(x, rate):
    return x * mp.log(rate) - rate - mp.loggamma(x + 1)


def log_negative_binomial(x, size, mean):
    coefficient = mp.loggamma(x + size) - mp.loggamma(size) - mp.loggamma(x + 1)
    return coefficient + size * mp.log(size / (size + mean)) + x * mp.log(mean / (size + mean))


def around(mean, deviation):
    far = [mean + k * deviation for k in (-100, -10, -1, 0, 1, 10, 100)]
    return sorted({0, 1, 2, 3, 15, 16, 40, 1000, 2**31 + 5, 2**53} | {round(x) for x in far if 0 <= x < 2**53})


def assert_accurate(name, params, xs, reference):
    model = DensityMLE.from_parameters(name, **params)
    found = model.score_samples(np.array(xs, dtype=np.float64)[:, None])
    exact = {key: mp.mpf(value) for key, value in params.items()}
    for x, got in zip(xs, found, strict=True):
        want = reference(mp.mpf(x), **exact)
        assert abs(mp.mpf(got) - want) <= 1e-13 * max(abs(want), 1), (params, x, got, want)


@pytest.mark.parametrize("rate", [1e-300, 1e-3, 0.3, 7.5, 16.0, 1e5, 1e8, 1.1e12])
def test_poisson_log_density(rate):
    assert_accurate("poisson", {"rate": rate}, around(rate, np.sqrt(rate)), log_poisson)


@pytest.mark.parametrize("size", [1e-3, 0.1, 1.0, 15.9, 200.0, 1e5, 1e8])
@pytest.mark.parametrize("mean", [1e-3, 0.5, 3.0, 1e5, 1e8])
def test_negative_binomial_log_density(size, mean):
    xs = around(mean, np.sqrt(mean + mean**2 / size))
    assert_accurate("negative_binomial", {"size": size, "mean": mean}, xs, log_negative_binomial)


def test_other_log_densities():
    for p in (1e-12, 0.3, 1.0 - 1e-12):

        def geometric(x, probability):
            return mp.log(probability) + (x - 1) * mp.log(1 - probability)

        assert_accurate("geometric", {"probability": p}, [1, 2, 7, 2**40], geometric)

        def bernoulli(x, probability):
            return mp.log(probability if x else 1 - probability)

        assert_accurate("bernoulli", {"probability": p}, [0, 1], bernoulli)
    for share, rate in [(0.3, 2.0), (1e-12, 1e-9), (0.999, 500.0), (0.0, 40.0)]:

        def inflated(x, zero_probability, rate):
            poisson = mp.exp(log_poisson(x, rate))
            return mp.log((zero_probability if x == 0 else 0) + (1 - zero_probability) * poisson)

        assert_accurate("zero_inflated_poisson", {"zero_probability": share, "rate": rate}, [0, 1, 2, 50], inflated)


def test_digamma_differences():
    for a in (1e-3, 0.7, 15.0, 16.0, 40.0, 1e8):
        for h in (0.5, 1.0, 1e3):
            A, H = mp.mpf(a), mp.mpf(h)
            first = mp.digamma(A + H) - mp.digamma(A) - mp.log(1 + H / A)
            second = mp.psi(1, A + H) - mp.psi(1, A) + H / (A * (A + H))
            assert abs(digamma_rise(a, h) / first - 1) < (5e-15 if a >= 16.0 else 3e-13)
            assert abs(trigamma_rise(a, h) / second - 1) < (2e-14 if a >= 16.0 else 1e-11)


def test_integer_dtypes_and_large_counts():
    for dtype in (np.int8, np.uint16, np.int64, np.float32, bool):
        X = np.array([[0], [1], [1], [0], [1]]).astype(dtype)
        assert DensityMLE("poisson").fit(X).params_["rate"][0] == 0.6
    X = np.array([[2**31 + 10], [2**31 - 10], [2**40]])
    model = DensityMLE("poisson").fit(X)
    assert model.params_["rate"][0] == (2.0**32 + 2.0**40) / 3.0
    exact = sum(log_poisson(mp.mpf(int(x)), mp.mpf(float(model.params_["rate"][0]))) for x in X[:, 0])
    assert abs(mp.mpf(model.log_likelihood_) / exact - 1) < 1e-13
    assert np.isfinite(DensityMLE("negative_binomial").fit(X).log_likelihood_)


@pytest.mark.parametrize("name", COUNTS)
@pytest.mark.parametrize("bad", [-1.0, 0.5, 1e-300])
def test_values_that_are_no_counts(name, bad):
    X = np.ones((5000, 3))
    X[4500, 2] = bad
    with pytest.raises(SupportError, match="row 4500, column 2"):
        DensityMLE(name).fit(X)
    family = families.by_name(name)
    distribution = DensityMLE.from_parameters(name, **{key: value[:1] for key, value in family.example.items()})
    assert distribution.score_samples([[bad]])[0] == -np.inf


# -- boundaries ------------------------------------------------------------------------------------------------------------


def test_under_dispersed_counts_give_the_poisson_limit():
    X = np.array([[2], [3], [3], [4]])
    model, poisson = DensityMLE("negative_binomial").fit(X), DensityMLE("poisson").fit(X)
    assert np.isinf(model.params_["size"][0])
    assert "Poisson" in model.boundary_["size"]
    assert list(model.standard_errors_) == ["mean"]
    np.testing.assert_allclose(model.standard_errors_["mean"], poisson.standard_errors_["rate"], rtol=1e-14)
    np.testing.assert_allclose(model.log_likelihood_, poisson.log_likelihood_, rtol=1e-14)
    np.testing.assert_array_equal(model.score_samples(X), poisson.score_samples(X))
    assert model.gradient(X)["size"][0] == 0.0
    assert set(model.sample(500, random_state=0)[:, 0]) > {2, 3}


def test_one_column_at_the_boundary_and_one_inside():
    X = np.array([[2, 0], [3, 9], [3, 1], [4, 4]])
    model = DensityMLE("negative_binomial").fit(X)
    assert "column 0" in model.boundary_["size"]
    assert np.isnan(model.standard_errors_["size"][0])
    assert model.standard_errors_["size"][1] > 0.0
    assert model.param_names_ == ["size[1]", "mean[0]", "mean[1]"]


def test_barely_over_dispersed_counts():
    # variance 1 + 1e-5 above the mean 1: a size of about 1e5, to be found to all digits that the data have
    values, weights = np.arange(13.0), stats.poisson.pmf(np.arange(13), 1.0)
    weights[4] *= 1.001
    model = DensityMLE("negative_binomial").fit(values[:, None], sample_weight=1e6 * weights)
    assert model.converged_
    assert model.params_["size"][0] > 1000.0

    with mp.workdps(40):
        w, m = [mp.mpf(float(1e6 * x)) for x in weights], mp.mpf(float(model.params_["mean"][0]))

        def score(r):
            terms = [
                c * (mp.digamma(x + r) - mp.digamma(r) + mp.log(r / (r + m)) + 1 - (x + r) / (r + m))
                for x, c in enumerate(w)
            ]
            return mp.fsum(terms)

        root = mp.findroot(score, mp.mpf(float(model.params_["size"][0])))
    np.testing.assert_allclose(model.params_["size"][0], float(root), rtol=1e-9)


def test_all_zeros():
    X = np.zeros((5, 1))
    model = DensityMLE("poisson").fit(X)
    assert model.params_["rate"][0] == 0.0
    assert model.log_likelihood_ == 0.0
    assert "rate" in model.boundary_
    assert model.standard_errors_ == {}
    assert model.score_samples([[0.0], [1.0]]).tolist() == [0.0, -np.inf]


@pytest.mark.parametrize("name", ["negative_binomial", "zero_inflated_poisson"])
def test_families_around_the_poisson_distribution_treat_zeros_alike(name):
    """Columns of zeros have the Poisson distribution of rate 0, beside others; any parameters that say so can be given."""
    counts = np.random.default_rng(0).poisson(np.random.default_rng(1).gamma(0.7, 3.0, 200))
    X = np.stack([np.zeros(200), counts], axis=1)
    model, alone = DensityMLE(name).fit(X), DensityMLE(name).fit(X[:, 1:])
    mean = "mean" if name == "negative_binomial" else "rate"
    assert model.params_[mean].tolist() == [0.0, alone.params_[mean][0]]
    assert model.log_likelihood_ == pytest.approx(alone.log_likelihood_, rel=1e-14)
    assert f"All counts are 0: the {mean} is at its boundary 0" in model.boundary_[mean]
    assert "(column 0)" in model.boundary_[mean]
    assert np.isnan(model.standard_errors_[mean][0])
    assert model.standard_errors_[mean][1] == pytest.approx(alone.standard_errors_[mean][0], rel=1e-12)
    zeros = DensityMLE(name).fit(X[:, :1])
    assert zeros.log_likelihood_ == 0.0
    assert zeros.standard_errors_ == {}
    assert zeros.score_samples([[0.0], [1.0]]).tolist() == [0.0, -np.inf]
    assert zeros.gradient(X[:, :1])[mean].tolist() == [-1.0]
    assert zeros.cdf([[0.0], [-1.0]])[:, 0].tolist() == [1.0, 0.0]
    assert zeros.quantile([0.0, 0.5, 1.0])[:2, 0].tolist() == [0.0, 0.0]
    assert (zeros.mean()[0], zeros.variance()[0], zeros.mode()[0], zeros.entropy()) == (0.0, 0.0, 0.0, 0.0)
    assert not zeros.sample(20, random_state=0).any()


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("negative_binomial", {"size": 2.5, "mean": 0.0}),
        ("zero_inflated_poisson", {"zero_probability": 0.3, "rate": 0.0}),
    ],
)
def test_a_mean_of_0_can_be_given(name, others):
    law = DensityMLE.from_parameters(name, **others)
    assert law.score_samples([[0.0], [2.0]]).tolist() == [0.0, -np.inf]
    assert law.cdf([[0.0]])[0, 0] == 1.0
    assert law.entropy() == 0.0
    assert law.quantile([0.9])[0, 0] == 0.0


def test_bernoulli_and_geometric_boundaries():
    model = DensityMLE("bernoulli").fit([[1.0, 0.0], [1.0, 1.0]])
    assert model.params_["probability"].tolist() == [1.0, 0.5]
    assert "column 0" in model.boundary_["probability"]
    assert model.param_names_ == ["probability[1]"]
    model = DensityMLE("geometric").fit([[1.0], [1.0]])
    assert model.params_["probability"][0] == 1.0
    assert model.log_likelihood_ == 0.0
    assert model.standard_errors_ == {}
    assert model.score_samples([[1.0], [2.0]]).tolist() == [0.0, -np.inf]


@pytest.mark.parametrize("values", [[1, 2, 2, 3], [0, 2, 3, 1, 2, 2], [1, 1, 1, 0], [1, 1]])
def test_no_inflation(values):
    X = np.array(values)[:, None]
    model, poisson = DensityMLE("zero_inflated_poisson").fit(X), DensityMLE("poisson").fit(X)
    assert model.params_["zero_probability"][0] == 0.0
    assert list(model.standard_errors_) == ["rate"]
    assert "zero_probability" in model.boundary_
    np.testing.assert_allclose(model.params_["rate"], poisson.params_["rate"], rtol=1e-15)
    np.testing.assert_allclose(model.log_likelihood_, poisson.log_likelihood_, rtol=1e-14)


# -- maxima by an independent route ----------------------------------------------------------------------------------------


def test_negative_binomial_against_an_optimiser():
    x = np.random.default_rng(0).negative_binomial(0.6, 0.02, size=300)
    w = np.random.default_rng(1).uniform(0.0, 3.0, 300)
    model = DensityMLE("negative_binomial").fit(x[:, None], sample_weight=w)

    def loss(t):
        r, m = np.exp(t)
        return -w @ stats.nbinom.logpmf(x, r, r / (r + m))

    best = optimize.minimize(loss, np.log([1.0, 20.0]), method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-10})
    np.testing.assert_allclose(np.log([model.params_["size"][0], model.params_["mean"][0]]), best.x, atol=1e-6)
    np.testing.assert_allclose(model.log_likelihood_, -best.fun, rtol=1e-11)


@pytest.mark.parametrize("fixed", [{}, {"zero_probability": 0.1}, {"rate": 2.5}])
def test_zero_inflated_poisson_against_an_optimiser(fixed):
    rng = np.random.default_rng(2)
    x = np.where(rng.random(400) < 0.4, 0, rng.poisson(3.0, 400))
    model = DensityMLE(families.ZeroInflatedPoisson(**fixed)).fit(x[:, None])

    def loss(t):
        share, rate = fixed.get("zero_probability", t[0]), fixed.get("rate", t[1])
        p = (1.0 - share) * stats.poisson.pmf(x, rate) + np.where(x == 0, share, 0.0)
        return -np.sum(np.log(p))

    best = optimize.minimize(loss, [0.3, 2.0], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-11})
    np.testing.assert_allclose(model.log_likelihood_, -best.fun, rtol=1e-12)
    for i, name in enumerate(("zero_probability", "rate")):
        if name not in fixed:
            np.testing.assert_allclose(model.params_[name][0], best.x[i], rtol=1e-6)


def test_truncated_rate_near_one():
    from fastkl.families.zero_inflated_poisson import truncated_rate

    for mean in (1.0 + 1e-9, 1.0 + 1e-5, 1.009, 1.011, 1.3, 5.0, 1e4):
        with mp.workdps(40):
            root = mp.findroot(
                lambda r, m=mean: r / (1 - mp.exp(-r)) - mp.mpf(m), mp.mpf(float(truncated_rate(np.array(mean))))
            )
        np.testing.assert_allclose(
            truncated_rate(np.array(mean)), float(root), rtol=2e-15 * max(1.0, 1.0 / (mean - 1.0))
        )


# -- cumulative probabilities, entropy, divergence -------------------------------------------------------------------------


def test_a_rate_of_a_billion():
    distribution = DensityMLE.from_parameters("poisson", rate=1e9)
    family, own, reference = distribution.family_, distribution.params_, stats.poisson(1e9)
    # SciPy's incomplete gamma function is 2e-9 off near 1 at rates of 1e9
    p = np.array([1e-9, 0.01, 0.3, 0.5, 0.9, 0.999, 0.9999])
    k = family.quantile(p[:, None], own)[:, 0]
    np.testing.assert_array_equal(k, reference.ppf(p))
    np.testing.assert_allclose(family.cdf(k[:, None], own)[:, 0], reference.cdf(k), rtol=1e-11)
    np.testing.assert_array_equal(family.quantile(family.cdf(k[:, None], own), own)[:, 0], k)
    np.testing.assert_allclose(family.entropy(own), 0.5 * np.log(2.0 * np.pi * np.e * 1e9), rtol=1e-9)


def test_divergences_by_summation():
    pairs = [
        ("poisson", {"rate": 3.0}, {"rate": 5.0}),
        ("geometric", {"probability": 0.2}, {"probability": 0.5}),
        ("negative_binomial", {"size": 2.0, "mean": 3.0}, {"size": 2.0, "mean": 4.0}),
        ("negative_binomial", {"size": 2.0, "mean": 3.0}, {"size": 5.0, "mean": 4.0}),
        ("bernoulli", {"probability": 0.2}, {"probability": 0.5}),
    ]
    for name, p, q in pairs:
        first, second = (DensityMLE.from_parameters(name, **distribution) for distribution in (p, q))
        got = closed_form.kl(first.family_, first.params_, second.family_, second.params_)
        k = np.arange(0.0, 2.0 if name == "bernoulli" else 400.0)[:, None]
        log_p, log_q = first.score_samples(k), second.score_samples(k)
        inside = np.isfinite(log_p)
        want = np.sum(np.exp(log_p[inside]) * (log_p[inside] - log_q[inside]))
        np.testing.assert_allclose(got, want, rtol=1e-12)
        assert closed_form.kl(first.family_, first.params_, first.family_, first.params_) == 0.0


def test_small_divergence():
    family, step = families.Poisson(), (3.0 + 1e-7) - 3.0
    got = closed_form.kl(family, {"rate": np.array([3.0])}, family, {"rate": np.array([3.0 + 1e-7])})
    np.testing.assert_allclose(got, step**2 / 6.0 - step**3 / 27.0, rtol=1e-12)


def test_divergence_where_supports_do_not_fit():
    family = families.Poisson()
    assert closed_form.kl(family, {"rate": np.array([1.0])}, family, {"rate": np.array([0.0])}) == np.inf
    assert closed_form.kl(family, {"rate": np.array([0.0])}, family, {"rate": np.array([2.0])}) == 2.0
    family = families.Bernoulli()
    one, half = {"probability": np.array([1.0])}, {"probability": np.array([0.5])}
    assert closed_form.kl(family, half, family, one) == np.inf
    np.testing.assert_allclose(closed_form.kl(family, one, family, half), np.log(2.0), rtol=1e-15)


# -- the rows of theory ----------------------------------------------------------------------------------------------------


def test_three_counts():
    """Data 0, 0, 1: the rate that maximises the likelihood is 1/3."""
    model = DensityMLE("poisson").fit([[0], [0], [1]])
    np.testing.assert_allclose(model.params_["rate"], 1.0 / 3.0, rtol=1e-15)


def test_cats_and_dogs_as_a_coin():
    model = DensityMLE("bernoulli").fit([[1]] * 6 + [[0]] * 4)
    assert model.params_["probability"][0] == 0.6
    np.testing.assert_allclose(model.log_likelihood_, -6.730117, atol=5e-7)
    half = DensityMLE.from_parameters("bernoulli", probability=0.5)
    np.testing.assert_allclose(
        closed_form.kl(model.family_, model.params_, half.family_, half.params_), 0.020136, atol=5e-7
    )


@pytest.mark.parametrize("rate", [1e9, 1e103, 1e160, 1.7e308])
def test_poisson_entropy_of_large_rates(rate):
    with mp.workdps(30):
        exact = float(mp.log(2 * mp.pi * mp.e * mp.mpf(rate)) / 2 - 1 / (12 * mp.mpf(rate)))
    assert DensityMLE.from_parameters("poisson", rate=rate).entropy() == pytest.approx(exact, rel=1e-14)
