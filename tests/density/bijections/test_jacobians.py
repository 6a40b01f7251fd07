"""Jacobians of transformers, known ones and a user's own, against differences and mpmath."""

import mpmath
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, PowerTransformer

from fastkl import DensityMLE, TransformedDensity
from fastkl.density import Bijection, bijection
from fastkl.density.bijections.functions import FUNCTIONS
from fastkl.exceptions import SupportError
from tests.density.bijections.transformers import QUANTILES, SMOOTH, Cube, X, short

# -- Jacobians -------------------------------------------------------------------------------------------------------------


def numerical_log_det(transform, rows, step):
    jacobians = np.empty((len(rows), rows.shape[1], rows.shape[1]))
    for j in range(rows.shape[1]):
        h = step * np.eye(rows.shape[1])[j]
        # Richardson's combination of two central differences: its error is of the order step^4
        narrow, wide = ((transform(rows + c * h) - transform(rows - c * h)) / (2 * c * step) for c in (1, 2))
        jacobians[:, :, j] = (4 * narrow - wide) / 3
    return np.linalg.slogdet(jacobians)[1]


@pytest.mark.parametrize("transformer", SMOOTH, ids=short)
def test_jacobian_against_differences(transformer):
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
    fitted = model.transformer_
    transform = (lambda rows: rows) if fitted in (None, "passthrough") else fitted.transform
    rows = X[:20] * 1.001
    expected = model.density_.score_samples(transform(rows)) + numerical_log_det(transform, rows, 1e-4)
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-8)


@pytest.mark.parametrize("transformer", QUANTILES, ids=short)
def test_jacobian_of_quantiles_against_differences(transformer):
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
    transform, knots = model.transformer_.transform, model.transformer_.quantiles_
    between = np.linspace(0.3, 0.7, 39)[:, np.newaxis]
    rows = between * knots[1:] + (1 - between) * knots[:-1]
    expected = model.density_.score_samples(transform(rows)) + numerical_log_det(transform, rows, 1e-5)
    np.testing.assert_allclose(model.score_samples(rows), expected, rtol=1e-6)
    # at a knot the mean of both slopes, which is what a central difference sees
    at = numerical_log_det(transform, knots[5:6], 1e-9)
    found = model.score_samples(knots[5:6]) - model.density_.score_samples(transform(knots[5:6]))
    np.testing.assert_allclose(found, at, atol=1e-5)


MPMATH = {
    "positive": lambda x: x,
    "negative": lambda x: -x,
    "log": mpmath.log,
    "log2": lambda x: mpmath.log(x, 2),
    "log10": mpmath.log10,
    "log1p": lambda x: mpmath.log(1 + x),
    "exp": mpmath.exp,
    "exp2": lambda x: mpmath.mpf(2) ** x,
    "expm1": lambda x: mpmath.exp(x) - 1,
    "sqrt": mpmath.sqrt,
    "cbrt": lambda x: mpmath.sign(x) * mpmath.cbrt(abs(x)),
    "reciprocal": lambda x: 1 / x,
    "sinh": mpmath.sinh,
    "arcsinh": mpmath.asinh,
    "tanh": mpmath.tanh,
    "arctanh": mpmath.atanh,
    "arctan": mpmath.atan,
    "deg2rad": mpmath.radians,
    "radians": mpmath.radians,
    "rad2deg": mpmath.degrees,
    "degrees": mpmath.degrees,
    "logit": lambda p: mpmath.log(p / (1 - p)),
    "expit": lambda x: 1 / (1 + mpmath.exp(-x)),
    "ndtr": lambda x: mpmath.ncdf(x) if x <= 1.5 else -mpmath.ncdf(-x),  # the same slope, without the digits of 1
    "ndtri": lambda p: mpmath.sqrt(2) * mpmath.erfinv(2 * p - 1),
}


@pytest.mark.parametrize("function", [f for f in FUNCTIONS if f is not None], ids=lambda f: f.__name__)
def test_known_functions_against_mpmath(function):
    known = FUNCTIONS[function]
    points = np.array([-30.0, -2.5, -0.7, -1e-6, 0.0, 1e-9, 0.2, 0.5, 0.999999, 1.0, 3.0, 40.0])[:, np.newaxis]
    if known.inside is not None:
        points = points[known.inside(points).ravel()]
    with mpmath.workdps(60):
        expected = [float(mpmath.log(abs(mpmath.diff(MPMATH[function.__name__], mpmath.mpf(float(x)), h=1e-20))))
                    for x in points.ravel()]  # fmt: skip
    found = bijection(FunctionTransformer(function)).log_abs_det_jacobian(points)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-14)
    near = points[np.abs(points) < 3.5][:, np.newaxis]
    np.testing.assert_allclose(known.inverse(function(near)), near, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("power", [-0.5, 0.0, 0.3, 1.0, 2.0, 2.7])
def test_yeo_johnson_against_mpmath(power):
    """The transform as I.-K. Yeo and R. A. Johnson (2000, doi:10.1093/biomet/87.4.954) define it."""

    def transform(x):
        if x >= 0:
            return mpmath.log(1 + x) if power == 0 else ((1 + x) ** power - 1) / power
        return -mpmath.log(1 - x) if power == 2 else -((1 - x) ** (2 - power) - 1) / (2 - power)

    model = bijection(PowerTransformer(standardize=False).fit(X[:, :1]))
    model.transformer.lambdas_[:] = power
    points = np.array([-20.0, -1.3, -1e-3, 1e-3, 0.4, 7.0, 300.0])
    with mpmath.workdps(40):
        expected = [float(mpmath.log(mpmath.diff(transform, mpmath.mpf(float(x)), h=1e-12))) for x in points]
    np.testing.assert_allclose(model.log_abs_det_jacobian(points[:, np.newaxis]), expected, rtol=1e-12, atol=1e-15)


# -- own transformers ------------------------------------------------------------------------------------------------------


class Doubling(TransformerMixin, BaseEstimator):
    """2 x, in a library that knows nothing of densities."""

    def fit(self, X, y=None):
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X):
        return 2.0 * X


class DoublingJacobian(Bijection):
    """Its Jacobian, registered from outside."""

    def log_abs_det_jacobian(self, X):
        return X.shape[1] * np.log(2.0)


def test_a_transformer_with_its_own_jacobian():
    model = TransformedDensity(make_pipeline(MaxAbsScaler(), Cube()), DensityMLE("normal")).fit(X)
    rows = X[:10] * 1.01
    reference = numerical_log_det(model.transformer_.transform, rows, 1e-4)
    images = model.transformer_.transform(rows)
    np.testing.assert_allclose(model.score_samples(rows), model.density_.score_samples(images) + reference, rtol=1e-9)
    assert (model.score_samples(-rows) == -np.inf).all()
    with pytest.raises(SupportError, match="Row 3, .* lies outside the domain"):
        model.fit(np.where(np.arange(300)[:, np.newaxis] == 3, -X, X))
    assert model.sample(10, random_state=0).shape == (10, 3)


def test_a_registered_transformer():
    with pytest.raises(TypeError, match="register its type"):
        bijection(Doubling())
    bijection.register(Doubling)(DoublingJacobian)
    model = TransformedDensity(Doubling(), DensityMLE("normal")).fit(X)
    np.testing.assert_allclose(model.score_samples(X), DensityMLE("normal").fit(X).score_samples(X), rtol=1e-12)
    assert not hasattr(model, "sample")  # it has no inverse_transform
    assert float(model.kl_divergence(X[:, :])) < 5.0


def test_a_wrong_jacobian_is_told():
    class Wrong(Cube):
        def log_abs_det_jacobian(self, X):
            return np.full(len(X), np.nan)

    with pytest.raises(ValueError, match="finite number for each of the 300 rows"):
        TransformedDensity(Wrong(), DensityMLE("normal")).fit(X)


@pytest.mark.parametrize(("method", "beyond"), [("yeo-johnson", -1e300), ("box-cox", 1e-300)])
def test_powers_beyond_all_numbers(method, beyond):
    """The density is 0 where the image is no number; scikit-learn calls such a row infinite."""
    x = np.random.default_rng(0).exponential(size=(200, 1)) + 0.01
    x = x if method == "yeo-johnson" else x**-3.0
    model = TransformedDensity(PowerTransformer(method=method), DensityMLE("normal")).fit(x)
    model.transformer_.lambdas_ = np.array([-1.5])
    found = model.score_samples([[beyond], [1.0]])
    assert found[0] == -np.inf
    assert np.isfinite(found[1])
    assert model.cdf([[beyond]])[0, 0] == 0.0


@pytest.mark.parametrize("unit", [1.0, 1e-9, 1e-15, 1e-60])
@pytest.mark.parametrize("standardize", [True, False])
def test_a_power_has_an_inverse_in_any_unit(unit, standardize):
    x = unit * (np.random.default_rng(0).gamma(2.0, size=(50, 1)) - 1.0)
    model = TransformedDensity(PowerTransformer(standardize=standardize), DensityMLE("normal")).fit(x)
    shares = np.array([0.01, 0.3, 0.5, 0.9, 0.99])
    np.testing.assert_allclose(model.cdf(model.quantile(shares))[:, 0], shares, rtol=1e-12)
    image = bijection(model.transformer_)
    np.testing.assert_allclose(image.inverse(image.forward(x)[0]), x, rtol=1e-12, atol=1e-14 * unit)
