"""Both tails of the beta distribution against a series of positive terms in arithmetic of 200 bits and more."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from fastkl._core.special.beta_tails import log_beta_tails

SHAPES = (1e-3, 0.3, 1.0, 7.0, 10.0, 300.0, 1e6, 1e9)


def series(a, b, x, bits):
    """I_x(a, b) = x^a y^b / (a B(a, b)) sum of (a + b)_n / (a + 1)_n x^n, the sum in whole numbers; x is a fraction."""
    numerator, divisor = a + b, a + 1
    common = max(numerator.denominator, divisor.denominator)
    numerator, divisor = int(numerator * common), int(divisor * common)
    rounded = (x.numerator << bits) // x.denominator
    term = total = 1 << bits
    while term:
        term = (term * numerator // divisor) * rounded >> bits
        total += term
        numerator, divisor = numerator + common, divisor + common
    a, b, below = (mpmath.mpf(v.numerator) / v.denominator for v in (a, b, x))
    above = mpmath.mpf((1 - x).numerator) / (1 - x).denominator
    log_beta = mpmath.loggamma(a) + mpmath.loggamma(b) - mpmath.loggamma(a + b)
    factor = mpmath.exp(a * mpmath.log(below) + b * mpmath.log(above) - mpmath.log(a) - log_beta)
    return factor * mpmath.mpf(total) / (1 << bits)


def exact_tails(a, b, x):
    """log I_x(a, b) and log(1 - I_x(a, b)), x being a fraction."""
    a, b = Fraction(a), Fraction(b)
    from_below = x <= 0.75 if (a + b) * x < a else 1 - x > 0.75  # the side on which the series ends soon
    bits = 200
    while True:
        with mpmath.workprec(bits):
            direct = series(a, b, x, bits) if from_below else series(b, a, 1 - x, bits)
            rest = 1 - direct
            if rest > mpmath.mpf(2) ** (90 - bits):
                logs = mpmath.log(direct) if direct < 0.5 else mpmath.log1p(-rest), mpmath.log1p(-direct)
                return logs if from_below else logs[::-1]
        bits *= 3


def points(a, b):
    """Up to 40 standard deviations from the mean, and far closer to either end than it."""
    mean, rest = a / (a + b), b / (a + b)
    spread = np.sqrt(mean * rest / (a + b + 1.0))
    near = [mean + sign * k * spread for k in (0.0, 0.4, 3.0, 37.0) for sign in (1.0, -1.0)]
    far = [0.03 * mean, 1.0 - 0.03 * rest, 0.5]
    found = [x for x in (*near, *far) if 0.0 < x < 1.0]
    # beyond, the smaller tail is below exp(-3000), which no number knows
    return [x for x in found if -a * np.log(x / mean) - b * np.log1p(-x) + b * np.log(rest) < 3000.0]


@pytest.mark.parametrize("a", SHAPES)
@pytest.mark.parametrize("b", SHAPES)
def test_both_tails(a, b):
    x = np.array(points(a, b))
    exact = [exact_tails(a, b, Fraction(v)) for v in x]
    for found, wanted in zip(log_beta_tails(a, b, x), np.array(exact, dtype=np.float64).T, strict=True):
        # numbers below 1e-300 have fewer digits than the rest
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-300)


def test_points_that_are_quotients():
    """Student's t with 1e9 degrees of freedom: x = df / (df + t^2) alone would know t to 9 digits."""
    df, t = 1e9, np.array([0.1, 1.0, 4.0, 39.0])
    x, y = df / (df + t * t), t * t / (df + t * t)
    found, _ = log_beta_tails(0.5 * df, 0.5, x, y, 0.5 * x * (1.0 - t) * (1.0 + t))
    with mpmath.workdps(60):
        exact = [exact_tails(0.5 * df, 0.5, Fraction(df) / (Fraction(df) + Fraction(v) ** 2))[0] for v in t]
    np.testing.assert_allclose(found, np.array(exact, dtype=np.float64), rtol=1e-12)


@pytest.mark.parametrize("a", [1e-300, 1e-16])
def test_nearly_all_mass_at_zero(a):
    """1 - I_x(a, b) is a times the integral of (1 - t)^(b - 1) / t from x to 1 then."""
    x, b = np.array([1e-30, 1e-3, 0.2, 0.9]), 3.0
    integral = -np.log(x) - 2.0 * (1.0 - x) + 0.5 * (1.0 - x) * (1.0 + x)
    np.testing.assert_allclose(log_beta_tails(a, b, x)[1], np.log(a * integral), rtol=1e-12)
    np.testing.assert_allclose(log_beta_tails(a, b, x)[0], -a * integral, rtol=1e-12)


def test_ends_and_shapes():
    x = np.array([-1.0, 0.0, 1.0, 2.0, np.nan])
    lower, upper = log_beta_tails(np.array([[0.5], [2.0], [40.0]]), np.array([[0.5], [3.0], [50.0]]), x)
    np.testing.assert_array_equal(lower, np.tile([-np.inf, -np.inf, 0.0, 0.0, np.nan], (3, 1)))
    np.testing.assert_array_equal(upper, np.tile([0.0, 0.0, -np.inf, -np.inf, np.nan], (3, 1)))
    assert log_beta_tails(2.0, 3.0, 0.5)[0].shape == ()
