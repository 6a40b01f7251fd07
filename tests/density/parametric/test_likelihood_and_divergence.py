"""What the likelihood estimates: every number by hand, in closed form or by an independent route, not by this library."""

import numpy as np
import pytest
from scipy import optimize, stats
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import fastkl
from fastkl import DensityMLE, cross_entropy, entropy, families, kl_divergence

THREE = np.array([[0.0], [1.0], [3.0]])
ANIMALS = np.array([["cat"]] * 6 + [["dog"]] * 4)


def normal(loc, scale):
    return DensityMLE.from_parameters("normal", loc=loc, scale=scale)


def cats(theta):
    return DensityMLE.from_parameters("categorical", probabilities=[theta, 1.0 - theta], categories=["cat", "dog"])


class TestWhatTheLikelihoodEstimates:
    def test_fit_of_three_values(self):
        """Mean 4/3, variance 14/9 (divisor n), log-likelihood -4.919565."""
        model = DensityMLE("normal").fit(THREE)
        np.testing.assert_allclose(model.params_["loc"], 4 / 3, rtol=1e-15)
        np.testing.assert_allclose(model.params_["scale"] ** 2, 14 / 9, rtol=1e-14)
        np.testing.assert_allclose(model.log_likelihood_, -4.919565, atol=5e-7)

    def test_integer_weights_are_repeated_rows(self):
        """The second moment of 0, 1, 3 is 10/3; a, a, b has masses 2/3, 1/3; weights equal repetition (3 log 4 rounds)."""
        model = DensityMLE(families.Normal(loc=0.0)).fit(THREE)
        np.testing.assert_allclose(model.params_["scale"] ** 2, 10 / 3, rtol=1e-15)
        np.testing.assert_allclose(
            DensityMLE("categorical").fit([["a"], ["a"], ["b"]]).params_["probabilities"], [[2 / 3, 1 / 3]]
        )
        for family in ("normal", "gamma"):
            weighted = DensityMLE(family).fit([[1.0], [2.0], [4.0]], sample_weight=[1, 2, 3])
            repeated = DensityMLE(family).fit([[1.0], [2.0], [2.0], [4.0], [4.0], [4.0]])
            for name in weighted.params_:
                np.testing.assert_allclose(weighted.params_[name], repeated.params_[name], rtol=1e-15)
        names = ["a", "b"]
        weighted = DensityMLE("categorical").fit([[n] for n in names], sample_weight=[2, 1])
        assert (
            weighted.params_["probabilities"].tolist()
            == DensityMLE("categorical").fit([["a"], ["a"], ["b"]]).params_["probabilities"].tolist()
        )

    def test_three_separate_numbers(self):
        """Cross-entropy 1.862086, entropy 1.418939, KL 0.443147, and each estimate within 4 errors."""
        p, q = normal(0.0, 1.0), normal(1.0, 2.0)
        np.testing.assert_allclose(cross_entropy(p, q), 1.862086, atol=5e-7)
        np.testing.assert_allclose(entropy(p), 1.418939, atol=5e-7)
        np.testing.assert_allclose(kl_divergence(p, q), 0.443147, atol=5e-7)
        X = p.sample(100_000, random_state=0)
        for estimate, truth in (
            (q.cross_entropy(X), 1.8620857),
            (entropy(X), 1.4189385),
            (q.kl_divergence(X), 0.4431472),
        ):
            assert abs(estimate - truth) < 4.0 * estimate.standard_error
            assert 0.0 < estimate.standard_error < 0.02

    def test_no_divergence_from_the_empirical_distribution_to_a_density(self):
        """An error that says why, never a finite number."""
        with pytest.raises(ValueError, match=r"(?i)empirical"):
            kl_divergence(fastkl.empirical(THREE), normal(0.0, 1.0))

    def test_identity_for_one_method_and_one_k(self):
        """KL = cross-entropy - entropy."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(500, 2)), rng.normal(1.0, 2.0, size=(400, 2))
        for k in (1, 4):
            difference = cross_entropy(x, y, method="knn", n_neighbors=k) - entropy(x, n_neighbors=k)
            np.testing.assert_allclose(kl_divergence(x, y, method="knn", n_neighbors=k), difference, atol=1e-13)
        p, q = (
            DensityMLE.from_parameters("gamma", shape=2.0, scale=1.0),
            DensityMLE.from_parameters("gamma", shape=3.0, scale=0.5),
        )
        np.testing.assert_allclose(kl_divergence(p, q), cross_entropy(p, q) - entropy(p), atol=1e-12)

    def test_score_is_the_mean(self):
        """score = mean, log_likelihood = sum, cross_entropy = -score; 1.639855 for 0, 1, 3."""
        model = DensityMLE("normal").fit(THREE)
        np.testing.assert_allclose(-model.score(THREE), 1.639855, atol=5e-7)
        np.testing.assert_allclose(model.cross_entropy(THREE), -model.score(THREE), rtol=1e-15)
        np.testing.assert_allclose(model.log_likelihood(THREE), 3.0 * model.score(THREE), rtol=1e-15)

    def test_no_nearby_parameter_is_better(self):
        """on data that are not normalthe fit maximises the score over the family."""
        X = np.random.default_rng(1).uniform(size=(500, 1))
        model = DensityMLE("normal").fit(X)
        for shift, factor in ((1e-3, 1.0), (-1e-3, 1.0), (0.0, 1.001), (0.0, 0.999)):
            other = normal(model.params_["loc"] + shift, model.params_["scale"] * factor)
            assert other.score(X) < model.score(X)


class TestTheEquivalence:
    def test_three_routes_to_one_parameter(self):
        """6 cats and 4 dogs give 0.6 by counting, by minimising KL and by minimising cross-entropy."""
        fitted = DensityMLE("categorical").fit(ANIMALS)
        assert fitted.params_["probabilities"].tolist() == [[0.6, 0.4]]
        np.testing.assert_allclose(fitted.log_likelihood_, -6.730117, atol=5e-7)
        data, h = cats(0.6), 1e-4
        for objective in (
            lambda t: kl_divergence(data, cats(t)),
            lambda t: cross_entropy(data, cats(t)),
            lambda t: kl_divergence(ANIMALS, cats(t)),
            lambda t: -cats(t).log_likelihood(ANIMALS),
        ):
            # a root of the slope is found to more digits than a minimum of the value
            slope = optimize.brentq(lambda t, f=objective: float(f(t + h)) - float(f(t - h)), 0.3, 0.8, xtol=1e-12)
            assert abs(slope - 0.6) < 1e-7
            assert abs(optimize.minimize_scalar(lambda t, f=objective: float(f(t)), bounds=(0.01, 0.99)).x - 0.6) < 1e-4
        np.testing.assert_allclose(cross_entropy(data, cats(0.6)), 0.673012, atol=5e-7)
        np.testing.assert_allclose(entropy(data), 0.673012, atol=5e-7)
        np.testing.assert_allclose(kl_divergence(data, cats(0.5)), 0.020136, atol=5e-7)
        np.testing.assert_allclose(kl_divergence(data, cats(0.7)), 0.022582, atol=5e-7)
        assert kl_divergence(data, cats(0.6)) == 0.0
        for theta in (0.2, 0.5, 0.7):
            total = entropy(data) + kl_divergence(data, cats(theta))
            np.testing.assert_allclose(cross_entropy(data, cats(theta)), total, rtol=1e-15)

    def test_order_of_the_arguments(self):
        """N(0,1) to N(1,4) 0.443147, back 1.306853."""
        p, q = normal(0.0, 1.0), normal(1.0, 2.0)
        np.testing.assert_allclose([kl_divergence(p, q), kl_divergence(q, p)], [0.443147, 1.306853], atol=5e-7)

    def test_sample_against_the_density(self):
        """10^4 draws of N(0,1) against N(5, sd 5): 1.629438 +- 0.05."""
        X = normal(0.0, 1.0).sample(10_000, random_state=0)
        assert abs(normal(5.0, 5.0).kl_divergence(X) - 1.629438) < 0.05

    def test_ranking_by_score_is_ranking_by_divergence(self):
        """On one sample, differences of KL equal differences of cross-entropy to 1e-12."""
        X = np.random.default_rng(2).gamma(2.0, size=(400, 1))
        a, b = DensityMLE("normal").fit(X), DensityMLE("gamma").fit(X)
        kl = [m.kl_divergence(X, route="density") for m in (a, b)]
        np.testing.assert_allclose(kl[0] - kl[1], b.score(X) - a.score(X), atol=1e-12)

    def test_masses(self):
        """a, a, b under (0.5, 0.5): log 2."""
        model = DensityMLE.from_parameters("categorical", probabilities=[0.5, 0.5], categories=["a", "b"])
        np.testing.assert_allclose(-model.score([["a"], ["a"], ["b"]]), np.log(2.0), rtol=1e-15)
        np.testing.assert_allclose(-model.score([["a"], ["b"]], sample_weight=[2, 1]), np.log(2.0), rtol=1e-15)

    def test_log_space(self):
        """Far points are finite, log N(100; 0, 1) = -5000.918939; the product of 1000 densities is 0 in doubles."""
        np.testing.assert_allclose(normal(0.0, 1.0).score_samples([[100.0]]), -5000.918939, atol=5e-7)
        X = np.random.default_rng(0).normal(size=(1000, 1))
        assert np.prod(np.exp(normal(0.0, 1.0).score_samples(X))) == 0.0
        assert -1.6 < normal(0.0, 1.0).score(X) < -1.2

    def test_factor_on_the_weights(self):
        """Parameters stay to 1e-12, the log-likelihood is multiplied."""
        X = np.random.default_rng(3).gamma(2.0, size=(100, 1))
        one, ten = (DensityMLE("gamma").fit(X, sample_weight=np.full(100, w)) for w in (1.0, 10.0))
        np.testing.assert_allclose(one.params_["shape"], ten.params_["shape"], rtol=1e-12)
        np.testing.assert_allclose(10.0 * one.log_likelihood_, ten.log_likelihood_, rtol=1e-12)

    def test_gradients_agree(self):
        """Gradient of KL = gradient of cross-entropy = minus the gradient of the score."""
        X = np.random.default_rng(4).normal(size=(2000, 1))
        q, h = normal(0.3, 1.4), 1e-5
        gradient = q.gradient(X)
        for name in ("loc", "scale"):
            ends = []
            for sign in (1, -1):
                moved = {key: value + sign * h * (key == name) for key, value in q.params_.items()}
                ends.append(DensityMLE.from_parameters("normal", **moved).cross_entropy(X))
            np.testing.assert_allclose(-(ends[0] - ends[1]) / (2 * h), gradient[name][0], rtol=1e-8)


class TestConsequences:
    def test_divergence_is_never_negative(self):
        """And 0 only for identical arguments."""
        rng = np.random.default_rng(5)
        for _ in range(50):
            a, b, c, d = rng.gamma(2.0, size=4)
            p, q = (DensityMLE.from_parameters("gamma", shape=s, scale=t) for s, t in ((a, b), (c, d)))
            assert kl_divergence(p, q) > 0.0
            assert kl_divergence(p, p) == 0.0

    def test_outliers_have_the_lowest_rows(self):
        """The row scores rank anomalies and add up to the log-likelihood."""
        X = np.r_[np.random.default_rng(6).normal(size=(200, 2)), [[9.0, -9.0]]]
        model = DensityMLE().fit(X)
        rows = model.score_samples(X)
        assert rows.argmin() == 200
        np.testing.assert_allclose(rows.sum(), model.log_likelihood(X), rtol=1e-12)

    @pytest.mark.slow
    def test_gap_between_training_and_fresh_rows(self):
        """Normal, n = 50: expected gap 0.04255 per row; AIC removes it to first order."""
        rng = np.random.default_rng(7)
        gaps, corrected = [], []
        known = normal(0.0, 1.0)
        for _ in range(20_000):
            X = rng.normal(size=(50, 1))
            model = DensityMLE("normal", n_jobs=1).fit(X)
            fresh = -float(cross_entropy(known, model))
            gaps.append(model.score(X) - fresh)
            corrected.append(-model.aic(X) / 100.0 - fresh)
        error = np.std(gaps) / np.sqrt(len(gaps))
        assert abs(np.mean(gaps) - 0.04255) < 4 * error
        assert abs(np.mean(corrected)) < 0.005

    def test_variational_example(self):
        """Product of normals for correlation 0.9: reverse variances 0.19, forward 1; both KL = 0.830366."""
        p = DensityMLE.from_parameters(mean=[0, 0], covariance=[[1, 0.9], [0.9, 1]])
        diag = families.MultivariateNormal("diag")
        forward = DensityMLE.from_parameters(diag, mean=[0, 0], covariance=[1.0, 1.0])
        reverse = DensityMLE.from_parameters(diag, mean=[0, 0], covariance=[0.19, 0.19])
        np.testing.assert_allclose([kl_divergence(p, forward), kl_divergence(reverse, p)], 0.830366, atol=5e-7)
        for factor in (0.9, 1.1):
            worse = DensityMLE.from_parameters(diag, mean=[0, 0], covariance=[0.19 * factor] * 2)
            assert kl_divergence(worse, p) > kl_divergence(reverse, p)

    def test_projection_on_the_normal_family(self):
        """gamma(2, 1) data, normal: mean 2, variance 2, KL 0.188296 left over (masses at quadrature nodes)."""
        nodes = (np.arange(200_000) + 0.5) / 200_000
        x = stats.gamma.ppf(nodes, 2.0)
        model = DensityMLE("normal").fit(x[:, None])
        np.testing.assert_allclose([model.params_["loc"][0], model.params_["scale"][0] ** 2], [2.0, 2.0], rtol=1e-3)
        left = -stats.gamma(2.0).entropy() - model.score(x[:, None])
        np.testing.assert_allclose(left, 0.188296, atol=2e-4)

    def test_scikit_learn(self):
        """In a pipeline and a grid search the default scorer is the mean log-likelihood."""
        X = np.random.default_rng(8).gamma(1.5, size=(300, 1))
        pipeline = make_pipeline(FunctionTransformer(), DensityMLE())
        search = GridSearchCV(pipeline, {"densitymle__family": ["normal", "gamma"]}, cv=3).fit(X)
        assert search.best_params_ == {"densitymle__family": "gamma"}
        scores = cross_val_score(DensityMLE("gamma"), X, cv=3)
        np.testing.assert_allclose(search.best_score_, scores.mean(), rtol=1e-12)

    def test_chunks_add_up(self):
        """The log-likelihood is additive over any split of the rows."""
        X = np.random.default_rng(9).normal(size=(1000, 2))
        model = DensityMLE().fit(X)
        parts = sum(model.log_likelihood(part) for part in np.split(X, [1, 400, 999]))
        np.testing.assert_allclose(parts, model.log_likelihood(X), rtol=1e-12)

    def test_draws_look_like_the_data(self):
        """Mean within 5 standard errors, KL between draws and held-out data near 0."""
        known = DensityMLE.from_parameters(mean=[1.0, -1.0], covariance=[[2.0, 0.6], [0.6, 0.5]])
        train, test = known.sample(4000, random_state=1), known.sample(2000, random_state=2)
        draws = DensityMLE().fit(train).sample(4000, random_state=3)
        errors = np.sqrt(np.diag(known.params_["covariance"]) / 4000)
        assert (np.abs(draws.mean(axis=0) - known.params_["mean"]) < 5 * errors * np.sqrt(2)).all()
        estimate = kl_divergence(test, draws)
        assert abs(estimate) < max(0.05, 3 * estimate.standard_error)

    def test_likelihood_at_given_parameters(self):
        """Normal mean 0, sd 1 on 0, 1, 3: -7.756816, without a fit."""
        np.testing.assert_allclose(normal(0.0, 1.0).log_likelihood(THREE), -7.756816, atol=5e-7)

    def test_equal_covariances(self):
        """Squared shift / (2 variance), shift (3, 4), variance 1: 12.5."""
        family = families.MultivariateNormal("spherical")
        p = DensityMLE.from_parameters(family, mean=[0, 0], covariance=1.0)
        q = DensityMLE.from_parameters(family, mean=[3, 4], covariance=1.0)
        assert kl_divergence(p, q) == 12.5
