"""Rows of the theory that the guide tells and no other test holds: every number from a closed form, scipy or quadrature."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fastkl import (
    DensityMLE,
    categorical_entropy,
    categorical_kl,
    cross_entropy,
    discrete_cross_entropy,
    discrete_entropy,
    discrete_kl,
    entropy,
    families,
    jeffreys,
    jensen_shannon,
    kl_divergence,
)


def law(family, **params):
    return DensityMLE.from_parameters(family, **params)


class TwoHumps:
    """Half N(-3, 1), half N(3, 1), written by hand."""

    def logpdf(self, x):
        return np.logaddexp(stats.norm.logpdf(x, -3.0, 1.0), stats.norm.logpdf(x, 3.0, 1.0)) - np.log(2.0)

    def rvs(self, size, random_state):
        return random_state.normal(random_state.choice([-3.0, 3.0], size), 1.0)


class TestDirections:
    def test_forward_covers_both_modes(self):
        """Row 2.14: the fit to the law (as masses on a grid) is N(0, 10), and KL 0.461995 is left over."""
        x = np.linspace(-14.0, 14.0, 20_001)
        model = DensityMLE("normal").fit(x[:, None], sample_weight=np.exp(TwoHumps().logpdf(x)))
        np.testing.assert_allclose(model.params_["loc"], 0.0, atol=1e-12)
        np.testing.assert_allclose(model.params_["scale"] ** 2, 10.0, rtol=1e-10)
        estimate = kl_divergence(TwoHumps(), model, random_state=0)
        assert abs(estimate - 0.461995) < 4.0 * estimate.standard_error

    def test_reverse_sits_on_one_mode(self):
        """Row 2.14: KL(model, data) is 0.688769 at mean 2.984306, sd 1.023369, and 0.937980 at the forward fit."""
        for loc, scale, want in ((2.984306, 1.023369, 0.688769), (0.0, np.sqrt(10.0), 0.937980)):
            estimate = kl_divergence(law("normal", loc=loc, scale=scale), TwoHumps(), random_state=1)
            assert abs(estimate - want) < 4.0 * estimate.standard_error
            assert estimate.standard_error < 0.01

    @pytest.mark.parametrize("sign", [1.0, -1.0])
    def test_reverse_is_an_objective(self, sign):
        """Row 2.14: on draws with one seed it can be minimised, and ends on the mode that it starts near."""

        def objective(at):
            return float(kl_divergence(law("normal", loc=at[0], scale=np.exp(at[1])), TwoHumps(), random_state=2))

        found = optimize.minimize(objective, [sign * 2.0, 0.3], method="Nelder-Mead", options={"xatol": 1e-5}).x
        np.testing.assert_allclose([found[0], np.exp(found[1])], [sign * 2.984306, 1.023369], atol=0.02)

    def test_symmetric_relatives(self):
        """Row 1.3: Jeffreys is the sum of both orders; Jensen-Shannon is the same in both and at most log 2."""
        p, q = law("normal", loc=0.0, scale=1.0), law("normal", loc=1.0, scale=2.0)
        assert float(jeffreys(p, q)) == pytest.approx(0.443147 + 1.306853, abs=1e-6)

        def half(a, b):
            def integrand(x):
                mixture = np.logaddexp(a.logpdf(x), b.logpdf(x)) - np.log(2.0)
                return a.pdf(x) * (a.logpdf(x) - mixture)

            return 0.5 * integrate.quad(integrand, -25.0, 25.0, limit=200)[0]

        truth = half(stats.norm(0, 1), stats.norm(1, 2)) + half(stats.norm(1, 2), stats.norm(0, 1))
        for pair in ((p, q), (q, p)):
            estimate = jensen_shannon(*pair, random_state=3)
            assert abs(estimate - truth) < 4.0 * estimate.standard_error
        assert float(jensen_shannon(stats.uniform(0, 1), stats.uniform(5, 1))) == pytest.approx(np.log(2.0), abs=1e-12)


class TestProjections:
    @pytest.mark.parametrize(
        ("family", "scale", "left"),
        [("exponential", 2.0, 0.115932), ("normal", np.sqrt(2.0), 0.188296)],
    )
    def test_a_law_outside_the_family(self, family, scale, left):
        """Rows 2.13 and 4.4: gamma(2, 1) as masses on a grid: what is fitted, and the KL divergence that is left over."""
        x = np.linspace(0.0, 60.0, 200_001)[1:]
        weights = stats.gamma.pdf(x, 2.0)
        model = DensityMLE(family).fit(x[:, None], sample_weight=weights)
        np.testing.assert_allclose(model.params_["scale"], scale, rtol=1e-6)
        rest = -model.score(x[:, None], sample_weight=weights) - stats.gamma(2.0).entropy()
        assert rest == pytest.approx(left, abs=1e-6)
        exact = kl_divergence(law("gamma", shape=2.0, scale=1.0), model, random_state=0)
        assert abs(exact - left) <= 4.0 * exact.standard_error + 5e-7

    def test_robust_errors_of_a_wrong_family(self):
        """Rows 1.7 and 2.13: the mean of gamma(2, 1) rows has the standard error sqrt(2 / n), not 2 / sqrt(n)."""
        n = 20_000
        X = law("gamma", shape=2.0, scale=1.0).sample(n, random_state=0)
        model = DensityMLE("exponential").fit(X)
        np.testing.assert_allclose(model.robust_standard_errors(X)["scale"], np.sqrt(2.0 / n), rtol=0.03)
        np.testing.assert_allclose(model.standard_errors_["scale"], 2.0 / np.sqrt(n), rtol=0.03)


CONTINUOUS = [n for n in families.names() if not (families.by_name(n).discrete or families.by_name(n).joint)]


class TestOneArgminForEveryFamily:
    """Row 4.12: on one sample, KL and minus the score differ by a number that does not depend on the parameters."""

    @pytest.mark.parametrize("name", CONTINUOUS)
    def test_densities(self, name):
        family, params = families.by_name(name).examples()[0]
        p = law(type(family)(), **{key: np.ravel(value)[:1] for key, value in params.items()})
        X, other = p.sample(200, random_state=1), p.sample(100, random_state=2)
        inside = (other >= X.min()) & (other <= X.max())
        models = [DensityMLE(name).fit(X), DensityMLE(name).fit(np.r_[X, other[inside[:, 0]]])]
        divergences = [float(m.kl_divergence(X, route="density", standard_error=False)) for m in models]
        assert models[0].score(X) >= models[1].score(X)
        assert divergences[0] + models[0].score(X) == pytest.approx(divergences[1] + models[1].score(X), abs=1e-10)

    @pytest.mark.parametrize("name", [n for n in families.names() if families.by_name(n).discrete])
    def test_discrete_laws(self, name):
        """There the number is minus the entropy of the frequencies."""
        family, params = families.by_name(name).examples()[0]
        p = law(family, **params)
        X = p.sample(300, random_state=3)
        _, counts = np.unique(X, axis=0, return_counts=True)
        own = -np.sum(counts / 300 * np.log(counts / 300))
        for model in (p, DensityMLE(type(family)()).fit(X)):
            if np.isfinite(model.score(X)):
                assert float(kl_divergence(X, model)) + model.score(X) == pytest.approx(-own, abs=1e-11)


class TestExactLaws:
    def test_cross_entropy_is_at_least_the_entropy(self):
        """Rows 2.2 and 3.7, for probability vectors down to zeros, and the unit (row 3.6)."""
        rng = np.random.default_rng(7)
        p, q = (rng.dirichlet(np.full(6, 0.3), size=200) for _ in range(2))
        p[:, 0], p[:, 1] = 0.0, p[:, 0] + p[:, 1]
        gap = discrete_cross_entropy(p, q) - discrete_entropy(p)
        assert (gap > 0.0).all()
        np.testing.assert_allclose(gap, discrete_kl(p, q), rtol=1e-9)
        np.testing.assert_allclose(gap, stats.entropy(p, q, axis=1), rtol=1e-9)
        assert float(discrete_entropy([0.5, 0.5])) / np.log(2.0) == 1.0

    def test_processing_never_increases_a_divergence(self):
        """Merging symbols, adding noise (a channel) and dropping a column lower it; relabelling keeps it."""
        rng = np.random.default_rng(8)
        p, q = (rng.dirichlet(np.ones(8), size=300) for _ in range(2))
        whole = discrete_kl(p, q)
        merged = discrete_kl(p.reshape(300, 4, 2).sum(axis=2), q.reshape(300, 4, 2).sum(axis=2))
        channel = rng.dirichlet(np.ones(5), size=8)
        assert (merged < whole).all()
        assert (discrete_kl(p @ channel, q @ channel) < whole).all()
        order = rng.permutation(8)
        np.testing.assert_allclose(discrete_kl(p[:, order], q[:, order]), whole, rtol=1e-12)
        a = law("multivariate_normal", mean=[0.0, 0.0], covariance=[[1.0, 0.5], [0.5, 2.0]])
        b = law("multivariate_normal", mean=[1.0, -1.0], covariance=[[2.0, -0.3], [-0.3, 1.0]])
        for j in (0, 1):
            margins = (
                law("normal", loc=m.params_["mean"][j], scale=np.sqrt(m.params_["covariance"][j, j])) for m in (a, b)
            )
            assert kl_divergence(*margins) < kl_divergence(a, b)

    def test_a_common_bijection_and_independent_columns(self):
        """Row 4.11 exactly: a pair of log-normal laws is its pair of normal laws; columns add up."""
        logs = [law("lognormal", meanlog=m, sdlog=s) for m, s in ((0.0, 1.0), (1.0, 2.0))]
        assert float(kl_divergence(*logs)) == pytest.approx(0.443147, abs=5e-7)
        two = [law("normal", loc=[m, -m], scale=[s, s]) for m, s in ((0.0, 1.0), (1.0, 2.0))]
        assert float(kl_divergence(*two)) == pytest.approx(2 * 0.443147, abs=1e-6)

    def test_entropy_of_a_density_has_a_unit(self):
        """From metres to millimetres: log 1000 more, and negative for a narrow law; the divergence stays."""
        p, q = law("gamma", shape=2.0, scale=0.01), law("gamma", shape=3.0, scale=0.02)
        big = law("gamma", shape=2.0, scale=10.0), law("gamma", shape=3.0, scale=20.0)
        assert float(entropy(p)) < 0.0
        assert float(entropy(big[0]) - entropy(p)) == pytest.approx(np.log(1000.0), abs=1e-12)
        assert float(kl_divergence(*big)) == pytest.approx(float(kl_divergence(p, q)), rel=1e-12)

    def test_nearby_laws_differ_by_half_the_information(self):
        """KL(p_t, p_(t+h)) = h' I h / 2 + O(h^3), with I the inverse of n times the covariance of the estimates."""
        X = law("gamma", shape=2.0, scale=3.0).sample(200_000, random_state=9)
        model = DensityMLE("gamma").fit(X)
        information = np.linalg.inv(model.covariance_of_params_) / len(X)
        step = 1e-3 * np.array([1.0, -0.7])
        moved = law("gamma", shape=model.params_["shape"] + step[0], scale=model.params_["scale"] + step[1])
        assert float(kl_divergence(model, moved)) == pytest.approx(0.5 * step @ information @ step, rel=5e-3)


class TestModelsFromElsewhere:
    def test_classifier(self):
        """Row 2.15: the cross-entropy of labels against ``predict_proba`` is the log-loss."""
        X, labels = load_iris(return_X_y=True)
        predicted = LogisticRegression(max_iter=1000).fit(X[::2], labels[::2]).predict_proba(X[1::2])
        rows = discrete_cross_entropy(np.eye(3)[labels[1::2]], predicted)
        assert rows.mean() == pytest.approx(log_loss(labels[1::2], predicted), rel=1e-12)

    def test_objects_with_log_prob(self):
        """Row 2.17: ``log_prob`` and ``sample`` are enough, whatever library they come from."""

        class Foreign:
            def log_prob(self, x):
                return stats.norm.logpdf(np.asarray(x), 1.0, 2.0)

            def sample(self, sample_shape):
                return np.random.default_rng(10).normal(1.0, 2.0, sample_shape)

        p = law("normal", loc=0.0, scale=1.0)
        for pair, want in (((p, Foreign()), 0.443147), ((Foreign(), p), 1.306853)):
            estimate = kl_divergence(*pair, random_state=11)
            assert abs(estimate - want) < 4.0 * estimate.standard_error
        X = p.sample(1000, random_state=12)
        truth = -stats.norm.logpdf(X, 1.0, 2.0).mean()
        assert float(cross_entropy(X, Foreign())) == pytest.approx(truth, rel=1e-12)

    def test_latent_part_of_an_autoencoder(self):
        """Row 3.2: (mu^2 + s^2 - 1 - log s^2) / 2, summed over independent columns."""
        mu, s = np.array([1.0, 0.0, -2.0]), np.array([2.0, 1.0, 0.5])
        value = kl_divergence(law("normal", loc=mu, scale=s), law("normal", loc=np.zeros(3), scale=np.ones(3)))
        assert float(value) == pytest.approx(np.sum(mu**2 + s**2 - 1.0 - np.log(s**2)) / 2.0, rel=1e-14)


class TestBiasOfCounts:
    def test_frequencies_are_biased_and_the_default_is_less_so(self):
        """What the guide says of labels: the plug-in entropy is too low by about (symbols - 1) / 2n."""
        rng, truth = np.random.default_rng(13), np.log(20.0)
        samples = [rng.integers(0, 20, size=200) for _ in range(300)]
        plugin, default = (
            np.mean([categorical_entropy(x, *method) for x in samples]) - truth for method in (["plugin"], [])
        )
        assert plugin == pytest.approx(-19.0 / 400.0, abs=0.005)
        assert abs(default) < 0.2 * abs(plugin)

    def test_symbols_that_the_reference_lacks(self):
        """Row 0.6 and the choices that the guide names."""
        p, q = ["a", "b", "b"], ["b", "b"]
        assert categorical_kl(p, q) == np.inf
        assert np.isfinite(categorical_kl(p, q, unseen="estimate"))
        assert np.isfinite(categorical_kl(p, q, unseen="smooth"))
        with pytest.raises(ValueError, match="a"):
            categorical_kl(p, q, unseen="raise")
