"""``set_output``: drawn rows and transformed ones as data frames, with the values of the arrays."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fastkl import (
    DensityMLE,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
    kl_divergence,
)

ROWS = np.random.default_rng(0).gamma(3.0, size=(120, 3))
TABLE = pd.DataFrame(ROWS, columns=["a", "b", "c"])
DENSITIES = [
    DensityMLE("gamma"),
    DensityMLE(),
    FactorAnalysisMLE(),
    KernelDensityMLE(),
    MixtureMLE(2, random_state=0),
    ProductDensity([("one", DensityMLE("gamma"), ["a"]), ("rest", DensityMLE(), ["b", "c"])]),
    ShapeConstrainedMLE(),
    TransformedDensity(StandardScaler(), DensityMLE()),
]


@pytest.mark.parametrize("density", DENSITIES, ids=lambda density: type(density).__name__)
@pytest.mark.parametrize(("kind", "frame"), [("pandas", pd.DataFrame), ("polars", pl.DataFrame)])
def test_draws_are_the_table_that_was_asked_for(density, kind, frame):
    plain = clone(density).fit(TABLE)
    asked = clone(clone(density).set_output(transform=kind)).fit(TABLE)  # clone keeps what was asked
    drawn = asked.sample(7, random_state=1)
    assert isinstance(drawn, frame)
    assert list(drawn.columns) == ["a", "b", "c"]
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(plain.sample(7, random_state=1)))
    assert np.isfinite(asked.score_samples(drawn)).all()  # without a warning about names
    asked.set_output(transform=None)
    assert isinstance(asked.sample(2), frame)
    asked.set_output(transform="default")
    assert isinstance(asked.sample(2), type(plain.sample(2)))


def test_rows_without_names_and_one_frame_for_both_draws_and_components():
    model = DensityMLE("gamma").fit(ROWS).set_output(transform="pandas")
    assert list(model.sample(2).columns) == ["x0", "x1", "x2"]
    mixture = MixtureMLE(2, random_state=0).fit(TABLE).set_output(transform="polars")
    rows, components = mixture.sample(5, random_state=0, return_components=True)
    assert isinstance(rows, pl.DataFrame)
    assert isinstance(components, np.ndarray)
    assert mixture.transform(TABLE).columns == ["mixturemle0", "mixturemle1"]


def test_labels_keep_their_types():
    table = pl.DataFrame({"kind": ["x", "y", "x", "x"], "size": [1.0, 2.5, 3.0, 2.0]})
    parts = [("kind", DensityMLE("categorical"), ["kind"]), ("size", DensityMLE("gamma"), ["size"])]
    model = ProductDensity(parts).fit(table).set_output(transform="polars")
    drawn = model.sample(20, random_state=0)
    assert drawn.schema == {"kind": pl.String, "size": pl.Float64}
    assert model.set_output(transform="pandas").sample(3)["size"].dtype == np.float64


def test_parts_that_give_tables_are_parts_all_the_same():
    part = DensityMLE("gamma").set_output(transform="polars")
    product = ProductDensity([("one", part, ["a"]), ("rest", DensityMLE(), ["b", "c"])]).fit(TABLE)
    assert isinstance(product.sample(3), pd.DataFrame)
    scaled = TransformedDensity(StandardScaler(), DensityMLE().set_output(transform="pandas")).fit(TABLE)
    assert scaled.sample(3).shape == (3, 3)
    a, b = (DensityMLE("gamma").fit(TABLE).set_output(transform=kind) for kind in ("default", "pandas"))
    q = DensityMLE("lognormal").fit(TABLE)
    assert kl_divergence(a, q, random_state=0) == kl_divergence(b, q, random_state=0)
    wanted = a.goodness_of_fit(TABLE, random_state=0, n_bootstrap=20)
    assert repr(b.goodness_of_fit(TABLE, random_state=0, n_bootstrap=20)) == repr(wanted)
    piped = make_pipeline(StandardScaler(), MixtureMLE(2, random_state=0)).set_output(transform="pandas").fit(TABLE)
    assert isinstance(piped.transform(TABLE), pd.DataFrame)


@pytest.mark.parametrize("density", [DensityMLE(), MixtureMLE(2, random_state=0)])
def test_unknown_tables(density):
    with pytest.raises(ValueError, match="transform is one of 'default', 'pandas', 'polars' or None, not 'excel'"):
        density.set_output(transform="excel").fit(TABLE).sample()
