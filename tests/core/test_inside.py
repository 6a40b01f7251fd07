"""What lies in a bracket of each column, against masks of numpy: sums, values in the order of the rows, weights."""

import numpy as np
import pytest

from fastkl._core._inside import values_inside


def by_masks(X, weights, column, low, high):
    x = X[:, column].astype(np.float64)
    below = x < low
    inside = ~below & ~(x > high)
    w = np.ones(len(x)) if weights is None else weights
    return w[below].sum(), w[inside].sum(), x[inside], None if weights is None else weights[inside]


@pytest.mark.parametrize("n", [1, 7, 8, 4095, 4096, 4103, 60000])
@pytest.mark.parametrize("d", [1, 3, 40])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_masks(n, d, dtype, weighted):
    rng = np.random.default_rng(n + d)
    X = np.round(rng.normal(size=(n, d)), 2).astype(dtype)  # values on the ends of the brackets among them
    X[rng.random((n, d)) < 0.01] = np.nan
    weights = rng.integers(1, 5, n).astype(float) if weighted else None
    columns = list(range(0, d, 2))
    low, high = np.linspace(-1.0, 0.5, len(columns)).round(2), np.linspace(-0.5, 0.5, len(columns)).round(2)
    low, high = low.astype(dtype).astype(float), high.astype(dtype).astype(float)
    one = values_inside(X, weights, columns, low, high, 1)
    three = values_inside(X, weights, columns, low, high, 3)
    for column, *ends, found, again in zip(columns, low, high, one, three, strict=True):
        for value, expected, other in zip(found, by_masks(X, weights, column, *ends), again, strict=True):
            np.testing.assert_array_equal(value, expected)
            np.testing.assert_array_equal(value, other)


def test_brackets_without_ends_and_without_values():
    X = np.arange(10.0)[:, None]
    everything = values_inside(X, None, [0], np.array([-np.inf]), np.array([np.inf]), 1)[0]
    assert everything[:2] == (0.0, 10.0)
    np.testing.assert_array_equal(everything[2], X[:, 0])
    nothing = values_inside(X, None, [0], np.array([4.25]), np.array([4.75]), 1)[0]
    assert nothing[:2] == (5.0, 0.0)
    assert nothing[2].shape == (0,)


def test_read_only_rows():
    X, weights = np.ones((5, 2)), np.ones(5)
    X.flags.writeable = weights.flags.writeable = False
    assert values_inside(X, weights, [1], np.zeros(1), np.full(1, 2.0), 2)[0][1] == 5.0
