"""Classifiers, objects with ``log_prob``, and the closed forms that other fields use, against independent values."""

import numpy as np
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fastkl import DensityMLE, cross_entropy, discrete_cross_entropy, kl_divergence


def known(family, **params):
    return DensityMLE.from_parameters(family, **params)


class TestModelsFromElsewhere:
    def test_classifier(self):
        """The cross-entropy of labels against ``predict_proba`` is the log-loss."""
        X, labels = load_iris(return_X_y=True)
        predicted = LogisticRegression(max_iter=1000).fit(X[::2], labels[::2]).predict_proba(X[1::2])
        rows = discrete_cross_entropy(np.eye(3)[labels[1::2]], predicted)
        assert rows.mean() == pytest.approx(log_loss(labels[1::2], predicted), rel=1e-12)

    def test_objects_with_log_prob(self):
        """``log_prob`` and ``sample`` are enough, whatever library they come from."""

        class Foreign:
            def log_prob(self, x):
                return stats.norm.logpdf(np.asarray(x), 1.0, 2.0)

            def sample(self, sample_shape):
                return np.random.default_rng(10).normal(1.0, 2.0, sample_shape)

        p = known("normal", loc=0.0, scale=1.0)
        for pair, want in (((p, Foreign()), 0.443147), ((Foreign(), p), 1.306853)):
            estimate = kl_divergence(*pair, n_draws=100_000, random_state=11)
            assert abs(estimate - want) < 4.0 * estimate.standard_error
            assert kl_divergence(*pair) == pytest.approx(want, abs=1e-6)  # by quadrature
        X = p.sample(1000, random_state=12)
        truth = -stats.norm.logpdf(X, 1.0, 2.0).mean()
        assert float(cross_entropy(X, Foreign())) == pytest.approx(truth, rel=1e-12)

    def test_latent_part_of_an_autoencoder(self):
        """(mu^2 + s^2 - 1 - log s^2) / 2, summed over independent columns."""
        mu, s = np.array([1.0, 0.0, -2.0]), np.array([2.0, 1.0, 0.5])
        value = kl_divergence(known("normal", loc=mu, scale=s), known("normal", loc=np.zeros(3), scale=np.ones(3)))
        assert float(value) == pytest.approx(np.sum(mu**2 + s**2 - 1.0 - np.log(s**2)) / 2.0, rel=1e-14)
