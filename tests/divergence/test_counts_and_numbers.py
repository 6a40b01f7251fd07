"""Tables of counts and numbers, and of labels too, against products of models; atoms and rounding where a model has a density."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fastkl import DensityMLE, ProductDensity, kl_divergence

LABELS = np.array(["a", "b"])


def table(rng, n, dependence=0.0, labels=False):
    """Counts with a mean of 3, and numbers whose mean depends on them."""
    counts = rng.poisson(3.0, n)
    columns = {"count": counts, "x": rng.normal(size=n) + dependence * (counts - 3.0)}
    return pd.DataFrame(columns | ({"label": LABELS[rng.choice(2, n, p=[0.6, 0.4])]} if labels else {}))


def product(frame):
    families = {"count": "poisson", "x": "normal", "label": "categorical"}
    return ProductDensity([(name, DensityMLE(families[name]), [name]) for name in frame.columns]).fit(frame)


def truth(dependence, sd):
    """What counts tell of numbers, and how far the margin of the numbers is from the model: by sums over a fine grid."""
    counts, x = np.arange(30), np.linspace(-12.0, 20.0, 20_001)
    joint = stats.poisson(3.0).pmf(counts)[:, np.newaxis] * stats.norm(dependence * (counts[:, np.newaxis] - 3.0)).pdf(
        x
    )
    apart = stats.poisson(3.0).pmf(counts)[:, np.newaxis] * stats.norm(0.0, sd).pdf(x)
    seen = joint > 1e-200
    return float(np.sum(joint[seen] * np.log(joint[seen] / apart[seen])) * (x[1] - x[0]))


@pytest.mark.parametrize(("labels", "n"), [(False, 200), (False, 800), (True, 200)])
@pytest.mark.parametrize("dependence", [0.0, 0.3])
def test_the_divergence_is_covered(labels, n, dependence):
    model = product(table(np.random.default_rng(99), 200_000, dependence, labels))
    expected = truth(dependence, np.sqrt(1.0 + 3.0 * dependence**2))
    covered, flagged = [], []
    for seed in range(15):
        frame = table(np.random.default_rng([seed, n]), n, dependence, labels)
        estimate = kl_divergence(frame, model, random_state=seed)
        covered.append(abs(estimate - expected) <= 1.96 * estimate.standard_error)
        flagged.append(estimate.diagnostics["bias_suspected"])
    assert np.mean(covered) >= 0.8
    assert np.mean(flagged) <= 0.15


def zeros(values, rng, share=0.3):
    return np.where(rng.random(len(values)) < share, 0.0, values)


@pytest.mark.parametrize("columns", [1, 2, 5])
@pytest.mark.parametrize("route", ["auto", "draws"])
def test_an_inflated_zero_is_no_value_of_a_density(columns, route):
    rng = np.random.default_rng(columns)
    X = rng.normal(1.0, 2.0, (600, columns))
    model = DensityMLE("multivariate_normal").fit(X)
    assert np.isfinite(kl_divergence(X, model, route=route, random_state=0))
    for inflated in (zeros(X[:, 0], rng), zeros(X[:, 0], rng).round(2)):
        found = kl_divergence(np.column_stack([inflated, X[:, 1:]]), model, route=route, random_state=0)
        assert found == np.inf
        assert "rows have the value 0, and the model has a density there" in found.diagnostics["reasons"][0]


def test_a_product_with_counts_takes_inflated_zeros_of_counts_alone():
    rng = np.random.default_rng(4)
    frame = table(rng, 600)
    model = product(frame)
    counts = frame.assign(count=np.where(rng.random(600) < 0.3, 0, frame["count"]))
    assert 0.0 < kl_divergence(counts, model, random_state=0) < 1.0
    assert kl_divergence(frame.assign(x=zeros(frame["x"], rng)), model, random_state=0) == np.inf


class InflatedNormal:
    """A stranger's model that has the value 0 in three of ten rows, and normal values in others."""

    def log_prob(self, x):
        x = np.ravel(x)
        return np.where(x == 0.0, np.log(0.3), np.log(0.7) + stats.norm.logpdf(x))

    def sample(self, shape):
        rng = np.random.default_rng(5)
        return zeros(rng.normal(size=shape), rng)


def test_a_model_with_the_same_atom_is_not_taken_for_a_density():
    rng = np.random.default_rng(6)
    x = zeros(rng.normal(size=1000), rng)
    found = kl_divergence(x, InflatedNormal(), route="draws")
    assert abs(found) < 4.0 * found.standard_error < 1.0


def test_rounded_numbers_beside_counts_are_said():
    """1.9 nats without a word, for a model that is right but for the rounding."""
    frame = table(np.random.default_rng(7), 2000)
    found = kl_divergence(frame.assign(x=frame["x"].round(1)), product(frame), random_state=0)
    assert found.diagnostics["bias_suspected"]
    assert abs(found) < 3.0 * found.standard_error


@pytest.mark.parametrize("digits", [3, 2])
def test_an_inflated_zero_among_rounded_values_that_the_other_sample_lacks(digits):
    rng = np.random.default_rng(digits)
    x, y = rng.gamma(4.0, 2.0, 3000).round(digits), rng.gamma(4.0, 2.0, 3000).round(digits)
    assert abs(kl_divergence(x, y)) < 0.2
    assert kl_divergence(zeros(x, rng), y) == np.inf
