"""Rows of P where Q has none: a group apart from all others, and samples that hardly overlap."""

import numpy as np
import pytest

from fastkl import kl_divergence


def with_a_group(d, n, part, away):
    """A standard normal sample of which a part is moved along the first column, and one that has no such part."""

    def draw(rng):
        x = rng.normal(size=(n, d))
        x[: round(part * n), 0] += away
        return x, rng.normal(size=(n, d))

    return draw


def reasons(x, y, **options):
    return kl_divergence(x, y, **options).diagnostics["reasons"]


def said(draw, runs, words):
    return np.mean(
        [any(words in reason for reason in reasons(*draw(np.random.default_rng(run)))) for run in range(runs)]
    )


# The divergences are .54, 1.9 and .71; the estimates are next to 0, since no row says how rare the group is under Q.
@pytest.mark.parametrize(
    ("d", "n", "part", "away"), [(3, 1000, 0.02, 8.0), (1, 1000, 0.01, 20.0), (5, 1000, 0.02, 10.0)]
)
def test_a_group_of_rows_where_q_has_none_is_said(d, n, part, away):
    assert said(with_a_group(d, n, part, away), 8, "apart from all others") >= 0.75


@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: (2.0 * rng.normal(size=(500, 2)), rng.normal(size=(500, 2))),
        lambda rng: (rng.standard_cauchy(size=(500, 1)), rng.standard_cauchy(size=(500, 1))),
        lambda rng: (2.0 * rng.exponential(size=(500, 3)), rng.exponential(size=(500, 3))),
        lambda rng: tuple(rng.normal(size=(500, 2)) + 10.0 * rng.integers(3, size=(500, 1)) for _ in range(2)),
    ],
    ids=["wider", "cauchy", "exponential", "clusters of both"],
)
def test_a_tail_is_no_group(draw):
    assert said(draw, 8, "apart from all others") <= 0.25


def test_units_and_weights_of_a_group():
    x, y = with_a_group(2, 400, 0.05, 20.0)(np.random.default_rng(0))
    weights = np.ones(len(x))
    weights[:20] = 1.0 / 19.0
    plain, weighted = (
        next(reason for reason in found if "apart from all others" in reason)
        for found in (reasons(x, y), reasons(x * [1e6, 1e-6], y * [1e6, 1e-6], sample_weight_p=weights))
    )
    assert "rows of p (5" in plain
    assert "rows of p (0." in weighted


def test_samples_that_hardly_overlap():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(50, 4)), rng.normal(2.3, 1.0, (50, 4))  # 10.6 nats
    assert any("hardly overlap" in reason for reason in reasons(x, y))
    x, y = rng.normal(size=(1000, 4)), rng.normal(1.0, 1.0, (1000, 4))  # 2 nats
    assert reasons(x, y) == []


@pytest.mark.parametrize("gap", [100.0, 1000.0])
def test_clusters_far_apart_are_compared_each_with_its_own(gap):
    rng, truth = np.random.default_rng(3), np.log(2.0) + 0.125 - 0.5
    x, y = (rng.normal(0.0, sd, 2000) + gap * (rng.random(2000) < 0.5) for sd in (1.0, 2.0))
    estimate = kl_divergence(x, y)
    assert abs(estimate - truth) < 2.5 * estimate.standard_error
    assert estimate.standard_error < 0.1
