"""Tallies of counts against numpy's, by bins and by sorting, and merged."""

import numpy as np
import pytest

from fastkl.families.solvers.tallies import merged_tallies, tallies


@pytest.mark.parametrize("largest", [20, 10**9])
@pytest.mark.parametrize("weighted", [False, True])
def test_against_numpy(largest, weighted):
    rng = np.random.default_rng(largest)
    column = rng.integers(0, largest, size=200).astype(float)
    column[:50] = column[50:100]
    weights = rng.uniform(0.5, 2.0, size=200) if weighted else None
    values, counts = tallies(column, weights)
    ones = np.ones(200) if weights is None else weights
    assert values.tolist() == sorted(set(column))
    np.testing.assert_allclose(counts, [ones[column == value].sum() for value in values], rtol=1e-14)


def test_halves_merge_into_the_whole():
    column = np.random.default_rng(0).poisson(3.0, size=100).astype(float)
    merged = merged_tallies(*tallies(column[:30], None), *tallies(column[30:], None))
    for found, expected in zip(merged, tallies(column, None), strict=True):
        np.testing.assert_array_equal(found, expected)
