"""What ``kl_divergence_sweep`` gives: a dict of estimates, and how a notebook shows it."""

import pickle

import numpy as np
import pytest

from fastkl import Estimate, NeighborSweep, kl_divergence, kl_divergence_sweep

RNG = np.random.default_rng(0)
P, Q = RNG.normal(size=(300, 1)), RNG.normal(1.0, 1.0, size=(250, 1))


def test_it_is_a_dict_of_estimates():
    sweep = kl_divergence_sweep(P, Q, [5, 1])
    assert isinstance(sweep, dict)
    assert list(sweep) == [5, 1]
    assert sweep[5] == kl_divergence(P, Q, method="common_radius", n_neighbors=5)
    assert pickle.loads(pickle.dumps(sweep)) == sweep


def test_it_is_printed_as_a_table():
    """A line for each number, doubts below; a data frame has the same numbers."""
    doubt = {"bias_suspected": True, "reasons": ["few rows"]}
    sweep = NeighborSweep({1: Estimate(0.5, 0.1, (9, 8), "knn"), 20: Estimate(0.25, np.nan, (9, 8), "knn", doubt)})
    assert repr(sweep).splitlines() == [
        "knn, rows (9, 8)",
        "",
        "neighbours   nats  ± s.e.",
        "         1    0.5     0.1",
        "        20  0.25*",
        "* few rows",
    ]
    frame = sweep.to_frame()
    assert frame.index.tolist() == [1, 20]
    assert frame.loc[1, ["value", "standard_error"]].tolist() == [0.5, 0.1]
    assert frame.loc[1, "low"] == pytest.approx(0.5 - 0.1 * 1.959963984540054, rel=1e-12)
    assert frame.bias_suspected.tolist() == [False, True]
    assert "neighbours" in repr(NeighborSweep())


def test_drift_is_in_the_larger_of_two_errors():
    assert NeighborSweep({1: Estimate(0.5, 0.1), 5: Estimate(0.2, 0.05), 9: Estimate(0.3, 0.2)}).drift == pytest.approx(
        3
    )
    assert np.isnan(NeighborSweep({1: Estimate(0.5), 5: Estimate(0.2, 0.05)}).drift)
    assert np.isnan(NeighborSweep().drift)


def test_a_notebook_shows_a_line_for_each_number():
    doubt = {"bias_suspected": True, "reasons": ["few < rows"]}
    sweep = NeighborSweep(
        {1: Estimate(0.5, 0.1, (300, 250), "knn", doubt), 5: Estimate(0.2, 0.05, (300, 250), "knn", doubt)}
    )
    html = sweep._repr_html_()
    assert html.count("<tr>") == 3
    assert html.count("<svg") == 2
    assert "<td>1</td><td>0.5*</td><td>0.1</td>" in html
    assert html.count("few &lt; rows") == 1
    assert "knn, rows (300, 250), moves by 3.0 standard errors" in html
    bare = kl_divergence_sweep(P, Q, [1, 2], standard_error=False)._repr_html_()
    assert "<svg" not in bare
    assert "moves" not in bare
    assert NeighborSweep()._repr_html_().count("<tr>") == 1
