"""What a density of a shape shares with all densities: files, batches, tables, pictures, estimator checks, and bad input."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DegenerateDataError, ModelFileError, ShapeConstrainedMLE, SupportError, TransformedDensity
from fastkl.density.files.persistence import save_density
from tests.rows.known import Refilled

RNG = np.random.default_rng(11)
X = RNG.gamma(2.0, size=(300, 2)) + 0.1
SHAPES = ["log_concave", "decreasing"]


@parametrize_with_checks([ShapeConstrainedMLE(), ShapeConstrainedMLE("decreasing", lower=-1e3)])
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("shape", SHAPES)
def test_columns_are_fitted_one_by_one(shape):
    both = ShapeConstrainedMLE(shape).fit(X)
    single = [ShapeConstrainedMLE(shape).fit(X[:, [j]]) for j in range(2)]
    np.testing.assert_allclose(both.score_samples(X), sum(one.score_samples(X[:, [j]]) for j, one in enumerate(single)))
    assert both.log_likelihood_ == pytest.approx(both.log_likelihood(X), rel=1e-14)
    np.testing.assert_array_equal(both.cdf(X)[:, [1]], single[1].cdf(X[:, [1]]))
    np.testing.assert_array_equal(both.quantile([0.1, 0.9])[:, [0]], single[0].quantile([0.1, 0.9]))
    np.testing.assert_array_equal(both.marginal(1).score_samples(X[:, [1]]), single[1].score_samples(X[:, [1]]))
    np.testing.assert_array_equal(both.conditional({0: 1.0}).mean(), single[1].mean())
    assert both.entropy().value == pytest.approx(-both.score(X), rel=1e-10)
    assert both.entropy().standard_error == 0.0
    assert both.covariance().shape == (2, 2)


@pytest.mark.parametrize("shape", SHAPES)
def test_draws(shape):
    model = ShapeConstrainedMLE(shape).fit(X)
    draws = model.sample(20_000, random_state=0)
    np.testing.assert_array_equal(draws, model.sample(20_000, random_state=0))
    assert np.isfinite(model.score_samples(draws)).all()
    error = np.sqrt(model.variance() / 20_000)
    assert np.all(np.abs(draws.mean(axis=0) - model.mean()) < 5.0 * error)
    uniform = np.sort(model.cdf(draws)[:, 0])
    assert np.max(np.abs(uniform - np.linspace(0.0, 1.0, 20_000))) < 1.7 / np.sqrt(20_000)


@pytest.mark.parametrize("shape", SHAPES)
def test_files(shape, tmp_path):
    model = ShapeConstrainedMLE(shape, lower=[0.0, 0.05]).fit(X, sample_weight=RNG.integers(0, 3, 300))
    model.save(tmp_path / "model")
    again = fastkl.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(again.sample(9, random_state=1), model.sample(9, random_state=1))
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score_samples(X), model.score_samples(X))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("knots_", []),
        ("knots_", [np.array([0.0, 1.0, 1.0]), np.array([0.0, 1.0, 2.0])]),
        ("log_heights_", [np.zeros((1, 2)), np.zeros((1, 2))]),
        ("log_heights_", [np.full((2, 2), np.nan), np.zeros((2, 2))]),
        ("shape", "increasing"),
    ],
)
def test_damaged_files_are_refused(name, value, tmp_path):
    model = ShapeConstrainedMLE().fit(X)
    setattr(model, name, value)
    with pytest.raises(ModelFileError):
        save_density(model, tmp_path / "model")


@pytest.mark.parametrize("shape", SHAPES)
def test_batches(shape, tmp_path):
    np.save(tmp_path / "rows.npy", X)
    weights = RNG.uniform(0.0, 2.0, 300)
    whole = ShapeConstrainedMLE(shape).fit(X, sample_weight=weights)
    parts = ShapeConstrainedMLE(shape).fit_batches([(X[:150], weights[:150]), (X[150:], weights[150:])])
    np.testing.assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-10)
    plain = ShapeConstrainedMLE(shape).fit_batches(tmp_path / "rows.npy", batch_rows=64)
    np.testing.assert_array_equal(plain.score_samples_batches(tmp_path / "rows.npy"), plain.score_samples(X))


def test_tables_and_transformers():
    table = pd.DataFrame(X, columns=["wait", "length"])
    model = ShapeConstrainedMLE().fit(table)
    text = str(model.summary())
    assert "log-concave density of maximum likelihood: 300 rows, 2 columns" in text
    assert "wait" in text
    logs = TransformedDensity(FunctionTransformer(np.log), ShapeConstrainedMLE()).fit(X)
    inner = ShapeConstrainedMLE().fit(np.log(X))
    np.testing.assert_allclose(
        logs.score_samples(X), inner.score_samples(np.log(X)) - np.log(X).sum(axis=1), rtol=1e-12
    )
    divergence = fastkl.kl_divergence(model, ShapeConstrainedMLE("decreasing").fit(table), random_state=0)
    assert divergence.value > 0.0


def test_pictures():
    pytest.importorskip("matplotlib")
    from fastkl.plotting import DensityDisplay

    display = DensityDisplay.from_estimator(ShapeConstrainedMLE().fit(X[:, :1]), X[:, :1], plot=False)
    assert np.trapezoid(display.data.density, display.data.grid) == pytest.approx(1.0, abs=0.02)


def test_bad_input():
    with pytest.raises(ValueError, match="Did you mean 'decreasing'"):
        ShapeConstrainedMLE("decreasin").fit(X)
    with pytest.raises(TypeError, match="lower is a number"):
        ShapeConstrainedMLE("decreasing", lower="low").fit(X)
    with pytest.raises(ValueError, match="lower is a finite number"):
        ShapeConstrainedMLE("decreasing", lower=np.nan).fit(X)
    with pytest.raises(ValueError, match="lower holds 3 numbers for 2 columns"):
        ShapeConstrainedMLE("decreasing", lower=[0.0, 0.0, 0.0]).fit(X)
    with pytest.raises(SupportError, match="begins at lower=1; row 1, column 0 holds 0.5"):
        ShapeConstrainedMLE("decreasing", lower=1.0).fit([[2.0], [0.5]])
    with pytest.raises(
        DegenerateDataError, match="Column 0 holds 0.0 in row 1, which is where a decreasing density begins"
    ):
        ShapeConstrainedMLE("decreasing").fit([[2.0], [0.0]])
    with pytest.raises(DegenerateDataError, match="Column 0 \\('width'\\) is constant"):
        ShapeConstrainedMLE().fit(pd.DataFrame({"width": [2.0, 2.0]}))
    with pytest.raises(DegenerateDataError, match="orders of magnitude"):
        ShapeConstrainedMLE().fit([[0.1], [0.6]], sample_weight=[1e-308, 1.0])
    with pytest.raises(ValueError, match="row 1, column 0"):
        ShapeConstrainedMLE().fit([[2.0], [np.nan]])
    with pytest.raises(ValueError, match="spans more than the range of numbers"):
        ShapeConstrainedMLE().fit([[-1.7e308], [1.7e308]])
    one = ShapeConstrainedMLE("decreasing").fit([[2.0]])
    assert one.score_samples([[1.0]])[0] == pytest.approx(-np.log(2.0))
    model = ShapeConstrainedMLE().fit(X)
    assert model.score([[1.0, 1e300]]) == -np.inf
    with pytest.raises(ValueError, match="contains NaN"):
        model.score_samples([[1.0, np.nan]])
    with pytest.raises(AttributeError, match="no parameters to count"):
        model.aic(X)


def test_batches_whose_memory_is_used_again(tmp_path):
    """Columns in Fortran order are read into one buffer; batches of an object may come in one array."""
    weights = RNG.integers(1, 4, len(X)).astype(float)
    np.save(tmp_path / "rows.npy", np.asfortranarray(X))
    np.save(tmp_path / "weights.npy", weights)
    wanted = ShapeConstrainedMLE().fit(X, sample_weight=weights).score_samples(X)
    files = ShapeConstrainedMLE().fit_batches(
        tmp_path / "rows.npy", sample_weight=tmp_path / "weights.npy", batch_rows=70
    )
    again = ShapeConstrainedMLE().fit_batches(Refilled(X, weights))
    for found in (files, again):
        np.testing.assert_allclose(found.score_samples(X), wanted, rtol=1e-12)
