"""Matrices of divergences: each entry by the call for two."""

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr

from fastkl import SharedRowsWarning, SourceError, jeffreys, jensen_shannon, kl_divergence, pairwise_divergence

ROWS = np.random.default_rng(0).dirichlet([1.0, 1.0, 1.0, 1.0], 5)


def samples(d=2):
    rng = np.random.default_rng(1)
    return [rng.normal(shift, 1.0, (n, d)) for n, shift in ((300, 0.0), (400, 0.0), (250, 2.0))]


def test_rows_of_probabilities():
    D = pairwise_divergence(ROWS, "jensen_shannon_distance")
    expected = [[jensenshannon(p, q) for q in ROWS] for p in ROWS]
    assert pytest.approx(np.array(expected), abs=1e-12) == D
    D = pairwise_divergence(ROWS, "kl")
    assert pytest.approx(np.array([[rel_entr(p, q).sum() for q in ROWS] for p in ROWS]), abs=1e-14) == D
    assert pairwise_divergence(ROWS, "jeffreys") == pytest.approx(D + D.T, abs=1e-13)
    assert pairwise_divergence(np.log(ROWS) + 3.0, "kl", logits=True) == pytest.approx(D, abs=1e-13)
    assert pairwise_divergence(pd.DataFrame(ROWS), "kl") == pytest.approx(D)


@pytest.mark.parametrize("metric", ["kl", "jeffreys", "jensen_shannon"])
def test_samples(metric):
    with pytest.warns(UserWarning, match="of the matrix to doubt, the first of p = sample 0, q = sample 2: "):
        D, errors = pairwise_divergence(samples(), metric, return_errors=True)
    assert D.shape == errors.shape == (3, 3)
    assert not np.diag(D).any()
    truth = {"kl": 4.0, "jeffreys": 8.0, "jensen_shannon": 0.5}[metric]
    assert abs(D[0, 1]) < 0.15
    assert D[0, 2] > 0.4 * truth
    assert (errors[~np.eye(3, dtype=bool)] > 0.0).all()
    if metric != "kl":
        assert (D == D.T).all()
    with pytest.warns(UserWarning, match="to doubt"):
        scaled = pairwise_divergence([x * [1.0, 1e4] + 5.0 for x in samples()], metric)
    assert scaled == pytest.approx(D, abs=1e-9)


@pytest.mark.filterwarnings("ignore:.* of the matrix to doubt")
def test_the_distance_is_a_root():
    D = pairwise_divergence(samples())
    assert pairwise_divergence(samples(), "jensen_shannon_distance") == pytest.approx(np.sqrt(np.maximum(D, 0.0)))


@pytest.mark.filterwarnings("ignore:.* of the matrix to doubt")
def test_assisted_entries_are_those_of_the_call_for_two():
    """Far apart, where neighbours alone lose much, and without units."""
    groups = [x * [1.0, 50.0] for x in samples()]
    for metric, call in (("kl", kl_divergence), ("jeffreys", jeffreys), ("jensen_shannon", jensen_shannon)):
        D, errors = pairwise_divergence(groups, metric, method="assisted", return_errors=True)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            found = call(groups[i], groups[j])
            assert (D[i, j], errors[i, j]) == (float(found), found.standard_error)
    with pytest.raises(ValueError, match="method='knn' is unknown"):
        pairwise_divergence(groups, method="knn")


def test_tables_are_matched_by_name():
    rng = np.random.default_rng(2)
    a, b = (pd.DataFrame({"x": rng.normal(size=200), "y": rng.normal(5.0, 1.0, 200)}) for _ in range(2))
    with pytest.warns(UserWarning, match="different order"):
        D = pairwise_divergence([a, b[["y", "x"]]])
    assert pytest.approx(pairwise_divergence([a, b])) == D
    with pytest.raises(SourceError):
        pairwise_divergence([a, b.rename(columns={"x": "z"})])


@pytest.mark.filterwarnings("ignore:.* of the matrix to doubt")
def test_refusals():
    with pytest.raises(ValueError, match="metric"):
        pairwise_divergence(ROWS, "euclidean")
    with pytest.raises(ValueError, match="at least 2"):
        pairwise_divergence([np.zeros(5)])
    with pytest.raises(ValueError, match="columns"):
        pairwise_divergence([np.arange(18.0).reshape(9, 2), np.arange(27.0).reshape(9, 3)])
    with pytest.raises(ValueError, match="sums to"):
        pairwise_divergence(2.0 * ROWS)
    with pytest.raises(ValueError, match="exact"):
        pairwise_divergence(ROWS, return_errors=True)
    with pytest.raises(ValueError, match="return_errors"):
        pairwise_divergence(samples(), "jensen_shannon_distance", return_errors=True)
    with pytest.raises(ValueError, match="logits"):
        pairwise_divergence(samples(), logits=True)
    with pytest.raises(ValueError, match="list"):
        pairwise_divergence(np.zeros((2, 2, 2)))
    with pytest.raises(TypeError, match=r"samples is a SeriesGroupBy.* dict\(list\(samples\)\)"):
        pairwise_divergence(pd.DataFrame({"k": list("abab"), "x": range(4)}).groupby("k")["x"])


@pytest.mark.filterwarnings("ignore:.* of the matrix to doubt")
def test_named_samples_are_a_list_with_names():
    rng = np.random.default_rng(0)
    named = {
        "before": rng.normal(size=(80, 2)),
        "after": rng.normal(1.0, 1.0, size=(70, 2)),
        3: rng.normal(size=(60, 2)),
    }
    for metric in ("kl", "jensen_shannon"):
        np.testing.assert_array_equal(
            pairwise_divergence(named, metric), pairwise_divergence(list(named.values()), metric)
        )
    with pytest.raises(ValueError, match=r"Sample 'b' has 3 columns and sample 'a' has 2"):
        pairwise_divergence({"a": rng.normal(size=(9, 2)), "b": rng.normal(size=(9, 3))})
    with pytest.raises(ValueError, match=r"sample 'b' holds NaN in row 4"):
        pairwise_divergence({"a": np.arange(9.0), "b": np.where(np.arange(9) == 4, np.nan, np.arange(9.0))})
    with pytest.raises(ValueError, match="at least 2 samples; found 1"):
        pairwise_divergence({"a": np.arange(9.0)})


def test_tables_of_numbers_and_labels_are_sent_to_their_call():
    table = pd.DataFrame({"x": np.arange(9.0), "k": list("abcabcabc")})
    with pytest.raises(ValueError, match=r"column 'k' of .*fastkl.compare_tables for two tables of numbers and labels"):
        pairwise_divergence({"p": table, "q": table})


def test_doubts_are_said_of_the_pair_that_they_are_about(recwarn):
    """A matrix has no place for them: here a day that was written twice, and days far from one another in many columns."""
    rng = np.random.default_rng(3)
    days = {f"day {i}": rng.normal(size=(100, 2)) for i in range(4)}
    pairwise_divergence(days)
    assert not recwarn.list
    with pytest.warns(
        SharedRowsWarning,
        match="^1 divergence of the matrix to doubt, the first of p = sample 'day 1', q = sample 'day 3': 100",
    ):
        pairwise_divergence({**days, "day 3": days["day 1"].copy()})
    with pytest.warns(
        UserWarning, match="^3 divergences of the matrix to doubt, the first of p = sample 0, q = sample 1: 12 columns"
    ):
        pairwise_divergence([rng.normal(i, 1.0, size=(200, 12)) for i in range(3)])
