"""References in shards: the densities of all of them in memory, from files too, and what can't be had so."""

import numpy as np
import pandas as pd
import pytest

from fastkl import KernelDensityMLE
from fastkl.exceptions import SourceError, SupportError
from tests.rows.known import Refilled

rng = np.random.default_rng(0)
X = rng.exponential(size=(3000, 2))
QUERIES = np.concatenate([X[:200], [[30.0, 0.0], [-1.0, 2.0]]])


@pytest.mark.parametrize(
    "options", [{}, {"boundary": "reflect"}, {"kernel": "epanechnikov"}, {"column_types": {1: "ordered"}}], ids=str
)
@pytest.mark.parametrize("weights", [None, rng.uniform(0.1, 3.0, 3000)])
def test_as_in_memory(options, weights):
    rows, queries, width = X, QUERIES, [0.3, 0.2]
    if "column_types" in options:
        rows, queries = (np.column_stack([x[:, 0], np.rint(3.0 * x[:, 1])]) for x in (X, QUERIES))
    whole = KernelDensityMLE(width, **options).fit(rows, sample_weight=weights)
    some = KernelDensityMLE(width, **options).fit(rows[:10])
    shards = [(rows[i : i + 700], None if weights is None else weights[i : i + 700]) for i in range(0, 3000, 700)]
    shards = [rows if w is None else (rows, w) for rows, w in shards]
    found = some.score_samples_shards([queries[:100], queries[100:]], shards)
    np.testing.assert_allclose(found, whole.score_samples(queries), rtol=1e-12, atol=2e-9)
    assert len(some.references_) == 10  # as it was


def test_files(tmp_path):
    np.save(tmp_path / "references.npy", X)
    np.save(tmp_path / "queries.npy", QUERIES)
    some = KernelDensityMLE(0.3, error=1e-10).fit(X[:5])
    found = some.score_samples_shards(tmp_path / "queries.npy", tmp_path / "references.npy", batch_rows=500)
    whole = KernelDensityMLE(0.3, error=1e-10).fit(X)
    np.testing.assert_allclose(found, whole.score_samples(QUERIES), rtol=1e-12, atol=2e-10)


def test_tables_of_labels():
    table = pd.DataFrame({"x": X[:, 0], "g": np.where(X[:, 1] > 1, "a", "b")})
    types = {"g": ("categorical", ["a", "b", "c"])}
    some = KernelDensityMLE([0.3, 0.1], column_types=types).fit(table[:3])
    found = some.score_samples_shards(table[:50], [table[:1000], table[1000:]])
    whole = KernelDensityMLE([0.3, 0.1], column_types=types).fit(table)
    np.testing.assert_allclose(found, whole.score_samples(table[:50]), rtol=1e-12, atol=2e-9)


def test_what_shards_cannot_give():
    for options in ({"adaptive": True}, {"bias_reduction": "score"}):
        model = KernelDensityMLE(0.3, **options).fit(X[:100])
        with pytest.raises(ValueError, match="come from all references together"):
            model.score_samples_shards(X, [X])
    model = KernelDensityMLE(0.3, boundary="reflect").fit(X[:100])
    with pytest.raises(SupportError, match="holds -1"):
        model.score_samples_shards(X, [X[:10], QUERIES])
    with pytest.raises(ValueError, match="NaN"):
        model.score_samples_shards(X, [X[:10], np.full((2, 2), np.nan)])
    with pytest.raises(SourceError, match="was fitted to 2"):
        model.score_samples_shards(X, [X[:, :1]])


def test_references_that_come_in_one_array_filled_again_and_again():
    rows = QUERIES[:300]
    model = KernelDensityMLE([0.4] * rows.shape[1]).fit(X)
    again = Refilled(rows)
    wanted = KernelDensityMLE([0.4] * rows.shape[1]).fit(rows).score_samples(rows)
    np.testing.assert_allclose(model.score_samples_shards(again, again), wanted, atol=1e-8)
