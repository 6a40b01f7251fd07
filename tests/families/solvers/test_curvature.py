"""Derivatives by differences against closed forms, for functions and for the log-likelihoods of families."""

import numpy as np
import pytest
from scipy.special import polygamma

from fastkl import families
from fastkl._core.rows import Rows
from fastkl.families.solvers.coordinates import chart_at
from fastkl.families.solvers.curvature import derivative, hessian, jacobian, row_scores, score_products
from tests.families.chunked import ChunkedRows

RNG = np.random.default_rng(0)


def test_derivative_of_a_function():
    """Of fourth order: what a step of 1e-3 cuts off is below 1e-13 here, rounding below 1e-12."""
    u = np.array([0.4, -1.3])
    found = derivative(lambda v: np.array([np.sin(v[0]) * np.exp(v[1]), v[0] ** 4, 1.0]), u)
    wave, growth = np.sin(u[0]) * np.exp(u[1]), np.cos(u[0]) * np.exp(u[1])
    np.testing.assert_allclose(found, [[growth, wave], [4.0 * u[0] ** 3, 0.0], [0.0, 0.0]], atol=1e-12)


def test_jacobian_of_columns_that_are_independent():
    """Two parameters a, b of three columns: (a^2 b, sin b) in each; a matrix per column, from four places a parameter."""
    a, b = np.array([1.0, 2.0, -0.5]), np.array([0.3, 0.0, 2.0])
    asked = []

    def functions(places):
        asked.append(len(places))
        return [np.concatenate([u[:3] ** 2 * u[3:], np.sin(u[3:])]) for u in places]

    u = np.concatenate([a, b])
    found = jacobian(functions, u, columns=3)
    expected = np.array([[[2.0 * x * y, x * x], [0.0, np.cos(y)]] for x, y in zip(a, b, strict=True)])
    np.testing.assert_allclose(found, expected, atol=1e-11)
    assert asked == [8]
    whole = jacobian(functions, u)
    assert whole.shape == (1, 6, 6)
    np.testing.assert_allclose(whole[0][[0, 3]][:, [0, 3]], expected[0], atol=1e-11)
    np.testing.assert_allclose(whole[0][0, 1], 0.0, atol=1e-11)


@pytest.mark.parametrize("columns", [None, 2])
def test_hessian_of_a_gamma_likelihood(columns):
    """By log shape and log scale at the parameters (a, s), from sums of x and log x over n rows."""
    X = RNG.gamma(2.0, 3.0, size=(50, 2))
    family, n = families.Gamma(), len(X)
    params = {"shape": np.array([1.7, 2.2]), "scale": np.array([3.5, 2.5])}
    rows, chart = Rows(X), chart_at(family, params)
    found = hessian(lambda places: [family.gradient(rows, at) for at in places], chart, params, columns)
    for j, (a, s) in enumerate(zip(params["shape"], params["scale"], strict=True)):
        slope = np.sum(np.log(X[:, j])) - n * polygamma(0, a) - n * np.log(s)
        by_a, by_s = a * slope - n * a * a * polygamma(1, a), -np.sum(X[:, j]) / s
        expected = [[by_a, -n * a], [-n * a, by_s]]
        mine = found[j] if columns else found[0][[j, 2 + j]][:, [j, 2 + j]]
        np.testing.assert_allclose(mine, expected, rtol=1e-9)
    if columns is None:
        np.testing.assert_allclose(found[0][0, [1, 3]], 0.0, atol=1e-7)


def test_scores_of_rows():
    """Of N(m, s) by m in units of s, and by log s: z and z^2 - 1."""
    X = RNG.normal(2.0, 3.0, size=(5000, 1))
    params = {"loc": np.array([2.0]), "scale": np.array([3.0])}
    family, rows = families.Normal(), Rows(X)
    chart = chart_at(family, params)
    blocks = list(row_scores(family, rows, params, chart))
    assert [len(weights) for _, weights in blocks] == [4096, 904]
    z = (X[:, 0] - 2.0) / 3.0
    np.testing.assert_allclose(np.concatenate([scores for scores, _ in blocks]), np.c_[z, z * z - 1.0], atol=1e-9)


@pytest.mark.parametrize("squared", [False, True])
def test_products_of_scores(squared):
    """Of exponential rows by log scale: the score is x / s - 1; one pass, in blocks as in memory."""
    X, w = RNG.exponential(2.0, size=(300, 1)), RNG.uniform(0.5, 2.0, size=300)
    params, family = {"scale": np.array([1.5])}, families.Exponential()
    expected = np.sum(w ** (2 if squared else 1) * (X[:, 0] / 1.5 - 1.0) ** 2)
    chart, chunked = chart_at(family, params), ChunkedRows(Rows(X, w))
    for rows in (Rows(X, w), chunked):
        found = score_products(family, rows, params, chart, squared=squared)
        np.testing.assert_allclose(found, [[expected]], rtol=1e-9)
    assert chunked.passes == 1
