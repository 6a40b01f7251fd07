"""Which rows the nearest neighbours are: distances of the listed rows against those of the search and of a slow twin."""

import numpy as np
import pytest

from fastkl.spatial import NeighborIndex


def listed_distances(X, k, threads=1):
    index = NeighborIndex(X, n_jobs=threads)
    neighbors = index.neighbors_self(k)
    ordered = X[index.order].astype(np.float64)
    assert neighbors.shape == (len(X), k)
    assert (neighbors != np.arange(len(X))[:, np.newaxis]).all()
    assert all(len(set(row)) == k for row in neighbors.tolist())
    distances = np.sqrt(((ordered[:, np.newaxis] - ordered[neighbors]) ** 2).sum(axis=2))
    return np.sort(distances, axis=1), index


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("kind", ["smooth", "grid", "constant", "repeated"])
@pytest.mark.parametrize("d", [1, 2, 3, 8, 30])
def test_the_listed_rows_are_the_nearest(d, kind, dtype):
    """On a grid rows nearer than the k-th all belong to the list; of those at its distance any may."""
    rng = np.random.default_rng(d)
    X = rng.standard_normal((350, d))
    X = {"smooth": X, "grid": X.round(), "constant": np.zeros((350, d)), "repeated": X[rng.integers(0, 90, 350)]}[kind]
    X = np.ascontiguousarray(X, dtype=dtype)
    for k in (1, 5, 14, 349):
        found, index = listed_distances(X, k)
        np.testing.assert_allclose(found, index.query_self(k, in_order=True), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("size", [1e-140, 1e-150, 1e-156, 1e-160, 1e-165, 1e-200])
def test_lists_are_complete_where_squares_lose_their_digits(size):
    X = np.random.default_rng(0).standard_normal((500, 2))
    ordinary, few = NeighborIndex(X), NeighborIndex(X * size)
    listed = few.neighbors_self(4)
    assert all(len({i, *row}) == 5 for i, row in enumerate(listed.tolist()))
    if size >= 1e-140:
        assert [set(row) for row in few.order[listed][np.argsort(few.order)].tolist()] == [
            set(row) for row in ordinary.order[ordinary.neighbors_self(4)][np.argsort(ordinary.order)].tolist()
        ]


def test_lists_do_not_depend_on_threads():
    X = np.random.default_rng(0).standard_normal((9000, 3)).round(1)
    lists = [NeighborIndex(X, n_jobs=threads).neighbors_self(9) for threads in (1, 2)]
    np.testing.assert_array_equal(*lists)


def test_shifted_values_on_a_line():
    """Differences are small beside the values: sums of value and distance would round."""
    X = 1e8 + np.random.default_rng(0).integers(0, 40, (200, 1)) * 1e-6
    found, index = listed_distances(X, 7)
    np.testing.assert_array_equal(found, index.query_self(7, in_order=True))
