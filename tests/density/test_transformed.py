"""TransformedDensity: Jacobians against differentiation, mass against integration, identities, and the trap it is there for."""

import itertools
import json
import pickle
import zipfile

import mpmath
import numpy as np
import pytest
import sklearn
from scipy import integrate, special, stats
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, FastICA, IncrementalPCA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    Binarizer,
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    Normalizer,
    OneHotEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DensityMLE, ProductDensity, TransformedDensity, families, kl_divergence, load
from fastkl.density import Bijection, bijection
from fastkl.density.scikit_bijections import FUNCTIONS
from fastkl.exceptions import DegenerateDataError, LossyTransformerError, ModelFileError, SupportError

RNG = np.random.default_rng(0)
X = RNG.gamma(3.0, size=(300, 3)) @ np.array([[1, 0.2, 0], [0, 1, 0.3], [0, 0, 1]]) + 0.1

BY_COLUMN = ColumnTransformer([("a", StandardScaler(), [2]), ("b", "passthrough", [0])], remainder=PowerTransformer())
SMOOTH = [
    None,
    "passthrough",
    StandardScaler(),
    StandardScaler(with_mean=False),
    StandardScaler(with_std=False),
    MinMaxScaler((1, 3)),
    MaxAbsScaler(),
    RobustScaler(unit_variance=True),
    RobustScaler(with_scaling=False),
    PowerTransformer(),
    PowerTransformer(standardize=False),
    PowerTransformer("box-cox"),
    PowerTransformer("box-cox", standardize=False),
    PCA(),
    PCA(whiten=True),
    IncrementalPCA(whiten=True),
    FastICA(random_state=0),
    FunctionTransformer(),
    FunctionTransformer(np.log, np.exp),
    make_pipeline(StandardScaler(), PowerTransformer(), PCA(whiten=True)),
    make_pipeline(FunctionTransformer(np.log), None, StandardScaler()),
    BY_COLUMN,
]
QUANTILES = [
    QuantileTransformer(n_quantiles=40, output_distribution="normal"),
    QuantileTransformer(n_quantiles=40),
]


def short(transformer):
    return repr(transformer).replace("\n", "")[:60]


@parametrize_with_checks(
    [
        TransformedDensity(None, DensityMLE("normal")),
        TransformedDensity(StandardScaler(), DensityMLE(families.MultivariateNormal("diag"))),
        TransformedDensity(PowerTransformer(), DensityMLE("normal")),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


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


# -- mass ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transformer", "family", "low", "high"),
    [
        (StandardScaler(), "laplace", -60, 80),
        (MinMaxScaler((0.2, 0.8)), "normal", -60, 60),
        (PowerTransformer("box-cox", standardize=False), "normal", 0, 400),
        (FunctionTransformer(np.log), "logistic", 0, np.inf),
        (FunctionTransformer(np.arcsinh), "normal", -np.inf, np.inf),
        (make_pipeline(MinMaxScaler((0.05, 0.95)), FunctionTransformer(special.logit)), "normal", None, None),
        (make_pipeline(StandardScaler(), FunctionTransformer(np.sinh)), "cauchy", -150, 150),
    ],
    ids=short,
)
def test_mass_is_one(transformer, family, low, high):
    model = TransformedDensity(transformer, DensityMLE(family)).fit(X[:, :1])
    if low is None:
        low, high = np.ravel(model.transformer_.steps[0][1].inverse_transform([[0.0], [1.0]]))
    centre = float(np.median(X[:, 0]))
    mass = sum(
        integrate.quad(lambda x: np.exp(model.score_samples([[x]])[0]), *ends, limit=400, epsabs=1e-10)[0]
        for ends in ((low, centre), (centre, high))
    )
    assert mass == pytest.approx(1.0, abs=2e-8)


@pytest.mark.parametrize(("output", "family"), [("normal", "normal"), ("uniform", "beta")])
def test_mass_of_quantiles_is_one(output, family):
    transformer = QuantileTransformer(n_quantiles=30, output_distribution=output)
    model = TransformedDensity(transformer, DensityMLE(family)).fit(X[1:, :1]) if output == "normal" else None
    if model is None:  # the ends of the range are 0 and 1, where a beta law has no support: keep the law, known
        fitted = transformer.fit(X[:, :1])
        model = TransformedDensity.from_fitted(fitted, DensityMLE.from_parameters("beta", a=2.0, b=3.0))
    knots = model.transformer_.quantiles_[:, 0]
    # Gauss-Legendre in every segment, and in parts of the first and the last, where the normal quantile has its tails
    parts = np.array([0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1])
    inner = [knots[0] + parts * (knots[1] - knots[0]), knots[-1] - parts[::-1] * (knots[-1] - knots[-2])]
    edges = np.concatenate([inner[0], knots[1:-1], inner[1]])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    mass = sum(
        (b - a) / 2 * weights @ np.exp(model.score_samples(((a + b) / 2 + (b - a) / 2 * nodes)[:, np.newaxis]))
        for a, b in itertools.pairwise(edges)
    )
    assert mass == pytest.approx(1.0, abs=3e-6)
    outside = model.score_samples([[knots[0] - 1e-9], [knots[-1] + 1e-9]])
    assert (outside == -np.inf).all()


@pytest.mark.parametrize(
    "transformer",
    [PCA(whiten=True), make_pipeline(StandardScaler(), PowerTransformer(), PCA()), PowerTransformer("box-cox")],
    ids=short,
)
def test_mass_in_two_columns(transformer):
    rows = X[:, :2]
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(rows)
    low, high = ((0.0, 0.0) if "box-cox" in repr(transformer) else (-9.0, -9.0)), (28.0, 28.0)
    nodes, weights = np.polynomial.legendre.leggauss(150)
    axes = [(a + b) / 2 + (b - a) / 2 * nodes for a, b in zip(low, high, strict=True)]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(model.score_samples(grid)).reshape(150, 150)
    area = np.prod([(b - a) / 2 for a, b in zip(low, high, strict=True)])
    mass = area * weights @ density @ weights
    drawn = model.sample(4000, random_state=0)
    inside = np.mean(((drawn > low) & (drawn < high)).all(axis=1))
    assert inside > 0.999
    assert mass == pytest.approx(1.0, abs=2e-3)


def test_mass_that_is_lost_is_lost():
    """exp(x) is positive: a normal law keeps only the mass it gives to positive numbers."""
    normal = DensityMLE.from_parameters("normal", loc=1.0, scale=1.0)
    model = TransformedDensity.from_fitted(FunctionTransformer(np.exp), normal)
    mass = integrate.quad(lambda x: np.exp(model.score_samples([[x]])[0]), -60, 8, limit=400)[0]
    assert mass == pytest.approx(stats.norm.cdf(1.0), abs=1e-8)
    drawn = np.exp(model.sample(20_000, random_state=0)[:, 0])
    assert stats.kstest(drawn, stats.truncnorm(-1.0, np.inf, loc=1.0).cdf).pvalue > 1e-3
    never = DensityMLE.from_parameters("normal", loc=-50.0, scale=1.0)
    with pytest.raises(ValueError, match="Hardly a draw"):
        TransformedDensity.from_fitted(FunctionTransformer(np.exp), never).sample(2, random_state=0)


# -- identities ------------------------------------------------------------------------------------------------------------


def test_logarithm_and_normal_are_lognormal():
    model = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    direct = DensityMLE("lognormal").fit(X)
    np.testing.assert_allclose(model.score_samples(X), direct.score_samples(X), rtol=1e-12, atol=1e-12)
    assert model.log_likelihood_ == pytest.approx(direct.log_likelihood_, rel=1e-12)
    assert model.aic(X) == pytest.approx(direct.aic(X), rel=1e-12)
    scipys = stats.lognorm(s=model.density_.params_["scale"], scale=np.exp(model.density_.params_["loc"]))
    np.testing.assert_allclose(model.score_samples(X), scipys.logpdf(X).sum(axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    "transformer",
    [
        StandardScaler(),
        MinMaxScaler(),
        MaxAbsScaler(),
        RobustScaler(),
        None,
        make_pipeline(StandardScaler(), MinMaxScaler()),
    ],
    ids=short,
)
@pytest.mark.parametrize("family", ["normal", "multivariate_normal"])
def test_scalers_do_not_change_a_normal_law(transformer, family):
    model = TransformedDensity(transformer, DensityMLE(family)).fit(X)
    direct = DensityMLE(family).fit(X)
    np.testing.assert_allclose(model.score_samples(X), direct.score_samples(X), rtol=1e-12, atol=1e-12)
    assert model.score(X) == pytest.approx(direct.score(X), rel=1e-12)
    assert model.n_parameters_ == direct.n_parameters_
    assert model.bic(X) == pytest.approx(direct.bic(X), rel=1e-12)


@pytest.mark.parametrize("transformer", [PCA(), PCA(whiten=True), FastICA(random_state=0)], ids=short)
@pytest.mark.parametrize("family", ["normal", "multivariate_normal"])
def test_rotated_normal_laws_are_normal_laws(transformer, family):
    model = TransformedDensity(transformer, DensityMLE(family)).fit(X)
    direct = DensityMLE("multivariate_normal").fit(X)
    np.testing.assert_allclose(model.score_samples(X), direct.score_samples(X), rtol=1e-9)
    assert model.n_parameters_ == direct.n_parameters_ == 9


@pytest.mark.parametrize("transformer", SMOOTH[:9] + SMOOTH[11:19] + QUANTILES, ids=short)
def test_units_of_the_data(transformer):
    """Rows in other units: log-densities shift by -d log c (Yeo-Johnson, which adds 1 to the rows, has a unit of its own)."""
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
    other = TransformedDensity(transformer, DensityMLE("normal")).fit(X * 1000.0)
    # the exponents of Box-Cox are found by a search with a tolerance
    np.testing.assert_allclose(
        other.score_samples(X * 1000), model.score_samples(X) - 3 * np.log(1000), rtol=0, atol=2e-5
    )


def test_log_likelihood_of_the_fit():
    for transformer in (*SMOOTH[::2], *QUANTILES[:1]):
        model = TransformedDensity(transformer, DensityMLE("normal")).fit(X, sample_weight=np.arange(300.0))
        weighted = float(np.arange(300.0) @ model.score_samples(X))
        assert model.log_likelihood_ == pytest.approx(weighted, rel=1e-11)
        assert model.log_likelihood(X, np.arange(300.0)) == pytest.approx(weighted, rel=1e-11)


# -- the trap --------------------------------------------------------------------------------------------------------------


def test_a_plain_pipeline_ranks_wrongly_and_this_one_rightly():
    rows = np.random.default_rng(1).lognormal(1.0, 0.9, size=(400, 2))
    shrinking = FunctionTransformer(np.deg2rad)  # divides by 57.3: no information is gained or lost
    transformers = ["passthrough", StandardScaler(), PowerTransformer("box-cox"), shrinking]
    plain = GridSearchCV(make_pipeline("passthrough", DensityMLE("normal")), {"passthrough": transformers}, cv=4).fit(
        rows
    )
    assert plain.best_params_["passthrough"].func is np.deg2rad
    scores = plain.cv_results_["mean_test_score"]
    # what it gains there is the logarithm of the factor and nothing else
    assert scores[3] - scores[0] == pytest.approx(2 * np.log(180 / np.pi), abs=1e-9)

    grid = {"transformer": transformers, "density__family": ["normal", "laplace"]}
    search = GridSearchCV(TransformedDensity(None, DensityMLE()), grid, cv=4).fit(rows)
    assert isinstance(search.best_params_["transformer"], PowerTransformer)
    assert search.best_params_["density__family"] == "normal"
    results = search.cv_results_
    normal = {short(p["transformer"]): s for p, s in zip(results["params"], results["mean_test_score"], strict=True)
              if p["density__family"] == "normal"}  # fmt: skip
    same = [normal[short(t)] for t in (transformers[0], transformers[1], transformers[3])]
    np.testing.assert_allclose(same, same[0], rtol=1e-12)
    # the truth, a lognormal law, is the bound that the best comes close to
    truth = cross_validated_lognormal(rows)
    assert search.best_score_ == pytest.approx(truth, abs=0.02)
    assert same[0] < truth - 0.3


def cross_validated_lognormal(rows):
    return GridSearchCV(DensityMLE(), {"family": ["lognormal"]}, cv=4).fit(rows).best_score_


# -- what has no density ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transformer", "reason"),
    [
        (PCA(n_components=2), "keeps 2 of 3 components"),
        (PCA(n_components=0.5), "keeps . of 3 components"),
        (FastICA(n_components=2), "keeps 2 of 3 components"),
        (TruncatedSVD(2), "fewer components"),
        (SelectKBest(k=1), "selects columns"),
        (VarianceThreshold(), "selects columns"),
        (OneHotEncoder(), "labels"),
        (KBinsDiscretizer(), "where in its bin"),
        (Binarizer(), "which side of the threshold"),
        (Normalizer(), "length of a row"),
        (PolynomialFeatures(), "fill no volume"),
        (MinMaxScaler(clip=True), "clip=True"),
        (make_pipeline(StandardScaler(), PCA(1)), "keeps 1 of 3"),
        (ColumnTransformer([("a", StandardScaler(), [0])]), "drops columns 1, 2"),
        (
            ColumnTransformer([("a", StandardScaler(), [0, 1]), ("b", "passthrough", [1, 2])]),
            "column 1 through more than one",
        ),
        (ColumnTransformer([("a", PCA(1), [0, 1])], remainder="passthrough"), "keeps 1 of 2"),
    ],
    ids=short,
)
def test_lossy_transformers(transformer, reason):
    with pytest.raises(LossyTransformerError, match=reason):
        TransformedDensity(transformer, DensityMLE("normal")).fit(X)


def test_fewer_rows_than_columns():
    with pytest.raises(LossyTransformerError, match=r"keeps 2 of 3 components \(there are only 2 rows\)"):
        TransformedDensity(PCA(), DensityMLE("normal")).fit(X[:2])


@pytest.mark.parametrize(
    ("transformer", "density", "error", "message"),
    [
        (FunctionTransformer(np.square), DensityMLE(), TypeError, "derivative of .* is not known"),
        (FunctionTransformer(np.log, kw_args={"where": True}), DensityMLE(), TypeError, "without kw_args"),
        (FunctionTransformer([]), DensityMLE(), TypeError, "is not known"),
        (object(), DensityMLE(), TypeError, "transformer is a transformer"),
        (StandardScaler, DensityMLE(), TypeError, "transformer is a transformer"),
        ("standard", DensityMLE(), TypeError, "'passthrough'"),
        (DensityMLE(), DensityMLE(), TypeError, "transformer is a transformer"),
        (StandardScaler(), StandardScaler(), TypeError, "density is a density"),
        (StandardScaler(), DensityMLE, TypeError, "density is a density"),
        (StandardScaler(), DensityMLE("poisson"), ValueError, "is discrete"),
        (None, DensityMLE("categorical"), ValueError, "is discrete"),
        (
            StandardScaler(),
            ProductDensity([("a", DensityMLE("poisson"), [0]), ("b", DensityMLE(), [1, 2])]),
            ValueError,
            "discr",
        ),
        (
            StandardScaler(),
            DensityMLE("gamma"),
            SupportError,
            "In the rows behind StandardScaler: The gamma family lives on",
        ),
        (StandardScaler(), DensityMLE("gama"), ValueError, "no family named"),
        (
            FunctionTransformer(np.log),
            DensityMLE("normal"),
            SupportError,
            r"positive numbers; row 7, column 1 holds -1.5",
        ),
        (
            PowerTransformer("box-cox"),
            DensityMLE("normal"),
            SupportError,
            r"positive numbers; row 7, column 1 holds -1.5",
        ),
        (
            ColumnTransformer([("a", FunctionTransformer(np.sqrt), [1])], remainder="passthrough"),
            DensityMLE("normal"),
            SupportError,
            r"positive numbers; row 7, column 1 holds -1.5",
        ),
        (FunctionTransformer(special.logit), DensityMLE("normal"), SupportError, "between 0 and 1; row 0, column"),
        (
            make_pipeline(MaxAbsScaler(), FunctionTransformer(np.log)),
            DensityMLE("normal"),
            SupportError,
            "row 7, column 1",
        ),
        (FunctionTransformer(np.exp), DensityMLE("normal"), ValueError, r"turns row 9, .*900.*into inf in column 2"),
    ],
    ids=short,
)
def test_bad_input_leaves_the_estimator_as_it_was(transformer, density, error, message):
    rows = X.copy()
    rows[7, 1], rows[9, 2] = -1.5, 900.0
    model = TransformedDensity(StandardScaler(), DensityMLE("normal")).fit(X[:, :2])
    model.transformer, model.density = transformer, density
    before = dict(vars(model))
    with pytest.raises(error, match=message):
        model.fit(rows)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert vars(model).keys() == before.keys()


def test_rows_of_weight_zero_are_not_there():
    rows, weights = X.copy(), np.ones(300)
    rows[:5], weights[:5] = -1.0, 0.0
    model = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(rows, sample_weight=weights)
    other = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X[5:])
    assert model.log_likelihood_ == pytest.approx(other.log_likelihood_, rel=1e-13)
    rows[9, 0] = 5000.0
    with pytest.raises(SupportError, match="row 9, column 0"):
        TransformedDensity(MaxAbsScaler(), DensityMLE("beta")).fit(rows, sample_weight=weights)


def test_nan_and_infinity_are_named():
    for value, word in ((np.nan, "NaN"), (np.inf, "infinity")):
        rows = X.copy()
        rows[4, 2] = value
        model = TransformedDensity(StandardScaler(), DensityMLE("normal"))
        with pytest.raises(ValueError, match=f"{word}: row 4, column 2"):
            model.fit(rows)
        with pytest.raises(ValueError, match=f"{word}: row 4, column 2"):
            model.fit(X).score(rows)


def test_atoms_have_no_quantile_density():
    rows = X[:, :1].copy()
    rows[:100] = 2.0
    with pytest.raises(DegenerateDataError, match=r"value 2.0 so often in column 0"):
        TransformedDensity(QuantileTransformer(n_quantiles=50), DensityMLE("normal")).fit(rows)
    narrow = QuantileTransformer(n_quantiles=50, output_distribution="normal")
    with pytest.raises(DegenerateDataError, match="Put a StandardScaler before it"):
        TransformedDensity(narrow, DensityMLE("normal")).fit(X * 1e-6)
    TransformedDensity(make_pipeline(StandardScaler(), narrow), DensityMLE("normal")).fit(X * 1e-6)


def test_rows_beyond_the_quantiles_of_a_subsample_are_told():
    some = QuantileTransformer(n_quantiles=20, subsample=50, random_state=0)
    with pytest.raises(SupportError, match=r"at most subsample=50 rows \(None takes all\); row"):
        TransformedDensity(some, DensityMLE("normal")).fit(X)
    assert np.isfinite(TransformedDensity(some.set_params(subsample=None), DensityMLE("normal")).fit(X).score(X))


def test_dependent_columns_can_not_be_whitened():
    with pytest.raises(DegenerateDataError, match="subspace"):
        TransformedDensity(PCA(whiten=True), DensityMLE("normal")).fit(np.column_stack([X, X[:, 0]]))


def test_outside_the_domain_scores_minus_infinity():
    model = TransformedDensity(
        make_pipeline(MaxAbsScaler(), PowerTransformer("box-cox"), PCA()), DensityMLE("normal")
    ).fit(X)
    rows = X[:6].copy()
    rows[[1, 4], 2] = 0.0, -3.0
    scores = model.score_samples(rows)
    assert np.isneginf(scores[[1, 4]]).all()
    np.testing.assert_allclose(np.delete(scores, [1, 4]), model.score_samples(X[[0, 2, 3, 5]]), rtol=1e-13)
    assert model.score(rows) == -np.inf
    assert np.isfinite(model.score(rows, sample_weight=[1, 0, 1, 1, 0, 1]))
    assert (model.score_samples(-rows[2:4]) == -np.inf).all()


# -- own transformers ------------------------------------------------------------------------------------------------------


class Cube(FunctionTransformer):
    """x^3 for positive rows."""

    def __init__(self):
        super().__init__(lambda x: x**3, np.cbrt)

    def log_abs_det_jacobian(self, X):
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where((X > 0).all(axis=1), np.log(3 * X**2).sum(axis=1), -np.inf)


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


# -- weights, chunks, numbers of parameters --------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", [None, StandardScaler(), MinMaxScaler(), FunctionTransformer(np.log),
                                         make_pipeline(FunctionTransformer(np.log), StandardScaler()),
                                         ColumnTransformer([("a", StandardScaler(), [0])], remainder="passthrough")],
                         ids=short)  # fmt: skip
def test_weights_count_as_repeated_rows(transformer):
    weights = RNG.integers(0, 4, size=300)
    model = TransformedDensity(transformer, DensityMLE("laplace")).fit(X, sample_weight=weights)
    repeated = TransformedDensity(transformer, DensityMLE("laplace")).fit(np.repeat(X, weights, axis=0))
    np.testing.assert_allclose(model.score_samples(X), repeated.score_samples(X), rtol=1e-11)
    assert model.score(X, sample_weight=weights) == pytest.approx(
        repeated.score(np.repeat(X, weights, axis=0)), rel=1e-11
    )
    assert model.bic(X, weights) == pytest.approx(repeated.bic(np.repeat(X, weights, axis=0)), rel=1e-11)


def test_weights_reach_a_scaler_within():
    weights = RNG.random(300)
    model = TransformedDensity(make_pipeline(FunctionTransformer(np.log), StandardScaler()), DensityMLE("normal"))
    scaler = model.fit(X, sample_weight=weights).transformer_.steps[1][1]
    np.testing.assert_allclose(scaler.mean_, np.average(np.log(X), axis=0, weights=weights), rtol=1e-12)
    columns = ColumnTransformer([("a", StandardScaler(), [1])], remainder="passthrough")
    inner = TransformedDensity(columns, DensityMLE("normal")).fit(X, sample_weight=weights).transformer_
    np.testing.assert_allclose(inner.named_transformers_["a"].mean_, np.average(X[:, 1], weights=weights), rtol=1e-12)


def test_a_density_without_weights():
    model = TransformedDensity(StandardScaler(), GaussianMixture(2, random_state=0)).fit(X)
    reference = GaussianMixture(2, random_state=0).fit(StandardScaler().fit_transform(X))
    expected = reference.score_samples(StandardScaler().fit_transform(X)) - np.log(X.std(axis=0)).sum()
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-10)
    assert model.log_likelihood_ == pytest.approx(expected.sum(), rel=1e-10)
    assert model.sample(50, random_state=0).mean(axis=0) == pytest.approx(X.mean(axis=0), abs=2.0)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        model.fit(X, sample_weight=np.ones(300))
    with pytest.raises(AttributeError, match="n_parameters_"):
        model.aic(X)
    weighted = TransformedDensity(PowerTransformer(), KernelDensity(bandwidth=0.3)).fit(X, sample_weight=np.ones(300))
    assert np.isfinite(weighted.score(X))


def test_chunks_and_merging():
    whole = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    parts = clone(whole)
    for part in np.split(X, [1, 2, 100]):
        parts.partial_fit(part)
    np.testing.assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-12)
    assert parts.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    before = pickle.dumps(vars(parts))
    with pytest.raises(SupportError, match="row 0, column 0"):
        parts.partial_fit(-X)
    assert pickle.dumps(vars(parts)) == before
    halves = [clone(whole).fit(X[:120]), clone(whole).fit(X[120:])]
    merged = halves[0].merge(halves[1])
    np.testing.assert_allclose(merged.score_samples(X), whole.score_samples(X), rtol=1e-12)
    assert merged.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    assert halves[1].density_.log_likelihood_ == clone(whole).fit(X[120:]).density_.log_likelihood_
    with pytest.raises(ValueError, match="with the transformer FunctionTransformer"):
        merged.merge(TransformedDensity(None, DensityMLE("normal")).fit(X))
    with pytest.raises(ValueError, match="seen rows"):
        merged.merge(clone(merged))
    assert not hasattr(TransformedDensity(StandardScaler(), DensityMLE("normal")), "merge")
    assert not hasattr(TransformedDensity(StandardScaler(), DensityMLE("normal")), "partial_fit")
    assert not hasattr(TransformedDensity(None, KernelDensity()), "partial_fit")
    assert not hasattr(TransformedDensity(None, DensityMLE("student_t")), "partial_fit")


def test_rows_that_are_not_in_memory():
    blocks = [X[:7], X[7:200], X[200:]]
    whole = TransformedDensity(FunctionTransformer(np.log), DensityMLE("normal")).fit(X)
    streamed = clone(whole).fit_batches(blocks)
    assert streamed.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    for transformer in (FunctionTransformer(np.log), PowerTransformer()):
        model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
        assert float(model.score_batches(blocks)) == pytest.approx(model.score(X), rel=1e-12)
        np.testing.assert_allclose(model.score_samples_batches(blocks), model.score_samples(X), rtol=1e-12)
    assert not hasattr(TransformedDensity(StandardScaler(), DensityMLE("normal")), "fit_batches")


@pytest.mark.parametrize(
    ("transformer", "density", "expected"),
    [
        (StandardScaler(), DensityMLE("normal"), 6),
        (StandardScaler(), DensityMLE("student_t"), 9),
        (StandardScaler(), DensityMLE(families.StudentT(df=4)), 6),
        (StandardScaler(), DensityMLE(families.Normal(loc=0.0)), 3 + 6),
        (StandardScaler(with_mean=False), DensityMLE("gamma"), 6),
        (MinMaxScaler((0.1, 0.9)), DensityMLE("beta"), 6 + 6),
        (MinMaxScaler((1, 2)), DensityMLE("gamma"), 6 + 3),
        (MaxAbsScaler(), DensityMLE("gamma"), 6),
        (StandardScaler(), DensityMLE("uniform"), 6),
        (StandardScaler(), DensityMLE(families.MultivariateNormal("spherical")), 4 + 2),
        (StandardScaler(), DensityMLE(families.MultivariateNormal("diag")), 6),
        (PCA(), DensityMLE(families.MultivariateNormal("spherical")), 4),
        (PCA(whiten=True), DensityMLE(families.MultivariateNormal("spherical")), 9),
        (PCA(), DensityMLE("laplace"), 6 + 3),
        (PCA(), DensityMLE("multivariate_t"), 10),
        (FastICA(random_state=0), DensityMLE("laplace"), 6 + 6),
        (make_pipeline(StandardScaler(), PCA()), DensityMLE("laplace"), 6 + 3 + 2),
        (make_pipeline(StandardScaler(), PCA()), DensityMLE("normal"), 9),
        (PowerTransformer(), DensityMLE("normal"), 9),
        (PowerTransformer(standardize=False), DensityMLE("normal"), 9),
        (make_pipeline(StandardScaler(), PowerTransformer()), DensityMLE("normal"), 15),
        (make_pipeline(MaxAbsScaler(), PowerTransformer("box-cox")), DensityMLE("normal"), 9),
        (make_pipeline(MaxAbsScaler(), FunctionTransformer(np.log)), DensityMLE("normal"), 6),
        (QUANTILES[0], DensityMLE("normal"), 6 + 120),
        (BY_COLUMN, DensityMLE("normal"), 7),
        (Cube(), DensityMLE("normal"), 6),
        (StandardScaler(), TransformedDensity(PowerTransformer(), DensityMLE("normal")), 15),
        (StandardScaler(), ProductDensity([("a", DensityMLE("normal"), [0]), ("b", DensityMLE(), [1, 2])]), 7),
    ],
    ids=short,
)
def test_number_of_parameters(transformer, density, expected):
    assert TransformedDensity(transformer, density).fit(X).n_parameters_ == expected


# -- draws -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", SMOOTH + QUANTILES[:1], ids=short)
def test_draws_follow_the_density(transformer):
    """Rows drawn from the model, seen through its own transformer, follow the inner density."""
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
    rows = model.sample(3000, random_state=1)
    np.testing.assert_array_equal(rows, model.sample(3000, random_state=1))
    images = rows if transformer in (None, "passthrough") else model.transformer_.transform(rows)
    for j, values in enumerate(images.T):
        law = stats.norm(model.density_.params_["loc"][j], model.density_.params_["scale"][j])
        assert stats.kstest(values, law.cdf).pvalue > 1e-4
    assert np.isfinite(model.score_samples(rows)).all()


def test_draws_are_checked():
    model = TransformedDensity(StandardScaler(), DensityMLE("normal"))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.sample()
    with pytest.raises(ValueError, match="n_samples"):
        model.fit(X).sample(0)


def test_divergences():
    """KL does not change under a bijection: two lognormal laws have that of their normal laws, 0.443147."""
    log = FunctionTransformer(np.log)
    p = TransformedDensity.from_fitted(log, DensityMLE.from_parameters("normal", loc=0.0, scale=1.0))
    q = TransformedDensity.from_fitted(log, DensityMLE.from_parameters("normal", loc=1.0, scale=2.0))
    estimate = kl_divergence(p, q, random_state=0)
    assert abs(estimate - 0.443147) < 4 * estimate.standard_error
    drawn = p.sample(2000, random_state=0)
    assert abs(q.kl_divergence(drawn) - 0.443147) < 0.1
    assert float(q.cross_entropy(drawn)) == -q.score(drawn)


def test_from_fitted_checks():
    with pytest.raises(TypeError, match="fitted density"):
        TransformedDensity.from_fitted(None, DensityMLE())
    with pytest.raises(sklearn.exceptions.NotFittedError, match="StandardScaler"):
        TransformedDensity.from_fitted(StandardScaler(), DensityMLE.from_parameters("normal", loc=0.0, scale=1.0))
    with pytest.raises(ValueError, match="discrete"):
        TransformedDensity.from_fitted(None, DensityMLE.from_parameters("poisson", rate=1.0))


# -- tables, dtypes, parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow"])
def test_tables(library):
    module = pytest.importorskip(library)
    columns = {name: X[:, j].tolist() for j, name in enumerate("abc")}
    table = module.table(columns) if library == "pyarrow" else module.DataFrame(columns)
    names = ColumnTransformer([("b", PowerTransformer(), ["b"]), ("rest", StandardScaler(), ["c", "a"])])
    numbers = ColumnTransformer([("b", PowerTransformer(), [1]), ("rest", StandardScaler(), [2, 0])])
    for by_name, by_number in ((names, numbers), (make_pipeline(names, PCA()), make_pipeline(numbers, PCA()))):
        model = TransformedDensity(by_name, DensityMLE("normal")).fit(table)
        assert list(model.feature_names_in_) == ["a", "b", "c"]
        direct = TransformedDensity(by_number, DensityMLE("normal")).fit(X)
        np.testing.assert_array_equal(model.score_samples(table), direct.score_samples(X))
        if library != "pyarrow":  # which the divergences do not read
            assert float(model.kl_divergence(table, random_state=0)) == float(direct.kl_divergence(X, random_state=0))
    wrong = ColumnTransformer([("b", PowerTransformer(), ["bb"])], remainder="passthrough")
    with pytest.raises(ValueError, match="no column 'bb'. Did you mean 'b'"):
        TransformedDensity(wrong, DensityMLE("normal")).fit(table)


def test_columns_by_type_and_names_in_messages():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": X[:, 0].astype(np.float32), "b": X[:, 1], "c": np.arange(300)})
    chosen = ColumnTransformer(
        [("s", StandardScaler(), make_column_selector(dtype_include=[np.float64]))], remainder="passthrough"
    )
    model = TransformedDensity(chosen, DensityMLE("normal")).fit(table)
    assert model.transformer_.transformers_[0][2] == [1]
    logs = ColumnTransformer([("c", FunctionTransformer(np.log), ["c"])], remainder="passthrough")
    with pytest.raises(SupportError, match=r"row 0, column 2 \('c'\) holds 0.0"):
        TransformedDensity(logs, DensityMLE("normal")).fit(table)
    with pytest.raises(ValueError, match="feature names"):
        model.score(table[["b", "a", "c"]])


def test_transformers_that_give_tables_or_write_over_their_input():
    before = X.copy()
    model = TransformedDensity(StandardScaler(copy=False).set_output(transform="pandas"), DensityMLE("normal")).fit(X)
    np.testing.assert_allclose(model.score_samples(X), DensityMLE("normal").fit(X).score_samples(X), rtol=1e-12)
    for transformer in (PowerTransformer(copy=False), PCA(copy=False), QuantileTransformer(n_quantiles=9, copy=False)):
        model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
        model.score(X)
    np.testing.assert_array_equal(X, before)


@pytest.mark.parametrize("transformer", SMOOTH[::3] + QUANTILES[:1], ids=short)
def test_single_precision(transformer):
    """float32 rows are transformed in float64: the same numbers as from the same values in float64."""
    single = X.astype(np.float32)
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(single)
    double = TransformedDensity(transformer, DensityMLE("normal")).fit(single.astype(np.float64))
    scores = model.score_samples(single)
    assert scores.dtype == np.float64
    np.testing.assert_array_equal(scores, double.score_samples(single.astype(np.float64)))


def test_parameters_clone_pickle_and_repr():
    model = TransformedDensity(PowerTransformer(), DensityMLE("normal"))
    assert model.get_params()["density__family"] == "normal"
    model.set_params(transformer__standardize=False, density__family="laplace").fit(X)
    copied = clone(model)
    assert copied.transformer.standardize is False
    assert not hasattr(copied, "density_")
    assert not hasattr(model.transformer, "lambdas_")
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).score_samples(X), model.score_samples(X))
    html = model._repr_html_()
    assert "TransformedDensity" in html
    assert "PowerTransformer" in html
    assert "DensityMLE" in html
    assert fastkl.TransformedDensity is TransformedDensity


def test_transformed_product_and_product_of_transformed():
    outside = TransformedDensity(
        StandardScaler(), ProductDensity([("a", DensityMLE("normal"), [0]), ("b", DensityMLE(), [1, 2])])
    )
    inside = ProductDensity(
        [
            ("a", TransformedDensity(StandardScaler(), DensityMLE("normal")), [0]),
            ("b", TransformedDensity(StandardScaler(), DensityMLE()), [1, 2]),
        ]
    )
    np.testing.assert_allclose(outside.fit(X).score_samples(X), inside.fit(X).score_samples(X), rtol=1e-12)
    assert outside.n_parameters_ == inside.n_parameters_ == 7


# -- metadata routing ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["transformed", "pipeline"])
def test_weights_are_routed_through_a_grid_search(kind):
    """A weighted search is the search with repeated rows, if no fold separates a row from its copies."""
    weights = RNG.integers(1, 4, size=300)
    folds = [(np.arange(150), np.arange(150, 300)), (np.arange(150, 300), np.arange(150))]
    of_repeated = np.repeat(np.arange(300), weights)
    repeated = [tuple(np.flatnonzero(np.isin(of_repeated, part)) for part in fold) for fold in folds]
    with sklearn.config_context(enable_metadata_routing=True):
        if kind == "transformed":
            model = TransformedDensity(StandardScaler(), DensityMLE()).set_fit_request(sample_weight=True)
            model.set_score_request(sample_weight=True)
            grid = {"density__family": ["normal", "laplace"], "transformer": [None, StandardScaler()]}
        else:
            density = DensityMLE().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
            scaler = StandardScaler().set_fit_request(sample_weight=True)
            model, grid = make_pipeline(scaler, density), {"densitymle__family": ["normal", "laplace"]}
        weighted = GridSearchCV(model, grid, cv=folds).fit(X, sample_weight=weights)
        plain = GridSearchCV(model, grid, cv=folds).fit(X)
    same = GridSearchCV(model, grid, cv=repeated).fit(X[of_repeated])
    found, expected = (search.cv_results_["mean_test_score"] for search in (weighted, same))
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    assert np.abs(plain.cv_results_["mean_test_score"] - expected).min() > 1e-4
    np.testing.assert_allclose(weighted.score(X), same.score(X), rtol=1e-9)


# -- files -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", SMOOTH + QUANTILES, ids=short)
def test_files(transformer, tmp_path):
    model = TransformedDensity(transformer, DensityMLE("laplace")).fit(X)
    model.save(tmp_path / "model")
    read = load(tmp_path / "model")
    assert repr(read) == repr(model)
    np.testing.assert_array_equal(read.score_samples(X), model.score_samples(X))
    np.testing.assert_array_equal(read.sample(5, random_state=0), model.sample(5, random_state=0))
    assert (read.n_parameters_, read.log_likelihood_) == (model.n_parameters_, model.log_likelihood_)
    with zipfile.ZipFile(tmp_path / "model") as archive:
        json.loads(archive.read("fastkl.json"))
        assert all(name == "fastkl.json" or name.endswith(".npy") for name in archive.namelist())


def test_what_can_not_be_stored(tmp_path):
    model = TransformedDensity(Cube(), DensityMLE("normal")).fit(X)
    with pytest.raises(TypeError, match="type Cube can't be saved without pickle"):
        model.save(tmp_path / "model")
    with pytest.raises(TypeError, match="type KernelDensity can't be saved"):
        TransformedDensity(None, KernelDensity()).fit(X).save(tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("good", "bad"), [("StandardScaler", "OneHotEncoder"), ("StandardScaler", "os.system"), ("log", "eval")]
)
def test_files_build_nothing_that_is_not_listed(good, bad, tmp_path):
    transformer = make_pipeline(FunctionTransformer(np.log), StandardScaler())
    TransformedDensity(transformer, DensityMLE("normal")).fit(X).save(tmp_path / "model")
    with zipfile.ZipFile(tmp_path / "model") as source, zipfile.ZipFile(tmp_path / "bad", "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(f'"{good}"'.encode(), f'"{bad}"'.encode()))
    with pytest.raises(ModelFileError):
        load(tmp_path / "bad")
