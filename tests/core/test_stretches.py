"""One row of each stretch: which one looks random, and does not depend on how the rows are cut."""

import numpy as np
import pytest

from fastkl._core.rows import Rows
from fastkl._core.stretches import chosen_rows, still_chosen
from fastkl.rows.opening import open_source

N = 10_007
LENGTHS = [1, 2, 3, 4, 7, 8, 12, 24, 4096]


@pytest.mark.parametrize("length", LENGTHS)
def test_each_stretch_has_one_row(length):
    chosen = chosen_rows(length, 0, N)
    np.testing.assert_array_equal(chosen[: N // length] // length, np.arange(N // length))
    assert len(chosen) - N // length in (0, 1)  # of the last stretch, which is shorter


@pytest.mark.parametrize("length", LENGTHS)
def test_cuts_and_thinning_change_nothing(length):
    whole = chosen_rows(length, 0, N)
    cut = [chosen_rows(length, first, min(first + 773, N)) for first in range(0, N, 773)]
    np.testing.assert_array_equal(np.concatenate(cut), whole)
    np.testing.assert_array_equal(whole[still_chosen(2 * length, whole)], chosen_rows(2 * length, 0, N))


@pytest.mark.parametrize("length", [2, 3, 8, 12, 24])
def test_no_period_is_seen(length):
    """Rows of every phase of every period up to 24 are chosen as often as of a uniform draw, within 5 standard deviations."""
    n = 24 * 10_000
    chosen = chosen_rows(length, 0, n)
    for period in range(2, 25):
        counts = np.bincount(chosen % period, minlength=period)
        assert np.abs(counts - len(chosen) / period).max() < 5.0 * np.sqrt(len(chosen) / period)


def test_a_stream_of_unknown_length_chooses_as_memory_does():
    """Its stretches double as it goes; where those of memory are as long, the rows are the same."""
    X = np.random.default_rng(0).normal(size=(16 * 64, 2))
    known = Rows(X).sample(32)  # stretches of 32
    weights = np.ones(len(X))  # by which no source knows its length before
    for rows in (17, 100, 5000):
        blocks = open_source(X, weights=weights, block_rows=rows).sample(16)
        assert len(blocks.X) > 32
        shared = np.intersect1d(blocks.index, known.index)
        np.testing.assert_array_equal(shared, known.index)
        np.testing.assert_array_equal(blocks.X, X[blocks.index])
