"""Kernels that take a shorter way where it is safe: both sides of every switch against 40-digit arithmetic.

Blocks have 4096 rows; sums of logarithms go by fours in pieces of 2048; the weibull sums change at shape 16 and where
exp(z) overflows, the beta and gamma statistics where the excess of log(mean) over the mean log is small, or sums overflow.
"""

import mpmath as mp
import numpy as np
import pytest

from fastkl import DensityMLE, families
from fastkl._core.rows import Rows
from tests.families.discovered import CLASSES, UNIVARIATE

# around the fours, the pieces and the blocks of the loops
LENGTHS = (1, 2, 3, 4, 5, 7, 511, 512, 513, 2047, 2048, 2051, 4095, 4096, 4099, 8193)


def log_excess(x, mean):
    """Sum of log(mean / x)."""
    with mp.workdps(40):
        return float(mp.fsum(mp.log(mean / mp.mpf(float(v))) for v in x))


def exact_mean(x):
    with mp.workdps(40):
        return mp.fsum(mp.mpf(float(v)) for v in x) / len(x)


def statistics(name, x, weights=None):
    family = families.by_name(name)()
    return family.statistics(Rows(np.ascontiguousarray(x)[:, None], weights))


@pytest.mark.parametrize("n", LENGTHS)
def test_lengths_that_are_no_multiple_of_anything(n):
    x = np.random.default_rng(n).gamma(2.0, size=n) + 1e-3
    mean = exact_mean(x)
    found = statistics("gamma", x)
    np.testing.assert_allclose(found["mean"], float(mean), rtol=1e-15)
    np.testing.assert_allclose(found["log_excess"], log_excess(x, mean), rtol=1e-12, atol=1e-15 * n)
    logs = [mp.log(mp.mpf(float(v))) for v in x]
    centre = mp.fsum(logs) / n
    found = statistics("lognormal", x)
    np.testing.assert_allclose(found["meanlog"], float(centre), rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(found["m2log"], float(mp.fsum((v - centre) ** 2 for v in logs)), rtol=1e-13, atol=1e-28)
    found = statistics("normal", x)
    squares = mp.fsum((mp.mpf(float(v)) - mean) ** 2 for v in x)
    np.testing.assert_allclose(found["deviation"], float(mp.sqrt(squares)), rtol=1e-14, atol=1e-16)


@pytest.mark.parametrize("low", [1e-60, 1e-90, 1e-240, 1e-308, 5e-324])
def test_products_that_leave_the_range_of_numbers(low):
    """A product of four values of size 1e-90 is no number; sums of logarithms have to notice and go another way."""
    rng = np.random.default_rng(0)
    x = rng.gamma(2.0, size=3000)
    x[rng.choice(3000, 400, replace=False)] = low
    np.testing.assert_allclose(statistics("gamma", x)["log_excess"], log_excess(x, exact_mean(x)), rtol=1e-13)
    x = np.minimum(x / 20.0, 0.9)
    x[x < 1e-20] = low
    np.testing.assert_allclose(statistics("beta", x)["low_excess"], log_excess(x, exact_mean(x)), rtol=1e-13)
    logs = [mp.log(mp.mpf(float(v))) for v in x]
    for name, statistic in (("lognormal", "meanlog"), ("rayleigh", "mean_log"), ("inverse_gaussian", "mean_log")):
        if low >= 1e-240 or name != "inverse_gaussian":  # which sums 1 / x
            np.testing.assert_allclose(statistics(name, x)[statistic], float(mp.fsum(logs) / len(x)), rtol=1e-14)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", ["rayleigh", "inverse_gaussian"])
def test_mean_logarithms_by_products_are_those_of_the_values(name, n):
    """Many values without weights go by products about their size; few, and weighted ones, one by one."""
    x = 3e-7 * (np.random.default_rng(n).gamma(2.0, size=n) + 1e-3)
    expected = float(mp.fsum(mp.log(mp.mpf(float(v))) for v in x) / n)
    for weights in (None, np.ones(n)):
        np.testing.assert_allclose(statistics(name, x, weights)["mean_log"], expected, rtol=2e-15)


@pytest.mark.parametrize("first", [1e-9, 1.0, 1e3, 1e9])
@pytest.mark.parametrize("name", ["exponential", "gamma"])
def test_means_whatever_the_first_value_is(name, first):
    """A mean about a first value that is far out would lose the digits by which it is far."""
    x = np.random.default_rng(5).gamma(2.0, size=4096)
    x[0] = first
    found, mean = statistics(name, x), exact_mean(x)
    np.testing.assert_allclose(found["mean"], float(mean), rtol=1.5e-15)
    if name == "gamma":
        np.testing.assert_allclose(found["log_excess"], log_excess(x, mean), rtol=1e-13)


@pytest.mark.parametrize("name", ["exponential", "gamma"])
def test_means_whose_sums_would_overflow(name):
    x = 1e308 * np.random.default_rng(6).uniform(1.0, 1.0001, size=5000)
    found, mean = statistics(name, x), exact_mean(x)
    np.testing.assert_allclose(found["mean"], float(mean), rtol=1.5e-15)
    if name == "gamma":
        np.testing.assert_allclose(found["log_excess"], log_excess(x, mean), rtol=1e-12)


def test_a_lognormal_block_with_a_subnormal_number():
    x = np.random.default_rng(1).lognormal(size=5000)
    x[[7, 4500]] = 3e-310
    model = DensityMLE("lognormal").fit(x[:, None])
    np.testing.assert_allclose(model.params_["meanlog"], np.log(x).mean(), rtol=1e-13)
    np.testing.assert_allclose(model.params_["sdlog"], np.log(x).std(), rtol=1e-13)


@pytest.mark.parametrize("excess", [3e-4, 9e-4, 1.1e-3, 9e-3, 0.0099, 0.0101, 0.02])
@pytest.mark.parametrize("weighted", [False, True])
def test_beta_and_gamma_statistics_beside_their_guards(excess, weighted):
    """Mean excesses about 0.001 and 0.01, where plain sums of logarithms take over, on both sides of either."""
    n, rng = 2000, np.random.default_rng(2)
    z = rng.standard_normal(n)
    x = 0.5 * np.exp(np.sqrt(2.0 * excess) * (z - z.mean()) / z.std())
    x = x[x < 0.99]
    w = rng.uniform(0.5, 2.0, len(x)) if weighted else None
    unit = np.ones(len(x)) if w is None else w
    with mp.workdps(40):
        exact = [mp.mpf(float(v)) for v in x]
        weights = [mp.mpf(float(v)) for v in unit]
        total = mp.fsum(weights)
        mean = mp.fsum(a * b for a, b in zip(weights, exact, strict=True)) / total
        low = float(mp.fsum(a * mp.log(mean / b) for a, b in zip(weights, exact, strict=True)))
        high = float(mp.fsum(a * mp.log((1 - mean) / (1 - b)) for a, b in zip(weights, exact, strict=True)))
    np.testing.assert_allclose(statistics("gamma", x, w)["log_excess"], low, rtol=1e-12)
    beta = statistics("beta", x, w)
    np.testing.assert_allclose([beta["low_excess"][0], beta["high_excess"][0]], [low, high], rtol=2e-12)
    assert 0.8 * excess < low / unit.sum() < 1.2 * excess


def weibull_reference(x, shape, scale):
    """Total log-likelihood and its derivatives by shape and scale, at 40 digits."""
    with mp.workdps(40):
        k, s = mp.mpf(shape), mp.mpf(scale)
        logs = [mp.log(mp.mpf(float(v)) / s) for v in x]
        powers = [mp.exp(k * v) for v in logs]
        n = len(x)
        total = n * mp.log(k / s) + (k - 1) * mp.fsum(logs) - mp.fsum(powers)
        by_shape = n / k + mp.fsum(logs) - mp.fsum(p * v for p, v in zip(powers, logs, strict=True))
        by_scale = k / s * (mp.fsum(powers) - n)
        return float(total), float(by_shape), float(by_scale)


@pytest.mark.parametrize(
    "shape", [0.3, 15.0, float(np.nextafter(16.0, 0.0)), 16.0, float(np.nextafter(16.0, 17.0)), 17.0, 400.0]
)
def test_weibull_sums_on_both_sides_of_the_switch(shape):
    x = 2.5 * np.random.default_rng(3).weibull(shape, 1500)
    model = DensityMLE.from_parameters("weibull", shape=shape, scale=2.4)
    score, gradient = model.score_and_gradient(x[:, None])
    total, by_shape, by_scale = weibull_reference(x, shape, 2.4)
    np.testing.assert_allclose(score * len(x), total, rtol=1e-12)
    np.testing.assert_allclose(gradient["shape"] * len(x), by_shape, rtol=1e-10, atol=1e-11 * len(x) / shape)
    np.testing.assert_allclose(gradient["scale"] * len(x), by_scale, rtol=1e-10, atol=1e-11 * len(x) * shape)


def test_weibull_sums_where_the_short_loop_would_overflow():
    x = np.full(300, 2.0)
    x[5] = 2.0 * np.exp(701.0 / 12.0)  # z = 701: exp(z) is a number, which the short loop does not take
    model = DensityMLE.from_parameters("weibull", shape=12.0, scale=2.0)
    score, _ = model.score_and_gradient(x[:, None])
    np.testing.assert_allclose(score * 300, weibull_reference(x, 12.0, 2.0)[0], rtol=1e-12)


@pytest.mark.parametrize("name", UNIVARIATE)
def test_sums_without_weights_are_those_with_ones(name):
    """Without weights a kernel may go a shorter way, as logarithms of products: the same to rounding, at any length."""
    cls = CLASSES[name]
    law = DensityMLE.from_parameters(name, **{key: value[:1] for key, value in cls.example.items()})
    everything = law.sample(max(LENGTHS), random_state=3)
    for n in LENGTHS:
        x = everything[:n]
        one, other = law.score_and_gradient(x), law.score_and_gradient(x, np.ones(n))
        np.testing.assert_allclose(one[0], other[0], rtol=1e-13)
        np.testing.assert_allclose(one[0], law.score_samples(x).mean(), rtol=1e-13, atol=1e-14)
        for key, value in one[1].items():
            np.testing.assert_allclose(value, other[1][key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("n", LENGTHS)
def test_logistic_products_with_far_tails(n):
    """Logarithms of products of terms that differ by e^100 and more, on the line and on a logarithmic scale."""
    x = np.random.default_rng(n).logistic(size=n)
    x[:: max(n // 7, 1)] *= 100.0
    for name, rows, params in (
        ("logistic", x, {"loc": 0.2, "scale": 0.7}),
        ("loglogistic", np.exp(x), {"shape": 1.3, "scale": 0.8}),
    ):
        model = DensityMLE.from_parameters(name, **params)
        one, other = model.score_and_gradient(rows[:, None]), model.score_and_gradient(rows[:, None], np.ones(n))
        np.testing.assert_allclose(one[0], other[0], rtol=1e-14)
        np.testing.assert_allclose(one[0], model.score_samples(rows[:, None]).mean(), rtol=1e-14)
        for key, value in one[1].items():
            np.testing.assert_allclose(value, other[1][key], rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("d", [1, 2, 3, 7, 8, 9, 15, 16, 17, 33, 64, 511, 512])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_mahalanobis_distances_by_panels(d, dtype):
    """Panels of eight, two and one feature, tiles of 32 rows and the rest, and BLAS beyond: against a solve of each row."""
    rng = np.random.default_rng(d)
    X = (rng.normal(size=(77, d)) + 5.0).astype(dtype)
    root = np.tril(rng.normal(size=(d, d)) / d) + np.eye(d)
    model = DensityMLE.from_parameters("multivariate_normal", mean=np.full(d, 4.5), covariance=root @ root.T)
    z = np.linalg.solve(root, (X.astype(np.float64) - 4.5).T)
    expected = -0.5 * (z**2).sum(axis=0) - np.log(np.abs(np.diag(root))).sum() - 0.5 * d * np.log(2.0 * np.pi)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-10)


@pytest.mark.parametrize("d", [1, 3, 31, 33, 200, 1100])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_columns_of_wide_tables(d, dtype):
    """Columns are read in tiles of 32 and rows in eights, fetched early from 1 kB a row on: every value in its place."""
    X = np.random.default_rng(d).gamma(2.0, size=(45, d)).astype(dtype)
    model = DensityMLE("exponential").fit(X)
    np.testing.assert_allclose(model.params_["scale"], X.astype(np.float64).mean(axis=0), rtol=1e-14)
    alone = [DensityMLE("gamma").fit(X[:, [j]]).params_["shape"][0] for j in range(0, d, max(d // 9, 1))]
    np.testing.assert_array_equal(DensityMLE("gamma").fit(X).params_["shape"][:: max(d // 9, 1)], alone)
