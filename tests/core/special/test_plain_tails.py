"""Where scipy's plain functions are taken for tails, they agree with those that are right everywhere to 5e-13.

The latter are held to 50-digit arithmetic by the tests beside this one and by ``tests/families/test_textbook.py``.
"""

import numpy as np

from fastkl._core.special.beta_tails import log_beta_tails, plain_beta_tail
from fastkl._core.special.gamma_tails import log_gamma_tails, plain_gamma_tail
from fastkl._core.special.student_tails import log_student_sf, plain_student_sf

RNG = np.random.default_rng(0)
N = 20_000
T = RNG.uniform(-9.0, 9.0, N)


def agree(plain, exact, least):
    """Where there is a plain value; and there is one for a good part."""
    there = ~np.isnan(plain)
    assert there.mean() > least
    np.testing.assert_allclose(plain[there], exact[there], rtol=5e-13)


def test_gamma():
    shape = 10.0 ** RNG.uniform(-3.0, 2.5, N)
    x = shape * np.exp(T / np.sqrt(np.maximum(shape, 0.25)))
    lower, upper = log_gamma_tails(shape, x)
    agree(plain_gamma_tail(shape, x, False), np.exp(lower), 0.4)
    agree(plain_gamma_tail(shape, x, True), np.exp(upper), 0.4)
    assert np.isnan(plain_gamma_tail([200.0, 2.0, 2.0, np.nan], [200.0, 1e-300, np.nan, 1.0], False)).all()


def test_beta():
    a, b = 10.0 ** RNG.uniform(-2.0, 3.0, (2, N))
    odds = a / b * np.exp(T * np.minimum(3.0, np.sqrt(1.0 / a + 1.0 / b)))
    x, y = odds / (1.0 + odds), 1.0 / (1.0 + odds)
    gap = b * x - a * y
    lower, upper = log_beta_tails(a, b, x, y, gap)
    agree(plain_beta_tail(a, b, x, y, False), np.exp(lower), 0.5)
    agree(plain_beta_tail(a, b, x, y, True), np.exp(upper), 0.5)
    assert np.isnan(plain_beta_tail([600.0, 2.0], [2.0, np.nan], 0.5, 0.5, True)).all()


def test_student():
    df = 10.0 ** RNG.uniform(-1.0, 3.5, N)
    t = RNG.standard_t(df) * RNG.choice([0.01, 1.0, 4.0], N)
    agree(plain_student_sf(df, t), np.exp(log_student_sf(df, t)), 0.8)
    assert np.isnan(plain_student_sf([np.inf, 2.0, np.nan], [1.0, np.nan, 1.0])).all()
    assert plain_student_sf(3.0, 0.0) == 0.5
