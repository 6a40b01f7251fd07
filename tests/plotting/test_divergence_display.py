"""The picture of two tables: points, intervals and verdicts are those of the estimates; the sweep over the neighbours."""

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import fastkl
from fastkl import DivergenceDisplay, Estimate, KSweepDisplay, compare_tables, kl_divergence, kl_divergence_sweep

mpl.use("Agg")
RNG = np.random.default_rng(0)
BEFORE = pd.DataFrame(
    {"age": RNG.normal(40, 10, 200), "noise": RNG.normal(size=200), "plan": RNG.choice(list("abc"), 200)}
)
AFTER = pd.DataFrame(
    {"age": RNG.normal(50, 10, 150), "noise": RNG.normal(size=150), "plan": RNG.choice(list("ab"), 150)}
)
FOUND = compare_tables(BEFORE, AFTER, n_permutations=199)


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def texts_on_the_right(ax):
    return [text.get_text() for text in ax.child_axes[0].get_yticklabels()]


def points(container):
    """Middles of the bars, and their ends."""
    ends = np.array([segment[:, 0] for segment in container[2][0].get_segments()])
    return ends.mean(axis=1), ends


def test_points_bars_and_verdicts_are_those_of_the_table(ax):
    display = DivergenceDisplay.from_comparison(FOUND, labels=("before", "after"), ax=ax)
    names = ["age", "noise", "plan", "joint (2 columns)", "joint (2 columns, 1 label)"]
    assert display.names == names
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert [text.get_text() for text in ax.get_yticklabels()] == names
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # the first on top
    forward, backward = display.lines_
    for container, key in ((forward, "kl"), (backward, "kl_reverse")):
        estimates = [e for line in FOUND.lines if np.isfinite(e := getattr(line, key))]
        middles, ends = points(container)
        np.testing.assert_allclose(middles, [float(e) for e in estimates], rtol=1e-9)
        np.testing.assert_allclose(ends, [e.confidence_interval() for e in estimates], rtol=1e-9)
    wanted = ["differ" if line.p_value < 0.05 else "not told apart" for line in FOUND.lines]
    assert display.verdicts == wanted
    assert wanted[:3] == ["differ", "not told apart", "differ"]
    texts = texts_on_the_right(ax)
    assert texts[0].startswith("differ (p = 0.005)")
    assert texts[2].endswith("*")  # c was never seen in after
    # the infinite one is an arrow at the edge
    arrows = [line for line in ax.lines if line.get_marker() == ">" and len(line.get_ydata())]
    assert [round(float(line.get_ydata()[0])) for line in arrows] == [2]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["KL(before ‖ after)", "KL(after ‖ before)"]
    assert "a bias is likely" in ax.get_xlabel()
    hollow = [line for line in ax.lines if line.get_markerfacecolor() == "white" and len(line.get_ydata())]
    assert {round(float(y)) for line in hollow for y in line.get_ydata()} == {1}
    assert fastkl.DivergenceDisplay is fastkl.plotting.DivergenceDisplay


def test_one_direction_from_samples_equals_the_table():
    display = DivergenceDisplay.from_samples(BEFORE, AFTER, columns=["age"], both=False, n_permutations=199, plot=False)
    assert display.names == ["age"]
    assert display.reverse is None
    assert display.estimates[0] == FOUND.columns[0].kl
    assert display.p_values[0] == FOUND.columns[0].p_value
    assert not hasattr(display, "ax_")


def test_estimates_without_a_test_are_judged_by_their_intervals(ax):
    estimates = {
        "above": Estimate(0.2, 0.05, 100, "knn"),
        "around": Estimate(0.08, 0.05, 100, "knn"),
        "exact": Estimate(0.3, 0.0),
        "bare": 0.3,
        "infinite": Estimate(np.inf, np.nan),
        "tested": Estimate(0.08, 0.05, 100, "knn"),
    }
    display = DivergenceDisplay.from_estimates(estimates, p_values={"tested": 0.01}, ax=ax)
    assert display.verdicts == ["differ", "not told apart", "differ", "no error known", "differ", "differ"]
    assert texts_on_the_right(ax) == [*display.verdicts[:5], "differ (p = 0.01)"]
    wider = DivergenceDisplay.from_estimates({"around": estimates["around"]}, level=0.5, plot=False)
    assert wider.verdicts == ["differ"]
    # a bar for each finite estimate that has an error; a point for all of them
    assert len(display.lines_) == 1


def test_many_columns_are_cut_to_the_largest(ax):
    estimates = [(f"column {i}", Estimate(i / 100.0, 0.01, 50, "knn")) for i in range(100)]
    display = DivergenceDisplay.from_estimates(estimates, ax=ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == [f"column {i}" for i in range(60, 100)]
    assert "the 40 largest of 100" in ax.get_xlabel()
    assert len(display.verdicts) == 100


def test_bad_input():
    with pytest.raises(ValueError, match="one for each name is needed"):
        DivergenceDisplay(["a", "b"], [Estimate(0.1)])
    with pytest.raises(ValueError, match="one for each name is needed"):
        DivergenceDisplay([], [])
    with pytest.raises(ValueError, match="p_values has 'b'"):
        DivergenceDisplay.from_estimates({"a": Estimate(0.1)}, p_values={"b": 0.1})


P, Q = RNG.normal(size=(80, 2)), RNG.normal(1.0, 1.0, size=(100, 2))


def test_sweep_is_that_of_the_function(ax):
    display = KSweepDisplay.from_samples(P, Q, n_neighbors=[10, 1, 3], ax=ax)
    expected = kl_divergence_sweep(P, Q, [1, 3, 5, 10])
    assert list(display.sweep) == [1, 3, 5, 10]
    x, y = display.line_.get_data()
    np.testing.assert_array_equal(x, [1, 3, 5, 10])
    np.testing.assert_array_equal(y, [float(e) for e in expected.values()])
    low, high = np.array([e.confidence_interval() for e in expected.values()]).T
    corners = display.band_.get_paths()[0].vertices
    assert corners[:, 1].min() == pytest.approx(low.min())
    assert corners[:, 1].max() == pytest.approx(high.max())
    # the number that is marked is the one that kl_divergence takes
    assert display.chosen == 5
    usual = kl_divergence(P, Q, method="common_radius", coordinates="scaled")
    assert float(display.sweep[5]) == pytest.approx(float(usual), rel=1e-12)
    values, errors = np.array(y), [e.standard_error for e in expected.values()]
    pairs = [(i, j) for i in range(4) for j in range(4)]
    assert display.drift == pytest.approx(max(abs(values[i] - values[j]) / max(errors[i], errors[j]) for i, j in pairs))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[0].startswith("k = 5: ")
    assert f"moves by {display.drift:.1f} standard errors" in labels[1]
    assert fastkl.KSweepDisplay is fastkl.plotting.KSweepDisplay


def test_sweep_of_small_samples_and_without_errors(ax):
    display = KSweepDisplay.from_samples(P[:8], Q, plot=False)
    assert list(display.sweep) == [1, 2, 5]
    assert KSweepDisplay.from_samples(P[:4], Q[:3], plot=False).chosen == 2
    bare = KSweepDisplay.from_samples(P, Q, standard_error=False, chosen=3, n_neighbors=[3], ax=ax)
    assert np.isnan(bare.drift)
    assert [text.get_text() for text in ax.get_legend().get_texts()][1] == "estimate"
    known = KSweepDisplay.from_sweep(kl_divergence_sweep(P, Q, [2, 1]), plot=False)
    assert (list(known.sweep), known.chosen) == ([1, 2], None)


def test_what_the_sweep_refuses():
    with pytest.raises(ValueError, match="chosen=4 is none of the numbers of neighbours: 1, 2"):
        KSweepDisplay.from_sweep(kl_divergence_sweep(P, Q, [1, 2]), chosen=4)
    with pytest.raises(ValueError, match="no number of neighbours"):
        KSweepDisplay({})
    with pytest.raises(ValueError, match="method='assisted' is unknown"):
        KSweepDisplay.from_samples(P, Q, method="assisted")
    with pytest.raises(ValueError, match="n_neighbors=90"):
        KSweepDisplay.from_samples(P, Q, n_neighbors=[90])


def test_sweep_of_a_sample_and_a_model():
    """The model is drawn from; the numbers are as many as the sample has rows for."""
    display = KSweepDisplay.from_samples(P, fastkl.DensityMLE().fit(P), plot=False)
    assert list(display.sweep) == [1, 2, 3, 5, 8, 12, 20]
    assert display.chosen == 5


def test_infinite_estimates_and_errors_are_drawn_without_a_warning(ax):
    estimates = {"a": Estimate(0.3, 0.1), "b": Estimate(np.inf), "c": Estimate(np.inf, 0.1), "d": Estimate(0.2, np.inf)}
    display = DivergenceDisplay.from_estimates(estimates, ax=ax)
    points, _, (bars,) = display.lines_[0]
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends, [[0.3 - 0.1 * 1.959964, 0.3 + 0.1 * 1.959964], [0.2, 0.2]], rtol=1e-6)
    assert ax.get_xlim()[1] < 1.0


def test_long_labels_and_large_numbers_fit(tmp_path):
    """Labels are cut in the legend, not by the figure; a power of ten does not stand in the label of the axis."""
    labels = ("the rows of the year before the last one", "the rows of this year until the end of May")
    estimates = {"a": Estimate(2e11, standard_error=1e11), "b": Estimate(1e11, standard_error=1e10)}
    display = DivergenceDisplay.from_estimates(estimates, labels=labels)
    display.figure_.savefig(tmp_path / "a.png")
    legend, figure = display.ax_.get_legend().get_window_extent(), display.figure_.bbox
    assert legend.x1 <= figure.x1
    assert display.ax_.xaxis.get_offset_text().get_text() == ""
    assert "2e+11" in [tick.get_text() for tick in display.ax_.get_xticklabels()]


def test_a_doubted_divergence_leaves_room_for_the_others(ax):
    """As of dates of two weeks: an arrow, with its size in words."""
    doubted = {"bias_suspected": True, "reasons": ["they hardly overlap"]}
    estimates = {"a": Estimate(0.03, 0.02), "b": Estimate(0.3, 0.1), "when": Estimate(15.0, 2.0, diagnostics=doubted)}
    display = DivergenceDisplay.from_estimates(estimates, ax=ax)
    assert ax.get_xlim()[1] < 1.0
    assert display._text(2) == "differ *, 15 nats"
    trusted = DivergenceDisplay.from_estimates({**estimates, "when": Estimate(15.0, 2.0)}, plot=False)
    assert trusted._text(2) == "differ"
    assert trusted._limit() > 15.0
