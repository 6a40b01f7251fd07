"""Weighted medians by selection, of rows in memory and of a stream, against numpy's sorting of repeated rows."""

import numpy as np
import pytest

from fastkl._core.rows import Rows
from fastkl.families.solvers import medians as column_medians
from fastkl.families.solvers.medians import medians
from tests.families.chunked import ChunkedRows


@pytest.mark.parametrize("n", [1, 2, 3, 50, 1001, 5000])
@pytest.mark.parametrize("ties", [None, 0, 1])
@pytest.mark.parametrize("kept", [1 << 22, 64])
def test_medians_of_a_stream_are_exact(n, ties, kept, monkeypatch):
    """Against sorting repeated rows; also where only 64 values of a column are kept in a pass."""
    monkeypatch.setattr(column_medians, "MOST_KEPT", kept)
    monkeypatch.setattr(column_medians, "SAMPLE", 32)
    rng = np.random.default_rng(n)
    X = rng.normal(size=(n, 2))
    X = X if ties is None else np.round(X, ties)
    w = rng.integers(1, 4, n)
    plain = ChunkedRows(Rows(X))
    np.testing.assert_allclose(medians(plain), np.median(X, axis=0), rtol=5e-16)
    assert plain.passes <= 12
    weighted = medians(ChunkedRows(Rows(X, w.astype(float))))
    np.testing.assert_allclose(weighted, np.median(np.repeat(X, w, axis=0), axis=0), rtol=1e-15, atol=1e-300)
    single = X.astype(np.float32)
    np.testing.assert_allclose(medians(ChunkedRows(Rows(single))), np.median(single.astype(float), axis=0), rtol=5e-16)


@pytest.mark.parametrize("share_tied", [0.0, 0.3, 0.9, 1.0])
def test_medians_of_many_rows_in_memory(share_tied, monkeypatch):
    """Of more rows than are sampled, looked at some at a time; most of them tied, more than are kept, or none."""
    monkeypatch.setattr(column_medians, "SAMPLE", 500)
    monkeypatch.setattr(column_medians, "MOST_KEPT", 1000)
    rng = np.random.default_rng(3)
    X = rng.normal(size=(20001, 3))
    X[rng.random(X.shape) < share_tied] = 0.25
    w = rng.integers(1, 4, len(X))
    for at_a_time in (1 << 24, 9000):
        monkeypatch.setattr(column_medians, "AT_A_TIME", at_a_time)
        for n_threads in (1, 2):
            np.testing.assert_array_equal(medians(Rows(X, n_threads=n_threads)), np.median(X, axis=0))
        expected = np.median(np.repeat(X, w, axis=0), axis=0)
        np.testing.assert_allclose(medians(Rows(X, w.astype(float))), expected, rtol=1e-15)


def test_what_is_not_kept_is_not_held():
    values = np.random.default_rng(0).normal(size=10000)
    kept = column_medians.Contents(0.0, 1e4, ((values, None), (values[:5000], np.ones(5000))), 1).bounded(100)
    assert kept.step == 150
    for array in (array for piece in kept.pieces for array in piece if array is not None):
        assert array.base is None
        assert len(array) <= 100


@pytest.mark.parametrize("step", [1, -1])
def test_a_sample_that_misses_the_median(step, monkeypatch):
    """Every sampled row is far from the median: the search goes on beyond the bracket, and ends at the split of two halves."""
    monkeypatch.setattr(column_medians, "SAMPLE", 100)
    x = np.concatenate([np.zeros(800), np.ones(800)])
    x[::16] = 5.0 * step
    rows = Rows(x[:, None])
    np.testing.assert_array_equal(medians(ChunkedRows(rows)), [np.median(x)])
    halves = Rows(np.array([[0.0]] * 32 + [[1.0]] * 32))
    np.testing.assert_array_equal(medians(ChunkedRows(halves, most_sampled=1)), [0.5])


def test_one_row_with_most_of_the_weight(monkeypatch):
    monkeypatch.setattr(column_medians, "SAMPLE", 16)
    monkeypatch.setattr(column_medians, "MOST_KEPT", 16)
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=2000), rng.random(2000)
    w[777] = 1e6
    assert medians(ChunkedRows(Rows(x[:, None], w)))[0] == x[777]
