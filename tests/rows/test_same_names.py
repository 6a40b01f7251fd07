"""Two columns of one name: sources read, and scores find, columns by their names."""

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastkl import DensityMLE, SourceError, fit_groups
from tests.rows.known import W, X


def values_named(names):
    """Two columns and weights under these names."""
    return pa.table([X[:, 0], X[:, 1], W], names=names)


def source_of(kind, names, folder):
    """The same as a source of some kind."""
    frame = pd.DataFrame(np.column_stack([X[:, :2], W]), columns=names)
    if kind == "frame":
        return frame
    if kind == "frames":
        return [frame]
    if kind == "arrow":
        return values_named(names)
    if kind == "stream":
        return values_named(names).to_reader(100)
    if kind == "parquet":
        parquet.write_table(values_named(names), folder / "X.parquet")
        return folder / "X.parquet"
    if kind == "relation":
        quoted = ", ".join(f'{own} AS "{name}"' for own, name in zip("pqr", names, strict=True))
        return duckdb.connect().from_arrow(values_named(list("pqr"))).project(quoted)
    return pytest.importorskip("dask.dataframe").from_pandas(frame, npartitions=2)


@pytest.mark.parametrize("kind", ["frame", "frames", "arrow", "stream", "parquet", "relation", "dask"])
@pytest.mark.parametrize("names", [["a", "a", "w"], ["a", "w", "w"]])
def test_they_are_refused(tmp_path, kind, names):
    # the first of the two was read twice, without a word
    with pytest.raises(SourceError, match=r"two columns named '[aw]', columns \d and \d"):
        DensityMLE("normal").fit_batches(source_of(kind, names, tmp_path), sample_weight="w")


@pytest.mark.parametrize("kind", ["frame", "stream", "parquet"])
def test_those_that_are_not_read_do_not_matter(tmp_path, kind):
    found = DensityMLE("normal").fit_batches(source_of(kind, ["a", "w", "w"], tmp_path), columns=["a"])
    assert found.params_["loc"] == pytest.approx(X[:, :1].mean(axis=0), rel=1e-12)


def test_groups():
    table = pd.DataFrame(X[:, :2], columns=["a", "a"]).assign(group=np.arange(len(X)) % 2)
    with pytest.raises(SourceError, match="two columns named 'a'"):
        fit_groups(table, "group")
