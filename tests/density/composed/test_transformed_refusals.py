"""What TransformedDensity refuses: transformers without a density, bad rows, rows outside the domain."""

import numpy as np
import pytest
from scipy import special
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA, FastICA, TruncatedSVD
from sklearn.feature_selection import SelectKBest, VarianceThreshold
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
    StandardScaler,
)

from fastkl import DensityMLE, ProductDensity, TransformedDensity
from fastkl.exceptions import DegenerateDataError, LossyTransformerError, SupportError
from tests.density.bijections.transformers import X, short


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
        pytest.param(object(), DensityMLE(), TypeError, "transformer is a transformer", id="no transformer"),
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
