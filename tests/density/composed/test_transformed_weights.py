"""TransformedDensity: weights, their routing, chunks, rows not in memory, numbers of parameters."""

import pickle

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler, MinMaxScaler, PowerTransformer, StandardScaler

from fastkl import DensityMLE, ProductDensity, TransformedDensity, families
from fastkl.exceptions import SupportError
from tests.density.bijections.transformers import BY_COLUMN, QUANTILES, RNG, Cube, X, short

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
