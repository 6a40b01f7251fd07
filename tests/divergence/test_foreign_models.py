"""Classifiers, objects with ``log_prob``, and the closed forms that other fields use, against independent values."""

import sys
from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from fastkl import (
    DegenerateDataError,
    DensityMLE,
    cross_entropy,
    discrete_cross_entropy,
    entropy,
    jensen_shannon,
    kl_divergence,
)


class Tensor:
    """As much of a tensor as a distribution of torch shows."""

    def __init__(self, values):
        self.values = values
        self.dtype, self.device = values.dtype, "cpu"

    def is_floating_point(self):
        return self.dtype.kind == "f"

    def detach(self):
        return self

    def cpu(self):
        return self

    def numpy(self):
        return self.values

    def double(self):
        return Tensor(self.values.astype(np.float64))

    def __getitem__(self, rows):
        return Tensor(self.values[rows])

    def __len__(self):
        return len(self.values)


@pytest.fixture
def torch_like(monkeypatch):
    """A class of a module torch that takes nothing but tensors of the type of its parameters."""
    state = {}

    def as_tensor(values, dtype=None, device=None):
        return Tensor(np.asarray(values, dtype=dtype))

    torch = SimpleNamespace(
        is_tensor=lambda value: isinstance(value, Tensor),
        as_tensor=as_tensor,
        random=SimpleNamespace(fork_rng=nullcontext),
        manual_seed=lambda seed: state.update(rng=np.random.default_rng(seed)),
    )
    monkeypatch.setitem(sys.modules, "torch", torch)

    class Normal:
        event_shape, batch_shape = (), ()

        def __init__(self, loc, scale):
            self.count = Tensor(np.array(1))
            self.loc, self.scale = (Tensor(np.float32(value)) for value in (loc, scale))

        def log_prob(self, value):
            if not isinstance(value, Tensor) or value.dtype != np.float32:
                raise ValueError("The value argument to log_prob must be a Tensor of the parameters' type")
            return Tensor(stats.norm.logpdf(value.values, self.loc.values, self.scale.values))

        def sample(self, sample_shape):
            return Tensor(state["rng"].normal(self.loc.values, self.scale.values, sample_shape))

    Normal.__module__ = "torch.distributions.normal"
    return Normal


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

    def test_a_closed_form_of_torch_in_double_precision(self, torch_like):
        def divergence(p, q):
            if p.scale.values > 5.0:
                raise NotImplementedError
            assert {one.values.dtype.name for one in (p.loc, p.scale, q.loc, q.scale)} == {"float64"}
            return 0.5 * ((p.loc.values - q.loc.values) ** 2 + 1.0) - 0.5

        sys.modules["torch"].distributions = SimpleNamespace(kl_divergence=divergence)
        exact = kl_divergence(torch_like(0.0, 1.0), torch_like(1.5, 1.0))
        assert (exact.method, float(exact)) == ("exact", 1.125)
        assert kl_divergence(torch_like(0.0, 6.0), torch_like(0.0, 6.0), random_state=0).method != "exact"

    def test_a_batch_is_no_model(self):
        batch = SimpleNamespace(log_prob=lambda x: x, batch_shape=(3,), event_shape=())
        with pytest.raises(ValueError, match=r"q is a batch of distributions, of shape \(3,\).*Independent\(q, 1\)"):
            kl_divergence(np.zeros((10, 3)), batch)

    def test_rows_outside_of_a_support_of_torch(self, torch_like):
        """Its ``log_prob`` has an error for them; the density there is 0. Rounding to single precision takes no row out."""

        class HalfNormal(torch_like):
            support = SimpleNamespace(check=lambda value: Tensor(value.values > 0.0), is_discrete=False)

            def log_prob(self, value):
                if not np.all(value.values > 0.0):
                    raise ValueError("Expected value argument to be within the support")
                return Tensor(np.log(2.0) + stats.norm.logpdf(value.values))

        x = np.random.default_rng(0).normal(size=300)
        assert kl_divergence(x, HalfNormal(0.0, 1.0)) == np.inf
        x = np.abs(x)
        x[0] = 1e-60  # 0 in single precision
        assert float(cross_entropy(x, HalfNormal(0.0, 1.0))) == pytest.approx(
            -stats.halfnorm.logpdf(x).mean(), rel=1e-6
        )

    def test_tensors_of_torch(self, torch_like):
        """Numbers go in as tensors of the parameters' type and come out as numbers; draws have the seed of the caller."""
        x = np.random.default_rng(0).normal(size=400)
        foreign = torch_like(1.0, 2.0)
        assert kl_divergence(x, foreign) == pytest.approx(kl_divergence(x, stats.norm(1.0, 2.0)), abs=0.03)
        assert float(cross_entropy(x, foreign)) == pytest.approx(-stats.norm.logpdf(x, 1.0, 2.0).mean(), rel=1e-6)
        first, again, other = (
            kl_divergence(foreign, known("normal", loc=0.0, scale=1.0), n_draws=500, random_state=seed)
            for seed in (1, 1, 2)
        )
        assert first == again != other

    def test_keys_of_jax(self, monkeypatch):
        class Random:
            PRNGKey = staticmethod(lambda seed: np.random.default_rng(seed))

        monkeypatch.setitem(sys.modules, "jax", SimpleNamespace(random=Random))

        class Foreign:
            event_shape, batch_shape, support = (), (), SimpleNamespace(is_discrete=True)

            def log_prob(self, value):
                assert np.ndim(value) == 1
                return stats.poisson.logpmf(value, 2.0)

            def sample(self, key, sample_shape=()):
                return key.poisson(2.0, sample_shape)

        estimates = [kl_divergence(Foreign(), stats.poisson(3.0), n_draws=20_000, rng=seed) for seed in (1, 1)]
        truth = 3.0 - 2.0 + 2.0 * np.log(2.0 / 3.0)
        assert estimates[0] == estimates[1]
        assert abs(estimates[0] - truth) < 4.0 * max(estimates[0].standard_error, 1e-9) + 1e-9

    def test_one_number_at_a_time(self):
        """As a distribution of skpro without index and columns takes them."""

        class Foreign:
            ndim = 0

            def log_pdf(self, x):
                return stats.norm.logpdf(float(x), 1.0, 2.0)

            def log_pmf(self, x):
                return -np.inf

            def get_tag(self, name, default):
                return "continuous"

            def sample(self, n_samples=None):
                return pd.DataFrame(np.random.default_rng(10).normal(1.0, 2.0, (n_samples, 1)))

        x = np.random.default_rng(0).normal(size=300)
        assert float(cross_entropy(x, Foreign())) == pytest.approx(-stats.norm.logpdf(x, 1.0, 2.0).mean(), rel=1e-12)
        estimate = kl_divergence(Foreign(), stats.norm(0.0, 1.0), n_draws=5000)
        assert abs(estimate - 1.306853) < 4.0 * estimate.standard_error

    def test_latent_part_of_an_autoencoder(self):
        """(mu^2 + s^2 - 1 - log s^2) / 2, summed over independent columns."""
        mu, s = np.array([1.0, 0.0, -2.0]), np.array([2.0, 1.0, 0.5])
        value = kl_divergence(known("normal", loc=mu, scale=s), known("normal", loc=np.zeros(3), scale=np.ones(3)))
        assert float(value) == pytest.approx(np.sum(mu**2 + s**2 - 1.0 - np.log(s**2)) / 2.0, rel=1e-14)


@pytest.mark.parametrize("call", [kl_divergence, jensen_shannon, lambda p, q: entropy(p)], ids=["kl", "js", "entropy"])
def test_a_normal_distribution_on_a_line_has_no_density(call):
    """scipy's log-density and entropy are then those along the line, and its divergence from others came out finite."""
    line = stats.multivariate_normal([0.0, 0.0], np.ones((2, 2)), allow_singular=True)
    with pytest.raises(DegenerateDataError, match="p is .* singular covariance, of rank 1 in 2 columns"):
        call(line, stats.multivariate_normal([0.0, 0.0], np.eye(2)))
