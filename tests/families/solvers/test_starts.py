"""Starts of heavy-tailed location families: robust ones, the peaks of several maxima, and a collapse onto tied rows."""

import numpy as np
import pytest

from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.solvers.newton import Evaluation, Maximum
from fastkl.families.solvers.starts import best_locations, median_and_distance, raise_if_collapsed


def test_median_and_distance():
    """0, 1, 2, 10 and 10^6: median 2, distances 2, 1, 0, 8, 10^6 - 2 with median 2; where half are tied, the mean distance."""
    centre, distance = median_and_distance(Rows(np.array([[0.0], [1.0], [2.0], [10.0], [1e6]])))
    assert (centre[0], distance[0]) == (2.0, 2.0)
    centre, distance = median_and_distance(Rows(np.array([[3.0], [3.0], [3.0], [7.0]])))
    assert (centre[0], distance[0]) == (3.0, 1.0)
    centre, distance = median_and_distance(Rows(np.array([[0.0], [5.0]]), np.array([1.0, 3.0])))
    assert centre[0] == 5.0
    assert (median_and_distance(Rows(np.full((4, 1), 8.0)))[1] > 0.0).all()


@pytest.mark.parametrize("n", [12, 500])
def test_both_peaks_are_among_the_starts(n):
    """Cauchy likelihood of two far groups with a small scale: a peak at each, the larger group first."""
    rng = np.random.default_rng(n)
    X = np.r_[rng.normal(-50.0, 1.0, size=(2 * n // 3, 1)), rng.normal(50.0, 1.0, size=(n - 2 * n // 3, 1))]

    def likelihood(params):
        return -np.sum(np.log1p(((X - params["loc"]) / params["scale"]) ** 2), axis=0)

    starts = best_locations(Rows(X), {"loc": np.zeros(1), "scale": np.full(1, 2.0)}, likelihood)
    found = [float(start["loc"][0]) for start in starts]
    assert abs(found[0] + 50.0) < 2.0
    assert any(abs(location - 50.0) < 3.0 for location in found)
    assert all(start["scale"].tolist() == [2.0] for start in starts)


def test_collapse_onto_tied_rows():
    X = np.r_[np.full((6, 1), 4.0), [[1.0], [9.0], [30.0]]]
    at = Evaluation(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 1)))
    collapsed = {"loc": np.array([4.0]), "scale": np.array([1e-20])}
    with pytest.raises(DegenerateDataError, match="Column 0 holds too many rows with the same value, near 4"):
        raise_if_collapsed(Rows(X), Maximum(collapsed, at, 9, np.array([False])), "cauchy", "Hold scale fixed.")
    raise_if_collapsed(Rows(X), Maximum(collapsed, at, 9, np.array([True])), "cauchy", "")
    wide = {"loc": np.array([4.0]), "scale": np.array([1.0])}
    raise_if_collapsed(Rows(X), Maximum(wide, at, 9, np.array([False])), "cauchy", "")
