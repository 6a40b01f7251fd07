"""Marginals and conditionals: densities of some of the columns, against the identity p(x, y) = p(y) p(x | y)."""

import numpy as np
import pandas as pd
import pytest
import scipy.stats
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    MinMaxScaler,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

from fastkl import DensityMLE, FactorAnalysisMLE, MixtureMLE, ProductDensity, TransformedDensity, families

MEAN = np.array([1.0, -1.0, 0.5])
ROOT = np.array([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [-0.4, 0.5, 1.5]])
SPREAD = ROOT @ ROOT.T
JOINT = {
    "normal": DensityMLE.from_parameters(mean=MEAN, covariance=SPREAD),
    "diag": DensityMLE.from_parameters(families.MultivariateNormal("diag"), mean=MEAN, covariance=[1.0, 4.0, 0.5]),
    "spherical": DensityMLE.from_parameters(families.MultivariateNormal("spherical"), mean=MEAN, covariance=2.0),
    "t": DensityMLE.from_parameters("multivariate_t", df=3.0, loc=MEAN, scale=SPREAD),
    "normal limit of t": DensityMLE.from_parameters("multivariate_t", df=np.inf, loc=MEAN, scale=SPREAD),
    "independent": DensityMLE.from_parameters("logistic", loc=MEAN, scale=[1.0, 2.0, 3.0]),
}
X = MEAN + np.random.default_rng(0).normal(size=(20, 3)) @ ROOT.T


@pytest.mark.parametrize("name", JOINT)
@pytest.mark.parametrize("given", [[2], [0], [0, 2], [1, 0]])
def test_a_joint_density_is_marginal_times_conditional(name, given):
    model = JOINT[name]
    kept = [j for j in range(3) if j not in given]
    margin = model.marginal(given)
    assert margin.n_features_in_ == len(given)
    for x in X:
        rest = model.conditional({j: x[j] for j in given})
        whole = margin.score_samples(x[None, given])[0] + rest.score_samples(x[None, kept])[0]
        assert whole == pytest.approx(model.score_samples(x[None])[0], rel=1e-12)


def test_marginals_of_other_families():
    dirichlet = DensityMLE.from_parameters("dirichlet", concentration=[1.0, 2.0, 3.5])
    first = dirichlet.marginal(1)
    assert (first.family_.name, first.params_["a"], first.params_["b"]) == ("beta", 2.0, 4.5)
    np.testing.assert_allclose(dirichlet.marginal([2, 0, 1]).params_["concentration"], [3.5, 1.0, 2.0])
    with pytest.raises(AttributeError, match="2 of the 3 columns of a dirichlet density has no closed form"):
        dirichlet.marginal([0, 1])
    with pytest.raises(AttributeError, match="dirichlet density have no closed form"):
        dirichlet.conditional({0: 0.2})
    directions = DensityMLE.from_parameters("von_mises_fisher", direction=[0.6, 0.8, 0.0], concentration=3.0)
    rows = directions.sample(5, random_state=0)
    turned = directions.marginal([2, 0, 1]).score_samples(rows[:, [2, 0, 1]])
    np.testing.assert_allclose(turned, directions.score_samples(rows), rtol=1e-12)
    with pytest.raises(AttributeError, match="1 of the 3 columns of a von_mises_fisher density has no closed form"):
        directions.marginal(0)
    table = pd.DataFrame({"pet": ["cat", "dog", "dog"], "size": ["s", "l", "s"]})
    labels = DensityMLE("categorical").fit(table)
    assert labels.conditional({"pet": "cat"}).score_samples(table[["size"]])[0] == pytest.approx(np.log(2.0 / 3.0))
    with pytest.raises(ValueError, match=r"density is 0 at column 0 \('pet'\) = 'bird'"):
        labels.conditional({"pet": "bird"})


def test_marginals_of_mixtures():
    covariance = np.array([np.eye(3), SPREAD])
    model = MixtureMLE.from_parameters(weights=[0.3, 0.7], mean=[MEAN, -MEAN], covariance=covariance)
    part = model.marginal([2, 0])
    exact = [
        0.3 * scipy.stats.multivariate_normal(MEAN[[2, 0]], np.eye(2)).pdf(X[:, [2, 0]]),
        0.7 * scipy.stats.multivariate_normal(-MEAN[[2, 0]], SPREAD[np.ix_([2, 0], [2, 0])]).pdf(X[:, [2, 0]]),
    ]
    np.testing.assert_allclose(part.score_samples(X[:, [2, 0]]), np.log(sum(exact)), rtol=1e-12)
    draws = model.sample(40_000, random_state=0)
    np.testing.assert_allclose(model.mean(), draws.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(model.covariance(), np.cov(draws.T), atol=0.1)
    np.testing.assert_allclose(part.mean(), model.mean()[[2, 0]], rtol=1e-13)
    tied = MixtureMLE(2, family=families.MultivariateNormal("tied"), standard_errors=False, random_state=0).fit(
        draws[:500]
    )
    np.testing.assert_allclose(tied.marginal([1]).params_["covariance"], tied.params_["covariance"][1:2, 1:2])
    assert "No standard errors" in str(tied.summary())
    given = tied.conditional({0: 1.0})
    rows = np.insert(X[:5, 1:], 0, 1.0, axis=1)
    expected = tied.score_samples(rows) - tied.marginal([0]).score_samples(rows[:, :1])
    np.testing.assert_allclose(given.score_samples(X[:5, 1:]), expected, rtol=1e-11)


def test_parts_of_a_factor_analysis_are_those_of_the_normal_distribution_that_it_is():
    model = FactorAnalysisMLE(1).fit(X)
    normal = DensityMLE.from_parameters(mean=model.mean(), covariance=model.covariance())
    np.testing.assert_allclose(normal.score_samples(X), model.score_samples(X), rtol=1e-10)
    np.testing.assert_allclose(
        model.marginal([2, 0]).score_samples(X[:, [2, 0]]), normal.marginal([2, 0]).score_samples(X[:, [2, 0]])
    )
    given = {1: 0.3}
    np.testing.assert_allclose(model.conditional(given).covariance(), normal.conditional(given).covariance())
    np.testing.assert_allclose(model.cdf(X[:2]), normal.cdf(X[:2]), rtol=1e-6)
    np.testing.assert_array_equal(model.mode(), model.params_["mean"])


# -- products --------------------------------------------------------------------------------------------------------------

RNG = np.random.default_rng(1)
TABLE = pd.DataFrame(RNG.normal(size=(200, 3)) @ ROOT.T, columns=["a", "b", "c"])
TABLE["pet"], TABLE["visits"] = RNG.choice(["cat", "dog"], 200), RNG.poisson(3.0, 200)
GROUPS = [
    ("visits", DensityMLE("poisson"), ["visits"]),
    ("body", DensityMLE(), ["c", "a", "b"]),
    ("pets", DensityMLE("categorical"), ["pet"]),
]


@pytest.mark.parametrize("given", [["a"], ["pet", "a"], ["visits"], ["a", "b", "c"], ["visits", "pet", "b"]])
def test_a_product_is_marginal_times_conditional(given):
    model = ProductDensity(GROUPS).fit(TABLE)
    kept = [name for name in TABLE.columns if name not in given]
    margin = model.marginal(given)
    whole = model.score_samples(TABLE)
    for i in range(5):
        row = TABLE.iloc[i : i + 1]
        rest = model.conditional({name: row[name].iloc[0] for name in given})
        assert list(rest.feature_names_in_) == kept
        assert margin.score_samples(row[given])[0] + rest.score_samples(row[kept])[0] == pytest.approx(
            whole[i], rel=1e-11
        )
    assert len(rest.sample(3, random_state=0)) == 3


def test_a_part_of_a_product():
    model = ProductDensity(GROUPS).fit(TABLE)
    part = model.marginal(["b", "visits"])
    assert [(name, numbers) for name, _, numbers in part.groups_] == [("visits", [1]), ("body", [0])]
    np.testing.assert_allclose(part.mean(), model.marginal(["a", "b", "c", "visits"]).mean()[[1, 3]])
    single = model.marginal("visits")
    assert single.family_.name == "poisson"
    assert list(single.feature_names_in_) == ["visits"]
    assert single is not model.densities_["visits"]


# -- behind transformers -----------------------------------------------------------------------------------------------------

POSITIVE = np.exp(0.3 * X)
BEHIND = {
    "scaler": StandardScaler(),
    "range": MinMaxScaler((-1.0, 3.0)),
    "robust": RobustScaler(with_centering=False),
    "box-cox": PowerTransformer("box-cox"),
    "yeo-johnson": PowerTransformer(standardize=False),
    "logarithm": FunctionTransformer(np.log),
    "steps": make_pipeline(FunctionTransformer(np.log), "passthrough", StandardScaler()),
    "quantiles": QuantileTransformer(n_quantiles=7, output_distribution="normal"),
}


@pytest.mark.parametrize("name", BEHIND)
@pytest.mark.parametrize("given", [[1], [2, 0]])
def test_behind_a_transformer_a_density_is_marginal_times_conditional(name, given):
    model = TransformedDensity(BEHIND[name], DensityMLE()).fit(pd.DataFrame(POSITIVE, columns=["a", "b", "c"]))
    kept = [j for j in range(3) if j not in given]
    margin = model.marginal(given)
    assert list(margin.feature_names_in_) == [["a", "b", "c"][j] for j in given]
    for x in POSITIVE[1:6]:
        rest = model.conditional({j: x[j] for j in given})
        part, others = (pd.DataFrame([x[chosen]], columns=model.feature_names_in_[chosen]) for chosen in (given, kept))
        whole = margin.score_samples(part)[0] + rest.score_samples(others)[0]
        row = pd.DataFrame([x], columns=["a", "b", "c"])
        assert whole == pytest.approx(model.score_samples(row)[0], rel=1e-9, abs=1e-9)


def test_the_marginal_behind_a_logarithm_is_lognormal():
    columns = DensityMLE.from_parameters("normal", loc=MEAN, scale=np.sqrt(np.diag(SPREAD)))
    model = TransformedDensity.from_fitted(FunctionTransformer(np.log), columns)
    part = model.marginal([2])
    exact = scipy.stats.lognorm(np.sqrt(SPREAD[2, 2]), scale=np.exp(MEAN[2]))
    x = np.array([[0.2], [1.0], [7.0]])
    np.testing.assert_allclose(part.score_samples(x), exact.logpdf(x[:, 0]), rtol=1e-13)
    np.testing.assert_allclose(part.cdf(x), exact.cdf(x), rtol=1e-12)
    assert part.sample(5, random_state=0).shape == (5, 1)


def test_columns_that_are_mixed_have_no_marginals():
    model = TransformedDensity(PCA(), DensityMLE("normal")).fit(X)
    with pytest.raises(AttributeError, match="not known to map every column by itself"):
        model.marginal([0])


# -- bad arguments ---------------------------------------------------------------------------------------------------------


def test_bad_columns():
    model = DensityMLE("gamma").fit(pd.DataFrame({"height": [1.0, 2.0, 4.0], "weight": [3.0, 2.0, 5.0]}))
    for columns, said in (
        ("heigth", "Did you mean 'height'"),
        (5, "no column 5"),
        (["height", 0], "twice"),
        ([], "no column at all"),
    ):
        with pytest.raises(ValueError, match=said):
            model.marginal(columns)
    for given, said in (
        ({"height": -1.0}, r"density is 0 at column 0 \('height'\) = -1.0, outside the support"),
        ({"height": 1.0, "weight": 1.0}, "none is left"),
        ({"height": 1.0, 0: 1.0}, "twice, by name and by number"),
        ({}, "mapping of columns to values"),
        ([1.0], "mapping of columns to values"),
        ({"height": [1.0, 2.0]}, "a single one is expected"),
        ({"width": 1.0}, "no column 'width'"),
        ({"height": np.nan}, r"column 0 \('height'\) is missing"),
        ({"height": None}, r"column 0 \('height'\) is missing"),
        ({"height": np.inf}, r"column 0 \('height'\) is inf"),
    ):
        with pytest.raises(ValueError, match=said):
            model.conditional(given)
    assert list(model.conditional({"height": 1.0}).feature_names_in_) == ["weight"]
    with pytest.raises(NotFittedError):
        DensityMLE().marginal([0])


@pytest.mark.parametrize("family", ["multinomial", "dirichlet_multinomial"])
def test_counts_given_others(family):
    """p(rest | given) is p(row) over the sum of p over all rows with the given counts."""
    options = {"concentration": 4.0} if family == "dirichlet_multinomial" else {}
    model = DensityMLE.from_parameters(family, probabilities=[0.2, 0.3, 0.1, 0.4], n_trials=10, **options)
    rest = model.conditional({0: 3, 2: 1})
    k = np.arange(7)
    rows = np.column_stack([np.full(7, 3), k, np.ones(7), 6 - k])
    logs = model.score_samples(rows)
    np.testing.assert_allclose(
        rest.score_samples(rows[:, [1, 3]]), logs - np.logaddexp.reduce(logs), rtol=1e-12, atol=1e-14
    )
    assert np.all(rest.sample(5, random_state=0).sum(axis=1) == 6)
    np.testing.assert_array_equal(model.conditional({0: 3, 1: 1, 2: 1}).sample(), [[5]])
    np.testing.assert_allclose(model.marginal([3, 1, 0, 2]).params_["probabilities"], [0.4, 0.3, 0.2, 0.1])
    for given in ({0: 11}, {0: 6, 1: 5}, {0: -1}, {0: 1.5}):
        with pytest.raises(ValueError, match="density is 0 at column 0"):
            model.conditional(given)
    with pytest.raises(AttributeError, match="which some of the columns do not have"):
        model.marginal([0, 1])
    with pytest.raises(AttributeError, match="only for known n_trials"):
        DensityMLE.from_parameters(family, probabilities=[0.5, 0.5], **options).conditional({0: 1})
