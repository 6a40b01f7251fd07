"""What holds for every pair of distributions: inequalities, invariance, additivity, and the local quadratic form."""

import numpy as np
import pytest
from scipy import stats

from fastkl import DensityMLE, discrete_cross_entropy, discrete_entropy, discrete_kl, entropy, kl_divergence


def known(family, **params):
    return DensityMLE.from_parameters(family, **params)


class TestExactValues:
    def test_cross_entropy_is_at_least_the_entropy(self):
        """For probability vectors down to zeros; and the unit."""
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
        a = known("multivariate_normal", mean=[0.0, 0.0], covariance=[[1.0, 0.5], [0.5, 2.0]])
        b = known("multivariate_normal", mean=[1.0, -1.0], covariance=[[2.0, -0.3], [-0.3, 1.0]])
        for j in (0, 1):
            margins = (
                known("normal", loc=m.params_["mean"][j], scale=np.sqrt(m.params_["covariance"][j, j])) for m in (a, b)
            )
            assert kl_divergence(*margins) < kl_divergence(a, b)

    def test_a_common_bijection_and_independent_columns(self):
        """A pair of log-normal distributions is its pair of normal distributions; columns add up."""
        logs = [known("lognormal", meanlog=m, sdlog=s) for m, s in ((0.0, 1.0), (1.0, 2.0))]
        assert float(kl_divergence(*logs)) == pytest.approx(0.443147, abs=5e-7)
        two = [known("normal", loc=[m, -m], scale=[s, s]) for m, s in ((0.0, 1.0), (1.0, 2.0))]
        assert float(kl_divergence(*two)) == pytest.approx(2 * 0.443147, abs=1e-6)

    def test_entropy_of_a_density_has_a_unit(self):
        """From metres to millimetres: log 1000 more, and negative for a narrow distribution; the divergence stays."""
        p, q = known("gamma", shape=2.0, scale=0.01), known("gamma", shape=3.0, scale=0.02)
        big = known("gamma", shape=2.0, scale=10.0), known("gamma", shape=3.0, scale=20.0)
        assert float(entropy(p)) < 0.0
        assert float(entropy(big[0]) - entropy(p)) == pytest.approx(np.log(1000.0), abs=1e-12)
        assert float(kl_divergence(*big)) == pytest.approx(float(kl_divergence(p, q)), rel=1e-12)

    def test_neighbours_differ_by_half_the_information(self):
        """KL(p_t, p_(t+h)) = h' I h / 2 + O(h^3), with I the inverse of n times the covariance of the estimates."""
        X = known("gamma", shape=2.0, scale=3.0).sample(200_000, random_state=9)
        model = DensityMLE("gamma").fit(X)
        information = np.linalg.inv(model.covariance_of_params_) / len(X)
        step = 1e-3 * np.array([1.0, -0.7])
        moved = known("gamma", shape=model.params_["shape"] + step[0], scale=model.params_["scale"] + step[1])
        assert float(kl_divergence(model, moved)) == pytest.approx(0.5 * step @ information @ step, rel=5e-3)
