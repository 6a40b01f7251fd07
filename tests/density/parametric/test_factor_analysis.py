"""FactorAnalysisMLE against R's factanal, closed forms, a search over all parameters, and scikit-learn."""

import pickle
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, FactorAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DegenerateDataError, DensityMLE, FactorAnalysisMLE
from fastkl.families.solvers.curvature import derivative
from fastkl.families.solvers.uniquenesses import misfit

DATA = Path(__file__).parents[2] / "data"
IRIS = load_iris().data
ABILITY = np.genfromtxt(DATA / "ability_covariance.csv", delimiter=",", skip_header=1)[:, 1:]


def rows_with(covariance, n):
    """n rows whose covariance, with divisor n - 1, is this."""
    z = np.random.default_rng(0).normal(size=(n, len(covariance)))
    z -= z.mean(axis=0)
    own = np.linalg.cholesky(z.T @ z / (n - 1.0))
    return np.linalg.solve(own, z.T).T @ np.linalg.cholesky(covariance).T


TESTED = rows_with(ABILITY, 112)  # R's ability.cov: 112 persons
SCALES = np.sqrt(np.diag(ABILITY) * 111.0 / 112.0)


# Diagonal noise needs three columns, and more rows than these.
@parametrize_with_checks([FactorAnalysisMLE(noise="isotropic")])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# -- R's factanal(factors = q, covmat = ability.cov), as printed -----------------------------------------------------------


def test_one_factor_of_six_tests():
    model = FactorAnalysisMLE(1).fit(TESTED)
    np.testing.assert_allclose(model.noise_variance_ / SCALES**2, [0.535, 0.853, 0.748, 0.910, 0.232, 0.280], atol=5e-4)
    np.testing.assert_allclose(model.components_[0] / SCALES, [0.682, 0.384, 0.502, 0.300, 0.877, 0.849], atol=5e-4)
    found = model.test_n_components()
    assert found.statistic == pytest.approx(75.18, abs=5e-3)
    assert found.df == 9
    assert found.pvalue == pytest.approx(1.46e-12, rel=5e-3)
    assert model.converged_
    assert model.boundary_ == {}


def test_two_factors_of_six_tests():
    model = FactorAnalysisMLE(2).fit(TESTED)
    np.testing.assert_allclose(model.noise_variance_ / SCALES**2, [0.455, 0.589, 0.218, 0.769, 0.052, 0.334], atol=5e-4)
    found = model.test_n_components()
    assert (round(found.statistic, 2), found.df, round(found.pvalue, 3)) == (6.11, 4, 0.191)
    loadings, noise = model.params_["loadings"], model.noise_variance_
    products = loadings.T @ (loadings / noise[:, None])
    assert abs(products[0, 1]) < 1e-9 * products[0, 0]
    assert products[0, 0] > products[1, 1]
    assert np.all(loadings.sum(axis=0) > 0.0)


# -- maxima ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 2, 3])
def test_gradient_is_zero_and_variances_are_those_of_the_rows(q):
    model = FactorAnalysisMLE(q).fit(TESTED)
    for slope in model.gradient(TESTED).values():
        np.testing.assert_allclose(slope, 0.0, atol=1e-9)
    np.testing.assert_allclose(np.diag(model.get_covariance()), SCALES**2, rtol=1e-8)
    reference = multivariate_normal(model.mean_, model.get_covariance()).logpdf(TESTED)
    np.testing.assert_allclose(model.score_samples(TESTED), reference, rtol=1e-10)
    assert model.log_likelihood_ == pytest.approx(reference.sum(), rel=1e-12)
    assert model.n_parameters_ == 6 + 6 * q - q * (q - 1) // 2 + 6


def test_slopes_of_the_profile():
    correlation = np.corrcoef(TESTED.T)
    u = np.log([0.4, 0.5, 0.6, 0.7, 0.3, 0.2])
    expected = derivative(lambda u: misfit(correlation, 2, u)[0], u)
    np.testing.assert_allclose(misfit(correlation, 2, u)[1], expected, rtol=1e-7)


def test_a_column_without_noise():
    """Iris, one factor: petal length is the factor. The limit is the regression on it, and no search does better."""
    model = FactorAnalysisMLE(1).fit(IRIS)
    assert list(model.boundary_) == ["noise_variance"]
    assert "in column 2:" in model.boundary_["noise_variance"]
    assert model.noise_variance_[2] == 0.0
    assert set(model.standard_errors_) == {"mean"}
    x = IRIS[:, 2]
    slopes = np.cov(IRIS.T, bias=True)[2] / x.var()
    residuals = np.delete(IRIS - IRIS.mean(axis=0) - np.outer(x - x.mean(), slopes), 2, axis=1)
    variances = np.append(residuals.var(axis=0), x.var())
    closed = -0.5 * np.sum(np.log(2.0 * np.pi * variances) + 1.0) * len(IRIS)
    assert model.log_likelihood_ == pytest.approx(closed, rel=1e-12)
    np.testing.assert_allclose(model.components_[0], slopes * x.std(), rtol=1e-10)
    np.testing.assert_allclose(model.transform(IRIS)[:, 0], (x - x.mean()) / x.std(), rtol=1e-9)
    covariance = np.cov(IRIS.T, bias=True)

    def loss(theta):
        model = np.outer(theta[:4], theta[:4]) + np.diag(np.exp(theta[4:]))
        return 0.5 * (
            np.linalg.slogdet(model)[1] + np.trace(np.linalg.solve(model, covariance)) + 4.0 * np.log(2.0 * np.pi)
        )

    for start in range(3):
        theta = np.random.default_rng(start).normal(size=8)
        found = -len(IRIS) * minimize(loss, theta, method="L-BFGS-B", options={"maxiter": 5000, "ftol": 1e-15}).fun
        assert found <= model.log_likelihood_ + 1e-6


def test_as_scikit_learn_where_it_gets_there():
    X = TESTED / SCALES
    theirs = FactorAnalysis(2, tol=1e-12, max_iter=20_000, svd_method="lapack").fit(X)
    ours = FactorAnalysisMLE(2).fit(X)
    assert ours.score(X) == pytest.approx(theirs.score(X), abs=1e-7)
    assert ours.score(X) >= theirs.score(X) - 1e-12
    np.testing.assert_allclose(ours.get_covariance(), theirs.get_covariance(), atol=1e-4)


def test_isotropic_noise_is_probabilistic_pca():
    """In closed form: the noise is the mean of the smallest eigenvalues (Tipping and Bishop 1999)."""
    model = FactorAnalysisMLE(2, noise="isotropic").fit(IRIS)
    values = np.linalg.eigvalsh(np.cov(IRIS.T, bias=True))
    assert model.noise_variance_ == pytest.approx(values[:2].mean(), rel=1e-10)
    sizes = np.sum(model.components_**2, axis=1)
    np.testing.assert_allclose(sizes, values[:1:-1] - values[:2].mean(), rtol=1e-10)
    assert model.score(IRIS) == pytest.approx(PCA(2).fit(IRIS).score(IRIS), abs=1e-4)  # which divides by n - 1
    # the noise is one variance of (d - q) n independent squares
    assert model.standard_errors_["noise_variance"] == pytest.approx(values[:2].mean() * np.sqrt(1.0 / 150.0), rel=1e-6)
    assert model.n_parameters_ == 4 + 7 + 1


def test_standard_errors_where_rotation_plays_no_part():
    """The noise variances' from the pseudo-inverse of the information, whose null space is that of rotations."""
    model = FactorAnalysisMLE(2).fit(TESTED)
    covariance = np.cov(TESTED.T, bias=True)

    def loss(theta):
        sigma = theta[:12].reshape(6, 2) @ theta[:12].reshape(6, 2).T + np.diag(theta[12:])
        return 56.0 * (np.linalg.slogdet(sigma)[1] + np.trace(np.linalg.solve(sigma, covariance)))

    theta = np.append(model.params_["loadings"].ravel(), model.noise_variance_)
    second = derivative(lambda at: derivative(loss, at), theta)
    inverse = np.linalg.pinv(second, rcond=1e-7)
    np.testing.assert_allclose(model.standard_errors_["noise_variance"], np.sqrt(np.diag(inverse)[12:]), rtol=1e-4)
    np.testing.assert_allclose(model.standard_errors_["mean"], SCALES / np.sqrt(112.0), rtol=1e-7)


# -- a density like others -------------------------------------------------------------------------------------------------


def test_posterior_of_the_factors():
    model = FactorAnalysisMLE(2).fit(TESTED)
    loadings, noise = model.params_["loadings"], model.noise_variance_
    precision = np.eye(2) + loadings.T @ (loadings / noise[:, None])
    np.testing.assert_allclose(model.factor_covariance_, np.linalg.inv(precision), rtol=1e-9, atol=1e-14)
    expected = (TESTED - model.mean_) / noise @ loadings @ np.linalg.inv(precision)
    np.testing.assert_allclose(model.transform(TESTED), expected, rtol=1e-8, atol=1e-10)
    assert make_pipeline(StandardScaler(), FactorAnalysisMLE(2)).fit_transform(TESTED).shape == (112, 2)
    np.testing.assert_array_equal(model.covariance(), model.get_covariance())
    np.testing.assert_array_equal(model.mode(), model.mean())
    table = model.summary().to_frame()
    assert "loading 1" in set(table["parameter"])
    draws = model.sample(100_000, random_state=0)
    np.testing.assert_allclose(np.cov(draws.T), model.get_covariance(), rtol=0.05, atol=1.0)


def test_chunks_batches_weights_and_files(tmp_path):
    weights = np.random.default_rng(0).integers(0, 4, len(TESTED))
    model = FactorAnalysisMLE(2).fit(np.repeat(TESTED, weights, axis=0))
    others = [
        FactorAnalysisMLE(2).fit(TESTED, sample_weight=weights),
        FactorAnalysisMLE(2).partial_fit(TESTED[:50], sample_weight=weights[:50]).partial_fit(
            TESTED[50:], sample_weight=weights[50:]
        ),
        FactorAnalysisMLE(2).fit_batches([(TESTED[:30], weights[:30]), (TESTED[30:], weights[30:])]),
        pickle.loads(pickle.dumps(model)),
    ]  # fmt: skip
    model.save(tmp_path / "model")
    others.append(fastkl.load(tmp_path / "model"))
    for other in others:
        assert other.log_likelihood_ == pytest.approx(model.log_likelihood_, rel=1e-12)
        np.testing.assert_allclose(other.params_["loadings"], model.params_["loadings"], rtol=1e-6)
        assert other.test_n_components().statistic == pytest.approx(model.test_n_components().statistic, rel=1e-8)


def test_no_unit_and_far_from_zero():
    model = FactorAnalysisMLE(2).fit(TESTED)
    scales = np.array([1e-6, 1.0, 1e6, 2.0, 3.0, 1e3])
    other = FactorAnalysisMLE(2).fit(1e5 * scales + scales * TESTED)
    np.testing.assert_allclose(other.noise_variance_, scales**2 * model.noise_variance_, rtol=1e-5)
    assert other.log_likelihood_ == pytest.approx(model.log_likelihood_ - 112.0 * np.log(scales).sum(), rel=1e-8)


@pytest.mark.parametrize(
    ("model", "rows", "message"),
    [
        (FactorAnalysisMLE(0), TESTED, "at least 1"),
        (FactorAnalysisMLE(4), TESTED, "at most 3 can be told apart"),
        (FactorAnalysisMLE(12), TESTED, "at most 3 can be told apart"),  # where (d - q)² is above d + q again
        (FactorAnalysisMLE(6, noise="isotropic"), TESTED, "at most 5"),
        (FactorAnalysisMLE(noise="spherical"), TESTED, "'diagonal' or 'isotropic'"),
        (FactorAnalysisMLE(1), TESTED[:4], "singular"),
        (FactorAnalysisMLE(5, noise="isotropic"), TESTED[:3], "no noise is left"),
    ],
)
def test_what_has_no_maximum(model, rows, message):
    with pytest.raises((ValueError, DegenerateDataError), match=message):
        model.fit(rows)


def test_no_test_without_degrees_of_freedom():
    with pytest.raises(ValueError, match="degrees of freedom"):
        FactorAnalysisMLE(3).fit(TESTED).test_n_components()
    with pytest.raises(AttributeError, match="needs a fit"):
        FactorAnalysisMLE.from_parameters(np.zeros(3), np.ones((3, 1)), np.ones(3)).test_n_components()


def test_a_saturated_model_is_the_normal_distribution():
    """Three factors of six columns have as many parameters as a covariance: at most its likelihood, and nearly that here."""
    gap = DensityMLE().fit(TESTED).log_likelihood_ - FactorAnalysisMLE(3).fit(TESTED).log_likelihood_
    assert -1e-8 < gap < 0.1


def test_a_covariance_without_full_rank_is_said_with_advice_that_works():
    """Few rows, or columns that others determine; one noise variance for all is the mean of the other eigenvalues of either."""
    rng = np.random.default_rng(0)
    few, dependent = rng.normal(size=(20, 40)), rng.normal(size=(300, 40))
    dependent[:, -1] = dependent[:, 0] + dependent[:, 1]
    with pytest.raises(
        DegenerateDataError, match=r"no more rows than columns \(here only n_samples=20 rows\)"
    ) as caught:
        FactorAnalysisMLE(1).fit(few)
    with pytest.raises(DegenerateDataError, match=r"column 39 is a linear .* in all rows \(n_samples=300\)") as other:
        FactorAnalysisMLE(1).fit(dependent)
    assert "no more rows" not in str(other.value)
    for error in (caught, other):
        assert "noise='isotropic'" in str(error.value)
        assert not any(word in str(error.value) for word in ("prior", "covariance_type", "shrinkage"))
    for rows in (few, dependent):
        found = FactorAnalysisMLE(1, noise="isotropic").fit(rows).noise_variance_
        values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))
        assert found == pytest.approx(values[:-1].mean(), rel=1e-10)
    for name in ("multivariate_normal", "multivariate_t"):
        with pytest.raises(DegenerateDataError, match=r"to rounding, in all rows"):
            DensityMLE(name).fit(np.column_stack([few[:, :3], 2.0 * few[:, 0]]))


def em_of_factors(S, q, rng, maps=20_000):
    """Covariance of a factor model by EM (D. Rubin, D. Thayer 1982) from a random start: another way to a maximum."""
    d = len(S)
    loadings, noise = rng.normal(size=(d, q)) * 0.5, rng.uniform(0.2, 1.0, d) * np.diag(S)
    for _ in range(maps):
        weights = np.linalg.solve(loadings @ loadings.T + np.diag(noise), loadings).T
        second = np.eye(q) - weights @ loadings + weights @ S @ weights.T
        loadings = S @ weights.T @ np.linalg.inv(second)
        noise = np.diag(S - loadings @ weights @ S).copy()
    return loadings @ loadings.T + np.diag(noise)


@pytest.mark.parametrize("seed", [114, 119, 128])
def test_as_high_as_em_from_random_starts(seed):
    """Three factors where two made the rows: several maxima, each with a column next to no noise."""
    r, p = np.random.default_rng(seed), 7
    Y = r.normal(size=(60, 2)) @ r.normal(size=(2, p)) + r.normal(size=(60, p)) * r.uniform(0.3, 1.5, p)
    S = np.cov(Y.T, bias=True)

    def log_likelihood(M):
        return -30.0 * (p * np.log(2.0 * np.pi) + np.linalg.slogdet(M)[1] + np.trace(np.linalg.solve(M, S)))

    reached = max(log_likelihood(em_of_factors(S, 3, np.random.default_rng(start), 2000)) for start in range(8))
    assert FactorAnalysisMLE(3).fit(Y).log_likelihood_ >= reached
