"""Weights as masses of the rows, in every estimator."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import multivariate_normal, norm, poisson

from fastkl import (
    DensityMLE,
    ProductDensity,
    cross_entropy,
    entropy,
    jeffreys,
    jensen_shannon,
    kl_divergence,
    mutual_information,
)
from fastkl.divergence import (
    KLDivergence,
    empirical,
    entropy_batches,
    kl_divergence_sweep,
    kl_lower_bound,
    population_stability_index,
)
from fastkl.exceptions import SourceError

METHODS = ("common_radius", "knn", "bias_reduced")


@pytest.fixture
def samples():
    rng = np.random.default_rng(0)
    return (
        rng.normal(size=(200, 2)),
        rng.normal(0.3, 1.3, (260, 2)),
        rng.uniform(0.2, 3.0, 200),
        rng.uniform(0.2, 3.0, 260),
    )


def calls(x, y, v, w):
    """Every estimator with weights, by name."""
    both = {"sample_weight_p": v, "sample_weight_q": w}
    found = {method: kl_divergence(x, y, method=method, **both) for method in METHODS}
    found["entropy"] = entropy(x, sample_weight_p=v)
    found["cross_entropy"] = cross_entropy(x, y, **both)
    found["jeffreys"] = jeffreys(x, y, **both)
    found["jensen_shannon"] = jensen_shannon(x, y, **both)
    found["sweep"] = kl_divergence_sweep(x, y, [3], **both)[3]
    found["model"] = kl_divergence(x[:, 0], norm(0, 1), sample_weight_p=v)
    return found


def test_only_ratios_matter(samples):
    x, y, v, w = samples
    first, second = calls(x, y, v, w), calls(x, y, 1e6 * v, 1e-6 * w)
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-9), name
        assert second[name].standard_error == pytest.approx(value.standard_error, rel=1e-9), name


def test_equal_weights_are_no_weights(samples):
    x, y, v, w = samples
    first, second = calls(x, y, None, None), calls(x, y, np.full_like(v, 7.0), np.full_like(w, 0.1))
    for name, value in first.items():
        assert second[name] == value, name


def test_the_weighted_formulas_tend_to_the_plain_ones(samples):
    x, y, v, w = samples
    first = calls(x, y, None, None)
    nearly = calls(x, y, 1.0 + 1e-9 * v, 1.0 + 1e-9 * w)
    for name, value in first.items():
        assert nearly[name] == pytest.approx(value, abs=1e-7), name
        assert nearly[name].standard_error == pytest.approx(value.standard_error, rel=1e-6), name


def test_rows_of_weight_zero_are_absent(samples):
    x, y, v, w = samples
    v, w = v.copy(), w.copy()
    v[::3], w[::4] = 0.0, 0.0
    first, second = calls(x, y, v, w), calls(x[v > 0], y[w > 0], v[v > 0], w[w > 0])
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=1e-12), name


@pytest.mark.parametrize("method", METHODS)
def test_importance_weights_move_a_sample_to_another_law(method):
    estimates = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(0, 1.5, 1000), rng.normal(1, 2.5, 1000)
        v, w = norm.pdf(x) / norm.pdf(x, 0, 1.5), norm.pdf(y, 1, 2) / norm.pdf(y, 1, 2.5)
        estimates.append(kl_divergence(x, y, method=method, sample_weight_p=v, sample_weight_q=w))
    error = np.std(estimates, ddof=1) / np.sqrt(len(estimates))
    assert abs(np.mean(estimates) - 0.443147) < 4 * error
    assert 0.5 < np.mean([e.standard_error for e in estimates]) / np.std(estimates, ddof=1) < 2.0


def test_whole_weights_equal_repeats_where_rows_are_symbols_and_nearly_on_rounded_data():
    rng = np.random.default_rng(2)
    counts, repeats = rng.poisson(3.0, 50), rng.integers(1, 4, 50)
    assert kl_divergence(counts, poisson(2), sample_weight_p=repeats) == pytest.approx(
        kl_divergence(np.repeat(counts, repeats), poisson(2)), abs=1e-12
    )
    x, y, w = rng.normal(size=3000).round(1), rng.normal(0.5, 1.2, 2000).round(1), rng.integers(1, 4, 3000)
    assert kl_divergence(x, y, sample_weight_p=w) == pytest.approx(kl_divergence(np.repeat(x, w), y), abs=0.01)


def test_identity_holds_with_weights(samples):
    x, y, v, w = samples
    whole = kl_divergence(x, y, method="knn", sample_weight_p=v, sample_weight_q=w)
    parts = cross_entropy(x, y, method="knn", sample_weight_p=v, sample_weight_q=w)
    parts -= entropy(x, method="knn", sample_weight_p=v)
    assert whole == pytest.approx(parts, abs=1e-12)


def test_wrong_weights_are_named(samples):
    x, y, v, _ = samples
    for weights, match in (
        (v[:-1], "for 200 rows; expected one weight for each row"),
        (-v, "row 0"),
        (np.where(np.arange(200) == 5, np.nan, v), "row 5 has weight nan"),
        (np.zeros(200), "zero in every row"),
    ):
        with pytest.raises(ValueError, match=match):
            kl_divergence(x, y, sample_weight_p=weights)
    with pytest.raises(ValueError, match="1 row of positive weight"):
        kl_divergence(x, y, sample_weight_p=np.arange(200) == 3)


def test_weights_of_any_size(samples):
    x, y, v, w = samples
    first = calls(x, y, v, w)
    for scale in (1e-250, 1e250):
        for name, value in calls(x, y, scale * v, w / scale).items():
            assert value == pytest.approx(first[name], rel=1e-9), name
    steep = np.exp(-np.linspace(0.0, 600.0, 200))
    for name, value in calls(x, y, steep, w).items():
        assert np.isfinite(value), name


@pytest.mark.parametrize("largest", [1.0, 1e-200, 1e200])
@pytest.mark.parametrize("side", ["p", "q"])
def test_weights_that_leave_next_to_no_rows_are_said(side, largest):
    """Importance weights over hundreds of orders of magnitude: one row has all, and no neighbour of it says anything."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 50, 2))
    weights = {f"sample_weight_{side}": largest * 10.0 ** -rng.uniform(0.0, 100.0, 50)}
    for estimate in (kl_divergence, jensen_shannon):
        found = estimate(x, y, **weights)
        assert found.diagnostics["bias_suspected"]
        assert any("effective rows" in reason for reason in found.diagnostics["reasons"])
    assert not any("effective" in reason for reason in kl_divergence(x, y).diagnostics["reasons"])


@pytest.mark.parametrize("sigma", [0.5, 1.0])
def test_weights_that_have_nothing_to_do_with_the_values_do_not_move_an_entropy(sigma):
    off = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=2000)
        found = entropy(x, sample_weight_p=rng.lognormal(0.0, sigma, 2000))
        off.append((found - 0.5 * np.log(2.0 * np.pi * np.e)) / found.standard_error)
    assert abs(np.mean(off)) < 0.7  # a row's own mass, counted in the gap around it, made it -1.1
    assert np.max(np.abs(off)) < 3.5


def test_weights_whose_largest_ones_are_beyond_the_sample_are_said():
    rng = np.random.default_rng(0)
    x = rng.normal(size=1000)
    tilted = np.exp(2.0 * x - 2.0)  # the target is N(2, 1), of which half is beyond all but 20 rows
    for found in (entropy(x, sample_weight_p=tilted), kl_divergence(x, norm(2.0, 1.0), sample_weight_p=tilted)):
        assert any("Pareto tail" in reason for reason in found.diagnostics["reasons"])
    mild = np.exp(0.5 * x)
    assert entropy(x, sample_weight_p=mild).diagnostics["reasons"] == []


@pytest.mark.parametrize("d", [2, 4])
@pytest.mark.parametrize("by_chance", [False, True])
def test_importance_weights_move_no_entropy_of_several_columns(d, by_chance):
    """Draws of N(0, 1.2^2) weighed as those of N(0.5, 0.8^2): weights go by where a row is, and are nearly equal within a ball.

    The bias of weights dealt out at random was taken from them, -0.2 in two columns and more in more.
    """
    off = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        x = rng.normal(0.0, 1.2, size=(2000, d))
        weights = np.exp((norm.logpdf(x, 0.5, 0.8) - norm.logpdf(x, 0.0, 1.2)).sum(axis=1))
        if by_chance:
            weights *= rng.exponential(size=2000)
        target = multivariate_normal(np.full(d, 0.5), 0.64 * np.eye(d))
        off.append(
            [
                entropy(x, sample_weight_p=weights) - target.entropy(),
                kl_divergence(x, target, sample_weight_p=weights),
                kl_divergence(x, multivariate_normal(np.zeros(d)), sample_weight_p=weights)
                - d * (0.5 * (0.64 + 0.25) - 0.5 - np.log(0.8)),
                mutual_information(x[:, :1], x[:, 1:], sample_weight=weights),
            ]
        )
    assert np.abs(np.mean(off, axis=0)).max() < 0.05 * d


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("side", ["p", "q"])
def test_weights_by_chance_in_one_sample_hardly_move_named_estimates(method, side):
    """The k-th row, at which a ball ends, counted as 1 of Kish's effective rows, not of the k: .18 nats, 7 standard errors."""
    found = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        x, y = rng.normal(size=(2, 1000, 2))
        weights = {f"sample_weight_{side}": rng.exponential(size=1000)}
        found.append(kl_divergence(x, y, method=method, n_neighbors=5, **weights))
    assert abs(np.mean(found)) < 2.0 * np.mean([estimate.standard_error for estimate in found])
    assert abs(np.mean(found)) < 0.07


def _weighted_calls():
    """Calls with weights of a table of numbers, of labels beside numbers, or of counts."""
    product = ProductDensity(
        [("l", DensityMLE("categorical"), ["l"]), ("x", DensityMLE("multivariate_normal"), ["a", "b"])]
    )
    return {
        "reference": lambda t, w: KLDivergence().fit(t[["a", "b"]], sample_weight=w),
        "estimate": lambda t, w: KLDivergence().fit(t[["a", "b"]]).estimate(t[["a", "b"]] + 1.0, sample_weight=w),
        "score": lambda t, w: KLDivergence().fit(t[["a", "b"]]).score(t[["a", "b"]] + 1.0, sample_weight=w),
        "empirical": lambda t, w: empirical(t["c"], w),
        "counts and a model": lambda t, w: kl_divergence(t["c"], poisson(2), sample_weight_p=w),
        "labels and a model": lambda t, w: kl_divergence(
            t[["a", "b", "l"]], product.fit(t[["a", "b", "l"]]), sample_weight_p=w
        ),
        "cross-entropy of labels": lambda t, w: cross_entropy(
            t[["a", "b", "l"]], product.fit(t[["a", "b", "l"]]), sample_weight_p=w
        ),
        "two tables": lambda t, w: kl_divergence(
            t[["b", "l"]].set_axis(["a", "l"], axis=1), t[["a", "l"]], sample_weight_q=w
        ),
        "bound of tables": lambda t, w: kl_lower_bound(t[["a", "l"]], t[["a", "l"]], sample_weight_p=w),
        "stability of numbers": lambda t, w: population_stability_index(t["a"], t["b"], sample_weight_reference=w),
        "stability of labels": lambda t, w: population_stability_index(t["l"], t["l"], sample_weight_current=w),
        "blocks": lambda t, w: entropy_batches(t[["a", "b"]], sample_weight_p=w),
    }


@pytest.mark.parametrize("call", _weighted_calls().values(), ids=_weighted_calls())
def test_weights_with_the_index_of_the_rows_in_another_order_are_refused(call):
    r = np.random.default_rng(0)
    table = pd.DataFrame(r.normal(size=(80, 2)), columns=["a", "b"]).assign(
        l=r.choice(["x", "y"], 80), c=r.poisson(2, 80)
    )
    weights = pd.Series(r.random(80))
    call(table, weights)
    with pytest.raises(SourceError, match="same index in different order"):
        call(table, weights[::-1])
