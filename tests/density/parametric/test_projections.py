"""What is fitted where the family is wrong: the member closest in KL divergence, and what is left over."""

import numpy as np
import pytest
from scipy import stats

from fastkl import DensityMLE, families, kl_divergence


def known(family, **params):
    return DensityMLE.from_parameters(family, **params)


class TestProjections:
    @pytest.mark.parametrize(
        ("family", "scale", "left"),
        [("exponential", 2.0, 0.115932), ("normal", np.sqrt(2.0), 0.188296)],
    )
    def test_a_distribution_outside_the_family(self, family, scale, left):
        """gamma(2, 1) as masses on a grid: what is fitted, and the KL divergence that is left over."""
        x = np.linspace(0.0, 60.0, 200_001)[1:]
        weights = stats.gamma.pdf(x, 2.0)
        model = DensityMLE(family).fit(x[:, None], sample_weight=weights)
        np.testing.assert_allclose(model.params_["scale"], scale, rtol=1e-6)
        rest = -model.score(x[:, None], sample_weight=weights) - stats.gamma(2.0).entropy()
        assert rest == pytest.approx(left, abs=1e-6)
        exact = kl_divergence(known("gamma", shape=2.0, scale=1.0), model, random_state=0)
        assert abs(exact - left) <= 4.0 * exact.standard_error + 5e-7

    def test_robust_errors_of_a_wrong_family(self):
        """The mean of gamma(2, 1) rows has the standard error sqrt(2 / n), not 2 / sqrt(n)."""
        n = 20_000
        X = known("gamma", shape=2.0, scale=1.0).sample(n, random_state=0)
        model = DensityMLE("exponential").fit(X)
        np.testing.assert_allclose(model.robust_standard_errors(X)["scale"], np.sqrt(2.0 / n), rtol=0.03)
        np.testing.assert_allclose(model.standard_errors_["scale"], 2.0 / np.sqrt(n), rtol=0.03)


CONTINUOUS = [n for n in families.names() if not (families.by_name(n).discrete or families.by_name(n).joint)]


class TestOneArgminForEveryFamily:
    """On one sample, KL and minus the score differ by a number that does not depend on the parameters."""

    @pytest.mark.parametrize("name", CONTINUOUS)
    def test_densities(self, name):
        family, params = families.by_name(name).examples()[0]
        p = known(type(family)(), **{key: np.ravel(value)[:1] for key, value in params.items()})
        X, other = p.sample(200, random_state=1), p.sample(100, random_state=2)
        inside = (other >= X.min()) & (other <= X.max())
        models = [DensityMLE(name).fit(X), DensityMLE(name).fit(np.r_[X, other[inside[:, 0]]])]
        divergences = [float(m.kl_divergence(X, route="density", standard_error=False)) for m in models]
        assert models[0].score(X) >= models[1].score(X)
        assert divergences[0] + models[0].score(X) == pytest.approx(divergences[1] + models[1].score(X), abs=1e-10)

    @pytest.mark.parametrize("name", [n for n in families.names() if families.by_name(n).discrete])
    def test_counts_and_labels(self, name):
        """There the number is minus the entropy of the frequencies."""
        family, params = families.by_name(name).examples()[0]
        p = known(family, **params)
        X = p.sample(300, random_state=3)
        _, counts = np.unique(X, axis=0, return_counts=True)
        own = -np.sum(counts / 300 * np.log(counts / 300))
        for model in (p, DensityMLE(type(family)()).fit(X)):
            if np.isfinite(model.score(X)):
                assert float(kl_divergence(X, model)) + model.score(X) == pytest.approx(-own, abs=1e-11)
