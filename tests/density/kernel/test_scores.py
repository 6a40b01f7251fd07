"""Log-densities of kernel densities against sums over all pairs and against 50 digits, far out, in many columns, with weights."""

import joblib
import mpmath
import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine

from fastkl import KernelDensityMLE
from fastkl.density.kernel.sums import kernels
from tests.density.kernel.direct import log_densities, log_density_to_fifty_digits, log_integral

KERNELS = ["gaussian", "epanechnikov", "tophat", "exponential", "linear", "cosine"]
RNG = np.random.default_rng(5)
TABLES = {
    name: load().data for name, load in
    {"wine": load_wine, "cancer": load_breast_cancer, "diabetes": load_diabetes, "digits": load_digits}.items()
}  # fmt: skip


def standardised(X):
    spread = X.std(axis=0)
    return (X - X.mean(axis=0)) / np.where(spread > 0.0, spread, 1.0)


@pytest.mark.parametrize("error", [0.0, 1e-9])
@pytest.mark.parametrize("h", [0.1, 0.3, 1.0])
@pytest.mark.parametrize("name", TABLES)
def test_tables_of_many_columns(name, h, error):
    """Where a tree that works with bounds in log space is off by hundreds of nats."""
    X = standardised(TABLES[name])
    found = KernelDensityMLE(h, error=error).fit(X).score_samples(X[::15])
    np.testing.assert_allclose(found, log_densities(X[::15], X, h), rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", ["wine", "digits"])
def test_fifty_digits(name):
    X = standardised(TABLES[name])[:150]
    h = RNG.uniform(0.1, 1.0, X.shape[1])
    found = KernelDensityMLE(h, error=0.0).fit(X).score_samples(X[:2] + 0.3)
    expected = [log_density_to_fifty_digits(x + 0.3, X, h) for x in X[:2]]
    np.testing.assert_allclose(found, expected, rtol=1e-13)


@pytest.mark.parametrize("error", [0.0, 1e-9, 1e-3])
@pytest.mark.parametrize("d", [1, 2, 3, 7, 13])
@pytest.mark.parametrize("kernel", KERNELS)
def test_kernels(kernel, d, error):
    """Clusters and scattered rows, weights, one bandwidth for each column; queries inside, between and outside."""
    references = np.concatenate([RNG.normal(size=(500, d)), RNG.normal(4.0, 0.2, (200, d)), RNG.normal(0, 9, (30, d))])
    weights = RNG.exponential(size=len(references))
    h = RNG.uniform(0.5, 1.5, d)
    X = np.concatenate([references[::5] + 0.1 * RNG.normal(size=(146, d)), RNG.normal(0, 20, (40, d))])
    model = KernelDensityMLE(h, kernel=kernel, error=error).fit(references, sample_weight=weights)
    found, expected = model.score_samples(X), log_densities(X, references, h, kernel, weights)
    np.testing.assert_array_equal(np.isfinite(found), np.isfinite(expected))
    inside = np.isfinite(expected)
    np.testing.assert_allclose(found[inside], expected[inside], rtol=1e-13, atol=error + 1e-12)
    loo = model.leave_one_out()
    expected = log_densities(references, references, h, kernel, weights, leave_one_out=True)
    inside = np.isfinite(expected)
    np.testing.assert_array_equal(np.isfinite(loo), inside)
    np.testing.assert_allclose(loo[inside], expected[inside], rtol=1e-13, atol=error + 1e-12)


@pytest.mark.parametrize("d", [1, 2, 3, 10, 40])
@pytest.mark.parametrize("kernel", KERNELS)
def test_normalisation(kernel, d):
    found = KernelDensityMLE(2.0, kernel=kernel).fit(np.zeros((1, d))).score_samples(np.zeros((1, d)))[0]
    assert found == pytest.approx(-log_integral(kernel, d) - d * np.log(2.0), rel=1e-12)


def test_known_values():
    """Direct log-sum-exp of 0, 1, 3 with bandwidth 0.7; a hundred away it is still a number."""
    model = KernelDensityMLE(0.7).fit([[0.0], [1.0], [3.0]])
    found = model.score_samples([[-1.0], [0.0], [0.5], [2.0], [10.0], [100.0]])
    expected = [-2.6355169733, -1.3529864872, -1.2217347997, -1.9649916315, -51.6608758779, -9602.6812840412]
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_bandwidth_matrix():
    H = np.array([[1.0, 0.6], [0.6, 0.5]])
    X = RNG.normal(size=(300, 2))
    for kernel in ("gaussian", "epanechnikov"):
        found = KernelDensityMLE(H, kernel=kernel).fit(X).score_samples(X[:50] + 0.2)
        root = np.linalg.cholesky(H)
        turned = np.linalg.solve(root, X.T).T
        queries = np.linalg.solve(root, (X[:50] + 0.2).T).T
        expected = log_densities(queries, turned, 1.0, kernel) - np.log(np.diag(root)).sum()
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    same = KernelDensityMLE(np.diag([0.25, 4.0])).fit(X).score_samples(X)
    np.testing.assert_allclose(same, KernelDensityMLE([0.5, 2.0]).fit(X).score_samples(X), rtol=1e-9)


def test_offsets_do_no_harm():
    """Rows about 1e8, and a cluster far from an outlier: a median is the centre."""
    X = np.round(RNG.normal(size=(400, 2)) * 1024) / 1024  # so that the offset itself rounds nothing
    plain = KernelDensityMLE(0.25).fit(X).score_samples(X)
    np.testing.assert_allclose(KernelDensityMLE(0.25).fit(X + 1e8).score_samples(X + 1e8), plain, rtol=1e-12)
    outlier = np.vstack([X, np.full((1, 2), 1e15)])
    found = KernelDensityMLE(0.25).fit(outlier).score_samples(X)
    np.testing.assert_allclose(found, plain + np.log(400 / 401), rtol=1e-9)


def test_single_precision_is_read_as_it_is():
    X = (RNG.normal(size=(300, 3)) + 100.0).astype(np.float32)
    model = KernelDensityMLE(0.3).fit(X)
    assert model.references_.dtype == np.float32
    np.testing.assert_allclose(model.score_samples(X), log_densities(X, X, 0.3), rtol=1e-9)
    assert np.all(model.references_ == X)
    X[:] = 0.0  # the density keeps rows of its own
    assert not np.all(model.references_ == 0.0)


def test_threads_change_no_bit():
    X = RNG.normal(size=(3000, 3))
    queries = RNG.normal(size=(1000, 3)) * 2
    one, two = (KernelDensityMLE(0.2, n_jobs=n).fit(X) for n in (1, 2))
    np.testing.assert_array_equal(one.score_samples(queries), two.score_samples(queries))
    np.testing.assert_array_equal(one.leave_one_out(), two.leave_one_out())
    np.testing.assert_array_equal(one.score_gradient(queries), two.score_gradient(queries))


def test_weights_are_repetitions():
    X = RNG.normal(size=(200, 2))
    w = RNG.integers(0, 4, 200)
    weighted = KernelDensityMLE(0.4).fit(X, sample_weight=w)
    repeated = KernelDensityMLE(0.4).fit(np.repeat(X, w, axis=0))
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-12)
    for rule in ("scott", "silverman"):
        a = KernelDensityMLE(rule).fit(X, sample_weight=w).bandwidth_
        np.testing.assert_allclose(a, KernelDensityMLE(rule).fit(np.repeat(X, w, axis=0)).bandwidth_, rtol=1e-13)
    assert weighted.score(X, sample_weight=w) == pytest.approx(repeated.score(np.repeat(X, w, axis=0)), rel=1e-12)
    total = weighted.log_likelihood(X, sample_weight=w)
    assert total == pytest.approx(w.sum() * weighted.score(X, sample_weight=w), rel=1e-13)


@pytest.mark.parametrize("kernel", ["gaussian", "exponential", "epanechnikov", "linear", "cosine"])
@pytest.mark.parametrize("bandwidth", ["columns", "matrix"])
def test_gradient_by_the_row(kernel, bandwidth):
    H = np.array([[1.0, 0.3], [0.3, 0.6]]) if bandwidth == "matrix" else [0.8, 1.3]
    X, queries = RNG.normal(size=(300, 2)), RNG.normal(size=(20, 2))
    model = KernelDensityMLE(H, kernel=kernel, error=0.0).fit(X, sample_weight=RNG.uniform(1, 2, 300))
    found = model.score_gradient(queries)
    for j in range(2):
        step = np.zeros(2)
        step[j] = 1e-6
        slope = (model.score_samples(queries + step) - model.score_samples(queries - step)) / 2e-6
        np.testing.assert_allclose(found[:, j], slope, rtol=1e-4, atol=1e-4 if kernel == "epanechnikov" else 1e-6)


@pytest.mark.parametrize("kernel", KERNELS)
def test_draws_and_moments(kernel):
    """Mean, covariance and the distance from the centre, of draws against what is said of them."""
    X = RNG.normal(size=(50, 3)) @ np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.2], [0.0, 0.0, 2.0]]) + 5.0
    w = RNG.exponential(size=50)
    model = KernelDensityMLE([0.5, 1.0, 2.0], kernel=kernel).fit(X, sample_weight=w)
    draws = model.sample(200_000, random_state=0)
    np.testing.assert_array_equal(draws[:1000], model.sample(200_000, random_state=0)[:1000])
    error = np.sqrt(model.variance() / len(draws))
    assert np.all(np.abs(draws.mean(axis=0) - model.mean()) < 5 * error)
    np.testing.assert_allclose(np.cov(draws.T), model.covariance(), atol=0.03 * np.max(model.variance()))
    u = kernels.KERNELS[kernel].draw(np.random.default_rng(1), 100_000, 3)
    np.testing.assert_allclose(u.var(axis=0), kernels.KERNELS[kernel].variance(3), rtol=0.03)
    # the log-density of its own draws has the mean that an integral of k log k says
    assert np.mean(u.sum(axis=1)) == pytest.approx(0.0, abs=5 * np.sqrt(3 * kernels.KERNELS[kernel].variance(3) / 1e5))


def test_variances_of_kernels():
    """By quadrature of r^2 in the weighted radius."""
    profiles = {
        "gaussian": lambda r: mpmath.exp(-r * r / 2), "exponential": lambda r: mpmath.exp(-r),
        "epanechnikov": lambda r: 1 - r * r, "tophat": lambda r: mpmath.mpf(1), "linear": lambda r: 1 - r,
        "cosine": lambda r: mpmath.cos(mpmath.pi * r / 2),
    }  # fmt: skip

    def radial(k, power, ends):
        return mpmath.quad(lambda r: k(r) * r**power, ends)

    for name, k in profiles.items():
        ends = [0, 1] if name not in ("gaussian", "exponential") else [0, 5, 50, 300]
        for d in (1, 2, 5):
            ratio = radial(k, d + 1, ends) / radial(k, d - 1, ends)
            assert kernels.KERNELS[name].variance(d) == pytest.approx(float(ratio) / d, rel=1e-10)


def test_queries_at_the_end_of_the_numbers():
    model = KernelDensityMLE(0.5).fit(RNG.normal(size=(300, 2)))
    found = model.score_samples([[1e300, 0.0], [-1e300, 1e300], [1e100, 0.0], [0.0, 0.0]])
    assert not np.isnan(found).any()
    assert np.all(np.isneginf(found[:2]))
    assert found[2] < -1e199
    assert np.isfinite(found[3])
    assert np.isfinite(model.score_gradient([[1e300, 0.0]])).all()


def test_entropy():
    """Leave-one-out of normal rows errs a little upwards; by draws it is that of the density itself."""
    X = RNG.normal(size=(3000, 1))
    model = KernelDensityMLE().fit(X)
    own = model.entropy()
    assert own.value == pytest.approx(-model.loo_log_likelihood_ / 3000, rel=1e-9)
    assert abs(own.value - 0.5 * np.log(2 * np.pi * np.e)) < 4 * own.standard_error
    drawn = model.entropy(leave_one_out=False, random_state=0, n_draws=20_000)
    assert drawn.value > own.value - 4 * drawn.standard_error
    with pytest.raises(TypeError, match="leave_one_out=False"):
        model.entropy(n_draws=10)
    assert not own.reasons
    apart = KernelDensityMLE(0.5, kernel="epanechnikov").fit([[0.0], [0.1], [0.2], [1.0]]).entropy()
    assert np.isinf(apart)
    assert "reaches row 3" in apart.reasons[0]


def test_in_a_process_of_joblib():
    X = RNG.normal(size=(500, 2))
    model = KernelDensityMLE(0.3).fit(X)
    there = joblib.Parallel(n_jobs=1)(joblib.delayed(model.score_samples)(X) for _ in range(2))
    np.testing.assert_array_equal(there[0], model.score_samples(X))


@pytest.mark.parametrize("adaptive", [False, True])
def test_one_row_has_the_digits_that_it_has_among_others(adaptive):
    X = np.random.default_rng(0).normal(size=(60, 3)) @ [[1.0, 0.4, 0.1], [0.0, 1.0, -0.3], [0.0, 0.0, 1.0]]
    model = KernelDensityMLE("likelihood_matrix", adaptive=adaptive).fit(X)
    alone = np.concatenate([model.score_samples(row[None]) for row in X])
    np.testing.assert_array_equal(alone, model.score_samples(X))
    np.testing.assert_array_equal(
        np.concatenate([model.score_gradient(row[None]) for row in X]), model.score_gradient(X)
    )
