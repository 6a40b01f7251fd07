"""Neighbours over shards equal those of one index over all rows."""

import numpy as np
import pytest

from fastkl.spatial import NeighborIndex, ShardedIndex

SIZES = (40, 1, 200, 3, 100)


def sample(d, tied, dtype=np.float64):
    X = np.random.default_rng(d).standard_normal((sum(SIZES), d))
    return (X.round() if tied else X).astype(dtype)


def cut(X, weights=None):
    ends = np.cumsum(SIZES)[:-1]
    parts = [None] * len(SIZES) if weights is None else np.split(weights, ends)
    return list(zip(np.split(X, ends), parts, strict=True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("d", [1, 2, 6])
def test_merged_results_are_those_of_one_index(d, tied, dtype):
    X, rng = sample(d, tied, dtype), np.random.default_rng(1)
    weights = rng.random(len(X))
    queries = NeighborIndex(sample(d + 20, tied, dtype)[:, :d].copy()[:150], n_jobs=1)
    whole = NeighborIndex(X, n_jobs=1)
    shards = ShardedIndex(lambda: cut(X, weights), n_jobs=1)
    for k in (1, 4, 60):
        distances = whole.query(queries, k, in_order=True)
        np.testing.assert_allclose(shards.query(queries, k), distances, rtol=1e-14)
        radius = distances[:, -1]
        np.testing.assert_array_equal(shards.count(queries, radius), whole.count(queries, radius, in_order=True))
        for found, w in zip(shards.weight(queries, radius), (weights, weights**2), strict=True):
            np.testing.assert_allclose(found, whole.weight(queries, radius, w, in_order=True), rtol=1e-12)
        chosen = np.array([0, 7, 149])
        between = radius * 1.01
        counts = whole.count(queries, between, in_order=True)
        last = [whole.query(queries, c, in_order=True)[i, -1] for i, c in zip(chosen, counts[chosen], strict=True)]
        np.testing.assert_allclose(shards.last_within(queries, between, chosen), last, rtol=1e-14)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("number", range(len(SIZES)))
def test_a_row_is_left_out_of_its_own_neighbours(number, tied):
    X = sample(2, tied)
    whole, shards = NeighborIndex(X, n_jobs=1), ShardedIndex(lambda: cut(X), n_jobs=1)
    first = sum(SIZES[:number])
    queries = NeighborIndex(cut(X)[number][0], n_jobs=1)
    rows = first + queries.order
    distances = whole.query_self(5)[rows]
    np.testing.assert_allclose(shards.query(queries, 5, own=number), distances, rtol=1e-14)
    radius = distances[:, 2]
    by_row = np.empty(len(X))
    by_row[rows] = radius
    by_row[np.setdiff1d(np.arange(len(X)), rows)] = -1.0
    np.testing.assert_array_equal(shards.count(queries, radius, own=number), whole.count_self(by_row)[rows])


def test_fewer_rows_than_neighbours_are_infinitely_far():
    X = sample(2, False)[:3]
    shards = ShardedIndex(lambda: [(X[:2], None), (X[2:], None)])
    found = shards.query(NeighborIndex(X[:2]), 5, own=0)
    assert np.isinf(found[:, 2:]).all()
    assert np.isfinite(found[:, :2]).all()


def test_one_shard_is_read_once_and_kept():
    X, passes = sample(2, False), []

    def shards():
        passes.append(None)
        yield X, None

    index, queries = ShardedIndex(shards), NeighborIndex(X)
    for _ in range(3):
        index.query(queries, 3)
    assert len(passes) == 1
    np.testing.assert_array_equal(index.query(queries, 3, own=0), queries.query_self(3, in_order=True))
