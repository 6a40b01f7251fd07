"""No default estimate of two samples changes when a column of both is multiplied or shifted; entropies move by the logarithm."""

from functools import partial

import numpy as np
import pytest

from fastkl import (
    KLDivergence,
    cross_entropy,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    kl_divergence_sweep,
    pairwise_divergence,
    permutation_test,
)

SCALE, OFFSET = np.array([1e-3, 1.0, 1e5]), np.array([0.5, -2.0, 3e5])
CALLS = {
    "kl_divergence": kl_divergence,
    "without errors": lambda p, q, **w: kl_divergence(p, q, standard_error=False, **w),
    "jeffreys": jeffreys,
    "jensen_shannon": jensen_shannon,
    "sweep": lambda p, q, **w: kl_divergence_sweep(p, q, [3], **w)[3],
    "common radius in scaled columns": lambda p, q, **w: kl_divergence(
        p, q, method="common_radius", coordinates="scaled", **w
    ),
    "k-NN in normal scores": lambda p, q, **w: kl_divergence(p, q, method="knn", coordinates="normal_scores", **w),
}


def samples(d):
    rng = np.random.default_rng(d)
    return rng.gamma(2.0, size=(250, d)), rng.gamma(2.5, 1.2, (300, d))


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("name", CALLS)
def test_divergences(name, weighted, d):
    p, q = samples(d)
    rng = np.random.default_rng(9)
    weights = {"sample_weight_p": rng.random(250), "sample_weight_q": rng.random(300)} if weighted else {}
    first = CALLS[name](p, q, **weights)
    moved = CALLS[name](p * SCALE[:d] + OFFSET[:d], q * SCALE[:d] + OFFSET[:d], **weights)
    assert moved == pytest.approx(float(first), abs=1e-7)
    assert moved.diagnostics["reasons"] == first.diagnostics["reasons"]


@pytest.mark.parametrize("d", [1, 3])
def test_entropies(d):
    p, q = samples(d)
    expected = np.log(SCALE[:d]).sum()
    for call in (lambda a, _: entropy(a), cross_entropy, lambda a, b: cross_entropy(a, b, n_neighbors=2)):
        moved = call(p * SCALE[:d] + OFFSET[:d], q * SCALE[:d] + OFFSET[:d])
        assert moved - call(p, q) == pytest.approx(expected, abs=1e-7)


def test_the_estimator_scales_by_its_reference():
    p, q = samples(3)
    first, moved = KLDivergence().fit(q), KLDivergence().fit(q * SCALE + OFFSET)
    assert moved.estimate(p * SCALE + OFFSET) == pytest.approx(float(first.estimate(p)), abs=1e-9)
    assert moved.score_samples(p * SCALE + OFFSET) == pytest.approx(first.score_samples(p), abs=1e-7)
    np.testing.assert_array_equal(first.reference_, q)
    plain = KLDivergence(coordinates=None).fit(q)
    assert plain.estimate(p) == kl_divergence(p, q, method="common_radius")
    with pytest.raises(ValueError, match="coordinates"):
        KLDivergence(coordinates="normal_scores").fit(q)


def test_test_and_matrix():
    p, q = samples(3)
    assert permutation_test(p * SCALE, q * SCALE, random_state=0) == permutation_test(p, q, random_state=0)
    D = pairwise_divergence([p, q])
    assert pairwise_divergence([p * SCALE + OFFSET, q * SCALE + OFFSET]) == pytest.approx(D, abs=1e-9)


def test_rotations_where_no_scaling_takes_part():
    p, q = samples(3)
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    for call in (
        partial(jeffreys, method="common_radius"),
        jensen_shannon,
        lambda a, b, coordinates: kl_divergence_sweep(a, b, [3], coordinates=coordinates)[3],
    ):
        assert call(p @ turn, q @ turn, coordinates=None) == pytest.approx(
            float(call(p, q, coordinates=None)), abs=1e-7
        )
    assert cross_entropy(p @ turn, q @ turn, method="knn") == pytest.approx(float(cross_entropy(p, q, method="knn")))
