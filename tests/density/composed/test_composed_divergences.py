"""Divergences of densities that are made of others, against closed forms."""

import numpy as np
import pytest
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from fastkl import DensityMLE, ProductDensity, TransformedDensity, cross_entropy, entropy, kl_divergence


def normal(loc, scale):
    return DensityMLE.from_parameters("normal", loc=loc, scale=scale)


def lognormal(loc, scale):
    return TransformedDensity.from_fitted(FunctionTransformer(np.log), normal(loc, scale))


def test_divergence_is_invariant_under_a_common_bijection():
    """exp of both variables leaves KL(N(0,1), N(1,4)) = log 2 - 1/4, and the reverse 2 - log 2, as they are; entropies move."""
    for p, q, value in (
        (lognormal(0, 1), lognormal(1, 2), np.log(2.0) - 0.25),
        (lognormal(1, 2), lognormal(0, 1), 2.0 - np.log(2.0)),
    ):
        assert float(kl_divergence(p, q)) == pytest.approx(value, rel=1e-13)
    # the entropy of exp(Z) is that of Z plus the mean of Z, the mean log abs det
    for loc, scale, value in ((0, 1, 1.418939), (1, 2, 1.418939 + np.log(2) + 1)):
        estimate = entropy(lognormal(loc, scale), random_state=0)
        assert abs(estimate - value) < 4 * estimate.standard_error


def test_kl_and_cross_entropy_rank_transformers_alike():
    """Differences of KL(data distribution, model) are differences of cross-entropy, so the best score is the least divergence."""
    rows, fresh = (np.random.default_rng(seed).lognormal(0.3, 0.8, size=(4000, 1)) for seed in (0, 1))
    models = [
        TransformedDensity(t, DensityMLE("normal")).fit(rows) for t in (StandardScaler(), FunctionTransformer(np.log))
    ]
    divergences = [model.kl_divergence(fresh) for model in models]
    scores = [model.score(fresh) for model in models]
    # the entropy estimate is the same up to rounding: it is taken in coordinates that the model chooses, and moved back
    assert divergences[0] - divergences[1] == pytest.approx(scores[1] - scores[0], abs=1e-9)
    assert abs(divergences[1]) < 4 * divergences[1].standard_error
    # the best normal distribution for a lognormal one: log(sd) + log(2 pi e) / 2 - entropy
    m, s = 0.3, 0.8
    spread = np.sqrt((np.exp(s**2) - 1) * np.exp(2 * m + s**2))
    left = np.log(spread) + 1.418939 - (m + np.log(s) + 1.418939)
    assert abs(divergences[0] - left) < 4 * divergences[0].standard_error


def test_divergence_of_independent_columns_is_a_sum():
    """KL(N(1,4), N(0,1)) = 1.306853 for each of three columns, however they are grouped."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(500, 3))
    rows = (rows - rows.mean(axis=0)) / rows.std(axis=0)
    groups = [("one", DensityMLE("normal"), [1]), ("two", DensityMLE("normal"), [0, 2])]
    p, q = ProductDensity(groups).fit(1 + 2 * rows), ProductDensity(groups).fit(rows)
    assert float(kl_divergence(p, q)) == pytest.approx(3 * 1.306853, abs=1e-5)
    assert float(cross_entropy(p, q)) - float(entropy(p)) == pytest.approx(float(kl_divergence(p, q)), rel=1e-12)
    assert float(kl_divergence(p, p)) == 0.0


def test_the_nearest_product_has_the_margins():
    """Forward KL: bivariate normal with correlation 0.9, product of normals with variances 1, 0.830366 = -log(1 - 0.81) / 2."""
    known = DensityMLE.from_parameters(mean=[0.0, 0.0], covariance=[[1.0, 0.9], [0.9, 1.0]])
    product = ProductDensity([("x", DensityMLE("normal"), [0]), ("y", DensityMLE("normal"), [1])])
    product.fit(known.sample(100_000, random_state=0))
    for name in "xy":
        assert product.params_[name]["scale"][0] == pytest.approx(1.0, abs=0.01)
    estimate = kl_divergence(known, product, random_state=1)
    assert abs(estimate - 0.830366) < 4 * estimate.standard_error + 1e-4


def test_log_likelihood_is_a_sum_over_rows_and_columns():
    rows = np.array([[0.0, 2.0], [1.0, 0.0], [3.0, 4.0]])
    product = ProductDensity([("x", DensityMLE("normal"), [0]), ("k", DensityMLE("poisson"), [1])]).fit(rows)
    # values 0, 1, 3: -4.919565; counts 2, 0, 4 with rate 2: 6 log 2 - 6 - log 2 - log 24
    expected = -4.919565 + 6 * np.log(2) - 6 - np.log(48)
    assert product.log_likelihood_ == pytest.approx(expected, abs=1e-6)
    assert product.log_likelihood(rows[:2]) + product.log_likelihood(rows[2:]) == pytest.approx(expected, abs=1e-6)
