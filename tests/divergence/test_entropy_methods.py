"""Entropy of continuous samples by weighted neighbours and split margins: closed forms, other routes, laws."""

import math

import mpmath
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import cdist
from scipy.special import digamma, gammaln

from fastkl import entropy
from fastkl.divergence.arguments import as_sample
from fastkl.divergence.entropy_estimators.entropy_methods import ENTROPY_METHODS, entropy_by_method
from fastkl.divergence.entropy_estimators.marginal_split import marginal_split_entropy
from fastkl.divergence.entropy_estimators.spacings import spacing_terms, spacings_entropy, spacings_window
from fastkl.divergence.entropy_estimators.weighted_knn import entropy_weights, weighted_knn_entropy
from fastkl.exceptions import DegenerateDataError

NORMAL = 0.5 * math.log(2 * math.pi * math.e)
METHODS = {"weighted_knn": weighted_knn_entropy, "marginal_split": marginal_split_entropy}


def plain_knn(X, k):
    """Kozachenko and Leonenko's estimate from the matrix of all distances."""
    n, d = X.shape
    distances = np.sort(cdist(X, X), axis=1)[:, k]
    return d * np.log(distances).mean() + d / 2 * math.log(math.pi) - gammaln(d / 2 + 1) + math.log(n - 1) - digamma(k)


# --- weights of the weighted estimate ----------------------------------------------------------------------------------------


@given(st.integers(1, 16), st.integers(0, 60))
def test_weights_meet_their_conditions(d, more):
    k = d + more
    w = entropy_weights(k, d)
    assert w.shape == (k,)
    assert set(np.flatnonzero(w) + 1) <= {j * k // d for j in range(1, d + 1)}
    assert w.sum() == pytest.approx(1.0, abs=1e-9 * np.linalg.norm(w))
    for power in range(1, d // 4 + 1):
        ratios = np.exp(gammaln(np.arange(1, k + 1) + 2 * power / d) - gammaln(np.arange(1, k + 1)))
        assert abs(w @ ratios) < 1e-9 * np.linalg.norm(w) * np.linalg.norm(ratios)


@pytest.mark.parametrize(("k", "d"), [(30, 4), (30, 8), (24, 12), (7, 3)])
def test_weights_have_the_least_norm(k, d):
    """The solution of the normal equations in 50 digits."""
    support = sorted({j * k // d for j in range(1, d + 1)} - {0})
    with mpmath.workdps(50):
        a = mpmath.matrix(
            [[mpmath.gamma(j + mpmath.mpf(2 * p) / d) / mpmath.gamma(j) for j in support] for p in range(d // 4 + 1)]
        )
        right = mpmath.matrix([1] + [0] * (d // 4))
        expected = [float(v) for v in a.T * mpmath.lu_solve(a * a.T, right)]
    found = entropy_weights(k, d)[np.array(support) - 1]
    assert found == pytest.approx(expected, rel=1e-8, abs=1e-8 * np.linalg.norm(expected))


def test_weights_that_cannot_be():
    for k, d in ((0, 3), (3, 0)):
        with pytest.raises(ValueError, match="at least 1"):
            entropy_weights(k, d)
    with pytest.raises(ValueError, match="take at least 8"):
        entropy_weights(2, 8)


# --- weighted nearest neighbours ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("d", "k"), [(1, 4), (2, 6), (4, 9), (6, 12)])
def test_weighted_estimate_is_the_weighted_mean_of_plain_ones(d, k):
    X = np.random.default_rng(d).standard_normal((120, d)) @ np.random.default_rng(1).standard_normal((d, d)) + 3.0
    covariance = np.cov(X.T, bias=True).reshape(d, d)
    root = np.linalg.cholesky(np.linalg.inv(covariance))
    w = entropy_weights(k, d)
    expected = sum(w[j - 1] * plain_knn(X @ root, j) for j in range(1, k + 1) if w[j - 1]) - np.linalg.slogdet(root)[1]
    found = weighted_knn_entropy(X, n_neighbors=k)
    assert found == pytest.approx(expected, abs=1e-9)
    assert found.diagnostics["n_neighbors"] == k
    assert found.diagnostics["unweighted"] == pytest.approx(
        plain_knn(X @ root, k) - np.linalg.slogdet(root)[1], abs=1e-9
    )


@pytest.mark.parametrize("d", [1, 2, 5])
def test_affine_maps_move_the_weighted_estimate_by_log_determinant(d):
    rng = np.random.default_rng(d)
    X, A = rng.standard_normal((200, d)), rng.standard_normal((d, d))
    first = weighted_knn_entropy(X)
    for scale, offset in ((1.0, 0.0), (1e-9, 0.0), (1e6, 1e7)):
        moved = weighted_knn_entropy(scale * X @ A + offset)
        assert moved - first == pytest.approx(np.linalg.slogdet(A)[1] + d * math.log(scale), abs=1e-6)
        assert moved.standard_error == pytest.approx(first.standard_error, rel=1e-6)


@pytest.mark.parametrize(("d", "n", "tolerance"), [(1, 2000, 0.06), (2, 2000, 0.08), (4, 2000, 0.15), (6, 2000, 0.3)])
def test_weighted_estimate_of_normal_samples(d, n, tolerance):
    e = weighted_knn_entropy(np.random.default_rng(3).standard_normal((n, d)))
    assert abs(e - d * NORMAL) < tolerance
    assert 0.7 < e.standard_error / math.sqrt(d / 2 / n) < 2.5


def test_diagnostics_of_the_weighted_estimate():
    rng = np.random.default_rng(4)
    assert "neighbours" in weighted_knn_entropy(rng.random((4000, 3))).diagnostics["reasons"][0]
    assert any("norm" in r for r in weighted_knn_entropy(rng.standard_normal((300, 12))).diagnostics["reasons"])
    assert not weighted_knn_entropy(rng.standard_normal((3000, 1))).diagnostics["bias_suspected"]


# --- split margins -----------------------------------------------------------------------------------------------------------


def on_all_scales(x):
    """The entropy of a column on each scale, and what it moves by with gaps twice as long, by `spacing_terms` of the image."""
    ordered = np.sort(x)
    low, high = 2.0 * ordered[0] - ordered[1], 2.0 * ordered[-1] - ordered[-2]
    quarter, median, three_quarters = np.percentile(x, [25, 50, 75])
    z = 2.0 * (x - median) / (three_quarters - quarter)
    images = [
        (x, np.zeros_like(x)),
        (np.log(x - low), np.log(x - low)),
        (np.log(high - x), np.log(high - x)),
        (np.log((x - low) / (high - x)), np.log((x - low) * (high - x) / (high - low))),
        (np.arcsinh(z), np.log(0.5 * (three_quarters - quarter) * np.hypot(1.0, z))),
    ]
    window, shares = spacings_window(len(x)), np.full(len(x), 1.0 / len(x))
    found, twice = (
        [(spacing_terms(y, shares, reach, "x") + log_slope).mean() for y, log_slope in images]
        for reach in (window, 2 * window)
    )
    return np.array(found), np.abs(np.subtract(twice, found))


@pytest.mark.parametrize("name", ["normal", "lognormal", "minus lognormal", "arcsine", "uniform", "cauchy"])
def test_one_column_is_its_spacings_on_the_scale_where_they_move_least(name):
    rng = np.random.default_rng(0)
    x = {
        "normal": rng.standard_normal(500),
        "lognormal": rng.lognormal(0.0, 2.0, 500),
        "minus lognormal": 7.0 - rng.lognormal(0.0, 2.0, 500),
        "arcsine": rng.beta(0.5, 0.5, 500),
        "uniform": rng.random(500),
        "cauchy": rng.standard_cauchy(500),
    }[name]
    values, moves = on_all_scales(x)
    found = marginal_split_entropy(x[:, np.newaxis])
    assert found == pytest.approx(values[np.argmin(moves)], abs=1e-9)
    assert found.diagnostics["log_scale"].tolist() == [np.argmin(moves) > 0]
    assert marginal_split_entropy(7.0 - x[:, np.newaxis]) == pytest.approx(found, abs=1e-9)


def test_a_narrow_middle_between_values_far_out():
    """Distances over the quartile range are beyond the squares of numbers, or beyond numbers."""
    rng = np.random.default_rng(3)
    for narrow in (1e-200, 1e-307):
        x = np.concatenate([narrow * rng.random(300), rng.standard_normal(100)])
        found = marginal_split_entropy(x[:, np.newaxis])
        # three quarters are uniform over ``narrow``, one quarter normal; their supports hardly meet
        truth = 0.75 * math.log(narrow / 0.75) + 0.25 * (NORMAL - math.log(0.25))
        assert math.isfinite(found)
        assert abs(found - truth) < 0.1 * abs(truth)
    wide = np.linspace(-0.8, 0.8, 101) * 1e308
    assert marginal_split_entropy(wide[:, np.newaxis]) == pytest.approx(math.log(1.6e308), abs=0.1)


def test_copula_part_is_blind_to_the_margins():
    rng = np.random.default_rng(1)
    X = rng.multivariate_normal([0, 0], [[1, 0.8], [0.8, 1]], 1000)
    plain, mapped = (
        marginal_split_entropy(X),
        marginal_split_entropy(np.column_stack([np.exp(3 * X[:, 0]), X[:, 1] ** 3])),
    )
    assert plain.diagnostics["copula_entropy"] == pytest.approx(mapped.diagnostics["copula_entropy"], abs=1e-12)
    assert abs(plain.diagnostics["copula_entropy"] - 0.5 * math.log(1 - 0.64)) < 0.08
    parts = plain.diagnostics["marginal_entropies"].sum() + plain.diagnostics["copula_entropy"]
    assert plain == pytest.approx(parts, abs=1e-12)


@pytest.mark.parametrize("d", [2, 5])
def test_scaling_columns_moves_the_split_estimate(d):
    X = np.random.default_rng(2).gamma(0.4, size=(300, d))
    scales = 10.0 ** np.arange(d)
    assert marginal_split_entropy(X * scales) - marginal_split_entropy(X) == pytest.approx(
        np.log(scales).sum(), abs=1e-9
    )


@pytest.mark.parametrize(
    ("name", "distribution"),
    [("gamma", stats.gamma(0.4, scale=0.3)), ("beta", stats.beta(0.5, 2)), ("normal", stats.norm())],
)
def test_split_estimate_where_neighbours_fail(name, distribution):
    X = distribution.ppf(np.random.default_rng(3).random((2000, 5)))
    e = marginal_split_entropy(X)
    assert abs(e - 5 * distribution.entropy()) < 4 * e.standard_error
    assert e.standard_error < 0.15
    if name != "normal":
        assert abs(plain_knn(X, 1) - 5 * distribution.entropy()) > 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("distribution", "rho", "bound"),
    [
        (stats.gamma(0.4, scale=0.3), 0.0, 0.14),
        (stats.gamma(0.4, scale=0.3), 0.5, 0.24),
        (stats.beta(0.5, 2), 0.0, 0.14),
        (stats.norm(), 0.0, 0.08),
    ],
)
def test_split_estimate_in_the_published_setting(distribution, rho, bound):
    """Five columns with a Gaussian copula, n = 3000; plain neighbours have errors of 2.15, 1.28, 1.17 and .04 there."""
    rng = np.random.default_rng(4)
    root = np.linalg.cholesky((1 - rho) * np.eye(5) + rho)
    truth = 5 * distribution.entropy() + np.log(np.diag(root)).sum()
    errors = [
        marginal_split_entropy(distribution.ppf(stats.norm.cdf(rng.standard_normal((3000, 5)) @ root.T))) - truth
        for _ in range(10)
    ]
    assert math.sqrt(np.mean(np.square(errors))) < bound


@pytest.mark.slow
@pytest.mark.parametrize("distribution", [stats.norm(), stats.expon(), stats.gamma(0.4)])
@pytest.mark.parametrize("estimate", [spacings_entropy, marginal_split_entropy, weighted_knn_entropy])
def test_coverage_in_one_column(distribution, estimate):
    rng = np.random.default_rng(5)
    if estimate is not marginal_split_entropy and distribution.dist.name == "gamma":
        pytest.skip("the pole of the density at 0 needs the log scale")
    truth = distribution.entropy()
    intervals = [estimate(distribution.rvs((1000, 1), random_state=rng)).confidence_interval() for _ in range(300)]
    assert 0.9 <= np.mean([low <= truth <= high for low, high in intervals]) <= 0.995


# --- both in several columns -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
def test_row_weights(method):
    rng, estimate = np.random.default_rng(6), METHODS[method]
    X = rng.standard_normal((300, 2))
    assert estimate(X, np.full(300, 3.0)) == pytest.approx(estimate(X), abs=1e-9)
    w = rng.random(300) + 0.01
    assert estimate(X, w) == pytest.approx(estimate(X, 9 * w), abs=1e-9)
    X = rng.standard_normal((4000, 2))
    e = estimate(X, np.exp(-0.5 * (X**2).sum(axis=1)))
    assert abs(e - 2 * (NORMAL - 0.5 * math.log(2))) < 4 * e.standard_error + 0.03


@pytest.mark.parametrize("method", METHODS)
def test_rows_permuted_and_single_precision(method):
    X, estimate = np.random.default_rng(7).standard_normal((300, 3)), METHODS[method]
    assert estimate(X[::-1].copy()) == pytest.approx(estimate(X), abs=1e-9)
    X.flags.writeable = False
    assert estimate(X.astype(np.float32)) == pytest.approx(estimate(X), abs=1e-4)
    assert estimate(X, n_jobs=1) == estimate(X, n_jobs=2)


@pytest.mark.parametrize("method", METHODS)
def test_samples_without_a_density(method):
    rng, estimate = np.random.default_rng(8), METHODS[method]
    X = rng.standard_normal((60, 2))
    with pytest.raises(DegenerateDataError):
        estimate(np.repeat(X, 30, axis=0))
    with pytest.raises(DegenerateDataError):
        estimate(np.column_stack([X, 2 * X[:, 0]]))
    with pytest.raises(DegenerateDataError):
        estimate(np.column_stack([X, np.ones(60)]))
    with pytest.raises(ValueError, match="n_neighbors=60"):
        estimate(X, n_neighbors=60)


def test_dependent_columns_are_named():
    X = np.random.default_rng(9).standard_normal((60, 2))
    with pytest.raises(DegenerateDataError, match="Column 2 is a linear function"):
        weighted_knn_entropy(np.column_stack([X, X.sum(axis=1)]))
    with pytest.raises(DegenerateDataError, match="Column 1 has one value"):
        weighted_knn_entropy(np.column_stack([X[:, 0], np.ones(60)]))
    with pytest.raises(DegenerateDataError, match="3 rows in 4 columns"):
        weighted_knn_entropy(np.zeros((3, 4)))
    with pytest.raises(DegenerateDataError, match="column 1"):
        marginal_split_entropy(np.column_stack([X[:, 0], np.repeat([1.0, 2.0], 30)]))


@settings(max_examples=20, deadline=None)
@given(st.integers(6, 40), st.integers(1, 3), st.integers(0, 10**6))
@example(6, 3, 26)  # two columns in one order by chance
def test_small_samples_have_an_estimate(n, d, seed):
    X = np.random.default_rng(seed).standard_normal((n, d))
    # Ranks of few rows may depend on one another by chance: the call that chooses the method takes neighbours then.
    methods = METHODS if n >= 10 else {"weighted_knn": weighted_knn_entropy, "by the columns": entropy}
    for estimate in methods.values():
        e = estimate(X)
        assert np.isfinite(e)
        assert e.standard_error > 0


def test_samples_too_small():
    for n in (1, 2):
        with pytest.raises(ValueError, match=f"found {n}"):
            spacings_entropy(np.arange(float(n)))


# --- by name -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ENTROPY_METHODS)
@pytest.mark.parametrize("weighted", [False, True])
def test_by_name(method, weighted):
    rng = np.random.default_rng(10)
    x, w = rng.standard_normal(800), rng.random(800) + 0.5 if weighted else None
    e = entropy_by_method(as_sample(x, "p", w, None), method, None)
    assert e.method.startswith(method)
    assert abs(e - NORMAL) < 4 * e.standard_error


def test_by_name_refuses():
    sample = as_sample(np.arange(9.0), "p", None, None)
    with pytest.raises(ValueError, match="leave n_neighbors out"):
        entropy_by_method(sample, "spacings", 3)


@pytest.mark.parametrize("estimate", [weighted_knn_entropy, marginal_split_entropy])
def test_weights_that_leave_one_row(estimate):
    X, w = np.random.default_rng(11).standard_normal((200, 2)), np.ones(200)
    w[7] = 1e20
    with pytest.raises(DegenerateDataError, match="are negligible beside"):
        estimate(X, w)
    w[7] = 1e-30
    assert np.isfinite(estimate(X, w))
