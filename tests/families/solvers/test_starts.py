"""Starts of heavy-tailed location families: robust ones, the peaks of several maxima, and a collapse onto tied rows."""

import numpy as np
import pytest

from fastkl._core.rows import Rows
from fastkl.exceptions import DegenerateDataError
from fastkl.families.solvers.newton import Evaluation, Maximum
from fastkl.families.solvers.starts import (
    median_and_distance,
    most_frequent,
    raise_if_collapsed,
    rows_as_centres,
    spread_rows,
    tight_windows,
)


def test_median_and_distance():
    """0, 1, 2, 10 and 10^6: median 2, distances 2, 1, 0, 8, 10^6 - 2 with median 2; where half are tied, the mean distance."""
    centre, distance = median_and_distance(Rows(np.array([[0.0], [1.0], [2.0], [10.0], [1e6]])))
    assert (centre[0], distance[0]) == (2.0, 2.0)
    centre, distance = median_and_distance(Rows(np.array([[3.0], [3.0], [3.0], [7.0]])))
    assert (centre[0], distance[0]) == (3.0, 1.0)
    centre, distance = median_and_distance(Rows(np.array([[0.0], [5.0]]), np.array([1.0, 3.0])))
    assert centre[0] == 5.0
    assert (median_and_distance(Rows(np.full((4, 1), 8.0)))[1] > 0.0).all()


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [12, 500])
def test_tight_windows_of_two_groups(n, weighted):
    """Each of two far groups has a window of its own, whatever the order of the rows; the tighter one comes first."""
    rng = np.random.default_rng(n)
    X = np.r_[rng.normal(-50.0, 1.0, size=(n // 2, 1)), rng.normal(50.0, 0.1, size=(n // 2, 1))]
    weights = np.ones(n) if weighted else None
    found = tight_windows(Rows(rng.permutation(X), weights), np.array([50.0]))
    centres = np.array([centre[0] for centre, _ in found])
    assert abs(centres[0] - 50.0) < 0.3
    assert np.any(np.abs(centres + 50.0) < 2.0)
    assert all(half[0] > 0.0 for _, half in found)


def test_tight_windows_of_ties_and_weights():
    """A window of ties has no length of its own; a weight of 3 holds what three rows do."""
    X = np.array([[0.0], [0.0], [0.0], [7.0], [9.0], [20.0]])
    assert tight_windows(Rows(X), np.array([4.0]))[0][1][0] == 4e-3
    apart = np.array([[0.0], [1.0], [7.0], [7.5], [20.0]])
    repeated = np.repeat(apart, [1, 1, 3, 3, 1], axis=0)
    by_weight = tight_windows(Rows(apart, np.array([1.0, 1.0, 3.0, 3.0, 1.0])), np.array([4.0]))[0]
    by_rows = tight_windows(Rows(repeated), np.array([4.0]))[0]
    assert by_weight[1][0] == by_rows[1][0] == 0.25


def test_rows_of_even_rank():
    assert spread_rows(Rows(np.array([[3.0], [1.0], [2.0]]))).tolist() == [[1.0], [2.0], [3.0]]
    many = spread_rows(Rows(np.arange(1000.0)[::-1, None]))
    assert len(many) == 64
    assert (many[0, 0], many[-1, 0]) == (0.0, 999.0)


def test_the_most_frequent_value():
    X = np.array([[1.0, 5.0], [1.0, 6.0], [2.0, 7.0], [3.0, 7.0]])
    assert most_frequent(Rows(X)).tolist() == [1.0, 7.0]
    assert most_frequent(Rows(X, np.array([1.0, 1.0, 1.0, 5.0]))).tolist() == [3.0, 7.0]


def test_rows_as_centres():
    centres = rows_as_centres(Rows(np.array([[1.0, 2.0], [4.0, 2.0], [9.0, 2.0]])))
    assert [centre.tolist() for centre, _ in centres] == [[1.0, 2.0], [4.0, 2.0], [9.0, 2.0]]
    assert [reach.tolist() for _, reach in centres] == [[3.0, 1.0], [3.0, 1.0], [5.0, 1.0]]


def test_collapse_onto_tied_rows():
    X = np.r_[np.full((6, 1), 4.0), [[1.0], [9.0], [30.0]]]
    at = Evaluation(np.zeros(1), np.zeros((1, 1)), np.zeros((1, 1, 1)))
    collapsed = {"loc": np.array([4.0]), "scale": np.array([1e-20])}
    with pytest.raises(DegenerateDataError, match="Column 0 holds too many rows with the same value, near 4"):
        raise_if_collapsed(Rows(X), Maximum(collapsed, at, 9, np.array([False])), "cauchy", "Hold scale fixed.")
    raise_if_collapsed(Rows(X), Maximum(collapsed, at, 9, np.array([True])), "cauchy", "")
    wide = {"loc": np.array([4.0]), "scale": np.array([1.0])}
    raise_if_collapsed(Rows(X), Maximum(wide, at, 9, np.array([False])), "cauchy", "")
