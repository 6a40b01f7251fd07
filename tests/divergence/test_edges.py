"""Densities that end at an edge: divergences beyond it, and the doubt where q ends within p."""

import numpy as np
import pytest

from fastkl import kl_divergence
from fastkl.divergence.arguments import Sample
from fastkl.divergence.nearest.edges import edge_reasons, ends
from fastkl.divergence.nearest.neighbors import SamplePair


def boxes(rng, n, d):
    return rng.random((n, d)), rng.uniform(-0.15, 1.15, (n, d))


def halves(rng, n, d):
    return np.abs(rng.normal(size=(n, d))), rng.normal(size=(n, d))


def truncated(rng, n, d):
    rows = rng.normal(size=(20 * n, d))
    return rows[(np.abs(rows) < 1.0).all(axis=1)][:n], rng.normal(size=(n, d))


# the mass of q within the edges is known: the normal distribution has .682689 within a standard deviation
INSIDE = {boxes: 1.0 / 1.3, halves: 0.5, truncated: 0.6826894921370859}


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("draw", INSIDE)
def test_divergences_of_densities_with_edges(draw, d):
    truth = -d * np.log(INSIDE[draw])
    found = [kl_divergence(*draw(np.random.default_rng(seed), 1000, d)) for seed in range(8)]
    assert np.sqrt(np.mean([(one - truth) ** 2 for one in found])) < 0.04 + 0.03 * truth
    assert np.mean([abs(one - truth) < 2.0 * one.standard_error for one in found]) >= 0.75
    assert sum(one.diagnostics["bias_suspected"] for one in found) <= 2


def test_a_box_in_a_box_of_five_columns():
    """The neighbours alone say about .8."""
    truth = 5.0 * np.log(1.3)
    for seed in range(4):
        found = kl_divergence(*boxes(np.random.default_rng(seed), 1000, 5))
        assert found.diagnostics["route"] == "regression"
        assert abs(found - truth) < 0.16
        assert not found.diagnostics["bias_suspected"]


def test_edges_of_many_rows():
    """All rows of p are within its ends, those too that nothing is learnt from."""
    found = kl_divergence(*boxes(np.random.default_rng(0), 60_000, 2))
    assert abs(found - 2.0 * np.log(1.3)) < 3.0 * found.standard_error < 0.06


def test_ends_are_a_little_beyond_the_rows():
    rng = np.random.default_rng(1)
    beyond_uniform, beyond_tail = [], []
    for _ in range(400):
        x = rng.random((200, 1))
        low, high = ends(x, x)
        beyond_uniform.append(max(low[0], 0.0) + max(1.0 - high[0], 0.0))
        x, y = rng.exponential(size=(2, 200, 1))
        beyond_tail.append(np.sum(y > ends(x, x)[1]))
    assert np.mean(beyond_uniform) < 0.5 / 200.0
    assert 0.2 < np.mean(beyond_tail) < 0.6


def test_ends_of_many_rows_by_some():
    rows = np.random.default_rng(2).random((50_000, 2))
    low, high = ends(rows[:5000], rows)
    assert np.all(low < rows.min(axis=0))
    assert np.all(low > rows.min(axis=0) - 2e-4)
    assert np.all(high > rows.max(axis=0))


def reasons(x, y):
    return edge_reasons(SamplePair(*(Sample(np.ascontiguousarray(rows), None, 1) for rows in (x, y))))


def test_q_that_ends_within_p_is_named():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 2000, 3))
    x[:, 1], y[:, 1] = rng.random(2000), 0.2 + rng.random(2000)
    (reason,) = reasons(x, y)
    assert reason.startswith("Column 1: ")
    assert "of 2000 rows of p are beyond the least value of q" in reason
    assert "largest value of q" in reasons(-x, -y)[0]
    for method in ("assisted", "common_radius", "knn"):
        assert reason in kl_divergence(x, y, method=method).diagnostics["reasons"]


@pytest.mark.parametrize(("n", "told"), [(300, 3), (1000, 8), (5000, 8)])
def test_a_little_of_a_uniform_sample_beyond_another(n, told):
    """One of 20 rows of p is beyond the end of q."""
    found = 0
    for seed in range(10):
        x, y = np.random.default_rng(seed).random((2, n, 1))
        found += bool(reasons(1.05 * x, y))
    assert found >= told


TAILS = {
    "shifted": lambda rng, n: (rng.normal(2.0, 1.0, n), rng.normal(size=n)),
    "far": lambda rng, n: (rng.normal(8.0, 1.0, n), rng.normal(size=n)),
    "wider": lambda rng, n: (rng.normal(0.0, 3.0, n), rng.normal(size=n)),
    "spike": lambda rng, n: (rng.normal(size=n), rng.normal(0.0, 0.01, n)),
    "slower": lambda rng, n: (rng.exponential(10.0, n), rng.exponential(size=n)),
    "one edge": lambda rng, n: (rng.exponential(0.1, n), rng.exponential(size=n)),
    "heavy": lambda rng, n: (rng.standard_cauchy(n), rng.normal(size=n)),
    "equal boxes": lambda rng, n: (rng.random(n), rng.random(n)),
    "counts": lambda rng, n: (rng.poisson(8.0, n), rng.poisson(4.0, n)),
    "rounded": lambda rng, n: np.round((rng.normal(0.0, 1.5, n), rng.normal(size=n)), 1),
    "a little wider": lambda rng, n: (rng.normal(0.0, 1.5, n), rng.normal(size=n)),
    "fewer in q": lambda rng, n: (rng.random(n), rng.random(n // 5)),
    "grades": lambda rng, n: (rng.integers(0, 5, n), rng.integers(1, 4, n)),
}


@pytest.mark.parametrize("n", [300, 1000, 10_000])
@pytest.mark.parametrize("name", TAILS)
def test_tails_are_no_edges(name, n):
    found = 0
    for seed in range(10):
        x, y = TAILS[name](np.random.default_rng(seed), n)
        found += bool(reasons(x[:, np.newaxis].astype(float), y[:, np.newaxis].astype(float)))
    assert found <= 1
