"""The last row in a ball, by counting where balls hold many rows: what a list of all distances says."""

import numpy as np
import pytest

from fastkl import kl_divergence
from fastkl.divergence.arguments import Sample
from fastkl.divergence.nearest import neighbors
from fastkl.divergence.nearest.neighbors import TreeSearch


@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("same", [True, False])
@pytest.mark.parametrize("scale", [1.0, 1e-200, 1e200])
def test_by_all_distances(d, same, scale, monkeypatch):
    monkeypatch.setattr(neighbors, "_MANY", 3)
    rng = np.random.default_rng(d)
    X, Y = rng.normal(size=(128, d)), rng.normal(size=(90, d)) + 1.0
    around = Sample(X * scale, None, 1)
    among = around if same else Sample(Y * scale, None, 1)
    search = TreeSearch(around, (0, 128), among, same)
    radius = rng.uniform(0.5, 12.0, size=128)
    X = X[around.index.order]
    distances = np.sqrt(np.sum((X[:, None] - (X if same else Y)[None]) ** 2, axis=2))
    if same:
        np.fill_diagonal(distances, np.inf)
    rows = np.flatnonzero((distances <= radius[:, None]).any(axis=1))
    expected = [row[row <= r].max() for row, r in zip(distances[rows], radius[rows], strict=True)]
    found = search.last_within(radius * scale, rows, None)
    np.testing.assert_allclose(found / scale, expected, rtol=4e-15)


def test_samples_that_are_apart(monkeypatch):
    p, q = np.random.default_rng(0).normal(size=(2, 900, 3))
    q = q + 10.0
    by_counting = kl_divergence(p, q, method="bias_reduced")
    monkeypatch.setattr(neighbors, "_MANY", 10**9)
    by_lists = kl_divergence(p, q, method="bias_reduced")
    assert float(by_counting) == pytest.approx(float(by_lists), rel=1e-14)
    assert by_counting.standard_error == pytest.approx(by_lists.standard_error, rel=1e-12)
