"""What must hold for any data: dtypes, threads, ties, tiny samples, slow twins of the formulas, and bad input."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import digamma, gammaln

from fastkl import (
    DegenerateDataError,
    SharedRowsWarning,
    cross_entropy,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
)
from fastkl.divergence import kl_divergence_sweep

METHODS = ("common_radius", "knn", "bias_reduced")


def distances(a, b):
    return np.sqrt(((a[:, np.newaxis] - b[np.newaxis]) ** 2).sum(axis=2))


def slow_common_radius(x, y, k):
    """The estimator by its definition, with every distance in memory."""
    n, m = len(x), len(y)
    own, across = distances(x, x), distances(x, y)
    np.fill_diagonal(own, np.inf)
    total = 0.0
    for i in range(n):
        rho, nu = np.sort(own[i])[k - 1], np.sort(across[i])[k - 1]
        radius = max(rho, nu) * (1.0 + 1e-12)
        equal = abs(rho - nu) <= 1e-12 * max(rho, nu)
        in_p, in_q = (own[i] <= radius).sum(), (across[i] <= radius).sum()
        total += digamma(in_p + (equal or nu > rho)) - digamma(in_q + (equal or rho > nu))
    return total / n + digamma(m + 1) - digamma(n)


def slow_bias_reduced(x, y, k):
    n, m, d = len(x), len(y), x.shape[1]
    own, across = distances(x, x), distances(x, y)
    np.fill_diagonal(own, np.inf)
    total = 0.0
    for i in range(n):
        in_p, in_q = np.sort(own[i]), np.sort(across[i])
        radius = max(in_p[k - 1], in_q[k - 1]) * (1.0 + 1e-12)
        p, q = (in_p <= radius).sum(), (in_q <= radius).sum()
        total += d * np.log(in_q[q - 1] / in_p[p - 1]) + digamma(p) - digamma(q)
    return total / n + np.log(m / (n - 1))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.sampled_from(["smooth", "grid", "few", "mixed"]), st.integers(1, 4))
@example(416, 1, "grid", 1)  # a single row of q
def test_common_radius_equals_its_slow_twin(seed, d, kind, k):
    rng = np.random.default_rng(seed)
    n, m = rng.integers(k + 1, 40), rng.integers(k, 40)
    x, y = rng.normal(size=(n, d)), rng.normal(0.5, 2.0, (m, d))
    if kind == "grid":
        x, y = x.round(), y.round()
    elif kind == "few":
        x, y = np.sign(x), np.sign(y)
    elif kind == "mixed":
        x[rng.random(n) < 0.5], y[rng.random(m) < 0.5] = 0.0, 0.0
    estimate = kl_divergence(x, y, method="common_radius", n_neighbors=k, standard_error=False)
    assert estimate == pytest.approx(slow_common_radius(x, y, k), abs=1e-11)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 3))
def test_bias_reduced_equals_its_slow_twin(seed, d, k):
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(rng.integers(k + 1, 60), d)), rng.normal(0.5, 2.0, (rng.integers(k, 60), d))
    estimate = kl_divergence(x, y, method="bias_reduced", n_neighbors=k)
    assert estimate == pytest.approx(slow_bias_reduced(x, y, k), abs=1e-10)


@pytest.mark.parametrize("d", [1, 3, 6])
def test_entropies_equal_their_formulas(d):
    rng = np.random.default_rng(d)
    x, y, k = rng.normal(size=(50, d)), rng.normal(size=(70, d)), 4
    own, across = distances(x, x), distances(x, y)
    np.fill_diagonal(own, np.inf)
    ball = 0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1.0)
    rho, nu = np.sort(own)[:, k - 1], np.sort(across)[:, k - 1]
    assert entropy(x, n_neighbors=k) == pytest.approx(
        d * np.log(rho).mean() + ball + np.log(49) - digamma(k), abs=1e-12
    )
    assert cross_entropy(x, y, method="knn", n_neighbors=k) == pytest.approx(
        d * np.log(nu).mean() + ball + np.log(70) - digamma(k), abs=1e-12
    )


def test_symbols_give_the_zhang_grabchak_estimate():
    rng = np.random.default_rng(1)
    x, y = rng.choice(3, 120, p=[0.5, 0.3, 0.2]), rng.choice(3, 90)
    X, Y = np.bincount(x), np.bincount(y)
    closed = np.sum(X / 120 * (digamma(91) - digamma(Y + 1) - digamma(120) + digamma(X)))
    assert kl_divergence(x, y) == pytest.approx(closed, abs=1e-12)
    assert abs(jensen_shannon(x, x)) < 0.02


@pytest.mark.parametrize("decimals", [3, 2, 1, 0])
def test_rounded_normals(decimals):
    """The divergence of the rounded distributions is .4431, .4431, .4429, .4186."""
    truth = {3: 0.4431, 2: 0.4431, 1: 0.4429, 0: 0.4186}[decimals]
    rng = np.random.default_rng(decimals)
    draws = [
        kl_divergence(rng.normal(0, 1, 1000).round(decimals), rng.normal(1, 2, 1000).round(decimals)) for _ in range(10)
    ]
    assert np.mean(draws) == pytest.approx(truth, abs=0.045)


def test_zero_inflation_and_heavy_tails():
    rng = np.random.default_rng(2)
    cauchy = [kl_divergence(rng.standard_cauchy(2000), 1 + rng.standard_cauchy(2000)) for _ in range(10)]
    assert np.mean(cauchy) == pytest.approx(np.log(1.25), abs=0.04)
    inflated = []
    for _ in range(10):
        x, y = rng.normal(0, 1, 1000), rng.normal(1, 2, 1000)
        x[rng.random(1000) < 0.5], y[rng.random(1000) < 0.3] = 0.0, 0.0
        inflated.append(kl_divergence(x, y))
    truth = 0.5 * np.log(0.5 / 0.3) + 0.5 * np.log(0.5 / 0.7) + 0.5 * 0.443147
    assert np.mean(inflated) == pytest.approx(truth, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_single_precision_and_threads(method):
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(9000, 2)).astype(np.float32), rng.normal(0.5, 2.0, (9000, 2)).astype(np.float32)
    single, double = kl_divergence(x, y, method=method), kl_divergence(x.astype(float), y.astype(float), method=method)
    assert single == pytest.approx(double, abs=1e-6)
    one, two = (kl_divergence(x, y, method=method, n_jobs=n) for n in (1, 2))
    assert (one, one.standard_error) == (two, two.standard_error)
    assert kl_divergence(x, y.astype(float), method=method) == pytest.approx(double, abs=1e-6)


def test_input_is_left_as_it_was_and_may_be_read_only():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(60, 2)), rng.normal(size=(70, 2))
    before = x.copy(), y.copy()
    x.flags.writeable = y.flags.writeable = False
    for method in METHODS:
        kl_divergence(x, y, method=method)
    assert np.array_equal(x, before[0])
    assert np.array_equal(y, before[1])


def test_a_sweep_is_the_single_calls():
    rng = np.random.default_rng(5)
    x, y = rng.normal(size=(80, 2)), rng.normal(size=(90, 2))
    for method in METHODS:
        sweep = kl_divergence_sweep(x, y, 6, method=method, coordinates=None)
        assert list(sweep) == [1, 2, 3, 4, 5, 6]
        for k, estimate in sweep.items():
            assert estimate == pytest.approx(kl_divergence(x, y, method=method, n_neighbors=k), abs=1e-13)
    with pytest.raises(ValueError, match="n_neighbors=80"):
        kl_divergence_sweep(x, y, [1, 80])


def test_the_smallest_samples():
    assert np.isfinite(kl_divergence([0.0, 1.0], [0.5]))
    assert kl_divergence([0.0, 1.0], [0.5], n_neighbors=1).diagnostics["n_neighbors"] == 1
    assert cross_entropy([0.0], [1.0, 3.0], n_neighbors=1) == pytest.approx(np.log(2 * 2) - digamma(1), abs=1e-12)
    x = np.arange(6.0)
    assert np.isfinite(kl_divergence(x, x + 0.25, n_neighbors=5))
    with pytest.raises(ValueError, match="at least 2"):
        kl_divergence([1.0], [1.0, 2.0])


def test_shared_rows_warn_but_rounded_values_do_not(recwarn):
    rng = np.random.default_rng(6)
    for digits in (0, 1, 2, 3):
        kl_divergence(rng.normal(size=500).round(digits), rng.normal(1, 2, 500).round(digits))
    kl_divergence(rng.poisson(3, 50), rng.poisson(4, 80))
    kl_divergence(rng.integers(0, 10**6, 400), rng.integers(0, 10**6, 400))
    assert not recwarn.list
    x = rng.normal(size=300)
    with pytest.warns(SharedRowsWarning, match="20 rows are shared"):
        estimate = kl_divergence(x, np.concatenate([x[:20], rng.normal(size=200)]))
    assert estimate.diagnostics["shared_rows"] == 20
    assert estimate.diagnostics["bias_suspected"]


@pytest.mark.parametrize("call", [kl_divergence, cross_entropy, jensen_shannon, jeffreys])
@pytest.mark.parametrize("d", [1, 4])
def test_rows_that_are_shared_but_for_their_last_digits_are_said(call, d):
    X = np.random.default_rng(d).normal(5.0, 1.0, (200, d))
    for copies in (X.astype(np.float32).astype(np.float64), X.round(7), np.concatenate([X[:100] + 1e-12, 9.0 - X])):
        with pytest.warns(SharedRowsWarning, match="or nearly so"):
            assert call(X, copies).diagnostics["bias_suspected"]


@pytest.mark.filterwarnings("error::fastkl.SharedRowsWarning")
@pytest.mark.parametrize("method", ["assisted", "common_radius", "knn"])
def test_rows_that_are_near_by_chance_are_not(method):
    rng = np.random.default_rng(9)

    def noisy(values):
        return values * 0.1 + 1e-13 * rng.normal(size=len(values))

    for draw in (
        lambda: rng.standard_cauchy(400),
        lambda: np.exp(9.0 * rng.normal(size=400)),
        lambda: rng.gamma(0.05, size=400),
        lambda: noisy(rng.integers(0, 20, 400)),
        lambda: noisy(rng.integers(0, 2000, 400)),
        lambda: noisy(rng.integers(0, 10**6, 400)),
    ):
        kl_divergence(draw(), draw(), method=method)
        kl_divergence(draw()[:20], draw(), method=method)


@pytest.mark.parametrize("call", [kl_divergence, cross_entropy, jensen_shannon])
def test_bad_input(call):
    x = np.random.default_rng(7).normal(size=(30, 2))
    for bad, match in (
        (x[:, :1], "columns"),
        (x[:0], "empty"),
        (np.where(x > 2.0, np.inf, x) if (x > 2.0).any() else x * np.inf, "finite"),
        (x[:, :, np.newaxis], "3 dimensions"),
        (x.astype(str), "categorical_kl"),
        ([*x.tolist()[:5], ["a", 1.0]], "categorical_kl"),
        (x.astype(complex), "real numbers"),
        (None, "neither a sample nor a model"),
        (np.ma.masked_greater(x, 0.0), "masked"),
    ):
        with pytest.raises(ValueError, match=match):
            call(x, bad)
    for k in (0, -1, 1.5, True, 31):
        with pytest.raises(ValueError, match="n_neighbors"):
            call(x, x + 0.1, n_neighbors=k)


def test_object_arrays_of_numbers_and_frames_are_read():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(8)
    x, y = rng.normal(size=(40, 2)), rng.normal(size=(50, 2))
    expected = kl_divergence(x, y)
    assert kl_divergence(x.astype(object), y.tolist()) == expected
    frame = pd.DataFrame(x, columns=["a", "b"])
    assert kl_divergence(frame, pd.DataFrame(y, columns=["a", "b"])) == expected
    assert kl_divergence(pd.Series(x[:, 0]), y[:, 0]) == kl_divergence(x[:, :1], y[:, :1])
    with pytest.raises(ValueError, match="column 'c'"):
        kl_divergence(frame.assign(c="u"), frame.assign(c=1.0))
    with pytest.raises(ValueError, match="column 'c'"):
        kl_divergence(frame.assign(c=pd.Categorical([1] * 40)), frame.assign(c=1.0))
    frame.loc[3, "b"] = np.nan
    with pytest.raises(ValueError, match=r"row 3, column 1 \('b'\)"):
        kl_divergence(frame, y)


@pytest.mark.parametrize("method", ["knn", "bias_reduced"])
def test_zero_distances_are_an_error_that_knows_a_way_out(method):
    x = np.random.default_rng(9).integers(0, 3, (60, 1)).astype(float)
    with pytest.raises(DegenerateDataError, match=r"common_radius.*categorical_kl"):
        kl_divergence(x, x + 0.5, method=method)
    with pytest.raises(DegenerateDataError, match="common_radius"):
        entropy(x)
    with pytest.raises(ValueError, match=r"'common_radius', 'knn', 'bias_reduced'"):
        kl_divergence(x, x, method="nearest")
