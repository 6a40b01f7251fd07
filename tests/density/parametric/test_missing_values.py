"""Normal densities and their mixtures on rows with missing values: published tables, closed forms, and EM in plain numpy."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from scipy.optimize import approx_fprime
from sklearn.base import clone
from sklearn.datasets import load_iris

import fastkl
from fastkl import DensityMLE, MixtureMLE, families
from fastkl.exceptions import DegenerateDataError, MissingValueError

DATA = Path(__file__).parents[2] / "data"
NAN = np.nan


def table(name, *columns):
    found = np.genfromtxt(DATA / f"{name}.csv", delimiter=",", names=True)
    return np.stack([found[column] for column in columns], axis=1)


def rows_with_gaps(n=400, d=4, share=0.25, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.5 * rng.normal(size=(d, d))) + np.arange(d)
    X[rng.random((n, d)) < share] = NAN
    return X[~np.isnan(X).all(axis=1)]


def plain_log_density(X, mean, covariance):
    """What is known of each row, by scipy."""
    found = np.zeros(len(X))
    for i, row in enumerate(X):
        known = ~np.isnan(row)
        if known.any():
            at = np.ix_(known, known)
            found[i] = stats.multivariate_normal.logpdf(row[known], mean[known], covariance[at])
    return found


def plain_em(X, mean, covariance, maps):
    """EM in plain numpy, grouped by which columns are known: the slow twin."""
    d = X.shape[1]
    for _ in range(maps):
        first, second = np.zeros(d), np.zeros((d, d))
        for gaps in np.unique(np.isnan(X), axis=0):
            own = X[(np.isnan(X) == gaps).all(axis=1)]
            known, unknown = np.flatnonzero(~gaps), np.flatnonzero(gaps)
            inverse = np.linalg.inv(covariance[np.ix_(known, known)])
            filled = own - mean
            filled[:, unknown] = filled[:, known] @ inverse @ covariance[np.ix_(known, unknown)]
            first += filled.sum(axis=0)
            second += filled.T @ filled
            rest = covariance[np.ix_(unknown, known)] @ inverse @ covariance[np.ix_(known, unknown)]
            second[np.ix_(unknown, unknown)] += len(own) * (covariance[np.ix_(unknown, unknown)] - rest)
        shift = first / len(X)
        mean, covariance = mean + shift, second / len(X) - np.outer(shift, shift)
    return mean, covariance


def monotone_maximum(X, blocks):
    """The maximum where columns in later blocks are known only in rows that know the earlier ones: one regression a block."""
    mean, covariance, done = np.empty(X.shape[1]), np.empty((X.shape[1],) * 2), []
    for block in blocks:
        own = X[~np.isnan(X[:, block]).any(axis=1)]
        design = np.column_stack([np.ones(len(own)), own[:, done]])
        slopes, *_ = np.linalg.lstsq(design, own[:, block], rcond=None)
        rest = own[:, block] - design @ slopes
        mean[block] = slopes[0] + mean[done] @ slopes[1:]
        cross = covariance[np.ix_(done, done)] @ slopes[1:]
        covariance[np.ix_(done, block)], covariance[np.ix_(block, done)] = cross, cross.T
        covariance[np.ix_(block, block)] = rest.T @ rest / len(own) + slopes[1:].T @ cross
        done = done + block
    return mean, covariance


# -- published -------------------------------------------------------------------------------------------------------------


def test_apple_crop():
    """R. Little, D. Rubin (mvnmle in R prints these)."""
    X = table("apple_crop", "size", "worms")
    model = DensityMLE(tol=1e-14).fit(X)
    mean, covariance = monotone_maximum(X, [[0], [1]])
    np.testing.assert_allclose(model.params_["mean"], mean, rtol=1e-9)
    np.testing.assert_allclose(model.params_["covariance"], covariance, rtol=1e-7)
    np.testing.assert_allclose(model.params_["mean"], [14.7222, 49.3333], atol=5e-5)
    np.testing.assert_allclose(model.params_["covariance"].ravel()[[0, 1, 3]], [89.534, -90.697, 114.695], atol=5e-4)
    assert model.log_likelihood_ == pytest.approx(plain_log_density(X, mean, covariance).sum(), abs=1e-9)
    assert model.converged_


def test_cement():
    """D. Rubin 1976; R. Little, D. Rubin, "Statistical analysis with missing data", table 7.4 prints these."""
    X = table("cement_missing", "x1", "x2", "x3", "x4", "x5")
    model = DensityMLE(tol=1e-15).fit(X)
    mean, covariance = monotone_maximum(X, [[2, 4], [0, 1], [3]])
    np.testing.assert_allclose(model.params_["mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(model.params_["covariance"], covariance, rtol=1e-5)
    np.testing.assert_allclose(model.params_["mean"], [6.655, 49.965, 11.769, 27.047, 95.423], atol=5e-4)
    np.testing.assert_allclose(
        np.diag(model.params_["covariance"]), [21.826, 238.012, 37.870, 294.183, 208.905], atol=6e-4
    )
    assert model.log_likelihood_ == pytest.approx(plain_log_density(X, mean, covariance).sum(), abs=1e-9)


# -- one normal distribution -----------------------------------------------------------------------------------------------


def test_maximum_is_that_of_plain_em():
    X = rows_with_gaps()
    model = DensityMLE(tol=1e-15).fit(X)
    mean, covariance = plain_em(X, np.nanmean(X, axis=0), np.diag(np.nanvar(X, axis=0)), 80)
    np.testing.assert_allclose(model.params_["mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(model.params_["covariance"], covariance, rtol=1e-6, atol=1e-7)
    assert model.log_likelihood_ == pytest.approx(plain_log_density(X, mean, covariance).sum(), rel=1e-12)


@pytest.mark.slow
def test_many_rows_and_patterns_against_plain_em():
    X = rows_with_gaps(100_000, 10, 0.2)
    model = DensityMLE().fit(X)
    mean, covariance = plain_em(X, np.nanmean(X, axis=0), np.diag(np.nanvar(X, axis=0)), 60)
    np.testing.assert_allclose(model.params_["mean"], mean, atol=1e-6)
    np.testing.assert_allclose(model.params_["covariance"], covariance, atol=1e-6)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_without_correlation_each_column_counts_alone(kind):
    X = rows_with_gaps()
    model = DensityMLE(families.MultivariateNormal(kind)).fit(X)
    if kind == "diag":
        np.testing.assert_allclose(model.params_["mean"], np.nanmean(X, axis=0), rtol=1e-9)
        np.testing.assert_allclose(model.params_["covariance"], np.nanvar(X, axis=0), rtol=1e-6)
    full = np.diag(np.broadcast_to(model.params_["covariance"], 4))
    expected = plain_log_density(X, model.params_["mean"], full)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-11, atol=1e-11)


def test_log_density_is_that_of_what_is_known():
    X = np.vstack([rows_with_gaps(), np.full((1, 4), NAN)])
    model = DensityMLE().fit(rows_with_gaps(seed=1, share=0.0))
    expected = plain_log_density(X, model.params_["mean"], model.params_["covariance"])
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-11, atol=1e-11)
    assert model.score_samples(X)[-1] == 0.0
    assert model.score(X) == pytest.approx(expected.mean(), rel=1e-13)
    assert float(model.score_batches([X[:100], X[100:]])) == pytest.approx(expected.mean(), rel=1e-13)


def test_gradient_is_the_slope():
    X, names = rows_with_gaps(60), ("mean", "covariance")
    mean, root = np.array([0.1, 1.0, 2.2, 2.8]), np.linalg.cholesky(np.eye(4) + 0.3)
    model = DensityMLE.from_parameters(mean=mean, covariance=root @ root.T)
    value, slopes = model.score_and_gradient(X)
    assert value == pytest.approx(model.score(X), rel=1e-13)
    by_mean = approx_fprime(mean, lambda at: plain_log_density(X, at, root @ root.T).mean(), 1e-6)
    np.testing.assert_allclose(slopes[names[0]], by_mean, atol=1e-5)
    step = np.diag([1e-6, 0.0, 0.0, 0.0]) + 1e-6 * np.eye(4)[[1, 0, 2, 3]] * np.array([1, 1, 0, 0])
    ahead = plain_log_density(X, mean, root @ root.T + step).mean()
    behind = plain_log_density(X, mean, root @ root.T - step).mean()
    assert np.sum(slopes["covariance"] * step) == pytest.approx(0.5 * (ahead - behind), rel=1e-5)


def test_errors_are_the_inverse_information():
    X = rows_with_gaps(40, 2, 0.3)
    model = DensityMLE(tol=1e-14).fit(X)
    lower = np.tril_indices(2)

    def minus(entries):
        covariance = np.zeros((2, 2))
        covariance[lower] = entries[2:]
        covariance = covariance + np.tril(covariance, -1).T
        return -plain_log_density(X, entries[:2], covariance).sum()

    at = np.concatenate([model.params_["mean"], model.params_["covariance"][lower]])
    h = 1e-4
    steps = h * np.eye(5)
    second = np.array(
        [[minus(at + a + b) - minus(at + a - b) - minus(at - a + b) + minus(at - a - b) for a in steps] for b in steps]
    ) / (4 * h * h)
    errors = np.sqrt(np.diag(np.linalg.inv(second)))
    np.testing.assert_allclose(model.standard_errors_["mean"], errors[:2], rtol=1e-5)
    np.testing.assert_allclose(model.standard_errors_["covariance"][lower], errors[2:], rtol=1e-5)
    names = model.param_names_
    assert model.covariance_of_params_.shape == (5, 5)
    assert names[:2] == ["mean[0]", "mean[1]"]


def test_weights_repeat_rows_and_threads_change_nothing():
    X = rows_with_gaps(200)
    counts = np.random.default_rng(3).integers(0, 4, size=len(X))
    weighted = DensityMLE(n_jobs=1).fit(X, sample_weight=counts)
    repeated = DensityMLE(n_jobs=2).fit(np.repeat(X, counts, axis=0))
    np.testing.assert_allclose(weighted.params_["covariance"], repeated.params_["covariance"], rtol=1e-6)
    many = rows_with_gaps(20_000, 9)
    first, second = DensityMLE(n_jobs=1).fit(many), DensityMLE(n_jobs=2).fit(many)
    assert np.array_equal(first.params_["covariance"], second.params_["covariance"])


def test_offsets_units_and_float32():
    X = rows_with_gaps(300)
    plain, far = DensityMLE(tol=1e-14).fit(X), DensityMLE(tol=1e-14).fit(X + 1e8)
    np.testing.assert_allclose(far.params_["covariance"], plain.params_["covariance"], rtol=1e-5, atol=1e-6)
    scaled = DensityMLE(tol=1e-14).fit(X * 1e-6)
    np.testing.assert_allclose(scaled.params_["covariance"] * 1e12, plain.params_["covariance"], rtol=1e-5, atol=1e-6)
    single = DensityMLE().fit(X.astype(np.float32))
    np.testing.assert_allclose(single.params_["mean"], plain.params_["mean"], rtol=1e-5)


def test_batches_and_files(tmp_path):
    X = rows_with_gaps(3000)
    X[7] = NAN
    np.save(tmp_path / "rows.npy", X)
    with pytest.warns(UserWarning, match="1 row holds no value at all"):
        whole = DensityMLE(tol=1e-14).fit(X)
    with pytest.warns(UserWarning, match="1 row holds no value at all"):
        read = DensityMLE(tol=1e-14).fit_batches(tmp_path / "rows.npy", batch_rows=700)
    np.testing.assert_allclose(read.params_["covariance"], whole.params_["covariance"], rtol=1e-6)
    np.testing.assert_allclose(read.standard_errors_["mean"], whole.standard_errors_["mean"], rtol=1e-6)
    whole.save(tmp_path / "model.npz")
    loaded = fastkl.load(tmp_path / "model.npz")
    assert np.array_equal(loaded.standard_errors_["covariance"], whole.standard_errors_["covariance"])
    assert pickle.loads(pickle.dumps(whole)).score(X) == whole.score(X)
    with pytest.raises(ValueError, match="do not add up"):
        whole.partial_fit(X[:5])
    with pytest.raises(ValueError, match="do not add up"):
        DensityMLE().fit(np.random.default_rng(0).normal(size=(50, 4))).merge(whole)


def test_priors_and_robust_errors():
    X = rows_with_gaps(300)
    model = DensityMLE(prior="default", robust_errors=True).fit(X)
    plain = DensityMLE().fit(X)
    np.testing.assert_allclose(model.params_["mean"], plain.params_["mean"], atol=0.02)
    np.testing.assert_allclose(model.standard_errors_["mean"], plain.standard_errors_["mean"], rtol=0.05)
    np.testing.assert_allclose(model.robust_standard_errors_["mean"], plain.standard_errors_["mean"], rtol=0.2)


# -- what is filled in -----------------------------------------------------------------------------------------------------


def test_impute_is_the_regression():
    model = DensityMLE.from_parameters(
        mean=[1.0, 2.0, 0.0], covariance=[[2.0, 1.0, 0.5], [1.0, 3.0, 0.2], [0.5, 0.2, 1]]
    )
    X = np.array([[3.0, NAN, NAN], [NAN, NAN, NAN], [1.0, 2.0, 3.0]])
    expected = [[3.0, 2.0 + 0.5 * 2.0, 0.25 * 2.0], [1.0, 2.0, 0.0], [1.0, 2.0, 3.0]]
    np.testing.assert_allclose(model.impute(X), expected, rtol=1e-14)
    drawn = model.impute(np.tile(X[:1], (40_000, 1)), random_state=0)
    given = model.conditional({0: 3.0})
    np.testing.assert_allclose(drawn[:, 1:].mean(axis=0), given.mean(), atol=0.03)
    np.testing.assert_allclose(np.cov(drawn[:, 1:].T), given.covariance(), atol=0.05)
    assert np.array_equal(drawn, model.impute(np.tile(X[:1], (40_000, 1)), random_state=0))


def test_impute_by_a_mixture_asks_both_components():
    model = MixtureMLE.from_parameters(
        weights=[0.5, 0.5], mean=[[0.0, -5.0], [1.0, 5.0]], covariance=[np.eye(2), np.eye(2)]
    )
    X = np.array([[0.25, NAN], [NAN, 4.0]])
    share = model.predict_proba(X)
    ahead = np.exp(-0.5 * 0.75**2)
    assert share[0, 1] == pytest.approx(ahead / (ahead + np.exp(-0.5 * 0.25**2)), rel=1e-12)
    np.testing.assert_allclose(model.impute(X), [[0.25, 5.0 * (share[0, 1] - share[0, 0])], [share[1, 1], 4.0]])
    drawn = model.impute(np.tile(X[:1], (20_000, 1)), random_state=1)[:, 1]
    assert np.mean(drawn > 0.0) == pytest.approx(share[0, 1], abs=0.02)
    assert np.mean(np.abs(np.abs(drawn) - 5.0)) == pytest.approx(np.sqrt(2.0 / np.pi), abs=0.02)


# -- mixtures --------------------------------------------------------------------------------------------------------------


def plain_mixture_map(X, weights, means, covariances):
    """One EM map of a normal mixture, row by row."""
    k, d = means.shape
    logs = np.stack(
        [np.log(w) + plain_log_density(X, m, s) for w, m, s in zip(weights, means, covariances, strict=True)]
    )
    shares = np.exp(logs - logs.max(axis=0))
    shares /= shares.sum(axis=0)
    new_means, new_covariances = np.empty((k, d)), np.empty((k, d, d))
    for c in range(k):
        first, second = np.zeros(d), np.zeros((d, d))
        for share, row in zip(shares[c], X, strict=True):
            gaps = np.isnan(row)
            slopes = covariances[c][np.ix_(gaps, ~gaps)] @ np.linalg.inv(covariances[c][np.ix_(~gaps, ~gaps)])
            filled = np.where(gaps, 0.0, row)
            filled[gaps] = means[c][gaps] + slopes @ (row[~gaps] - means[c][~gaps])
            rest = np.zeros((d, d))
            rest[np.ix_(gaps, gaps)] = covariances[c][np.ix_(gaps, gaps)] - slopes @ covariances[c][np.ix_(~gaps, gaps)]
            first += share * filled
            second += share * (np.outer(filled, filled) + rest)
        new_means[c] = first / shares[c].sum()
        new_covariances[c] = second / shares[c].sum() - np.outer(new_means[c], new_means[c])
    return shares.mean(axis=1), new_means, new_covariances


@pytest.fixture(scope="module")
def iris():
    X = load_iris().data.copy()
    X[np.random.default_rng(0).random(X.shape) < 0.15] = NAN
    return X[~np.isnan(X).all(axis=1)]


def test_mixture_is_a_fixed_point_of_plain_em(iris):
    model = MixtureMLE(2, random_state=0).fit(iris)
    assert model.converged_
    assert model.certificate_["gradient"] < 1e-5
    params = model.params_
    weights, means, covariances = plain_mixture_map(iris, params["weights"], params["mean"], params["covariance"])
    np.testing.assert_allclose(weights, params["weights"], rtol=1e-6)
    np.testing.assert_allclose(means, params["mean"], rtol=1e-6)
    np.testing.assert_allclose(covariances, params["covariance"], rtol=1e-4, atol=1e-6)
    assert np.isfinite(model.standard_errors_["mean"]).all()
    assert model.predict(iris).shape == (len(iris),)
    r = np.full((len(iris), 2), 0.5)
    assert model.elbo(iris, r) + model.posterior_divergence(iris, r) == pytest.approx(model.log_likelihood(iris))


@pytest.mark.parametrize("kind", ["tied", "diag", "spherical"])
def test_other_covariances(iris, kind):
    model = MixtureMLE(2, family=families.MultivariateNormal(kind), random_state=0).fit(iris)
    again = clone(model).set_params(init=model.params_).fit(iris)
    assert model.converged_
    assert again.log_likelihood_ == pytest.approx(model.log_likelihood_, abs=1e-8)


def test_one_component_is_one_distribution(iris):
    one, mixture = DensityMLE(tol=1e-13).fit(iris), MixtureMLE(1).fit(iris)
    assert np.array_equal(mixture.params_["covariance"][0], one.params_["covariance"])


def test_mixture_in_batches(iris):
    whole = MixtureMLE(2, random_state=0).fit(iris)
    read = MixtureMLE(2, random_state=0).fit_batches([iris[:60], iris[60:]])
    assert read.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-6)
    assert float(read.score_batches([iris[:60], iris[60:]])) == pytest.approx(whole.score(iris), abs=1e-8)


# -- bad input -------------------------------------------------------------------------------------------------------------


def test_other_families_say_where():
    for model in (DensityMLE("gamma"), DensityMLE("normal"), MixtureMLE(2, family="multivariate_t")):
        with pytest.raises(MissingValueError, match="row 1, column 0.*multivariate_normal"):
            model.fit([[1.0], [NAN], [2.0], [3.0]])
    with pytest.raises(ValueError, match="infinity: row 2, column 1"):
        DensityMLE().fit([[1.0, 2.0], [NAN, 1.0], [3.0, np.inf], [4.0, 1.0]])
    with pytest.raises(TypeError, match="normal densities"):
        DensityMLE("gamma").fit([[1.0], [2.0]]).impute([[1.0]])


def test_rows_and_columns_without_values():
    with pytest.raises(MissingValueError, match="Every value"):
        DensityMLE().fit(np.full((5, 2), NAN))
    X = np.column_stack([np.arange(5.0), np.full(5, NAN)])
    with pytest.raises(DegenerateDataError, match="Column 1 holds no value"):
        DensityMLE().fit(X)
    with pytest.raises(DegenerateDataError, match="constant"):
        DensityMLE().fit([[1.0, 2.0], [NAN, 3.0], [1.0, 4.0]])
    with pytest.raises(ValueError, match="shrinkage is for complete rows"):
        DensityMLE(families.MultivariateNormal(shrinkage="oas")).fit(rows_with_gaps())
    X = np.vstack([rows_with_gaps(50), np.full((3, 4), NAN)])
    with pytest.warns(UserWarning, match="3 rows hold no value at all"):
        model = DensityMLE().fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.log_likelihood(X) == pytest.approx(model.log_likelihood_, rel=1e-12)
