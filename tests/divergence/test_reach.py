"""Rows of P out of the reach of Q: how many, and what the named methods say of them."""

import numpy as np
import pytest

from fastkl import KLDivergence, kl_divergence
from fastkl.divergence.arguments import Sample
from fastkl.divergence.nearest.neighbors import SamplePair
from fastkl.divergence.nearest.reach import FarthestRows

ROWS = {
    "near": lambda rng, n, d: rng.normal(size=(n, d)),
    "heavy": lambda rng, n, d: rng.standard_t(2.0, (n, d)),
    "far": lambda rng, n, d: rng.normal(6.0, 1.0, (n, d)),
    "repeated": lambda rng, n, d: np.round(2.0 * rng.normal(size=(n, d))),
}


def pair_of(x, y, w=None):
    return SamplePair(Sample(np.ascontiguousarray(x), w, 1), Sample(np.ascontiguousarray(y), None, 1))


def unreached(pair):
    found = FarthestRows(pair.p, pair.q)
    for slab in pair.slabs(1):
        found.add(slab)
    return found.unreached(pair.q)


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize(("n", "m"), [(50, 70), (2000, 60), (400, 3000), (300, 70_000)])
@pytest.mark.parametrize("name", ROWS)
def test_rows_out_of_reach_are_those_of_all_distances(name, n, m, d):
    rng = np.random.default_rng(0)
    pair = pair_of(ROWS[name](rng, n, d), rng.normal(size=(m, d)))
    reach = pair.q.index.kth_self(1).max()
    all_of_them = np.mean(pair.q.index.kth(pair.p.X, 1) > reach) * m
    found = unreached(pair)
    assert found <= all_of_them + 1e-9
    assert found >= min(all_of_them, 100.0 - m / n) - 1e-9  # so many are kept


def test_of_rows_out_of_reach_their_masses_count():
    rng = np.random.default_rng(1)
    near, far = rng.normal(size=(5, 2)), rng.normal(6.0, 1.0, (495, 2))
    few = np.where(np.arange(500) < 5, 1.0, 1e-9)
    y = rng.normal(size=(500, 2))
    assert unreached(pair_of(np.concatenate([near, far]), y, few)) < 1e-3
    assert unreached(pair_of(near, y[:2])) == 0.0


def heavy(rng, n):
    return rng.standard_t(3.0, (n, 3)), rng.normal(0.0, np.sqrt(3.0), (n, 3))


def wider(rng, n):
    return rng.normal(0.0, 2.0, (n, 1)), rng.normal(size=(n, 1))


def shifted(rng, n):
    return rng.standard_t(3.0, (n, 2)) + 0.3, rng.standard_t(3.0, (n, 2))


def equal(rng, n):
    return rng.normal(size=(2, n, 3))


@pytest.mark.parametrize("method", ["common_radius", "knn"])
@pytest.mark.parametrize(("draw", "least", "most"), [(heavy, 9, 10), (wider, 9, 10), (shifted, 0, 1), (equal, 0, 1)])
def test_named_methods_say_where_the_tail_of_p_is_beyond_q(draw, least, most, method):
    """They miss more than five standard errors of the first two."""
    told = told_again = 0
    for seed in range(10):
        x, y = draw(np.random.default_rng(seed), 2000)
        found = kl_divergence(x, y, method=method)
        again = KLDivergence(method=method).fit(y).estimate(x)
        told += any("tail of p beyond the last row of q" in reason for reason in found.diagnostics["reasons"])
        told_again += any("tail of p beyond the last row of q" in reason for reason in again.diagnostics["reasons"])
    assert least <= told <= most
    assert least <= told_again <= most
