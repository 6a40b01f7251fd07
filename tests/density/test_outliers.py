"""Outliers by log-density: scikit-learn's terms, and thresholds that are what they say."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    MissingValueError,
    MixtureMLE,
    ModelFileError,
    ProductDensity,
    families,
    load,
)
from tests.density.files.editing import edited

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1000, 3)) @ np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [0.1, -1.0, 0.3]])


@parametrize_with_checks([DensityOutlierDetector(), DensityOutlierDetector(DensityMLE("normal"), contamination=0.05)])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learns_own_checks(estimator, check):
    check(estimator)


def test_a_normal_threshold_is_one_of_the_mahalanobis_distance():
    detector = DensityOutlierDetector(DensityMLE(), contamination="auto", level=0.01).fit(X)
    params = detector.density_.params_
    away = X - params["mean"]
    distance = np.einsum("ij,ij->i", away @ np.linalg.inv(params["covariance"]), away)
    np.testing.assert_array_equal(detector.predict(X) == -1, distance > scipy.stats.chi2.isf(0.01, 3))
    independent = DensityOutlierDetector(DensityMLE("normal"), contamination="auto", level=0.01).fit(X)
    scaled = ((X - X.mean(axis=0)) / X.std(axis=0)) ** 2
    np.testing.assert_array_equal(independent.predict(X) == -1, scaled.sum(axis=1) > scipy.stats.chi2.isf(0.01, 3))


@pytest.mark.parametrize(
    "density",
    [
        DensityMLE(),
        DensityMLE("multivariate_t"),
        DensityMLE(families.MultivariateT(df=3.0)),
        DensityMLE("student_t"),
        ProductDensity([("a", DensityMLE("logistic"), [0]), ("b", DensityMLE(), [1, 2])]),
    ],
    ids=repr,
)
def test_rows_of_the_distribution_lie_below_with_the_level(density):
    detector = DensityOutlierDetector(density, contamination="auto", level=0.02).fit(X)
    draws = detector.density_.sample(200_000, random_state=1)
    assert np.mean(detector.predict(draws) == -1) == pytest.approx(0.02, abs=0.002)


def test_contamination_is_a_share_of_the_fitted_rows():
    detector = DensityOutlierDetector(contamination=0.05).fit(X)
    assert np.sum(detector.predict(X) == -1) == 50
    np.testing.assert_array_equal(detector.fit_predict(X), detector.predict(X))
    weights = np.ones(len(X))
    weights[:500] = 3.0
    weighted = DensityOutlierDetector(contamination=0.05).fit(X, sample_weight=weights)
    out = weighted.predict(X) == -1
    assert weights[out].sum() / weights.sum() == pytest.approx(0.05, abs=0.002)
    repeated = DensityOutlierDetector(contamination=0.05).fit(np.repeat(X, weights.astype(int), axis=0))
    assert repeated.offset_ == pytest.approx(weighted.offset_, rel=1e-10)


@pytest.mark.parametrize("contamination", [0.05, "auto"])
@pytest.mark.parametrize("density", [None, DensityMLE("student_t")], ids=repr)
def test_rows_of_weight_0_are_absent_whatever_they_hold(density, contamination):
    absent = np.full((10, X.shape[1]), np.nan)
    weights = np.r_[np.zeros(10), np.ones(len(X))]
    rows = np.vstack([absent, X])
    detector = DensityOutlierDetector(density, contamination=contamination).fit(rows, sample_weight=weights)
    without = DensityOutlierDetector(density, contamination=contamination).fit(X)
    assert detector.offset_ == pytest.approx(without.offset_, rel=1e-13)
    rows[500, 1] = np.nan
    with pytest.raises(MissingValueError, match="row 500, column 1"):
        DensityOutlierDetector(density, contamination=contamination).fit(rows, sample_weight=weights)


def test_tables_and_values_outside_the_support():
    table = pd.DataFrame({"hours": RNG.gamma(2.0, size=300), "pet": RNG.choice(["cat", "dog"], 300)})
    density = ProductDensity([("hours", DensityMLE("gamma"), ["hours"]), ("pet", DensityMLE("categorical"), ["pet"])])
    detector = DensityOutlierDetector(density, contamination="auto").fit(table)
    assert list(detector.feature_names_in_) == ["hours", "pet"]
    fresh = pd.DataFrame({"hours": [1.0, -1.0, 60.0, 1.0], "pet": ["cat", "cat", "dog", "bird"]})
    np.testing.assert_array_equal(detector.predict(fresh), [1, -1, -1, -1])
    assert detector.decision_function(fresh)[1] == -np.inf


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"contamination": 0.7}, "up to 0.5"),
        ({"contamination": 0.0}, "above 0"),
        ({"contamination": "many"}, "'auto' or a number"),
        ({"level": 1.0}, "level is a probability"),
    ],
)
def test_bad_options(options, said):
    with pytest.raises(ValueError, match=said):
        DensityOutlierDetector(**options).fit(X)
    with pytest.raises(TypeError, match="density is a density"):
        DensityOutlierDetector("normal").fit(X)


@pytest.mark.parametrize("contamination", [0.1, "auto"])
@pytest.mark.parametrize(
    "density",
    [
        None,
        DensityMLE("multivariate_t"),
        MixtureMLE(2, random_state=0),
        ProductDensity([("all", DensityMLE("gamma"), ["b", "a"])]),
    ],
)
def test_files(density, contamination, tmp_path):
    """The threshold is found without a warning of names of columns too."""
    X = pd.DataFrame(np.random.default_rng(0).gamma(2.0, size=(80, 2)), columns=["a", "b"])
    detector = DensityOutlierDetector(density, contamination=contamination, n_draws=500).fit(X)
    detector.save(tmp_path / "detector")
    read = load(tmp_path / "detector")
    assert repr(read) == repr(detector)
    assert read.offset_ == detector.offset_
    assert read.feature_names_in_.tolist() == ["a", "b"]
    assert np.array_equal(read.decision_function(X), detector.decision_function(X))
    for edit in ({"offset_": "high"}, {"offset_": None}, {"n_features_in_": 3}):

        def edited_header(header, edit=edit):
            header["state"]["dict"] |= edit
            return header

        with pytest.raises(ModelFileError, match="damaged or not a fastkl density"):
            load(edited(tmp_path / "detector", tmp_path / "bad", edited_header))
    with pytest.raises(NotFittedError):
        DensityOutlierDetector(density).save(tmp_path / "none")
