"""TransformedDensity: mass against integration, identities, the trap it is there for, draws and tables."""

import itertools
import pickle

import numpy as np
import pytest
import sklearn
from scipy import integrate, special, stats
from sklearn.base import clone
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import PCA, FastICA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MaxAbsScaler,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastkl
from fastkl import DensityMLE, ProductDensity, TransformedDensity, families, kl_divergence
from fastkl.exceptions import SupportError
from tests.density.bijections.transformers import QUANTILES, SMOOTH, X, short


@parametrize_with_checks(
    [
        TransformedDensity(None, DensityMLE("normal")),
        TransformedDensity(StandardScaler(), DensityMLE(families.MultivariateNormal("diag"))),
        # Yeo and Johnson's transform alone makes the checks' rows of 100 +- 1 all but equal (1e-16 apart with scipy 1.17, not at
        # all with 1.18), which has no density, and is refused.
        TransformedDensity(make_pipeline(StandardScaler(), PowerTransformer()), DensityMLE("normal")),
    ]
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


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
    if (
        model is None
    ):  # the ends of the range are 0 and 1, where a beta distribution has no support: keep the distribution, known
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
    """exp(x) is positive: a normal distribution keeps only the mass it gives to positive numbers."""
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
    # the truth, a lognormal distribution, is the bound that the best comes close to
    truth = cross_validated_lognormal(rows)
    assert search.best_score_ == pytest.approx(truth, abs=0.02)
    assert same[0] < truth - 0.3


def cross_validated_lognormal(rows):
    return GridSearchCV(DensityMLE(), {"family": ["lognormal"]}, cv=4).fit(rows).best_score_


# -- draws -----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("transformer", SMOOTH + QUANTILES[:1], ids=short)
def test_draws_follow_the_density(transformer):
    """Rows drawn from the model, seen through its own transformer, follow the inner density."""
    model = TransformedDensity(transformer, DensityMLE("normal")).fit(X)
    rows = model.sample(3000, random_state=1)
    np.testing.assert_array_equal(rows, model.sample(3000, random_state=1))
    images = rows if transformer in (None, "passthrough") else model.transformer_.transform(rows)
    for j, values in enumerate(images.T):
        distribution = stats.norm(model.density_.params_["loc"][j], model.density_.params_["scale"][j])
        assert stats.kstest(values, distribution.cdf).pvalue > 1e-4
    assert np.isfinite(model.score_samples(rows)).all()


def test_draws_beyond_the_image_are_made_anew_without_a_word():
    """Of a power that ends in a number some normal draws are beyond it, of which scikit-learn warns at each call."""
    rows = np.random.default_rng(0).lognormal(size=(500, 2))
    model = TransformedDensity(PowerTransformer(), DensityMLE("multivariate_normal")).fit(rows)
    drawn = model.sample(5000, random_state=0)
    assert np.isfinite(drawn).all()
    ends = model.transformer_.transform(np.full((1, 2), 1e300))  # where the powers end
    assert (model.density_.sample(5000, random_state=0) > ends).any()


def test_draws_are_checked():
    model = TransformedDensity(StandardScaler(), DensityMLE("normal"))
    with pytest.raises(sklearn.exceptions.NotFittedError):
        model.sample()
    with pytest.raises(ValueError, match="n_samples"):
        model.fit(X).sample(0)


def test_divergences():
    """KL does not change under a bijection: two lognormal distributions have that of their normal distributions."""
    exact = np.log(2.0) - 0.25
    log = FunctionTransformer(np.log)
    p = TransformedDensity.from_fitted(log, DensityMLE.from_parameters("normal", loc=0.0, scale=1.0))
    q = TransformedDensity.from_fitted(log, DensityMLE.from_parameters("normal", loc=1.0, scale=2.0))
    estimate = kl_divergence(p, q)
    assert float(estimate) == pytest.approx(exact, rel=1e-13)
    drawn = p.sample(2000, random_state=0)
    assert abs(q.kl_divergence(drawn) - exact) < 0.1
    # the same mean, summed in two ways
    assert float(q.cross_entropy(drawn)) == pytest.approx(-q.score(drawn), rel=1e-15)


def test_from_fitted_checks():
    with pytest.raises(TypeError, match="fitted density"):
        TransformedDensity.from_fitted(None, DensityMLE())
    with pytest.raises(sklearn.exceptions.NotFittedError, match="StandardScaler"):
        TransformedDensity.from_fitted(StandardScaler(), DensityMLE.from_parameters("normal", loc=0.0, scale=1.0))
    with pytest.raises(ValueError, match="discrete"):
        TransformedDensity.from_fitted(None, DensityMLE.from_parameters("poisson", rate=1.0))
    with pytest.raises(ValueError, match="takes 3 columns, and the density is of 1"):
        TransformedDensity.from_fitted(PCA(1).fit(X), DensityMLE.from_parameters("normal", loc=0.0, scale=1.0))


# -- tables, dtypes, parameters --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "columns", [([0], [1, 2]), (slice(0, 1), slice(1, 3)), ([True, False, False], [False, True, True])]
)
def test_a_column_transformer_that_is_fitted_already(columns):
    """Columns as scikit-learn keeps them: as they were given."""
    rows = np.random.default_rng(0).uniform(0.5, 2.0, size=(50, 3))
    steps = (FunctionTransformer(np.log), StandardScaler())
    fitted = ColumnTransformer([(str(k), step, columns[k]) for k, step in enumerate(steps)]).fit(rows)
    density = DensityMLE("normal").fit(fitted.transform(rows))
    expected = density.score(fitted.transform(rows)) - np.log(rows[:, 0]).mean() - np.log(rows[:, 1:].std(axis=0)).sum()
    assert TransformedDensity.from_fitted(fitted, density).score(rows) == pytest.approx(expected, rel=1e-12)
    assert TransformedDensity(fitted, DensityMLE("normal")).fit(rows).score(rows) == pytest.approx(expected, rel=1e-12)


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
