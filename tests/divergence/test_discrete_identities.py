"""Identities of discrete entropy, cross-entropy and KL divergence, each with a number to check it by."""

import numpy as np
import pytest
from sklearn.metrics import log_loss

from fastkl.divergence.estimate import Estimate
from fastkl.divergence.symbols.categorical_entropy import categorical_entropy
from fastkl.divergence.symbols.categorical_kl import categorical_cross_entropy, categorical_kl
from fastkl.divergence.symbols.discrete import discrete_cross_entropy, discrete_entropy, discrete_kl

P, Q = [0.1, 0.6, 0.3], [0.2, 0.3, 0.5]


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (discrete_kl([1 / 3, 1 / 3, 0, 1 / 3], [0.25] * 4), 0.287682),
        (discrete_entropy([1 / 3] * 3), 1.098612),
        (discrete_kl(P, Q), 0.193326),
        (discrete_kl([0.5, 0.5, 0.0], [0.25, 0.25, 0.5]), 0.693147),
        (discrete_kl(Q, P), 0.186098),
        (discrete_entropy(P), 0.897946),
        (discrete_cross_entropy(P, Q), 1.091272),
        (discrete_entropy([0.6, 0.4]), 0.673012),
        (discrete_cross_entropy([0.6, 0.4], [0.6, 0.4]), 0.673012),
        (discrete_kl([0.6, 0.4], [0.5, 0.5]), 0.020136),
        (discrete_kl([0.6, 0.4], [0.7, 0.3]), 0.022582),
        (discrete_kl([2.0, 1.0, 0.0], [1.0, 1.0, 1.0], logits=True, temperature=2.0), 0.078421),
        (discrete_entropy([0.5, 0.5]), 0.693147),
    ],
)
def test_known_values(found, expected):
    assert isinstance(found, Estimate)
    assert found.standard_error == 0.0
    assert abs(found - expected) < 5e-7


def test_log_loss():
    """Labels against predicted probabilities."""
    labels, predicted = np.array([1, 0, 1]), np.array([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    rows = discrete_cross_entropy(np.eye(2)[labels], predicted)
    assert abs(rows.mean() - log_loss(labels, predicted)) < 1e-15
    assert abs(rows.mean() - 0.228393) < 5e-7


def test_distinct_symbols_have_log_n():
    """The discrete entropy of n distinct symbols; repeats add up."""
    assert categorical_entropy(["x", "y", "z"], "plugin") == pytest.approx(np.log(3), abs=1e-15)
    assert categorical_cross_entropy(["a", "a", "b"], ["a", "b"], "plugin") == pytest.approx(np.log(2), abs=1e-15)


def test_symbol_that_q_lacks():
    """Infinite, exactly and as an estimate."""
    assert discrete_kl([0.5, 0.5], [1.0, 0.0]) == np.inf
    assert categorical_kl(["a", "b"], ["a"]) == np.inf


def test_identity():
    """The divergence is cross-entropy minus entropy."""
    assert abs(discrete_cross_entropy(P, Q) - discrete_entropy(P) - discrete_kl(P, Q)) < 1e-12
    x, y = [6, 3, 1], [4, 4, 2]
    for cross, own in (("plugin", "plugin"), ("zhang_grabchak", "zhang")):
        left = categorical_cross_entropy(x, y, cross, counts=True) - categorical_entropy(x, own, counts=True)
        assert abs(left - categorical_kl(x, y, cross, counts=True)) < 1e-12


def test_null_estimates():
    """Estimates may be negative and are not clamped; their mean is near 0."""
    rng = np.random.default_rng(22)
    values = [categorical_kl(rng.integers(0, 6, 500), rng.integers(0, 6, 500)) for _ in range(20)]
    assert min(values) < 0.0
    assert abs(np.mean(values)) < 0.005


def test_cats_and_dogs():
    """6 cats, 4 dogs; cross-entropy is least, and equal to the entropy, at 0.6."""
    animals = ["cat"] * 6 + ["dog"] * 4
    assert abs(categorical_entropy(animals, "plugin") - 0.673012) < 5e-7
    theta = np.linspace(0.01, 0.99, 99)
    cross = discrete_cross_entropy([0.6, 0.4], np.column_stack([theta, 1 - theta]))
    assert theta[np.argmin(cross)] == pytest.approx(0.6)
    assert abs(cross.min() - 0.673012) < 5e-7


class TestBiasOfCounts:
    def test_frequencies_are_biased_and_the_default_is_less_so(self):
        """What the guide says of labels: the plug-in entropy is too low by about (symbols - 1) / 2n."""
        rng, truth = np.random.default_rng(13), np.log(20.0)
        samples = [rng.integers(0, 20, size=200) for _ in range(300)]
        plugin, default = (
            np.mean([categorical_entropy(x, *method) for x in samples]) - truth for method in (["plugin"], [])
        )
        assert plugin == pytest.approx(-19.0 / 400.0, abs=0.005)
        assert abs(default) < 0.2 * abs(plugin)

    def test_symbols_that_the_reference_lacks(self):
        """Infinite, estimated, smoothed or refused."""
        p, q = ["a", "b", "b"], ["b", "b"]
        assert categorical_kl(p, q) == np.inf
        assert np.isfinite(categorical_kl(p, q, unseen="estimate"))
        assert np.isfinite(categorical_kl(p, q, unseen="smooth"))
        with pytest.raises(ValueError, match="a"):
            categorical_kl(p, q, unseen="raise")
