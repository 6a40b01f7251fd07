"""What single columns give reason to doubt: units that hide a column, values rounded in both samples.

(One sample rounded alone is in ``test_named_cases``.)
"""

import numpy as np
import pytest

from fastkl import (
    KLDivergence,
    cross_entropy,
    entropy,
    entropy_batches,
    jensen_shannon,
    kl_divergence,
    kl_divergence_batches,
    kl_divergence_sweep,
)
from fastkl.divergence.nearest.column_doubts import unit_reasons


def samples(factor, d=2):
    """A shift of one standard deviation in the last column, beside a first one of another unit."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(1000, d)), rng.normal(size=(900, d))
    y[:, -1] += 1.0
    scale = np.r_[factor, np.ones(d - 1)]
    return x * scale, y * scale


CALLS = {
    **{
        name: lambda x, y, name=name: kl_divergence(x, y, method=name)
        for name in ("common_radius", "knn", "bias_reduced")
    },
    "cross-entropy": lambda x, y: cross_entropy(x, y, method="knn"),
    "entropy": lambda x, y: entropy(y, method="knn"),
    "Jensen-Shannon": lambda x, y: jensen_shannon(x, y, coordinates=None),
    "sweep": lambda x, y: kl_divergence_sweep(x, y, [5], coordinates=None)[5],
}


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("factor", [1e5, 1e-3])
def test_columns_as_they_are_in_units_far_apart_are_doubted_by_name(name, factor):
    """The divergence is .5; with the first column a hundred thousand times as wide .02 was found, without a word."""
    found = CALLS[name](*samples(factor))
    assert found.diagnostics["bias_suspected"]
    wide, narrow = (0, 1) if factor > 1.0 else (1, 0)
    start = f"The quartile range of column {wide} is "
    reason = next(reason for reason in found.diagnostics["reasons"] if reason.startswith(start))
    assert f"and column {narrow} hardly counts" in reason


@pytest.mark.parametrize("name", CALLS)
@pytest.mark.parametrize("factor", [1.0, 8.0])
def test_other_columns_are_not(name, factor):
    assert CALLS[name](*samples(factor)).diagnostics["reasons"] == []


def test_defaults_and_scaled_columns_are_not():
    x, y = samples(1e5)
    for found in (
        kl_divergence(x, y),
        kl_divergence(x, y, method="common_radius", coordinates="scaled"),
        cross_entropy(x, y),
        jensen_shannon(x, y),
        kl_divergence_sweep(x, y, [5])[5],
    ):
        assert not any("quartile range" in reason for reason in found.diagnostics["reasons"])


def test_one_column_equal_values_and_ranges_beyond_numbers():
    column = np.sort(np.random.default_rng(1).normal(size=100))
    zeros, huge = np.zeros(100), np.repeat([-1.7e308, 1.7e308], 50)

    def reasons(*columns):
        return unit_reasons([np.column_stack(columns)] * 2)

    assert unit_reasons([1e300 * column[:, np.newaxis], column[:, np.newaxis]]) == []
    assert reasons(zeros, column) == []
    assert "column 0 is inf times that of column 1" in reasons(huge, column)[0]


def test_states_of_a_markov_chain_are_no_independent_draws():
    rng = np.random.default_rng(0)
    states, other = rng.normal(size=(800, 2)), rng.normal(size=(1000, 2))
    stays = rng.geometric(0.5, 800)
    chain = np.repeat(states, stays, axis=0)
    said = f"{len(chain) - 800} of {len(chain)} rows of p are equal to the row before them"
    assert said in " ".join(kl_divergence(chain, other).reasons)
    assert said.replace("of p", "of q") in " ".join(kl_divergence(other, chain).reasons)
    weighted = kl_divergence(states, other, sample_weight_p=stays.astype(float))
    zeros = np.where(rng.random((2, 1000)) < 0.6, 0.0, rng.normal(size=(2, 1000)))
    quiet = [
        weighted,
        kl_divergence(*zeros),
        kl_divergence(np.repeat(rng.integers(0, 9, 80), 10), rng.integers(0, 9, 800)),
    ]
    quiet += [
        kl_divergence(rows, other) for rows in (chain[np.argsort(chain[:, 0])], chain[rng.permutation(len(chain))])
    ]
    assert not any("row before" in reason for estimate in quiet for reason in estimate.reasons)


@pytest.mark.parametrize(("step", "d", "told"), [(0.5, 3, True), (0.2, 2, True), (0.0, 2, False), (0.01, 2, False)])
def test_ties_of_rounded_values_between_samples_of_unequal_size_are_said(step, d, told):
    """Both samples are N(0, I) rounded alike: where a step is as wide as a ball, .05 nats are up to 8 standard errors."""
    rng = np.random.default_rng(0)
    x, y = (rng.normal(size=(n, d)) for n in (4000, 1000))
    if step:
        x, y = (step * np.round(X / step) for X in (x, y))
    for found in (
        kl_divergence_batches([x], [y]),
        KLDivergence().fit(y).estimate(x),
        kl_divergence_sweep(x, y, [5])[5],
        kl_divergence(y, x, method="common_radius"),
    ):
        assert any("at the same distance" in reason for reason in found.reasons) == told
    for found in (kl_divergence(x, y), kl_divergence(x[:1000], y, method="common_radius")):
        assert not any("at the same distance" in reason for reason in found.reasons)


def test_a_column_that_is_nearly_a_sum_of_others_is_said_of_an_entropy():
    """Within its balls the third column is that sum: 2.02 with an error of .05, for -2.65."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1000, 3))
    near = np.c_[x[:, :2], x[:, 0] + x[:, 1] + 1e-3 * x[:, 2]]
    for call in (lambda X: entropy(X, method="knn"), lambda X: entropy_batches([X])):
        assert any("moves by" in reason for reason in call(near).reasons)
        assert call(x).reasons == []
