"""The order in which rows come is no property of a sample: no default estimate depends on it."""

import numpy as np
import pytest

import fastkl

N = 200
CALLS = {
    "kl_divergence": fastkl.kl_divergence,
    "jeffreys": fastkl.jeffreys,
    "jensen_shannon": fastkl.jensen_shannon,
    "renyi_divergence": lambda p, q: fastkl.renyi_divergence(p, q, 0.75),
    "entropy": lambda p, q: fastkl.entropy(p),
    "cross_entropy": fastkl.cross_entropy,
    "sample and model": lambda p, q: fastkl.DensityMLE().fit(q).kl_divergence(p),
}

OF_DENSITIES = ("entropy", "cross_entropy", "sample and model")


def samples(name, d):
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(2, N, d))
    return {
        "normal": (X, 1.3 * Y + 0.2),
        "clusters": (X + 3.0 * rng.integers(0, 2, (N, 1)), Y + 3.6 * rng.integers(0, 2, (N, 1))),
        "uniform": (rng.random((N, d)), 1.3 * rng.random((N, d))),
        "rounded": (X.round(1), (1.2 * Y).round(1)),
    }[name]


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("name", ["normal", "clusters", "uniform", "rounded"])
@pytest.mark.parametrize("call", CALLS)
def test_the_order_of_rows_does_not_matter(call, name, d):
    if name == "rounded" and d == 1 and call in OF_DENSITIES:
        pytest.skip("a column of repeated values has no density, which is an error")
    p, q = samples(name, d)
    rng = np.random.default_rng(2)
    first, second = CALLS[call](p, q), CALLS[call](rng.permutation(p), rng.permutation(q))
    np.testing.assert_allclose(float(second), float(first), atol=1e-11 * first.standard_error, rtol=1e-11)
    np.testing.assert_allclose(second.standard_error, first.standard_error, rtol=1e-9)
    assert second.reasons == first.reasons


def test_nor_does_that_of_weighted_rows():
    p, q = samples("clusters", 2)
    weights, order = np.random.default_rng(3).uniform(0.5, 2.0, N), np.random.default_rng(4).permutation(N)
    first = fastkl.kl_divergence(p, q, sample_weight_p=weights)
    second = fastkl.kl_divergence(p[order], q, sample_weight_p=weights[order])
    np.testing.assert_allclose(float(second), float(first), rtol=1e-11)
