"""Distribution functions and quantiles of mixtures, against sums in mpmath and roots by scipy."""

import mpmath
import numpy as np
import pytest
from scipy import stats
from scipy.optimize import brentq
from sklearn.preprocessing import StandardScaler

from fastkl import DensityMLE, GoodnessDisplay, MixtureMLE, TransformedDensity, families

WEIGHTS = np.array([0.3, 0.7])
NORMAL = MixtureMLE.from_parameters("normal", weights=WEIGHTS, loc=[[-1.0], [4.0]], scale=[[0.5], [2.0]])


def test_tails_of_normal_components():
    x = np.array([[-45.0], [-8.0], [-1.0], [0.3], [4.0], [20.0], [80.0]])
    parts = [stats.norm(-1.0, 0.5), stats.norm(4.0, 2.0)]
    np.testing.assert_allclose(
        NORMAL.cdf(x), sum(w * p.cdf(x) for w, p in zip(WEIGHTS, parts, strict=True)), rtol=1e-12
    )
    upper = sum(w * p.sf(x) for w, p in zip(WEIGHTS, parts, strict=True))  # scipy gives 0 below 1e-308
    np.testing.assert_allclose(NORMAL.sf(x), upper, rtol=1e-12, atol=1e-307)
    with mpmath.workdps(60):
        for row, below, above in zip(x[:, 0], NORMAL.log_cdf(x)[:, 0], NORMAL.log_sf(x)[:, 0], strict=True):
            both = [(mpmath.mpf(0.3), (row + 1.0) / 0.5), (mpmath.mpf(0.7), (row - 4.0) / 2.0)]
            total = sum(w for w, _ in both)
            lower = sum(w * mpmath.ncdf(z) for w, z in both) / total
            upper = sum(w * mpmath.ncdf(-z) for w, z in both) / total
            assert below == pytest.approx(float(mpmath.log(lower)), rel=1e-12)
            assert above == pytest.approx(float(mpmath.log(upper)), rel=1e-12)


def test_quantiles():
    q = np.array([1e-300, 1e-12, 0.05, 0.29999, 0.3, 0.5, 0.99, 1.0 - 1e-12])
    found = NORMAL.quantile(q)
    assert found.shape == (8, 1)
    np.testing.assert_allclose(NORMAL.log_cdf(found)[:, 0], np.log(q), rtol=1e-12, atol=1e-15)
    for share, x in zip(q[2:7], found[2:7, 0], strict=True):
        exact = brentq(
            lambda v, share=share: 0.3 * stats.norm.cdf(v, -1.0, 0.5) + 0.7 * stats.norm.cdf(v, 4.0, 2.0) - share,
            -20.0,
            20.0,
            xtol=1e-15,
        )
        assert x == pytest.approx(exact, rel=1e-11)
    np.testing.assert_allclose(NORMAL.log_sf(NORMAL.quantile(q, upper=True))[:, 0], np.log(q), rtol=1e-12, atol=1e-15)
    assert NORMAL.quantile([0.0, 1.0]).ravel().tolist() == [-np.inf, np.inf]


def test_columns_and_kinds_of_components():
    two = MixtureMLE.from_parameters(
        "gamma", weights=[0.4, 0.6], shape=[[2.0, 3.0], [5.0, 0.5]], scale=[[1.0, 2.0], [0.1, 4.0]]
    )
    x = np.array([[0.5, 0.1], [3.0, 9.0]])
    expected = 0.4 * stats.gamma([2.0, 3.0], scale=[1.0, 2.0]).cdf(x) + 0.6 * stats.gamma(
        [5.0, 0.5], scale=[0.1, 4.0]
    ).cdf(x)
    np.testing.assert_allclose(two.cdf(x), expected, rtol=1e-12)
    by_column = [two.marginal(j).quantile([0.25, 0.9])[:, 0] for j in (0, 1)]
    np.testing.assert_allclose(two.quantile([0.25, 0.9]), np.column_stack(by_column), rtol=1e-14)
    assert two.quantile(0.0).tolist() == [0.0, 0.0]
    counts = MixtureMLE.from_parameters("poisson", weights=[0.5, 0.5], rate=[[1.0], [9.0]])
    k = np.arange(20.0)[:, None]
    exact = 0.5 * stats.poisson(1.0).cdf(k) + 0.5 * stats.poisson(9.0).cdf(k)
    np.testing.assert_allclose(counts.cdf(k), exact, rtol=1e-12)
    for share in (0.1, 0.5, 0.77, 0.999):
        assert counts.quantile(share)[0] == np.argmax(exact[:, 0] >= share)
    ends = MixtureMLE.from_parameters(
        [families.Uniform(), families.Uniform()], weights=[0.5, 0.5], low=[[0.0], [2.0]], high=[[1.0], [3.0]]
    )
    assert ends.quantile([0.0, 0.25, 0.75, 1.0]).ravel() == pytest.approx([0.0, 0.5, 2.5, 3.0], rel=1e-14)
    # level from 1 to 2: the least number there
    for upper in (False, True):
        assert ends.quantile(0.5, upper=upper)[0] == pytest.approx(1.0, rel=1e-14)


def test_one_column_of_multivariate_normal_components():
    X = np.r_[np.random.default_rng(0).normal(size=200), np.random.default_rng(1).normal(6.0, 2.0, 100)][:, None]
    model = MixtureMLE(2, random_state=0).fit(X)
    weights, means = model.params_["weights"], model.params_["mean"][:, 0]
    scales = np.sqrt(model.params_["covariance"][:, 0, 0])
    expected = sum(w * stats.norm(m, s).cdf(X) for w, m, s in zip(weights, means, scales, strict=True))
    np.testing.assert_allclose(model.cdf(X), expected, rtol=1e-12)
    display = GoodnessDisplay.from_estimator(model, X, kind="pp", plot=False)
    assert np.abs(display.data.probabilities - display.data.shares).max() < 0.05
    scaled = TransformedDensity(StandardScaler(), MixtureMLE(2, random_state=0)).fit(X)
    np.testing.assert_allclose(scaled.cdf(X), model.cdf(X), rtol=1e-6)


def test_joint_components_have_what_each_of_them_has():
    matrices = np.array([np.eye(2), [[1.0, 0.5], [0.5, 2.0]]])
    pair = MixtureMLE.from_parameters(weights=WEIGHTS, mean=[[0.0, 0.0], [1.0, 1.0]], covariance=matrices)
    x = np.array([[0.0, 0.0], [0.7, -0.4], [3.0, 1.0]])
    parts = [stats.multivariate_normal([k, k], matrices[k]) for k in range(2)]
    expected = sum(w * p.cdf(x) for w, p in zip(WEIGHTS, parts, strict=True))
    np.testing.assert_allclose(pair.cdf(x), expected, atol=2e-5)
    np.testing.assert_allclose(pair.log_cdf(x), np.log(expected), atol=1e-4)
    with pytest.raises(AttributeError, match="has no sf"):
        pair.sf(x)
    counts = np.array([[3.0, 7.0], [10.0, 0.0]])
    trials = {"probabilities": [[0.2, 0.8], [0.7, 0.3]], "concentration": [3.0, 8.0]}
    compound = MixtureMLE.from_parameters("beta_binomial", weights=WEIGHTS, **trials)
    own = [stats.betabinom(10, 0.6, 2.4), stats.betabinom(10, 5.6, 2.4)]
    upper = sum(w * p.sf(counts[:, 0]) for w, p in zip(WEIGHTS, own, strict=True))
    np.testing.assert_allclose(compound.sf(counts), upper, rtol=1e-12)
    with pytest.raises(AttributeError, match="has no quantiles"):
        pair.quantile(0.5)
    turning = MixtureMLE.from_parameters(
        "von_mises", weights=[0.5, 0.5], loc=[[0.0], [1.0]], concentration=[[1.0], [2.0]]
    )
    with pytest.raises(AttributeError, match="has no cdf"):
        turning.cdf([[0.0]])
    assert DensityMLE.from_parameters(mean=[0.0, 0.0], covariance=np.eye(2)).cdf([[0.0, 0.0]])[0] == pytest.approx(0.25)
