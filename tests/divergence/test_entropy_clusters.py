"""The entropy of rows in clusters far apart: that of the clusters' frequencies and the mean of their own."""

import numpy as np
import pytest

from fastkl import entropy

SPREAD = 0.5
OF_ONE = 0.5 * np.log(2.0 * np.pi * np.e * SPREAD**2)  # nats a column


def clusters(rng, n, d, apart, shares=(1 / 3, 1 / 3, 1 / 3)):
    """Normal clusters at (0, ...), (apart, ...), (apart, 0, ...): of one column the first two."""
    centres = np.array([np.zeros(d), np.full(d, apart), apart * np.eye(d)[0]])
    shares = (0.5, 0.5, 0.0) if d == 1 else shares
    return centres[rng.choice(3, n, p=shares)] + SPREAD * rng.normal(size=(n, d))


@pytest.mark.parametrize("n", [200, 2000])
@pytest.mark.parametrize("apart", [5.0, 50.0])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_intervals_hold_the_truth(d, apart, n):
    truth = d * OF_ONE + np.log(2.0 if d == 1 else 3.0)
    found = [entropy(clusters(np.random.default_rng(seed), n, d, apart)) for seed in range(12)]
    assert {estimate.diagnostics["clusters"] for estimate in found} == {2 if d == 1 else 3}
    assert np.mean([abs(estimate - truth) <= 2.0 * estimate.standard_error for estimate in found]) >= 0.8
    assert abs(np.mean(found) - truth) < (0.08 if n == 200 else 0.02)
    assert np.mean([estimate.bias_suspected for estimate in found]) <= 0.2


def test_it_is_the_sum_by_hand():
    X = clusters(np.random.default_rng(0), 600, 2, 50.0, (0.5, 0.3, 0.2))
    which = 2 * (X[:, 0] > 25.0) + (X[:, 1] > 25.0)
    parts = [X[which == k] for k in np.unique(which)]
    shares = np.array([len(part) for part in parts]) / len(X)
    expected = sum(share * (float(entropy(part)) - np.log(share)) for share, part in zip(shares, parts, strict=True))
    estimate = entropy(X)
    np.testing.assert_allclose(float(estimate), expected, rtol=1e-10)
    np.testing.assert_allclose(np.sort(estimate.diagnostics["frequencies"]), np.sort(shares), rtol=1e-12)


def test_clusters_of_clusters():
    """Nine groups of rows, of which a mixture of three knows no more than three at once."""
    rng = np.random.default_rng(0)
    X = (
        1000.0 * rng.integers(0, 3, (1800, 1))
        + 30.0 * rng.integers(0, 3, (1800, 1))
        + SPREAD * rng.normal(size=(1800, 2))
    )
    estimate = entropy(X)
    assert abs(estimate - 2.0 * OF_ONE - np.log(9.0)) <= 2.0 * estimate.standard_error


def test_units_weights_and_order():
    rng = np.random.default_rng(0)
    X = clusters(rng, 400, 2, 20.0)
    plain = entropy(X)
    np.testing.assert_allclose(float(entropy(X * [1e6, 1e-3] + 5.0)), float(plain) + np.log(1e3), rtol=1e-8)
    np.testing.assert_allclose(float(entropy(rng.permutation(X))), float(plain), rtol=1e-9)
    np.testing.assert_allclose(float(entropy(X, sample_weight_p=np.full(400, 2.0))), float(plain), rtol=1e-9)
    # the first cluster with half of its mass
    weights = np.where(X.sum(axis=1) < 10.0, 0.5, 1.0)
    shares = np.array([0.2, 0.4, 0.4])
    weighed = entropy(X, sample_weight_p=weights)
    assert abs(weighed - 2.0 * OF_ONE + shares @ np.log(shares)) <= 2.5 * weighed.standard_error


def test_no_clusters_are_seen_in_one_population():
    rng = np.random.default_rng(0)
    for X in (
        rng.normal(size=(500, 2)),
        rng.random((500, 2)),
        rng.standard_t(2, size=(500, 2)),
        np.exp(2.0 * rng.normal(size=(500, 1))),
        clusters(rng, 500, 2, 1.5),
        rng.normal(size=(40, 2)),
    ):
        assert "clusters" not in entropy(X).diagnostics
