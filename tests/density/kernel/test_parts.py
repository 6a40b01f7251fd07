"""Marginals, conditionals, probabilities and bandwidths of each row's own, against mixtures of normal distributions."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import logsumexp
from scipy.stats import multivariate_normal, norm

import fastkl
from fastkl import KernelDensityMLE

RNG = np.random.default_rng(4)
X = RNG.normal(size=(60, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, -0.7], [0.0, 0.0, 2.0]])
W = RNG.exponential(size=60)
H = np.array([[0.5, 0.2, 0.0], [0.2, 0.4, 0.1], [0.0, 0.1, 0.9]])
BANDWIDTHS = {"number": 0.6, "columns": [0.5, 0.7, 0.4], "matrix": H}


def log_mixture(queries, centres, covariances, weights):
    """log of the weighted mean of normal densities."""
    logs = [multivariate_normal(c, s).logpdf(queries) for c, s in zip(centres, covariances, strict=True)]
    return logsumexp(np.array(logs), b=weights[:, None], axis=0) - np.log(weights.sum())


def covariance_of(bandwidth, d):
    own = np.asarray(bandwidth)
    return own if own.ndim == 2 else np.diag(np.broadcast_to(own, d) ** 2.0)


@pytest.mark.parametrize("adaptive", [False, True])
@pytest.mark.parametrize("name", BANDWIDTHS)
def test_marginals_and_conditionals(name, adaptive):
    """A conditional density is the joint one over that of what is given, at every point."""
    model = KernelDensityMLE(BANDWIDTHS[name], adaptive=adaptive).fit(X, sample_weight=W)
    local = model.local_bandwidths_ if adaptive else np.ones(60)
    covariances = covariance_of(BANDWIDTHS[name], 3) * local[:, None, None] ** 2
    np.testing.assert_allclose(model.score_samples(X), log_mixture(X, X, covariances, W), rtol=0, atol=1e-8)
    pair = model.marginal([2, 0])
    expected = log_mixture(X[:, [2, 0]], X[:, [2, 0]], covariances[:, [2, 0]][:, :, [2, 0]], W)
    np.testing.assert_allclose(pair.score_samples(X[:, [2, 0]]), expected, rtol=0, atol=1e-8)
    given = model.conditional({1: 0.4})
    rows = np.column_stack([X[:, 0], np.full(60, 0.4), X[:, 2]])
    expected = model.score_samples(rows) - model.marginal(1).score_samples([[0.4]])
    np.testing.assert_allclose(given.score_samples(rows[:, [0, 2]]), expected, rtol=0, atol=1e-8)
    alone = model.conditional({0: 0.1, 2: 8.0})
    reach = 12.0 * float(np.max(local))
    inside = quad(lambda x: np.exp(alone.score_samples([[x]])[0]), -reach, reach, points=[-3.0, 0.0, 3.0], limit=500)[0]
    assert inside == pytest.approx(1.0, abs=1e-8)
    assert not hasattr(given, "loo_log_likelihood_")


def test_conditionals_far_from_everything_go_by_the_nearest():
    model = KernelDensityMLE(0.5).fit([[0.0, 1.0], [10.0, 2.0]])
    far = model.conditional({0: 1000.0})
    assert far.references_.tolist() == [[2.0]]
    with pytest.raises(ValueError, match="The density is 0 at"):
        model.conditional({0: 1e200})


def test_probabilities_in_one_column():
    model = KernelDensityMLE(0.4).fit(X[:, :1], sample_weight=W)
    at = np.array([-30.0, -1.0, 0.3, 2.0, 30.0])
    expected = np.array([np.average(norm.cdf((x - X[:, 0]) / 0.4), weights=W) for x in at])
    np.testing.assert_allclose(model.cdf(at[:, None])[:, 0], expected, rtol=1e-12)
    logs = logsumexp(norm.logsf((30.0 - X[:, 0]) / 0.4), b=W) - np.log(W.sum())
    assert model.log_sf([[30.0]])[0, 0] == pytest.approx(logs, rel=1e-12)
    np.testing.assert_allclose(model.sf(at[:, None]) + model.cdf(at[:, None]), 1.0, rtol=1e-12)
    inside = quad(lambda x: np.exp(model.score_samples([[x]])[0]), -1.0, 2.0, limit=200)[0]
    assert float(model.cdf([[2.0]])[0, 0] - model.cdf([[-1.0]])[0, 0]) == pytest.approx(inside, abs=1e-8)


@pytest.mark.parametrize("adaptive", [False, True])
def test_quantiles_are_inverse(adaptive):
    model = KernelDensityMLE(0.4, adaptive=adaptive).fit(X[:, :1], sample_weight=W)
    q = np.array([1e-200, 1e-9, 0.1, 0.5, 0.9, 1.0 - 1e-9])
    np.testing.assert_allclose(model.cdf(model.quantile(q))[:, 0], q, rtol=1e-9)
    np.testing.assert_allclose(model.sf(model.quantile(q[:4], upper=True))[:, 0], q[:4], rtol=1e-9)
    assert model.quantile([0.0, 1.0]).ravel().tolist() == [-np.inf, np.inf]
    assert model.quantile([0.0, 1.0], upper=True).ravel().tolist() == [np.inf, -np.inf]


def test_quantiles_far_out_of_an_exponential_kernel():
    """Half of exp(-|x|) beyond x on either side, down to the smallest numbers."""
    model = KernelDensityMLE(1.0, kernel="exponential").fit([[0.0]])
    q = np.array([1e-10, 1e-30, 1e-300])
    np.testing.assert_allclose(model.quantile(q).ravel(), np.log(2.0 * q), rtol=1e-13)
    np.testing.assert_allclose(model.quantile(q, upper=True).ravel(), -np.log(2.0 * q), rtol=1e-13)


def test_joint_probabilities():
    model = KernelDensityMLE([0.5, 0.7, 0.4]).fit(X, sample_weight=W)
    found = model.cdf(X[:5])
    terms = np.prod(norm.cdf((X[:5, None] - X[None]) / [0.5, 0.7, 0.4]), axis=2)
    np.testing.assert_allclose(found, np.average(terms, axis=1, weights=W), rtol=1e-12)
    for call in (model.sf, model.quantile):
        with pytest.raises(AttributeError, match="one column"):
            call([0.5] if call == model.quantile else X)
    with pytest.raises(AttributeError, match="bandwidth matrix"):
        KernelDensityMLE(H).fit(X).cdf(X)
    with pytest.raises(AttributeError, match=r"products over columns.*not the cosine"):
        KernelDensityMLE(0.5, kernel="cosine").fit(X).marginal(0)
    with pytest.raises(ValueError, match="row 1, column 0"):
        model.cdf(np.where(np.arange(6).reshape(2, 3) == 3, np.nan, 0.0))


def test_bandwidths_of_each_row(tmp_path):
    """Abramson's: in proportion to the root of one over a pilot density; slopes, draws, files and batches follow."""
    model = KernelDensityMLE(0.6, adaptive=True).fit(X, sample_weight=W)
    pilot = KernelDensityMLE(0.6).fit(X, sample_weight=W).score_samples(X)
    expected = np.exp(-0.5 * (pilot - np.average(pilot, weights=W)))
    np.testing.assert_allclose(model.local_bandwidths_, expected, rtol=1e-8)
    step = np.array([0.0, 1e-6, 0.0])
    slope = (model.score_samples(X + step) - model.score_samples(X - step)) / 2e-6
    np.testing.assert_allclose(model.score_gradient(X)[:, 1], slope, rtol=1e-3, atol=1e-2)
    draws = model.sample(100_000, random_state=0)
    np.testing.assert_allclose(np.cov(draws.T), model.covariance(), atol=0.05 * np.max(model.variance()))
    loo = model.leave_one_out()
    rest = np.arange(60) != 7
    covariances = np.eye(3) * 0.36 * expected[:, None, None] ** 2
    assert loo[7] == pytest.approx(float(log_mixture(X[[7, 7]], X[rest], covariances[rest], W[rest])[0]), abs=1e-8)
    model.save(tmp_path / "model")
    np.testing.assert_array_equal(fastkl.load(tmp_path / "model").score_samples(X), model.score_samples(X))
    parts = KernelDensityMLE(0.6, adaptive=True).fit_batches([(X[:20], W[:20]), (X[20:], W[20:])])
    np.testing.assert_allclose(parts.score_samples(X), model.score_samples(X), rtol=1e-9)
    model.set_params(adaptive=False).fit(X)
    assert not hasattr(model, "local_bandwidths_")
    with pytest.raises(TypeError, match="adaptive is True or False"):
        KernelDensityMLE(adaptive="yes").fit(X)


def test_heavy_tails_are_better_with_bandwidths_of_each_row():
    rows = RNG.standard_t(2.0, (4000, 1))
    equal, own = (KernelDensityMLE("silverman", adaptive=a).fit(rows[:2000]) for a in (False, True))
    assert own.score(rows[2000:]) > equal.score(rows[2000:])


@pytest.mark.parametrize("kernel", ["epanechnikov", "tophat", "exponential", "linear", "cosine"])
@pytest.mark.parametrize("adaptive", [False, True])
def test_probabilities_of_other_kernels_by_quadrature(kernel, adaptive):
    """One column; kinks of the sum stand at the ends of the kernels."""
    x, w = RNG.normal(size=(12, 1)), RNG.uniform(0.5, 2.0, 12)
    model = KernelDensityMLE(0.7, kernel=kernel, adaptive=adaptive).fit(x, sample_weight=w)
    local = getattr(model, "local_bandwidths_", np.ones(12))
    kinks = np.concatenate([x.ravel() + sign * 0.7 * local for sign in (-1.0, 0.0, 1.0)])
    low = kinks.min() if kernel != "exponential" else kinks.min() - 40.0
    nodes, weights = np.polynomial.legendre.leggauss(60)
    for end in (-0.8, 0.1, 1.1):
        edges = np.unique([low, *kinks[(kinks > low) & (kinks < end)], end])
        total = sum(
            (b - a) / 2.0 * weights @ np.exp(model.score_samples(a + (b - a) * (nodes[:, None] + 1.0) / 2.0))
            for a, b in pairwise(edges)
        )
        assert model.cdf([[end]])[0, 0] == pytest.approx(total, rel=1e-9)
        assert model.sf([[end]])[0, 0] == pytest.approx(1.0 - total, rel=1e-8)
    q = np.array([1e-9, 0.05, 0.5, 0.95])
    np.testing.assert_allclose(model.cdf(model.quantile(q)).ravel(), q, rtol=1e-6)
    np.testing.assert_allclose(model.sf(model.quantile(q, upper=True)).ravel(), q, rtol=1e-6)
    if kernel != "exponential":
        assert model.log_cdf([[kinks.min() - 0.01]])[0, 0] == -np.inf
        assert model.cdf([[kinks.max() + 0.01]])[0, 0] == 1.0
    else:
        assert model.log_sf([[800.0]])[0, 0] == pytest.approx(
            model.log_sf([[790.0]])[0, 0] - 10.0 / 0.7 / local.max(), rel=1e-6
        )
    with pytest.raises(AttributeError, match="for the gaussian kernel"):
        KernelDensityMLE(0.7, kernel=kernel).fit(np.hstack([x, x + 1.0])).cdf([[0.0, 0.0]])
