"""Rows measured with noise: against the marginal likelihood by scipy, its maximum by BFGS, and limits without noise."""

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import minimize
from scipy.special import logsumexp

from fastkl import DensityMLE, MixtureMLE, families, load

MEANS = np.array([[3.0, 1.0], [-1.0, 0.0]])


@pytest.fixture(scope="module")
def sky():
    """Rows of two clusters, and of the same rows as they were measured, each with a covariance of its own."""
    rng = np.random.default_rng(0)
    z = (rng.random(150) > 0.4).astype(int)
    true = MEANS[z] + rng.normal(size=(150, 2)) @ np.array([[0.8, 0.3], [0.0, 0.5]])
    noise = rng.uniform(0.05, 0.4, size=(150, 1, 1)) * np.array([[1.0, 0.4], [0.4, 1.0]])
    measured = true + np.einsum("nij,nj->ni", np.linalg.cholesky(noise), rng.normal(size=(150, 2)))
    return true, measured, noise


@pytest.fixture(scope="module")
def model(sky):
    return MixtureMLE(2, n_init=1, random_state=0).fit(sky[1], noise_covariance=sky[2])


def joint_logs(X, noise, weights, means, covariances):
    """log(weight) + log-density of the measured rows under every component, by scipy, (n, k)."""
    columns = []
    for weight, mean, covariance in zip(weights, means, covariances, strict=True):
        logs = [stats.multivariate_normal(mean, covariance + s).logpdf(x) for x, s in zip(X, noise, strict=True)]
        columns.append(np.log(weight) + np.array(logs))
    return np.stack(columns, axis=1)


def test_scores_are_marginal(sky, model):
    _, X, noise = sky
    logs = joint_logs(X, noise, *(model.params_[name] for name in ("weights", "mean", "covariance")))
    evidence = logsumexp(logs, axis=1)
    np.testing.assert_allclose(model.score_samples(X, noise_covariance=noise), evidence, rtol=1e-11)
    np.testing.assert_allclose(
        model.predict_proba(X, noise_covariance=noise), np.exp(logs - evidence[:, None]), atol=1e-11
    )
    assert model.log_likelihood_ == pytest.approx(evidence.sum(), rel=1e-12)
    assert model.log_likelihood(X, noise_covariance=noise) == pytest.approx(evidence.sum(), rel=1e-12)
    expected = model.n_parameters_ * np.log(len(X)) - 2.0 * evidence.sum()
    assert model.bic(X, noise_covariance=noise) == pytest.approx(expected, rel=1e-12)
    shares = np.exp(logs - evidence[:, None])
    clusters = expected - 2.0 * np.sum(shares * (logs - evidence[:, None]))
    assert model.icl(X, noise_covariance=noise) == pytest.approx(clusters, rel=1e-12)
    akaike = 2.0 * model.n_parameters_ - 2.0 * evidence.sum()
    assert model.aic(X, noise_covariance=noise) == pytest.approx(akaike, rel=1e-12)
    assert model.score(X) != pytest.approx(evidence.mean(), rel=1e-3)  # of noise-free rows


def test_maximum_is_that_of_the_marginal_likelihood(sky, model):
    """No step of a general optimiser from there is uphill, and from elsewhere it climbs to the same place."""
    _, X, noise = sky

    def minus(u):
        lower = np.zeros((2, 2, 2))
        lower[:, 0, 0], lower[:, 1, 0], lower[:, 1, 1] = np.exp(u[5:7]), u[7:9], np.exp(u[9:11])
        total = np.einsum("kij,klj->kil", lower, lower)[:, None] + noise  # (k, n, 2, 2)
        shift = X - u[1:5].reshape(2, 1, 2)
        square = np.einsum("kni,knij,knj->kn", shift, np.linalg.inv(total), shift)
        logs = -0.5 * (square + np.linalg.slogdet(total)[1]) - np.log(2.0 * np.pi)
        weights = -np.logaddexp(0.0, [-u[0], u[0]])
        return -logsumexp(logs + weights[:, None], axis=0).sum()

    start = np.concatenate([[0.0], MEANS[::-1].ravel() + 0.3, [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
    found = minimize(minus, start, method="BFGS", options={"gtol": 1e-6})
    assert model.converged_
    assert model.log_likelihood_ == pytest.approx(-found.fun, abs=1e-6)
    np.testing.assert_allclose(model.params_["mean"].ravel(), found.x[1:5], atol=1e-4)
    gap = MixtureMLE(2, init=model.params_, max_iter=1000).fit(X, noise_covariance=noise)
    assert gap.log_likelihood_ >= model.log_likelihood_ - 1e-9


def test_noise_is_taken_off():
    """Clusters of variance 0.25 behind noise of three times that."""
    rng = np.random.default_rng(0)
    true = np.where(rng.random((800, 1)) < 0.4, 2.0, -2.0) + 0.5 * rng.normal(size=(800, 2))
    noise = rng.uniform(0.05, 1.5, size=(800, 2))
    X = true + np.sqrt(noise) * rng.normal(size=(800, 2))
    begin = {"weights": [0.6, 0.4], "mean": [[-1.0, -1.0], [1.0, 1.0]], "covariance": [np.eye(2), np.eye(2)]}
    plain, model = MixtureMLE(2, init=begin).fit(X), MixtureMLE(2, init=begin).fit(X, noise_covariance=noise)
    for k in range(2):
        assert np.all(np.diag(plain.params_["covariance"][k]) > 0.85)
        np.testing.assert_allclose(np.diag(model.params_["covariance"][k]), 0.25, atol=0.12)
    assert np.mean((model.denoise(X, noise) - true) ** 2) < 0.3 * np.mean((X - true) ** 2)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical", "tied"])
def test_no_noise_changes_nothing(sky, kind):
    X = sky[1]
    plain = MixtureMLE(2, family=families.MultivariateNormal(kind), n_init=1, random_state=0).fit(X)
    again = MixtureMLE(2, family=families.MultivariateNormal(kind), init=plain.params_)
    again.fit(X, noise_covariance=np.zeros_like(X))
    assert again.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-12)
    for name, value in plain.params_.items():
        np.testing.assert_allclose(again.params_[name], value, atol=1e-6)


def test_one_component_and_one_noise_in_closed_form(sky):
    """With the same noise for all rows, the covariance is that of the rows less the noise."""
    X, noise = sky[1], np.array([[0.2, 0.05], [0.05, 0.1]])
    model = MixtureMLE(1).fit(X, noise_covariance=noise)
    plain = DensityMLE().fit(X)
    np.testing.assert_allclose(model.params_["mean"][0], plain.params_["mean"], rtol=1e-8)
    np.testing.assert_allclose(model.params_["covariance"][0], plain.params_["covariance"] - noise, atol=1e-7)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, abs=1e-9)


def test_every_form_of_noise_is_the_same(sky, model):
    X = sky[1]
    variances = np.random.default_rng(1).uniform(0.0, 1.0, X.shape)
    matrices = np.stack([np.diag(one) for one in variances])
    np.testing.assert_allclose(
        model.score_samples(X, noise_covariance=variances),
        model.score_samples(X, noise_covariance=matrices),
        rtol=1e-13,
    )
    of_all = np.array([[0.3, 0.1], [0.1, 0.4]])
    np.testing.assert_allclose(
        model.score_samples(X, noise_covariance=of_all),
        model.score_samples(X, noise_covariance=np.broadcast_to(of_all, (len(X), 2, 2))),
        rtol=1e-13,
    )


def test_weights_and_units(sky, model):
    _, X, noise = sky
    counts = np.random.default_rng(0).integers(1, 4, len(X)) * (np.arange(len(X)) % 10 > 0)
    options = {"init": model.params_, "standard_errors": False}
    weighted = MixtureMLE(2, **options).fit(X, sample_weight=counts, noise_covariance=noise)
    repeated = MixtureMLE(2, **options).fit(X.repeat(counts, axis=0), noise_covariance=noise.repeat(counts, axis=0))
    assert weighted.log_likelihood_ == pytest.approx(repeated.log_likelihood_, rel=1e-11)
    unit = np.array([1e6, 1e-5])
    begin = model.params_
    begin = begin | {"mean": begin["mean"] * unit, "covariance": begin["covariance"] * np.outer(unit, unit)}
    moved = MixtureMLE(2, init=begin).fit(X * unit, noise_covariance=noise * np.outer(unit, unit))
    assert moved.log_likelihood_ == pytest.approx(model.log_likelihood_ - len(X) * np.log(10.0), abs=1e-7)


def test_what_is_wrong_is_said(sky, model):
    _, X, noise = sky

    def fails(match, given, X=X, family="multivariate_normal"):
        with pytest.raises(ValueError, match=match):
            MixtureMLE(2, family=family, n_init=1).fit(X, noise_covariance=given)

    fails(r"shape \(3, 2\)", noise[:3, 0])
    fails("one matrix for all rows or variances", noise[0], X[:2])
    fails("components of the family multivariate_normal", noise, family="normal")
    bad = noise.copy()
    bad[7] = [[1.0, 3.0], [3.0, 1.0]]
    fails("of row 7 is not a symmetric positive", bad)
    fails("of row 3 is not variances", np.where(np.arange(len(X))[:, None] == 3, -1.0, 0.5 * np.ones_like(X)))
    fails("of all rows", np.array([[1.0, 0.0], [0.5, 1.0]]))
    gaps = X.copy()
    gaps[4, 1] = np.nan
    fails("missing values or noise_covariance", noise, gaps)
    with pytest.raises(ValueError, match="components of the family"):
        MixtureMLE.from_parameters("normal", weights=[1.0], loc=[[0.0]], scale=[[1.0]]).score_samples(
            [[0.0]], noise_covariance=[[[1.0]]]
        )
    with pytest.raises(TypeError, match="not None"):
        MixtureMLE.from_parameters(weights=[1.0], mean=[[0.0]], covariance=[[[1.0]]]).denoise([[0.0]], None)


@pytest.mark.parametrize("form", [lambda noise: noise, lambda noise: np.tile(np.diag(noise), (200, 1))])
def test_noise_that_leaves_nothing_of_a_covariance_is_named(form):
    rng = np.random.default_rng(0)
    X = np.array([[0.0, 0.0], [6.0, 1.0]])[rng.integers(2, size=200)] + rng.normal(size=(200, 2))
    fit = MixtureMLE(2, n_init=1, random_state=0).fit(X, noise_covariance=form(1.5 * np.eye(2)))
    assert fit.boundary_["covariance"].count("the noise explains the whole spread") == 2
    assert not MixtureMLE(2, n_init=1, random_state=0).fit(X, noise_covariance=form(0.2 * np.eye(2))).boundary_


def test_what_takes_the_rows_again_without_their_noise_is_refused(tmp_path):
    """It was of another fit without a word: an interval of the bootstrap lay beside the estimate."""
    rng = np.random.default_rng(9)
    X = np.concatenate([rng.normal(0.0, 1.0, (150, 1)), rng.normal(6.0, 1.0, (150, 1))]) + rng.normal(size=(300, 1))
    fitted = MixtureMLE(2, random_state=0).fit(X, noise_covariance=np.ones((300, 1)))
    fitted.save(tmp_path / "mixture")
    for model in (fitted, load(tmp_path / "mixture")):
        calls = [
            lambda model=model: model.robust_standard_errors(X),
            lambda model=model: model.confidence_intervals(robust=True, X=X),
            lambda model=model: model.bootstrap(X),
            lambda model=model: model.tic(X),
            lambda model=model: model.goodness_of_fit(X, n_bootstrap=9),
        ]
        for call in calls:
            with pytest.raises(ValueError, match="fitted to rows measured with noise"):
                call()
        assert np.isfinite(model.standard_errors_["mean"]).all()
        model.confidence_intervals()
