"""The comparison plot: points, bars of two standard errors, order, and what cannot be placed on the axis."""

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from sklearn.model_selection import GridSearchCV, KFold

from fastkl import (
    ComparisonDisplay,
    DensityMLE,
    compare_densities,
    families,
    make_kl_scorer,
    neg_cross_entropy,
    rank_families,
)

mpl.use("Agg")
X = np.random.default_rng(0).gamma(2.0, size=(800, 1))
TRAIN, TEST = X[:400], X[400:]
NAMES = ["normal", "gamma", "lognormal", "weibull", "exponential", "loglogistic", "student_t", "logistic"]
FITTED = {name: DensityMLE(name).fit(TRAIN) for name in NAMES}


@pytest.fixture
def ax():
    return Figure(layout="constrained").subplots()


def texts_on_the_right(ax):
    return [text.get_text() for text in ax.child_axes[0].get_yticklabels()]


def test_points_and_bars_are_those_of_the_table(ax):
    table = compare_densities(FITTED, TEST)
    display = ComparisonDisplay.from_estimators(FITTED, TEST, ax=ax)
    assert display.names == table.names
    points, _, (bars,) = display.line_
    shown = np.arange(len(NAMES))
    np.testing.assert_allclose(points.get_xdata(), table.kl_difference, rtol=1e-12)
    np.testing.assert_array_equal(points.get_ydata(), shown)
    ends = np.array([segment[:, 0] for segment in bars.get_segments()])
    np.testing.assert_allclose(np.diff(ends, axis=1)[:, 0], 4.0 * table.kl_difference_error, atol=1e-12)
    assert [text.get_text() for text in ax.get_yticklabels()] == table.names
    assert texts_on_the_right(ax)[0] == "best"
    assert texts_on_the_right(ax)[1] == f"{table.kl_difference[1]:.4f} ± {table.kl_difference_error[1]:.4f}"
    assert ax.get_ylim()[0] > ax.get_ylim()[1]  # best on top
    assert "(± 2 s.e., 400 rows)" in ax.get_xlabel()  # which may be those of the fit
    again = ComparisonDisplay.from_comparison(table, plot=False)
    np.testing.assert_array_equal(again.differences, display.differences)


def test_weights(ax):
    weights = np.random.default_rng(1).uniform(size=400)
    display = ComparisonDisplay.from_estimators(FITTED, TEST, sample_weight=weights, ax=ax)
    expected = compare_densities(FITTED, TEST, weights)
    np.testing.assert_array_equal(display.differences, expected.kl_difference)


def test_far_behind_and_excluded_are_arrows(ax):
    differences, errors = [1e6, 0.0, 0.1, 0.2, np.inf], [1e5, 0.0, 0.01, np.nan, np.nan]
    display = ComparisonDisplay(["far", "a", "b", "c", "out"], differences, errors)
    display.plot(ax=ax)
    assert display.names == ["a", "b", "c", "far", "out"]
    np.testing.assert_array_equal(display.line_[0].get_xdata(), [0.0, 0.1, 0.2])
    arrows = next(line for line in ax.lines if line.get_marker() == ">")
    assert list(arrows.get_ydata()) == [3, 4]
    assert ax.get_xlim()[1] < 1.0
    assert texts_on_the_right(ax) == ["best", "0.1000 ± 0.0100", "0.2000", "1e+06 ± 1e+05", "excludes rows"]


def test_results_of_a_search(ax):
    grid = {"family": ["normal", "gamma", families.Gamma(shape=1.0), "weibull"]}
    folds = KFold(5, shuffle=True, random_state=0)
    search = GridSearchCV(DensityMLE(), grid, cv=folds).fit(X)
    display = ComparisonDisplay.from_cv_results(search.cv_results_, ax=ax)
    assert display.names[0] == "gamma"
    assert set(display.names) == {"normal", "gamma", "Gamma(shape=1.0)", "weibull"}
    scores = {}
    for name in ("gamma", "normal"):
        scores[name] = [DensityMLE(name).fit(X[a]).score(X[b]) for a, b in folds.split(X)]
    gaps = np.array(scores["gamma"]) - scores["normal"]
    i = display.names.index("normal")
    assert display.differences[i] == pytest.approx(gaps.mean(), rel=1e-9)
    assert display.standard_errors[i] == pytest.approx(gaps.std(ddof=1) / np.sqrt(5), rel=1e-9)
    assert "5 folds" in ax.get_xlabel()


def test_results_of_several_metrics():
    """Likelihood and divergence give the same picture."""
    scoring = {"kl": make_kl_scorer(), "likelihood": neg_cross_entropy}
    grid = {"family": ["normal", "gamma"], "prior": [None, "default"]}
    search = GridSearchCV(DensityMLE(), grid, scoring=scoring, refit=False, cv=3).fit(X)
    one, two = (ComparisonDisplay.from_cv_results(search.cv_results_, metric=m, plot=False) for m in scoring)
    np.testing.assert_allclose(one.differences, two.differences, atol=1e-12)
    np.testing.assert_allclose(one.standard_errors, two.standard_errors, atol=1e-12)
    assert "family=gamma, prior=None" in one.names
    with pytest.raises(ValueError, match="no metric 'score'; it has kl, likelihood"):
        ComparisonDisplay.from_cv_results(search.cv_results_)
    named = ComparisonDisplay.from_cv_results(search.cv_results_, metric="kl", names=list("abcd"), plot=False)
    assert sorted(named.names) == list("abcd")


def test_a_candidate_that_excludes_rows():
    results = {
        "params": [{"family": "a"}, {"family": "b"}],
        "split0_test_score": np.array([-1.0, -2.0]),
        "split1_test_score": np.array([-1.5, -np.inf]),
    }
    display = ComparisonDisplay.from_cv_results(results, plot=False)
    assert display.names == ["a", "b"]
    assert display.differences.tolist() == [0.0, np.inf]
    assert np.isnan(display.standard_errors[1])
    results["split0_test_score"][0] = np.nan
    with pytest.raises(ValueError, match="no best one"):
        ComparisonDisplay.from_cv_results(results, plot=False)


def test_one_density(ax):
    display = ComparisonDisplay.from_estimators({"gamma": FITTED["gamma"]}, TEST, ax=ax)
    assert display.differences.tolist() == [0.0]


def test_wrong_lengths():
    with pytest.raises(ValueError, match="2 names"):
        ComparisonDisplay(["a", "b"], [0.0], [0.0])


def test_nothing_is_clipped():
    """All texts lie inside the figure that the display makes."""
    import matplotlib.pyplot as plt

    display = ComparisonDisplay.from_estimators(
        {f"a rather long name of the {n} distribution": d for n, d in FITTED.items()}, TEST
    )
    figure = display.figure_
    figure.canvas.draw()
    box = figure.bbox
    texts = [*display.ax_.get_yticklabels(), *display.ax_.child_axes[0].get_yticklabels(), display.ax_.xaxis.label]
    for text in texts:
        extent = text.get_window_extent()
        assert box.x0 <= extent.x0 < extent.x1 <= box.x1 + 1.0, text.get_text()
        assert box.y0 <= extent.y0 < extent.y1 <= box.y1 + 1.0, text.get_text()
    plt.close(figure)


def test_a_ranking_is_drawn_by_its_whole_rows(ax):
    ranking = rank_families(np.column_stack([X[:200, 0], X[200:400, 0]]), families=["gamma", "normal"])
    display = ComparisonDisplay.from_comparison(ranking, ax=ax)
    assert display.names == ranking.joint.names
    np.testing.assert_array_equal(display.differences, ranking.joint.kl_difference)
    assert ComparisonDisplay.from_comparison(ranking[1], plot=False).names == ranking[1].names


def test_a_fitted_search_is_its_results():
    search = GridSearchCV(DensityMLE(), {"family": ["normal", "gamma"]}).fit(X)
    display, same = (ComparisonDisplay.from_cv_results(one, plot=False) for one in (search, search.cv_results_))
    assert display.names == same.names
    np.testing.assert_array_equal(display.differences, same.differences)


def test_what_cannot_be_compared_is_said():
    with pytest.raises(TypeError, match=r"what compare_densities or rank_families gives, not dict"):
        ComparisonDisplay.from_comparison(FITTED, plot=False)
    search = GridSearchCV(DensityMLE(), {"family": ["normal", "gamma"]})
    with pytest.raises(TypeError, match=r"fitted search, .* or its cv_results_; not GridSearchCV before fit"):
        ComparisonDisplay.from_cv_results(search, plot=False)
    with pytest.raises(TypeError, match=r"not list\."):
        ComparisonDisplay.from_cv_results([1.0], plot=False)
