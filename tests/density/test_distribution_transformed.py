"""What densities behind transformers answer: probabilities, quantiles and moments of the original columns."""

import numpy as np
import pytest
import scipy.stats
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from fastkl import DensityMLE, TransformedDensity, families

Q = np.array([0.01, 0.1, 0.3, 0.5, 0.9, 0.99])
TAILS = ("cdf", "sf", "log_cdf", "log_sf")
RNG = np.random.default_rng(5)
ROWS = RNG.gamma(3.0, size=(400, 2)) + 0.1
TRANSFORMERS = {
    "scaler": StandardScaler(),
    "robust": RobustScaler(),
    "box-cox": PowerTransformer("box-cox"),
    "yeo-johnson": PowerTransformer(),
    "quantile": QuantileTransformer(n_quantiles=20),
    "log": FunctionTransformer(np.log),
    "minus log": make_pipeline(FunctionTransformer(np.log), FunctionTransformer(np.negative), StandardScaler()),
    "exp": FunctionTransformer(np.exp),
    "turned columns": ColumnTransformer(
        [("b", FunctionTransformer(np.negative), [1]), ("a", FunctionTransformer(np.log1p), [0])]
    ),
    "none": None,
}


@pytest.fixture(params=TRANSFORMERS)
def transformed(request):
    transformer = TRANSFORMERS[request.param]
    inner = DensityMLE("beta") if request.param == "quantile" else DensityMLE("normal")
    rows = ROWS if request.param != "exp" else ROWS / 3.0
    if request.param == "quantile":
        transformer = make_pipeline(transformer, MinMaxScaler((0.01, 0.99)))
    return TransformedDensity(transformer, inner).fit(rows), rows


def test_behind_a_transformer_probabilities_are_those_of_draws(transformed):
    model, _ = transformed
    draws = model.sample(20_000, random_state=0)
    q = np.array([0.05, 0.4, 0.8, 0.99])
    x = model.quantile(q)
    shares = np.array([(draws <= row).mean(axis=0) for row in x])
    np.testing.assert_allclose(shares, np.broadcast_to(q[:, None], x.shape), atol=0.02)
    np.testing.assert_allclose(model.cdf(x), np.broadcast_to(q[:, None], x.shape), rtol=1e-7)
    np.testing.assert_allclose(model.sf(x), 1.0 - q[:, None] * np.ones(2), rtol=1e-6)
    np.testing.assert_allclose(np.exp(model.log_cdf(x)), model.cdf(x), rtol=1e-12)
    np.testing.assert_allclose(np.exp(model.log_sf(x)), model.sf(x), rtol=1e-12)
    np.testing.assert_allclose(model.quantile(q, upper=True), model.quantile(1.0 - q), rtol=1e-7)


def test_behind_a_transformer_the_density_is_the_slope_of_the_distribution_function(transformed):
    """Where no mass is lost; else the slope is the density over what is left."""
    model, rows = transformed
    single = rows[:5]
    h = 1e-5
    left = np.exp(model.score_samples(single))
    slopes = (model.cdf(single + h) - model.cdf(single - h)) / (2.0 * h)
    ratio = left / slopes.prod(axis=1)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    assert 0.7 < ratio[0] < 1.0 + 1e-4


def test_beyond_the_domain():
    model = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(ROWS)
    X = np.array([[-1.0, 0.0], [np.inf, 1e300], [1.0, -np.inf]])
    expected = scipy.stats.lognorm.cdf(X, model.params_["scale"], scale=np.exp(model.params_["loc"]))
    np.testing.assert_allclose(model.cdf(X), expected, rtol=1e-12)
    np.testing.assert_allclose(model.sf(X), 1.0 - expected, rtol=1e-12)
    np.testing.assert_array_equal(model.quantile([0.0, 1.0]), [[0.0, 0.0], [np.inf, np.inf]])
    falling = TransformedDensity(FunctionTransformer(np.negative), DensityMLE("normal")).fit(ROWS)
    np.testing.assert_array_equal(falling.cdf([[-np.inf, np.inf]]), [[0.0, 1.0]])
    with pytest.raises(ValueError, match="row 1, column 0"):
        model.cdf([[1.0, 2.0], [np.nan, 1.0]])


def test_lost_mass_is_left_out():
    """exp(X) is never negative: the probabilities are those of a normal variable given that it is positive."""
    normal = DensityMLE.from_parameters("normal", loc=1.0, scale=1.0)
    model = TransformedDensity.from_fitted(FunctionTransformer(np.exp), normal)
    z = np.array([0.2, 1.0, 4.0])
    left = scipy.stats.norm.sf(-1.0)
    expected = (scipy.stats.norm.cdf(z - 1.0) - scipy.stats.norm.cdf(-1.0)) / left
    np.testing.assert_allclose(model.cdf(np.log(z)[:, None])[:, 0], expected, rtol=1e-12)
    np.testing.assert_allclose(model.sf(np.log(z)[:, None])[:, 0], scipy.stats.norm.sf(z - 1.0) / left, rtol=1e-12)
    np.testing.assert_allclose(model.quantile(expected)[:, 0], np.log(z), rtol=1e-10)


def test_moments_go_through_affine_maps():
    scaled = TransformedDensity(StandardScaler(), DensityMLE("gumbel")).fit(ROWS)
    plain = DensityMLE("gumbel").fit(ROWS)
    np.testing.assert_allclose(scaled.mean(), plain.mean(), rtol=1e-8)
    np.testing.assert_allclose(scaled.covariance(), plain.covariance(), rtol=1e-8)
    np.testing.assert_allclose(scaled.mode(), plain.mode(), rtol=1e-8)
    assert float(scaled.entropy()) == pytest.approx(float(plain.entropy()), rel=1e-8)
    assert scaled.entropy().method == "exact"
    turned = TransformedDensity(PCA(), DensityMLE()).fit(ROWS)
    whole = DensityMLE().fit(ROWS)
    np.testing.assert_allclose(turned.mean(), whole.mean(), rtol=1e-10)
    np.testing.assert_allclose(turned.covariance(), whole.covariance(), rtol=1e-10, atol=1e-12)
    heavy = TransformedDensity(StandardScaler(), DensityMLE(families.StudentT(df=1.5))).fit(ROWS)
    assert np.all(np.isinf(heavy.variance()))
    assert np.all(np.isfinite(heavy.mean()))


def test_what_a_transformer_hides():
    turned = TransformedDensity(PCA(), DensityMLE()).fit(ROWS)
    for call in (turned.cdf, turned.log_sf):
        with pytest.raises(AttributeError, match="not known to act on every column by itself"):
            call(ROWS)
    with pytest.raises(AttributeError, match="not known to act on every column by itself"):
        turned.quantile(0.5)
    logs = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(ROWS)
    for call in (logs.mean, logs.variance, logs.mode):
        with pytest.raises(AttributeError, match="has no closed form"):
            call()
    assert logs.entropy(random_state=0).method == "monte_carlo"
    with pytest.raises(AttributeError, match="none of scipy's distributions"):
        logs.to_scipy()


def test_behind_the_cube_root():
    """It rises everywhere, and 0, where its derivative is infinite, has an image."""
    X = (np.random.default_rng(0).normal(0.3, 0.7, size=(300, 1))) ** 3
    model = TransformedDensity(FunctionTransformer(np.cbrt), DensityMLE("normal")).fit(X)
    root = np.cbrt(X[:, 0])
    law = scipy.stats.norm(root.mean(), root.std())
    x = np.array([-8.0, -1e-3, 0.0, 1e-9, 2.0, np.inf])
    np.testing.assert_allclose(model.cdf(x[:, None])[:, 0], law.cdf(np.cbrt(x)), rtol=1e-9)
    np.testing.assert_allclose(model.sf(x[:, None])[:, 0], law.sf(np.cbrt(x)), rtol=1e-9)
    p = np.array([0.01, 0.3, 0.9])
    np.testing.assert_allclose(model.quantile(p)[:, 0], law.ppf(p) ** 3, rtol=1e-9)


def test_columns_that_are_described_together():
    """Behind maps that rise and take every value P(X <= x) is that of the images; else there is a reason."""
    X = np.random.default_rng(0).normal(size=(200, 2)) @ [[1.0, 0.6], [0.0, 0.8]] + 3.0
    scaled, plain = TransformedDensity(StandardScaler(), DensityMLE()).fit(X), DensityMLE().fit(X)
    np.testing.assert_allclose(scaled.cdf(X[:5]), plain.cdf(X[:5]), atol=1e-4)
    np.testing.assert_allclose(scaled.log_cdf(X[:5]), np.log(scaled.cdf(X[:5])), atol=1e-4)
    with pytest.raises(AttributeError, match="has no sf"):
        scaled.sf(X)
    with pytest.raises(AttributeError, match="has no quantiles of every column"):
        scaled.quantile(0.5)
    turned = TransformedDensity(FunctionTransformer(np.negative, np.negative), DensityMLE()).fit(X)
    with pytest.raises(AttributeError, match="turns columns round"):
        turned.cdf(X)


def test_a_joint_family_of_one_column_behind_a_map_that_loses_mass():
    x = np.abs(np.random.default_rng(0).normal(size=(100, 1))) + 0.01
    joint = TransformedDensity(PowerTransformer(method="box-cox"), DensityMLE()).fit(x)
    alone = TransformedDensity(PowerTransformer(method="box-cox"), DensityMLE("normal")).fit(x)
    for which in ("cdf", "sf", "log_cdf", "log_sf"):
        np.testing.assert_allclose(getattr(joint, which)(x), getattr(alone, which)(x)[:, 0], rtol=1e-12)
