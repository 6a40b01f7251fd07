"""Cells that hold several values, of whatever library: neither numbers nor labels, said with the name of the column."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from pyarrow import parquet

from fastkl import ColumnTypeError, DensityMLE, compare_tables, fit_groups, kl_divergence, rank_families

N = 12
NUMBERS = np.random.default_rng(0).normal(size=N)
NESTED = {
    "list": pa.array([[x] for x in NUMBERS]),
    "large list": pa.array([[x] for x in NUMBERS], pa.large_list(pa.float64())),
    "list of fixed size": pa.array([[x] for x in NUMBERS], pa.list_(pa.float64(), 1)),
    "list of dates": pa.array([[pd.Timestamp("2024-01-01")]] * N),
    "record": pa.array([{"x": x} for x in NUMBERS]),
    "map": pa.array([[("x", x)] for x in NUMBERS], pa.map_(pa.string(), pa.float64())),
}
LIBRARIES = {
    "arrow": lambda table: table,
    "pandas": lambda table: table.to_pandas(),
    "pandas with Arrow arrays": lambda table: table.to_pandas(types_mapper=pd.ArrowDtype),
    "polars": pl.from_arrow,
}


@pytest.fixture(params=NESTED)
def table(request):
    return pa.table({"a": NUMBERS, "deep": NESTED[request.param]})


@pytest.mark.parametrize("library", LIBRARIES)
def test_in_memory(table, library):
    rows = LIBRARIES[library](table)
    calls = [
        lambda: DensityMLE("normal").fit(rows),
        lambda: DensityMLE("categorical").fit(rows),
        lambda: DensityMLE("normal").fit_batches(rows),
        lambda: DensityMLE("categorical").fit_batches([rows, rows]),
        lambda: kl_divergence(rows, rows),
        lambda: compare_tables(rows, rows, test=False),
        lambda: fit_groups(rows, np.arange(N) % 2),
    ]
    for call in calls:
        with pytest.raises(ColumnTypeError, match=r"'deep'.* holds lists or records"):
            call()
    assert rank_families(rows, families="normal", cv=2).left_out == {
        "deep": "holds lists or records, which are neither numbers nor labels"
    }


@pytest.mark.parametrize("family", ["normal", "categorical"])
def test_from_streams_and_files(table, family, tmp_path):
    parquet.write_table(table, tmp_path / "rows.parquet")
    for source in (pl.from_arrow(table).lazy(), table.to_reader(), tmp_path / "rows.parquet"):
        with pytest.raises(ColumnTypeError, match=r"'deep' holds lists or records"):
            DensityMLE(family).fit_batches(source)


def test_objects_of_an_array():
    rows = np.empty((3, 1), dtype=object)
    rows[:, 0] = [[1.0], [2.0], [3.0]]
    for family in ("normal", "categorical"):
        with pytest.raises(ColumnTypeError, match=r"olumn 0 holds lists or records \(\[1.0\] in row 0\)"):
            DensityMLE(family).fit(rows)
    labels = np.empty((3, 1), dtype=object)
    labels[:, 0] = [(1, "a"), (1, "b"), (1, "a")]
    assert DensityMLE("categorical").fit(labels).params_["probabilities"].tolist() == [[2 / 3, 1 / 3]]


def test_dates_in_categories_of_arrow_arrays_of_pandas():
    """Arrow's dictionaries of dates were labels in pandas alone."""
    days = pa.array([pd.Timestamp("2024-01-01")] * 3).dictionary_encode()
    frame = pd.DataFrame({"a": pd.Series(pd.arrays.ArrowExtensionArray(pa.chunked_array([days])))})
    for call in (DensityMLE("categorical").fit, DensityMLE("categorical").fit_batches):
        with pytest.raises(ColumnTypeError, match=r"'a'.* holds dictionary<values=timestamp"):
            call(frame)
