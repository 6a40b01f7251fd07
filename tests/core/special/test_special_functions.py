"""Gamma-function differences against 50-digit arithmetic."""

import mpmath
import numpy as np
import pytest

from fastkl._core.special import _gamma_functions, gamma_functions

POINTS = np.concatenate(
    [10.0 ** np.random.default_rng(0).uniform(-3, 10, 200), [1.0, 2.0, 9.999, 10.0, 10.001, 1e-100, 1e30]]
)


@pytest.mark.parametrize("points", [POINTS, POINTS[:10]], ids=["many", "few"])
def test_trigamma(points):
    with mpmath.workdps(50):
        exact = [float(mpmath.psi(1, mpmath.mpf(a))) for a in points.tolist()]
    np.testing.assert_allclose(gamma_functions.trigamma(points), exact, rtol=2e-15)


def test_trigamma_is_exact_on_both_sides_of_its_switch():
    """What stands for the noise of a count, which is at least 1."""
    numbers = np.concatenate([np.linspace(1.0, 40.0, 79), [9.999999, 10.000001, 19.999999, 1e3, 1e8, 1e300]])
    with mpmath.workdps(50):
        exact = [float(mpmath.psi(1, mpmath.mpf(x))) for x in numbers.tolist()]
    np.testing.assert_allclose(gamma_functions.trigamma(numbers), exact, rtol=4e-16)


def test_stirling_error_of_counts():
    """The polynomial of the kernels of counts against the formula for any argument, and both against 50 digits."""
    counts = np.concatenate([np.arange(1.0, 60.0), [1.5, 2.75, 200.0, 1e3, 1e8, 2.0**53, 1e300]])
    with mpmath.workdps(50):
        half_log = mpmath.log(2 * mpmath.pi) / 2
        a = [mpmath.mpf(v) for v in counts.tolist()]
        # Gamma(a + 1) = a Gamma(a): the error for a! is that of log Gamma(a), log a being half of either side
        exact = [float(mpmath.loggamma(v) - ((v - 0.5) * mpmath.log(v) - v + half_log)) for v in a[:-1]]
    exact.append(1.0 / 12.0 / 1e300)
    np.testing.assert_allclose(_gamma_functions.stirling_error_of_counts(counts), exact, rtol=1e-15)
    np.testing.assert_allclose(gamma_functions.stirling_error(counts), exact, rtol=1e-12, atol=2e-15)


def test_log_minus_digamma_and_stirling_error():
    with mpmath.workdps(50):
        half_log = mpmath.log(2 * mpmath.pi) / 2
        a = [mpmath.mpf(v) for v in POINTS.tolist()]
        difference = [float(mpmath.log(v) - mpmath.digamma(v)) for v in a]
        error = [float(mpmath.loggamma(v) - ((v - 0.5) * mpmath.log(v) - v + half_log)) for v in a]
    np.testing.assert_allclose(gamma_functions.log_minus_digamma(POINTS), difference, rtol=1e-14)
    np.testing.assert_allclose(gamma_functions.stirling_error(POINTS), error, rtol=1e-12, atol=2e-15)


def test_shapes_of_arrays():
    for function in (gamma_functions.trigamma, gamma_functions.log_minus_digamma, gamma_functions.stirling_error):
        assert function(2.5).shape == ()
        assert function(np.empty((0, 3))).shape == (0, 3)
        table = np.linspace(0.1, 30.0, 24).reshape(4, 6)
        np.testing.assert_array_equal(function(table.T), function(table).T)
        np.testing.assert_array_equal(function(table[:, ::2]), function(table)[:, ::2])


def test_log_excess():
    """u - log(1 + u) from -1 to far out; next to -1 given 1 + u itself."""
    rng = np.random.default_rng(1)
    u = np.concatenate([rng.uniform(-0.99, 3.0, 500), 10.0 ** rng.uniform(-20, 0, 200) * rng.choice([-0.9, 1.0], 200)])
    u = np.concatenate([u, 10.0 ** rng.uniform(0, 300, 100), [-0.25, 0.4, 0.0]])
    with mpmath.workdps(60):
        exact = [float(mpmath.mpf(v) - mpmath.log1p(mpmath.mpf(v))) for v in u.tolist()]
        ratio = [mpmath.mpf(10) ** -k for k in (3, 17, 200)]
        near = [float(v - 1 - mpmath.log(v)) for v in ratio]
    np.testing.assert_allclose(gamma_functions.log_excess(u), exact, rtol=1e-15)
    ratio = np.array([float(v) for v in ratio])
    np.testing.assert_allclose(gamma_functions.log_excess(ratio - 1.0, ratio), near, rtol=1e-15)
    assert gamma_functions.log_excess(-1.0, 0.0) == np.inf
    assert gamma_functions.log_excess(0.0) == 0.0


def test_gamma_shapes_from_any_start():
    exact = 10.0 ** np.random.default_rng(2).uniform(-3, 8, 5000)
    excess = gamma_functions.log_minus_digamma(exact)
    for start in (np.ones_like(exact), 100.0 * exact, 0.01 * exact):
        shape = start.copy()
        assert gamma_functions.gamma_shapes(excess, shape, 200) < 200
        np.testing.assert_allclose(shape, exact, rtol=1e-12)


@pytest.mark.parametrize(
    "name",
    ["log_minus_digamma", "trigamma", "trigamma_curvature", "stirling_error", "stirling_error_of_counts", "log_excess"],
)
def test_a_value_has_the_same_bits_whatever_is_beside_it(name):
    """Vectors and the values that are left over round alike, and so do pieces with and without values of a formula's own."""
    function = getattr(_gamma_functions, name)
    values = {"stirling_error_of_counts": 1.0 + POINTS, "log_excess": np.concatenate([POINTS, -1.0 / (1.0 + POINTS)])}
    values = values.get(name, POINTS)
    for length in (1, 3, 7, 33):
        parts = [function(values[i : i + length]) for i in range(0, len(values), length)]
        np.testing.assert_array_equal(np.concatenate(parts), function(values))
