"""A record batch of Arrow is a table: its names are learnt, and rows in another order of columns are refused."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler

from fastkl import (
    DensityMLE,
    DensityOutlierDetector,
    FactorAnalysisMLE,
    KernelDensityMLE,
    MixtureMLE,
    ProductDensity,
    ShapeConstrainedMLE,
    TransformedDensity,
)

pa = pytest.importorskip("pyarrow")
ROWS = np.random.default_rng(0).gamma(2.0, size=(80, 3))
BATCH = pa.record_batch(list(ROWS.T), names=["a", "b", "c"])
DENSITIES = [
    DensityMLE("gamma"),
    MixtureMLE(1, random_state=0),
    KernelDensityMLE("scott"),
    ShapeConstrainedMLE(),
    FactorAnalysisMLE(noise="isotropic"),
    TransformedDensity(StandardScaler(), DensityMLE("normal")),
    ProductDensity([("first", DensityMLE("gamma"), ["c"]), ("second", DensityMLE("normal"), ["a", "b"])]),
    DensityOutlierDetector(DensityMLE("normal")),
]


@pytest.mark.parametrize("density", DENSITIES, ids=lambda density: type(density).__name__)
def test_it_is_read_as_the_table_of_it(density):
    model, same = clone(density).fit(BATCH), clone(density).fit(pa.Table.from_batches([BATCH]))
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    np.testing.assert_array_equal(model.score_samples(BATCH), same.score_samples(BATCH))
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(BATCH.select(["c", "a", "b"]))
