"""Cross-entropy of two samples: the entropy of p and the divergence together, where neighbours alone are far too small."""

import numpy as np
import pytest
from scipy import stats

from fastkl import DensityMLE, ProductDensity, cross_entropy, entropy, kl_divergence
from fastkl.divergence import cross_entropy_batches
from fastkl.exceptions import DegenerateDataError


def normal_cross_entropy(mean, sd):
    """Of N(0, 1) relative to N(mean, sd^2)."""
    return 0.5 * np.log(2.0 * np.pi * sd**2) + (1.0 + mean**2) / (2.0 * sd**2)


@pytest.mark.parametrize(("mean", "sd", "d"), [(0.0, 1.0, 1), (3.0, 1.0, 1), (1.0, 2.0, 3)])
def test_normal_samples(mean, sd, d):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, d)), rng.normal(mean, sd, (1000, d))
    found = cross_entropy(x, y)
    assert abs(found - d * normal_cross_entropy(mean, sd)) < 2.5 * found.standard_error < 1.0
    assert found.value == pytest.approx(entropy(x) + kl_divergence(x, y), abs=1e-12)
    assert found.diagnostics["reasons"] == []


def test_doubts_are_those_of_its_parts():
    rng = np.random.default_rng(1)
    x, y = rng.standard_t(2, 1000), rng.normal(8.0, 1.0, 1000)
    found, divergence = cross_entropy(x, y), kl_divergence(x, y)
    assert divergence.diagnostics["bias_suspected"]
    assert [f"KL(p || q): {reason}" for reason in divergence.diagnostics["reasons"]] == found.diagnostics["reasons"]


def test_values_that_repeat_have_neighbours_in_q_alone():
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=(500, 1)).round(1), rng.normal(size=500)
    with pytest.raises(DegenerateDataError, match="repeated or rounded values"):
        cross_entropy(x, y)  # whose error needs the density of p
    found = cross_entropy(x, y, standard_error=False)
    assert found.method == "knn"
    assert abs(found + stats.norm.logpdf(x).mean()) < 0.1


@pytest.mark.parametrize("call", [lambda x, y: cross_entropy(x, y, method="knn"), cross_entropy_batches])
def test_neighbours_that_are_too_far_away_drift(call):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 1))
    assert any("moves by" in reason for reason in call(x, rng.normal(20.0, 1.0, (1000, 1))).diagnostics["reasons"])
    assert call(x, rng.normal(size=(1000, 1))).diagnostics["reasons"] == []


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_a_table_with_labels_under_a_model_of_both(library):
    module = pytest.importorskip(library)
    rng = np.random.default_rng(0)
    x, labels, weights = rng.normal(size=300), np.where(rng.random(300) < 0.3, "a", "b"), rng.random(300)
    table = module.DataFrame({"x": x, "label": labels})
    model = ProductDensity([("x", DensityMLE("normal"), ["x"]), ("label", DensityMLE("categorical"), ["label"])]).fit(
        table
    )
    # normal around the mean, and each label by its share: by hand
    share = np.where(labels == "a", (labels == "a").mean(), (labels == "b").mean())
    surprisal = 0.5 * np.log(2.0 * np.pi * x.var()) + 0.5 * (x - x.mean()) ** 2 / x.var() - np.log(share)
    assert cross_entropy(table, model) == pytest.approx(surprisal.mean())
    assert cross_entropy(table, model, sample_weight_p=weights) == pytest.approx(np.average(surprisal, weights=weights))
    assert cross_entropy(table, model).standard_error == pytest.approx(surprisal.std() / np.sqrt(300), rel=0.01)
    strange = module.DataFrame({"x": x, "label": np.where(labels == "a", "c", "b")})
    assert cross_entropy(strange, model) == np.inf
    assert abs(kl_divergence(table, model)) < 2.0 * kl_divergence(table, model).standard_error < 0.2
