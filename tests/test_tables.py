"""Tables of pandas, polars and Arrow are samples like any array, and errors name their columns."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

import fastkl

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(200, 2)), RNG.normal(1.0, 1.0, size=(150, 2))
LABELS = RNG.choice(["x", "y"], size=(200, 2))
TABLES = {"pandas": lambda frame: frame, "polars": pl.from_pandas, "arrow": pa.Table.from_pandas}
CALLS = {
    "score": lambda x, y: fastkl.DensityMLE().fit(x).score(y),
    "model": lambda x, y: float(fastkl.DensityMLE().fit(x).kl_divergence(y)),
    "kl_divergence": lambda x, y: float(fastkl.kl_divergence(x, y)),
    "entropy": lambda x, y: float(fastkl.entropy(x)),
    "cross_entropy": lambda x, y: float(fastkl.cross_entropy(x, y)),
    "estimator": lambda x, y: float(fastkl.KLDivergence().fit(y).estimate(x)),
    "permutation_test": lambda x, y: fastkl.permutation_test(x, y, n_permutations=99, random_state=0).p_value,
    "transformed": lambda x, y: fastkl.TransformedDensity(None, fastkl.DensityMLE("normal")).fit(x).score(y),
    "batches": lambda x, y: float(fastkl.kl_divergence_batches(x, y)),
    "fit_batches": lambda x, y: float(fastkl.DensityMLE("student_t").fit_batches(x).score_batches(y)),
}


@pytest.fixture(params=TABLES)
def table(request):
    def make(values):
        return TABLES[request.param](pd.DataFrame(values, columns=["a", "b"]))

    return make


@pytest.mark.parametrize("call", CALLS)
def test_a_table_counts_as_its_values(table, call):
    assert CALLS[call](table(X), table(Y)) == pytest.approx(CALLS[call](X, Y), rel=1e-12)


def test_labels(table):
    labels = table(LABELS)
    assert fastkl.DensityMLE("categorical").fit(labels).score(labels) == fastkl.DensityMLE("categorical").fit(
        LABELS
    ).score(LABELS)
    assert float(fastkl.categorical_entropy(labels)) == float(fastkl.categorical_entropy(LABELS))
    with pytest.raises(ValueError, match="column 'a' of p has dtype .*labels have no distance"):
        fastkl.entropy(labels)
    with pytest.raises(ValueError, match=r"Row 0, column 0 \('a'\) holds"):
        fastkl.DensityMLE().fit(labels)


def test_names_are_compared(table):
    model = fastkl.DensityMLE().fit(table(X))
    assert list(model.feature_names_in_) == ["a", "b"]
    other = TABLES["pandas"](pd.DataFrame(X, columns=["b", "a"]))
    with pytest.raises(ValueError, match="names"):
        model.score(other)
    with pytest.raises(ValueError, match="names"):
        model.kl_divergence(other)


def test_a_missing_value_is_named(table):
    bad = X.copy()
    bad[7, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 7, column 1 \('b'\)"):
        fastkl.DensityMLE("normal").fit(table(bad))
    with pytest.raises(ValueError, match=r"row 7, column 1 \('b'\)"):
        fastkl.entropy(table(bad))
