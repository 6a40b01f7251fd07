"""P-P, Q-Q and cdf pictures: the points against scipy's distributions, masses of weighted rows, and what can't be drawn."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.preprocessing import FunctionTransformer

import fastkl
from fastkl import DensityMLE, GoodnessDisplay, ProductDensity, TransformedDensity

mpl.use("Agg")
RNG = np.random.default_rng(0)
ROWS = RNG.gamma(2.0, 3.0, size=(150, 1))
MODEL = DensityMLE("gamma").fit(ROWS)
EXACT = stats.gamma(MODEL.params_["shape"][0], scale=MODEL.params_["scale"][0])


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def test_quantiles(ax):
    display = GoodnessDisplay.from_estimator(MODEL, ROWS, units="h", ax=ax)
    x, y = display.data_.get_data()
    shares = (np.arange(150) + 0.5) / 150
    np.testing.assert_allclose(x, EXACT.ppf(shares), rtol=1e-9)
    np.testing.assert_array_equal(y, np.sort(ROWS[:, 0]))
    low, high = display.data.band
    third = stats.beta(3, 148)
    np.testing.assert_allclose([low[2], high[2]], EXACT.ppf(third.ppf([0.025, 0.975])), rtol=1e-9)
    assert np.mean((low <= y) & (y <= high)) > 0.9
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("fitted quantile (h)", "x (h)")
    assert fastkl.GoodnessDisplay is fastkl.plotting.GoodnessDisplay


def test_probabilities(ax):
    display = GoodnessDisplay.from_estimator(MODEL, ROWS, kind="pp", ax=ax)
    x, y = display.data_.get_data()
    np.testing.assert_allclose(x, (np.arange(150) + 0.5) / 150, rtol=1e-13)
    np.testing.assert_allclose(y, EXACT.cdf(np.sort(ROWS[:, 0])), rtol=1e-9)
    # its greatest distance from the steps is the statistic of Kolmogorov and Smirnov
    steps = np.maximum(np.abs(y - np.arange(150) / 150), np.abs(y - np.arange(1, 151) / 150))
    assert steps.max() == pytest.approx(MODEL.goodness_of_fit(ROWS, n_bootstrap=0)["ks"][0], rel=1e-10)


def test_distribution_functions(ax):
    display = GoodnessDisplay.from_estimator(MODEL, ROWS, kind="cdf", name="Gamma", ax=ax)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(y, EXACT.cdf(x), rtol=1e-9)
    reference = stats.ecdf(ROWS[:, 0]).cdf
    np.testing.assert_allclose(display.data_.get_ydata(), reference.probabilities, rtol=1e-12)
    assert display.line_.get_label() == "Gamma"
    assert display.data.band is None


@pytest.mark.parametrize("kind", ["pp", "qq", "cdf"])
def test_weighted_rows_are_masses(kind, ax):
    weights = np.random.default_rng(1).integers(0, 4, 150)
    display = GoodnessDisplay.from_estimator(MODEL, ROWS, kind=kind, sample_weight=weights, ax=ax)
    assert display.n_rows == np.count_nonzero(weights)
    repeated = np.sort(np.repeat(ROWS[:, 0], weights))
    np.testing.assert_array_equal(display.data.values, np.unique(repeated))
    last = np.searchsorted(repeated, display.data.values, side="right")
    first = np.searchsorted(repeated, display.data.values, side="left")
    np.testing.assert_allclose(display.data.shares, (first + last) / 2 / len(repeated), rtol=1e-12)
    assert display.data.band is None


def test_several_columns_and_other_densities():
    table = pd.DataFrame({"a": ROWS[:, 0], "b": RNG.normal(size=150)})
    product = ProductDensity([("a", DensityMLE("gamma"), ["a"]), ("b", DensityMLE("normal"), ["b"])]).fit(table)
    panels = GoodnessDisplay.from_estimator(product, table, units={"a": "h"}, ax=Figure().subplots(1, 2))
    assert [display.columns for display in panels.displays.values()] == [["a"], ["b"]]
    assert panels.axes_[0, 0].get_ylabel() == "a (h)"
    np.testing.assert_allclose(panels.displays[0, 0].data.quantiles, EXACT.ppf((np.arange(150) + 0.5) / 150), rtol=1e-9)
    single = GoodnessDisplay.from_estimator(product, table, column="b", plot=False)
    assert single.name == "normal"
    logs = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(ROWS)
    behind = GoodnessDisplay.from_estimator(logs, ROWS, plot=False).data.quantiles
    lognormal = DensityMLE("lognormal").fit(ROWS)
    np.testing.assert_allclose(behind, lognormal.quantile((np.arange(150) + 0.5) / 150)[:, 0], rtol=1e-9)
    joint = DensityMLE().fit(np.column_stack([ROWS, RNG.normal(size=150)]))
    marginal = GoodnessDisplay.from_estimator(joint, joint.sample(50, random_state=0), kind="pp", plot=False)
    assert len(marginal.displays) == 2


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="kind is one of 'pp', 'qq', 'cdf', not 'box'"):
        GoodnessDisplay.from_estimator(MODEL, ROWS, kind="box")
    counts = RNG.poisson(3.0, size=(50, 1)).astype(float)
    with pytest.raises(ValueError, match="'x' is discrete"):
        GoodnessDisplay.from_estimator(DensityMLE("poisson").fit(counts), counts)
    with pytest.raises(ValueError, match="quantile of column 'x' is not known"):
        GoodnessDisplay.from_estimator(SimpleNamespace(cdf=stats.norm.cdf), ROWS)
    with pytest.raises(ValueError, match="row 1"):
        GoodnessDisplay.from_estimator(MODEL, [[1.0], [np.nan]])


def test_a_long_name_stays_beside_its_panel():
    name = "a rather long name of a column that somebody wrote in a spreadsheet, in metres per second (mean)"
    rows = pd.DataFrame({name: np.random.default_rng(0).gamma(2.0, size=100)})
    figure = Figure(figsize=(3.9, 3.3), layout="constrained")
    ax = figure.subplots()
    GoodnessDisplay.from_estimator(DensityMLE("gamma").fit(rows), rows, ax=ax)
    figure.draw_without_rendering()
    box = ax.yaxis.label.get_window_extent()
    assert box.y0 >= 0.0
    assert box.y1 <= figure.bbox.y1
    assert ax.get_ylabel().startswith("a rather long")
    assert ax.get_ylabel().endswith("…ond (mean)")
