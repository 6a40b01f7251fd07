"""The artists of a density plot hold what they should: histogram, curve, probabilities, contours of stated mass."""

import itertools
import sys

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats
from sklearn.mixture import GaussianMixture
from sklearn.preprocessing import FunctionTransformer

import fastkl
from fastkl import DensityDisplay, DensityMLE, MixtureMLE, TransformedDensity, families

mpl.use("Agg")
RNG = np.random.default_rng(0)
POSITIVE = RNG.gamma(2.0, 3.0, size=(400, 1))
WEIGHTS = RNG.uniform(0.1, 2.0, size=400)
PAIRS = pd.DataFrame(RNG.normal(size=(300, 2)) @ [[1.0, 0.7], [0.0, 2.0]], columns=["time", "dose"])


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def test_top_level_names():
    assert fastkl.DensityDisplay is fastkl.plotting.DensityDisplay
    assert fastkl.ComparisonDisplay is fastkl.plotting.ComparisonDisplay


@pytest.mark.parametrize("family", ["gamma", "student_t", families.Gamma(shape=2.0), "uniform"])
def test_curve_is_the_density(family, ax):
    model = DensityMLE(family).fit(POSITIVE)
    display = DensityDisplay.from_estimator(model, POSITIVE, ax=ax)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(y, np.exp(model.score_samples(x[:, np.newaxis])), rtol=1e-12)
    assert x.min() < POSITIVE.min()
    assert x.max() > POSITIVE.max()
    assert display.ax_ is ax
    assert display.figure_ is ax.figure
    assert ax.get_ylim()[1] >= display.data.heights.max()


def test_curve_is_an_independent_reference(ax):
    model = DensityMLE.from_parameters("gamma", shape=2.0, scale=3.0)
    x, y = DensityDisplay.from_estimator(model, POSITIVE, ax=ax).line_.get_data()
    np.testing.assert_allclose(y, stats.gamma(2.0, scale=3.0).pdf(x), rtol=1e-10, atol=1e-300)


@pytest.mark.parametrize("column", [0, [0, 1]])
def test_rows_of_weight_0_are_not_drawn(column):
    """Nor do they make the axes longer, or the bins narrower."""
    X = np.vstack([np.full((40, 2), -999.0), np.random.default_rng(0).normal(size=(60, 2))])
    model = DensityMLE("normal").fit(X[40:])
    weighted, alone = (
        DensityDisplay.from_estimator(model, rows, column=column, sample_weight=weights, n_draws=100, plot=False)
        for rows, weights in ((X, np.repeat([0.0, 1.0], [40, 60])), (X[40:], np.ones(60)))
    )
    np.testing.assert_equal(vars(weighted.data), vars(alone.data))
    assert weighted.n_rows == alone.n_rows == 60


@pytest.mark.parametrize("weights", [None, WEIGHTS])
@pytest.mark.parametrize("bins", [None, 7, np.linspace(0.0, 60.0, 13)])
def test_histogram_has_area_one(weights, bins, ax):
    model = DensityMLE("gamma").fit(POSITIVE)
    display = DensityDisplay.from_estimator(model, POSITIVE, sample_weight=weights, bins=bins, ax=ax)
    heights, edges, _ = display.data_.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1.0, abs=1e-12)
    inside = (POSITIVE[:, 0] >= edges[1]) & (POSITIVE[:, 0] < edges[2])
    share = np.average(inside, weights=weights)
    assert heights[1] * (edges[2] - edges[1]) == pytest.approx(share, rel=1e-12)


def test_rows_far_out_leave_the_view_and_are_counted(ax):
    X = np.r_[RNG.standard_normal((200, 1)), [[1e6], [2e6], [-1e9]]]
    display = DensityDisplay.from_estimator(DensityMLE("student_t").fit(X), X, ax=ax)
    assert display.data.beyond == (1, 2)
    heights, edges, _ = display.data_.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(200 / 203, rel=1e-12)
    assert edges[-1] < 10.0
    assert "3 outside the view" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("column", [np.zeros((30, 1)) + 4.0, np.r_[np.zeros(80), 1.0, 2.0, 7.0][:, np.newaxis]])
def test_many_equal_values(column, ax):
    model = DensityMLE.from_parameters("normal", loc=0.0, scale=1.0)
    heights, edges, _ = DensityDisplay.from_estimator(model, column, ax=ax).data_.get_data()
    assert np.sum(heights * np.diff(edges)) == pytest.approx(1.0, rel=1e-12)


def test_bins_of_rounded_values_have_equally_many_of_them(ax):
    X = np.round(RNG.normal(70.0, 12.0, size=(1000, 1)))
    _, edges, _ = DensityDisplay.from_estimator(DensityMLE("normal").fit(X), X, ax=ax).data_.get_data()
    steps = np.diff(edges)
    np.testing.assert_allclose(steps, np.round(steps[0]), rtol=1e-12)
    np.testing.assert_allclose(edges % 1.0, 0.5)


def test_density_without_bound_leaves_the_histogram_readable(ax):
    X = RNG.gamma(0.2, size=(500, 1))
    display = DensityDisplay.from_estimator(DensityMLE("gamma").fit(X), X, ax=ax)
    top = display.data.heights.max()
    assert top < ax.get_ylim()[1] < 4.0 * top


def test_poisson_bars_and_stems(ax):
    X = RNG.poisson(1.3, size=(300, 1)).astype(float)
    weights = RNG.uniform(size=300)
    model = DensityMLE("poisson").fit(X, sample_weight=weights)
    display = DensityDisplay.from_estimator(model, X, sample_weight=weights, ax=ax)
    values, probabilities = display.line_.markerline.get_data()
    reference = stats.poisson(float(np.average(X[:, 0], weights=weights))).pmf(values)
    np.testing.assert_allclose(probabilities, reference, rtol=1e-10)
    frequencies = [bar.get_height() for bar in display.data_]
    expected = [np.sum(weights[X[:, 0] == value]) / weights.sum() for value in values]
    np.testing.assert_allclose(frequencies, expected, rtol=1e-12)
    assert sum(frequencies) == pytest.approx(1.0)
    assert values[0] == 0.0


def test_many_counts_are_a_line(ax):
    X = RNG.poisson(500.0, size=(300, 1)).astype(float)
    display = DensityDisplay.from_estimator(DensityMLE("poisson").fit(X), X, ax=ax)
    values, probabilities = display.line_.get_data()
    np.testing.assert_allclose(probabilities, stats.poisson(X.mean()).pmf(values), rtol=1e-9)
    assert probabilities.sum() > 0.99


def test_counts_that_are_far_apart_are_drawn_in_groups(ax):
    """By the mean frequency of the values in a group, so that bars and probabilities are of the same kind."""
    X = RNG.poisson(1e6, size=(400, 1)).astype(float)
    display = DensityDisplay.from_estimator(DensityMLE("poisson").fit(X), X, ax=ax)
    values, probabilities = display.line_.get_data()
    assert len(values) <= 100
    np.testing.assert_allclose(probabilities, stats.poisson(X.mean()).pmf(values), rtol=1e-6)
    width = int(values[1] - values[0])
    least = values - (width - 1) // 2
    own = [np.mean((X[:, 0] >= first) & (X[:, 0] < first + width)) / width for first in least]
    heights = [bar.get_height() for bar in display.data_]
    np.testing.assert_allclose(heights, own, rtol=1e-12)
    assert sum(heights) * width == pytest.approx(1.0)
    assert f"each bar {width:,} values" in ax.get_legend().get_texts()[0].get_text()


@pytest.mark.parametrize("far", [1e6, 1e12])
def test_a_count_far_out_leaves_the_view(far, ax):
    X = np.r_[RNG.poisson(3.0, 500), far][:, np.newaxis]
    display = DensityDisplay.from_estimator(DensityMLE("geometric").fit(X + 1.0), X + 1.0, ax=ax)
    assert display.data.values.max() < 100.0
    assert display.data.frequencies.sum() == pytest.approx(500.0 / 501.0)
    assert "1 outside the view" in ax.get_legend().get_texts()[0].get_text()


def test_the_legend_is_above_the_power_of_ten():
    X = 1e-9 * RNG.normal(size=(300, 1))
    display = DensityDisplay.from_estimator(DensityMLE("normal").fit(X), X)
    canvas = display.figure_.canvas
    canvas.draw()
    power = display.ax_.yaxis.get_offset_text()
    assert "1e" in power.get_text().replace("\N{MINUS SIGN}", "-")
    assert power.get_window_extent().y1 <= display.ax_.get_legend().get_window_extent().y0 + 1.0


def test_labels(ax):
    X = np.array([["cat"]] * 6 + [["dog"]] * 4)
    model = DensityMLE("categorical").fit(X)
    display = DensityDisplay.from_estimator(model, np.r_[X, [["owl"]]], ax=ax)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["cat", "dog", "owl"]
    np.testing.assert_allclose(display.line_.markerline.get_ydata(), [0.6, 0.4, 0.0])
    np.testing.assert_allclose([bar.get_height() for bar in display.data_], np.array([6, 4, 1]) / 11)


def test_contours_of_a_normal_enclose_the_stated_mass(ax):
    """The level of mass m is the log-density at Mahalanobis distance sqrt(chi2.ppf(m, 2)), in closed form."""
    model = DensityMLE().fit(PAIRS)
    masses = (0.5, 0.9, 0.99)
    display = DensityDisplay.from_estimator(model, PAIRS, ax=ax, masses=masses)
    distribution = stats.multivariate_normal(model.params_["mean"], model.params_["covariance"])
    for mass, level in zip(masses, display.data.levels, strict=True):
        squared = -2.0 * (level - distribution.logpdf(model.params_["mean"]))
        error = np.sqrt(mass * (1.0 - mass) / 100_000)
        assert abs(stats.chi2(2).cdf(squared) - mass) < 5.0 * error
    drawn = np.sort(display.data.levels)
    np.testing.assert_allclose(display.line_.levels, drawn, atol=1e-8)
    for level, lines in zip(display.line_.levels, display.line_.allsegs, strict=True):
        points = np.concatenate(lines)
        np.testing.assert_allclose(distribution.logpdf(points), level, atol=0.01)
    np.testing.assert_array_equal(display.data_.get_offsets(), PAIRS.to_numpy())


def test_labels_of_contours_do_not_cover_each_other(ax):
    """Contours go around a small cluster too, where they are closer than the labels are high."""
    X = np.r_[RNG.normal([0.0, 0.0], 0.1, size=(200, 2)), RNG.normal([4.0, 4.0], 1.0, size=(400, 2))]
    display = DensityDisplay.from_estimator(MixtureMLE(2, random_state=0).fit(X), X, ax=ax)
    ax.figure.canvas.draw()
    boxes = [text.get_window_extent() for text in display.ax_.texts]
    assert len(boxes) == 3
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))


def test_contours_of_another_density_enclose_the_stated_mass(ax):
    """Two far components: mass of the level set by fresh draws from the mixture."""
    X = np.r_[RNG.normal(size=(200, 2)), RNG.normal(8.0, 0.5, size=(100, 2))]
    model = GaussianMixture(2, random_state=0).fit(X)
    display = DensityDisplay.from_estimator(model, X, ax=ax, masses=[0.8], n_draws=20_000)
    first, again, other = (
        DensityDisplay.from_estimator(model, X, plot=False, n_draws=500, rng=seed).data.levels.tolist()
        for seed in (1, 1, 2)
    )
    assert first == again != other  # by the other name of random_state
    fresh = stats.norm.rvs(size=(50_000, 2), random_state=1)
    which = np.random.default_rng(2).choice(2, p=model.weights_, size=50_000)
    factors = np.linalg.cholesky(model.covariances_)
    fresh = model.means_[which] + np.einsum("nij,nj->ni", factors[which], fresh)
    share = np.mean(model.score_samples(fresh) >= display.data.levels[0])
    assert abs(share - 0.8) < 5.0 * np.sqrt(0.16 * (1 / 50_000 + 1 / 20_000))
    assert len(display.line_.allsegs[0]) == 2  # one closed curve around each component


def test_many_points_are_counted(ax):
    X = RNG.normal(size=(6000, 2))
    model = DensityMLE().fit(X)
    display = DensityDisplay.from_estimator(model, X, ax=ax, n_points=40, n_draws=1000)
    assert display.data_.get_array().sum() == 6000
    ax = Figure().subplots()
    weights = RNG.uniform(size=6000)
    display = DensityDisplay.from_estimator(model, X, sample_weight=weights, ax=ax, n_points=40, n_draws=1000)
    assert display.data_.get_array().sum() == pytest.approx(weights.sum())


def test_a_uniform_law_has_one_level(ax):
    X = RNG.uniform(size=(50, 2))
    display = DensityDisplay.from_estimator(DensityMLE("uniform").fit(X), X, ax=ax, n_draws=1000)
    assert np.ptp(display.data.levels) < 1e-9
    assert all(len(lines) for lines in display.line_.allsegs)


def test_far_rows_and_heavy_tails_in_two_columns(ax):
    X = np.r_[RNG.normal(size=(200, 2)), [[1e5, 1e5]]]
    display = DensityDisplay.from_estimator(DensityMLE("multivariate_t").fit(X), X, ax=ax, n_draws=2000)
    assert display.data.beyond == 1
    assert np.ptp(display.data.grid_x) < 30.0


@pytest.mark.parametrize("column", ["dose", 1, -1])
@pytest.mark.parametrize(
    ("family", "reference"),
    [
        ("normal", lambda p: stats.norm(p["loc"][1], p["scale"][1])),
        ("multivariate_normal", lambda p: stats.norm(p["mean"][1], np.sqrt(p["covariance"][1, 1]))),
        (families.MultivariateNormal("diag"), lambda p: stats.norm(p["mean"][1], np.sqrt(p["covariance"][1]))),
        (families.MultivariateNormal("spherical"), lambda p: stats.norm(p["mean"][1], np.sqrt(p["covariance"]))),
        (families.MultivariateT(df=5.0), lambda p: stats.t(5.0, p["loc"][1], np.sqrt(p["scale"][1, 1]))),
        ("laplace", lambda p: stats.laplace(p["loc"][1], p["scale"][1])),
    ],
)
def test_one_column_of_several(column, family, reference, ax):
    model = DensityMLE(family).fit(PAIRS)
    display = DensityDisplay.from_estimator(model, PAIRS, column=column, ax=ax)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(y, reference(model.params_).pdf(x), rtol=1e-9)
    assert ax.get_xlabel() == "dose"


def test_two_columns_of_three_and_one_of_labels(ax):
    X = RNG.normal(size=(100, 3))
    model = DensityMLE().fit(X)
    display = DensityDisplay.from_estimator(model, X, column=(2, 0), ax=ax, n_points=30, n_draws=1000)
    block = np.ix_([2, 0], [2, 0])
    distribution = stats.multivariate_normal(model.params_["mean"][[2, 0]], model.params_["covariance"][block])
    x, y = display.data.grid_x[4], display.data.grid_y[7]
    assert display.data.log_density[7, 4] == pytest.approx(distribution.logpdf([x, y]), rel=1e-10)
    labels = np.array([["a", "x"], ["b", "x"], ["b", "y"], ["b", "x"]])
    display = DensityDisplay.from_estimator(
        DensityMLE("categorical").fit(labels), labels, column=1, ax=Figure().subplots()
    )
    np.testing.assert_allclose(display.line_.markerline.get_ydata(), [0.75, 0.25])


def test_axis_labels_and_names(ax):
    frame = pd.DataFrame(POSITIVE, columns=["duration"])
    model = DensityMLE(families.Gamma(shape=2.0)).fit(frame)
    DensityDisplay.from_estimator(model, frame, units="min", ax=ax)
    assert ax.get_xlabel() == "duration (min)"
    assert ax.get_ylabel() == "density (1/min)"
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    assert texts == ["data (400 rows)", "gamma(shape=2.0)"]
    ax = Figure().subplots()
    units = {"dose": "mg"}
    DensityDisplay.from_estimator(DensityMLE().fit(PAIRS), PAIRS, units=units, name="fit", ax=ax, n_points=20)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time", "dose (mg)")
    assert ax.get_legend().get_texts()[1].get_text() == "fit, % enclosed"


@pytest.mark.filterwarnings("error")
def test_rows_without_names_have_those_of_the_fit():
    table = pd.DataFrame(np.random.default_rng(0).gamma(2.0, size=(100, 2)), columns=["wait", "length"])
    model = DensityMLE("multivariate_normal").fit(table)
    assert DensityDisplay.from_estimator(model, table.to_numpy(), plot=False).columns == ["wait", "length"]
    display = fastkl.GoodnessDisplay.from_estimator(model, model.sample(50, random_state=0), plot=False)
    assert [one.column for one in display.displays.values()] == ["wait", "length"]


def test_own_figure_and_no_global_settings():
    import matplotlib.pyplot as plt

    before = mpl.rcParams.copy()
    display = DensityDisplay.from_estimator(DensityMLE("gamma").fit(POSITIVE), POSITIVE)
    assert display.figure_.number in plt.get_fignums()
    plt.close(display.figure_)
    later = DensityDisplay.from_estimator(DensityMLE("gamma").fit(POSITIVE), POSITIVE, plot=False)
    assert not hasattr(later, "ax_")
    assert later.plot() is later
    plt.close(later.figure_)
    assert mpl.rcParams == before


@pytest.mark.parametrize(
    ("X", "options", "message"),
    [
        (np.ones((4, 3)), {}, "1 of 3 columns has no closed form"),
        (np.ones((4, 31)), {}, "31 columns .* more than 30 panels: choose some by column="),
        (np.ones((4, 3)), {"column": "dose"}, "no column 'dose'; its columns are 'column 0'"),
        (np.ones((4, 3)), {"column": 3}, "no column 3"),
        (np.ones((4, 3)), {"column": [0, 0]}, "two different columns"),
        (np.ones((4, 3)), {"column": 0}, "no closed form"),
        (np.ones(4), {}, "two dimensions"),
        (np.array([[1.0], [np.nan]]), {}, "row 1"),
        (np.ones((4, 2)), {"units": ["a"]}, "1 units for 2 columns"),
        (np.ones((4, 2)), {"masses": [0.5, 1.0]}, "strictly between 0 and 1"),
        (np.ones((4, 1)), {"bins": 0}, "at least 1"),
        (RNG.normal(size=(9, 1)), {"bins": [1.0, 0.0]}, "increasing"),
    ],
)
def test_errors(X, options, message):
    model = GaussianMixture(1).fit(RNG.normal(size=(20, X.shape[1] if X.ndim == 2 else 1)))
    with pytest.raises(ValueError, match=message):
        DensityDisplay.from_estimator(model, X, plot=False, **options)


def test_a_column_behind_a_transformer(ax):
    X = np.exp(PAIRS)
    model = TransformedDensity(FunctionTransformer(np.log), DensityMLE()).fit(X)
    display = DensityDisplay.from_estimator(model, X, column="time", ax=ax)
    x, y = display.line_.get_data()
    params = model.params_
    exact = stats.lognorm(np.sqrt(params["covariance"][0, 0]), scale=np.exp(params["mean"][0]))
    np.testing.assert_allclose(y, exact.pdf(x), rtol=1e-9, atol=1e-300)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"fastkl\[plot\]"):
        DensityDisplay.from_estimator(DensityMLE("gamma").fit(POSITIVE), POSITIVE)


def test_laws_of_scipy(ax):
    display = DensityDisplay.from_estimator(stats.gamma(2.0, scale=3.0), POSITIVE, name="distribution", ax=ax)
    x, y = display.line_.get_data()
    np.testing.assert_allclose(y, stats.gamma(2.0, scale=3.0).pdf(x))


def test_of_many_labels_the_rarest_are_drawn_together():
    """Their shares add up, and no name lies over another."""
    rng = np.random.default_rng(0)
    labels = [f"category name {i:02d}" for i in range(30)]
    rows = pd.DataFrame({"kind": rng.choice(labels, 2000, p=rng.dirichlet(np.ones(30)))})
    figure = Figure(figsize=(5.6, 3.8), layout="constrained")
    ax = figure.subplots()
    display = DensityDisplay.from_estimator(DensityMLE("categorical").fit(rows), rows, ax=ax)
    counts = rows["kind"].value_counts()
    assert len(display.data.values) == len(counts) > 20
    names = [text.get_text() for text in ax.get_xticklabels()]
    assert names[:-1] == sorted(counts.index[:19])
    assert names[-1] == f"{len(counts) - 19} others"
    heights = [bar.get_height() for bar in display.data_]
    np.testing.assert_allclose(heights[:-1], counts[names[:-1]] / 2000, rtol=1e-12)
    assert heights[-1] == pytest.approx(counts[19:].sum() / 2000, rel=1e-12)
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in ax.get_xticklabels()]
    assert all(left.x1 <= right.x0 for left, right in itertools.pairwise(boxes))


def test_long_names_stay_within_the_figure():
    long = "a rather long name of a column that somebody wrote in a spreadsheet, in metres per second (mean)"
    rows = pd.DataFrame({long: POSITIVE[:200, 0], long[::-1]: POSITIVE[200:, 0]})
    figure = Figure(figsize=(3.9, 3.3), layout="constrained")
    ax = figure.subplots()
    DensityDisplay.from_estimator(DensityMLE("multivariate_normal").fit(rows), rows, ax=ax)
    figure.draw_without_rendering()
    for label in (ax.xaxis.label, ax.yaxis.label):
        assert "…" in label.get_text()
        box = label.get_window_extent()
        assert box.x0 >= 0.0
        assert box.y0 >= 0.0
        assert box.x1 <= figure.bbox.x1
        assert box.y1 <= figure.bbox.y1


@pytest.mark.parametrize("names", [["Zürich HB", "Genève Aéroport", "Lausanne", "Bern"], ["a", "b"]])
def test_labels_of_bars_do_not_overlap(names):
    X = np.repeat(np.array(names, dtype=object), 5)[:, np.newaxis]
    display = DensityDisplay.from_estimator(DensityMLE("categorical").fit(X), X)
    display.figure_.canvas.draw()
    texts = display.ax_.get_xticklabels()
    assert {text.get_rotation() for text in texts} == {45.0 if len(names) > 2 else 0.0}
    if len(names) == 2:
        boxes = [text.get_window_extent() for text in texts]
        assert all(first.x1 < second.x0 for first, second in itertools.pairwise(boxes))


def test_a_mixture_is_called_one():
    X = np.random.default_rng(0).gamma(2.0, size=(100, 1))
    display = DensityDisplay.from_estimator(MixtureMLE(2, family="gamma", random_state=0).fit(X), X, plot=False)
    assert display.name == "mixture of 2 gamma"
