"""What a kernel density shares with all densities: files, batches, tables, divergences, estimator checks, pictures."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DensityMLE, KernelDensityMLE, ModelFileError, ProductDensity, TransformedDensity
from fastkl.density.files.persistence import save_density
from tests.rows.known import Refilled

RNG = np.random.default_rng(11)
X = RNG.gamma(3.0, size=(400, 2)) @ np.array([[1.0, 0.4], [0.0, 1.0]])


@parametrize_with_checks([KernelDensityMLE()])
def test_estimator_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize("bandwidth", ["likelihood", 0.5, [[1.0, 0.2], [0.2, 1.0]]], ids=["rule", "number", "matrix"])
def test_files(bandwidth, tmp_path):
    model = KernelDensityMLE(bandwidth, error=1e-6).fit(X, sample_weight=RNG.integers(0, 3, 400))
    model.score_samples(X[:5])
    model.save(tmp_path / "model")
    again = fastkl.load(tmp_path / "model")
    np.testing.assert_array_equal(again.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(again.sample(9, random_state=1), model.sample(9, random_state=1))
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.score_samples(X), model.score_samples(X))
    assert "_sums" not in pickle.loads(pickle.dumps(model)).__dict__


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("bandwidth_", -1.0),
        ("bandwidth_", np.array([1.0, 2.0, 3.0])),
        ("references_", np.full((3, 2), np.nan)),
        ("references_", np.ones((3, 5))),
        ("reference_weights_", np.array([1.0, -1.0])),
    ],
)
def test_damaged_files_are_refused(name, value, tmp_path):
    model = KernelDensityMLE(0.5).fit(X)
    setattr(model, name, value)
    with pytest.raises(ModelFileError):
        save_density(model, tmp_path / "model")


def test_batches(tmp_path):
    np.save(tmp_path / "rows.npy", X)
    weights = RNG.uniform(0.0, 2.0, 400)
    whole = KernelDensityMLE().fit(X, sample_weight=weights)
    parts = KernelDensityMLE().fit_batches([(X[:150], weights[:150]), (X[150:], weights[150:])])
    np.testing.assert_allclose(parts.bandwidth_, whole.bandwidth_, rtol=1e-12)
    np.testing.assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-12)
    plain = KernelDensityMLE(0.4).fit_batches(tmp_path / "rows.npy", batch_rows=64)
    np.testing.assert_array_equal(plain.references_, X)
    scores = plain.score_samples_batches(tmp_path / "rows.npy", batch_rows=100)
    np.testing.assert_allclose(scores, plain.score_samples(X), rtol=0, atol=2e-9)
    mean = plain.score_batches([X[:100], X[100:]])
    assert mean == pytest.approx(plain.score(X), abs=2e-9)
    assert mean.standard_error == pytest.approx(plain.score_samples(X).std(ddof=1) / 20.0, rel=1e-6)
    once = KernelDensityMLE(0.4).fit_batches(iter([X[:100], X[100:]]))
    np.testing.assert_array_equal(once.references_, X)


def test_tables_and_products():
    table = pd.DataFrame(X, columns=["height", "width"])
    model = KernelDensityMLE("silverman").fit(table)
    assert list(model.feature_names_in_) == ["height", "width"]
    text = str(model.summary())
    assert "gaussian kernel density: 400 rows, 2 columns" in text
    assert "height" in text
    product = ProductDensity([("both", KernelDensityMLE("silverman"), [0, 1])]).fit(table)
    np.testing.assert_allclose(product.score_samples(table), model.score_samples(table), rtol=1e-12)
    with pytest.raises(ValueError, match="Column 1 \\('width'\\) is constant"):
        KernelDensityMLE().fit(table.assign(width=1.0))


def test_behind_a_transformer():
    """Scaling changes nothing but rounding; logarithms add a Jacobian."""
    plain = KernelDensityMLE().fit(X)
    scaled = TransformedDensity(StandardScaler(), KernelDensityMLE()).fit(X)
    np.testing.assert_allclose(scaled.score_samples(X), plain.score_samples(X), rtol=0, atol=1e-7)
    logs = TransformedDensity(FunctionTransformer(np.log), KernelDensityMLE()).fit(X)
    inner = KernelDensityMLE().fit(np.log(X))
    expected = inner.score_samples(np.log(X)) - np.log(X).sum(axis=1)
    np.testing.assert_allclose(logs.score_samples(X), expected, rtol=1e-12)


def test_divergences():
    """Of normal rows from the model of them, and between two kernel densities."""
    rows = RNG.normal(size=(1500, 1))
    model = KernelDensityMLE().fit(rows[:1000])
    fresh = rows[1000:]
    assert model.cross_entropy(fresh).value == pytest.approx(-model.score(fresh), rel=1e-12)
    found = model.kl_divergence(fresh, random_state=0)
    assert abs(found.value) < 4 * found.standard_error + 0.05
    other = KernelDensityMLE(1.0).fit(rows[:1000] + 1.0)
    between = fastkl.kl_divergence(model, other, random_state=0, n_draws=20_000)
    truth = fastkl.kl_divergence(
        DensityMLE.from_parameters("normal", loc=0.0, scale=1.05),
        DensityMLE.from_parameters("normal", loc=1.0, scale=np.sqrt(2.0)),
    )
    assert between.value == pytest.approx(float(truth), abs=0.08)


def test_the_scores_of_a_clone_and_of_a_copy():
    model = KernelDensityMLE(0.4).fit(X)
    assert not hasattr(clone(model), "bandwidth_")
    coarse = KernelDensityMLE(0.4, error=0.5).fit(X)
    coarse.score_samples(X)
    coarse.set_params(error=0.0)  # what is arranged depends on it
    np.testing.assert_allclose(coarse.score_samples(X), model.score_samples(X), atol=1e-9)


def test_pictures():
    pytest.importorskip("matplotlib")
    from fastkl.plotting import DensityDisplay

    line = DensityDisplay.from_estimator(KernelDensityMLE("silverman").fit(X[:, :1]), X[:, :1], plot=False)
    assert line.name == "KernelDensityMLE"
    assert np.trapezoid(line.data.density, line.data.grid) == pytest.approx(1.0, abs=0.02)
    plane = DensityDisplay.from_estimator(
        KernelDensityMLE("silverman").fit(X), X, n_draws=2000, n_points=30, plot=False
    )
    assert plane.data.log_density.shape == (30, 30)


def test_no_parameters_to_count():
    model = KernelDensityMLE(0.4).fit(X)
    with pytest.raises(AttributeError, match="no parameters to count"):
        model.aic(X)
    with pytest.raises(AttributeError, match="no parameters"):
        model.gradient(X)


@pytest.mark.parametrize("options", [{}, {"adaptive": True}, {"column_types": ["continuous", "ordered"]}], ids=str)
def test_many_draws_are_made_in_blocks(options, monkeypatch):
    """Between which Ctrl-C is heard: the first block is what as few draws are, the others go on from there."""
    monkeypatch.setattr("fastkl.density.kernel.fitted.AT_ONCE", 10)
    X = np.c_[np.random.default_rng(0).normal(size=50), np.arange(50.0) // 10]
    bandwidth = 0.5 if "column_types" not in options else [0.5, 0.3]
    model = KernelDensityMLE(bandwidth, **options).fit(X)
    few, many = model.sample(5, random_state=1), model.sample(12, random_state=1)
    np.testing.assert_array_equal(many[:5], few)
    assert np.isfinite(many).all()
    assert len(np.unique(many[:, 0])) == 12


def test_batches_whose_memory_is_used_again(tmp_path):
    """Columns in Fortran order are read into one buffer; batches of an object may come in one array."""
    weights = RNG.integers(1, 4, len(X)).astype(float)
    np.save(tmp_path / "rows.npy", np.asfortranarray(X))
    np.save(tmp_path / "weights.npy", weights)
    wanted = KernelDensityMLE("scott").fit(X, sample_weight=weights).score_samples(X)
    files = KernelDensityMLE("scott").fit_batches(
        tmp_path / "rows.npy", sample_weight=tmp_path / "weights.npy", batch_rows=70
    )
    again = KernelDensityMLE("scott").fit_batches(Refilled(X, weights))
    for found in (files, again):
        np.testing.assert_allclose(found.score_samples(X), wanted, rtol=1e-12)
